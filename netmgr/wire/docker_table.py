"""The containers of one engine as far as it has told, and what of that has not been passed on yet; sans-I/O.

A container that shares another's network has that one's addresses as long as both are there.
"""

from itertools import islice
from typing import Dict, Iterable, List, Set, Tuple

from netmgr.values.events import ContainerSeen
from netmgr.wire.docker_containers import Listed


class Table:
    """Containers by their ids: as they were listed, and as they were passed on (`told`: by an earlier table)."""

    def __init__(self, told: Iterable[ContainerSeen]) -> None:
        self._listed: Dict[str, Listed] = {}
        self._told: Dict[str, ContainerSeen] = {each.id: each for each in told}
        self.sharers: Dict[str, Set[str]] = {}
        self._touched: Dict[str, None] = {}

    def __contains__(self, container: object) -> bool:
        return container in self._listed

    def ids(self) -> Set[str]:
        """Those that are known, also from earlier."""
        return {*self._listed, *self._told}

    def put(self, listed: Listed) -> bool:
        """This is how it is now.  False: as before."""
        identifier = listed.seen.id
        before = self._listed.get(identifier)
        if before == listed:
            return False
        if before is not None:
            self._unshare(before)
        if listed.shares:
            self.sharers.setdefault(listed.shares, set()).add(identifier)
        self._listed[identifier] = listed
        self._touch(identifier)
        return True

    def drop(self, container: str) -> bool:
        """It is no longer there.  False: it was not."""
        before = self._listed.pop(container, None)
        if before is not None:
            self._unshare(before)
        elif container not in self._told or container in self._touched:
            return False
        self._touch(container)
        return True

    def clear(self) -> None:
        """None is there."""
        for container in self.ids():
            self.drop(container)

    def waiting(self) -> int:
        """So many may have something to be passed on."""
        return len(self._touched)

    def take(self, most: int) -> Tuple[List[ContainerSeen], List[str]]:
        """What to pass on next, of so many at most: containers that are new or other than before, ids of those that are gone."""
        seen, gone = [], []
        for container in list(islice(self._touched, most)):
            del self._touched[container]
            before, now = self._told.pop(container, None), self._listed.get(container)
            if now is not None:
                self._told[container] = resolved = self._resolved(now)
                if resolved != before:
                    seen.append(resolved)
            elif before is not None:
                gone.append(container)
        return seen, gone

    def _resolved(self, listed: Listed) -> ContainerSeen:
        other = self._listed.get(listed.shares) if listed.shares else None
        return listed.seen if other is None else listed.seen._replace(endpoints=other.seen.endpoints)

    def _touch(self, container: str) -> None:
        self._touched[container] = None
        for sharer in self.sharers.get(container, ()):
            self._touched[sharer] = None

    def _unshare(self, listed: Listed) -> None:
        sharers = self.sharers.get(listed.shares)
        if sharers is not None:
            sharers.discard(listed.seen.id)
            if not sharers:
                del self.sharers[listed.shares]
