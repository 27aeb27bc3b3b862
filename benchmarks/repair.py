"""The hole after `nft -f` of a ruleset that begins with a flush: from its transaction to the one that fills the set again.

Both notifications are timed by a C program. The floor is another C program that, on any transaction of somebody else's, commits
the same elements again without a look. The kernel keeps both waiting while nft ends and, as it happens, one RCU grace period passes or
several; so the figures are means of the middle half.
"""

import time
from typing import ContextManager, Dict, List, Sequence

from benchmarks.common import Section, Verdict, main, midmean, milliseconds, peer, quantile, times
from benchmarks.space import SET, Netmgr, Space

SIZES = (10, 1000, 10000)
QUICK = (1000,)
RELOADS, ROUNDS = 15, 2
QUICK_RELOADS, QUICK_ROUNDS = 8, 1
RULESET = "flush ruleset\nadd table inet filter\nadd set inet filter wan_ips { type ipv4_addr; }\n"


def run(quick: bool) -> Section:
    """Reloads with few and many elements."""
    rows, verdicts = [], []
    for size in QUICK if quick else SIZES:
        found = _one_size(size, *((QUICK_RELOADS, QUICK_ROUNDS) if quick else (RELOADS, ROUNDS)))
        ours, floor = (midmean(found[name]) for name in ("netmgr", "floor"))
        rows.append(["{:,}".format(size), milliseconds(ours), milliseconds(quantile(found["netmgr"], 0.99)), milliseconds(floor),
                     milliseconds(quantile(found["floor"], 0.99)), times(ours, floor)])
        if size == 1000:
            verdicts.append(Verdict("repair of 1,000 elements after `nft -f`, against the floor", ours / floor, " x", 1.5))
    return Section("Repair", " ".join((__doc__ or "").split()),
                   ["elements", "netmgr", "netmgr p99", "floor", "floor p99", "netmgr / floor"], rows, verdicts)


def _one_size(size: int, reloads: int, rounds: int) -> Dict[str, List[float]]:
    found: Dict[str, List[float]] = {"netmgr": [], "floor": []}
    with Space(max(2, size // 500), size) as space:
        ruleset = space.directory / "ruleset.nft"
        ruleset.write_text(RULESET)
        for _round in range(rounds):
            with Netmgr(space) as netmgr:
                found["netmgr"] += _reloads(space, netmgr, reloads, ["nft", "-f", str(ruleset)])
            with space.background(peer("refill", *SET, size)) as floor:
                found["floor"] += _reloads(space, floor, reloads, ["nft", "-f", str(ruleset)])
    return found


def _reloads(space: Space, _repairer: ContextManager[object], reloads: int, command: Sequence[str]) -> List[float]:
    """Seconds of each hole.  Between reloads there is a pause, or netmgr would take it for a fight."""
    with space.background(peer("gap", reloads)) as gap:
        for _reload in range(reloads):
            time.sleep(0.3)
            space.measure(command)
        assert gap.stdout is not None
        holes = [float(gap.stdout.readline()) / 1e6 for _reload in range(reloads)]
    if space.filled() != space.address_count:
        raise RuntimeError("the set is not filled again")
    return holes


if __name__ == "__main__":
    main(run)
