"""What a map, or a set with ranges of concatenations, should hold for what is claimed in it: see keys.py for how that looks.

Claims are worked out in groups that have nothing to do with each other, and a claim that begins or ends makes only its own group due.
In a map without ranges a group is a key: the claim of the smallest rank has it, the others are conflicts.  With ranges it is all that is
equal in every part but one, the last that is an address: an interface, say, and the networks of it.  In that part the ranges are disjoint
and minimal, as in ranges.py; where values differ, what comes first in the configuration has its whole range and the others the rest.

What another has put there stays, and what it covers is left out; with another value that is a conflict, too.  Elements that name a chain
that is missing are left out.
"""

from typing import AbstractSet, Dict, Iterable, Iterator, List, Set, Tuple

from netmgr.model import ranges
from netmgr.model.keys import RANK
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


class Composition:
    """The elements for these claims beside these of another's; `lacking` are chains that there are not."""

    def __init__(self, claimed: AbstractSet[bytes], foreign: Iterable[bytes], form: Form, lacking: Tuple[str, ...] = ()) -> None:
        self._shape, self._lacking = Shape(form), lacking
        self._claims: Dict[bytes, Set[bytes]] = {}
        self._foreign: Dict[bytes, List[bytes]] = {}
        self._elements: Dict[bytes, Set[bytes]] = {}
        self.conflicts: Dict[bytes, Conflict] = {}
        for each in foreign:
            self._foreign.setdefault(self._shape.group(*self._shape.ends(each)), []).append(each)
        self._wide = [each for some in self._foreign.values() for each in some if self._is_wide(each)]
        for claim in claimed:
            self._claims.setdefault(self._group(claim), set()).add(claim)
        for group in self._claims:
            self._renew(group)

    def wanted(self) -> Set[bytes]:
        """All of them."""
        return set().union(*self._elements.values())

    def update(self, touched: AbstractSet[bytes], claimed: AbstractSet[bytes]) -> Difference:
        """Which elements go and which come when these claims have begun or ended."""
        gone: Set[bytes] = set()
        come: Set[bytes] = set()
        groups = {claim: self._group(claim) for claim in touched}
        for claim, group in groups.items():
            if claim in claimed:
                self._claims.setdefault(group, set()).add(claim)
            elif group in self._claims:
                self._claims[group].discard(claim)
        for group in sorted(set(groups.values())):
            before = self._elements.get(group, set())
            after = self._renew(group)
            gone.update(before - after)
            come.update(after - before)
        return Difference(gone, set(), come)

    def is_free(self, element: bytes) -> bool:
        """Whether nothing is claimed in the group of an element."""
        return self._shape.group(*self._shape.ends(element)) not in self._claims

    def _group(self, claim: bytes) -> bytes:
        return self._shape.group(*self._shape.span(claim))

    def _is_wide(self, element: bytes) -> bool:
        shape = self._shape
        first, last = shape.ends(element)
        return any(first[begin:end] != last[begin:end] for index, (begin, end) in enumerate(shape.fields) if index != shape.chosen)

    def _renew(self, group: bytes) -> Set[bytes]:
        claims = self._claims.get(group)
        self.conflicts.pop(group, None)
        if not claims:
            self._claims.pop(group, None)
            self._elements.pop(group, None)
            return set()
        work = self._in_ranges if self._shape.form.interval else self._of_key
        found = self._elements[group] = {each for each in work(group, sorted(claims)) if not self._is_lacking(each)}
        return found

    def _is_lacking(self, element: bytes) -> bool:
        form = self._shape.form
        return form.value == VERDICT and bool(self._lacking) and chain_of(element[form.keys:]) in self._lacking

    def _of_key(self, group: bytes, claims: List[bytes]) -> Iterator[bytes]:
        value = self._shape.value
        own = value(claims[0])
        for other in claims[1:]:
            if value(other) != own:
                self.conflicts.setdefault(group, (group, own, value(other)))
        theirs = self._foreign.get(group)
        if theirs is None:
            yield group + own
        elif theirs[0] != group + own:
            self.conflicts[group] = group, theirs[0][len(group):], own

    def _in_ranges(self, group: bytes, claims: List[bytes]) -> Iterator[bytes]:
        shape, size = self._shape, self._shape.pivot[1] - self._shape.pivot[0]
        first, last = shape.span(claims[0])
        others = [each for each in (*self._foreign.get(group, ()), *self._wide) if shape.covers(each, first, last)]
        taken = {shape.of_pivot(*shape.ends(each)): each[shape.form.keys:] for each in others}
        for value, run in _runs(claims, shape):
            prefixes = [self._prefix(claim) for claim in run]
            for span in ranges.minimal(prefixes, ranges.merged(taken, size), size):
                yield shape.element(first, last, span, value)
                taken[span] = value
            self._note(group, first, prefixes, value, {span: other for span, other in taken.items() if other != value}, size)

    def _prefix(self, claim: bytes) -> bytes:
        shape = self._shape
        begin, end = shape.pivot
        at = shape.rank + shape.width + shape.chosen
        return claim[shape.rank + begin:shape.rank + end] + claim[at:at + 1]

    def _note(self, group: bytes, first: bytes, prefixes: List[bytes], value: bytes, others: Dict[bytes, bytes], size: int) -> None:
        """That another value has something of what is claimed."""
        if not others or not value:
            return
        whole = ranges.minimal(prefixes, (), size)
        for span, other in sorted(others.items()):
            if ranges.less(whole, [span], size) != whole:
                begin, end = self._shape.pivot
                self.conflicts.setdefault(group, (first[:begin] + span[:size] + first[end:], other, value))
                return


def _runs(claims: List[bytes], shape: Shape) -> Iterator[Tuple[bytes, List[bytes]]]:
    """Claims of one value and one rank after the other; all of one value where there is no other."""
    found: Dict[Tuple[bytes, bytes], List[bytes]] = {}
    alone = len({shape.value(claim) for claim in claims}) == 1
    for claim in claims:
        found.setdefault((b"" if alone else claim[:shape.rank], shape.value(claim)), []).append(claim)
    for (_rank, value), run in found.items():
        yield value, run


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
