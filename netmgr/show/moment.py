"""What may feed sets, and what the sets are, as it was at one moment; made into claimants as they are read.

Nothing is copied but lists of what there is: tables are lent, as for other answers (rows.py).  A None among claimants means no more
than that something was done.
"""

from itertools import islice
from typing import AbstractSet, Callable, Collection, Dict, Iterable, Iterator, Optional, Tuple

from netmgr.config.schema import Config
from netmgr.model.inventory import Addresses, Interface, Thing
from netmgr.model.managed_set import ManagedSet, Seen, Wrong
from netmgr.model.model import Model
from netmgr.model.zones import NO_INTERFACE, NO_LEAVE, Feed, Policy, interface_of, lasting
from netmgr.show.answers import KeptOutRow
from netmgr.show.rows import RUN
from netmgr.values import addresses
from netmgr.values.addresses import from_far_end, identity, local, network, prefixlen
from netmgr.values.errors import Entry
from netmgr.values.events import ContainerSeen
from netmgr.values.holds import ADDRESSES, GATEWAYS, HARDWARE_ADDRESSES, HOSTS, PEERS
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.sets import AND, SetName

ONLY_ITSELF = (ADDRESSES, GATEWAYS)     # words by which a set holds of an address nothing but that

SOME, FEW = 100, 16     # addresses, and containers, that are looked at without a pause


class Claimant(NamedTuple):
    """A thing that may feed sets, from where it is, the zones that it is in, and which entry of the configuration says so.

    `word`: only what is held by this word is of interest; of hosts, only those with this `suffix`.  `objections`: what keeps it out of
    zones.
    """

    thing: Thing
    source: str
    zones: Tuple[str, ...]
    entries: Dict[str, Optional[Entry]]
    objections: Tuple[KeptOutRow, ...] = ()
    interface: Interface = NO_INTERFACE         # of this host
    word: str = ""
    suffix: bytes = b""


Steps = Iterator[Optional[Claimant]]
Kept = Tuple[Seen, Wrong, Tuple[Feed, ...], bool, AbstractSet[bytes], AbstractSet[bytes]]       # of a SetView, but for its name

_NOTHING: AbstractSet[bytes] = frozenset()


class SetView(NamedTuple):
    """A set: what is known of the kernel's, what is wrong, who feeds it, whether it should exist, what netmgr and others have in it."""

    name: SetName
    seen: Seen
    wrong: Wrong
    feeds: Tuple[Feed, ...]
    promised: bool
    ours: AbstractSet[bytes]
    foreign: AbstractSet[bytes]


class Moment:
    """With these sets, and all that they hold; `address`: of plain sets of addresses no more matters than whether they hold this one."""

    def __init__(self, model: Model, names: Iterable[SetName], address: bytes = b"") -> None:
        inventory = model.inventory
        self.config: Config = model.config
        self.policy: Policy = model.policy.at_rest()
        self.interfaces, self._tables = inventory.selected(), inventory.lend()
        self.containers = list(inventory.containers.values())
        self.hosts = list(inventory.hosts.values())
        alone = frozenset((address,)) if address else _NOTHING
        self._sets = {name: _kept(model, model.sets[name], alone) for name in names}

    def set(self, name: SetName) -> Optional[SetView]:
        """A set, if it is one of those that matter."""
        kept = self._sets.get(name)
        return None if kept is None else SetView(name, *kept)

    def addresses(self, ifindex: int) -> Dict[bytes, int]:
        """Those of an interface."""
        return self._tables.get(ifindex, {})

    def claimants(self) -> Steps:
        """Everything that may feed a set, and of what is in no zone that too."""
        for ifindex in self.interfaces:
            yield from self.of_link(ifindex)
            yield None
        for place, container in enumerate(self.containers):
            yield from self.of_container(container)
            if place % FEW == FEW - 1:
                yield None
        yield from self.of_hosts()

    def of_link(self, ifindex: int) -> Iterator[Claimant]:
        """An interface, and its addresses."""
        interface, flags = self.interfaces[ifindex], self.addresses(ifindex)
        entries: Dict[str, Optional[Entry]] = {}
        for rule in self.policy.entries.of(interface):
            for zone in rule.zones:
                entries.setdefault(zone, rule.entry)
        yield Claimant(interface, interface.name, tuple(entries), entries, interface=interface)
        yield Claimant(Addresses(interface, flags), interface.name, tuple(entries), entries, interface=interface)

    def of_container(self, container: ContainerSeen) -> Iterator[Claimant]:
        """One for each address; what keeps the container out of anything stands with the first."""
        policy = self.policy
        entry = next((engine.entry for engine in self.config.docker if engine.name == container.engine), None)
        objections = tuple(KeptOutRow(None, None, container.name, word, why) for word, why in policy.reasons_of_container(container))
        for endpoint in container.endpoints:
            zones = policy.zones_of_container(container, endpoint.network)
            flags = {identity(endpoint.address, endpoint.prefixlen, endpoint.address): addresses.IFA_F_PERMANENT}
            yield Claimant(Addresses(Interface(container.name), flags), container.name, zones, dict.fromkeys(zones, entry), objections,
                           interface_of(endpoint))
            objections = ()
        cards = {interface_of(each): policy.zones_of_container(container, each.network) for each in container.endpoints if each.hardware}
        for interface, zones in cards.items():
            yield Claimant(interface, container.name, zones, dict.fromkeys(zones, entry), interface=interface)
        if container.ports:
            zones = policy.zones_of_container(container)
            yield Claimant(container, container.name, zones, dict.fromkeys(zones, entry))
        if not container.endpoints:
            yield Claimant(Addresses(Interface(container.name), {}), container.name, (), {}, objections)

    def of_hosts(self) -> Steps:
        """The other hosts of the fleet."""
        consumed = () if self.config.fleet is None else self.config.fleet.consume
        entries = {rule.zone: rule.entry for rule in consumed}
        for place, seen in enumerate(self.hosts):
            thing = Addresses(Interface(seen.host), lasting(seen.addresses))
            yield Claimant(thing, seen.host, (seen.zone,), {seen.zone: entries.get(seen.zone)})
            if place % SOME == SOME - 1:
                yield None

    # -- some of them

    def inside(self, zones: Collection[str]) -> Steps:
        """What is in these zones, as far as it is, and the containers that something keeps out of them."""
        for each in self.claimants():
            some = () if each is None else tuple(zone for zone in each.zones if zone in zones)
            if each is None:
                yield None
            elif some:
                yield each._replace(zones=some, objections=())
        for place, container in enumerate(self.containers):
            rows = tuple(self._barred(container, zones))
            if rows:
                yield Claimant(container, container.name, (), {}, rows)
            if place % FEW == FEW - 1:
                yield None

    def _barred(self, container: ContainerSeen, zones: Collection[str]) -> Iterator[KeptOutRow]:
        """Of a container that would be in one of the zones, why it is not, or not with an address."""
        policy = self.policy
        whole = [(word, why) for word, why in policy.reasons_of_container(container) if word in ("unhealthy", "no_address")]
        for zone in policy.zones_of_container(container, ill=True) if whole else ():
            if zone in zones:
                yield from (KeptOutRow(None, zone, container.name, word, why) for word, why in whole)
        for zone, why in policy.by_label(container).refused:
            if zone in zones:
                yield KeptOutRow(None, zone, container.name, "no_leave", NO_LEAVE % (zone, why))

    def with_address(self, packed: bytes) -> Steps:
        """Whatever has this address, or has it for a next hop; of which it is the far end, or a host in its network."""
        for each in self.claimants():
            if each is None:
                yield None
            elif isinstance(each.thing, Interface) and packed in each.thing.gateways:
                yield each._replace(thing=each.thing._replace(gateways=(packed,)), word=GATEWAYS)
            elif isinstance(each.thing, ContainerSeen) and any(endpoint.address == packed for endpoint in each.thing.endpoints):
                yield each
            elif isinstance(each.thing, Addresses):
                if self._holds(each, (PEERS, HOSTS)):
                    yield from _with_neighbour(each, each.thing, packed)
                yield from _chosen(each, each.thing, lambda key: len(key) >> 1 == len(packed) and key.startswith(packed), RUN)

    def in_network(self, packed: bytes, length: int) -> Steps:
        """Whatever has addresses in this network, of whatever length they are."""
        def is_in(key: bytes) -> bool:
            return len(key) >> 1 == len(packed) and network(local(key), length) == packed

        for each in self.claimants():
            if each is None:
                yield None
            elif isinstance(each.thing, Addresses):
                yield from _chosen(each, each.thing, is_in, SOME)

    def with_hardware(self, packed: bytes) -> Steps:
        """Interfaces, of containers too, with this MAC address."""
        for each in self.claimants():
            if each is None:
                yield None
            elif each.interface.hardware == packed and not isinstance(each.thing, ContainerSeen):
                yield each._replace(word=HARDWARE_ADDRESSES, objections=())

    def _holds(self, claimant: Claimant, words: Collection[str]) -> bool:
        """Whether a set of its zones holds one of these."""
        feeds = self.policy.feeds
        held = {feed.holds for zone in claimant.zones for feed in feeds[zone]}
        return any(word in words for each in held for word in each.split(AND))


def _chosen(claimant: Claimant, thing: Addresses, is_chosen: Callable[[bytes], bool], at_once: int) -> Steps:
    """The claimant with these of its addresses, if it has any."""
    rest = iter(thing.flags)
    found: Dict[bytes, int] = {}
    for some in iter(lambda: tuple(islice(rest, at_once)), ()):
        found.update((key, thing.flags[key]) for key in some if is_chosen(key))
        yield None
    if found:
        yield claimant._replace(thing=Addresses(thing.interface, found))


def _with_neighbour(claimant: Claimant, thing: Addresses, packed: bytes) -> Steps:
    """The claimant with each address of which this is the far end, or a host in its network."""
    for place, (key, flags) in enumerate(thing.flags.items()):
        if place % SOME == SOME - 1:
            yield None
        if len(key) >> 1 != len(packed):
            continue
        single = claimant._replace(thing=Addresses(thing.interface, {key: flags}), objections=())
        if local(from_far_end(key, flags)) == packed:
            yield single._replace(word=PEERS)
        first = network(packed, prefixlen(key))
        if first == network(local(key), prefixlen(key)):
            host = int.from_bytes(packed, "big") - int.from_bytes(first, "big")
            yield single._replace(word=HOSTS, suffix=host.to_bytes(len(packed), "big"))


def _kept(model: Model, managed: ManagedSet, alone: AbstractSet[bytes]) -> Kept:
    """What a view of the set shows.  Where only one address matters, it has no more of the elements than that."""
    seen, wrong, feeds, held = managed.seen, managed.wrong, managed.role.feeds, managed.held
    promised = seen.info is None and (model.promised(managed) if managed.error else managed.name in model.overview.missing)
    if alone and seen.form is not None and not seen.form.interval and _is_of_addresses(feeds):
        return (seen, wrong, feeds, promised, _NOTHING if held.ours.isdisjoint(alone) else alone,
                _NOTHING if held.foreign.isdisjoint(alone) else alone)
    managed.lend()
    return seen, wrong, feeds, promised, held.ours, held.foreign


def _is_of_addresses(feeds: Tuple[Feed, ...]) -> bool:
    """Whether the elements of the set are nothing but addresses of things."""
    return all(feed.value is None and feed.holds in ONLY_ITSELF for feed in feeds)
