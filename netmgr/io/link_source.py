"""The source of links and addresses: events as they come, a snapshot at the start and whenever events were lost.

Of a link that is down the kernel does not tell when it gets another group or another alternative name.  So the links are looked at again
every `audit_interval` seconds (0: never).  Where events leave the addresses of a few links in doubt, only those are read again, at once.

What is told was true at one time: events that are still queued are kept until the queue is empty, for they may contradict the
snapshot before them for a moment; and once some are lost, nothing is told before there is a new snapshot.  A snapshot takes a while, and
shows of that time what it shows; with every event since its begin it is the truth at its end.  So it counts only if none of these was
lost, and both are told at once.
"""

from __future__ import annotations

from typing import Callable, Collection, List, Mapping, Optional, Sequence

from netmgr.io.loop import Deadline, Loop
from netmgr.io.meanwhile import Meanwhile, replayed
from netmgr.io.rtnetlink import Drained, EventSocket, RequestSocket
from netmgr.values.counters import Told
from netmgr.values.errors import ProtocolError
from netmgr.values.events import AddressesAre, Event
from netmgr.values.pace import Pace
from netmgr.values.snapshots import Snapshot
from netmgr.values.text import Log, reason

RETRY = 1.0
LINKS_AT_MOST = 10      # that are read one by one, and not everything
REST = 20               # times what a snapshot has taken that leaves doubts
IN_VAIN = "links and addresses change without a pause: what several looks at them show counts, and what is told since"


class LinkSource:
    """Calls seen(events), which gives the links whose addresses have to be read again, and replaced(snapshot) on the loop.

    Making one may fail: OSError.

    `pending` while there is something that was not told yet: events that are queued, or (before the first snapshot, and when events
    were lost) everything.
    """

    def __init__(self, loop: Loop, seen: Callable[[Sequence[Event]], Collection[int]], replaced: Callable[[Snapshot], None], log: Log,
                 audit_interval: float = 0) -> None:
        self.state = "connecting"
        self.error: Optional[str] = None
        self.pending = True
        self.told = Told()
        self._loop = loop
        self._seen = seen
        self._replaced = replaced
        self._log = log
        self._requests = RequestSocket()
        self._events = EventSocket()
        self._queued: List[Event] = []
        self._more = False
        self._lost = self._snapshot_due = True
        self._retry: Optional[Deadline] = None
        self._audit_interval = audit_interval
        self._audit_due: Optional[Deadline] = None
        self._pace = Pace(REST, RETRY, longest=10 * RETRY)
        self._said = ""
        self._why = "start"      # a snapshot is due

    @property
    def behind(self) -> bool:
        """Whether what refresh() asked for was not told yet."""
        return self.pending

    @property
    def facts(self) -> Mapping[str, int]:
        """How often events were lost, and everything was read."""
        return {"overruns": self.told.overruns, "resyncs": sum(self.told.snapshots.values())}

    def start(self) -> None:
        """Read what there is, and what happens from now on."""
        self._loop.watch(self._events.fileno(), self._readable)
        self._snapshot_due = True
        self._readable(0)
        self._plan_audit()

    def refresh(self) -> None:
        """Read all that is queued, and then everything."""
        self._snapshot_due, self._why = True, "asked"
        self._readable(0)

    def stop(self) -> None:
        """Give the sockets back."""
        for deadline in (self._retry, self._audit_due):
            if deadline is not None:
                deadline.cancel()
        self._loop.unwatch(self._events.fileno())
        self._events.close()
        self._requests.close()

    def _readable(self, _ready: int) -> None:
        try:
            drained = self._events.drain()
        except OSError as problem:
            self._deaf(problem)
            return
        events, lost, more = drained
        self.told.events += len(events)
        if lost or more or self._queued or self._lost:
            self._take_in(drained)
        elif doubtful := self._seen(events):
            self._read_again(doubtful)
        if self._snapshot_due or self.pending:
            self._advance()

    def _take_in(self, drained: Drained) -> None:
        """Something was lost, or there is more than one turn of the loop can read."""
        self._more = drained.more
        if drained.lost:
            self.told.overruns += 1
            self._lost = self._snapshot_due = True
            self._why = "overrun"
            self.state, self.error = "connecting", drained.lost
            self._log("warning", "netlink: %s; reading everything again" % drained.lost)
        self._queue(drained.events)

    def _queue(self, events: List[Event]) -> None:
        """Tell them, unless there are more, which one would contradict the other, or some are missing."""
        self._queued = [] if self._lost else self._queued + events
        if not self._more and self._queued:
            queued, self._queued = self._queued, []
            if doubtful := self._seen(queued):
                self._read_again(doubtful)

    def _read_again(self, links: Collection[int]) -> None:
        """Tell all addresses of these links, with what happens meanwhile; where they are many, or it leaves new doubts, read everything."""
        if self._snapshot_due:
            return
        self._snapshot_due, self._why = True, "unsure"
        meanwhile = Meanwhile(self._events, self.told)
        found: List[AddressesAre] = []
        try:
            found = [*map(self._requests.addresses_of, links)] if len(links) <= LINKS_AT_MOST else []
            meanwhile.listen()
        except (OSError, ProtocolError):
            found = []
        self._heard(found, meanwhile)
        self._snapshot_due = not found or self._lost or bool(self._seen(()))

    def _heard(self, found: Sequence[Event], meanwhile: Meanwhile) -> None:
        """Tell it, unless some of what was told meanwhile is missing."""
        self._lost, self._more = self._lost or meanwhile.lost, meanwhile.more
        self._queue([*found, *replayed(meanwhile.events)])

    def _advance(self) -> None:
        """Take the snapshot that is due, but never before the queue is empty."""
        if self._snapshot_due and not self._more:
            self._snapshot_due = False
            self._take_snapshot()
        self.pending = self._more or self._lost

    def _take_snapshot(self) -> None:
        begin, meanwhile = self._loop.now(), Meanwhile(self._events, self.told)
        try:
            snapshot = self._requests.snapshot(meanwhile.listen)
        except (OSError, ProtocolError) as problem:
            self._heard((), meanwhile)
            self._fail("links and addresses cannot be read: %s" % reason(problem))
            self._again_in(RETRY)
            return
        self.state, self.error, self._lost = "ok", None, False
        self.told.snapshot(self._why)
        self._replaced(snapshot._replace(why=self._why))
        self._queue(replayed(meanwhile.events))
        if snapshot.consistent:
            self._said = ""
        else:
            self._say("warning", IN_VAIN)
        if not snapshot.consistent or self._snapshot_due:       # because of what was told with it
            now = self._loop.now()
            self._pace.spent(begin, now)
            self._again_in(self._pace.ready_at - now)

    def _deaf(self, problem: OSError) -> None:
        """Events cannot be received: look again in a while, for the descriptor may stay ready, and read everything then."""
        self._fail("events cannot be received: %s" % reason(problem))
        self._loop.unwatch(self._events.fileno())
        self._lost = self.pending = True
        self._again_in(RETRY)

    def _fail(self, error: str) -> None:
        self.state, self.error = "error", error
        self._say("error", error)

    def _say(self, level: str, line: str) -> None:
        if line != self._said:
            self._said = line
            self._log(level, "netlink: %s" % line)

    def _again_in(self, delay: float) -> None:
        if self._retry is not None:
            self._retry.cancel()
        self._retry = self._loop.call_later(delay, self._again)

    def _again(self) -> None:
        try:
            self._loop.watch(self._events.fileno(), self._readable)
        except OSError as problem:
            self._deaf(problem)
            return
        self._snapshot_due, self._why = True, "retry"
        self._readable(0)

    def _plan_audit(self) -> None:
        if self._audit_interval:
            self._audit_due = self._loop.call_later(self._audit_interval, self._audit)

    def _audit(self) -> None:
        """Only a look, told with what happened meanwhile; where it fails, an event or the next look has more luck."""
        self._plan_audit()
        self._readable(0)
        if self.pending:
            return
        try:
            self._queued = self._requests.links()
        except (OSError, ProtocolError) as problem:
            self._log("debug", "netlink: links cannot be looked at: %s" % reason(problem))
        self._readable(0)
