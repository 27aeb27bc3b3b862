"""From process start to READY, that is with all elements committed and include files written.

With networks they go into a set of ranges; there the kernel takes now 0.35 seconds and now a whole one for the same, so that not the
median counts but the shortest of the turns, of each. Beside it: what the kernel alone needs to dump the addresses and to commit the
elements, measured inside a C program around its system calls; that C program from start to end; and a Python that does nothing.
"""

import statistics
from typing import Callable, Dict, List, Sequence, Tuple

from benchmarks import curves
from benchmarks.common import PYTHON, Section, Verdict, main, milliseconds, peer, times, turns
from benchmarks.space import NETWORKS_SET, SET, Netmgr, Networks, Space

SIZES = ((10, 10, 15), (1000, 10, 7), (20000, 40, 5), (100000, 100, 3))     # addresses, interfaces, turns
QUICK = ((10, 10, 5), (20000, 40, 3))
NETWORKS, QUICK_NETWORKS = (100000, 100, 7), (20000, 40, 3)


def run(quick: bool) -> Section:
    """Start with few and with many addresses."""
    rows, verdicts = [], []
    series: Dict[str, List[Tuple[float, float]]] = {"netmgr": [], "C program": [], "the kernel alone": []}
    for addresses, interfaces, count in QUICK if quick else SIZES:
        with Space(interfaces, addresses) as space:
            ours, c, kernel, nothing = _one_size(space, peer("kernel_share", *SET), count)
        rows.append(["{:,}".format(addresses), milliseconds(ours), milliseconds(kernel), times(ours, kernel), milliseconds(c),
                     times(ours, c), times(ours, nothing)])
        for name, figure in zip(series, (ours, c, kernel)):
            series[name].append((addresses, figure * 1e3))
        if addresses == 10:
            verdicts.append(Verdict("start to READY with 10 interfaces, against `python -c pass`", ours / nothing, " x", 4))
        if addresses == 100000:
            verdicts.append(Verdict("start with 100,000 addresses, against the kernel's share", ours / kernel, " x", 2.5))
    networks, interfaces, count = QUICK_NETWORKS if quick else NETWORKS
    with Networks(interfaces, networks) as space:
        ours, c, kernel, nothing = _one_size(space, peer("kernel_share", *NETWORKS_SET, "networks"), count, min)
    rows.append(["{:,} networks".format(networks), milliseconds(ours), milliseconds(kernel), times(ours, kernel), milliseconds(c),
                 times(ours, c), times(ours, nothing)])
    if not quick:       # among few networks the start of Python counts more than they do
        verdicts.append(Verdict("start with {:,} networks in a set of ranges, against the kernel's share".format(networks),
                                ours / kernel, " x", 2.5))
    header = ["addresses", "netmgr", "kernel", "netmgr / kernel", "C program", "netmgr / C program", "netmgr / `python -c pass`"]
    return Section("Start", " ".join((__doc__ or "").split()), header, rows, verdicts,
                   {"start.svg": curves.draw("Process start to READY", "addresses", "milliseconds", series)})


def _one_size(space: Space, program: Sequence[str], count: int,
              typical: Callable[[Sequence[float]], float] = statistics.median) -> Tuple[float, float, float, float]:
    kernel: List[float] = []
    subjects: Dict[str, Callable[[], float]] = {
        "netmgr": lambda: _netmgr(space),
        "c": lambda: _c_program(space, program, kernel),
        "nothing": lambda: space.measure([PYTHON, "-c", "pass"]),
    }
    found = turns(count, subjects, typical)
    return found["netmgr"], found["c"], typical(kernel), found["nothing"]


def _netmgr(space: Space) -> float:
    space.flush()
    with Netmgr(space) as netmgr:
        _all_there(space)
    return netmgr.seconds


def _c_program(space: Space, program: Sequence[str], kernel: List[float]) -> float:
    """Seconds from start to end; the kernel's share is appended."""
    space.flush()
    seconds = space.measure(program)
    _all_there(space)
    space.flush()
    dump, commit, _all, _count = map(float, space.output(program)[0].split())
    kernel.append((dump + commit) / 1e6)
    return seconds


def _all_there(space: Space) -> None:
    if space.filled() != space.address_count:
        raise RuntimeError("the set does not hold all addresses")


if __name__ == "__main__":
    main(run)
