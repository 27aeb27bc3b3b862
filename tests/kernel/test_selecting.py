"""Interfaces that are selected by more than their names: a real daemon, held against what ip(8) says."""

import json
from pathlib import Path
from typing import Iterator, List, Set

import pytest

from netmgr.io.configuration import group_numbers
from netmgr.io.default_routes import DefaultRoutes, read_default_routes
from netmgr.io.loop import Loop
from netmgr.io.route_source import RouteSource
from netmgr.values.events import NextHops
from tests.kernel.lab import Lab
from tests.kernel.running import Netmgr
from tests.waiting import eventually

RULESET = """
table inet filter {
    set a_ifs { type ifname; }
    set g_ifs { type ifname; }
    set k_ifs { type ifname; }
    set m_ifs { type ifname; }
    set both_ifs { type ifname; }
    set wan_ifs { type ifname; }
    set wan_ips { type ipv4_addr; }
}
"""
CONFIG = """
interfaces:
  - {name: uplink0, nftables_zone: a}
  - {group: 7, nftables_zone: g}
  - {kind: bridge, nftables_zone: k}
  - {master: br0, nftables_zone: m}
  - {master: br0, group: 7, name: "eth*", nftables_zone: both}
  - {default_route: true, nftables_zone: wan}
docker: {enabled: false}
"""


@pytest.fixture
def two(lab: Lab) -> Lab:
    """Two cards with an address each."""
    for number in (0, 1):
        lab.link("eth%d" % number)
        lab.run("ip addr add 192.0.%d.1/24 dev eth%d" % (number, number))
    return lab


def test_names_groups_kinds_masters(two: Lab) -> None:
    two.nft(RULESET)
    two.run("ip link set eth1 group 7")
    netmgr = Netmgr(two, CONFIG)
    netmgr.holds("g_ifs", '"eth1"'.strip('"'))
    netmgr.holds("a_ifs")
    two.run("ip link property add dev eth0 altname uplink0")
    netmgr.holds("a_ifs", "eth0")
    two.run("ip link add br0 type bridge")
    netmgr.holds("k_ifs", "br0")
    netmgr.holds("m_ifs")
    two.run("ip link set eth0 master br0")
    netmgr.holds("m_ifs", "eth0")
    netmgr.holds("both_ifs")
    two.run("ip link set eth0 group 7")
    netmgr.holds("both_ifs", "eth0")
    netmgr.holds("g_ifs", "eth0", "eth1")
    two.run("ip link set br0 down")
    two.run("ip link set br0 name br1")
    netmgr.holds("m_ifs")
    two.run("ip link set br1 name br0")
    netmgr.holds("m_ifs", "eth0")
    two.run("ip link property del dev eth0 altname uplink0")
    netmgr.holds("a_ifs")
    two.run("ip link set eth0 nomaster")
    netmgr.holds("both_ifs")
    two.run("ip link del br0")
    netmgr.holds("k_ifs")
    two.run("ip link set eth1 group default")
    netmgr.holds("g_ifs", "eth0")
    netmgr.restart()
    netmgr.holds("g_ifs", "eth0")


def test_the_audit_finds_what_the_kernel_does_not_tell(two: Lab) -> None:
    two.nft(RULESET)
    two.run("ip link set eth0 down")
    netmgr = Netmgr(two, CONFIG + "nftables: {audit_interval: 0.3}\n")
    netmgr.holds("g_ifs")
    two.run("ip link set eth0 group 7")
    two.run("ip link property add dev eth0 altname uplink0")
    netmgr.holds("g_ifs", "eth0")
    netmgr.holds("a_ifs", "eth0")


def test_addresses_are_chosen_by_kinds_and_networks(two: Lab) -> None:
    two.nft("""table inet filter {
        set wan_ips { type ipv4_addr; }
        set wan_all { type ipv4_addr; }
        set wan_single { type ipv4_addr; }
        set wan_nets { type ipv4_addr; flags interval; }
    }""")
    for address in ("10.1.2.3/8", "203.0.113.7/24", "203.0.113.200/32", "198.51.100.9/24"):
        two.run("ip addr add %s dev eth0" % address)
    config = """
interfaces: [{name: eth0, nftables_zone: wan}]
zones:
  wan:
    only: [global, 10.1.0.0/16]
    exclude: [198.51.100.0/24, 192.0.0.1]
    sets:
      wan_all: {holds: addresses, only: [global, private], exclude: []}
      wan_single: {holds: addresses, only: single}
docker: {enabled: false}
"""
    netmgr = Netmgr(two, config)
    netmgr.holds("wan_ips", "10.1.2.3", "203.0.113.7", "203.0.113.200")
    netmgr.holds("wan_all", "10.1.2.3", "203.0.113.7", "203.0.113.200", "198.51.100.9", "192.0.0.1")
    netmgr.holds("wan_single", "203.0.113.200")
    netmgr.holds("wan_nets", "10.0.0.0/8", "203.0.113.0/24")
    two.run("ip addr add 172.16.0.1/24 dev eth0")
    two.run("ip addr add 198.51.100.10/32 dev eth0")
    netmgr.holds("wan_all", "10.1.2.3", "203.0.113.7", "203.0.113.200", "198.51.100.9", "192.0.0.1", "172.16.0.1", "198.51.100.10")
    netmgr.holds("wan_single", "203.0.113.200")
    netmgr.configure(config.replace("198.51.100.0/24, ", "").replace("only: single", "only: 203.0.113.128/25"))
    netmgr.ask("reload")
    netmgr.holds("wan_ips", "10.1.2.3", "203.0.113.7", "203.0.113.200", "198.51.100.9", "198.51.100.10")
    netmgr.holds("wan_single", "203.0.113.200")
    assert [(row["set"], row["reason"]) for row in json.loads(netmgr.ask("explain 172.16.0.1 json"))["kept_out"]] == [
        ("inet filter wan_ips", "not_only"), ("inet filter wan_nets", "not_only"), ("inet filter wan_single", "not_only")]


def carriers(lab: Lab) -> Set[str]:
    """By ip(8)."""
    found: Set[str] = set()
    for family in ("-4", "-6"):
        for route in json.loads(lab.run("ip -j %s route show default table main" % family) or "[]"):
            if route.get("type", "unicast") == "unicast":
                for hop in route.get("nexthops", [route]):
                    if "dead" not in [*hop.get("flags", ()), *route.get("flags", ())]:
                        found.add(hop["dev"])
    return found


def test_the_zone_follows_the_default_route(two: Lab) -> None:
    two.nft(RULESET)
    netmgr = Netmgr(two, CONFIG)
    changes = (
        "ip route add default via 192.0.0.2", "ip route add default via 192.0.1.2 metric 9", "ip route del default via 192.0.0.2",
        "ip route replace default metric 9 nexthop via 192.0.0.2 nexthop via 192.0.1.2", "ip link set eth0 down", "ip link set eth0 up",
        "ip route del default metric 9", "ip route add unreachable default metric 4", "ip route add default via 192.0.1.2 table 77",
        "ip -6 route add default dev eth1 metric 5", "ip -6 route add default dev eth0 metric 6",
        "ip -6 route del default dev eth1 metric 5", "ip -6 route del default dev eth0 metric 6",
        "ip nexthop add id 7 via 192.0.1.2 dev eth1", "ip route add default nhid 7 metric 3",
        "ip nexthop replace id 7 via 192.0.0.2 dev eth0",
        "ip nexthop del id 7", "ip route add default via 192.0.1.2 metric 2", "ip link del eth1")
    seen = []
    for command in changes:
        two.run(command)
        now = carriers(two)
        seen.append(now)
        netmgr.holds("wan_ifs", *now)
        there = {link["ifname"] for link in two.links() if "UP" in link["flags"]}
        netmgr.holds("wan_ips", *("192.0.%s.1" % name[-1] for name in now if name in there or name == "eth0"))
    assert {"eth0"} in seen and {"eth1"} in seen and {"eth0", "eth1"} in seen and set() in seen
    assert netmgr.status()["sources"]["routes"]["state"] == "ok"
    netmgr.configure(CONFIG.replace("  - {default_route: true, nftables_zone: wan}\n", ""))
    assert netmgr.ask("reload").startswith("OK")
    netmgr.holds("wan_ips")
    assert "routes" not in netmgr.status()["sources"]


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


def test_a_full_table_costs_nothing(two: Lab, loop: Loop) -> None:
    """Neither do its changes come through, nor is more of it read than its beginning; of IPv6's a piece at a time."""
    two.run("ip -batch -", "".join("route add 10.%d.%d.0/24 via 192.0.0.2\n" % divmod(number, 256) for number in range(20_000)))
    two.run("ip -6 -batch -", "".join("route add 2001:db8:%x::/48 dev eth1\n" % number for number in range(20_000)))
    two.run("ip route add default via 192.0.1.2")
    two.run("ip -6 route add default dev lo metric 9")
    told: List[NextHops] = []
    names = {link["ifindex"]: link["ifname"] for link in two.links()}
    with two.inside():
        reading = DefaultRoutes()
        pieces = 1
        while (found := reading.step(lambda: True)) is None:
            pieces += 1
        assert {names[index] for index in found} == {"eth1", "lo"} and pieces > 10
        assert read_default_routes() == found
        source = RouteSource(loop, told.append, lambda _level, _line: None)
        source.start()

        def read() -> bool:
            loop.turn(0.01)
            return not source.pending
        eventually(read)
    assert (told, source.pending, source.facts) == ([found], False, {"resyncs": 1})
    two.run("ip -batch -", "".join("route replace 10.%d.%d.0/24 via 192.0.0.3\n" % divmod(number, 256) for number in range(20_000)))
    loop.turn(0)
    assert (told, source.facts) == ([found], {"resyncs": 1}), "nothing was heard of it"
    two.run("ip route del default")

    def followed() -> bool:
        with two.inside():
            loop.turn(0.1)
        return len(told) > 1
    eventually(followed)
    assert {names[index] for index in told[-1]} == {"lo"}
    source.stop()


def test_names_of_groups(tmp_path: Path) -> None:
    etc, usr = tmp_path / "etc", tmp_path / "usr"
    (etc / "group.d").mkdir(parents=True)
    usr.mkdir()
    (usr / "group").write_text("0\tdefault\n5 five # a comment\n# 6 six\n")
    assert group_numbers([str(etc), str(usr)]) == {"default": 0, "five": 5}
    (etc / "group").write_text("7 uplinks\n0x10 sixteen\nx y\n8\n9 a b\n99999999999 far\n")
    (etc / "group.d/more.conf").write_text("8 more\n")
    assert group_numbers([str(etc), str(usr)]) == {"uplinks": 7, "sixteen": 16, "more": 8}
    assert group_numbers([str(tmp_path / "none")]) == {}
