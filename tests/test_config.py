"""The configuration: what is accepted and what it means, and what is said of all the rest."""

import random
import re
from typing import List, Tuple

import pytest

from netmgr.config.reader import parse
from netmgr.config.schema import NOWHERE, Config, Docker, InterfaceRule, Nftables, SetRule, Zone, default_zone
from netmgr.config.yaml_values import alternatives
from netmgr.values import holds
from netmgr.values.addresses import DEPRECATED, DYNAMIC, GLOBAL, LINK_LOCAL, PRIVATE, SINGLE, TEMPORARY
from netmgr.values.choice import ALL, USUAL, Choice, choose, network_of
from netmgr.values.errors import ConfigError, Entry

FULL = """\
# every key that there is
interfaces:
  - name: eth0
    dhcp: true
    nftables_zone: wan
  - name: eth1
    address: 192.168.1.1/24
    nftables_zone: [lan, trusted]
  - {name: 'wg[0-9]*', address: [10.9.0.1/32, "2001:db8::1/64"]}

zones:
  wan:
    table: [ip6 mangle, inet filter, ip6 mangle]
    exclude: [link_local, private]
    exclusive: true
    convention: false
    sets:
      wan_ips: addresses
      wan_prefixes: networks
      ip nat outside: interfaces
      wan_public: {holds: addresses, exclude: [link_local, private, deprecated, temporary]}
      wan_all: {holds: addresses, exclude: []}
  spare:

nftables:
  table: bridge guard
  create: true
  on_stop: remove
  include_dir: null
  audit_interval: 60
  watch: poll
  poll_interval: 0.25

docker:
  enabled: true
  socket: /run/podman.sock
  nftables_zone: containers
  label: org.example.zone
  networks: {frontend: web, "back*": [db, lan]}
  require_healthy: true
  grace: 2.5
  name: main
  label_zones: [dmz, "app-*"]
  poll_interval: 0.5

socket_path: /run/other.sock
socket_mode: "0600"
socket_group: adm
log_level: debug
nftables_rules_path: /etc/rules.d
http_bind_addr: 127.0.0.1:9100
"""


def errors_of(text: str) -> List[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "c.yaml")
    return list(caught.value.errors)


def at(line: int, key: str) -> Entry:
    return Entry("c.yaml", line, key)


def without_places(config: Config) -> Config:
    """The same, wherever it stands in its files."""
    zones = {name: zone._replace(entry=None, sets=tuple(rule._replace(entry=NOWHERE) for rule in zone.sets))
             for name, zone in config.zones.items()}
    return config._replace(interfaces=tuple(rule._replace(entry=NOWHERE) for rule in config.interfaces), zones=zones,
                           docker=tuple(engine._replace(entry=None) for engine in config.docker), files=(), group_entry=None)


def test_every_key() -> None:
    here = Nftables(("bridge", "guard"), True, "remove", None, 60.0, "poll", 0.25)
    private = choose(LINK_LOCAL | PRIVATE)
    assert parse(FULL, "c.yaml") == Config(
        interfaces=(
            InterfaceRule("eth0", True, (), ("wan",), at(3, "interfaces[0]")),
            InterfaceRule("eth1", False, ((bytes([192, 168, 1, 1]), 24),), ("lan", "trusted"), at(6, "interfaces[1]")),
            InterfaceRule("wg[0-9]*", False, ((bytes([10, 9, 0, 1]), 32), (bytes.fromhex("20010db8") + bytes(11) + b"\x01", 64)), (),
                          at(9, "interfaces[2]")),
        ),
        zones={
            "wan": Zone("wan", (("ip6", "mangle"), ("inet", "filter")), private, True, False, (
                SetRule("wan_ips", "addresses", private, None, at(18, "zones.wan.sets.wan_ips")),
                SetRule("wan_prefixes", "networks", private, None, at(19, "zones.wan.sets.wan_prefixes")),
                SetRule("outside", "interfaces", private, ("ip", "nat"), at(20, "zones.wan.sets.ip nat outside")),
                SetRule("wan_public", "addresses", choose(LINK_LOCAL | PRIVATE | DEPRECATED | TEMPORARY), None,
                        at(21, "zones.wan.sets.wan_public")),
                SetRule("wan_all", "addresses", ALL, None, at(22, "zones.wan.sets.wan_all"))), at(12, "zones.wan")),
            **{name: Zone(name, (("bridge", "guard"),), USUAL, entry=at(23, "zones.spare") if name == "spare" else None)
               for name in ("lan", "trusted", "spare", "containers", "web", "db", "dmz")},
        },
        nftables=here,
        docker=(Docker("true", "/run/podman.sock", "containers", "org.example.zone",
                       (("frontend", "web"), ("back*", "db"), ("back*", "lan")), True, 2.5, at(34, "docker"), "main",
                       ("dmz", "app-*"), 0.5),),
        socket_path="/run/other.sock", socket_mode=0o600, socket_group="adm", log_level="debug",
        files=("c.yaml",), group_entry=at(48, "socket_group"),
    )
    assert list(parse(FULL, "c.yaml").zones) == ["wan", "lan", "trusted", "spare", "containers", "web", "db", "dmz"]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n...\n", "interfaces:\n", "interfaces: []", "zones: {}", "docker:", "{}"])
def test_nothing_said_is_the_defaults(text: str) -> None:
    assert without_places(parse(text, "c.yaml")) == Config(
        (), {}, Nftables(("inet", "filter"), False, "keep", "/run/netmgr", 300.0, "events", 0.5),
        (Docker("auto", "/var/run/docker.sock", "docker", "netmgr.zone", (), False, 10.0, None, "", (), 5.0),), None, 0o660, None, "info")


def test_a_configuration_of_rust_network_mgr() -> None:
    config = parse("""
interfaces:
  - name: eth0
    dhcp: true
    nftables_zone: wan
  - name: eth1
    address: 192.168.1.1/24
    nftables_zone: lan
  - name: eth2
    dhcp: ~
    address: null
    nftables_zone:
socket_path: /tmp/test.sock
nftables_rules_path: null
http_bind_addr: "[::1]:9100"
""", "c.yaml")
    assert [(rule.pattern, rule.dhcp, rule.zones) for rule in config.interfaces] == [
        ("eth0", True, ("wan",)), ("eth1", False, ("lan",)), ("eth2", False, ())]
    assert config.socket_path == "/tmp/test.sock"


ONLY_GLOBAL: Choice = choose(USUAL.exclude, (), GLOBAL)
FILTER = (("inet", "filter"),)

ACCEPTED: List[Tuple[str, str, object]] = [
    ("socket_mode: 0660", "socket_mode", 0o660),
    ("socket_mode: 660", "socket_mode", 0o660),
    ("socket_mode: '0o600'", "socket_mode", 0o600),
    ("socket_mode: 0o600", "socket_mode", 0o600),
    ("socket_mode: 0", "socket_mode", 0),
    ("docker: {enabled: off}", "docker.0.enabled", "false"),
    ("docker: {enabled: 'true'}", "docker.0.enabled", "true"),
    ("docker: {enabled: auto}", "docker.0.enabled", "auto"),
    ("docker: {nftables_zone: ~}", "docker.0.zone", None),
    ("docker: {nftables_zone: ~}", "zones", {}),
    ("docker: {label: ~}", "docker.0.label", None),
    ("docker: {label_zones: dmz}", "docker.0.label_zones", ("dmz",)),
    ("docker: {label_zones: [dmz, 'app*']}", "docker.0.label_zones", ("dmz", "app*")),
    ("docker: {label_zones: [dmz, 'app*']}", "zones", {"dmz": Zone("dmz", FILTER)}),
    ("docker: {socket: 'unix:///run/podman/podman.sock'}", "docker.0.socket", "/run/podman/podman.sock"),
    ("docker: {networks: {my net: web, 'a[b': web, 'c[1]': [web]}}", "docker.0.networks",
     (("my net", "web"), ("a[b", "web"), ("c[1]", "web"))),
    ("docker: {name: main}", "docker.0.name", "main"),
    ("docker: []", "docker", ()),
    ("docker: [{name: a}, {name: b, socket: /b.sock}]", "docker.1", Docker(socket="/b.sock", name="b")),
    ("docker: [{name: a, nftables_zone: x}, {name: b, networks: {n: y}}]", "zones", {"x": Zone("x", FILTER), "y": Zone("y", FILTER)}),
    ("docker: {grace: 0}", "docker.0.grace", 0.0),
    ("docker: {}", "zones", {}),
    ("nftables: {audit_interval: 0}", "nftables.audit_interval", 0.0),
    ("nftables: {audit_interval: 0.0}", "nftables.audit_interval", 0.0),
    ("nftables: {audit_interval: 1.5e+3}", "nftables.audit_interval", 1500.0),
    ("nftables: {include_dir: }", "nftables.include_dir", None),
    ("nftables: {table: '  arp   x-/._9 '}", "nftables.table", ("arp", "x-/._9")),
    ("socket_path: '/%s'" % ("x" * 106), "socket_path", "/" + "x" * 106),
    ("socket_group: '1000'", "socket_group", "1000"),
    ("http_bind_addr: ''", "log_level", "info"),
    ("zones: {w: {exclude: dynamic}}", "zones", {"w": Zone("w", FILTER, choose(DYNAMIC))}),
    ("zones: {w: {exclude: [dynamic, dynamic]}}", "zones", {"w": Zone("w", FILTER, choose(DYNAMIC))}),
    ("zones: {w: {only: global, sets: {a: {holds: addresses, only: [single, 192.0.2.0/24]},"
     " b: {holds: addresses, exclude: ['::1', fe80::/10]}}}}",
     "zones", {"w": Zone("w", FILTER, ONLY_GLOBAL, sets=(
         SetRule("a", "addresses", choose(USUAL.exclude, (), SINGLE, [network_of(bytes([192, 0, 2, 0]), 24)])),
         SetRule("b", "addresses", choose(0, [network_of(bytes(15) + b"\1", 128), network_of(b"\xfe\x80" + bytes(14), 10)], GLOBAL))))}),
    ("zones: {w: {sets: {}}}", "zones", {"w": Zone("w", FILTER)}),
    ("zones: {w: {sets: }}", "zones", {"w": Zone("w", FILTER)}),
    ("zones: {w: }\nnftables: {table: ip nat}", "zones", {"w": Zone("w", (("ip", "nat"),))}),
    ("interfaces: [{name: '2', address: 192.0.2.7}]", "interfaces", (InterfaceRule("2", False, ((bytes([192, 0, 2, 7]), None),), ()),)),
    ("interfaces: [{name: !!str on}]", "interfaces", (InterfaceRule("on", False, (), ()),)),
    ("interfaces: [&e {name: a*, dhcp: yes}, {<<: *e, name: b}]", "interfaces",
     (InterfaceRule("a*", True, (), ()), InterfaceRule("b", True, (), ()))),
    ("interfaces: [{nftables_zone: &z [x, y], name: a}, {nftables_zone: *z, name: a}]", "interfaces",
     (InterfaceRule("a", False, (), ("x", "y")), InterfaceRule("a", False, (), ("x", "y")))),
    ("interfaces:\n- &a {name: a, dhcp: on}\n- &b {name: b, nftables_zone: z}\n- <<: [*a, *b]\n", "interfaces",
     (InterfaceRule("a", True, (), ()), InterfaceRule("b", False, (), ("z",)), InterfaceRule("a", True, (), ("z",)))),
    ("interfaces: [{group: 0, kind: vlan, master: br0, default_route: yes}, {group: uplinks}]", "interfaces",
     (InterfaceRule(None, False, (), (), NOWHERE, 0, "vlan", "br0", True), InterfaceRule(None, False, (), (), NOWHERE, "uplinks"))),
    ("\ufeffinterfaces: [{name: ü}]", "interfaces", (InterfaceRule("ü", False, (), ()),)),
]


@pytest.mark.parametrize(("text", "key", "expected"), ACCEPTED)
def test_accepted(text: str, key: str, expected: object) -> None:
    value: object = without_places(parse(text, "c.yaml"))
    for name in key.split("."):
        value = value[int(name)] if isinstance(value, tuple) and name.isdigit() else getattr(value, name)
    assert value == expected


ZONE_RULES = "(nftables allows letters, digits and _ . / - in a name, and no digit, / or - at its beginning)"

WHICH = ("a network or link_local, private, loopback, temporary, deprecated, dynamic, permanent, secondary, global or single")
WORDS = alternatives(tuple(holds.WORDS))

REJECTED: List[Tuple[str, str]] = [
    ("interfaces: 5", "1: interfaces: expected a list of interfaces, got 5"),
    ("interfaces: {name: eth0}", "1: interfaces: expected a list of interfaces, got a mapping"),
    ("[]", "1: expected a mapping, got a list"),
    ("hello", '1: expected a mapping, got "hello"'),
    ("interfaces:\n- eth0", '2: interfaces[0]: expected a mapping with a name or another condition, got "eth0"'),
    ("interfaces:\n- name: a\n-", "3: interfaces[1]: expected a condition (name, group, kind, master or default_route), got none"),
    ("interfaces:\n- dhcp: true", "2: interfaces[0]: expected a condition (name, group, kind, master or default_route), got none"),
    ("interfaces:\n- name:", "2: interfaces[0]: expected a condition (name, group, kind, master or default_route), got none"),
    ("interfaces:\n- default_route: false", "2: interfaces[0].default_route: expected true, got the boolean false"
                                           " (to leave it open, leave it out)"),
    ("interfaces:\n- default_route: 1", "2: interfaces[0].default_route: expected true, got 1"),
    ("interfaces:\n- group: 4294967296",
     "2: interfaces[0].group: expected the number or the name of a group of interfaces, got 4294967296"),
    ("interfaces:\n- group: -1", "2: interfaces[0].group: expected the number or the name of a group of interfaces, got -1"),
    ("interfaces:\n- group: 010", "2: interfaces[0].group: expected the number or the name of a group of interfaces, got 010"),
    ("interfaces:\n- kind: [vlan]", "2: interfaces[0].kind: expected a kind of interface such as wireguard, got a list"),
    ("interfaces:\n- master: sixteen-letters-", '2: interfaces[0].master: expected the name of an interface, got "sixteen-letters-"'
                                                " (a name has at most 15 bytes)"),
    ("interfaces:\n- name: no", "2: interfaces[0].name: expected an interface name or a shell pattern, got the boolean no"),
    ("interfaces:\n- name: a b", '2: interfaces[0].name: expected an interface name or a shell pattern, got "a b"'
                                 " (no interface has / or : or white space in its name)"),
    ("interfaces:\n- name: sixteen-letters-", '2: interfaces[0].name: expected an interface name or a shell pattern, got "sixteen-letters-"'
                                              " (a name has at most 15 bytes, and is not . or ..)"),
    ("interfaces:\n- name: ..", '2: interfaces[0].name: expected an interface name or a shell pattern, got ".."'
                                " (a name has at most 15 bytes, and is not . or ..)"),
    ("interfaces:\n- name: 'wg[0-9'",
     '2: interfaces[0].name: expected an interface name or a shell pattern, got "wg[0-9" (a [ without its ])'),
    ('interfaces:\n- name: "a\\0"', '2: interfaces[0].name: expected an interface name or a shell pattern, got "a\\x00"'),
    ("interfaces:\n- name: ''", '2: interfaces[0].name: expected an interface name or a shell pattern, got ""'),
    ("interfaces:\n- {name: a, dhcp: 1}", "2: interfaces[0].dhcp: expected true or false, got 1"),
    ("interfaces:\n- {name: a, dhcp: 'true'}", '2: interfaces[0].dhcp: expected true or false, got "true"'),
    ("interfaces:\n- {name: a, dhcp: !!bool perhaps}", "2: interfaces[0].dhcp: expected true or false, got the boolean perhaps"),
    ("interfaces:\n- name: a\n  nftables_zone: 5", "3: interfaces[0].nftables_zone: expected a zone name or a list of them, got 5"),
    ("interfaces:\n- name: a\n  nftables_zone: [b, [c]]", "3: interfaces[0].nftables_zone[1]: expected a zone name, got a list"),
    ("interfaces:\n- name: a\n  nftables_zone: {b: c}",
     "3: interfaces[0].nftables_zone: expected a zone name or a list of them, got a mapping"),
    ("interfaces:\n- name: a\n  nftables_zone: 9x",
     '3: interfaces[0].nftables_zone: expected a zone name or a list of them, got "9x" ' + ZONE_RULES),
    ("interfaces:\n- name: a\n  nftables_zone: x y",
     '3: interfaces[0].nftables_zone: expected a zone name or a list of them, got "x y" ' + ZONE_RULES),
    ("interfaces:\n- name: a\n  address: [192.0.2.1/24, 192.0.2.1/33]",
     '3: interfaces[0].address[1]: expected an address such as 192.0.2.1/24, got "192.0.2.1/33"'),
    ("interfaces:\n- name: a\n  address: fe80::1%eth0/64",
     '3: interfaces[0].address: expected an address such as 192.0.2.1/24 or a list of them, got "fe80::1%eth0/64"'),
    ("interfaces:\n- name: a\n  address: 192.0.2.1/255.255.255.0",
     '3: interfaces[0].address: expected an address such as 192.0.2.1/24 or a list of them, got "192.0.2.1/255.255.255.0"'),
    ("interfaces:\n- name: a\n  adress: 192.0.2.1/24", '3: interfaces[0].adress: unknown key "adress"; did you mean "address"?'),
    ("interfaces:\n- name: a\n  name: b", "3: interfaces[0].name: expected the key once, got it again (it is in line 2, too)"),
    ("zones: [wan]", "1: zones: expected a mapping of zones, got a list"),
    ("zones:\n  1: {}", "2: zones.1: expected a zone name, got 1"),
    ("zones:\n  ? [a]\n  : {}", "2: zones: expected a word as a key, got a list"),
    ("zones:\n  w: x", '2: zones.w: expected a mapping, got "x"'),
    ("zones:\n  w: {}\n  w: {}", "3: zones.w: expected the key once, got it again (it is in line 2, too)"),
    ("zones:\n  %s: {}" % ("z" * 250), "2: zones.%s…: expected a zone name, got \"%s…\" (at most 249 characters)" % ("z" * 240, "z" * 240)),
    ("zones:\n  w:\n    table: filter",
     '3: zones.w.table: expected a family and a table such as "inet filter" or a list of them, got "filter"'),
    ("zones:\n  w:\n    table: ipv4 x",
     '3: zones.w.table: expected a family and a table such as "inet filter" or a list of them, got "ipv4 x"'
     " (the families are inet, ip, ip6, bridge, netdev, arp)"),
    ("zones:\n  w:\n    table: [filter]", '3: zones.w.table[0]: expected a family and a table such as "inet filter", got "filter"'),
    ("nftables:\n  table: [inet filter]", '2: nftables.table: expected a family and a table such as "inet filter", got a list'),
    ("zones:\n  w: {sets: {ipv4 x y: addresses}}", '2: zones.w.sets.ipv4 x y: expected a set name, got "ipv4 x y"'
                                                  " (the families are inet, ip, ip6, bridge, netdev, arp)"),
    ("zones:\n  w: {convention: never}", '2: zones.w.convention: expected true or false, got "never"'),
    ("interfaces:\n- {name: a, zone: wan}", '2: interfaces[0].zone: unknown key "zone"; did you mean "nftables_zone"?'),
    ("zone: {}", '1: zone: unknown key "zone"; did you mean "zones"?'),
    ("docker: {zone: web}", '1: docker.zone: unknown key "zone"; did you mean "nftables_zone"?'),
    ("docker: {frobnicate: 1}", '1: docker.frobnicate: unknown key "frobnicate"; known here: name, enabled, socket,'
                                " nftables_zone, label, label_zones, networks, require_healthy, grace, poll_interval"),
    ("docker: false", "1: docker: expected a mapping, got the boolean false (to leave containers alone: docker: {enabled: false})"),
    ("interfaces:\n- name: !lo", "2: interfaces[0].name: expected an interface name or a shell pattern, got the tag !lo"
                                 ' (text that begins with ! needs quotes: "!lo")'),
    ("interfaces:\n- {name: a, address: 192.168.1.0/24}",
     '2: interfaces[0].address: expected an address such as 192.0.2.1/24 or a list of them, got "192.168.1.0/24"'
     " (that is the network itself; an interface's address in it has other bits after the first 24)"),
    ("zones:\n  w: {exclude: [loopbak]}", '2: zones.w.exclude[0]: expected %s, got "loopbak"' % WHICH),
    ("zones:\n  w: {only: 5}", "2: zones.w.only: expected %s or a list of them, got 5" % WHICH),
    ("zones:\n  w: {only: []}", "2: zones.w.only: expected %s, got a list (then no address would count)" % WHICH),
    ("zones:\n  w: {only: [192.0.2.1/24]}",
     '2: zones.w.only[0]: expected %s, got "192.0.2.1/24" (an address in the network 192.0.2.0/24)' % WHICH),
    ("zones:\n  w: {exclude: [192.0.2.0/33]}", '2: zones.w.exclude[0]: expected %s, got "192.0.2.0/33"' % WHICH),
    ("zones:\n  w: {sets: [a]}", "2: zones.w.sets: expected a mapping from sets to what they hold, got a list"),
    ("zones:\n  w: {sets: {a: ips}}", '2: zones.w.sets.a: expected %s, got "ips"' % WORDS),
    ("zones:\n  w: {sets: {a: {holds: [interfaces, published_ports]}}}", '2: zones.w.sets.a.holds[1]: expected %s, got "published_ports"'
     % alternatives([word for word in holds.WORDS if word != "published_ports"])),
    ("zones:\n  w: {sets: {a: {holds: published_ports, mark: 5}}}",
     "2: zones.w.sets.a.mark: expected nothing, for published_ports have values of their own"),
    ("zones:\n  w: {sets: {a: {holds: published_ports, type: inet_service}}}", "2: zones.w.sets.a.type: expected a type that can hold it: "
     "inet_service or inet_proto . inet_service : ipv4_addr . inet_service or ipv6_addr . inet_service"),
    ("zones:\n  w: {sets: {a: }}", "2: zones.w.sets.a: expected %s, got nothing" % WORDS),
    ("zones:\n  w: {sets: {a: hosts}}", "2: zones.w.sets.a: expected a mapping, such as {holds: hosts, suffix: '::10'}, got \"hosts\""),
    ("zones:\n  w: {sets: {a: {holds: hosts}}}", "2: zones.w.sets.a.suffix: expected a host part such as ::10, got nothing"),
    ("zones:\n  w: {sets: {a: {holds: hosts, suffix: '::10/64'}}}", "2: zones.w.sets.a.suffix: expected a host part such as ::10 "
     'or a list of them, got "::10/64" (the length of the prefix is the network\'s)'),
    ("zones:\n  w: {sets: {a: {holds: hosts, suffix: '::'}}}", "2: zones.w.sets.a.suffix: expected a host part such as ::10 "
     'or a list of them, got "::" (a host has other bits than zeros)'),
    ("zones:\n  w: {sets: {a: {holds: hosts, suffix: []}}}", "2: zones.w.sets.a.suffix: expected a host part such as ::10, got a list "
     "(then there would be no host)"),
    ("zones:\n  w: {sets: {a: {holds: interfaces, mark: 0x10/0xff}}}",
     '2: zones.w.sets.a.mark: expected a mark such as 0x10, got "0x10/0xff"'),
    ("zones:\n  w: {sets: {a: {holds: peers, suffix: '::10'}}}", "2: zones.w.sets.a.suffix: expected nothing, for it is of hosts"),
    ("zones:\n  w: {sets: {a: {holds: indexes, type: iface_index, flags: interval}}}",
     "2: zones.w.sets.a.type: expected no flags: [interval] for indexes"),
    ("zones:\n  w: {sets: {a: {}}}", "2: zones.w.sets.a.holds: expected %s, got nothing" % WORDS),
    ("zones:\n  w: {sets: {a b: addresses}}", '2: zones.w.sets.a b: expected a set name, got "a b" ' + ZONE_RULES),
    ("nftables:\n  on_stop: 5", "2: nftables.on_stop: expected keep or remove, got 5"),
    ("nftables:\n  include_dir: run", '2: nftables.include_dir: expected an absolute path, got "run"'),
    ("<<: {log_level: debug}\n<<: {log_level: error}", "2: expected << once, got it again (it is in line 1, too)"),
    ("nftables:\n  audit_interval: -1", "2: nftables.audit_interval: expected 0, or seconds from 0.1 to 31536000, got -1"),
    ("nftables:\n  audit_interval: 0300", "2: nftables.audit_interval: expected 0, or seconds from 0.1 to 31536000, got 0300"),
    ("nftables:\n  audit_interval: 5:00", "2: nftables.audit_interval: expected 0, or seconds from 0.1 to 31536000, got 5:00"),
    ("nftables:\n  audit_interval: .nan", "2: nftables.audit_interval: expected 0, or seconds from 0.1 to 31536000, got .nan"),
    ("nftables:\n  audit_interval: '300'", '2: nftables.audit_interval: expected 0, or seconds from 0.1 to 31536000, got "300"'),
    ("nftables:\n  audit_interval: true", "2: nftables.audit_interval: expected 0, or seconds from 0.1 to 31536000, got the boolean true"),
    ("nftables:\n  poll_interval: 0", "2: nftables.poll_interval: expected seconds from 0.01 to 86400, got 0"),
    ("nftables:\n  poll_interval: 1.0e+999", "2: nftables.poll_interval: expected seconds from 0.01 to 86400, got 1.0e+999"),
    ("docker:\n  enabled: maybe", '2: docker.enabled: expected auto, true or false, got "maybe"'),
    ("docker:\n  socket: ~/docker.sock", '2: docker.socket: expected an absolute path, got "~/docker.sock"'),
    ("docker:\n  nftables_zone: [a]", "2: docker.nftables_zone: expected a zone name or null, got a list"),
    ("docker:\n  networks:\n    a: 5", "3: docker.networks.a: expected a zone name or a list of them, got 5"),
    ("docker:\n  label: a b", '2: docker.label: expected the name of a label or null, got "a b"'),
    ("docker:\n  socket: tcp://127.0.0.1:2375", '2: docker.socket: expected an absolute path, got "tcp://127.0.0.1:2375"'
     " (engines are asked on unix sockets only)"),
    ("docker:\n  socket: unix://x", '2: docker.socket: expected an absolute path, got "unix://x"'),
    ("docker:\n  label_zones: [5]", "2: docker.label_zones[0]: expected a zone name or a shell pattern, got 5"),
    ("docker:\n  label_zones: a-b/[", "2: docker.label_zones: expected a zone name or a shell pattern or a list of them, got \"a-b/[\""
     " (a [ without its ])"),
    ("docker:\n  label_zones: 9", "2: docker.label_zones: expected a zone name or a shell pattern or a list of them, got 9"),
    ("docker:\n  networks: {'': web}", '2: docker.networks.: expected the name of a network or a shell pattern, got ""'),
    ("docker:\n  name: a b", '2: docker.name: expected a name for this engine, got "a b" (letters, digits and _ . - make a name,'
     " at most 60 of them)"),
    ("docker:\n- socket: /a", "2: docker[0].name: expected a name for this engine, got nothing"),
    ("docker:\n- name: a\n- 5", "3: docker[1]: expected a mapping with a name, got 5"),
    ("docker:\n- name: a\n- name: b\n- name: a", "4: docker[2]: expected a name of its own, got a again (it is in line 2, too)"),
    ("docker:\n  poll_interval: 0", "2: docker.poll_interval: expected seconds from 0.1 to 86400, got 0"),
    ("socket_path: /%s" % ("x" * 107), '1: socket_path: expected an absolute path, got "/%s"'
                                       " (a socket's address has room for 107 bytes)" % ("x" * 107)),
    ("socket_mode: 0888", '1: socket_mode: expected an octal mode such as "0660", got "0888"'),
    ("socket_mode: 01777", '1: socket_mode: expected an octal mode such as "0660", got 01777'),
    ("socket_mode: 0x1b0", '1: socket_mode: expected an octal mode such as "0660", got 0x1b0'),
    ("socket_group: 1000", "1: socket_group: expected the name of a group, got 1000"),
    ("log_level: loud", '1: log_level: expected error, warning, info or debug, got "loud"'),
    ("log_level: !odd info",
     '1: log_level: expected error, warning, info or debug, got the tag !odd (text that begins with ! needs quotes: "!odd info")'),
    ("http_bind_addr: 8080", "1: http_bind_addr: expected text, got 8080"),
    ("interface: []", '1: interface: unknown key "interface"; did you mean "interfaces"?'),
    ("<<: [5]", "1: expected a mapping to merge, got 5"),
    ("zones: {a: &a {<<: *a, exclusive: 1}}", "1: zones.a.exclusive: expected true or false, got 1"),
]


@pytest.mark.parametrize(("text", "error"), REJECTED)
def test_rejected(text: str, error: str) -> None:
    assert errors_of(text) == ["c.yaml:" + error]


@pytest.mark.parametrize(("text", "error"), [
    ("zones:\n  w:\n    sets:\n      inet filter x: networks\n      inet  filter x: addresses",
     "5: zones.w.sets.inet  filter x: expected a set once in a zone, got it again (line 4 names it, too)"),
    ("zones:\n  w:\n    sets:\n      x: networks\n      inet filter x: addresses",
     "5: zones.w.sets.inet filter x: expected a set once in a zone, got it again (line 4 names it, too)"),
    ("zones:\n  w:\n    table: [ip a, ip b]\n    sets:\n      ip a x: networks\n      ip b x: networks\n      x: addresses",
     "7: zones.w.sets.x: expected a set once in a zone, got it again (line 5 names it, too)"),
])
def test_a_set_stands_once_in_a_zone(text: str, error: str) -> None:
    assert errors_of(text) == ["c.yaml:" + error]


NO_YAML: List[Tuple[str, str]] = [
    ("interfaces:\n\t- name: a", "c.yaml:2: not YAML: a tab stands here; YAML indents with spaces"),
    ("interfaces:\n- name: a\n\tdhcp: true", "c.yaml:3: not YAML: a tab stands here; YAML indents with spaces"),
    ("interfaces:\n- name: *ppp", r'c.yaml:2: not YAML: text that begins with \* needs quotes: "\*ppp"'),
    ("interfaces:\n- name: *ppp*", r'c.yaml:2: not YAML: text that begins with \* needs quotes: "\*ppp\*"'),
    ("interfaces:\n- name: *", r'c.yaml:2: not YAML: text that begins with \* needs quotes: "\*"'),
    ("interfaces: [{name: *, dhcp: true}]", r'c.yaml:1: not YAML: text that begins with \* needs quotes: "\*"'),
    ("interfaces:\n- name: @home", 'c.yaml:2: not YAML: text that begins with @ needs quotes: "@home"'),
    ("interfaces: [", "c.yaml:2: not YAML: .*"),
    ("a: 1\n# caf\udce9", "c.yaml:2: not YAML: the byte 0xE9 is no UTF-8; save the file in that encoding"),
    ("a: b: c", "c.yaml:1: not YAML: mapping values are not allowed .*"),
    ("a: *nowhere", r'c.yaml:1: not YAML: text that begins with \* needs quotes: "\*nowhere"'),
    ("zones: {}\n---\nzones: {}", "c.yaml:2: not YAML: expected a single document in the stream, but found another document"),
    ("zones:\n  a: \x07", r"c.yaml:2: not YAML: the character U\+0007 is not allowed"),
    ("\n\nzones: \ud800", r"c.yaml:3: not YAML: the character U\+D800 is not allowed"),
    ("zones:\n  " + "[" * 60, "c.yaml:2: expected at most 50 levels, got more"),
    ("zones:\n  " + "[" * 100_000, "c.yaml:2: (expected at most 50 levels, got more|not YAML: .*maximum nesting depth)"),    # libyaml's
    ("a: " + "{a: " * 100_000, "c.yaml:1: expected at most 50 levels, got more"),
    ("%YAML 7.0\n---\na: b", "c.yaml:1: not YAML: found incompatible YAML document.*"),
]


@pytest.mark.parametrize(("text", "error"), NO_YAML, ids=range(len(NO_YAML)))
def test_no_yaml(text: str, error: str) -> None:
    assert [re.fullmatch(error, each) is not None for each in errors_of(text)] == [True]


def test_interfaces_and_zones_go_on_in_further_files() -> None:
    first = "interfaces: [{name: eth0, nftables_zone: wan}]\nzones: {wan: {exclude: []}}\nnftables: {table: ip nat}"
    more = [("conf.d/a.yaml", "zones: {lan: {sets: {ports: interfaces}}, wlan: {sets: {ports: interfaces}}}"), ("conf.d/b.yaml", ""),
            ("conf.d/c.yaml", "# this\ninterfaces: [{name: eth1, nftables_zone: [lan, dmz]}]\n")]
    config = parse(first, "c.yaml", more)
    assert [(rule.pattern, str(rule.entry)) for rule in config.interfaces] == [("eth0", "c.yaml:1"), ("eth1", "conf.d/c.yaml:2")]
    assert [(zone.name, str(zone.entry), zone.tables) for zone in config.zones.values()] == [
        ("wan", "c.yaml:2", (("ip", "nat"),)), ("lan", "conf.d/a.yaml:1", (("ip", "nat"),)),
        ("dmz", "None", (("ip", "nat"),)), ("wlan", "conf.d/a.yaml:1", (("ip", "nat"),))]


def test_what_is_wrong_with_further_files() -> None:
    main = "zones: {wan: {sets: {a: addresses}}}\nlog_level: loud"
    more = [("d/a.yaml", "zones:\n  wan: {}\n  lan: {sets: {ip6 filter a: addresses}}"),
            ("d/b.yaml", "docker: {enabled: maybe}\nzones:\n  dmz: {sets: {ip6 filter a: networks, inet filter a: addresses}}\nzons: 1")]
    with pytest.raises(ConfigError) as caught:
        parse(main, "c.yaml", more)
    assert caught.value.errors == (
        'c.yaml:2: log_level: expected error, warning, info or debug, got "loud"',
        "d/a.yaml:2: zones.wan: expected the zone in one file, got it again (it is in c.yaml:1, too)",
        "d/b.yaml:1: docker: expected only interfaces and zones in this file, got what belongs into c.yaml",
        "d/b.yaml:3: zones.dmz.sets.inet filter a: expected the set in one file, got it again (it is in c.yaml:1, too)",
        "d/b.yaml:3: zones.dmz.sets.ip6 filter a: expected the set in one file, got it again (it is in d/a.yaml:3, too)",
        'd/b.yaml:4: zons: unknown key "zons"; did you mean "zones"?')


def test_a_remark_has_its_parts() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("log_level: loud", "c.yaml")
    (remark,) = caught.value.remarks
    assert (remark.entry, remark.message) == (at(1, "log_level"), 'expected error, warning, info or debug, got "loud"')


def test_every_mistake_at_once_and_in_order() -> None:
    found = errors_of("""\
log_level: loud
interfaces:
  - name: eth0
    dhcp: 5
    zone: wan
  - name: 7
    address: [1.2.3, 10.0.0.1/8, 1.2.3.4.5/6]
docker: {grace: soon, enabled: 3, sockt: /x}
zones:
  w-:
    table: inet
  9: {}
""")
    assert [error.split(": expected")[0].split(": unknown")[0] for error in found] == [
        "c.yaml:1: log_level",
        "c.yaml:4: interfaces[0].dhcp",
        "c.yaml:5: interfaces[0].zone",
        "c.yaml:6: interfaces[1].name",
        "c.yaml:7: interfaces[1].address[0]",
        "c.yaml:7: interfaces[1].address[2]",
        "c.yaml:8: docker.grace",
        "c.yaml:8: docker.enabled",
        "c.yaml:8: docker.sockt",
        "c.yaml:11: zones.w-.table",
        "c.yaml:12: zones.9",
    ]


def test_aliases_that_multiply_are_cut_off() -> None:
    zones = "nftables_zone: &z [%s]" % ", ".join(["w"] * 2000)
    many = "interfaces:\n- &i {name: a, %s}\n%s" % (zones, "- *i\n" * 2000)
    assert errors_of(many) == ["c.yaml:2: expected at most 500000 values, got more (by aliases of aliases?)"]


def test_merges_that_multiply_do_not() -> None:
    levels = ["a0: &a0 {exclude: private}"] + ["a%d: &a%d {<<: [%s]}" % (n, n, ", ".join(["*a%d" % (n - 1)] * 9)) for n in range(1, 30)]
    assert {zone.choice for zone in parse("zones: {%s}" % ", ".join(levels), "c.yaml").zones.values()} == {choose(PRIVATE)}


def test_values_that_contain_themselves() -> None:
    assert errors_of("interfaces: &i [*i]") == ["c.yaml:1: interfaces[0]: expected a mapping with a name or another condition, got a list"]
    assert len(errors_of("zones: &z {w: *z}")) == 1
    assert len(errors_of("&t {zones: *t}")) == 1


def test_the_same_without_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    fast, complaints = parse(FULL, "c.yaml"), [errors_of(text) for text, _error in REJECTED]
    monkeypatch.delattr("yaml.CSafeLoader", raising=False)
    assert parse(FULL, "c.yaml") == fast
    assert [errors_of(text) for text, _error in REJECTED] == complaints
    assert len(errors_of("zones:\n" + "[" * 100_000)) == 1


def _parse_or_complain(text: str) -> None:
    try:
        assert isinstance(parse(text, "c.yaml"), Config)
    except ConfigError as error:
        lines = [re.match(r"c\.yaml:([0-9]+): [^\n\x00-\x1f]*\Z", each) for each in error.errors]
        numbers = [int(line.group(1)) for line in lines if line is not None]
        assert len(numbers) == len(error.errors) > 0
        assert numbers == sorted(numbers) and 1 <= numbers[-1] <= len(re.findall("[\n\r\x85\u2028\u2029]", text)) + 2


def test_every_beginning_of_a_good_file() -> None:
    for length in range(len(FULL)):
        _parse_or_complain(FULL[:length])


@pytest.mark.parametrize("seed", range(20))
def test_mutations(seed: int) -> None:
    chance = random.Random(seed)
    alphabet = "".join(sorted(set(FULL))) + "&*<!|>%@`\t\"\\?\r\x00\x85\u2028é\U0001f600"
    for _ in range(200):
        text = FULL
        for _ in range(chance.randint(1, 6)):
            start = chance.randrange(len(text) + 1)
            end = min(len(text), start + chance.choice((0, 1, 1, 5, 40)))
            piece = "".join(chance.choice(alphabet) for _ in range(chance.choice((0, 1, 2))))
            if chance.random() < 0.3:
                other = chance.randrange(len(FULL))
                piece = FULL[other : other + chance.randrange(60)]
            text = text[:start] + piece + text[end:]
        _parse_or_complain(text)


def test_a_zone_that_only_a_label_names() -> None:
    assert default_zone("web", Nftables(("ip", "nat"))) == Zone("web", (("ip", "nat"),), USUAL, False, True, (), None)
    for name in ("", "9", "a b", "ä", "x" * 250, "a\n"):
        with pytest.raises(ValueError, match=r"nftables allows|at most"):
            default_zone(name, Nftables())
