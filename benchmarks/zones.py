"""Zones that only labels name: containers with a zone of their own each, whose set exists, are taken in and lost.

An engine (100 lines that answer like one) has none, then many containers, then none again; each time it ends the connections, and netmgr
lists all anew, and once more a second later: of few and of many both lists count. Counted is the processor time of netmgr's process until
it is at rest again, without the kernel's share: the kernel looks through the sets of a table one by one, so its share is not linear. Each
run is a new netmgr, which has to get to know each zone; for few zones the mean of several runs is taken.
"""

import os
import statistics
import time
from typing import Dict, List, NamedTuple

from benchmarks import curves
from benchmarks.common import Section, Verdict, digits, main, milliseconds
from benchmarks.space import PATIENCE, Netmgr
from netmgr.io.docker_source import TIMING
from netmgr.io.loop import Loop
from netmgr.io.nft import Nft
from netmgr.values.sets import SetName
from tests.engine_bodies import container
from tests.fake_engine import FakeEngine
from tests.kernel.lab import Lab

SIZES = (200, 2000)
AIM = 12.0
TURNS, QUICK_TURNS = 5, 1
RUNS_OF_FEW = 4         # in each turn: one takes so little that the clock of processor time is too coarse for it
REST = TIMING.confirm + 0.4     # seconds without any of netmgr's processor time: the list that confirms the first one is not overlooked
CONFIGURATION = """\
interfaces: []
nftables: {table: inet filter, include_dir: %(directory)s/include}
docker: {enabled: true, socket: %(directory)s/engine, label_zones: ["z*"]}
socket_path: %(directory)s/socket
"""
TICK = os.sysconf("SC_CLK_TCK")


class Share(NamedTuple):
    """Seconds of netmgr's processor time, outside the kernel."""

    taken_in: float
    lost: float


def run(quick: bool) -> Section:
    """Few and many, in turns."""
    few, many = SIZES
    found: Dict[int, List[Share]] = {size: [] for size in SIZES}
    for _turn in range(QUICK_TURNS if quick else TURNS):
        for size in SIZES:
            runs = [_one_run(size) for _run in range(1 if size == many else RUNS_OF_FEW)]
            found[size].append(Share(*(sum(each) / len(runs) for each in zip(*runs))))
    medians = {size: Share(*map(statistics.median, zip(*shares))) for size, shares in found.items()}
    ratios = Share(*(ours / theirs for ours, theirs in zip(medians[many], medians[few])))
    rows = [["{:,}".format(size), *map(milliseconds, share)] for size, share in medians.items()]
    rows.append(["{:,} against {}".format(many, few), *(digits(ratio) + " x" for ratio in ratios)])
    return Section(
        "Zones by labels", " ".join((__doc__ or "").split()), ["containers and zones", "taken in", "lost"], rows,
        [Verdict("{:,} zones by labels {}, against {}".format(many, what, few), ratio, " x", AIM)
         for what, ratio in zip(("taken in", "lost"), ratios)],
        {"zones.svg": curves.draw("Zones by labels: netmgr's own processor time", "containers and zones", "milliseconds", {
            what: [(size, share[place] * 1e3) for size, share in medians.items()] for place, what in enumerate(("taken in", "lost"))})})


def _one_run(size: int) -> Share:
    with Lab(loopback=False) as lab:
        names = ["docker_ips", *("z%d_ips" % number for number in range(size))]
        lab.nft("add table inet filter\n" + "".join("add set inet filter %s { type ipv4_addr; }\n" % name for name in names))
        (lab.directory / "config.yaml").write_text(CONFIGURATION % {"directory": lab.directory})
        loop = Loop()
        engine = FakeEngine(loop, str(lab.directory / "engine")).open()
        with lab.inside():
            nft = Nft()
        try:
            return _taken_in_and_lost(lab, engine, loop, nft, size)
        finally:
            engine.close()
            loop.close()
            nft.close()


def _taken_in_and_lost(lab: Lab, engine: FakeEngine, loop: Loop, nft: Nft, size: int) -> Share:
    with Netmgr(lab) as netmgr:
        begin = _own_time(netmgr)
        engine.containers = [container(number, {"bridge": ["172.%d.%d.%d/12" % (16 + (number >> 16), number >> 8 & 255, number & 255)]},
                                       labels={"netmgr.zone": "z%d" % number}) for number in range(size)]
        _changed(engine, loop, nft, size, True)
        taken_in = _rested(netmgr, loop)
        engine.containers = []
        _changed(engine, loop, nft, size, False)
        return Share(taken_in - begin, _rested(netmgr, loop) - taken_in)


def _changed(engine: FakeEngine, loop: Loop, nft: Nft, size: int, there: bool) -> None:
    """End netmgr's connections, so that it asks anew, and wait until the sets of all zones are as they should be."""
    engine.hang_up()
    wrong = [SetName("inet", "filter", "z%d_ips" % number) for number in range(size)]
    deadline = time.monotonic() + PATIENCE
    while wrong:
        while wrong and _filled(nft, wrong[-1]) == there:
            wrong.pop()
        if wrong and time.monotonic() > deadline:
            raise RuntimeError("%d sets do not become right" % len(wrong))
        loop.turn(0.02)


def _filled(nft: Nft, name: SetName) -> bool:
    info = nft.inspect(name)
    return info is not None and bool(nft.read(info).contents.ours)


def _rested(netmgr: Netmgr, loop: Loop) -> float:
    """What _own_time says when netmgr has done what it does behind the sets."""
    before, begin = -1.0, time.monotonic()
    while before != _own_time(netmgr):
        before, begin = _own_time(netmgr), time.monotonic()
        while time.monotonic() < begin + REST:
            loop.turn(0.05)
    return before


def _own_time(netmgr: Netmgr) -> float:
    """Seconds in user mode."""
    with open("/proc/%d/stat" % netmgr.process.pid, encoding="ascii") as file:
        return int(file.read().rpartition(")")[2].split()[11]) / TICK


if __name__ == "__main__":
    main(run)
