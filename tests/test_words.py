"""What the words of `holds` mean, each in sets of every form that can hold it: hosts, peers, hardware addresses and indexes."""

from struct import pack
from typing import List, Optional, Set

import pytest

from netmgr.config.reader import parse as parse_config
from netmgr.model.inventory import Addresses, Interface, Inventory, Thing
from netmgr.model.zones import Policy
from netmgr.values.addresses import IFA_F_DADFAILED, IFA_F_DEPRECATED, IFA_F_PERMANENT, IFA_F_TENTATIVE, identity, parse, with_peer
from netmgr.values.events import AddressesSeen, AddressGone, AddressSeen, ContainerSeen, Endpoint, LinkSeen
from netmgr.values.holds import misfit
from netmgr.values.notation import element_text
from netmgr.values.sets import NFT_SET_INTERVAL, Form, SetInfo, SetName
from tests.keys import element

SET = SetName("inet", "filter", "s")
MAC = "02:00:00:00:00:01"
ETH0 = Interface("eth0", ifindex=7, hardware=bytes.fromhex(MAC.replace(":", "")))


def policy(rule: str, form: Form) -> Policy:
    made = Policy(parse_config("interfaces: [{name: eth0, nftables_zone: w}]\nzones: {w: {convention: false, sets: {s: %s}}}\n"
                               "docker: {nftables_zone: w}" % rule, "c.yaml"))
    made.bind(SET, form)
    return made


def has(notation: str, peer: str = "", flags: int = IFA_F_PERMANENT) -> Addresses:
    """The address with its prefix length, or with its peer and the peer's."""
    local, length = parse(notation)
    other = parse(peer)[0] if peer else local
    return Addresses(ETH0, {identity(local, length, other): with_peer(flags, local, other)})


def claimed(made: Policy, form: Form, *things: Thing) -> List[str]:
    """As nft writes it, of sets and concatenations without ranges; with them each key with the prefix lengths of its parts."""
    found = [each for thing in things for _name, elements in made.claims(thing) for each in elements]
    if not form.interval:
        return sorted(element_text(form, each) for each in found)
    return sorted("%s /%s" % (element_text(form._replace(interval=False), each[:form.width]), list(each[form.width:])) for each in found)


@pytest.mark.parametrize(("kind", "suffix", "own", "expected"), [
    ("ipv6_addr", "'::10'", "2001:db8:0:7::1/64", ["2001:db8:0:7::10"]),
    ("ipv6_addr", "['::10', '::1:0:0:20', 0.0.0.10]", "2001:db8:0:7::1/64", ["2001:db8:0:7:1::20", "2001:db8:0:7::10"]),
    ("ipv6_addr", "'::10'", "2001:db8:0:7::1/124", []),
    ("ipv6_addr", "'::1:0:0:0:1'", "2001:db8:0:7::1/64", []),
    ("ipv6_addr", "'::1:0:0:0:1'", "2001:db8:0:7::1/63", ["2001:db8:0:7::1"]),
    ("ipv6_addr", "'::1'", "2001:db8::1/127", ["2001:db8::1"]),
    ("ipv6_addr", "'::1'", "2001:db8::1/128", []),
    ("ipv6_addr", "'::10'", "fe80::1/64", []),
    ("ipv4_addr", "0.0.0.10", "192.0.2.77/24", ["192.0.2.10"]),
    ("ipv4_addr", "0.0.0.10", "192.0.2.77/29", []),
    ("ipv4_addr", "0.0.0.15", "192.0.2.77/28", ["192.0.2.79"]),
    ("ipv4_addr", "255.255.255.255", "192.0.2.77/0", ["255.255.255.255"]),
    ("ipv4_addr", "0.0.0.1", "192.0.2.77/32", []),
    ("ipv4_addr", "'::10'", "192.0.2.77/24", []),
    ("ifname . ipv4_addr", "0.0.0.10", "192.0.2.77/24", []),
])
def test_hosts(kind: str, suffix: str, own: str, expected: List[str]) -> None:
    form = Form(kind)
    assert claimed(policy("{holds: hosts, suffix: %s}" % suffix, form), form, has(own)) == expected
    ranges = form._replace(interval=True)
    whole = ["%s /[%d]" % (each, form.width * 8) for each in expected]
    assert claimed(policy("{holds: hosts, suffix: %s}" % suffix, ranges), ranges, has(own)) == whole


@pytest.mark.parametrize(("rule", "own", "peer", "flags", "expected"), [
    ("peers", "10.0.0.1/32", "10.0.0.2", IFA_F_PERMANENT, ["10.0.0.2"]),
    ("peers", "10.0.0.1/24", "", IFA_F_PERMANENT, []),
    ("peers", "2001:db8::1/128", "2001:db8::2", IFA_F_PERMANENT, ["2001:db8::2"]),
    ("peers", "2001:db8::1/128", "", IFA_F_PERMANENT, []),
    ("peers", "2001:db8::1/128", "fe80::2", IFA_F_PERMANENT, ["fe80::2"]),
    ("peers", "fe80::1/64", "2001:db8::2", IFA_F_PERMANENT, ["2001:db8::2"]),
    ("{holds: peers, exclude: link_local}", "2001:db8::1/128", "fe80::2", IFA_F_PERMANENT, []),
    ("{holds: peers, exclude: link_local}", "fe80::1/128", "2001:db8::2", IFA_F_PERMANENT, ["2001:db8::2"]),
    ("{holds: peers, only: 10.0.0.0/31}", "10.0.0.1/32", "10.0.0.2", IFA_F_PERMANENT, []),
    ("{holds: peers, only: 10.0.0.2/31}", "10.0.0.1/32", "10.0.0.2", IFA_F_PERMANENT, ["10.0.0.2"]),
    ("{holds: peers, only: global}", "10.0.0.1/32", "192.0.2.2", IFA_F_PERMANENT, ["192.0.2.2"]),
    ("{holds: peers, exclude: deprecated}", "2001:db8::1/128", "2001:db8::2", IFA_F_DEPRECATED, []),
    ("peers", "2001:db8::1/128", "2001:db8::2", IFA_F_TENTATIVE, []),
    ("peers", "2001:db8::1/128", "2001:db8::2", IFA_F_DADFAILED, []),
])
def test_peers(rule: str, own: str, peer: str, flags: int, expected: List[str]) -> None:
    form = Form("ipv6_addr" if ":" in own else "ipv4_addr")
    assert claimed(policy(rule, form), form, has(own, peer, flags)) == expected
    other = Form("ipv4_addr" if ":" in own else "ipv6_addr")
    assert claimed(policy(rule, other), other, has(own, peer, flags)) == []


@pytest.mark.parametrize(("words", "kind", "expected"), [
    ("hardware_addresses", "ether_addr", [MAC]), ("indexes", "iface_index", ["7"]),
    ("[interfaces, peers]", "ifname . ipv4_addr", ['"eth0" . 10.0.0.2']),
    ("[peers, addresses]", "ipv4_addr . ipv4_addr", ["10.0.0.2 . 10.0.0.1"]),
    ("[indexes, addresses]", "iface_index . ipv4_addr", ["7 . 10.0.0.1", "7 . 192.0.2.1"]),
    ("[interfaces, hardware_addresses, indexes]", "ifname . ether_addr . iface_index", ['"eth0" . %s . 7' % MAC]),
    ("[hardware_addresses, addresses]", "ether_addr . ipv4_addr", [MAC + " . 10.0.0.1", MAC + " . 192.0.2.1"]),
])
def test_what_an_interface_pairs(words: str, kind: str, expected: List[str]) -> None:
    form = Form(kind)
    things = ETH0, has("10.0.0.1/32", "10.0.0.2"), has("192.0.2.1/24"), has("2001:db8::1/64")
    assert claimed(policy("{holds: %s}" % words, form), form, *things) == expected
    bare = Interface("eth0")
    assert claimed(policy("{holds: %s}" % words, form), form, bare, Addresses(bare, has("192.0.2.1/24").flags)) == []


def test_hosts_and_networks_of_one_address() -> None:
    form = Form("ifname . ipv6_addr . ipv6_addr", interval=True)
    made = policy("{holds: [interfaces, hosts, networks], suffix: ['::10', '::20']}", form)
    assert claimed(made, form, has("2001:db8::1/64")) == [
        '"eth0" . 2001:db8::%s . 2001:db8:: /[128, 128, 64]' % host for host in ("10", "20")]


def test_a_map_by_mac_address_counts_the_interface_before_the_container() -> None:
    form = Form("ether_addr", value="mark")
    made = policy("{holds: hardware_addresses, mark: 5}", form)
    container = ContainerSeen("1", "web", (), (Endpoint("front", parse("172.18.0.2")[0], 16, ETH0.hardware),), created=9)
    own, its = (next(each for _name, elements in made.claims(thing) for each in elements) for thing in (ETH0, container))
    assert own < its and own[6:] == its[6:] == ETH0.hardware + pack("=I", 5)


def test_a_container_pairs_what_it_has_in_one_network() -> None:
    endpoints = tuple(Endpoint(network, *parse(own), bytes.fromhex(mac)) for network, own, mac in (
        ("back", "10.9.8.7/24", "020000000002"), ("front", "172.18.0.2/16", "020000000001"), ("front", "fd00:1::2/64", "020000000001"),
        ("none", "172.19.0.2/16", "")))
    container = ContainerSeen("1", "web", (), endpoints)
    pairs = Form("ether_addr . ipv4_addr")
    assert claimed(policy("{holds: [hardware_addresses, addresses]}", pairs), pairs, container) == [
        MAC + " . 172.18.0.2", "02:00:00:00:00:02 . 10.9.8.7"]
    alone = Form("ether_addr")
    assert set(claimed(policy("hardware_addresses", alone), alone, container)) == {MAC, "02:00:00:00:00:02"}
    hosts = Form("ipv4_addr")
    assert claimed(policy("{holds: hosts, suffix: 0.0.0.1}", hosts), hosts, container) == ["10.9.8.1", "172.18.0.1", "172.19.0.1"]
    for words, kind in (("indexes", "iface_index"), ("[interfaces, hardware_addresses]", "ifname . ether_addr")):
        assert claimed(policy("{holds: %s}" % words, Form(kind)), Form(kind), container) == []


@pytest.mark.parametrize(("holds", "kind", "flags", "expected"), [
    ("indexes", "iface_index", 0, None),
    ("indexes", "iface_index", NFT_SET_INTERVAL, "it has ranges; indexes need a set without flags interval"),
    ("indexes", "ifname", 0, "its type is ifname; indexes need iface_index"), ("hardware_addresses", "ether_addr", NFT_SET_INTERVAL, None),
    ("hosts", "ipv6_addr", NFT_SET_INTERVAL, None), ("peers", "ether_addr", 0, "its type is ether_addr; peers need ipv4_addr or ipv6_addr"),
])
def test_which_sets_can_hold_it(holds: str, kind: str, flags: int, expected: Optional[str]) -> None:
    width = len(element(Form(kind), {"iface_index": "1", "ifname": "eth0", "ether_addr": MAC, "ipv6_addr": "::1"}[kind]))
    assert misfit(SetInfo(SET, kind, width, flags, 0, 0, (1, 1), None), holds) == expected


OWN, FAR, OTHER = (parse("2001:db8::%d" % number)[0] for number in (1, 2, 3))


def test_an_ipv6_address_that_changes_its_peer_is_the_same_with_another() -> None:
    """The kernel tells of the new one alone; and it stays at its place in the kernel's order."""
    inventory, form = Inventory(), Form("ipv6_addr")
    made = policy("peers", form)
    held: Set[str] = set()
    plain = AddressesSeen(7, {identity(OWN, 128, OWN): IFA_F_PERMANENT})
    for event, expected in (
            (LinkSeen(7, "eth0", True), []), (AddressSeen(7, OWN, 128, FAR, IFA_F_PERMANENT), ["2001:db8::2"]),
            (AddressSeen(7, OTHER, 128, OTHER, IFA_F_PERMANENT), ["2001:db8::2"]),
            (AddressSeen(7, OWN, 128, OTHER, IFA_F_PERMANENT), ["2001:db8::3"]), (plain, []),
            (AddressSeen(7, OWN, 128, FAR, IFA_F_PERMANENT), ["2001:db8::2"]), (AddressGone(7, OWN, 128, FAR), [])):
        for gained, thing in inventory.apply(event):
            for _name, elements in made.claims(thing):
                texts = {element_text(form, each) for each in elements}
                held = held | texts if gained else held - texts
        assert sorted(held) == expected
        assert list(inventory.addresses.get(7, {}))[:1] in ([], [identity(OWN, 128, OWN)], [identity(OTHER, 128, OTHER)])
    assert [*inventory.addresses[7]] == [identity(OTHER, 128, OTHER)]
