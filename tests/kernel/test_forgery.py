"""Only the kernel is believed: other processes with CAP_NET_ADMIN can send to our sockets and to the groups, and nothing comes of it."""

import contextlib
import socket
from typing import Iterator

import pytest

from netmgr.io.nft import Nft, Watch
from netmgr.values.addresses import local, text
from netmgr.values.events import AddressesSeen
from netmgr.wire import nft as wire
from netmgr.wire import rtnetlink
from netmgr.wire.netlink import NLMSG_DONE, attribute, request
from tests.kernel.lab import Lab
from tests.kernel.nftables import make
from tests.kernel.observer import Observer
from tests.kernel.running import RULESET, Netmgr
from tests.kernel.sockets import NETLINK_NETFILTER, NETLINK_ROUTE, socket_of

NFNLGRP_NFTABLES = 7
NLM_F_REQUEST = 1


@contextlib.contextmanager
def forger(lab: Lab, protocol: int) -> Iterator[socket.socket]:
    """Another process's socket, as far as the kernel can tell."""
    with lab.inside():
        made = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    with made:
        made.bind((0, 0))
        yield made


def new_address(index: int, host: int) -> bytes:
    """RTM_NEWADDR of 198.51.100.`host`/24 as a notification; without NLM_F_REQUEST the kernel does nothing about it."""
    address = attribute(2, bytes([198, 51, 100, host]))
    message = request(rtnetlink.RTM_NEWADDR, 0, 0, bytes([socket.AF_INET, 24, 0x80, 0]) + index.to_bytes(4, "little") + address)
    return message[:6] + (int.from_bytes(message[6:8], "little") & ~NLM_F_REQUEST).to_bytes(2, "little") + message[8:]


def test_addresses_that_a_process_announces(observer: Observer) -> None:
    with forger(observer.lab, NETLINK_ROUTE) as liar:
        for host in range(1, 10):
            liar.sendto(new_address(observer.index_of("eth0"), host), (0, 1 << rtnetlink.RTNLGRP_IPV4_IFADDR - 1))
    observer.lab.run("ip addr add 192.0.2.1/24 dev eth0")
    told = [event for _turn in range(20) for event in observer.events.drain().events]
    assert [[text(local(key)) for key in event.flags] for event in told if isinstance(event, AddressesSeen)] == [["192.0.2.1"]]


def test_what_is_sent_to_a_socket_for_it_alone(lab: Lab) -> None:
    netmgr = Netmgr(lab)
    done = request(NLMSG_DONE, 0, 1, bytes(4))
    for protocol, listens in ((NETLINK_ROUTE, True), (NETLINK_ROUTE, False), (NETLINK_NETFILTER, True), (NETLINK_NETFILTER, False)):
        with socket_of(netmgr, protocol, listens) as victim, forger(lab, protocol) as liar, pytest.raises(ConnectionRefusedError):
            liar.sendto(done, (victim.getsockname()[0], 0))


def test_forged_announcements_while_everything_runs(lab: Lab) -> None:
    lab.link("eth0")
    lab.nft(RULESET)
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr = Netmgr(lab)
    netmgr.holds("wan_ips", "192.0.2.1")
    index = next(link["ifindex"] for link in lab.links() if link["ifname"] == "eth0")
    with forger(lab, NETLINK_ROUTE) as liar:
        for host in range(1, 10):
            liar.sendto(new_address(index, host), (0, 1 << rtnetlink.RTNLGRP_IPV4_IFADDR - 1))
    lab.run("ip addr add 192.0.2.2/24 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.1", "192.0.2.2")
    assert netmgr.status()["sources"]["netlink"]["resyncs"] == 1


def test_commits_that_a_process_announces(lab: Lab, nft: Nft) -> None:
    with lab.inside():
        watch = Watch()
    generation = attribute(1, bytes([0, 0, 0, 9]))
    with forger(lab, NETLINK_NETFILTER) as liar:
        message = request(wire.NFNL_SUBSYS_NFTABLES << 8 | wire.NFT_MSG_NEWGEN, 0, 0, bytes(4) + generation)
        with contextlib.suppress(OSError):
            liar.sendto(message, (0, 1 << NFNLGRP_NFTABLES - 1))
    assert watch.drain() == ([], False)
    make(lab, a="type ipv4_addr;")
    assert [change.generation for change in watch.drain()[0]] == [nft.generation()]
    watch.close()

