"""The control socket: the listener's clients and their limits; the other end of it for the command line.

A client is read only when all its earlier lines are answered and all answers are gone.  Those that wait for an answer stand in a queue,
and at the end of each turn of the loop, when the sets have followed, some of it is answered, until a little time is over: so what waits
for a client that does not read is one answer, neither a flood of commands nor a crowd of clients holds up the rest of the loop longer
than one answer takes, and answers keep the order of the lines.

Places are limited, and nobody can take them all: some are kept for root and the daemon's own user, and each other user has a share.
So are descriptors: clients leave some of them to whatever is opened later, like the modules that an answer needs.

An answer may come in pieces: the next is made when the one before has gone, and takes its turn in that queue; an empty one only means
that making the next one takes longer.  Or it goes on for as long as
the client stays (what happens): who lets more than WAITING_LIMIT bytes wait gets a last line that says so.

A client is idle when for IDLE_SECONDS it has neither completed a line nor taken a byte; while it waits for its answer it is not.  One
deadline serves all clients; without any it is not renewed.  When a connection is closed on a client that is still sending, what it has
sent is read and dropped first: the kernel would otherwise answer its next read with a reset.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections import deque
from functools import partial
from typing import Callable, Deque, Dict, Iterator, Optional, Union

from netmgr.io.listener import Listener, adopt, listen
from netmgr.io.loop import READ, WRITE, Deadline, Loop
from netmgr.io.peer import Peer, peer_of
from netmgr.io.trace import traced
from netmgr.values.errors import ProtocolError
from netmgr.values.replies import Follow, Reply
from netmgr.values.text import Log, reason
from netmgr.wire.lines import Lines

__all__ = ["ControlServer", "Listener", "adopt", "listen"]

CLIENT_LIMIT, KEPT_FOR_TRUSTED, USER_SHARE = 64, 8, 32
DESCRIPTORS_KEPT, DESCRIPTORS_KEPT_FROM_TRUSTED = 24, 16
ACCEPTED_AT_ONCE = 16
ANSWERING_SECONDS = 0.0002
IDLE_SECONDS = 30.0
ACCEPT_PAUSE = 1.0
CHUNK = 4096
LINE_LIMIT = 4096
WAITING_LIMIT = 1 << 20

Answer = Callable[[str, Peer, bool, Reply], None]       # line, whose, whether they may change something, called once


class ControlServer:
    """Serves the listener's clients on the loop until close(), which closes the listener too."""

    def __init__(self, loop: Loop, listener: Listener, answer: Answer, log: Log) -> None:
        self._loop = loop
        self.listener = listener
        self._answer = answer
        self._log = log
        self.clients: Dict[int, _Client] = {}
        self._asking: Deque[_Client] = deque()
        self._serving: Optional[Deadline] = None
        self._idle: Optional[Deadline] = None
        self._pause: Optional[Deadline] = None
        self._troubled = False
        loop.watch(listener.socket.fileno(), self._accept)

    def close(self) -> None:
        """Close every connection and the listener; who is there has what was told last, if he has room for it."""
        self._loop.unwatch(self.listener.socket.fileno())
        for deadline in (self._serving, self._idle, self._pause):
            if deadline is not None:
                deadline.cancel()
        for client in list(self.clients.values()):
            client.say_goodbye()
        self.listener.close()

    def _accept(self, _events: int) -> None:
        for _connection in range(ACCEPTED_AT_ONCE):
            connection = None
            try:
                connection, _address = self.listener.socket.accept()
                self._admit(connection)
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                if connection is not None:
                    connection.close()
                self._rest(error)
                return

    def _rest(self, error: OSError) -> None:
        """Out of descriptors or memory: the connection stays in the queue, and the loop must not spin on it."""
        self._loop.unwatch(self.listener.socket.fileno())
        self._pause = self._loop.call_later(ACCEPT_PAUSE, self._resume)
        if not self._troubled:
            self._log("warning", "cannot accept control connections: %s" % reason(error))
        self._troubled = True

    def _resume(self) -> None:
        try:
            self._loop.watch(self.listener.socket.fileno(), self._accept)
        except OSError as error:
            self._rest(error)

    def _admit(self, connection: socket.socket) -> None:
        self._troubled = False
        connection.setblocking(False)
        peer = peer_of(connection)
        refusal = self._refusal(peer, connection.fileno())
        if refusal:
            _turn_away(connection, refusal)
            return
        connection = traced("control", connection)
        fd = connection.fileno()
        self.clients[fd] = _Client(self._loop, connection, peer, self._queue, partial(self.clients.pop, fd))
        if self._idle is None:
            self._idle = self._loop.call_later(IDLE_SECONDS, self._drop_idle)

    def _refusal(self, peer: Peer, descriptor: int) -> str:
        """Why there is no place for one more client of this user; "" when there is one.  The kernel gives the lowest descriptor."""
        if descriptor >= os.sysconf("SC_OPEN_MAX") - (DESCRIPTORS_KEPT_FROM_TRUSTED if peer.trusted else DESCRIPTORS_KEPT):
            return "there are no more descriptors for clients"
        if len(self.clients) >= CLIENT_LIMIT - (0 if peer.trusted else KEPT_FOR_TRUSTED):
            return "there are %d clients already" % len(self.clients)
        if not peer.trusted and sum(client.peer.uid == peer.uid for client in self.clients.values()) >= USER_SHARE:
            return "this user has %d clients already" % USER_SHARE
        return ""

    def _queue(self, client: _Client) -> None:
        self._asking.append(client)
        if self._serving is None:
            self._serving = self._loop.call_later(0, self._serve)

    def _serve(self) -> None:
        """Answer whose turn it is; the others after the next turn of the loop."""
        end = self._loop.now() + ANSWERING_SECONDS
        while self._asking:
            client = self._asking.popleft()
            if client.pieces is not None:
                client.next_piece()
            elif client.line is not None:
                privileged = client.peer.privileged(self.listener.group)
                self._answer_to(client, client.line, privileged)
            if self._loop.now() >= end:
                break
        self._serving = self._loop.call_later(0, self._serve) if self._asking else None

    def _answer_to(self, client: _Client, line: str, privileged: bool) -> None:
        """What an answer needs may be loaded only now, which takes a descriptor."""
        try:
            self._answer(line, client.peer, privileged, client.answered)
        except (OSError, ImportError) as error:
            client.answered("ERROR: there is no answer to be had now: %s\n" % reason(error))

    def _drop_idle(self) -> None:
        now = self._loop.now()
        for client in list(self.clients.values()):
            since = client.idle_since
            if since is not None and since + IDLE_SECONDS <= now:
                client.close()
        self._idle = None
        if self.clients:
            oldest = min(now if client.idle_since is None else client.active for client in self.clients.values())
            self._idle = self._loop.call_at(oldest + IDLE_SECONDS, self._drop_idle)


class _Client:
    """One connection.  `line` is what it has asked and is not answered yet, `active` when it last completed a line or took bytes."""

    def __init__(self, loop: Loop, connection: socket.socket, peer: Peer, asks: Callable[[_Client], None],
                 gone: Callable[[], object]) -> None:
        self.peer = peer
        self.line: Optional[str] = None
        self.pieces: Optional[Iterator[str]] = None
        self._stop: Optional[Callable[[], None]] = None
        self.active = loop.now()
        self._loop = loop
        self._connection = connection
        self._asks = asks
        self._gone = gone
        self._lines = Lines(LINE_LIMIT)
        self.output = bytearray()
        self._ended = False
        loop.watch(connection.fileno(), self._turn)

    def close(self) -> None:
        """End the connection; closing it again is harmless."""
        if self._connection.fileno() < 0:
            return
        self.line = self.pieces = None
        if self._stop is not None:
            self._stop()
        self._loop.unwatch(self._connection.fileno())
        self._gone()                # whatever comes of the rest: nobody must find it among those that are there
        _discard_input(self._connection)
        with contextlib.suppress(OSError):
            self._connection.close()

    def say_goodbye(self) -> None:
        """End the connection with what can be sent at once."""
        with contextlib.suppress(OSError):
            self._send()
        self.close()

    def answered(self, answer: Union[str, Iterator[str], Follow]) -> None:
        """The answer to `line`: all of it, or its pieces, of which the next is made when the one before has gone, or what tells lines."""
        if self.line is None:
            return
        if isinstance(answer, str):
            self.line = None
            self._put(answer)
        elif callable(answer):
            self.line = None
            self._stop = lambda: None       # it may tell something at once
            self._stop = answer(self._told)
            self._turn(WRITE)
        else:
            self.pieces = answer
            self._asks(self)

    def next_piece(self) -> None:
        """Make the next piece of the answer and send it."""
        piece = next(self.pieces, None) if self.pieces is not None else None
        if piece:
            self._put(piece)
        elif piece is not None:
            self._asks(self)
        else:
            self.line = self.pieces = None
            self._safely(self._watch)

    @property
    def idle_since(self) -> Optional[float]:
        """When it last did something; None: it waits for us, or is told what happens."""
        waits = self.line is not None and not (self.pieces is not None and self.output)
        return None if waits or (self._stop is not None and not self.output) else self.active

    def _put(self, text: str) -> None:
        self.output += text.encode("utf-8", "backslashreplace")
        self._turn(WRITE)

    def _told(self, line: str) -> None:
        """Something has happened.  Who does not read it in time is told so, and no more."""
        if self._stop is None:
            return
        if len(self.output) > WAITING_LIMIT:
            self.output += b"ERROR: more than %d bytes wait to be read; you are told no more\n" % WAITING_LIMIT
            self._stop()
            self._stop, self._ended = None, True
        else:
            self.output += line.encode("utf-8", "backslashreplace")
        self._watch()

    def _turn(self, _events: int) -> None:
        self._safely(self._step)

    def _safely(self, action: Callable[[], None]) -> None:
        try:
            action()
        except OSError:
            self.close()

    def _step(self) -> None:
        if self.output:
            self._send()
            if not self.output and self.pieces is not None:
                self._asks(self)
        elif self._stop is not None:
            self._hear()
        elif self.line is None:
            self._next_line()
        self._watch()

    def _watch(self) -> None:
        """Wait for what can happen next."""
        fd = self._connection.fileno()
        if fd < 0:
            return
        if self.line is not None and not self.output:
            self._loop.unwatch(fd)
        elif self._ended and not self.output and self._stop is None and not self._lines.waiting():
            self.close()
        elif self._stop is not None:
            self._loop.watch(fd, self._turn, WRITE if self.output else 0 if self._ended else READ)     # 0: of a hang-up it is told
        else:
            self._loop.watch(fd, self._turn, WRITE if self.output or self._lines.waiting() else READ)

    def _hear(self) -> None:
        """A client that is told what happens may end its side and stay, or go; what it says is not read any more."""
        if self._ended:
            self.close()
            return
        try:
            self._ended = not self._connection.recv(CHUNK)
        except BlockingIOError:
            pass

    def _next_line(self) -> None:
        try:
            if not self._lines.waiting():
                self._receive()
            line = self._lines.line()
        except ProtocolError as error:
            self.output += b"ERROR: %s\n" % str(error).encode()
            self._lines = Lines(LINE_LIMIT)
            self._ended = True
            return
        if line is not None:
            self.line = line.decode("utf-8", "backslashreplace")
            self.active = self._loop.now()
            self._asks(self)

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
            sent = self._connection.send(self.output)
        except BlockingIOError:
            return
        del self.output[:sent]
        self.active = self._loop.now()


def _turn_away(connection: socket.socket, refusal: str) -> None:
    try:
        connection.send(b"ERROR: %s, try later\n" % refusal.encode())
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
