"""Who a process is, while it is still there: its command line, and the unit of systemd that it belongs to."""

import os
from typing import Optional

from netmgr.values.happenings import Culprit

COMMAND_LONGEST = 500
UNITS = (".service", ".scope", ".socket", ".timer")


def identify(pid: int, process: str) -> Culprit:
    """What can still be read of it; another process may have its number by now, then that is nothing."""
    if _read(pid, "comm").rstrip("\n") != process:
        return Culprit(pid, process)
    words = _read(pid, "cmdline").split("\0")
    command = " ".join(words).strip()
    unit = _unit(_read(pid, "cgroup"))
    if _read(pid, "comm").rstrip("\n") != process:
        return Culprit(pid, process)
    return Culprit(pid, process, command[:COMMAND_LONGEST] or None, unit)


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
    try:
        with open(os.path.join("/proc", str(pid), name), encoding="utf-8", errors="backslashreplace") as file:
            return file.read(4096)
    except OSError:
        return ""
