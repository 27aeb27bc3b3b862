"""Ranges in which values differ, against each key by itself: whatever begins and ends, in whatever order."""

import random
from typing import Dict, List, Optional, Set, Tuple

import pytest

from netmgr.model.range_shares import Claim, Conflict, Range, RangeShares, Rank
from netmgr.model.ranges import minimal, pack, unpack
from tests.test_range_set import Pick, holes, nested, tiny

VALUES = (b"\1", b"\2", b"\3\3")


def owners(claims: Set[Claim], foreign: Dict[bytes, bytes], key: int) -> Tuple[Optional[Rank], Optional[Rank], Optional[bytes]]:
    """Who has a key, the best of another value, and the value of another program there."""
    around = sorted((rank, value) for prefix, rank, value in claims if key >> 8 - prefix[1] == prefix[0] >> 8 - prefix[1])
    other = next((each for each in around if each[1] != around[0][1]), None)
    theirs = next((value for each, value in foreign.items() if each[0] <= key <= each[1]), None)
    return around[0] if around else None, other, theirs


def expected(claims: Set[Claim], foreign: Dict[bytes, bytes]) -> Tuple[Set[Range], Optional[Conflict]]:
    """All ranges: of each value the networks that hold all its claims, less the keys that it has not; and the lowest conflict."""
    ranges: Set[Range] = set()
    conflict: Optional[Conflict] = None
    owned = [owners(claims, foreign, key) for key in range(256)]
    for value in VALUES:
        lost = [pack(key, key, 1) for key, (owner, _other, theirs) in enumerate(owned)
                if theirs is not None or owner is None or owner[1] != value]
        spans = minimal({each.prefix for each in claims if each.value == value}, lost, 1)
        ranges |= {(first << 8 | last, value) for first, last in (unpack(each, 1) for each in spans)}
    for key, (owner, other, theirs) in reversed(list(enumerate(owned))):
        if owner is not None and theirs is not None and (owner[1] != theirs or other is not None):
            conflict = key, theirs, owner[1] if owner[1] != theirs or other is None else other[1]
        elif owner is not None and other is not None:
            conflict = key, owner[1], other[1]
    return ranges, conflict


def any_claim(source: random.Random, pick: Pick) -> Claim:
    return Claim(pick(source), bytes((source.randrange(3),)), source.choice(VALUES))


@pytest.mark.parametrize("pick", [tiny, nested])
@pytest.mark.parametrize("seed", range(6))
def test_each_key_has_its_owner_and_ranges_are_few(pick: Pick, seed: int) -> None:
    source = random.Random(seed)
    claims = {any_claim(source, pick) for _ in range(source.choice((0, 5, 30)))}
    foreign = {each: source.choice(VALUES) for each in sorted(source.choice((set(), holes(source, pick, 1))))}
    kept = RangeShares(claims, foreign, 1)
    held = set(kept)
    for _ in range(120):
        changed = source.choice(sorted(claims)) if claims and source.random() < 0.5 else any_claim(source, pick)
        if source.random() < 0.9:
            claims ^= {changed}
        gone, come = kept.change(changed, changed in claims)
        assert (gone <= held, come & held) == (True, set())
        held = held - gone | come
        assert (held, kept.conflict()) == expected(claims, foreign)
        assert held == set(kept) == set(RangeShares(claims, foreign, 1)) and bool(kept) == bool(claims)


def test_of_many_with_one_network_only_the_first_counts() -> None:
    claims: List[Claim] = [Claim(bytes((10, 0, 0, 0, 24)), number.to_bytes(6, "big"), b"\1") for number in range(500)]
    kept = RangeShares(claims, {}, 4)
    assert len(kept) == 1 and kept.change(claims[0], False) == (set(), set()) and kept.change(claims[7], False) == (set(), set())
    other = Claim(bytes((10, 0, 0, 128, 25)), (1).to_bytes(6, "big"), b"\0")
    gone, come = kept.change(other, True)
    whole, low, high = (0x0A000000 << 32 | 0x0A0000FF), (0x0A000000 << 32 | 0x0A00007F), (0x0A000080 << 32 | 0x0A0000FF)
    assert (gone, come) == ({(whole, b"\1")}, {(low, b"\1"), (high, b"\0")})
    assert kept.conflict() == (0x0A000080, b"\0", b"\1")
    assert kept.change(other, False) == (come, gone) and kept.conflict() is None


def test_networks_of_a_long_key() -> None:
    kept, half = RangeShares((), {}, 16), b"\x20\x01\x0d\xb8" + bytes(12)
    first, last = int.from_bytes(half, "big"), int.from_bytes(half, "big") | (1 << 64) - 1
    assert kept.change(Claim(half + bytes((65,)), b"", b"v"), True) == (set(), {(first << 128 | last >> 64 << 64 | (1 << 63) - 1, b"v")})
    _gone, come = kept.change(Claim(half[:8] + b"\x80" + half[9:] + bytes((65,)), b"", b"v"), True)
    assert come == {(first << 128 | last, b"v")}
