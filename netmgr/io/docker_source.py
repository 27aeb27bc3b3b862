"""The container engine, live: one connection for its events, and a short one for each question.

The order is: ask for the version, subscribe to the events, and only then list; so nothing that happens in between is missed.  An
engine says that it has subscribed us a moment before it does, may tell an event before the list shows its effect (see docker.py), and
drops events when we read too slowly.  Therefore one more list follows `confirm` seconds after the last event.

Any failure ends all connections and begins anew, after a pause that doubles from `first_retry` to `longest_retry` (less up to half of
it at random) and is short again once a connection has lasted.  What is known is kept for the grace time; then there are no containers
until an engine tells otherwise.  Without a socket nothing is known, nothing is amiss (if `enabled` is auto) and the socket is looked
for every `longest_retry`.

Every question has a deadline.  The stream of events has none once it has begun: a peer that dies closes it.
"""

import os
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

from netmgr.config.schema import Docker
from netmgr.io.http_exchange import Exchange, Failure
from netmgr.io.loop import Deadline, Loop
from netmgr.values.errors import ProtocolError
from netmgr.values.events import ContainerSeen
from netmgr.values.text import reason
from netmgr.wire import docker, http1
from netmgr.wire.docker_questions import LIST, Question, Questions, successful


class Timing(NamedTuple):
    """All in seconds.  A list begins at least `pause` after the one before has ended."""

    patience: float = 10.0
    list_patience: float = 30.0
    pause: float = 0.05
    confirm: float = 1.0
    first_retry: float = 0.1
    longest_retry: float = 30.0
    steady: float = 10.0


TIMING = Timing()


class DockerSource:
    """Which containers run, as the engine at settings.socket tells.

    `changed` gets all of them, each time that they have been listed, and none when it is settled that no engine is there.  It may be
    called from within start() and refresh(), and is not called after stop().  `pending` is True from start() until the first call.
    `healthy` of a container is kept up to date only with settings.require_healthy.

    For who looks on: `exchanges` and `deadlines` are what is under way and awaited, by name, `failures` those since it last went well.
    """

    def __init__(self, loop: Loop, settings: Docker, changed: Callable[[Sequence[ContainerSeen]], None], log: Callable[[str, str], None],
                 timing: Timing = TIMING) -> None:
        self.state = "disabled"
        self.error: Optional[str] = None
        self.pending = False
        self.facts: Dict[str, int] = {}
        self._loop, self._settings, self._timing = loop, settings, timing
        self._changed, self._log = changed, log
        self.exchanges: Dict[str, Exchange] = {}
        self.deadlines: Dict[str, Deadline] = {}
        self._questions: Optional[Questions] = None
        self._engine = docker.Engine("", "", False)
        self._lines = docker.event_lines()
        self._known = False             # an engine has told, and its word still counts
        self.failures = 0
        self._connected = self._asked = self._not_before = 0.0
        self._said = ""

    def start(self) -> None:
        """Begin; nothing to do when the settings say so."""
        if self._settings.enabled != "false":
            self.state, self.pending = "connecting", True
            self._connect()

    def stop(self) -> None:
        """Let go of everything, at once and silently."""
        self._disconnect()
        for name in list(self.deadlines):
            self._cancel(name)
        self.state, self.error, self.pending = "disabled", None, False

    def refresh(self) -> None:
        """List again; without an engine look for one now."""
        if self._questions is not None:
            self._questions.list_due = True
            self._advance()
        elif "retry" in self.deadlines:
            self._cancel("retry")
            self._connect()

    # -- connecting: version, events

    def _connect(self) -> None:
        question = Question("version", "", docker.version_request(), docker.VERSION_LIMIT)
        self._fetch(question, self._on_version, lambda _question, error: self._lost(error))

    def _on_version(self, _question: Question, head: http1.Head, body: bytes) -> None:
        self._engine = docker.engine(successful(head, body))
        self._lines = docker.event_lines()
        request = docker.events_request(self._engine.api, self._settings.require_healthy)
        self._open("events", request, None, self._on_stream, self._lost)

    def _on_stream(self, event: http1.Event) -> None:
        if isinstance(event, http1.Head):
            successful(event, b"")
            self.exchanges["events"].has_time()
            self._questions = Questions(self._engine, self._settings.require_healthy)
            self._connected = self._loop.now()
            self._later("confirm", self._timing.confirm, self.refresh)
        elif isinstance(event, http1.End):
            raise ProtocolError("the engine ended the stream of events")
        else:
            self._lines.feed(event.data)
            self._take_in([each for each in map(docker.notice, iter(self._lines.line, None)) if each is not None])
        self._advance()

    def _take_in(self, notices: List[docker.Notice]) -> None:
        if notices and self._questions is not None:
            self._questions.notice(notices)
            self._later("confirm", self._timing.confirm, self.refresh)

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
        if self._questions is not None:
            self._report(self._questions.answered(question, head, body))

    def _unanswered(self, question: Question, error: Failure) -> None:
        if question.kind == LIST:
            self._lost(error)
        elif self._questions is not None:
            self._report(self._questions.failed(question))

    def _report(self, containers: Optional[List[ContainerSeen]]) -> None:
        if containers is not None:
            now = self._loop.now()
            self._not_before = now + max(self._timing.pause, min(now - self._asked, 1.0))
            self._cancel("grace")
            self.state, self.error, self.pending, self._known = "ok", None, False, True
            self._say("info", "connected to %s, API %s" % (self._engine.name, self._engine.api))
            self._changed(containers)
        self._advance()

    # -- failing

    def _lost(self, error: Failure) -> None:
        """End every connection, and try again later."""
        lasted = self._questions is not None and self._loop.now() - self._connected >= self._timing.steady
        self._disconnect()
        self.failures = 0 if lasted else self.failures
        absent = isinstance(error, FileNotFoundError) and self._settings.enabled == "auto"
        if absent and not self._known:
            self._later("retry", self._timing.longest_retry, self._connect)
            self._rest()
            return
        self.state, self.error = "connecting" if self._known else "error", reason(error)
        self._say("warning", "%s: %s" % (self._settings.socket, self.error))
        if (self._known or self.pending) and "grace" not in self.deadlines:
            self._later("grace", self._settings.grace, self._give_up)
        self._later("retry", self.retry_delay(), self._connect)

    def retry_delay(self) -> float:
        """How long to wait after one more failure."""
        delay = min(self._timing.first_retry * 2.0 ** min(self.failures, 32), self._timing.longest_retry)
        self.failures += 1
        return delay * (1 - os.urandom(1)[0] / 512)

    def _rest(self) -> None:
        """There is no engine here, and none is missed."""
        if self.state != "disabled":
            self._say("info", "no container engine at %s" % self._settings.socket)
            self.state, self.error = "disabled", None
            self._forget()

    def _give_up(self) -> None:
        """The grace time is over.  One more look, also to see whether an engine is missed at all."""
        self._say("warning", "%s: no engine for %g s; its containers no longer count" % (self._settings.socket, self._settings.grace))
        self.state = "error"
        self._forget()
        self.refresh()

    def _forget(self) -> None:
        self._cancel("grace")
        self.pending = self._known = False
        self._changed([])

    def _disconnect(self) -> None:
        self._questions = None
        for name in list(self.exchanges):
            self.exchanges.pop(name).close()
        self._cancel("pause")
        self._cancel("confirm")

    def _say(self, level: str, line: str) -> None:
        if line != self._said:
            self._said = line
            self._log(level, "docker: " + line)

    # -- connections and deadlines, each under its name

    def _open(self, name: str, request: bytes, limit: Optional[int], receive: Callable[[http1.Event], None],
              failed: Callable[[Failure], None]) -> None:
        patience = self._timing.list_patience if name == LIST else self._timing.patience
        try:
            self.exchanges[name] = Exchange(self._loop, self._settings.socket, request, limit, patience, receive, failed)
        except OSError as error:
            self._lost(error)

    def _fetch(self, question: Question, answered: Callable[[Question, http1.Head, bytes], None],
               failed: Callable[[Question, Failure], None]) -> None:
        """Ask, and collect the whole answer."""
        heads: List[http1.Head] = []
        pieces: List[bytes] = []

        def receive(event: http1.Event) -> None:
            if isinstance(event, http1.Head):
                heads.append(event)
            elif isinstance(event, http1.Body):
                pieces.append(event.data)
            else:
                self.exchanges.pop(question.kind).close()
                answered(question, heads[0], b"".join(pieces))

        def abandon(error: Failure) -> None:
            self.exchanges.pop(question.kind, None)
            failed(question, error)

        self._open(question.kind, question.request, question.limit, receive, abandon)

    def _later(self, name: str, delay: float, callback: Callable[[], None]) -> None:
        self._cancel(name)

        def due() -> None:
            del self.deadlines[name]
            callback()

        self.deadlines[name] = self._loop.call_later(delay, due)

    def _cancel(self, name: str) -> None:
        if name in self.deadlines:
            self.deadlines.pop(name).cancel()
