"""What a map, or a set with ranges of concatenations, should hold for what is claimed in it: see keys.py for how that looks.

Claims are worked out in groups that have nothing to do with each other, and a claim that begins or ends concerns only its own group.
In a map without ranges a group is a key: the claim of the smallest rank has it, the others are conflicts.  With ranges it is all that is
equal in every part but one, the last that is an address: an interface, say, and the networks of it.  In that part the ranges are disjoint
and as few as can be; where values differ, what comes first in the configuration has its whole range and the others the rest.

What another has put there stays, and what it covers is left out; with another value that is a conflict, too.  Elements that name a chain
that is missing are left out.
"""

from bisect import bisect_left
from typing import AbstractSet, Dict, Iterable, List, Optional, Sequence, Set, Tuple, Type, Union

from netmgr.model.keys import RANK
from netmgr.model.range_shares import Claim, Range, RangeShares
from netmgr.values.sets import IPV4_ADDR, IPV6_ADDR, VERDICT, WIDTHS, Difference, Form, padded
from netmgr.values.verdicts import chain_of

Conflict = Tuple[bytes, bytes, bytes]       # a key, the value that it has, another that is claimed


class Shape:
    """How claims and elements of one form are taken to pieces.  `pivot`: where in a key the part is that makes ranges."""

    def __init__(self, form: Form) -> None:
        parts = form.parts
        addresses = [index for index, part in enumerate(parts) if part in (IPV4_ADDR, IPV6_ADDR)]
        chosen, offset = addresses[-1] if addresses else len(parts) - 1, 0
        self.fields: List[Tuple[int, int]] = []         # where each part begins, and where it ends
        for part in parts:
            self.fields.append((offset, offset + WIDTHS[part]))
            offset += padded(WIDTHS[part]) if len(parts) > 1 else WIDTHS[part]
        self.form, self.width = form, form.width
        self.rank = RANK if form.value else 0
        self.pivot = self.fields[chosen]
        self.chosen = chosen

    def value(self, claim: bytes) -> bytes:
        """The value in a claim."""
        return claim[self.rank + self.width + (len(self.fields) if self.form.interval else 0):]

    def span(self, claim: bytes) -> Tuple[bytes, bytes]:
        """The first and the last key of a claim; without ranges they are the same."""
        key = claim[self.rank:self.rank + self.width]
        if not self.form.interval:
            return key, key
        last = bytearray(key)
        for (begin, end), length in zip(self.fields, claim[self.rank + self.width:]):
            host = (1 << (end - begin) * 8 - length) - 1
            last[begin:end] = (int.from_bytes(key[begin:end], "big") | host).to_bytes(end - begin, "big")
        return key, bytes(last)

    def ends(self, element: bytes) -> Tuple[bytes, bytes]:
        """The same of an element."""
        return element[:self.width], element[self.width:self.form.keys] or element[:self.width]

    def group(self, first: bytes, last: bytes) -> bytes:
        """What is equal for all in a group."""
        if not self.form.interval:
            return first
        begin, end = self.pivot
        return first[:begin] + first[end:] + last[:begin] + last[end:]

    def covers(self, one: bytes, first: bytes, last: bytes) -> bool:
        """Whether an element has all of a group in every part but the pivot."""
        low, high = self.ends(one)
        return all(low[begin:end] <= first[begin:end] and last[begin:end] <= high[begin:end]
                   for index, (begin, end) in enumerate(self.fields) if index != self.chosen)

    def has(self, one: bytes, first: bytes, last: bytes) -> bool:
        """Whether an element has all that is between these keys."""
        low, high = self.ends(one)
        return all(low[begin:end] <= first[begin:end] and last[begin:end] <= high[begin:end] for begin, end in self.fields)

    def of_pivot(self, first: bytes, last: bytes) -> bytes:
        """The range in the pivot alone."""
        begin, end = self.pivot
        return first[begin:end] + last[begin:end]

    def element(self, first: bytes, last: bytes, span: bytes, value: bytes) -> bytes:
        """An element of a group, with this range in the pivot."""
        begin, end = self.pivot
        size = end - begin
        return first[:begin] + span[:size] + first[end:] + last[:begin] + span[size:] + last[end:] + value


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
        self._wide = [each for some in self._foreign.values() for each in some if form.interval and self._is_wide(each)]
        groups: Dict[bytes, List[bytes]] = {}
        for claim in claimed:
            groups.setdefault(self._group(claim), []).append(claim)
        for group, claims in groups.items():
            self._note(group, self._kind(self._shape, claims[0], claims, self._beside(group)))

    def wanted(self) -> Set[bytes]:
        """All of them."""
        return {each for group in self._groups.values() for each in group.elements() if not self._is_lacking(each)}

    def update(self, touched: AbstractSet[bytes], claimed: AbstractSet[bytes]) -> Difference:
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
        return Difference(gone, set(), come)

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

    def _is_wide(self, element: bytes) -> bool:
        shape = self._shape
        first, last = shape.ends(element)
        return any(first[begin:end] != last[begin:end] for index, (begin, end) in enumerate(shape.fields) if index != shape.chosen)

    def _is_lacking(self, element: bytes) -> bool:
        return bool(self._lacking) and chain_of(element[self._shape.form.keys:]) in self._lacking


def beside(own: AbstractSet[bytes], others: AbstractSet[bytes], form: Form) -> Set[bytes]:
    """Those elements that can be in a set together with all of another's."""
    shape = Shape(form)
    if not form.interval:
        keys = {each[:form.keys] for each in others}
        return {each for each in own if each[:form.keys] not in keys}
    spans = [shape.ends(each) for each in others]
    return {each for each in own if not any(_overlap(shape, shape.ends(each), other) for other in spans)}


def _overlap(shape: Shape, one: Tuple[bytes, bytes], other: Tuple[bytes, bytes]) -> bool:
    return all(one[0][begin:end] <= other[1][begin:end] and other[0][begin:end] <= one[1][begin:end] for begin, end in shape.fields)
