"""From the plan to the kernel: look at the sets, commit, understand what failed, repeat until all that can be true is true.

The kernel is anything with inspect(), reading() and commit() (netmgr.io.nft.Nft, or a fake that fails on purpose).  A transaction
is all or nothing, so one set that the kernel refuses would keep back all others.  Therefore the blame is found from the errors of
the single messages, the set is set aside with the reason, and the rest is committed in the same breath.  When an error names no
set, each set is tried by itself.  When the outcome is unknown, because the answer was lost or only a part was applied, the sets are
read again.  A second failure of that kind, or a second look at the same set, counts as a failure of the set; so the rounds are
bounded.

A foreign transaction may put another set under a name between our look and our commit, and an address in a set that has become one of
ranges would be an open range.  So a commit names the generation of the ruleset in which its sets were seen, and the kernel refuses
it in any other; then we look whether these are still the same sets, and try again.  Who commits all the time cannot hold us up with
that: after a few attempts, or two when that is enough, we commit in any generation.
"""

from __future__ import annotations

from typing import Callable, Container, Dict, Iterable, Iterator, List, Optional, Sequence, Set

from netmgr.model.model import Model
from netmgr.sync.survey import Sets, Survey
from netmgr.values import sets
from netmgr.values.counters import COMMITTED as DONE
from netmgr.values.counters import OVERTAKEN as LATE
from netmgr.values.counters import REFUSED, UNKNOWN, Counters
from netmgr.values.errors import ProtocolError
from netmgr.values.outcomes import OVERTAKEN, Fault, Outcome
from netmgr.values.protocol import Protocol
from netmgr.values.sets import Change, CreateSet, CreateTable, SetName
from netmgr.values.text import Log, reason
from netmgr.wire import nft_text

ATTEMPTS = False, False, True, True     # to commit in the generation that was looked at; True: only if there is time


class Kernel(Sets, Protocol):
    """What the reconciler needs of the kernel; errors as in netmgr.io.nft."""

    def marked(self, known: Container[SetName]) -> Iterator[Optional[SetName]]:
        """The sets that bear netmgr's mark, but for these; None now and then."""

    def commit(self, changes: Sequence[Change], generation: int) -> Outcome:
        """One transaction, in this generation only; 0 is any."""


def never() -> bool:
    """It is not enough before all is done."""
    return False


class Reconciler:
    """Keeps the kernel's sets equal to a model."""

    def __init__(self, kernel: Kernel, model: Model, log: Log, dry_run: bool = False, counters: Optional[Counters] = None) -> None:
        self.model = model
        self.dry_run = dry_run
        self.counters = counters or Counters()
        self._kernel = kernel
        self._log = log
        self.survey = Survey(kernel, model)
        self._suspects: Set[SetName] = set()        # have failed since reconcile() began
        self.complete = False       # all sets, also those just made, have been looked at, and made true as far as they can be

    def reconcile(self, now: float, enough: Callable[[], bool] = never) -> List[Change]:
        """Make every set true that can be; returns what was committed (in a dry run: what would be).

        Sets that must be looked at first are looked at until it is enough; the others are not kept waiting, except that the very
        first transaction is one for all.
        """
        done: List[Change] = []
        self._suspects.clear()
        model, overview = self.model, self.model.overview
        model.now = now
        for _round in range(3 * len(model.sets) + 3):
            if overview.look or overview.pauses:
                due = model.to_survey(now)
                if due and not (done and enough()):         # one set more would cost a whole look
                    self.survey.look(due, True, now, enough)
                if overview.look and not enough():
                    continue
                if overview.look and not self.complete:
                    return done
            changes = model.plan(now)
            if not self.complete:
                self.complete = self.dry_run or not any(isinstance(change, CreateSet) for change in changes)
            if not changes:
                break
            if self.dry_run:
                done.extend(self._tell(changes))
                break
            done += self._commit(changes, now, enough)
            if model.calm:
                break
        else:
            self.complete = True
        return done

    def _commit(self, changes: List[Change], now: float, enough: Callable[[], bool]) -> List[Change]:
        outcome = self._outcome(changes, enough)
        if outcome.committed:
            self.survey.committed(changes)
            self.model.committed(changes)
            self.counters.transactions[DONE] += 1
            return changes
        names = sets.names_of(changes)
        self.counters.transactions[LATE if outcome.overtaken else REFUSED if outcome.known else UNKNOWN] += 1
        if outcome.overtaken:
            self.model.refused(changes, (), now, False)
            return []
        faults = _first_of_each(fault for fault in outcome.faults if fault.set in names)
        if not outcome.known:
            self.model.doubt(names)
        if not faults:
            if outcome.known and len(names) > 1:
                return [change for name in sorted(names) for change in self._commit(_only(changes, name), now, enough)]
            faults = _without_a_name(outcome, names, self._suspects)
        self.model.refused(changes, (), now, False)
        for fault in faults:
            self._refused(changes, fault, now)
        return []

    def _outcome(self, changes: Sequence[Change], enough: Callable[[], bool]) -> Outcome:
        try:
            for only_if_there_is_time in ATTEMPTS:
                if only_if_there_is_time and enough():
                    break
                for change in changes:
                    if not isinstance(change, CreateTable) and change.set not in self.survey.seen:
                        if not self.survey.confirm(sets.names_of(changes)):
                            return OVERTAKEN
                        break
                outcome = self._kernel.commit(changes, self.survey.generation)
                if not outcome.overtaken:
                    return outcome
                self.survey.seen.clear()
            return self._kernel.commit(changes, 0)
        except (OSError, ProtocolError) as problem:
            return Outcome(False, False, (LOST._replace(reason="it cannot be written: %s" % reason(problem)),))

    def _refused(self, changes: List[Change], fault: Fault, now: float) -> None:
        assert fault.set is not None
        again = fault.set in self._suspects
        self._suspects.add(fault.set)
        self.model.refused(changes, [fault], now, again)

    def _tell(self, changes: List[Change]) -> List[Change]:
        """A dry run says what it would send.  Nothing follows from that, least of all that the sets were so."""
        self.model.told(changes)
        for line in nft_text.text(changes):
            self._log("info", "would send: " + line)
        return changes


UNEXPLAINED = Fault(None, 0, "the kernel refused without a reason", "", None, False)
LOST = Fault(None, 0, "the kernel's answer was lost", "", None, False)


def _only(changes: Sequence[Change], name: SetName) -> List[Change]:
    """The part of a transaction that concerns one set."""
    return [change for change in changes
            if (change == (name.family, name.table) if isinstance(change, CreateTable) else change.set == name)]


def _without_a_name(outcome: Outcome, names: Set[SetName], suspects: Set[SetName]) -> List[Fault]:
    """Whom to blame when no fault names a set: all of them; for a lost answer only those that have lost one before."""
    fault = outcome.faults[0] if outcome.faults else UNEXPLAINED if outcome.known else LOST
    to_blame = sorted(names if outcome.known else names & suspects)
    if not outcome.known:
        suspects.update(names)
    return [fault._replace(set=name) for name in to_blame]


def _first_of_each(faults: Iterable[Fault]) -> List[Fault]:
    first: Dict[Optional[SetName], Fault] = {}
    for fault in faults:
        first.setdefault(fault.set, fault)
    return list(first.values())
