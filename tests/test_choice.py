"""Which addresses count: kinds and networks, `exclude` and `only`, each rule as a row; random choices against a plain reading of them."""

import ipaddress
import random
from typing import List, Tuple

import pytest

from netmgr.config.reader import parse as configuration
from netmgr.values import addresses
from netmgr.values.addresses import IFA_F_PERMANENT, identity, parse
from netmgr.values.choice import Choice, choose, counts, network_of, objections


def key(notation: str) -> bytes:
    packed, length = parse(notation)
    return identity(packed, length, packed)


def chosen(text: str) -> Choice:
    return configuration("zones: {z: {%s}}" % text, "c.yaml").zones["z"].choice


@pytest.mark.parametrize(("text", "address", "words"), [
    ("", "192.0.2.1/24", []), ("", "127.0.0.1/8", ["loopback"]), ("exclude: []", "127.0.0.1/8", []),
    ("only: global", "192.0.2.1/24", []), ("only: global", "10.0.0.1/8", ["not_only"]), ("only: global", "fe80::1/64", ["link_local"]),
    ("only: [global, 10.0.0.0/8]", "10.0.0.1/8", []), ("only: [global, 10.0.0.0/8]", "172.16.0.1/8", ["not_only"]),
    ("only: 203.0.113.0/24", "203.0.113.7/32", []), ("only: 203.0.113.0/24", "203.0.114.7/24", ["not_only"]),
    ("only: 203.0.113.7", "203.0.113.7/24", []), ("only: 203.0.113.7", "203.0.113.8/24", ["not_only"]),
    ("only: '2001:db8::/32'", "2001:db8:ffff::1/64", []), ("only: '2001:db8::/32'", "203.0.113.7/24", ["not_only"]),
    ("exclude: [10.0.0.0/8]", "10.1.2.3/8", ["network"]), ("exclude: [10.0.0.0/8, private]", "10.1.2.3/8", ["private", "network"]),
    ("exclude: ['0.0.0.0/0']", "203.0.113.7/24", ["network"]), ("exclude: ['0.0.0.0/0']", "2001:db8::1/64", []),
    ("only: private, exclude: 10.0.0.0/8", "10.1.2.3/8", ["network"]), ("only: private, exclude: 10.0.0.0/8", "192.168.0.1/24", []),
    ("only: single", "192.0.2.1/32", []), ("only: single", "192.0.2.1/31", ["not_only"]),
    ("exclude: single", "2001:db8::1/128", ["single"]),
    ("exclude: global", "192.0.2.1/24", ["global", ]), ("exclude: global", "10.0.0.1/24", []),
])
def test_why_an_address_does_not_count(text: str, address: str, words: List[str]) -> None:
    found = objections(chosen(text), key(address), IFA_F_PERMANENT)
    assert (found, counts(chosen(text), key(address), IFA_F_PERMANENT)) == (words, not words)


def test_an_unusable_address_never_counts() -> None:
    for text in ("exclude: []", "only: global", "exclude: [], only: '::/0'"):
        assert objections(chosen(text), key("2001:db8::1/64"), addresses.IFA_F_TENTATIVE) == ["tentative"]
        assert objections(chosen(text), key("2001:db8::1/64"), addresses.IFA_F_TENTATIVE | addresses.IFA_F_DADFAILED) == ["dadfailed"]
        assert not counts(chosen(text), key("2001:db8::1/64"), addresses.IFA_F_TENTATIVE)


NETWORKS = ("10.0.0.0/8", "10.1.0.0/16", "192.0.2.0/24", "192.0.2.7/32", "0.0.0.0/0", "2001:db8::/32", "2001:db8::7/128", "::/0")
NOTATIONS = ("10.1.2.3/8", "10.2.0.1/32", "192.0.2.7/24", "192.0.2.8/32", "169.254.0.1/16", "2001:db8::7/64", "2001:db9::1/128",
             "fe80::1/64")


@pytest.mark.parametrize("seed", range(20))
def test_random_choices(seed: int) -> None:
    chance = random.Random(seed)

    def part() -> Tuple[List[str], List[str]]:
        return chance.sample(list(addresses.KINDS), chance.randrange(3)), chance.sample(NETWORKS, chance.randrange(3))

    for _turn in range(100):
        exclude, only = part(), part()
        choice = choose(sum(addresses.KINDS[each] for each in exclude[0]), [network_of(*parse(each)) for each in exclude[1]],
                        sum(addresses.KINDS[each] for each in only[0]), [network_of(*parse(each)) for each in only[1]])
        for notation in NOTATIONS:
            found = is_of(notation, only) if any(only) else True
            assert counts(choice, key(notation), IFA_F_PERMANENT) == (found and not is_of(notation, exclude)), (notation, exclude, only)


def is_of(notation: str, part: Tuple[List[str], List[str]]) -> bool:
    interface = ipaddress.ip_interface(notation)
    mask = addresses.kinds(interface.ip.packed, IFA_F_PERMANENT)
    single = interface.network.prefixlen == interface.max_prefixlen
    return any(single if kind == "single" else bool(mask & addresses.KINDS[kind]) for kind in part[0]) or any(
        interface.ip in ipaddress.ip_network(each) for each in part[1])
