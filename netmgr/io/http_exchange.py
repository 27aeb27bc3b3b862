"""One HTTP request on a unix socket, and its reply as events.

Nothing waits: connecting to a unix socket succeeds or fails at once, as does sending a request into its empty buffer.
"""

import socket
from typing import Callable, Optional, Union

from netmgr.io.loop import Loop
from netmgr.io.trace import traced
from netmgr.values.errors import ProtocolError
from netmgr.wire import http1

RECEIVE = 1 << 14       # bytes in one turn of the loop: what they say is worked on for about a millisecond

Failure = Union[OSError, ProtocolError]


class Exchange:
    """One request and its reply, on a connection of its own.  OSError when there is nobody to connect to.

    `limit` is the largest body in bytes, `patience` the time for all of it in seconds (None: endless).  receive(event) is called for
    every event of the reply and may close() or raise ProtocolError; failed(error) is the last call.
    """

    def __init__(self, loop: Loop, path: str, request: bytes, limit: Optional[int], patience: Optional[float],
                 receive: Callable[[http1.Event], None], failed: Callable[[Failure], None]) -> None:
        self._loop, self._receive, self._failed = loop, receive, failed
        self._reply = http1.Reply(limit)
        self._open = True
        self._socket = traced("docker", socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC))
        try:
            self._socket.connect(path)
            self._socket.sendall(request)
            loop.watch(self._socket.fileno(), self._readable)
        except OSError:
            self._socket.close()
            raise
        self._deadline = None if patience is None else loop.call_later(patience, lambda: self._too_late(patience))

    def close(self) -> None:
        """Nothing more will be called."""
        if self._open:
            self._open = False
            if self._deadline is not None:
                self._deadline.cancel()
            self._loop.unwatch(self._socket.fileno())
            self._socket.close()

    def _readable(self, _events: int) -> None:
        try:
            data = self._socket.recv(RECEIVE)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error)
            return
        try:
            for event in self._reply.feed(data) if data else self._reply.close():
                if self._open:
                    self._receive(event)
        except ProtocolError as error:
            self._fail(error)

    def _too_late(self, patience: float) -> None:
        self._fail(TimeoutError("no complete answer within %g s" % patience))

    def _fail(self, error: Failure) -> None:
        self.close()
        self._failed(error)
