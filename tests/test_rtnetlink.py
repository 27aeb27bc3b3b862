"""Links and addresses from bytes: what a kernel wrote (tests/captures/rtnetlink.hex, by tests/kernel/recording.py), cut and garbled."""

import random
import struct
from pathlib import Path
from typing import Dict, Iterator, List, Tuple

import pytest

from netmgr.values.addresses import parse
from netmgr.values.errors import ProtocolError
from netmgr.values.events import AddressGone, AddressSeen, Event, LinkGone, LinkSeen
from netmgr.wire import rtnetlink
from netmgr.wire.netlink import HEADER, NLM_F_DUMP, NLM_F_REQUEST, attribute, messages, request
from netmgr.wire.rtnetlink import RTM_DELADDR, RTM_DELLINK, RTM_NEWADDR, RTM_NEWLINK

PERMANENT, TENTATIVE, NODAD, SECONDARY, WIDE = 0x80, 0x40, 0x02, 0x01, 0x300


def captures() -> Iterator[Tuple[str, bytes]]:
    text = (Path(__file__).parent / "captures" / "rtnetlink.hex").read_text()
    for block in text.split("\n\n")[1:]:
        head, _, data = block.partition("\n")
        yield head.partition(":")[0], bytes.fromhex(data.replace("\n", ""))


CAPTURES: Dict[str, bytes] = dict(captures())
SCENES = pytest.mark.parametrize("scene", sorted(CAPTURES))


def seen(address: str, flags: int, index: int = 7) -> AddressSeen:
    """`address` as ip(8) prints it: LOCAL[ peer PEER]/LENGTH"""
    return AddressSeen(*gone(address, index), flags)


def gone(address: str, index: int = 7) -> AddressGone:
    local, _, peer = address.rpartition(" peer ")
    packed, prefixlen = parse(peer)
    return AddressGone(index, parse(local)[0] if local else packed, prefixlen, packed)


FOUR = [seen("192.0.2.1/24", PERMANENT), seen("198.51.100.1/24", 0), seen("192.0.2.2/24", PERMANENT | SECONDARY)]

BRIDGE = LinkSeen(9, "bridge0", False, kind="bridge")
HARDWARE = {7: bytes.fromhex("1e8459a9fa2b"), 8: bytes.fromhex("eeaddfe88d9b")}


def card(index: int, name: str, up: bool = True, master: int = 0) -> LinkSeen:
    """eth0 is in group 7 and has other names, too."""
    group, altnames = (7, ("uplink0", "wan-side")) if index == 7 else (0, ())
    return LinkSeen(index, name, up, group, "veth", master, altnames, HARDWARE[index])


EXPECTED: Dict[str, List[Event]] = {
    "tentative": [seen("2001:db8::3/64", PERMANENT | TENTATIVE), seen("2001:db8::3/64", PERMANENT)],
    "ipv4": [seen("192.0.2.1/24", PERMANENT), seen("192.0.2.2/24", PERMANENT | SECONDARY)],
    "point-to-point": [seen("10.0.0.1 peer 10.0.0.2/32", PERMANENT), gone("10.0.0.1 peer 10.0.0.2/32")],
    "ipv6": [seen("2001:db8::1/64", PERMANENT | NODAD), gone("2001:db8::1/64")],
    "ipv6-peer": [seen("2001:db8::1 peer 2001:db8::2/128", PERMANENT | NODAD), gone("2001:db8::1 peer 2001:db8::2/128")],
    "wide-flags": [seen("2001:db8:1::1/64", PERMANENT | NODAD | WIDE)],
    "lease": [seen("198.51.100.1/24", 0)],
    "ipv4-routes": [], "ipv6-routes": [],
    "selected": [card(7, "eth0")._replace(altnames=()), card(7, "eth0")],
    "links": [LinkSeen(1, "lo", True), card(7, "eth0"), card(8, "far0"),
              BRIDGE._replace(hardware=bytes.fromhex("560b101ce091"))],
    "addresses": [seen("127.0.0.1/8", PERMANENT, 1), *FOUR, seen("::1/128", PERMANENT, 1),
                  seen("2001:db8:1::1/64", PERMANENT | NODAD | WIDE), seen("2001:db8::3/64", PERMANENT)],
    "renamed": [card(7, "wan0"), *FOUR],
    "port-leaves-bridge": [card(7, "wan0", master=9), card(7, "wan0"), BRIDGE, BRIDGE],
    "down": [card(7, "wan0", False), gone("2001:db8:1::1/64"), gone("2001:db8::3/64"), card(8, "far0")],
    "gone": [card(8, "far0", False), *(AddressGone(*each[:4]) for each in FOUR), LinkGone(7), LinkGone(8)],
}


def events(buffer: bytes) -> List[Event]:
    return list(rtnetlink.events(buffer))


def link(index: int, *attributes: bytes, family: int = 0, flags: int = 1) -> bytes:
    return struct.pack("=BxHiII", family, 1, index, flags, 0) + b"".join(attributes)


def address(family: int, prefixlen: int, *attributes: bytes) -> bytes:
    return struct.pack("=BBBBI", family, prefixlen, 0x80, 0, 7) + b"".join(attributes)


@SCENES
def test_what_the_kernel_wrote(scene: str) -> None:
    assert events(CAPTURES[scene]) == EXPECTED[scene]


def test_a_port_that_leaves_its_bridge_is_said_to_be_deleted() -> None:
    """The trap is really in the recording."""
    deletions = [message for message in messages(CAPTURES["port-leaves-bridge"]) if message.type == RTM_DELLINK]
    assert [message.payload[0] for message in deletions] == [7]


@SCENES
def test_cut_at_every_byte(scene: str) -> None:
    """A buffer cut between two messages gives the events before the cut, cut anywhere else a ProtocolError."""
    whole = CAPTURES[scene]
    boundaries = {0}
    for message in messages(whole):
        boundaries.add(max(boundaries) + (HEADER.size + len(message.payload) + 3 & ~3))
    for length in range(len(whole)):
        if length in boundaries:
            found = events(whole[:length])
            assert found == EXPECTED[scene][:len(found)]
        else:
            with pytest.raises(ProtocolError, match="netlink"):
                events(whole[:length])


@SCENES
@pytest.mark.parametrize("extra", [1, 4, 15, 16])
def test_trailing_bytes(scene: str, extra: int) -> None:
    with pytest.raises(ProtocolError, match="netlink"):
        events(CAPTURES[scene] + bytes(extra))


@SCENES
def test_every_payload_cut_at_every_byte(scene: str) -> None:
    """A message that is whole as such but was cut before it was framed: an error, or the same without some attributes."""
    for message in messages(CAPTURES[scene]):
        for length in range(len(message.payload)):
            try:
                found = events(request(message.type, 0, 0, bytes(message.payload[:length])))
            except ProtocolError:
                continue
            assert [each for each in found if each[0] not in (1, 7, 8, 9)] == []


def test_bytes_changed_at_random() -> None:
    source = random.Random(3)
    for whole in CAPTURES.values():
        for _ in range(300):
            noise = bytearray(whole)
            for position in source.choices(range(len(whole)), k=source.randrange(1, 9)):
                noise[position] = source.randrange(256)
            try:
                assert len(events(bytes(noise))) <= len(whole) // HEADER.size
            except ProtocolError:
                pass


@pytest.mark.parametrize(("kind", "payload"), [
    (RTM_NEWLINK, b""), (RTM_NEWLINK, bytes(15)), (RTM_DELLINK, bytes(15)),
    (RTM_NEWLINK, link(7)), (RTM_NEWLINK, link(7, attribute(4, b"eth0\0"))),
    (RTM_NEWLINK, link(7, attribute(3, b"a"), attribute(27, b"\1"))), (RTM_NEWLINK, link(7, attribute(3, b"a"), attribute(10, bytes(8)))),
    (RTM_NEWLINK, link(7, attribute(3, b"a"), attribute(18, b"\1"))), (RTM_NEWLINK, link(7, attribute(3, b"a"), attribute(52, bytes(3)))),
    (RTM_NEWLINK, link(7, attribute(3, b"\0"))), (RTM_NEWLINK, link(7, attribute(3, b""))),
    (RTM_NEWADDR, b""), (RTM_NEWADDR, bytes(7)), (RTM_DELADDR, bytes(7)),
    (RTM_NEWADDR, address(2, 24)), (RTM_DELADDR, address(10, 64)),
    (RTM_NEWADDR, address(2, 24, attribute(1, bytes(16)))), (RTM_NEWADDR, address(10, 64, attribute(1, bytes(4)))),
    (RTM_NEWADDR, address(2, 24, attribute(2, bytes(4)), attribute(1, bytes(16)))),
    (RTM_NEWADDR, address(2, 24, attribute(2, b""))),
    (RTM_NEWADDR, address(2, 33, attribute(1, bytes(4)))), (RTM_DELADDR, address(10, 129, attribute(1, bytes(16)))),
    (RTM_NEWADDR, address(2, 24, attribute(1, bytes(4)), attribute(8, b"\0"))),
    (RTM_NEWADDR, address(2, 24, attribute(1, bytes(4)), attribute(8, bytes(8)))),
])
def test_nonsense(kind: int, payload: bytes) -> None:
    with pytest.raises(ProtocolError, match="netlink"):
        events(request(kind, 0, 0, payload))


@pytest.mark.parametrize(("kind", "payload", "expected"), [
    (RTM_NEWLINK, link(7, attribute(3, b"eth0")), [LinkSeen(7, "eth0", True)]),
    (RTM_NEWLINK, link(7, attribute(3, b"w\xe9n\0"), flags=0x1002), [LinkSeen(7, "w\udce9n", False)]),
    (RTM_NEWLINK, link(7, attribute(3, b"a"), attribute(27, bytes([1, 0, 0, 0])), attribute(10, bytes([9, 0, 0, 0])),
                       attribute(0x8000 | 18, attribute(1, b"vlan\0") + attribute(2, b"data")),
                       attribute(0x8000 | 52, attribute(53, b"b\0") + attribute(54, b"x\0") + attribute(53, b"c\xe9"))),
     [LinkSeen(7, "a", True, 1, "vlan", 9, ("b", "c\udce9"))]),
    (RTM_NEWLINK, link(7, attribute(3, b"eth0\0"), family=7), []),
    (RTM_NEWLINK, link(7, attribute(3, b"eth0\0"), family=10), []),
    (RTM_DELLINK, link(7), [LinkGone(7)]),
    (RTM_DELLINK, link(7, family=7), []),
    (RTM_NEWADDR, address(2, 24, attribute(2, b"\x0a\0\0\1")), [seen("10.0.0.1/24", PERMANENT)]),
    (RTM_NEWADDR, address(2, 24, attribute(1, b"\x0a\0\0\1"), attribute(8, b"\1\1\0\0")), [seen("10.0.0.1/24", 0x101)]),
    (RTM_NEWADDR, address(45, 0, attribute(1, b"\x08")), []),
    (24, b"a route", []), (3, b"", []),
])
def test_what_counts_and_what_is_passed_over(kind: int, payload: bytes, expected: List[Event]) -> None:
    assert events(request(kind, 0, 0, payload)) == expected


def test_dump_requests() -> None:
    (links,) = messages(rtnetlink.dump_links(3))
    assert links[:3] == (rtnetlink.RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 3)
    assert links.payload == link(0, attribute(29, struct.pack("=I", 8)), flags=0).replace(b"\1", b"\0")
    (addresses,) = messages(rtnetlink.dump_addresses(4))
    assert addresses[:3] == (rtnetlink.RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, 4)
    assert addresses.payload == bytes(8)
