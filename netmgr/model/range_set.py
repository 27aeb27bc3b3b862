"""The ranges of one set, kept by difference: what begins or ceases to be claimed changes only what is next to it.

The rules are those of ranges.py, where minimal() is the specification.  To follow them locally it takes

  networks  those that are whole: see whole_networks.py
  claims    the claimed prefixes, sorted; as bytes, a network comes before those that are inside it
  holes     the foreign ranges, sorted; as numbers of twice a key's bits, the first key before the last
  spans     the ranges that should be in the set, sorted, as bytes

The largest network that a claim makes whole or breaks is the one place where ranges have to be worked out anew; inside one that is
and stays whole nothing changes.  Of several claims each is followed by itself, while others may still stand as they were; their own
turns follow.  The sorted lists are plain lists: an insertion moves 400 kB at 100,000 ranges, which takes some 20 microseconds, and the
kernel a hundred times as long for its part.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import AbstractSet, Iterable, KeysView, List, Set, Tuple

from netmgr.model import ranges
from netmgr.model.ranges import Span
from netmgr.model.whole_networks import WholeNetworks
from netmgr.values.sets import Moves

FEW = 16        # claims that are looked at one by one, and besides one for so many that there are; with more of them all begins anew

_END = b"\xff"


class RangeSet:
    """The ranges for these claimed prefixes, less these foreign ranges; keys have `width` bytes.  `merge`: none touches another."""

    def __init__(self, claimed: AbstractSet[bytes], foreign: Iterable[bytes], width: int, merge: bool) -> None:
        self._width, self._bits = width, width * 8
        self._keys = (1 << self._bits) - 1
        self._above = _END * (width + 1)        # behind the first key of a range it makes what is above all that begin there
        self._merge = merge
        self._holes = sorted(int.from_bytes(each, "big") for each in foreign)
        self._begin(claimed)

    def wanted(self) -> KeysView[bytes]:
        """All of them, in their order."""
        return dict.fromkeys(self._spans).keys()

    def beside(self) -> int:
        """How many of them touch a foreign range."""
        near = [self._between((each >> self._bits) - 1, (each & self._keys) + 1) for each in self._holes]
        return len({place for each in near for place in range(each.start, each.stop)})

    def update(self, touched: AbstractSet[bytes], claimed: AbstractSet[bytes]) -> Moves:
        """Which ranges go and which come when the claims of these prefixes have begun or ended."""
        claims = self._claims
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
            network = self._networks.recheck(prefix, claimed.__contains__)
            if network is not None:
                there, here = self._renew(*network)
                for each in there:
                    (come.remove if each in come else gone.add)(each)
                for each in here:
                    (gone.remove if each in gone else come.add)(each)
        return sorted(gone), sorted(come)

    def _anew(self, claimed: AbstractSet[bytes]) -> Moves:
        before = self.wanted()
        self._begin(claimed)
        after = self.wanted()
        return sorted(before - after), sorted(after - before)

    def _begin(self, claimed: AbstractSet[bytes]) -> None:
        bits = self._bits
        self._claims = sorted(claimed)
        self._networks = WholeNetworks(self._claims, self._width)
        holes = [(each >> bits, each & self._keys) for each in self._holes]
        self._spans = ranges.in_order(self._claims, self._networks.levels, holes, self._width, self._merge)

    def _between(self, first: int, last: int) -> slice:
        """Where those of the ranges are that have something between these keys, as far as there are such keys."""
        spans, width = self._spans, self._width
        low = (first if first > 0 else 0).to_bytes(width, "big")
        high = (last if last < self._keys else self._keys).to_bytes(width, "big") + self._above
        begin = bisect_left(spans, low)
        return slice(begin - (begin > 0 and spans[begin - 1][width:] >= low), bisect_right(spans, high, begin))

    def _renew(self, first: int, last: int, whole: bool) -> Tuple[List[bytes], List[bytes]]:
        """Work out what is in a network: what was there, and what is.  Where ranges that touch are joined, that goes further."""
        spans, bits, keys = [(first, last)] if whole else self._largest(first, last), self._bits, self._keys
        if self._holes:
            holes = self._holes[ranges.between(self._holes, first, last, bits)]
            spans = ranges.without(spans, [(each >> bits, each & keys) for each in holes])
        place = self._between(first - self._merge, last + self._merge)
        before = self._spans[place]
        if self._merge and before:
            begin, end = ranges.unpack(before[0], self._width)[0], ranges.unpack(before[-1], self._width)[1]
            lower, upper = [(begin, first - 1)] if begin < first else [], [(last + 1, end)] if end > last else []
            spans = ranges.touching_joined([*lower, *spans, *upper])
        after = self._spans[place] = ranges.packed(spans, self._width)
        return before, after

    def _largest(self, first: int, last: int) -> List[Span]:
        """The largest whole networks, and single keys that are in none, between these keys."""
        claims, width, found = self._claims, self._width, []
        place, end = bisect_left(claims, first.to_bytes(width, "big")), last.to_bytes(width, "big") + _END
        while place < len(claims) and claims[place] <= end:
            begin, reached, _whole = self._networks.around(*ranges.network(claims[place], width))
            found.append((begin, min(reached, last)))       # a larger one is claimed and has not had its turn
            place = bisect_right(claims, reached.to_bytes(width, "big") + _END, place)
        return found
