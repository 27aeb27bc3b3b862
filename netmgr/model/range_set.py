"""The ranges of one set, kept by difference: what begins or ceases to be claimed changes only what is next to it.

The rules are those of ranges.py, where minimal() is the specification.  To follow them locally it takes

  whole     the networks that are claimed, or made of two halves that are whole, the shortest prefixes first
  claims    the claimed prefixes, sorted; as bytes, a network comes before those that are inside it
  holes     the foreign ranges, sorted; as numbers of twice a key's bits, the first key before the last
  spans     the ranges that should be in the set, in the same way

A claim that begins or ends makes its network whole or breaks it, and with it perhaps the next larger one, and so on.  The largest that
changes, or the whole network around it, is the one place where ranges have to be worked out anew.  Of several claims each is followed
by itself, while others may still stand as they were; their own turns follow.  The sorted lists are plain lists: an insertion moves
400 kB at 100,000 ranges, which takes some 20 microseconds, and the kernel a hundred times as long for its part.
"""

from bisect import bisect_left, bisect_right
from typing import AbstractSet, Iterable, List, Optional, Set, Tuple

from netmgr.model import ranges
from netmgr.model.ranges import Span
from netmgr.values.sets import Difference

FEW = 16        # claims that are looked at one by one, and besides one for so many that there are; with more of them all begins anew

_END = b"\xff"

Place = Tuple[int, int, bool]       # first and last key of a network, and whether it is whole


class RangeSet:
    """The ranges for these claimed prefixes, less these foreign ranges; keys have `width` bytes.  `merge`: none touches another."""

    def __init__(self, claimed: AbstractSet[bytes], foreign: Iterable[bytes], width: int, merge: bool) -> None:
        self._width, self._bits = width, width * 8
        self._keys = (1 << self._bits) - 1
        self._merge = merge
        self._holes = sorted(int.from_bytes(each, "big") for each in foreign)
        self._begin(claimed)

    def wanted(self) -> Set[bytes]:
        """All of them."""
        size = self._width * 2
        return {each.to_bytes(size, "big") for each in self._spans}

    def update(self, touched: AbstractSet[bytes], claimed: AbstractSet[bytes]) -> Difference:
        """Which ranges go and which come when the claims of these prefixes have begun or ended."""
        claims, size = self._claims, self._width * 2
        if len(touched) > FEW + len(claims) // FEW:
            return self._anew(claimed)
        gone: Set[bytes] = set()
        come: Set[bytes] = set()
        for prefix in touched:
            place = bisect_left(claims, prefix)
            known = place < len(claims) and claims[place] == prefix
            if prefix not in claimed:
                del claims[place:place + known]
            elif not known:
                claims.insert(place, prefix)
        for prefix in touched:
            network = self._recheck(prefix, claimed)
            if network is not None:
                there, here = self._renew(*self._around(*network))
                for span in there:
                    each = span.to_bytes(size, "big")
                    (come.remove if each in come else gone.add)(each)
                for span in here:
                    each = span.to_bytes(size, "big")
                    (gone.remove if each in gone else come.add)(each)
        return Difference(gone, set(), come)

    def _anew(self, claimed: AbstractSet[bytes]) -> Difference:
        before = self.wanted()
        self._begin(claimed)
        after = self.wanted()
        return Difference(before - after, set(), after - before)

    def _begin(self, claimed: AbstractSet[bytes]) -> None:
        bits = self._bits
        self._claims = sorted(claimed)
        self._whole = ranges.whole(self._claims, self._width)
        holes = [(each >> bits, each & self._keys) for each in self._holes]
        spans = ranges.in_order(self._claims, self._whole, holes, self._width, self._merge)
        self._spans = [first << bits | last for first, last in spans]

    # -- networks: the number of one is its first bits, as many as its length says

    def _recheck(self, prefix: bytes, claimed: AbstractSet[bytes]) -> Optional[Tuple[int, int]]:
        """Number and length of the largest network that is whole now and was not, or the reverse; None if that changes nothing."""
        levels, length = self._whole, prefix[self._width]
        host = self._bits - length
        number = int.from_bytes(prefix, "big") >> host + 8
        if not host:
            return number, length
        halves = levels.get(length + 1, ())
        whole = prefix in claimed or (number * 2 in halves and number * 2 + 1 in halves)
        if whole == (number in levels.get(length, ())):
            return None
        while True:
            level, larger = self._level(length), levels.get(length - 1, ())
            (level.add if whole else level.remove)(number)
            half, number = number, number >> 1
            if (number in larger) == whole or (half ^ 1 not in level if whole else self._prefix(number, length - 1) in claimed):
                return half, length
            length -= 1

    def _prefix(self, number: int, length: int) -> bytes:
        return (number << self._bits - length + 8 | length).to_bytes(self._width + 1, "big")

    def _level(self, length: int) -> Set[int]:
        level = self._whole.get(length)
        if level is None:
            level = self._whole[length] = set()
            in_order = sorted(self._whole.items())
            self._whole.clear()
            self._whole.update(in_order)
        return level

    def _around(self, number: int, length: int) -> Place:
        """The largest whole network around this one, or this one."""
        whole = False
        for larger, level in self._whole.items():
            if larger > length:
                break
            if number >> length - larger in level:
                number, length, whole = number >> length - larger, larger, True
                break
        first = number << self._bits - length
        return first, first | (1 << self._bits - length) - 1, whole

    # -- ranges

    def _renew(self, first: int, last: int, whole: bool) -> Tuple[List[int], List[int]]:
        """Work out what is in a network: what was there, and what is.  Where ranges that touch are joined, that goes further."""
        spans, bits, keys = [(first, last)] if whole else self._networks(first, last), self._bits, self._keys
        if self._holes:
            holes = self._holes[self._between(self._holes, first, last)]
            spans = ranges.without(spans, [(each >> bits, each & keys) for each in holes])
        place = self._between(self._spans, first - self._merge, last + self._merge)
        before = self._spans[place]
        if self._merge and before:
            begin, end = before[0] >> bits, before[-1] & keys
            lower, upper = [(begin, first - 1)] if begin < first else [], [(last + 1, end)] if end > last else []
            spans = ranges.touching_joined([*lower, *spans, *upper])
        after = self._spans[place] = [first << bits | last for first, last in spans]
        return before, after

    def _networks(self, first: int, last: int) -> List[Span]:
        """The largest whole networks, and single keys that are in none, between these keys."""
        claims, width, found = self._claims, self._width, []
        place, end = bisect_left(claims, first.to_bytes(width, "big")), last.to_bytes(width, "big") + _END
        while place < len(claims) and claims[place] <= end:
            begin, reached, _whole = self._around(*ranges.network(claims[place], width))
            found.append((begin, reached))
            place = bisect_right(claims, reached.to_bytes(width, "big") + _END, place)
        return found

    def _between(self, held: List[int], first: int, last: int) -> slice:
        """Where in a sorted list the ranges are that have something between these keys."""
        begin = end = bisect_left(held, first << self._bits)
        if begin and held[begin - 1] & self._keys >= first:
            begin -= 1
        beyond = last + 1 << self._bits
        while end < len(held) and held[end] < beyond:
            end += 1
        return slice(begin, end)
