"""Which networks are whole, kept by difference: those that are claimed, or made of two halves that are whole.

A claim that begins or ends makes its network whole or breaks it, and with it perhaps the next larger one, and so on.  A single key
makes no network with its neighbour.
"""

from __future__ import annotations

from typing import Callable, Collection, Optional, Set, Tuple

from netmgr.model import ranges

Place = Tuple[int, int, bool]       # first and last key of a network, and whether it is whole


class WholeNetworks:
    """Those of these claimed prefixes, which have keys of `width` bytes.  The number of a network is its first bits."""

    __slots__ = ("_width", "_bits", "levels")

    def __init__(self, claimed: Collection[bytes], width: int) -> None:
        self._width, self._bits = width, width * 8
        self.levels = ranges.whole(claimed, width)      # the shortest prefixes first

    def recheck(self, prefix: bytes, is_claimed: Callable[[bytes], bool]) -> Optional[Place]:
        """The largest network that is whole now and was not, or the reverse, or the single key; None when that is inside a whole one."""
        levels, length = self.levels, prefix[self._width]
        host = self._bits - length
        number, whole = int.from_bytes(prefix, "big") >> host + 8, False
        if host:
            halves = levels.get(length + 1, ())
            whole = is_claimed(prefix) or (number * 2 in halves and number * 2 + 1 in halves)
            if whole == (number in levels.get(length, ())):
                return None
            number, length = self._flip(number, length, whole, is_claimed)
        for shorter, level in levels.items():
            if shorter >= length:
                break
            if number >> length - shorter in level:
                return None
        first = number << self._bits - length
        return first, first | (1 << self._bits - length) - 1, whole

    def _flip(self, number: int, length: int, whole: bool, is_claimed: Callable[[bytes], bool]) -> Tuple[int, int]:
        """Make a network whole, or break it, and those that follow from it; the largest one."""
        while True:
            level, larger, half = self._level(length), self.levels.get(length - 1, ()), number
            (level.add if whole else level.remove)(half)
            number >>= 1
            if (number in larger) == whole or (half ^ 1 not in level if whole else is_claimed(self._prefix(number, length - 1))):
                return half, length
            length -= 1

    def around(self, number: int, length: int) -> Place:
        """The largest whole network around this one, or this one."""
        whole = False
        for shorter, level in self.levels.items():
            if shorter > length:
                break
            if number >> length - shorter in level:
                number, length, whole = number >> length - shorter, shorter, True
                break
        first = number << self._bits - length
        return first, first | (1 << self._bits - length) - 1, whole

    def _prefix(self, number: int, length: int) -> bytes:
        return (number << self._bits - length + 8 | length).to_bytes(self._width + 1, "big")

    def _level(self, length: int) -> Set[int]:
        level = self.levels.get(length)
        if level is None:
            level = self.levels[length] = set()
            in_order = sorted(self.levels.items())
            self.levels.clear()
            self.levels.update(in_order)
        return level
