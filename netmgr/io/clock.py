"""The time of day, for people and for programs."""

from __future__ import annotations

import time
from typing import Optional

SET_BY_HAND = 1.0       # seconds by which the time of day differs from what was expected

now = time.time


class Calendar:
    """Times of the monotonic clock as UTC: each always the same, unless somebody has set the time of day."""

    def __init__(self) -> None:
        self._begin = _begin()

    def __call__(self, when: float) -> str:
        """2026-11-27T20:31:05.123456Z"""
        begin = _begin()
        if abs(begin - self._begin) > SET_BY_HAND:
            self._begin = begin
        return utc(self._begin + when)


def utc(seconds: Optional[float] = None) -> str:
    """Now, or so many seconds after 1970, as 2026-11-27T20:31:05.123456Z"""
    seconds = time.time() if seconds is None else seconds
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + ".%06dZ" % (seconds % 1 * 1_000_000)


def _begin() -> float:
    """When the monotonic clock was 0."""
    return time.time() - time.monotonic()
