"""From the change of one address to the transaction that follows it, as a subscriber of nf_tables sees it.

A C program adds and removes one address in turns, some milliseconds apart, and waits each time for the next transaction. What
follows the address is netmgr; the smallest C program that can do it; the smallest loop in Python, on netmgr's own codec, which
shows what the language alone takes; the shell's `ip monitor | while read ...; do nft add element`; and the same loop on pyroute2.
All have a set with so many elements before them; netmgr also has so many addresses to look after. For each IPv4 address that is
added the kernel looks through all that there are, on any processor and, as most kernels are built, without letting anybody else run
there: with 100,000 of them additions say little about who follows, and the comparison of many with few is one of removals. Additions
and removals take the shell and the kernel so differently long that a median of both together would fall into the gap between them and
mean nothing; p50 is the mean of the two medians.
"""

import statistics
from typing import Callable, ContextManager, Dict, List, NamedTuple, Sequence, Tuple

from benchmarks import curves
from benchmarks.common import HERE, Section, Verdict, main, microseconds, peer, python_peer, quantile, table, times
from benchmarks.space import PROBE, SET, Netmgr, Space

ADDRESS = "192.0.2.1"
SIZES = ((10, 10), (10000, 40), (100000, 100))       # addresses, interfaces
CHANGES, SLOW_CHANGES, ROUNDS = 200, 30, 4
QUICK = 100, 20, 1
PAUSE = 3000
WHERE = """\
Where netmgr's time goes, with 10 elements: one change, from the selector's return, clocks included. What is left of the p50 above is the
way into netmgr and out of it, and what netmgr does behind the commit: who waits for the commit mostly shares its processor. Why this is
so much more than the C program's: an interpreter touches much more memory for the same, and after a rest has to fetch all of it again; the
second column has the same instructions while the processor's caches still hold it. The smallest loop in Python, above, which knows nothing
and checks nothing, shows how little of that netmgr could still leave out."""
STAGES = {
    "read": "events read and parsed", "counted": "who claims what is counted", "planned": "the transaction is worked out",
    "written": "its bytes are written", "sent": "the kernel has committed it and said so",
}


class Latency(NamedTuple):
    """Seconds: the medians of additions and of removals, and what one change in a hundred exceeds."""

    added: float
    removed: float
    p99: float

    @property
    def p50(self) -> float:
        """The mean of the two medians."""
        return (self.added + self.removed) / 2


def run(quick: bool) -> Section:
    """One change, among few and among many elements."""
    rows, found = [], {}
    changes, slow_changes, rounds = QUICK if quick else (CHANGES, SLOW_CHANGES, ROUNDS)
    sizes = SIZES[:2] if quick else SIZES
    for addresses, interfaces in sizes:
        for name, figures in _one_size(addresses, interfaces, changes, slow_changes, rounds).items():
            found[name, addresses] = each = Latency(
                statistics.median(figures[::2]), statistics.median(figures[1::2]), quantile(figures, 0.99))
            rows.append([name, "{:,}".format(addresses), *map(microseconds, (each.p50, *each)),
                         times(each.p50, found["C program", addresses].p50)])
    return Section("Latency of one change", " ".join((__doc__ or "").split()),
                   ["what follows", "elements", "p50", "p50 of additions", "p50 of removals", "p99", "p50 / C program"], rows,
                   _verdicts(found, sizes[0][0], sizes[-1][0]),
                   {"latency.svg": curves.draw("From the removal of an address to its transaction, p50", "elements", "microseconds",
                                               _series(found))},
                   _stages(4 * changes))


def _verdicts(found: Dict[Tuple[str, int], Latency], few: int, many: int) -> List[Verdict]:
    ours = found["netmgr", few]
    return [
        Verdict("one change, p50, against the C program", ours.p50 / found["C program", few].p50, " x", 2.5),
        Verdict("one change, p50, the shell loop against netmgr", found["shell loop", few].p50 / ours.p50, " x", 20, True),
        Verdict("one change (removal) with {:,} elements, against {}".format(many, few),
                found["netmgr", many].removed / ours.removed, " x", 1.3),
    ]


def _series(found: Dict[Tuple[str, int], Latency]) -> Dict[str, List[Tuple[float, float]]]:
    series: Dict[str, List[Tuple[float, float]]] = {}
    for (name, size), figure in found.items():
        series.setdefault(name, []).append((size, figure.removed * 1e6))
    return series


def _one_size(addresses: int, interfaces: int, many: int, few: int, rounds: int) -> Dict[str, List[float]]:
    with Space(interfaces, addresses) as space:
        space.output(peer("kernel_share", *SET))
        subjects: Dict[str, Tuple[int, Callable[[], ContextManager[object]]]] = {
            "C program": (many, lambda: space.background(peer("follow", *SET, PROBE))),
            "netmgr": (many, lambda: Netmgr(space)),
            "smallest Python loop": (many, lambda: space.background(python_peer("follow", *SET, PROBE))),
            "shell loop": (few, lambda: space.background([str(HERE / "peers" / "follow.sh"), *SET, PROBE])),
            "pyroute2 loop": (few, lambda: space.background(python_peer("pyroute2_follow", *SET, PROBE))),
        }
        found: Dict[str, List[float]] = {name: [] for name in subjects}
        for _round in range(rounds):
            for name, (number, start) in subjects.items():
                with start():
                    found[name] += changes(space, number)
    return found


def _stages(changes: int) -> str:
    """Where netmgr's own time goes, as a table with a heading."""
    with Space(*SIZES[0][::-1]) as space:
        rested, at_once = (_staged(space, changes, pause) for pause in (PAUSE, 0))
    rows = [[STAGES[stage], microseconds(rested[stage]), microseconds(at_once[stage])] for stage in STAGES]
    return "\n".join([WHERE, "", *table(["until", "after a rest of %d ms" % (PAUSE / 1000), "without a rest"], rows)])


def _staged(space: Space, count: int, pause: int) -> Dict[str, float]:
    """Stage -> median of the seconds until its end."""
    path = space.directory / ("stages-%d" % pause)
    process = space.start(python_peer("staged_netmgr", path, "run", "--config", space.directory / "config.yaml"))
    while space.filled() != SIZES[0][0]:
        if process.poll() is not None:
            raise RuntimeError("netmgr has ended: %s" % space.log(process))
    changes(space, count, pause)
    space.stop(process)
    return {stage: float(figure) / 1e6 for stage, figure in map(str.split, path.read_text().splitlines())}


def changes(space: Space, changes: int, pause: int = PAUSE, by: Sequence[str] = ()) -> List[float]:
    """Seconds of each, additions and removals in turns, without the first few; `by`: until a process with this name has committed."""
    probe = peer("probe", PROBE, ADDRESS, changes + 10, pause, 32, *by)
    return [float(line) / 1e6 for line in space.output(probe)[10:]]


if __name__ == "__main__":
    main(run)
