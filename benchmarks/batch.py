"""So many elements in one transaction, into an empty set.

netmgr's time is that of Nft.commit(), from packed elements to the kernel's acknowledgement; nft's is `nft -f` of a file with the same
elements, from process start to end; the kernel's own is the sendmsg() of a C program.
"""

import time
from typing import Callable, Dict, List, Tuple

from benchmarks import curves
from benchmarks.common import Section, Verdict, main, microseconds, peer, times, turns
from benchmarks.space import SET, Space
from netmgr.io.nft import Nft
from netmgr.values.sets import IPV4_ADDR, ChangeElements, Form, SetName
from netmgr.wire.nft_text import text

SIZES = ((1, 15), (10, 15), (100, 15), (1000, 15), (10000, 9), (100000, 7))       # elements, turns
QUICK = ((1, 5), (1000, 5), (10000, 5))


def run(quick: bool) -> Section:
    """From one element to very many."""
    rows, verdicts = [], []
    series: Dict[str, List[Tuple[float, float]]] = {"netmgr": [], "nft -f": [], "the kernel alone": []}
    with Space(0, 0) as space, space.inside():
        nft = Nft()
        for size, count in QUICK if quick else SIZES:
            ours, theirs, kernel = _one_size(space, nft, size, count)
            rows.append(["{:,}".format(size), microseconds(ours), microseconds(theirs), microseconds(kernel),
                         times(ours, theirs), times(ours, kernel)])
            for name, figure in zip(series, (ours, theirs, kernel)):
                series[name].append((size, figure * 1e6))
        nft.close()
    verdicts.append(Verdict("%s elements in one transaction, against `nft -f`" % rows[-1][0], ours / theirs, " x", 0.6))
    return Section("One transaction", " ".join((__doc__ or "").split()),
                   ["elements", "netmgr", "`nft -f`", "kernel", "netmgr / `nft -f`", "netmgr / kernel"], rows, verdicts,
                   {"batch.svg": curves.draw("One transaction", "elements", "microseconds", series)})


def _one_size(space: Space, nft: Nft, size: int, count: int) -> Tuple[float, float, float]:
    change = ChangeElements(SetName(*SET), Form(IPV4_ADDR), (), [(0x0A000000 + number).to_bytes(4, "big") for number in range(size)])
    path = space.directory / "elements.nft"
    path.write_text("\n".join(text([change])) + "\n")
    subjects: Dict[str, Callable[[], float]] = {
        "ours": lambda: _into_empty(space, size, lambda: _commit(nft, change)),
        "theirs": lambda: _into_empty(space, size, lambda: space.measure(["nft", "-f", str(path)])),
        "kernel": lambda: _into_empty(space, size, lambda: float(space.output(peer("kernel_share", *SET, size))[0].split()[1]) / 1e6),
    }
    found = turns(count, subjects)
    return found["ours"], found["theirs"], found["kernel"]


def _into_empty(space: Space, size: int, measure: Callable[[], float]) -> float:
    space.flush()
    seconds = measure()
    if space.filled() != size:
        raise RuntimeError("the set does not hold all elements")
    return seconds


def _commit(nft: Nft, change: ChangeElements) -> float:
    start = time.perf_counter()
    outcome = nft.commit([change])
    seconds = time.perf_counter() - start
    if not outcome.committed:
        raise RuntimeError("not committed: %s" % (outcome.faults,))
    return seconds


if __name__ == "__main__":
    main(run)
