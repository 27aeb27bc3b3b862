"""What an idle netmgr takes: memory, wake-ups, modules.

Memory is resident and private after READY, with few and with very many addresses; wake-ups are voluntary context switches while nothing
happens, without watchdog and audit; modules are those that are loaded when netmgr is ready, and Python's own time for loading them.
"""

import re
import subprocess
import time
from typing import Dict, List

from benchmarks.common import PYTHON, Section, Verdict, main
from benchmarks.space import Netmgr, Space

MANY, QUICK_MANY, INTERFACES = 100000, 20000, 100
IDLE, QUICK_IDLE = 30.0, 5.0
TURNS, QUICK_TURNS = 3, 1


def run(quick: bool) -> Section:
    """Few addresses, many addresses, and a minute of nothing."""
    many = QUICK_MANY if quick else MANY
    count = QUICK_TURNS if quick else TURNS
    few_memory = _memory(10, 10, count)
    many_memory = _memory(INTERFACES, many, count)
    nothing = _nothing()
    wakeups = _wakeups(QUICK_IDLE if quick else IDLE)
    per_address = (many_memory["resident"] - few_memory["resident"]) / (many - 10)
    rows = [
        ["resident, 10 interfaces", _megabytes(few_memory["resident"])],
        ["private, 10 interfaces", _megabytes(few_memory["private"])],
        ["resident, `python -c` that only sleeps", _megabytes(nothing)],
        ["resident, {:,} addresses".format(many), _megabytes(many_memory["resident"])],
        ["for 1,000 addresses more", "%d kB" % (per_address * 1000 / 1e3)],
        ["wake-ups a minute, idle", "%.1f" % wakeups],
        *_imports(),
    ]
    verdicts = [
        Verdict("resident, idle, 10 interfaces", few_memory["resident"] / 1e6, " MB", 17),
        Verdict("bytes more for each address", per_address, " B", 500),
        Verdict("wake-ups a minute when idle", wakeups, "", 0),
    ]
    return Section("Footprint", " ".join((__doc__ or "").split()), ["", "figure"], rows, verdicts)


def _memory(interfaces: int, addresses: int, count: int) -> Dict[str, int]:
    """The median of a few starts; some seconds of rest before each look."""
    found: List[Dict[str, int]] = []
    with Space(interfaces, addresses) as space:
        for _turn in range(count):
            space.flush()
            with Netmgr(space) as netmgr:
                time.sleep(1)
                found.append(netmgr.memory())
    return {key: sorted(each[key] for each in found)[count // 2] for key in found[0]}


def _nothing() -> int:
    with subprocess.Popen([PYTHON, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        time.sleep(0.5)
        with open("/proc/%d/statm" % process.pid) as file:
            resident = int(file.read().split()[1]) * 4096
        process.communicate(b"\n")
    return resident


def _wakeups(seconds: float) -> float:
    with Space(10, 10) as space:
        space.configuration(audit=0)
        with Netmgr(space) as netmgr:
            time.sleep(2)
            before = netmgr.wakeups()
            time.sleep(seconds)
            return (netmgr.wakeups() - before) * 60 / seconds


def _imports() -> List[List[str]]:
    """Loaded for `netmgr run`, as -X importtime tells it for a netmgr that finds its configuration wrong."""
    with Space(2, 0) as space:
        path = space.configuration(audit=0)
        path.write_text(path.read_text() + "log_level: 5\n")
        with space.inside():
            done = subprocess.run([PYTHON, "-I", "-X", "importtime", "-m", "netmgr", "run", "--config", str(path)],
                                  capture_output=True, text=True, check=False, timeout=60)
    own = [int(figure) for figure in re.findall(r"^import time:\s+(\d+) \|", done.stderr, re.M)]
    return [["modules loaded", str(len(own))], ["loading them", "%.0f ms" % (sum(own) / 1e3)]]


def _megabytes(size: int) -> str:
    return "%.1f MB" % (size / 1e6)


if __name__ == "__main__":
    main(run)
