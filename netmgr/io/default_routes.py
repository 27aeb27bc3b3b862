"""Reading which interfaces carry a default route, and to which next hops: the whole of it, however large the tables are, in pieces.

See netmgr/wire/routes.py for what has to be read.  A dump that is not read to its end ends with its socket, so each has one of its own.
"""

import os
import socket
from typing import Callable, List, Optional, Set

from netmgr.values.events import NextHops
from netmgr.wire import routes
from netmgr.wire.netlink import (
    NETLINK_GET_STRICT_CHK,
    NLM_F_DUMP_INTR,
    NLMSG_DONE,
    NLMSG_ERROR,
    SOL_NETLINK,
    Message,
    error,
)

RECEIVE_SIZE = 64 << 10
ATTEMPTS = 5            # at a table that changes while it is read; then all that was seen counts
KERNEL = (0, 0)
ABSENT = (2, 95, 97)    # ENOENT: there is no such table; EOPNOTSUPP, EAFNOSUPPORT: nor such a family


class DefaultRoutes:
    """One reading.  step() until it gives the interfaces with their next hops; OSError and ProtocolError when that cannot be."""

    def __init__(self) -> None:
        self._families: List[int] = [routes.AF_INET, routes.AF_INET6]
        self._attempts = ATTEMPTS
        self._interrupted = False
        self._found: Set[routes.Hop] = set()
        self._of_family: Set[routes.Hop] = set()
        self._socket: Optional[socket.socket] = None

    def step(self, is_over: Callable[[], bool]) -> Optional[NextHops]:
        """Read on until all is read, which gives the interfaces with their next hops, or until the time is over: None."""
        while self._families:
            if self._socket is None:
                self._socket = _asking(self._families[0])
            if self._take(self._socket.recv(RECEIVE_SIZE, socket.MSG_DONTWAIT)):
                self._end_of_dump()
            elif is_over():
                return None
        return _by_interface(self._found)

    def close(self) -> None:
        """Give the socket back."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _take(self, received: bytes) -> bool:
        """Whether no default route can follow."""
        in_order = self._families[0] == routes.AF_INET
        for message in routes.relevant(received, in_order):
            self._interrupted |= bool(message.flags & NLM_F_DUMP_INTR)
            if message.type in (NLMSG_DONE, NLMSG_ERROR):
                _raise_for(message)
                return True
            if message.type == routes.RTM_NEWROUTE:
                self._of_family |= routes.hops(message)
                if in_order and routes.is_beyond(message):
                    return True
        return False

    def _end_of_dump(self) -> None:
        self.close()
        self._attempts -= 1
        if self._interrupted and self._attempts:
            self._interrupted = False
            return
        self._found |= self._of_family
        self._families.pop(0)
        self._of_family, self._interrupted, self._attempts = set(), False, ATTEMPTS


def read_default_routes() -> NextHops:
    """All of it at once."""
    reading = DefaultRoutes()
    try:
        return reading.step(lambda: False) or {}
    finally:
        reading.close()


def _by_interface(found: Set[routes.Hop]) -> NextHops:
    hops: NextHops = {}
    for index, address in sorted(found):
        hops[index] = hops.get(index, ()) + ((address,) if address else ())
    return hops


def _asking(family: int) -> socket.socket:
    asking = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    try:
        asking.connect(KERNEL)
        asking.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
        asking.send(routes.dump(1, family))
    except OSError:
        asking.close()
        raise
    return asking


def _raise_for(message: Message) -> None:
    ack = error(message)
    if ack.errno and ack.errno not in ABSENT:
        raise OSError(ack.errno, "rtnetlink routes: %s" % (ack.text or os.strerror(ack.errno)))


