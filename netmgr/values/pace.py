"""How often something may be done: a piece of work that took d seconds is followed by a rest of `factor` times d.

The rest is a second at most, for the kernel may have kept us waiting.  So whatever others do, the work takes a bounded share of a
processor, and work that costs nothing waits for nothing.
"""

REST_LONGEST = 1.0


class Pace:
    """Rest in proportion to the work, and at least for so many seconds."""

    def __init__(self, factor: float, shortest: float = 0.0) -> None:
        self._factor, self._shortest = factor, shortest
        self.ready_at = 0.0

    def spent(self, begin: float, end: float) -> None:
        """A piece of work took from begin to end."""
        self.ready_at = end + max(self._shortest, min(REST_LONGEST, self._factor * (end - begin)))
