"""Hosts around a lab, each in a namespace of its own, and whether a packet of one gets through to another."""

import socket
from typing import Iterator, Tuple

from tests.kernel.lab import Lab
from tests.waiting import eventually

ANSWER_SECONDS = 1.0


def neighbour(lab: Lab, name: str, address: str, local: str = "") -> Lab:
    """A host at the other end of the lab's interface `name`; the lab's own address there is `local`."""
    host = Lab()
    lab.run(["ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", host.path])
    host.run("ip address add %s dev eth0" % address)
    host.run("ip link set eth0 up")
    lab.run("ip link set %s up" % name)
    if local:
        lab.run("ip address add %s dev %s" % (local, name))
    ends = ((lab, name), (host, "eth0"))        # before that, packets are lost
    eventually(lambda: all(link["operstate"] == "UP" for of, end in ends for link in of.links() if link["ifname"] == end))
    return host


def reaches(host: Lab, address: str, port: int, source: str = "") -> bool:
    """Whether a connection is accepted or refused, but not dropped."""
    with host.inside(), socket.socket() as tried:
        tried.settimeout(ANSWER_SECONDS)
        if source:
            tried.bind((source, 0))
        try:
            tried.connect((address, port))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return True


def arrives(sender: Lab, receiver: Lab, address: Tuple[str, int], source: str = "") -> str:
    """Send a datagram until it arrives: from where it came, as the receiver sees it; "" when none does."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with receiver.inside():
        there = socket.socket(family, socket.SOCK_DGRAM)
    with sender.inside():
        here = socket.socket(family, socket.SOCK_DGRAM)
    with there, here:
        there.bind(("", address[1]))
        there.settimeout(0.1)
        here.bind((source, 0))
        return next(_came(here, there, address), "")


def _came(here: socket.socket, there: socket.socket, address: Tuple[str, int]) -> Iterator[str]:
    for _ in range(10):
        try:
            here.sendto(b"x", address)
            yield there.recvfrom(16)[1][0]
        except OSError:
            pass

