"""When to look at the kernel's sets, and the accounts of what was repaired.

Foreign transactions (`changed`) make a look due.  A quick look passes over sets whose identity and number of elements are as they
should be; since one element may have been exchanged for another, a thorough look follows as soon as its cost allows.  With small
sets both fall together.  While something wanted is there only as a foreign element that will expire, which makes no event, there is
a look every second.  Putting back what was ours and had been taken away, or removing what came into an exclusive set, is a repair,
and is put down to the process that the kernel named, or to each of those that it named since the last thorough look.
"""

from typing import Callable, Iterable, List, NamedTuple, Optional, Tuple

from netmgr.sync.damper import Damper
from netmgr.sync.reconciler import Reconciler
from netmgr.values.events import Suspect
from netmgr.values.pace import Pace
from netmgr.values.sets import Change, ChangeElements, SetName
from netmgr.values.text import Log, number

FLEETING_REST = 1.0
QUICK_REST, THOROUGH_REST = 10, 20
SUSPECTS_AT_MOST = 3


class Repair(NamedTuple):
    """Foreign damage that was mended: who may have done it, when (UTC, ISO 8601), to which sets."""

    by: Tuple[Suspect, ...]
    time: str
    sets: Tuple[SetName, ...]


class Repairs:
    """Decides, looks, reconciles, counts.  `clock` is monotonic seconds, `utc` the time of day for people."""

    def __init__(self, reconciler: Reconciler, clock: Callable[[], float], utc: Callable[[], str], log: Log) -> None:
        self.reconciler = reconciler
        self.made = 0
        self.last_repair: Optional[Repair] = None
        self._clock = clock
        self._utc = utc
        self._log = log
        self._suspects: List[Suspect] = []
        self._suspicious = False
        self._doubtful = False
        self._looked_at = 0.0
        self._look_at: Optional[float] = None
        self._quick = Pace(QUICK_REST)
        self._thorough = Pace(THOROUGH_REST)
        self._damper = Damper()

    def switch(self, reconciler: Reconciler) -> None:
        """Go on with another model; the accounts stay."""
        self.reconciler = reconciler

    def changed(self, by: Iterable[Suspect]) -> None:
        """Others committed something; None is one of whom it is not known who."""
        self._suspicious = True
        for suspect in by:
            found = suspect if len(self._suspects) < SUSPECTS_AT_MOST else None
            if named(found) not in map(named, self._suspects):
                self._suspects.append(found)
        self._suspects.sort(key=lambda suspect: suspect is None)
        self._look_at = self._next_look()

    def doubt(self) -> None:
        """At the next settle() read everything and try everything, whatever it costs and however soon it comes after the last time."""
        self._quick, self._thorough, self._damper = Pace(QUICK_REST), Pace(THOROUGH_REST), Damper()
        self.reconciler.model.resume()
        self.changed([None])

    def settle(self) -> List[Change]:
        """Look if a look is due, then reconcile.  Returns what was committed."""
        now = self._clock()
        self.reconciler.quiet = self._damper.fighting(now)
        if self._look_at is not None and self._look_at <= now:
            self._look()
            now = self._clock()
        changes = self.reconciler.reconcile(now)
        if self.reconciler.model.repaired:
            self._account(self.reconciler.model.take_repaired())
        self._look_at = self._next_look()
        if not self._suspicious and not self._doubtful:
            self._suspects.clear()
        return changes

    def audit(self) -> List[Change]:
        """A full comparison with the kernel; what it finds is a drift.  Returns what was committed."""
        changes = self.settle()
        now = self._clock()
        self.reconciler.survey(list(self.reconciler.model.sets), now)
        found = self.reconciler.reconcile(now)
        self.reconciler.model.take_repaired()
        self._look_at = self._next_look()
        drift = [change for change in found if isinstance(change, ChangeElements)]
        if drift:
            size = sum(len(change.add) + len(change.delete) for change in drift)
            where = ", ".join(str(each.set) for each in drift)
            self._log("warning", "audit: repaired a drift of %s in %s" % (number(size, "element"), where))
        return changes + found

    def deadline(self) -> Optional[float]:
        """When settle() has something to do even if nothing happens until then."""
        retry, look = self.reconciler.model.next_retry(), self._look_at
        return look if retry is None else retry if look is None else min(retry, look)

    def _next_look(self) -> Optional[float]:
        if self._suspicious:
            return max(self._quick.ready_at, self._damper.ready_at)
        if self._doubtful:
            return max(self._thorough.ready_at, self._damper.ready_at)
        return self._looked_at + FLEETING_REST if self.reconciler.model.relies_on_fleeting() else None

    def _look(self) -> None:
        model = self.reconciler.model
        begin = self._clock()
        thorough = begin >= self._thorough.ready_at
        self.reconciler.survey(sorted(model.sets), begin, thorough)
        self._suspicious = False
        self._doubtful = not thorough or bool(model.overview.unverified)
        self._looked_at = end = self._clock()
        self._quick.spent(begin, end)
        if thorough:
            self._thorough.spent(begin, end)

    def _account(self, repaired: List[SetName]) -> None:
        now = self._clock()
        self.made += 1
        self.last_repair = Repair(tuple(self._suspects), self._utc(), tuple(repaired))
        before = self._damper.fighting(now)
        self._damper.repaired(now)
        names, who = ", ".join(map(str, repaired)), " or ".join(map(named, self._suspects)) or named(None)
        if not self._damper.fighting(now):
            self._log("warning", "repaired %s, which %s had changed" % (names, who))
        elif not before:
            self._log("warning", "%s and netmgr keep undoing each other's work in %s: repairs are slowed down, and no longer logged"
                      % (who, names))


def named(suspect: Suspect) -> str:
    """How the log calls who committed something."""
    return "another program" if suspect is None else "%s (pid %d)" % (suspect.process, suspect.pid)
