"""What it costs one change, as in "Latency of one change", that the cause of each change of a set is known and can be told.

Beside netmgr runs the same netmgr without the two lines that note what an event brought and what became of it; so nothing is
told of it either. Both run at the same time and have their turns; p50 is the mean of the medians of additions and removals, and a ratio
is the median of those of the rounds.
"""

import contextlib
import statistics
from typing import Dict, List, Sequence

from benchmarks.common import NETMGR, Section, Verdict, main, microseconds, python_peer, times
from benchmarks.latency import changes
from benchmarks.space import Netmgr, Space

ADDRESSES = INTERFACES = 10
CHANGES, ROUNDS = 60, 50
QUICK_CHANGES, QUICK_ROUNDS = 40, 15
AIM = 1.03


def run(quick: bool) -> Section:
    """With and without, in turns."""
    number, rounds = (QUICK_CHANGES, QUICK_ROUNDS) if quick else (CHANGES, ROUNDS)
    found = _measured({"with causes": [NETMGR], "without": python_peer("causeless_netmgr")}, number, rounds)
    ratio = statistics.median(ours / theirs for ours, theirs in zip(*found.values()))
    rows = [[name, microseconds(statistics.median(p50s)), ""] for name, p50s in found.items()]
    rows.append(["with causes against without", "", times(ratio, 1)])
    return Section("Causes", " ".join((__doc__ or "").split()), ["", "p50", "ratio"], rows,
                   [Verdict("one change with its cause, p50, against one without", ratio, " x", AIM)])


def _measured(programs: Dict[str, Sequence[str]], number: int, rounds: int) -> Dict[str, List[float]]:
    """The p50 of each in each round."""
    found: Dict[str, List[float]] = {name: [] for name in programs}
    with contextlib.ExitStack() as stack:
        spaces = {name: stack.enter_context(Space(INTERFACES, ADDRESSES)) for name in programs}
        for name, program in programs.items():
            stack.enter_context(Netmgr(spaces[name], program))
        for turn in range(rounds):
            for name in sorted(programs, reverse=bool(turn % 2)):
                figures = changes(spaces[name], number)
                found[name].append((statistics.median(figures[::2]) + statistics.median(figures[1::2])) / 2)
    return found


if __name__ == "__main__":
    main(run)
