"""The fleet, live: one member of etcd at a time, asked and watched; what this host publishes and what others do.

With one member go on: a version, a token where there is a user, a lease, a list or the watches from where they were.  A third of a
lease's time apart, the lease is kept alive and something is asked that only a member with a leader answers: the kernel of a frozen
member goes on acknowledging, and the watches on it are silent.  No answer within a fifth of that time: the next member.  Pauses are a
fifth at most, too: longer ones made live hosts vanish from others' sets.

After a break of half a lease's time, and after a list that is not the first, what goes is held for one lease's time and a pause, for
others had the same break.

State is what was last heard, never "connected".
"""

import random
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

from netmgr.config.fleet import Fleet
from netmgr.io.etcd import Asking, Failure, Member, Question, Stream, tls_context
from netmgr.io.fleet_roles import Follower, Publisher
from netmgr.io.loop import Deadline, Loop
from netmgr.values.errors import ProtocolError
from netmgr.values.records import Seen
from netmgr.values.text import Log, reason
from netmgr.wire import etcd, http1
from netmgr.wire.lines import Lines

SMALL = 1 << 20                 # bytes of an answer that is no list
FIRST_PAUSE = 0.1               # seconds
LIST_PAUSE, LIST_PAUSE_LONGEST = 0.005, 60.0        # seconds for each record that is known, and at most
FORBIDDEN_PAUSE = 30.0          # seconds after a refusal that is not a matter of time
FAREWELL = 1.0                  # seconds that a clean stop may wait for etcd


class RefusedError(ProtocolError):
    """etcd has answered that it will not."""

    def __init__(self, refusal: etcd.Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class FleetSource:
    """Calls changed() when the follower's tables have changed.

    `pending` is True from start() until there is a list; with `stale`, at most for that long.  `probe_key`: a key that we may read.
    """

    def __init__(self, loop: Loop, settings: Fleet, probe_key: bytes, follower: Follower, publisher: Publisher,
                 changed: Callable[[], None], log: Log) -> None:
        self.pending = False
        self.version = ""
        self._loop, self._settings, self._changed, self._log = loop, settings, changed, log
        self._follower, self._publisher, self._probe_key = follower, publisher, probe_key
        self._ttl = float(settings.ttl)
        self._patience = self._ttl / 5
        self._members = [Member(endpoint, None, settings.tls.server_name) for endpoint in settings.endpoints]
        self._at = random.randrange(len(self._members))
        self._asking: Optional[Asking] = None
        self._stream: Optional[Stream] = None
        self._lines = Lines(SMALL, "an event")
        self._headers: etcd.Headers = ()
        self._deadlines: Dict[str, Deadline] = {}
        self._failures = 0
        self._page = 200
        self._writing = self._granting = self._alive = False
        self._began = self._heard = self._renewed = 0.0
        self._trouble: Optional[str] = None
        self._unreadable: Optional[str] = None    # what is consumed may not be read; known until a watch begins
        self._said = ""

    # -- the face of a source

    def start(self) -> None:
        """Begin."""
        self._began, self.pending = self._loop.now(), bool(self._settings.consume)
        self._stale_later(self._began)
        self._connect()

    def stop(self, say_goodbye: bool = False) -> None:
        """Let go of everything; with a goodbye, others forget this host at once instead of when its lease ends."""
        if say_goodbye and self._asking is not None and self._publisher.lease:
            self._say_goodbye()
        self._disconnect()
        for name in list(self._deadlines):
            self._cancel(name)
        self.pending = False

    def refresh(self) -> None:
        """Ask a member with a leader whether all is as it was, now."""
        if self._asking is not None:
            self._probe()
        elif "retry" in self._deadlines:
            self._cancel("retry")
            self._connect()

    def publish(self) -> None:
        """What the publisher wants may have changed."""
        self._write()

    @property
    def state(self) -> str:
        """connecting, ok, stale, conflict or error."""
        now = self._loop.now()
        if self._publisher.conflict(now) is not None:
            return "conflict"
        if self._publisher.error() is not None or (self._trouble is not None and not self._heard):
            return "error"
        if not self._heard:
            return "connecting"
        return "ok" if now - self._heard <= self._ttl / 3 + 2 * self._patience else "stale"

    @property
    def error(self) -> Optional[str]:
        """What is wrong, in words."""
        return self._publisher.conflict(self._loop.now()) or self._publisher.error() or self._trouble or self._unreadable

    @property
    def warning(self) -> Optional[str]:
        """What is no reason to be degraded."""
        return etcd.unsafe(self.version)

    @property
    def endpoint(self) -> str:
        """The member that is asked just now."""
        return str(self._members[self._at].endpoint)

    @property
    def last_heard(self) -> Optional[float]:
        """Seconds since the last answer that had a leader; None: never."""
        return self._loop.now() - self._heard if self._heard else None

    @property
    def lease_remaining(self) -> Optional[float]:
        """Seconds that our lease lasts if it is not renewed; None: there is none."""
        return max(0.0, round(self._renewed + self._ttl - self._loop.now(), 1)) if self._publisher.lease else None

    # -- a member: version, token, lease

    def _connect(self) -> None:
        try:
            member = self._with_tls(self._members[self._at])
        except (OSError, ValueError) as problem:
            self._lost(OSError("tls: %s" % problem))
            return
        self._asking = Asking(self._loop, member, self._lost)
        self._ask(etcd.version_request(self._host()), self._on_version)

    def _with_tls(self, member: Member) -> Member:
        if member.endpoint.scheme != "https" or member.context is not None:
            return member
        self._members[self._at] = member._replace(context=tls_context(self._settings.tls))
        return self._members[self._at]

    def _on_version(self, body: bytes) -> None:
        self.version = etcd.version(body)
        self._authenticate()

    def _authenticate(self) -> None:
        settings = self._settings
        if settings.password_file is None or settings.user is None or self._headers:
            self._probe()
            return
        try:
            with open(settings.password_file, encoding="utf-8") as file:
                password = file.read().strip("\n")
        except (OSError, UnicodeDecodeError) as problem:
            self._lost(OSError("%s: %s" % (settings.password_file, reason(problem))))
            return
        self._ask(etcd.authenticate_request(self._host(), settings.user, password), self._on_token)

    def _on_token(self, body: bytes) -> None:
        self._headers = etcd.authorization(etcd.token(body))
        self._probe()

    def _go_on(self) -> None:
        """The member has a leader: what it says from here on may be believed."""
        self._alive = True
        if self._settings.publish and not self._publisher.lease:
            self._grant()
        self._write()
        if self._settings.consume:
            self._follow()

    def _grant(self) -> None:
        if self._granting:
            return
        self._granting = True
        self._ask(etcd.grant_request(self._host(), self._settings.ttl, self._headers), self._on_grant)

    def _on_grant(self, body: bytes) -> None:
        self._granting = False
        lease, _ttl = etcd.granted(body)
        self._renewed = self._loop.now()
        self._publisher.begin(lease)
        self._write()

    # -- alive

    def _probe(self) -> None:
        self._later("probe", self._ttl / 3, self._probe)
        if self._publisher.lease:
            self._ask(etcd.keepalive_request(self._host(), self._publisher.lease, self._headers), self._on_keepalive)
        self._ask(etcd.range_request(self._host(), self._probe_key, b"", 1, 0, self._headers), self._on_probe, may_be_forbidden=True)

    def _on_keepalive(self, body: bytes) -> None:
        if not etcd.kept_alive(body):
            self._log("warning", "fleet: the lease is gone; everything is published again")
            self._publish_again()
        else:
            self._renewed = self._loop.now()

    def _on_probe(self, body: bytes) -> None:
        """Also a refusal for lack of rights comes from a member with a leader; then there is no body."""
        now, before = self._loop.now(), self._heard or self._began
        if now - before >= self._ttl / 2:
            self._hold(now)
        self._heard, self._failures, self._trouble = now, 0, None
        self._stale_later(now)
        self._say("info", "connected to %s, etcd %s" % (self.endpoint, self.version))
        if body and not self._follower.saw(etcd.page(body)):
            self._say("warning", "this is not the etcd that it was; everything is read and published again")
            self._publish_again()
            self._list_again()
        elif not self._alive:
            self._go_on()

    def _publish_again(self) -> None:
        self._publisher.begin(0)
        if self._settings.publish:
            self._grant()

    def _hold(self, now: float) -> None:
        self._follower.doubt(now + self._ttl + self._patience)

    def _stale_later(self, since: float) -> None:
        if self._settings.stale is not None:
            self._later("stale", max(0.0, since + self._settings.stale - self._loop.now()), self._give_up)

    def _give_up(self) -> None:
        self._say("warning", "nothing was heard of etcd for %g s; other hosts' addresses no longer count" % (self._settings.stale or 0))
        self._follower.forget()
        self.pending = False
        self._changed()

    # -- what others publish

    def _follow(self) -> None:
        if not self._follower.watches():
            self._follower.begin_list()
            self._next_page()
            return
        self._watch()

    def _list_again(self) -> None:
        """Everything anew, but not with all other hosts at the same moment."""
        self._alive = True
        self._close_stream()
        self._hold(self._loop.now())
        pause = random.uniform(0, min(LIST_PAUSE_LONGEST, LIST_PAUSE * self._follower.entries()))
        self._follower.begin_list()
        self._later("list", pause, self._next_page)

    def _next_page(self) -> None:
        wanted = self._follower.page()
        if wanted is None:
            self._listed()
            return
        first, end, revision = wanted
        self._ask(etcd.range_request(self._host(), first, end, self._page, revision, self._headers), self._on_page, etcd.ANSWER_LIMIT,
                  may_be_forbidden=True)

    def _on_page(self, body: bytes) -> None:
        if not body:
            self._forbidden()
            return
        self._follower.take_page(etcd.page(body), self._loop.now())
        self._later("list", 0, self._next_page)         # others come in between

    def _listed(self) -> None:
        self.pending = False
        self._tables_changed()
        self._watch()

    def _watch(self) -> None:
        self._close_stream()
        self._lines = Lines(SMALL, "an event")
        request = etcd.watch_request(self._host(), self._follower.watches(), self._headers)
        try:
            self._stream = Stream(self._loop, self._members[self._at], request, self._on_stream, self._on_stream_refused, self._lost)
        except OSError as problem:
            self._lost(problem)

    def _on_stream(self, data: bytes) -> None:
        self._lines.feed(data)
        for line in iter(self._lines.line, None):
            if self._stream is None:
                break
            self._on_seen(etcd.seen(line))
        self._tables_changed()

    def _on_seen(self, seen: Seen) -> None:
        if not self._follower.take(seen, self._loop.now()):
            self._say("info", "etcd has compacted what was missed; everything is listed again")
            self._list_again()
        elif seen.canceled is not None and "PermissionDenied" in seen.canceled:
            self._forbidden()
        elif seen.canceled is not None:
            raise ProtocolError(seen.canceled)
        else:
            self._unreadable = None
            if self._follower.behind(seen):
                self._probe()       # whether the member lags or this is another store, only an answer with a leader tells

    def _forbidden(self) -> None:
        """We may not read what we want to; or our token no longer counts, which the next probe will show."""
        self._close_stream()
        self._unreadable = "not permitted to read the zones that are consumed"
        self._say("warning", self._unreadable)
        self._later("list", FORBIDDEN_PAUSE, self._reconnect)

    def _reconnect(self) -> None:
        self._disconnect()
        self._connect()

    def _on_stream_refused(self, head: http1.Head, body: bytes) -> None:
        self._lost(RefusedError(etcd.refusal(head, body)))

    def _tables_changed(self) -> None:
        self._changed()
        when = self._follower.deadline()
        if when is None:
            self._cancel("settle")
        else:
            self._later("settle", max(0.0, when - self._loop.now()), self._settle)

    def _settle(self) -> None:
        self._follower.settle(self._loop.now())
        self._tables_changed()

    # -- what this host publishes

    def _write(self) -> None:
        due, now = self._publisher.due_at(), self._loop.now()
        if due is None or self._writing or self._asking is None:
            return
        if due > now:
            self._later("write", due - now, self._write)
            return
        zones = self._publisher.take(now)
        if not zones:
            return
        held, lease = self._publisher.held(zones), self._publisher.lease
        conditions, values = self._publisher.records(zones, now)
        self._writing = True

        def answered(head: http1.Head, body: bytes) -> None:
            self._writing = False
            if lease == self._publisher.lease:      # else all of it is written again on another
                self._on_written(zones, held, head, body)
            self._write()

        request = etcd.put_request(self._host(), conditions, values, lease, self._headers)
        self._asking.ask(Question(request, SMALL, self._patience, answered))

    def _on_written(self, zones: Sequence[str], held: Sequence[Tuple[bytes, ...]], head: http1.Head, body: bytes) -> None:
        now = self._loop.now()
        if head.status == 200:
            answer = etcd.committed(body)
            if answer.succeeded:
                self._publisher.written(zones, held)
            else:
                self._publisher.not_written(zones, answer.found, now)
        else:
            refusal = etcd.refusal(head, body)
            if refusal.code == etcd.NOT_FOUND:
                self._publish_again()
            elif refusal.code == etcd.PERMISSION_DENIED:
                self._publisher.refused(zones, refusal.message, now)
            else:
                raise RefusedError(refusal)

    def _say_goodbye(self) -> None:
        """Waits a moment for the answer: the loop is over, and this is the last thing that is said."""
        assert self._asking is not None
        done: List[bool] = []

        def answered(_body: bytes) -> None:
            done.append(True)

        self._ask(etcd.put_request(self._host(), (), self._publisher.farewell(), self._publisher.lease, self._headers), lambda _body: None)
        self._ask(etcd.revoke_request(self._host(), self._publisher.lease, self._headers), answered)
        until = self._loop.now() + FAREWELL
        while not done and self._asking is not None and self._loop.now() < until:
            self._loop.turn(until - self._loop.now())

    # -- failing

    def _lost(self, error: Failure) -> None:
        """The next member, soon."""
        self._disconnect()
        self._trouble = "%s: %s" % (self.endpoint, reason(error))
        self._say("warning", self._trouble)
        pause = min(FIRST_PAUSE * 2.0 ** min(self._failures, 16), self._patience)
        if isinstance(error, RefusedError) and error.refusal.code == etcd.UNAUTHENTICATED:
            self._headers = ()
        if isinstance(error, ProtocolError) and self._follower.page() is not None:
            self._page = max(1, self._page // 8)        # a page may have been too large
        self._failures += 1
        self._at = (self._at + 1) % len(self._members)
        self._later("retry", pause * random.uniform(0.5, 1), self._connect)

    def _disconnect(self) -> None:
        self._close_stream()
        self._writing = self._granting = self._alive = False
        if self._asking is not None:
            self._asking.close()
            self._asking = None
        for name in ("probe", "list", "write"):
            self._cancel(name)

    def _close_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    # -- small change

    def _host(self) -> str:
        endpoint = self._members[self._at].endpoint
        return "localhost" if endpoint.scheme == "unix" else str(endpoint).partition("//")[2]

    def _ask(self, request: bytes, answered: Callable[[bytes], None], limit: int = SMALL, may_be_forbidden: bool = False) -> None:
        """Ask this member.  An answer that is not 200 is a failure; if it may be forbidden, that is answered with nothing."""
        def receive(head: http1.Head, body: bytes) -> None:
            if head.status == 200:
                answered(body)
                return
            refusal = etcd.refusal(head, body)
            if not may_be_forbidden or refusal.code != etcd.PERMISSION_DENIED:
                raise RefusedError(refusal)
            answered(b"")

        if self._asking is not None:
            self._asking.ask(Question(request, limit, self._patience, receive))

    def _say(self, level: str, line: str) -> None:
        if line != self._said:
            self._said = line
            self._log(level, "fleet: " + line)

    def _later(self, name: str, delay: float, callback: Callable[[], Any]) -> None:
        self._cancel(name)

        def due() -> None:
            del self._deadlines[name]
            callback()

        self._deadlines[name] = self._loop.call_later(delay, due)

    def _cancel(self, name: str) -> None:
        if name in self._deadlines:
            self._deadlines.pop(name).cancel()
