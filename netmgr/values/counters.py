"""What is counted where it happens, for `metrics`: plain numbers, which cost nothing to keep."""

from __future__ import annotations

from bisect import bisect_left
from typing import Dict, List, Sequence

from netmgr.values.sets import Change, ChangeElements

COMMIT_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)      # seconds

COMMITTED, REFUSED, OVERTAKEN, UNKNOWN = "committed", "refused", "overtaken", "unknown"


class Told:
    """What a source has told since it was made: `events` one by one, and of all there is `snapshots`, by why they were taken."""

    def __init__(self) -> None:
        self.events = self.overruns = 0
        self.snapshots: Dict[str, int] = {}

    def snapshot(self, why: str) -> None:
        """All there is was read."""
        self.snapshots[why] = self.snapshots.get(why, 0) + 1


class Counters:
    """What became of the sets since netmgr started: transactions by result, elements, and how long commits took from the wake-up."""

    def __init__(self) -> None:
        self.transactions = dict.fromkeys((COMMITTED, REFUSED, OVERTAKEN, UNKNOWN), 0)
        self.added = self.removed = 0
        self.repaired = self.drifted = 0        # elements
        self.commits: List[int] = [0] * (len(COMMIT_BOUNDS) + 1)       # by the first bound that is not smaller; the last has none
        self.commit_seconds = 0.0

    def committed(self, changes: Sequence[Change], seconds: float) -> None:
        """A wake-up had this result after so long."""
        for change in changes:
            if isinstance(change, ChangeElements):
                self.added += len(change.add)
                self.removed += len(change.delete)
        self.commits[bisect_left(COMMIT_BOUNDS, seconds)] += 1
        self.commit_seconds += seconds
