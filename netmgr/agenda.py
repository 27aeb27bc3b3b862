"""When to list the containers, and which to inspect first: what is due, given the notices so far.

Every notice makes a list due.  One that comes while a list is under way makes another due, however many there are.  A container
with an early notice (see docker.py) that the list still contains is inspected, only to wait for what the engine is doing to it; then
another list is due.
"""

from typing import Collection, Dict, Iterable

from netmgr.docker import Notice

MOST_INSPECTIONS = 1 << 14


class Agenda:
    """What to ask the engine next.  A new one has the first list due."""

    def __init__(self) -> None:
        self.list_due = True
        self._early: Dict[str, None] = {}
        self._asked: Dict[str, None] = {}
        self._inspections: Dict[str, None] = {}

    def notice(self, notices: Iterable[Notice]) -> None:
        """Take in what the events said."""
        for notice in notices:
            self.list_due = True
            if notice.early and len(self._early) < MOST_INSPECTIONS:
                self._early[notice.container] = None

    def list_begins(self) -> None:
        """From here on, whatever happens may be missing in the list."""
        self.list_due = False
        self._asked, self._early = self._early, {}

    def list_ends(self, containers: Collection[str]) -> None:
        """The ids that the list contains."""
        wanted = {**self._inspections, **self._asked}
        self._inspections = {container: None for container in wanted if container in containers}
        self._asked = {}

    def next_inspection(self) -> str:
        """A container to inspect, the longest waiting first; empty when there is none."""
        return next(iter(self._inspections), "")

    def inspected(self, container: str) -> None:
        """It has been tried, whatever came of it.  After the last one a list is due."""
        self._inspections.pop(container, None)
        self.list_due = self.list_due or not self._inspections
