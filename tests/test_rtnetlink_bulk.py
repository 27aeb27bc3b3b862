"""Addresses read in bulk, by C, against the same bytes read one message at a time by rtnetlink.events(): the two must tell the same."""

import random
import struct
from typing import Dict, Iterable, List, Optional, Tuple, Union

import pytest
from netmgr._nftcodec import ffi, lib

from netmgr.values.addresses import identity, with_peer
from netmgr.values.errors import ProtocolError
from netmgr.values.events import GONE, AddressesAre, AddressesSeen, AddressGone, AddressSeen, Event, LinkGone, LinkSeen
from netmgr.wire import rtnetlink, rtnetlink_bulk
from netmgr.wire.netlink import NLMSG_DONE, attribute, messages, request
from netmgr.wire.rtnetlink_bulk import ROOM, AddressReader, Tables
from tests.test_rtnetlink import CAPTURES

Told = List[Union[LinkSeen, LinkGone, Tables]]


def told_one_by_one(data: bytes) -> Optional[Told]:
    """None: refused."""
    try:
        return folded(rtnetlink.events(data))
    except ProtocolError:
        return None


def reader_of(data: bytes) -> AddressReader:
    reader = AddressReader(len(data))
    reader.buffer[:] = data
    return reader


def told_in_bulk(data: bytes) -> Optional[Told]:
    try:
        return folded(reader_of(data).events(len(data)))
    except ProtocolError:
        return None


def folded(events: Iterable[Event]) -> Told:
    """Links at their places, and between them the last word on each address."""
    found: Told = [{}]
    for event in events:
        tables = found[-1]
        if isinstance(event, (LinkSeen, LinkGone)):
            found += [event, {}]
            continue
        assert isinstance(tables, dict)
        tables.setdefault(event.ifindex, {}).update(last_words(event))
    return found


def last_words(event: Union[AddressSeen, AddressGone, AddressesSeen, AddressesAre]) -> Dict[bytes, int]:
    if isinstance(event, (AddressesSeen, AddressesAre)):
        return event.flags
    flags = with_peer(event.flags, event.local, event.peer) if isinstance(event, AddressSeen) else GONE
    return {identity(event.local, event.prefixlen, event.peer): flags}


def agreed(data: bytes) -> Optional[Told]:
    found = told_in_bulk(data)
    assert found == told_one_by_one(data), data.hex()
    return found


@pytest.mark.parametrize("scene", sorted(CAPTURES))
def test_captures_whole_cut_and_with_something_behind(scene: str) -> None:
    data = CAPTURES[scene]
    assert agreed(data) is not None
    for length in range(len(data)):
        agreed(data[:length])
    for behind in (b"\0", bytes(4), bytes(16), request(NLMSG_DONE, 0, 1), struct.pack("=IHHII", 15, 20, 0, 0, 0)):
        agreed(data + behind)


@pytest.mark.parametrize("scene", sorted(CAPTURES))
def test_captures_garbled(scene: str) -> None:
    source = random.Random(scene)
    refused = 0
    for _ in range(3000):
        data = bytearray(CAPTURES[scene])
        for _garble in range(source.choice((1, 1, 1, 2, 8))):
            data[source.randrange(len(data))] = source.choice((source.randrange(256), 0, 255, 4, 8, 16))
        refused += agreed(bytes(data)) is None
    assert 0 < refused < 3000


def random_attribute(source: random.Random) -> bytes:
    kind = source.choice((rtnetlink.IFA_ADDRESS, rtnetlink.IFA_LOCAL, rtnetlink.IFA_FLAGS, 3, 6)) | source.choice((0, 0, 0, 0x8000, 0x4000))
    return attribute(kind, source.randbytes(source.choice((4, 4, 4, 16, 16, 0, 3, 5, 8))))


def random_message(source: random.Random) -> bytes:
    kind = source.choice((20, 20, 20, 21, 16, 17, 22, NLMSG_DONE))
    family, length = source.choice(((2, 32), (2, 0), (2, 33), (10, 128), (10, 64), (10, 129), (7, 0), (0, 255)))
    header = struct.pack("=BBBBI", family, length, source.randrange(256), 0, source.choice((1, 2, 3, 0, 0xFFFFFFFF)))
    body = header + b"".join(random_attribute(source) for _ in range(source.randrange(4)))
    return request(kind, 0, 0, body[:source.choice((len(body),) * 9 + (source.randrange(len(body) + 1),))])


def padded(message: bytes) -> bytes:
    return message + bytes(-len(message) & 3)


@pytest.mark.parametrize("seed", range(4))
def test_made_up_messages(seed: int) -> None:
    source = random.Random(seed)
    refused = 0
    for _ in range(6000):
        refused += agreed(b"".join(padded(random_message(source)) for _message in range(source.choice((1, 1, 2, 3))))) is None
    assert 0 < refused < 6000


def address(number: int, kind: int = rtnetlink.RTM_NEWADDR, index: int = 7, flags: int = 0x80) -> Tuple[bytes, bytes]:
    """The message, the identity."""
    local = struct.pack(">I", 0x0A000000 + number)
    header = struct.pack("=BBBBI", 2, 24, 0, 0, index)
    words = attribute(rtnetlink.IFA_LOCAL, local) + attribute(rtnetlink.IFA_FLAGS, struct.pack("=I", flags))
    return request(kind, 0, 5, header + words), identity(local, 24, local)


def test_more_than_the_buffers_hold() -> None:
    made = [address(number, index=number % 3) for number in range(2 * ROOM + 1)]
    tables: Tables = {}
    data = b"".join(message for message, _key in made)
    assert list(reader_of(data).read(len(data), tables)) == []
    assert tables == {index: {key: 0x80 for number, (_message, key) in enumerate(made) if number % 3 == index} for index in range(3)}


def test_the_last_word_counts_and_other_messages_come_in_between() -> None:
    (here, key), (away, _same), (other, other_key) = address(1), address(1, rtnetlink.RTM_DELADDR), address(2, flags=0xFFFFFFFF)
    done = request(NLMSG_DONE, 0, 9, bytes(4))
    data, tables = here + away + done + other + here + done, dict[int, Dict[bytes, int]]()
    reading = reader_of(data).read(len(data), tables)
    assert (next(reading).seq, tables) == (9, {7: {key: GONE}})
    assert (next(reading).seq, tables) == (9, {7: {key: 0x80, other_key: 0xFFFFFFFF}})
    assert list(reading) == []


def test_flags_of_the_messages_are_kept() -> None:
    message, _key = address(1)
    reader = reader_of(message)
    assert reader.message_flags == 0
    list(reader.read(len(message), {}))
    assert reader.message_flags == next(messages(message)).flags


def test_a_refusal_says_what_is_wrong() -> None:
    message, _key = address(1)
    with pytest.raises(ProtocolError, match=r"an attribute claims 8 bytes of 7"):
        reader_of(struct.pack("=I", len(message) - 1) + message[4:-1]).events(len(message) - 1)


def test_constants_and_structures_are_the_same_in_c() -> None:
    assert lib.RTCODEC_GONE == GONE
    for name, form in (("run", rtnetlink_bulk._RUN), ("found", rtnetlink_bulk._FOUND), ("address", rtnetlink_bulk._ONE)):
        assert ffi.sizeof("struct rtcodec_" + name) == form.size


def test_more_than_one_word_on_an_address_is_told_of_its_link_alone() -> None:
    def told(*changes: Tuple[int, int, int]) -> List[Tuple[int, bool]]:
        data = b"".join(change(*each) for each in changes)
        return [(event.ifindex, event.repeated) for event in reader_of(data).events(len(data)) if isinstance(event, AddressesSeen)]

    new, gone = rtnetlink.RTM_NEWADDR, rtnetlink.RTM_DELADDR
    assert told((new, 2, 1), (new, 2, 2), (new, 3, 1)) == [(2, False), (3, False)]
    assert told((gone, 2, 1), (new, 2, 1), (new, 3, 1)) == [(2, True), (3, False)]
    assert told((new, 3, 1), (gone, 2, 1), (new, 3, 2), (new, 2, 1)) == [(3, False), (2, True)]
    reader = reader_of(change(gone, 2, 1) + change(new, 2, 1))
    (first,) = reader.events(len(reader.buffer))
    assert isinstance(first, AddressesSeen) and first.repeated
    length = len(change(gone, 2, 1))
    assert reader.events(length) == [AddressesSeen(2, {next(iter(first.flags)): GONE})]


def change(kind: int, ifindex: int, host: int) -> bytes:
    """An event about 192.0.2.HOST/24."""
    address = bytes((192, 0, 2, host))
    return request(kind, 0, 1, struct.pack("=BBBBI", 2, 24, 0x80, 0, ifindex) + attribute(1, address) + attribute(2, address))
