"""Who gets the path of the control socket, with which mode and group, and who removes it."""

import contextlib
import fcntl
import grp
import os
import signal
import socket
import stat
from pathlib import Path
from typing import Iterator, List, NoReturn

import pytest

from netmgr.io.listener import Listener, adopt, listen
from tests.control_bench import Bench


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "socket"


@pytest.fixture
def listening(path: Path) -> Iterator[Listener]:
    made = listen(str(path), 0o600, None)
    yield made
    made.socket.close()


def dead_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(path))


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
def test_mode_and_group(path: Path, mode: int) -> None:
    previous = os.umask(0o077)
    try:
        made = listen(str(path), mode, str(os.getegid()))
    finally:
        os.umask(previous)
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert made.group == path.stat().st_gid == os.getegid()
    assert not made.socket.get_inheritable() and not made.socket.getblocking()
    assert os.listdir(path.parent) == ["socket"], "no lock file is left"
    made.close()
    assert os.listdir(path.parent) == []


def test_a_group_by_name(path: Path) -> None:
    name = grp.getgrgid(os.getegid()).gr_name
    made = listen(str(path), 0o660, name)
    assert made.group == os.getegid()
    made.close()
    with pytest.raises(OSError, match="the group no-such-group of the socket is unknown"):
        listen(str(path), 0o660, "no-such-group")
    assert os.listdir(path.parent) == []


def test_nobody_can_connect_before_all_is_set(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: List[str] = []

    def chown(name: str, _uid: int, gid: int) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as early, pytest.raises(ConnectionRefusedError):
            early.connect(str(path))
        seen.append("%s %d" % (oct(stat.S_IMODE(os.stat(name).st_mode)), gid))
    previous = os.umask(0o077)
    monkeypatch.setattr(os, "chown", chown)
    try:
        listen(str(path), 0o666, "0").close()
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(previous)
    assert seen == ["0o666 0"]


@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_is_put_in_between_gets_neither_mode_nor_group(path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    victim = path.parent / "precious"
    victim.write_text("")
    before, changed = victim.stat(), []
    monkeypatch.setattr(os, "chown", lambda *arguments: changed.append(arguments))
    bind = socket.socket.bind

    def bind_and_swap(made: socket.socket, name: str) -> None:
        bind(made, name)
        path.unlink()
        (os.symlink if kind == "link" else os.link)(victim, path)
    monkeypatch.setattr(socket.socket, "bind", bind_and_swap)
    with pytest.raises(OSError, match=r"cannot make the socket .*: something else was put in its place"):
        listen(str(path), 0o666, str(os.getegid()))
    after = victim.stat()
    assert (after.st_mode, after.st_gid) == (before.st_mode, before.st_gid) and changed == []


def test_a_stale_socket_is_replaced(path: Path) -> None:
    dead_socket(path)
    listen(str(path), 0o600, None).close()
    assert not path.exists()


def test_a_live_socket_is_left_alone(path: Path, listening: Listener) -> None:
    before = path.stat().st_ino
    with pytest.raises(OSError, match=r"another daemon answers at .*/socket"):
        listen(str(path), 0o600, None)
    with contextlib.ExitStack() as clients:
        refusal = 0
        while not refusal:
            client = clients.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            client.setblocking(False)
            refusal = client.connect_ex(str(path))
        with pytest.raises(OSError, match=r"another daemon answers at .*/socket"):
            listen(str(path), 0o600, None)
    assert path.stat().st_ino == before


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_is_no_socket_stays(path: Path, kind: str) -> None:
    if kind == "file":
        path.write_text("precious")
    elif kind == "directory":
        path.mkdir()
    else:
        dead_socket(path.parent / "elsewhere")
        path.symlink_to(path.parent / "elsewhere")
    before = path.lstat()
    with pytest.raises(OSError, match="it is not a socket"):
        listen(str(path), 0o600, None)
    assert path.lstat() == before


def test_a_socket_of_another_kind_stays(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        with pytest.raises(OSError, match="cannot tell who uses the socket"):
            listen(str(path), 0o600, None)
    assert path.exists()


def test_impossible_paths(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no such directory"):
        listen(str(tmp_path / "missing" / "socket"), 0o600, None)
    with pytest.raises(OSError, match="longer than 107 bytes"):
        listen("/tmp/" + "é" * 52, 0o600, None)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="Not a directory"):
        listen(str(tmp_path / "file" / "socket"), 0o600, None)


def test_the_longest_path(tmp_path: Path) -> None:
    previous = os.getcwd()
    os.chdir(tmp_path)
    try:
        listen("s" * 107, 0o600, None).close()
    finally:
        os.chdir(previous)


def test_a_failure_after_the_bind_leaves_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")
    monkeypatch.setattr(os, "chown", refuse)
    with pytest.raises(OSError, match=r"cannot make the socket .*: Operation not permitted"):
        listen(str(path), 0o600, "0")
    assert os.listdir(path.parent) == []


def test_another_one_is_just_starting(path: Path) -> None:
    lock = path.parent / "socket.lock"
    with lock.open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="another daemon is starting there"):
            listen(str(path), 0o600, None)
    listen(str(path), 0o600, None).close()
    assert os.listdir(path.parent) == [], "a lock file that a killed daemon left is no obstacle"


@pytest.mark.parametrize("left_behind", [False, True])
def test_of_many_that_start_at_once_one_wins(path: Path, left_behind: bool) -> None:
    for _round in range(10):
        if left_behind:
            dead_socket(path)
        assert race(str(path), 6) == 1
        path.unlink()


def compete(path: str, gate: int, result: int) -> NoReturn:
    try:
        os.read(gate, 1)
        made = listen(path, 0o600, None)
        os.write(result, b"w")
        signal.pause()
        made.close()
    except OSError:
        os.write(result, b"l")
    finally:
        os._exit(0)


def race(path: str, number: int) -> int:
    """How many of `number` processes that begin at the same moment have the socket at the end."""
    gate, opened = os.pipe()
    results, result = os.pipe()
    children: List[int] = []
    for _child in range(number):
        child = os.fork()
        if child == 0:
            os.close(opened)
            compete(path, gate, result)
        children.append(child)
    os.close(gate)
    os.close(opened)
    outcome = b""
    while len(outcome) < number:
        outcome += os.read(results, number)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    os.close(results)
    os.close(result)
    return outcome.count(b"w")


def test_only_our_own_file_is_removed(path: Path, listening: Listener) -> None:
    path.unlink()
    dead_socket(path)
    listening.close()
    assert path.exists()
    path.unlink()
    made = listen(str(path), 0o600, None)
    path.unlink()
    made.close()


def test_a_passed_socket_is_used_and_left(path: Path) -> None:
    passed = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    passed.bind(str(path))
    os.chown(path, -1, os.getegid())
    passed.listen()
    bench = Bench(listener=adopt(passed.detach()))
    bench.path = str(path)
    assert bench.server.listener.group == os.getegid()
    assert bench.converse(b"ping\n") == b"PONG\n"
    bench.close()
    assert path.exists()


def test_a_passed_socket_without_a_file() -> None:
    passed = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    passed.bind("")
    passed.listen()
    adopted = adopt(passed.detach())
    assert adopted.group is None
    adopted.close()


def test_what_is_passed_and_cannot_serve() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent, \
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as internet, open(os.devnull) as file:
        for fd in (datagrams.fileno(), silent.fileno(), internet.fileno()):
            with pytest.raises(OSError, match="is not a listening Unix stream socket"):
                adopt(fd)
            os.fstat(fd)
        with pytest.raises(OSError):
            adopt(file.fileno())


@pytest.mark.parametrize("group", ["4294967295", "99999999999", "\u0663", "no-such-group"])
def test_a_group_that_there_cannot_be(path: Path, group: str) -> None:
    with pytest.raises(OSError, match="the group %s of the socket is unknown" % group):
        listen(str(path), 0o660, group)
    assert not path.exists()
