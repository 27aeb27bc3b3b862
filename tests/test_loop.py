"""The loop: signals, descriptors, deadlines in their order, hooks."""

import gc
import os
import random
import signal
import socket
from contextlib import closing
from pathlib import Path
from typing import Iterator, List, Set

import pytest

from netmgr.io.loop import READ, WRITE, Deadline, Loop


class Clock(Loop):
    """A loop whose time stands still between the steps of a test."""

    time = 1000.0

    def now(self) -> float:
        return self.time


def test_a_storm_of_one_signal_is_one_call_and_hides_no_other_signal() -> None:
    before = {signum: signal.getsignal(signum) for signum in (signal.SIGHUP, signal.SIGUSR1)}
    loop = Loop()
    heard: list[signal.Signals] = []
    try:
        for signum in before:
            loop.on_signal(signum, lambda signum=signum: heard.append(signum))      # type: ignore[misc]
        for _ in range(1000):
            signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGUSR1)
        loop.turn(10)
        assert heard == [signal.SIGHUP, signal.SIGUSR1]
        loop.turn(0)
        assert len(heard) == 2
    finally:
        loop.close()
        for signum, handler in before.items():
            signal.signal(signum, handler)


def test_a_descriptor_is_served_as_long_as_it_is_watched_and_in_the_way_that_it_was_last() -> None:
    one, other = socket.socketpair()
    seen: List[int] = []
    with closing(Loop()) as loop, one, other:
        loop.watch(one.fileno(), seen.append)
        loop.turn(0)
        other.send(b"x")
        loop.turn(1)
        loop.watch(one.fileno(), seen.append, WRITE)
        loop.turn(1)
        loop.watch(one.fileno(), seen.append, READ | WRITE)
        loop.turn(1)
        assert seen == [READ, WRITE, READ | WRITE]
        loop.unwatch(one.fileno())
        loop.unwatch(one.fileno())
        loop.turn(0)
        assert (len(seen), loop.watched) == (3, {})


@pytest.mark.parametrize("wanted", [READ, WRITE])
def test_a_broken_descriptor_counts_as_ready_for_what_is_wanted(wanted: int) -> None:
    reader, writer = os.pipe()
    seen: List[int] = []
    with closing(Loop()) as loop:
        kept, closed = (writer, reader) if wanted == WRITE else (reader, writer)
        loop.watch(kept, seen.append, wanted)
        os.close(closed)
        loop.turn(1)
        loop.unwatch(kept)
        os.close(kept)
    assert seen == [wanted]


def test_a_new_descriptor_with_the_number_of_one_that_was_ready_is_not_taken_for_it() -> None:
    seen: List[str] = []
    pairs = [socket.socketpair() for _ in range(2)]
    with closing(Loop()) as loop:
        def replace(_events: int) -> None:
            """Whichever is served first puts another in the place of the second."""
            seen.append("served")
            for one, _other in pairs:
                number = one.fileno()
                loop.unwatch(number)
                os.dup2(fresh.fileno(), number)
                loop.watch(number, lambda _events: seen.append("taken for another"))
        fresh, _end = socket.socketpair()
        for one, other in pairs:
            loop.watch(one.fileno(), replace)
            other.send(b"x")
        loop.turn(1)
        assert seen == ["served"]
    for end in (fresh, _end, *(end for pair in pairs for end in pair)):
        end.close()


# -- deadlines


@pytest.fixture
def clock() -> Iterator[Clock]:
    made = Clock()
    yield made
    made.close()


@pytest.mark.parametrize("seed", range(10))
def test_deadlines_come_in_the_order_of_their_times(clock: Clock, seed: int) -> None:
    source, heard, cancelled = random.Random(seed), [], set()
    for number in range(200):
        due = source.randrange(2000, 2050), number
        deadline = clock.call_at(due[0], lambda due=due: heard.append(due))         # type: ignore[misc]
        if source.random() < 0.3:
            cancelled.add(due)
            deadline.cancel()
    clock.time = 1990.0
    while clock.time < 2050:
        clock.time += source.choice((1, 3, 20))
        clock.turn(0)
        assert all(when <= clock.time for when, _number in heard)
    assert heard == sorted(heard) and len(heard) == 200 - len(cancelled) and not cancelled.intersection(heard)


def test_one_that_is_cancelled_by_another_of_the_same_turn_never_happens(clock: Clock) -> None:
    heard: List[str] = []
    later: List[Deadline] = []

    def first() -> None:
        heard.append("first")
        later[0].cancel()

    done = clock.call_later(1, first)
    later.append(clock.call_later(2, lambda: heard.append("second")))
    clock.call_later(3, lambda: heard.append("third"))
    clock.time += 10
    clock.turn(0)
    done.cancel()
    clock.turn(0)
    assert heard == ["first", "third"]


def test_at_once_means_next_turn(clock: Clock) -> None:
    """Else one that asks again and again would keep all others waiting, on a clock that is coarse."""
    heard: List[float] = []

    def again() -> None:
        heard.append(clock.time)
        clock.call_later(0, again)

    clock.call_later(0, again)
    for turns in range(1, 4):
        clock.turn(10)
        assert len(heard) == turns


def test_the_loop_sleeps_no_longer_than_to_its_next_deadline() -> None:
    heard: List[str] = []
    with closing(Loop()) as loop:
        loop.call_later(3600, lambda: heard.append("too late")).cancel()
        loop.call_later(0.01, loop.stop)
        loop.before_sleep.append(lambda: heard.append("hook"))
        loop.run()
    assert set(heard) == {"hook"}


def test_hooks_run_before_each_sleep_and_see_what_callbacks_did(clock: Clock) -> None:
    done: List[str] = []
    clock.before_sleep.append(lambda: done.append("settle"))
    clock.call_later(0, lambda: done.append("event"))
    clock.call_later(0, lambda: done.append("event"))
    clock.turn(0)
    clock.turn(0)
    assert done == ["settle", "event", "event", "settle"]


def test_what_a_descriptor_brought_is_worked_out_before_what_was_put_off(clock: Clock) -> None:
    one, other = socket.socketpair()
    done: List[str] = []

    def heard(_events: int) -> None:
        done.append(one.recv(1).decode())

    def put_off() -> None:
        done.append("piece")
        clock.call_later(0, put_off)

    with one, other:
        clock.watch(one.fileno(), heard)
        clock.before_sleep.append(lambda: done.append("settle"))
        put_off()
        clock.turn(0)
        other.send(b"x")
        clock.turn(0)
        clock.turn(0)
    assert done == ["piece", "settle", "piece", "settle", "x", "settle", "piece", "settle", "piece"]


def registered() -> Set[int]:
    """The descriptors that any epoll of this process has."""
    files = Path("/proc/self/fdinfo")
    infos = [(files / name).read_text() for name in os.listdir("/proc/self/fd") if (files / name).exists()]
    return {int(line.split()[1]) for info in infos for line in info.splitlines() if line.startswith("tfd:")}


def test_a_descriptor_that_the_kernel_would_not_forget_is_forgotten_when_it_shows_up() -> None:
    one, other = socket.socketpair()
    with closing(Loop()) as loop, one, other:
        loop.watch(one.fileno(), lambda _events: None)
        del loop.watched[one.fileno()]          # as unwatch() leaves it when epoll_ctl fails
        assert one.fileno() in registered()
        other.send(b"x")
        loop.turn(0)
        assert one.fileno() not in registered()


def test_a_descriptor_that_the_kernel_would_not_forget_can_be_watched_again() -> None:
    one, other = socket.socketpair()
    seen: List[int] = []
    with closing(Loop()) as loop, one, other:
        loop.watch(one.fileno(), lambda _events: None)
        del loop.watched[one.fileno()]
        loop.watch(one.fileno(), seen.append, WRITE)
        loop.turn(0)
        assert seen == [WRITE]


def test_deadlines_that_were_cancelled_do_not_pile_up(clock: Clock) -> None:
    """Until their time, which may be days away."""
    for seconds in range(1, 101):
        clock.call_later(seconds, lambda: None)
    for _time in range(10_000):
        clock.call_later(86_400, lambda: None).cancel()
    assert sum(type(each) is Deadline for each in gc.get_objects()) < 1000
    assert sorted(each.when - clock.now() for each in clock.deadlines()) == list(range(1, 101))
