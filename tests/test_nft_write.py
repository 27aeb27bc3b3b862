"""A message about one element says of it what a message about several says; a few are told in one step as in several."""

import random
from itertools import product
from typing import List, Tuple

import pytest

from netmgr.values.sets import Change, ChangeElements, CreateTable, Form
from netmgr.wire import nft_write
from netmgr.wire.netlink import HEADER, attribute
from netmgr.wire.nft_write import FEW
from tests.nftables import NAME

FORMS = [Form(*each) for each in product(("ipv4_addr", "ipv6_addr", "ifname"), (False, True), (False, True))]
LISTED = HEADER.size + 4 + sum(len(attribute(1, each.encode() + b"\0")) for each in NAME[1:]) + 4      # bytes before the first element


def any_element(source: random.Random, form: Form) -> bytes:
    """Ranges of one key and of many, from the first key, up to the last."""
    highest = (1 << form.width * 8) - 1
    first, last = sorted(source.choice((0, 255, highest - 1, highest, source.randrange(highest))) for _ in range(2))
    return first.to_bytes(form.width, "big") + (last.to_bytes(form.width, "big") if form.interval else b"")


def said(writer: nft_write.Writer, form: Form, operation: str, elements: Tuple[bytes, ...]) -> bytes:
    change = ChangeElements(NAME, form, **{"delete": (), "add": (), "restore": (), operation: elements})
    (part,) = writer.parts(7, [change], True)
    assert HEADER.unpack_from(part.data)[::3] == (len(part.data), 8)
    return part.data


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("operation", ["delete", "restore", "add"])
def test_one_element_is_told_as_one_of_several(form: Form, operation: str) -> None:
    source, writer = random.Random(1), nft_write.Writer()
    for _ in range(100):
        one, other = any_element(source, form), any_element(source, form)
        alone, several = said(writer, form, operation, (one,)), said(writer, form, operation, (one, *[other] * FEW))
        assert alone[4:LISTED - 4] == several[4:LISTED - 4] and alone[LISTED:] == several[LISTED:len(alone)]


@pytest.mark.parametrize("form", [
    *FORMS, Form("ipv4_addr . ifname"), Form("ipv4_addr", value="mark"), Form("ipv4_addr", value="verdict"),
    Form("ipv4_addr", True, value="mark"), Form("ipv4_addr", True, value="verdict")])
@pytest.mark.parametrize("destroy", [False, True])
def test_a_few_elements_are_told_in_one_step_as_in_several(form: Form, destroy: bool) -> None:
    source, writer = random.Random(str(form)), nft_write.Writer()
    told = 0
    for seq in range(200, 500):
        value, numbers = bytes(4 * bool(form.value)), source.choices((0, 0, 1, 1, 2, FEW), k=3)
        delete, add, restore = ([any_element(source, form) + value for _ in range(number)] for number in numbers)
        change = ChangeElements(NAME, form, delete, add, source.choice(((), (), (), restore)))
        several: List[List[Change]] = [[change], [change, change], [CreateTable("inet", "t")], []]
        changes = several[source.choice((0, 0, 0, 1, 2, 3))]
        data, following = writer.of_few(seq, changes, destroy, 0x01020304)
        parts = writer.parts(seq, changes, destroy)
        told += bool(data)
        assert parts or not data
        assert not data or (data, following) == (nft_write.transaction(seq, parts, seq + 1 + len(parts), 0x01020304), seq + 1 + len(parts))
        assert [part.first for part in parts if data] == [*range(len(delete)), *range(len(add))][:len(parts) if data else 0]
    assert told


@pytest.mark.parametrize("element", [b"", b"\1\2\3\4", bytes((1, 2, 3, 5, 1, 2, 3, 4)), bytes(9)])
def test_what_is_no_range_is_refused(element: bytes) -> None:
    writer, form, good = nft_write.Writer(), Form("ipv4_addr", True), bytes(4) + bytes((1, 2, 3, 4))
    assert said(writer, form, "add", (good,))
    assert writer.of_few(7, [ChangeElements(NAME, form, (), (good,))], True, 0)[0]
    assert not writer.of_few(7, [ChangeElements(NAME, form, (), (element,))], True, 0)[0]
    with pytest.raises(ValueError, match=r"elements of|cannot be told"):
        said(writer, form, "add", (element,))
