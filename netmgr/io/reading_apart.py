"""The configuration, read by a process of its own while this one loads what it is for.

What it takes to read YAML and to find every mistake is some two megabytes, which a daemon has no use for until it is told to reload; here
they are gone with that process.  Where there can be none, this one reads.
"""

import contextlib
import os
import pickle
from typing import TYPE_CHECKING, Any

from netmgr.values.errors import ConfigError

if TYPE_CHECKING:
    from netmgr.config.schema import Config


class ReadingApart:
    """Begins to read the file at once; result() is called once."""

    def __init__(self, path: str) -> None:
        self._path, self._child = path, 0
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

    def result(self) -> "Config":
        """As netmgr.io.configuration.load(): OSError, ConfigError."""
        if not self._child:
            return _load(self._path)
        with open(self._receiving, "rb") as pipe:
            told = pipe.read()
        with contextlib.suppress(OSError):
            os.waitpid(self._child, 0)
        try:
            found = pickle.loads(told)
        except (EOFError, pickle.UnpicklingError):
            return _load(self._path)        # something else has ended it
        if isinstance(found, OSError):
            raise found
        if isinstance(found, list):
            raise ConfigError(found)
        config: Config = found
        return config


def _load(path: str) -> "Config":
    from netmgr.io.configuration import load
    return load(path)


def _read_and_end(path: str, sending: int) -> None:
    """What came of it, through the pipe; nothing when that cannot be."""
    status = 1
    try:
        found: Any
        try:
            found = _load(path)
        except ConfigError as problem:
            found = list(problem.remarks)
        except OSError as problem:
            found = problem
        with open(sending, "wb") as pipe:
            pickle.dump(found, pipe)
        status = 0
    finally:
        os._exit(status)
