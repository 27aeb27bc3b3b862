"""What this host publishes, written on a lease: granted, kept alive, and revoked at a clean stop."""

from typing import List, Optional, Sequence, Tuple

from netmgr.config.fleet import Fleet
from netmgr.io.deadlines import Deadlines
from netmgr.io.fleet_roles import Publisher
from netmgr.io.fleet_session import RefusedError, Session
from netmgr.io.loop import Loop
from netmgr.values.text import Log
from netmgr.wire import etcd, http1

FAREWELL = 1.0                  # seconds that a clean stop may wait for etcd


class Publishing:
    """One transaction at a time, of what the publisher wants written."""

    def __init__(self, loop: Loop, settings: Fleet, session: Session, publisher: Publisher, log: Log) -> None:
        self._loop, self._session, self._publisher, self._log = loop, session, publisher, log
        self._zones, self._ttl = settings.publish, settings.ttl
        self._deadlines = Deadlines(loop)
        self._writing = self._granting = False
        self._renewed = 0.0

    @property
    def lease_remaining(self) -> Optional[float]:
        """Seconds that our lease lasts if it is not renewed; None: there is none."""
        return max(0.0, round(self._renewed + self._ttl - self._loop.now(), 1)) if self._publisher.lease else None

    def go_on(self) -> None:
        """There is a member with a leader."""
        if self._zones and not self._publisher.lease:
            self._grant()
        self.write()

    def interrupted(self) -> None:
        """What was asked has no answer."""
        self._writing = self._granting = False
        self._deadlines.cancel("write")

    def keep_alive(self) -> None:
        """Ask that our lease goes on, if there is one."""
        if self._publisher.lease:
            self._session.ask(etcd.keepalive_request(self._session.host, self._publisher.lease, self._session.headers), self._on_keepalive)

    def again(self) -> None:
        """Publish everything on another lease."""
        self._publisher.begin(0)
        if self._zones:
            self._grant()

    def write(self) -> None:
        """Write what is due."""
        due, now = self._publisher.due_at(), self._loop.now()
        if due is None or self._writing or not self._session.is_open:
            return
        if due > now:
            self._deadlines.later("write", due - now, self.write)
            return
        zones = self._publisher.take(now)
        if zones:
            self._put(zones, now)

    def say_goodbye(self) -> None:
        """Waits a moment for the answer: the loop is over, and this is the last thing that is said."""
        session, lease = self._session, self._publisher.lease
        if not session.is_open or not lease:
            return
        done: List[bool] = []

        def answered(_body: bytes) -> None:
            done.append(True)

        session.ask(etcd.put_request(session.host, (), self._publisher.farewell(), lease, session.headers), lambda _body: None)
        session.ask(etcd.revoke_request(session.host, lease, session.headers), answered)
        until = self._loop.now() + FAREWELL
        while not done and session.is_open and self._loop.now() < until:
            self._loop.turn(until - self._loop.now())

    def _grant(self) -> None:
        if self._granting:
            return
        self._granting = True
        self._session.ask(etcd.grant_request(self._session.host, self._ttl, self._session.headers), self._on_grant)

    def _on_grant(self, body: bytes) -> None:
        self._granting = False
        lease, _ttl = etcd.granted(body)
        self._renewed = self._loop.now()
        self._publisher.begin(lease)
        self.write()

    def _on_keepalive(self, body: bytes) -> None:
        if not etcd.kept_alive(body):
            self._log("warning", "fleet: the lease is gone; everything is published again")
            self.again()
        else:
            self._renewed = self._loop.now()

    def _put(self, zones: Sequence[str], now: float) -> None:
        held, lease = self._publisher.held(zones), self._publisher.lease
        conditions, values = self._publisher.records(zones, now)
        self._writing = True

        def answered(head: http1.Head, body: bytes) -> None:
            self._writing = False
            if lease == self._publisher.lease:      # else all of it is written again on another
                self._on_written(zones, held, head, body)
            self.write()

        self._session.ask_openly(etcd.put_request(self._session.host, conditions, values, lease, self._session.headers), answered)

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
                self.again()
            elif refusal.code == etcd.PERMISSION_DENIED:
                self._publisher.refused(zones, refusal.message, now)
            else:
                raise RefusedError(refusal)
