"""Maps and ranges of concatenations: what is kept by difference is what is worked out anew, and follows from each claim by itself."""

import random
from typing import Dict, FrozenSet, List, Optional, Set, Tuple

import pytest

from netmgr.model.composition import Composition, beside
from netmgr.model.keys import rank
from netmgr.model.others import Before, Held, Look, Others
from netmgr.values.notation import element_text
from netmgr.values.sets import Form
from tests.keys import element
from tests.nftables import info

BOXES = Form("ifname . ipv4_addr", True)
MARKS = Form("ifname", value="mark")
RANGES = Form("ipv4_addr", True, value="mark")
BOXED = Form("ifname . ipv4_addr", True, value="mark")
VERDICTS = Form("ifname", value="verdict")


def claim(form: Form, text: str, order: int = 0) -> bytes:
    """What is claimed by an entry at this place: eth0 . 10.0.0.0/8 : 7."""
    key, _, _value = text.partition(" : ")
    lengths = b""
    if form.interval:
        lengths = bytes(int(part.partition("/")[2] or 32) if kind == "ipv4_addr" else 128
                        for kind, part in zip(form.parts, key.split(" . ")))
    whole = element(form, text)
    return (rank(order, 0) if form.value else b"") + whole[:form.width] + lengths + whole[form.keys:]


def wanted(form: Form, claims: List[Tuple[str, int]], foreign: Tuple[str, ...] = (), lacking: Tuple[str, ...] = ()) -> List[str]:
    found = Composition({claim(form, *each) for each in claims}, {element(form, each) for each in foreign}, form, lacking)
    return sorted(element_text(form, each).replace('"', "") for each in found.wanted())


@pytest.mark.parametrize(("form", "claims", "foreign", "expected"), [
    (BOXES, ["a . 10.0.0.0/24", "a . 10.0.1.0/24", "b . 10.0.0.0/24"], [], ["a . 10.0.0.0/23", "b . 10.0.0.0/24"]),
    (BOXES, ["a . 10.0.0.0/8", "a . 10.1.0.0/16"], [], ["a . 10.0.0.0/8"]),
    (BOXES, ["a . 10.0.0.0/24"], ["a . 10.0.0.0/25", "b . 10.0.0.0/8"], ["a . 10.0.0.128/25"]),
    (BOXES, ["a . 10.0.0.0/24"], ["a . 10.0.0.0/8"], []),
    (MARKS, ["a : 0x1", "b : 0x2"], [], ["a : 0x00000001", "b : 0x00000002"]),
    (MARKS, ["a : 0x1", "a : 0x2"], [], ["a : 0x00000001"]),
    (MARKS, ["a : 0x1"], ["a : 0x2"], []),
    (RANGES, ["10.0.0.0/8 : 0x1", "10.1.0.0/16 : 0x2"], [], ["10.0.0.0/8 : 0x00000001"]),
    (RANGES, ["10.1.0.0/16 : 0x1", "10.0.0.0/15 : 0x2"], [], ["10.0.0.0/16 : 0x00000002", "10.1.0.0/16 : 0x00000001"]),
    (RANGES, ["10.0.0.0/24 : 0x1", "10.0.1.0/24 : 0x1", "10.0.2.0/24 : 0x2"], [], ["10.0.0.0/23 : 0x00000001", "10.0.2.0/24 : 0x00000002"]),
    (BOXED, ["a . 10.0.0.0/24 : 0x1", "b . 10.0.0.0/24 : 0x2"], ["b . 10.0.0.0/25 : 0x7"], ["a . 10.0.0.0/24 : 0x00000001",
                                                                                           "b . 10.0.0.128/25 : 0x00000002"]),
])
def test_what_is_wanted(form: Form, claims: List[str], foreign: List[str], expected: List[str]) -> None:
    assert wanted(form, [(each, order) for order, each in enumerate(claims)], tuple(foreign)) == sorted(expected)


def test_what_names_a_missing_chain_is_left_out() -> None:
    claims = [("a : jump wan", 0), ("b : jump lan", 1), ("c : accept", 2)]
    assert wanted(VERDICTS, claims, (), ("lan",)) == ["a : jump wan", "c : accept"]


def test_conflicts_name_both_values() -> None:
    found = Composition({claim(MARKS, "a : 1", 0), claim(MARKS, "a : 2", 1)}, (), MARKS)
    ((key, own, other),) = found.conflicts.values()
    assert (key, own, other) == (element(MARKS, "a : 1")[:16], element(MARKS, "a : 1")[16:], element(MARKS, "a : 2")[16:])
    found.update({claim(MARKS, "a : 1", 0)}, {claim(MARKS, "a : 2", 1)})
    assert found.conflicts == {} and found.wanted() == {element(MARKS, "a : 2")}


def any_claim(source: random.Random, form: Form) -> bytes:
    length = source.choice([24, 25, 26, 32])
    address = "10.0.0.%d" % (source.randrange(256) >> 32 - length << 32 - length)
    parts = [source.choice("ab") if kind == "ifname" else "%s/%d" % (address, length) if form.interval else address for kind in form.parts]
    value = " : %d" % source.randrange(2) if form.value else ""
    return claim(form, " . ".join(parts) + value, source.randrange(4))


def inside(form: Form, each: bytes) -> Set[Tuple[bytes, int]]:
    """All single keys of an element of at most one /24, with the other parts."""
    first, last = each[:form.width], each[form.width:form.keys] or each[:form.width]
    if "ipv4_addr" not in form.parts:
        return {(first, 0)}
    at = form.width - 4
    return {(first[:at], number) for number in range(int.from_bytes(first[at:], "big"), int.from_bytes(last[at:], "big") + 1)}


@pytest.mark.parametrize("form", [BOXES, MARKS, RANGES, BOXED])
@pytest.mark.parametrize("seed", range(8))
def test_by_difference_or_anew_it_is_the_same_and_nothing_overlaps(form: Form, seed: int) -> None:
    source = random.Random(seed)
    others = Composition({any_claim(source, form) for _ in range(2)}, (), form).wanted()
    claimed: Set[bytes] = set()
    kept: Optional[Composition] = None
    held: FrozenSet[bytes] = frozenset()
    for _step in range(60):
        touched = {any_claim(source, form) for _ in range(source.randrange(1, 4))}
        claimed ^= touched
        anew = Composition(claimed, others, form)
        kept = kept or anew
        gone, come = map(set, kept.update(touched, claimed) if kept is not anew else ((), anew.wanted()))
        held = (held - gone) | come
        assert held == anew.wanted() == kept.wanted() and kept.conflicts == anew.conflicts
        keys: Dict[Tuple[bytes, int], bytes] = {}
        for each in [*held, *others]:
            for key in inside(form, each):
                assert keys.setdefault(key, each) is each
        assert set(keys) == set().union(*(inside(form, each) for each in (*Composition(claimed, (), form).wanted(), *others)))
        assert beside(held, others, form) == held


def overlap(form: Form, one: bytes, other: bytes) -> bool:
    """Whether two elements have a key in common."""
    low = [each[:form.width] for each in (one, other)]
    high = [each[form.width:form.keys] or each[:form.width] for each in (one, other)]
    met, at = True, 0
    for part in form.parts:
        size = 16 if part == "ifname" else 4
        met = met and max(each[at:at + size] for each in low) <= min(each[at:at + size] for each in high)
        at += size
    return met


@pytest.mark.parametrize("form", [BOXES, MARKS, RANGES, BOXED, Form("ipv4_addr . ipv4_addr", True)])
@pytest.mark.parametrize("seed", range(8))
def test_what_can_be_beside_anothers_has_no_key_of_it(form: Form, seed: int) -> None:
    source = random.Random(seed)

    def some() -> Set[bytes]:
        return Composition({any_claim(source, form) for _ in range(6)}, (), form).wanted()
    for _ in range(20):
        own, others = some(), some() | some()
        assert beside(own, others, form) == {each for each in own if not any(overlap(form, each, other) for other in others)}


def looked(others: Others, form: Form, before: str, now: str, made_anew: bool = False) -> Others:
    """One element of another's in place of another, in the same map or in one that was made anew; netmgr wants the key as well."""
    was, held = (frozenset({element(form, each)}) for each in (before, now))
    seen = info(form)._replace(identity=(1, 2 if made_anew else 1), size=100)
    others.look(Look(seen, form, Before(foreign=was), Held(set(), set(), set(held)), frozenset(), False), 10.0, frozenset)
    return others


@pytest.mark.parametrize("made_anew", [False, True])
def test_another_value_takes_the_place_of_one_and_nothing_else_is_absent(made_anew: bool) -> None:
    others = looked(Others(), MARKS, "a : 1", "a : 1")
    looked(others, MARKS, "a : 1", "a : 2", made_anew)
    assert (others.absent, others.awaited) == (frozenset(), frozenset())
    looked(others, MARKS, "a : 2", "b : 2", made_anew)
    assert others.absent == {element(MARKS, "a : 2")}


def test_what_is_awaited_may_come_with_another_value() -> None:
    others = looked(Others(), MARKS, "a : 1", "a : 1")
    looked(others, MARKS, "a : 1", "b : 1", made_anew=True)
    assert others.awaited == {element(MARKS, "a : 1")}
    looked(others, MARKS, "b : 1", "a : 2", made_anew=True)
    assert others.awaited == frozenset() and others.absent == {element(MARKS, "b : 1")}
