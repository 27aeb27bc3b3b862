"""How soon to repair: two programs that undo each other's work must not spin.

While there are more than 20 repairs in a second, each waits twice as long as the one before, a second at most; then the waits shrink
again.  Five seconds without any end the fight.
"""

from __future__ import annotations

from collections import deque
from typing import Deque

FIGHT_REPAIRS, FIGHT_SECONDS = 20, 1.0
DELAY_FIRST, DELAY_LONGEST = 0.05, 1.0
CALM_SECONDS = 5.0


class Damper:
    """Notices a fight and slows it down; it is over at `calm_at`."""

    def __init__(self) -> None:
        self._times: Deque[float] = deque(maxlen=FIGHT_REPAIRS)
        self._delay = 0.0
        self.calm_at = 0.0

    def fighting(self, now: float) -> bool:
        """Whether a repair had to wait within the last five seconds."""
        return now < self.calm_at

    @property
    def ready_at(self) -> float:
        """When the next repair may begin."""
        return self._times[-1] + self._delay if self._times else 0.0

    def repaired(self, now: float) -> None:
        """A repair was made."""
        if len(self._times) == FIGHT_REPAIRS and now - self._times[0] < FIGHT_SECONDS:
            self._delay = min(DELAY_LONGEST, self._delay * 2) or DELAY_FIRST
        else:
            self._delay = self._delay / 2 if self._delay > DELAY_FIRST else 0.0
        if self._delay:
            self.calm_at = now + CALM_SECONDS
        self._times.append(now)
