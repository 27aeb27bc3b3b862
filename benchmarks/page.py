"""One change, as in "Latency of one change", while `netmgr http` answers a load generator.

wrk asks over 16 connections for one thing, each as soon as it has its answer; for those who ask together the page asks netmgr once. Load
generator, page, netmgr and whoever changes the address share the machine's processors. Counted is each change until netmgr's transaction,
in turns with nobody who asks.
"""

import contextlib
import re
import shutil
import socket
import statistics
import time
from typing import Dict, Iterator, List

from benchmarks.common import NETMGR, Section, Verdict, main, microseconds, quantile, times
from benchmarks.latency import changes
from benchmarks.space import PATIENCE, Netmgr, Space

ADDRESS, PORT = "127.0.0.1", 8765
TARGETS = ("/status", "/metrics", "/")
CHANGES, ROUNDS = 200, 6
QUICK_CHANGES, QUICK_ROUNDS = 100, 1
AIM = 2.0
LONG = 3600             # seconds; it is ended before


def run(quick: bool) -> Section:
    """Without and with each thing that is asked for, in turns."""
    method = " ".join((__doc__ or "").split())
    if shutil.which("wrk") is None:
        return Section("The page under load", method, [], [], notes="Skipped: there is no wrk.")
    number, rounds = (QUICK_CHANGES, QUICK_ROUNDS) if quick else (CHANGES, ROUNDS)
    found: Dict[str, List[float]] = {target: [] for target in ("", *TARGETS)}
    answers: Dict[str, List[float]] = {target: [] for target in TARGETS}
    with _served() as space:
        for _round in range(rounds):
            found[""] += changes(space, number)
            for target, paces in answers.items():
                with _load(space, target, paces):
                    found[target] += changes(space, number)
    rows = [["`%s`" % target if target else "nothing", "%.0f" % statistics.median(answers[target]) if target else "",
             microseconds(statistics.median(figures)), microseconds(quantile(figures, 0.99)),
             times(statistics.median(figures), statistics.median(found[""]))] for target, figures in found.items()]
    worst = max(statistics.median(found[target]) for target in TARGETS)
    return Section("The page under load", method, ["asked for", "answers a second", "p50", "p99", "p50 against nothing"], rows, [
        Verdict("one change while `netmgr http` is under load, p50, the worst thing to ask for, against nobody",
                worst / statistics.median(found[""]), " x", AIM)])


@contextlib.contextmanager
def _served() -> Iterator[Space]:
    with Space(10, 10) as space, Netmgr(space):
        space.run("ip link set lo up")
        page = space.start([NETMGR, "http", "--listen", "%s:%d" % (ADDRESS, PORT), "--socket", str(space.directory / "socket")])
        _until_it_listens(space)
        yield space
        space.stop(page)


def _until_it_listens(space: Space) -> None:
    deadline = time.monotonic() + PATIENCE
    with space.inside():
        while True:
            with socket.socket() as attempt:
                if attempt.connect_ex((ADDRESS, PORT)) == 0:
                    return
            if time.monotonic() > deadline:
                raise RuntimeError("the page does not listen")
            time.sleep(0.05)


@contextlib.contextmanager
def _load(space: Space, target: str, paces: List[float]) -> Iterator[None]:
    """wrk, which says how many answers a second it has had; they must all be good ones."""
    load = space.start(["wrk", "-t1", "-c16", "-d%d" % LONG, "http://%s:%d%s" % (ADDRESS, PORT, target)])
    begin = time.monotonic()
    time.sleep(0.3)
    yield
    seconds = time.monotonic() - begin
    load.send_signal(2)
    load.wait(PATIENCE)
    told = space.log(load)
    answered = re.search(r"(\d+) requests in", told)
    if answered is None or "Non-2xx" in told:
        raise RuntimeError("wrk is not answered: %s" % told)
    paces.append(int(answered[1]) / seconds)


if __name__ == "__main__":
    main(run)
