"""A daemon that runs as root gives up what it does not need: nf_tables asks for CAP_NET_ADMIN, and nothing else asks for more.

Without its other capabilities root is the owner of its files and no more: it connects to sockets and reads files as their modes allow it.
"""

from __future__ import annotations

import contextlib
import os
import struct

from netmgr._nftcodec import ffi, lib

CAP_NET_ADMIN = 12
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
_LINUX_CAPABILITY_VERSION_3 = 0x20080522


def give_up_rights() -> None:
    """Keep CAP_NET_ADMIN, no supplementary group, and no way to new rights.  OSError; who is not root has given them up already."""
    if os.geteuid() != 0:
        return
    _checked(lib.prctl(PR_SET_NO_NEW_PRIVS, *_longs(1, 0, 0, 0)))
    with contextlib.suppress(PermissionError):      # a user namespace may not allow it
        os.setgroups([])
    for capability in range(64):
        if capability != CAP_NET_ADMIN and lib.prctl(PR_CAPBSET_DROP, *_longs(capability, 0, 0, 0)) != 0:
            break       # there is none with this number
    header = ffi.from_buffer(struct.pack("=Ii", _LINUX_CAPABILITY_VERSION_3, 0))
    kept = 1 << CAP_NET_ADMIN
    _checked(lib.syscall(lib.SYS_capset, header, ffi.from_buffer(struct.pack("=6I", kept, kept, 0, 0, 0, 0))))


def _longs(*numbers: int) -> list[object]:
    return [ffi.cast("unsigned long", number) for number in numbers]


def _checked(result: int) -> None:
    if result < 0:
        raise OSError(ffi.errno, os.strerror(ffi.errno))
