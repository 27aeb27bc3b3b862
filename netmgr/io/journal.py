"""A line of the log with fields, for the journal: systemd's native protocol, one datagram an entry.

    KEY=value\n                            a value without a line break
    KEY\n  size (64 bits, little)  value\n    any other

What is too large for a datagram goes in a sealed memory file.  Nothing waits: what the journal does not take now is for somebody else.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
from array import array
from typing import Iterable, Tuple

ADDRESS = "/run/systemd/journal/socket"
IDENTIFIER = "netmgr"

F_ADD_SEALS = 1033
F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE = 1, 2, 4, 8

Fields = Iterable[Tuple[str, str]]


class Journal:
    """The journal at this address; it need not be there."""

    def __init__(self, address: str = ADDRESS) -> None:
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)

    def send(self, priority: int, line: str, fields: Fields) -> bool:
        """Whether it has taken this entry."""
        told = entry((("MESSAGE", line), ("PRIORITY", str(priority)), ("SYSLOG_IDENTIFIER", IDENTIFIER), *fields))
        try:
            self._send(told)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Give the descriptor back."""
        self._socket.close()

    def _send(self, told: bytes) -> None:
        try:
            self._socket.sendto(told, self._address)
        except OSError as problem:
            if problem.errno not in (errno.EMSGSIZE, errno.ENOBUFS):
                raise
            self._send_file(told)

    def _send_file(self, told: bytes) -> None:
        with open(os.memfd_create("netmgr-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING), "wb", buffering=0) as file:
            file.write(told)
            fcntl.fcntl(file.fileno(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)
            passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", [file.fileno()]))]
            self._socket.sendmsg([b""], passed, 0, self._address)


def entry(fields: Fields) -> bytes:
    """The bytes of one entry."""
    return b"".join(_field(name.encode(), value.encode("utf-8", "backslashreplace")) for name, value in fields)


def _field(name: bytes, value: bytes) -> bytes:
    if b"\n" in value:
        return b"%s\n%s%s\n" % (name, len(value).to_bytes(8, "little"), value)
    return b"%s=%s\n" % (name, value)
