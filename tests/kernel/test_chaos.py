"""Everything at once, for a while: address churn at full speed, links that go and come, rulesets, foreign elements, kill -9.

The seed is printed; NETMGR_SEED=… replays the choices (the timing is the machine's), NETMGR_CHAOS_SECONDS=… changes the length.
"""

import fnmatch
import os
import random
import signal
import sys
import time
from ipaddress import ip_network
from typing import Dict, Set

from tests.kernel.lab import Lab
from tests.kernel.running import ROOT, Netmgr
from tests.kernel.test_compositions import listed as texts
from tests.kernel.truth import differences, listed, listed_too, usable
from tests.waiting import eventually

SECONDS = float(os.environ.get("NETMGR_CHAOS_SECONDS", "60" if os.environ.get("CI") else "20"))
NAMES = ("eth0", "eth1", "ppp0")
RULES = (("eth0", "wan"), ("ppp*", "wan"), ("eth1", "lan"), ("eth0", "lan"))
RULESET = """
table inet filter {
    set wan_ips { type ipv4_addr; }
    set lan_ips { type ipv4_addr; flags dynamic; }
    set wan_nets { type ipv4_addr; flags interval; }
    set wan_ifs { type ifname; }
    set wan_hosts { type ipv4_addr; }
    set lan_macs { type ether_addr; }
}
"""
COMPOSED = """
table inet composed {
    map marks { type ifname : mark; }
    set pairs { type ifname . ipv4_addr; flags interval; }
}
"""
MARKS = {"wan": 16, "lan": 32}
CONFIG = "interfaces:\n%sdocker: {enabled: false}\n%s" % (
    "".join("  - {name: '%s', nftables_zone: %s}\n" % rule for rule in RULES), listed_too(MARKS))
for _zone, _mark in MARKS.items():
    CONFIG = CONFIG.replace("  %s: {sets: {" % _zone, "  %s: {sets: {inet composed marks: {holds: interfaces, mark: %d}, "
                            "inet composed pairs: {holds: [interfaces, networks]}, " % (_zone, _mark))


class Chaos:
    """The disturbances; `foreign` is what others put into wan_ips and lan_ips since the last reload, and must still be there."""

    def __init__(self, lab: Lab, netmgr: Netmgr, chance: random.Random) -> None:
        self.lab, self.netmgr, self.chance = lab, netmgr, chance
        self.foreign: Dict[str, Set[str]] = {"wan_ips": set(), "lan_ips": set()}

    def disturb(self) -> None:
        self.chance.choice((self.link, self.link, self.reload, self.flush, self.foreign_element, self.foreign_element,
                            self.hardware, self.network, self.crash))()

    def link(self) -> None:
        name = self.chance.choice(NAMES)
        if name in self.links():
            self.lab.run("ip link del " + name)
        else:
            self.lab.link(name)

    def hardware(self) -> None:
        self.lab.run("ip link set %s address 02:00:00:00:00:%02x" % (self.chance.choice(NAMES), self.chance.randrange(1, 9)), check=False)

    def network(self) -> None:
        self.lab.run("ip addr %s 10.%d.0.1/24 dev %s" % (
            self.chance.choice(("add", "del")), self.chance.randrange(1, 5), self.chance.choice(NAMES)), check=False)

    def links(self) -> Set[str]:
        return {each["ifname"] for each in self.lab.links()} & set(NAMES)

    def reload(self) -> None:
        self.lab.nft("flush ruleset\n" + RULESET + COMPOSED)
        for held in self.foreign.values():
            held.clear()

    def flush(self) -> None:
        name = self.chance.choice(sorted(self.foreign))
        self.lab.run("nft flush set inet filter " + name)
        self.lab.run("nft flush map inet composed marks")
        self.foreign[name].clear()

    def foreign_element(self) -> None:
        name = self.chance.choice(sorted(self.foreign))
        element = "198.51.100.%d" % self.chance.randrange(1, 250)
        self.lab.nft("add element inet filter %s { %s }" % (name, element))
        self.foreign[name].add(element)

    def crash(self) -> None:
        if self.netmgr.answers():
            self.netmgr.kill()
            self.netmgr.start(wait=False)


def composed(lab: Lab) -> Dict[str, Set[str]]:
    """What the map and the set of pairs hold."""
    return {name: texts(lab, name, kind, "inet composed") for name, kind in (("marks", "map"), ("pairs", "set"))}


def right(lab: Lab) -> Dict[str, Set[str]]:
    """What they should: marks by the first rule, and each interface with each of its networks."""
    found: Dict[str, Set[str]] = {"marks": set(), "pairs": set()}
    for link in lab.addresses():
        zone = next((zone for pattern, zone in RULES if fnmatch.fnmatchcase(link["ifname"], pattern)), None)
        if zone is not None:
            networks = [ip_network("%s/%d" % each, strict=False) for each in usable(link) if "." in each[0]]
            found["marks"].add('"%s" : 0x%08x' % (link["ifname"], MARKS[zone]))
            found["pairs"].update('"%s" . %s' % (link["ifname"], str(each).replace("/32", "")) for each in networks)
    return found


def test_chaos(lab: Lab) -> None:
    seed = int(os.environ.get("NETMGR_SEED", random.SystemRandom().randrange(1 << 32)))
    print("NETMGR_SEED=%d NETMGR_CHAOS_SECONDS=%g" % (seed, SECONDS))
    lab.nft(RULESET + COMPOSED)
    for name in NAMES:
        lab.link(name)
    netmgr = Netmgr(lab, CONFIG)
    chaos = Chaos(lab, netmgr, random.Random(seed))
    churn = [sys.executable, "-m", "tests.kernel.churn", "600", str(seed), *NAMES]
    writer = lab.start(churn, {**os.environ, "PYTHONPATH": str(ROOT)})
    began = time.monotonic()
    while time.monotonic() - began < SECONDS / 2:
        chaos.disturb()
    if not chaos.links():
        chaos.link()
    overrun(lab, netmgr)
    while time.monotonic() - began < SECONDS:
        chaos.disturb()
    assert writer.poll() is None
    lab.stop(writer)
    eventually(netmgr.answers)
    eventually(lambda: not differences(lab, RULES, listed(lab)), str(differences(lab, RULES, listed(lab))))
    try:
        eventually(lambda: composed(lab) == right(lab))
    except AssertionError:
        assert composed(lab) == right(lab)
    held = listed(lab)
    for name, foreign in chaos.foreign.items():
        assert foreign <= held[name].foreign
    status = {row["name"]: row for row in netmgr.status()["sets"] if row["table"] == "filter" and row["state"] != "missing"}
    assert {name: (row["state"], row["elements"]) for name, row in status.items()} == {
        name: ("synced", len(each.own)) for name, each in held.items()}
    for name, each in held.items():
        file = netmgr.includes / ("inet.filter.%s.nft" % name)
        eventually(lambda file=file, own=each.own: file.read_text().count('"netmgr"') == len(own))  # type: ignore[misc]


def overrun(lab: Lab, netmgr: Netmgr) -> None:
    """Stop the daemon until the kernel has to drop events; then it must notice."""
    eventually(netmgr.answers)
    assert netmgr.process is not None
    before = drops(lab)
    netmgr.process.send_signal(signal.SIGSTOP)
    eventually(lambda: drops(lab) > before, "an overrun")
    netmgr.process.send_signal(signal.SIGCONT)
    eventually(lambda: netmgr.status()["sources"]["netlink"]["overruns"])


def drops(lab: Lab) -> int:
    """How many rtnetlink events the kernel has dropped, for all that listen to a group."""
    rows = [line.split() for line in lab.run("cat /proc/net/netlink").splitlines()[1:]]
    return sum(int(row[8]) for row in rows if row[1] == "0" and int(row[3], 16))
