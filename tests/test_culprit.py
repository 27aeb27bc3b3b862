"""Who a process is: read of real ones."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Optional

from netmgr.io.culprit import COMMAND_LONGEST, identify
from netmgr.values.events import RulesetChanged
from netmgr.values.happenings import Culprit


def suspect(pid: int, process: Optional[str] = None) -> RulesetChanged:
    """As the kernel names it, whether by its number in the first pid namespace or by its port."""
    return RulesetChanged(7, pid, pid, process or Path("/proc/%d/comm" % pid).read_text().rstrip("\n"))


def test_a_process_that_is_there() -> None:
    found = identify(suspect(os.getpid()))
    words = Path("/proc/self/cmdline").read_text().split("\0")
    assert found.command == " ".join(words).strip()[:COMMAND_LONGEST]
    assert found.unit is None or found.unit in Path("/proc/self/cgroup").read_text()


def test_another_with_the_same_number_and_none_at_all() -> None:
    assert identify(suspect(os.getpid(), "nft")) == Culprit(os.getpid(), "nft")
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert identify(suspect(process.pid, "python3")) == Culprit(process.pid, "python3")


def test_what_it_says_cannot_be_endless_nor_break_anything() -> None:
    command = [sys.executable, "-c", "print(flush=True); input()", "\udcff\n\x1b[2J" + "x" * 5000]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"\n", "it is what it will be"
        found = identify(suspect(process.pid))
        assert found.command is not None and len(found.command) == COMMAND_LONGEST
        assert str(found) == "%s (pid %d%s)" % (found.process, process.pid, ", %s" % found.unit if found.unit else "")
        process.communicate(b"\n")
