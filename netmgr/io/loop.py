"""The event loop: descriptors, deadlines, signals, and one hook before it sleeps.

Everything that can wake netmgr is a descriptor or a deadline here.  Callbacks run one after the other on one thread; each only
changes tables.  What they brought about together is worked out once, in `before_sleep`.  What descriptors brought is worked out before
deadlines have their turn, too: they mostly do what was put off, and what comes from outside should not wait for that.  A loop with no
deadline sleeps for ever: an idle netmgr does not wake up.
"""

from __future__ import annotations

import heapq
import select
import signal
import socket
import time
from itertools import count
from typing import Callable, Dict, List, Optional, Set, Tuple

READ, WRITE = int(select.EPOLLIN), int(select.EPOLLOUT)
FEW = 64                # deadlines that are not worth a look for cancelled ones


class Deadline:
    """A callback due at a time of the loop's clock; cancel() makes it never happen."""

    __slots__ = ("when", "callback")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback: Optional[Callable[[], None]] = callback

    def cancel(self) -> None:
        """Make it never happen; cancelling what has happened is harmless."""
        self.callback = None


class Loop:
    """One epoll, one heap of deadlines, one wake-up pipe for signals.  `now` is the monotonic clock, in which deadlines are given.

    `woken` is when it last woke up.
    """

    now = staticmethod(time.monotonic)

    def __init__(self) -> None:
        self.before_sleep: List[Callable[[], object]] = []
        self.watched: Dict[int, Tuple[Callable[[int], None], int]] = {}
        self._epoll = select.epoll()
        self._deadlines: List[Tuple[float, int, Deadline]] = []
        self._many = FEW        # so many deadlines are looked through for those that were cancelled
        self._numbers = count()
        self._signals: Dict[int, Callable[[], None]] = {}
        self._received: Set[int] = set()
        self._wakeup: Optional[socket.socket] = None
        self._changed: Set[int] = set()         # those watched anew or no longer since it woke up: what is ready now may not be they
        self._running = False
        self.woken = self.now()

    def watch(self, fd: int, callback: Callable[[int], None], events: int = READ) -> None:
        """Call callback(READ and/or WRITE) whenever fd is ready.  Watching a watched fd replaces events and callback."""
        self._changed.add(fd)
        if fd in self.watched:
            self._epoll.modify(fd, events)
        else:
            self._register(fd, events)
        self.watched[fd] = callback, events

    def unwatch(self, fd: int) -> None:
        """Forget fd; call it before closing.  An fd that is not watched is fine."""
        if self.watched.pop(fd, None) is not None:
            self._changed.add(fd)
            try:
                self._epoll.unregister(fd)
            except OSError:         # mostly it is closed now, which does the same; else turn() finds it
                pass

    def _register(self, fd: int, events: int) -> None:
        try:
            self._epoll.register(fd, events)
        except FileExistsError:     # unwatch() had no luck
            self._epoll.modify(fd, events)

    def call_at(self, when: float, callback: Callable[[], None]) -> Deadline:
        """Run callback once, when now() reaches `when`."""
        deadline = Deadline(when, callback)
        heapq.heappush(self._deadlines, (when, next(self._numbers), deadline))
        if len(self._deadlines) > self._many:
            self._sweep()
        return deadline

    def _sweep(self) -> None:
        """Forget those that were cancelled: what is due in a day and asked for anew again and again would pile up until then."""
        self._deadlines[:] = [each for each in self._deadlines if each[2].callback is not None]
        heapq.heapify(self._deadlines)
        self._many = 2 * len(self._deadlines) + FEW

    def deadlines(self) -> List[Deadline]:
        """Those that are still to come, in no order."""
        return [deadline for _when, _number, deadline in self._deadlines if deadline.callback is not None]

    def call_later(self, delay: float, callback: Callable[[], None]) -> Deadline:
        """Run callback once, `delay` seconds from now."""
        return self.call_at(self.now() + delay, callback)

    def on_signal(self, signum: int, callback: Callable[[], None]) -> None:
        """Run callback inside the loop, once, after the process received signum (never inside the signal handler)."""
        if self._wakeup is None:
            reader, writer = socket.socketpair()
            reader.setblocking(False)
            writer.setblocking(False)
            self._wakeup = reader
            self._writer = writer
            signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
            self.watch(reader.fileno(), self._read_signals)
        self._signals[signum] = callback
        signal.signal(signum, self._note_signal)

    def run(self) -> None:
        """Serve until stop()."""
        self._running = True
        while self._running:
            self.turn()

    def stop(self) -> None:
        """Let run() return after the current turn."""
        self._running = False

    def turn(self, longest: Optional[float] = None) -> None:
        """One wake-up: the hooks, sleep until something is due (at most `longest` seconds), callbacks.  OSError without an epoll.

        A callback may unwatch another descriptor that is ready, close it, and watch a new one with the same number, which is not.
        """
        for hook in self.before_sleep:
            hook()
        ready = self._epoll.poll(self._sleep_time(longest), len(self.watched) or 1)
        self.woken = self.now()
        if self._changed:
            self._changed.clear()
        for fd, events in ready:
            if fd in self._changed:
                continue
            found = self.watched.get(fd)
            if found is None:
                self._epoll.unregister(fd)
            else:
                callback, wanted = found
                callback(events & wanted or wanted)         # an error or a hang-up: reading and writing will tell
        if self._deadlines and self._deadlines[0][0] <= self.now():
            if ready:
                for hook in self.before_sleep:
                    hook()
            self._run_due()

    def close(self) -> None:
        """Release the epoll and the signal pipe."""
        if self._wakeup is not None:
            signal.set_wakeup_fd(-1)
            self._wakeup.close()
            self._writer.close()
        self._epoll.close()

    def _sleep_time(self, longest: Optional[float]) -> Optional[float]:
        while self._deadlines and self._deadlines[0][2].callback is None:
            heapq.heappop(self._deadlines)
        if not self._running and longest is None:
            return 0
        if not self._deadlines:
            return longest
        until = max(0.0, self._deadlines[0][0] - self.now())
        return until if longest is None else min(until, longest)

    def _run_due(self) -> None:
        """What these callbacks ask for is for the next turn, however soon."""
        now = self.now()
        due: List[Deadline] = []
        while self._deadlines and self._deadlines[0][0] <= now:
            due.append(heapq.heappop(self._deadlines)[2])
        for deadline in due:
            if deadline.callback is not None:
                deadline.callback()

    def _note_signal(self, signum: int, _frame: object) -> None:
        """Python has mostly woken up the loop already; where that failed, this does."""
        self._received.add(signum)
        try:
            self._writer.send(b"\0")
        except OSError:             # it is full of such bytes
            pass

    def _read_signals(self, _events: int) -> None:
        assert self._wakeup is not None
        self._wakeup.recv(4096)         # what it says is not all: there is room for a few hundred signals
        received, self._received = self._received, set()
        for signum in sorted(received):
            self._signals[signum]()
