"""Who is at the other end of a Unix socket, as the kernel noted it when the peer connected.

What became of that process since, and whether another has its number now, makes no difference.

A user or group that this user namespace does not map is told as the number 65534, as everybody's is who is not mapped.  So that number
proves nothing, also where somebody really has it.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import Optional, Tuple

from netmgr.values.named_tuple import NamedTuple

SO_PEERGROUPS = 59
NGROUPS_MAX = 65536
GETSOCKOPT_LIMIT = 1024
OVERFLOW_ID = 65534

_UCRED = struct.Struct("iII")


class Peer(NamedTuple):
    """A process; `groups` begins with its primary one."""

    pid: int
    uid: int
    groups: Tuple[int, ...]

    def __str__(self) -> str:
        return "pid %d, uid %d" % (self.pid, self.uid)

    @property
    def trusted(self) -> bool:
        """Whether it is root or the daemon's own user."""
        return self.uid != OVERFLOW_ID and self.uid in (0, os.geteuid())

    def privileged(self, group: Optional[int]) -> bool:
        """Whether it may give every command: root, the daemon's own user, a member of the group."""
        return self.trusted or (group != OVERFLOW_ID and group in self.groups)


def peer_of(connection: socket.socket) -> Peer:
    """SO_PEERCRED and SO_PEERGROUPS of a connection."""
    pid, uid, gid = _UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    try:
        packed = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, GETSOCKOPT_LIMIT)
    except OSError as error:
        packed = _many_groups(connection) if error.errno == errno.ERANGE else b""
    return Peer(pid, uid, (gid, *struct.unpack("%dI" % (len(packed) // 4), packed)))


def _many_groups(connection: socket.socket) -> bytes:
    """More than 256 groups: they do not fit into what Python's getsockopt() takes."""
    import ctypes
    groups = ctypes.create_string_buffer(NGROUPS_MAX * 4)
    length = ctypes.c_uint(len(groups))
    failed = ctypes.CDLL(None).getsockopt(connection.fileno(), socket.SOL_SOCKET, SO_PEERGROUPS, groups, ctypes.byref(length))
    return b"" if failed else groups.raw[:length.value]
