"""How often to look at the ruleset, and how soon to repair it.

Pace     a look that took d seconds is followed by a rest of `factor` times d, a second at most (the kernel may have kept us
         waiting): whatever others do to nf_tables, looking takes a bounded share of a processor, and a look that costs nothing
         waits for nothing
Damper   two programs that undo each other's work: while there are more than 20 repairs in a second, each waits twice as long as the
         one before, a second at most; then the waits shrink again.  Five seconds without any end the fight.
"""

from collections import deque
from typing import Deque

REST_LONGEST = 1.0
FIGHT_REPAIRS, FIGHT_SECONDS = 20, 1.0
DELAY_FIRST, DELAY_LONGEST = 0.05, 1.0
CALM_SECONDS = 5.0


class Pace:
    """Rest in proportion to the work, and at least for so many seconds."""

    def __init__(self, factor: float, shortest: float = 0.0) -> None:
        self._factor, self._shortest = factor, shortest
        self.ready_at = 0.0

    def spent(self, begin: float, end: float) -> None:
        """A piece of work took from begin to end."""
        self.ready_at = end + max(self._shortest, min(REST_LONGEST, self._factor * (end - begin)))


class Damper:
    """Notices a fight and slows it down."""

    def __init__(self) -> None:
        self._times: Deque[float] = deque(maxlen=FIGHT_REPAIRS)
        self._delay = 0.0
        self._calm_at = 0.0

    def fighting(self, now: float) -> bool:
        """Whether a repair had to wait within the last five seconds."""
        return now < self._calm_at

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
            self._calm_at = now + CALM_SECONDS
        self._times.append(now)
