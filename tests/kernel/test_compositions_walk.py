"""A random walk with concatenations, maps, next hops and published ports: whenever it is quiet, they are what `ip -j addr`, `ip -j route`,
the engine, nft and the configuration make of them.

The seed is printed.  NETMGR_SEED=… replays a walk, NETMGR_STEPS=… changes its length.
"""

import os
import random
import re
from typing import Any, Callable, Dict, Iterator, List, Set, Tuple

from tests import engine_bodies as bodies
from tests.kernel.engine import Engine
from tests.kernel.lab import Lab
from tests.kernel.running import Netmgr
from tests.kernel.test_gateways import next_hops
from tests.kernel.truth import covered, usable, without
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
"""
RULES = {"eth0": "wan", "eth1": "lan", "ppp0": "wan"}
MARKS = {"wan": 16, "lan": 32}
PUBLISHED = "  docker: {sets: {ports: published_ports, bare: published_ports}}\n"
CONFIG = "interfaces:\n%sdocker: {enabled: true, socket: SOCKET}\nzones:\n%s" % (
    "".join("  - {name: %s, nftables_zone: %s}\n" % each for each in RULES.items()),
    "".join(ZONE % (zone, zone, mark, mark) for zone, mark in MARKS.items()) + PUBLISHED)
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
            (30, self.address), (15, self.route), (8, self.container), (4, self.link), (3, self.up_or_down), (3, self.flush),
            (6, self.foreign), (3, self.chain), (2, self.load_ruleset), (1, self.crash))
        self.chance.choices([call for _weight, call in operations], [weight for weight, _call in operations])[0]()

    def run(self, command: str, text: str = "") -> None:
        self.log.append("%s  %s" % (command, text))
        self.lab.run(command, text, check=False)

    def address(self) -> None:
        address = "10.0.%d.%d/%d" % (self.chance.randrange(4), self.chance.randrange(1, 30), self.chance.choice((24, 28, 32)))
        self.run("ip addr %s %s dev %s" % (self.chance.choice(("add", "add", "del")), address, self.chance.choice(NAMES)))

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
            "ports { tcp . 80 : 192.0.2.9 . 9 }"))
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
            eventually(right, 30)
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
    import ipaddress
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
         "uplinks": uplinks}


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
    eventually(walk.netmgr.answers, 30)
    held, _chains = listed(lab)
    counted = {row["name"]: row["elements"] for row in walk.netmgr.status()["sets"] if row["state"] != "missing"}
    assert counted == {name: len(own) for name, (own, _foreign) in held.items()}
