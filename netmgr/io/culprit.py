"""Who a process is, while it is still there: its command line, and the unit of systemd that it belongs to.

The kernel names a process by its number in the first pid namespace.  Inside of another one, as in a container with a systemd of its
own, that number says nothing; there the port of the socket is the number of its process as that is seen from within, unless it has
several sockets or has asked for another port.
"""

from __future__ import annotations

import os
from typing import Optional

from netmgr.values.events import RulesetChanged
from netmgr.values.happenings import Culprit

COMMAND_LONGEST = 500
UNITS = (".service", ".scope", ".socket", ".timer")
FIRST_NAMESPACE = 0xEFFFFFFC        # the inode of the first pid namespace: PROC_PID_INIT_INO
PID_LAST = 1 << 22


def identify(suspect: RulesetChanged) -> Culprit:
    """What can still be read of it; another process may have its number by now, then that is nothing."""
    pid = suspect.pid if _in_first_namespace() or suspect.portid > PID_LAST else suspect.portid
    command = " ".join(_read(pid, "cmdline").split("\0")).strip()       # first, for this is gone first
    unit = _unit(_read(pid, "cgroup"))
    if _read(pid, "comm").rstrip("\n") != suspect.process:
        return Culprit(pid, suspect.process)
    return Culprit(pid, suspect.process, command[:COMMAND_LONGEST] or None, unit)


def _in_first_namespace() -> bool:
    try:
        return os.stat("/proc/self/ns/pid").st_ino == FIRST_NAMESPACE
    except OSError:
        return True


def _unit(text: str) -> Optional[str]:
    """The innermost unit on the path of systemd's own hierarchy."""
    for line in text.splitlines():
        number, controllers, path = (line.split(":", 2) + ["", ""])[:3]
        if number == "0" or controllers == "name=systemd":
            for part in reversed(path.split("/")):
                if part.endswith(UNITS):
                    return part
    return None


def _read(pid: int, name: str) -> str:
    """The beginning, as fast as it goes."""
    try:
        descriptor = os.open("/proc/%d/%s" % (pid, name), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return os.read(descriptor, 4096).decode("utf-8", "backslashreplace")
    except OSError:
        return ""
    finally:
        os.close(descriptor)
