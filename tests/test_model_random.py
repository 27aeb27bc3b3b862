"""The property that matters: whatever happens, the ledger is what a plain recomputation says, and each plan makes the sets true.

Everything is random: events of links, addresses and containers in any order, sets that appear, vanish and change their form, foreign
elements that come and go, netmgr killed and started again.  After each of them, with the transaction of the plan applied to a kernel
with the real one's semantics:

  - every set holds what it should, worked out anew from the inventory and what was foreign in the set;
  - no foreign element was touched, but in sets that are netmgr's alone;
  - no address that is still there was ever absent, and one transaction was enough;
  - there is nothing more to do.
"""

import random
from struct import pack
from typing import AbstractSet, Callable, List, Mapping, Tuple

import pytest

from netmgr.model import ranges
from netmgr.model.inventory import Inventory
from netmgr.model.managed_set import ManagedSet
from netmgr.model.model import Lent
from netmgr.model.others import AWAITED
from netmgr.model.zones import tally
from netmgr.values.events import LinkSeen
from netmgr.values.sets import (
    ETHER_ADDR,
    IFACE_INDEX,
    IFNAME,
    IPV4_ADDR,
    IPV6_ADDR,
    NFT_SET_INTERVAL,
    NFT_SET_MAP,
    NFT_SET_TIMEOUT,
    ChangeElements,
    SetName,
)
from tests import plainly
from tests.fakekernel import FakeKernel, FakeSet, overlap
from tests.happenings import (
    ADDRESSES,
    ENDPOINTS,
    HARDWARE,
    INDEXES,
    NAMES,
    NEXT_HOPS,
    random_containers,
    random_event,
    random_hops,
    random_snapshot,
)
from tests.workbench import Bench, named

CONFIGURATIONS = ("""
interfaces:
  - {name: eth0, nftables_zone: [wan, all]}
  - {name: 'ppp*', nftables_zone: wan}
  - {name: eth1, nftables_zone: lan}
  - {name: lan0, nftables_zone: [lan, strict]}
  - {default_route: true, nftables_zone: uplink}
  - {master: eth0, group: 7, nftables_zone: uplink}
  - {name: other, nftables_zone: strict}
  - {kind: vlan, nftables_zone: lan}
zones:
  uplink: {only: [global, 10.0.0.0/8], exclude: [192.0.2.0/28, single], sets: {hops4: {holds: gateways, exclude: []}, hops6: gateways}}
  strict: {table: ip other, exclusive: true, exclude: [], sets: {only_ips: addresses, only_nets: networks, only_ifs: interfaces}}
  all: {exclude: [], sets: {all4: addresses, all6: addresses, nets4: networks, ports: interfaces, wan_ips: addresses, hops4: gateways,
                            hosts: {holds: hosts, suffix: ['::10', 0.0.0.9, 0.0.1.1]}, far4: peers,
                            far6: {holds: peers, exclude: link_local}, cards: hardware_addresses, indexes: indexes}}
  lan: {sets: {cards: hardware_addresses, more: {holds: hosts, suffix: '::10'}}}
docker: {networks: {frontend: web, 'back*': [web, lan]}, require_healthy: true}
""", """
interfaces: [{name: '*', nftables_zone: lan}]
zones: {lan: {exclude: [private, deprecated]}, wan: {sets: {wan_ips: addresses, wan_nets: networks}}}
docker: {nftables_zone: null, networks: {bridge: wan}}
nftables: {create: true}
""")

FORMS = ((IPV4_ADDR, 0), (IPV4_ADDR, 0), (IPV6_ADDR, 0), (IPV4_ADDR, NFT_SET_INTERVAL), (IPV6_ADDR, NFT_SET_INTERVAL),
         (IPV4_ADDR, NFT_SET_TIMEOUT), (IFNAME, 0), (IFNAME, NFT_SET_INTERVAL), (IPV4_ADDR, NFT_SET_MAP),
         (ETHER_ADDR, 0), (ETHER_ADDR, NFT_SET_INTERVAL), (IFACE_INDEX, 0), (IFACE_INDEX, NFT_SET_INTERVAL))
OTHERS = {IFNAME: [name.encode().ljust(16, b"\0") for name in NAMES], ETHER_ADDR: HARDWARE,
          IFACE_INDEX: [pack("=I", index) for index in INDEXES]}
SIZES = (0, 0, 0, 2, 5)


class Life:
    """A bench that random things happen to."""

    def __init__(self, seed: int) -> None:
        self.source = random.Random(seed)
        self.kernel, self.inventory = FakeKernel(), Inventory()
        self.now = 0.0
        self.start()
        self.names = sorted({*self.bench.model.sets, *map(named, ("web_ips", "apps_ips", "unrelated"))})

    def start(self) -> None:
        """netmgr as it begins, with what the kernel held before."""
        self.bench = Bench(self.source.choice(CONFIGURATIONS), self.kernel, self.inventory)

    def look(self) -> None:
        self.bench.look(self.now)

    def wait(self) -> None:
        """Until nothing is expected of others any more."""
        self.now += AWAITED
        self.look()

    # -- what may happen

    def events(self) -> None:
        self.bench.happen(*(random_event(self.source) for _ in range(self.source.choice((1, 1, 5)))))

    def routes(self) -> None:
        self.bench.model.apply(self.inventory.replace_defaults(random_hops(self.source)))

    def snapshot(self) -> None:
        self.inventory.replace_interfaces(*random_snapshot(self.source))
        self.bench.model.recount()

    def containers(self) -> None:
        self.bench.containers(*random_containers(self.source))

    def set_made(self) -> None:
        kind, flags = self.source.choice(FORMS)
        flags |= self.source.choice((0, 0, NFT_SET_TIMEOUT))
        made = self.kernel.make(self.source.choice(self.names), kind, flags, 0 if flags & NFT_SET_INTERVAL else self.source.choice(SIZES),
                                merges=self.source.random() < 0.4)
        for mine in (False, True):
            self.put(made, mine)
        made.expiring = {each for each in made.ours if made.info.flags & NFT_SET_TIMEOUT and self.source.random() < 0.5}
        self.look()

    def sets_dropped(self) -> None:
        self.kernel.drop_table(*self.source.choice((("inet", "filter"), ("ip", "other"))))
        self.look()

    def foreign_hand(self) -> None:
        """Others add, remove and flush."""
        if self.kernel.sets:
            found = self.kernel.sets[self.source.choice(sorted(self.kernel.sets))]
            for element in [each for each in found.elements if self.source.random() < self.source.choice((0.2, 1.0))]:
                found.elements.pop(element)
                found.expiring.discard(element)
            self.put(found, False)
        self.look()

    def killed(self) -> None:
        self.start()

    def reload(self) -> None:
        before = self.bench.model.sets
        self.start()
        self.bench.model.retire(before)

    def put(self, found: FakeSet, mine: bool) -> None:
        for _ in range(self.source.randrange(4)):
            element = self.element(found)
            room = not found.info.size or len(found.elements) < found.info.size
            clash = found.info.flags & NFT_SET_INTERVAL and any(overlap(element, each) for each in found.elements)
            if room and not clash:
                found.elements.setdefault(element, mine)

    def element(self, found: FakeSet) -> bytes:
        """One that netmgr could want, too."""
        width = found.info.key_length
        if found.info.type in OTHERS:
            element = self.source.choice(OTHERS[found.info.type])
            return element * 2 if found.info.flags & NFT_SET_INTERVAL else element
        known = [*ADDRESSES, *((hop, len(hop) * 8) for hop in NEXT_HOPS), *((each.address, each.prefixlen) for each in ENDPOINTS)]
        address, length = self.source.choice([each for each in known if len(each[0]) == width])
        if not found.info.flags & NFT_SET_INTERVAL:
            return address
        host = (1 << width * 8 - self.source.choice((length, width * 8, width * 8 - 9))) - 1
        first = int.from_bytes(address, "big") & ~host
        return ranges.pack(first, first | host, width)


HAPPENINGS: Tuple[Tuple[Callable[[Life], None], int], ...] = (
    (Life.events, 60), (Life.routes, 5), (Life.snapshot, 3), (Life.containers, 8), (Life.set_made, 10),
    (Life.sets_dropped, 1), (Life.foreign_hand, 10),
    (Life.killed, 2), (Life.reload, 3))


def wanted(managed: ManagedSet, claimed: AbstractSet[bytes], foreign: AbstractSet[bytes]) -> AbstractSet[bytes]:
    """What the set should hold, from nothing but the claims, counted anew, and the foreign elements."""
    if managed.seen.form is not None and managed.seen.form.interval:
        form = managed.seen.form
        return ranges.minimal(claimed, () if managed.role.exclusive else foreign, form.width, form.merge)
    return set(claimed) if managed.role.exclusive else claimed - foreign


def check(life: Life, foreign: Mapping[SetName, AbstractSet[bytes]], commits: int) -> None:
    model, kernel = life.bench.model, life.kernel
    counted = tally(model.inventory.things(), model.policy)
    assert {name: model.ledger.counts(name) for name in model.sets if model.ledger.counts(name)} == counted
    for name, found in kernel.sets.items():
        if name not in model.sets or model.sets[name].seen.form is None:
            assert found.foreign == foreign[name]
            continue
        managed = model.sets[name]
        others = foreign.get(name, set())
        if managed.seen.form is not None and managed.seen.form.merge and not managed.role.exclusive:
            assert others <= found.foreign, "in auto-merge sets what nft has merged or dropped comes back"
            others = found.foreign
        expected = wanted(managed, counted.get(name, {}).keys(), others)
        assert (managed.held.ours, managed.held.foreign, managed.held.expiring) == (found.ours, found.foreign, set())
        assert found.foreign == (set() if managed.role.exclusive else others)
        if found.info.size and len(expected) > found.info.size - len(found.foreign):
            assert found.ours < expected
            assert (len(found.elements), bool(managed.wrong.full)) == (found.info.size, True)
        else:
            assert found.ours == expected
            assert not found.expiring - found.foreign
    assert len(kernel.commits) <= commits + 1, "one transaction is enough"
    for change in (change for changes in kernel.commits[commits:] for change in changes):
        if isinstance(change, ChangeElements) and not change.form.interval:
            assert set(change.delete) & counted.get(change.set, {}).keys() <= set(change.add), "nothing leaves that is still there"
    assert model.plan(life.now) == []
    plainly.check(model, life.now)


class Loans:
    """What is lent is what is so, and it stays as it was."""

    def __init__(self, life: Life) -> None:
        self._life, self._lent = life, [(Lent(set(), set(), set()), Lent(set(), set(), set()))]

    def take(self) -> None:
        model = self._life.bench.model
        for managed, lent in zip(model.sets.values(), model.lend(model.sets.values(), self._life.source.random() < 0.2)):
            found = Lent(set(model.wanted(managed)), set(managed.held.ours), set(managed.held.foreign))
            assert lent == found, managed.name
            self._lent.append((lent, found))

    def check(self) -> None:
        assert all(lent == found for lent, found in self._lent)
        self._lent = self._lent[-6:]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_the_sets_become_true(seed: int) -> None:
    life = Life(seed)
    loans = Loans(life)
    kinds: List[Callable[[Life], None]] = [kind for kind, _ in HAPPENINGS]
    for _ in range(250):
        for kind in life.source.choices(kinds, [weight for _, weight in HAPPENINGS], k=life.source.choice((1, 1, 2, 6))):
            kind(life)
        plainly.check(life.bench.model, life.now, planned=False)
        life.wait()
        foreign = {name: found.foreign for name, found in life.kernel.sets.items()}
        commits = len(life.kernel.commits)
        loans.take()
        life.bench.settle(life.now)
        loans.check()
        check(life, foreign, commits)
        loans.take()
    assert len(life.kernel.commits) > 50


@pytest.mark.parametrize("seed", range(6))
def test_a_start_that_does_not_know_the_containers_yet_takes_nothing_away(seed: int) -> None:
    """Killed, and started while the engine is silent; then it answers."""
    life = Life(seed)
    for _ in range(60):
        for kind in (Life.events, Life.containers, Life.set_made, Life.events):
            kind(life)
        life.bench.settle(life.now)
        before = {name: set(found.elements) for name, found in life.kernel.sets.items()}
        running, life.inventory = life.inventory, Inventory()
        life.inventory.replace_interfaces([LinkSeen(index, *link) for index, link in running.links.items()], running.addresses)
        life.inventory.replace_defaults(running.defaults)
        life.start()
        life.bench.model.hold = True
        life.bench.settle(life.now)
        life.look()
        life.bench.settle(life.now)
        for name, managed in life.bench.model.sets.items():
            if name in before and not managed.role.exclusive:
                now, form = set(life.kernel.sets[name].elements), managed.seen.form
                gone = ranges.less(before[name], now, form.width) if form is not None and form.merge else before[name] - now
                assert not gone, name
        life.bench.containers(*running.containers.values())
        life.bench.model.release_held()
        life.wait()
        commits = len(life.kernel.commits)
        foreign = {name: found.foreign for name, found in life.kernel.sets.items()}
        life.bench.settle(life.now)
        check(life, foreign, commits)
