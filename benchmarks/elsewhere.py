"""One change, as in "Latency of one change", while somebody else commits again and again what concerns nobody.

Another program adds and removes an element of a set of its own, in a table of its own, so many times a second. After each of its
transactions netmgr has to find out whether its sets are still as they should be, which it does at a pace that leaves most of a processor to
others. Counted are removals until netmgr's own transaction, and the share of a processor that netmgr takes meanwhile. The sets
are those of "One change with many sets".
"""

import statistics
import time
from typing import Dict, List, NamedTuple, Tuple

from benchmarks import curves
from benchmarks.common import Section, Verdict, main, microseconds, peer, quantile, times
from benchmarks.latency import changes
from benchmarks.sets import OF_A_ZONE, Sets
from benchmarks.space import Netmgr

SIZES, QUICK_SIZES = (6, 606, 6006), (6, 606)
RATES = (0, 10, 100)
CHANGES, ROUNDS = 200, 3
QUICK_CHANGES, QUICK_ROUNDS = 100, 1
PAUSE = 7000            # microseconds between changes, of no rhythm with the commits
ELSEWHERE = ("inet", "elsewhere", "own")
AIM = 3.0


class Found(NamedTuple):
    """Seconds of each removal; seconds of processor and of time."""

    removed: List[float]
    processor: List[float]
    time: List[float]


def run(quick: bool) -> Section:
    """Each number of sets with each rate."""
    sizes = QUICK_SIZES if quick else SIZES
    rows, p99s = [], {}
    for size in sizes:
        for rate, found in _one_size(size, *((QUICK_CHANGES, QUICK_ROUNDS) if quick else (CHANGES, ROUNDS))).items():
            p99s[size, rate] = quantile(found.removed, 0.99)
            rows.append(["{:,}".format(size), "%d" % rate, microseconds(statistics.median(found.removed)), microseconds(p99s[size, rate]),
                         times(p99s[size, rate], p99s[size, 0]), "%.1f %%" % (100 * sum(found.processor) / sum(found.time))])
    most, often = sizes[-1], RATES[-1]
    return Section("Commits elsewhere", " ".join((__doc__ or "").split()),
                   ["sets", "commits a second", "p50", "p99", "p99 against none", "of a processor"], rows, [
        Verdict("an address's removal while others commit {} times a second, {:,} sets, p99, against none".format(often, most),
                p99s[most, often] / p99s[most, 0], " x", AIM)],
        {"elsewhere.svg": curves.draw("From the removal of an address to its transaction, p99", "sets", "microseconds", {
            "%d commits a second" % rate: [(size, p99s[size, rate] * 1e6) for size in sizes] for rate in RATES})})


def _one_size(size: int, number: int, rounds: int) -> Dict[int, Found]:
    found = {rate: Found([], [], []) for rate in RATES}
    with Sets(size // len(OF_A_ZONE)) as space:
        space.nft("add table %s %s; add set %s %s %s { type ipv4_addr; }" % (ELSEWHERE[:2] + ELSEWHERE))
        with Netmgr(space) as netmgr:
            for _round in range(rounds):
                for rate, each in found.items():
                    removed, processor, seconds = _removals(space, netmgr, number, rate)
                    each.removed.extend(removed)
                    each.processor.append(processor)
                    each.time.append(seconds)
    return found


def _removals(space: Sets, netmgr: Netmgr, number: int, rate: int) -> Tuple[List[float], float, float]:
    if rate:
        with space.background(peer("committer", *ELSEWHERE, rate)):
            return _counted(space, netmgr, number)
    return _counted(space, netmgr, number)


def _counted(space: Sets, netmgr: Netmgr, number: int) -> Tuple[List[float], float, float]:
    processor, begin = netmgr.processor(), time.monotonic()
    removed = changes(space, number, PAUSE, ["netmgr"])[1::2]
    return removed, netmgr.processor() - processor, time.monotonic() - begin


if __name__ == "__main__":
    main(run)
