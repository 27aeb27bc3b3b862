"""What a service tells of happenings: those that a test gives, and to whoever listens what the test says."""

from typing import Callable, Iterator, List, Optional, Sequence

from netmgr.values.happenings import Happening


class Told:
    """`listeners` are those who follow just now."""

    def __init__(self, happenings: Sequence[Happening] = ()) -> None:
        self.happenings = list(happenings)
        self.listeners: List[Callable[[Happening], None]] = []

    def called(self, names: Sequence[str]) -> List[str]:
        return [*names, *("eth0" for name in names if name == "uplink")]

    def log(self, number: int, names: Sequence[str]) -> Iterator[Optional[Happening]]:
        return iter(self.happenings[-number:])

    def follow(self, listener: Callable[[Happening], None]) -> Callable[[], None]:
        self.listeners.append(listener)
        return lambda: self.listeners.remove(listener)
