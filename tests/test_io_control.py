"""The control socket with real clients: order, limits, floods, clients that misbehave, who may do what."""

import json
import os
import random
import resource
import select
import shutil
import socket
from typing import Iterator, List

import pytest

from netmgr.io import control
from netmgr.io.control import CLIENT_LIMIT, KEPT_FOR_TRUSTED, USER_SHARE
from netmgr.io.peer import OVERFLOW_ID, Peer, peer_of
from netmgr.show import commands
from netmgr.show.answers import Status
from netmgr.show.answers_json import read_status, status_json
from netmgr.values.happenings import Happening
from netmgr.values.replies import Say
from netmgr.values.text import reason
from tests import other_users
from tests.control_bench import Bench
from tests.other_users import FOREIGN_GID, FOREIGN_UID

needs_socat = pytest.mark.skipif(shutil.which("socat") is None, reason="socat is not installed; `.ci/setup` does that")
needs_other_users = pytest.mark.skipif(other_users.why_not() is not None or shutil.which("socat") is None,
                                       reason=other_users.why_not() or "socat is not installed; `.ci/setup` does that")

SOCKET_GID = 54323
DENIED = "ERROR: reload is only for root, the daemon's own user and members of the socket's group\n"


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


@pytest.fixture
def open_bench() -> Iterator[Bench]:
    """Everybody may connect."""
    made = Bench(0o666, str(SOCKET_GID))
    yield made
    made.close()


def clients(bench: Bench) -> int:
    return len(bench.server.clients)


def waiting(bench: Bench) -> List[int]:
    """Bytes that wait for each client."""
    return [len(client.output) for client in bench.server.clients.values()]


def test_lines_are_answered_in_order_and_the_end_is_the_end(bench: Bench) -> None:
    bench.status_value = Status(config="x" * 500000)
    reply = bench.converse(b"ping\nstatus json\r\n\nnonsense\nversion\nPING")
    first, status, unknown, version, last = reply.decode().splitlines()
    assert (first, last) == ("PONG", "PONG")
    assert read_status(status) == bench.status_value
    assert unknown.startswith('ERROR: unknown command "nonsense"')
    assert version.startswith("netmgr ")
    bench.until(lambda: not clients(bench))


def test_nothing_asked_nothing_answered(bench: Bench) -> None:
    assert bench.converse(b"") == b""
    assert bench.converse(b"\n\r\n  ") == b""


def test_an_open_connection_serves_on(bench: Bench) -> None:
    client = bench.connect()
    for _round in range(3):
        client.sendall(b"ping\n")
        assert bench.read(client, 5) == b"PONG\n"


def test_byte_by_byte(bench: Bench) -> None:
    client = bench.connect()
    for byte in b"ping\r\nversion\n":
        client.sendall(bytes([byte]))
        bench.loop.turn(0.01)
    client.shutdown(socket.SHUT_WR)
    assert bench.read(client).startswith(b"PONG\nnetmgr ")


@pytest.mark.parametrize("seed", range(10))
def test_garbage_is_answered_or_cut_off_and_changes_nothing(bench: Bench, seed: int) -> None:
    generator = random.Random(seed)
    client = bench.connect()
    for _piece in range(50):
        try:
            client.send(generator.randbytes(generator.randrange(2000)))
        except (BrokenPipeError, BlockingIOError):
            break
        bench.loop.turn(0)
    client.close()
    bench.until(lambda: not clients(bench))
    assert bench.asked == []
    assert bench.converse(b"ping") == b"PONG\n"


def test_an_endless_line_is_cut_off(bench: Bench) -> None:
    client = bench.connect(b"ping\n")
    sent = 0
    with pytest.raises(BrokenPipeError):
        while sent < 100000000:
            if select.select([], [client], [], 0)[1]:
                sent += client.send(b"x" * 65536)
            bench.loop.turn(0.01)
    assert bench.read(client) == b"PONG\nERROR: line longer than 4096 bytes\n"
    assert clients(bench) == 0


def test_a_long_line_that_ends_gets_its_error_without_a_reset(bench: Bench) -> None:
    assert bench.converse(b"x" * 60000 + b"\nping\n") == b"ERROR: line longer than 4096 bytes\n"


def test_a_flood_gets_one_answer_a_turn(bench: Bench) -> None:
    flood = bench.connect(b"status json\n" * 8000)
    bench.until(lambda: bench.asked)
    for _turn in range(20):
        before = len(bench.asked)
        bench.loop.turn(0)
        assert len(bench.asked) <= before + 1
    assert bench.converse(b"ping\n") == b"PONG\n"
    assert len(bench.asked) < 8000, "the other client did not wait for the flood"
    flood.shutdown(socket.SHUT_WR)
    assert bench.read(flood).count(b"\n") == 8000


def test_one_answer_at_most_waits_for_a_client_that_does_not_read(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.status_value = Status(config="x" * 3000000)
    size = len(status_json(bench.status_value)) + 1
    silent = bench.connect(b"status json\n" * 1000)
    bench.until(lambda: bench.asked)
    for _turn in range(50):
        bench.loop.turn(0)
    assert bench.asked == ["status"]
    assert 0 < waiting(bench)[0] < size
    assert bench.converse(b"ping\n") == b"PONG\n"
    silent.close()
    bench.until(lambda: not clients(bench))
    assert bench.asked == ["status"], "what nobody waits for is not worked out"


def test_a_client_that_reads_late_gets_all(bench: Bench) -> None:
    bench.status_value = Status(config="x" * 3000000)
    client = bench.connect(b"status json\nping\n")
    client.shutdown(socket.SHUT_WR)
    bench.until(lambda: waiting(bench) != [0])
    reply = bench.read(client)
    assert read_status(reply[:-5].decode()) == bench.status_value
    assert reply[-5:] == b"PONG\n"


def test_clients_that_leave_at_once(bench: Bench) -> None:
    bench.status_value = Status(config="x" * 1000000)
    for data in (b"", b"ping", b"status json\n", b"status json\n" * 100):
        for linger in (False, True):
            client = bench.connect(data)
            if linger:
                bench.loop.turn(0.01)
                bench.loop.turn(0.01)
            client.close()
    bench.until(lambda: not clients(bench))
    assert bench.converse(b"ping\n") == b"PONG\n"


def test_one_client_too_many(bench: Bench) -> None:
    admitted = [bench.connect() for _number in range(CLIENT_LIMIT)]
    bench.until(lambda: clients(bench) == CLIENT_LIMIT)
    assert bench.read(bench.connect(b"ping\n")) == b"ERROR: there are 64 clients already, try later\n"
    for client in admitted:
        client.sendall(b"ping\n")
        assert bench.read(client, 5) == b"PONG\n"
    admitted[0].close()
    bench.until(lambda: clients(bench) == CLIENT_LIMIT - 1)
    assert bench.converse(b"ping\n") == b"PONG\n"


def test_places_are_kept_for_root_and_the_own_user_and_each_other_has_a_share(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    users = iter([1000] * (USER_SHARE + 1) + list(range(2000, 2100)))
    monkeypatch.setattr(control, "peer_of", lambda _connection: Peer(1, next(users), (7,)))
    for _number in range(USER_SHARE):
        bench.connect()
    bench.until(lambda: clients(bench) == USER_SHARE)
    assert bench.read(bench.connect()) == b"ERROR: this user has 32 clients already, try later\n"
    for _number in range(CLIENT_LIMIT - KEPT_FOR_TRUSTED - USER_SHARE):
        bench.connect()
    bench.until(lambda: clients(bench) == CLIENT_LIMIT - KEPT_FOR_TRUSTED)
    assert bench.read(bench.connect()) == b"ERROR: there are 56 clients already, try later\n"
    monkeypatch.setattr(control, "peer_of", peer_of)
    for _number in range(KEPT_FOR_TRUSTED):
        bench.connect()
    bench.until(lambda: clients(bench) == CLIENT_LIMIT)
    assert bench.read(bench.connect()) == b"ERROR: there are 64 clients already, try later\n"


def test_a_crowd_gets_its_answers_between_the_turns_of_the_loop(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each answer takes longer than the time for answers, so between any two of them other things happen."""
    monkeypatch.setattr(control, "ANSWERING_SECONDS", 0)
    crowd = [bench.connect(b"status json\n") for _number in range(50)]
    bench.until(lambda: bench.asked)
    while len(bench.asked) < 50:
        before = len(bench.asked)
        bench.loop.turn(0)
        assert len(bench.asked) <= before + 1
    for client in crowd:
        client.shutdown(socket.SHUT_WR)
        assert b'"state": "ready"' in bench.read(client)


def test_an_answer_may_come_later(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "IDLE_SECONDS", 0.05)
    pending: List[Say] = []
    bench.pending = pending
    patient, leaving = bench.connect(b"resync\nping\n"), bench.connect(b"resync\n")
    bench.until(lambda: len(pending) == 2)
    leaving.close()
    idle = bench.connect()
    assert bench.read(idle) == b""
    assert clients(bench) == 2, "who waits for an answer is not idle"
    pending.pop(0)("OK: resynced")
    assert bench.read(patient, 18) == b"OK: resynced\nPONG\n"
    pending.pop()("OK: too late")
    bench.until(lambda: not clients(bench))


def test_a_client_that_was_closed_gets_no_answer(bench: Bench) -> None:
    pending: List[Say] = []
    bench.pending = pending
    bench.connect(b"resync\n")
    bench.until(lambda: pending)
    for client in list(bench.server.clients.values()):
        client.close()
    pending.pop()("OK: too late")
    assert bench.converse(b"ping\n") == b"PONG\n"


def test_a_client_that_cannot_be_closed_is_gone_all_the_same(bench: Bench) -> None:
    """Else it would be idle for ever, and the deadline of the idle always over."""
    bench.connect()
    bench.until(lambda: clients(bench) == 1)
    ((descriptor, client),) = bench.server.clients.items()
    os.close(descriptor)
    client.close()
    assert clients(bench) == 0


def test_idle_clients_go_and_busy_ones_stay(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "IDLE_SECONDS", 0.2)
    bench.status_value = Status(config="x" * 3000000)
    idle, trickling, silent, busy = bench.connect(), bench.connect(), bench.connect(b"status json\n"), bench.connect()
    bench.until(lambda: clients(bench) == 4)

    def only_one_left() -> bool:
        busy.sendall(b"ping\n")
        assert bench.read(busy, 5) == b"PONG\n"
        if select.select([trickling], [], [], 0)[0] == []:
            trickling.send(b"x")
        return clients(bench) == 1
    bench.until(only_one_left)
    assert bench.read(idle) == b""
    assert len(bench.read(silent)) < 3000000
    busy.close()
    bench.until(lambda: not bench.loop.deadlines())


def test_out_of_descriptors(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "ACCEPT_PAUSE", 0.05)
    client = bench.connect(b"ping\n")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        bench.until(lambda: bench.server.listener.socket.fileno() not in bench.loop.watched)         # nothing to spin on
        pauses = bench.loop.deadlines()
        bench.until(lambda: set(bench.loop.deadlines()) - set(pauses))      # a second attempt, and another pause
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert bench.read(client, 5) == b"PONG\n"
    assert bench.logged == [("warning", "cannot accept control connections: Too many open files")]


@needs_socat
def test_socat(bench: Bench) -> None:
    address = "UNIX-CONNECT:" + bench.path
    assert bench.run(["socat", "-", address], "status json\n").stdout == status_json(bench.status_value) + "\n"
    assert bench.run(["socat", "-", address], "ping").stdout == "PONG\n"
    assert bench.run(["socat", "-", address], "ping\nreload\n").stdout == "PONG\nOK: nothing had to change\n"
    endless = bench.run(["sh", "-c", "yes | tr -d '\\n' | socat - " + address])
    assert "ERROR: line longer than 4096 bytes" in endless.stdout or "Broken pipe" in endless.stderr
    assert bench.run(["socat", "-", address], "ping\n").stdout == "PONG\n"


def test_shutdown_is_answered(bench: Bench) -> None:
    assert bench.converse(b"shutdown\nping\n") == b"OK: stopping\nPONG\n"
    assert [line for line in bench.logged if "shutdown asked for by pid %d, uid %d" % (os.getpid(), os.geteuid()) in line[1]]


def test_close_ends_all(bench: Bench) -> None:
    open_one, sending = bench.connect(), bench.connect(b"status json\n" * 100)
    bench.until(lambda: clients(bench) == 2)
    bench.server.close()
    assert bench.loop.watched == {}
    assert bench.read(open_one) == b""
    bench.read(sending)
    assert not os.path.exists(bench.path)
    with pytest.raises(FileNotFoundError):
        bench.connect()


def test_a_service_that_closes_the_server_while_answering(bench: Bench) -> None:
    def reload(reply: Say) -> None:
        bench.server.close()
        reply("OK: gone")
    bench.reload = reload  # type: ignore[method-assign]
    assert bench.converse(b"reload\nping\n") == b""
    assert bench.loop.watched == {}


def as_other(*groups: int, primary: int = FOREIGN_GID) -> List[str]:
    chosen = "--groups=" + ",".join(map(str, groups)) if groups else "--clear-groups"
    return ["setpriv", "--reuid=%d" % FOREIGN_UID, "--regid=%d" % primary, chosen]


def asked_by(bench: Bench, who: List[str]) -> str:
    return bench.run([*who, "socat", "-", "UNIX-CONNECT:" + bench.path], "reload\n").stdout


@needs_other_users
def test_who_may_change_something(open_bench: Bench) -> None:
    assert asked_by(open_bench, as_other()) == DENIED
    assert asked_by(open_bench, as_other(1, 2, 3)) == DENIED
    assert open_bench.asked == []
    reading = open_bench.run([*as_other(), "socat", "-", "UNIX-CONNECT:" + open_bench.path], "ping\nsets json\n")
    assert reading.stdout == 'PONG\n{"schema": 1, "sets": []}\n'
    assert asked_by(open_bench, as_other(primary=SOCKET_GID)).startswith("OK")
    assert asked_by(open_bench, as_other(1, 2, SOCKET_GID)).startswith("OK")
    assert asked_by(open_bench, []).startswith("OK")


@needs_other_users
def test_members_of_very_many_groups(open_bench: Bench) -> None:
    many = range(100000, 100400)
    assert asked_by(open_bench, as_other(*many)) == DENIED
    assert asked_by(open_bench, as_other(*many, SOCKET_GID + 100000)) == DENIED
    assert asked_by(open_bench, as_other(*many, SOCKET_GID)).startswith("OK")


@needs_other_users
def test_the_mode_keeps_strangers_out(bench: Bench) -> None:
    assert "Permission denied" in bench.run([*as_other(), "socat", "-", "UNIX-CONNECT:" + bench.path], "ping\n").stderr


def test_the_peer_is_who_connected() -> None:
    near, far = socket.socketpair()
    with near, far:
        peer = peer_of(near)
    assert (peer.pid, peer.uid, peer.groups[0]) == (os.getpid(), os.geteuid(), os.getegid())
    assert set(peer.groups[1:]) == set(os.getgroups())


def test_privileges() -> None:
    assert Peer(1, 0, (7,)).privileged(None)
    assert Peer(1, os.geteuid(), (7,)).privileged(None)
    stranger = Peer(1, os.geteuid() + 1, (7, 8))
    assert stranger.privileged(8)
    assert not stranger.privileged(9)
    assert not stranger.privileged(None)


def test_who_is_not_mapped_has_no_privileges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: OVERFLOW_ID)
    unmapped = Peer(1, OVERFLOW_ID, (OVERFLOW_ID,))
    assert not unmapped.privileged(OVERFLOW_ID) and not unmapped.trusted
    assert Peer(1, OVERFLOW_ID, (OVERFLOW_ID, 8)).privileged(8)


def test_an_answer_in_pieces_goes_as_fast_as_it_is_read(bench: Bench) -> None:
    made: List[int] = []

    def pieces() -> Iterator[str]:
        for number in range(1000):
            made.append(number)
            yield "%d %s\n" % (number, "x" * 5000)

    bench.instead = pieces()
    slow = bench.connect(b"sets\n")
    bench.until(lambda: made)
    for _ in range(200):
        bench.loop.turn(0)
    assert len(made) < 200, "nobody reads: the next piece is not made before the one before has gone"
    bench.instead = "PONG\n"
    assert bench.converse(b"ping\n") == b"PONG\n"
    slow.shutdown(socket.SHUT_WR)
    lines = bench.read(slow).splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(1000))


def test_pieces_of_several_take_turns(bench: Bench) -> None:
    order: List[str] = []

    def pieces(who: str) -> Iterator[str]:
        for _ in range(3):
            order.append(who)
            yield who

    waiting = [pieces("a"), pieces("b")]
    first, second = bench.connect(), bench.connect()
    for client in (first, second):
        bench.instead = waiting.pop(0)
        client.sendall(b"sets\n")
        count = len(order)
        bench.until(lambda count=count: len(order) > count)      # type: ignore[misc]
    for client in (first, second):
        client.shutdown(socket.SHUT_WR)
    assert (bench.read(first), bench.read(second)) == (b"aaa", b"bbb")


def following(bench: Bench) -> socket.socket:
    client = bench.connect(b"watch json\n")
    bench.until(lambda: bench.listeners)
    return client


def tell(bench: Bench, number: int, size: int = 10) -> None:
    for listener in list(bench.listeners):
        listener(Happening("reload", "t%d" % number, error="x" * size))


def test_who_watches_is_told_until_he_goes(bench: Bench) -> None:
    client = following(bench)
    for number in range(3):
        tell(bench, number)
    told = b""
    while told.count(b"\n") < 3:
        told += bench.read(client, 1)
    assert [json.loads(each)["time"] for each in told.splitlines()] == ["t0", "t1", "t2"]
    client.close()
    bench.until(lambda: not bench.listeners)
    assert clients(bench) == 0


def test_who_watches_may_end_his_side_and_is_not_idle(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "IDLE_SECONDS", 0.05)
    client = following(bench)
    client.shutdown(socket.SHUT_WR)
    other = bench.connect()
    assert bench.read(other) == b"", "who says nothing is dropped"
    turns = len(bench.loop.deadlines())
    for _ in range(50):
        bench.loop.turn(0)
    assert len(bench.loop.deadlines()) <= turns + 1
    tell(bench, 1)
    assert b"t1" in bench.read(client, 50)
    client.close()
    bench.until(lambda: not bench.listeners)


def test_who_does_not_read_what_happens_gets_a_last_line(bench: Bench) -> None:
    client = following(bench)
    for number in range(100_000):
        tell(bench, number, 100)
        if not bench.listeners:
            break
    assert not bench.listeners, "dropped"
    waiting = sum(len(each.output) for each in bench.server.clients.values())
    assert waiting < control.WAITING_LIMIT + 1000
    lines = bench.read(client).splitlines()
    assert lines[-1].startswith(b"ERROR: more than 1048576 bytes wait to be read")
    assert [json.loads(each)["time"] for each in lines[:-1]] == ["t%d" % number for number in range(len(lines) - 1)]


@pytest.mark.parametrize("problem", [OSError(24, "Too many open files"), ModuleNotFoundError("No module named 'json'")])
def test_what_an_answer_lacks_costs_this_answer_only(bench: Bench, monkeypatch: pytest.MonkeyPatch, problem: Exception) -> None:
    def fail(*_arguments: object) -> None:
        raise problem
    with monkeypatch.context() as patch:
        patch.setattr(commands, "answer", fail)
        assert bench.converse(b"status").decode() == "ERROR: there is no answer to be had now: %s\n" % reason(problem)
    assert bench.converse(b"ping") == b"PONG\n"
