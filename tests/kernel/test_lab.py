"""The lab itself: what it makes is real, apart, and gone afterwards."""

import os
import socket

import pytest

from tests.kernel.lab import THREAD_NAMESPACE, Lab
from tests.waiting import eventually


def test_a_lab_is_a_namespace_of_its_own(lab: Lab) -> None:
    outside = os.readlink(THREAD_NAMESPACE)
    with lab.inside():
        assert os.readlink(THREAD_NAMESPACE) != outside
        assert [name for _, name in socket.if_nameindex()] == ["lo"]
    assert os.readlink(THREAD_NAMESPACE) == outside


def test_the_thread_comes_back_after_an_exception(lab: Lab) -> None:
    outside = os.readlink(THREAD_NAMESPACE)
    with pytest.raises(KeyError), lab.inside():
        raise KeyError
    assert os.readlink(THREAD_NAMESPACE) == outside


def test_links_look_like_network_cards(lab: Lab) -> None:
    lab.link("eth0")
    lab.link("eth1", up=False)
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    by_name = {link["ifname"]: link for link in lab.addresses()}
    assert sorted(by_name) == ["eth0", "eth1", "lo"]
    assert [info["local"] for info in by_name["eth0"]["addr_info"] if info["family"] == "inet"] == ["192.0.2.1"]
    eventually(lambda: {link["ifname"]: link["operstate"] for link in lab.links()}["eth0"] == "UP")


def test_a_link_moves_to_another_lab(lab: Lab) -> None:
    lab.link("eth0")
    with Lab() as other:
        lab.move_link("eth0", other)
        assert [link["ifname"] for link in other.links()] == ["lo", "eth0"]
    assert [link["ifname"] for link in lab.links()] == ["lo"]


def test_sets_read_back_in_every_form(lab: Lab) -> None:
    lab.nft("""
        table inet filter {
            set plain { type ipv4_addr; elements = { 192.0.2.1, 192.0.2.2 comment "netmgr" } }
            set ranges { type ipv4_addr; flags interval; elements = { 192.0.2.0/24 comment "netmgr", 10.0.0.1-10.0.0.5, 10.1.0.1 } }
            set names { type ifname; elements = { "eth0" } }
            set none { type ipv6_addr; }
        }""")
    assert lab.comments("inet filter", "plain") == {"192.0.2.1": None, "192.0.2.2": "netmgr"}
    assert lab.comments("inet filter", "ranges") == {"192.0.2.0/24": "netmgr", "10.0.0.1-10.0.0.5": None, "10.1.0.1": None}
    assert lab.sets("inet filter", "names") == {"eth0"}
    assert lab.sets("inet filter", "none") == set()
    assert 'elements = { "eth0" }' in lab.ruleset()


def test_a_failing_command_says_why(lab: Lab) -> None:
    with pytest.raises(AssertionError, match="Cannot find device"):
        lab.run("ip link set nosuch up")
    assert lab.run("ip link set nosuch up", check=False) == ""


def test_processes_run_inside_and_end_with_the_lab(lab: Lab) -> None:
    with Lab() as other:
        other.link("eth7")
        process = other.start(["sh", "-c", "ip -br link; exec sleep 1000"])
        eventually(lambda: "eth7" in other.log(process))
        stopped = other.start("sleep 1000")
        assert other.stop(stopped) == -15
    assert process.returncode == -9


def test_sysctls_are_the_namespaces_own(lab: Lab) -> None:
    with Lab() as other:
        lab.sysctl("net.ipv6.conf.default.accept_dad", 0)
        other.sysctl("net.ipv6.conf.default.accept_dad", 2)
        assert lab.run("cat /proc/sys/net/ipv6/conf/default/accept_dad") == "0\n"
