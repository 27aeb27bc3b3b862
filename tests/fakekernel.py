"""nf_tables in a few dictionaries, with the semantics and the errors of the real one, and with trouble on demand.

A commit is all or nothing; creations come first, then deletes, then adds; every message that fails is told.  Plain deletes of what is
missing are no error where the kernel can destroy (NFT_MSG_DESTROYSETELEM), those of ranges always are.  Plain adds of what is there
change nothing, whoever put it there; those of ranges are an error (NLM_F_EXCL).  A range counts as two elements of which half are told,
and one up to the highest key has no end.
tests/kernel/test_fakekernel.py holds all of this against the real kernel.
"""

import errno
from typing import Callable, Container, Dict, Generator, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from netmgr.values import sets
from netmgr.values.outcomes import OVERTAKEN, Fault, Outcome, Reading
from netmgr.values.sets import Change, ChangeElements, Contents, CreateSet, CreateTable, DeleteSet, SetInfo, SetName
from netmgr.wire import nft_text

SET_MISSING = "the set or its table is missing"


class FakeSet:
    """Key -> whether it is netmgr's; keys in `expiring` have a timeout."""

    def __init__(self, info: SetInfo) -> None:
        self.info = info
        self.elements: Dict[bytes, bool] = {}
        self.expiring: Set[bytes] = set()

    @property
    def ours(self) -> Set[bytes]:
        return {each for each, mine in self.elements.items() if mine}

    @property
    def foreign(self) -> Set[bytes]:
        return {each for each, mine in self.elements.items() if not mine}

    def count(self) -> int:
        if not self.info.flags & sets.NFT_SET_INTERVAL:
            return len(self.elements)
        top = b"\xff" * self.info.key_length
        return sum(1 if each.endswith(top) else 2 for each in self.elements) // 2

    def copy(self) -> "FakeSet":
        other = FakeSet(self.info)
        other.elements, other.expiring = dict(self.elements), set(self.expiring)
        return other


class Refusal(NamedTuple):
    """Why an element message fails, and at which of its elements."""

    errno: int
    reason: str
    position: Optional[int]


class FakeKernel:
    """What netmgr.reconciler.Kernel asks for."""

    def __init__(self) -> None:
        self.tables: Dict[Tuple[str, str], int] = {}
        self.sets: Dict[SetName, FakeSet] = {}
        self.chains: Set[Tuple[str, str, str]] = set()
        self.refuses: Dict[SetName, Tuple[int, str]] = {}           # set -> what every write to it fails with
        self.in_use: Set[SetName] = set()
        self.unreadable: Dict[SetName, OSError] = {}
        self.counts_elements = True                                 # as of 6.18
        self.destroys = True                                        # as of 6.3
        self.compares_sets = True                                   # as of 6.2; before, any set of the name will do
        self.before_commit: List[Callable[[], Optional[Outcome]]] = []      # interference, or an outcome instead of the commit
        self.before_read: List[Callable[[], None]] = []
        self.after_commit: List[Callable[[Outcome], Outcome]] = []  # what becomes of the answer
        self.commits: List[Sequence[Change]] = []
        self.reads: List[SetName] = []
        self.pieces = 0                                             # in which a set is read, before the one that gives everything
        self.commits_so_far = 1
        self._handles = 0

    # -- what netmgr does

    def generation(self) -> int:
        return self.commits_so_far

    def inspect(self, name: SetName, chains: Sequence[str] = ()) -> Optional[SetInfo]:
        found = self.sets.get(name)
        if found is None:
            return None
        lacking = tuple(chain for chain in chains if (*name[:2], chain) not in self.chains)
        return found.info._replace(elements=found.count() if self.counts_elements else None, lacking=lacking)

    def reading(self, info: SetInfo) -> Generator[None, None, Reading]:
        for _piece in range(self.pieces):
            yield
        return self.read(info)

    def read(self, info: SetInfo) -> Reading:
        if self.before_read:
            self.before_read.pop(0)()
        self.reads.append(info.name)
        if info.name in self.unreadable:
            raise self.unreadable[info.name]
        found = self.sets.get(info.name)
        if found is None or found.info.identity != info.identity:
            raise FileNotFoundError(errno.ENOENT, "nf_tables: this set is gone")
        return Reading(Contents(frozenset(found.ours), frozenset(found.expiring), frozenset(found.foreign)), True)

    def marked(self, known: Container[SetName]) -> Iterator[Optional[SetName]]:
        for name, found in self.sets.items():
            yield name if name not in known and (found.info.made or found.ours) else None

    def commit(self, changes: Sequence[Change], generation: int = 0) -> Outcome:
        self.commits.append(changes)
        outcome = self.before_commit.pop(0)() if self.before_commit else None
        if outcome is None:
            overtaken = generation not in (0, self.commits_so_far) and any(nft_text.text(changes))
            outcome = OVERTAKEN if overtaken else self._transact(changes)
        return self.after_commit.pop(0)(outcome) if self.after_commit else outcome

    # -- what others do

    def make(self, name: SetName, kind: str, flags: int = 0, size: int = 0, ours: Iterable[bytes] = (), foreign: Iterable[bytes] = (),
             expiring: Iterable[bytes] = (), merges: bool = False, value: str = "") -> FakeSet:
        """Another set under this name, replacing any, in its table, which is made if need be."""
        self.tables.setdefault((name.family, name.table), self._handle())
        table = self.tables[name.family, name.table]
        flags |= sets.NFT_SET_MAP if value else 0
        made = self.sets[name] = FakeSet(SetInfo(name, kind, sets.width_of(kind) or 4, flags, size, 0, (table, self._handle()), None,
                                                 merges, value=value, value_length=sets.width_of(value)))
        made.elements.update(dict.fromkeys(foreign, False))
        made.elements.update(dict.fromkeys([*ours, *expiring], True))
        made.expiring.update(expiring)
        self.commits_so_far += 1
        return made

    def drop_table(self, family: str, table: str) -> None:
        self.tables.pop((family, table), None)
        for name in [name for name in self.sets if name[:2] == (family, table)]:
            del self.sets[name]
        self.commits_so_far += 1

    # -- inner parts

    def _handle(self) -> int:
        self._handles += 1
        return self._handles

    def _transact(self, changes: Sequence[Change]) -> Outcome:
        tables, before, generation = dict(self.tables), {name: each.copy() for name, each in self.sets.items()}, self.commits_so_far
        faults = list(self._faults(changes))
        self.commits_so_far = generation
        if faults:
            self.tables, self.sets = tables, before
            return Outcome(False, True, tuple(faults))
        self.commits_so_far += 1
        return Outcome(True, True, ())

    def _faults(self, changes: Sequence[Change]) -> Iterator[Fault]:
        for change in changes:
            if isinstance(change, CreateTable):
                self.tables.setdefault((change.family, change.table), self._handle())
            elif isinstance(change, CreateSet):
                yield from self._create(change)
            elif isinstance(change, DeleteSet):
                yield from self._remove(change)
        for operation in ("delete", "restore", "add"):
            for change in changes:
                elements = getattr(change, operation, ())
                if elements:
                    assert isinstance(change, ChangeElements)
                    refusal = self._refusal(change) or self._apply(operation, self.sets[change.set], elements)
                    if refusal is not None:
                        yield Fault(change.set, refusal.errno, refusal.reason, operation, refusal.position, refusal.reason == SET_MISSING)

    def _apply(self, operation: str, found: FakeSet, elements: Sequence[bytes]) -> Optional[Refusal]:
        return self._delete(found, elements) if operation == "delete" else self._add(found, elements, operation == "add")

    def _remove(self, change: DeleteSet) -> Iterator[Fault]:
        if change.set in self.refuses:
            yield Fault(change.set, *self.refuses[change.set], "remove", None, False)
        elif change.set in self.in_use:
            yield Fault(change.set, errno.EBUSY, "the set is in use and constant", "remove", None, False)
        elif self.sets.pop(change.set, None) is None:
            yield Fault(change.set, errno.ENOENT, SET_MISSING, "remove", None, True)

    def _create(self, change: CreateSet) -> Iterator[Fault]:
        found = self.sets.get(change.set)
        if change.set in self.refuses:
            yield Fault(change.set, *self.refuses[change.set], "create", None, False)
        elif (change.set.family, change.set.table) not in self.tables:
            yield Fault(change.set, errno.ENOENT, "the table is missing", "create", None, True)
        elif found is None:
            made = self.make(change.set, change.form.type, flags_of(change.form), value=change.form.value)
            made.info = made.info._replace(made=True)
        elif self.compares_sets and (found.info.type, found.info.flags, found.info.value) != (
                change.form.type, flags_of(change.form), change.form.value):
            yield Fault(change.set, errno.EEXIST, "a set of this name and of another type exists", "create", None, False)

    def _refusal(self, change: ChangeElements) -> Optional[Refusal]:
        found = self.sets.get(change.set)
        if change.set in self.refuses:
            return Refusal(*self.refuses[change.set], None)
        if found is None:
            return Refusal(errno.ENOENT, SET_MISSING, None)
        if found.info.key_length != change.form.width or bool(found.info.flags & sets.NFT_SET_INTERVAL) != change.form.interval:
            return Refusal(errno.EINVAL, "the kernel does not take such elements in this set", 0)
        return None

    def _delete(self, found: FakeSet, elements: Sequence[bytes]) -> Optional[Refusal]:
        for position, element in enumerate(elements):
            if found.elements.pop(element, None) is None and (found.info.flags & sets.NFT_SET_INTERVAL or not self.destroys):
                return Refusal(errno.ENOENT, "an element to be removed is not there", position)
            found.expiring.discard(element)
        return None

    def _add(self, found: FakeSet, elements: Sequence[bytes], mine: bool) -> Optional[Refusal]:
        for position, element in enumerate(elements):
            if element in found.elements and not found.info.flags & sets.NFT_SET_INTERVAL:
                continue
            if found.info.flags & sets.NFT_SET_INTERVAL and any(overlap(element, other) for other in found.elements):
                return Refusal(errno.EEXIST, "an element overlaps with one that is there", position)
            if found.info.value and any(element[:found.info.key_length] == other[:found.info.key_length] for other in found.elements):
                return Refusal(errno.EEXIST, "the key has another value", position)
            if found.info.size and len(found.elements) >= found.info.size:
                return Refusal(errno.ENFILE, "the set is full", position)
            found.elements[element] = mine
        return None


def flags_of(form: sets.Form) -> int:
    """The flags of a set that is made in this form."""
    return (sets.NFT_SET_INTERVAL if form.interval else 0) | (sets.NFT_SET_MAP if form.value else 0)


def overlap(one: bytes, other: bytes) -> bool:
    """Whether two ranges have a key in common."""
    width = len(one) // 2
    return one[:width] <= other[width:] and other[:width] <= one[width:]
