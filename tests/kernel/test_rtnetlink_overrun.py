"""The rtnetlink sockets under stress, at the real kernel: overruns, nonsense, dumps that are interrupted or refused."""

import errno
import os
import re
import socket
import struct
from typing import Any, Tuple

import pytest

from netmgr.io.socket_buffers import dropped, idle, memory
from netmgr.values.errors import ProtocolError
from netmgr.values.events import GONE, AddressesSeen
from netmgr.wire import rtnetlink
from netmgr.wire.netlink import NLM_F_DUMP, request
from tests.kernel.observer import Observer, of_link


@pytest.mark.parametrize("buffer_size", [1, 1 << 16])
def test_an_overrun_is_told_and_afterwards_events_arrive_again(observer: Observer, buffer_size: int) -> None:
    observer.listen(buffer_size)
    for last in range(1, 4):
        observer.churn(601)
        observer.lab.run("ip addr add 192.0.2.%d/24 dev eth0" % last)
        drained = observer.events.drain()
        assert (drained.events, drained.lost, drained.more) == ([], "the queue of events overran", False)
        observer.resync()
        observer.lab.run("ip addr del 198.51.100.1/32 dev eth0")
        assert observer.agrees(), "the socket is congested no more"


def test_a_congested_socket_drops_everything_and_does_not_say_so_again(observer: Observer) -> None:
    """Why drain() reads to the end: after the error, and after reading all but one message, nothing new is queued."""
    observer.listen(1 << 16)
    observer.churn(600)
    with socket.socket(fileno=os.dup(observer.events.fileno())) as raw:
        with pytest.raises(OSError, match="No buffer space"):
            raw.recv(1 << 16)
        drops = dropped(memory(raw))
        assert len(raw.recv(1 << 16)) > 0
        observer.churn(20)
        assert dropped(memory(raw)) == drops + 20
        with pytest.raises(BlockingIOError):
            while True:
                raw.recv(1 << 16)
        observer.churn(2)
        assert len(raw.recv(1 << 16)) > 0


def test_a_queue_takes_memory_as_long_as_anything_is_in_it(observer: Observer) -> None:
    """Why drain() need not try to receive again."""
    with socket.socket(fileno=os.dup(observer.events.fileno())) as raw:
        empty = memory(raw)
        observer.churn(3)
        for left in (2, 1, 0):
            assert memory(raw) != empty == idle(memory(raw))
            assert len(raw.recv(1 << 16)) > 0
            assert (memory(raw) == empty) == (left == 0)
        with pytest.raises(BlockingIOError):
            raw.recv(1 << 16)


def test_an_event_between_a_receive_and_the_look_at_the_queue_is_not_left_there(
        observer: Observer, monkeypatch: pytest.MonkeyPatch) -> None:
    def late() -> bytes:
        observer.churn(1)
        monkeypatch.undo()
        return observer.events.memory()

    monkeypatch.setattr(observer.events, "memory", late)
    observer.lab.run("ip addr add 192.0.2.1/24 dev eth0")
    assert observer.agrees()
    assert of_link(observer.follow(), "eth0") >= {"192.0.2.1/24", "198.51.100.1/32"}


def test_what_is_dropped_without_an_error_is_found_by_the_counter(observer: Observer) -> None:
    observer.listen(1)
    observer.churn(600)
    with socket.socket(fileno=os.dup(observer.events.fileno())) as raw, pytest.raises(OSError, match="No buffer space"):
        raw.recv(1 << 16)
    assert re.fullmatch("the kernel dropped 59[0-9] events", observer.events.drain().lost)


@pytest.mark.parametrize(("count", "last_words"), [(99, "+"), (100, "-"), (101, "-+"), (200, "--"), (201, "--+")])
def test_more_is_said_only_when_there_is_more(
        observer: Observer, monkeypatch: pytest.MonkeyPatch, count: int, last_words: str) -> None:
    """A hundred events at a time, of which each adds (+) or deletes (-) the same address; and then there are no more."""
    observer.churn(count)
    with socket.socket(fileno=os.dup(observer.events.fileno())) as raw:
        size = raw.recv_into(bytearray(1), 0, socket.MSG_PEEK | socket.MSG_TRUNC)
    monkeypatch.setattr("netmgr.io.rtnetlink.BYTES_AT_A_TIME", 100 * size - 1)
    for index, last_word in enumerate(last_words, 1):
        drained = observer.events.drain()
        assert (len(drained.events), drained.lost, drained.more) == (1, "", index < len(last_words))
        assert isinstance(drained.events[0], AddressesSeen)
        assert [flags == GONE for flags in drained.events[0].flags.values()] == [last_word == "-"]


class Garbling:
    """The socket of an EventSocket, but for the first event the kernel talks nonsense."""

    def __init__(self, real: socket.socket, garbage: bytes) -> None:
        self._real, self._garbage = real, garbage

    def recvfrom_into(self, buffer: memoryview) -> Tuple[int, Tuple[int, int]]:
        size, sender = self._real.recvfrom_into(buffer)
        garbage, self._garbage = self._garbage, b""
        buffer[:len(garbage)] = garbage
        return len(garbage) or size, sender

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.mark.parametrize("garbage", [b"x", bytes(15), bytes(16), os.urandom(4000), request(rtnetlink.RTM_NEWLINK, 0, 0, b"no link")])
def test_nonsense_on_the_event_socket_makes_a_snapshot_due(observer: Observer, monkeypatch: pytest.MonkeyPatch, garbage: bytes) -> None:
    monkeypatch.setattr(observer.events, "socket", Garbling(observer.events.socket, garbage))
    observer.lab.run("ip addr add 192.0.2.1/24 dev eth0")
    observer.lab.run("ip addr add 192.0.2.2/24 dev eth0")
    drained = observer.events.drain()
    assert drained.events == []
    assert "netlink" in drained.lost
    observer.resync()
    assert observer.agrees()


def test_a_large_snapshot(observer: Observer) -> None:
    observer.fill(3000)
    observer.resync()
    assert len(of_link(observer.follow(), "eth0")) == 3000
    assert observer.agrees()


@pytest.mark.parametrize(("interruptions", "consistent"), [(1, True), (3, True), (1000, False)])
def test_interrupted_dumps_are_repeated(
        observer: Observer, monkeypatch: pytest.MonkeyPatch, interruptions: int, consistent: bool) -> None:
    """An address comes or goes after the first part of each dump, so often."""
    observer.fill(3000)
    requests, receive, done = observer.requests, observer.requests.receive, [0]

    def interfering() -> int:
        size = receive()
        if requests.reader.buffer[4] == rtnetlink.RTM_NEWADDR and done[0] < interruptions:
            done[0] += 1
            observer.churn(2)
        return size

    monkeypatch.setattr(requests, "receive", interfering)
    snapshot = requests.snapshot()
    assert snapshot.consistent == consistent
    monkeypatch.undo()
    observer.events.drain()
    observer.resync()
    assert observer.agrees()


def test_a_queue_need_not_hold_what_happens_in_a_whole_dump(observer: Observer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read after each piece; after each dump, of ten pieces, it would have overrun."""
    observer.fill(3000)
    observer.listen(1 << 16)
    requests, receive, losses = observer.requests, observer.requests.receive, [0]

    def interfering() -> int:
        observer.churn(30)
        return receive()

    def listen() -> int:
        losses[0] += bool(observer.events.drain().lost)
        return losses[0]

    monkeypatch.setattr(requests, "receive", interfering)
    assert not requests.snapshot(listen).consistent
    assert losses == [0]


def test_a_refused_dump_is_an_oserror_and_the_next_one_works(observer: Observer) -> None:
    def unknown_interface(seq: int) -> bytes:
        return request(rtnetlink.RTM_GETADDR, NLM_F_DUMP, seq, struct.pack("=BBBBI", 0, 0, 0, 0, 999))

    def no_message(seq: int) -> bytes:
        return request(rtnetlink.RTM_GETADDR, NLM_F_DUMP, seq, struct.pack("=BBBBI", 0, 0, 1, 1, 0))

    for make_request, number in ((unknown_interface, errno.ENODEV), (no_message, errno.EINVAL)):
        with pytest.raises(OSError, match="rtnetlink dump") as caught:
            observer.requests.dump(make_request, {})
        assert caught.value.errno == number
        assert observer.agrees()


def test_after_nonsense_in_the_middle_of_a_dump_the_next_one_works(observer: Observer, monkeypatch: pytest.MonkeyPatch) -> None:
    observer.fill(3000)
    receive = observer.requests.receive
    monkeypatch.setattr(observer.requests, "receive", lambda: receive() - 3)
    with pytest.raises(ProtocolError, match="netlink"):
        observer.requests.snapshot()
    monkeypatch.undo()
    observer.resync()
    assert observer.agrees()


def test_a_reply_larger_than_the_buffer_is_noticed(observer: Observer) -> None:
    observer.fill(300)
    whole = observer.requests.reader.buffer
    observer.requests.reader.buffer = whole[:1000]
    with pytest.raises(ProtocolError, match="more than 1000 bytes"):
        observer.requests.snapshot()
    observer.requests.reader.buffer = whole
    observer.resync()
    assert observer.agrees()
