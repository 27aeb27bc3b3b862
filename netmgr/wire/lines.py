"""Lines out of bytes that come in pieces."""

from typing import Optional

from netmgr.values.errors import ProtocolError

LINE_LIMIT = 4096       # bytes, of a command


class LineBuffer:
    """Bytes as they come; lines as they are complete, blank ones left out."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> None:
        """Take bytes from the client.  At the end of its input, feed a newline: it completes a last line that has none."""
        self._pending += data

    def waiting(self) -> bool:
        """Whether line() has something to say, if only that the line is too long, without further bytes."""
        return b"\n" in self._pending or len(self._pending) > LINE_LIMIT

    def line(self) -> Optional[str]:
        """The next complete line, or None: not yet.  ProtocolError when it is longer than LINE_LIMIT bytes."""
        self._pending = self._pending.lstrip()
        end = self._pending.find(b"\n")
        if (len(self._pending) if end < 0 else end) > LINE_LIMIT:
            raise ProtocolError("line longer than %d bytes" % LINE_LIMIT)
        if end < 0:
            return None
        line = self._pending[:end].decode("utf-8", "backslashreplace").rstrip()
        del self._pending[: end + 1]
        return line
