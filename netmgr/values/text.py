"""How things are said to people: one way for each."""

from __future__ import annotations

from typing import Callable, Iterator, Optional, Sequence

Log = Callable[[str, str], None]        # level, line
NEAR = 0.7
LEVELS = {"error": 3, "warning": 4, "info": 6, "debug": 7}         # of the log; with the priorities of sd-daemon(3)


def number(count: int, noun: str, nouns: str = "") -> str:
    """1 set, 2 sets"""
    return "%d %s" % (count, noun if count == 1 else nouns or noun + "s")


def moment(time: str) -> str:
    """2026-11-27 20:31:05 UTC, of a time as programs are told it."""
    return "%s UTC" % time[:19].replace("T", " ")


def reason(problem: Exception) -> str:
    """An error in a few words."""
    return problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)


def place_of(problem: BaseException) -> str:
    """Where in netmgr it happened: netmgr.io.loop.watch"""
    place, trace = "", problem.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        place = "%s.%s" % (module, trace.tb_frame.f_code.co_name) if module.startswith("netmgr.") else place
        trace = trace.tb_next
    return place


def nearest(word: str, known: Sequence[str]) -> Optional[str]:
    """What somebody who wrote this word may have meant, if anything is near."""
    from difflib import get_close_matches  # loads slowly, and is needed when something is wrong
    return next(iter(get_close_matches(word, known, n=1, cutoff=NEAR)), None)


def printable(text: str) -> str:
    """The text with control characters, bidirectional overrides, lone surrogates and the like as \\x1b, \\u202e …"""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def printable_lines(text: str) -> str:
    """The text with each of its lines printable."""
    return "\n".join(map(printable, text.split("\n")))


def broken(text: str, width: int) -> Iterator[str]:
    """The text in lines of at most this width, at gaps where there are some."""
    begin, end = 0, len(text)
    while end - begin > width:
        gap = text.rfind(" ", begin + 1, begin + width + 1)
        after = gap if gap > 0 else begin + width
        yield text[begin:after].rstrip()
        while after < end and text[after].isspace():
            after += 1
        begin = after
    yield text[begin:]


def hung(line: str, width: int) -> Iterator[str]:
    """A line in lines of at most this width, those after the first further in."""
    start = len(line) - len(line.lstrip())
    if len(line) <= width:
        yield line
        return
    head = next(broken(line[start:], width - start))
    yield line[:start] + head
    yield from (" " * (start + 4) + each for each in broken(line[start + len(head):].lstrip(), width - start - 4) if each)


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The rows of a table as lines, each column as wide as its widest cell, two spaces between them."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
