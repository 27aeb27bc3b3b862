"""A control server in this process, turned by hand; its service answers what a test wants."""

import os
import socket
import subprocess
import tempfile
import time
from typing import Any, Callable, Iterator, List, Optional, Sequence, Tuple, Union

from netmgr.io.control import ControlServer, Listener, listen
from netmgr.io.loop import Loop
from netmgr.show.answers import Explanation, GraphEdge, GraphNode, SetContents, Status
from netmgr.show.commands import answering
from netmgr.values.replies import Say
from netmgr.values.text import Log
from tests.chronicle import Told
from tests.waiting import PATIENCE


class Bench:
    """Loop, server and clients.  The service's answers are attributes; `asked` is what the server asked of it.

    `instead` is what it answers to every line, whatever netmgr would.
    """

    def __init__(self, mode: int = 0o660, group: Optional[str] = None, listener: Optional[Listener] = None) -> None:
        self.directory = tempfile.TemporaryDirectory(prefix="netmgr-control-")
        os.chmod(self.directory.name, 0o755)
        self.path = os.path.join(self.directory.name, "control")
        self.asked: List[str] = []
        self.logged: List[Tuple[str, str]] = []
        self.status_value = Status(state="ready")
        self.diff_answer = "# nothing would change"
        self.reload_answer = "OK: nothing had to change"
        self.pending: Optional[List[Say]] = None
        told = Told()
        self.listeners, self.called, self.log, self.follow = told.listeners, told.called, told.log, told.follow
        self.loop = Loop()
        self.clients: List[socket.socket] = []
        log: Log = lambda *line: self.logged.append(line)       # noqa: E731
        self.instead: Any = ""
        answer = answering(self, log)
        listener = listener or listen(self.path, mode, group)
        self.server = ControlServer(
            self.loop, listener,
            lambda line, peer, privileged, reply: reply(self.instead) if self.instead else answer(line, peer, privileged, reply), log)

    def close(self) -> None:
        for client in self.clients:
            client.close()
        if self.server.listener.socket.fileno() >= 0:
            self.server.close()
        self.loop.close()
        self.directory.cleanup()

    def status(self) -> Status:
        self.asked.append("status")
        return self.status_value

    def sets(self) -> Sequence[SetContents]:
        self.asked.append("sets")
        return []

    def explain(self, thing: str) -> Explanation:
        return Explanation(thing=thing)

    def graph(self) -> Iterator[Union[GraphNode, GraphEdge]]:
        return iter(())

    def metrics(self) -> Iterator[str]:
        return iter(["netmgr_ready 1\n"])

    def reload(self, reply: Say) -> None:
        self.asked.append("reload")
        reply(self.reload_answer)

    def resync(self, reply: Say) -> None:
        """Answered at once or, when `pending` is a list, by pending.pop()(text)."""
        self.asked.append("resync")
        if self.pending is None:
            reply("OK: nothing had to change")
        else:
            self.pending.append(reply)

    def diff(self, path: str, reply: Say) -> None:
        self.asked.append("diff " + path)
        reply(self.diff_answer)

    def shutdown(self, reply: Say) -> None:
        self.asked.append("shutdown")
        self.loop.stop()
        reply("OK: stopping")

    def until(self, condition: Callable[[], Any], seconds: float = PATIENCE) -> Any:
        """Turn the loop until condition() is true."""
        deadline = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            assert time.monotonic() < deadline, "condition does not come true"
            self.loop.turn(0.01)

    def connect(self, data: bytes = b"") -> socket.socket:
        """A client that has sent `data` and does not block."""
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.clients.append(client)
        client.connect(self.path)
        client.setblocking(False)
        client.sendall(data)
        return client

    def read(self, client: socket.socket, size: Optional[int] = None) -> bytes:
        """What the client gets: `size` bytes, or everything to the end."""
        received = bytearray()

        def complete() -> bool:
            while size is None or len(received) < size:
                try:
                    chunk = client.recv(65536)
                except BlockingIOError:
                    return False
                if not chunk:
                    return True
                received.extend(chunk)
            return True
        self.until(complete)
        return bytes(received)

    def converse(self, data: bytes) -> bytes:
        """Send, half-close, read to the end."""
        client = self.connect(data)
        client.shutdown(socket.SHUT_WR)
        return self.read(client)

    def run(self, arguments: Sequence[str], text: str = "", **environment: str) -> "subprocess.CompletedProcess[str]":
        """Another program as client: its output and status."""
        with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            given.write(text)
            given.seek(0)
            process = subprocess.Popen(arguments, stdin=given, stdout=out, stderr=err, env={**os.environ, **environment})
            try:
                self.until(lambda: process.poll() is not None)
            finally:
                process.kill()
                process.wait()
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(list(arguments), process.returncode, out.read(), err.read())
