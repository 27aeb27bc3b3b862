"""The ranges of one set, kept by difference: what begins or ceases to be claimed changes only what is next to it.

The rules are those of ranges.py, where minimal() is the specification.  To follow them locally it takes

  whole     the networks that are claimed, or made of two halves that are whole, the shortest prefixes first
  claims    the claimed prefixes, sorted; as bytes, a network comes before those that are inside it
  holes     the foreign ranges, sorted
  spans     the ranges that should be in the set, sorted

A claim that begins or ends makes its network whole or breaks it, and with it perhaps the next larger one, and so on.  The largest that
changes, or the whole network around it, is the one place where ranges have to be worked out anew.  The sorted lists are plain lists:
an insertion moves 400 kB at 100,000 ranges, which takes some 20 microseconds, and the kernel a hundred times as long for its part.
"""

from bisect import bisect_left, bisect_right
from itertools import starmap
from typing import AbstractSet, Iterable, List, Optional, Set, Tuple

from netmgr.model import ranges
from netmgr.model.ranges import Span
from netmgr.values.sets import Difference

FEW = 16        # claims that are looked at one by one, and besides one for so many that there are; with more of them all begins anew

_END = b"\xff"

Place = Tuple[int, int, bool]       # first key and length of a network, and whether it is whole; sorted, larger ones come first


class RangeSet:
    """The ranges for these claimed prefixes, less these foreign ranges; keys have `width` bytes.  `merge`: none touches another."""

    def __init__(self, claimed: AbstractSet[bytes], foreign: Iterable[bytes], width: int, merge: bool) -> None:
        self._width, self._bits = width, width * 8
        self._merge = merge
        self._holes = sorted(foreign)
        self._begin(claimed)

    def wanted(self) -> Set[bytes]:
        """All of them."""
        return set(self._spans)

    def update(self, touched: AbstractSet[bytes], claimed: AbstractSet[bytes]) -> Difference:
        """Which ranges go and which come when the claims of these prefixes have begun or ended."""
        if len(touched) > FEW + len(self._claims) // FEW:
            before = self.wanted()
            self._begin(claimed)
            return Difference(before.difference(self._spans), set(), set(self._spans) - before)
        changed: List[Tuple[int, int]] = []
        for prefix in touched:
            self._note(prefix, prefix in claimed)
            network = self._recheck(prefix, claimed)
            if network is not None:
                changed.append(network)
        gone: Set[bytes] = set()
        come: Set[bytes] = set()
        reached = -1
        for first, length, whole in sorted(starmap(self._around, changed)):
            last = first | (1 << self._bits - length) - 1
            if last <= reached:
                continue        # inside the one before it
            reached = last
            there, here = self._renew(first, last, whole)
            for each in there:
                (come.remove if each in come else gone.add)(each)
            for each in here:
                (gone.remove if each in gone else come.add)(each)
        return Difference(gone, set(), come)

    # -- claims

    def _begin(self, claimed: AbstractSet[bytes]) -> None:
        self._claims = sorted(claimed)
        self._whole = ranges.whole(self._claims, self._width)
        self._spans = ranges.in_order(self._claims, self._whole, self._holes, self._width, self._merge)

    def _note(self, prefix: bytes, claimed: bool) -> None:
        claims, place = self._claims, bisect_left(self._claims, prefix)
        known = place < len(claims) and claims[place] == prefix
        if claimed and not known:
            claims.insert(place, prefix)
        elif known and not claimed:
            del claims[place]

    # -- networks: the number of one is its first bits, as many as its length says

    def _recheck(self, prefix: bytes, claimed: AbstractSet[bytes]) -> Optional[Tuple[int, int]]:
        """Number and length of the largest network that is whole now and was not, or the reverse; None if that changes nothing."""
        size, length = len(prefix), prefix[self._width]
        host = self._bits - length
        number = int.from_bytes(prefix, "big") >> host + 8
        if not host:
            return number, length
        changed = None
        while length >= 0:
            halves, level = self._whole.get(length + 1, ()), self._whole.get(length, ())
            whole = (number * 2 in halves and number * 2 + 1 in halves) or (number << host + 8 | length).to_bytes(size, "big") in claimed
            if whole == (number in level):
                break
            if whole:
                self._level(length).add(number)
            else:
                self._whole[length].remove(number)
            changed = number, length
            number, length, host = number >> 1, length - 1, host + 1
        return changed

    def _level(self, length: int) -> Set[int]:
        if length not in self._whole:
            self._whole = dict(sorted([*self._whole.items(), (length, set())]))
        return self._whole[length]

    def _around(self, number: int, length: int) -> Place:
        """The largest whole network around this one, or this one."""
        for larger, level in self._whole.items():
            if larger > length:
                break
            if number >> length - larger in level:
                return number >> length - larger << self._bits - larger, larger, True
        return number << self._bits - length, length, False

    # -- ranges

    def _renew(self, first: int, last: int, whole: bool) -> Tuple[List[bytes], List[bytes]]:
        """Work out what is in a network: what was there, and what is.  Where ranges that touch are joined, that goes further."""
        spans, width = [(first, last)] if whole else self._networks(first, last), self._width
        if self._holes:
            holes = self._holes[self._between(self._holes, first, last)]
            spans = ranges.without(spans, [ranges.unpack(each, width) for each in holes])
        place = self._between(self._spans, first - self._merge, last + self._merge)
        before = self._spans[place]
        if self._merge and before:
            begin, end = int.from_bytes(before[0][:width], "big"), int.from_bytes(before[-1][width:], "big")
            lower, upper = [(begin, first - 1)] if begin < first else [], [(last + 1, end)] if end > last else []
            spans = ranges.touching_joined([*lower, *spans, *upper])
        after = self._spans[place] = ranges.packed(spans, width)
        return before, after

    def _networks(self, first: int, last: int) -> List[Span]:
        """The largest whole networks, and single keys that are in none, between these keys."""
        claims, width, found = self._claims, self._width, []
        place, end = bisect_left(claims, first.to_bytes(width, "big")), bisect_right(claims, last.to_bytes(width, "big") + _END)
        while place < end:
            begin, length, _whole = self._around(*ranges.network(claims[place], width))
            found.append((begin, begin | (1 << self._bits - length) - 1))
            place = bisect_right(claims, found[-1][1].to_bytes(width, "big") + _END, place, end)
        return found

    def _between(self, held: List[bytes], first: int, last: int) -> slice:
        """Where in a sorted list the ranges are that have something between these keys."""
        width = self._width
        lowest, highest = max(0, first).to_bytes(width, "big"), min(last, (1 << self._bits) - 1).to_bytes(width, "big")
        begin = bisect_left(held, lowest)
        if begin and held[begin - 1][width:] >= lowest:
            begin -= 1
        return slice(begin, bisect_right(held, highest + _END * width, begin))
