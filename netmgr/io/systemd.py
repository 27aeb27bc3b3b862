"""What systemd and netmgr tell each other: sd_notify(3), sd_listen_fds(3), sd_watchdog_enabled(3), the journal's stream.

All of it goes by environment variables and one datagram socket, and all of it is silent where there is no systemd.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from typing import Callable, Deque, List, Optional, Tuple

from netmgr.values.pace import Pace

LISTEN_FDS_START = 3
STATUS_REST = 1.0
AGAIN = 0.1
UNSENT_AT_MOST = 32


class Manager:
    """Tells the service manager, if there is one, how things are: news at once, the status line at most once a second.

    A manager that does not read is not waited for; what it must not miss is sent again, by `later` (Loop.call_later).
    """

    def __init__(self, clock: Callable[[], float], status: Callable[[], str],
                 later: Callable[[float, Callable[[], None]], object]) -> None:
        self._clock, self._status, self._later = clock, status, later
        self._there = "NOTIFY_SOCKET" in os.environ
        self._pace = Pace(0, STATUS_REST)
        self._told, self._waiting = "", False
        self._unsent: Deque[Tuple[str, ...]] = deque(maxlen=UNSENT_AT_MOST)

    def news(self, *fields: str) -> None:
        """Say this, with the status as it is now."""
        if self._there:
            now = self._clock()
            self._pace.spent(now, now)
            self._told = self._status()
            self._unsent.append((*fields, "STATUS=" + self._told))
            if len(self._unsent) == 1:
                self._send()

    def look(self) -> None:
        """Something may have changed: say so if it shows in the status, now or at the deadline()."""
        if not self._there:
            return
        now = self._clock()
        self._waiting = now < self._pace.ready_at
        if not self._waiting:
            self._pace.spent(now, now)
            if self._status() != self._told:
                self.news()

    def deadline(self) -> Optional[float]:
        """When to look() again."""
        return self._pace.ready_at if self._waiting else None

    def _send(self) -> None:
        while self._unsent:
            if not notify(*self._unsent[0]):
                self._later(AGAIN, self._send)
                return
            self._unsent.popleft()


def notify(*fields: str) -> bool:
    """Send fields such as "READY=1" or "STATUS=…" to the service manager in one message.  False: it takes none just now."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return True
    if address[0] == "@":
        address = "\0" + address[1:]
    message = "\n".join(field.replace("\n", " ") for field in fields).encode("utf-8", "backslashreplace")
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as manager:
            manager.connect(address)
            manager.send(message)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def listen_fds() -> List[int]:
    """The listening sockets that systemd passed to this process, closed on exec; the variables are gone afterwards."""
    pid, count = (os.environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS"))
    os.environ.pop("LISTEN_FDNAMES", None)
    if not count.isdecimal() or pid != str(os.getpid()):
        return []
    fds = list(range(LISTEN_FDS_START, LISTEN_FDS_START + int(count)))
    for fd in fds:
        os.set_inheritable(fd, False)
    return fds


def watchdog_seconds() -> Optional[float]:
    """How often to send WATCHDOG=1: half of the time that the manager allows; None when it does not watch this process."""
    allowed = os.environ.get("WATCHDOG_USEC", "")
    if not allowed.isdecimal() or int(allowed) == 0 or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(allowed) / 2e6


def monotonic_usec() -> int:
    """The stamp that MONOTONIC_USEC= carries beside RELOADING=1."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def started_by_systemd() -> bool:
    """Whether stderr is the stream to the journal, which takes the level from a prefix.

    The variable alone does not say so: everything started from a service inherits it, with stderr redirected or not.
    """
    try:
        stderr = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == "%d:%d" % (stderr.st_dev, stderr.st_ino)
