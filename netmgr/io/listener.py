"""The control socket as an object in the file system: who may bind it, who may connect, who removes it.

A socket file outlives its process, so a daemon that starts must tell a dead one from a live one: whoever listens answers a
connect().  Looking, removing and binding are three steps; a lock file beside the socket, held for as long as they take, keeps two
daemons that start at once from doing them in turns.  The lock file is removed while it is locked, so whoever has locked one that is
no longer there under its name begins again.

Nobody can connect before the socket has its mode and group: it is created with its mode, and listens only when all is set.  The group
is given to the very object that was looked at, by its descriptor: what somebody puts under the name meanwhile gets nothing.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import stat
from typing import Optional, Tuple, Union

from netmgr.values.named_tuple import NamedTuple
from netmgr.values.text import reason

PATH_LIMIT = 107
BACKLOG = 128
NO_GROUP = 0xFFFFFFFF       # which chown() takes for "as it is"


class Listener(NamedTuple):
    """A listening socket.  `group` is the one whose members may give every command.

    `file` is (path, st_dev, st_ino) of a socket that was bound here, None of one that systemd passed and owns.
    """

    socket: socket.socket
    group: Optional[int]
    file: Optional[Tuple[str, int, int]]

    def close(self) -> None:
        """Stop listening; remove the file if it was made here and nobody else has put another in its place.

        A file that cannot be removed is a dead socket, which the next daemon replaces.
        """
        if self.file is not None and _identity(self.file[0]) == self.file[1:]:
            with contextlib.suppress(OSError):
                os.unlink(self.file[0])
        self.socket.close()


def adopt(fd: int) -> Listener:
    """The socket that systemd passed.  OSError when it is not one to accept connections from."""
    passed = socket.socket(fileno=fd)
    listening = passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if (passed.family, passed.type, listening) != (socket.AF_UNIX, socket.SOCK_STREAM, 1):
        passed.detach()
        raise OSError("the socket that was passed as descriptor %d is not a listening Unix stream socket" % fd)
    passed.setblocking(False)
    return Listener(passed, _group_of(passed.getsockname()), None)


def listen(path: str, mode: int, group: Optional[str]) -> Listener:
    """Bind `path`, in place of a dead socket if there is one.  `group` is a name or a number; None leaves it as it comes.

    OSError, with a message for people, when that cannot be: another daemon answers there or is starting, something that is no
    socket is in the way, the directory is missing, the group is unknown, a permission lacks.
    """
    if len(os.fsencode(path)) > PATH_LIMIT:
        raise OSError("the socket path %s is longer than %d bytes" % (path, PATH_LIMIT))
    gid = -1 if group is None else _group_id(group)
    try:
        lock = _lock(path + ".lock")
    except FileNotFoundError:
        raise OSError("cannot make the socket %s: there is no such directory" % path) from None
    except OSError as error:
        raise OSError("cannot make the socket %s: %s" % (path, reason(error))) from None
    try:
        _clear_the_way(path)
        return _bind(path, mode, gid)
    finally:
        os.unlink(path + ".lock")
        os.close(lock)


def _group_of(name: Union[str, bytes]) -> Optional[int]:
    """The group of a socket's file; None without a file, which is how abstract names (bytes) come."""
    try:
        return os.stat(name).st_gid if isinstance(name, str) else None
    except FileNotFoundError:
        return None


def _group_id(group: str) -> int:
    if group.isascii() and group.isdecimal() and int(group) < NO_GROUP:
        return int(group)
    import grp
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise OSError("the group %s of the socket is unknown" % group) from None


def _lock(path: str) -> int:
    while True:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise OSError("another daemon is starting there") from None
        status = os.fstat(lock)
        if _identity(path) == (status.st_dev, status.st_ino):
            return lock
        os.close(lock)


def _identity(path: str) -> Optional[Tuple[int, int]]:
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _clear_the_way(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError("%s is in the way: it is not a socket" % path)
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        refusal = probe.connect_ex(path)
    if refusal in (0, errno.EAGAIN):
        raise OSError("another daemon answers at %s" % path)
    if refusal != errno.ECONNREFUSED:
        raise OSError("cannot tell who uses the socket %s: %s" % (path, os.strerror(refusal)))
    os.unlink(path)


def _bind(path: str, mode: int, gid: int) -> Listener:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    bound = False
    try:
        _bind_with_mode(listener, path, mode)
        bound = True
        status = _give(path, gid)
        listener.listen(BACKLOG)
        listener.setblocking(False)
        return Listener(listener, status.st_gid, (path, status.st_dev, status.st_ino))
    except OSError as error:
        if bound:
            os.unlink(path)
        listener.close()
        raise OSError("cannot make the socket %s: %s" % (path, reason(error))) from None


def _bind_with_mode(listener: socket.socket, path: str, mode: int) -> None:
    """The file gets the mode of the socket's descriptor, less the umask."""
    os.fchmod(listener.fileno(), mode)
    before = os.umask(0)
    try:
        listener.bind(path)
    finally:
        os.umask(before)


def _give(path: str, gid: int) -> os.stat_result:
    """Put the socket into this group (-1: as it is), and into no other place what is no socket; its status."""
    opened = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.fstat(opened).st_mode):
            raise OSError("something else was put in its place")
        if gid >= 0:
            os.chown("/proc/self/fd/%d" % opened, -1, gid)
        return os.fstat(opened)
    finally:
        os.close(opened)
