"""Queues that overran while the daemon got no processor, or all the time: what was lost is found out, and counted."""

import os
import sys

import pytest

from netmgr.io.nft import Nft
from netmgr.io.socket_buffers import dropped, memory
from netmgr.values.sets import ChangeElements, Form, SetName
from tests.kernel.lab import Lab
from tests.kernel.nftables import DONE
from tests.kernel.running import ROOT, Netmgr
from tests.kernel.sockets import NETLINK_NETFILTER, NETLINK_ROUTE, socket_of, squeezed, stopped
from tests.kernel.truth import differences, listed
from tests.waiting import PATIENCE, eventually

RULES = (("eth0", "wan"), ("ppp*", "wan"), ("eth1", "lan"))
CONFIG = "interfaces:\n%sdocker: {enabled: false}\n" % "".join("  - {name: '%s', nftables_zone: %s}\n" % rule for rule in RULES)
RULESET = """
table inet filter {
    set wan_ips { type ipv4_addr; }
    set wan_nets { type ipv4_addr; flags interval; }
    set wan_ifs { type ifname; }
    set lan_ips { type ipv4_addr; }
    set lan_ifs { type ifname; }
}
"""


@pytest.fixture
def netmgr(lab: Lab) -> Netmgr:
    lab.nft(RULESET)
    for name, address in (("eth0", "192.0.2.1/24"), ("eth1", "198.51.100.1/24"), ("other0", "203.0.113.1/24")):
        lab.link(name)
        lab.run(["ip", "addr", "add", address, "dev", name])
    return Netmgr(lab, CONFIG)


def right(netmgr: Netmgr) -> bool:
    return not differences(netmgr.lab, RULES, listed(netmgr.lab))


def happen(lab: Lab) -> None:
    """Addresses move, a link goes and another comes under its name, two are renamed."""
    lab.run("ip addr del 192.0.2.1/24 dev eth0")
    for number in range(2, 9):
        lab.run("ip addr add 192.0.2.%d/24 dev eth0" % number)
    lab.run("ip link del eth1")
    lab.link("eth1")
    lab.run("ip addr add 192.0.2.1/24 dev eth1")
    lab.rename_link("other0", "ppp0")
    lab.run("ip addr del 192.0.2.8/24 dev eth0")


def test_what_happened_in_a_sleep_in_which_the_queue_overran(netmgr: Netmgr) -> None:
    before = netmgr.status()["sources"]["netlink"]
    with stopped(netmgr), socket_of(netmgr, NETLINK_ROUTE, True) as events, squeezed(events):
        drops = dropped(memory(events))
        happen(netmgr.lab)
        assert dropped(memory(events)) > drops
    eventually(lambda: right(netmgr), "the truth")
    assert netmgr.lab.sets("inet filter", "wan_ips") == {"203.0.113.1", *("192.0.2.%d" % each for each in range(2, 8))}
    after = netmgr.status()["sources"]["netlink"]
    assert (after["state"], after["overruns"], after["resyncs"] > before["resyncs"]) == ("ok", before["overruns"] + 1, True)
    assert netmgr.log().count("the queue of events overran") == 1
    netmgr.lab.run("ip addr add 192.0.2.9/24 dev eth0")
    eventually(lambda: right(netmgr))


def test_a_queue_that_overruns_again_and_again(netmgr: Netmgr) -> None:
    churn = [sys.executable, "-m", "tests.kernel.churn", "3", "1", "eth0", "eth1"]
    with socket_of(netmgr, NETLINK_ROUTE, True) as events, squeezed(events):
        writer = netmgr.lab.start(churn, {**os.environ, "PYTHONPATH": str(ROOT)})
        assert writer.wait(PATIENCE) == 0
        eventually(lambda: right(netmgr), "the truth")
    assert netmgr.status()["sources"]["netlink"]["overruns"] > 1
    happen(netmgr.lab)
    eventually(lambda: right(netmgr), "the truth")


def test_foreign_commits_that_nobody_told_of(netmgr: Netmgr, nft: Nft) -> None:
    theirs, element = SetName("inet", "filter", "lan_ips"), bytes((192, 0, 2, 9))
    wan = netmgr.lab.sets("inet filter", "wan_ips")
    for repairs in (1, 2):
        with stopped(netmgr), socket_of(netmgr, NETLINK_NETFILTER, True) as watch, squeezed(watch):
            drops = dropped(memory(watch))
            for _ in range(20):
                assert nft.commit([ChangeElements(theirs, Form("ipv4_addr"), [], [element])]) == DONE
                assert nft.commit([ChangeElements(theirs, Form("ipv4_addr"), [element], [])]) == DONE
            netmgr.lab.nft("flush set inet filter wan_ips")
            assert dropped(memory(watch)) > drops
        netmgr.holds("wan_ips", *wan)
        assert netmgr.status()["sources"]["nftables"]["repairs"] == repairs
    netmgr.lab.nft("flush set inet filter wan_ips")
    netmgr.holds("wan_ips", *wan)
