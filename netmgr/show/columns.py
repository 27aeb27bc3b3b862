"""A table as lines, of rows that are made as they are read: once to see how wide they are, and once to say them.

So however many there are, none is kept.  None among the rows, and among the lines, means no more than that something was done.
"""

from typing import Callable, Iterator, List, Optional, Sequence, Tuple

from netmgr.values.text import broken

Row = Tuple[str, ...]
Steps = Callable[[], Iterator[Optional[Row]]]       # gives the rows as often as it is called

NARROWEST = 8       # characters of a column
ANY = 1 << 30       # a room that nothing fills
MEASURED = 32       # rows that are looked at without a pause


class _Measure:
    """How wide the cells of each column are, and the longest words in them; `joined`: from column `whole` on as if that were one cell."""

    def __init__(self, columns: int, whole: Optional[int]) -> None:
        self.widths, self.words, self.joined, self._whole = [0] * columns, [0] * columns, 0, whole

    def add(self, row: Row) -> None:
        """One more row."""
        self.widths = list(map(max, self.widths, map(len, row)))
        for place, cell in enumerate(row):
            if len(cell) > self.words[place]:
                self.words[place] = max(self.words[place], *map(len, cell.split(" ")))
        if self._whole is not None:
            self.joined = max(self.joined, len(_joined(row[self._whole:])))


def fitted(header: Row, steps: Steps, room: int, whole: Optional[int] = None) -> Iterator[Optional[str]]:
    """In lines of at most so many characters: what is too wide goes on in further lines, if there is room for that at all.

    Columns that have nothing to show are left out.  Words are cut only where they do not fit side by side, and those of the column
    `whole` never: where there is no room for that, what stands to its right goes on in it.
    """
    seen = _Measure(len(header), whole)
    for place, row in enumerate(steps()):
        if row is not None:
            seen.add(row)
        if row is None or place % MEASURED == MEASURED - 1:
            yield None
    columns = [[place] for place, width in enumerate(seen.widths) if width]
    if not columns:
        return
    words = [max(seen.words[place], *map(len, header[place].split(" "))) for place, in columns]
    kept = [place for place, in columns].index(whole) if whole is not None and [whole] in columns else None
    if kept is not None and sum(words) + 2 * (len(words) - 1) > room:
        columns[kept:] = [[place for place, in columns[kept:]]]
        words[kept:] = [max(words[kept:])]
    head = _arranged(header, columns)
    widths = [max(len(title), seen.joined if len(places) > 1 else seen.widths[places[0]]) for title, places in zip(head, columns)]
    _narrow(widths, words, room, kept)
    if any(head):
        yield from _lines(head, widths)
    for row in steps():
        if row is None:
            yield None
        else:
            yield from _lines(_arranged(row, columns), widths)


def _joined(cells: Sequence[str]) -> str:
    return " ".join(filter(None, cells))


def _arranged(row: Row, columns: Sequence[Sequence[int]]) -> Row:
    return tuple(row[places[0]] if len(places) == 1 else _joined([row[place] for place in places]) for places in columns)


def _narrow(widths: List[int], words: Sequence[int], room: int, whole: Optional[int]) -> None:
    """Take from the widest what there is no room for; from the first, which says what it is about, as the last."""
    room -= 2 * (len(widths) - 1)
    for least in (words, [width if place == whole else NARROWEST for place, width in enumerate(widths)]):
        excess = sum(widths) - room
        while excess > 0:
            places = [place for place, width in enumerate(widths) if width > least[place]]
            if not places:
                break
            widest = max(places, key=lambda place: (place > 0, widths[place]))
            next_widest = max((widths[place] for place in places if 0 < place != widest), default=0)
            taken = max(1, min(excess, widths[widest] - max(least[widest], next_widest)))
            widths[widest] -= taken
            excess -= taken


def _lines(row: Row, widths: Sequence[int]) -> Iterator[str]:
    if all(len(cell) <= width for cell, width in zip(row, widths)):
        yield "  ".join(map(str.ljust, row, widths)).rstrip()
        return
    cells = [list(broken(cell, width)) for cell, width in zip(row, widths)]
    for place in range(max(map(len, cells))):
        yield "  ".join((cell[place] if place < len(cell) else "").ljust(width) for cell, width in zip(cells, widths)).rstrip()
