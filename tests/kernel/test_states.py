"""Every content that a set ever has was true at some time: dumps without a pause while addresses come and go."""

import random
import socket
from typing import List

import pytest

from netmgr.io.nft import Nft
from netmgr.rtnetlink import RTM_DELADDR, RTM_NEWADDR
from netmgr.sets import SetName
from tests.kernel.churn import change
from tests.kernel.lab import Lab
from tests.kernel.running import CONFIG, Netmgr

STEPS, WINDOW = 1500, 3


@pytest.mark.parametrize("declaration", ["type ipv4_addr;", "type ipv4_addr; flags interval;", "type ipv4_addr; flags dynamic, timeout;"])
def test_a_dump_is_a_window_of_what_there_was(lab: Lab, nft: Nft, declaration: str) -> None:
    """Address k comes, then address k - WINDOW goes: what is there is always a run of WINDOW or WINDOW + 1 neighbours."""
    lab.nft("table inet filter { set wan_ips { %s }; }" % declaration)
    lab.link("eth0")
    ifindex = next(each["ifindex"] for each in lab.addresses() if each["ifname"] == "eth0")
    with lab.inside():
        kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    requests: List[bytes] = [change(RTM_NEWADDR, ifindex, address(number)) for number in range(WINDOW)]
    kernel.send(b"".join(requests))
    netmgr = Netmgr(lab, CONFIG)
    assert netmgr.state("wan_ips")["elements"] == WINDOW
    chance, highest, seen = random.Random(4), 0, 0
    number = WINDOW
    while number < STEPS:
        for _ in range(chance.randrange(6)):
            kernel.send(change(RTM_NEWADDR, ifindex, address(number)))
            kernel.send(change(RTM_DELADDR, ifindex, address(number - WINDOW)))
            number += 1
        info = nft.inspect(SetName("inet", "filter", "wan_ips"))
        assert info is not None
        reading = nft.read(info)
        held = sorted(int.from_bytes(element[:4], "big") & 0xFFFF for element in reading.contents.ours)
        if reading.verified:
            seen += 1
            assert len(held) in (WINDOW, WINDOW + 1) and held == list(range(held[0], held[0] + len(held))), held
            assert held[-1] >= highest
            highest = held[-1]
    kernel.close()
    assert seen > STEPS / 20
    netmgr.holds("wan_ips", *("10.0.%d.%d" % divmod(each, 256) for each in range(number - WINDOW, number)))


def address(number: int) -> bytes:
    return bytes((10, 0, *divmod(number, 256)))
