"""Looking at the kernel's sets, in slices: whoever has many or large ones must not be kept from everything else.

What was seen is told to the model at the end of each slice, so that sets which were seen in one slice move together.  A large set takes
several slices; what netmgr itself commits into it meanwhile is put right in what was read, and so is no surprise, but what was read
is not verified then.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import AbstractSet, Callable, Dict, Generator, Iterable, List, Optional, Sequence, Set, Tuple

from netmgr.model.managed_set import among
from netmgr.model.model import Model
from netmgr.values import sets
from netmgr.values.errors import ProtocolError
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.outcomes import NOTHING, Reading
from netmgr.values.protocol import Protocol
from netmgr.values.sets import Change, ChangeElements, Contents, SetInfo, SetName
from netmgr.values.text import reason

LOOKS_AT_MOST = 3
COMPARED_AT_ONCE = 2000

Finding = Tuple[Optional[SetInfo], Optional[Reading]]
Looking = Generator[None, None, Optional[Finding]]


class Sets(Protocol):
    """What is looked at; errors as in netmgr.io.nft."""

    def generation(self) -> int:
        """The number of the ruleset's present state, which each commit raises by one."""

    def inspect(self, name: SetName, chains: Sequence[str] = ()) -> Optional[SetInfo]:
        """The set as it is now, and which of these chains its table lacks; None when it or its table is missing."""

    def reading(self, info: SetInfo) -> Generator[None, None, Reading]:
        """Its elements, in pieces; FileNotFoundError when this very set is gone.  One at a time."""


class _Begun(NamedTuple):
    """A set that is being looked at, from this generation on, and what was committed into it meanwhile."""

    name: SetName
    looking: Looking
    generation: int
    changes: List[ChangeElements]


class Survey:
    """In `generation` the sets in `seen` are those that the model knows."""

    def __init__(self, sets: Sets, model: Model) -> None:
        self.generation = 0
        self.seen: Set[SetName] = set()
        self._sets = sets
        self._model = model
        self._begun: Optional[_Begun] = None
        self._confirmed: Set[SetName] = set()       # were read in this slice, and are what the model knows

    def look(self, names: Iterable[SetName], thorough: bool, now: float, enough: Callable[[], bool]) -> Dict[SetName, bool]:
        """Look at sets until there are none or it is enough, and tell the model; those that were looked at, and whether to read or in vain.

        Not thorough: a set of which nothing seems to have changed is not read again.  A set that cannot be read is set aside; the
        others are not affected.
        """
        findings: Dict[SetName, Finding] = {}
        looked: Dict[SetName, bool] = {}
        self._confirmed.clear()
        self.note_generation()
        begun = () if self._begun is None else (self._begun.name,)
        for name in chain(begun, names):
            if name in self._model.sets and name not in looked:
                if not self._look_at(name, thorough, now, enough, findings):
                    break
                looked[name] = name in findings or name in self._confirmed or name in self._model.unsurveyed
                if enough():
                    break
            looked.setdefault(name, True)
        self._model.observe(findings, now)
        return looked

    def note_generation(self) -> None:
        """Of what is looked at from here on it is known that it was so in this generation, or in a later one."""
        try:
            generation = self._sets.generation()
        except (OSError, ProtocolError):
            generation = 0
        if generation != self.generation:
            self.generation, self.seen = generation, set()

    def confirm(self, names: Set[SetName]) -> bool:
        """Whether these are still the sets that the model knows; what became of the others must be read."""
        self.note_generation()
        for name in names:
            try:
                same = _same(self._model.sets[name].seen.info, self._inspect(name))
            except (OSError, ProtocolError):
                same = False
            if same:
                self.seen.add(name)
            else:
                self._model.doubt([name])
        return names <= self.seen

    def committed(self, changes: Iterable[Change]) -> None:
        """These took effect, in the next generation."""
        self.generation = self.generation + 1 & 0xFFFFFFFF
        if self._begun is not None:
            self._begun.changes.extend(each for each in changes if isinstance(each, ChangeElements) and each.set == self._begun.name)

    def _look_at(self, name: SetName, thorough: bool, now: float, enough: Callable[[], bool], findings: Dict[SetName, Finding]) -> bool:
        """Whether that is done; if not, it goes on next time."""
        if self._begun is not None and self._begun.name != name:
            self._begun.looking.close()
            self._begun = None
        begun = self._begun = self._begun or _Begun(name, self._looking(name, thorough), self.generation, [])
        try:
            while True:
                next(begun.looking)
                if enough():
                    return False
        except StopIteration as end:
            if end.value is not None:
                findings[name] = _with(end.value, begun.changes)
            if begun.generation == self.generation:
                self.seen.add(name)
        except InterruptedError:        # somebody else had to read something: once more, from the beginning
            self._begun = None
            return False
        except (OSError, ProtocolError) as problem:
            self._model.unreadable(name, "it cannot be read: %s" % reason(problem), now)
        self._begun = None
        return True

    def _looking(self, name: SetName, thorough: bool) -> Looking:
        """None when nothing seems to have changed.  A set that is replaced just now is looked at again.

        What was committed into the old one is not in the new one, and may not even be of its type.
        """
        for attempt in range(LOOKS_AT_MOST):
            if self._begun is not None:
                self._begun.changes.clear()
            info = self._inspect(name)
            if info is None or sets.form_of(info) is None:
                return info, None
            if not thorough and self._seems_same(name, info):
                return None
            if info.elements == 0 and not info.flags & sets.NFT_SET_INTERVAL:       # there, one range up to the highest key counts as none
                return info, NOTHING        # which they all are after a reload of the ruleset, when every moment counts
            try:
                found = yield from self._sets.reading(info)
                return None if (yield from self._is_known(name, info, found)) else (info, found)
            except FileNotFoundError:
                if attempt == LOOKS_AT_MOST - 1:
                    raise
        return None

    def _is_known(self, name: SetName, info: SetInfo, found: Reading) -> Generator[None, None, bool]:
        """Whether the set is read to be what the model knows, but for a few elements, which it is told.  That is seen in pieces."""
        model, begun, generation = self._model, self._begun, self.generation
        if begun is None or name in model.unsurveyed or not model.sets[name].is_as(info):
            return False
        odd: Set[bytes] = set()
        for mine, known in zip(found.contents, model.sets[name].held):
            more: Set[bytes] = set()
            if not (yield from _beyond(mine, known, more)):
                return False
            odd |= more
            lacks = begun.changes or len(mine) - len(more) != len(known)
            if lacks and not (yield from _beyond(list(known), mine, odd)):
                return False
        odd.update(*(elements for change in begun.changes for elements in (change.delete, change.add, change.restore)))
        managed = model.sets.get(name)
        if managed is None or name in model.unsurveyed or not managed.is_as(info):
            return False
        _info, now = _with((info, found._replace(contents=among(odd, found.contents))), begun.changes)
        assert now is not None
        if now.contents == among(odd, managed.held):
            model.confirm(name, now.verified and self.generation == generation)
        elif managed.may_amend(now):
            model.amend(name, info, odd, now)
        else:
            return False
        self._confirmed.add(name)
        return True

    def _inspect(self, name: SetName) -> Optional[SetInfo]:
        chains = self._model.sets[name].role.chains
        return self._sets.inspect(name, chains) if chains else self._sets.inspect(name)

    def _seems_same(self, name: SetName, info: SetInfo) -> bool:
        managed = self._model.sets[name]
        if info.elements is None or managed.wrong.fault is not None:
            return False
        return _same(managed.seen.info, info) and info.elements == managed.count


def _beyond(some: Iterable[bytes], others: AbstractSet[bytes], odd: Set[bytes]) -> Generator[None, None, bool]:
    """Put those that are not among the others to what is odd; whether that is not too much."""
    rest = iter(some)
    for each in iter(lambda: {*islice(rest, COMPARED_AT_ONCE)}, set()):
        odd |= each - others
        if len(odd) > COMPARED_AT_ONCE:
            return False
        yield
    return True


def _same(known: Optional[SetInfo], found: Optional[SetInfo]) -> bool:
    """Whether it is still this set, with other elements perhaps."""
    return known == found if known is None or found is None else known._replace(elements=found.elements) == found


def _with(finding: Finding, changes: List[ChangeElements]) -> Finding:
    """What was found, with what was committed while it was being read."""
    info, found = finding
    if found is None or not changes:
        return finding
    ours, foreign, expiring = set(found.contents.ours), set(found.contents.foreign), set(found.contents.expiring)
    for change in changes:
        for held in (ours, foreign, expiring):
            held.difference_update(change.delete)
        ours.update(change.add)
        foreign.difference_update(change.add)
        foreign.update(change.restore)
    return info, Reading(Contents(frozenset(ours), frozenset(expiring), frozenset(foreign)), False)
