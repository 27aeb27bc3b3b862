"""The log: one line an event, to stderr.

Under systemd a line begins with the level in the form of sd-daemon(3), else with the time of day and the level's name.  What could
make two lines out of one, or control a terminal, is escaped.

Nothing waits for a reader: what stderr does not take at once (a stopped reader, Ctrl-S, a full disk) is lost, counted, and told as soon
as lines are taken again.  Others may have the same stderr, and O_NONBLOCK would be theirs too, so a pipe or terminal is opened
anew; where that may not be, it is asked before each write whether it has room.  A file always has.

Where stderr is the stream to the journal, a line that has fields goes to the journal itself, which takes them too.
"""

from __future__ import annotations

import os
import select
import socket
import stat
import time
from functools import partial
from typing import Callable, Optional

from netmgr.io.journal import Fields, Journal
from netmgr.values.text import LEVELS, number, printable

Write = Callable[[bytes], int]


class Log:
    """log(level, line), with level one of values.text.LEVELS; lines above the current level are dropped.

    `full` is called when a line finds no room: somebody should call resume() a little later.
    """

    def __init__(self, level: str, systemd: bool, descriptor: int = 2) -> None:
        self.level = level
        self.full: Callable[[], object] = lambda: None
        self._systemd = systemd
        self.journal: Optional[Journal] = None
        self._write = _writer(descriptor)
        self._rest = b""        # of a line of which a part was taken
        self._lost = 0

    def __call__(self, level: str, line: str) -> None:
        """Write one line, if its level is wanted."""
        if LEVELS[level] <= LEVELS[self.level]:
            behind = self._rest or self._lost
            self._lost += not ((not behind or self._caught_up()) and self._put(level, line))

    def with_fields(self, level: str, line: str, fields: Fields) -> None:
        """Write one line, with fields where there is a place for them."""
        if LEVELS[level] > LEVELS[self.level]:
            return
        if self.journal is None or not self.journal.send(LEVELS[level], printable(line), fields):
            self(level, line)

    def resume(self) -> None:
        """If lines were lost, say so now."""
        self._caught_up()

    def _caught_up(self) -> bool:
        if self._rest and not self._take(self._rest):
            return False
        if self._lost:
            if not self._put("warning", "the log took no lines for a while: %s lost" % number(self._lost, "line")):
                return False
            self._lost = 0
        return True

    def _put(self, level: str, line: str) -> bool:
        prefix = "<%d>" % LEVELS[level] if self._systemd else "%s %-7s " % (time.strftime("%H:%M:%S"), level)
        return self._take((prefix + printable(line) + "\n").encode())

    def _take(self, data: bytes) -> bool:
        """Whether it was taken; a part is enough, for then the rest comes first next time."""
        try:
            taken = self._write(data)
        except BlockingIOError:
            taken = 0
        except OSError:
            return False
        self._rest = data[taken:] if taken else self._rest
        if self._rest or not taken:
            self.full()
        return taken > 0


def _writer(descriptor: int) -> Write:
    """What writes to it as much as it takes now; BlockingIOError when that is nothing."""
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode):
            return partial(os.write, descriptor)
        if stat.S_ISSOCK(mode):
            return partial(_send, socket.socket(fileno=os.dup(descriptor)))
        if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
            flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
            return partial(os.write, os.open("/proc/self/fd/%d" % descriptor, flags))
    except OSError:
        pass
    return partial(_write_if_ready, descriptor)


def _send(stream: socket.socket, data: bytes) -> int:
    return stream.send(data, socket.MSG_DONTWAIT)


def _write_if_ready(descriptor: int, data: bytes) -> int:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    if not poll.poll(0):
        raise BlockingIOError
    return os.write(descriptor, data)
