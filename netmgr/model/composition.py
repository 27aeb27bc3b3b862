"""What a map, or a set with ranges of concatenations, should hold for what is claimed in it: see keys.py for how that looks.

Claims are worked out in groups that have nothing to do with each other, and a claim that begins or ends concerns only its own group.
In a map without ranges a group is a key: the claim of the smallest rank has it, the others are conflicts.  With ranges it is all that is
equal in every part but one, the last that is an address: an interface, say, and the networks of it.  In that part the ranges are disjoint
and as few as can be; where values differ, what comes first in the configuration has its whole range and the others the rest.

What another has put there stays, and what it covers is left out; with another value that is a conflict, too.  Elements that name a chain
that is missing are left out.
"""

from bisect import bisect_left, bisect_right
from typing import AbstractSet, Dict, Iterable, List, Optional, Sequence, Set, Tuple, Type, Union

from netmgr.model import ranges
from netmgr.model.range_shares import Claim, Range, RangeShares
from netmgr.model.shape import Shape
from netmgr.values.sets import VERDICT, Form, Moves
from netmgr.values.verdicts import chain_of

_END = b"\xff"

Conflict = Tuple[bytes, bytes, bytes]       # a key, the value that it has, another that is claimed


class KeyGroup:
    """What is claimed for one key, in a map without ranges."""

    __slots__ = ("_shape", "_theirs", "_claims")

    def __init__(self, shape: Shape, _like: bytes, claims: Iterable[bytes], foreign: Sequence[bytes]) -> None:
        self._shape, self._claims = shape, sorted(claims)
        self._theirs = foreign[0] if foreign else None

    def __len__(self) -> int:
        return len(self._claims)

    def elements(self) -> Set[bytes]:
        """The one element, unless another has the key."""
        return set() if self._theirs is not None or not self._claims else {self._claims[0][self._shape.rank:]}

    def conflict(self) -> Optional[Conflict]:
        """Another's value, or another that is claimed."""
        claims, shape = self._claims, self._shape
        if not claims:
            return None
        element, own = claims[0][shape.rank:], shape.value(claims[0])
        if self._theirs is not None and self._theirs != element:
            return element[:shape.width], self._theirs[shape.width:], own
        other = next((shape.value(each) for each in claims if shape.value(each) != own), None)
        return None if other is None else (element[:shape.width], own, other)

    def change(self, touched: Iterable[bytes], claimed: AbstractSet[bytes]) -> Tuple[Set[bytes], Set[bytes]]:
        """Which elements go and which come."""
        before = self.elements()
        for claim in touched:
            place = bisect_left(self._claims, claim)
            known = self._claims[place:place + 1] == [claim]
            self._claims[place:place + known] = [claim] if claim in claimed else []
        after = self.elements()
        return before - after, after - before


class RangeGroup:
    """What is claimed of all that is equal in every part but the pivot: see range_shares.py."""

    __slots__ = ("_shape", "_first", "_last", "_shares")

    def __init__(self, shape: Shape, like: bytes, claims: Iterable[bytes], foreign: Sequence[bytes]) -> None:
        self._shape = shape
        self._first, self._last = first, last = shape.span(like)
        taken = {shape.of_pivot(*shape.ends(each)): each[shape.form.keys:] for each in foreign if shape.covers(each, first, last)}
        self._shares = RangeShares(map(self._claim, claims), taken, shape.pivot[1] - shape.pivot[0])

    def __len__(self) -> int:
        return len(self._shares)

    def elements(self) -> Set[bytes]:
        """All of them."""
        return set(map(self._element, self._shares))

    def conflict(self) -> Optional[Conflict]:
        """Of the lowest key that has one."""
        found, (begin, end) = self._shares.conflict(), self._shape.pivot
        return found and (self._first[:begin] + found[0].to_bytes(end - begin, "big") + self._first[end:], found[1], found[2])

    def change(self, touched: Iterable[bytes], claimed: AbstractSet[bytes]) -> Tuple[Set[bytes], Set[bytes]]:
        """Which elements go and which come."""
        gone: Set[Range] = set()
        come: Set[Range] = set()
        for claim in touched:
            there, here = self._shares.change(self._claim(claim), claim in claimed)
            for each in there:
                (come.remove if each in come else gone.add)(each)
            for each in here:
                (gone.remove if each in gone else come.add)(each)
        return set(map(self._element, gone)), set(map(self._element, come))

    def _claim(self, claim: bytes) -> Claim:
        shape = self._shape
        begin, end = shape.pivot
        at = shape.rank + shape.width + shape.chosen
        return Claim(claim[shape.rank + begin:shape.rank + end] + claim[at:at + 1], claim[:shape.rank], shape.value(claim))

    def _element(self, found: Range) -> bytes:
        begin, end = self._shape.pivot
        return self._shape.element(self._first, self._last, found[0].to_bytes((end - begin) * 2, "big"), found[1])


Group = Union[KeyGroup, RangeGroup]


class Composition:
    """The elements for these claims beside these of another's; `lacking` are chains that there are not."""

    def __init__(self, claimed: AbstractSet[bytes], foreign: Iterable[bytes], form: Form, lacking: Tuple[str, ...] = ()) -> None:
        self._shape, self._lacking = Shape(form), lacking if form.value == VERDICT else ()
        self._kind: Union[Type[KeyGroup], Type[RangeGroup]] = RangeGroup if form.interval else KeyGroup
        self._foreign: Dict[bytes, List[bytes]] = {}
        self._groups: Dict[bytes, Group] = {}
        self.conflicts: Dict[bytes, Conflict] = {}
        for each in foreign:
            self._foreign.setdefault(self._shape.group(*self._shape.ends(each)), []).append(each)
        self._wide = [each for some in self._foreign.values() for each in some if self._shape.is_wide(each)]
        groups: Dict[bytes, List[bytes]] = {}
        for claim in claimed:
            groups.setdefault(self._group(claim), []).append(claim)
        for group, claims in groups.items():
            self._note(group, self._kind(self._shape, claims[0], claims, self._beside(group)))

    def wanted(self) -> Set[bytes]:
        """All of them."""
        return {each for group in self._groups.values() for each in group.elements() if not self._is_lacking(each)}

    def update(self, touched: AbstractSet[bytes], claimed: AbstractSet[bytes]) -> Moves:
        """Which elements go and which come when these claims have begun or ended."""
        gone: Set[bytes] = set()
        come: Set[bytes] = set()
        groups: Dict[bytes, List[bytes]] = {}
        for claim in touched:
            groups.setdefault(self._group(claim), []).append(claim)
        for name, claims in groups.items():
            group = self._groups.get(name) or self._kind(self._shape, claims[0], (), self._beside(name))
            there, here = group.change(claims, claimed)
            self._note(name, group)
            gone.update(there)
            come.update(here)
        if self._lacking:
            gone, come = ({each for each in some if not self._is_lacking(each)} for some in (gone, come))
        return sorted(gone), sorted(come)

    def is_free(self, element: bytes) -> bool:
        """Whether nothing is claimed in the group of an element."""
        return self._shape.group(*self._shape.ends(element)) not in self._groups

    def _beside(self, name: bytes) -> List[bytes]:
        """What another has in a group."""
        return [*self._foreign.get(name, ()), *self._wide]

    def _note(self, name: bytes, group: Group) -> None:
        """Keep a group in which something is claimed, and what is wrong in it."""
        conflict = group.conflict()
        if conflict is not None:
            self.conflicts[name] = conflict
        else:
            self.conflicts.pop(name, None)
        if group:
            self._groups[name] = group
        else:
            self._groups.pop(name, None)

    def _group(self, claim: bytes) -> bytes:
        return self._shape.group(*self._shape.span(claim))

    def _is_lacking(self, element: bytes) -> bool:
        return bool(self._lacking) and chain_of(element[self._shape.form.keys:]) in self._lacking


def beside(own: AbstractSet[bytes], others: AbstractSet[bytes], form: Form) -> Set[bytes]:
    """Those elements that can be in a set together with all of another's."""
    shape = Shape(form)
    if not form.interval:
        keys = {each[:form.keys] for each in others}
        return {each for each in own if each[:form.keys] not in keys}
    size = shape.pivot[1] - shape.pivot[0]
    wide = [each for each in others if shape.is_wide(each)]
    groups: Dict[bytes, Set[bytes]] = {}
    for each in others - set(wide):
        groups.setdefault(shape.group(*shape.ends(each)), set()).add(shape.of_pivot(*shape.ends(each)))
    taken = {group: sorted(ranges.merged(some, size)) for group, some in groups.items()}

    def is_free(each: bytes) -> bool:
        ends = shape.ends(each)
        if shape.is_wide(each):
            return not any(_overlap(shape, ends, shape.ends(other)) for other in others)
        spans, span = taken.get(shape.group(*ends), ()), shape.of_pivot(*ends)
        place = bisect_right(spans, span[size:] + _END * size)      # behind the last that begins before its end
        return (place == 0 or spans[place - 1][size:] < span[:size]) and not any(_overlap(shape, ends, shape.ends(other)) for other in wide)
    return set(filter(is_free, own))


def _overlap(shape: Shape, one: Tuple[bytes, bytes], other: Tuple[bytes, bytes]) -> bool:
    return all(one[0][begin:end] <= other[1][begin:end] and other[0][begin:end] <= one[1][begin:end] for begin, end in shape.fields)
