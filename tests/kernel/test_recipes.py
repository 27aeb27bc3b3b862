"""The recipes of netmgr.yaml(5) as they stand there, each with packets."""

import re
from contextlib import ExitStack
from typing import Iterator

import pytest

from tests import engine_bodies as bodies
from tests.kernel.engine import Engine
from tests.kernel.lab import Lab
from tests.kernel.neighbours import arrives, neighbour, reaches
from tests.kernel.running import ROOT, Netmgr
from tests.waiting import eventually

SECTION = (ROOT / "pkg-files/man/netmgr.yaml.5").read_text().partition("\n.Sh CONCATENATIONS AND MAPS\n")[2].partition("\n.Sh ")[0]
PORT = 4711


def start(lab: Lab, title: str, engine: str = "enabled: false", **zones: str) -> Netmgr:
    """netmgr and the ruleset of the recipe with this title; zones by interface."""
    text = SECTION.partition("\n.Ss %s\n" % title)[2].partition("\n.Ss ")[0]
    shown = re.search(r"^\.Bd -literal\n(.*?)^\.Ed$", text, re.MULTILINE | re.DOTALL)
    assert shown is not None
    config, _table, ruleset = shown[1].partition("\ntable ")
    lab.nft("table " + ruleset.replace("\\e\n", "\\\n"))
    rules = "".join("  - {name: %s, nftables_zone: %s}\n" % each for each in zones.items())
    return Netmgr(lab, "%sdocker: {%s}\n%s" % ("interfaces:\n" + rules if rules else "", engine, config))


@pytest.fixture
def hosts() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def beside(hosts: ExitStack, lab: Lab, name: str, address: str, local: str) -> Lab:
    """A host at this interface, until the end of the test."""
    host = neighbour(lab, name, address, local)
    hosts.callback(host.close)
    return host


def test_against_forged_senders(lab: Lab, hosts: ExitStack) -> None:
    host = beside(hosts, lab, "eth0", "10.0.0.2/24", "10.0.0.1/24")
    host.run("ip address add 198.51.100.9/32 dev lo")
    lab.run("ip route add 198.51.100.9 dev eth0")
    start(lab, "Against forged senders", eth0="lan")
    eventually(lambda: reaches(host, "10.0.0.1", PORT, "10.0.0.2"))
    assert not reaches(host, "10.0.0.1", PORT, "198.51.100.9")
    assert reaches(lab, "10.0.0.1", PORT)
    lab.run("ip address add 198.51.100.1/24 dev eth0")
    eventually(lambda: reaches(host, "10.0.0.1", PORT, "198.51.100.9"))


def test_against_forged_mac_addresses(lab: Lab, hosts: ExitStack) -> None:
    lab.run("ip link add br0 type bridge")
    lab.run("ip link set br0 up")
    lab.run("ip addr add 172.18.0.1/16 dev br0")
    inside = beside(hosts, lab, "veth7", "172.18.0.2/16", "")
    lab.run("ip link set veth7 master br0")
    inside.run("ip addr add 172.18.0.3/16 dev eth0")
    inside.run("ip link set eth0 address " + bodies.MAC)
    engine = Engine(lab)
    start(lab, "Against forged MAC addresses", "socket: " + engine.socket)
    to = "172.18.0.1", PORT
    assert not arrives(inside, lab, to, "172.18.0.2")
    engine.runs(bodies.container(1, {"bridge": ("172.18.0.2/16",)}))
    eventually(lambda: arrives(inside, lab, to, "172.18.0.2") == "172.18.0.2")
    assert not arrives(inside, lab, to, "172.18.0.3")
    inside.run("ip link set eth0 address 02:42:ac:11:00:09")
    assert not arrives(inside, lab, to, "172.18.0.2")
    inside.run("ip link set eth0 address " + bodies.MAC)
    eventually(lambda: arrives(inside, lab, to, "172.18.0.2") == "172.18.0.2")
    engine.runs()
    eventually(lambda: not arrives(inside, lab, to, "172.18.0.2"))


def test_a_server_behind_todays_prefix(lab: Lab, hosts: ExitStack) -> None:
    old, new = "2001:db8:0:1::", "2001:db8:0:2::"
    world = beside(hosts, lab, "eth0", "2001:db8::2/64 nodad", "2001:db8::1/64 nodad")
    inside = beside(hosts, lab, "eth1", old + "10/64 nodad", old + "1/64 nodad")
    for host, gateway in ((world, "2001:db8::1"), (inside, old + "1")):
        host.run("ip -6 route add default via %s dev eth0" % gateway)
    inside.run("ip address add %s11/64 nodad dev eth0" % old)
    lab.sysctl("net.ipv6.conf.all.forwarding", 1)
    start(lab, "A server behind today's prefix", eth1="lan")
    eventually(lambda: arrives(world, inside, (old + "10", PORT)) == "2001:db8::2")
    assert not arrives(world, inside, (old + "11", PORT)), "another host"
    assert not arrives(world, inside, (old + "10", PORT + 1)), "another port"
    for number in ("10", "11"):
        inside.run("ip address add %s%s/64 nodad dev eth0" % (new, number))
    assert not arrives(world, inside, (new + "10", PORT))
    lab.run("ip address add %s1/64 nodad dev eth1" % new)
    lab.run("ip address del %s1/64 dev eth1" % old)
    inside.run("ip -6 route replace default via %s1 dev eth0" % new)
    eventually(lambda: arrives(world, inside, (new + "10", PORT)) == "2001:db8::2")
    assert not arrives(world, inside, (new + "11", PORT))


def test_snat_to_todays_address(lab: Lab, hosts: ExitStack) -> None:
    world = beside(hosts, lab, "eth0", "203.0.113.1/24", "203.0.113.5/24")
    inside = beside(hosts, lab, "eth1", "10.0.0.2/24", "10.0.0.1/24")
    inside.run("ip route add default via 10.0.0.1")
    lab.sysctl("net.ipv4.ip_forward", 1)
    start(lab, "SNAT to today's address", eth0="wan")
    eventually(lambda: arrives(inside, world, ("203.0.113.1", PORT)) == "203.0.113.5")
    lab.run("ip address add 203.0.113.6/24 dev eth0")
    lab.run("ip address flush dev eth0 to 203.0.113.5/32")
    lab.run("ip address replace 203.0.113.6/24 dev eth0")
    eventually(lambda: arrives(inside, world, ("203.0.113.1", PORT)) == "203.0.113.6")


def test_zones_as_chains(lab: Lab, hosts: ExitStack) -> None:
    world = beside(hosts, lab, "eth0", "203.0.113.1/24", "203.0.113.5/24")
    inside = beside(hosts, lab, "eth1", "10.0.0.2/24", "10.0.0.1/24")
    netmgr = start(lab, "Zones as chains", eth0="wan", eth1="lan")
    eventually(lambda: not reaches(world, "203.0.113.5", 22))
    assert reaches(world, "203.0.113.5", 443)
    assert reaches(inside, "10.0.0.1", 22)
    netmgr.configure(netmgr.config.read_text().replace("eth0, nftables_zone: wan", "eth0, nftables_zone: lan"))
    assert netmgr.ask("reload").startswith("OK")
    eventually(lambda: reaches(world, "203.0.113.5", 22))


def test_marks_for_two_uplinks(lab: Lab, hosts: ExitStack) -> None:
    first = beside(hosts, lab, "eth0", "203.0.113.1/24", "203.0.113.5/24")
    second = beside(hosts, lab, "eth1", "192.0.2.1/24", "192.0.2.5/24")
    lab.sysctl("net.ipv4.conf.all.rp_filter", 0)
    lab.sysctl("net.ipv4.conf.eth1.rp_filter", 0)
    second.run("ip address add 198.51.100.7/32 dev lo")
    lab.run("ip route add default via 203.0.113.1 dev eth0")
    start(lab, "Marks for two uplinks", eth0="one", eth1="two")
    assert reaches(first, "203.0.113.5", PORT)
    assert not reaches(second, "192.0.2.5", PORT, "198.51.100.7")       # the answer leaves by the first
    for mark, gateway in ((0x10, "203.0.113.1"), (0x20, "192.0.2.1")):
        lab.run("ip route add default via %s table %d" % (gateway, mark))
        lab.run("ip rule add fwmark %d table %d" % (mark, mark))
    eventually(lambda: reaches(second, "192.0.2.5", PORT, "198.51.100.7"))
    assert reaches(first, "203.0.113.5", PORT)


def test_containers_published_without_iptables(lab: Lab, hosts: ExitStack) -> None:
    world = beside(hosts, lab, "eth0", "203.0.113.1/24", "203.0.113.5/24")
    inside = beside(hosts, lab, "docker0", "172.18.0.2/16", "172.18.0.1/16")
    inside.run("ip route add default via 172.18.0.1")
    world.run("ip route add 172.18.0.0/16 via 203.0.113.5")
    lab.sysctl("net.ipv4.ip_forward", 1)
    engine = Engine(lab)
    start(lab, "Containers published without iptables", "socket: " + engine.socket)
    assert not arrives(world, inside, ("203.0.113.5", PORT))
    networks = {"bridge": ("172.18.0.2/16",)}
    engine.runs(bodies.container(1, networks, ports=["%d:%d/udp" % (PORT, PORT)]))
    eventually(lambda: arrives(world, inside, ("203.0.113.5", PORT)) == "203.0.113.1")
    assert not arrives(world, inside, ("203.0.113.5", PORT + 1)), "another port"
    assert not arrives(world, inside, ("172.18.0.2", PORT)), "not by the port of this host"
    assert arrives(inside, world, ("203.0.113.1", PORT)) == "203.0.113.5"
    engine.runs(bodies.container(1, networks))
    eventually(lambda: not arrives(world, inside, ("203.0.113.5", PORT)))


def test_hairpin_nat(lab: Lab, hosts: ExitStack) -> None:
    """Both are at ports of one bridge, so that the server could answer the client directly, which would not know by whom."""
    lab.run("ip link add br0 type bridge")
    lab.run("ip link set br0 up")
    server, client = (beside(hosts, lab, "port%d" % number, "10.0.0.%d/24" % number, "") for number in (2, 3))
    for number, host in ((2, server), (3, client)):
        lab.run("ip link set port%d master br0" % number)
        host.run("ip route add default via 10.0.0.1")
    lab.run("ip addr add 10.0.0.1/24 dev br0")
    lab.link("eth0")
    lab.run("ip addr add 203.0.113.5/24 dev eth0")
    lab.sysctl("net.ipv4.ip_forward", 1)
    start(lab, "Hairpin NAT", eth0="wan", br0="lan")
    eventually(lambda: arrives(client, server, ("203.0.113.5", PORT)) == "10.0.0.1")
    lab.run("ip addr add 203.0.113.6/24 dev eth0")
    eventually(lambda: arrives(client, server, ("203.0.113.6", PORT)) == "10.0.0.1")
    assert arrives(client, server, ("10.0.0.2", PORT)) == "10.0.0.3"
