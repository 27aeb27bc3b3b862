"""The examples of docs/examples as they are shipped, each among its neighbours: which sets it fills, and what gets through."""

from typing import Iterator

import pytest

from tests.kernel.example import Example
from tests.kernel.lab import Lab
from tests.kernel.neighbours import arrives, reaches


@pytest.fixture
def example(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Example]:
    made = Example(lab, request.param)
    yield made
    made.close()


def _forwarding(lab: Lab) -> None:
    lab.sysctl("net.ipv4.ip_forward", 1)


@pytest.mark.parametrize("example", ["home-router"], indirect=True)
def test_home_router(example: Example) -> None:
    router, netmgr = example.lab, example.netmgr
    _forwarding(router)
    home = example.neighbour("eth1", "192.168.1.10/24", "192.168.1.1/24")
    home.run("ip route add default via 192.168.1.1")
    router.run("ip -6 address add 2001:db8:5:1::1/64 dev eth1 nodad")
    assert reaches(home, "192.168.1.1", 22), "before netmgr has run, too"
    netmgr.start()
    netmgr.holds("lan_nets", "192.168.1.0/24")
    netmgr.holds("lan_nets6", "2001:db8:5:1::/64")
    netmgr.holds("wan_ifs")

    world = example.neighbour("ppp0", "203.0.113.1/32", "203.0.113.5 peer 203.0.113.1")
    world.run("ip route add 203.0.113.5 dev eth0")
    router.run("ip route replace default dev ppp0")
    netmgr.holds("wan_ifs", "ppp0")
    netmgr.holds("wan_ips", "203.0.113.5")
    assert reaches(world, "203.0.113.5", 443), "port 443 is the web server's"
    assert not reaches(world, "203.0.113.5", 22)
    assert arrives(home, world, ("203.0.113.1", 9)) == "203.0.113.5"

    router.run("ip address del 203.0.113.5 peer 203.0.113.1 dev ppp0")
    router.run("ip address add 198.51.100.9 peer 203.0.113.1 dev ppp0")
    router.run("ip route replace default dev ppp0")
    world.run("ip route add 198.51.100.9 dev eth0")
    netmgr.holds("wan_ips", "198.51.100.9")
    example.load(filled_with="198.51.100.9")
    assert reaches(world, "198.51.100.9", 443), "the ruleset is loaded with its sets filled"
    router.run("ip -6 address change 2001:db8:5:1::1/64 dev eth1 preferred_lft 0 valid_lft 7200")
    router.run("ip -6 address add 2001:db8:6:1::1/64 dev eth1 nodad")
    netmgr.holds("lan_nets6", "2001:db8:6:1::/64")
    assert netmgr.status()["state"] == "ready"


@pytest.mark.parametrize("example", ["two-uplinks"], indirect=True)
def test_two_uplinks(example: Example) -> None:
    firewall, netmgr = example.lab, example.netmgr
    _forwarding(firewall)
    for key in ("all", "default"):
        firewall.sysctl("net.ipv4.conf.%s.rp_filter" % key, 0)
    first = example.neighbour("eth0", "203.0.113.1/24", "203.0.113.5/24")
    second = example.neighbour("eth1", "198.51.100.1/24", "198.51.100.7/24")
    inside = example.neighbour("eth2", "192.168.1.10/24", "192.168.1.1/24")
    inside.run("ip route add default via 192.168.1.1")
    for host, gateway in ((first, "203.0.113.5"), (second, "198.51.100.7")):
        host.run("ip address add 192.0.2.99/32 dev lo")        # one place in the world that both providers know the way to
        host.run("ip route add default via " + gateway)
    for number, gateway in ((1, "203.0.113.1"), (2, "198.51.100.1")):
        firewall.run("ip rule add fwmark %d lookup %d" % (number, 100 + number))
        firewall.run("ip route add default via %s table %d" % (gateway, 100 + number))
    firewall.run("ip route add default via 203.0.113.1")
    assert reaches(inside, "192.168.1.1", 22)
    netmgr.start()
    netmgr.holds("isp_a_ips", "203.0.113.5")
    netmgr.holds("isp_b_ips", "198.51.100.7")
    netmgr.holds("wan_ips", "203.0.113.5", "198.51.100.7")
    netmgr.holds("lan_nets", "192.168.1.0/24")
    assert arrives(firewall, first, ("192.0.2.99", 9), "203.0.113.5") == "203.0.113.5"
    assert arrives(firewall, second, ("192.0.2.99", 9), "198.51.100.7") == "198.51.100.7"
    assert not arrives(firewall, first, ("192.0.2.99", 9), "198.51.100.7")
    assert not reaches(first, "203.0.113.5", 22)
    assert arrives(inside, first, ("192.0.2.99", 9)) == "203.0.113.5"

    firewall.run("ip address add 198.51.100.8/24 dev eth1")
    firewall.run("ip address del 198.51.100.7/24 dev eth1")
    firewall.run("ip address replace 198.51.100.8/24 dev eth1")         # no secondary one: it went with the first
    firewall.run("ip route replace default via 198.51.100.1 table 102")
    netmgr.holds("isp_b_ips", "198.51.100.8")
    second.run("ip route replace default via 198.51.100.8")
    example.load(filled_with="198.51.100.8")
    assert arrives(firewall, second, ("192.0.2.99", 9), "198.51.100.8") == "198.51.100.8"
    assert netmgr.status()["state"] == "ready"
