"""The fleet, live: one member of etcd at a time, asked and watched; what this host publishes and what others do.

With one member go on: a lease, a list or the watches from where they were.  A third of a lease's time apart, the lease is kept alive
and something is asked that only a member with a leader answers: the kernel of a frozen member goes on acknowledging, and the watches on
it are silent.  No answer within a fifth of a lease's time: the next member.

State is what was last heard, never "connected".
"""

from typing import Callable, Optional

from netmgr.config.fleet import Fleet
from netmgr.io.deadlines import Deadlines
from netmgr.io.etcd import Failure
from netmgr.io.fleet_consuming import Consuming
from netmgr.io.fleet_publishing import Publishing
from netmgr.io.fleet_roles import Follower, Publisher
from netmgr.io.fleet_session import Session
from netmgr.io.loop import Loop
from netmgr.values.text import Log
from netmgr.wire import etcd


class FleetSource:
    """Calls changed() when the follower's tables have changed.

    `pending` is True from start() until there is a list; with `stale`, at most for that long.  `probe_key`: a key that we may read.
    """

    def __init__(self, loop: Loop, settings: Fleet, probe_key: bytes, follower: Follower, publisher: Publisher,
                 changed: Callable[[], None], log: Log) -> None:
        self._loop, self._settings, self._log = loop, settings, log
        self._follower, self._publisher, self._probe_key = follower, publisher, probe_key
        self._ttl = float(settings.ttl)
        self._session = Session(loop, settings, self._probe, self._ended, self._say)
        self._publishing = Publishing(loop, settings, self._session, publisher, log)
        self._consuming = Consuming(loop, settings, self._session, follower, changed, self._probe, self._say)
        self.told = self._consuming.told
        self._deadlines = Deadlines(loop)
        self._began = self._heard = 0.0
        self._said = ""
        self.given_up = False       # nothing was heard for so long that others no longer count: they may well be there

    def start(self) -> None:
        """Begin."""
        self._began = self._loop.now()
        self._consuming.begin()
        self._stale_later(self._began)
        self._session.connect()

    def stop(self, say_goodbye: bool = False) -> None:
        """Let go of everything; with a goodbye, others forget this host at once instead of when its lease ends."""
        if say_goodbye:
            self._publishing.say_goodbye()
        self._session.stop()
        self._consuming.stop()
        self._deadlines.cancel_all()

    def refresh(self) -> None:
        """Ask a member with a leader whether all is as it was, now."""
        if self._session.is_open:
            self._probe()
        else:
            self._session.connect_now()

    def publish(self) -> None:
        """What the publisher wants may have changed."""
        self._publishing.write()

    @property
    def pending(self) -> bool:
        """Whether a list is awaited."""
        return self._consuming.pending

    @property
    def version(self) -> str:
        """Of the etcd that was asked last; empty before any was."""
        return self._session.version

    @property
    def state(self) -> str:
        """connecting, ok, stale, conflict or error."""
        now = self._loop.now()
        if self._publisher.conflict(now) is not None:
            return "conflict"
        if self._publisher.error() is not None or self._consuming.unreadable or (self._session.trouble is not None and not self._heard):
            return "error"
        if not self._heard:
            return "connecting"
        return "ok" if now - self._heard <= self._ttl / 3 + 2 * self._session.patience else "stale"

    @property
    def error(self) -> Optional[str]:
        """What is wrong, in words."""
        wrong = self._publisher.conflict(self._loop.now()) or self._publisher.error()
        return wrong or self._session.trouble or self._consuming.unreadable

    @property
    def warning(self) -> Optional[str]:
        """What is no reason to be degraded."""
        return etcd.unsafe(self.version)

    @property
    def endpoint(self) -> str:
        """The member that is asked just now."""
        return self._session.endpoint

    @property
    def last_heard(self) -> Optional[float]:
        """Seconds since the last answer that had a leader; None: never."""
        return self._loop.now() - self._heard if self._heard else None

    @property
    def lease_remaining(self) -> Optional[float]:
        """Seconds that our lease lasts if it is not renewed; None: there is none."""
        return self._publishing.lease_remaining

    # -- alive

    def _probe(self) -> None:
        session = self._session
        self._deadlines.later("probe", self._ttl / 3, self._probe)
        self._publishing.keep_alive()
        session.ask(etcd.range_request(session.host, self._probe_key, b"", 1, 0, session.headers), self._on_probe, may_be_forbidden=True)

    def _on_probe(self, body: bytes) -> None:
        """Also a refusal for lack of rights comes from a member with a leader; then there is no body."""
        now, before = self._loop.now(), self._heard or self._began
        if now - before >= self._ttl / 2:
            self._consuming.hold(now)
        self._heard, self.given_up = now, False
        self._stale_later(now)
        self._session.well()
        if body and not self._follower.saw(etcd.page(body)):
            self._say("warning", "this is not the etcd that it was; everything is read and published again")
            self._publishing.again()
            self._consuming.list_again()
        elif not self._consuming.is_followed:
            self._publishing.go_on()
            self._consuming.go_on()

    def _ended(self, error: Optional[Failure]) -> None:
        self._deadlines.cancel("probe")
        self._publishing.interrupted()
        self._consuming.interrupted(error)

    def _stale_later(self, since: float) -> None:
        if self._settings.stale is not None:
            self._deadlines.later("stale", max(0.0, since + self._settings.stale - self._loop.now()), self._give_up)

    def _give_up(self) -> None:
        self.given_up = True
        self._say("warning", "nothing was heard of etcd for %g s; other hosts' addresses no longer count" % (self._settings.stale or 0))
        self._consuming.forget()

    def _say(self, level: str, line: str) -> None:
        if line != self._said:
            self._said = line
            self._log(level, "fleet: " + line)
