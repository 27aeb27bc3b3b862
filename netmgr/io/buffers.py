"""How much a netlink socket holds, and how much it had to drop.

Beyond rmem_max and wmem_max sizes are FORCEd, which takes CAP_NET_ADMIN in the initial user namespace; elsewhere the kernel gives what it
gives.
"""

import socket
import struct
from typing import Tuple

SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
SO_MEMINFO, SK_MEMINFO_RMEM_ALLOC, SK_MEMINFO_DROPS = 55, 0, 8

_MEMINFO = struct.Struct("=9I")


def receive_buffer(opened: socket.socket, size: int) -> None:
    """Ask for so many bytes of queue."""
    _set(opened, SO_RCVBUFFORCE, socket.SO_RCVBUF, size)


def send_buffer(opened: socket.socket, size: int) -> None:
    """Ask for room to send so many bytes at once."""
    _set(opened, SO_SNDBUFFORCE, socket.SO_SNDBUF, size)


def queued(opened: socket.socket) -> Tuple[int, int]:
    """The memory of what is queued, 0 if and only if nothing is; how many datagrams the kernel could not queue so far (32 bits, wraps)."""
    counters = _MEMINFO.unpack(opened.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, _MEMINFO.size))
    return counters[SK_MEMINFO_RMEM_ALLOC], counters[SK_MEMINFO_DROPS]


def _set(opened: socket.socket, force: int, plain: int, size: int) -> None:
    try:
        opened.setsockopt(socket.SOL_SOCKET, force, size)
    except PermissionError:
        opened.setsockopt(socket.SOL_SOCKET, plain, size)
