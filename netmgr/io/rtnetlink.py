"""The two rtnetlink sockets: one only listens, one only asks.

After an overrun (ENOBUFS) the kernel drops every further event, without another error, until the receive queue has been read
completely empty.  So drain() always reads until EAGAIN, and the caller takes a snapshot only after that; a snapshot taken
earlier would miss what happens behind it.  Replies need a socket of their own, because an overrun drops replies as well.

A dump that the kernel marks as interrupted (NLM_F_DUMP_INTR on any of its messages) has holes and doubles and is repeated, a few times.
What several of these show is good only together with every event since the first of them.  Links and addresses are two dumps, so what
is not interrupted needs the events just as well: an interface may have left its zone between the two, before an address came to it.

While a dump is made the events are read after each piece of it, so that a small queue has to hold only what happens in that time.

Whoever has CAP_NET_ADMIN in the namespace may send to our sockets.  A connected netlink socket takes messages for it alone from nobody
but its peer, the kernel; what comes by a group tells its sender, and only port 0 is the kernel.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Callable, List, Tuple

from netmgr.io.socket_buffers import asking_for_memory, dropped, idle, receive_buffer
from netmgr.io.trace import traced
from netmgr.values.addresses import identity, with_peer
from netmgr.values.errors import ProtocolError
from netmgr.values.events import AddressesAre, AddressSeen, Event
from netmgr.values.named_tuple import NamedTuple, made
from netmgr.values.snapshots import Snapshot, gathered
from netmgr.wire import rtnetlink
from netmgr.wire.netlink import (
    NETLINK_ADD_MEMBERSHIP,
    NETLINK_EXT_ACK,
    NETLINK_GET_STRICT_CHK,
    NLM_F_DUMP_INTR,
    NLMSG_DONE,
    NLMSG_ERROR,
    SOL_NETLINK,
    error,
    messages,
)
from netmgr.wire.rtnetlink_bulk import AddressReader, Tables

EVENT_BUFFER = 64 << 20
RECEIVE_SIZE = 128 << 10
BYTES_AT_A_TIME = 256 << 10
KERNEL = (0, 0)         # port, groups
DUMPS = 5               # that are interrupted: what one overlooks another shows
ATTEMPTS = 20           # to get as many between which no event was lost
CHANGING = "they change faster than they can be read"


class Drained(NamedTuple):
    """What drain() read.  `lost` is not empty when events are missing: why, and that a snapshot is due.  `more`: not empty yet."""

    events: List[Event]
    lost: str
    more: bool


class EventSocket:
    """Joined to the link and address groups; one socket, so that the kernel's order is kept."""

    def __init__(self, buffer_size: int = EVENT_BUFFER) -> None:
        self.socket = traced("netlink", socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE))
        self.socket.setblocking(False)
        receive_buffer(self.socket, buffer_size)
        self.socket.bind((0, 0))
        self.socket.connect(KERNEL)
        self.memory = asking_for_memory(self.socket)
        self._idle = self.memory()
        for group in rtnetlink.GROUPS:
            self.socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        self._reader = AddressReader(BYTES_AT_A_TIME + RECEIVE_SIZE)

    def fileno(self) -> int:
        """For the loop."""
        return self.socket.fileno()

    def drain(self) -> Drained:
        """Read until the queue is empty, or a good many events are at hand.

        Once something is lost, what is queued is only thrown away, all of it: the snapshot will tell, and the kernel queues
        nothing new before the queue has been empty.  Mostly there is a single event; that it is the only one is quicker asked for than
        found out by another receive that fails.
        """
        lost, filled = "", 0
        while True:
            room = self._reader.buffer
            try:
                if filled:
                    room = room[filled:]
                    if filled > BYTES_AT_A_TIME:
                        self.socket.recv(1, socket.MSG_PEEK)
                        return Drained(self._reader.events(filled), "", True)
                size, (sender, _groups) = self.socket.recvfrom_into(room)
                if sender:
                    return Drained(self._reader.events(filled), lost, True)
                if not filled and not lost and self.memory() == self._idle:
                    return made(Drained, (self._reader.events(size), "", False))
                filled = 0 if lost else filled + (size + 3 & ~3)
            except BlockingIOError:
                return self._drained(filled, lost)
            except ProtocolError as problem:
                lost, filled = str(problem), 0
            except OSError as problem:
                if problem.errno != errno.ENOBUFS:
                    raise
                lost, filled = "the queue of events overran", 0

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def _drained(self, filled: int, lost: str) -> Drained:
        now = self.memory()
        drops = dropped(now) - dropped(self._idle) & 0xFFFFFFFF
        self._idle = idle(now)
        if drops and not lost:
            lost = "the kernel dropped %d events" % drops
        try:
            return Drained([] if lost else self._reader.events(filled), lost, False)
        except ProtocolError as problem:
            return Drained([], str(problem), False)


def nobody_listens() -> int:
    """For who does not follow events: none is missing."""
    return 0


class RequestSocket:
    """For dumps.  Kept open: the kernel sizes its replies by the largest receive that it has seen here."""

    def __init__(self) -> None:
        self._socket = traced("netlink", socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE))
        self._socket.setblocking(False)
        self._socket.bind((0, 0))
        self._socket.connect(KERNEL)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        self._seq = 0
        self.reader = AddressReader(RECEIVE_SIZE)

    def snapshot(self, listen: Callable[[], int] = nobody_listens) -> Snapshot:
        """Every link and address, to be told together with every event since.  ProtocolError when the kernel's reply makes no sense.

        listen() reads the events, and says how often so far some were missing: what was dumped at such a time is good for nothing.
        OSError when the kernel refuses, and when there is never a pause to get enough dumps.
        """
        dumps: List[Snapshot] = []
        gaps = listen()
        for _attempt in range(ATTEMPTS):
            addresses: Tables = {}
            links, whole = self.dump(rtnetlink.dump_links, {}, listen)
            _others, also_whole = self.dump(rtnetlink.dump_addresses, addresses, listen)
            dumps.append(Snapshot(links, addresses, whole and also_whole))
            before, gaps = gaps, listen()
            if gaps != before:
                dumps = []
            elif dumps[-1].consistent:
                return dumps[-1]
            elif len(dumps) == DUMPS:
                return gathered(dumps)
        raise OSError(errno.EAGAIN, CHANGING)

    def addresses_of(self, ifindex: int) -> AddressesAre:
        """Those of one link; none when it is gone.  Errors as of snapshot()."""
        for _attempt in range(DUMPS):
            addresses: Tables = {}
            try:
                _others, whole = self.dump(lambda seq: rtnetlink.dump_addresses(seq, ifindex), addresses)
            except OSError as problem:
                if problem.errno != errno.ENODEV:
                    raise
                return AddressesAre(ifindex, {})
            if whole:
                return AddressesAre(ifindex, addresses.get(ifindex, {}))
        raise OSError(errno.EAGAIN, CHANGING)

    def links(self) -> List[Event]:
        """Every link, though perhaps not all at one time.  Errors as of snapshot()."""
        return self.dump(rtnetlink.dump_links, {})[0]

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def dump(self, make_request: Callable[[int], bytes], addresses: Tables,
             listen: Callable[[], int] = nobody_listens) -> Tuple[List[Event], bool]:
        """Ask, and read the reply, and listen() after each piece; False when it was interrupted.  Errors as of snapshot()."""
        self._seq += 1
        self.reader.message_flags = 0
        self._socket.send(make_request(self._seq))
        try:
            return self._reply(addresses, listen)
        except (OSError, ProtocolError):
            self._discard()
            raise

    def _reply(self, addresses: Tables, listen: Callable[[], int]) -> Tuple[List[Event], bool]:
        """Addresses go into the tables, what else was dumped is returned; False when the dump was interrupted."""
        others: List[Event] = []
        flags = 0
        while True:
            size = self.receive()
            if next(messages(self.reader.buffer[:size])).seq != self._seq:
                continue
            for message in self.reader.read(size, addresses):
                flags |= message.flags
                if message.type in (NLMSG_DONE, NLMSG_ERROR):
                    ack = error(message)
                    if ack.errno:
                        raise OSError(ack.errno, "rtnetlink dump: %s" % (ack.text or os.strerror(ack.errno)))
                    return others, not (flags | self.reader.message_flags) & NLM_F_DUMP_INTR
                event = rtnetlink.event(message)
                if isinstance(event, AddressSeen):
                    key = identity(event.local, event.prefixlen, event.peer)
                    addresses.setdefault(event.ifindex, {})[key] = with_peer(event.flags, event.local, event.peer)
                elif event is not None:
                    others.append(event)
            listen()

    def receive(self) -> int:
        """Netlink is synchronous: what is not there now never comes."""
        try:
            size, _ancillary, flags, _address = self._socket.recvmsg_into([self.reader.buffer])
        except BlockingIOError:
            raise OSError(errno.EIO, "rtnetlink: a dump ended without saying so") from None
        if flags & socket.MSG_TRUNC:
            raise ProtocolError("rtnetlink: a reply of more than %d bytes" % len(self.reader.buffer))
        return size

    def _discard(self) -> None:
        """Read the rest of a reply: as long as a dump is under way, the kernel refuses another."""
        try:
            while True:
                self._socket.recv_into(self.reader.buffer)
        except BlockingIOError:
            pass
