"""What became of a transaction and of a reading, as values."""

from __future__ import annotations

from typing import Optional, Tuple

from netmgr.values.named_tuple import NamedTuple
from netmgr.values.sets import Contents, SetName


class Fault(NamedTuple):
    """One reason why a commit failed.

    `set` is None when no single set is to blame.  `operation` is add, delete, create or nothing.  `position` is the index into the
    change's add or delete of the first element that was refused, where the kernel told.  `gone`: the table or the set is missing.
    """

    set: Optional[SetName]
    errno: int
    reason: str
    operation: str
    position: Optional[int]
    gone: bool


class Outcome(NamedTuple):
    """What became of a commit.

    `known` False: it cannot be told, or only a part was applied; the sets must be read again.  `overtaken`: nothing was done, for others
    have committed something since the generation that was asked for.
    """

    committed: bool
    known: bool
    faults: Tuple[Fault, ...]
    overtaken: bool = False


COMMITTED = Outcome(True, True, ())
OVERTAKEN = Outcome(False, True, (), True)


class Reading(NamedTuple):
    """What a set holds.  `verified`: the kernel held exactly this at one moment.  `complete`: if not, it is as many elements as there were.

    Then an element may have been exchanged for another while it was read; else there may be any number that are missing.
    """

    contents: Contents
    verified: bool
    complete: bool = False


NOTHING = Reading(Contents(frozenset(), frozenset(), frozenset()), True)
