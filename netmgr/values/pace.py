"""How often something may be done: a piece of work that took d seconds is followed by a rest of `factor` times d.

The rest is bounded, for the kernel may have kept us waiting.  So whatever others do, the work takes a bounded share of a
processor, and work that costs nothing waits for nothing.
"""

from __future__ import annotations

REST_LONGEST = 1.0


class Pace:
    """Rest in proportion to the work, at least and at most for so many seconds."""

    def __init__(self, factor: float, shortest: float = 0.0, longest: float = REST_LONGEST) -> None:
        self._factor, self._shortest, self._longest = factor, shortest, longest
        self.ready_at = 0.0

    def spent(self, begin: float, end: float) -> None:
        """A piece of work took from begin to end."""
        self.ready_at = end + max(self._shortest, min(self._longest, self._factor * (end - begin)))
