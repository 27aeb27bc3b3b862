"""Links and addresses at the real kernel: events and snapshots are what ip(8) says, after everything that can happen to them.

What the code takes for granted about events is one table, ADDRESS_RULES: after the commands, the tables that were built from events alone
must equal a fresh snapshot, and both must equal `ip -j addr`.
"""

from typing import Dict, Set, Tuple

import pytest

from netmgr.values.addresses import IFA_F_TENTATIVE
from netmgr.values.events import GONE, AddressesAre, AddressesSeen, LinkGone, LinkSeen
from tests.kernel.lab import Lab
from tests.kernel.observer import Observer, listed, of_link
from tests.waiting import eventually

ADDRESS_RULES: Dict[str, Tuple[str, Set[str]]] = {
    "added": ("addr add 192.0.2.1/24 dev eth0", {"192.0.2.1/24"}),
    "deleted": ("addr add 192.0.2.1/24 dev eth0; addr del 192.0.2.1/24 dev eth0", set()),
    "the same address with two prefixes": (
        "addr add 192.0.2.1/24 dev eth0; addr add 192.0.2.1/25 dev eth0", {"192.0.2.1/24", "192.0.2.1/25"}),
    "the same address with two peers": (
        "addr add 10.0.0.1 peer 10.0.0.2/32 dev eth0; addr add 10.0.0.1 peer 10.0.0.3/32 dev eth0; "
        "addr del 10.0.0.1 peer 10.0.0.2/32 dev eth0", {"10.0.0.1 peer 10.0.0.3/32"}),
    "IPv6 with a peer": (
        "addr add 2001:db8::1 peer 2001:db8::2/128 dev eth0 nodad", {"2001:db8::1/128"}),
    "IPv6 with another peer": (
        "addr add 2001:db8::1 peer 2001:db8::2/128 dev eth0 nodad; addr change 2001:db8::1 peer 2001:db8::3/128 dev eth0 nodad",
        {"2001:db8::1/128"}),
    "IPv6 with another peer, deleted": (
        "addr add 2001:db8::1 peer 2001:db8::2/128 dev eth0 nodad; addr change 2001:db8::1 peer 2001:db8::3/128 dev eth0 nodad; "
        "addr del 2001:db8::1 peer 2001:db8::3/128 dev eth0", set()),
    "after duplicate address detection": ("addr add 2001:db8::1/64 dev eth0", {"2001:db8::1/64"}),
    "a duplicate": (
        "addr add 2001:db8::1/64 dev far0 nodad; addr add 2001:db8::1/64 dev eth0", {"2001:db8::1/64 tentative dadfailed"}),
    "deleted under detection": (
        "addr add 2001:db8::1/64 dev eth0; addr del 2001:db8::1/64 dev eth0; addr add 192.0.2.1/24 dev eth0", {"192.0.2.1/24"}),
    "added while down": (
        "link set eth0 down; addr add 2001:db8::1/64 dev eth0; addr add 2001:db8::2/64 dev eth0 nodad",
        {"2001:db8::1/64 tentative", "2001:db8::2/64"}),
    "down": (
        "addr add 192.0.2.1/24 dev eth0; addr add 2001:db8::1/64 dev eth0 nodad; link set eth0 down", {"192.0.2.1/24"}),
    "down and up": (
        "addr add 192.0.2.1/24 dev eth0; addr add 2001:db8::1/64 dev eth0 nodad; link set eth0 down; link set eth0 up", {"192.0.2.1/24"}),
    "no carrier": (
        "addr add 192.0.2.1/24 dev eth0; addr add 2001:db8::1/64 dev eth0 nodad; link set far0 down", {"192.0.2.1/24", "2001:db8::1/64"}),
    "deprecated": (
        "addr add 192.0.2.1/24 dev eth0 valid_lft 100 preferred_lft 1; addr add 2001:db8::1/64 dev eth0 nodad preferred_lft 0",
        {"192.0.2.1/24 deprecated dynamic", "2001:db8::1/64 deprecated"}),
    "expired": (
        "addr add 192.0.2.1/24 dev eth0 valid_lft 1 preferred_lft 1; "
        "addr add 2001:db8::1/64 dev eth0 nodad valid_lft 1 preferred_lft 1", set()),
    "a lease made permanent": (
        "addr add 192.0.2.1/24 dev eth0 valid_lft 100 preferred_lft 100; addr change 192.0.2.1/24 dev eth0", {"192.0.2.1/24"}),
    "primary deleted": (
        "addr add 192.0.2.1/24 dev eth0; addr add 192.0.2.2/24 dev eth0; addr del 192.0.2.1/24 dev eth0", set()),
    "enslaved": (
        "addr add 192.0.2.1/24 dev eth0; link set eth0 master bridge0; link set eth0 nomaster", {"192.0.2.1/24"}),
}


@pytest.mark.parametrize("rule", sorted(ADDRESS_RULES))
def test_events_snapshot_and_ip_agree(observer: Observer, rule: str) -> None:
    commands, expected = ADDRESS_RULES[rule]
    for command in commands.split("; "):
        observer.lab.run("ip " + command)
    eventually(lambda: of_link(listed(observer.lab), "eth0") == expected, message=rule)
    eventually(observer.agrees, message="agreement")


def shows(observer: Observer, *addresses: str) -> None:
    """Wait for the events; those of IPv6 come from a worker of the kernel's, even without duplicate address detection."""
    eventually(lambda: of_link(observer.follow(), "eth0") == set(addresses))


def test_promotion_of_a_secondary(observer: Observer) -> None:
    observer.lab.sysctl("net.ipv4.conf.eth0.promote_secondaries", 1)
    for address in ("192.0.2.1/24", "192.0.2.2/24", "192.0.2.3/24"):
        observer.lab.run("ip addr add %s dev eth0" % address)
    assert of_link(observer.follow(), "eth0") == {"192.0.2.1/24", "192.0.2.2/24 secondary", "192.0.2.3/24 secondary"}
    observer.lab.run("ip addr del 192.0.2.1/24 dev eth0")
    assert of_link(observer.follow(), "eth0") == {"192.0.2.2/24", "192.0.2.3/24 secondary"}
    assert observer.agrees()


def test_ipv6_switched_off(observer: Observer) -> None:
    observer.lab.run("ip addr add 2001:db8::1/64 dev eth0 nodad")
    shows(observer, "2001:db8::1/64")
    observer.lab.sysctl("net.ipv6.conf.eth0.disable_ipv6", 1)
    assert of_link(observer.follow(), "eth0") == set()
    assert observer.agrees()


def test_admin_down_is_told_and_ipv4_addresses_stay_without_an_event(observer: Observer) -> None:
    observer.lab.run("ip addr add 192.0.2.1/24 dev eth0")
    observer.follow()
    observer.heard.clear()
    observer.lab.run("ip link set eth0 down")
    observer.follow()
    assert (observer.index_of("eth0"), "eth0", False) in [event[:3] for event in observer.heard if isinstance(event, LinkSeen)]
    assert not [event for event in observer.heard if isinstance(event, AddressesSeen)]


def test_a_link_that_goes_down_is_read_again_when_the_kernel_is_done_with_it(observer: Observer) -> None:
    """No event says that the addresses of IPv6 which it keeps become tentative.  Its own are read, of both families, in their order."""
    lab = observer.lab
    lab.run("ip link set bridge0 up")
    lab.sysctl("net.ipv6.conf.eth0.keep_addr_on_down", 1)
    lab.sysctl("net.ipv6.conf.eth0.accept_dad", 0)
    for name, dad in (("eth0", ""), ("bridge0", "nodad")):
        lab.run("ip -batch -", "".join("addr add 2001:db8::%x/64 dev %s %s\naddr add 10.0.0.%d/24 dev %s\n" % (
            number, name, dad, number, name) for number in range(1, 200)))
    index = observer.index_of("eth0")

    def tentative() -> int:
        observer.follow()
        return sum(1 for flags in observer.inventory.addresses[index].values() if flags & IFA_F_TENTATIVE)

    for _time in range(20):
        eventually(lambda: tentative() == 0)
        lab.run("ip link set eth0 down")
        while observer.inventory.links[index].up:
            observer.follow()
        again = observer.requests.addresses_of(index)
        assert again.ifindex == index and list(again.flags) == list(observer.requests.snapshot().addresses[index])
        observer.inventory.apply(again)
        assert tentative() == 199 and observer.agrees()
        lab.run("ip link set eth0 up")
    assert observer.requests.addresses_of(99999) == AddressesAre(99999, {})


def test_a_rename_keeps_index_and_addresses(observer: Observer) -> None:
    observer.lab.run("ip addr add 192.0.2.1/24 dev eth0")
    observer.lab.run("ip addr add 2001:db8::1/64 dev eth0 nodad")
    shows(observer, "192.0.2.1/24", "2001:db8::1/64")
    index = observer.index_of("eth0")
    observer.lab.sysctl("net.ipv6.conf.eth0.keep_addr_on_down", 1)
    observer.lab.rename_link("eth0", "wan0")
    eventually(lambda: observer.follow().get((index, "wan0", True)) == {"192.0.2.1/24", "2001:db8::1/64"})
    assert observer.agrees()


def test_a_port_that_leaves_a_bridge_is_no_deletion(observer: Observer) -> None:
    observer.lab.run("ip link set eth0 master bridge0")
    observer.lab.run("ip link set eth0 nomaster")
    observer.follow()
    assert not [event for event in observer.heard if isinstance(event, LinkGone)]


@pytest.mark.parametrize("how", ["ip link del eth0", "ip link set eth0 netns {}"])
def test_a_link_goes_after_its_addresses(observer: Observer, how: str) -> None:
    observer.lab.run("ip addr add 192.0.2.1/24 dev eth0")
    observer.lab.run("ip addr add 2001:db8::1/64 dev eth0 nodad")
    shows(observer, "192.0.2.1/24", "2001:db8::1/64")
    index = observer.index_of("eth0")
    observer.heard.clear()
    with Lab() as other:
        observer.lab.run(how.format(other.path))
        observer.follow()
        *before, last = [event for event in observer.heard if event.ifindex == index and not isinstance(event, LinkSeen)]
        last_words = {key: flags for event in before if isinstance(event, AddressesSeen) for key, flags in event.flags.items()}
        assert list(last_words.values()) == [GONE, GONE]
        assert last == LinkGone(index)
        assert observer.agrees()
