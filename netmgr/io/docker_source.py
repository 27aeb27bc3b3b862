"""A container engine, live: one connection for its events, and a short one for each question.

The order is: ask who is there, subscribe to the events, and only then list; so nothing that happens in between is missed.  An
engine says that it has subscribed us a moment before it does, may tell an event before its list shows the effect (see docker.py), and
drops events when we read too slowly.  Therefore one more list follows `confirm` seconds after the last event; while events go on, one
every `between` seconds, or more seldom where a list takes long.

An engine may also say nothing before its first event, have no events, or never tell any although it seems to.  A second after the
subscription we list anyway.  Until events are known to come (Docker says so at once, others prove it by the first one) we ask every
`poll_interval` seconds, and when a list shows what no event has told, there is a warning.  Where events come, too, a list follows every
`audit_interval` seconds (0: never).

Any failure ends all connections and begins anew, after a pause that doubles from `first_retry` to `longest_retry` (less up to half of
it at random) and is short again once a connection has lasted.  What is known is kept for the grace time; then there are no containers
until an engine tells otherwise.  Where `enabled` is auto and there is no socket, or one that we may not use, nothing is known, nothing is
amiss, and we look again every `longest_retry`.

Every question has a deadline.  The stream of events has none: a peer that dies closes it.  A list is taken in while it arrives, a few
containers in each turn of the loop, and passed on in pieces.
"""

import os
from typing import Callable, Dict, FrozenSet, Iterable, List, Optional, Sequence

from netmgr.config.schema import Docker
from netmgr.io.clock import utc
from netmgr.io.docker_events import EventStream, Hopes, named
from netmgr.io.http_exchange import Exchange, Failure
from netmgr.io.loop import Deadline, Loop
from netmgr.values.counters import Told
from netmgr.values.errors import ProtocolError
from netmgr.values.events import ContainerSeen
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.text import Log, printable, reason
from netmgr.wire import docker, http1
from netmgr.wire.docker_containers import Reading
from netmgr.wire.docker_questions import LIST, Question, Questions, successful
from netmgr.wire.docker_table import Table

PIECE = 256             # containers that are passed on together
SHOWN = 3
FORBIDDEN = "may not use %s (%s); netmgr.yaml(5) says how to allow it, and what that means"

Changed = Callable[[Sequence[ContainerSeen], Sequence[str]], None]


class Timing(NamedTuple):
    """All in seconds.  A list begins at least `pause` after the one before has ended."""

    patience: float = 10.0
    list_patience: float = 30.0
    headless: float = 1.0
    pause: float = 0.05
    confirm: float = 1.0
    between: float = 5.0
    first_retry: float = 0.1
    longest_retry: float = 30.0
    steady: float = 10.0


TIMING = Timing()


class DockerSource:
    """Which containers run, as the engine at settings.socket tells.

    `changed` gets containers that are new or other than before, and the ids of those that are gone; `known` are those that an earlier
    source of this engine has told.  It may be called from within start() and refresh(), and is not called after stop().  `pending` is
    True from start() until all has been told once, `behind` from start() or refresh() until that has been told.  `warning` says what does
    not work although the rest does.

    For who looks on: `exchanges` and `deadlines` are what is under way and awaited, by name, `failures` those since it last went well.
    """

    def __init__(self, loop: Loop, settings: Docker, audit_interval: float, known: Iterable[ContainerSeen], changed: Changed, log: Log,
                 timing: Timing = TIMING) -> None:
        self.state = "disabled"
        self.error: Optional[str] = None
        self.warning: Optional[str] = None
        self._warned_since: Optional[str] = None
        self.pending = self.behind = False
        self.told = Told()
        self._loop, self._settings, self._audit_interval, self._timing = loop, settings, audit_interval, timing
        self._changed, self._log = changed, log
        self._name = "docker:%s" % settings.name if settings.name else "docker"
        self.exchanges: Dict[str, Exchange] = {}
        self.deadlines: Dict[str, Deadline] = {}
        self._table = Table(known)
        self._engine = docker.Engine("", "", False)
        self._events: Optional[EventStream] = None
        self._questions: Optional[Questions] = None
        self._known = False             # an engine has told, and its word still counts
        self.failures = 0
        self._connected = self._asked = self._took = self._not_before = self._noticed = 0.0
        self._surprises = 0
        self._poll_interval = 0.0
        self._said = ""
        self._warned: FrozenSet[str] = frozenset()

    @property
    def facts(self) -> Dict[str, Optional[str]]:
        """What is to be told beside the state."""
        facts = {"error": self.error, "warning": self.warning}
        if self.warning is not None:
            facts["warning_since"] = self._warned_since
        return {**facts, "reason": self._said} if self.state == "disabled" and self.error is None and self._said else facts

    @property
    def has_engine(self) -> bool:
        """Whether one has told what is told: else its containers are only no longer seen."""
        return self._questions is not None or self._known

    def start(self) -> None:
        """Begin; nothing to do when the settings say so."""
        if self._settings.enabled != "false":
            self.state, self.pending, self.behind = "connecting", True, True
            self._connect()

    def stop(self) -> None:
        """Let go of everything, at once and silently."""
        self._disconnect()
        for name in list(self.deadlines):
            self._cancel(name)
        self._table = Table(())
        self.state, self.error, self.warning, self.pending, self.behind = "disabled", None, None, False, False

    def refresh(self) -> None:
        """List again; without an engine look for one now."""
        self.behind = self._settings.enabled != "false"
        if self._questions is not None:
            self._questions.list_due = True
            self._advance()
        elif "retry" in self.deadlines:
            self._cancel("retry")
            self._connect()

    # -- connecting: who is there, events

    def _connect(self) -> None:
        self._fetch(Question("version", (), docker.VERSION_TARGET, docker.SHORT_LIMIT), self._on_version, self._unanswered)

    def _on_version(self, question: Question, head: http1.Head, body: bytes) -> None:
        if head.status in docker.REFUSALS:
            self._fetch(Question("ping", (), docker.PING_TARGET, docker.SHORT_LIMIT), self._on_ping, self._unanswered)
        else:
            self._subscribe(docker.engine(successful(question.target, head, body)))

    def _on_ping(self, question: Question, head: http1.Head, body: bytes) -> None:
        if head.status in docker.REFUSALS:
            raise ProtocolError(docker.all_refused(head))
        successful(question.target, head, body)
        self._subscribe(docker.pinged(head))

    def _subscribe(self, engine: docker.Engine) -> None:
        timing, settings = self._timing, self._settings
        hopes = Hopes(timing.headless, timing.confirm, timing.longest_retry)
        self._engine = engine
        self._events = EventStream(self._loop, settings.socket, engine, settings.require_healthy, hopes,
                                   self._begin, self._take_in, self._lost)
        try:
            self._events.open()
        except OSError as error:
            self._lost(error)

    def _begin(self) -> None:
        """It is time to list."""
        settings = self._settings
        reading = Reading(settings.name, self._engine.podman, settings.label, settings.require_healthy)
        self._questions, self._surprises = Questions(self._engine, reading, self._table), 0
        self._connected = self._loop.now()
        self._later("confirm", self._timing.confirm, self._confirm)
        self._advance()

    def _take_in(self, notices: List[docker.Notice]) -> None:
        self.told.events += len(notices)
        if self._questions is not None and notices:
            self._noticed = self._loop.now()
            self._questions.notice(notices)
            self._plan_confirmation()
        self._settle()
        self._advance()

    def _plan_confirmation(self) -> None:
        if "confirm" not in self.deadlines:
            earliest = self._asked + max(self._timing.between, 10 * self._took)
            self._later("confirm", max(self._timing.confirm, earliest - self._loop.now()), self._confirm)

    def _confirm(self) -> None:
        if self._loop.now() - self._noticed < self._timing.confirm:
            self._plan_confirmation()
        self.refresh()

    def _plan_poll(self, interval: float) -> None:
        """A list at the latest after so many seconds; 0: never."""
        if interval != self._poll_interval:
            self._cancel("poll")
        self._poll_interval = interval
        if interval and "poll" not in self.deadlines:
            self._later("poll", interval, self._poll)

    def _poll(self) -> None:
        self._settle()
        self.refresh()

    # -- asking

    def _advance(self) -> None:
        """Ask what is due; a list not too soon after the last one."""
        questions, now = self._questions, self._loop.now()
        if questions is None:
            return
        for question in questions.due(now >= self._not_before):
            if self._questions is questions:
                self._ask(question)
        if self._questions is questions and questions.list_due and now < self._not_before:
            self._later("pause", self._not_before - now, self._advance)

    def _ask(self, question: Question) -> None:
        if question.kind == LIST:
            self._asked = self._loop.now()
        self._fetch(question, self._answered, self._unanswered)

    def _answered(self, question: Question, head: http1.Head, body: bytes) -> None:
        questions = self._questions
        if questions is not None:
            questions.answered(question, head, body)
            if question.kind == LIST:
                self._listed(questions)
            self._pass_on()
            self._advance()

    def _listed(self, questions: Questions) -> None:
        now = self._loop.now()
        self.told.snapshot("containers")
        self._took = now - self._asked
        self._not_before = now + max(self._timing.pause, min(self._took, 1.0))
        if questions.surprises > self._surprises and self._events is not None:
            self._events.surprised()
        self._surprises = questions.surprises

    def _unanswered(self, question: Question, error: Failure) -> None:
        if self._questions is None or question.kind == LIST:
            self._lost(error, question.target)
        else:
            self._questions.failed(question)
            self._pass_on()
            self._advance()

    # -- passing on

    def _pass_on(self) -> None:
        """Some of what is new; the rest in the next turns of the loop."""
        table = self._table
        seen, gone = table.take(PIECE)
        if seen or gone:
            self._changed(seen, gone)
        if table is self._table:
            if table.waiting():
                self._later("pass on", 0, self._pass_on)
            else:
                self._settle()

    def _settle(self) -> None:
        """What is to be said of the whole, once all has been passed on."""
        questions, events = self._questions, self._events
        if questions is None or events is None or not questions.complete or self._table.waiting():
            return
        self._cancel("grace")
        self.state, self.error, self.pending, self._known = "ok", None, False, True
        self.behind = self.behind and questions.listing
        self._say("info", "connected to %s, API %s" % (self._engine.name, self._engine.api))
        self._warn(questions, events)
        self._plan_poll(self._audit_interval if events.reliable else self._settings.poll_interval)

    def _warn(self, questions: Questions, events: EventStream) -> None:
        """Say once what does not work, and name each container that is left out."""
        found = ["%s: it is asked every %g s instead" % (events.trouble, self._settings.poll_interval)] if events.trouble else []
        found += [questions.trouble] if questions.trouble else []
        found += ["%s is left out, it makes no sense: %s" % tuple(map(printable, each)) for each in questions.senseless.items()]
        for line in found:
            if line not in self._warned:
                self._log("warning", "%s: %s" % (self._name, line))
        self._warned_since = self._warned_since if self._warned else utc()
        self._warned = frozenset(found)
        self.warning = "; ".join(found[:SHOWN] + ["and so on"] * (len(found) > SHOWN)) or None

    # -- failing

    def _lost(self, error: Failure, target: str = "") -> None:
        """End every connection, and try again later."""
        self.behind = False
        lasted = self._questions is not None and self._loop.now() - self._connected >= self._timing.steady
        self._disconnect()
        self.failures = 0 if lasted else self.failures
        if self._settings.enabled == "auto" and not self._known and isinstance(error, (FileNotFoundError, PermissionError)):
            self._later("retry", self._timing.longest_retry, self._connect)
            self._rest(error)
            return
        self.state, self.error = "connecting" if self._known else "error", named(target, error) if target else reason(error)
        self._say("warning", "%s: %s" % (self._settings.socket, self.error))
        if (self._known or self.pending) and "grace" not in self.deadlines:
            self._later("grace", self._settings.grace, self._give_up)
        self._later("retry", self.retry_delay(), self._connect)

    def retry_delay(self) -> float:
        """Seconds until the next try."""
        delay = min(self._timing.first_retry * 2.0 ** min(self.failures, 32), self._timing.longest_retry)
        self.failures += 1
        return delay * (1 - os.urandom(1)[0] / 512)

    def _rest(self, error: OSError) -> None:
        """There is no engine here, or none for us, and none is missed."""
        denied = isinstance(error, PermissionError)
        line = FORBIDDEN % (self._settings.socket, error.strerror) if denied else "no container engine at %s" % self._settings.socket
        before, self.state, self.error = self.state, "disabled", line if denied else None
        self._say("warning" if denied else "info", line)
        if before != "disabled":
            self._forget()

    def _give_up(self) -> None:
        """The grace time is over.  One more look, also to see whether an engine is missed at all."""
        self.state = "error"
        self._say("warning", "%s: no engine for %g s; its containers no longer count" % (self._settings.socket, self._settings.grace))
        self._forget()
        self.refresh()

    def _forget(self) -> None:
        self._cancel("grace")
        self.pending = self._known = False
        self._table.clear()
        self._pass_on()

    def _disconnect(self) -> None:
        self._questions = None
        if self._events is not None:
            self._events.close()
            self._events = None
        for name in list(self.exchanges):
            self.exchanges.pop(name).close()
        for name in ("pause", "confirm", "poll"):
            self._cancel(name)

    def _say(self, level: str, line: str) -> None:
        if line != self._said:
            self._said = line
            self._log(level, "%s: %s" % (self._name, line))

    # -- connections and deadlines, each under its name

    def _fetch(self, question: Question, answered: Callable[[Question, http1.Head, bytes], None],
               failed: Callable[[Question, Failure], None]) -> None:
        """Ask, and collect the whole answer; but a list is taken in while it arrives."""
        heads: List[http1.Head] = []
        pieces: List[bytes] = []

        def receive(event: http1.Event) -> None:
            if isinstance(event, http1.Head):
                heads.append(event)
            elif not isinstance(event, http1.Body):
                self.exchanges.pop(question.kind).close()
                answered(question, heads[0], b"".join(pieces))
            elif question.kind == LIST and heads[0].status == 200:
                self._take_piece(event.data)
            else:
                pieces.append(event.data)

        def abandon(error: Failure) -> None:
            self.exchanges.pop(question.kind, None)
            failed(question, error)

        patience = self._timing.list_patience if question.kind == LIST else self._timing.patience
        try:
            self.exchanges[question.kind] = Exchange(
                self._loop, self._settings.socket, http1.get(question.target, "docker"), question.limit, patience, receive, abandon)
        except OSError as error:
            self._lost(error)

    def _take_piece(self, data: bytes) -> None:
        if self._questions is not None:
            self._questions.piece(data)
            if self._table.waiting() >= PIECE:
                self._pass_on()

    def _later(self, name: str, delay: float, callback: Callable[[], None]) -> None:
        self._cancel(name)

        def due() -> None:
            del self.deadlines[name]
            callback()

        self.deadlines[name] = self._loop.call_later(delay, due)

    def _cancel(self, name: str) -> None:
        if name in self.deadlines:
            self.deadlines.pop(name).cancel()
