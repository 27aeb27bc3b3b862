"""Interval sets: prefixes in, disjoint and minimal ranges out.

A prefix is a key followed by one byte of prefix length, a range is its first key followed by its last.  Rules, from the contract:
a network inside another is covered by it; two networks that together make a network are joined, again and again; a single
address (or name) is never joined, only covered.  What foreign ranges cover already is left out.
"""

from typing import Dict, Iterable, Iterator, List, Set, Tuple

Span = Tuple[int, int]


def minimal(prefixes: Iterable[bytes], foreign: Iterable[bytes], width: int) -> Set[bytes]:
    """The ranges, as first + last key of `width` bytes each, that hold all prefixes less the foreign ranges."""
    spans = _joined(prefixes, width)
    return {pack(first, last, width) for first, last in _without(spans, sorted(unpack(each, width) for each in foreign))}


def pack(first: int, last: int, width: int) -> bytes:
    """A range of keys as the sets hold it."""
    return first.to_bytes(width, "big") + last.to_bytes(width, "big")


def unpack(element: bytes, width: int) -> Span:
    """First and last key of a range, as numbers."""
    return int.from_bytes(element[:width], "big"), int.from_bytes(element[width:], "big")


def _joined(prefixes: Iterable[bytes], width: int) -> List[Span]:
    bits = width * 8
    by_length: Dict[int, Set[int]] = {}
    for prefix in prefixes:
        length = prefix[width]
        by_length.setdefault(length, set()).add(int.from_bytes(prefix[:width], "big") >> (bits - length))
    for length in range(bits - 1, 0, -1):
        level = by_length.get(length, set())
        pairs = {number for number in level if number ^ 1 in level}
        level -= pairs
        if pairs:
            by_length.setdefault(length - 1, set()).update(number >> 1 for number in pairs)
    spans = [(number << bits - length, (number + 1 << bits - length) - 1)
             for length, level in by_length.items() for number in level]
    return list(_outermost(sorted(spans, key=lambda span: (span[0], -span[1]))))


def _outermost(spans: List[Span]) -> Iterator[Span]:
    """Of sorted spans that are nested or apart, those that are inside no other."""
    reached = -1
    for first, last in spans:
        if last > reached:
            reached = last
            yield first, last


def _without(spans: List[Span], holes: List[Span]) -> Iterator[Span]:
    """What of the sorted, disjoint spans is outside the sorted holes."""
    start = 0
    for first, last in spans:
        while start < len(holes) and holes[start][1] < first:
            start += 1
        position, rest = start, first
        while position < len(holes) and holes[position][0] <= last:
            if holes[position][0] > rest:
                yield rest, holes[position][0] - 1
            rest = holes[position][1] + 1
            position += 1
        if rest <= last:
            yield rest, last
