"""The netlink sockets of a running netmgr, from outside: how much they hold, and what they had to drop.

A descriptor of another process is taken with pidfd_getfd(2); options that are set on it are set for both.
"""

import contextlib
import ctypes
import errno
import os
import signal
import socket
from pathlib import Path
from typing import Iterator

import pytest

from tests.kernel.running import Netmgr

NETLINK_ROUTE, NETLINK_NETFILTER = 0, 12
PIDFD_GETFD = 438

_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def socket_of(netmgr: Netmgr, protocol: int, listens: bool) -> Iterator[socket.socket]:
    """The daemon's first socket of this protocol that is in multicast groups, or in none."""
    assert netmgr.process is not None
    pid = netmgr.process.pid
    pidfd = os.pidfd_open(pid)
    number: int = _libc.syscall(PIDFD_GETFD, pidfd, _descriptor(netmgr, pid, protocol, listens), 0)
    error = ctypes.get_errno()
    os.close(pidfd)
    if number < 0 and error == errno.EPERM:
        pytest.skip("another process's descriptors are not to be had here (pidfd_getfd: %s)" % os.strerror(error))
    if number < 0:
        raise OSError(error, os.strerror(error))
    with socket.socket(fileno=number) as shared:
        yield shared


@contextlib.contextmanager
def squeezed(shared: socket.socket) -> Iterator[None]:
    """The socket queues two events or so, and drops the others."""
    before = shared.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    try:
        yield
    finally:
        shared.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, before // 2)


@contextlib.contextmanager
def stopped(netmgr: Netmgr) -> Iterator[None]:
    """The daemon gets no processor."""
    assert netmgr.process is not None
    netmgr.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        netmgr.process.send_signal(signal.SIGCONT)


def _descriptor(netmgr: Netmgr, pid: int, protocol: int, listens: bool) -> int:
    rows = [line.split() for line in netmgr.lab.run("cat /proc/net/netlink").splitlines()[1:]]
    inodes = {row[9] for row in rows if int(row[1]) == protocol and bool(int(row[3], 16)) == listens}
    opened = {os.readlink(link): int(link.name) for link in Path("/proc/%d/fd" % pid).iterdir()}
    return min(number for target, number in opened.items() if target[len("socket:["):-1] in inodes)
