"""A NETLINK_NETFILTER socket: what it sends, what it receives, how much it holds.

Nothing here waits.  Netlink is synchronous: when a send returns, the kernel has done what was asked and every answer is queued; a dump
continues within each receive.  So receiving until EAGAIN gives all there is.  Once a receive buffer overflows (ENOBUFS), the kernel
drops everything until the queue is completely empty, which is another reason to drain it always.

Only the kernel is believed: a connected socket takes messages for it alone from nobody else, and of those to a group the sender is told.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import List, Optional, Tuple

from netmgr.io.socket_buffers import attach_filter, dropped, memory, receive_buffer, send_buffer
from netmgr.io.trace import traced
from netmgr.values.errors import ProtocolError
from netmgr.wire.netlink import (
    BYTEORDER,
    NETLINK_ADD_MEMBERSHIP,
    NETLINK_CAP_ACK,
    NETLINK_DROP_MEMBERSHIP,
    NETLINK_EXT_ACK,
    SOL_NETLINK,
)
from netmgr.wire.room import room

NETLINK_NETFILTER = 12
MSG_TRUNC = 0x20                # as a plain number, for `&` with an enum is slow

RECEIVE_BUFFER = 1 << 20
MESSAGE_BUFFER = 1 << 17        # the kernel fills at most 32 KiB in a dump; an error that echoes its request may take 64 KiB
SEND_OVERHEAD = 32              # netlink_sendmsg() refuses more than sk_sndbuf - 32


class Netfilter:
    """The socket, open for life: closing one after a delete waits for an RCU grace period with the commit lock held.

    `limit` is how much one send takes.
    """

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = traced("nftables", socket.socket(socket.AF_NETLINK, kind, NETLINK_NETFILTER))
        self._socket.bind((0, 0))
        self._socket.connect((0, 0))
        self.portid: int = self._socket.getsockname()[0]
        self._socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        receive_buffer(self._socket, RECEIVE_BUFFER)
        self.limit = self._send_limit()
        self._buffer = room(MESSAGE_BUFFER)

    def fileno(self) -> int:
        """The descriptor."""
        return self._socket.fileno()

    def close(self) -> None:
        """Give the descriptor back."""
        self._socket.close()

    def send(self, data: bytes) -> None:
        """To the kernel, all of it or OSError."""
        self._socket.send(data)

    def receive(self) -> Optional[memoryview]:
        """One datagram, valid until the next call; None when there is none.  OSError ENOBUFS: some were lost; go on receiving.

        What another process has sent counts as empty.
        """
        try:
            size, _, flags, (sender, _groups) = self._socket.recvmsg_into([self._buffer])
        except BlockingIOError:
            return None
        if flags & MSG_TRUNC:
            raise ProtocolError("netfilter: a datagram of more than %d bytes" % len(self._buffer))
        return self._buffer[:size if sender == 0 else 0]

    def exchange(self, data: bytes, last: int, stand_aside: bool = False) -> Tuple[List[bytes], bool]:
        """Send, and receive all that comes of it; True: some of that was lost.  Nothing follows a message with the number `last`.

        `stand_aside`: who was waiting for what was sent may have this processor before what came of it is read.
        """
        self._socket.send(data)
        if stand_aside:
            os.sched_yield()
        number = last.to_bytes(4, BYTEORDER)
        found: List[bytes] = []
        overrun = False
        while True:
            try:
                view = self.receive()
            except OSError as problem:
                if problem.errno != errno.ENOBUFS:
                    raise
                overrun = True
                continue
            if view is None:
                return found, overrun
            found.append(bytes(view))
            if found[-1][8:12] == number and not overrun:
                return found, overrun

    def discard(self, most: int) -> bool:
        """So many datagrams of what is still queued, and of the rest of a dump; whether that is all."""
        for _datagram in range(most):
            try:
                if self.receive() is None:
                    return True
            except ProtocolError:
                pass
            except OSError as problem:
                if problem.errno != errno.ENOBUFS:
                    raise
        return False

    def room(self, size: int) -> int:
        """How much one send takes, after making room for `size` bytes as far as that is allowed."""
        if size > self.limit:
            send_buffer(self._socket, size + SEND_OVERHEAD)
            self.limit = self._send_limit()
        return self.limit

    def _send_limit(self) -> int:
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) - SEND_OVERHEAD

    def join(self, group: int) -> None:
        """Receive what is sent to this multicast group from now on."""
        self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)

    def leave(self, group: int) -> None:
        """Receive nothing more of what is sent to this group."""
        self._socket.setsockopt(SOL_NETLINK, NETLINK_DROP_MEMBERSHIP, group)

    def filter(self, kind: int, port: int) -> None:
        """Receive only datagrams that begin with a message of this type, and not with one that is from, or because of, this port.

        The filter: A = the half-word at 4 (as if in network order); drop unless it is the type; A = the word at 12; drop if it is the
        port; accept.
        """
        wanted, unwanted = (int.from_bytes(struct.pack(how, number), "big") for how, number in (("=H", kind), ("=I", port)))
        attach_filter(self._socket, (
            (0x28, 0, 0, 4), (0x15, 0, 2, wanted), (0x20, 0, 0, 12), (0x15, 0, 1, unwanted), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF)))

    def drops(self) -> int:
        """How many datagrams the kernel could not queue so far."""
        return dropped(memory(self._socket))
