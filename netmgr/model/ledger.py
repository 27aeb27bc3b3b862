"""Who claims which element of which set, counted.

Several interfaces, addresses or containers may claim the same element; it is wanted until the last claim ends.  A claim costs the
same however many there are.  Elements whose claim began or ended since they were last asked for are `touched`: only they need a
look when the sets are brought up to date.

A set that is `lent` is being read by somebody to whom it must not change: who changes it takes a copy first.
"""

from __future__ import annotations

from typing import Dict, Iterable, KeysView, Set

from netmgr.values.sets import SetName

_NOTHING: Dict[bytes, int] = {}


class Ledger:
    """Counts of claims, by set and element.

    `touched`: the elements that came to be wanted or unwanted since somebody last put an empty one in its place, by set.
    """

    def __init__(self) -> None:
        self._counts: Dict[SetName, Dict[bytes, int]] = {}
        self.touched: Dict[SetName, Set[bytes]] = {}
        self._lent: Set[SetName] = set()

    def lend(self, name: SetName) -> KeysView[bytes]:
        """Every element that somebody claims now; what comes later changes nothing of it."""
        self._lent.add(name)
        return self._counts.get(name, _NOTHING).keys()

    def claim(self, name: SetName, elements: Iterable[bytes]) -> None:
        """One more claim of each."""
        counts = self._own(name) if name in self._lent else self._counts.setdefault(name, {})
        for element in elements:
            count = counts.get(element, 0)
            counts[element] = count + 1
            if not count:
                self.touched.setdefault(name, set()).add(element)

    def release(self, name: SetName, elements: Iterable[bytes]) -> None:
        """One claim of each less.  Releasing what is not claimed is a bug in the caller: KeyError."""
        counts = self._own(name) if name in self._lent else self._counts[name]
        for element in elements:
            if counts[element] == 1:
                del counts[element]
                self.touched.setdefault(name, set()).add(element)
            else:
                counts[element] -= 1

    def replace(self, name: SetName, counts: Dict[bytes, int]) -> None:
        """Start a set anew with these counts; nothing of it counts as touched."""
        self._counts[name] = counts
        self._lent.discard(name)
        self.touched.pop(name, None)

    def forget(self, name: SetName) -> None:
        """Nobody will ask for this set any more."""
        self._counts.pop(name, None)
        self._lent.discard(name)
        self.touched.pop(name, None)

    def wanted(self, name: SetName) -> KeysView[bytes]:
        """Every element of the set that somebody claims."""
        return self._counts.get(name, _NOTHING).keys()

    def counts(self, name: SetName) -> Dict[bytes, int]:
        """Element -> number of claims; not to be changed."""
        return self._counts.get(name, _NOTHING)

    def _own(self, name: SetName) -> Dict[bytes, int]:
        self._lent.discard(name)
        counts = self._counts[name] = self._counts.get(name, _NOTHING).copy()
        return counts
