"""What there is: links, their addresses, containers; each under its key.

Applying an event gives what it changed, as things gone and things gained, complete in themselves: an address comes with all that
selects its interface, so that nobody downstream has to ask what the name was before.  A rename therefore loses everything under the
old name and gains it under the new one, and so does any other change of what an Interface says.  An event that changes nothing gives
nothing.

An address is kept as `identity`: local + peer + prefix length in one bytes object (9 or 33 long), which is small and quick to
hash.  The peer of an IPv6 address may change, so it stands above its flags instead (see addresses.with_peer).  All that one event says
of one link's addresses is one thing.  Addresses may come before their link is known; they count from the moment that it is.

`flagged` has each flag that any address has, and perhaps more: nobody has to look through all addresses for one that none has.

`unsure`: links of whose addresses no event tells all: those of IPv6 that a link keeps when it goes down (keep_addr_on_down) become
tentative, and one that goes and comes at once may stand elsewhere.  So they have to be read again: AddressesAre.
"""

from __future__ import annotations

from functools import reduce
from itertools import chain
from operator import or_
from typing import AbstractSet, Dict, Iterable, Iterator, List, Optional, Set, Tuple, Union

from netmgr.values.addresses import IFA_F_SECONDARY, identity, with_peer
from netmgr.values.events import (
    GONE,
    AddressesAre,
    AddressesSeen,
    AddressGone,
    AddressSeen,
    ContainerSeen,
    Event,
    HostGone,
    HostSeen,
    LinkSeen,
    NextHops,
)
from netmgr.values.named_tuple import NamedTuple, made

IPV6 = 33       # bytes in the identity of such an address
DOWN, ORDER = "a link went down", "an address came again"


class Link(NamedTuple):
    """An interface under its index, as in LinkSeen."""

    name: str
    up: bool
    group: int = 0
    kind: str = ""
    master: int = 0
    altnames: Tuple[str, ...] = ()
    hardware: bytes = b""


class Interface(NamedTuple):
    """The fact that such an interface exists: all by which it may be selected, and what it has besides addresses.

    `master` has the names of the one it is enslaved to; `gateways` are the next hops of default routes over it; `hardware` is its MAC
    address.
    """

    name: str
    altnames: Tuple[str, ...] = ()
    group: int = 0
    kind: str = ""
    master: Tuple[str, ...] = ()
    default_route: bool = False
    gateways: Tuple[bytes, ...] = ()
    ifindex: int = 0
    hardware: bytes = b""


class Addresses(NamedTuple):
    """The fact that this interface has these addresses, each with its IFA_FLAGS.  Not to be kept: it may be a live table."""

    interface: Interface
    flags: Dict[bytes, int]


Thing = Union[Interface, Addresses, ContainerSeen, HostSeen]


ThingChange = Tuple[bool, Thing]        # whether it was gained: it is there now; or it is there no longer

class Inventory:
    """The tables, changed by events and replaced by snapshots."""

    def __init__(self) -> None:
        self.links: Dict[int, Link] = {}
        self.defaults: NextHops = {}
        self.addresses: Dict[int, Dict[bytes, int]] = {}
        self.containers: Dict[Tuple[str, str], ContainerSeen] = {}
        self.hosts: Dict[Tuple[str, str], HostSeen] = {}
        self.unsure: Dict[int, str] = {}        # why, by ifindex
        self.flagged = 0
        self._lent: Set[int] = set()
        self._in_order = False
        self._known: Dict[int, Interface] = {}
        self._ports: Dict[int, Set[int]] = {}

    def things(self) -> Iterator[Thing]:
        """Everything that is there."""
        yield from chain.from_iterable(self.interfaces())
        yield from self.containers.values()
        yield from self.hosts.values()

    def interfaces(self) -> Iterator[Tuple[Interface, Addresses]]:
        """Every interface with its addresses."""
        for ifindex, interface in self._known.items():
            yield interface, Addresses(interface, self.addresses.get(ifindex, {}))

    def interface(self, ifindex: int) -> Interface:
        """What selects the interface with this index; KeyError when it is not known."""
        return self._known[ifindex]

    def lend(self) -> Dict[int, Dict[bytes, int]]:
        """The addresses as they are now, for whoever reads them bit by bit: from now on what changes a table takes a copy of it first."""
        self._lent.update(self.addresses)
        return self.addresses.copy()

    def lend_of(self, ifindex: int) -> Dict[bytes, int]:
        """The same of one interface."""
        self._lent.add(ifindex)
        return self.addresses.get(ifindex, {})

    def selected(self) -> Dict[int, Interface]:
        """What selects each interface, by index, now."""
        return self._known.copy()

    def by_name(self, name: str) -> Optional[Addresses]:
        """The interface of this name, with its addresses."""
        found = next((ifindex for ifindex, interface in self._known.items() if interface.name == name), None)
        return None if found is None else Addresses(self._known[found], self.addresses.get(found, {}))

    def apply(self, event: Event) -> List[ThingChange]:
        """Take in one event of a link or address."""
        if isinstance(event, AddressesSeen):
            return self.addresses_seen(*event)
        if isinstance(event, AddressSeen):
            flags = with_peer(event.flags, event.local, event.peer)
            return self.addresses_seen(event.ifindex, {identity(event.local, event.prefixlen, event.peer): flags})
        if isinstance(event, AddressGone):
            return self.addresses_seen(event.ifindex, {identity(event.local, event.prefixlen, event.peer): GONE})
        if isinstance(event, LinkSeen):
            return self._link_seen(event)
        if isinstance(event, AddressesAre):
            return self.addresses_are(*event)[0]
        return self._link_gone(event.ifindex)

    def addresses_seen(self, ifindex: int, changed: Dict[bytes, int], repeated: bool = False) -> List[ThingChange]:
        """Take in an AddressesSeen of these."""
        if repeated and self._in_order:
            self.unsure[ifindex] = ORDER
        if ifindex in self._lent:
            self._lent.discard(ifindex)
            self.addresses[ifindex] = self.addresses.get(ifindex, {}).copy()
        known, interface = self.addresses.setdefault(ifindex, {}), self._known.get(ifindex)
        gone: Dict[bytes, int] = {}
        gained: Dict[bytes, int] = {}
        for key, flags in changed.items():
            before = known.pop(key, GONE) if flags == GONE else known.get(key, GONE)
            if before == flags:
                continue
            if before != GONE:
                gone[key] = before
                if before & ~flags & IFA_F_SECONDARY:
                    known.pop(key, None)        # the kernel puts one that was secondary behind all the others
            if flags != GONE:
                known[key] = gained[key] = flags
                self.flagged |= flags
        changes: List[ThingChange] = []
        if gone and interface is not None:
            changes.append((False, made(Addresses, (interface, gone))))
        if gained and interface is not None:
            changes.append((True, made(Addresses, (interface, gained))))
        return changes

    def addresses_are(self, ifindex: int, flags: Dict[bytes, int]) -> Tuple[List[ThingChange], List[Tuple[ThingChange, ...]]]:
        """Take in an AddressesAre of these: what changes, and what is other than before, for telling only."""
        self.unsure.pop(ifindex, None)
        interface, held, table = self._known.get(ifindex), self.addresses.get(ifindex, {}), self._ordered(flags)
        self.addresses[ifindex] = table
        self._lent.discard(ifindex)
        self.flagged |= reduce(or_, table.values(), 0)
        if interface is None or [*table.items()] == [*held.items()]:
            return [], []
        before, now = Addresses(interface, held), Addresses(interface, table)
        return [(False, before), (True, now)], [*_differences(before, now)]

    def replace_interfaces(self, links: Iterable[Event], addresses: Dict[int, Dict[bytes, int]]) -> List[Tuple[ThingChange, ...]]:
        """Make links and addresses equal to a snapshot, and count anew what there is.

        What is other than before, as events might have told it, is for telling only; the very first snapshot is other than nothing.
        """
        known, held = self._known, self.addresses
        self.links = {link.ifindex: Link(*link[1:]) for link in links if isinstance(link, LinkSeen)}
        self.addresses = {ifindex: self._ordered(flags) for ifindex, flags in addresses.items()} if self._in_order else addresses
        self.unsure.clear()
        self._lent.clear()
        self.flagged = reduce(or_, set(chain.from_iterable(flags.values() for flags in addresses.values())), 0)
        self._ports = {}
        for ifindex, link in self.links.items():
            self._enslave(ifindex, 0, link.master)
        self._known = {ifindex: self._selected(ifindex) for ifindex in self.links}
        if not known:
            return []
        pairs = ((_whole(ifindex, known, held), _whole(ifindex, self._known, self.addresses)) for ifindex in {**known, **self._known})
        return [changes for before, now in pairs if before != now for changes in _differences(before, now)]

    def keep_order(self) -> None:
        """From now on the addresses of an interface stand in the order in which they came, which takes a snapshot to know."""
        if not self._in_order:
            self._in_order, self.unsure = True, dict.fromkeys(self.links, ORDER)

    def replace_defaults(self, hops: NextHops) -> List[ThingChange]:
        """These are the interfaces over which there is a default route, with their next hops."""
        before, self.defaults = self.defaults, hops
        return [change for ifindex in sorted(before.keys() | hops) if before.get(ifindex) != hops.get(ifindex)
                for change in self._reselect(ifindex)]

    def keep_engines(self, names: AbstractSet[str]) -> None:
        """Forget the containers of other engines; that is not told, for it is part of a new configuration."""
        self.containers = {key: container for key, container in self.containers.items() if container.engine in names}

    def containers_of(self, engine: str) -> List[ContainerSeen]:
        """Those that this engine has told."""
        return [container for container in self.containers.values() if container.engine == engine]

    def containers_changed(self, engine: str, seen: Iterable[ContainerSeen], gone: Iterable[str]) -> List[ThingChange]:
        """Take in what an engine says: how these containers are now, and which ids are no longer there."""
        left: List[ThingChange] = []
        gained: List[ThingChange] = []
        for container in seen:
            before = self.containers.get(container.key)
            if before != container:
                left += [] if before is None else [(False, before)]
                gained.append((True, container))
                self.containers[container.key] = container
        for identifier in gone:
            before = self.containers.pop((engine, identifier), None)
            left += [] if before is None else [(False, before)]
        return left + gained

    def apply_hosts(self, events: Iterable[Union[HostSeen, HostGone]]) -> List[ThingChange]:
        """Take in what other hosts of the fleet hold now."""
        changes: List[ThingChange] = []
        for event in events:
            before = self.hosts.get((event.zone, event.host))
            if before == event:
                continue
            if before is not None:
                changes.append((False, before))
                del self.hosts[event.zone, event.host]
            if isinstance(event, HostSeen):
                self.hosts[event.zone, event.host] = event
                changes.append((True, event))
        return changes

    def keep_hosts(self, zones: AbstractSet[str]) -> None:
        """Forget the hosts in other zones; that is not told, for it is part of a new configuration."""
        self.hosts = {key: seen for key, seen in self.hosts.items() if seen.zone in zones}

    def _link_seen(self, event: LinkSeen) -> List[ThingChange]:
        ifindex, link, before = event.ifindex, Link(*event[1:]), self.links.get(event.ifindex)
        self.links[ifindex] = link
        if before == link:
            return []
        if before is not None and before.up and not link.up and any(len(key) == IPV6 for key in self.addresses.get(ifindex, ())):
            self.unsure[ifindex] = DOWN
        self._enslave(ifindex, before.master if before is not None else 0, link.master)
        return self._reselect(ifindex, with_ports=before is None or (before.name, before.altnames) != (link.name, link.altnames))

    def _link_gone(self, ifindex: int) -> List[ThingChange]:
        link, changes = self.links.pop(ifindex, None), []
        if link is not None:
            self._enslave(ifindex, link.master, 0)
            changes = self._reselect(ifindex, with_ports=True)
        self.addresses.pop(ifindex, None)
        self.unsure.pop(ifindex, None)
        self._lent.discard(ifindex)
        return changes

    def _enslave(self, ifindex: int, before: int, master: int) -> None:
        """Keep in mind who is enslaved to whom: what selects a port has the names of its master."""
        if before and before != master:
            self._ports[before].discard(ifindex)
            if not self._ports[before]:
                del self._ports[before]
        if master:
            self._ports.setdefault(master, set()).add(ifindex)

    def _reselect(self, ifindex: int, with_ports: bool = False) -> List[ThingChange]:
        """What it takes that an interface, and perhaps those enslaved to it, are selected by what they are now."""
        changes: List[ThingChange] = []
        for each in (ifindex, *sorted(self._ports.get(ifindex, ()) if with_ports else ())):
            before, now = self._known.pop(each, None), self._selected(each) if each in self.links else None
            if now is not None:
                self._known[each] = now
            if before != now:
                changes += [] if before is None else self._all_of(False, before, each)
                changes += [] if now is None else self._all_of(True, now, each)
        return changes

    def _selected(self, ifindex: int) -> Interface:
        link = self.links[ifindex]
        master = self.links.get(link.master) if link.master else None
        names = () if master is None else (master.name, *master.altnames)
        return Interface(link.name, link.altnames, link.group, link.kind, names, ifindex in self.defaults,
                         self.defaults.get(ifindex, ()), ifindex, link.hardware)

    def _ordered(self, flags: Dict[bytes, int]) -> Dict[bytes, int]:
        return _oldest_first(flags) if self._in_order else flags

    def _all_of(self, gained: bool, interface: Interface, ifindex: int) -> List[ThingChange]:
        return [(gained, interface), (gained, Addresses(interface, self.addresses.get(ifindex, {})))]


def _whole(ifindex: int, interfaces: Dict[int, Interface], addresses: Dict[int, Dict[bytes, int]]) -> Optional[Addresses]:
    interface = interfaces.get(ifindex)
    return None if interface is None else Addresses(interface, addresses.get(ifindex, {}))


def _differences(before: Optional[Addresses], now: Optional[Addresses]) -> Iterator[Tuple[ThingChange, ...]]:
    """What became of an interface, and then of its addresses if it is still there."""
    if before is None or now is None or before.interface != now.interface:
        after = now if before is None or now is None else Addresses(now.interface, before.flags)
        yield tuple((gained, thing) for gained, each in ((False, before), (True, after)) if each is not None
                    for thing in (each.interface, each))
    if before is not None and now is not None and before.flags != now.flags:
        lost, gained = ({key: flags for key, flags in each.flags.items() if other.flags.get(key) != flags}
                        for each, other in ((before, now), (now, before)))
        yield tuple((came, Addresses(now.interface, flags)) for came, flags in ((False, lost), (True, gained)) if flags)


def _oldest_first(flags: Dict[bytes, int]) -> Dict[bytes, int]:
    """The kernel lists new IPv6 addresses before old ones, and tells of them one after the other."""
    six = [identity for identity in flags if len(identity) == IPV6]
    if len(six) < 2:
        return flags
    return {**{each: its for each, its in flags.items() if len(each) != IPV6}, **{each: flags[each] for each in reversed(six)}}
