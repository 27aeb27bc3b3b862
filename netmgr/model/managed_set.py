"""One set that netmgr fills: what is known of the kernel's side, what is wrong with it, and what would make it true.

All that is known stands in a few values, and only the methods here replace them: who else wants something of a set asks the model.

A set is `whole` when all of it must be compared, which is so after it was read and after a transaction failed.  Otherwise only
the elements whose claims began or ended are looked at, and in a set with ranges those next to them (see range_set.py), so that an event
costs the same in a set of ten and of 100,000.  (Full sets are always compared as a whole.)

`spared` are elements that an earlier netmgr left, that nothing claims and that must not go yet: see Model.hold.  What others have in it,
and what nft makes of that beside netmgr's, is in others.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, AbstractSet, Callable, List, Optional, Sequence, Tuple, Union

from netmgr.model import ranges
from netmgr.model.others import Before, Held, Look, Others
from netmgr.model.range_set import RangeSet
from netmgr.model.zones import Feed
from netmgr.values import sets
from netmgr.values.holds import misfit
from netmgr.values.named_tuple import NamedTuple, made
from netmgr.values.notation import element_text, value_text
from netmgr.values.outcomes import Reading
from netmgr.values.sets import ChangeElements, Contents, Difference, Form, SetInfo, SetName
from netmgr.values.text import number

if TYPE_CHECKING:
    from netmgr.model.composition import Composition

BESIDE = ("%s of netmgr's next to another's in an auto-merge set: nft joins such neighbours, drops one, or refuses further elements; "
          "put ranges of your own into a set of their own")
CONFLICT = "%s has the value %s, and %s is claimed for it, too"
RETRY_FIRST, RETRY_LONGEST = 1.0, 60.0
SYNCED, MISSING, ERROR = "synced", "missing", "error"

_NOTHING: AbstractSet[bytes] = frozenset()
_EMPTY = Contents(_NOTHING, _NOTHING, _NOTHING)


class Role(NamedTuple):
    """What the configuration wants with the set: who fills it, and whether it is netmgr's alone.  `retiring`: nothing any more."""

    feeds: Tuple[Feed, ...] = ()
    exclusive: bool = False
    retiring: bool = False

    @property
    def chains(self) -> Tuple[str, ...]:
        """The chains that its elements may name."""
        return tuple(sorted({feed.value.chain for feed in self.feeds if feed.value is not None and feed.value.chain}))


class Seen(NamedTuple):
    """What is known of the kernel's set; without `info` there is none.

    The form outlives the set: what it should hold is still known, and goes into its include file.  `verified`: it held just this at
    one moment.  `capacity`: how many elements it takes; None is any number.  `looked`: somebody has looked.
    """

    info: Optional[SetInfo] = None
    form: Optional[Form] = None
    verified: bool = True
    capacity: Optional[int] = None
    looked: bool = False


class Damage(NamedTuple):
    """What others did to the set: took out what netmgr had put in (`taken`), brought something into an exclusive set, or something
    with netmgr's comment into any (`intruders`).

    Adding one of the former again, or removing one of the latter, is a repair.
    """

    taken: AbstractSet[bytes] = _NOTHING
    intruders: AbstractSet[bytes] = _NOTHING


class Wrong(NamedTuple):
    """Why it is not as it should be, in words: it cannot hold what is asked, the kernel refused something, there is no room."""

    misfit: Optional[str] = None
    fault: Optional[str] = None
    full: Optional[str] = None


class Pause(NamedTuple):
    """After a failure the set is left alone until then; the next pause is twice as long."""

    length: float = 0.0
    until: float = 0.0


class State(NamedTuple):
    """How the set is, in one of the three words, and why, if that is an error."""

    word: str
    reason: Optional[str] = None


UNHARMED, ALL_IS_WELL, NO_PAUSE = Damage(), Wrong(), Pause()
IS_SYNCED, IS_MISSING = State(SYNCED), State(MISSING)
UNSEEN, NOTHING_BEFORE = Seen(), Before()
HOLDS_NOTHING = Held(*[_NOTHING] * 3)     # type: ignore[arg-type]    # most sets that may be are not: who changes it takes a copy


class ManagedSet:
    """A set that the configuration fills, or from which netmgr withdraws."""

    def __init__(self, name: SetName, role: Role) -> None:
        self.name = name
        self.role = role
        self.seen = UNSEEN
        self.held = HOLDS_NOTHING
        self.damage = UNHARMED
        self.wrong = ALL_IS_WELL
        self.pause = NO_PAUSE
        self.spared: AbstractSet[bytes] = _NOTHING
        self.others = Others()
        self.unwritten: Optional[str] = None
        self.whole = False
        self._deletes, self._lent = False, True
        self._before = NOTHING_BEFORE
        self._ranges: Union[RangeSet, Composition, None] = None

    @property
    def error(self) -> Optional[str]:
        """Why the set is not as it should be, in words; None when nothing is wrong."""
        return self.wrong.misfit or self.wrong.fault or self.wrong.full

    @property
    def to_delete(self) -> bool:
        """Whether netmgr made it, and nobody needs it any more."""
        info = self.seen.info
        foreign = self.held.foreign or self.others.displaced
        return self._deletes and self.role.retiring and info is not None and info.made and not foreign

    @property
    def is_map(self) -> bool:
        """Whether its elements have values."""
        form = self.seen.form
        return form is not None and form.value != ""

    @property
    def warning(self) -> Optional[str]:
        """What may become wrong although the set is right."""
        form, held = self.seen.form, self.held
        if form is not None and form.value and not self.unwritten:
            return self._conflict(form)
        if self.unwritten or form is None or not form.merge or not held.foreign:
            return self.unwritten
        if isinstance(self._ranges, RangeSet) and self.is_settled:
            near = self._ranges.beside()        # of those that it should have, which it has
        else:
            near = len(held.ours - ranges.apart(held.ours, held.foreign, form.width))
        return BESIDE % number(near, "range") if near else None

    @property
    def is_plain(self) -> bool:
        """Whether nothing is wrong with it, nor anything in it or on its way that goes or comes by itself."""
        return not (self.held.expiring or self.others.awaited) and self.wrong == ALL_IS_WELL

    @property
    def state(self) -> State:
        """How it is."""
        if self.wrong != ALL_IS_WELL:
            return State(ERROR, self.error)
        return IS_MISSING if self.seen.info is None else IS_SYNCED

    @property
    def count(self) -> Optional[int]:
        """How many elements the kernel should count in the set; None where ranges make that hard to say."""
        form = self.seen.form
        return None if form is None or form.interval else self._size()

    @property
    def is_settled(self) -> bool:
        """Whether it held all that was claimed, and nothing that was not, when it was planned for last."""
        if self.whole or self.spared or self.seen.info is None or self.wrong != ALL_IS_WELL:
            return False
        others, role = self.others, self.role
        return not (others.awaited or others.displaced or others.muddled or role.retiring or (role.exclusive and self.held.foreign))

    def is_as(self, info: SetInfo) -> bool:
        """Whether it is the set that is known, and nothing could come of another look at the same elements."""
        known, form, others = self.seen.info, self.seen.form, self.others
        return (known is not None and form is not None and not form.merge and known._replace(elements=info.elements) == info
                and self.is_settled and self.damage == UNHARMED and not others.absent)

    @property
    def identity(self) -> Optional[Tuple[int, int]]:
        """Which of all sets that ever bore the name it is; None when there is none now."""
        return None if self.seen.info is None else self.seen.info.identity

    # -- what happens to it

    def observe(self, info: Optional[SetInfo], reading: Optional[Reading], made: Optional[Form] = None) -> None:
        """Take in what the kernel said; another set under the same name starts with a clean slate.  reflect() must follow.

        Of a set that is gone the form is kept, unless netmgr will make one of the form `made`.
        """
        before, form, old = self.identity, self.seen.form, self.held
        now = made or form if info is None else sets.form_of(info)
        certain = self.seen.verified and self.identity is not None
        self.seen = Seen(info, now, reading is None or reading.verified, None if info is None or now is None else info.capacity, True)
        same = self.identity == before
        if not same:
            self.wrong, self.pause = ALL_IS_WELL, NO_PAUSE
        held = _EMPTY if reading is None else reading.contents
        foreign = set(held.foreign)
        if reading is None or reading.verified or reading.complete:
            taken = _recast(self.damage.taken | old.ours if self.damage.taken else old.ours, form, now) - held.ours
            intruders = self._intruders(held, old, certain) if same else _NOTHING
            self.damage = Damage(taken, intruders) if taken or intruders else UNHARMED
        elif same:
            foreign |= old.foreign - held.ours      # what was overlooked must not become ours
        self._before = Before(_recast(old.ours, form, now), old.expiring, _recast(old.foreign, form, now)) if any(old) else NOTHING_BEFORE
        if now != form:
            self.others.recast(lambda elements: _recast(elements, form, now))
        empty = not (held.ours or held.expiring or foreign)
        self.held, self._lent = HOLDS_NOTHING if empty else Held(set(held.ours), set(held.expiring), foreign), empty
        self.compare_all()
        self._fit()

    def may_amend(self, reading: Reading) -> bool:
        """Whether amend() will do: each element is by itself, what was read is certain, and nothing of it is to come anew."""
        form, now = self.seen.form, reading.contents
        return (form is not None and not form.interval and not form.composed and (reading.verified or reading.complete)
                and now.expiring.isdisjoint(now.ours))

    def amend(self, info: SetInfo, odd: AbstractSet[bytes], reading: Reading) -> None:
        """observe() where all is known but, perhaps, these elements, and the reading is of them alone.  reflect() must follow.

        It must be as it is known (is_as), and may_amend(); the odd elements are to be looked at by plan().
        """
        old, now, certain = among(odd, self.held), reading.contents, self.seen.verified
        self.seen = self.seen._replace(info=info, verified=reading.verified)
        taken, intruders = old.ours - now.ours, self._intruders(now, old, certain)
        self.damage = Damage(taken, intruders) if taken or intruders else UNHARMED
        self._before = Before(_NOTHING, frozenset(self.held.expiring), frozenset(self.held.foreign))
        if self._lent:
            self._own()
        for held, before, after in zip(self.held, old, now):
            held.difference_update(before - after)
            held.update(after)

    def reflect(self, claimed: AbstractSet[bytes], now: float, recalled: Callable[[], AbstractSet[bytes]]) -> bool:
        """After a look, with what is claimed in the form of now: what the doings of others come to.  Whether the include file is unsafe.

        `recalled` tells what ranges the include file of an earlier run has, which matters at the first look at an auto-merge set.
        """
        form, info = self.seen.form, self.seen.info
        before, self._before = self._before, NOTHING_BEFORE
        if info is not None and form is not None:
            return self.others.look(Look(info, form, before, self.held, claimed, self.role.exclusive), now, recalled)
        if info is None:
            self.others.miss(before, form is not None and form.merge)
        else:
            self.others = Others(seen=True)
        return info is not None

    def inherit(self, other: ManagedSet) -> None:
        """Know what was known of the set under an earlier configuration."""
        form = other.seen.form
        self.seen = Seen(None, form)
        self.others.inherit(other.others, other.held, form is not None and form.merge)

    def confirm(self, verified: bool) -> None:
        """It was read, and holds what is known."""
        if self.seen.verified != verified:
            self.seen = self.seen._replace(verified=verified)

    def feed(self, feeds: Sequence[Feed], exclusive: bool) -> None:
        """From now on these zones fill it."""
        role = Role(tuple(feeds), exclusive)
        if role != self.role:
            self.role = role
            self.compare_all()
            self._fit()

    def retire(self, and_delete: bool = False) -> None:
        """From now on nothing is wanted in it, nor it, if netmgr made it; a failure of the past is no reason to wait."""
        self.role = self.role._replace(feeds=(), retiring=True)
        self.spared, self._deletes = _NOTHING, and_delete
        self.compare_all()
        self.resume()

    def set_aside(self, reason: str, now: float) -> None:
        """Leave the set alone for a while that grows from failure to failure."""
        self.wrong = self.wrong._replace(fault=reason)
        length = min(RETRY_LONGEST, self.pause.length * 2) or RETRY_FIRST
        self.pause = Pause(length, now + length)

    def keep_set(self) -> None:
        """Delete no more than netmgr's elements."""
        self._deletes, self.whole = False, True

    def wait_until(self, when: float) -> None:
        """Leave it alone until then."""
        self.pause = Pause(0.0, when)

    def resume(self) -> None:
        """Try again at once, however many failures there were."""
        if self.pause.until:
            self.pause = self.pause._replace(until=0.0)

    def note_file(self, trouble: Optional[str]) -> None:
        """Why its include file is not as it should be."""
        self.unwritten = trouble

    def compare_all(self) -> None:
        """At the next plan() look at all of it.  Of a set that was never there nothing can be compared."""
        self.whole = self.seen.form is not None

    def leave_as_it_is(self) -> None:
        """Nothing more is to be done about what is known of it now."""
        self._settled()

    def leave_missing(self) -> None:
        """It is gone, and nothing can be compared; when it appears, it will be read."""
        self.whole = False

    def learn_capacity(self, change: ChangeElements, position: Optional[int]) -> None:
        """The kernel had no room for the element at this position of the change; it may not tell which, then for about half."""
        room = len(change.add) // 2 if position is None else position
        self.seen = self.seen._replace(capacity=max(0, self._size() - len(change.delete) + room))

    def relies_on_fleeting(self, claimed: AbstractSet[bytes]) -> bool:
        """Whether it is as it is only until others' elements expire, which no event tells: by one that is wanted, or for lack of room.

        Or until elements come that are awaited.
        """
        if self.others.awaited:
            return True
        form, held = self.seen.form, self.held
        if self.wrong.full and form is not None and form.timeout:
            return True
        fleeting = held.expiring & held.foreign if held.expiring else _NOTHING
        if not fleeting or form is None or self.role.exclusive:
            return False
        return form.interval or form.composed or not claimed.isdisjoint(fleeting)

    def apply(self, change: ChangeElements) -> bool:
        """The change took effect.  Whether it mended what somebody else had damaged."""
        repaired = bool(change.restore)
        if self.damage is not UNHARMED:
            repaired |= not (self.damage.taken.isdisjoint(change.add) and self.damage.intruders.isdisjoint(change.delete))
        if self._lent:
            self._own()
        if change.delete:
            for held in self.held:
                held.difference_update(change.delete)
        self.held.ours.update(change.add)
        if change.restore:
            self.held.foreign.update(change.restore)
            self.others.restored()
        self._settled()
        return repaired

    # -- what it needs

    def lend(self) -> Held:
        """What it holds now, for whoever reads it bit by bit: what changes it takes a copy first."""
        self._lent = True
        return self.held

    def wanted(self, claimed: AbstractSet[bytes]) -> AbstractSet[bytes]:
        """What it should hold, in the kernel's form, when these elements are claimed; ranges less what foreign ranges cover."""
        form = self.seen.form
        if form is None or self.role.retiring:
            return _NOTHING
        if form.composed:
            return self._composed(self._composition(claimed, form))
        if not form.interval:
            return claimed - self.others.awaited if self.others.awaited else claimed
        wanted = ranges.minimal(claimed, self._there(), form.width, form.merge)
        if form.merge and self.spared:
            return ranges.merged([*wanted, *ranges.less(self.spared, self.others.displaced, form.width)], form.width)
        return wanted | self.spared

    def offer(self, claimed: AbstractSet[bytes], touched: bool) -> AbstractSet[bytes]:
        """What its include file says when these elements are claimed, perhaps others than it was planned for with: see others.py."""
        form, missing = self.seen.form, self.seen.info is None
        if form is None or not self.others.seen or self.role.retiring:
            return _NOTHING
        own: AbstractSet[bytes] = self.held.ours
        if form.composed and missing:
            own = self._composition(claimed, form, alone=True).wanted()
        elif form.interval and missing:
            own = ranges.minimal(claimed, _NOTHING, form.width, form.merge)
        elif not form.composed:
            as_wanted = claimed if not form.interval else self._ranges.wanted() if isinstance(self._ranges, RangeSet) else own
            same = (not touched and self.is_settled and not self.held.foreign) or as_wanted == own
            own = as_wanted if missing or same else own     # the same, in an order that is quicker to sort
        return self.others.offer(own, self.held, form, missing)

    def spare(self, claimed: AbstractSet[bytes]) -> None:
        """Keep what is in it and is not wanted, until told otherwise."""
        self.spared = _NOTHING
        self.spared = self.held.ours - self.wanted(claimed)

    def spare_nothing(self) -> None:
        """What is not wanted may go."""
        if self.spared:
            self.spared = _NOTHING
            self.compare_all()

    def plan(self, claimed: AbstractSet[bytes], touched: AbstractSet[bytes]) -> Optional[ChangeElements]:
        """What makes it true; None when it is.  Only the touched elements are looked at if that will do."""
        _info, form, _verified, capacity, _looked = self.seen       # to take it apart is quicker than to ask it twice
        _feeds, exclusive, retiring = self.role
        others = self.others
        assert form is not None
        if (self.whole or self.spared or exclusive or retiring or others.awaited or others.displaced or others.muddled
                or self.wrong != ALL_IS_WELL or capacity is not None):
            return self._plan_closely(claimed, touched, form)
        ours, _expiring, foreign = self.held
        known = self._ranges
        delete, add = sets.difference_at(touched, claimed, ours, foreign) if known is None else known.update(touched, claimed)
        if delete or add:
            return made(ChangeElements, (self.name, form, delete, add, ()))
        self._settled()
        return None

    def _plan_closely(self, claimed: AbstractSet[bytes], touched: AbstractSet[bytes], form: Form) -> Optional[ChangeElements]:
        """The same where there may be more to it than a few elements that come and go."""
        held, role, others = self.held, self.role, self.others
        if role.retiring:
            claimed = _NOTHING
        if self.whole or self.wrong.full or (role.exclusive and held.foreign) or others.awaited or (form.merge and self.spared):
            found = sets.difference(self._all_wanted(claimed), Contents(*held), role.exclusive and not role.retiring)
        elif self._ranges is not None:
            found = Difference(*map(set, self._ranges.update(touched, claimed)))
        else:
            found = Difference(*map(set, sets.difference_at(touched, claimed, held.ours, held.foreign)))
        if self.spared and (form.composed or not form.interval):
            found.delete.update(self._spare_less(claimed, form))
            found.delete.difference_update(self.spared)
            found = found._replace(add=found.add - held.ours)
        delete = sorted(found.delete | found.renew if found.renew else found.delete)
        add = sorted(found.renew) + sorted(found.add) if found.renew else sorted(found.add)
        restore = sorted(others.displaced) if others.displaced else ()
        if others.muddled:
            delete = sorted({*delete, *others.muddled})
        if self.wrong.full:
            self.wrong = self.wrong._replace(full=None)
        if self.seen.capacity is not None:
            add = self._fitting(add, self.seen.capacity, len(delete) - len(restore) - len(others.awaited))
        self.whole = False
        if delete or add or restore:
            return ChangeElements(self.name, form, delete, add, restore)
        if self.seen.info is not None:
            self._settled()
        return None

    def _spare_less(self, claimed: AbstractSet[bytes], form: Form) -> AbstractSet[bytes]:
        """Spare no longer what is claimed, nor what has the place of that; which must go at once."""
        if not form.composed:
            self.spared = self.spared - claimed
            return _NOTHING
        composition = self._composition(claimed, form)
        before, self.spared = self.spared, set(filter(composition.is_free, self.spared))
        return before - self.spared - composition.wanted()

    def _all_wanted(self, claimed: AbstractSet[bytes]) -> AbstractSet[bytes]:
        """What wanted() says; ranges are kept, so that from now on differences will do."""
        form = self.seen.form
        if form is not None and form.composed and not self.role.retiring:
            self._ranges = found = self._composition(claimed, form)
            return self._composed(found)
        if form is None or form.composed or not form.interval or (form.merge and self.spared):
            self._ranges = None
            return _NOTHING if self.role.retiring else self.wanted(claimed)
        self._ranges = RangeSet(claimed, self._there(), form.width, form.merge)
        return self._ranges.wanted() | self.spared if self.spared else self._ranges.wanted()

    def _composition(self, claimed: AbstractSet[bytes], form: Form, alone: bool = False) -> Composition:
        from netmgr.model.composition import Composition
        lacking = () if self.seen.info is None else self.seen.info.lacking
        others = _NOTHING if alone or self.role.exclusive else self.held.foreign | self.others.awaited
        return Composition(claimed, others, form, lacking)

    def _composed(self, found: Composition) -> AbstractSet[bytes]:
        wanted = found.wanted()
        return wanted | set(filter(found.is_free, self.spared)) if self.spared else wanted

    def _conflict(self, form: Form) -> Optional[str]:
        """That two values are claimed for one key, naming both."""
        found = getattr(self._ranges, "conflicts", None)
        if not found:
            return None
        key, value, other = min(found.values())
        named = element_text(Form(form.type), key)
        text = CONFLICT % (named, value_text(form.value, value), value_text(form.value, other))
        return text if len(found) == 1 else "%s; %s more like it" % (text, number(len(found) - 1, "key"))

    def _there(self) -> AbstractSet[bytes]:
        """The ranges that netmgr's new ones must not overlap."""
        spared = _NOTHING if self.seen.form is not None and self.seen.form.merge else self.spared
        if self.role.exclusive:
            return spared
        there = self.held.foreign | spared | self.others.displaced | self.others.awaited
        return there - self.others.muddled if self.others.muddled else there

    def _fitting(self, add: List[bytes], capacity: int, deleted: int) -> List[bytes]:
        """As many of the new elements as there is room for, the first ones; the rest makes it an error."""
        room = max(0, capacity - self._size() + deleted)
        if len(add) > room:
            full = "the set is full: it takes %s, and %d more %s wanted" % (
                number(capacity, "element"), len(add) - room, "is" if len(add) - room == 1 else "are")
            self.wrong = self.wrong._replace(full=full)
        return add[:room]

    def _own(self) -> None:
        self.held, self._lent = Held(*map(set, self.held)), False

    def _size(self) -> int:
        return len(self.held.ours) + len(self.held.foreign)

    def _settled(self) -> None:
        self.whole, self.damage, self.pause = False, UNHARMED, NO_PAUSE
        if self.wrong.fault:
            self.wrong = self.wrong._replace(fault=None)

    def _intruders(self, now: Contents, before: Union[Contents, Held], certain: bool) -> AbstractSet[bytes]:
        """What came into the set and had no business there, if it goes again; `certain` is what was in it before."""
        found = now.foreign - before.foreign if self.role.exclusive else _NOTHING
        return found | (now.ours - before.ours) if certain else found

    def _fit(self) -> None:
        info = self.seen.info
        reasons = () if info is None else (misfit(info, feed.holds, feed.value) for feed in self.role.feeds)
        found = next((reason for reason in reasons if reason), None)
        if found != self.wrong.misfit:
            self.wrong = self.wrong._replace(misfit=found)


def among(some: AbstractSet[bytes], held: Union[Contents, Held]) -> Contents:
    """What is held of these."""
    return Contents(*(some & each for each in held))


def _recast(elements: AbstractSet[bytes], before: Optional[Form], after: Optional[Form]) -> AbstractSet[bytes]:
    """The single addresses or names among elements of one form as elements of another; nothing for another type."""
    if before is None or after is None or (before.type, before.value) != (after.type, after.value):
        return _NOTHING
    if before.interval == after.interval:
        return elements
    if after.value:
        return _NOTHING
    width = before.width
    return {each + each for each in elements} if after.interval else {each[:width] for each in elements if each[:width] == each[width:]}
