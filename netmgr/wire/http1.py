"""HTTP/1.1 from the client's side, sans-I/O: a request as bytes; bytes of the reply as events.

`Reply.feed(bytes)` gives one Head, any number of Body pieces and one End, as far as the bytes reach; `Reply.close()` is told when the
peer has ended the connection, which completes a reply without a length and is an error in any other.  The body's framing is decided
by the head alone (RFC 9112, section 6.3): none with 204 and 304, else chunked, else Content-Length, else until the end of the
connection.  Interim replies (1xx) are passed over.

Each state is a method that takes what it needs from the front of the buffer and gives at most one event; one that changes neither
the buffer nor the state waits for more bytes.  Nothing grows beyond its limit: the head, each chunk's line and the trailers by the
constants below, the body by what the caller allows (None: endless, for a stream that the caller consumes).  A Reply that has raised
ProtocolError raises it again for whatever follows.

Refused, although some servers do it: header lines folded over several, a transfer coding other than chunked, a change of protocol (101).
"""

from typing import Callable, Dict, List, Optional, Sequence, Tuple, Union

from netmgr.values.errors import ProtocolError
from netmgr.values.named_tuple import NamedTuple

HEAD_LIMIT = 1 << 16            # status line and header; the trailers again
CHUNK_LINE_LIMIT = 1 << 12      # a chunk's size and its extensions
CHUNK_DIGITS = 15
LENGTH_DIGITS = 18
TOKEN = frozenset(b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


class Head(NamedTuple):
    """Status line and header.  Names are in lower case; a name that came several times has its values joined by commas."""

    status: int
    reason: str
    headers: Dict[str, str]


class Body(NamedTuple):
    """The next piece of the body, never empty."""

    data: bytes


class End(NamedTuple):
    """The reply is complete; what came behind it is in Reply.rest."""


Event = Union[Head, Body, End]


def get(target: str, host: str, keep: bool = False) -> bytes:
    """A GET request; unless `keep`, it asks for no second one on its connection."""
    lines = ("GET %s HTTP/1.1" % target, "Host: %s" % host, "User-Agent: netmgr", "Accept: application/json",
             *([] if keep else ["Connection: close"]), "", "")
    return "\r\n".join(lines).encode("ascii")


def post(target: str, host: str, body: bytes, headers: Sequence[Tuple[str, str]] = ()) -> bytes:
    """A POST of JSON whose connection may be used again after the reply."""
    lines = ["POST %s HTTP/1.1" % target, "Host: %s" % host, "User-Agent: netmgr", "Accept: application/json",
             "Content-Type: application/json", "Content-Length: %d" % len(body), *("%s: %s" % header for header in headers), "", ""]
    return "\r\n".join(lines).encode("ascii") + body


def stays(head: Head) -> bool:
    """Whether the connection may be used again after this reply (of HTTP/1.1)."""
    return "close" not in head.headers.get("connection", "").lower()


class Reply:
    """The parser of one reply.  `limit` is the largest body that is accepted, in bytes."""

    def __init__(self, limit: Optional[int]) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._searched = 0
        self._left = 0
        self._size = 0
        self._state: Callable[[], Optional[Event]] = self._status_line
        self._status, self._reason = 0, ""
        self._header: List[bytes] = []
        self._header_size = 0

    @property
    def rest(self) -> bytes:
        """Bytes that came behind the End."""
        return bytes(self._buffer) if self._state == self._done else b""

    def feed(self, data: bytes) -> List[Event]:
        """The events that these bytes complete; what they hold of the body is one piece.  ProtocolError."""
        self._buffer += data
        events: List[Event] = []
        try:
            while True:
                state, before = self._state, len(self._buffer)
                event = state()
                if event is not None:
                    _append(events, event)
                elif self._state == state and len(self._buffer) == before:
                    return events
        except ProtocolError:
            self._state = self._broken
            self._buffer.clear()
            raise

    def close(self) -> List[Event]:
        """The events that the end of the connection completes.  ProtocolError when it came too early."""
        if self._state == self._done:
            return []
        if self._state != self._until_close:
            self._state = self._broken
            raise ProtocolError("the connection ended in the middle of a reply")
        self._state = self._done
        return [End()]

    def _status_line(self) -> Optional[Event]:
        line = self._line(HEAD_LIMIT, "a status line")
        if line is not None:
            self._status, self._reason = _status(line)
            self._header, self._header_size = [], len(line)
            self._state = self._header_line
        return None

    def _header_line(self) -> Optional[Event]:
        line = self._line(HEAD_LIMIT - self._header_size, "a header")
        if line:
            self._header.append(line)
            self._header_size += len(line) + 1
        elif line is not None:
            return self._end_of_header()
        return None

    def _end_of_header(self) -> Optional[Event]:
        head = Head(self._status, self._reason, _headers(self._header))
        if head.status == 101:
            raise ProtocolError("the peer wants to change the protocol")
        if head.status < 200:
            self._state = self._status_line
            return None
        self._choose_body(head)
        return head

    def _choose_body(self, head: Head) -> None:
        coding, length = head.headers.get("transfer-encoding"), head.headers.get("content-length")
        if head.status in (204, 304):
            self._state, self._left = self._counted, 0
        elif coding is not None:
            if coding.lower() != "chunked":
                raise ProtocolError("transfer coding %.40r" % coding)
            self._state = self._chunk_line
        elif length is not None:
            self._state, self._left = self._counted, self._allow(_content_length(length))
        else:
            self._state = self._until_close

    def _counted(self) -> Optional[Event]:
        if self._left:
            return self._take()
        self._state = self._done
        return End()

    def _chunk_line(self) -> Optional[Event]:
        line = self._line(CHUNK_LINE_LIMIT, "a chunk's line")
        if line is not None:
            self._left = self._allow(_chunk_size(line))
            self._header_size = 0
            self._state = self._chunk if self._left else self._trailer_line
        return None

    def _chunk(self) -> Optional[Event]:
        piece = self._take()
        if self._left == 0:
            self._state = self._chunk_end
        return piece

    def _chunk_end(self) -> Optional[Event]:
        line = self._line(1, "the end of a chunk")
        if line:
            raise ProtocolError("a chunk is longer than its size says")
        if line is not None:
            self._state = self._chunk_line
        return None

    def _trailer_line(self) -> Optional[Event]:
        line = self._line(HEAD_LIMIT - self._header_size, "a trailer")
        if line:
            _headers([line])
            self._header_size += len(line) + 1
        elif line is not None:
            self._state = self._done
            return End()
        return None

    def _until_close(self) -> Optional[Event]:
        self._left = self._allow(len(self._buffer))
        return self._take()

    def _done(self) -> Optional[Event]:
        return None

    def _broken(self) -> Optional[Event]:
        raise ProtocolError("nothing can follow a broken reply")

    def _line(self, limit: int, what: str) -> Optional[bytes]:
        """The next line without its end, None until it is complete."""
        end = self._buffer.find(b"\n", self._searched)
        if (end if end >= 0 else len(self._buffer)) > limit:
            raise ProtocolError("%s of more than %d bytes" % (what, limit))
        if end < 0:
            self._searched = len(self._buffer)
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[:end + 1]
        self._searched = 0
        return line[:-1] if line.endswith(b"\r") else line

    def _take(self) -> Optional[Body]:
        """At most the next `_left` bytes of the body, None when there are none yet."""
        data = bytes(self._buffer[:self._left])
        del self._buffer[:len(data)]
        self._left -= len(data)
        return Body(data) if data else None

    def _allow(self, size: int) -> int:
        self._size += size
        if self._limit is not None and self._size > self._limit:
            raise ProtocolError("a body longer than %d bytes" % self._limit)
        return size


def _append(events: List[Event], event: Event) -> None:
    last = events[-1] if events else None
    if isinstance(event, Body) and isinstance(last, Body):
        events[-1] = Body(last.data + event.data)
    else:
        events.append(event)


def _status(line: bytes) -> Tuple[int, str]:
    version, _, rest = line.partition(b" ")
    code, _, reason = rest.partition(b" ")
    if version not in (b"HTTP/1.1", b"HTTP/1.0") or len(code) != 3 or not code.isdigit() or code[0] == ord("0"):
        raise ProtocolError("not an HTTP/1.1 status line: %.60r" % line)
    return int(code), reason.decode("latin-1")


def _headers(lines: List[bytes]) -> Dict[str, str]:
    headers: Dict[str, str] = {}
    for line in lines:
        raw_name, colon, value = line.partition(b":")
        if not colon or not raw_name or not TOKEN.issuperset(raw_name):
            raise ProtocolError("not a header line: %.60r" % line)
        name, text = raw_name.decode("ascii").lower(), value.strip(b" \t").decode("latin-1")
        headers[name] = "%s, %s" % (headers[name], text) if name in headers else text
    return headers


def _content_length(text: str) -> int:
    """RFC 9112 lets a length that came several times pass if it was the same each time."""
    lengths = {each.strip(" \t") for each in text.split(",")}
    length = lengths.pop()
    if lengths or not (length.isascii() and length.isdigit()) or len(length) > LENGTH_DIGITS:
        raise ProtocolError("content-length %.60r" % text)
    return int(length)


def _chunk_size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip(b" \t")
    if not digits or len(digits) > CHUNK_DIGITS or digits.strip(b"0123456789abcdefABCDEF"):
        raise ProtocolError("not a chunk's size: %.60r" % line)
    return int(digits, 16)
