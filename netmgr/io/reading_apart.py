"""The configuration, read by a process of its own while this one does what it is for: loads that at the start, serves at a reload.

What it takes to read YAML and to find every mistake is some two megabytes, which a daemon has no use for; here they are gone with that
process.  Where there can be none, this one reads.
"""

from __future__ import annotations

import contextlib
import os
import signal
from _pickle import UnpicklingError, dump, loads  # all of pickle that is needed; its half in Python takes a millisecond to load
from typing import TYPE_CHECKING, Any, Callable, List

from netmgr.values.errors import ConfigError

if TYPE_CHECKING:
    from netmgr.config.schema import Config
    from netmgr.io.loop import Loop

PIECE = 1 << 16


def read_apart(loop: Loop, path: str, done: Callable[[Callable[[], Config]], None]) -> None:
    """Begin to read; done(result) later, when result() is at once: OSError, ConfigError as netmgr.io.configuration.load()."""
    reading = ReadingApart(path)
    reading.follow(loop, lambda: done(reading.result))


class ReadingApart:
    """Begins to read the file at once; result() is called once."""

    def __init__(self, path: str) -> None:
        self._path, self._child = path, 0
        self._told: List[bytes] = []
        with contextlib.suppress(OSError):
            self._begin()

    def _begin(self) -> None:
        self._receiving, sending = os.pipe()
        try:
            self._child = os.fork()
            if not self._child:
                _read_and_end(self._path, sending)
        except OSError:
            os.close(self._receiving)
            raise
        finally:
            os.close(sending)

    def follow(self, loop: Loop, done: Callable[[], None]) -> None:
        """Call done() when result() need not wait for another."""
        if not self._child:
            loop.call_later(0, done)
            return

        def readable(_events: int) -> None:
            piece = os.read(self._receiving, PIECE)
            self._told.append(piece)
            if not piece:
                loop.unwatch(self._receiving)
                done()
        loop.watch(self._receiving, readable)

    def result(self) -> Config:
        """As netmgr.io.configuration.load(): OSError, ConfigError."""
        if not self._child:
            return _load(self._path)
        with open(self._receiving, "rb") as pipe:
            told = b"".join(self._told) + pipe.read()
        with contextlib.suppress(OSError):
            os.waitpid(self._child, 0)
        try:
            found = loads(told)
        except (EOFError, UnpicklingError):
            return _load(self._path)        # something else has ended it
        if isinstance(found, OSError):
            raise found
        if isinstance(found, list):
            raise ConfigError(found)
        config: Config = found
        return config


def _load(path: str) -> Config:
    from netmgr.io.configuration import load
    return load(path)


def _read_and_end(path: str, sending: int) -> None:
    """What came of it, through the pipe; nothing when that cannot be."""
    status = 1
    try:
        _keep_only(sending)
        found: Any
        try:
            found = _load(path)
        except ConfigError as problem:
            found = list(problem.remarks)
        except OSError as problem:
            found = problem
        with open(sending, "wb") as pipe:
            dump(found, pipe)
        status = 0
    finally:
        os._exit(status)


def _keep_only(descriptor: int) -> None:
    """Be somebody else: what is the daemon's ends with the daemon, and signals end this process."""
    signal.set_wakeup_fd(-1)
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)
    for each in map(int, os.listdir("/proc/self/fd")):
        if each > 2 and each != descriptor:
            with contextlib.suppress(OSError):
                os.close(each)
