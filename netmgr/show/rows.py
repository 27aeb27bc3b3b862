"""Rows of an answer that are made when they are read, of what was so at the moment when somebody asked.

Nothing is copied for that: the tables are lent (Inventory.lend, Model.lend), and who changes one that is lent takes a copy first.

Making them takes long where there are very many of them.  So whoever tells them makes some, lets others have their turn, and goes on.
"""

from heapq import merge
from itertools import islice
from typing import Any, Callable, Collection, Dict, Generator, Generic, Iterable, Iterator, List, Optional, Tuple, TypeVar

Row = TypeVar("Row")
Key = TypeVar("Key", bytes, str)

RUN = 500           # keys that are sorted at once
PIECE = 2048        # characters, a little more or less
SOME = 16           # rows that are made without a pause
LINES = 32          # that a piece of text has at most


class Rows(Generic[Row]):
    """`keys`, in their order, of which `row` makes each; a None between them means no more than that something was done.

    Without a length nobody knows how many there are until all are made.
    """

    def __init__(self, length: Optional[int], keys: Callable[[], Iterator[Optional[Any]]], row: Callable[[Any], Row]) -> None:
        self._length, self.keys, self.row = length, keys, row

    def steps(self) -> Iterator[Optional[Row]]:
        """One after the other, and None between them."""
        row = self.row
        return (None if key is None else row(key) for key in self.keys())

    def __iter__(self) -> Iterator[Row]:
        return (each for each in self.steps() if each is not None)

    def __len__(self) -> int:
        return sum(1 for _row in self) if self._length is None else self._length

    def __contains__(self, row: object) -> bool:
        return any(each == row for each in self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (tuple, Rows)) and tuple(self) == tuple(other)

    __hash__ = None     # type: ignore[assignment]


def made(steps: Callable[[], Iterator[Optional[Row]]]) -> Rows[Row]:
    """Rows of which nobody knows how many there are."""
    return Rows(None, steps, lambda row: row)


def steps_of(rows: Collection[Row]) -> Iterator[Optional[Row]]:
    """Rows, whether they are made as they are read or not."""
    return rows.steps() if isinstance(rows, Rows) else iter(rows)


def sifted(rows: Collection[Row], is_wanted: Callable[[Row], bool]) -> Iterator[Optional[Row]]:
    """Those that are wanted; None also where there were some that are not."""
    for place, row in enumerate(steps_of(rows), 1):
        if row is not None and is_wanted(row):
            yield row
        elif row is None or place % SOME == 0:
            yield None


def together(several: "Tuple[Collection[str], ...]") -> Iterator[Optional[Tuple[str, Tuple[bool, ...]]]]:
    """The rows of several, each once, and of which it is one; in the order of their keys, or of the rows themselves if one has no keys."""
    keyed = all(isinstance(each, Rows) for each in several)
    rest: List[Iterator[Any]] = [each.keys() if keyed else in_order(each) for each in several]      # type: ignore[attr-defined]
    heads: List[Any] = [None] * len(several)
    due = list(range(len(several)))
    while True:
        for place in due:
            heads[place] = yield from _next(rest[place], heads[place])
        there = [head for head in heads if head is not None]
        if not there:
            return
        first = min(there)
        due = [place for place, head in enumerate(heads) if head == first]
        text = several[due[0]].row(first) if keyed else first       # type: ignore[attr-defined]
        yield text, tuple(head == first for head in heads)


def _next(rest: Iterator[Any], before: Any) -> Generator[None, None, Any]:
    """The next one that is another; None at the end."""
    for each in rest:
        if each is None:
            yield None
        elif each != before:
            return each
    return None


def pieces(parts: Iterable[Optional[str]], most: Optional[int] = None) -> Iterator[str]:
    """Them in pieces of some length, and `most` in one; an empty one where something was done and nothing is to be told yet."""
    waiting: List[str] = []
    length = 0
    for part in parts:
        if part:
            waiting.append(part)
            length += len(part)
        if not part or length >= PIECE or len(waiting) == most:
            yield "".join(waiting)
            waiting, length = [], 0
    if waiting:
        yield "".join(waiting)


def lines(told: Iterable[Optional[str]]) -> Iterator[str]:
    """Lines in pieces."""
    return pieces((line if line is None else line + "\n" for line in told), LINES)


def arranged(rows: Iterable[Row], key: Callable[[Row], Any]) -> Iterator[Optional[Row]]:
    """The rows in the order of their keys; None while that is under way."""
    rest = iter(rows)
    runs: List[List[Row]] = []
    for some in iter(lambda: sorted(islice(rest, RUN), key=key), []):
        runs.append(some)
        yield None
    yield from merge(*runs, key=key)


def in_order(keys: Collection[Key], short_first: bool = False) -> Iterator[Optional[Key]]:
    """The keys, sorted, perhaps short ones before long ones; None while that is under way."""
    if len(keys) > RUN:
        return _merged(keys, short_first)
    return iter(sorted(sorted(keys), key=len) if short_first else sorted(keys))


def _merged(keys: Iterable[Key], short_first: bool) -> Iterator[Optional[Key]]:
    """Runs of one width are joined: what many clients wait for would give the garbage collector much to look through."""
    rest = iter(keys)
    runs: Dict[int, List[Tuple[int, Key]]] = {}
    for some in iter(lambda: sorted(islice(rest, RUN)), []):
        for width, joined in _by_width(some):
            runs.setdefault(width if short_first else 0, []).append((width, joined))
        yield None
    for group in sorted(runs):
        yield from merge(*(_apart(*run) for run in runs.pop(group)))


def _by_width(keys: List[Key]) -> Iterator[Tuple[int, Key]]:
    for width in sorted(set(map(len, keys))):
        yield width, keys[0][:0].join([each for each in keys if len(each) == width])


def _apart(width: int, joined: Key) -> Iterator[Key]:
    return (joined[place:place + width] for place in range(0, len(joined), width or 1))
