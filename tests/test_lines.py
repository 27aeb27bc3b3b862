"""Bytes to lines: whole, byte by byte, with bytes that are left over, too long, at random."""

import random
from typing import List

import pytest

from netmgr.values.errors import ProtocolError
from netmgr.wire.lines import Lines

LIMIT = 100
STREAM = b"ping\r\n\n \t \r\n  status   json  \nl\xc3\xa4nge\n\xff\x00\nlast"
LINES = [b"ping", b"status   json", b"l\xc3\xa4nge", b"\xff\x00", b"last"]


def complete(lines: Lines) -> List[bytes]:
    return list(iter(lines.line, None))


def test_lines_from_one_piece() -> None:
    lines = Lines(LIMIT)
    lines.feed(STREAM)
    assert complete(lines) == LINES[:-1]
    assert not lines.waiting()
    lines.feed(b"\n")
    assert complete(lines) == LINES[-1:]


def test_lines_byte_by_byte() -> None:
    lines, found = Lines(LIMIT), []
    for number in range(len(STREAM)):
        lines.feed(STREAM[number:number + 1])
        assert lines.waiting() or lines.line() is None
        found += complete(lines)
    lines.feed(b"\n")
    assert found + complete(lines) == LINES


def test_other_blanks() -> None:
    lines = Lines(LIMIT, blanks=b" \x1e")
    lines.feed(b"\x1eone \n\x1e\n\ttwo\n")
    assert complete(lines) == [b"one", b"\ttwo"]


def test_the_longest_line_and_one_that_is_too_long() -> None:
    lines = Lines(LIMIT)
    lines.feed(b"x" * LIMIT)
    assert not lines.waiting() and lines.line() is None
    lines.feed(b"\n")
    assert lines.line() == b"x" * LIMIT
    for line in (b"x" * (LIMIT + 1), b"x" * (LIMIT + 1) + b"\n"):
        lines = Lines(LIMIT, "an event")
        lines.feed(b"ping\n" + line)
        assert lines.line() == b"ping", "what came before is taken"
        assert lines.waiting()
        with pytest.raises(ProtocolError, match="an event longer than 100 bytes"):
            lines.line()


@pytest.mark.parametrize("seed", range(20))
def test_garbage_is_cut_the_same_however_it_comes(seed: int) -> None:
    source = random.Random(seed)
    data = bytes(source.choice(b"\n\r \x00\xff\x1bping{}\\\"") for _ in range(5000))
    lines, found = Lines(len(data)), []
    while data:
        size = source.randrange(1, 200)
        lines.feed(data[:size])
        found.append((data[:size], complete(lines)))
        data = data[size:]
    whole = b"".join(piece for piece, _lines in found)
    expected = [line.strip(b" \t\r\n\v\f") for line in whole.split(b"\n")[:-1]]
    assert [line for _piece, some in found for line in some] == [line for line in expected if line]
