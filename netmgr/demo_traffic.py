"""The far end of the demo's eth0: a process in a network namespace of its own that sends packets and counts those that the rules drop.

It is started with the socket at which the packets arrive, which belongs to the demo's namespace.  Each packet is fetched before the
next is sent, so none is lost for want of room, and what does not arrive was dropped by the ruleset.
"""

import os
import select
import socket
import subprocess
import sys
import time
from typing import List, Tuple

from netmgr.demo_stage import DemoError, until

PORT = 443
AT_ONCE = 20
STRAGGLERS = 0.2
CARDS = ("ip link set lo up", "ip address add 203.0.113.1/24 dev far0", "ip address add 198.51.100.1/22 dev far0", "ip link set far0 up")


class Traffic:
    """The process, as the demo sees it."""

    def __init__(self) -> None:
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind(("0.0.0.0", PORT))
        self._process = subprocess.Popen(
            ["unshare", "--net", sys.executable, "-m", "netmgr.demo_traffic", str(receiver.fileno())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=[receiver.fileno()])
        receiver.close()
        self._said()
        self.pid = self._process.pid

    def __enter__(self) -> "Traffic":
        return self

    def __exit__(self, *_details: object) -> None:
        self._process.communicate()

    def begin(self) -> None:
        """far0 is there now."""
        self._tell("begin")
        self._said()

    def to(self, address: str) -> "Traffic":
        """Send packets there until stop()."""
        self._tell(address)
        self._said()
        return self

    def stop(self) -> Tuple[int, int]:
        """How many were sent, and how many were dropped."""
        self._tell("stop")
        sent, lost = self._said().split()
        return int(sent), int(lost)

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _said(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise DemoError("no packets could be sent")
        return line


def main(arguments: List[str]) -> None:
    """The process itself: commands on its standard input, an answer to each on its standard output."""
    receiver = socket.socket(fileno=int(arguments[0]))
    receiver.setblocking(False)
    _say("ready")
    while True:
        line = _line()
        if line == "":
            return
        if line == "begin":
            for command in CARDS:
                subprocess.run(command.split(), check=True)
            _say("begun")
        else:
            _say("%d %d" % _flood(receiver, line))


def _say(line: str) -> None:
    os.write(1, line.encode() + b"\n")


def _line() -> str:
    """One line and not a byte more: select() must see what follows."""
    read = b""
    while not read.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            return ""
        read += byte
    return read.decode().strip()


def _flood(receiver: socket.socket, address: str) -> Tuple[int, int]:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect((address, PORT))
    until("the first packet arrives", lambda: bool(sender.send(b"x")) and _arrived(receiver))
    while _arrived(receiver):
        pass
    _say("flowing")
    sent = arrived = 0
    while not select.select([0], [], [], 0)[0]:
        for _ in range(AT_ONCE):
            sender.send(b"x")
            sent += 1
            arrived += _arrived(receiver)
    _line()
    deadline = time.monotonic() + STRAGGLERS
    while arrived < sent and time.monotonic() < deadline:
        arrived += _arrived(receiver)
    return sent, sent - arrived


def _arrived(receiver: socket.socket) -> bool:
    try:
        receiver.recv(1)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    main(sys.argv[1:])
