"""A random walk with all that a set can hold but mere addresses, networks and names: whenever it is quiet, the sets are what `ip -j addr`,
`ip -j route`, the engine, nft and the configuration make of them.

The seed is printed.  NETMGR_SEED=… replays a walk, NETMGR_STEPS=… changes its length.
"""

import ipaddress
import os
import random
import re
from typing import Any, Callable, Dict, Iterator, List, Set, Tuple

from tests import engine_bodies as bodies
from tests.kernel.engine import Engine
from tests.kernel.lab import Lab
from tests.kernel.running import Netmgr
from tests.kernel.test_gateways import next_hops
from tests.kernel.truth import covered, host, usable, without
from tests.waiting import eventually

STEPS = int(os.environ.get("NETMGR_STEPS", "200"))
NAMES = ("eth0", "eth1", "ppp0")
SETS = {
    "pairs": "set pairs { type ifname . ipv4_addr\n}",
    "nets": "set nets { type ifname . ipv4_addr; flags interval\n}",
    "zones": "map zones { type ifname : verdict\n}",
    "marks": "map marks { type ifname : mark\n}",
    "outside": "map outside { type ifname : ipv4_addr\n}",
    "hops4": "set hops4 { type ipv4_addr\n}",
    "hops6": "set hops6 { type ipv6_addr; flags interval; auto-merge\n}",
    "via": "set via { type ifname . ipv4_addr\n}",
    "uplinks": "map uplinks { type ipv4_addr : mark\n}",
    "servers": "set servers { type ifname . ipv4_addr\n}",
    "servers6": "set servers6 { type ipv6_addr; flags interval\n}",
    "far4": "set far4 { type ipv4_addr\n}",
    "far6": "set far6 { type ipv6_addr\n}",
    "cards": "set cards { type ether_addr\n}",
    "macs": "set macs { type ether_addr . ipv4_addr; flags interval\n}",
    "indexes": "set indexes { type iface_index . ifname\n}",
    "bymac": "map bymac { type ether_addr : mark\n}",
    "ports": "map ports { type inet_proto . inet_service : ipv4_addr . inet_service\n}",
    "bare": "map bare { type inet_service : ipv4_addr . inet_service\n}",
}
ZONE = """  %s:
    sets:
      pairs: {holds: [interfaces, addresses]}
      nets: {holds: [interfaces, networks]}
      zones: {holds: interfaces, verdict: jump %s}
      marks: {holds: interfaces, mark: %d}
      outside: {holds: interfaces, value: address}
      hops4: gateways
      hops6: gateways
      via: {holds: [interfaces, gateways]}
      uplinks: {holds: gateways, mark: %d}
      servers: {holds: [interfaces, hosts], suffix: [0.0.0.10, 0.0.0.20]}
      servers6: {holds: hosts, suffix: '::10'}
      far4: {holds: peers, exclude: 10.1.0.3}
      far6: peers
      cards: hardware_addresses
      macs: {holds: [hardware_addresses, addresses]}
      indexes: {holds: [indexes, interfaces]}
      bymac: {holds: hardware_addresses, mark: %d}
"""
RULES = {"eth0": "wan", "eth1": "lan", "ppp0": "wan"}
MARKS = {"wan": 16, "lan": 32}
CONTAINERS = """  docker:
    sets:
      ports: published_ports
      bare: published_ports
      cards: hardware_addresses
      macs: {holds: [hardware_addresses, addresses]}
"""
CONFIG = "interfaces:\n%sdocker: {enabled: true, socket: SOCKET}\nzones:\n%s" % (
    "".join("  - {name: %s, nftables_zone: %s}\n" % each for each in RULES.items()),
    "".join(ZONE % (zone, zone, mark, mark, mark) for zone, mark in MARKS.items()) + CONTAINERS)
PROTOCOLS = {"6": "tcp", "17": "udp", "tcp": "tcp", "udp": "udp"}

Held = Dict[str, Tuple[Set[str], Set[str]]]     # netmgr's elements and the others', by set


class Walk:
    """The operations, each by the chance that the generator gives."""

    def __init__(self, lab: Lab, seed: int) -> None:
        self.lab, self.chance = lab, random.Random(seed)
        self.log: List[str] = []
        self.load_ruleset()
        for name in NAMES:
            lab.link(name)
        self.engine = Engine(lab)
        self.containers: Dict[int, Dict[str, Any]] = {}
        self.netmgr = Netmgr(lab, CONFIG.replace("SOCKET", self.engine.socket))

    def step(self) -> None:
        """One operation; those that make no sense just now fail, as they would for an administrator."""
        operations: Tuple[Tuple[int, Callable[[], None]], ...] = (
            (30, self.address), (10, self.peer), (8, self.six), (4, self.hardware),
            (15, self.route), (8, self.container), (4, self.link), (3, self.up_or_down), (3, self.flush),
            (6, self.foreign), (3, self.chain), (2, self.load_ruleset), (1, self.crash))
        self.chance.choices([call for _weight, call in operations], [weight for weight, _call in operations])[0]()

    def run(self, command: str, text: str = "") -> None:
        self.log.append("%s  %s" % (command, text))
        self.lab.run(command, text, check=False)

    def address(self) -> None:
        address = "10.0.%d.%d/%d" % (self.chance.randrange(4), self.chance.randrange(1, 30), self.chance.choice((24, 28, 32)))
        self.run("ip addr %s %s dev %s" % (self.chance.choice(("add", "add", "del")), address, self.chance.choice(NAMES)))

    def peer(self) -> None:
        """An IPv6 address may get another peer, an IPv4 address is another one then."""
        number, far = self.chance.randrange(1, 4), self.chance.randrange(1, 5)
        pair = self.chance.choice((
            "10.0.7.%d peer 10.1.0.%d/32", "2001:db8:7::%d peer 2001:db8:1::%d/128", "2001:db8:7::%d peer fe80::%d/128"))
        self.run("ip addr %s %s dev %s%s" % (self.chance.choice(("add", "replace", "del")), pair % (number, far), self.chance.choice(NAMES),
                                            " nodad" if ":" in pair else ""))

    def six(self) -> None:
        address = "2001:db8:%d::%d/%d" % (self.chance.randrange(4), self.chance.randrange(1, 4), self.chance.choice((48, 64, 64, 126)))
        self.run("ip addr %s %s dev %s nodad" % (self.chance.choice(("add", "add", "del")), address, self.chance.choice(NAMES)))

    def hardware(self) -> None:
        """Few, so that several interfaces and containers have the same."""
        self.run("ip link set %s address 02:42:ac:11:00:%02x" % (self.chance.choice(NAMES), self.chance.randrange(1, 5)))

    def route(self) -> None:
        """Next hops are few, so that several interfaces have the same."""
        four = self.chance.random() < 0.7
        hops = ["via %s%d dev %s onlink" % ("10.0.9." if four else "fe80::", self.chance.randrange(1, 6), self.chance.choice(NAMES))
                for _ in range(self.chance.choice((1, 1, 1, 2, 3)))]
        where = hops[0] if len(hops) == 1 else " ".join("nexthop " + each for each in hops)
        action = self.chance.choice(("add", "append", "replace", "del"))
        kind = self.chance.choice(("", "", "", "unreachable "))
        where = "" if kind or (action == "del" and len(hops) > 1) else where
        self.run("ip -%d route %s %sdefault metric %d %s" % (4 if four else 6, action, kind, self.chance.randrange(1, 4), where))

    def container(self) -> None:
        """Each has its own age, and they want the same few ports."""
        number = self.chance.randrange(1, 6)
        if self.containers.pop(number, None) is None or self.chance.random() < 0.3:
            ports = [self.port() for _ in range(self.chance.randrange(4))]
            self.containers[number] = bodies.container(number, {"bridge": ("172.17.0.%d/16" % number,)}, ports=ports, created=100 - number)
            mac = "02:42:ac:11:00:%02x" % self.chance.randrange(8)
            self.containers[number]["NetworkSettings"]["Networks"]["bridge"]["MacAddress"] = mac
        self.log.append("containers %s" % {number: each["Ports"] for number, each in self.containers.items()})
        self.engine.runs(*self.containers.values())

    def port(self) -> str:
        address = self.chance.choice(("", "0.0.0.0:", "127.0.0.1:", "192.0.2.1:", "[::]:"))
        protocol = self.chance.choice(("tcp", "udp"))
        return "%s%d:%d/%s" % (address, self.chance.randrange(80, 84), self.chance.randrange(1, 3), protocol)

    def up_or_down(self) -> None:
        self.run("ip link set %s %s" % (self.chance.choice(NAMES), self.chance.choice(("up", "up", "down"))))

    def link(self) -> None:
        name = self.chance.choice(NAMES)
        if any(each["ifname"] == name for each in self.lab.links()):
            self.run("ip link del " + name)
        else:
            self.log.append("link " + name)
            self.lab.link(name)

    def flush(self) -> None:
        name = self.chance.choice(list(SETS))
        self.run("nft flush %s inet filter %s" % (SETS[name].split()[0], name))

    def foreign(self) -> None:
        name = self.chance.choice(NAMES)
        element = self.chance.choice((
            'pairs { "%s" . 10.0.0.5 }' % name, 'nets { "%s" . 10.0.%d.0/25 }' % (name, self.chance.randrange(4)),
            'marks { "%s" : 7 }' % name, "hops4 { 10.0.9.1 }", "uplinks { 10.0.9.2 : 7 }", 'via { "%s" . 10.0.9.3 }' % name,
            "ports { tcp . 80 : 192.0.2.9 . 9 }", "far4 { 10.1.0.1 }", 'servers { "%s" . 10.0.1.10 }' % name, "cards { 02:42:ac:11:00:02 }",
            "macs { 02:42:ac:11:00:03 . 172.17.0.0-172.17.0.2 }", "bymac { 02:42:ac:11:00:04 : 7 }", "servers6 { 2001:db8:1::/64 }"))
        self.run("nft -f -", "%s element inet filter %s\n" % (self.chance.choice(("add", "delete")), element))

    def chain(self) -> None:
        self.run("nft %s chain inet filter %s" % (self.chance.choice(("add", "add", "delete")), self.chance.choice(("wan", "lan"))))

    def load_ruleset(self) -> None:
        objects = ["chain %s { }" % zone for zone in MARKS if self.chance.random() < 0.7]
        objects += [SETS[name] for name in SETS if self.chance.random() < 0.9]
        self.run("nft -f -", "flush ruleset\ntable inet filter {\n%s\n}\n" % "\n".join(objects))

    def crash(self) -> None:
        self.log.append("kill -9 and start")
        self.netmgr.kill()
        self.netmgr.start(wait=False)

    def check(self) -> None:
        """Wait until every set is the truth."""
        wrong: List[str] = []

        def right() -> bool:
            wrong[:] = differences(self.lab, list(self.containers.values()))
            return not wrong
        try:
            eventually(right)
        except AssertionError:
            raise AssertionError("after %s:\n%s\n%s\n%s" % (
                "; ".join(self.log[-12:]), "\n".join(wrong), self.netmgr.ask("status json"), self.netmgr.log()[-3000:])) from None


def listed(lab: Lab) -> Tuple[Held, Set[str]]:
    """What nft lists of each set that there is, and the chains."""
    text = lab.run("nft -n list table inet filter", check=False)
    found: Held = {}
    for name, body in re.findall(r"^\t(?:set|map) (\w+) {\n(.*?)^\t}$", text, re.MULTILINE | re.DOTALL):
        inside = " ".join(body.split()).partition("elements = { ")[2].rpartition(" }")[0]
        items = [each.replace('"', "") for each in inside.split(", ") if each]
        found[name] = ({each.replace(" comment netmgr", "") for each in items if " comment netmgr" in each},
                       {each for each in items if " comment netmgr" not in each})
    return found, set(re.findall(r"^\tchain (\w+) {", text, re.MULTILINE))


def differences(lab: Lab, containers: List[Dict[str, Any]]) -> List[str]:
    """Every set that is not as it should be, in words."""
    held, chains = listed(lab)
    hops = list(next_hops(lab))
    interfaces = {each["ifname"]: {**each, "hops": {hop for name, hop in hops if name == each["ifname"]}}
                  for each in lab.addresses() if each["ifname"] in RULES}
    published = [each for name in ("ports", "bare") if name in held for each in wrong_ports(held[name], containers, name == "ports")]
    published += wrong_macs(held, interfaces, containers)
    return published + [each for name in held if name in WRONG for each in WRONG[name](held[name], interfaces, chains)]


def pairs(held: Tuple[Set[str], Set[str]], interfaces: Dict[str, Dict[str, object]], _chains: Set[str]) -> Iterator[str]:
    own, foreign = held
    wanted = {"%s . %s" % (name, address) for name, each in interfaces.items() for address, _length in usable(each) if "." in address}
    if own != wanted - foreign:
        yield "pairs: %s, %s, wanted %s" % (own, foreign, wanted)


def nets(held: Tuple[Set[str], Set[str]], interfaces: Dict[str, Dict[str, object]], _chains: Set[str]) -> Iterator[str]:
    own, foreign = ({name: covered(each.partition(" . ")[2] for each in some if each.startswith(name)) for name in RULES} for some in held)
    for name in RULES:
        wanted = covered("%s/%d" % (network(address, length), length) for address, length in usable(interfaces.get(name, {"addr_info": []}))
                         if "." in address)
        if own[name] != without(wanted, foreign[name]):
            yield "nets of %s: %s, %s, wanted %s" % (name, own[name], foreign[name], wanted)


def network(address: str, length: int) -> str:
    """The first address of the network."""
    return str(ipaddress.ip_interface("%s/%d" % (address, length)).network.network_address)


def mapped(held: Tuple[Set[str], Set[str]], wanted: Dict[str, str]) -> Iterator[str]:
    own, foreign = held
    theirs = {each.partition(" : ")[0] for each in foreign}
    if own != {"%s : %s" % each for each in wanted.items() if each[0] not in theirs}:
        yield "%s, %s, wanted %s" % (own, foreign, wanted)


def zones(held: Tuple[Set[str], Set[str]], interfaces: Dict[str, Dict[str, object]], chains: Set[str]) -> Iterator[str]:
    return mapped(held, {name: "jump " + RULES[name] for name in interfaces if RULES[name] in chains})


def marks(held: Tuple[Set[str], Set[str]], interfaces: Dict[str, Dict[str, object]], _chains: Set[str]) -> Iterator[str]:
    return mapped(held, {name: "0x%08x" % MARKS[RULES[name]] for name in interfaces})


def outside(held: Tuple[Set[str], Set[str]], interfaces: Dict[str, Dict[str, object]], _chains: Set[str]) -> Iterator[str]:
    primary: Dict[str, str] = {}
    for name, interface in interfaces.items():
        infos = interface["addr_info"]
        assert isinstance(infos, list)
        first = [each["local"] for each in infos if each["family"] == "inet" and not each.get("secondary")]
        primary.update({name: first[0]} if first else {})
    return mapped(held, primary)


def hops_of(interfaces: Dict[str, Dict[str, object]], colon: bool) -> Iterator[Tuple[str, str]]:
    """Each interface with each of its next hops of a family."""
    for name, interface in interfaces.items():
        found = interface["hops"]
        assert isinstance(found, set)
        yield from ((name, each) for each in found if (":" in each) == colon)


def hops4(held: Tuple[Set[str], Set[str]], interfaces: Dict[str, Dict[str, object]], _chains: Set[str]) -> Iterator[str]:
    own, foreign = held
    wanted = {hop for _name, hop in hops_of(interfaces, False)}
    if own != wanted - foreign:
        yield "hops4: %s, %s, wanted %s" % (own, foreign, wanted)


def hops6(held: Tuple[Set[str], Set[str]], interfaces: Dict[str, Dict[str, object]], _chains: Set[str]) -> Iterator[str]:
    own, _foreign = held
    wanted = {hop for _name, hop in hops_of(interfaces, True)}
    if covered(own) != covered(wanted):
        yield "hops6: %s, wanted %s" % (own, wanted)


def via(held: Tuple[Set[str], Set[str]], interfaces: Dict[str, Dict[str, object]], _chains: Set[str]) -> Iterator[str]:
    own, foreign = held
    wanted = {"%s . %s" % each for each in hops_of(interfaces, False)}
    if own != wanted - foreign:
        yield "via: %s, %s, wanted %s" % (own, foreign, wanted)


def uplinks(held: Tuple[Set[str], Set[str]], interfaces: Dict[str, Dict[str, object]], _chains: Set[str]) -> Iterator[str]:
    """Of one next hop over several interfaces the first entry counts."""
    wanted: Dict[str, str] = {}
    for rule in RULES:
        for name, hop in hops_of(interfaces, False):
            if name == rule:
                wanted.setdefault(hop, "0x%08x" % MARKS[RULES[name]])
    return mapped(held, wanted)


def exactly(held: Tuple[Set[str], Set[str]], wanted: Set[str]) -> Iterator[str]:
    own, foreign = held
    if own != wanted - foreign:
        yield "%s, %s, wanted %s" % (own, foreign, wanted)


def servers(held: Tuple[Set[str], Set[str]], interfaces: Dict[str, Dict[str, object]], _chains: Set[str]) -> Iterator[str]:
    return exactly(held, {"%s . %s" % (name, found) for name, each in interfaces.items() for address, length in usable(each)
                          if "." in address for suffix in (10, 20) for found in host(address, length, suffix)})


def servers6(held: Tuple[Set[str], Set[str]], interfaces: Dict[str, Dict[str, object]], _chains: Set[str]) -> Iterator[str]:
    own, foreign = held
    wanted = {found for each in interfaces.values() for address, length in usable(each) if ":" in address
              for found in host(address, length, 16)}
    if covered(own) != without(covered(wanted), covered(foreign)):
        yield "servers6: %s, %s, wanted %s" % (own, foreign, wanted)


def peers(interfaces: Dict[str, Dict[str, Any]], colon: bool) -> Set[str]:
    """The far ends of a family."""
    found = {info.get("address", "") for each in interfaces.values() for info in each["addr_info"]}
    return {each for each in found if each and (":" in each) == colon}


def far4(held: Tuple[Set[str], Set[str]], interfaces: Dict[str, Dict[str, object]], _chains: Set[str]) -> Iterator[str]:
    return exactly(held, peers(interfaces, False) - {"10.1.0.3"})


def far6(held: Tuple[Set[str], Set[str]], interfaces: Dict[str, Dict[str, object]], _chains: Set[str]) -> Iterator[str]:
    return exactly(held, peers(interfaces, True))


def indexes(held: Tuple[Set[str], Set[str]], interfaces: Dict[str, Dict[str, object]], _chains: Set[str]) -> Iterator[str]:
    """nft may write an index as the name."""
    wanted = {"%s . %s" % (each["ifindex"], name) for name, each in interfaces.items()}
    own = {each if each[0].isdigit() else "%s . %s" % (interfaces.get(each.split()[0], {}).get("ifindex"), each.split()[-1])
           for each in held[0]}
    return exactly((own, held[1]), wanted)


def bymac(held: Tuple[Set[str], Set[str]], interfaces: Dict[str, Dict[str, object]], _chains: Set[str]) -> Iterator[str]:
    """Of one address at several interfaces the first entry counts."""
    wanted: Dict[str, str] = {}
    for name in RULES:
        if name in interfaces:
            wanted.setdefault(str(interfaces[name]["address"]), "0x%08x" % MARKS[RULES[name]])
    return mapped(held, wanted)


def wrong_macs(held: Held, interfaces: Dict[str, Dict[str, Any]], containers: List[Dict[str, Any]]) -> List[str]:
    """Of interfaces and containers alike; 02:42:ac:11:00:03 with 172.17.0.0 to .2 may be another's."""
    networks = [each["NetworkSettings"]["Networks"]["bridge"] for each in containers]
    macs = {str(each["address"]) for each in interfaces.values()} | {each["MacAddress"] for each in networks}
    with_addresses = {"%s . %s" % (each["address"], address) for each in interfaces.values() for address, _length in usable(each)
                      if "." in address} | {"%s . %s" % (each["MacAddress"], each["IPAddress"]) for each in networks}
    found = list(exactly(held["cards"], macs)) if "cards" in held else []
    if "macs" in held:
        own, foreign = held["macs"]
        taken = {"02:42:ac:11:00:03 . 172.17.0.%d" % number for number in range(3)} if foreign else set()
        singles = {single for each in own for single in _apart(each)}
        if singles != with_addresses - taken:
            found.append("macs: %s, %s, wanted %s" % (own, foreign, with_addresses))
    return found


def _apart(pair: str) -> Iterator[str]:
    """MAC . ADDRESS of MAC . ADDRESS, MAC . NETWORK or MAC . FIRST-LAST."""
    mac, _dot, addresses = pair.partition(" . ")
    for first, last in covered([addresses]):
        yield from ("%s . %s" % (mac, ipaddress.IPv4Address(number)) for number in range(first, last + 1))


def wrong_ports(held: Tuple[Set[str], Set[str]], containers: List[Dict[str, Any]], protocols: bool) -> Iterator[str]:
    """Of each port the oldest container; of what one container itself publishes twice, the smaller."""
    wanted: Dict[str, str] = {}
    for container in sorted(containers, key=lambda each: each["Created"]):
        address = container["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        for port in sorted(container["Ports"], key=lambda each: each["PrivatePort"]):
            if ":" not in port.get("IP", "") and not port.get("IP", "").startswith("127."):
                key = "%s . %d" % (port["Type"], port["PublicPort"]) if protocols else str(port["PublicPort"])
                wanted.setdefault(key, "%s . %d" % (address, port["PrivatePort"]))
    own, foreign = ({_with_protocol(each) if protocols else each for each in some} for some in held)
    yield from mapped((own, foreign), wanted)


def _with_protocol(element: str) -> str:
    """As a word, which nft may write as a number."""
    protocol, _dot, rest = element.partition(" . ")
    return "%s . %s" % (PROTOCOLS[protocol], rest)


WRONG = {"pairs": pairs, "nets": nets, "zones": zones, "marks": marks, "outside": outside, "hops4": hops4, "hops6": hops6, "via": via,
         "uplinks": uplinks, "servers": servers, "servers6": servers6, "far4": far4, "far6": far6, "indexes": indexes, "bymac": bymac}


def test_random_walk_with_concatenations_and_maps(lab: Lab) -> None:
    seed = int(os.environ.get("NETMGR_SEED", random.SystemRandom().randrange(1 << 32)))
    print("NETMGR_SEED=%d NETMGR_STEPS=%d" % (seed, STEPS))
    walk = Walk(lab, seed)
    done = 0
    while done < STEPS:
        for _ in range(walk.chance.randrange(1, 10)):
            walk.step()
            done += 1
        walk.check()
    eventually(walk.netmgr.answers)
    held, _chains = listed(lab)
    counted = {row["name"]: row["elements"] for row in walk.netmgr.status()["sets"] if row["state"] != "missing"}
    assert counted == {name: len(own) for name, (own, _foreign) in held.items()}
