"""What `netmgr check` warns of, by a configuration and what is there."""

import json
from typing import Iterable, List, Optional

import pytest

from netmgr.config.reader import parse
from netmgr.model.inventory import Interface
from netmgr.show import advice
from netmgr.show.advice import Ruleset, Seen
from netmgr.values.errors import Entry, Remark
from netmgr.values.sets import IFNAME, IPV4_ADDR, SetInfo
from tests.workbench import named

WAN = "interfaces: [{name: eth0, nftables_zone: wan}]\n"


def ruleset(*sets: str, tables: Iterable[str] = ("inet filter",)) -> Ruleset:
    """Sets as "wan_ips" or "ip nat wan_ips ifname"."""
    infos = {}
    for each in sets:
        words = each.split()
        kind = words.pop() if words[-1] == IFNAME else IPV4_ADDR
        name = named(" ".join(words))
        infos[name] = SetInfo(name, kind, 4 if kind == IPV4_ADDR else 16, 0, 0, 0, (1, 1), 0)
    families = {(family, name) for family, name in (table.split() for table in tables)}
    return Ruleset(families | {name[:2] for name in infos}, set(infos), infos)


def warned(text: str, links: Optional[Iterable[str]] = ("lo", "eth0"), there: Optional[Ruleset] = None, containers: bool = False,
           stranger: bool = False) -> List[str]:
    seen = Seen(None if links is None else [Interface(link) for link in links], there, containers, stranger)
    return advice.text(advice.warnings(parse(text, "c.yaml"), seen)).splitlines()


@pytest.mark.parametrize(("name", "said"), [
    ("eth0", None), ("'eth*'", None), ("'*'", None),
    ("eth1", 'there is no interface "eth1" now'),
    ("'ppp*'", 'no interface that is there matches "ppp*"'),
    ("${WAN}", 'is "${WAN}" meant? a $ stands for itself: no variable is filled in'),
    ("$WAN", 'is "$WAN" meant? a $ stands for itself: no variable is filled in'),
    ("^eth[0-9]+$", 'is "^eth[0-9]+$" meant? this is no regular expression but a shell pattern, such as eth[0-9]*'),
    ("ppp+", 'is "ppp+" meant? a + stands for itself; a * stands for any rest, as in ppp*'),
    ("'eth{0,1}'", 'is "eth{0,1}" meant? braces stand for themselves; eth[01] is eth0 and eth1, or write two entries'),
    ("'!lo'", 'is "!lo" meant? a ! stands for itself: an entry cannot say which interfaces are not meant'),
])
def test_names_of_interfaces(name: str, said: Optional[str]) -> None:
    expected = [] if said is None else ["c.yaml:2: warning: interfaces[0].name: " + said]
    assert warned("interfaces:\n- name: %s" % name) == expected


def test_a_name_that_looks_odd_and_is_there_is_meant() -> None:
    assert warned("interfaces: [{name: ppp+}]", links=["ppp+"]) == []
    assert warned("interfaces: [{name: eth7}]", links=None) == []
    assert len(warned("interfaces: [{name: ppp+}]", links=None)) == 1


@pytest.mark.parametrize(("text", "containers", "zones"), [
    ("zones: {wan: {}, lan: {}}", False, ["lan"]),
    ("zones: {lan: {}}", True, []),
    ("zones: {lan: {}}\ndocker: {enabled: false}", True, ["lan"]),
    ("zones: {lan: {}}\ndocker: {networks: {front: lan}}", False, []),
    ("zones: {lan: {}}\ndocker: {networks: {front: lan}, enabled: false}", False, ["lan"]),
    ("zones: {lan: {}, docker: {}}\ndocker: {nftables_zone: lan}", False, ["docker"]),
    ("zones: {docker: {}}", False, []),
])
def test_zones_that_nothing_feeds(text: str, containers: bool, zones: List[str]) -> None:
    found = warned(WAN + text, containers=containers)
    assert found == ["c.yaml:2: warning: zones.%s: nothing feeds this zone: no entry of interfaces names it" % zone for zone in zones]


def test_a_group_that_nobody_knows() -> None:
    assert warned("log_level: info\nsocket_group: nobody-knows", stranger=True) == [
        'c.yaml:2: warning: socket_group: there is no group "nobody-knows"']


def test_tables_that_are_not_there_are_told_once() -> None:
    text = """\
interfaces: [{name: eth0, nftables_zone: [wan, lan]}]
zones:
  wan: {table: [ip nat, inet filter, ip6 nat]}
  lan: {table: ip nat}
"""
    assert warned(text, there=ruleset("wan_ips")) == [
        "c.yaml:3: warning: zones.wan: there is no table ip nat", "c.yaml:3: warning: zones.wan: there is no table ip6 nat"]
    assert warned(WAN, there=ruleset(tables=["ip nat"])) == [
        "c.yaml:1: warning: interfaces[0].nftables_zone: there is no table inet filter"]
    assert warned(WAN + "nftables: {create: true}", there=ruleset(tables=[])) == []


def test_sets_that_are_not_there() -> None:
    listed = WAN + "zones:\n  wan:\n    sets: {public: addresses, ip nat outside: addresses}"
    assert warned(listed, there=ruleset("ip nat public", tables=["inet filter"])) == [
        'c.yaml:4: warning: zones.wan.sets.public: there is no set "public" in inet filter; there is ip nat public',
        'c.yaml:4: warning: zones.wan.sets.ip nat outside: there is no set "outside" in ip nat']
    assert warned(WAN, there=ruleset("lan_ips", "ip6 x wan_ips")) == [
        "c.yaml:1: warning: interfaces[0].nftables_zone: there is none of the sets wan_ips, wan_ips6, wan_ipv6, wan_nets, wan_nets6,"
        " wan_ifs in inet filter; there is ip6 x wan_ips"]
    assert warned(WAN, there=ruleset("wan_ifs ifname")) == []
    assert warned(WAN + "nftables: {create: true}", there=ruleset()) == []


def test_in_several_tables_one_set_is_enough() -> None:
    text = "zones: {wan: {table: [inet filter, ip nat], sets: {public: addresses}}}\n" + WAN
    assert warned(text, there=ruleset("ip nat public", tables=["inet filter"])) == []
    assert warned(text, there=ruleset(tables=["inet filter", "ip nat"])) == [
        'c.yaml:1: warning: zones.wan.sets.public: there is no set "public" in inet filter or ip nat']


def test_sets_that_cannot_be_filled() -> None:
    found = warned(WAN + "zones: {wan: {sets: {ports: interfaces}}}", there=ruleset("ports", "wan_ips ifname"))
    assert [line.split(": ")[2:4] for line in found] == [
        ["zones.wan", "inet filter wan_ips cannot be filled"], ["zones.wan.sets.ports", "inet filter ports cannot be filled"]]
    assert found[0].endswith("its type is ifname; addresses need ipv4_addr or ipv6_addr")


def test_warnings_come_in_the_order_of_the_files() -> None:
    config = parse("interfaces: [{name: a}]\nzones: {x: }", "c.yaml", [("b.yaml", "interfaces: [{name: b}]")])
    found = advice.warnings(config, Seen([], None, False, False))
    assert [str(remark.entry) for remark in found] == ["c.yaml:1", "c.yaml:2", "b.yaml:1"]


def test_as_json() -> None:
    remarks = [Remark(Entry("c.yaml", 3, "zones.x"), "odd"), Remark(Entry("c.yaml", 0), "cannot be read")]
    assert json.loads(advice.json_text(remarks[1:], remarks[:1])) == {
        "schema": 1, "valid": False, "errors": [{"file": "c.yaml", "line": None, "key": "", "message": "cannot be read"}],
        "warnings": [{"file": "c.yaml", "line": 3, "key": "zones.x", "message": "odd"}]}
    assert json.loads(advice.json_text([], [])) == {"schema": 1, "valid": True, "errors": [], "warnings": []}


@pytest.mark.parametrize(("zones", "said"), [
    ("{wan: {sets: {x: interfaces}}, lan: {sets: {x: interfaces}}}", None),
    ("{wan: {sets: {x: addresses}}, lan: {sets: {x: networks}}}", None),
    ("{wan: {sets: {x: indexes}}, lan: {sets: {y: networks}}}", None),
    ("{wan: {sets: {x: {holds: interfaces, mark: 1}}}, lan: {sets: {x: {holds: interfaces, mark: 2}}}}", None),
    ("{wan: {sets: {x: {holds: interfaces, mark: 1}}}, lan: {sets: {x: interfaces}}}",
     "zones.lan.sets.x: zone wan takes it for a map of ifname : mark, this zone for a set of ifname"),
    ("{wan: {sets: {x: interfaces}}, lan: {sets: {x: {holds: interfaces, verdict: accept}}}}",
     "zones.lan.sets.x: zone wan takes it for a set of ifname, this zone for a map of ifname : verdict"),
    ("{wan: {sets: {x: {holds: interfaces, mark: 1}}}, lan: {sets: {x: {holds: interfaces, verdict: drop}}}}",
     "zones.lan.sets.x: zone wan takes it for a map of ifname : mark, this zone for a map of ifname : verdict"),
    ("{wan: {}, lan: {sets: {wan_ips: interfaces}}}",
     "zones.lan.sets.wan_ips: zone wan takes it for a set of ipv4_addr or ipv6_addr, this zone for a set of ifname"),
    ("{wan: {sets: {x: [interfaces, addresses]}}, lan: {sets: {x: interfaces}}}",
     "zones.lan.sets.x: zone wan takes it for a set of ifname . ipv4_addr or ipv6_addr, this zone for a set of ifname"),
])
def test_zones_that_no_set_can_serve(zones: str, said: Optional[str]) -> None:
    text = "interfaces: [{name: eth0, nftables_zone: [wan, lan]}]\nzones: %s" % zones
    assert warned(text) == ([] if said is None else ["c.yaml:2: warning: " + said])


def test_where_the_set_is_there_it_says_who_is_wrong() -> None:
    text = "interfaces: [{name: eth0, nftables_zone: [wan, lan]}]\nzones: {wan: {sets: {x: interfaces}}, lan: {sets: {x: addresses}}}"
    (line,) = (each for each in warned(text, there=ruleset("x ifname", "wan_ips", "lan_ips")) if ".x: " in each)
    assert "inet filter x cannot be filled" in line
