"""From the plan to the kernel: survey the sets, commit, understand what failed, repeat until all that can be true is true.

The kernel is anything with inspect(), read() and commit() (netmgr.io.nft.Nft, or a fake that fails on purpose).  A transaction
is all or nothing, so one set that the kernel refuses would keep back all others.  Therefore the blame is found from the errors of
the single messages, the set is set aside with the reason, and the rest is committed in the same breath.  When an error names no
set, each set is tried by itself.  Every round commits, sets something aside, or has another look at a set, and a second look
at the same set counts as a failure; so the rounds are bounded.
"""

import os
from typing import Callable, Dict, Iterable, List, Optional, Protocol, Sequence, Set, Tuple

from netmgr import sets
from netmgr.errors import ProtocolError
from netmgr.model import Model
from netmgr.nft import Fault, Outcome
from netmgr.nftread import Reading
from netmgr.sets import Change, ChangeElements, CreateSet, SetInfo, SetName

NAMED_AT_MOST = 8

Log = Callable[[str, str], None]


class Kernel(Protocol):
    """What the reconciler needs of the kernel; errors as in netmgr.io.nft."""

    def inspect(self, name: SetName) -> Optional[SetInfo]:
        """The set as it is now; None when it or its table is missing."""

    def read(self, info: SetInfo) -> Reading:
        """Its elements."""

    def commit(self, changes: Sequence[Change]) -> Outcome:
        """One transaction."""


class Reconciler:
    """Keeps the kernel's sets equal to a model."""

    def __init__(self, kernel: Kernel, model: Model, log: Log, dry_run: bool = False) -> None:
        self.model = model
        self._kernel = kernel
        self._log = log
        self._dry_run = dry_run
        self.quiet = False

    def survey(self, names: Iterable[SetName], now: float, thorough: bool = True) -> List[SetName]:
        """Read sets and tell the model; returns those that lost elements of ours.

        Not thorough: a set of which nothing seems to have changed is not read again.  A set that cannot be read is set aside; the
        others are not affected.
        """
        damaged: List[SetName] = []
        findings: Dict[SetName, Tuple[Optional[SetInfo], Optional[Reading]]] = {}
        for name in names:
            managed = self.model.sets[name]
            try:
                info = self._kernel.inspect(name)
                if not thorough and info is not None and self._seems_same(name, info):
                    continue
                reading = None if info is None or sets.form_of(info) is None else self._kernel.read(info)
            except (OSError, ProtocolError) as problem:
                self._set_aside(name, "it cannot be read: %s" % reason(problem), now)
                continue
            there = frozenset() if reading is None else reading.contents.ours
            if managed.ours and not managed.ours <= there:
                damaged.append(name)
            findings[name] = (info, reading)
        self.model.observe(findings)
        return damaged

    def reconcile(self, now: float) -> List[Change]:
        """Make every set true that can be; returns what was committed."""
        done: List[Change] = []
        suspects: Set[SetName] = set()
        for _round in range(3 * len(self.model.sets) + 3):
            self.survey(self.model.to_survey(now), now)
            changes = self.model.plan(now)
            if not changes:
                break
            done.extend(self._commit(changes, now, suspects))
        return done

    def _commit(self, changes: List[Change], now: float, suspects: Set[SetName]) -> List[Change]:
        outcome = Outcome(True, True, ()) if self._dry_run else self._kernel.commit(changes)
        if outcome.committed:
            self._committed(changes)
            return changes
        names = {change.set for change in changes if isinstance(change, (ChangeElements, CreateSet))}
        if not outcome.known:
            self.model.refused(changes, (), now, False)
            self.model.unsurveyed.update(names)
            for name in names & suspects:
                self.model.sets[name].set_aside("the kernel's answer was lost", now)
            suspects |= names
            return []
        faults = [fault for fault in outcome.faults if fault.set is not None]
        if not faults and len(names) > 1:
            return [change for name in sorted(names) for change in self._commit(_only(changes, name), now, suspects)]
        if not faults:
            faults = [fault._replace(set=name) for fault in outcome.faults[:1] or (UNEXPLAINED,) for name in names]
        for fault in _first_of_each(faults):
            self._refused(changes, fault, now, suspects)
        return []

    def _refused(self, changes: List[Change], fault: Fault, now: float, suspects: Set[SetName]) -> None:
        assert fault.set is not None
        again = fault.set in suspects
        suspects.add(fault.set)
        before = self.model.sets[fault.set].error
        self.model.refused(changes, [fault], now, again)
        after = self.model.sets[fault.set].error
        if after is not None and after != before:
            self._log("error", "%s: %s" % (fault.set, after))

    def _set_aside(self, name: SetName, why: str, now: float) -> None:
        managed = self.model.sets[name]
        if managed.fault != why:
            self._log("error", "%s: %s" % (name, why))
        managed.set_aside(why, now)
        self.model.unsurveyed.add(name)

    def _committed(self, changes: Sequence[Change]) -> None:
        self.model.committed(changes)
        if self._dry_run:
            for line in sets.text(changes):
                self._log("info", "would send: " + line)
            return
        for change in changes:
            if isinstance(change, ChangeElements):
                self._log("debug" if self.quiet else "info", summary(change))

    def _seems_same(self, name: SetName, info: SetInfo) -> bool:
        managed = self.model.sets[name]
        if managed.info is None or info.elements is None or managed.fault is not None or not managed.verified:
            return False
        known = managed.info._replace(elements=info.elements)
        return known == info and info.elements == managed.count


UNEXPLAINED = Fault(None, 0, "the kernel refused without a reason", "", None, False)


def reason(problem: Exception) -> str:
    """An error in a few words for the user."""
    if isinstance(problem, OSError) and problem.errno:
        return os.strerror(problem.errno)
    return str(problem)


def summary(change: ChangeElements) -> str:
    """One change as one line of the log."""
    parts = []
    for verb, elements in (("removed", change.delete), ("added", change.add)):
        if len(elements) > NAMED_AT_MOST:
            parts.append("%s %d elements" % (verb, len(elements)))
        elif elements:
            parts.append("%s %s" % (verb, ", ".join(sets.element_texts(change.form, elements))))
    return "%s: %s" % (change.set, "; ".join(parts))


def _only(changes: Sequence[Change], name: SetName) -> List[Change]:
    """The part of a transaction that concerns one set."""
    return [change for change in changes if change == (name.family, name.table) or getattr(change, "set", None) == name]


def _first_of_each(faults: Iterable[Fault]) -> List[Fault]:
    first: Dict[Optional[SetName], Fault] = {}
    for fault in faults:
        first.setdefault(fault.set, fault)
    return list(first.values())
