"""The events of a container engine, live, and how far they can be relied upon.

An engine may say nothing before its first event, refuse to tell any, end the stream as soon as it has begun, or never tell an event
although it seems to.  Docker says at once that it will; of others nobody knows before the first event.  When a list has shown something,
and still no event has come some time later, none will come.
"""

from typing import Callable, List, Optional

from netmgr.io.http_exchange import Exchange, Failure
from netmgr.io.loop import Deadline, Loop
from netmgr.values.errors import ProtocolError
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.text import reason
from netmgr.wire import docker, http1

ERROR_LIMIT = 1 << 16
MUTE = "the engine tells no events of what its list shows"


class Hopes(NamedTuple):
    """Seconds to wait: for a stream to begin (one that ends sooner was none), for an event about what a list has shown, to try again."""

    begin: float
    mute: float
    again: float


class EventStream:
    """The subscription of one connection.

    ready() is called once, as soon as it is time to list; noticed(notices) for every piece of news, also of such that does not matter;
    lost(error, target) is the last call, when a stream that had begun has ended.  `trouble` says why no events are to be had.
    """

    def __init__(self, loop: Loop, path: str, engine: docker.Engine, health: bool, hopes: Hopes, ready: Callable[[], None],
                 noticed: Callable[[List[docker.Notice]], None], lost: Callable[[Failure, str], None]) -> None:
        self.trouble: Optional[str] = None
        self.reliable = False
        self._loop, self._path, self._engine, self._hopes = loop, path, engine, hopes
        self._target = docker.events_target(engine.api, health)
        self._ready: Optional[Callable[[], None]] = ready
        self._noticed, self._lost = noticed, lost
        self._exchange: Optional[Exchange] = None
        self._deadline: Optional[Deadline] = None
        self._head: Optional[http1.Head] = None
        self._complaint = b""
        self._heard = False
        self._since = 0.0
        self._lines = docker.event_lines()

    def open(self) -> None:
        """Subscribe.  OSError when there is nobody."""
        self._head, self._complaint, self._lines = None, b"", docker.event_lines()
        self._exchange = Exchange(self._loop, self._path, http1.get(self._target, "docker"), None, None, self._receive, self._fail)
        if self._ready is not None:
            self._later(self._hopes.begin, self._begin)

    def close(self) -> None:
        """Nothing more will be called."""
        if self._exchange is not None:
            self._exchange.close()
        self._cancel()

    def surprised(self) -> None:
        """A list has shown what no event has told."""
        if not self._heard and self.trouble is None and self._deadline is None:
            self._later(self._hopes.mute, self._is_mute)

    def _is_mute(self) -> None:
        self.trouble, self.reliable = MUTE, False
        self._noticed([])

    def _receive(self, event: http1.Event) -> None:
        if isinstance(event, http1.Head):
            self._begun(event)
        elif self._head is None or self._head.status != 200:
            self._refused(event)
        elif isinstance(event, http1.End):
            raise ProtocolError("the engine ended the stream of events")
        else:
            self._take_in(event.data)

    def _begun(self, head: http1.Head) -> None:
        self._head, self._since = head, self._loop.now()
        if head.status == 200:
            self.reliable = self.trouble is None and not self._engine.podman
            self._begin()
            if self.trouble is not None:
                self._later(self._hopes.begin, self._goes_on)

    def _goes_on(self) -> None:
        self.reliable, self.trouble = not self._engine.podman, None
        self._noticed([])

    def _refused(self, event: http1.Event) -> None:
        if isinstance(event, http1.Body) and len(self._complaint) < ERROR_LIMIT:
            self._complaint += event.data
        elif isinstance(event, http1.End) and self._head is not None:
            raise ProtocolError(docker.complaint(self._target, self._head, self._complaint))

    def _take_in(self, data: bytes) -> None:
        self._lines.feed(data)
        lines = list(iter(self._lines.line, None))
        notices = [each for each in map(docker.notice, lines) if each is not None]
        if lines:
            self._heard, self.reliable, self.trouble = True, True, None
            self._cancel()
            self._noticed(notices)

    def _begin(self) -> None:
        ready, self._ready = self._ready, None
        self._cancel()
        if ready is not None:
            ready()

    def _fail(self, error: Failure) -> None:
        """Before it has begun: there are no events, but there may be lists.  Later: who knows what has been missed."""
        if self._head is not None and self._head.status == 200 and (self._heard or self._loop.now() - self._since >= self._hopes.begin):
            self._lost(error, self._target)
            return
        self.trouble, self.reliable = named(self._target, error), False
        self._begin()
        self._later(self._hopes.again, self._try_again)
        self._noticed([])

    def _try_again(self) -> None:
        try:
            self.open()
        except OSError as error:
            self._fail(error)

    def _later(self, delay: float, callback: Callable[[], None]) -> None:
        self._cancel()

        def due() -> None:
            self._deadline = None
            callback()

        self._deadline = self._loop.call_later(delay, due)

    def _cancel(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def named(target: str, error: Failure) -> str:
    """An error with the request that failed."""
    text = reason(error)
    return text if text.startswith("GET ") else "GET %s: %s" % (target.partition("?")[0], text)
