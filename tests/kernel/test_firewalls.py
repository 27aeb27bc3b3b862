"""Never worse than without it, as a property: random rulesets, configurations, addresses, own elements of the user's, and lives.

A life is a sequence of what administrators, systemd, providers and crashes do.  After each step:

  - a load that succeeds with empty include files succeeds with netmgr's;
  - no element that the user's ruleset states was lost or became netmgr's;
  - netmgr's elements are what is claimed less what others have there, as far as there is room; nothing else is in the set.

Excused are own elements that netmgr cannot have seen yet: in a sized set that is full; around, inside or equal to netmgr's; in
auto-merge sets beside netmgr's.  Who has stated such a one takes it back when it was refused.  And in auto-merge sets a load without a
flush may drop what is right below netmgr's, which nft does by itself.

There are 2,400 lives, shared among the versions of nft that are here.  NETMGR_LIVES=… makes it another number for each, NETMGR_SEED=…
replays one.
"""

import os
import random
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Set, Tuple

import pytest

from tests.kernel.firewall import Contents, Declared, Firewall, Span, claimed, elements, joined, minus, near, span_of
from tests.kernel.lab import Lab
from tests.nft_program import Program, programs

PROGRAMS = programs()
LIVES = int(os.environ.get("NETMGR_LIVES", 2400 // max(1, len(PROGRAMS))))
PORTION = 100

NAMES = ("eth0", "eth1", "eth2", "ppp0")
ZONES = (
    {"eth0": ["lan"], "eth1": ["lan"], "eth2": ["lan"], "ppp0": ["wan"]},
    {"eth0": ["lan"], "eth1": ["lan", "wan"], "ppp0": ["lan"]},
    {"eth0": ["wan"], "eth1": ["wan"], "eth2": ["lan"]},
    {"eth0": ["lan"], "eth1": ["lan"], "eth2": ["lan"], "ppp0": ["lan"]},
)
ADDRESSES = [*("192.0.2.%d/%d" % (host, length) for host in range(1, 7) for length in (24, 29, 32)),
             *("192.168.%d.1/24" % net for net in range(5)), "10.1.2.3/8"]
OWN = [*("192.0.2.%d" % host for host in range(8)), "192.0.2.0/30", "192.0.2.4/31", "192.0.2.3-192.0.2.5", "192.0.2.0/24", "192.168.1.0/24",
       "192.168.0.0/23", "192.168.0.0/16", "192.168.2.0/25", "192.168.5.0/24", "198.51.100.0/24", "203.0.113.9", "10.0.0.0/9"]
OWN_NAMES = ['"eth0"', '"eth1"', '"eth*"', '"wlan0"', '"e*"', '"ppp*"']


def config(chance: random.Random, zones: Dict[str, List[str]]) -> str:
    """As netmgr reads it."""
    entries = "".join("  - {name: %s, nftables_zone: [%s]}\n" % (name, ", ".join(of)) for name, of in zones.items())
    return "interfaces:\n%sdocker: {enabled: false}\nnftables: {on_stop: %s}\n" % (entries, chance.choice(("keep", "keep", "remove")))


def declared(chance: random.Random, ends: bool) -> List[Declared]:
    """One to three sets."""
    found = {}
    for _ in range(chance.choice((1, 1, 2, 3))):
        zone, ending = chance.choice(("lan", "wan")), chance.choice(("ips", "ips", "nets", "nets", "ifs"))
        interval = ending == "nets" or chance.random() < 0.4
        merge = interval and ending != "ifs" and chance.random() < 0.5
        size = chance.choice((0, 0, 0, 1, 2, 3, 5))
        kind, timeout = "ifname" if ending == "ifs" else "ipv4_addr", chance.random() < 0.15
        made = Declared("%s_%s" % (zone, ending), kind, interval, merge, size, timeout, ends)
        found[made.name] = made
    return list(found.values())


class Life:
    """One host from its installation on."""

    def __init__(self, firewall: Firewall, seed: int) -> None:
        self.firewall, self.chance = firewall, random.Random(seed)
        self.declared = declared(self.chance, firewall.ends)
        self.zones = self.chance.choice(ZONES)
        self.config = config(self.chance, self.zones)
        self.interfaces = {name: self.chance.sample(ADDRESSES, self.chance.choice((0, 1, 1, 2))) for name in NAMES}
        self.stated: Dict[str, List[str]] = {each.name: [] for each in self.declared}       # in the user's file
        self.loaded: Dict[str, Set[str]] = {each.name: set() for each in self.declared}     # of these, in the kernel
        self.seen: Dict[str, List[Span]] = {each.name: [] for each in self.declared}        # others' elements, by netmgr
        self.excused: Dict[str, Set[str]] = {each.name: set() for each in self.declared}
        self.later = self.chance.random() < 0.2     # own elements come by a command of their own
        self.present = False
        self.steps: List[str] = []
        firewall.begin()

    # -- the user's file

    def ruleset(self, directory: Path) -> str:
        """The user's file, and own elements behind the table, unless they come later."""
        tables = "table inet filter {\n%s}\n" % "".join(each.block(directory) for each in self.declared)
        return tables if self.later else tables + self.own_elements()

    def own_elements(self) -> str:
        return "".join("add element inet filter %s { %s }\n" % (name, each) for name, own in self.stated.items() for each in own)

    def own_element(self) -> None:
        """One more, or one less, from the next load on."""
        of = self.chance.choice(self.declared)
        own = self.stated[of.name]
        if own and self.chance.random() < 0.35:
            gone = self.chance.choice(own)
            own.remove(gone)
            self.steps.append("own %s: no more %s" % (of.name, gone))
            return
        choices = OWN if of.interval else [each for each in OWN if "/" not in each and "-" not in each]
        if of.type == "ifname":
            choices = OWN_NAMES if of.interval and not self.later else [each for each in OWN_NAMES if "*" not in each]
        new = self.chance.choice(choices)
        if not any(near(span_of(new), span_of(each), 1) for each in own) and of.takes(len(own) + 1):
            own.append(new)
            self.steps.append("own %s: %s" % (of.name, new))

    # -- loads

    def load(self) -> None:
        self.run("", fresh=False)

    def flush_and_load(self) -> None:
        """What `systemctl restart nftables` does."""
        self.flush()
        if self.chance.random() < 0.5:
            self.between()
        self.run("", fresh=True)

    def reload(self) -> None:
        self.run("flush ruleset\n", fresh=True)

    def replace_table(self) -> None:
        self.run("table inet filter {}\ndelete table inet filter\n", fresh=True)

    def flush(self) -> None:
        self.steps.append("flush ruleset")
        assert self.firewall.nft.run("flush ruleset") == ""
        self.gone()

    def gone(self) -> None:
        self.present = False
        for name in self.loaded:
            self.loaded[name], self.excused[name] = set(), set()

    def between(self) -> None:
        """Something happens while the sets are missing."""
        self.react()
        for _ in range(self.chance.choice((0, 1, 1, 2))):
            self.chance.choice((self.address, self.restart, self.kill, self.start, self.reconfigure))()

    def run(self, head: str, fresh: bool) -> None:
        """One nft -f, or two."""
        self.steps.append("load %r" % head)
        unseen = {each.name: self.unseen_conflicts(each, fresh) for each in self.declared}
        error = self.firewall.nft.run(head + self.ruleset(self.firewall.files))
        if error:
            assert self.firewall.nft.run(head + self.ruleset(self.firewall.empty), check=True) != "" or any(unseen.values()), error
            self.take_back(unseen)
            return
        if fresh:
            self.gone()
        self.present = True
        if self.later and not self.then_own_elements(unseen):
            return
        for name, own in self.stated.items():
            self.loaded[name] |= set(own)
            self.excused[name] |= unseen[name]
        self.react()

    def then_own_elements(self, unseen: Dict[str, Set[str]]) -> bool:
        """The second command; whether it was possible at all."""
        if self.chance.random() < 0.7:
            self.firewall.glance()
        error = self.firewall.nft.run(self.own_elements())
        if error and any(self.quarrel(each) for each in self.declared):
            return False
        if error:
            assert any(unseen.values()), error
            self.take_back(unseen)
            assert self.firewall.nft.run(self.own_elements()) == ""
        return True

    def quarrel(self, of: Declared) -> bool:
        """Whether the user's elements are in each other's way: those of an earlier load, which nobody has taken out, and the new ones."""
        there = {*self.stated[of.name], *self.loaded[of.name]}
        return len(joined(map(span_of, there))) < len(there) or not of.takes(len(there))

    def take_back(self, unseen: Dict[str, Set[str]]) -> None:
        for name, new in unseen.items():
            self.stated[name] = [each for each in self.stated[name] if each not in new]
        self.steps.append("refused, taken back: %s" % {name: new for name, new in unseen.items() if new})

    def unseen_conflicts(self, of: Declared, fresh: bool) -> Set[str]:
        """Own elements that netmgr has not seen and for which there is no place beside netmgr's."""
        offered = self.firewall.offered(of)
        held = self.firewall.contents(of)
        own = [*offered, *(held.own if held is not None and not fresh else [])]
        unseen = {each for each in self.stated[of.name] if minus([span_of(each)], self.seen[of.name])}
        if self.later:      # then what is in no file is in netmgr's hands by then
            own += claimed(of, self.zones, self.interfaces)
        found = {each for each in unseen if any(of.conflict(span_of(each), other) for other in own)}
        if of.merge and held is not None and not fresh:
            there = {*self.stated[of.name], *self.loaded[of.name]}
            found |= {each for each in there if any(span_of(each)[1] + 1 == other[0] for other in held.own)}
        if of.size and (self.later or not of.takes(len({*own, *map(span_of, self.stated[of.name])}))):
            found |= unseen
        return found

    # -- netmgr

    def react(self) -> None:
        """netmgr, if it runs, sees and does what there is to see and do."""
        self.firewall.react()
        if self.firewall.keeper is not None:
            for each in self.declared:
                held = self.firewall.contents(each)
                if held is not None:
                    self.seen[each.name] = held.foreign

    def start(self) -> None:
        if self.firewall.keeper is None:
            self.steps.append("start")
            if self.later:      # what came by a command of its own is known only to who was there
                self.seen = {each.name: [] for each in self.declared}
            self.firewall.start(self.config, self.interfaces)
            self.react()

    def kill(self) -> None:
        self.steps.append("kill")
        self.firewall.keeper = None

    def stop(self) -> None:
        if self.firewall.keeper is not None:
            self.steps.append("stop")
            self.firewall.stop()

    def restart(self) -> None:
        self.chance.choice((self.kill, self.stop))()
        self.start()

    def reconfigure(self) -> None:
        """A reload of the configuration, or stop, edit, start."""
        self.zones = self.chance.choice(ZONES)
        self.config = config(self.chance, self.zones)
        self.steps.append("configure %s" % self.config.replace("\n", " "))
        if self.firewall.keeper is not None and self.chance.random() < 0.5:
            self.firewall.reload(self.config)
        elif self.firewall.keeper is not None:
            self.stop()
            self.start()

    def something_else(self) -> None:
        """An element that has nothing to do with netmgr's comes and goes at run time, which nft must be able to do."""
        for each in self.declared if self.present else ():
            held = self.firewall.contents(each)
            assert held is not None
            full = not each.takes(len(held.own) + len(held.foreign) + 1)
            beside = each.merge and any(near(own, other, 1) for own in held.own for other in held.foreign)
            if each.type == "ipv4_addr" and not full and not beside and self.firewall.keeper is not None:
                for verb in ("add", "delete"):
                    self.steps.append("%s in %s" % (verb, each.name))
                    assert self.firewall.nft.run("%s element inet filter %s { 100.64.0.9 }" % (verb, each.name)) == ""
                    self.react()

    def address(self) -> None:
        held = self.interfaces[self.chance.choice(NAMES)]
        new = self.chance.choice(ADDRESSES)
        if held and self.chance.random() < 0.4:
            held.pop(self.chance.randrange(len(held)))
        elif new not in held:
            held.append(new)
        self.steps.append("addresses %s" % self.interfaces)
        self.firewall.addresses(self.interfaces)
        self.react()

    # -- the property

    def step(self) -> None:
        steps: Tuple[Tuple[int, Callable[[], None]], ...] = (
            (5, self.own_element), (4, self.load), (4, self.flush_and_load), (3, self.reload), (2, self.replace_table), (5, self.address),
            (3, self.something_else), (1, self.kill), (3, self.start), (1, self.stop), (1, self.restart), (2, self.reconfigure))
        self.chance.choices([call for _weight, call in steps], [weight for weight, _call in steps])[0]()
        self.check()

    def check(self) -> None:
        """What must be so whenever netmgr has had the time to look."""
        if self.present and self.firewall.keeper is not None:
            for each in self.declared:
                held = self.firewall.contents(each)
                assert held is not None
                if not self.excused[each.name]:
                    self.check_set(each, held)

    def check_set(self, of: Declared, held: Contents) -> None:
        stated = joined(span_of(each) for each in self.loaded[of.name])
        foreign, own = joined(held.foreign), joined(held.own)
        assert foreign == stated, "%s: the user's are %s, not %s" % (of.name, *(list(elements(each)) for each in (foreign, stated)))
        wanted = minus(claimed(of, self.zones, self.interfaces), foreign)
        if not of.takes(len(held.own) + len(held.foreign) + 1) or (of.size and of.interval and of.ends):
            assert not minus(own, wanted), of.name
        else:
            assert own == wanted, "%s: netmgr's are %s, not %s" % (of.name, *(list(elements(each)) for each in (own, wanted)))


@pytest.fixture(scope="module", params=PROGRAMS, ids=lambda program: str(program.name))
def firewall(request: pytest.FixtureRequest, network_namespaces: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firewall]:
    program: Program = request.param
    with Lab() as lab:
        made = Firewall(lab, program, tmp_path_factory.mktemp(program.name))
        yield made
        made.close()


def live(firewall: Firewall, seed: int) -> None:
    """One life."""
    life = Life(firewall, seed)
    try:
        for _ in range(life.chance.randrange(6, 15)):
            life.step()
        life.start()
        life.flush_and_load()
        life.start()
        life.check()
    except AssertionError as failed:
        raise AssertionError("NETMGR_SEED=%d: %s\n%s\n%s\n%s" % (
            seed, failed, "\n".join(map(str, life.declared)), "\n".join(life.steps), "\n".join(firewall.log[-30:]))) from None


SEEDS = [int(os.environ["NETMGR_SEED"])] if "NETMGR_SEED" in os.environ else list(range(LIVES))
PORTIONS = [SEEDS[first:first + PORTION] for first in range(0, len(SEEDS), PORTION)]


@pytest.mark.parametrize("seeds", PORTIONS, ids=lambda seeds: str(seeds[0]))
def test_no_firewall_is_worse_off_for_netmgr(firewall: Firewall, seeds: List[int]) -> None:
    for seed in seeds:
        live(firewall, seed)
