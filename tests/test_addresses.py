"""Addresses as bytes: kinds against the RFCs' networks, text and networks against ipaddress."""

import ipaddress
import itertools
import random
from typing import Iterator, Tuple

import pytest

from netmgr.values.addresses import (
    DEPRECATED,
    DYNAMIC,
    GLOBAL,
    IFA_F_DADFAILED,
    IFA_F_DEPRECATED,
    IFA_F_MANAGETEMPADDR,
    IFA_F_NODAD,
    IFA_F_OPTIMISTIC,
    IFA_F_PERMANENT,
    IFA_F_SECONDARY,
    IFA_F_TENTATIVE,
    KINDS,
    LINK_LOCAL,
    LOOPBACK,
    PERMANENT,
    PRIVATE,
    SECONDARY,
    TEMPORARY,
    UNUSABLE,
    harmless,
    kinds,
    network,
    parse,
    suspicious,
    text,
)

NETWORKS = {
    LINK_LOCAL: ("169.254.0.0/16", "fe80::/10"),
    PRIVATE: ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"),
    LOOPBACK: ("127.0.0.0/8", "::1/128"),
}
BY_VALUE = LINK_LOCAL | PRIVATE | LOOPBACK

SIX, FOUR = parse("2001:db8::1")[0], parse("192.0.2.1")[0]


def edges() -> Iterator[Tuple[str, int]]:
    """The first and the last address of every network with its kind, and those just outside with none."""
    for kind, networks in NETWORKS.items():
        for each in map(ipaddress.ip_network, networks):
            first, last, most = int(each[0]), int(each[-1]), (1 << each.max_prefixlen) - 1
            make = type(each[0])
            yield from [(str(make(first)), kind), (str(make(last)), kind)]
            yield from [(str(make(number)), 0) for number in (first - 1, last + 1) if 0 <= number <= most]


@pytest.mark.parametrize(("address", "kind"), list(edges()))
def test_kinds_by_value(address: str, kind: int) -> None:
    assert kinds(parse(address)[0], IFA_F_PERMANENT) == (kind or GLOBAL) | PERMANENT


def test_kinds_by_value_of_random_addresses() -> None:
    source = random.Random(1)
    networks = [(kind, ipaddress.ip_network(each)) for kind, each_of_kind in NETWORKS.items() for each in each_of_kind]
    for _ in range(2000):
        packed = bytes([source.choice((10, 100, 127, 169, 172, 192, 0xFE, 0xFD, 0, 32))]) + source.randbytes(source.choice((3, 15)))
        address = ipaddress.ip_address(packed)
        assert kinds(packed, 0) & BY_VALUE == sum(kind for kind, each in networks if address in each), address


@pytest.mark.parametrize(("address", "flags", "expected"), [
    (FOUR, IFA_F_PERMANENT, PERMANENT),
    (FOUR, 0, DYNAMIC),
    (FOUR, IFA_F_PERMANENT | IFA_F_SECONDARY, PERMANENT | SECONDARY),
    (SIX, IFA_F_SECONDARY, DYNAMIC | TEMPORARY),
    (SIX, IFA_F_SECONDARY | IFA_F_DEPRECATED, DYNAMIC | TEMPORARY | DEPRECATED),
    (FOUR, IFA_F_PERMANENT | IFA_F_DEPRECATED, PERMANENT | DEPRECATED),
    (SIX, IFA_F_PERMANENT | IFA_F_NODAD | IFA_F_MANAGETEMPADDR, PERMANENT),
    (SIX, IFA_F_PERMANENT | IFA_F_TENTATIVE, PERMANENT | UNUSABLE),
    (SIX, IFA_F_TENTATIVE | IFA_F_OPTIMISTIC, DYNAMIC),
    (SIX, IFA_F_OPTIMISTIC, DYNAMIC),
    (SIX, IFA_F_PERMANENT | IFA_F_DADFAILED, PERMANENT | UNUSABLE),
    (SIX, IFA_F_PERMANENT | IFA_F_TENTATIVE | IFA_F_DADFAILED, PERMANENT | UNUSABLE),
    (SIX, IFA_F_TENTATIVE | IFA_F_OPTIMISTIC | IFA_F_DADFAILED, DYNAMIC | UNUSABLE),
])
def test_kinds_by_flags(address: bytes, flags: int, expected: int) -> None:
    assert kinds(address, flags) == expected | GLOBAL


def test_unusable_is_no_kind_that_a_configuration_can_name() -> None:
    assert UNUSABLE not in KINDS.values()
    assert sorted(KINDS) == [
        "deprecated", "dynamic", "global", "link_local", "loopback", "permanent", "private", "secondary", "single", "temporary"]


@pytest.mark.parametrize("width", [4, 16])
def test_text_and_network_as_ipaddress_has_them(width: int) -> None:
    source = random.Random(width)
    for _ in range(500):
        packed, length = source.randbytes(width), source.randrange(width * 8 + 1)
        notation = "%s/%d" % (text(packed), length)
        assert parse(notation) == (packed, length)
        assert network(packed, length) == ipaddress.ip_network(notation, strict=False).network_address.packed


@pytest.mark.parametrize(("notation", "expected"), [
    ("192.0.2.1", (FOUR, 32)), ("192.0.2.1/24", (FOUR, 24)), ("0.0.0.0/0", (bytes(4), 0)), ("2001:db8::1", (SIX, 128)),
    ("2001:DB8:0::1/64", (SIX, 64)),
])
def test_parse(notation: str, expected: Tuple[bytes, int]) -> None:
    assert parse(notation) == expected


@pytest.mark.parametrize("notation", ["", "192.0.2", "192.0.2.256", "192.0.2.1/33", "2001:db8::/129", "eth0", "1.2.3.4/", "::1/-1"])
def test_parse_refuses(notation: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(notation)


@pytest.mark.parametrize("name", ["link_local", "private", "loopback"])
def test_what_is_of_a_kind_is_suspicious_by_its_first_byte(name: str) -> None:
    beginnings = [bytes(pair) for pair in itertools.product(range(256), repeat=2)]
    every = [beginning + rest for beginning in beginnings for rest in (bytes(2), bytes(14), bytes(13) + b"\1")]
    firsts = {address[0] for address in every if kinds(address, 0) & KINDS[name]}
    assert [first for first in range(256) if suspicious(bytes((1, first)), KINDS[name])] == sorted(firsts)
    assert not suspicious(b"", KINDS[name])


@pytest.mark.parametrize("width", [4, 16])
def test_what_is_harmless_is_of_none_of_the_kinds(width: int) -> None:
    source, told = random.Random(width), 0
    wanted = [mask for word, mask in KINDS.items() if word not in ("global", "single")]
    for _ in range(20_000):
        mask = sum(source.sample(wanted, source.randrange(4))) | UNUSABLE
        first = source.choice((0, 10, 100, 127, 169, 172, 192, 0x20, 0xFC, 0xFE, source.randrange(256)))
        address = bytes((first,)) + source.randbytes(width - 1)
        flags = source.choice((0x80, 0, 0x40, 0x44, 0x48, 0x20, 0x01, 0x280, source.getrandbits(32)))
        tidy, clean = harmless(width == 16, mask)
        if tidy[flags & 0xFF] and clean[address[0]]:
            assert not kinds(address, flags) & mask
            told += 1
    assert told > 1000
    assert harmless(width == 16, UNUSABLE)[1] == b"\1" * 256
