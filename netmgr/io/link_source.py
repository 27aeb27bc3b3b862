"""The source of links and addresses: events as they come, a snapshot at the start and whenever events were lost.

Of a link that is down the kernel does not tell when it gets another group or another alternative name.  So the links are looked at again
every `audit_interval` seconds (0: never).
"""

from typing import Callable, Iterable, Optional

from netmgr.io.loop import Deadline, Loop
from netmgr.io.rtnetlink import EventSocket, RequestSocket, Snapshot
from netmgr.values.errors import ProtocolError
from netmgr.values.events import Event
from netmgr.values.text import Log, reason

RETRY_WHILE_CHANGING, RETRY_AFTER_ERROR = 0.05, 1.0
PATIENCE = 20           # snapshots in vain, then it is told


class LinkSource:
    """Calls seen(events), which may want a snapshot (True), and replaced(snapshot) on the loop.  Making one may fail: OSError.

    `pending` while nothing may be concluded: events are still queued, or some were lost (before the first snapshot: all), so that
    what is known was never true at one time.
    """

    def __init__(self, loop: Loop, seen: Callable[[Iterable[Event]], bool], replaced: Callable[[Snapshot], None], log: Log,
                 audit_interval: float = 0) -> None:
        self.state = "connecting"
        self.error: Optional[str] = None
        self.pending = True
        self.facts = {"overruns": 0, "resyncs": 0}
        self._loop = loop
        self._seen = seen
        self._replaced = replaced
        self._log = log
        self._requests = RequestSocket()
        self._events = EventSocket()
        self._more = False
        self._lost = self._snapshot_due = True
        self._retry: Optional[Deadline] = None
        self._audit_interval = audit_interval
        self._audit_due: Optional[Deadline] = None
        self._in_vain = 0

    def start(self) -> None:
        """Read what there is, and what happens from now on."""
        self._loop.watch(self._events.fileno(), self._drain)
        self.refresh()
        self._plan_audit()

    def refresh(self) -> None:
        """Read all events that are queued, however many, and then everything: an answer is due that must reflect them."""
        self._snapshot_due = True
        self._drain(0)
        while self._more:
            self._drain(0)

    def stop(self) -> None:
        """Give the sockets back."""
        for deadline in (self._retry, self._audit_due):
            if deadline is not None:
                deadline.cancel()
        self._loop.unwatch(self._events.fileno())
        self._events.close()
        self._requests.close()

    def _drain(self, _ready: int) -> None:
        drained = self._events.drain()
        self._more = drained.more
        if drained.lost:
            self.facts["overruns"] += 1
            self._lost = True
            self.state, self.error = "connecting", drained.lost
            self._log("warning", "netlink: %s; reading everything again" % drained.lost)
        if self._seen(drained.events) or drained.lost:
            self._snapshot_due = True
        if self._snapshot_due:
            self._advance()
        else:
            self.pending = self._more or self._lost

    def _advance(self) -> None:
        """Take the snapshot that is due, but never before the queue is empty."""
        if not self._more:
            self._snapshot_due = False
            self._take_snapshot()
        self.pending = self._more or self._lost

    def _take_snapshot(self) -> None:
        begin = self._loop.now()
        try:
            snapshot = self._requests.snapshot()
        except (OSError, ProtocolError) as problem:
            if self.state != "error":
                self._log("error", "netlink: links and addresses cannot be read: %s" % reason(problem))
            self.state, self.error = "error", reason(problem)
            self._again_in(RETRY_AFTER_ERROR)
            return
        if not snapshot.consistent:
            self._in_vain += 1
            if self._in_vain == PATIENCE:
                self._log("warning", "netlink: links and addresses change too fast to be read; until then the sets stay as they are")
            self._again_in(max(RETRY_WHILE_CHANGING, self._loop.now() - begin))
            return
        self.state, self.error, self._lost, self._in_vain = "ok", None, False, 0
        self.facts["resyncs"] += 1
        self._replaced(snapshot)

    def _again_in(self, delay: float) -> None:
        if self._retry is not None:
            self._retry.cancel()
        self._retry = self._loop.call_later(delay, self._again)

    def _again(self) -> None:
        self._snapshot_due = True
        self._advance()

    def _plan_audit(self) -> None:
        if self._audit_interval:
            self._audit_due = self._loop.call_later(self._audit_interval, self._audit)

    def _audit(self) -> None:
        """Only a look; where it fails, an event or the next look has more luck."""
        self._plan_audit()
        self._drain(0)
        if not self.pending:
            try:
                self._seen(self._requests.links())
            except (OSError, ProtocolError) as problem:
                self._log("debug", "netlink: links cannot be looked at: %s" % reason(problem))
