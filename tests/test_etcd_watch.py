"""wire/etcd_watch: the same is told however the bytes are cut, and of long lines piece by piece."""

import json
import random
from base64 import b64encode
from typing import Any, Dict, List, Sequence

import pytest

from netmgr.values.errors import ProtocolError
from netmgr.values.records import Event, Seen
from netmgr.wire import etcd
from netmgr.wire.etcd_watch import LINE_LIMIT, LONG, WatchReader

HEADER = {"cluster_id": "14841639068965178418", "member_id": "10276657743932975437", "revision": "900", "raft_term": "2"}


def put(number: int, size: int = 150) -> Dict[str, Any]:
    key, value = b"/netmgr/1/wan/host-%d" % number, b"x" * size
    return {"kv": {"key": b64encode(key).decode(), "create_revision": "2", "mod_revision": str(number), "version": "1",
                   "value": b64encode(value).decode(), "lease": "7587899201718116101"}}


def gone(number: int) -> Dict[str, Any]:
    return {"type": "DELETE", "kv": {"key": b64encode(b"/netmgr/1/wan/host-%d" % number).decode(), "mod_revision": str(number)}}


def line(events: Sequence[Dict[str, Any]], **more: Any) -> bytes:
    result = {"header": HEADER, "watch_id": "1", **more, **({"events": list(events)} if events else {})}
    return json.dumps({"result": result}, separators=(",", ":")).encode() + b"\n"


LINES = [
    line([], created=True),
    line([put(3)]),
    line([put(number) for number in range(4, 90)]),
    line([], canceled=True, compact_revision="17"),
    line([gone(number) for number in range(90, 300)], fragment=True),
    line([put(300, 70_000), gone(301)]),
    line([gone(302)]),
]


def told(data: bytes, cuts: Sequence[int]) -> List[Seen]:
    reader, found = WatchReader(), []
    for begin, end in zip([0, *cuts], [*cuts, len(data)]):
        found += list(reader.feed(data[begin:end]))
    return found


def joined(pieces: Sequence[Seen]) -> List[Seen]:
    """Pieces of one line are one again."""
    lines: List[Seen] = []
    begun = False
    for piece in pieces:
        if begun:
            assert piece._replace(events=(), unfinished=False) == lines[-1]._replace(events=(), unfinished=False)
            lines[-1] = piece._replace(events=lines[-1].events + piece.events)
        else:
            lines.append(piece)
        begun = piece.unfinished and piece.events[-1].revision != 299        # the line of a fragment is unfinished by itself
    return lines


WHOLE = [etcd.seen(each) for each in LINES]


def test_whole() -> None:
    assert told(b"".join(LINES), []) == WHOLE


def test_byte_by_byte() -> None:
    data = b"".join(LINES)
    pieces = told(data, range(1, len(data)))
    assert joined(pieces) == WHOLE
    assert len(pieces) > len(LINES)


@pytest.mark.parametrize("seed", range(50))
def test_cut_anywhere(seed: int) -> None:
    randoms, data = random.Random(seed), b"\r\n".join(LINES)
    assert joined(told(data, sorted(randoms.sample(range(1, len(data)), randoms.randint(1, 200))))) == WHOLE


def test_a_long_line_is_told_while_it_comes_and_its_end_with_its_last_event() -> None:
    data, reader = LINES[4], WatchReader()
    before = list(reader.feed(data[:-1]))
    assert all(piece.unfinished and piece.events for piece in before)
    assert sum(len(piece.events) for piece in before) > 150
    last, = reader.feed(b"\n")
    assert last.events[-1] == Event(b"/netmgr/1/wan/host-299", 299, None)


def test_a_line_that_ends_too_early_is_refused() -> None:
    for cut in (LONG + 1000, len(LINES[2]) - 2, len(LINES[2]) - 3, len(LINES[2]) - 40):
        with pytest.raises(ProtocolError):
            told(LINES[2][:cut] + b"\n", [LONG + 500])


def test_what_follows_behind_the_events_is_refused() -> None:
    with pytest.raises(ProtocolError):
        told(LINES[2][:-3] + b',"more":1}}\n', [LONG + 500])


def test_a_line_without_events_has_a_limit() -> None:
    reader = WatchReader()
    with pytest.raises(ProtocolError, match="longer than"):
        for _ in range(LINE_LIMIT // 4096 + 2):
            assert list(reader.feed(b"x" * 4096)) == []


@pytest.mark.parametrize("seed", range(200))
def test_garbage_is_refused_or_told(seed: int) -> None:
    randoms = random.Random(seed)
    damaged = bytearray(b"".join(LINES[:5]))
    for _ in range(randoms.randint(1, 6)):
        damaged[randoms.randrange(len(damaged))] = randoms.choice(b'{}[]":,0Aa\\\xff\n-e')
    data = bytes(damaged)
    try:
        found = told(data, sorted(randoms.sample(range(1, len(data)), 40)))
    except ProtocolError:
        return
    assert all(isinstance(piece, Seen) for piece in found)
