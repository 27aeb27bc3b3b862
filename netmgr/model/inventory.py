"""What there is: links, their addresses, containers; each under its key.

Applying an event gives what it changed, as things gone and things gained, complete in themselves: an address comes with the name
of its interface, so that nobody downstream has to ask what the name was before.  A rename therefore loses everything under the
old name and gains it under the new one.  An event that changes nothing gives nothing.

An address is kept as `identity`: local + peer + prefix length in one bytes object (9 or 33 long), which is small and quick to
hash.  All that one event says of one link's addresses is one thing.  Addresses may come before their link is known; they count from
the moment that it is.

`unsure`: IPv6 addresses that a link keeps when it goes down (keep_addr_on_down) become tentative, and no event says so.
"""

from itertools import chain
from typing import AbstractSet, Dict, Iterable, Iterator, List, NamedTuple, Tuple, Union

from netmgr.values.addresses import identity
from netmgr.values.events import GONE, AddressesSeen, AddressGone, AddressSeen, ContainerSeen, Event, HostGone, HostSeen, LinkSeen

IPV6 = 33       # bytes in the identity of such an address


class Link(NamedTuple):
    """An interface under its index."""

    name: str
    up: bool


class Interface(NamedTuple):
    """The fact that an interface of this name exists."""

    name: str


class Addresses(NamedTuple):
    """The fact that the interface of this name has these addresses, each with its IFA_FLAGS.  Not to be kept: it may be a live table."""

    interface: str
    flags: Dict[bytes, int]


Thing = Union[Interface, Addresses, ContainerSeen, HostSeen]


class ThingChange(NamedTuple):
    """A thing that is there now (gained) or no longer (not gained)."""

    gained: bool
    thing: Thing





class Inventory:
    """The tables, changed by events and replaced by snapshots."""

    def __init__(self) -> None:
        self.links: Dict[int, Link] = {}
        self.addresses: Dict[int, Dict[bytes, int]] = {}
        self.containers: Dict[Tuple[str, str], ContainerSeen] = {}
        self.hosts: Dict[Tuple[str, str], HostSeen] = {}
        self.unsure = False

    def things(self) -> Iterator[Thing]:
        """Everything that is there."""
        yield from chain.from_iterable(self.interfaces())
        yield from self.containers.values()
        yield from self.hosts.values()

    def interfaces(self) -> Iterator[Tuple[Interface, Addresses]]:
        """Every interface with its addresses."""
        for ifindex, link in self.links.items():
            yield Interface(link.name), Addresses(link.name, self.addresses.get(ifindex, {}))

    def apply(self, event: Event) -> List[ThingChange]:
        """Take in one event of a link or address."""
        if isinstance(event, AddressesSeen):
            return self._addresses_changed(event.ifindex, event.flags)
        if isinstance(event, AddressSeen):
            return self._addresses_changed(event.ifindex, {identity(event.local, event.prefixlen, event.peer): event.flags})
        if isinstance(event, AddressGone):
            return self._addresses_changed(event.ifindex, {identity(event.local, event.prefixlen, event.peer): GONE})
        if isinstance(event, LinkSeen):
            return self._link_seen(event)
        return self._link_gone(event.ifindex)

    def replace_interfaces(self, links: Iterable[Event], addresses: Dict[int, Dict[bytes, int]]) -> None:
        """Make links and addresses equal to a snapshot.  That is not told change by change: count anew what there is."""
        self.links = {link.ifindex: Link(link.name, link.up) for link in links if isinstance(link, LinkSeen)}
        self.addresses = addresses
        self.unsure = False

    def keep_engines(self, names: AbstractSet[str]) -> None:
        """Forget the containers of other engines; that is not told, for it is part of a new configuration."""
        self.containers = {key: container for key, container in self.containers.items() if container.engine in names}

    def containers_of(self, engine: str) -> List[ContainerSeen]:
        """Those that this engine has told."""
        return [container for container in self.containers.values() if container.engine == engine]

    def containers_changed(self, engine: str, seen: Iterable[ContainerSeen], gone: Iterable[str]) -> List[ThingChange]:
        """Take in what an engine says: how these containers are now, and which ids are no longer there."""
        left, gained = [], []
        for container in seen:
            before = self.containers.get(container.key)
            if before != container:
                left += [] if before is None else [ThingChange(False, before)]
                gained.append(ThingChange(True, container))
                self.containers[container.key] = container
        for identifier in gone:
            before = self.containers.pop((engine, identifier), None)
            left += [] if before is None else [ThingChange(False, before)]
        return left + gained

    def apply_hosts(self, events: Iterable[Union[HostSeen, HostGone]]) -> List[ThingChange]:
        """Take in what other hosts of the fleet hold now."""
        changes: List[ThingChange] = []
        for event in events:
            before = self.hosts.pop((event.zone, event.host), None)
            if before is not None:
                changes.append(ThingChange(False, before))
            if isinstance(event, HostSeen):
                self.hosts[event.zone, event.host] = event
                changes.append(ThingChange(True, event))
        return changes

    def replace_hosts(self, hosts: Iterable[HostSeen]) -> List[ThingChange]:
        """Make the hosts equal to a list of all of them."""
        present = {(seen.zone, seen.host): seen for seen in hosts}
        gone = [HostGone(*key) for key in self.hosts if key not in present]
        return self.apply_hosts([*gone, *(seen for key, seen in present.items() if self.hosts.get(key) != seen)])

    def keep_hosts(self, zones: AbstractSet[str]) -> None:
        """Forget the hosts in other zones; that is not told, for it is part of a new configuration."""
        self.hosts = {key: seen for key, seen in self.hosts.items() if seen.zone in zones}

    def _addresses_changed(self, ifindex: int, changed: Dict[bytes, int]) -> List[ThingChange]:
        known, link = self.addresses.setdefault(ifindex, {}), self.links.get(ifindex)
        gone: Dict[bytes, int] = {}
        gained: Dict[bytes, int] = {}
        for key, flags in changed.items():
            before = known.pop(key, GONE) if flags == GONE else known.get(key, GONE)
            if before == flags:
                continue
            if before != GONE:
                gone[key] = before
            if flags != GONE:
                known[key] = gained[key] = flags
        changes = []
        if gone and link is not None:
            changes.append(ThingChange(False, Addresses(link.name, gone)))
        if gained and link is not None:
            changes.append(ThingChange(True, Addresses(link.name, gained)))
        return changes

    def _link_seen(self, event: LinkSeen) -> List[ThingChange]:
        before = self.links.get(event.ifindex)
        self.links[event.ifindex] = Link(event.name, event.up)
        if before is not None and before.up and not event.up and any(len(key) == IPV6 for key in self.addresses.get(event.ifindex, ())):
            self.unsure = True
        if before is not None and before.name == event.name:
            return []
        gone = [] if before is None else self._all_of_link(False, before.name, event.ifindex)
        return gone + self._all_of_link(True, event.name, event.ifindex)

    def _link_gone(self, ifindex: int) -> List[ThingChange]:
        link = self.links.pop(ifindex, None)
        changes = [] if link is None else self._all_of_link(False, link.name, ifindex)
        self.addresses.pop(ifindex, None)
        return changes

    def _all_of_link(self, gained: bool, name: str, ifindex: int) -> List[ThingChange]:
        return [ThingChange(gained, Interface(name)), ThingChange(gained, Addresses(name, self.addresses.get(ifindex, {})))]
