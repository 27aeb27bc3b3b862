"""Everything that can happen to addresses and interfaces, seen in the kernel's sets."""

import pytest

from tests.kernel.lab import Lab
from tests.kernel.running import CONFIG, RULESET, Netmgr
from tests.waiting import eventually

MORE = """
table inet filter {
    set wan_ips6 { type ipv6_addr; }
    set lan_ipv6 { type ipv6_addr; }
    set wan_nets { type ipv4_addr; flags interval; }
    set wan_ifs { type ifname; }
}
table inet other {
    set theirs { type ipv4_addr; elements = { 192.0.2.200 }; }
    chain c { ip saddr 192.0.2.1 counter; }
}
"""


@pytest.fixture
def netmgr(lab: Lab) -> Netmgr:
    lab.nft(RULESET + MORE)
    lab.sysctl("net.ipv6.conf.default.accept_dad", 0)
    lab.link("eth0")
    lab.link("eth1")
    return Netmgr(lab)


def test_an_address_comes_moves_and_goes(netmgr: Netmgr) -> None:
    others = netmgr.lab.run("nft list table inet other")
    netmgr.lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.1")
    netmgr.lab.run("ip addr del 192.0.2.1/24 dev eth0")
    netmgr.lab.run("ip addr add 192.0.2.1/24 dev eth1")
    netmgr.holds("lan_ips", "192.0.2.1")
    netmgr.holds("wan_ips")
    netmgr.lab.run("ip addr del 192.0.2.1/24 dev eth1")
    netmgr.holds("lan_ips")
    assert netmgr.lab.run("nft list table inet other") == others
    assert netmgr.status()["state"] == "ready"


def test_renamed_deleted_and_new_interfaces(netmgr: Netmgr) -> None:
    netmgr.lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.1")
    netmgr.holds("wan_nets", "192.0.2.0/24")
    netmgr.holds("wan_ifs", "eth0")
    netmgr.lab.rename_link("eth0", "other0")
    netmgr.holds("wan_ips")
    netmgr.holds("wan_nets")
    netmgr.holds("wan_ifs")
    netmgr.lab.rename_link("other0", "eth0")
    netmgr.holds("wan_ips", "192.0.2.1")
    netmgr.lab.run("ip link del eth0")
    netmgr.holds("wan_ips")
    netmgr.holds("wan_ifs")
    netmgr.lab.link("eth0")
    netmgr.holds("wan_ifs", "eth0")
    netmgr.lab.run("ip addr add 192.0.2.9/32 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.9")
    netmgr.holds("wan_nets", "192.0.2.9")


def test_names_may_be_swapped(netmgr: Netmgr) -> None:
    netmgr.lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr.lab.run("ip addr add 192.0.2.2/24 dev eth1")
    for old, new in (("eth0", "tmp0"), ("eth1", "eth0"), ("tmp0", "eth1")):
        netmgr.lab.rename_link(old, new)
    netmgr.holds("wan_ips", "192.0.2.2")
    netmgr.holds("lan_ips", "192.0.2.1")


def test_an_address_on_two_interfaces_of_a_zone_stays_until_the_last_claim_ends(netmgr: Netmgr) -> None:
    netmgr.configure(CONFIG.replace("eth1, nftables_zone: lan", "eth1, nftables_zone: [wan, lan]"))
    assert netmgr.ask("reload").startswith("OK: ")
    for card in ("eth0", "eth1"):
        netmgr.lab.run("ip addr add 192.0.2.1/24 dev " + card)
    netmgr.lab.run("ip addr add 192.0.2.1/25 dev eth0")
    netmgr.holds("lan_ips", "192.0.2.1")
    for gone in ("192.0.2.1/24 dev eth0", "192.0.2.1/25 dev eth0"):
        netmgr.lab.run("ip addr del " + gone)
        netmgr.lab.run("ip addr add 192.0.2.7/32 dev eth0")
        netmgr.holds("wan_ips", "192.0.2.1", "192.0.2.7")
        netmgr.lab.run("ip addr del 192.0.2.7/32 dev eth0")
    netmgr.lab.run("ip addr del 192.0.2.1/24 dev eth1")
    netmgr.holds("wan_ips")
    netmgr.holds("lan_ips")


def test_patterns_match_interfaces_that_appear_later(netmgr: Netmgr) -> None:
    netmgr.configure(CONFIG.replace("name: eth0", "name: 'ppp*'"))
    assert netmgr.ask("reload").startswith("OK: ")
    for name in ("ppp0", "ppp1"):
        netmgr.lab.link(name)
    netmgr.holds("wan_ifs", "ppp0", "ppp1")
    netmgr.lab.run("ip addr add 10.64.0.2 peer 10.64.0.1 dev ppp1")
    netmgr.holds("wan_ips", "10.64.0.2")


def test_the_local_end_of_a_point_to_point_address_counts(netmgr: Netmgr) -> None:
    netmgr.lab.run("ip addr add 10.0.0.1 peer 10.9.9.2/30 dev eth0")
    netmgr.lab.run("ip addr add 2001:db8::1 peer 2001:db8:9::2 dev eth0")
    netmgr.holds("wan_ips", "10.0.0.1")
    netmgr.holds("wan_ips6", "2001:db8::1")
    netmgr.holds("wan_nets", "10.0.0.0/30")


def test_admin_down_keeps_ipv4_and_takes_ipv6(netmgr: Netmgr) -> None:
    netmgr.lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr.lab.run("ip addr add 2001:db8::1/64 dev eth0")
    netmgr.holds("wan_ips6", "2001:db8::1")
    netmgr.lab.run("ip link set eth0 down")
    netmgr.holds("wan_ips6")
    netmgr.lab.run("ip link set eth0 up")
    netmgr.lab.run("ip addr add 2001:db8::2/64 dev eth0")
    netmgr.holds("wan_ips6", "2001:db8::2")
    netmgr.holds("wan_ips", "192.0.2.1")


def test_ipv6_counts_when_duplicate_address_detection_is_over(netmgr: Netmgr) -> None:
    lab = netmgr.lab
    lab.sysctl("net.ipv6.conf.eth0.accept_dad", 1)
    lab.sysctl("net.ipv6.conf.eth0.dad_transmits", 100)         # one a second, until somebody has seen that it waits
    lab.run("ip addr add 2001:db8::5/64 dev eth0")

    def row() -> str:
        rows = {each["address"]: each for interface in netmgr.status()["interfaces"] for each in interface["addresses"]}
        found = rows.get("2001:db8::5/64")
        return "" if found is None else "counts" if found["counts"] else "waits"
    assert eventually(row) == "waits"
    assert lab.sets("inet filter", "wan_ips6") == set()
    lab.sysctl("net.ipv6.neigh.eth0.retrans_time_ms", 10)
    netmgr.holds("wan_ips6", "2001:db8::5")
    assert row() == "counts"
    lab.run("ip addr add 2001:db8::6/64 dev eth0 optimistic")
    lab.run("ip addr add 2001:db8::7/64 dev eth0 nodad")
    netmgr.holds("wan_ips6", "2001:db8::5", "2001:db8::6", "2001:db8::7")


def test_deprecated_and_expired_addresses(netmgr: Netmgr) -> None:
    netmgr.configure(CONFIG + "zones: {wan: {sets: {wan_ips: addresses, wan_ips6: {holds: addresses, exclude: [link_local, deprecated]}}}}")
    assert netmgr.ask("reload").startswith("OK: ")
    both = ("2001:db8::1/64", "192.0.2.1/24")

    def last(valid: int, preferred: int) -> None:
        for address in both:
            netmgr.lab.run("ip addr replace %s dev eth0 valid_lft %d preferred_lft %d" % (address, valid, preferred))
    last(3600, 1800)
    netmgr.holds("wan_ips6", "2001:db8::1")
    last(3600, 1)
    netmgr.holds("wan_ips6")
    assert netmgr.lab.sets("inet filter", "wan_ips") == {"192.0.2.1"}
    last(1, 1)
    netmgr.holds("wan_ips")


def test_a_promoted_secondary_address_stays(netmgr: Netmgr) -> None:
    netmgr.configure(CONFIG + "zones: {wan: {sets: {wan_ips: {holds: addresses, exclude: [secondary]}}}}")
    assert netmgr.ask("reload").startswith("OK: ")
    netmgr.lab.sysctl("net.ipv4.conf.eth0.promote_secondaries", 1)
    netmgr.lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr.lab.run("ip addr add 192.0.2.2/24 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.1")
    netmgr.lab.run("ip addr del 192.0.2.1/24 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.2")


def test_a_bridge_port_that_is_released_is_not_gone(netmgr: Netmgr) -> None:
    netmgr.lab.run("ip link add br0 type bridge")
    netmgr.lab.run("ip addr add 192.0.2.1/24 dev eth0")
    for master in ("master br0", "nomaster"):
        netmgr.lab.run("ip link set eth0 " + master)
    netmgr.lab.run("ip addr add 192.0.2.2/24 dev eth1")
    netmgr.holds("lan_ips", "192.0.2.2")
    netmgr.holds("wan_ips", "192.0.2.1")


def test_an_interface_that_moves_to_another_namespace_is_gone(netmgr: Netmgr) -> None:
    netmgr.lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.1")
    with Lab() as elsewhere:
        netmgr.lab.move_link("eth0", elsewhere)
        netmgr.holds("wan_ips")
        netmgr.holds("wan_ifs")


def test_addresses_that_a_link_keeps_while_it_is_down_count_when_their_detection_is_over(netmgr: Netmgr) -> None:
    netmgr.lab.sysctl("net.ipv6.conf.eth0.accept_dad", 1)
    netmgr.lab.sysctl("net.ipv6.conf.eth0.keep_addr_on_down", 1)
    netmgr.lab.run("ip addr add 2001:db8::1/64 dev eth0")
    netmgr.holds("wan_ips6", "2001:db8::1")
    netmgr.lab.run("ip link set eth0 down")
    netmgr.holds("wan_ips6")
    netmgr.lab.run("ip link set eth0 up")
    netmgr.holds("wan_ips6", "2001:db8::1")
    assert netmgr.status()["sources"]["netlink"]["resyncs"] == 1, "only what was in doubt was read again"
