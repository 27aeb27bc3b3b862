"""An answer that lists containers, taken in while it arrives; sans-I/O.

One container that makes no sense is left out, and named; an answer full of those makes none itself.
"""

from typing import Dict, Iterable, Iterator, Set

from netmgr.values.errors import ProtocolError
from netmgr.wire.docker_containers import ENTRY_LIMIT, Listed, Reading, called, listed
from netmgr.wire.json_elements import Element, Elements

MOST_CONTAINERS = 1 << 16
MOST_SENSELESS = 1000
SHOWN_SENSELESS = 20


class Sifted:
    """An answer of containers, as it arrives: which there are, and which make no sense."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._elements = Elements(ENTRY_LIMIT)
        self.ids: Set[str] = set()
        self.senseless: Dict[str, str] = {}     # name -> what is wrong
        self._read = self._left = 0

    def feed(self, data: bytes) -> Iterator[Listed]:
        """The containers that these bytes complete.  ProtocolError when the answer as a whole makes no sense."""
        return self._sift(self._elements.feed(data))

    def close(self) -> Iterator[Listed]:
        """The containers that are left.  ProtocolError when there is no end."""
        return self._sift(self._elements.close())

    def _sift(self, elements: Iterable[Element]) -> Iterator[Listed]:
        for element in elements:
            self._read += 1
            if self._read > MOST_CONTAINERS:
                raise ProtocolError("more than %d containers" % MOST_CONTAINERS)
            try:
                found = listed(element, self._reading)
            except ProtocolError as error:
                self._left_out(called(element), str(error))
                continue
            if found is not None:
                self.ids.add(found.seen.id)
                yield found

    def _left_out(self, name: str, wrong: str) -> None:
        self._left += 1
        if self._left > MOST_SENSELESS:
            raise ProtocolError("no list of containers: %s, and so on" % wrong)
        if len(self.senseless) < SHOWN_SENSELESS:
            self.senseless[name] = wrong
