"""Lines out of bytes that come in pieces."""

from __future__ import annotations

from typing import Optional

from netmgr.values.errors import ProtocolError


class Lines:
    """Bytes as they come; lines as they are complete, without the blanks around them; those with nothing else are left out.

    `what` is what a line is to people, for the error when it has more than `limit` bytes.
    """

    def __init__(self, limit: int, what: str = "line", blanks: bytes = b" \t\r\n\v\f") -> None:
        self._limit, self._what, self._blanks = limit, what, blanks
        self._rest = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> None:
        """Take bytes.  At the end of the input, feed a newline: it completes a last line that has none."""
        self._rest += data

    def waiting(self) -> bool:
        """Whether line() has something to say, if only that the line is too long, without further bytes."""
        return len(self._rest) > self._limit or self._rest.find(b"\n", self._searched) >= 0

    def line(self) -> Optional[bytes]:
        """The next complete line, or None: not yet.  ProtocolError when it is too long."""
        while True:
            end = self._rest.find(b"\n", self._searched)
            if (len(self._rest) if end < 0 else end) > self._limit:
                raise ProtocolError("%s longer than %d bytes" % (self._what, self._limit))
            if end < 0:
                self._searched = len(self._rest)
                return None
            line = bytes(self._rest[:end]).strip(self._blanks)
            del self._rest[:end + 1]
            self._searched = 0
            if line:
                return line
