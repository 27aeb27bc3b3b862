"""The event loop: descriptors, deadlines, signals, and one hook before it sleeps.

Everything that can wake netmgr is a descriptor or a deadline here.  Callbacks run one after the other on one thread; each only
changes tables.  What they brought about together is worked out once, in `before_sleep`.  A loop with no deadline sleeps for
ever: an idle netmgr does not wake up.
"""

import heapq
import selectors
import signal
import socket
import time
from typing import Callable, Dict, List, Optional, Set

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Deadline:
    """A callback due at a time of the loop's clock; cancel() makes it never happen."""

    __slots__ = ("when", "callback")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback: Optional[Callable[[], None]] = callback

    def __lt__(self, other: "Deadline") -> bool:
        return self.when < other.when

    def cancel(self) -> None:
        """Make it never happen; cancelling what has happened is harmless."""
        self.callback = None


class Loop:
    """One selector, one heap of deadlines, one wake-up pipe for signals."""

    def __init__(self) -> None:
        self.before_sleep: List[Callable[[], object]] = []
        self._selector = selectors.DefaultSelector()
        self._callbacks: Dict[int, Callable[[int], None]] = {}
        self._deadlines: List[Deadline] = []
        self._signals: Dict[int, Callable[[], None]] = {}
        self._received: Set[int] = set()
        self._wakeup: Optional[socket.socket] = None
        self._running = False

    @staticmethod
    def now() -> float:
        """Seconds on the monotonic clock; the time that deadlines are given in."""
        return time.monotonic()

    def watch(self, fd: int, callback: Callable[[int], None], events: int = READ) -> None:
        """Call callback(READ and/or WRITE) whenever fd is ready.  Watching a watched fd replaces events and callback."""
        if fd in self._callbacks:
            self._selector.modify(fd, events, callback)
        else:
            self._selector.register(fd, events, callback)
        self._callbacks[fd] = callback

    def unwatch(self, fd: int) -> None:
        """Forget fd; call it before closing.  An fd that is not watched is fine."""
        if self._callbacks.pop(fd, None) is not None:
            self._selector.unregister(fd)

    def call_at(self, when: float, callback: Callable[[], None]) -> Deadline:
        """Run callback once, when now() reaches `when`."""
        deadline = Deadline(when, callback)
        heapq.heappush(self._deadlines, deadline)
        return deadline

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
        signal.signal(signum, lambda number, _frame: self._received.add(number))

    def run(self) -> None:
        """Serve until stop()."""
        self._running = True
        while self._running:
            self.turn()

    def stop(self) -> None:
        """Let run() return after the current turn."""
        self._running = False

    def turn(self, longest: Optional[float] = None) -> None:
        """One wake-up: the hooks, sleep until something is due (at most `longest` seconds), its callbacks."""
        for hook in self.before_sleep:
            hook()
        for key, events in self._selector.select(self._sleep_time(longest)):
            if self._callbacks.get(key.fd) == key.data:
                key.data(events)
        self._run_due()

    def close(self) -> None:
        """Release the selector and the signal pipe."""
        if self._wakeup is not None:
            signal.set_wakeup_fd(-1)
            self._wakeup.close()
            self._writer.close()
        self._selector.close()

    def _sleep_time(self, longest: Optional[float]) -> Optional[float]:
        while self._deadlines and self._deadlines[0].callback is None:
            heapq.heappop(self._deadlines)
        if not self._running and longest is None:
            return 0
        if not self._deadlines:
            return longest
        until = max(0.0, self._deadlines[0].when - self.now())
        return until if longest is None else min(until, longest)

    def _run_due(self) -> None:
        now = self.now()
        while self._deadlines and self._deadlines[0].when <= now:
            callback = heapq.heappop(self._deadlines).callback
            if callback is not None:
                callback()

    def _read_signals(self, _events: int) -> None:
        assert self._wakeup is not None
        self._wakeup.recv(4096)         # what it says is not all: there is room for a few hundred signals
        received, self._received = self._received, set()
        for signum in sorted(received):
            self._signals[signum]()
