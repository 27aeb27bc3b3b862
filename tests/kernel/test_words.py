"""Sets of hosts, far ends, MAC addresses and indexes: a real daemon, held against `ip -j addr` and `ip -j link`."""

import ipaddress
import json
import os
import signal
import socket
import struct
from contextlib import ExitStack
from typing import Dict, Set, Tuple

import pytest

from tests.kernel.lab import Lab
from tests.kernel.neighbours import neighbour
from tests.kernel.running import Netmgr
from tests.kernel.test_gateways import included
from tests.kernel.truth import become, host, plainly, usable
from tests.waiting import eventually

TYPES = {
    "servers4": "ipv4_addr", "servers6": "ipv6_addr", "servers": "ifname . ipv6_addr", "far4": "ipv4_addr", "far6": "ipv6_addr",
    "near": "ipv4_addr", "cards": "ether_addr", "indexes": "iface_index", "pairs": "ether_addr . ipv4_addr",
    "triples": "iface_index . ifname . ether_addr", "marks": "ether_addr : mark", "outside": "iface_index : ipv4_addr"}
RULESET = "table inet filter {\n%s}\n" % "".join(
    "    %s %s { type %s; %s}\n" % ("map" if ":" in kind else "set", name, kind, "flags interval; " * (name in ("servers", "near")))
    for name, kind in TYPES.items())
CONFIG = """
interfaces:
  - {name: lo, nftables_zone: wan}
  - {name: eth0, nftables_zone: wan}
  - {name: eth1, nftables_zone: wan}
zones:
  wan:
    convention: false
    sets:
      servers4: {holds: hosts, suffix: 0.0.0.10}
      servers6: {holds: hosts, suffix: ['::10', '::1:0:0:0:1']}
      servers: {holds: [interfaces, hosts], suffix: '::10', type: ifname . ipv6_addr, flags: interval}
      far4: peers
      far6: {holds: peers, exclude: [link_local]}
      near: {holds: peers, only: 10.0.0.0/31, type: ipv4_addr, flags: interval}
      cards: {holds: hardware_addresses, type: ether_addr}
      indexes: {holds: indexes, type: iface_index}
      pairs: {holds: [hardware_addresses, addresses], type: ether_addr . ipv4_addr}
      triples: {holds: [indexes, interfaces, hardware_addresses]}
      marks: {holds: hardware_addresses, mark: 0x10}
      outside: {holds: indexes, value: address}
docker: {enabled: false}
"""
COMMANDS = (
    "ip addr add 192.0.2.7/24 dev eth0", "ip addr add 192.0.2.9/29 dev eth1", "ip addr add 10.0.0.3 peer 10.0.0.1 dev eth0",
    "ip addr add 10.0.0.3 peer 10.0.0.2 dev eth0", "ip addr add 10.0.0.4 peer 10.0.0.2 dev eth1",
    "ip addr del 10.0.0.3 peer 10.0.0.2 dev eth0", "ip -6 addr add 2001:db8:0:7::1/64 dev eth0 nodad",
    "ip -6 addr add 2001:db8:0:8::1/128 dev eth0 nodad", "ip -6 addr add 2001:db8:0:9::1/48 dev eth1 nodad",
    "ip link set eth0 address 02:00:00:00:00:01", "ip link set eth1 address 02:00:00:00:00:02",
    "ip -6 addr add 2001:db8:a::1 peer 2001:db8:a::2/64 dev eth0 nodad",
    "ip -6 addr replace 2001:db8:a::1 peer 2001:db8:b::3/64 dev eth0 nodad",
    "ip -6 addr replace 2001:db8:a::1 peer fe80::3/64 dev eth0 nodad",
    "ip -6 addr replace 2001:db8:a::1 peer 2001:db8:b::4/64 dev eth0 nodad",
    "ip link add br0 type bridge", "ip link set eth1 master br0", "ip link set eth1 nomaster",
    "ip -6 addr del 2001:db8:a::1/64 dev eth0", "ip link set eth0 down", "ip link set eth0 name eth7", "ip link set eth7 name eth0",
    "ip link set eth0 up", "ip link del eth1", "ip link add eth1 type bridge", "ip link set eth1 up",
    "ip link del eth1")


@pytest.fixture
def two(lab: Lab) -> Lab:
    """Two cards."""
    for number in (0, 1):
        lab.link("eth%d" % number)
    lab.nft(RULESET)
    return lab


def expected(lab: Lab) -> Dict[str, Set[str]]:
    """What each of the sets should hold, by ip(8)."""
    links = {each["ifname"]: each for each in lab.links()}
    found: Dict[str, Set[str]] = {name: set() for name in TYPES}
    for interface in lab.addresses():
        name = interface["ifname"]
        if name not in ("lo", "eth0", "eth1"):
            continue
        card = interface["address"] if links[name]["link_type"] == "ether" else ""
        own = [each for each in usable(interface) if ":" not in each[0]]
        found["indexes"].add(name)
        if card:
            found["cards"].add(card)
            found["marks"].add("%s : 0x00000010" % card)
            found["triples"].add("%s . %s . %s" % (name, name, card))
            found["pairs"] |= {"%s . %s" % (card, address) for address, _length in own}
        found["servers4"] |= {each for address, length in own for each in host(address, length, 10)}
        six = [each for each in usable(interface) if ":" in each[0]]
        found["servers6"] |= {each for one in six for suffix in (16, (1 << 64) + 1) for each in host(*one, suffix)}
        found["servers"] |= {"%s . %s" % (name, each) for one in six for each in host(*one, 16)}
        for each in interface["addr_info"]:
            peer = ipaddress.ip_address(each.get("address", "::") if not each.get("tentative") else "::")
            if peer.version == 4:
                found["far4"].add(str(peer))
                found["near"] |= {str(peer)} & {"10.0.0.1"}
            elif not peer.is_unspecified and not peer.is_link_local:
                found["far6"].add(str(peer))
        first = [each["local"] for each in interface["addr_info"] if each["family"] == "inet" and not each.get("secondary")]
        found["outside"] |= {"%s : %s" % (name, each) for each in first[:1] if not each.startswith("127.")}
    return found


def held(lab: Lab) -> Dict[str, Set[str]]:
    """What nft lists; of an index the name."""
    return plainly(lab, {name: "map" if ":" in kind else "set" for name, kind in TYPES.items()})


def follows(lab: Lab) -> None:
    """Wait until the sets are what ip(8) says."""
    become(lambda: held(lab), lambda: expected(lab))


def test_the_sets_follow_ip(two: Lab) -> None:
    netmgr = Netmgr(two, CONFIG)
    follows(two)
    seen: Dict[str, int] = dict.fromkeys(TYPES, 0)
    for command in COMMANDS:
        two.run(command)
        follows(two)
        for name, elements in expected(two).items():
            seen[name] = max(seen[name], len(elements))
    assert min(seen.values()) > 0 and seen["cards"] == seen["far4"] == 2, "each set had something to hold"
    assert netmgr.status()["state"] == "ready", netmgr.ask("status")


def filled(lab: Lab) -> None:
    """Something of everything."""
    for command in COMMANDS[:12]:
        lab.run(command)


def test_they_are_repaired_kept_and_taken_out_again(two: Lab) -> None:
    filled(two)
    netmgr = Netmgr(two, CONFIG)
    follows(two)
    two.nft("".join("flush %s inet filter %s\n" % ("map" if ":" in kind else "set", name) for name, kind in TYPES.items()))
    follows(two)
    netmgr.kill()
    two.run("ip link set eth0 address 02:00:00:00:00:07")
    two.run("ip -6 addr del 2001:db8:0:7::1/64 dev eth0")
    netmgr.start()
    follows(two)
    netmgr.configure(CONFIG.replace("suffix: 0.0.0.10", "suffix: 0.0.0.20"))
    assert netmgr.ask("reload").startswith("OK")
    netmgr.holds("servers4", "192.0.2.20")
    netmgr.configure("interfaces: []\ndocker: {enabled: false}\n")
    assert netmgr.ask("reload").startswith("OK")
    assert not any(held(two).values())


def test_a_ruleset_loads_them_from_files_and_diff_agrees(two: Lab) -> None:
    filled(two)
    netmgr = Netmgr(two, CONFIG)
    follows(two)
    for name, element in (("indexes", "1 comment"), ("cards", "02:00:00:00:00:01 comment"), ("far6", "2001:db8:a::2"),
                          ("servers6", "2001:db8:0:7::10")):
        included(netmgr, name, element)
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    with two.inside():
        import subprocess
        import sys
        done = subprocess.run([sys.executable, "-m", "netmgr", "diff", "--config", str(netmgr.config)], env=environment, check=False,
                              capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, ""), done
    before = held(two)
    assert netmgr.stop() == 0
    include = 'include "%s/inet.filter.%%s[.]nft"' % netmgr.includes
    two.nft("flush ruleset\n" + "".join(
        line.replace("; }", "; %s\n}\n" % (include % line.split()[1])) if line.startswith("    ") else line + "\n"
        for line in RULESET.splitlines()))
    assert held(two) == before


def test_netmgr_makes_those_that_say_their_type(lab: Lab) -> None:
    lab.link("eth0")
    netmgr = Netmgr(lab, CONFIG + "nftables: {create: true}\n")
    lab.run("ip link set eth0 address 02:00:00:00:00:01")
    for name, kind in (("cards", "ether_addr"), ("indexes", "iface_index"), ("pairs", "ether_addr . ipv4_addr"),
                       ("servers", "ifname . ipv6_addr")):
        eventually(lambda name=name: netmgr.state(name)["state"] == "synced")   # type: ignore[misc]
        assert "type %s" % kind in lab.run("nft list set inet filter " + name)
    netmgr.holds("cards", "02:00:00:00:00:01")


def explained(netmgr: Netmgr, thing: str) -> Tuple[Set[Tuple[str, str, str]], Set[Tuple[str, str]]]:
    """Of `explain`: (set, element, source), and what is kept out of which set, by the reason."""
    told = json.loads(netmgr.ask("explain %s json" % thing))
    return ({(each["set"].split()[-1], each["element"], each["source"]) for each in told["feeds"]},
            {(each["set"].split()[-1], each["reason"]) for each in told["kept_out"] if each["set"]})


def test_explain(two: Lab) -> None:
    filled(two)
    netmgr = Netmgr(two, CONFIG)
    follows(two)
    assert explained(netmgr, "2001:db8:0:7::10") == (
        {("servers6", "2001:db8:0:7::10", "eth0"), ("servers", '"eth0" . 2001:db8:0:7::10', "eth0")}, set())
    assert explained(netmgr, "10.0.0.2")[0] == {("far4", "10.0.0.2", "eth1")}
    assert explained(netmgr, "10.0.0.2")[1] == {("near", "not_only")}
    assert ("far6", "2001:db8:a::2", "eth0") in explained(netmgr, "2001:db8:a::1")[0]
    assert {("servers6", "suffix"), ("servers", "suffix")} <= explained(netmgr, "2001:db8:0:8::1")[1]
    assert {("cards", "02:00:00:00:00:01", "eth0"), ("marks", "02:00:00:00:00:01 : 0x00000010", "eth0")} <= explained(netmgr, "eth0")[0]


def advertise(router: Lab, *prefixes: Tuple[str, int]) -> None:
    """An RA with these prefixes, each with its preferred lifetime."""
    options = b"".join(struct.pack("!BBBBIII16s", 3, 4, 64, 0xC0, 7200, preferred, 0, socket.inet_pton(socket.AF_INET6, prefix))
                       for prefix, preferred in prefixes)
    with router.inside(), socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as sender:
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        sender.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex("eth0"))
        sender.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 0, 0, 0) + options, ("ff02::1", 0))


def prefixes_of(lab: Lab) -> Dict[str, bool]:
    """The networks of usable global IPv6 addresses of eth0 -> whether they are deprecated."""
    interface = next(each for each in lab.addresses() if each["ifname"] == "eth0")
    deprecated = {each["local"]: bool(each.get("deprecated")) for each in interface["addr_info"]}
    return {str(ipaddress.ip_interface("%s/%d" % each).network.network_address): deprecated[each[0]]
            for each in usable(interface) if ":" in each[0]}


def test_another_prefix_comes_by_router_advertisement(lab: Lab) -> None:
    """All that a wake-up brings is one transaction: netmgr sleeps while the prefix changes."""
    old, new = "2001:db8:0:1::", "2001:db8:0:2::"
    lab.sysctl("net.ipv6.conf.default.accept_dad", 0)
    lab.sysctl("net.ipv6.conf.default.accept_ra", 2)
    with ExitStack() as stack:
        router = neighbour(lab, "eth0", "fe80::1/64 nodad")
        stack.callback(router.close)
        lab.nft("table inet filter { set server { type ipv6_addr; }; }")
        netmgr = Netmgr(lab, "interfaces: [{name: eth0, nftables_zone: wan}]\ndocker: {enabled: false}\n"
                             "zones: {wan: {sets: {server: {holds: hosts, suffix: '::10', exclude: [link_local, deprecated]}}}}\n")

        def advertised(*prefixes: Tuple[str, int]) -> bool:
            advertise(router, *prefixes)
            return prefixes_of(lab) == {prefix: not preferred for prefix, preferred in prefixes}
        eventually(lambda: advertised((old, 3600)))
        netmgr.holds("server", old + "10")
        assert netmgr.process is not None
        netmgr.process.send_signal(signal.SIGSTOP)
        try:
            before = lab.generation()
            eventually(lambda: advertised((old, 0), (new, 3600)))
        finally:
            netmgr.process.send_signal(signal.SIGCONT)
        netmgr.holds("server", new + "10")
        assert lab.generation() == before + 1
