"""Include files: what a set holds, ready for `include` in a ruleset.

A file appears under its name complete or not at all: it is written beside it under a hidden name and renamed.  Nothing is synced
to a disk, for the place is a tmpfs; after a power failure the kernel's sets are gone too.

A file is named FAMILY.TABLE.SET.nft.  nft allows a slash in names, a directory does not: such a set has no file.
"""

import os
from typing import Dict, Optional

from netmgr.values.sets import SetName

_HIDDEN, _SUFFIX = ".", ".nft.new"


class IncludeFiles:
    """The files in one directory.  It is made when first needed; what a killed netmgr left half-written goes then, too."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._contents: Dict[SetName, str] = {}
        self._prepared = False

    def path(self, name: SetName) -> str:
        """Where the set's file is.  OSError when it cannot have one."""
        if "/" in "".join(name):
            raise OSError("no include file for %s: its name has a slash" % (name,))
        return os.path.join(self.directory, "%s.%s.%s.nft" % name)

    def write(self, name: SetName, text: str) -> None:
        """Make the file say `text`, if it does not already.  OSError: it is as it was, and the next write tries again."""
        if self._contents.get(name) == text:
            return
        path, content = self.path(name), text.encode()
        self._prepare()
        if name in self._contents or _read(path) != content:
            _replace(path, content)
        self._contents[name] = text

    def remove(self, name: SetName) -> None:
        """Remove the file; one that is not there is fine."""
        self._contents.pop(name, None)
        _unlink(self.path(name))

    def doubt(self) -> None:
        """Somebody else may have written or removed files: the next write of each looks."""
        self._contents.clear()

    def _prepare(self) -> None:
        if not os.path.isdir(self.directory):
            os.makedirs(self.directory)
            os.chmod(self.directory, 0o755)
        if self._prepared:
            return
        for leftover in os.listdir(self.directory):
            if leftover.startswith(_HIDDEN) and leftover.endswith(_SUFFIX):
                os.unlink(os.path.join(self.directory, leftover))
        self._prepared = True


def _read(path: str) -> Optional[bytes]:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def _replace(path: str, content: bytes) -> None:
    directory, name = os.path.split(path)
    hidden = os.path.join(directory, _HIDDEN + name[: -len(".nft")] + _SUFFIX)
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
