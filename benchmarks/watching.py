"""One change, as in "Latency of one change", while very much else happens, and somebody watches who has stopped to read.

A C program changes addresses of an interface that feeds no set, some 100,000 in all: what happens is told to whoever watches. One
watches as JSON and does not read; netmgr drops it as soon as too much waits for it, and then it watches anew. Counted is each change
until netmgr's own transaction, with nobody who watches and with it, in turns.
"""

import contextlib
import statistics
from typing import Dict, Iterator, List

from benchmarks.common import Section, Verdict, main, microseconds, peer, python_peer, quantile, times
from benchmarks.latency import changes
from benchmarks.space import Netmgr, Space

WATCHES = 1
PACE = 5000            # events a second
CHANGES, ROUNDS = 150, 15
QUICK_CHANGES, QUICK_ROUNDS = 100, 4
PAUSE = 7000            # microseconds between changes
AIM_P50, AIM_P99 = 1.1, 1.25        # what the same differs by, from turn to turn


def run(quick: bool) -> Section:
    """Without and with, in turns."""
    number, rounds = (QUICK_CHANGES, QUICK_ROUNDS) if quick else (CHANGES, ROUNDS)
    found: Dict[int, List[float]] = {0: [], WATCHES: []}
    with Space(10, 10) as space, Netmgr(space):
        for _round in range(rounds):
            for watches, figures in found.items():
                with _stopped(space, watches), _much_else(space):
                    figures.extend(changes(space, number, PAUSE, ["netmgr"]))
    ratios = [quantile(found[WATCHES], share) / quantile(found[0], share) for share in (0.5, 0.99)]
    rows = [["one watches and does not read" if watches else "nobody watches", microseconds(statistics.median(figures)),
             microseconds(quantile(figures, 0.99))] for watches, figures in found.items()]
    rows.append(["with it against nobody", *(times(ratio, 1) for ratio in ratios)])
    return Section("Watching", " ".join((__doc__ or "").split()), ["", "p50", "p99"], rows, [
        Verdict("one change while somebody watches and does not read, %s, against nobody" % name, ratio, " x", aim)
        for name, ratio, aim in zip(("p50", "p99"), ratios, (AIM_P50, AIM_P99))])


@contextlib.contextmanager
def _stopped(space: Space, watches: int) -> Iterator[None]:
    if not watches:
        yield
        return
    with space.background(python_peer("stopped_watch", space.directory / "socket", watches)):
        yield


@contextlib.contextmanager
def _much_else(space: Space) -> Iterator[None]:
    storm = space.start(peer("storm", "other0", 200, PACE, 3600))
    try:
        yield
    finally:
        space.stop(storm)


if __name__ == "__main__":
    main(run)
