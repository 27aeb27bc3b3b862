"""Many changes of addresses at once: does netmgr keep up, and how soon after the end are the sets right?

A C program adds and removes addresses in rounds, at a given pace or as fast as the kernel does it; at the end, half of them are
there. Four of them at once leave netmgr little of a processor. Overruns are those that netmgr reports. Converged is the first
moment from which on the set holds just these, as a reader of the set sees it every few milliseconds.
"""

import time
from typing import List, NamedTuple, Tuple

from benchmarks.common import Section, Verdict, main, milliseconds, peer
from benchmarks.space import PROBE, Netmgr, Space
from netmgr.io.nft import Nft
from netmgr.values.sets import SetName

ADDRESSES = 200
WANTED = {bytes((172, 16, 0, number)) for number in range(ADDRESSES // 2)}
STORMS = ((20000, 1), (40000, 1), (60000, 1), (80000, 1), (0, 1), (0, 4))       # changes a second (0: all that is possible), programs
QUICK = ((60000, 1), (0, 1))
SECONDS = 3.0
TURNS = 2


class Storm(NamedTuple):
    """One run: changes a second as they came about, what netmgr says of it, seconds from the last change to the right set."""

    pace: float
    overruns: int
    resyncs: int
    converged: float


def run(quick: bool) -> Section:
    """Storms of different pace; a pace counts as sustained when none of its turns overran."""
    rows, verdicts = [], []
    for pace, programs in QUICK if quick else STORMS:
        storms = [_storm(pace, programs, 2.0 if quick else SECONDS) for _turn in range(1 if quick else TURNS)]
        worst = max(storms, key=lambda storm: (storm.overruns, storm.converged))
        rows.append(["{:,} a second".format(pace) if pace else "as fast as the kernel" + " (four programs)" * (programs > 1),
                     "{:,.0f}".format(_median([each.pace for each in storms])),
                     str(worst.overruns), str(worst.resyncs), milliseconds(max(storm.converged for storm in storms))])
        if pace == 60000:
            verdicts.append(Verdict("overruns at 60,000 changes a second", worst.overruns, "", 0))
        if (pace, programs) == (0, 1):
            verdicts.append(Verdict("converged after a storm at full speed", max(storm.converged for storm in storms), " s", 1))
    return Section("Storm", " ".join((__doc__ or "").split()),
                   ["storm", "changes a second", "overruns (worst turn)", "snapshots", "converged after (worst turn)"], rows, verdicts)


def _storm(pace: int, programs: int, seconds: float) -> Storm:
    with Space(10, 10) as space, Netmgr(space) as netmgr, space.inside():
        nft = Nft()
        interfaces = (PROBE, "bench0", "bench1", "bench2")[:programs]
        storms = [space.start(peer("storm", interface, ADDRESSES, pace, seconds)) for interface in interfaces]
        for storm in storms:
            storm.wait(60)
        changes, begin, end = map(max, zip(*(_numbers(space.log(storm)) for storm in storms)))
        right = _converged(nft)
        time.sleep(0.2)
        _converged(nft)
        netlink = netmgr.status()["sources"]["netlink"]
        nft.close()
        return Storm(programs * changes / (end - begin), netlink["overruns"], netlink["resyncs"], right - end)


def _numbers(line: str) -> Tuple[int, float, float]:
    changes, begin, end = line.split()
    return int(changes), float(begin), float(end)


def _converged(nft: Nft) -> float:
    """The time when the set is right."""
    deadline = time.monotonic() + 60
    while True:
        info = nft.inspect(SetName("inet", "filter", "wan_ips"))
        assert info is not None
        held = nft.read(info).contents.ours
        now = time.monotonic()
        if {element for element in held if element[0] == 172} == WANTED:
            return now
        if now > deadline:
            raise RuntimeError("the set does not get right")
        time.sleep(0.005)


def _median(figures: List[float]) -> float:
    return sorted(figures)[len(figures) // 2]


if __name__ == "__main__":
    main(run)
