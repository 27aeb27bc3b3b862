"""When to look at the kernel's sets, and the accounts of what was repaired.

Foreign transactions (`changed`) make a look due.  A quick look passes over sets whose identity and number of elements are as they
should be.  Since one element may have been exchanged for another, all sets are then read one after the other, those first that have
waited longest, as fast as their cost allows; so is a set of which a reading could not be verified.  With small sets both fall together.
While something wanted is there only as a foreign element that will expire, which makes no event, such sets are read every second.

Putting back what was ours and had been taken away, or removing what came into an exclusive set or under netmgr's comment, is a repair,
and is put down to the process that the kernel named, or to each of those that may have done it (see suspects.py).
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from typing import Callable, Deque, Dict, FrozenSet, Iterable, List, Optional, Sequence, Tuple

from netmgr.sync.accounts import Accounts, names_of
from netmgr.sync.damper import Damper
from netmgr.sync.reconciler import Reconciler
from netmgr.sync.suspects import OTHER, Culprits, Identify, Suspects, named, unread
from netmgr.values.events import Suspect
from netmgr.values.happenings import NAMED_AT_MOST, Happening
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.pace import Pace
from netmgr.values.sets import Change, ChangeElements, Form, SetName
from netmgr.values.text import Log
from netmgr.wire import nft_text

FLEETING_REST = 1.0
QUICK_REST, THOROUGH_REST, REST_LONGEST = 10, 20, 10.0
SLICE = 0.002           # seconds of looking in one turn of the loop
FIRST_SLICE = 0.02      # the same before all has been looked at once, when that is what everybody waits for
GONE = "another program: an element is gone"
OURSELVES = "netmgr"    # the name of every process of netmgr
RIVAL = "another netmgr and this one undo each other's work in %s"

_NOTHING: FrozenSet[SetName] = frozenset()
Tell = Callable[[Happening, str], None]         # and the level of its line in the log


class Repair(NamedTuple):
    """Foreign damage that was mended: who may have done it, when (UTC, ISO 8601), to which sets."""

    by: Culprits
    time: str
    sets: Tuple[SetName, ...]


class Repairs:
    """Decides, looks, reconciles, counts.  `clock` is monotonic seconds, `utc` the time of day for people."""

    def __init__(self, reconciler: Reconciler, clock: Callable[[], float], utc: Callable[[], str], log: Log, tell: Tell,
                 identify: Identify = unread) -> None:
        self.reconciler = reconciler
        self.mended = _NOTHING
        self.quiet = False                      # during a fight what is done as usual is no news
        self.blamed: Optional[str] = None       # whose doings settle() has looked at, or why it looked
        self.made = 0
        self.last_repair: Optional[Repair] = None
        self._clock = clock
        self._utc = utc
        self._log, self._tell_happening = log, tell
        self._suspects = Suspects(identify)
        self._suspicious = False
        self._passing: Deque[SetName] = deque()         # what the quick look that is under way has not come to yet
        self._passed = 0.0                              # the time that it took so far
        self._unread: OrderedDict[SetName, None] = OrderedDict()        # what is to be read, in this order
        self._urgent = self._auditing = False
        self._looked_at = self._until = 0.0
        self._woken: Optional[float] = None
        self._look_at: Optional[float] = None
        self._quick, self._thorough, self._damper = _rested()
        self._repaired: Dict[SetName, List[ChangeElements]] = {}        # since the last look began
        self._read_closely = False      # to find some of that a set had to be read that had the right number of elements
        self._accounts = Accounts()
        self.rival_since: Optional[float] = None        # of its clock

    def switch(self, reconciler: Reconciler) -> None:
        """Go on with another model; the accounts stay."""
        self.reconciler = reconciler
        self._passing.clear()
        self._unread.clear()
        self._urgent = self._auditing = False

    @property
    def busy(self) -> bool:
        """Whether what was to be read at once has not been read yet."""
        return self._urgent or bool(self._passing) or not self.reconciler.complete

    @property
    def rival(self) -> Optional[str]:
        """What another netmgr and this one do to each other, if they do."""
        fought = self._accounts.fought(OURSELVES)
        return RIVAL % names_of(fought) if fought else None

    def changed(self, by: Iterable[Suspect]) -> None:
        """Others committed something; None is one of whom it is not known who."""
        self._suspicious = True
        self._suspects.add(by)
        self._look_at = self._next_look()

    def doubt(self) -> None:
        """Read everything and try everything, whatever it costs and however soon it comes after the last time."""
        self._quick, self._thorough, self._damper = _rested()
        self._urgent = self.reconciler.complete         # if not, everything is being read anyway
        self.reconciler.model.resume()
        self.changed([None])

    def audit(self) -> None:
        """Compare everything with the kernel, a little at a time; what nobody can have done is a drift."""
        self._auditing = True
        self._read(sorted(self.reconciler.model.sets))
        self._look_at = self._next_look()

    def settle(self, woken: Optional[float] = None, in_slices: bool = True) -> List[Change]:
        """Look if a look is due, then reconcile.  Returns what was committed.

        `woken` is when the loop woke up: until it wakes up again, there is one slice for looking, however often this is called.
        """
        now, drift = self._clock(), self._auditing and not self._suspects.stages
        self.mended, self.blamed = _NOTHING, None
        looks = self._look_at is not None and self._look_at <= now
        if woken is None or woken != self._woken:
            self._woken = woken
            self._until = now + (SLICE if self.reconciler.complete else FIRST_SLICE) if in_slices else math.inf
        self.quiet = now < self._damper.calm_at
        changes = self._look(now) if looks else self.reconciler.reconcile(now, self._enough)
        if self._suspects.stages:
            self._meet()
        if looks:
            self.blamed = named(self._suspects.culprits(True)) if self._suspects.stages else "audit" if self._auditing else GONE
        if self.reconciler.model.repaired or self._repaired:
            self._account(changes, drift)
        if self._accounts.due is not None and self._accounts.due <= now:
            self._sum_up(now)
        if looks and not self._passing and not self._unfinished():
            self._suspects.look_ends()
        self._look_at = self._next_look()
        if not self._unread and not self._suspicious and (self._suspects.stages or self._urgent or self._auditing):
            self._suspects.clear()
            self._urgent = self._auditing = False
        return changes

    def deadline(self) -> Optional[float]:
        """When settle() has something to do even if nothing happens until then."""
        if self.reconciler.model.overview.look:
            return self._looked_at
        retry, look = self.reconciler.model.next_retry() if self.reconciler.model.overview.pauses else None, self._look_at
        first = look if retry is None else retry if look is None else min(retry, look)
        due = self._accounts.due
        return first if due is None else due if first is None else min(first, due)

    # -- when

    def _next_look(self) -> Optional[float]:
        if self._passing:
            return self._looked_at
        if self._suspicious or self._unread:        # both: who commits all the time must not keep anything from being read
            quick = self._quick.ready_at if self._suspicious else math.inf
            return max(min(quick, self._thorough.ready_at) if self._unread else quick, self._damper.ready_at)
        return self._looked_at + FLEETING_REST if self.reconciler.model.overview.fleeting else None

    def _unfinished(self) -> bool:
        """Whether something is still to be mended of which it is known already."""
        overview = self.reconciler.model.overview
        return bool(overview.look or overview.compare or overview.waiting)

    def _enough(self) -> bool:
        return self._clock() >= self._until

    # -- looking

    def _look(self, now: float) -> List[Change]:
        """While a look goes on from one turn to the next, what is known already does not wait for its next slice."""
        model, may, going_on = self.reconciler.model, self._damper.ready_at <= now, self._passing or self._unread
        if self._suspicious and not self._passing and may and self._quick.ready_at <= now:
            self._suspicious, self._passing, self._passed = False, deque(sorted(model.sets)), 0.0
            self._suspects.look_begins()
            self._read(self._passing)
        elif not self._unread:
            self._read(sorted(model.overview.fleeting))
        changes, begin = self.reconciler.reconcile(now, self._enough) if going_on else [], now
        if self._passing:
            self._look_quickly(now)
            begin = self._looked_at
        changes += self._mend(now)
        if self._unread and not self._passing and may and self._thorough.ready_at <= self._clock() < self._until:
            found = len(model.repaired)
            self._read_some(begin)
            changes += self._mend(self._clock())
            self._read_closely = self._read_closely or len(model.repaired) > found
        return changes

    def _mend(self, now: float) -> List[Change]:
        """What has just been seen; and now that it is mended there is time to read whose doing it was."""
        changes = self.reconciler.reconcile(now, self._enough)
        if self.reconciler.model.repaired:
            self._suspects.meet()
        return changes

    def _look_quickly(self, now: float) -> None:
        looked = self.reconciler.survey.look(self._passing, False, now, self._enough)
        while self._passing and self._passing[0] in looked:
            self._passing.popleft()
        self._have_read(name for name, read in looked.items() if read)
        self._looked_at = end = self._clock()
        self._passed += end - now
        if not self._passing and not self._urgent:
            self._quick.spent(end - self._passed, end)

    def _read_some(self, begin: float) -> None:
        self._have_read(self.reconciler.survey.look(self._unread, True, begin, self._enough))
        self._looked_at = end = self._clock()
        if self._urgent and self._unread.keys() <= self.reconciler.model.overview.unverified.keys():
            self._urgent = False
        if not self._urgent:
            self._thorough.spent(begin, end)

    def _read(self, names: Iterable[SetName]) -> None:
        """These are to be read, after those that wait already."""
        self._unread.update(dict.fromkeys(names))

    def _have_read(self, names: Iterable[SetName]) -> None:
        """These were read; of those that could not be verified it is the turn again after the others."""
        for name in names:
            self._unread.pop(name, None)
            if name in self.reconciler.model.overview.unverified:
                self._unread[name] = None

    # -- accounts

    def _sum_up(self, now: float) -> None:
        for line in self._accounts.sums(now):
            self._log("warning", line)
        self.rival_since = None if self.rival is None else self.rival_since

    def _meet(self) -> None:
        """Repairs have been sent, so that there is time for it; where nothing was to be done, nobody need be known."""
        if self.reconciler.model.repaired or self.reconciler.model.overview.news or self._suspicious or self._unread:
            self._suspects.meet()

    def _account(self, changes: List[Change], drift: bool) -> None:
        """A look of several slices is one repair; with nobody to suspect, what an audit finds is a drift."""
        self.mended = frozenset(self.reconciler.model.take_repaired())
        for change in changes:
            if isinstance(change, ChangeElements) and change.set in self.mended:
                self._repaired.setdefault(change.set, []).append(change)
        if not self._passing:
            mended, self._repaired = self._repaired, {}
            culprits, self._read_closely = self._suspects.culprits(not self._read_closely), False
            happening = _happening([change for some in mended.values() for change in some])
            count, counters = happening.added_count + happening.removed_count, self.reconciler.counters
            if drift:
                counters.drifted += count
                self._tell_happening(happening._replace(cause="audit: a drift"), "warning")
            else:
                counters.repaired += count
                self._tell(happening, tuple(sorted(mended)), culprits)

    def _tell(self, happening: Happening, names: Tuple[SetName, ...], by: Culprits) -> None:
        now, who = self._clock(), named(by)
        self.made += 1
        self.last_repair = Repair(by, self._utc(), names)
        before = self._damper.fighting(now)
        self._damper.repaired(now)
        programs = " or ".join(sorted({OTHER if each is None else each.process for each in by}))
        alone = self._accounts.repaired(programs, who, names, now)
        slowed = self._damper.fighting(now) and not before
        level = "warning" if alone and not slowed else "debug"
        self._tell_happening(happening._replace(cause=who, culprit=by[0] if len(by) == 1 else None), level)
        if slowed:
            self._log("warning", "%s and netmgr keep undoing each other's work in %s: repairs are slowed down" % (who, names_of(names)))
        if programs == OURSELVES and not alone and self.rival_since is None:
            self.rival_since = now
            self._log("error", "%s: two configurations fill the same sets (%s)" % (self.rival, who))


def _happening(changes: Sequence[ChangeElements]) -> Happening:
    return Happening(
        "repaired", sets=tuple(sorted({str(change.set) for change in changes})),
        added=_named([(change.form, change.add) for change in changes]), added_count=sum(len(change.add) for change in changes),
        removed=_named([(change.form, change.delete) for change in changes]), removed_count=sum(len(change.delete) for change in changes),
        restored=_named([(change.form, change.restore) for change in changes]))


def _named(listed: Sequence[Tuple[Form, Sequence[bytes]]]) -> Tuple[str, ...]:
    """Elements of several sets in nft's notation, not too many."""
    texts = [text for form, elements in listed for text in nft_text.element_texts(form, elements[:NAMED_AT_MOST])]
    return tuple(texts[:NAMED_AT_MOST])


def _rested() -> Tuple[Pace, Pace, Damper]:
    """Nothing has been done yet that would be a reason to wait."""
    return Pace(QUICK_REST, longest=REST_LONGEST), Pace(THOROUGH_REST, longest=REST_LONGEST), Damper()
