"""A container engine on a unix socket, in this process and on the same loop as what is tested.

It answers as an engine would, out of `containers` and `health`.  `handlers` replaces the answer to one kind of request: version, ping,
events, list, some (containers by their ids) or inspect.  `asked` is every request, in order.
"""

from typing import Any, Callable, Dict, List

from netmgr.io.loop import Loop
from tests import engine_bodies as bodies
from tests.fake_http import Connection, Server


class FakeEngine:
    def __init__(self, loop: Loop, path: str, api: str = "1.41", podman: bool = False) -> None:
        self.api, self.podman = api, podman
        self.containers: List[Dict[str, Any]] = []
        self.health: Dict[str, str] = {}
        self.handlers: Dict[str, Callable[[Connection], None]] = {}
        self.asked: List[str] = []
        self.streams: List[Connection] = []
        self._server = Server(loop, path, self._requested)

    def open(self) -> "FakeEngine":
        self._server.open()
        return self

    def close(self) -> None:
        """The engine dies; its socket stays, and refuses."""
        self._server.close()
        self.streams = []

    def remove(self) -> None:
        """The engine goes, and its socket with it."""
        self._server.remove()
        self.streams = []

    def hang_up(self) -> None:
        """End all connections."""
        self._server.hang_up()
        self.streams = []

    def emit(self, data: bytes) -> None:
        """Bytes of the events' stream, as one chunk."""
        for stream in self.streams:
            stream.send(bodies.chunk(data))

    def count(self, kind: str) -> int:
        return sum(_kind(target) == kind for target in self.asked)

    def answer(self, client: Connection, target: str) -> None:
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

    def _requested(self, client: Connection, target: str, _body: bytes) -> None:
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
