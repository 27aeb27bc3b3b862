"""What is asked for is answered when it has been done: all sources have been read, and the sets have followed."""

from __future__ import annotations

from typing import Callable, List, Sequence

from netmgr.io.loop import Loop
from netmgr.keeper import Keeper
from netmgr.sources import Sources
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.sets import Change, ChangeElements
from netmgr.values.text import number

PATIENCE = 20.0         # seconds; those who ask wait for 30


class Settled(NamedTuple):
    """What came of it, or would in a dry run: elements added and removed, and what could not be read."""

    added: int
    removed: int
    troubles: Sequence[str]
    dry_run: bool = False

    def __str__(self) -> str:
        if not self.added and not self.removed:
            return "nothing had to change"
        return ("%s would be added, %d removed" if self.dry_run else "%s added, %d removed") % (number(self.added, "element"), self.removed)


class Settling:
    """Calls done() once, in one of the next turns of the loop."""

    def __init__(self, loop: Loop, sources: Sources, keeper: Keeper, done: Callable[[Settled], None]) -> None:
        self._sources, self._keeper, self._done = sources, keeper, done
        self._added = self._removed = 0
        self._end = loop.call_later(PATIENCE, self._finish)
        keeper.follow(self._follow)

    def _follow(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if isinstance(change, ChangeElements):
                self._added += len(change.add)
                self._removed += len(change.delete)
        if not self._sources.behind() and not self._keeper.repairs.busy:
            self._finish()

    def _finish(self) -> None:
        self._end.cancel()
        self._keeper.unfollow(self._follow)
        troubles: List[str] = [*self._sources.troubles(), *self._keeper.unreadable()]
        if self._keeper.repairs.busy:
            troubles.append("the ruleset (not all of it yet)")
        self._done(Settled(self._added, self._removed, troubles, self._keeper.dry_run))
