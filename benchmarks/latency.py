"""From the change of one address to the transaction that follows it, as a subscriber of nf_tables sees it.

A C program adds and removes one address in turns, some milliseconds apart, and waits each time for the next transaction. What
follows the address is netmgr; the smallest C program that can do it; the smallest loop in Python, on netmgr's own codec, which
shows what the language alone takes; the shell's `ip monitor | while read ...; do nft add element`; and the same loop on pyroute2.
All have a set with so many elements before them; netmgr also has so many addresses to look after.
"""

import statistics
from typing import Callable, ContextManager, Dict, List, Tuple

from benchmarks import curves
from benchmarks.common import HERE, Section, Verdict, main, microseconds, peer, python_peer, quantile, times
from benchmarks.space import PROBE, SET, Netmgr, Space

ADDRESS = "192.0.2.1"
SIZES = ((10, 10), (10000, 40), (100000, 100))       # addresses, interfaces
CHANGES, SLOW_CHANGES, PAUSE = 300, 40, 3000
ROUNDS = 5


def run(quick: bool) -> Section:
    """One change, among few and among many elements."""
    rows, found = [], {}
    rounds = 2 if quick else ROUNDS
    for addresses, interfaces in (SIZES[0], SIZES[-1]) if quick else SIZES:
        for name, figures in _one_size(addresses, interfaces, rounds).items():
            found[name, addresses] = statistics.median(figures)
            rows.append([name, "{:,}".format(addresses), microseconds(found[name, addresses]), microseconds(quantile(figures, 0.99)),
                         times(found[name, addresses], found["C program", addresses])])
    return Section("Latency of one change", " ".join((__doc__ or "").split()),
                   ["what follows", "elements", "p50", "p99", "p50 / C program"], rows, _verdicts(found),
                   {"latency.svg": curves.draw("From an address to its transaction, p50", "elements", "microseconds", _series(found))})


def _verdicts(found: Dict[Tuple[str, int], float]) -> List[Verdict]:
    few, many = SIZES[0][0], SIZES[-1][0]
    return [
        Verdict("one change, p50, against the C program", found["netmgr", few] / found["C program", few], " x", 1.6),
        Verdict("one change, p50, the shell loop against netmgr", found["shell loop", few] / found["netmgr", few], " x", 20, True),
        Verdict("one change with 100,000 elements, against 10", found["netmgr", many] / found["netmgr", few], " x", 1.3),
    ]


def _series(found: Dict[Tuple[str, int], float]) -> Dict[str, List[Tuple[float, float]]]:
    series: Dict[str, List[Tuple[float, float]]] = {}
    for (name, size), figure in found.items():
        series.setdefault(name, []).append((size, figure * 1e6))
    return series


def _one_size(addresses: int, interfaces: int, rounds: int) -> Dict[str, List[float]]:
    with Space(interfaces, addresses) as space:
        space.output(peer("kernel_share", *SET))
        subjects: Dict[str, Tuple[int, Callable[[], ContextManager[object]]]] = {
            "C program": (CHANGES, lambda: space.background(peer("follow", *SET, PROBE))),
            "netmgr": (CHANGES, lambda: Netmgr(space)),
            "smallest Python loop": (CHANGES, lambda: space.background(python_peer("follow", *SET, PROBE))),
            "shell loop": (SLOW_CHANGES, lambda: space.background([str(HERE / "peers" / "follow.sh"), *SET, PROBE])),
            "pyroute2 loop": (SLOW_CHANGES, lambda: space.background(python_peer("pyroute2_follow", *SET, PROBE))),
        }
        found: Dict[str, List[float]] = {name: [] for name in subjects}
        for _round in range(rounds):
            for name, (changes, start) in subjects.items():
                with start():
                    found[name] += _changes(space, changes)
    return found


def _changes(space: Space, changes: int) -> List[float]:
    """Seconds of each, without the first few."""
    return [float(line) / 1e6 for line in space.output(peer("probe", PROBE, ADDRESS, changes + 10, PAUSE))[10:]]


if __name__ == "__main__":
    main(run)
