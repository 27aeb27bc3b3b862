"""What a netlink socket takes in: how much it holds, how much it had to drop, and which messages are for it at all.

Beyond rmem_max and wmem_max sizes are FORCEd, which takes CAP_NET_ADMIN in the initial user namespace; elsewhere the kernel gives what it
gives.
"""

from __future__ import annotations

import socket
import struct
from functools import partial
from typing import Callable, Sequence, Tuple

from netmgr._nftcodec import ffi

SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
SO_MEMINFO, SK_MEMINFO_DROPS = 55, 8           # u32 each; SK_MEMINFO_RMEM_ALLOC is the first

SO_ATTACH_FILTER = 26
_STEP = struct.Struct("=HBBI")
_MEMINFO = struct.Struct("=9I")


def receive_buffer(opened: socket.socket, size: int) -> None:
    """Ask for so many bytes of queue."""
    _set(opened, SO_RCVBUFFORCE, socket.SO_RCVBUF, size)


def send_buffer(opened: socket.socket, size: int) -> None:
    """Ask for room to send so many bytes at once."""
    _set(opened, SO_SNDBUFFORCE, socket.SO_SNDBUF, size)


def memory(opened: socket.socket) -> bytes:
    """SO_MEMINFO: how much memory is taken by what waits to be received, ..., how many datagrams could not be queued so far."""
    return asking_for_memory(opened)()


def asking_for_memory(opened: socket.socket) -> Callable[[], bytes]:
    """memory() of this socket, for whoever asks often."""
    ask: Callable[[int, int, int], bytes] = opened.getsockopt
    return partial(ask, socket.SOL_SOCKET, SO_MEMINFO, _MEMINFO.size)


def idle(info: bytes) -> bytes:
    """The same memory() with nothing waiting: what the next one is if and only if nothing waits and nothing more was dropped."""
    return bytes(4) + info[4:]


def dropped(info: bytes) -> int:
    """How many datagrams the kernel could not queue so far (32 bits, wraps)."""
    number: int = _MEMINFO.unpack(info)[SK_MEMINFO_DROPS]
    return number


def attach_filter(opened: socket.socket, steps: Sequence[Tuple[int, int, int, int]]) -> None:
    """Receive only what this program of the classic BPF lets pass: (code, jt, jf, k) each."""
    program = ffi.from_buffer(b"".join(_STEP.pack(*step) for step in steps))
    opened.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", len(steps), int(ffi.cast("uintptr_t", program))))


def _set(opened: socket.socket, force: int, plain: int, size: int) -> None:
    try:
        opened.setsockopt(socket.SOL_SOCKET, force, size)
    except PermissionError:
        opened.setsockopt(socket.SOL_SOCKET, plain, size)
