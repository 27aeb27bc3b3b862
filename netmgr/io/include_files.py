"""Include files: what a set holds, ready for `include` in a ruleset.

A file appears under its name complete or not at all: it is written beside it under a hidden name and renamed.  Nothing is synced
to a disk, for the place is a tmpfs; after a power failure the kernel's sets are gone too.

A file is named FAMILY.TABLE.SET.nft, with %2E for a dot inside a name, so that no two sets share one.  nft allows a slash in names, a
directory does not: such a set has no file.

A directory has one writer at a time, in whatever namespaces: who claims it holds a lock on the file .lock in it, which says who that is.
"""

from __future__ import annotations

import fcntl
import os
import stat
from typing import Dict, List, Optional, Tuple

from netmgr.values.sets import SetName

LARGEST = 1 << 26       # bytes; what is larger was not written by netmgr

_HIDDEN, _SUFFIX, _ENDING, _LOCK = ".", ".nft.new", ".nft", ".lock"
_ESCAPES = (("%", "%25"), (".", "%2E"))


class IncludeFiles:
    """The files in one directory.  It is made when first needed; what a killed netmgr left half-written goes then, too."""

    def __init__(self, directory: str, owner: str = "") -> None:
        """`owner` tells another netmgr which one this is."""
        self.directory = directory
        self._owner = owner
        self._contents: Dict[SetName, str] = {}
        self._claims = self._swept = False
        self._lock: Optional[int] = None

    def path(self, name: SetName) -> str:
        """Where the set's file is.  OSError when it cannot have one."""
        if "/" in "".join(name):
            raise OSError("no include file for %s: its name has a slash" % (name,))
        return os.path.join(self.directory, file_name(name))

    def claim(self) -> None:
        """Be the one that writes here.  BlockingIOError, with a text for the user, when somebody else is; OSError."""
        lock = os.path.join(self.directory, _LOCK)
        self._claims = True
        if self._lock is None or not _is_at(self._lock, lock):
            self._let_go()
            _make(self.directory)
            self._lock = _locked(lock, self._owner)

    def release(self) -> None:
        """Let others write here."""
        self._claims = False
        self._let_go()

    def write(self, name: SetName, text: str) -> None:
        """Make the file say `text`, if it does not already.  OSError: it is as it was, and the next write tries again."""
        if self._contents.get(name) == text:
            return
        path, content = self.path(name), text.encode()
        try:
            self._prepare()
            if name in self._contents or _read(path) != content:
                _replace(path, content)
        except OSError as problem:
            self._contents.pop(name, None)
            raise OSError(problem.errno, problem.strerror, path) from None
        self._contents[name] = text

    def empty(self, name: SetName) -> None:
        """Make the file say nothing, if there is one.  OSError."""
        if os.path.lexists(self.path(name)):
            self.write(name, "")

    def read(self, name: SetName) -> Optional[str]:
        """What the file says; None when there is none that netmgr could have written.  OSError."""
        content = _read(self.path(name))
        return None if content is None else content.decode("utf-8", "replace")

    def names(self) -> List[SetName]:
        """The sets of which there are files, whoever wrote them.  OSError."""
        found = (name_of(each) for each in sorted(os.listdir(self.directory))) if os.path.isdir(self.directory) else ()
        return [name for name in found if name is not None]

    def remove(self, name: SetName) -> None:
        """Remove the file; one that is not there is fine.  OSError."""
        self._contents.pop(name, None)
        _unlink(self.path(name))

    def doubt(self) -> None:
        """Somebody else may have written or removed files: the next write of each looks."""
        self._contents.clear()

    def _prepare(self) -> None:
        """The directory is there, claimed if it was before, and swept."""
        _make(self.directory)
        if self._claims:
            self.claim()
        if not self._swept:
            self._sweep()
            self._swept = True

    def _let_go(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _sweep(self) -> None:
        for leftover in os.listdir(self.directory):
            if leftover.startswith(_HIDDEN) and leftover.endswith(_SUFFIX):
                try:
                    os.unlink(os.path.join(self.directory, leftover))
                except OSError:     # it is in the way of one file at most, which says so when it is written
                    pass


def file_name(name: SetName) -> str:
    """The name of a set's file."""
    return ".".join(map(_escaped, name)) + _ENDING


def name_of(file: str) -> Optional[SetName]:
    """The set whose file has this name; None when it is no set's."""
    parts = file[:-len(_ENDING)].split(".") if file.endswith(_ENDING) else []
    if len(parts) != 3:
        return None
    name = SetName(*map(_unescaped, parts))
    return name if all(name) and file_name(name) == file else None


def _escaped(part: str) -> str:
    for character, escape in _ESCAPES:
        part = part.replace(character, escape)
    return part


def _unescaped(part: str) -> str:
    for character, escape in reversed(_ESCAPES):
        part = part.replace(escape, character)
    return part


def _make(directory: str) -> None:
    if not os.path.isdir(directory):
        os.makedirs(directory)
        os.chmod(directory, 0o755)


def _locked(path: str, owner: str) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as problem:
        other = os.pread(descriptor, 4096, 0).decode("utf-8", "replace") or "which does not say who it is"
        os.close(descriptor)
        raise BlockingIOError(problem.errno, "another netmgr writes the include files there: " + other, os.path.dirname(path)) from None
    except OSError:
        os.close(descriptor)
        raise
    try:
        os.fchmod(descriptor, 0o644)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, owner.encode("utf-8", "surrogateescape"))
    except OSError:         # a full disk: the lock holds all the same
        pass
    return descriptor


def _is_at(descriptor: int, path: str) -> bool:
    """Whether this open file still has that name."""
    try:
        return _identity(os.fstat(descriptor)) == _identity(os.lstat(path))
    except OSError:
        return False


def _identity(status: os.stat_result) -> Tuple[int, int]:
    return status.st_dev, status.st_ino


def _read(path: str) -> Optional[bytes]:
    """What is in the file; None when no regular file is there."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with open(descriptor, "rb") as file:
        return file.read(LARGEST) if stat.S_ISREG(os.fstat(descriptor).st_mode) else None


def _replace(path: str, content: bytes) -> None:
    directory, name = os.path.split(path)
    hidden = os.path.join(directory, _HIDDEN + name[: -len(_ENDING)] + _SUFFIX)
    try:
        with open(os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), "wb") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(content)
        os.rename(hidden, path)
    except OSError:
        _unlink(hidden)
        raise


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
