"""Who may have done what has to be repaired: all who committed something since all sets were last read.

A quick look lets those pass who committed something before it began.  They may still have exchanged one element for another; but what
a later quick look finds amiss was done by one of those who came after them.

What there is to read of a process is gone when the process is, so it is read as soon as that holds up no repair: when the repair has
been sent, or while the look must wait anyway.
"""

from __future__ import annotations

from typing import Callable, Dict, Iterable, Optional, Tuple

from netmgr.values.events import RulesetChanged, Suspect
from netmgr.values.happenings import Culprit

SUSPECTS_AT_MOST = 3
OTHER = "another program"
PASSED, LOOKED_AT, NEW = range(3)

Culprits = Tuple[Optional[Culprit], ...]        # each may have done it; None: somebody of whom it is not known who
Identify = Callable[[RulesetChanged], Culprit]


def unread(suspect: RulesetChanged) -> Culprit:
    """What the kernel itself tells of him."""
    return Culprit(suspect.pid, suspect.process)


class Suspects:
    """`stages`: each with how far the looks have come since he committed something; many are nobody in particular."""

    def __init__(self, identify: Identify) -> None:
        self._identify = identify
        self.stages: Dict[Suspect, int] = {}
        self._known: Dict[RulesetChanged, Culprit] = {}

    def add(self, by: Iterable[Suspect]) -> None:
        """These committed something."""
        for each in by:
            suspect = None if each is None else each._replace(generation=0)
            self.stages[suspect if suspect in self.stages or len(self.stages) < SUSPECTS_AT_MOST else None] = NEW

    def look_begins(self) -> None:
        """A quick one."""
        self.stages = {each: min(stage, LOOKED_AT) for each, stage in self.stages.items()}

    def look_ends(self) -> None:
        """It has come to all sets, and what it found is mended."""
        self.stages = {each: stage if stage == NEW else PASSED for each, stage in self.stages.items()}

    def clear(self) -> None:
        """All sets have been read."""
        self.stages.clear()
        self._known.clear()

    def meet(self) -> None:
        """Read who they are, as far as that is not known and can still be read."""
        for each in self.stages:
            if each is not None and each not in self._known:
                self._known[each] = self._identify(each)

    def culprits(self, seen_quickly: bool) -> Culprits:
        """Who may have done what a quick look has seen, or only reading everything; in the order in which they came."""
        late = [each for each, stage in self.stages.items() if stage > PASSED] if seen_quickly else []
        some = late or [*self.stages]
        found = dict.fromkeys(self._known.get(each) or unread(each) for each in some if each is not None)
        return (*found, None) if None in some else (*found,)


def named(culprits: Culprits) -> str:
    """How the log calls them."""
    return " or ".join(OTHER if each is None else str(each) for each in culprits) or OTHER
