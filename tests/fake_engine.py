"""A container engine on a unix socket, in this process and on the same loop as what is tested.

It answers as an engine would, out of `containers` and `health`.  `handlers` replaces the answer to one kind of request: version, ping,
events, list, some (containers by their ids) or inspect.  `asked` is every request, in order.
"""

import os
import socket
from typing import Any, Callable, Dict, List, Optional

from netmgr.io.loop import READ, WRITE, Loop
from tests import engine_bodies as bodies


class Client:
    """One connection to the engine."""

    def __init__(self, loop: Loop, connection: socket.socket, requested: Callable[["Client", str], None]) -> None:
        self._loop, self._connection, self._requested = loop, connection, requested
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
            try:
                data = self._connection.recv(65536)
            except (BlockingIOError, ConnectionResetError):
                data = None
            if data == b"":
                self.close()
            elif data is not None and b"\r\n\r\n" not in self._received:
                self._received += data
                if b"\r\n\r\n" in self._received:
                    self._requested(self, self._received.split(b" ")[1].decode())
        if self.open and events & WRITE:
            self._flush()

    def _flush(self) -> None:
        try:
            while self._waiting:
                del self._waiting[:self._connection.send(self._waiting)]
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            self.close()
            return
        if self._ends and not self._waiting:
            self.close()
        else:
            self._loop.watch(self._connection.fileno(), self._ready, READ | WRITE if self._waiting else READ)


class FakeEngine:
    def __init__(self, loop: Loop, path: str, api: str = "1.41", podman: bool = False) -> None:
        self.api, self.podman = api, podman
        self.containers: List[Dict[str, Any]] = []
        self.health: Dict[str, str] = {}
        self.handlers: Dict[str, Callable[[Client], None]] = {}
        self.asked: List[str] = []
        self.streams: List[Client] = []
        self._clients: List[Client] = []
        self._loop, self._path = loop, path
        self._listener: Optional[socket.socket] = None

    def open(self) -> "FakeEngine":
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        listener.bind(self._path)
        listener.listen(16)
        self._listener = listener
        self._loop.watch(listener.fileno(), lambda _events: self._accept(listener))
        return self

    def close(self) -> None:
        """The engine dies; its socket stays, and refuses."""
        if self._listener is not None:
            self._loop.unwatch(self._listener.fileno())
            self._listener.close()
            self._listener = None
        self.hang_up()

    def remove(self) -> None:
        """The engine goes, and its socket with it."""
        self.close()
        os.unlink(self._path)

    def hang_up(self) -> None:
        """End all connections."""
        for client in self._clients:
            client.close()
        self._clients, self.streams = [], []

    def emit(self, data: bytes) -> None:
        """Bytes of the events' stream, as one chunk."""
        for stream in self.streams:
            stream.send(bodies.chunk(data))

    def count(self, kind: str) -> int:
        return sum(_kind(target) == kind for target in self.asked)

    def answer(self, client: Client, target: str) -> None:
        """What an engine in good health says."""
        kind = _kind(target)
        if kind == "version":
            client.send(bodies.reply(bodies.version(self.api, "1.12", self.podman)), end=True)
        elif kind == "events":
            client.send(bodies.STREAM_HEAD)
            self.streams.append(client)
        elif kind == "list":
            client.send(bodies.reply(bodies.listing(self.containers), chunks=700), end=True)
        elif kind == "some":
            asked = [each for each in self.containers if each["Id"] in target]
            client.send(bodies.reply(bodies.listing(asked)), end=True)
        elif kind == "ping":
            client.send(bodies.ping(self.api, self.podman), end=True)
        else:
            number = int(target.split("/")[-2], 16)
            client.send(bodies.reply(bodies.inspection(number, self.health.get(bodies.identifier(number)))), end=True)

    def _accept(self, listener: socket.socket) -> None:
        connection, _address = listener.accept()
        self._clients = [client for client in self._clients if client.open]
        self._clients.append(Client(self._loop, connection, self._requested))

    def _requested(self, client: Client, target: str) -> None:
        self.asked.append(target)
        handler = self.handlers.get(_kind(target))
        if handler is None:
            self.answer(client, target)
        else:
            handler(client)


def _kind(target: str) -> str:
    path = target.partition("?")[0]
    if path in ("/version", "/_ping"):
        return path[1:].lstrip("_")
    if path.endswith("/events"):
        return "events"
    if not path.endswith("/containers/json"):
        return "inspect"
    return "some" if "%22id%22" in target else "list"
