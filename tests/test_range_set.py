"""Ranges kept by difference, against the whole computation: whatever is claimed and released, in whatever steps."""

import random
from typing import Callable, Dict, List, Set

import pytest

from netmgr.model.range_set import RangeSet
from netmgr.model.ranges import apart, minimal, pack
from netmgr.values.addresses import network

Pick = Callable[[random.Random], bytes]


def tiny(source: random.Random) -> bytes:
    """Of a key space of 256, in which everything meets everything."""
    length = source.choice((0, 1, 2, 3, 4, 5, 6, 6, 7, 7, 7, 8, 8, 8))
    return network(bytes((source.randrange(256),)), length) + bytes((length,))


def halves(source: random.Random) -> bytes:
    """Mostly networks of one length side by side."""
    length = source.choice((30, 30, 30, 30, 29, 31, 32, 32, 24))
    return network(bytes((10, 0, 0, source.randrange(256))), length) + bytes((length,))


def wide(source: random.Random) -> bytes:
    length = source.choice((64, 64, 63, 60, 56, 128, 127, 0))
    address = b"\x20\x01\x0d\xb8" + bytes((0, 0, 0, source.randrange(64), 0, 0, 0, 0, 0, 0, 0, source.randrange(4)))
    return network(address, length) + bytes((length,))


def holes(source: random.Random, pick: Pick, width: int) -> Set[bytes]:
    """Foreign ranges, disjoint, networks and others."""
    edges = sorted({int.from_bytes(pick(source)[:width], "big") + source.randrange(-2, 3) for _ in range(source.randrange(12))})
    edges = [each for each in edges if 0 <= each < 1 << width * 8]
    return {pack(first, last, width) for first, last in zip(edges[::2], edges[1::2])}


@pytest.mark.parametrize(("pick", "width"), [(tiny, 1), (halves, 4), (wide, 16)])
@pytest.mark.parametrize("merge", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_by_difference_as_from_nothing(pick: Pick, width: int, merge: bool, seed: int) -> None:
    source = random.Random(seed)
    claimed: Dict[bytes, int] = {pick(source): 1 for _ in range(source.choice((0, 5, 60)))}
    foreign = source.choice((set(), holes(source, pick, width)))
    kept = RangeSet(claimed.keys(), foreign, width, merge)
    held = minimal(claimed, foreign, width, merge)
    for _ in range(300):
        touched = {change(source, claimed, pick) for _ in range(source.choice((1, 1, 1, 2, 5, 30)))}
        gone, come = map(set, kept.update(touched, claimed.keys()))
        assert (gone <= held, come & held) == (True, set())
        held = held - gone | come
        assert held == kept.wanted() == minimal(claimed, foreign, width, merge)


def nested(source: random.Random) -> bytes:
    """Of sixteen keys: mostly one inside another, and many that begin with the same key."""
    length = source.choice((0, 4, 5, 6, 6, 7, 7, 7, 8, 8))
    return network(bytes((source.randrange(16),)), length) + bytes((length,))


@pytest.mark.parametrize("merge", [False, True])
def test_several_claims_at_once(merge: bool) -> None:
    for seed in range(1500):
        source = random.Random(seed)
        claimed: Dict[bytes, int] = {nested(source): 1 for _ in range(source.randrange(12))}
        foreign = source.choice((set(), holes(source, nested, 1)))
        kept, held = RangeSet(claimed.keys(), foreign, 1, merge), minimal(claimed, foreign, 1, merge)
        touched = {change(source, claimed, nested) for _ in range(source.choice((2, 3, 4, 8)))}
        gone, come = map(set, kept.update(touched, claimed.keys()))
        assert (gone <= held, come & held, held - gone | come) == (True, set(), set(kept.wanted()))
        assert kept.wanted() == minimal(claimed, foreign, 1, merge)
        assert kept.beside() == len(kept.wanted() - apart(kept.wanted(), foreign, 1))


def change(source: random.Random, claimed: Dict[bytes, int], pick: Pick) -> bytes:
    """Something that is claimed is released, or something else claimed; it may be touched and yet as before."""
    prefix = source.choice(list(claimed)) if claimed and source.random() < 0.5 else pick(source)
    if prefix in claimed:
        del claimed[prefix]
    elif source.random() < 0.9:
        claimed[prefix] = 1
    return prefix


def test_a_network_among_many_is_joined_and_split_with_nothing_but_itself() -> None:
    claimed: Dict[bytes, int] = {bytes((10, number >> 8, number & 255, 0, 24)): 1 for number in range(0x8000)}
    missing = claimed.popitem()[0]
    kept = RangeSet(claimed.keys(), (), 4, merge=False)
    joined = [pack(0x0A000000, 0x0A7FFFFF, 4)]
    split: List[bytes] = sorted(kept.wanted())
    assert len(split) == 15
    claimed[missing] = 1
    assert kept.update({missing}, claimed.keys()) == (split, joined)
    del claimed[missing]
    assert kept.update({missing}, claimed.keys()) == (joined, split)
