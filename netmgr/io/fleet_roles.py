"""What the fleet's source needs of the model: one who follows what others publish, and one who knows what this host does.

netmgr.model.following and netmgr.model.publication are the two; times are seconds of the loop's clock.
"""

from typing import List, Optional, Sequence, Tuple

from netmgr.values.protocol import Protocol
from netmgr.values.records import Condition, Page, Pair, Seen


class Follower(Protocol):
    """What others publish, in tables."""

    listed: bool

    def begin_list(self) -> None:
        """Everything is taken anew."""

    def page(self) -> Optional[Tuple[bytes, bytes, int]]:
        """What to ask for next: first key, end of the range, revision; None: the list is complete."""

    def take_page(self, page: Page, now: float) -> None:
        """The answer to that."""

    def watches(self) -> List[Tuple[int, bytes, bytes, int]]:
        """Number, first key, end of the range and first revision of each watch; none before there is a list."""

    def take(self, seen: Seen, now: float) -> bool:
        """A line of a watch; False: everything must be listed anew."""

    def behind(self, seen: Seen) -> bool:
        """Whether the watch waits for a revision that its member has not reached."""

    def saw(self, page: Page) -> bool:
        """An answer of a member with a leader; False: it is of another store than the one before."""

    def doubt(self, until: float) -> None:
        """What goes before that time is held."""

    def forget(self) -> None:
        """Nothing that was heard counts any longer."""

    def settle(self, now: float) -> None:
        """What was held for long enough goes."""

    def deadline(self) -> Optional[float]:
        """When to settle()."""

    def entries(self) -> int:
        """How many records are known."""


class Publisher(Protocol):
    """What this host publishes; `lease` is 0 while there is none."""

    lease: int

    def begin(self, lease: int) -> None:
        """There is a new lease, or none."""

    def due_at(self) -> Optional[float]:
        """When something is to be written."""

    def take(self, now: float) -> List[str]:
        """The zones of one transaction."""

    def records(self, zones: Sequence[str], now: float) -> Tuple[List[Condition], List[Tuple[bytes, bytes]]]:
        """That transaction: conditions, keys and values."""

    def held(self, zones: Sequence[str]) -> List[Tuple[bytes, ...]]:
        """What it says of each zone."""

    def written(self, zones: Sequence[str], addresses: Sequence[Tuple[bytes, ...]]) -> None:
        """It took effect."""

    def not_written(self, zones: Sequence[str], found: Sequence[Pair], now: float) -> None:
        """A condition did not hold; this stands there."""

    def refused(self, zones: Sequence[str], reason: str, now: float) -> None:
        """etcd does not let us."""

    def error(self) -> Optional[str]:
        """Why a zone is not published."""

    def conflict(self, now: float) -> Optional[str]:
        """Why another instance has our name."""

    def farewell(self) -> List[Tuple[bytes, bytes]]:
        """Empty records."""
