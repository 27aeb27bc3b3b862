"""Ranges in which values differ: who has which keys, kept by difference.

Of the claims of a key that of the smallest rank has it, of equal ranks that of the smaller value; what another program put there stays
its own.  What one value has of its claims is told in as few ranges as can be: each is a network that is whole of claims of this value, or
a single key, less what others have of it.

Networks are inside one another or apart.  So the owners of the keys between two follow from the claims there, and from those around, in
one walk; and a claim that begins or ends changes owners in its own network only.  Around that only ranges of its value are joined or
split, as far as its networks become whole or break.
"""

from bisect import bisect_left, bisect_right, insort
from typing import Dict, Iterable, Iterator, List, Optional, Set, Tuple

from netmgr.model import ranges
from netmgr.model.ranges import Span
from netmgr.model.whole_networks import WholeNetworks
from netmgr.values.named_tuple import NamedTuple

Range = Tuple[int, bytes]               # first and last key as one number, and the value
Rank = Tuple[bytes, bytes]              # what decides between claims: the rank and the value
Conflict = Tuple[int, bytes, bytes]     # a key, the value that it has, another that is claimed

_END = b"\xff"


class Claim(NamedTuple):
    """Of a network, for a value."""

    prefix: bytes
    rank: bytes
    value: bytes


class Stretch(NamedTuple):
    """Keys that have one owner, if any, and the best claim of another value there."""

    first: int
    last: int
    owner: Optional[Rank]
    other: Optional[Rank]


class RangeShares:
    """The ranges for these claims, less these foreign ranges, which have values, too; keys have `width` bytes."""

    __slots__ = ("_width", "_bits", "_theirs", "_holes", "_ranks", "_claims", "_lengths", "_networks", "_conflicts", "_owners", "_spans")

    def __init__(self, claims: Iterable[Claim], foreign: Dict[bytes, bytes], width: int) -> None:
        self._width, self._bits = width, width * 8
        self._theirs: Dict[int, bytes] = {}
        self._holes = self._disjoint(foreign)
        self._ranks: Dict[bytes, List[bytes]] = {}          # of a prefix with a value
        for claim in claims:
            insort(self._ranks.setdefault(claim.prefix + claim.value, []), claim.rank)
        self._begin()

    def __len__(self) -> int:
        """How many networks are claimed, for one value each."""
        return len(self._claims)

    def __iter__(self) -> Iterator[Range]:
        """All ranges."""
        return iter(self._owners.items())

    def conflict(self) -> Optional[Conflict]:
        """That two values are claimed for one key, or another is there: of the lowest such key."""
        return self._conflicts[0] if self._conflicts else None

    def change(self, claim: Claim, begins: bool) -> Tuple[Set[Range], Set[Range]]:
        """Which ranges go and which come when a claim begins or ends; nothing if that was known."""
        entry, before = claim.prefix + claim.value, self._best(claim.prefix + claim.value)
        ranks = self._ranks.setdefault(entry, [])
        place = bisect_left(ranks, claim.rank)
        known = ranks[place:place + 1] == [claim.rank]
        ranks[place:place + known] = [claim.rank] if begins else []
        if not ranks:
            del self._ranks[entry]
        if self._best(entry) == before:
            return set(), set()
        if begins and before is None:
            insort(self._claims, entry)
            self._lengths += b"" if claim.prefix[-1] in self._lengths else claim.prefix[-1:]
        elif not ranks:
            del self._claims[bisect_left(self._claims, entry)]
        return self._follow(claim.prefix, claim.value)

    def _disjoint(self, foreign: Dict[bytes, bytes]) -> List[int]:
        """Note whose the foreign keys are; where two overlap, which is awaited and not there yet, the lower one's."""
        reached = -1
        for each in sorted(foreign):
            first, last = ranges.unpack(each, self._width)
            first = max(first, reached + 1)
            if first <= last:
                self._theirs[first << self._bits | last] = foreign[each]
                reached = last
        return list(self._theirs)

    # -- the whole computation

    def _begin(self) -> None:
        width = self._width
        self._claims = sorted(self._ranks)      # as bytes, a network comes before those that are inside it
        self._lengths = bytes({each[width] for each in self._claims})
        prefixes: Dict[bytes, List[bytes]] = {}
        for each in self._claims:
            prefixes.setdefault(each[width + 1:], []).append(each[:width + 1])
        self._networks = {value: WholeNetworks(some, width) for value, some in prefixes.items()}
        shares, self._conflicts = self._divided(0, (1 << self._bits) - 1)
        self._owners = dict(self._told(shares))
        self._spans = sorted(self._owners)

    # -- one event

    def _follow(self, prefix: bytes, value: bytes) -> Tuple[Set[Range], Set[Range]]:
        bits, keys = self._bits, (1 << self._bits) - 1
        number, length = ranges.network(prefix, self._width)
        first = number << bits - length
        last = first | (1 << bits - length) - 1
        networks = self._of(value)
        low, high, _whole = networks.recheck(prefix, lambda each: each + value in self._ranks) or (first, last, False)
        shares, conflicts = self._divided(first, last)
        self._conflicts[bisect_left(self._conflicts, (first,)):bisect_left(self._conflicts, (last + 1,))] = conflicts
        place = ranges.between(self._spans, low - 1, high + 1, bits)
        before = {each: self._owners.pop(each) for each in self._spans[place]}
        for each, owner in before.items():
            begin, end = each >> bits, each & keys
            shares.setdefault(owner, []).extend(
                span for span in ((begin, min(end, first - 1)), (max(begin, last + 1), end)) if span[0] <= span[1])
        after = dict(self._told(shares))
        self._spans[place] = sorted(after)
        self._owners.update(after)
        if not any(networks.levels.values()):
            del self._networks[value]       # is as good as one of single keys only
        gone, come = set(before.items()), set(after.items())
        return gone - come, come - gone

    def _of(self, value: bytes) -> WholeNetworks:
        networks = self._networks.get(value)
        if networks is None:
            networks = self._networks[value] = WholeNetworks((), self._width)
        return networks

    def _told(self, shares: Dict[bytes, List[Span]]) -> Iterator[Range]:
        """What each value has, as ranges."""
        bits = self._bits
        for value, spans in shares.items():
            around = self._of(value).around
            for first, last in ranges.touching_joined(sorted(spans)):
                begin = first
                while begin <= last:
                    _first, end, _whole = around(begin, bits)
                    yield begin << bits | min(end, last), value
                    begin = end + 1

    # -- owners

    def _divided(self, first: int, last: int) -> Tuple[Dict[bytes, List[Span]], List[Conflict]]:
        """Who has what between these keys, and where another value is claimed, too."""
        shares: Dict[bytes, List[Span]] = {}
        conflicts: List[Conflict] = []
        for begin, end, owner, other in self._stretches(first, last):
            if owner is None:
                continue
            holes = self._holes[ranges.between(self._holes, begin, end, self._bits)] if self._holes else ()
            free = [(begin, end)]
            for hole in holes:
                theirs, start = self._theirs[hole], max(begin, hole >> self._bits)
                claimed = owner if owner[1] != theirs else other
                if claimed is not None:
                    conflicts.append((start, theirs, claimed[1]))
            if holes:
                free = ranges.without(free, [(hole >> self._bits, hole & (1 << self._bits) - 1) for hole in holes])
            if other is not None:
                conflicts += [(start, owner[1], other[1]) for start, _last in free]
            shares.setdefault(owner[1], []).extend(free)
        return shares, sorted(conflicts)

    def _stretches(self, first: int, last: int) -> Iterator[Stretch]:
        """The keys between these, from network to network: what is open is on a stack, the innermost last."""
        width, bits = self._width, self._bits
        owner, other = self._around(first, last)
        stack: List[Tuple[int, Optional[Rank], Optional[Rank]]] = [(last, owner, other)]
        low, high = first.to_bytes(width, "big"), last.to_bytes(width, "big") + _END
        for at in range(bisect_left(self._claims, low), bisect_right(self._claims, high)):
            entry = self._claims[at]
            begin, host = int.from_bytes(entry[:width], "big"), bits - entry[width]
            while stack[-1][0] < begin:
                end, owner, other = stack.pop()
                if first <= end:
                    yield Stretch(first, end, owner, other)
                first = end + 1
            end, owner, other = stack[-1]
            if first < begin:
                yield Stretch(first, begin - 1, owner, other)
                first = begin
            stack.append((min(begin | (1 << host) - 1, last), *_better(owner, other, self._claim(entry))))
        while stack:
            end, owner, other = stack.pop()
            if first <= end:
                yield Stretch(first, end, owner, other)
                first = end + 1

    def _around(self, first: int, last: int) -> Tuple[Optional[Rank], Optional[Rank]]:
        """The best claim of all that lies between these keys, from networks that begin before them, and the best of another value."""
        owner: Optional[Rank] = None
        other: Optional[Rank] = None
        for length in self._lengths:
            host = self._bits - length
            begin = first >> host << host
            if begin == first or begin | (1 << host) - 1 < last:
                continue        # inside, or not around
            prefix = begin.to_bytes(self._width, "big") + bytes((length,))
            at = bisect_left(self._claims, prefix)
            while at < len(self._claims) and self._claims[at].startswith(prefix):
                owner, other = _better(owner, other, self._claim(self._claims[at]))
                at += 1
        return owner, other

    def _claim(self, entry: bytes) -> Rank:
        return self._ranks[entry][0], entry[self._width + 1:]

    def _best(self, entry: bytes) -> Optional[bytes]:
        ranks = self._ranks.get(entry)
        return ranks[0] if ranks else None


def _better(owner: Optional[Rank], other: Optional[Rank], claim: Rank) -> Tuple[Rank, Optional[Rank]]:
    """The best claim and the best of another value, with one more."""
    if owner is None:
        return claim, None
    best, rest = (claim, owner) if claim < owner else (owner, claim)
    others = [each for each in (rest, other) if each is not None and each[1] != best[1]]
    return best, min(others, default=None)
