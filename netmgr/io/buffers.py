"""How much a netlink socket holds, and how much it had to drop.

Beyond rmem_max and wmem_max sizes are FORCEd, which takes CAP_NET_ADMIN in the initial user namespace; elsewhere the kernel gives what it
gives.
"""

import socket
import struct

SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
SO_MEMINFO, SK_MEMINFO_VARS, SK_MEMINFO_DROPS = 55, 9, 8


def receive_buffer(opened: socket.socket, size: int) -> None:
    """Ask for so many bytes of queue."""
    _set(opened, SO_RCVBUFFORCE, socket.SO_RCVBUF, size)


def send_buffer(opened: socket.socket, size: int) -> None:
    """Ask for room to send so many bytes at once."""
    _set(opened, SO_SNDBUFFORCE, socket.SO_SNDBUF, size)


def dropped(opened: socket.socket) -> int:
    """How many datagrams the kernel could not queue so far (32 bits, wraps); 0 from kernels before 4.12, which do not tell."""
    try:
        counters = opened.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4 * SK_MEMINFO_VARS)
    except OSError:
        return 0
    number: int = struct.unpack_from("=I", counters, 4 * SK_MEMINFO_DROPS)[0]
    return number


def _set(opened: socket.socket, force: int, plain: int, size: int) -> None:
    try:
        opened.setsockopt(socket.SOL_SOCKET, force, size)
    except PermissionError:
        opened.setsockopt(socket.SOL_SOCKET, plain, size)
