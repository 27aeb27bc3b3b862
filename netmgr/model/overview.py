"""What of all sets somebody asks about in every turn, kept as such: which are due, set aside, missing, in error.

With thousands of sets an event concerns one or two; so whatever happens to a set is noted here, and nobody looks at all of them to
find out.  The marks of a set are worked out anew from what is known of it (marks_of); tests hold what is kept against all of them.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from typing import AbstractSet, Dict, List, Optional, Set, Tuple

from netmgr.model.managed_set import ERROR, IS_MISSING, IS_SYNCED, MISSING, SYNCED, ManagedSet, State
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.sets import SetName
from netmgr.values.text import number

Names = Dict[SetName, None]     # who came first stands first


class Marks(NamedTuple):
    """One set's.  For each mark before `state` the names that have it are kept; retiring sets are neither synced nor missing nor unwritten.

    `look`, `compare`: it must be looked at, or compared as a whole, and may be.  `waiting`: it is set aside, until then.  `retired`:
    there is nothing more to withdraw from it.  `missing`: it should exist.
    """

    look: bool = False
    compare: bool = False
    waiting: float = 0.0
    present: bool = False
    unverified: bool = False
    fleeting: bool = False
    retired: bool = False
    synced: bool = False
    missing: bool = False
    error: bool = False
    unwritten: bool = False
    state: State = IS_MISSING


UNMARKED, AS_IT_SHOULD = MOST = Marks(), Marks(present=True, synced=True, state=IS_SYNCED)


def _put(names: Names, name: SetName, inside: object) -> None:
    if inside:
        names[name] = None
    else:
        names.pop(name, None)
        if not names:
            names.clear()       # it keeps room for all that ever was in it, and looking through that takes its time


def marks_of(managed: ManagedSet, unread: bool, promised: bool, claimed: AbstractSet[bytes], now: float) -> Marks:
    """The marks of a set: must it be looked at, should it exist, what is claimed in it."""
    state, retiring = managed.state, managed.role.retiring
    may = managed.pause.until <= now
    return Marks(
        look=unread and may, compare=managed.whole and may and not unread, waiting=0.0 if may else managed.pause.until,
        present=managed.seen.info is not None, unverified=not managed.seen.verified,
        fleeting=bool(managed.held.expiring or managed.wrong.full or managed.others.awaited) and managed.relies_on_fleeting(claimed),
        retired=retiring and not managed.held.ours and not unread and not managed.to_delete,
        synced=state.word == SYNCED and not retiring,
        missing=state.word == MISSING and not retiring and promised,
        error=state.word == ERROR, unwritten=managed.unwritten is not None and not retiring, state=state)


class Overview:
    """The marks of all sets.  `own` is how many elements netmgr has in them; `news` are sets whose state has changed.

    `look` is taken from its beginning bit by bit, in which a dict passes over all that was there once.
    `marks`: those of each set, AS_IT_SHOULD itself where nothing is to be said of it.  `since`: how each set is, in a word, and since
    when; `warned`: since when a set is one to be warned of.  `pauses` has the ends of all pauses, also of those that have been cut short.
    """

    def __init__(self) -> None:
        self._kept: Tuple[Names, ...] = OrderedDict(), *({} for _mark in Marks._fields[1:Marks._fields.index("state")])
        (self.look, self.compare, self.waiting, self.present, self.unverified, self.fleeting, self.retired,
         self.synced, self.missing, self.error, self.unwritten) = self._kept
        self.own = 0
        self.news: Set[SetName] = set()
        self.since: Dict[SetName, Tuple[str, float]] = {}
        self.warned: Dict[SetName, float] = {}
        self.marks: Dict[SetName, Marks] = {}
        self._own: Dict[SetName, int] = {}
        self.pauses: List[Tuple[float, SetName]] = []

    def __str__(self) -> str:
        """All sets in one line."""
        parts = ["%s in %s" % (number(self.own, "element"), number(len(self.synced), "set"))]
        parts += [number(len(self.missing), "set") + " missing"] if self.missing else []
        parts += [number(len(self.error), "set") + " in error"] if self.error else []
        return ", ".join(parts)

    def note(self, name: SetName, marks: Marks) -> Marks:
        """From now on these are a set's marks; what they were."""
        before = self.marks.get(name, UNMARKED)
        if marks == before:
            return before
        if marks in MOST:
            marks = MOST[MOST.index(marks)]
        for names, is_so, was_so in zip(self._kept, marks, before):
            if is_so != was_so:
                _put(names, name, is_so)
        if marks.state != before.state:
            self.news.add(name)
        if marks.waiting and marks.waiting != before.waiting:
            heapq.heappush(self.pauses, (marks.waiting, name))
        self.marks[name] = marks
        return before

    def count(self, name: SetName, own: int) -> bool:
        """So many of netmgr's elements are in a set now.  Whether there is no more to be said of it, so long as nothing is wrong."""
        before = self._own.get(name)
        if own != before:
            self.own += own - (before or 0)
            self._own[name] = own
        return self.marks.get(name) is AS_IT_SHOULD

    def all_marks(self) -> Dict[SetName, Marks]:
        """Those of all sets as they are now."""
        return self.marks.copy()

    def all_own(self) -> Dict[SetName, int]:
        """How many elements netmgr has now in each set that it does not withdraw from."""
        return self._own.copy()

    def note_state(self, name: SetName, word: str, now: float) -> None:
        """How it is now, in a word."""
        if self.since.get(name, ("", now))[0] != word:
            self.since[name] = word, now

    def note_warning(self, name: SetName, is_so: bool, now: float) -> None:
        """Whether it is one to be warned of."""
        if is_so:
            self.warned.setdefault(name, now)
        else:
            self.warned.pop(name, None)

    def forget(self, name: SetName) -> None:
        """There is no such set any more."""
        self.note(name, UNMARKED)
        self.count(name, 0)
        del self._own[name]
        self.since.pop(name, None)
        self.warned.pop(name, None)
        self.marks.pop(name, None)
        self.news.discard(name)

    def take_news(self) -> List[SetName]:
        """The sets whose state is another than at the last call."""
        if not self.news:
            return []
        news, self.news = sorted(self.news), set()
        return news

    def next_pause(self) -> Optional[float]:
        """When the first pause ends."""
        while self.pauses and not self._counts(*self.pauses[0]):
            heapq.heappop(self.pauses)
        return self.pauses[0][0] if self.pauses else None

    def over(self, now: float) -> List[SetName]:
        """The sets whose pause is over."""
        found = []
        while self.pauses and self.pauses[0][0] <= now:
            until, name = heapq.heappop(self.pauses)
            if self._counts(until, name):
                found.append(name)
        return found

    def _counts(self, until: float, name: SetName) -> bool:
        """Whether this is how long the set is set aside; it may have been resumed or forgotten."""
        return self.marks.get(name, UNMARKED).waiting == until
