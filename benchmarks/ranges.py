"""One change of a network in a set of ranges, as in "Latency of one change", among few and among many ranges.

The kernel itself takes longer the more ranges there are: with each transaction it builds a table of all of them. The floor is a C
program that makes the same transaction without working anything out. "Alone": the network touches nothing. "Joined": it and a
neighbour make one network, so that a range goes and a larger one comes. "Around foreign ranges": every tenth range more is somebody
else's, and so is one inside the network, which becomes two ranges. "Auto-merge": the set is one in which whatever touches is joined; two
ranges go, one comes. p50 is the mean of the medians of additions and removals; a ratio is the median of those of the rounds, for with
many ranges the kernel takes now half and now twice as long.
"""

import statistics
from typing import Callable, ContextManager, Dict, List, NamedTuple, Sequence, Tuple

from benchmarks import curves
from benchmarks.common import Section, Verdict, main, microseconds, peer, times
from benchmarks.space import NETWORKS_SET, PROBE, Netmgr, Networks

SIZES = ((1000, 10, 2.5), (10000, 40, 1.5), (50000, 100, 1.2))      # networks, interfaces, aim
CHANGES, ROUNDS, PAUSE = 40, 7, 3000
QUICK_CHANGES, QUICK_ROUNDS = 40, 3
NEIGHBOURS = ("198.18.1.1/24", "198.18.3.1/24")
INSIDE = "192.0.2.64-192.0.2.79"


class Case(NamedTuple):
    """What comes and goes, and what that does to the ranges; `flags` of the set, whether others have ranges in it."""

    address: str
    changes: Sequence[str]
    flags: str = ""
    foreign: bool = False


CASES = {
    "alone": Case("192.0.2.1", ["+192.0.2.0-192.0.2.255"]),
    "joined": Case("198.18.2.1", ["-198.18.3.0-198.18.3.255", "+198.18.2.0-198.18.3.255"]),
    "around foreign ranges": Case("192.0.2.1", ["+192.0.2.0-192.0.2.63", "+192.0.2.80-192.0.2.255"], foreign=True),
    "auto-merge": Case("198.18.2.1", ["-198.18.1.0-198.18.1.255", "-198.18.3.0-198.18.3.255", "+198.18.1.0-198.18.3.255"], "auto-merge;"),
}


def run(quick: bool) -> Section:
    """Each case with each number of ranges."""
    rows, verdicts = [], []
    series: Dict[str, List[Tuple[float, float]]] = {"netmgr": [], "C program": []}
    for size, interfaces, aim in SIZES[:2] if quick else SIZES:
        worst = 0.0
        for name, case in CASES.items():
            rounds = _p50s(case, size, interfaces, quick)
            ours, floor = map(statistics.median, zip(*rounds))
            ratio = statistics.median(one / other for one, other in rounds)
            rows.append(["{:,}".format(size), name, microseconds(ours), microseconds(floor), times(ratio, 1)])
            worst = max(worst, ratio)
            if name == "alone":
                series["netmgr"].append((size, ours * 1e6))
                series["C program"].append((size, floor * 1e6))
        verdicts.append(Verdict("one change among {:,} ranges, the worst case, against the C program".format(size), worst, " x", aim))
    return Section("One change in a set of ranges", " ".join((__doc__ or "").split()),
                   ["ranges", "the network is", "netmgr p50", "C program p50", "netmgr / C program"], rows, verdicts,
                   {"ranges.svg": curves.draw("From the change of a network to its transaction, p50", "ranges", "microseconds", series)})


def _p50s(case: Case, size: int, interfaces: int, quick: bool) -> List[Tuple[float, float]]:
    """Of netmgr and of the C program, in each round."""
    changes, rounds = (QUICK_CHANGES, QUICK_ROUNDS) if quick else (CHANGES, ROUNDS)
    foreign = [INSIDE, *map(_between, range(0, size, 10))] if case.foreign else ()
    with Networks(interfaces, size, case.flags, foreign) as space:
        for neighbour in NEIGHBOURS:
            space.run("ip addr add %s dev bench0 noprefixroute" % neighbour)
        with Netmgr(space):
            pass
        subjects: Sequence[Callable[[], ContextManager[object]]] = (
            lambda: Netmgr(space), lambda: space.background(peer("follow_ranges", *NETWORKS_SET, PROBE, *case.changes)))
        found = []
        for number in range(rounds):        # in turns one or the other is first
            first, second = (_p50(space, case, changes, each) for each in subjects[::-1 if number % 2 else 1])
            found.append((second, first) if number % 2 else (first, second))
        return found


def _p50(space: Networks, case: Case, changes: int, start: Callable[[], ContextManager[object]]) -> float:
    with start():
        found = _changes(space, case.address, changes)
    return sum(statistics.median(found[half::2]) for half in (0, 1)) / 2


def _between(number: int) -> str:
    """A range between two of the networks, that touches neither."""
    prefix = "10.%d.%d" % (number >> 13, number >> 5 & 255)
    return "%s.%d-%s.%d" % (prefix, (number & 31) * 8 + 5, prefix, (number & 31) * 8 + 6)


def _changes(space: Networks, address: str, changes: int) -> List[float]:
    """Seconds of each, additions and removals in turns, without the first few."""
    return [float(line) / 1e6 for line in space.output(peer("probe", PROBE, address, changes + 10, PAUSE, 24))[10:]]


if __name__ == "__main__":
    main(run)
