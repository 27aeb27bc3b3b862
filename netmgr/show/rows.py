"""Rows of an answer that are made when they are read, of what was taken at the moment when somebody asked; taking it is only a quick copy.

Making them takes long where there are very many of them.  So whoever tells them makes some, lets others have their turn, and goes on.
"""

from heapq import merge
from itertools import islice
from typing import Callable, Collection, Generic, Iterable, Iterator, List, Optional, Tuple, TypeVar

Row = TypeVar("Row")

RUN = 500           # keys that are sorted at once


class Rows(Generic[Row]):
    """`steps` makes them one after the other; a None between them means no more than that something was done."""

    def __init__(self, length: int, steps: Callable[[], Iterator[Optional[Row]]]) -> None:
        self._length, self.steps = length, steps

    def __iter__(self) -> Iterator[Row]:
        return (each for each in self.steps() if each is not None)

    def __len__(self) -> int:
        return self._length

    def __contains__(self, row: object) -> bool:
        return any(each == row for each in self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (tuple, Rows)) and tuple(self) == tuple(other)

    __hash__ = None     # type: ignore[assignment]


def in_order(keys: Collection[bytes]) -> Iterator[Optional[bytes]]:
    """The keys, sorted; None while that is under way."""
    return _merged(keys) if len(keys) > RUN else iter(sorted(keys))


def _merged(keys: Iterable[bytes]) -> Iterator[Optional[bytes]]:
    """The runs are tuples, as nothing that is kept for long should keep the garbage collector busy."""
    rest = iter(keys)
    runs: List[Tuple[bytes, ...]] = []
    for run in iter(lambda: tuple(sorted(islice(rest, RUN))), ()):
        runs.append(run)
        yield None
    yield from merge(*runs)
