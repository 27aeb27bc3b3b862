"""The log: one line an event, to stderr.

Under systemd a line begins with the level in the form of sd-daemon(3), else with the time of day and the level's name.  What could
make two lines out of one, or control a terminal, is escaped.  A stderr that is full, closed or gone loses lines and nothing else.
"""

import os
import time

from netmgr.values.text import printable

PRIORITIES = {"error": 3, "warning": 4, "info": 6, "debug": 7}        # of sd-daemon(3)


class Log:
    """log(level, line), with level one of values.text.LEVELS; lines above the current level are dropped."""

    def __init__(self, level: str, systemd: bool) -> None:
        self.level = level
        self._systemd = systemd

    def __call__(self, level: str, line: str) -> None:
        """Write one line, if its level is wanted."""
        if PRIORITIES[level] > PRIORITIES[self.level]:
            return
        prefix = "<%d>" % PRIORITIES[level] if self._systemd else "%s %-7s " % (time.strftime("%H:%M:%S"), level)
        try:
            os.write(2, (prefix + printable(line) + "\n").encode())
        except OSError:
            pass
