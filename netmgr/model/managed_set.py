"""One set that netmgr fills: what is known of the kernel's side, what is wrong with it, and what would make it true.

A set is `whole` when all of it must be compared, which is so after it was read and after a transaction failed.  Otherwise only
the elements whose claims began or ended are looked at, so that an event costs the same in a set of ten and of 100,000.  (Sets with
ranges are always compared as a whole, for a new network may join with any other; so are full ones.)

`spared` are elements that an earlier netmgr left, that nothing claims and that must not go yet: see Model.hold.  `lost` are
elements that netmgr had put into the set and that somebody else took out, `intruders` those that came into an exclusive set
later than netmgr; adding one of the former again, or removing one of the latter, is a repair.
"""

from typing import AbstractSet, List, Optional, Sequence, Set, Tuple

from netmgr.model import ranges
from netmgr.model.zones import Feed
from netmgr.values import sets
from netmgr.values.outcomes import Reading
from netmgr.values.sets import ChangeElements, Contents, Form, SetInfo, SetName

RETRY_FIRST, RETRY_LONGEST = 1.0, 60.0

_NOTHING: AbstractSet[bytes] = frozenset()
_EMPTY = Contents(_NOTHING, _NOTHING, _NOTHING)


class ManagedSet:
    """A set that the configuration fills, or from which netmgr withdraws (`retiring`)."""

    def __init__(self, name: SetName, feeds: Sequence[Feed], exclusive: bool) -> None:
        self.name = name
        self.feeds = tuple(feeds)
        self.exclusive = exclusive
        self.retiring = False
        self.info: Optional[SetInfo] = None
        self.form: Optional[Form] = None
        self.ours: Set[bytes] = set()
        self.foreign: Set[bytes] = set()
        self.expiring: Set[bytes] = set()
        self.spared: Set[bytes] = set()
        self.lost: Set[bytes] = set()
        self.intruders: Set[bytes] = set()
        self.whole = True
        self.verified = True
        self.misfit: Optional[str] = None
        self.fault: Optional[str] = None
        self.full: Optional[str] = None
        self.capacity: Optional[int] = None
        self.delay = 0.0
        self.retry_at = 0.0

    @property
    def error(self) -> Optional[str]:
        """Why the set is not as it should be, in words; None when nothing is wrong."""
        return self.misfit or self.fault or self.full

    @property
    def count(self) -> Optional[int]:
        """How many elements the kernel should count in the set; None where ranges make that hard to say."""
        return None if self.form is None or self.form.interval else len(self.ours) + len(self.foreign)

    @property
    def identity(self) -> Optional[Tuple[int, int]]:
        """Which of all sets that ever bore the name it is; None when there is none now."""
        return None if self.info is None else self.info.identity

    # -- what happens to it

    def observe(self, info: Optional[SetInfo], reading: Optional[Reading], made: Optional[Form] = None) -> None:
        """Take in what the kernel said; another set under the same name starts with a clean slate.

        Of a set that is gone the form is kept, unless netmgr will make one of the form `made`: what it should hold is still known, and
        goes into its include file.
        """
        before, form = self.identity, self.form
        self.info = info
        if self.identity != before:
            self.fault, self.full, self.delay, self.retry_at = None, None, 0.0, 0.0
        self.form = made or form if info is None else sets.form_of(info)
        self.capacity = info.size or None if info is not None and self.form is not None and not self.form.interval else None
        held = _EMPTY if reading is None else reading.contents
        self.verified = reading is None or reading.verified
        if self.verified:
            self.lost = _recast(self.lost | self.ours if self.lost else self.ours, form, self.form) - held.ours
            self.intruders = set(held.foreign - self.foreign) if self.exclusive and self.identity == before else set()
        self.ours, self.expiring, self.foreign = set(held.ours), set(held.expiring), set(held.foreign)
        self.whole = True
        self._fit()

    def feed(self, feeds: Sequence[Feed], exclusive: bool) -> None:
        """From now on these zones fill it."""
        if (tuple(feeds), exclusive, False) != (self.feeds, self.exclusive, self.retiring):
            self.feeds, self.exclusive, self.retiring, self.whole = tuple(feeds), exclusive, False, True
            self._fit()

    def retire(self) -> None:
        """From now on nothing is wanted in it; a failure of the past is no reason to wait."""
        self.feeds, self.retiring, self.whole, self.retry_at = (), True, True, 0.0
        self.spared.clear()

    def set_aside(self, reason: str, now: float) -> None:
        """Leave the set alone for a while that grows from failure to failure."""
        self.fault = reason
        self.delay = min(RETRY_LONGEST, self.delay * 2) or RETRY_FIRST
        self.retry_at = now + self.delay

    def learn_capacity(self, change: ChangeElements, position: Optional[int]) -> None:
        """The kernel had no room for the element at this position of the change; it may not tell which, then for about half."""
        room = len(change.add) // 2 if position is None else position
        self.capacity = max(0, len(self.ours) + len(self.foreign) - len(change.delete) + room)

    def relies_on_fleeting(self, claimed: AbstractSet[bytes]) -> bool:
        """Whether it is as it is only until others' elements expire, which no event tells: by one that is wanted, or for lack of room."""
        if self.full and self.form is not None and self.form.timeout:
            return True
        fleeting = self.expiring & self.foreign if self.expiring else _NOTHING
        if not fleeting or self.form is None or self.exclusive:
            return False
        return self.form.interval or not claimed.isdisjoint(fleeting)

    def apply(self, change: ChangeElements) -> bool:
        """The change took effect.  Whether it mended what somebody else had damaged."""
        repaired = not self.lost.isdisjoint(change.add) or not self.intruders.isdisjoint(change.delete)
        for held in (self.ours, self.foreign, self.expiring):
            held.difference_update(change.delete)
        self.ours.update(change.add)
        self._settled()
        return repaired

    # -- what it needs

    def wanted(self, claimed: AbstractSet[bytes]) -> AbstractSet[bytes]:
        """What it should hold, in the kernel's form, when these elements are claimed; ranges less what foreign ranges cover."""
        if self.form is None or self.retiring:
            return _NOTHING
        if not self.form.interval:
            return claimed
        there = self.spared if self.exclusive else self.foreign | self.spared
        return ranges.minimal(claimed, there, self.form.width) | self.spared

    def spare(self, claimed: AbstractSet[bytes]) -> None:
        """Keep what is in it and is not wanted, until told otherwise."""
        self.spared = set()
        self.spared = set(self.ours - self.wanted(claimed))

    def plan(self, claimed: AbstractSet[bytes], touched: AbstractSet[bytes]) -> Optional[ChangeElements]:
        """What makes it true; None when it is.  Only the touched elements are looked at if that will do."""
        assert self.form is not None
        wanted = self.wanted(claimed)
        if self.whole or self.form.interval or self.full or (self.exclusive and self.foreign):
            found = sets.difference(wanted, Contents(self.ours, self.expiring, self.foreign), self.exclusive and not self.retiring)
        else:
            found = sets.difference_at(touched, wanted, self.ours, self.foreign)
        if self.spared and not self.form.interval:
            self.spared = {each for each in self.spared if each not in wanted}
            found.delete.difference_update(self.spared)
        delete, add = sorted(found.delete | found.renew), sorted(found.renew) + sorted(found.add)
        self.full = None
        if self.capacity is not None:
            add = self._fitting(add, self.capacity, len(delete))
        self.whole = False
        if delete or add:
            return ChangeElements(self.name, self.form, delete, add)
        if self.info is not None:
            self._settled()
        return None

    def _fitting(self, add: List[bytes], capacity: int, deleted: int) -> List[bytes]:
        """As many of the new elements as there is room for, the first ones; the rest makes it an error."""
        room = max(0, capacity - len(self.ours) - len(self.foreign) + deleted)
        if len(add) > room:
            self.full = "the set is full: it takes %d elements, and %d more are wanted" % (capacity, len(add) - room)
        return add[:room]

    def _settled(self) -> None:
        self.whole, self.fault, self.delay = False, None, 0.0
        self.lost, self.intruders = set(), set()

    def _fit(self) -> None:
        info = self.info
        reasons = () if info is None else (sets.misfit(info, feed.holds) for feed in self.feeds)
        self.misfit = next((reason for reason in reasons if reason), None)


def _recast(elements: Set[bytes], before: Optional[Form], after: Optional[Form]) -> Set[bytes]:
    """The single addresses or names among elements of one form as elements of another; nothing for another type."""
    if before is None or after is None or before.type != after.type:
        return set()
    if before.interval == after.interval:
        return elements
    width = before.width
    return {each + each for each in elements} if after.interval else {each[:width] for each in elements if each[:width] == each[width:]}
