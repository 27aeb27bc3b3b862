"""Sets of the next hops of default routes: a real daemon, held against `ip -j route`."""

import json
from typing import Dict, Iterator, Set, Tuple

import pytest

from tests.kernel.lab import Lab
from tests.kernel.running import Netmgr
from tests.kernel.truth import become, plainly
from tests.waiting import eventually

RULESET = """
table inet filter {
    set hops4 { type ipv4_addr; }
    set hops6 { type ipv6_addr; }
    set near4 { type ipv4_addr; flags interval; }
    set pairs { type ifname . ipv4_addr; }
    set ranges { type ifname . ipv4_addr; flags interval; }
    set public { type ipv4_addr; }
    set mixed { type ipv4_addr . ipv6_addr; }
    map marks { type ipv4_addr : mark; }
    map outside { type ipv4_addr : ipv4_addr; }
}
"""
CONFIG = """
interfaces:
  - {name: eth0, nftables_zone: wan}
  - {name: eth1, nftables_zone: wan}
zones:
  wan:
    convention: false
    sets:
      hops4: gateways
      hops6: {holds: gateways}
      near4: gateways
      pairs: {holds: [interfaces, gateways]}
      ranges: {holds: [interfaces, gateways]}
      public: {holds: gateways, only: global, exclude: 192.0.1.0/24}
      mixed: {holds: [addresses, gateways]}
      marks: {holds: gateways, mark: 0x10}
      outside: {holds: gateways, value: address}
docker: {enabled: false}
"""
LINK_LOCAL = "fe80::99"
COMMANDS = (
    "ip route add default via 192.0.0.2", "ip route add default via 192.0.1.2 metric 9", "ip route del default via 192.0.0.2",
    "ip route replace default metric 9 nexthop via 192.0.0.2 nexthop via 192.0.1.3 nexthop via inet6 %s dev eth1" % LINK_LOCAL,
    "ip link set eth0 down", "ip link set eth0 up", "ip route del default metric 9",
    "ip route add default via 169.254.7.7 dev eth0 onlink", "ip route replace default via 203.0.113.1 dev eth0 onlink",
    "ip -4 route replace default via inet6 %s dev eth0" % LINK_LOCAL,
    "ip route add 198.51.100.0/24 via 192.0.0.9", "ip route add default via 192.0.1.9 table 77",
    "ip route add unreachable default metric 4", "ip route add default dev eth1 metric 3",
    "ip -6 route add default via %s dev eth1 metric 5" % LINK_LOCAL,
    "ip -6 route append default metric 5 nexthop via fe80::98 dev eth0 nexthop via fe80::97 dev eth1",
    "ip -6 route append default via 2001:db8::1 dev eth0 onlink metric 5",
    "ip -6 route flush default", "ip -4 route flush default",
    "ip nexthop add id 7 via 192.0.1.2 dev eth1", "ip route add default nhid 7 metric 3", "ip nexthop replace id 7 via 192.0.0.2 dev eth0",
    "ip nexthop add id 8 via 192.0.1.4 dev eth1", "ip nexthop add id 9 group 7/8", "ip route replace default nhid 9 metric 3",
    "ip nexthop del id 8", "ip nexthop del id 7",
    "ip route add default via 192.0.1.2 metric 2", "ip link set eth1 down", "ip link set eth1 name eth9", "ip link set eth9 up",
    "ip route add default via 192.0.1.2 metric 2", "ip link set eth9 down", "ip link set eth9 name eth1", "ip link set eth1 up",
    "ip route add default via 192.0.1.2 metric 2", "ip link del eth1")


@pytest.fixture
def two(lab: Lab) -> Lab:
    """Two cards with an address each."""
    for number in (0, 1):
        lab.link("eth%d" % number)
        lab.run("ip addr add 192.0.%d.1/24 dev eth%d" % (number, number))
    lab.nft(RULESET)
    return lab


def next_hops(lab: Lab) -> Iterator[Tuple[str, str]]:
    """By ip(8): each interface with each next hop of a usable default route over it."""
    for family in ("-4", "-6"):
        for route in json.loads(lab.run("ip -j %s route show default table main" % family) or "[]"):
            if route.get("type", "unicast") == "unicast":
                for hop in route.get("nexthops", [route]):
                    address = hop.get("gateway") or hop.get("via", {}).get("host")
                    if address and "dead" not in [*hop.get("flags", ()), *route.get("flags", ())]:
                        yield hop["dev"], address


def expected(lab: Lab) -> Dict[str, Set[str]]:
    """What each of the sets should hold."""
    found = {each for each in next_hops(lab) if each[0] in ("eth0", "eth1")}
    four = {hop for _name, hop in found if ":" not in hop}
    pairs = {"%s . %s" % each for each in found if ":" not in each[1]}
    own = {name: "192.0.%s.1" % name[-1] for name, _hop in found}
    return {
        "hops4": four, "hops6": {hop for _name, hop in found if ":" in hop}, "near4": four, "pairs": pairs, "ranges": pairs,
        "public": {each for each in four if not each.startswith(("192.0.1.", "169.254."))},
        "mixed": {"%s . %s" % (own[name], hop) for name, hop in found if ":" in hop},
        "marks": {"%s : 0x00000010" % each for each in four},
        "outside": {"%s : %s" % (hop, own[name]) for name, hop in found if ":" not in hop}}


def held(lab: Lab) -> Dict[str, Set[str]]:
    """What nft lists."""
    lines = (line.split() for line in RULESET.splitlines())
    return plainly(lab, {words[1]: words[0] for words in lines if words[:1] in (["set"], ["map"])})


def follows(lab: Lab) -> None:
    """Wait until the sets are what ip(8) says."""
    become(lambda: held(lab), lambda: expected(lab))


def included(netmgr: Netmgr, name: str, element: str) -> None:
    """Wait until a set's include file has this."""
    file = netmgr.includes / ("inet.filter.%s.nft" % name)
    eventually(lambda: element in file.read_text())


def test_the_sets_follow_the_next_hops(two: Lab) -> None:
    netmgr = Netmgr(two, CONFIG)
    seen = []
    for command in COMMANDS:
        two.run(command)
        follows(two)
        seen.append(expected(two))
    everything = set().union(*(each["hops4"] | each["hops6"] for each in seen))
    assert {LINK_LOCAL, "169.254.7.7", "203.0.113.1", "192.0.1.4", "fe80::97", "2001:db8::1"} <= everything
    assert "192.0.0.9" not in everything and "192.0.1.9" not in everything
    assert {len(each["hops4"]) for each in seen} >= {0, 1, 2} and any(each["public"] < each["hops4"] for each in seen)
    assert netmgr.status()["sources"]["routes"]["state"] == "ok"


def test_they_are_explained(two: Lab) -> None:
    netmgr = Netmgr(two, CONFIG)
    two.run("ip route add default via 192.0.1.2")
    two.run("ip -4 route add default via 192.0.0.2 metric 7")
    follows(two)
    told = json.loads(netmgr.ask("explain 192.0.1.2 json"))
    assert (told["kind"], [(row["set"].split()[2], row["element"], row["source"], row["in_kernel"]) for row in told["feeds"]]) == (
        "address", [(name, element, "eth1", True) for name, element in (
            ("hops4", "192.0.1.2"), ("near4", "192.0.1.2"), ("pairs", '"eth1" . 192.0.1.2'), ("ranges", '"eth1" . 192.0.1.2'),
            ("marks", "192.0.1.2 : 0x00000010"), ("outside", "192.0.1.2 : 192.0.1.1"))])
    assert [(row["set"], row["reason"]) for row in told["kept_out"]] == [("inet filter public", "network")]
    told = json.loads(netmgr.ask("explain eth0 json"))
    assert {"192.0.0.2", '"eth0" . 192.0.0.2', "192.0.0.2 : 0x00000010"} <= {row["element"] for row in told["feeds"]}


def test_they_are_kept_like_any_other(two: Lab) -> None:
    """Repaired, included, explained, compared; and gone when nothing wants them any more."""
    netmgr = Netmgr(two, CONFIG)
    two.run("ip route add default via 192.0.0.2")
    follows(two)
    two.run("nft flush set inet filter pairs")
    two.run("nft flush map inet filter marks")
    follows(two)
    eventually(lambda: '"kind": "repaired"' in netmgr.ask("log json"))
    for name, element in (("pairs", '"eth0" . 192.0.0.2 comment "netmgr"'), ("marks", '192.0.0.2 comment "netmgr" : 0x00000010')):
        included(netmgr, name, element)
    two.run("nft -f -", "flush ruleset\n" + RULESET)
    follows(two)
    netmgr.restart()
    follows(two)
    netmgr.configure(CONFIG.replace("gateways, mark: 0x10", "gateways, mark: 0x20").replace("      hops4: gateways\n", ""))
    assert netmgr.ask("reload").startswith("OK")
    assert (held(two)["marks"], held(two)["hops4"]) == ({"192.0.0.2 : 0x00000020"}, set())
    netmgr.configure("interfaces: [{name: eth0, nftables_zone: wan}]\ndocker: {enabled: false}\n")
    assert netmgr.ask("reload").startswith("OK")
    assert not any(held(two).values()) and "routes" not in netmgr.status()["sources"]
