"""HTTP/1.1 replies: whole, byte by byte, with trailing bytes, broken, endless and random."""

import random
import tracemalloc
from typing import Iterable, List, Optional, Tuple

import pytest

from netmgr.values.errors import ProtocolError
from netmgr.wire.http1 import CHUNK_LINE_LIMIT, HEAD_LIMIT, Body, End, Event, Head, Reply, get

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

# name: (bytes, status, headers, body, whether the end of the connection is what ends it)
Case = Tuple[bytes, int, "dict[str, str]", bytes, bool]
REPLIES: "dict[str, Case]" = {
    "counted": (OK + b"Content-Length: 5\r\nA: b\r\n\r\nhello", 200, {"content-length": "5", "a": "b"}, b"hello", False),
    "empty": (OK + b"content-length:0\r\n\r\n", 200, {"content-length": "0"}, b"", False),
    "length said twice": (OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", 200, {"content-length": "2, 2"}, b"ok", False),
    "chunked": (CHUNKED + b"5\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\n\r\n", 200, {"transfer-encoding": "chunked"}, b"hello world", False),
    "chunk extensions": (CHUNKED + b"5;a=b;c=\"d\"\r\nhello\r\n000;last\r\n\r\n", 200, {"transfer-encoding": "chunked"}, b"hello", False),
    "chunk in upper case": (CHUNKED + b"A \r\n0123456789\r\n0\r\n\r\n", 200, {"transfer-encoding": "chunked"}, b"0123456789", False),
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n", 200, {"transfer-encoding": "chunked"}, b"x", False),
    "chunked wins over a length": (OK + b"Content-Length: 3\r\nTransfer-Encoding: Chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 200,
                                   {"content-length": "3", "transfer-encoding": "Chunked"}, b"x", False),
    "until close": (b"HTTP/1.0 200 OK\r\n\r\nall of it\r\n", 200, {}, b"all of it\r\n", True),
    "until close, nothing": (OK + b"\r\n", 200, {}, b"", True),
    "no content": (b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n", 204, {"content-length": "9"}, b"", False),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", 304, {"transfer-encoding": "chunked"}, b"", False),
    "interim": (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\nx", 200,
                {"content-length": "1"}, b"x", False),
    "bare line feeds": (b"HTTP/1.1 500 Oh\nA: b\nContent-Length: 1\n\nx", 500, {"a": "b", "content-length": "1"}, b"x", False),
    "no reason": (b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, {"content-length": "0"}, b"", False),
    "a value of any bytes": (OK + b"X: \xff \t\r\nContent-Length: 0\r\n\r\n", 200, {"x": "\xff", "content-length": "0"}, b"", False),
}
CASES = pytest.mark.parametrize("case", REPLIES.values(), ids=REPLIES.keys())

REFUSED = {
    "not HTTP": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "another version": b"HTTP/2 200\r\n",
    "a status of letters": b"HTTP/1.1 abc OK\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\n",
    "a status of zero": b"HTTP/1.1 000 OK\r\n",
    "an empty line": b"\r\n",
    "a change of protocol": b"HTTP/1.1 101 Switching\r\nUpgrade: tcp\r\n\r\n",
    "a header without colon": OK + b"oops\r\n\r\n",
    "a header without name": OK + b": x\r\n\r\n",
    "a space before the colon": OK + b"A : x\r\n\r\n",
    "a folded header": OK + b"A: x\r\n y\r\n\r\n",
    "a length of letters": OK + b"Content-Length: five\r\n\r\n",
    "a negative length": OK + b"Content-Length: -5\r\n\r\n",
    "an empty length": OK + b"Content-Length:\r\n\r\n",
    "a length of other digits": OK + "Content-Length: \xb2\r\n\r\n".encode("latin-1"),
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "a huge length": OK + b"Content-Length: 1" + b"0" * 400 + b"\r\n\r\n",
    "another coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
    "no chunk size": CHUNKED + b"\r\n",
    "a chunk size of letters": CHUNKED + b"xyz\r\n",
    "a chunk size with a sign": CHUNKED + b"-1\r\n",
    "a chunk size with underscores": CHUNKED + b"1_0\r\n",
    "a huge chunk size": CHUNKED + b"f" * 300 + b"\r\n",
    "a chunk that goes on": CHUNKED + b"1\r\nxyz\r\n",
    "a trailer without colon": CHUNKED + b"0\r\noops\r\n\r\n",
    "an endless status line": b"HTTP/1.1 200 " + b"x" * HEAD_LIMIT,
    "an endless header": OK + b"A: " + b"x" * HEAD_LIMIT,
    "endless headers": OK + b"A: x\r\n" * HEAD_LIMIT,
    "an endless chunk line": CHUNKED + b"1;" + b"x" * CHUNK_LINE_LIMIT,
    "endless trailers": CHUNKED + b"0\r\n" + b"A: x\r\n" * HEAD_LIMIT,
}


def merged(events: Iterable[Event]) -> List[Event]:
    """Events with neighbouring pieces of body put together."""
    result: List[Event] = []
    for event in events:
        if isinstance(event, Body) and result and isinstance(result[-1], Body):
            result[-1] = Body(result[-1].data + event.data)
        else:
            result.append(event)
    return result


def read(pieces: Iterable[bytes], closes: bool, limit: Optional[int] = 1000) -> List[Event]:
    reply = Reply(limit)
    events = [event for piece in pieces for event in reply.feed(piece)]
    return merged(events + (reply.close() if closes else []))


def expected(case: Case) -> List[Event]:
    data, status, headers, body, _closes = case
    line = next(line for line in data.split(b"\n") if line.startswith(b"HTTP") and b" 10" not in line)
    reason = line.decode().strip().partition(" ")[2].partition(" ")[2]
    return [Head(status, reason, headers), *([Body(body)] if body else []), End()]


def single(data: bytes) -> List[bytes]:
    return [data[index:index + 1] for index in range(len(data))]


@CASES
def test_whole(case: Case) -> None:
    assert read([case[0]], case[4]) == expected(case)


@CASES
def test_byte_by_byte(case: Case) -> None:
    assert read(single(case[0]), case[4]) == expected(case)


@CASES
def test_cut_anywhere(case: Case) -> None:
    for cut in range(len(case[0]) + 1):
        assert read([case[0][:cut], b"", case[0][cut:]], case[4]) == expected(case)


@CASES
def test_trailing_bytes(case: Case) -> None:
    if case[4]:
        return
    reply = Reply(1000)
    assert merged(reply.feed(case[0] + b"HTTP/1.1")) == expected(case)
    assert reply.feed(b" 500") == [] and reply.rest == b"HTTP/1.1 500" and reply.close() == []


@CASES
def test_ended_too_early(case: Case) -> None:
    body_from = len(case[0]) - len(case[0].partition(b"\r\n\r\n")[2])
    for cut in range(body_from - 1 if case[4] else len(case[0])):
        reply = Reply(1000)
        reply.feed(case[0][:cut])
        with pytest.raises(ProtocolError):
            reply.close()


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED.keys())
def test_refused(data: bytes) -> None:
    for pieces in ([data], single(data[:2000]) + [data[2000:]]):
        reply = Reply(None)
        with pytest.raises(ProtocolError):
            for piece in pieces:
                reply.feed(piece)
        with pytest.raises(ProtocolError):
            reply.feed(b"")


@pytest.mark.parametrize("data", [
    OK + b"Content-Length: 10\r\n\r\n",
    CHUNKED + b"a\r\n",
    CHUNKED + b"9\r\n123456789\r\n1\r\n",
    OK + b"\r\n0123456789",
])
def test_a_body_over_the_limit(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="longer than 9 bytes"):
        Reply(9).feed(data)
    Reply(10).feed(data)


def test_trailers_have_a_limit_of_their_own() -> None:
    header = b"A: x\r\n" * (HEAD_LIMIT // 8)
    reply = Reply(9)
    reply.feed(OK + header + b"Transfer-Encoding: chunked\r\n\r\n0\r\n")
    assert reply.feed(header + b"\r\n") == [End()]


def test_a_stream_gives_what_came_so_far() -> None:
    reply = Reply(None)
    assert reply.feed(CHUNKED + b"3\r\nab") == [Head(200, "OK", {"transfer-encoding": "chunked"}), Body(b"ab")]
    assert reply.feed(b"c") == [Body(b"c")]
    assert reply.feed(b"\r\n1\r\nd") == [Body(b"d")]
    assert reply.feed(b"\r\n1\r\ne\r\n2\r\nfg\r\n0\r\n\r\n") == [Body(b"efg"), End()]


def test_an_endless_stream_takes_no_memory() -> None:
    reply = Reply(None)
    reply.feed(CHUNKED)
    piece = b"4000;extension=\"x\"\r\n" + b"x" * 0x4000 + b"\r\n"
    tracemalloc.start()
    try:
        for _ in range(2000):
            reply.feed(piece)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_requests() -> None:
    assert get("/version", "docker").startswith(b"GET /version HTTP/1.1\r\nHost: docker\r\n")
    assert get("/version", "docker").endswith(b"\r\nConnection: close\r\n\r\n")


def mutated(random_source: random.Random, data: bytes) -> bytes:
    result = bytearray(data)
    for _ in range(random_source.randrange(1, 6)):
        position = random_source.randrange(len(result) + 1)
        result[position:position + random_source.randrange(3)] = random_source.choice(
            [b"", b"\r\n", b"\n", b"0", b"ffff", b":", b" ", b";", random_source.randbytes(3), data[position:position + 30]])
    return bytes(result)


@pytest.mark.parametrize("seed", range(20))
def test_random_replies(seed: int) -> None:
    """However it is cut, the same bytes give the same events or the same refusal."""
    random_source = random.Random(seed)
    for _ in range(100):
        data = mutated(random_source, random_source.choice(list(REPLIES.values()))[0])
        cuts = sorted(random_source.choices(range(len(data) + 1), k=4))
        pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)])]
        outcomes = [_outcome(each) for each in ([data], pieces, single(data))]
        assert outcomes[0] == outcomes[1] == outcomes[2]


def _outcome(pieces: List[bytes]) -> Optional[List[Event]]:
    try:
        return read(pieces, True)
    except ProtocolError:
        return None


@pytest.mark.parametrize("seed", range(10))
def test_garbage_in_bounded_memory(seed: int) -> None:
    random_source = random.Random(seed)
    start = random_source.choice([b"", OK, CHUNKED, OK + b"\r\n"])
    letters = bytes(random_source.choices(range(256), k=random_source.choice([1, 2, 256])))
    reply = Reply(1 << 16)
    tracemalloc.start()
    try:
        reply.feed(start)
        for _ in range(1000):
            reply.feed(bytes(random_source.choices(letters, k=4096)))
    except ProtocolError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 2 << 20
