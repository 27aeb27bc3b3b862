"""The control socket: the listener's clients and their limits; the other end of it for the command line.

A client is read only when all its earlier lines are answered and all answers are gone, and it gets one answer a turn of the
loop.  So what waits for a client that does not read is one answer, a flood of commands shares the loop with everything else, and
answers keep the order of the lines.  A client that still has lines to be answered waits for its socket to be writable, which
brings it back next turn.

A client is idle when for IDLE_SECONDS it has neither completed a line nor taken a byte.  One deadline serves all clients; without
any it is not renewed.  When a connection is closed on a client that is still sending, what it has sent is read and dropped first:
the kernel would otherwise answer its next read with a reset.
"""

import socket
from functools import partial
from typing import Callable, Dict, Optional

from netmgr.io.listener import Listener, adopt, listen
from netmgr.io.loop import READ, WRITE, Deadline, Loop
from netmgr.io.peer import Peer, peer_of
from netmgr.values.errors import ProtocolError
from netmgr.wire.lines import LineBuffer

__all__ = ["ControlServer", "Listener", "adopt", "ask", "listen"]

CLIENT_LIMIT = 64
IDLE_SECONDS = 30.0
ACCEPT_PAUSE = 1.0
CHUNK = 4096

Answer = Callable[[str, Peer, bool], str]       # line, whose, whether they may change something -> text


class ControlServer:
    """Serves the listener's clients on the loop until close(), which closes the listener too."""

    def __init__(self, loop: Loop, listener: Listener, answer: Answer, log: Callable[[str, str], None]) -> None:
        self._loop = loop
        self._listener = listener
        self._answer = answer
        self._log = log
        self._clients: Dict[int, _Client] = {}
        self._idle: Optional[Deadline] = None
        self._pause: Optional[Deadline] = None
        self._troubled = False
        loop.watch(listener.socket.fileno(), self._accept)

    def close(self) -> None:
        """Close every connection and the listener."""
        self._loop.unwatch(self._listener.socket.fileno())
        for deadline in (self._idle, self._pause):
            if deadline is not None:
                deadline.cancel()
        for client in list(self._clients.values()):
            client.close()
        self._listener.close()

    def _accept(self, _events: int) -> None:
        try:
            connection, _address = self._listener.socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            self._rest(error)
            return
        self._troubled = False
        connection.setblocking(False)
        if len(self._clients) >= CLIENT_LIMIT:
            _turn_away(connection)
        else:
            self._admit(connection)

    def _rest(self, error: OSError) -> None:
        """Out of descriptors or memory: the connection stays in the queue, and the loop must not spin on it."""
        self._loop.unwatch(self._listener.socket.fileno())
        self._pause = self._loop.call_later(ACCEPT_PAUSE, self._resume)
        if not self._troubled:
            self._log("warning", "cannot accept control connections: %s" % error.strerror)
        self._troubled = True

    def _resume(self) -> None:
        self._loop.watch(self._listener.socket.fileno(), self._accept)

    def _admit(self, connection: socket.socket) -> None:
        fd = connection.fileno()
        self._clients[fd] = _Client(self._loop, connection, partial(self._reply, peer_of(connection)), partial(self._clients.pop, fd))
        if self._idle is None:
            self._idle = self._loop.call_later(IDLE_SECONDS, self._drop_idle)

    def _reply(self, peer: Peer, line: str) -> str:
        return self._answer(line, peer, peer.privileged(self._listener.group))

    def _drop_idle(self) -> None:
        now = self._loop.now()
        for client in list(self._clients.values()):
            if client.active + IDLE_SECONDS <= now:
                client.close()
        self._idle = None
        if self._clients:
            oldest = min(client.active for client in self._clients.values())
            self._idle = self._loop.call_at(oldest + IDLE_SECONDS, self._drop_idle)


class _Client:
    """One connection.  `active` is when it last completed a line or took bytes."""

    def __init__(self, loop: Loop, connection: socket.socket, reply: Callable[[str], str], gone: Callable[[], object]) -> None:
        self.active = loop.now()
        self._loop = loop
        self._connection = connection
        self._reply = reply
        self._gone = gone
        self._lines = LineBuffer()
        self._output = bytearray()
        self._ended = False
        loop.watch(connection.fileno(), self._turn)

    def close(self) -> None:
        """End the connection; closing it again is harmless."""
        if self._connection.fileno() < 0:
            return
        self._loop.unwatch(self._connection.fileno())
        _discard_input(self._connection)
        self._connection.close()
        self._gone()

    def _turn(self, _events: int) -> None:
        if not self._output:
            self._answer_next()
        if self._output:
            self._send()
        more = bool(self._output) or self._lines.waiting()
        if self._ended and not more:
            self.close()
        elif self._connection.fileno() >= 0:
            self._loop.watch(self._connection.fileno(), self._turn, WRITE if more else READ)

    def _answer_next(self) -> None:
        try:
            if not self._lines.waiting():
                self._receive()
            line = self._lines.line()
        except ProtocolError as error:
            self._output += b"ERROR: %s\n" % str(error).encode()
            self._lines = LineBuffer()
            self._ended = True
            return
        if line is not None:
            self.active = self._loop.now()
            self._output += self._reply(line).encode("utf-8", "backslashreplace")

    def _receive(self) -> None:
        try:
            data = self._connection.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._ended = not data
        self._lines.feed(data or b"\n")

    def _send(self) -> None:
        try:
            sent = self._connection.send(self._output)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        del self._output[:sent]
        self.active = self._loop.now()


def _turn_away(connection: socket.socket) -> None:
    try:
        connection.send(b"ERROR: there are %d clients already, try later\n" % CLIENT_LIMIT)
    except OSError:
        pass
    _discard_input(connection)
    connection.close()


def _discard_input(connection: socket.socket) -> None:
    try:
        for _chunk in range(16):
            if not connection.recv(65536):
                return
    except OSError:
        pass


def ask(path: str, line: str, timeout: float) -> str:
    """Send one line to the daemon at `path` and read its answer to the end.

    FileNotFoundError or ConnectionError when none is there or it goes without an answer, TimeoutError when it accepts no connection
    or sends nothing for `timeout` seconds, and any other OSError of connect().
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            connection.connect(path)
            _send_line(connection, line)
            answer = _read_to_end(connection)
        except (BlockingIOError, socket.timeout):
            raise TimeoutError("no answer within %g seconds" % timeout) from None
    if not answer:
        raise ConnectionError("the connection ended without an answer")
    return answer.decode("utf-8", "backslashreplace")


def _send_line(connection: socket.socket, line: str) -> None:
    """A daemon that is full says so and closes, maybe before it was asked: what it said counts."""
    try:
        connection.sendall(line.encode() + b"\n")
        connection.shutdown(socket.SHUT_WR)
    except (BrokenPipeError, ConnectionResetError):
        pass


def _read_to_end(connection: socket.socket) -> bytes:
    received = bytearray()
    try:
        for chunk in iter(lambda: connection.recv(65536), b""):
            received += chunk
    except ConnectionResetError:
        if not received:
            raise
    return bytes(received)
