"""What other hosts publish: a list in pages, then one stream with the watches from where the list ended.

After a break of half a lease's time, and after a list that is not the first, what goes is held for one lease's time and a pause, for
others had the same break.
"""

import random
from typing import Callable, Optional

from netmgr.config.fleet import Fleet
from netmgr.io.deadlines import Deadlines
from netmgr.io.etcd import Failure, Stream
from netmgr.io.fleet_roles import Follower
from netmgr.io.fleet_session import SMALL, RefusedError, Session
from netmgr.io.loop import Loop
from netmgr.values.counters import Told
from netmgr.values.errors import ProtocolError
from netmgr.values.records import Seen
from netmgr.values.text import Log
from netmgr.wire import etcd, http1
from netmgr.wire.etcd_watch import WatchReader

LIST_PAUSE, LIST_PAUSE_LONGEST = 0.005, 60.0        # seconds for each record that is known, and at most
PAGE, PAGE_BYTES = 100, 12 << 10        # records in a page at most, bytes that one should have: what is taken in between two turns
FORBIDDEN_PAUSE = 30.0          # seconds after a refusal that is not a matter of time


class Consuming:
    """Calls changed() when the follower's tables have changed, and ask() when only an answer with a leader tells what is true.

    `pending` is True from begin() until there is a list; `is_followed`: the member says what happens, or will when the list is whole.
    """

    def __init__(self, loop: Loop, settings: Fleet, session: Session, follower: Follower, changed: Callable[[], None],
                 ask: Callable[[], None], say: Log) -> None:
        self.pending = self.is_followed = False
        self.told = Told()
        self.unreadable: Optional[str] = None    # what is consumed may not be read; known until a watch begins
        self._loop, self._session, self._follower = loop, session, follower
        self._changed, self._ask, self._say = changed, ask, say
        self._consumes, self._ttl = bool(settings.consume), float(settings.ttl)
        self._stream: Optional[Stream] = None
        self._reader = WatchReader()
        self._deadlines = Deadlines(loop)
        self._page = self._most = PAGE

    def begin(self) -> None:
        """From now on a list is awaited."""
        self.pending = self._consumes

    def stop(self) -> None:
        """Let go of everything."""
        self._close_stream()
        self._deadlines.cancel_all()
        self.pending = False

    def go_on(self) -> None:
        """There is a member with a leader: what it says from here on may be believed."""
        if not self._session.is_open:
            return
        self.is_followed = True
        if not self._consumes:
            return
        if not self._follower.watches():
            self._follower.begin_list()
            self._next_page()
            return
        self._watch()

    def interrupted(self, error: Optional[Failure]) -> None:
        """The member has gone, or we have left it."""
        self._close_stream()
        self.is_followed = False
        self._deadlines.cancel("list")
        if isinstance(error, ProtocolError) and self._follower.page() is not None:
            self._page = self._most = max(1, self._page // 8)       # a page may have been too large

    def hold(self, now: float) -> None:
        """What goes is held for as long as a host takes to come back."""
        self._follower.doubt(now + self._ttl + self._session.patience)

    def forget(self) -> None:
        """What was heard no longer counts."""
        self._follower.forget()
        self.pending = False
        self._changed()

    def list_again(self) -> None:
        """Everything anew, but not with all other hosts at the same moment."""
        self.is_followed = True
        self._close_stream()
        self.hold(self._loop.now())
        pause = random.uniform(0, min(LIST_PAUSE_LONGEST, LIST_PAUSE * self._follower.entries()))
        self._follower.begin_list()
        self._deadlines.later("list", pause, self._next_page)

    def _next_page(self) -> None:
        wanted = self._follower.page()
        if wanted is None:
            self._listed()
            return
        first, end, revision = wanted
        request = etcd.range_request(self._session.host, first, end, self._page, revision, self._session.headers)
        self._session.ask(request, self._on_page, SMALL if self._page > 1 else etcd.ANSWER_LIMIT, may_be_forbidden=True)

    def _on_page(self, body: bytes) -> None:
        if not body:
            self._forbidden()
            return
        self._follower.take_page(etcd.page(body), self._loop.now())
        self._page = max(1, min(self._most, self._page * PAGE_BYTES // len(body)))
        self._tables_changed()
        self._deadlines.later("list", 0, self._next_page)       # others come in between

    def _listed(self) -> None:
        self.told.snapshot("fleet")
        self.pending = False
        self._most = PAGE
        self._tables_changed()
        self._watch()

    def _watch(self) -> None:
        self._close_stream()
        self._reader = WatchReader()
        session = self._session
        request = etcd.watch_request(session.host, self._follower.watches(), session.headers)
        try:
            self._stream = Stream(self._loop, session.member, request, self._on_stream, self._on_stream_refused, session.lost)
        except OSError as problem:
            session.lost(problem)

    def _on_stream(self, data: bytes) -> None:
        for seen in self._reader.feed(data):
            if self._stream is None:
                break
            self._on_seen(seen)
        self._tables_changed()

    def _on_seen(self, seen: Seen) -> None:
        self.told.events += len(seen.events)
        if not self._follower.take(seen, self._loop.now()):
            self._say("info", "etcd has compacted what was missed; everything is listed again")
            self.list_again()
        elif seen.canceled is not None and "PermissionDenied" in seen.canceled:
            self._forbidden()
        elif seen.canceled is not None:
            raise ProtocolError(seen.canceled)
        else:
            self.unreadable = None
            if self._follower.behind(seen):
                self._ask()         # whether the member lags or this is another store

    def _on_stream_refused(self, head: http1.Head, body: bytes) -> None:
        self._session.lost(RefusedError(etcd.refusal(head, body)))

    def _forbidden(self) -> None:
        """We may not read what we want to; or our token no longer counts, which the next probe will show."""
        self._close_stream()
        self.unreadable = "not permitted to read the zones that are consumed"
        self._say("warning", self.unreadable)
        self._deadlines.later("list", FORBIDDEN_PAUSE, self._session.reconnect)

    def _tables_changed(self) -> None:
        self._changed()
        when = self._follower.deadline()
        if when is None:
            self._deadlines.cancel("settle")
        else:
            self._deadlines.later("settle", max(0.0, when - self._loop.now()), self._settle)

    def _settle(self) -> None:
        self._follower.settle(self._loop.now())
        self._tables_changed()

    def _close_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
