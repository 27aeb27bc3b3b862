"""netmgr with a clock at its loop: turning_netmgr.py FILE, then netmgr's arguments

At SIGUSR2 FILE says the seconds of processor of the two longest turns since the last time.
"""

import signal
import sys
import time

from netmgr import cli
from netmgr.io.loop import Loop

turns = [0.0, 0.0]


class Epoll:
    """What lies between two sleeps is a turn; what comes before the first one is the start of the program."""

    def __init__(self, epoll):
        self._epoll = epoll
        self._woken = None

    def __getattr__(self, name):
        return getattr(self._epoll, name)

    def poll(self, *arguments):
        if self._woken is not None:
            turns.append(time.process_time() - self._woken)
        if len(turns) > 1000:
            turns[:] = sorted(turns)[-2:]
        try:
            return self._epoll.poll(*arguments)
        finally:
            self._woken = time.process_time()


def report(_number, _frame):
    longest = sorted(turns)[-2:]
    turns[:] = [0.0, 0.0]
    with open(path, "w") as file:
        file.write("%.6f %.6f\n" % (longest[1], longest[0]))


make = Loop.__init__


def made(self):
    make(self)
    self._epoll = Epoll(self._epoll)


path = sys.argv.pop(1)
Loop.__init__ = made
signal.signal(signal.SIGUSR2, report)
sys.exit(cli.main())
