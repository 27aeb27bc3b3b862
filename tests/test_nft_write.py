"""A message about one element, which is put together of what all such have in common, says of it what a message about several says."""

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


@pytest.mark.parametrize("form", [*FORMS, Form("ipv4_addr . ifname"), Form("ipv4_addr", value="mark")])
@pytest.mark.parametrize("destroy", [False, True])
def test_one_element_is_told_in_one_step_as_in_several(form: Form, destroy: bool) -> None:
    source, writer = random.Random(str(form)), nft_write.Writer()
    told = 0
    for seq in range(200, 500):
        value, numbers = bytes(4 * bool(form.value)), source.choice(((1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 2, 0), (0, 1, 1), (0, FEW, 1)))
        change = ChangeElements(NAME, form, *([any_element(source, form) + value for _ in range(number)] for number in numbers))
        several: List[List[Change]] = [[change], [change, change], [CreateTable("inet", "t")], []]
        changes = several[source.choice((0, 0, 0, 1, 2, 3))]
        data = writer.of_one(seq, changes, destroy, 0x01020304)
        parts = writer.parts(seq, changes, destroy)
        told += bool(data)
        assert not data or data == nft_write.transaction(seq, parts, seq + 2, 0x01020304)
    assert bool(told) == (not (form.value or " . " in form.type))


@pytest.mark.parametrize("element", [b"", b"\1\2\3\4", bytes((1, 2, 3, 5, 1, 2, 3, 4)), bytes(9)])
def test_what_is_no_range_is_refused(element: bytes) -> None:
    writer, good = nft_write.Writer(), bytes(4) + bytes((1, 2, 3, 4))
    assert said(writer, Form("ipv4_addr", True), "add", (good,))
    with pytest.raises(ValueError, match=r"elements of|cannot be told"):
        said(writer, Form("ipv4_addr", True), "add", (element,))
