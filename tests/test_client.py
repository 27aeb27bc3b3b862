"""The command line's end of the control socket: answers, nobody there, servers that are not netmgr."""

import contextlib
import os
import select
import socket
import sys
from pathlib import Path
from typing import Callable, Iterator, List

import pytest

from netmgr.io import client
from netmgr.io.client import ask
from netmgr.io.control import CLIENT_LIMIT
from netmgr.show.answers import Status
from netmgr.show.answers_json import status_json
from netmgr.values.errors import ProtocolError
from tests.control_bench import Bench
from tests.waiting import PATIENCE


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def test_ask(bench: Bench) -> None:
    script = "import sys\nfrom netmgr.io.client import ask\nsys.stdout.write(ask(sys.argv[1], sys.argv[2], %g))" % PATIENCE
    bench.status_value = Status(config="x" * 3000000)
    for line, answer in (("ping", "PONG\n"), ("status json", status_json(bench.status_value) + "\n")):
        assert bench.run([sys.executable, "-c", script, bench.path, line]).stdout == answer
    for _number in range(CLIENT_LIMIT):
        bench.connect()
    bench.until(lambda: len(bench.server.clients) == CLIENT_LIMIT)
    assert bench.run([sys.executable, "-c", script, bench.path, "ping"]).stdout.startswith("ERROR: there are 64 clients")


def test_nobody_to_ask(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with pytest.raises(FileNotFoundError):
        ask(path, "ping", 5)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        with pytest.raises(ConnectionRefusedError):
            ask(path, "ping", 5)
        listener.listen(0)
        with pytest.raises(TimeoutError, match=r"no answer within 0\.05 seconds"):
            ask(path, "ping", 0.05)
        with pytest.raises(TimeoutError):
            ask(path, "the queue is full", 0.05)


def served(tmp_path: Path, child: Callable[[socket.socket], None]) -> Iterator[str]:
    """The path of a socket at which somebody else than netmgr serves one connection."""
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen()
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(OSError):
                child(listener.accept()[0])
            os._exit(0)
        yield path
        os.waitpid(pid, 0)


def test_an_answer_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flood(connection: socket.socket) -> None:
        while True:
            connection.sendall(bytes(65536))
    monkeypatch.setattr(client, "ANSWER_LIMIT", 1 << 20)
    for path in served(tmp_path, flood):
        with pytest.raises(ProtocolError, match="does not end"):
            ask(path, "ping", PATIENCE)


def test_an_answer_that_trickles_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def trickle(connection: socket.socket) -> None:
        while True:
            connection.sendall(b"x")
            select.select([], [], [], 0.01)
    monkeypatch.setattr(client, "LONGEST", 0.05)
    for path in served(tmp_path, trickle):
        with pytest.raises(ProtocolError, match="does not end"):
            ask(path, "ping", PATIENCE)


def test_a_late_answer_is_announced_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader_and_writer = os.pipe()
    told: List[int] = []

    def late(connection: socket.socket) -> None:
        os.read(reader_and_writer[0], 1)
        connection.sendall(b"PONG\n")

    def slow() -> None:
        told.append(1)
        os.write(reader_and_writer[1], b"x")
    monkeypatch.setattr(client, "SLOW_SECONDS", 0.05)
    for path in served(tmp_path, late):
        assert ask(path, "ping", PATIENCE, slow) == "PONG\n"
    assert told == [1]
    for descriptor in reader_and_writer:
        os.close(descriptor)


def test_a_rest_within_an_answer_may_be_longer_than_until_it_is_announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def in_two_pieces(connection: socket.socket) -> None:
        connection.sendall(b"PO")
        select.select([], [], [], 0.5)      # the rest
        connection.sendall(b"NG\n")
    monkeypatch.setattr(client, "SLOW_SECONDS", 0.1)
    for path in served(tmp_path, in_two_pieces):
        assert ask(path, "ping", PATIENCE) == "PONG\n"


def test_an_answer_that_ends_in_the_middle(tmp_path: Path) -> None:
    """For one that is stopped while it answers; nobody should take that for all."""
    for path in served(tmp_path, lambda connection: connection.sendall(b'{"schema": 1, "sets": [')):
        with pytest.raises(ConnectionError, match="in the middle of the answer"):
            ask(path, "sets json", PATIENCE)


@pytest.mark.parametrize("reset", [False, True])
def test_a_daemon_that_dies_while_asked(tmp_path: Path, reset: bool) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        child = os.fork()
        if child == 0:
            connection, _address = listener.accept()
            if not reset:
                connection.recv(100, socket.MSG_WAITALL)
            os._exit(0)
        try:
            with pytest.raises(ConnectionError):
                ask(str(tmp_path / "socket"), "ping", PATIENCE)
        finally:
            os.waitpid(child, 0)
