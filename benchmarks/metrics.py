"""What an answer to `metrics` costs with very many sets, of few and of many elements.

Each set is of a zone of its own, and all are fed by the same interfaces; they are spread over ten tables. Counted is the processor time of
netmgr's process, the kernel's on its behalf among it, for each of many answers; and the longest turn of its loop while it gives them.
"""

import time
from typing import Tuple

from benchmarks.common import HERE, PYTHON, Section, Verdict, digits, main, milliseconds, turns
from benchmarks.sets import OF_A_ZONE, Sets
from benchmarks.space import PATIENCE, Netmgr, Space

SETS, QUICK_SETS = 1000, 200
SIZES = (10, 1000)
ANSWERS, TURNS = 20, 5
QUICK_ANSWERS, QUICK_TURNS = 5, 3
AIM_TIME, AIM_RATIO, AIM_TURN = 10.0, 1.5, 2.0


def run(quick: bool) -> Section:
    """Few and many elements, in turns."""
    sets, answers, count = (QUICK_SETS, QUICK_ANSWERS, QUICK_TURNS) if quick else (SETS, ANSWERS, TURNS)
    few, many = SIZES
    with Sets(sets, OF_A_ZONE[:1], few) as small, Sets(sets, OF_A_ZONE[:1], many) as large:
        spaces = {few: small, many: large}
        with Netmgr(small) as one, Netmgr(large) as other:
            found = turns(count, {str(few): lambda: _cost(one, sets, answers), str(many): lambda: _cost(other, sets, answers)})
        longest = {size: _longest(space, sets, answers) for size, space in spaces.items()}
    rows = [["{:,} sets of {:,} elements".format(sets, size), milliseconds(found[str(size)]), *map(milliseconds, longest[size])]
            for size in SIZES]
    ratio = found[str(many)] / found[str(few)]
    rows.append(["many against few", digits(ratio) + " x", "", ""])
    return Section("Metrics", " ".join((__doc__ or "").split()), ["", "an answer", "the longest turn", "the next longest"], rows, [
        Verdict("`metrics` with {:,} sets of {:,} elements, processor time".format(sets, many), 1e3 * found[str(many)], " ms", AIM_TIME),
        Verdict("`metrics` with {:,} elements in each set, against {}".format(many, few), ratio, " x", AIM_RATIO),
        Verdict("the longest turn while it is given", 1e3 * longest[many][0], " ms", AIM_TURN)])


def _cost(netmgr: Netmgr, sets: int, answers: int) -> float:
    """Seconds of processor for an answer."""
    begin = netmgr.processor()
    for _answer in range(answers):
        if netmgr.answer("metrics").count(b"\nnetmgr_set_elements{") < sets:
            raise RuntimeError("the answer lacks sets")
    return (netmgr.processor() - begin) / answers


def _longest(space: Space, sets: int, answers: int) -> Tuple[float, float]:
    report = space.directory / "turns"
    with Netmgr(space, (PYTHON, str(HERE / "peers" / "turning_netmgr.py"), str(report))) as netmgr:
        _rest(space, sets)
        netmgr.longest_turns(report)
        for _answer in range(answers):
            netmgr.answer("metrics")
        return netmgr.longest_turns(report)


def _rest(space: Space, sets: int) -> None:
    """Until what follows a start is done: the include files are written."""
    deadline = time.monotonic() + PATIENCE
    while sum(path.stat().st_size > 0 for path in (space.directory / "include").glob("*_ips.nft")) < sets:
        if time.monotonic() > deadline:
            raise RuntimeError("the include files are not written")
        time.sleep(0.2)


if __name__ == "__main__":
    main(run)
