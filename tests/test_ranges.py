"""Ranges against an oracle that looks at every key of a key space of 256."""

import random
from typing import Iterable, List, Set

import pytest

from netmgr.model.ranges import apart, less, merged, minimal, pack, unpack
from netmgr.values.addresses import parse

Keys = Set[int]


def prefix(first: int, length: int) -> bytes:
    """In the tiny key space, keys have one byte."""
    return bytes((first >> 8 - length << 8 - length, length))


def oracle(prefixes: Iterable[bytes], foreign: Iterable[bytes]) -> Set[bytes]:
    """The rules as they are written: whole networks joined, then singles, then what foreign ranges leave of each."""
    given = {(each[0], each[1]) for each in prefixes}
    covered = {key for each in foreign for key in range(each[0], each[1] + 1)}
    blocks = list(blocks_of(given, 0, 0))
    blocks += [{key} for key in range(256) if (key, 8) in given and not any(key in block for block in blocks)]
    return {span for block in blocks for span in runs(block - covered)}


def blocks_of(given: "set[tuple[int, int]]", first: int, length: int) -> Iterable[Keys]:
    """The largest networks that are given, or made of two halves that are."""
    if is_network(given, first, length):
        yield set(range(first, first + (256 >> length)))
    elif length < 7:
        yield from blocks_of(given, first, length + 1)
        yield from blocks_of(given, first + (128 >> length), length + 1)


def is_network(given: "set[tuple[int, int]]", first: int, length: int) -> bool:
    if (first, length) in given:
        return True
    return length < 7 and all(is_network(given, half, length + 1) for half in (first, first + (128 >> length)))


def runs(keys: Keys) -> Iterable[bytes]:
    for first in sorted(key for key in keys if key - 1 not in keys):
        last = first
        while last + 1 in keys:
            last += 1
        yield bytes((first, last))


def random_foreign(source: random.Random) -> List[bytes]:
    """Some disjoint ranges."""
    edges = sorted(source.sample(range(256), 2 * source.randrange(5)))
    return [bytes(pair) for pair in zip(edges[::2], edges[1::2])]


@pytest.mark.parametrize("seed", range(8))
def test_random_prefixes_against_the_oracle(seed: int) -> None:
    source = random.Random(seed)
    for _ in range(250):
        lengths = source.choice(((8,), (7, 8), (4, 5, 6), tuple(range(9))))
        prefixes = [prefix(source.randrange(256), source.choice(lengths)) for _ in range(source.randrange(40))]
        foreign = random_foreign(source)
        assert minimal(prefixes, foreign, 1) == oracle(prefixes, foreign), (prefixes, foreign)


@pytest.mark.parametrize("seed", range(4))
def test_ranges_are_disjoint_and_hold_what_is_wanted(seed: int) -> None:
    source = random.Random(seed)
    for _ in range(250):
        prefixes = [prefix(source.randrange(256), source.randrange(9)) for _ in range(source.randrange(20))]
        foreign = random_foreign(source)
        held = [key for each in minimal(prefixes, foreign, 1) for key in range(each[0], each[1] + 1)]
        wanted = {key for each in prefixes for key in range(each[0], each[0] + (256 >> each[1]))}
        assert len(held) == len(set(held))
        assert set(held) == wanted - {key for each in foreign for key in range(each[0], each[1] + 1)}


def keys_of(ranges: Iterable[bytes]) -> Keys:
    return {key for each in ranges for key in range(each[0], each[1] + 1)}


@pytest.mark.parametrize("seed", range(4))
def test_in_an_auto_merge_set_nothing_of_ours_touches_and_what_touches_others_is_told_apart(seed: int) -> None:
    source = random.Random(seed)
    for _ in range(250):
        prefixes = [prefix(source.randrange(256), source.choice((5, 6, 7, 8, 8))) for _ in range(source.randrange(20))]
        foreign = random_foreign(source)
        whole, plain = minimal(prefixes, foreign, 1, merge=True), minimal(prefixes, foreign, 1)
        assert whole == set(runs(keys_of(plain))) == merged(plain, 1)
        near = {key for each in foreign for key in range(each[0] - 1, each[1] + 2)}
        assert apart(whole, foreign, 1) == {each for each in whole if not near & keys_of([each])}
        others = random_foreign(source)
        assert keys_of(less(plain, others, 1)) == keys_of(plain) - keys_of(others)
        assert less(whole, others, 1) == set(runs(keys_of(whole) - keys_of(others)))


def networks(text: str) -> List[bytes]:
    return [address + bytes((length,)) for address, length in map(parse, text.split())]


def spans(text: str) -> Set[bytes]:
    return {parse(first)[0] + parse(last)[0] for first, last in (each.split("-") for each in text.split())}


@pytest.mark.parametrize(("wanted", "foreign", "expected"), [
    ("", "", ""),
    ("192.0.2.0/24 192.0.3.0/24", "", "192.0.2.0-192.0.3.255"),
    ("192.0.3.0/24 192.0.4.0/24", "", "192.0.3.0-192.0.3.255 192.0.4.0-192.0.4.255"),
    ("192.0.2.0/24 192.0.3.0/25 192.0.3.128/25", "", "192.0.2.0-192.0.3.255"),
    ("192.0.2.2/32 192.0.2.3/32", "", "192.0.2.2-192.0.2.2 192.0.2.3-192.0.2.3"),
    ("192.0.2.0/31 192.0.2.2/31", "", "192.0.2.0-192.0.2.3"),
    ("192.0.2.0/24 192.0.2.7/32 192.0.2.64/26", "", "192.0.2.0-192.0.2.255"),
    ("0.0.0.0/1 128.0.0.0/1", "", "0.0.0.0-255.255.255.255"),
    ("0.0.0.0/0 255.255.255.255/32", "", "0.0.0.0-255.255.255.255"),
    ("255.255.255.255/32", "", "255.255.255.255-255.255.255.255"),
    ("192.0.2.0/24", "192.0.2.10-192.0.2.19", "192.0.2.0-192.0.2.9 192.0.2.20-192.0.2.255"),
    ("192.0.2.0/24", "192.0.0.0-192.0.2.99 192.0.2.200-192.0.9.0", "192.0.2.100-192.0.2.199"),
    ("192.0.2.0/24", "192.0.2.0-192.0.2.255", ""),
    ("192.0.2.7/32", "0.0.0.0-255.255.255.255", ""),
    ("2001:db8::/64 2001:db8:0:1::/64", "", "2001:db8::-2001:db8:0:1:ffff:ffff:ffff:ffff"),
])
def test_examples(wanted: str, foreign: str, expected: str) -> None:
    width = 16 if ":" in wanted else 4
    assert minimal(networks(wanted), spans(foreign), width) == spans(expected)


def test_neighbours_are_joined_only_where_the_set_wants_it() -> None:
    three = networks("192.0.2.5/32 192.0.2.6/32 192.0.2.7/32")
    assert minimal(three, (), 4) == spans("192.0.2.5-192.0.2.5 192.0.2.6-192.0.2.6 192.0.2.7-192.0.2.7")
    assert minimal(three, (), 4, merge=True) == spans("192.0.2.5-192.0.2.7")
    assert minimal(three, spans("192.0.2.6-192.0.2.6"), 4, merge=True) == spans("192.0.2.5-192.0.2.5 192.0.2.7-192.0.2.7")
    four = networks("192.168.1.0/24 192.168.2.0/24 192.168.3.0/24 192.168.4.0/24")
    assert minimal(four, (), 4, merge=True) == spans("192.168.1.0-192.168.4.255")


def test_a_range_packs_and_unpacks() -> None:
    assert pack(1, 258, 2) == b"\0\1\1\2"
    assert unpack(b"\0\1\1\2", 2) == (1, 258)
