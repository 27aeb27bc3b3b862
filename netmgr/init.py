"""The program behind `netmgr init`: looks at what is there and writes a first configuration, without any daemon."""

import os
import sys
from typing import AbstractSet, Optional, Tuple

from netmgr.check_and_diff import FAILED, what_there_is
from netmgr.config.schema import Docker
from netmgr.io.nft import Nft
from netmgr.show import first_configuration
from netmgr.values.errors import ProtocolError
from netmgr.values.sets import SetName
from netmgr.values.text import printable_lines, reason

DONE = 0
ENGINES = (Docker().socket, "/run/podman/podman.sock")


def init(output: Optional[str]) -> Tuple[int, str]:
    """The exit status and what belongs to the standard output; what was guessed goes to the standard error."""
    try:
        seen = first_configuration.Seen(what_there_is(), _sets(), next(filter(os.path.exists, ENGINES), None))
        text, guesses = first_configuration.write(seen)
        if output is not None:
            _write_new(output, text)
    except (OSError, ProtocolError) as problem:
        _say(reason(problem))
        return FAILED, ""
    for guess in guesses:
        _say(guess)
    return DONE, text if output is None else ""


def _sets() -> Optional[AbstractSet[SetName]]:
    try:
        nft = Nft()
        try:
            return nft.sets()
        finally:
            nft.close()
    except (OSError, ProtocolError):
        return None


def _write_new(path: str, text: str) -> None:
    """Nothing is overwritten.  OSError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        raise OSError("%s is there already, and nothing is overwritten; move it away, or name another file" % path) from None
    except OSError as problem:
        raise OSError("%s cannot be written: %s" % (path, problem.strerror)) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _say(text: str) -> None:
    print(printable_lines("netmgr: %s" % text), file=sys.stderr)
