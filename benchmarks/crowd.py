"""One container among few and among very many; an interface's address while very many containers see events.

An engine of threads (peers/engine.py), which answers at once, has so many containers. First one more container is started, and stopped
again, and again: counted is from the moment when the engine tells the event until netmgr's transaction. Then the C program of "Latency"
changes an address, while the engine is quiet and while it tells ten events a second about containers that stay as they are: netmgr asks
about each, and now and then for the whole list.
"""

import select
import statistics
import subprocess
import time
from typing import Dict, List

from benchmarks import curves
from benchmarks.common import PYTHON, Section, Verdict, main, microseconds, milliseconds, peer, quantile, times
from benchmarks.space import PATIENCE, PROBE, Netmgr, Space
from netmgr.io.nft import Watch

FEW, SOME, MANY = 10, 1_000, 10_000
STARTS, CHANGES, ROUNDS = 60, 500, 2
QUICK = 20, 200, 1
SHARES = {"p50": 0.5, "p90": 0.9}
RATE, PAUSE = 10, 15_000        # events a second; microseconds between changes of the address
AIM_START, AIM_REMOVAL = 2.0, 3.0
CONFIGURATION = """\
interfaces: [{name: %(probe)s, nftables_zone: wan}]
nftables: {table: inet filter, include_dir: %(directory)s/include}
docker: {enabled: true, socket: %(directory)s/engine}
socket_path: %(directory)s/socket
"""


def run(quick: bool) -> Section:
    """Few and many, in turns; then many, quiet and not."""
    starts, changes, rounds = QUICK if quick else (STARTS, CHANGES, ROUNDS)
    started: Dict[int, List[float]] = {FEW: [], SOME: [], MANY: []}
    removed: Dict[float, List[float]] = {0: [], RATE: []}
    for _round in range(rounds):
        for count in started:
            with Crowd(count) as crowd:
                started[count] += crowd.starts(starts)
                if count == MANY:
                    for rate in removed:
                        removed[rate] += crowd.removals(changes, rate)
    return _section(started, removed)


def _section(started: Dict[int, List[float]], removed: Dict[float, List[float]]) -> Section:
    rows = [["a container's start beside {:,} others".format(count), milliseconds(statistics.median(figures)),
             milliseconds(quantile(figures, 0.9)), milliseconds(quantile(figures, 0.99))] for count, figures in started.items()]
    rows += [["an address's removal beside {:,} containers, {:.0f} events a second".format(MANY, rate),
              *(microseconds(quantile(figures, share)) for share in (0.5, 0.9, 0.99))] for rate, figures in removed.items()]
    start = statistics.median(started[MANY]) / statistics.median(started[FEW])
    removal = quantile(removed[RATE], 0.99) / quantile(removed[0], 0.99)
    rows.append(["the start, many against few; the removal, with events against without", times(start, 1), "", times(removal, 1)])
    return Section(
        "Many containers", " ".join((__doc__ or "").split()), ["what", "p50", "p90", "p99"], rows,
        [Verdict("a container's start with {:,} others, p50, against {}".format(MANY, FEW), start, " x", AIM_START),
         Verdict("an address's removal while {:,} containers see {} events a second, p99, against none".format(MANY, RATE),
                 removal, " x", AIM_REMOVAL)],
        {"crowd.svg": curves.draw("From the event of a container's start to its element", "other containers", "milliseconds", {
            name: [(count, 1e3 * quantile(figures, share)) for count, figures in started.items()] for name, share in SHARES.items()})})


class Crowd:
    """An engine with so many containers, and netmgr that has taken them in."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._space = Space(2, 2)
        directory = self._space.directory
        (directory / "config.yaml").write_text(CONFIGURATION % {"directory": directory, "probe": PROBE})
        self._space.nft("add set inet filter docker_ips { type ipv4_addr; }")
        self._engine = subprocess.Popen([PYTHON, "-m", "benchmarks.peers.engine", str(directory / "engine"), str(count)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._read()
        self._netmgr = Netmgr(self._space)
        deadline = time.monotonic() + PATIENCE
        while self._space.count("docker_ips") != count:
            if time.monotonic() > deadline:
                raise RuntimeError("the set does not get %d elements" % count)
            time.sleep(0.2)
        with self._space.inside():
            self._watch = Watch()

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_details: object) -> None:
        self._watch.close()
        self._netmgr.__exit__()
        self._engine.kill()
        self._engine.communicate()
        self._space.close()

    def starts(self, number: int) -> List[float]:
        """Seconds from each start's event to the transaction that follows; each container is stopped again."""
        found = []
        for turn in range(number):
            found.append(self._followed("start", turn))
            self._followed("stop", turn)
        return found

    def removals(self, changes: int, rate: float) -> List[float]:
        """Seconds from each removal of an address to the transaction that follows."""
        self._order("tell %g" % rate)
        figures = [float(line) / 1e6 for line in self._space.output(peer("probe", PROBE, "192.0.2.1", changes + 10, PAUSE))[10:]]
        self._order("tell 0")
        return figures[1::2]

    def _followed(self, word: str, turn: int) -> float:
        time.sleep(0.05)
        self._watch.drain()
        told = float(self._order("%s %d" % (word, self._count + turn)))
        if not select.select([self._watch], [], [], PATIENCE)[0]:
            raise RuntimeError("no transaction follows")
        return time.monotonic() - told

    def _order(self, line: str) -> str:
        assert self._engine.stdin is not None
        self._engine.stdin.write(line + "\n")
        self._engine.stdin.flush()
        return self._read()

    def _read(self) -> str:
        assert self._engine.stdout is not None
        return self._engine.stdout.readline().strip()


if __name__ == "__main__":
    main(run)
