"""What is told while links and addresses are dumped, for it belongs to what was dumped: see link_source.py."""

from __future__ import annotations

from typing import Iterable, List, Set, Tuple

from netmgr.io.rtnetlink import EventSocket
from netmgr.values.counters import Told
from netmgr.values.events import AddressesSeen, Event

READS_AT_MOST = 20      # of what was told while a piece of a dump was made


class Meanwhile:
    """What is told while something is dumped: `events` since the begin or the last loss, whether there are `more`, and any were `lost`."""

    def __init__(self, socket: EventSocket, told: Told) -> None:
        self.events: List[Event] = []
        self.lost = self.more = False
        self._socket, self._told = socket, told
        self._gaps = 0

    def listen(self) -> int:
        """Read what is queued; how often so far that was not all there was to be read.  OSError when nothing can be received."""
        for _read in range(READS_AT_MOST):
            self._read()
            if not self.more:
                return self._gaps
        self._gaps += 1
        return self._gaps

    def _read(self) -> None:
        try:
            events, lost, self.more = self._socket.drain()
        except OSError:
            self.lost = True
            raise
        self._told.events += len(events)
        self.events += events
        if lost:
            self._told.overruns += 1
            self._gaps += 1
            self.lost, self.events = True, []


def replayed(events: Iterable[Event]) -> List[Event]:
    """What was told while something was dumped, to be told after it: of an address that went and came the place is not known."""
    found: List[Event] = []
    told: Set[Tuple[int, bytes]] = set()
    for event in events:
        if isinstance(event, AddressesSeen):
            words = {(event.ifindex, key) for key in event.flags}
            found.append(event._replace(repeated=event.repeated or not told.isdisjoint(words)))
            told |= words
        else:
            found.append(event)
    return found
