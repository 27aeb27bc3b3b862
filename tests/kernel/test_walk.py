"""A random walk: seeded operations on addresses, links, rulesets and the daemon itself; whenever it is quiet, the sets are the truth.

The seed is printed.  NETMGR_SEED=… replays a walk, NETMGR_STEPS=… changes its length.
"""

import os
import random
from typing import Callable, List, Tuple

from tests.kernel.lab import Lab
from tests.kernel.running import Netmgr
from tests.kernel.truth import differences, listed, listed_too
from tests.waiting import eventually

STEPS = int(os.environ.get("NETMGR_STEPS", "2000"))
NAMES = ("eth0", "eth1", "ppp0", "ppp1", "wg0", "other0")
SETS = {
    "wan_ips": ("ipv4_addr", "ipv6_addr"), "wan_ips6": ("ipv6_addr",), "wan_nets": ("ipv4_addr",), "wan_nets6": ("ipv6_addr",),
    "wan_ifs": ("ifname",), "lan_ips": ("ipv4_addr", "ifname"), "lan_ipv6": ("ipv6_addr",), "lan_nets": ("ipv4_addr",),
    "lan_ifs": ("ifname",), "wan_hosts": ("ipv4_addr", "ipv6_addr"), "wan_peers": ("ipv4_addr", "ipv6_addr"), "lan_macs": ("ether_addr",),
}
CONFIGURATIONS: Tuple[Tuple[Tuple[str, str], ...], ...] = (
    (("eth0", "wan"), ("ppp*", "wan"), ("eth1", "lan")),
    (("eth[01]", "wan"), ("eth1", "lan"), ("wg0", "lan")),
    (("*", "lan"), ("eth0", "wan")),
)


def _config(rules: Tuple[Tuple[str, str], ...]) -> str:
    entries = "".join("  - {name: '%s', nftables_zone: %s}\n" % rule for rule in rules)
    return "interfaces:\n%sdocker: {enabled: false}\n%s" % (entries, listed_too(("wan", "lan")))


class Walk:
    """The operations, each by the chance that the generator gives."""

    def __init__(self, lab: Lab, seed: int) -> None:
        self.lab = lab
        self.chance = random.Random(seed)
        self.rules = CONFIGURATIONS[0]
        self.log: List[str] = []
        self.load_ruleset()
        for name in NAMES[:2]:
            lab.link(name)
        self.netmgr = Netmgr(lab, _config(self.rules))

    def step(self) -> None:
        """One operation; those that make no sense just now fail, as they would for an administrator."""
        operations: Tuple[Tuple[int, Callable[[], None]], ...] = (
            (40, self.address), (6, self.link), (5, self.rename), (4, self.up_or_down), (6, self.peer), (3, self.hardware),
            (12, self.foreign_element),
            (6, self.lose_element), (3, self.flush_set), (3, self.replace_set), (2, self.load_ruleset), (1, self.delete_table),
            (1, self.crash), (1, self.reload))
        self.chance.choices([call for _weight, call in operations], [weight for weight, _call in operations])[0]()

    def run(self, command: str, text: str = "") -> None:
        self.log.append("%s  %s" % (command, text))
        self.lab.run(command, text, check=False)

    def some_address(self) -> str:
        if self.chance.random() < 0.3:
            return "2001:db8::%x/%d" % (self.chance.randrange(1, 40), self.chance.choice((120, 122, 126, 128)))
        return "10.0.%d.%d/%d" % (self.chance.randrange(3), self.chance.randrange(1, 40), self.chance.choice((24, 26, 28, 30, 31, 32)))

    def address(self) -> None:
        action = self.chance.choice(("add", "add", "del"))
        nodad = " nodad" if action == "add" else ""
        address = self.some_address()
        self.run("ip addr %s %s dev %s%s" % (action, address, self.chance.choice(NAMES), nodad if ":" in address else ""))

    def peer(self) -> None:
        """Of an IPv6 address it may change."""
        pair = self.chance.choice(("10.0.3.%d peer 10.1.0.%d/32", "2001:db8:7::%d peer 2001:db8:1::%d/128"))
        self.run("ip addr %s %s dev %s%s" % (
            self.chance.choice(("add", "replace", "del")), pair % (self.chance.randrange(1, 4), self.chance.randrange(1, 9)),
            self.chance.choice(NAMES), " nodad" if ":" in pair else ""))

    def hardware(self) -> None:
        self.run("ip link set %s address %s" % (self.chance.choice(NAMES), self.some_hardware()))

    def some_hardware(self) -> str:
        return "02:00:00:00:00:%02x" % self.chance.randrange(1, 9)

    def link(self) -> None:
        name = self.chance.choice(NAMES)
        if any(each["ifname"] == name for each in self.lab.links()):
            self.run("ip link del " + name)
        else:
            self.log.append("link " + name)
            self.lab.link(name)

    def rename(self) -> None:
        self.run("ip link set %s name %s" % (self.chance.choice(NAMES), self.chance.choice(NAMES)))

    def up_or_down(self) -> None:
        self.run("ip link set %s %s" % (self.chance.choice(NAMES), self.chance.choice(("up", "up", "down"))))

    def some_element(self, name: str) -> str:
        kind = self.chance.choice(SETS[name])
        if kind == "ifname":
            return '"%s"' % self.chance.choice(NAMES)
        if kind == "ether_addr":
            return self.some_hardware()
        address = self.some_address()
        while (":" in address) != (kind == "ipv6_addr"):
            address = self.some_address()
        return address.split("/")[0] if self.chance.random() < 0.7 else address

    def foreign_element(self) -> None:
        name = self.chance.choice(list(SETS))
        action = self.chance.choice(("add", "add", "delete"))
        self.run("nft -f -", "%s element inet filter %s { %s }\n" % (action, name, self.some_element(name)))

    def lose_element(self) -> None:
        held = listed(self.lab)
        losable = [(name, each) for name, state in sorted(held.items()) for each in sorted(state.own)]
        if losable:
            name, element = self.chance.choice(losable)
            self.run("nft -f -", "delete element inet filter %s { %s }\n" % (name, '"%s"' % element if "_ifs" in name else element))

    def flush_set(self) -> None:
        self.run("nft flush set inet filter " + self.chance.choice(list(SETS)))

    def declaration(self, name: str) -> str:
        interval = "nets" in name or self.chance.random() < 0.2
        kind = self.chance.choice(SETS[name])
        options = "flags interval;" if interval and kind != "ifname" else self.chance.choice(
            ("", "flags dynamic;", "size 1000;", "flags timeout;", "timeout 1h;"))
        return "set %s { type %s; %s }" % (name, kind, options)

    def replace_set(self) -> None:
        name = self.chance.choice(list(SETS))
        self.run("nft delete set inet filter " + name)
        self.run("nft -f -", "table inet filter {\n%s\n}\n" % self.declaration(name))

    def load_ruleset(self) -> None:
        chosen = [name for name in SETS if self.chance.random() < 0.9]
        self.run("nft -f -", "flush ruleset\ntable inet filter {\n%s\n}\n" % "\n".join(self.declaration(name) for name in chosen))

    def delete_table(self) -> None:
        self.run("nft delete table inet filter")

    def crash(self) -> None:
        self.log.append("kill -9 and start")
        self.netmgr.kill()
        self.netmgr.start(wait=False)

    def reload(self) -> None:
        eventually(self.netmgr.answers)
        self.rules = self.chance.choice(CONFIGURATIONS)
        self.log.append("reload %s" % (self.rules,))
        self.netmgr.configure(_config(self.rules))
        assert self.netmgr.ask("reload").startswith("OK: ")

    def check(self) -> None:
        """Wait until every set is the truth."""
        wrong: List[str] = []

        def right() -> bool:
            wrong[:] = differences(self.lab, self.rules, listed(self.lab))
            return not wrong
        try:
            eventually(right)
        except AssertionError:
            raise AssertionError("after %s:\n%s\n%s\n%s" % (
                "; ".join(self.log[-12:]), "\n".join(wrong), self.netmgr.ask("status json"), self.netmgr.log()[-3000:])) from None


def test_random_walk(lab: Lab) -> None:
    seed = int(os.environ.get("NETMGR_SEED", random.SystemRandom().randrange(1 << 32)))
    print("NETMGR_SEED=%d NETMGR_STEPS=%d" % (seed, STEPS))
    lab.sysctl("net.ipv6.conf.default.accept_dad", 0)
    walk = Walk(lab, seed)
    done = 0
    while done < STEPS:
        for _ in range(walk.chance.randrange(1, 12)):
            walk.step()
            done += 1
        walk.check()
    eventually(walk.netmgr.answers)
    status = walk.netmgr.status()
    counted = {row["name"]: row["elements"] for row in status["sets"] if row["state"] != "missing"}
    assert counted == {name: len(held.own) for name, held in listed(lab).items()}
