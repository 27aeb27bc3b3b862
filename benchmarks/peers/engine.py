"""A container engine with many containers that costs little: python -m benchmarks.peers.engine SOCKET CONTAINERS

It says "ready", then takes orders line by line: `start NUMBER` and `stop NUMBER` change what runs and say when the event was told (seconds
of the monotonic clock), `tell RATE` tells so many events a second about containers that stay as they are.
"""

import random
import socketserver
import sys
import threading
import time
from typing import Dict, List, Set

from tests import engine_bodies as bodies

LABELS = {"com.example.label-%d" % number: "value of some length, as real ones have it" for number in range(6)}


class Engine:
    """What runs, and who listens."""

    def __init__(self, count: int) -> None:
        self.entries: Dict[str, bytes] = {}
        self.streams: Set[object] = set()
        self.lock = threading.Lock()
        for number in range(count):
            self.change(number, True)

    def change(self, number: int, runs: bool) -> None:
        """Start or stop a container."""
        address = "172.%d.%d.%d/12" % (16 + (number >> 16), number >> 8 & 255, number & 255)
        with self.lock:
            if runs:
                entry = bodies.container(number, {"bridge": [address]}, labels=LABELS)
                self.entries[bodies.identifier(number)] = bodies.listing([entry])[1:-1]
            else:
                del self.entries[bodies.identifier(number)]

    def tell(self, line: bytes) -> float:
        """An event for all who listen; when it was told."""
        now = time.monotonic()
        for stream in list(self.streams):
            stream.sendall(bodies.chunk(line))      # type: ignore[attr-defined]
        return now

    def listing(self, target: str) -> bytes:
        """All, or those whose ids are asked for."""
        with self.lock:
            if "%22id%22" in target:
                found: List[bytes] = [entry for each, entry in self._asked(target)]
            else:
                found = list(self.entries.values())
        return b"[" + b",".join(found) + b"]"

    def _asked(self, target: str) -> List["tuple[str, bytes]"]:
        asked = target.partition("%22id%22")[2].split("%22")
        return [(each, self.entries[each]) for each in asked if each in self.entries]


class Handler(socketserver.BaseRequestHandler):
    """One connection: one request."""

    def handle(self) -> None:
        """Answer it; a stream of events stays until the other side goes."""
        engine: Engine = self.server.engine         # type: ignore[attr-defined]
        request = b""
        while b"\r\n\r\n" not in request:
            data = self.request.recv(65536)
            if not data:
                return
            request += data
        target = request.split(b" ")[1].decode()
        path = target.partition("?")[0]
        if path == "/version":
            self.request.sendall(bodies.reply(bodies.version("1.45", "1.24")))
        elif path.endswith("/events"):
            self.request.sendall(bodies.STREAM_HEAD)
            engine.streams.add(self.request)
            self.request.recv(1)
            engine.streams.discard(self.request)
        elif path.endswith("/containers/json"):
            self.request.sendall(bodies.reply(engine.listing(target)))
        else:
            self.request.sendall(bodies.reply(bodies.inspection(0)))


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """A thread for each connection, as real engines have something like it."""

    daemon_threads = True


def main(path: str, count: int) -> None:
    """Serve, and obey."""
    engine = Engine(count)
    server = Server(path, Handler)
    server.engine = engine                          # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    rate = [0.0]
    threading.Thread(target=_churn, args=(engine, count, rate), daemon=True).start()
    print("ready", flush=True)
    for line in sys.stdin:
        word, number = line.split()
        if word == "tell":
            rate[0] = float(number)
            print("telling", flush=True)
        else:
            engine.change(int(number), word == "start")
            print(engine.tell(bodies.event(int(number), "start" if word == "start" else "destroy")), flush=True)


def _churn(engine: Engine, count: int, rate: List[float]) -> None:
    source = random.Random(1)
    while True:
        time.sleep(1 / rate[0] if rate[0] else 0.1)
        if rate[0]:
            engine.tell(bodies.event(source.randrange(count), "update"))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
