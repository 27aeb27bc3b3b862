"""Very many addresses, and clients that ask for `status json` without a pause.

Each client asks anew as soon as it has the whole answer. The longest turn is processor time of one turn of netmgr's loop while all of
them ask; it is measured in a run of its own. Then the C program of "Latency of one change" changes an address while nobody asks, and
while all do: counted are removals, for the kernel takes long for each address that is added to so many.
"""

import contextlib
import statistics
import time
from typing import Dict, Iterator, List, Tuple

from benchmarks import curves
from benchmarks.common import HERE, PYTHON, Section, Verdict, main, microseconds, milliseconds, python_peer, quantile, times
from benchmarks.latency import changes
from benchmarks.space import Netmgr, Space

ADDRESSES, QUICK_ADDRESSES, INTERFACES = 100000, 20000, 100
FEWER, CLIENTS, QUESTION = (1, 5), 20, "status json"
SECONDS, QUICK_SECONDS = 10.0, 3.0
CHANGES, ROUNDS = 200, 2
QUICK_CHANGES, QUICK_ROUNDS = 60, 1
AIM_TURN, AIM_REMOVAL = 2.0, 3.0


def run(quick: bool) -> Section:
    """The longest turn, then an address with and without readers, in turns."""
    addresses = QUICK_ADDRESSES if quick else ADDRESSES
    number, rounds = (QUICK_CHANGES, QUICK_ROUNDS) if quick else (CHANGES, ROUNDS)
    with Space(INTERFACES, addresses) as space:
        longest = _longest_turns(space, QUICK_SECONDS if quick else SECONDS)
        removed = _removals(space, number, rounds)
    alone, beside = removed[0], removed[CLIENTS]
    rows = [["the longest turn of the loop while {} clients ask".format(CLIENTS), milliseconds(longest[0]), milliseconds(longest[1])]]
    rows += [["an address's removal while {} clients ask".format(count), microseconds(statistics.median(figures)),
              microseconds(quantile(figures, 0.99))] for count, figures in removed.items()]
    ratio = quantile(beside, 0.99) / quantile(alone, 0.99)
    rows.append(["the removal, with {} against none".format(CLIENTS), times(statistics.median(beside), statistics.median(alone)),
                 times(ratio, 1)])
    header = ["what", "p50, or what is said", "p99; of turns: the next longest"]
    return Section("Readers", " ".join((__doc__ or "").split()), header, rows, [
        Verdict("the longest turn while {} clients ask for {} at {:,} addresses".format(CLIENTS, QUESTION, addresses),
                1e3 * longest[0], " ms", AIM_TURN),
        Verdict("an address's removal while they do, p99, against nobody", ratio, " x", AIM_REMOVAL)],
        {"readers.svg": curves.draw("From the removal of an address to its transaction", "clients that ask", "microseconds", {
            name: [(count, 1e6 * quantile(figures, share)) for count, figures in removed.items() if count]
            for name, share in (("p50", 0.5), ("p99", 0.99))})})


def _longest_turns(space: Space, seconds: float) -> Tuple[float, float]:
    """The two longest turns, in seconds of processor."""
    report = space.directory / "turns"
    with Netmgr(space, (PYTHON, str(HERE / "peers" / "turning_netmgr.py"), str(report))) as netmgr, _readers(space, CLIENTS):
        netmgr.longest_turns(report)
        time.sleep(seconds)
        return netmgr.longest_turns(report)


def _removals(space: Space, number: int, rounds: int) -> Dict[int, List[float]]:
    """Number of clients -> seconds of each removal."""
    found: Dict[int, List[float]] = {clients: [] for clients in (0, *FEWER, CLIENTS)}
    with Netmgr(space):
        for _round in range(rounds):
            for clients in found:
                with _readers(space, clients):
                    found[clients] += changes(space, number)[1::2]
    return found


@contextlib.contextmanager
def _readers(space: Space, clients: int) -> Iterator[None]:
    if not clients:
        yield
        return
    with space.background(python_peer("readers", space.directory / "socket", clients, QUESTION)):
        yield


if __name__ == "__main__":
    main(run)
