"""The source of default routes: which interfaces carry one and to which next hops, told anew whenever that may have changed.

Every event is only a hint, and so is every event of a link: with a link that goes down its IPv4 routes go without a word, and a hop of
several is dead.  After a hint everything is read again.  That takes a fraction of a millisecond, unless there are very many IPv6 routes;
then it is done in pieces, and not all the time (see netmgr.values.pace).
"""

import errno
import socket
from typing import Callable, Optional

from netmgr.io.default_routes import KERNEL, DefaultRoutes
from netmgr.io.loop import Deadline, Loop
from netmgr.io.socket_buffers import attach_filter, receive_buffer
from netmgr.values.counters import Told
from netmgr.values.errors import ProtocolError
from netmgr.values.events import NextHops
from netmgr.values.pace import Pace
from netmgr.values.text import Log, reason
from netmgr.wire import routes
from netmgr.wire.netlink import NETLINK_ADD_MEMBERSHIP, SOL_NETLINK
from netmgr.wire.rtnetlink import RTNLGRP_LINK

HINT_BUFFER = 1 << 20
HINT_SIZE = 64          # of a hint nobody reads more
HINTS_AT_ONCE = 1000
PIECE_SECONDS = 0.002
RETRY = 1.0
REST = 10               # times what a reading took


class RouteSource:
    """Calls told(next hops by interface) on the loop.  `pending` until that is known for the first time.  Making one may fail: OSError."""

    def __init__(self, loop: Loop, told: Callable[[NextHops], None], log: Log, audit_interval: float = 0) -> None:
        self.state = "connecting"
        self.error: Optional[str] = None
        self.pending = True
        self.facts = {"resyncs": 0}
        self.told = Told()
        self._loop, self._tell, self._log = loop, told, log
        self._pace = Pace(REST)
        self._begun = 0.0
        self._due = True
        self._next: Optional[Deadline] = None
        self._reading: Optional[DefaultRoutes] = None
        self._audit_interval = audit_interval
        self._audit_due: Optional[Deadline] = None
        self._hints = _hints()

    @property
    def behind(self) -> bool:
        """Whether what refresh() asked for was not told yet."""
        return self.pending or self._reading is not None

    def start(self) -> None:
        """Read what there is, and what happens from now on."""
        self._loop.watch(self._hints.fileno(), self._hinted)
        self.refresh()
        self._plan_audit()

    def refresh(self) -> None:
        """Read all of it."""
        self._abandon()
        self._begin()

    def stop(self) -> None:
        """Give the sockets back."""
        self._abandon()
        if self._audit_due is not None:
            self._audit_due.cancel()
        self._loop.unwatch(self._hints.fileno())
        self._hints.close()

    def _hinted(self, _ready: int) -> None:
        try:
            self._drain()
        except OSError as problem:
            self._deaf(problem)
            return
        self._due = True
        if self._reading is None and self._next is None:
            self._when_rested()

    def _plan_audit(self) -> None:
        if self._audit_interval:
            self._audit_due = self._loop.call_later(self._audit_interval, self._audit)

    def _audit(self) -> None:
        self._plan_audit()
        self._hinted(0)

    def _drain(self) -> None:
        """An overrun is a hint like any other; what else there may be to read is for the next turn of the loop."""
        for _hint in range(HINTS_AT_ONCE):
            try:
                self._hints.recv(HINT_SIZE)
                self.told.events += 1
            except BlockingIOError:
                return
            except OSError as problem:
                if problem.errno != errno.ENOBUFS:
                    raise
                self.told.overruns += 1

    def _when_rested(self) -> None:
        now = self._loop.now()
        if now < self._pace.ready_at:
            self._next = self._loop.call_at(self._pace.ready_at, self._begin)
        else:
            self._begin()

    def _begin(self) -> None:
        self._next, self._due, self._begun = None, False, self._loop.now()
        self._reading = DefaultRoutes()
        self._read_piece()

    def _read_piece(self) -> None:
        self._next = None
        end = self._loop.now() + PIECE_SECONDS
        self._read(lambda: self._loop.now() >= end)
        if self._reading is not None:
            self._next = self._loop.call_later(0, self._read_piece)
        elif self._due:
            self._when_rested()

    def _read(self, is_over: Callable[[], bool]) -> None:
        assert self._reading is not None
        try:
            found = self._reading.step(is_over)
        except (OSError, ProtocolError) as problem:
            self._failed(problem)
            return
        if found is not None:
            self._abandon()
            self._pace.spent(self._begun, self._loop.now())
            self.state, self.error, self.pending = "ok", None, False
            self.facts["resyncs"] += 1
            self.told.snapshot("routes")
            self._tell(found)

    def _failed(self, problem: Exception) -> None:
        self._fail("they cannot be read: %s" % reason(problem))
        self._abandon()
        self._next = self._loop.call_later(RETRY, self._begin)

    def _deaf(self, problem: OSError) -> None:
        """Listen again in a while, for the descriptor may stay ready, and read everything then."""
        self._fail("events cannot be received: %s" % reason(problem))
        self._loop.unwatch(self._hints.fileno())
        self._abandon()
        self._next = self._loop.call_later(RETRY, self._listen)

    def _listen(self) -> None:
        self._next = None
        try:
            self._loop.watch(self._hints.fileno(), self._hinted)
        except OSError as problem:
            self._deaf(problem)
            return
        self.refresh()

    def _fail(self, error: str) -> None:
        before, self.state, self.error = self.error, "error", error
        if error != before:
            self._log("error", "routes: %s" % error)

    def _abandon(self) -> None:
        if self._reading is not None:
            self._reading.close()
            self._reading = None
        if self._next is not None:
            self._next.cancel()
            self._next = None


def _hints() -> socket.socket:
    """A socket on which something comes when a default route, a next hop or a link may have changed."""
    hints = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    try:
        receive_buffer(hints, HINT_BUFFER)
        attach_filter(hints, routes.filter_steps())
        hints.bind((0, 0))
        hints.connect(KERNEL)
        for group in (RTNLGRP_LINK, *routes.GROUPS):
            hints.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
    except OSError:
        hints.close()
        raise
    return hints
