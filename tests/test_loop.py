"""The loop: descriptors, signals."""

import os
import signal
import socket
from contextlib import closing
from typing import List

import pytest

from netmgr.io.loop import READ, WRITE, Loop


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
