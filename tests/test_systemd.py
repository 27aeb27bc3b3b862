"""What systemd says by its environment, and what it is told; the log's form."""

import os
import socket
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Callable, Iterator, List, Optional

import pytest

from netmgr.io import systemd
from netmgr.io.log import Log
from tests.waiting import PATIENCE


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(PATIENCE)
        yield listener


def never(_delay: float, _callback: Callable[[], None]) -> None:
    """Nothing has to be sent again."""
    raise AssertionError


def test_notify_by_path(manager: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager.bind(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    systemd.notify("READY=1", "STATUS=two\nlines, é, \udcff")
    assert manager.recv(1000) == "READY=1\nSTATUS=two lines, é, \\udcff".encode()


def test_notify_by_abstract_name(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    manager.bind("")
    name = manager.getsockname()
    assert name.startswith(b"\0")
    monkeypatch.setenv("NOTIFY_SOCKET", "@" + name[1:].decode())
    systemd.notify("STOPPING=1")
    assert manager.recv(1000) == b"STOPPING=1"


@pytest.mark.parametrize("address", [None, "", "vsock:2:1", "relative", "/nowhere/notify", "/" + "x" * 200, "@nobody"])
def test_nobody_to_notify(address: Optional[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if address is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    before = os.listdir("/proc/self/fd")
    systemd.notify("READY=1")
    assert os.listdir("/proc/self/fd") == before


def test_a_manager_that_does_not_read_is_not_waited_for_and_misses_no_news(
        manager: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager.bind(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    manager.setblocking(False)
    later: List[Callable[[], None]] = []
    told = systemd.Manager(lambda: 100.0, lambda: "well", lambda _delay, again: later.append(again))
    filled = 0
    while systemd.notify("WATCHDOG=1"):
        filled += 1
    told.news("RELOADING=1")
    told.news("READY=1")
    assert len(later) == 1
    later.pop()()
    assert len(later) == 1
    assert [manager.recv(1000) for _message in range(filled)] == [b"WATCHDOG=1"] * filled
    later.pop()()
    assert [manager.recv(1000), manager.recv(1000)] == [b"RELOADING=1\nSTATUS=well", b"READY=1\nSTATUS=well"]
    assert later == []


def test_the_status_is_told_once_a_second_and_news_at_once(
        manager: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manager.bind(str(tmp_path / "notify"))
    manager.setblocking(False)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    now, said = [100.0], ["none"]
    told = systemd.Manager(lambda: now[0], lambda: said[0], never)

    def heard() -> List[str]:
        messages = []
        with pytest.raises(BlockingIOError):
            while True:
                messages.append(manager.recv(1000).decode())
        return messages

    told.news("READY=1")
    assert (heard(), told.deadline()) == (["READY=1\nSTATUS=none"], None)
    for number in range(5):
        now[0], said[0] = now[0] + 0.1, "%d sets" % number
        told.look()
    assert (heard(), told.deadline()) == ([], 100.0 + systemd.STATUS_REST)
    now[0] = 100.0 + systemd.STATUS_REST
    told.look()
    assert (heard(), told.deadline()) == (["STATUS=4 sets"], None)
    now[0] += 60
    told.look()
    assert (heard(), told.deadline()) == ([], None)
    told.news("RELOADING=1")
    assert heard() == ["RELOADING=1\nSTATUS=4 sets"]


def test_without_a_manager_no_status_is_worked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    answers = iter(["not to be asked for"])
    told = systemd.Manager(lambda: 100.0, lambda: next(answers), never)
    told.news("READY=1")
    told.look()
    assert (list(answers), told.deadline()) == (["not to be asked for"], None)


RECEIVER = """
import fcntl, os
from netmgr.io import systemd
fds = systemd.listen_fds()
left = [name for name in os.environ if name.startswith("LISTEN_")]
print(fds, [fcntl.fcntl(fd, fcntl.F_GETFD) for fd in fds], left, systemd.listen_fds())
"""


def passed_sockets(count: str, pid: str = "$$") -> str:
    """What a process sees that was started with two descriptors as systemd would pass them."""
    command = 'exec 3</dev/null 4</dev/null; export LISTEN_PID=%s LISTEN_FDS="%s" LISTEN_FDNAMES=a:b; exec "$0" -c "$1"' % (pid, count)
    return subprocess.run(["sh", "-c", command, sys.executable, RECEIVER], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def test_passed_sockets() -> None:
    assert passed_sockets("2") == "[3, 4] [1, 1] [] []"


@pytest.mark.parametrize("count, pid", [("2", "1"), ("2", ""), ("", "$$"), ("-1", "$$"), ("two", "$$"), ("0", "$$")])
def test_sockets_that_are_not_ours(count: str, pid: str) -> None:
    assert passed_sockets(count, pid) == "[] [] [] []"


@pytest.mark.parametrize("usec, pid, seconds", [
    ("30000000", None, 15.0), ("30000000", "own", 15.0), ("30000000", "1", None),
    ("0", None, None), ("soon", None, None), (None, None, None)])
def test_watchdog(usec: Optional[str], pid: Optional[str], seconds: Optional[float], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("WATCHDOG_USEC", usec), ("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert systemd.watchdog_seconds() == seconds


def test_the_stamp_is_on_the_monotonic_clock() -> None:
    before = time.monotonic()
    stamp = systemd.monotonic_usec()
    assert before - 0.001 <= stamp / 1e6 <= time.monotonic() + 0.001


LOGGER = """
import os, sys
from netmgr.io import systemd
from netmgr.io.log import Log
if sys.argv[1:] == ["journal"]:
    status = os.fstat(2)
    os.environ["JOURNAL_STREAM"] = "%d:%d" % (status.st_dev, status.st_ino)
log = Log("info", systemd.started_by_systemd())
for level in ("error", "warning", "info", "debug"):
    log(level, "line of " + level)
log.level = "error"
log("warning", "not any more")
log("error", "two\\nlines \\x1b[31m \\udcff é")
"""


def logged(*arguments: str) -> str:
    environment = {**os.environ, "JOURNAL_STREAM": "8:1", "INVOCATION_ID": "inherited"}
    process = subprocess.run([sys.executable, "-c", LOGGER, *arguments], check=True, stderr=subprocess.PIPE, env=environment)
    return process.stderr.decode()


def test_the_log_in_the_journal() -> None:
    assert logged("journal").splitlines() == [
        "<3>line of error", "<4>line of warning", "<6>line of info", "<3>two\\nlines \\x1b[31m \\udcff é"]


def test_the_log_on_a_terminal() -> None:
    lines = [line.split(None, 1) for line in logged().splitlines()]
    assert [text for _time, text in lines] == [
        "error   line of error", "warning line of warning", "info    line of info", "error   two\\nlines \\x1b[31m \\udcff é"]
    assert all(time.strptime(moment, "%H:%M:%S") for moment, _text in lines)


def test_a_log_that_nobody_takes() -> None:
    script = LOGGER + "import signal\nsys.stdout.write('alive')"
    reader, writer = os.pipe()
    os.close(reader)
    gone = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, stderr=writer)
    os.close(writer)
    closed = subprocess.run(["sh", "-c", 'exec 2>&-; exec "$0" -c "$1"', sys.executable, script], check=True, stdout=subprocess.PIPE)
    assert gone.stdout == closed.stdout == b"alive"


FULL = """
import signal, sys
from netmgr.io.log import Log
log, asked = Log('info', True), []
log.full = lambda: asked.append(1)
for number in range(5000): log('info', 'x' * 100)
print(len(asked) > 0, flush=True)
sys.stdin.readline()
log.resume()
log('info', 'the end')
"""


def full_and_read(reader: int, writer: int, lines: int) -> List[bytes]:
    """What comes out of a stderr that nobody reads before 5,000 lines were written to it; `lines` that it took are asserted."""
    child = subprocess.Popen([sys.executable, "-c", FULL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=writer)
    assert child.stdin is not None and child.stdout is not None
    assert child.stdout.readline() == b"True\n"
    received = b""
    while received.count(b"\n") < lines:
        received += os.read(reader, 65536)
    child.stdin.write(b"\n")
    child.stdin.close()
    while not received.endswith(b"the end\n"):
        received += os.read(reader, 65536)
    assert child.wait(PATIENCE) == 0
    child.stdout.close()
    return received.replace(b"\r", b"").split(b"\n")


def assert_counted(lines: List[bytes]) -> None:
    """Each of 5,000 lines was taken whole, or is counted among the lost."""
    taken = [line for line in lines if line == b"<6>" + b"x" * 100]
    lost = 5000 - len(taken)
    assert lost > 0 and taken
    told = b"<4>the log took no lines for a while: %d lines lost" % lost
    assert lines == [*taken, told, b"<6>the end", b""]


def test_a_pipe_that_nobody_reads_loses_lines_and_counts_them() -> None:
    reader, writer = os.pipe()
    assert_counted(full_and_read(reader, writer, 300))
    assert os.get_blocking(writer)
    os.close(reader)
    os.close(writer)


def test_a_stream_that_nobody_reads_loses_lines_and_counts_them() -> None:
    near, far = socket.socketpair()
    with near, far:
        assert_counted(full_and_read(near.fileno(), far.fileno(), 100))
        assert os.get_blocking(far.fileno())


def test_a_terminal_that_is_stopped_loses_lines_and_counts_them() -> None:
    reader, writer = os.openpty()
    termios.tcflow(writer, termios.TCOOFF)
    child = subprocess.Popen([sys.executable, "-c", FULL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=writer)
    assert child.stdin is not None and child.stdout is not None
    assert child.stdout.readline() == b"True\n"
    termios.tcflow(writer, termios.TCOON)
    child.stdin.close()
    received = b""
    while not received.endswith(b"the end\r\n"):
        received += os.read(reader, 65536)
    assert b"<4>the log took no lines for a while: " in received
    child.stdout.close()
    assert child.wait(PATIENCE) == 0
    os.close(reader)
    os.close(writer)


def test_where_stderr_cannot_be_opened_anew_its_room_is_asked_for() -> None:
    reader, writer = os.pipe()
    script = FULL.replace("import signal, sys", "import os, sys\ndef refused(*_): raise PermissionError\nos.open = refused")
    child = subprocess.run([sys.executable, "-c", script], input=b"\n", stdout=subprocess.PIPE, stderr=writer, check=True,
                           timeout=PATIENCE)
    os.close(writer)
    with open(reader, "rb") as file:
        assert set(file.read().split(b"\n")) == {b"<6>" + b"x" * 100, b""}
    assert child.stdout == b"True\n"


def test_an_unknown_level_is_a_bug() -> None:
    with pytest.raises(KeyError):
        Log("info", False)("loud", "")
