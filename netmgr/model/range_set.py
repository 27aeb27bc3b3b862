"""The ranges of one set, kept by difference: what begins or ceases to be claimed changes only what is next to it.

The rules are those of ranges.py, where minimal() is the specification.  To follow them locally it takes

  whole     the networks that are claimed, or made of two halves that are whole
  claims    the claimed prefixes, sorted; as bytes, a network comes before those that are inside it
  holes     the foreign ranges, sorted
  spans     the ranges that should be in the set, sorted

A claim that begins or ends makes its network whole or breaks it, and with it perhaps the next larger one, and so on.  The largest that
changes, or the whole network around it, is the one place where ranges have to be worked out anew.  The sorted lists are plain lists:
an insertion moves 400 kB at 100,000 ranges, which takes some 20 microseconds, and the kernel a hundred times as long for its part.
"""

from bisect import bisect_left, bisect_right
from typing import AbstractSet, Iterable, Iterator, List, Optional, Set, Tuple

from netmgr.model import ranges
from netmgr.model.ranges import Span
from netmgr.values.sets import Difference

FEW = 16        # claims that are looked at one by one, and besides one for so many that there are; with more of them all begins anew

_END = b"\xff"


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
        for prefix in touched:
            self._note(prefix, prefix in claimed)
        changed = [self._recheck(prefix, claimed) for prefix in touched]
        gone: Set[bytes] = set()
        come: Set[bytes] = set()
        for first, last in ranges.outermost(self._around(*each) for each in changed if each is not None):
            there, here = self._renew(first, last)
            _move(there, come, gone)
            _move(here, gone, come)
        return Difference(gone, set(), come)

    # -- claims

    def _begin(self, claimed: AbstractSet[bytes]) -> None:
        self._claims = sorted(claimed)
        self._whole = ranges.whole(claimed, self._width)
        self._spans = ranges.in_order(claimed, self._whole, self._holes, self._width, self._merge)

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
        number, length = self._network(prefix)
        if length == self._bits:
            return number, length
        changed = None
        while length >= 0 and self._is_news(number, length, claimed):
            changed = number, length
            number, length = number >> 1, length - 1
        return changed

    def _is_news(self, number: int, length: int, claimed: AbstractSet[bytes]) -> bool:
        """Whether a network has become whole, or has been; then that is noted."""
        halves = self._whole.get(length + 1, ())
        whole = (number * 2 in halves and number * 2 + 1 in halves) or self._prefix(number, length) in claimed
        level = self._whole.setdefault(length, set())
        if whole == (number in level):
            return False
        if whole:
            level.add(number)
        else:
            level.remove(number)
        return True

    def _prefix(self, number: int, length: int) -> bytes:
        return self._key(number << self._bits - length) + bytes((length,))

    def _network(self, prefix: bytes) -> Tuple[int, int]:
        length = prefix[self._width]
        return int.from_bytes(prefix[:self._width], "big") >> self._bits - length, length

    def _around(self, number: int, length: int) -> Span:
        """First and last key of the largest whole network around this one, or of this one."""
        for larger, level in sorted(self._whole.items()):
            if larger >= length:
                break
            if number >> length - larger in level:
                number, length = number >> length - larger, larger
                break
        host = self._bits - length
        return number << host, (number + 1 << host) - 1

    # -- ranges

    def _renew(self, first: int, last: int) -> Tuple[List[bytes], List[bytes]]:
        """Work out what is between these keys: what was there, and what is.  Where ranges that touch are joined, that goes further."""
        spans = ranges.without(self._networks(first, last), self._unpacked(self._holes[self._between(self._holes, first, last)]))
        place = self._between(self._spans, first - self._merge, last + self._merge)
        before = self._spans[place]
        if self._merge:
            further = ranges.without(self._unpacked(before), [(first, last)])
            spans = ranges.touching_joined(sorted([*further, *spans]))
        after = self._spans[place] = [ranges.pack(*span, self._width) for span in spans]
        return before, after

    def _networks(self, first: int, last: int) -> Iterator[Span]:
        """The largest whole networks, and single keys that are in none, between these keys."""
        claims = self._claims
        place, end = bisect_left(claims, self._key(first)), bisect_right(claims, self._key(last) + _END)
        while place < end:
            span = self._around(*self._network(claims[place]))
            yield span
            place = bisect_right(claims, self._key(span[1]) + _END, place, end)

    def _between(self, held: List[bytes], first: int, last: int) -> slice:
        """Where in a sorted list the ranges are that have something between these keys."""
        lowest, highest, width = self._key(max(0, first)), self._key(min(last, (1 << self._bits) - 1)), self._width
        begin = bisect_left(held, lowest)
        if begin and held[begin - 1][width:] >= lowest:
            begin -= 1
        return slice(begin, bisect_right(held, highest + _END * width, begin))

    def _unpacked(self, held: List[bytes]) -> List[Span]:
        return [ranges.unpack(each, self._width) for each in held]

    def _key(self, number: int) -> bytes:
        return number.to_bytes(self._width, "big")


def _move(elements: Iterable[bytes], one: Set[bytes], other: Set[bytes]) -> None:
    """Take the elements out of the one set; those that are not there go into the other."""
    for each in elements:
        if each in one:
            one.remove(each)
        else:
            other.add(each)
