"""Very many prefixes at a time: each as it would come out by itself."""

import random

import pytest

from netmgr.model import elements, ranges
from netmgr.values import prefixes
from netmgr.values.addresses import network
from netmgr.values.sets import Form


@pytest.mark.parametrize("width", [1, 2, 4, 6, 8, 16])
def test_every_length(width: int) -> None:
    source = random.Random(width)
    keys = [(source.getrandbits(width * 8).to_bytes(width, "big"), length) for length in range(width * 8 + 1) for _ in range(5)]
    cut = [network(key, length) + bytes((length,)) for key, length in keys]
    assert prefixes.of_identities([key + key[::-1] + bytes((length,)) for key, length in keys], width) == cut
    assert prefixes.lengths(cut, width) == bytes(length for _key, length in keys)
    assert list(prefixes.numbers(cut, width)) == [int.from_bytes(each[:width], "big") for each in cut]
    assert prefixes.ranges(cut, width) == [
        ranges.pack(first, first | (1 << width * 8 - each[width]) - 1, width)
        for each in cut for first in [int.from_bytes(each[:width], "big")]]


def test_none() -> None:
    assert prefixes.of_identities([], 4) == prefixes.ranges([], 4) == []


@pytest.mark.parametrize(("kind", "width"), [("ipv4_addr", 4), ("ipv6_addr", 16)])
def test_many_networks_as_one_by_one(kind: str, width: int) -> None:
    source, form = random.Random(7), Form(kind, True)
    identities = [source.getrandbits(16 * width).to_bytes(2 * width, "big") + bytes((source.randrange(width * 8 + 1),)) for _ in range(200)]
    make = elements.of_networks(form)
    assert make(identities) == [found for each in identities for found in make([each])]


@pytest.mark.parametrize("width", [4, 16])
def test_many_ranges_as_one_by_one(width: int) -> None:
    """Apart from each other, so that each comes out as it is."""
    cut = [(number << 8 | 0x40).to_bytes(width, "big") + bytes((width * 8 - number % 6,)) for number in range(300)]
    assert ranges.minimal(cut, (), width) == {found for each in cut for found in ranges.minimal([each], (), width)}
