"""The time of day, for people and for programs."""

import time


def utc() -> str:
    """2026-11-27T20:31:05.123456Z"""
    seconds = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + ".%06dZ" % (seconds % 1 * 1_000_000)
