"""Policy: which sets an interface, an address or a container feeds, and with which element.

A zone fills sets; a feed is one zone filling one set.  A feed counts only while the form of its set is known (bind()), for the
kernel's set decides the family and whether elements are ranges.
"""

from __future__ import annotations

from collections import Counter
from fnmatch import fnmatchcase
from typing import Container, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from netmgr.config.convention import CONVENTION
from netmgr.config.schema import Config, Zone, default_zone
from netmgr.model.elements import FROM_ADDRESSES, FROM_INTERFACE, Make
from netmgr.model.inventory import IPV6, Addresses, Interface, Thing
from netmgr.model.labels import NOTHING, Labels, Said
from netmgr.model.selection import Entries, matches
from netmgr.values.addresses import IFA_F_PERMANENT, from_far_end, harmless, identity, kinds, kinds_by_flags, local, suspicious
from netmgr.values.choice import Choice, counts
from netmgr.values.events import ContainerSeen, Endpoint, HostSeen
from netmgr.values.holds import ADDRESSES, INTERFACES, OWN_ADDRESS, PEERS, PUBLISHED_PORTS, WORDS, Value, fits, made_of
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.sets import WIDTHS, Form, SetName

REMEMBERED = 4096       # interfaces whose zones are not worked out anew for each event; names may come and go without end

NO_ADDRESS = {
    "host": "it uses the host's network", "none": "it has no network", "container": "it uses the network of a container that is not there"}

NO_LEAVE = "its label may not name %s: %s"

NO_INTERFACE = Interface("")        # of what is on another host, or in a container

FEW = 16                # addresses that are looked at one by one, whatever a quick look at all of them would save

Claims = List[Tuple[SetName, List[bytes]]]


class Feed(NamedTuple):
    """One zone filling one set, with the addresses that are chosen.

    One of the sets `one_of` should exist; if none does, the first is the one that is missing.  `created`: the form of the set that
    `create: true` makes.  `value`: what the elements of a map are mapped to.  `suffixes`: of the hosts.
    """

    zone: str
    set: SetName
    holds: str
    choice: Choice
    one_of: Tuple[SetName, ...]
    created: Optional[Form] = None
    value: Optional[Value] = None
    suffixes: Tuple[bytes, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether its set is no map, and its keys have one part."""
        return self.value is None and self.holds in WORDS


Binding = Tuple[Feed, Form]


class Taking(NamedTuple):
    """How a set with keys of one part takes addresses: of identities of this size those that are chosen, or their far ends, make elements.

    `exclude`: all that matters of the choice is whether they are of one of these kinds; None when there is more to it.  `tidy`, `clean`:
    what addresses.harmless() has of these kinds.  `front`: so many bytes of an identity are its element; None where it takes more.
    """

    set: SetName
    size: int
    choice: Choice
    exclude: Optional[int]
    tidy: bytes
    clean: bytes
    by_peer: bool
    front: Optional[int]
    make: Make


class Bound(NamedTuple):
    """The feeds of some zones whose sets can hold what they should: those of sets with keys of one part, and the others.

    `taking`: of the former those that take addresses.
    """

    plain: Sequence[Binding]
    others: Sequence[Binding] = ()
    taking: Sequence[Taking] = ()


def feeds_of_zone(zone: Zone) -> Tuple[Feed, ...]:
    """The sets that a zone fills: those listed, and those of the naming convention that are not.

    What is listed with a table counts more than a name alone, which is looked up in each table.
    """
    feeds: Dict[SetName, Feed] = {}
    if zone.convention:
        rows = {SetName(*table, zone.name + row.suffix): row for table in zone.tables for row in CONVENTION}
        expected = () if zone.sets else tuple(rows)
        for name, row in rows.items():
            feeds[name] = Feed(zone.name, name, row.holds, zone.choice, expected, Form(row.created) if row.created else None)
    for rule in sorted(zone.sets, key=lambda rule: rule.table is not None):
        names = tuple(SetName(*table, rule.name) for table in ((rule.table,) if rule.table else zone.tables))
        for name in names:
            as_usual = feeds[name].created if name in feeds and (feeds[name].holds, None) == (rule.holds, rule.value) else None
            feeds[name] = Feed(zone.name, name, rule.holds, rule.choice, names, rule.created or as_usual, rule.value, rule.suffixes)
    return tuple(feeds.values())


class Policy:
    """The configuration, asked about one thing at a time.

    `zones` grows by those that only container labels name; `feeds` are theirs.  `entries` are those that are about interfaces.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self.entries = Entries(config.interfaces)
        self._forms: Dict[SetName, Form] = {}
        self.zones: Dict[str, Zone] = dict(config.zones)
        self.feeds = {name: feeds_of_zone(zone) for name, zone in self.zones.items()}
        self._engines = {engine.name: engine for engine in config.docker}
        self._labels = {engine.name: Labels(config, engine) for engine in config.docker}
        for engine in config.docker:
            if engine.enabled != "false" and engine.zone is not None:
                self.add_zone(engine.zone)
        self.by_index: Dict[int, Tuple[Interface, Bound]] = {}      # an interface is quicker told by its index than by all that it has
        self._by_zones: Dict[Tuple[str, ...], Bound] = {}

    def add_zone(self, name: str) -> bool:
        """Know a zone that the configuration does not name.  False if it is known already; ValueError if it cannot be a name."""
        if name in self.zones:
            return False
        self.zones[name] = default_zone(name, self._config.nftables)
        self.feeds[name] = feeds_of_zone(self.zones[name])
        return True

    def forget_zone(self, name: str) -> None:
        """Know it no longer."""
        del self.zones[name], self.feeds[name]

    def at_rest(self) -> Policy:
        """The same, and it stays what it is now."""
        found = object.__new__(Policy)
        found.__dict__.update(self.__dict__)
        found.zones, found.feeds, found._forms = self.zones.copy(), self.feeds.copy(), self._forms.copy()
        found.by_index, found._by_zones = {}, {}
        return found

    def only_labelled(self, zone: str) -> bool:
        """Whether it takes a container's label to have this zone."""
        own = (engine.zone for engine in self._config.docker)
        return zone in self.zones and zone not in self._config.zones and zone not in own

    def by_label(self, container: ContainerSeen) -> Said:
        """What the container's label says."""
        labels = self._labels.get(container.engine)
        return NOTHING if labels is None else labels.said(container.labels)

    def bind(self, name: SetName, form: Optional[Form]) -> None:
        """From now on this is the form of this set; without one it takes no elements."""
        if form is None:
            self._forms.pop(name, None)
        else:
            self._forms[name] = form
        self.by_index.clear()
        self._by_zones.clear()

    def zones_of_interface(self, interface: Interface) -> Tuple[str, ...]:
        """The zones that an interface is in: those of all entries that match it."""
        found = [zone for rule in self.entries.of(interface) for zone in rule.zones]
        return tuple(dict.fromkeys(found))

    def zones_of_container(self, container: ContainerSeen, network_name: Optional[str] = None, ill: bool = False) -> Tuple[str, ...]:
        """The zones of a container's address in the named network; without a name, those of the container in any network.

        `ill`: its health does not matter.
        """
        engine = self._engines.get(container.engine)
        if engine is None or (not ill and self.unhealthy(container)):
            return ()
        names = {network_name} if network_name is not None else {each.network for each in container.endpoints}
        found = [] if engine.zone is None else [engine.zone]
        found += self.by_label(container).zones
        found += [zone for pattern, zone in engine.networks if any(name == pattern or fnmatchcase(name, pattern) for name in names)]
        return tuple(zone for zone in dict.fromkeys(found) if zone in self.zones)

    def unhealthy(self, container: ContainerSeen) -> bool:
        """Whether it does not count because of its health."""
        engine = self._engines.get(container.engine)
        return engine is not None and engine.require_healthy and container.healthy is False

    def reasons_of_container(self, container: ContainerSeen) -> Tuple[Tuple[str, str], ...]:
        """Why it is in no zone, or not in all that it might be: words of the manual, each with what it means here."""
        found = [("unhealthy", "it is not healthy")] if self.unhealthy(container) else []
        if not container.endpoints:
            found.append(("no_address", NO_ADDRESS.get(container.mode, "it has no address")))
        found += [("no_leave", NO_LEAVE % refusal) for refusal in self.by_label(container).refused]
        if not self.zones_of_container(container) and not self.unhealthy(container):
            found.append(("no_zone", "it is in no zone"))
        return tuple(found)

    def claims(self, thing: Thing, names: Optional[Container[SetName]] = None) -> Claims:
        """The elements that the thing claims, set by set; what it claims several times comes several times.  With names: in these sets."""
        if isinstance(thing, Addresses):
            interface, flags = thing
            known = self.by_index.get(interface.ifindex)
            bound = known[1] if known is not None and known[0] is interface else self._feeds(interface)
            _plain, others, taking = bound if names is None else _among(bound, names)
            claims = _of_addresses(taking, flags)
            return claims + self._composed(others, interface, flags) if others else claims
        if isinstance(thing, Interface):
            bound = _among(self._feeds(thing), names)
            return _of_interface(bound.plain, thing) + self._composed_by_interface(bound.others, thing)
        if isinstance(thing, HostSeen):
            bound, flags = _among(self._bound((thing.zone,)), names), lasting(thing.addresses)
            return _of_addresses(bound.taking, flags) + self._composed(bound.others, NO_INTERFACE, flags)
        claims = [claim for endpoint in thing.endpoints for claim in self._of_endpoint(thing, endpoint, names)]
        return claims + self._of_ports(thing, _among(self._bound(self.zones_of_container(thing)), names).others) if thing.ports else claims

    def located(self, thing: Thing) -> Iterator[Tuple[Tuple[str, ...], Dict[bytes, int]]]:
        """The addresses of a thing of this host, with the zones that they are in."""
        if isinstance(thing, Addresses):
            yield self.zones_of_interface(thing.interface), thing.flags
        elif isinstance(thing, ContainerSeen):
            for endpoint in thing.endpoints:
                yield self.zones_of_container(thing, endpoint.network), lasting((endpoint.address,))

    def _of_endpoint(self, container: ContainerSeen, endpoint: Endpoint, names: Optional[Container[SetName]]) -> Claims:
        """As if it were an interface's address that never expires."""
        bound = _among(self._bound(self.zones_of_container(container, endpoint.network)), names)
        flags = {identity(endpoint.address, endpoint.prefixlen, endpoint.address): IFA_F_PERMANENT}
        claims = _of_addresses(bound.taking, flags)
        if not (bound.others or endpoint.hardware):
            return claims
        interface = interface_of(endpoint)
        claims += _of_interface(bound.plain, interface) + self._composed(bound.others, interface, flags, container)
        return claims + self._composed_by_interface(bound.others, interface, container)

    @staticmethod
    def _of_ports(container: ContainerSeen, bound: Sequence[Binding]) -> Claims:
        if not bound:
            return []
        from netmgr.model import published
        return [(feed.set, found) for feed, form in bound if feed.holds == PUBLISHED_PORTS
                for found in [published.of_container(feed.choice, form, container)] if found]

    def of_primary(self, interface: Interface, flags: Dict[bytes, int], names: Optional[Container[SetName]] = None) -> Claims:
        """The claims that depend on all addresses of an interface: those in maps to its primary one."""
        return [(feed.set, found) for feed, form in _among(self._feeds(interface), names).others if feed.value == OWN_ADDRESS
                for found in [self._primary(feed, form, interface, flags)] if found]

    def has_primary(self, interface: Interface) -> bool:
        """Whether an interface may have such claims."""
        return any(feed.value == OWN_ADDRESS for feed, _form in self._feeds(interface).others)

    def _primary(self, feed: Feed, form: Form, interface: Interface, flags: Dict[bytes, int]) -> List[bytes]:
        from netmgr.model import keys
        rank = self._rank(interface, feed.zone)
        return keys.of_primary(feed, form, interface, flags, rank, made_of(feed.holds) == ADDRESSES)

    def _composed(self, bound: Sequence[Binding], interface: Interface, flags: Dict[bytes, int],
                  container: Optional[ContainerSeen] = None) -> Claims:
        """The claims of addresses in maps and concatenations; `container`: they are its."""
        if not bound:
            return []
        from netmgr.model import keys
        return [(feed.set, found) for feed, form in bound if made_of(feed.holds) == ADDRESSES and feed.value != OWN_ADDRESS
                for found in [keys.of_addresses(feed, form, interface, flags, self._rank(interface, feed.zone, container))] if found]

    def _composed_by_interface(self, bound: Sequence[Binding], interface: Interface,
                               container: Optional[ContainerSeen] = None) -> Claims:
        if not bound:
            return []
        from netmgr.model import keys
        return [(feed.set, found) for feed, form in bound if made_of(feed.holds) == INTERFACES and feed.value != OWN_ADDRESS
                for found in [keys.of_interface(feed, form, interface, self._rank(interface, feed.zone, container))] if found]

    def _rank(self, interface: Interface, zone: str, container: Optional[ContainerSeen] = None) -> bytes:
        """How early in the configuration the interface is put into the zone, or how old the container is."""
        from netmgr.model import keys
        if container is not None:
            return keys.rank_of_container(container.created)
        for entry, rule in enumerate(self._config.interfaces):
            if zone in rule.zones and interface is not NO_INTERFACE and matches(rule, interface):
                return keys.rank(entry, rule.zones.index(zone))
        return keys.LAST

    def elements_of(self, feed: Feed, form: Form, thing: Thing, interface: Interface = NO_INTERFACE,
                    own: Optional[bytes] = None) -> List[bytes]:
        """What one feed takes of a thing, in a set of this form; `interface`: whose addresses they are, `own`: its primary one."""
        if feed.value == OWN_ADDRESS:
            if own is None:
                return []
            from netmgr.model import keys
            whose = thing if isinstance(thing, Interface) else interface
            flags = thing.flags if isinstance(thing, Addresses) else None
            return keys.with_primary(feed, form, whose, flags, self._rank(whose, feed.zone), own)
        if feed.is_plain:
            claims = _of_interface([(feed, form)], thing) if isinstance(thing, Interface) else _of_addresses(
                _taking([(feed, form)]), thing.flags if isinstance(thing, Addresses) else {})
        elif isinstance(thing, Interface):
            claims = self._composed_by_interface([(feed, form)], thing)
        elif isinstance(thing, ContainerSeen):
            claims = self._of_ports(thing, [(feed, form)])
        else:
            claims = self._composed([(feed, form)], interface, thing.flags if isinstance(thing, Addresses) else {})
        return [element for _set, elements in claims for element in elements]

    def _feeds(self, interface: Interface) -> Bound:
        known = self.by_index.get(interface.ifindex)
        if known is not None and known[0] == interface:
            return known[1]
        if len(self.by_index) >= REMEMBERED:
            self.by_index.clear()
        zones = self.zones_of_interface(interface)
        feeds = self._by_zones.get(zones)
        if feeds is None:
            feeds = self._by_zones[zones] = self._bound(zones)
        self.by_index[interface.ifindex] = interface, feeds
        return feeds

    def _bound(self, zones: Iterable[str]) -> Bound:
        feeds = (feed for zone in zones for feed in self.feeds[zone])
        known = ((feed, self._forms[feed.set]) for feed in feeds if feed.set in self._forms)
        bound = [(feed, form) for feed, form in known if fits(form, feed.holds, feed.value)]
        return _divided(bound)


def interface_of(endpoint: Endpoint) -> Interface:
    """A container's own interface in a network, of which this host knows no more than the MAC address."""
    return Interface("", hardware=endpoint.hardware)


def lasting(packed: Iterable[bytes]) -> Dict[bytes, int]:
    """Single addresses as if they were an interface's and never expired."""
    return {identity(address, len(address) * 8, address): IFA_F_PERMANENT for address in packed}


def tally(things: Iterable[Thing], policy: Policy, names: Optional[Container[SetName]] = None) -> Dict[SetName, Dict[bytes, int]]:
    """Every claim of these things, counted from nothing: what the ledger must be equal to at all times.  With names: in these sets."""
    claimed: Dict[SetName, List[bytes]] = {}
    for thing in things:
        claims = policy.claims(thing, names)
        if isinstance(thing, Addresses):
            claims += policy.of_primary(thing.interface, thing.flags, names)
        for name, elements in claims:
            claimed.setdefault(name, []).extend(elements)
    return {name: _counted(elements) for name, elements in claimed.items()}


def _among(bound: Bound, names: Optional[Container[SetName]]) -> Bound:
    return bound if names is None else _divided([each for each in (*bound.plain, *bound.others) if each[0].set in names])


def _divided(bound: Sequence[Binding]) -> Bound:
    plain = [each for each in bound if each[0].is_plain]
    return Bound(plain, [each for each in bound if not each[0].is_plain], _taking(plain))


def _taking(plain: Sequence[Binding]) -> List[Taking]:
    return [_taken(feed, form) for feed, form in plain if feed.holds in FROM_ADDRESSES]


def _taken(feed: Feed, form: Form) -> Taking:
    width, by_peer = WIDTHS[form.type], feed.holds == PEERS
    exclude = None if by_peer or feed.choice.special else feed.choice.exclude
    front = width if feed.holds == ADDRESSES and not form.interval else None
    make = FROM_ADDRESSES[feed.holds](form, feed.suffixes)
    return Taking(feed.set, 2 * width + 1, feed.choice, exclude, *harmless(width == 16, exclude or 0), by_peer, front, make)


def _counted(elements: List[bytes]) -> Dict[bytes, int]:
    counts = dict.fromkeys(elements, 1)
    return counts if len(counts) == len(elements) else dict(Counter(elements))


def _of_addresses(taking: Iterable[Taking], addresses: Dict[bytes, int]) -> Claims:
    found = []
    for name, size, choice, exclude, tidy, clean, by_peer, front, make in taking:
        if exclude is None:
            elements = [*make(_chosen(addresses, size, choice, by_peer))]
        elif len(addresses) > FEW and _all_kept(addresses, size, exclude):
            elements = [*make(addresses)]
        else:
            elements = []
            for each, flags in addresses.items():
                if len(each) == size and ((tidy[flags & 0xFF] and clean[each[0]]) or not kinds(local(each), flags) & exclude):
                    elements.append(each[:front])
            if front is None:
                elements = [*make(elements)]
        if elements:
            found.append((name, elements))
    return found


def _chosen(addresses: Dict[bytes, int], size: int, choice: Choice, by_peer: bool) -> List[bytes]:
    """Those of this size that are chosen; or their far ends."""
    if by_peer:
        return [far for each, flags in addresses.items() if len(each) == size
                for far in [from_far_end(each, flags)] if far and counts(choice, far, flags)]
    return [each for each, flags in addresses.items() if len(each) == size and counts(choice, each, flags)]


def _all_kept(addresses: Dict[bytes, int], size: int, exclude: int) -> bool:
    """Whether a quick look shows that it is all of them.  Of many addresses few flags differ."""
    packed, six = b"".join(addresses), size == IPV6
    return len(packed) == len(addresses) * size and not suspicious(packed[::size], exclude) and not any(
        kinds_by_flags(six, flags) & exclude for flags in set(addresses.values()))


def _of_interface(bound: Iterable[Binding], interface: Interface) -> Claims:
    return [(feed.set, found) for feed, form in bound if feed.holds in FROM_INTERFACE
            for found in [FROM_INTERFACE[feed.holds](interface, form, feed.choice)] if found]
