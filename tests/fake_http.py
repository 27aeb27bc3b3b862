"""An HTTP server on a unix socket, in this process and on the loop of what is tested: what the fake engine and the fake etcd stand on."""

import os
import socket
from typing import Callable, List, Optional

from netmgr.io.loop import READ, WRITE, Loop

END_OF_HEAD = b"\r\n\r\n"


class Connection:
    """One connection to the server."""

    def __init__(self, server: "Server", loop: Loop, connection: socket.socket) -> None:
        self._server, self._loop, self._connection = server, loop, connection
        self._received, self._waiting = b"", bytearray()
        self._ends = False
        self.open = True
        connection.setblocking(False)
        loop.watch(connection.fileno(), self._ready)

    def send(self, data: bytes, end: bool = False) -> None:
        """Send, whenever the peer reads; then close, if that was the end."""
        if self.open:
            self._waiting += data
            self._ends = self._ends or end
            self._flush()

    def close(self) -> None:
        if self.open:
            self.open = False
            self._loop.unwatch(self._connection.fileno())
            self._connection.close()

    def _ready(self, events: int) -> None:
        if events & READ:
            self._receive()
        if self.open and events & WRITE:
            self._flush()

    def _receive(self) -> None:
        try:
            data = self._connection.recv(65536)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self.close()
            return
        self._received += data
        while self.open and END_OF_HEAD in self._received:
            head, _, rest = self._received.partition(END_OF_HEAD)
            length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
            if len(rest) < length:
                return
            self._received = rest[length:]
            self._server.asked(self, head.split(b" ")[1].decode(), rest[:length])

    def _flush(self) -> None:
        try:
            piece = self._server.piece
            del self._waiting[:self._connection.send(self._waiting if piece is None else self._waiting[:piece])]
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            self.close()
            return
        if not self._waiting and self._ends:
            self.close()
        else:
            self._loop.watch(self._connection.fileno(), self._ready, READ | WRITE if self._waiting else READ)


class Server:
    """Gives each request to asked(connection, target, body).  `piece`: so many bytes are sent in a turn of the loop, None is all."""

    def __init__(self, loop: Loop, path: str, asked: Callable[[Connection, str, bytes], None]) -> None:
        self.piece: Optional[int] = None
        self._loop, self._path, self.asked = loop, path, asked
        self._connections: List[Connection] = []
        self._listener: Optional[socket.socket] = None

    def open(self) -> None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        listener.bind(self._path)
        listener.listen(16)
        self._listener = listener
        self._loop.watch(listener.fileno(), lambda _events: self._accept(listener))

    def close(self) -> None:
        """It dies; its socket stays, and refuses."""
        if self._listener is not None:
            self._loop.unwatch(self._listener.fileno())
            self._listener.close()
            self._listener = None
        self.hang_up()

    def remove(self) -> None:
        """It goes, and its socket with it."""
        self.close()
        if os.path.exists(self._path):
            os.unlink(self._path)

    def hang_up(self) -> None:
        """End all connections."""
        for connection in self._connections:
            connection.close()
        self._connections = []

    def _accept(self, listener: socket.socket) -> None:
        accepted, _address = listener.accept()
        self._connections = [*(each for each in self._connections if each.open), Connection(self, self._loop, accepted)]
