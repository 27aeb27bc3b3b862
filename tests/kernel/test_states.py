"""Every content that a set ever has was true at some time: dumps without a pause while addresses come, go and move.

The addresses are a window over numbers: number k comes, then k - WINDOW goes.  So what is there is always a run of WINDOW or
WINDOW + 1 neighbours, and the window never moves back.
"""

import contextlib
import os
import random
import socket
import sys
from typing import Iterator, List

import pytest

from netmgr.io.nft import Nft
from netmgr.io.socket_buffers import dropped, memory
from netmgr.values.sets import SetName
from netmgr.wire.rtnetlink import RTM_DELADDR, RTM_NEWADDR
from tests.kernel.churn import change
from tests.kernel.lab import Lab
from tests.kernel.running import CONFIG, ROOT, Netmgr
from tests.kernel.sockets import NETLINK_ROUTE, socket_of, squeezed, stopped
from tests.waiting import eventually

STEPS, WINDOW = 1500, 3
KINDS = ["type ipv4_addr;", "type ipv4_addr; flags interval;", "type ipv4_addr; flags dynamic, timeout;"]


class Window:
    """Addresses on interfaces of zone wan, and looks at wan_ips; `number` is the next address to come, `highest` the last one seen."""

    def __init__(self, lab: Lab, nft: Nft, declaration: str = KINDS[0], config: str = CONFIG) -> None:
        lab.nft("table inet filter { set wan_ips { %s }; }" % declaration)
        self.nft, self.number, self.highest, self.seen = nft, WINDOW, 0, 0
        for name in ("eth0", "eth1"):
            lab.link(name)
        with lab.inside():
            self.kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
            self.eth0, self.eth1 = (socket.if_nametoindex(name) for name in ("eth0", "eth1"))
        self.send(*(change(RTM_NEWADDR, self.eth0, address(number)) for number in range(WINDOW)))
        self.netmgr = Netmgr(lab, config)
        assert self.netmgr.state("wan_ips")["elements"] == WINDOW

    def close(self) -> None:
        self.kernel.close()

    def send(self, *requests: bytes) -> None:
        """What is sent at once has happened when this returns."""
        self.kernel.send(b"".join(requests))

    def advance(self, steps: int) -> None:
        for _ in range(steps):
            self.send(change(RTM_NEWADDR, self.eth0, address(self.number)))
            self.send(change(RTM_DELADDR, self.eth0, address(self.number - WINDOW)))
            self.number += 1

    def held(self) -> List[int]:
        """What the set holds; nothing when it changed while it was read."""
        info = self.nft.inspect(SetName("inet", "filter", "wan_ips"))
        assert info is not None
        reading = self.nft.read(info)
        return sorted(int.from_bytes(element[:4], "big") & 0xFFFF for element in reading.contents.ours) if reading.verified else []

    def look(self) -> None:
        """Whether what the set holds is, or was, true."""
        held = self.held()
        if held:
            self.seen += 1
            assert len(held) in (WINDOW, WINDOW + 1) and held == list(range(held[0], held[0] + len(held))), (held, self.number)
            assert held[-1] >= self.highest
            self.highest = held[-1]

    def is_up_to_date(self) -> bool:
        self.look()
        return self.highest == self.number - 1


def address(number: int) -> bytes:
    return bytes((10, 0, *divmod(number, 256)))


@contextlib.contextmanager
def churning(lab: Lab) -> Iterator[None]:
    """On another interface there are so many addresses, and so many changes, that hardly a snapshot is consistent."""
    lab.link("other0")
    lab.run("ip -batch -", "".join("addr add 10.1.%d.%d/32 dev other0\n" % divmod(number, 256) for number in range(1500)))
    writer = lab.start([sys.executable, "-m", "tests.kernel.churn", "600", "1", "other0"], {**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        yield
    finally:
        lab.stop(writer)


@pytest.mark.parametrize("declaration", KINDS)
def test_a_dump_is_a_window_of_what_there_was(lab: Lab, nft: Nft, declaration: str) -> None:
    chance = random.Random(4)
    with contextlib.closing(Window(lab, nft, declaration)) as window:
        while window.number < STEPS:
            window.advance(chance.randrange(6))
            window.look()
        assert window.seen > STEPS / 20
        eventually(window.is_up_to_date)


def test_nor_after_overruns_while_snapshots_fail(lab: Lab, nft: Nft) -> None:
    with contextlib.closing(Window(lab, nft)) as window:
        with churning(lab):
            for _ in range(8):
                with stopped(window.netmgr), socket_of(window.netmgr, NETLINK_ROUTE, True) as events, squeezed(events):
                    drops = dropped(memory(events))
                    window.advance(10)
                    eventually(lambda events=events, drops=drops: dropped(memory(events)) > drops)      # type: ignore[misc]
                for _ in range(100):
                    window.advance(1)
                    window.look()
        eventually(window.is_up_to_date)
        assert window.seen > 100


def test_ready_waits_for_a_snapshot(lab: Lab) -> None:
    """However long it takes: nothing is told to be ready, and nothing leaves a set, before all addresses are known."""
    lab.nft("table inet filter { set wan_ips { type ipv4_addr; elements = { 192.0.2.1 comment \"netmgr\" }; }; }")
    lab.link("eth0")
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    with churning(lab):
        netmgr = Netmgr(lab, CONFIG)
        assert netmgr.owned("wan_ips") == {"192.0.2.1"}
        before, state, after = netmgr.log(), netmgr.status()["sources"]["netlink"]["state"], netmgr.log()
        assert ("is ready" in before) <= (state == "ok") <= ("is ready" in after)
    eventually(lambda: "is ready: 1 element in 1 set" in netmgr.log())
    netmgr.holds("wan_ips", "192.0.2.1")
