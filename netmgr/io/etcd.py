"""Connections to one member of etcd: questions one after the other on one that is kept, and a stream of events on another.

Nothing waits: connecting, the TLS handshake, sending and receiving all go on as the loop says that they can.  After a handshake's
wish to read or write, and after each read, TLS is asked until it has no more: decrypted bytes that it holds are invisible to a selector.
The kernel of a frozen member goes on acknowledging, so each question has a deadline of its own; TCP_USER_TIMEOUT ends a connection
whose other side has vanished.
"""

import errno
import socket
from collections import deque
from typing import TYPE_CHECKING, Callable, Deque, Optional, Union

from netmgr.config.fleet import Endpoint, Tls
from netmgr.io.loop import READ, WRITE, Deadline, Loop
from netmgr.values.errors import ProtocolError
from netmgr.values.named_tuple import NamedTuple
from netmgr.wire import http1

if TYPE_CHECKING:
    from ssl import SSLContext
else:
    SSLContext = object         # loaded only where it is used

RECEIVE = 1 << 16
TURN_LIMIT = 1 << 18            # bytes of answers taken in one turn of the loop
STREAM_LIMIT = 1 << 13          # of a stream: some 20 events, each of which is some work
USER_TIMEOUT = 15_000           # milliseconds

Failure = Union[OSError, ProtocolError]


class Member(NamedTuple):
    """Whom to connect to, and by which TLS; `server_name` is what the certificate must bear, where that is not the address."""

    endpoint: Endpoint
    context: Optional[SSLContext] = None
    server_name: Optional[str] = None


class Question(NamedTuple):
    """A request, the largest answer that it may have (bytes), how long it may take (seconds), and who gets the answer."""

    request: bytes
    limit: int
    patience: float
    answered: Callable[[http1.Head, bytes], None]


def tls_context(tls: Tls) -> SSLContext:
    """What the section `tls` means.  OSError when a file cannot be read or used."""
    import ssl
    context = ssl.create_default_context(cafile=tls.ca)
    if tls.certificate is not None:
        context.load_cert_chain(tls.certificate, tls.key, lambda: "")
    return context


class Connection:
    """A stream of bytes to a member.  failed(error) is the last call; opened() comes first, received(bytes) as often as need be.

    No more than `at_once` bytes are taken in one turn of the loop.
    """

    def __init__(self, loop: Loop, member: Member, opened: Callable[[], None], received: Callable[[bytes], None],
                 failed: Callable[[Failure], None], at_once: int = TURN_LIMIT) -> None:
        self._loop, self._opened, self._received, self._failed, self._at_once = loop, opened, received, failed, at_once
        endpoint = member.endpoint
        self._context = member.context if endpoint.scheme == "https" else None
        self._name = member.server_name or endpoint.host
        self._pending = bytearray()
        self._step: Callable[[], None] = self._connecting
        self._wants_write = True
        self._again: Optional[Deadline] = None
        family = socket.AF_UNIX if endpoint.scheme == "unix" else socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            self._begin(endpoint)
        except OSError:
            self._socket.close()
            raise
        self._fd = self._socket.fileno()
        self._watch()

    @property
    def is_open(self) -> bool:
        """Whether close() or failed() has not been called."""
        return self._fd >= 0

    def send(self, data: bytes) -> None:
        """Send these bytes as soon as they can be, after opened()."""
        self._pending += data
        self._run(self._flush)

    def close(self) -> None:
        """Nothing more will be called."""
        if self._fd >= 0:
            self._loop.unwatch(self._fd)
            self._fd = -1
            if self._again is not None:
                self._again.cancel()
            self._socket.close()

    def _begin(self, endpoint: Endpoint) -> None:
        if endpoint.scheme == "unix":
            self._socket.connect(endpoint.host)
            return
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT)
        number = self._socket.connect_ex((endpoint.host, endpoint.port))
        if number not in (0, errno.EINPROGRESS):
            raise OSError(number, errno.errorcode.get(number, str(number)))

    def _watch(self) -> None:
        if self._fd >= 0:
            self._loop.watch(self._fd, self._ready, READ | WRITE if self._wants_write else READ)

    def _ready(self, _events: int) -> None:
        self._run(self._step)

    def _run(self, step: Callable[[], None]) -> None:
        """Go as far as it goes without waiting."""
        if self._fd < 0:
            return
        wanted = self._wants_write
        try:
            step()
        except (OSError, ProtocolError) as error:
            self.close()
            self._failed(error)
            return
        if self._wants_write != wanted:
            self._watch()

    def _connecting(self) -> None:
        import os
        number = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            raise OSError(number, os.strerror(number))
        if self._context is None:
            self._open()
            return
        self._loop.unwatch(self._fd)
        self._socket = self._context.wrap_socket(self._socket, server_hostname=self._name, do_handshake_on_connect=False)
        self._fd = self._socket.fileno()
        self._watch()
        self._step = self._handshake
        self._handshake()

    def _handshake(self) -> None:
        import ssl
        try:
            self._socket.do_handshake()         # type: ignore[attr-defined]
        except ssl.SSLWantReadError:
            self._wants_write = False
        except ssl.SSLWantWriteError:
            self._wants_write = True
        else:
            self._open()

    def _open(self) -> None:
        self._step = self._exchange
        self._wants_write = bool(self._pending)
        self._opened()

    def _exchange(self) -> None:
        self._flush()
        self._receive()

    def _flush(self) -> None:
        if self._step != self._exchange:
            return
        while self._pending:
            try:
                sent = self._socket.send(self._pending)
            except OSError as error:
                if not _waits(error):
                    raise
                self._wants_write = type(error).__name__ != "SSLWantReadError"
                return
            del self._pending[:sent]
        self._wants_write = False

    def _receive(self) -> None:
        """What is there, but a bounded amount a turn: others wait, too."""
        taken = 0
        while self._fd >= 0:
            try:
                data = self._socket.recv(min(RECEIVE, self._at_once))
            except OSError as error:
                if not _waits(error):
                    raise
                return
            if not data:
                raise ConnectionResetError(errno.ECONNRESET, "the member has closed the connection")
            taken += len(data)
            self._received(data)
            if taken >= self._at_once:
                if self._context is not None:
                    self._later()
                return

    def _later(self) -> None:
        """TLS may hold more than the selector knows."""
        def again() -> None:
            self._again = None
            self._run(self._receive)

        if self._fd >= 0 and self._again is None:
            self._again = self._loop.call_later(0, again)


class Asking:
    """Questions to one member, one after the other.  failed(error) is the last call: the questions that were left have no answer."""

    def __init__(self, loop: Loop, member: Member, failed: Callable[[Failure], None]) -> None:
        self._loop, self._failed = loop, failed
        self._waiting: Deque[Question] = deque()
        self._reply: Optional[http1.Reply] = None
        self._head: Optional[http1.Head] = None
        self._body = bytearray()
        self._open = False
        self._deadline: Optional[Deadline] = None
        self._member = member
        self._connection: Optional[Connection] = None

    def ask(self, question: Question) -> None:
        """Ask when everything before has been answered."""
        self._waiting.append(question)
        if len(self._waiting) == 1:
            self._next()

    def close(self) -> None:
        """Nothing more will be called."""
        self._waiting.clear()
        self._hang_up()

    def _next(self) -> None:
        question = self._waiting[0]
        self._deadline = self._loop.call_later(question.patience, self._too_late)
        if self._connection is None:
            try:
                self._connection = Connection(self._loop, self._member, self._opened, self._received, self._fail)
            except OSError as error:
                problem = error
                self._loop.call_later(0, lambda: self._fail(problem))
        elif self._open:
            self._send()

    def _opened(self) -> None:
        self._open = True
        if self._waiting:
            self._send()

    def _send(self) -> None:
        question = self._waiting[0]
        self._reply, self._head = http1.Reply(question.limit), None
        self._body.clear()
        assert self._connection is not None
        self._connection.send(question.request)

    def _received(self, data: bytes) -> None:
        if self._reply is None:
            raise ProtocolError("an answer to no question")
        for event in self._reply.feed(data):
            if isinstance(event, http1.Head):
                self._head = event
            elif isinstance(event, http1.Body):
                self._body += event.data
            else:
                self._answered()

    def _answered(self) -> None:
        assert self._reply is not None
        if self._reply.rest:
            raise ProtocolError("bytes behind an answer")
        question, head = self._waiting.popleft(), self._head
        self._reply = None
        if self._deadline is not None:
            self._deadline.cancel()
        assert head is not None
        if not http1.stays(head):
            self._hang_up()
        try:
            question.answered(head, bytes(self._body))
        except ProtocolError as error:
            self.close()
            self._failed(error)
            return
        if self._waiting and self._reply is None:
            self._next()

    def _too_late(self) -> None:
        if self._waiting:
            self._fail(TimeoutError(errno.ETIMEDOUT, "no answer within %g s" % self._waiting[0].patience))

    def _hang_up(self) -> None:
        self._open, self._reply = False, None
        if self._deadline is not None:
            self._deadline.cancel()
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _fail(self, error: Failure) -> None:
        """A connection that ends while nothing is asked has only been idle for too long."""
        asked = bool(self._waiting)
        self.close()
        if asked:
            self._failed(error)


class Stream:
    """One request whose answer has no end: received(bytes) gets its body.  refused(head, body) or failed(error) is the last call."""

    def __init__(self, loop: Loop, member: Member, request: bytes, received: Callable[[bytes], None],
                 refused: Callable[[http1.Head, bytes], None], failed: Callable[[Failure], None]) -> None:
        self._received, self._refused = received, refused
        self._reply = http1.Reply(None)
        self._head: Optional[http1.Head] = None
        self._complaint = bytearray()
        self._connection = Connection(loop, member, lambda: self._connection.send(request), self._feed, failed, STREAM_LIMIT)

    def close(self) -> None:
        """Nothing more will be called."""
        self._connection.close()

    def _feed(self, data: bytes) -> None:
        for event in self._reply.feed(data):
            if isinstance(event, http1.Head):
                self._head = event
            elif isinstance(event, http1.End):
                self._ended()
            elif self._head is not None and self._head.status == 200:
                if self._connection.is_open:
                    self._received(event.data)
            else:
                self._complaint += event.data[:1000]

    def _ended(self) -> None:
        assert self._head is not None
        if self._head.status == 200:
            raise ProtocolError("the stream of events has ended")
        self._connection.close()
        self._refused(self._head, bytes(self._complaint))


def _waits(error: OSError) -> bool:
    """Whether it only means: not now."""
    if isinstance(error, BlockingIOError):
        return True
    return type(error).__name__ in ("SSLWantReadError", "SSLWantWriteError")
