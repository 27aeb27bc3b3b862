"""Policy: which sets are fed, by what, with which elements; every rule of the contract as a row of a table."""

import random
from typing import Dict, List, Optional, Set, Tuple

import pytest

from netmgr.config.reader import parse as configuration
from netmgr.config.schema import with_groups
from netmgr.model.inventory import Addresses, Interface, Inventory, Thing
from netmgr.model.selection import Entries, matches
from netmgr.model.zones import FEW, REMEMBERED, Policy, feeds_of_zone, tally
from netmgr.values import addresses
from netmgr.values.addresses import identity, parse
from netmgr.values.choice import ALL, choose, counts
from netmgr.values.events import ContainerSeen, Endpoint, LinkSeen
from netmgr.values.sets import IFNAME, IPV4_ADDR, IPV6_ADDR, Form, SetName

V4, V6, V4_RANGES, V6_RANGES = Form(IPV4_ADDR), Form(IPV6_ADDR), Form(IPV4_ADDR, True), Form(IPV6_ADDR, True)
NAMES, NAME_RANGES = Form(IFNAME), Form(IFNAME, True)


def policy(text: str, forms: Dict[str, Form]) -> Policy:
    """Sets as "wan_ips" (in inet filter) or as "ip other wan_ips"."""
    made = Policy(configuration(text, "test.yaml"))
    for name, form in forms.items():
        made.bind(set_name(name), form)
    return made


def set_name(text: str) -> SetName:
    family, table, name = ("inet filter " + text).split()[-3:]
    return SetName(family, table, name)


def address(notation: str, interface: str = "eth0", flags: int = addresses.IFA_F_PERMANENT, peer: str = "") -> Addresses:
    local, prefixlen = parse(notation)
    return Addresses(Interface(interface), {identity(local, prefixlen, parse(peer)[0] if peer else local): flags})


def claims(made: Policy, *things: Thing) -> Set[Tuple[str, str]]:
    """(set, element as text); interval sets take key and prefix length."""
    return {(name.name, shown(element)) for thing in things for name, elements in made.claims(thing) for element in elements}


def shown(element: bytes) -> str:
    width = len(element) & ~1
    key = element[:width]
    text = '"%s"' % key.rstrip(b"\0").decode() if key[:3].isalpha() else addresses.text(key)
    return text + "".join("/%d" % length for length in element[width:])


WAN = "interfaces: [{name: eth0, nftables_zone: wan}]"


@pytest.mark.parametrize(("name", "form", "expected"), [
    ("wan_ips", V4, ["192.0.2.1"]),
    ("wan_ips", V6, ["2001:db8::1"]),
    ("wan_ips", V4_RANGES, ["192.0.2.1/32"]),
    ("wan_ips", V6_RANGES, ["2001:db8::1/128"]),
    ("wan_ips6", V6, ["2001:db8::1"]),
    ("wan_ipv6", V6, ["2001:db8::1"]),
    ("wan_ipv6", V4, ["192.0.2.1"]),
    ("wan_ips", Form(IPV4_ADDR, timeout=True), ["192.0.2.1"]),
    ("wan_nets", V4_RANGES, ["192.0.2.0/24"]),
    ("wan_nets", V6_RANGES, ["2001:db8::/64"]),
    ("wan_nets6", V6_RANGES, ["2001:db8::/64"]),
    ("wan_ifs", NAMES, ['"eth0"']),
    ("wan_ifs", NAME_RANGES, ['"eth0"/128']),
    ("wan_ips", NAMES, []),
    ("wan_nets", V4, []),
    ("wan_nets", NAME_RANGES, []),
    ("wan_ifs", V4, []),
    ("wan_other", V4, []),
    ("ip filter wan_ips", V4, []),
    ("lan_ips", V4, []),
])
def test_what_a_set_of_each_name_and_form_takes(name: str, form: Form, expected: List[str]) -> None:
    made = policy(WAN, {name: form})
    things: List[Thing] = [
        Interface("eth0"), address("192.0.2.1/24"), address("2001:db8::1/64"), Interface("eth1"), address("192.0.2.9/24", "eth1")]
    assert claims(made, *things) == {(set_name(name).name, element) for element in expected}


@pytest.mark.parametrize(("interfaces", "name", "expected"), [
    ("[{name: eth0, nftables_zone: wan}]", "eth0", ("wan",)),
    ("[{name: eth0, nftables_zone: wan}]", "eth00", ()),
    ("[{name: eth0}]", "eth0", ()),
    ("[{name: eth0, nftables_zone: [lan, trusted, lan]}]", "eth0", ("lan", "trusted")),
    ("[{name: eth0, nftables_zone: wan}, {name: 'eth*', nftables_zone: [all, wan]}]", "eth0", ("wan", "all")),
    ("[{name: 'wg[0-9]', nftables_zone: vpn}]", "wg7", ("vpn",)),
    ("[{name: 'wg[0-9]', nftables_zone: vpn}]", "wg10", ()),
    ("[{name: 'ppp?', nftables_zone: wan}]", "PPP0", ()),
    ("[{name: '*', nftables_zone: any}]", "w\udce9", ("any",)),
])
def test_zones_of_an_interface(interfaces: str, name: str, expected: Tuple[str, ...]) -> None:
    assert policy("interfaces: " + interfaces, {}).zones_of_interface(Interface(name)) == expected


FULL = Interface("eth0", ("uplink0", "wan-side"), 7, "vlan", ("br0", "bridge-of-all"), True)


@pytest.mark.parametrize(("conditions", "selected"), [
    ("name: eth0", True), ("name: 'up*'", True), ("name: wan-side", True), ("name: br0", False),
    ("group: 7", True), ("group: 8", False), ("group: uplinks", False),
    ("kind: vlan", True), ("kind: 'v*'", False),
    ("master: br0", True), ("master: bridge-of-all", True), ("master: 'br*'", False), ("master: eth0", False),
    ("default_route: true", True),
    ("name: eth0, group: 7, kind: vlan, master: br0, default_route: true", True),
    ("name: eth1, group: 7, kind: vlan, master: br0, default_route: true", False),
    ("name: eth0, group: 6, kind: vlan", False), ("name: eth0, kind: bridge", False), ("group: 7, master: br1", False),
])
def test_all_conditions_of_an_entry_must_hold(conditions: str, selected: bool) -> None:
    made = policy("interfaces: [{%s, nftables_zone: wan}]" % conditions, {})
    assert made.zones_of_interface(FULL) == (("wan",) if selected else ())
    assert made.zones_of_interface(Interface("lo")) == ()


def test_groups_have_numbers_by_their_names() -> None:
    rules = "interfaces: [{group: uplinks, nftables_zone: wan}, {group: 9}, {group: other}]"
    config = with_groups(configuration(rules, "test.yaml"), {"uplinks": 7})
    assert [rule.group for rule in config.interfaces] == [7, 9, "other"]
    assert Policy(config).zones_of_interface(FULL) == ("wan",)


def test_an_interface_in_two_zones_and_a_set_that_two_zones_feed() -> None:
    made = policy("""
        interfaces: [{name: eth0, nftables_zone: [wan, lan]}]
        zones: {wan: {sets: {shared: addresses}}, lan: {sets: {shared: addresses, lan_ports: interfaces}}}""",
        {"shared": V4, "lan_ports": NAMES})
    things: List[Thing] = [address("192.0.2.1/24"), Interface("eth0")]
    assert tally(things, made) == {set_name("shared"): {parse("192.0.2.1")[0]: 2}, set_name("lan_ports"): {b"eth0".ljust(16, b"\0"): 1}}


def test_a_point_to_point_address_counts_by_its_local_end() -> None:
    made = policy(WAN, {"wan_ips": V4, "wan_nets": V4_RANGES})
    assert claims(made, address("10.0.0.1/30", peer="10.0.0.2")) == {("wan_ips", "10.0.0.1"), ("wan_nets", "10.0.0.0/30")}


OF_KIND = {
    "link_local": [address("169.254.7.7/16"), address("fe80::1/64")],
    "private": [address("10.0.0.1/8"), address("100.64.0.1/10"), address("fd00::1/64")],
    "loopback": [address("127.0.0.1/8"), address("::1/128")],
    "temporary": [address("2001:db8::2/64", flags=0x81)],
    "deprecated": [address("192.0.2.1/24", flags=0xA0), address("2001:db8::1/64", flags=0xA0)],
    "dynamic": [address("192.0.2.1/24", flags=0), address("2001:db8::1/64", flags=0)],
    "permanent": [address("192.0.2.1/24"), address("2001:db8::1/64")],
    "secondary": [address("192.0.2.2/24", flags=0x81)],
    "global": [address("192.0.2.3/24"), address("2001:db8::3/64"), address("172.32.0.1/12")],
    "single": [address("10.0.0.1/32"), address("fe80::7/128"), address("2001:db8::9/128")],
}


@pytest.mark.parametrize("kind", sorted(addresses.KINDS))
def test_kinds_are_left_out_of_sets_that_exclude_them(kind: str) -> None:
    forms = {name: form for four, six, form, form6 in (("a", "a6", V4, V6), ("b", "b6", V4_RANGES, V6_RANGES))
             for name, form in ((four, form), (six, form6))}
    made = policy("""
        interfaces: [{name: eth0, nftables_zone: [none, some]}]
        zones:
          none: {exclude: [], sets: {a: addresses, a6: addresses}}
          some: {exclude: %s, sets: {b: networks, b6: networks}}""" % kind, forms)
    for thing in OF_KIND[kind]:
        assert {name[0] for name, _ in claims(made, thing)} == {"a"}, thing
    others = [thing for other, things in OF_KIND.items() for thing in things
              if all(counts(choose(addresses.KINDS[kind]), key, flags) for key, flags in thing.flags.items())]
    for thing in others:
        assert {name[0] for name, _ in claims(made, thing)} == {"a", "b"}, thing


def test_an_address_of_any_excluded_kind_is_left_out_and_the_sets_own_list_replaces_the_zones() -> None:
    made = policy("""
        interfaces: [{name: eth0, nftables_zone: wan}]
        zones:
          wan:
            exclude: [private, deprecated]
            sets: {by_zone: addresses, public: {holds: addresses, exclude: [loopback]}, all: {holds: addresses, exclude: []}}""",
        {"by_zone": V4, "public": V4, "all": V4})
    every = {"by_zone", "public", "all"}
    for thing, expected in (
            (address("192.0.2.1/24"), every),
            (address("192.0.2.1/24", flags=0xA0), {"public", "all"}),
            (address("10.0.0.1/24", flags=0xA0), {"public", "all"}),
            (address("127.0.0.1/8"), {"by_zone", "all"}),
            (address("169.254.0.1/16"), every)):
        assert {name for name, _ in claims(made, thing)} == expected, thing


@pytest.mark.parametrize(("flags", "counts"), [
    (0x80, True), (0xC0, False), (0xC4, True), (0x88, False), (0xC8, False), (0xCC, False), (0x84, True),
])
@pytest.mark.parametrize("exclude", ["[]", "[link_local]"])
def test_addresses_under_or_after_failed_detection_count_nowhere(flags: int, counts: bool, exclude: str) -> None:
    made = policy(WAN + "\nzones: {wan: {exclude: %s}}" % exclude, {"wan_ips6": V6})
    assert bool(claims(made, address("2001:db8::1/64", flags=flags))) == counts


def test_link_local_addresses_and_loopback_are_left_out_by_default() -> None:
    made = policy(WAN, {"wan_ips": V4})
    assert claims(made, address("169.254.0.1/16"), address("127.0.0.1/8"), address("10.0.0.1/8")) == {("wan_ips", "10.0.0.1")}


def test_the_convention_and_a_zones_own_list() -> None:
    zones = configuration(WAN + """
zones: {lan: {table: ip6 other, sets: {ports: interfaces, lan_ips6: {holds: networks, exclude: []}}}}""", "test.yaml").zones
    assert [(str(feed.set), feed.holds) for feed in feeds_of_zone(zones["wan"])] == [
        ("inet filter wan_ips", "addresses"), ("inet filter wan_ips6", "addresses"), ("inet filter wan_ipv6", "addresses"),
        ("inet filter wan_nets", "networks"), ("inet filter wan_nets6", "networks"), ("inet filter wan_ifs", "interfaces")]
    assert [(str(feed.set), feed.holds) for feed in feeds_of_zone(zones["lan"])] == [
        ("ip6 other lan_ips", "addresses"), ("ip6 other lan_ips6", "networks"), ("ip6 other lan_ipv6", "addresses"),
        ("ip6 other lan_nets", "networks"), ("ip6 other lan_nets6", "networks"), ("ip6 other lan_ifs", "interfaces"),
        ("ip6 other ports", "interfaces")]
    assert {feed.set.name for feed in feeds_of_zone(zones["lan"]) if feed.choice == ALL} == {"lan_ips6"}


def test_without_the_convention_only_the_list_counts() -> None:
    zones = configuration("zones: {lan: {convention: false, sets: {ports: interfaces}}, dmz: {convention: false}}", "test.yaml").zones
    assert [str(feed.set) for feed in feeds_of_zone(zones["lan"])] == ["inet filter ports"]
    assert feeds_of_zone(zones["dmz"]) == ()


def test_several_tables() -> None:
    zones = configuration("""
        zones:
          wan:
            table: [inet filter, ip nat]
            sets: {public: addresses, ip6 other outside: networks, ip nat wan_ips: {holds: networks}}""", "test.yaml").zones
    feeds = {str(feed.set): feed.holds for feed in feeds_of_zone(zones["wan"])}
    assert len(feeds) == 2 * 6 + 2 + 1
    some = ("inet filter wan_ips", "ip nat wan_ips", "inet filter public", "ip nat public", "ip6 other outside")
    assert [feeds[each] for each in some] == ["addresses", "networks", "addresses", "addresses", "networks"]


# -- containers

DOCKER = "docker: {networks: {frontend: web, 'back*': [db, web]}}"
FRONT, BACK = Endpoint("frontend", *parse("172.18.0.2/16")), Endpoint("backend", *parse("172.19.0.2/24"))
SIX = Endpoint("frontend", *parse("2001:db8:1::2/64"))


def container(*endpoints: Endpoint, label: Optional[str] = None, healthy: Optional[bool] = None) -> ContainerSeen:
    return ContainerSeen("8dfa", "web-1", () if label is None else (("netmgr.zone", label),), endpoints, healthy)


@pytest.mark.parametrize(("text", "seen", "expected"), [
    ("", container(), ("docker",)),
    ("docker: {nftables_zone: null}", container(FRONT), ()),
    ("docker: {nftables_zone: apps}", container(FRONT), ("apps",)),
    (DOCKER, container(FRONT), ("docker", "web")),
    (DOCKER, container(BACK), ("docker", "db", "web")),
    (DOCKER, container(FRONT, BACK), ("docker", "web", "db")),
    (DOCKER, container(), ("docker",)),
    ("zones: {dmz: {}}", container(FRONT, label=" dmz ,docker,dmz"), ("docker", "dmz")),
    ("zones: {dmz: {}}\ndocker: {label: com.example.zone}", container(FRONT, label="dmz"), ("docker",)),
    ("docker: {networks: {my net: web, 'a[1]': db}}", container(FRONT._replace(network="my net")), ("docker", "web")),
    ("docker: {networks: {my net: web, 'a[1]': db}}", container(FRONT._replace(network="a[1]")), ("docker", "db")),
    ("docker: {networks: {my net: web, 'a[1]': db}}", container(FRONT._replace(network="a1")), ("docker", "db")),
    ("docker: [{name: a, nftables_zone: apps}, {name: b}]", container(FRONT)._replace(engine="a"), ("apps",)),
    ("docker: [{name: a, nftables_zone: apps}, {name: b}]", container(FRONT)._replace(engine="b"), ("docker",)),
    ("docker: [{name: a, nftables_zone: apps}, {name: b}]", container(FRONT), ()),
])
def test_zones_of_a_container(text: str, seen: ContainerSeen, expected: Tuple[str, ...]) -> None:
    assert sorted(policy(text, {}).zones_of_container(seen)) == sorted(expected)


def test_every_address_joins_the_zones_of_its_own_network() -> None:
    forms = {"%s_%s" % (zone, suffix): form for zone in ("docker", "web", "db")
             for suffix, form in (("ips", V4), ("ips6", V6), ("nets", V4_RANGES), ("ifs", NAMES))}
    assert claims(policy(DOCKER, forms), container(FRONT, BACK, SIX)) == {
        ("docker_ips", "172.18.0.2"), ("docker_ips", "172.19.0.2"), ("docker_ips6", "2001:db8:1::2"),
        ("docker_nets", "172.18.0.0/16"), ("docker_nets", "172.19.0.0/24"),
        ("web_ips", "172.18.0.2"), ("web_ips", "172.19.0.2"), ("web_ips6", "2001:db8:1::2"),
        ("web_nets", "172.18.0.0/16"), ("web_nets", "172.19.0.0/24"),
        ("db_ips", "172.19.0.2"), ("db_nets", "172.19.0.0/24")}


@pytest.mark.parametrize(("required", "healthy", "counts"), [
    (True, None, True), (True, True, True), (True, False, False), (False, None, True), (False, True, True), (False, False, True),
])
def test_health(required: bool, healthy: Optional[bool], counts: bool) -> None:
    """A container without a health check counts; one with a check only while it is healthy, if that is required."""
    made = policy("docker: {require_healthy: %s}" % str(required).lower(), {"docker_ips": V4})
    assert bool(claims(made, container(FRONT, healthy=healthy))) == counts


def test_container_addresses_are_permanent_and_excluded_by_their_kinds() -> None:
    for exclude, expected in (("private", set()), ("permanent", set()), ("dynamic", {("docker_ips", "172.18.0.2")})):
        assert claims(policy("zones: {docker: {exclude: %s}}" % exclude, {"docker_ips": V4}), container(FRONT)) == expected


def test_zones_that_only_a_label_names() -> None:
    made = policy(WAN + "\ndocker: {label_zones: 'app?'}", {"apps_ips": V4})
    assert claims(made, container(FRONT, label="apps")) == set()
    assert (made.add_zone("apps"), made.add_zone("apps"), made.add_zone("wan")) == (True, False, False)
    assert claims(made, container(FRONT, label="apps")) == {("apps_ips", "172.18.0.2")}
    for nonsense in ("", "a b", "-", "x" * 250):
        with pytest.raises(ValueError, match=r"."):
            made.add_zone(nonsense)


@pytest.mark.parametrize(("text", "seen", "reasons"), [
    ("", container(FRONT), ()),
    ("", container(), ("no_address",)),
    ("docker: {nftables_zone: null}", container(FRONT), ("no_zone",)),
    ("docker: {nftables_zone: null}", container(FRONT, label="wan"), ("no_leave", "no_zone")),
    ("docker: {require_healthy: true}", container(FRONT, healthy=False), ("unhealthy",)),
    ("docker: {require_healthy: true}", container(label="wan", healthy=False), ("unhealthy", "no_address", "no_leave")),
    ("docker: {require_healthy: false}", container(FRONT, healthy=False), ()),
])
def test_why_a_container_is_not_in_all_zones(text: str, seen: ContainerSeen, reasons: Tuple[str, ...]) -> None:
    assert tuple(word for word, _text in policy(text, {}).reasons_of_container(seen)) == reasons


def test_without_docker_there_is_no_zone_of_containers() -> None:
    assert sorted(policy("docker: {enabled: false}", {}).zones) == []
    assert sorted(policy("", {}).zones) == ["docker"]


def test_names_without_end_do_not_fill_the_memory() -> None:
    made = policy(WAN, {"wan_ifs": NAMES})
    for number in range(3 * REMEMBERED):
        assert claims(made, Interface("veth%d" % number, ifindex=number)) == set()
    assert claims(made, Interface("eth0")) == {("wan_ifs", '"eth0"')}
    assert len(made.by_index) <= REMEMBERED


KINDS_OF_ALL_SORTS = ("192.0.2.1/24", "10.0.0.1/8", "169.254.0.1/16", "127.0.0.1/8", "100.64.0.1/10", "0.0.0.1/8", "2001:db8::1/64",
                      "fe80::1/64", "fd00::1/128", "::1/128", "::2/128", "::/0", "febf::1/64")
MANY = tuple("%s.2.%d/24" % (net, number) for net in ("192.0", "198.51", "10.0") for number in range(1, FEW))


@pytest.mark.parametrize("notations", [KINDS_OF_ALL_SORTS, MANY, MANY[:FEW + 2], MANY + KINDS_OF_ALL_SORTS], ids=len)
@pytest.mark.parametrize("exclude", ["[]", *("[%s]" % kind for kind in addresses.KINDS), "[link_local, private, dynamic]"])
def test_counting_link_by_link_is_counting_one_by_one(exclude: str, notations: Tuple[str, ...]) -> None:
    made = policy("%s\nzones: {wan: {exclude: %s}}" % (WAN, exclude),
                  {"wan_ips": V4, "wan_ips6": V6, "wan_ipv6": V6_RANGES, "wan_nets": V4_RANGES, "wan_nets6": V6_RANGES, "wan_ifs": NAMES})
    there = Inventory()
    keys = [key for each in notations for key in address(each).flags]
    links = [LinkSeen(1, "eth0", True), LinkSeen(2, "eth1", True), LinkSeen(3, "eth0", True), LinkSeen(4, "eth0", False)]
    there.replace_interfaces(links, {
        1: dict.fromkeys(keys, addresses.IFA_F_PERMANENT), 2: dict.fromkeys(keys, 0), 5: dict.fromkeys(keys, 0),
        3: dict(zip(keys, (0x80, 0, 0x81, 0xA0, 0xC0, 0x01, 0x80, 0x80, 0x40, 0x80, 0x48)))})
    singly: List[Thing] = [Interface(link.name) for link in there.links.values()]
    singly += [Addresses(Interface(link.name), {key: flags}) for index, link in there.links.items()
               for key, flags in there.addresses.get(index, {}).items()]
    counted = tally(there.things(), made)
    assert counted == tally(singly, made)
    assert set_name("wan_ifs") in counted


@pytest.mark.parametrize("names", [("x", "ip b x"), ("ip b x", "x")])
def test_a_set_that_is_named_with_its_table_counts_more(names: Tuple[str, str]) -> None:
    """In whatever order they stand."""
    sets = {"x": "x: addresses", "ip b x": "ip b x: networks"}
    listed = ", ".join(sets[name] for name in names)
    config = configuration("zones: {w: {table: [ip a, ip b], convention: false, sets: {%s}}}" % listed, "c.yaml")
    assert {feed.set: feed.holds for feed in feeds_of_zone(config.zones["w"])} == {
        SetName("ip", "a", "x"): "addresses", SetName("ip", "b", "x"): "networks"}


@pytest.mark.parametrize("seed", range(20))
def test_entries_are_found_by_name_as_by_looking_at_each(seed: int) -> None:
    source = random.Random(seed)
    names = ("eth0", "eth1", "ppp0", "a]b", "a!", "lan", "*")
    conditions = ("name: 'eth*'", "name: '[ep]*0'", "group: 7", "kind: vlan", "default_route: true",
                  *("name: '%s'" % name for name in names), *("name: %s, group: 7" % name for name in names[:2]))
    chosen = [source.choice(conditions) for _entry in range(source.randrange(12))]
    rules = configuration("interfaces: [%s]" % ", ".join("{%s}" % each for each in chosen), "c.yaml").interfaces
    entries = Entries(rules)
    for _interface in range(30):
        interface = Interface(source.choice(names), tuple(source.sample(names, source.randrange(3))), source.choice((0, 7)),
                              source.choice(("", "vlan")), (), source.random() < 0.3)
        assert entries.of(interface) == tuple(rule for rule in rules if matches(rule, interface))
