"""The loop's signals."""

import signal

from netmgr.io.loop import Loop


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
