"""Waiting for a condition, never for a time."""

import time
from typing import Callable, TypeVar

Value = TypeVar("Value")

PATIENCE = 120.0        # seconds: what takes milliseconds on an idle machine may take very long on a busy one


def eventually(predicate: Callable[[], Value], message: str = "", seconds: float = PATIENCE) -> Value:
    """The first truthy value of predicate(); AssertionError with the last value when there is none within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError("%s: not within %g s, the last value was %r" % (message or "condition", seconds, value))
        time.sleep(0.004)
