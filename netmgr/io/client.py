"""The command line's end of the control socket: one line to the daemon, and its answer.

Whoever listens there may not be netmgr: what it sends is bounded in size and in time.
"""

import math
import select
import socket
import time
from typing import Callable, Dict, Iterable, List, Optional, Tuple

from netmgr.values.errors import ProtocolError
from netmgr.wire.lines import Lines

ANSWER_LIMIT = 256 << 20
LINE_LIMIT = 1 << 20
SLOW_SECONDS = 3.0
LONGEST = 10            # times the time that the daemon may be silent: all of its answer
CONNECT_AGAIN = 0.05
GONE = select.POLLERR | select.POLLHUP


def ask(path: str, line: str, timeout: float, slow: Callable[[], None] = lambda: None, may_be_empty: bool = False) -> str:
    """Send one line to the daemon at `path` and read its answer to the end; `slow` is called when that begins late.

    An answer that may be empty is one that has a line for each of something of which there may be none.

    FileNotFoundError or ConnectionError when none is there or it goes without an answer, TimeoutError when it accepts no connection
    or sends nothing for `timeout` seconds, ProtocolError when its answer does not end, and any other OSError of connect().
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        try:
            _connect(connection, path, time.monotonic() + timeout)
            _send_line(connection, line)
            answer = _read_to_end(connection, timeout, slow)
        except (BlockingIOError, socket.timeout):
            raise TimeoutError("no answer within %g seconds" % timeout) from None
    if not answer and not may_be_empty:
        raise ConnectionError("the connection ended without an answer")
    if answer and not answer.endswith(b"\n"):
        raise ConnectionError("the connection ended in the middle of the answer")
    return answer.decode("utf-8", "backslashreplace")


class Follower:
    """A connection on which the daemon tells lines for as long as it runs.  Making one may fail as ask() does."""

    def __init__(self, path: str, line: str, timeout: float) -> None:
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._connection.settimeout(timeout)
        self._lines = Lines(LINE_LIMIT)
        try:
            _connect(self._connection, path, time.monotonic() + timeout)
            self._connection.sendall(_bytes(line))
        except OSError:
            self.close()
            raise

    def fileno(self) -> int:
        """What becomes readable when something is told."""
        return self._connection.fileno()

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def wait(self, seconds: Optional[float], output: Optional[int] = None) -> List[str]:
        """The lines that have come, as soon as there are any; none when time is over, or when nobody reads this output any more.

        ConnectionError when the daemon has gone.
        """
        if self._connection.fileno() not in _poll(((self._connection.fileno(), select.POLLIN), (output, 0)), seconds):
            return []
        data = self._connection.recv(65536)
        if not data:
            raise ConnectionError("the daemon has gone")
        self._lines.feed(data)
        return [line.decode("utf-8", "backslashreplace") for line in iter(self._lines.line, None)]


def _bytes(line: str) -> bytes:
    """What was typed, whether that was text or not."""
    return line.encode("utf-8", "surrogateescape") + b"\n"


def has_reader(output: Optional[int]) -> bool:
    """False when what is written there would reach nobody any more."""
    return not _poll(((output, 0),), 0).get(output, 0) & GONE


def _poll(descriptors: Iterable[Tuple[Optional[int], int]], seconds: Optional[float]) -> Dict[Optional[int], int]:
    poller = select.poll()
    for descriptor, events in descriptors:
        if descriptor is not None:
            poller.register(descriptor, events)
    return dict(poller.poll(None if seconds is None else math.ceil(seconds * 1000)))


def _connect(connection: socket.socket, path: str, end: float) -> None:
    """A queue of connections that is full may have room in a moment."""
    while True:
        try:
            connection.connect(path)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise
        time.sleep(CONNECT_AGAIN)


def _send_line(connection: socket.socket, line: str) -> None:
    """A daemon that is full says so and closes, maybe before it was asked: what it said counts."""
    try:
        connection.sendall(_bytes(line))
        connection.shutdown(socket.SHUT_WR)
    except (BrokenPipeError, ConnectionResetError):
        pass


def _read_to_end(connection: socket.socket, timeout: float, slow: Callable[[], None]) -> bytes:
    received = bytearray()
    end = time.monotonic() + LONGEST * timeout
    try:
        received += _first(connection, timeout, slow)
        for chunk in iter(lambda: connection.recv(65536), b""):
            received += chunk
            if len(received) > ANSWER_LIMIT or time.monotonic() > end:
                raise ProtocolError("the answer does not end")
    except ConnectionResetError:
        if not received:
            raise
    return bytes(received)


def _first(connection: socket.socket, timeout: float, slow: Callable[[], None]) -> bytes:
    try:
        if timeout > SLOW_SECONDS:
            connection.settimeout(SLOW_SECONDS)
            try:
                return connection.recv(65536)
            except socket.timeout:
                slow()
            connection.settimeout(timeout - SLOW_SECONDS)
        return connection.recv(65536)
    finally:
        connection.settimeout(timeout)
