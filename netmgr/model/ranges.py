"""Interval sets: prefixes in, disjoint and minimal ranges out.

A prefix is a key followed by one byte of prefix length, a range is its first key followed by its last.  Rules, from the contract:
a network inside another is covered by it; two networks that together make a network are joined, again and again; a single
address (or name) is never joined, only covered.  What foreign ranges cover already is left out.

In auto-merge sets whatever of ours touches is joined, as nft would: nft plans its changes there as if nothing touched, and a set in
which something does makes it delete ranges that do not exist.  For the same reason nothing that touches a foreign range may stand in a
file that is loaded together with it (apart()).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from typing import Collection, Dict, Iterable, List, Set, Tuple

from netmgr.values.prefixes import lengths as lengths_of
from netmgr.values.prefixes import numbers
from netmgr.values.prefixes import ranges as all_as_ranges

Span = Tuple[int, int]
Networks = Dict[int, Set[int]]      # prefix length -> networks, as their first bits


def minimal(prefixes: Iterable[bytes], foreign: Iterable[bytes], width: int, merge: bool = False) -> Set[bytes]:
    """The ranges, as first + last key of `width` bytes each, that hold all prefixes less the foreign ranges.

    `merge`: as an auto-merge set wants them, none touches another.
    """
    known = sorted(set(prefixes))
    return set(in_order(known, whole(known, width), _spans(foreign, width), width, merge))


def in_order(prefixes: List[bytes], networks: Networks, holes: List[Span], width: int, merge: bool) -> List[bytes]:
    """The same, sorted, when the prefixes are and it is known which networks are whole."""
    found = _outermost(prefixes, networks, width)
    if not holes and not merge:
        return found
    spans: Iterable[Span] = (unpack(each, width) for each in found)
    if holes:
        spans = without(spans, holes)
    return packed(touching_joined(spans) if merge else spans, width)


def merged(ranges: Iterable[bytes], width: int) -> Set[bytes]:
    """The ranges that hold the same keys and of which none touches another."""
    return {pack(first, last, width) for first, last in touching_joined(_spans(ranges, width))}


def less(ranges: Iterable[bytes], holes: Iterable[bytes], width: int) -> Set[bytes]:
    """What of disjoint ranges is outside any others."""
    return {pack(first, last, width) for first, last in without(_spans(ranges, width), touching_joined(_spans(holes, width)))}


def apart(ranges: Iterable[bytes], foreign: Iterable[bytes], width: int) -> Set[bytes]:
    """Those of the ranges that neither overlap a foreign range nor touch one."""
    others = touching_joined(_spans(foreign, width))
    starts = [first for first, _last in others]

    def near(span: Span) -> bool:
        index = bisect_right(starts, span[1] + 1) - 1       # the last of the others that begins before the end, or right behind it
        return index >= 0 and others[index][1] >= span[0] - 1
    return {each for each in ranges if not near(unpack(each, width))}


def pack(first: int, last: int, width: int) -> bytes:
    """A range of keys as the sets hold it."""
    return first.to_bytes(width, "big") + last.to_bytes(width, "big")


def packed(spans: Iterable[Span], width: int) -> List[bytes]:
    """The same for many, in one stroke each."""
    bits, size = width * 8, width * 2
    return [(first << bits | last).to_bytes(size, "big") for first, last in spans]


def unpack(element: bytes, width: int) -> Span:
    """First and last key of a range, as numbers."""
    return int.from_bytes(element[:width], "big"), int.from_bytes(element[width:], "big")


def _spans(ranges: Iterable[bytes], width: int) -> List[Span]:
    return sorted(unpack(each, width) for each in ranges)


def touching_joined(spans: Iterable[Span]) -> List[Span]:
    """Sorted spans, joined where they overlap or touch."""
    found: List[Span] = []
    begin, end = 0, -2
    for first, last in spans:
        if first > end + 1:
            if end >= begin:
                found.append((begin, end))
            begin, end = first, last
        elif last > end:
            end = last
    if end >= begin:
        found.append((begin, end))
    return found


def between(held: List[int], first: int, last: int, bits: int) -> slice:
    """Where in a sorted list of ranges, as numbers of twice the bits of a key, those are that have something between these keys."""
    begin = bisect_left(held, first << bits)
    end = bisect_left(held, last + 1 << bits, begin)
    if begin and held[begin - 1] & (1 << bits) - 1 >= first:
        begin -= 1
    return slice(begin, end)


def network(prefix: bytes, width: int) -> Tuple[int, int]:
    """The first bits of a prefix as a number, and how many they are."""
    length = prefix[width]
    return int.from_bytes(prefix, "big") >> 8 + width * 8 - length, length


def whole(prefixes: Collection[bytes], width: int) -> Networks:
    """The networks that are given, or made of two halves that are whole; the shortest prefixes first."""
    bits = width * 8
    by_length = _by_length(prefixes, width)
    by_length.pop(bits, None)
    found = {length: {number >> bits - length for number in numbers(some, width)} for length, some in by_length.items()}
    lengths = sorted(found)
    while lengths:
        length = lengths.pop()
        level = found[length]
        larger = {number >> 1 for number in level if not number & 1 and number + 1 in level}
        if larger:
            lengths += () if length - 1 in found else (length - 1,)
            found.setdefault(length - 1, set()).update(larger)
    return dict(sorted(found.items()))


def _by_length(prefixes: Collection[bytes], width: int) -> Dict[int, Collection[bytes]]:
    lengths = set(lengths_of(prefixes, width))
    if len(lengths) == 1:
        return {lengths.pop(): prefixes}
    found: Dict[int, List[bytes]] = {length: [] for length in lengths}
    for prefix in prefixes:
        found[prefix[width]].append(prefix)
    return {**found}


def _outermost(prefixes: List[bytes], networks: Networks, width: int) -> List[bytes]:
    """What is claimed or whole and inside nothing else that is, as ranges; sorted, as the prefixes are."""
    bits, lengths = width * 8, Counter(lengths_of(prefixes, width))
    if any(len(level) > lengths[length] for length, level in networks.items()):
        made = ((number << 8 + bits - length | length).to_bytes(width + 1, "big") for length, level in networks.items() for number in level)
        return _outermost(sorted({*prefixes, *made}), {}, width)
    found = all_as_ranges(prefixes, width)
    if len(lengths) == 1:
        return found        # none is inside another
    outer, reached = [], b""
    for each in found:
        if each[:width] > reached:
            reached = each[width:]
            outer.append(each)
    return outer


def without(spans: Iterable[Span], holes: List[Span]) -> List[Span]:
    """What of the sorted, disjoint spans is outside the sorted holes."""
    found: List[Span] = []
    start = 0
    for first, last in spans:
        while start < len(holes) and holes[start][1] < first:
            start += 1
        position, rest = start, first
        while position < len(holes) and holes[position][0] <= last:
            if holes[position][0] > rest:
                found.append((rest, holes[position][0] - 1))
            rest = holes[position][1] + 1
            position += 1
        if rest <= last:
            found.append((rest, last))
    return found
