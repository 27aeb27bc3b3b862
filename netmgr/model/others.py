"""What others have in a set, and what follows from that for its include file, and for who owns what nft has merged.

A ruleset that loads with an empty include file must load with netmgr's, and no element that another has put into the set may come out of
that as netmgr's.  So a file offers what netmgr's own elements are, or would be, beside what others are known to have there, and no more
than there is room for; what is not known to fit is left out.  nft refuses ranges that overlap; of two equal elements it keeps one of the
comments; and in auto-merge sets it joins what touches, under one of the comments, or fails.  What names a chain is never offered: the
ruleset may no longer have that chain.

What others have put there stays known while the set is missing, until it is there again.  Also while it is there: what another has
taken out at run time, or netmgr out of a set that is its alone, may still stand in that one's ruleset; it stays known as far as it stands
in netmgr's way.  When a set was made anew without it, it may still come: who loads a ruleset in several commands must find room for
its elements, so for a second netmgr puts nothing in their place.

In auto-merge sets a range with netmgr's comment may hold what is another's, for nft has merged the two (foreign_parts()), or the other way
round (merged_away()).  And of two ranges that touch, one netmgr's, nft drops the lower one when it adds something else there (dropped()).
"""

from __future__ import annotations

from typing import AbstractSet, Callable, Optional, Set, Tuple

from netmgr.model import ranges
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.sets import VERDICT, Form, SetInfo
from netmgr.values.verdicts import chain_of

AWAITED = 1.0           # seconds

_NOTHING: AbstractSet[bytes] = frozenset()


class Held(NamedTuple):
    """The elements in a set: netmgr's, those of both that will expire, everybody else's."""

    ours: Set[bytes]
    expiring: Set[bytes]
    foreign: Set[bytes]


class Before(NamedTuple):
    """What the set held at the last look."""

    ours: AbstractSet[bytes] = _NOTHING
    fleeting: AbstractSet[bytes] = _NOTHING
    foreign: AbstractSet[bytes] = _NOTHING


class Look(NamedTuple):
    """What a look at a set shows: what it held and holds, what is claimed in it, and whether it is netmgr's alone."""

    info: SetInfo
    form: Form
    before: Before
    held: Held
    claimed: AbstractSet[bytes]
    exclusive: bool


class Others:
    """What is known of what others have in one set.

    `seen`: somebody has looked at the set.  `absent`: what others have put there and is not there now, `awaited` those of them that are
    expected back in a moment.  `displaced` are ranges that nft has merged with netmgr's or dropped beside them, and which go back,
    `muddled` what became of them when they bear another's name.
    """

    def __init__(self, seen: bool = False) -> None:
        self.seen = seen
        self.absent: AbstractSet[bytes] = _NOTHING
        self.awaited: AbstractSet[bytes] = _NOTHING
        self.displaced: AbstractSet[bytes] = _NOTHING
        self.muddled: AbstractSet[bytes] = _NOTHING
        self._identity: Optional[Tuple[int, int]] = None
        self._room: Optional[int] = None
        self._written: AbstractSet[bytes] = _NOTHING        # what netmgr wrote into an auto-merge set, itself or by the file
        self._awaited_until = 0.0

    def inherit(self, other: Others, held: Held, merge: bool) -> None:
        """Know what was known under an earlier configuration, when the set held this."""
        self.seen, self._identity, self._room = other.seen, other._identity, other._room
        self.absent = other.absent | (held.foreign - held.expiring)
        self._written = other._written | held.ours if merge else _NOTHING

    def recast(self, translated: Callable[[AbstractSet[bytes]], AbstractSet[bytes]]) -> None:
        """The set has another form."""
        self.absent, self.awaited, self._written = translated(self.absent), translated(self.awaited), translated(self._written)

    def restored(self) -> None:
        """What was displaced is back."""
        self.displaced = self.muddled = _NOTHING

    def miss(self, before: Before, merge: bool) -> None:
        """The set is missing."""
        self.restored()
        self.awaited = _NOTHING
        if before.foreign:
            self.absent = self.absent | before.foreign
        self._written = self._written | before.ours if merge else _NOTHING

    def look(self, seen: Look, now: float, recalled: Callable[[], AbstractSet[bytes]]) -> bool:
        """What the doings of others come to; whether the include file is unsafe now.

        `recalled` tells what ranges the include file of an earlier run has, which matters at the first look at an auto-merge set.
        """
        info, form, held = seen.info, seen.form, seen.held
        known, same = self.absent | seen.before.foreign, info.identity == self._identity
        self.restored()
        if form.merge and not seen.exclusive:
            self._find_displaced(seen, known, same, self._written | (_NOTHING if self.seen else recalled()))
        gone = _without_keys_of(held.foreign, known, form) - seen.before.fleeting if known else _NOTHING
        if same:
            left = _without_keys_of(held.foreign, self.awaited, form) if self.awaited and now < self._awaited_until else _NOTHING
            gone, awaited = gone - self.awaited, left
        else:
            gone, awaited, self._awaited_until = _NOTHING, gone, now + AWAITED
        if seen.exclusive:
            gone, awaited = gone | (held.foreign - held.expiring), _NOTHING
        self.awaited = _in_no_place_of(held.ours, in_the_way(awaited, seen.claimed, info.room, form), form)
        self.absent = in_the_way(gone, seen.claimed, info.room, form) | self.awaited
        self.seen, self._identity, self._room, self._written = True, info.identity, info.room, _NOTHING
        return not same or not held.foreign <= known or bool(self.displaced)

    def offer(self, own: AbstractSet[bytes], held: Held, form: Form, missing: bool) -> AbstractSet[bytes]:
        """What of netmgr's elements the include file says: a full set of ranges refuses also those that it has.

        What is in a set together fits together; only in an auto-merge set it must not touch either.
        """
        full = form.interval and self._room is not None and len(held.ours) + len(held.foreign) >= self._room
        others = _union(held.foreign if missing or form.merge or self._room is not None else _NOTHING, self.absent, self.displaced)
        offered = _NOTHING if full else loadable(own, others, self._room, form)
        if form.merge:
            self._written = offered | self._written if missing else offered
        return offered

    def _find_displaced(self, seen: Look, known: AbstractSet[bytes], same: bool, written: AbstractSet[bytes]) -> None:
        """What of another's nft has merged with netmgr's ranges, or dropped beside them while it added something."""
        before, held, width, written = seen.before, seen.held, seen.form.width, written | seen.before.ours
        new, theirs = held.ours - before.ours - written, held.foreign - before.foreign
        found = foreign_parts(new, written, seen.claimed, known, width) if new else set()
        if theirs and same:
            self.muddled = merged_away(theirs, before.ours - held.ours, known - held.foreign, width)
            found |= ranges.less(self.muddled, before.ours, width)
            gone = before.foreign - held.foreign - before.fleeting
            found |= dropped(gone, held.ours & before.ours, held.ours | held.foreign, width)
        self.displaced = found


def _union(*parts: AbstractSet[bytes]) -> AbstractSet[bytes]:
    """All of them, copied only if there is something in more than one."""
    some = [part for part in parts if part]
    return some[0] if len(some) == 1 else frozenset().union(*some)


def loadable(own: AbstractSet[bytes], others: AbstractSet[bytes], room: Optional[int], form: Form) -> AbstractSet[bytes]:
    """What of netmgr's elements a ruleset can load together with the others', into an empty set and again into a full one.

    The kernel refuses a range that is there already when it has no room for another.
    """
    if form.value == VERDICT:
        own = {each for each in own if chain_of(each[form.keys:]) is None}
    if others and form.composed:
        from netmgr.model.composition import beside
        own = beside(own, others, form)
    elif others and form.merge:
        own = ranges.apart(ranges.less(own, others, form.width), others, form.width)
    elif others:
        own = ranges.less(own, others, form.width) if form.interval else own - others
    if room is None:
        return own
    left = max(0, room - len(others) - form.interval)
    return own if len(own) <= left else set(sorted(own)[:left])


def in_the_way(gone: AbstractSet[bytes], claimed: AbstractSet[bytes], room: Optional[int], form: Form) -> AbstractSet[bytes]:
    """Those elements that would matter to what netmgr wants, were they back.  Where there is little room, each does."""
    if not gone:
        return gone
    if room is not None:
        return set(sorted(gone)[:room])
    if form.composed:
        from netmgr.model.composition import Composition, beside
        return gone - beside(gone, Composition(claimed, _NOTHING, form).wanted(), form)
    if not form.interval:
        return gone & claimed
    return gone - ranges.apart(gone, ranges.minimal(claimed, _NOTHING, form.width), form.width)


def _in_no_place_of(own: AbstractSet[bytes], elements: AbstractSet[bytes], form: Form) -> AbstractSet[bytes]:
    """Those of the elements in whose place nothing of netmgr's is already."""
    if elements and form.composed:
        from netmgr.model.composition import beside
        return beside(elements, own, form)
    if elements and form.interval:
        return {each for each in elements if ranges.less([each], own, form.width) == {each}}
    return elements - own


def _without_keys_of(held: AbstractSet[bytes], elements: AbstractSet[bytes], form: Form) -> AbstractSet[bytes]:
    """Those of the elements whose keys are not held: in a map another value takes the place of one, and both are not to be had."""
    if not form.value:
        return elements - held
    keys = {each[:form.keys] for each in held}
    return {each for each in elements if each[:form.keys] not in keys}


def foreign_parts(new: AbstractSet[bytes], written: AbstractSet[bytes], claimed: AbstractSet[bytes], others: AbstractSet[bytes],
                  width: int) -> Set[bytes]:
    """The parts of new ranges with netmgr's comment that are another's, for nft has merged what netmgr had written with them."""
    merged = new - ranges.apart(new, written, width) if written else _NOTHING
    if not merged:
        return set()
    own = ranges.less(ranges.merged([*written, *ranges.minimal(claimed, _NOTHING, width)], width), others, width)
    return ranges.less(merged, own, width)


def merged_away(new: AbstractSet[bytes], own: AbstractSet[bytes], others: AbstractSet[bytes], width: int) -> AbstractSet[bytes]:
    """Those of another's new ranges that are nothing but what netmgr had there and what others had, merged by nft."""
    partly = new - ranges.apart(new, own, width) if own and others else _NOTHING
    return {each for each in partly if not ranges.less([each], [*own, *others], width) and ranges.less([each], own, width)}


def dropped(gone: AbstractSet[bytes], own: AbstractSet[bytes], held: AbstractSet[bytes], width: int) -> Set[bytes]:
    """Those of the vanished ranges that nft has dropped: nothing of them is there, and a range of netmgr's begins right behind."""
    lower = {ranges.unpack(each, width)[0] for each in own}
    behind = {each for each in gone if ranges.unpack(each, width)[1] + 1 in lower}
    return {each for each in behind if ranges.less([each], held, width) == {each}} if behind else set()
