"""Very many addresses at a time: rtnetlink's messages about them, read by csrc/rtcodec.c.

What a message means is said in rtnetlink.py, whose events() reads the same bytes one message at a time.  Here, addresses become tables,
link by link, in which only the last word on an address stays; a storm of changes is worth no more than what it left behind.
Messages about anything else are handed back, each at its place between the others, and so are those of IPv6 addresses with a peer.
"""

from __future__ import annotations

from itertools import chain
from struct import Struct
from typing import Dict, Iterator, List, Set

from netmgr._nftcodec import ffi, lib
from netmgr.values.errors import ProtocolError
from netmgr.values.events import AddressesSeen, Event
from netmgr.values.named_tuple import made
from netmgr.wire import rtnetlink
from netmgr.wire.netlink import Message, messages
from netmgr.wire.room import room

ROOM = 4096

Tables = Dict[int, Dict[bytes, int]]    # ifindex -> identity -> IFA_FLAGS, or GONE

_IDENTITIES = {length: Struct("%ds" % length) for length in (9, 33)}
_FOUND, _RUN = Struct("=II"), Struct("=III")        # struct rtcodec_found, struct rtcodec_run
_ONE = Struct("=qI34p2x")                           # struct rtcodec_address; the length of its identity is before that, as p has it


class AddressReader:
    """Reads what is in `buffer`, of this size.  `message_flags` gathers the nlmsg_flags of all messages about addresses."""

    def __init__(self, size: int) -> None:
        self.buffer = room(size)
        self.message_flags = 0
        self._repeated: Set[int] = set()        # links of which some address was told of more than once
        self._identities = room(ROOM * lib.RTCODEC_IDENTITY_MAX)
        self._flags = room(ROOM * 8).cast("q")
        found = room(_FOUND.size + ROOM * _RUN.size)
        self._found, self._runs, self._one = found[:_FOUND.size], found[_FOUND.size:], room(_ONE.size)
        self._from = ffi.from_buffer("uint8_t[]", self.buffer)
        self._into = tuple(ffi.cast(kind, ffi.from_buffer(each)) for kind, each in (
            ("uint8_t *", self._identities), ("int64_t *", self._flags), ("struct rtcodec_run *", self._runs),
            ("struct rtcodec_found *", self._found)))
        self._into_one = ffi.cast("struct rtcodec_address *", ffi.from_buffer(self._one))

    def read(self, end: int, tables: Tables) -> Iterator[Message]:
        """Enter the addresses of so many bytes into the tables; give every other message when all before it is in.  ProtocolError."""
        position = 0
        while position < end:
            taken = lib.rtcodec_addresses(self._from + position, end - position, ROOM, *self._into)
            if taken < 0:
                raise _complaint(self.buffer[position:end])
            self._enter(tables)
            position += taken
            if not taken:
                message = next(messages(self.buffer[position:end]))
                yield message
                position += 16 + (len(message.payload) + 3 & ~3)

    def events(self, end: int) -> List[Event]:
        """Every event in so many bytes.  Mostly there is one, of one address, which is quicker told without a table."""
        if lib.rtcodec_one(self._from, end, self._into_one):
            flags, ifindex, identity = _ONE.unpack(self._one)
            return [made(AddressesSeen, (ifindex, {identity: flags}, False))]
        found: List[Event] = []
        tables: Tables = {}
        for message in self.read(end, tables):
            event = rtnetlink.event(message)
            if event is not None:
                found += self._seen(tables)
                found.append(event)
        return found + self._seen(tables)

    def _seen(self, tables: Tables) -> List[Event]:
        """The tables as events; they are empty then."""
        found: List[Event] = [AddressesSeen(ifindex, flags, ifindex in self._repeated) for ifindex, flags in tables.items()]
        tables.clear()
        self._repeated.clear()
        return found

    def _enter(self, tables: Tables) -> None:
        runs, message_flags = _FOUND.unpack(self._found)
        self.message_flags |= message_flags
        place = number = 0
        for ifindex, length, count in _RUN.iter_unpack(self._runs[:runs * _RUN.size]):
            packed, flags = self._identities[place:place + length * count], self._flags[number:number + count]
            table = tables.setdefault(ifindex, {})
            if count == 1:
                identity = bytes(packed)
                if identity in table:
                    self._repeated.add(ifindex)
                table[identity] = flags[0]
            else:
                different = len(table) + count
                table.update(zip(chain.from_iterable(_IDENTITIES[length].iter_unpack(packed)), flags))
                if len(table) != different:
                    self._repeated.add(ifindex)
            place, number = place + length * count, number + count


def _complaint(buffer: memoryview) -> ProtocolError:
    """What is wrong with these bytes, in rtnetlink's words."""
    try:
        for _event in rtnetlink.events(buffer):
            pass
    except ProtocolError as problem:
        return problem
    return ProtocolError("rtnetlink: a message makes no sense")
