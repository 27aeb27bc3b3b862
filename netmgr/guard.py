"""When to look at the kernel's sets, and the accounts of what was repaired.

Foreign transactions (`changed`) make a look due.  A quick look passes over sets whose identity and number of elements are as they
should be; since one element may have been exchanged for another, a thorough look follows as soon as its cost allows.  With small
sets both fall together.  Whatever then must be added to a set that had been filled before is a repair, and is put down to the
process that the kernel named.
"""

from typing import Callable, List, Optional, Set

from netmgr.damping import Damper, Pace
from netmgr.events import RulesetChanged
from netmgr.reconciler import Log, Reconciler
from netmgr.report import Repair
from netmgr.sets import Change, ChangeElements, SetName

QUICK_REST, THOROUGH_REST = 10, 20


class Guard:
    """Decides, looks, reconciles, counts.  `clock` is monotonic seconds, `utc` the time of day for people."""

    def __init__(self, reconciler: Reconciler, clock: Callable[[], float], utc: Callable[[], str], log: Log) -> None:
        self.reconciler = reconciler
        self.repairs = 0
        self.last_repair: Optional[Repair] = None
        self._clock = clock
        self._utc = utc
        self._log = log
        self._culprit: Optional[RulesetChanged] = None
        self._suspicious = False
        self._doubtful = False
        self._quick = Pace(QUICK_REST)
        self._thorough = Pace(THOROUGH_REST)
        self._damper = Damper()

    def adopt(self, reconciler: Reconciler) -> None:
        """Go on with another model; the accounts stay."""
        self.reconciler = reconciler

    def changed(self, by: Optional[RulesetChanged]) -> None:
        """Somebody else committed something; None when it is not known who."""
        self._suspicious = True
        self._culprit = by

    def doubt(self) -> None:
        """Read everything at the next settle(), whatever it costs and however soon it comes after the last time."""
        self._quick, self._thorough, self._damper = Pace(QUICK_REST), Pace(THOROUGH_REST), Damper()
        self.changed(None)

    def settle(self) -> List[Change]:
        """Look if a look is due, then reconcile.  Returns what was committed."""
        looked = self._look() if self._due(self._clock()) else frozenset()
        filled = {name for name in looked if self.reconciler.model.sets[name].filled}
        changes = self.reconciler.reconcile(self._clock())
        repaired = sorted({change.set for change in changes if isinstance(change, ChangeElements) and change.add} & filled)
        if repaired:
            self._account(repaired)
        return changes

    def audit(self) -> List[Change]:
        """A full comparison with the kernel; what it finds is a drift."""
        now = self._clock()
        self.reconciler.survey(list(self.reconciler.model.sets), now)
        changes = self.reconciler.reconcile(now)
        drift = [change for change in changes if isinstance(change, ChangeElements)]
        if drift:
            size = sum(len(change.add) + len(change.delete) for change in drift)
            self._log("warning", "audit: repaired a drift of %d elements in %s" % (size, ", ".join(str(each.set) for each in drift)))
        return changes

    def deadline(self) -> Optional[float]:
        """When settle() has something to do even if nothing happens until then."""
        now = self._clock()
        times = [time for time in (self.reconciler.model.next_retry(now), self._next_look()) if time is not None]
        return min(times, default=None)

    def _next_look(self) -> Optional[float]:
        if self._suspicious:
            return max(self._quick.ready_at, self._damper.ready_at)
        return self._thorough.ready_at if self._doubtful else None

    def _due(self, now: float) -> bool:
        when = self._next_look()
        return when is not None and when <= now

    def _look(self) -> Set[SetName]:
        model = self.reconciler.model
        begin = self._clock()
        thorough = begin >= self._thorough.ready_at
        names = set(model.sets)
        self.reconciler.survey(sorted(names), begin, thorough)
        self._suspicious = False
        self._doubtful = not thorough or any(not managed.verified for managed in model.sets.values())
        end = self._clock()
        self._quick.spent(begin, end)
        if thorough:
            self._thorough.spent(begin, end)
        return names

    def _account(self, repaired: List[SetName]) -> None:
        now = self._clock()
        self.repairs += 1
        self.last_repair = Repair(self._culprit, self._utc(), tuple(repaired))
        before = self._damper.fighting
        self._damper.repaired(now)
        self.reconciler.quiet = self._damper.fighting
        who = "another program" if self._culprit is None else "%s (pid %d)" % (self._culprit.process, self._culprit.pid)
        if not self._damper.fighting:
            self._log("warning", "repaired %s, which %s had changed" % (", ".join(map(str, repaired)), who))
        elif not before:
            self._log("warning", "%s and netmgr keep undoing each other's work in %s: repairs are slowed down, and no longer logged"
                      % (who, ", ".join(map(str, repaired))))
