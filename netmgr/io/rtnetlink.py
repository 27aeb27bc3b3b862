"""The two rtnetlink sockets: one only listens, one only asks.

After an overrun (ENOBUFS) the kernel drops every further event, without another error, until the receive queue has been read
completely empty.  So drain() always reads until EAGAIN, and the caller takes a snapshot only after that; a snapshot taken
earlier would miss what happens behind it.  Replies need a socket of their own, because an overrun drops replies as well.

A dump that the kernel marks as interrupted (NLM_F_DUMP_INTR on any of its messages) has holes and doubles and is repeated.
"""

import errno
import os
import socket
from typing import Callable, List, NamedTuple, Tuple

from netmgr import rtnetlink
from netmgr.errors import ProtocolError
from netmgr.io.buffers import dropped, receive_buffer
from netmgr.netlink import (
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

EVENT_BUFFER = 64 << 20
RECEIVE_SIZE = 128 << 10
DUMP_ATTEMPTS = 5
EVENTS_AT_A_TIME = 4096


class Snapshot(NamedTuple):
    """All links and all addresses at one time; `consistent` is False when they changed under every attempt to read them."""

    links: List[rtnetlink.Event]
    addresses: List[rtnetlink.Event]
    consistent: bool


class Drained(NamedTuple):
    """What drain() read.  `lost` is not empty when events are missing: why, and that a snapshot is due.  `more`: not empty yet."""

    events: List[rtnetlink.Event]
    lost: str
    more: bool


class EventSocket:
    """Joined to the link and address groups; one socket, so that the kernel's order is kept."""

    def __init__(self, buffer_size: int = EVENT_BUFFER) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.setblocking(False)
        receive_buffer(self._socket, buffer_size)
        self._socket.bind((0, 0))
        for group in rtnetlink.GROUPS:
            self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        self._buffer = bytearray(RECEIVE_SIZE)
        self._drops = dropped(self._socket)

    def fileno(self) -> int:
        """For the loop."""
        return self._socket.fileno()

    def drain(self) -> Drained:
        """Read until the queue is empty, or a good many events are at hand.

        Once something is lost, what is queued is only thrown away, all of it: the snapshot will tell, and the kernel queues
        nothing new before the queue has been empty.
        """
        found: List[rtnetlink.Event] = []
        lost = ""
        view = memoryview(self._buffer)
        while True:
            try:
                if len(found) >= EVENTS_AT_A_TIME and not lost:
                    self._socket.recv(1, socket.MSG_PEEK)
                    return Drained(found, "", True)
                size = self._socket.recv_into(self._buffer)
                if not lost:
                    found.extend(rtnetlink.events(view[:size]))
            except BlockingIOError:
                return self._drained(found, lost)
            except ProtocolError as problem:
                lost = str(problem)
            except OSError as problem:
                if problem.errno != errno.ENOBUFS:
                    raise
                lost = "the queue of events overran"

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _drained(self, found: List[rtnetlink.Event], lost: str) -> Drained:
        before, self._drops = self._drops, dropped(self._socket)
        if before != self._drops and not lost:
            lost = "the kernel dropped %d events" % (self._drops - before & 0xFFFFFFFF)
        return Drained([] if lost else found, lost, False)


class RequestSocket:
    """For dumps.  Kept open: the kernel sizes its replies by the largest receive that it has seen here."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))
        self._socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        self._seq = 0
        self._buffer = bytearray(RECEIVE_SIZE)

    def snapshot(self) -> Snapshot:
        """Every link and address.  OSError when the kernel refuses, ProtocolError when its reply makes no sense."""
        for _attempt in range(DUMP_ATTEMPTS):
            links, links_whole = self._dump(rtnetlink.dump_links)
            addresses, addresses_whole = self._dump(rtnetlink.dump_addresses)
            if links_whole and addresses_whole:
                return Snapshot(links, addresses, True)
        return Snapshot(links, addresses, False)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _dump(self, make_request: Callable[[int], bytes]) -> Tuple[List[rtnetlink.Event], bool]:
        self._seq += 1
        self._socket.send(make_request(self._seq))
        try:
            return self._reply()
        except (OSError, ProtocolError):
            self._discard()
            raise

    def _reply(self) -> Tuple[List[rtnetlink.Event], bool]:
        found: List[rtnetlink.Event] = []
        whole = True
        while True:
            part = self._receive()
            ours = [message for message in messages(part) if message.seq == self._seq]
            if not ours:
                continue
            found.extend(rtnetlink.events(part))
            if any(message.flags & NLM_F_DUMP_INTR for message in ours):
                whole = False
            if ours[-1].type in (NLMSG_DONE, NLMSG_ERROR):
                ack = error(ours[-1])
                if ack.errno:
                    raise OSError(ack.errno, "rtnetlink dump: %s" % (ack.text or os.strerror(ack.errno)))
                return found, whole

    def _receive(self) -> memoryview:
        size, _ancillary, flags, _address = self._socket.recvmsg_into([self._buffer])
        if flags & socket.MSG_TRUNC:
            raise ProtocolError("rtnetlink: a reply of more than %d bytes" % len(self._buffer))
        return memoryview(self._buffer)[:size]

    def _discard(self) -> None:
        """Read the rest of a reply: as long as a dump is under way, the kernel refuses another."""
        try:
            while True:
                self._socket.recv_into(self._buffer, 0, socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
