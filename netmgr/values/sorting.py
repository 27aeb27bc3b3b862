"""Very many keys in their order, so that nobody has to wait until all of them are sorted.

They are sorted in runs.  Keys taken from each run, at even distances, are marks between which the runs are cut; what lies between two
marks comes from all runs, is sorted again, and is never much.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import chain, islice
from typing import Iterable, Iterator, List, Sequence

RUN, MARKS = 2048, 16       # keys that are sorted at once; marks in each run


def in_pieces(keys: Iterable[bytes]) -> Iterator[List[bytes]]:
    """The keys, sorted, some at a time; none at times, while that is under way.  All of them are taken down in the first step."""
    taken = list(keys)
    if len(taken) <= RUN:
        yield sorted(taken)
        return
    rest = iter(taken)
    runs: List[List[bytes]] = []
    for run in iter(lambda: sorted(islice(rest, RUN)), []):
        runs.append(run)
        yield []
    begins: Sequence[int] = [0] * len(runs)
    for mark in _marks(runs):
        ends = [bisect_left(run, mark, begin) for run, begin in zip(runs, begins)]
        yield _between(runs, begins, ends)
        begins = ends
    yield _between(runs, begins, [len(run) for run in runs])


def _marks(runs: Sequence[List[bytes]]) -> List[bytes]:
    """As many as there are runs, but for the first, so that there is about a run between two of them."""
    return sorted(chain.from_iterable(run[::RUN // MARKS] for run in runs))[MARKS::MARKS]


def _between(runs: Sequence[List[bytes]], begins: Sequence[int], ends: Sequence[int]) -> List[bytes]:
    return sorted(chain.from_iterable(run[begin:end] for run, begin, end in zip(runs, begins, ends)))
