"""A model, a fake kernel and a reconciler on one bench, with words for what tests do to them."""

from functools import cache
from typing import Dict, Iterable, List, Optional, Sequence, Set, Tuple

from netmgr.config.reader import parse as parse_configuration
from netmgr.config.schema import Config
from netmgr.model.inventory import Inventory, ThingChange
from netmgr.model.managed_set import ManagedSet
from netmgr.model.model import Model
from netmgr.reporter import Reporter
from netmgr.sync.reconciler import Reconciler, never
from netmgr.values import sets
from netmgr.values.addresses import IFA_F_PERMANENT, parse
from netmgr.values.events import AddressGone, AddressSeen, ContainerSeen, Endpoint, LinkSeen
from netmgr.values.sets import IFNAME, IPV4_ADDR, NFT_SET_INTERVAL, Change, ChangeElements, SetName
from netmgr.wire import nft_text
from tests.fakekernel import FakeKernel, FakeSet
from tests.happenings import Event

WAN = "interfaces: [{name: eth0, nftables_zone: wan}]\ndocker: {enabled: false}\n"
WAN_AND_LAN = "interfaces: [{name: eth0, nftables_zone: wan}, {name: eth1, nftables_zone: lan}]\ndocker: {enabled: false}\n"
ANY_LABEL = "docker: {label_zones: '*'}\n"


@cache
def configuration(text: str) -> Config:
    return parse_configuration(text, "test.yaml")


def named(text: str) -> SetName:
    """wan_ips, or ip6 other wan_ips."""
    family, table, name = ("inet filter " + text).split()[-3:]
    return SetName(family, table, name)


def seen(address: str, flags: int = IFA_F_PERMANENT, index: int = 1) -> AddressSeen:
    local, prefixlen = parse(address)
    return AddressSeen(index, local, prefixlen, local, flags)


def gone(address: str, index: int = 1) -> AddressGone:
    return AddressGone(*seen(address, index=index)[:4])


def container(key: str, *addresses: str, label: Optional[str] = None, network: str = "bridge") -> ContainerSeen:
    labels = () if label is None else (("netmgr.zone", label),)
    return ContainerSeen(key, "name-" + key, labels, tuple(Endpoint(network, *parse(each)) for each in addresses))


def key(text: str) -> bytes:
    """An element of a plain set: an address or a name; or of one with ranges: FIRST-LAST or NETWORK/LENGTH."""
    if "-" in text:
        first, _, last = text.partition("-")
        return key(first) + key(last)
    if "/" in text:
        address, length = parse(text)
        return address + (int.from_bytes(address, "big") | (1 << len(address) * 8 - length) - 1).to_bytes(len(address), "big")
    return parse(text)[0] if text[0].isdigit() else text.encode().ljust(16, b"\0")


def keys(text: str) -> List[bytes]:
    return [key(each) for each in text.split()]


class Bench:
    """Links 1 and 2 are eth0 and eth1."""

    def __init__(self, text: str = WAN, kernel: Optional[FakeKernel] = None, inventory: Optional[Inventory] = None,
                 dry_run: bool = False) -> None:
        self.kernel = kernel or FakeKernel()
        self.inventory = inventory or Inventory()
        self.model = Model(configuration(text), self.inventory)
        self.log: List[Tuple[str, str]] = []
        self.told: List[Tuple[str, str]] = []
        self.reporter = Reporter(lambda level, line: self.told.append((level, line)))
        self.reconciler = Reconciler(self.kernel, self.model, lambda level, line: self.log.append((level, line)), dry_run)
        if inventory is None:
            self.happen(LinkSeen(1, "eth0", True), LinkSeen(2, "eth1", True))

    # -- what happens

    def happen(self, *events: Event) -> None:
        for event in events:
            self.model.apply(self.inventory.apply(event))

    def containers(self, *containers: ContainerSeen) -> None:
        """These run and no others."""
        self.model.apply(replaced(self.inventory, containers))

    def make(self, name: str, kind: str = "", flags: int = 0, size: int = 0,
             ours: str = "", foreign: str = "", expiring: str = "", merges: bool = False) -> FakeSet:
        """A set in the kernel; names, and types by default, as of the convention."""
        suffix = name.rpartition("_")[2]
        flags |= NFT_SET_INTERVAL if suffix == "nets" else 0
        return self.kernel.make(named(name), kind or (IFNAME if suffix == "ifs" else IPV4_ADDR), flags, size,
                                keys(ours), keys(foreign), keys(expiring), merges)

    def look(self, now: float = 0.0) -> None:
        self.reconciler.survey.look(sorted(self.model.sets), True, now, never)

    def settle(self, now: float = 0.0) -> List[Change]:
        changes = self.reconciler.reconcile(now)
        self.reporter.states(self.model, self.model.overview.take_news(), None, now)
        return changes

    # -- what came of it

    def managed(self, name: str) -> ManagedSet:
        return self.model.sets[named(name)]

    def ours(self, name: str) -> str:
        return self._text(name, self.kernel.sets[named(name)].ours)

    def foreign(self, name: str) -> str:
        return self._text(name, self.kernel.sets[named(name)].foreign)

    def errors(self) -> List[str]:
        return [line for level, line in self.told if level == "error"]

    def _text(self, name: str, elements: Set[bytes]) -> str:
        form = sets.form_of(self.kernel.sets[named(name)].info)
        assert form is not None
        return " ".join(nft_text.element_texts(form, elements))


def replaced(inventory: Inventory, containers: Sequence[ContainerSeen]) -> List[ThingChange]:
    """What it changes that these are all containers of the engine."""
    there = {each.id for each in containers}
    return inventory.containers_changed("", containers, [each.id for each in inventory.containers_of("") if each.id not in there])


def by_set(changes: Iterable[Change]) -> Dict[str, Tuple[int, int]]:
    """How many elements leave and come, by set."""
    return {change.set.name: (len(change.delete), len(change.add)) for change in changes if isinstance(change, ChangeElements)}
