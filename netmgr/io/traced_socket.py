"""A socket whose bytes are told in the log, for netmgr.io.trace.

Like all of the log the lines wait for nobody: what stderr does not take at once is lost and counted.
"""

import socket
from typing import Any, Iterator, List, Tuple

from netmgr.io.log import Log
from netmgr.io.systemd import started_by_systemd
from netmgr.wire import netlink_text


class TracedSocket(socket.socket):
    """Takes the place of another socket."""

    def __init__(self, word: str, plain: socket.socket) -> None:
        timeout = plain.gettimeout()
        super().__init__(plain.family, plain.type, plain.proto, plain.detach())
        self.settimeout(timeout)
        self._word, self._log = word, Log("debug", started_by_systemd())

    def send(self, data: Any, *rest: int) -> int:
        """Send, and tell what was taken."""
        sent = super().send(data, *rest)
        self._tell("sent", memoryview(bytes(data[:sent])))
        return sent

    def sendall(self, data: Any, *rest: int) -> None:
        """Send all of it, and tell it."""
        super().sendall(data, *rest)
        self._tell("sent", memoryview(bytes(data)))

    def recv(self, *arguments: int) -> bytes:
        """Receive, and tell it, unless it is only looked at."""
        data = super().recv(*arguments)
        if socket.MSG_PEEK not in arguments[1:]:
            self._tell("received", memoryview(data))
        return data

    def recvfrom_into(self, buffer: Any, *rest: int) -> Tuple[int, Any]:
        """Receive, and tell it."""
        size, sender = super().recvfrom_into(buffer, *rest)
        self._tell("received", memoryview(buffer)[:size])
        return size, sender

    def recvmsg_into(self, buffers: Any, *rest: int) -> Tuple[int, List[Tuple[int, int, bytes]], int, Any]:
        """Receive, and tell it."""
        found = super().recvmsg_into(buffers, *rest)
        self._tell("received", memoryview(buffers[0])[:found[0]])
        return found

    def _tell(self, verb: str, data: memoryview) -> None:
        if data:
            for line in self._lines(data):
                self._log("debug", "%s %s: %s" % (self._word, verb, line))

    def _lines(self, data: memoryview) -> Iterator[str]:
        if self.family == socket.AF_NETLINK:
            return netlink_text.layout(self.proto, data)
        return iter(bytes(data).decode("utf-8", "replace").splitlines())
