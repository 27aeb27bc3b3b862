"""Waiting for a condition, never for a time."""

import time
from typing import Callable, TypeVar

Value = TypeVar("Value")


def eventually(predicate: Callable[[], Value], seconds: float = 10, message: str = "") -> Value:
    """The first truthy value of predicate(); AssertionError with the last value when there is none within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError("%s: not within %g s, the last value was %r" % (message or "condition", seconds, value))
        time.sleep(0.004)
