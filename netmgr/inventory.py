"""What there is: links, their addresses, containers; each under its key.

Applying an event gives what it changed, as things lost and things gained, complete in themselves: an address comes with the name
of its interface, so that nobody downstream has to ask what the name was before.  A rename therefore loses everything under the
old name and gains it under the new one.  An event that changes nothing gives nothing.

An address is kept as `identity`: local + peer + prefix length in one bytes object (9 or 33 long), which is small and quick to
hash.  Addresses may come before their link is known; they count from the moment that it is.
"""

from typing import Dict, Iterable, Iterator, NamedTuple, Union

from netmgr.events import GONE, AddressesSeen, AddressGone, AddressSeen, ContainerSeen, LinkGone, LinkSeen


class Link(NamedTuple):
    """An interface under its index."""

    name: str
    up: bool


class Interface(NamedTuple):
    """The fact that an interface of this name exists."""

    name: str


class Address(NamedTuple):
    """The fact that the interface of this name has this address, with these IFA_FLAGS."""

    interface: str
    identity: bytes
    flags: int


Thing = Union[Interface, Address, ContainerSeen]


class Change(NamedTuple):
    """A thing that is there now (gained) or no longer (not gained)."""

    gained: bool
    thing: Thing


Event = Union[LinkSeen, LinkGone, AddressSeen, AddressGone, AddressesSeen]


def identity(local: bytes, prefixlen: int, peer: bytes) -> bytes:
    """What makes an address on one link the same address."""
    return local + peer + bytes((prefixlen,))


def local(identity: bytes) -> bytes:
    """Our own end of the address."""
    return identity[:len(identity) >> 1]


def prefixlen(identity: bytes) -> int:
    """The prefix length of the address."""
    return identity[-1]


class Inventory:
    """The tables, changed by events and replaced by snapshots."""

    def __init__(self) -> None:
        self.links: Dict[int, Link] = {}
        self.addresses: Dict[int, Dict[bytes, int]] = {}
        self.containers: Dict[str, ContainerSeen] = {}

    def things(self) -> Iterator[Thing]:
        """Everything that is there."""
        for ifindex, link in self.links.items():
            yield Interface(link.name)
            for key, flags in self.addresses.get(ifindex, {}).items():
                yield Address(link.name, key, flags)
        yield from self.containers.values()

    def apply(self, event: Event) -> Iterator[Change]:
        """Take in one event of a link or address.  The tables have changed only when the iterator has been read to its end."""
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

    def replace_containers(self, containers: Iterable[ContainerSeen]) -> Iterator[Change]:
        """Make the containers equal to a list of all of them."""
        events = list(containers)
        for gone in self.containers.keys() - {event.id for event in events}:
            yield from self._container_gone(gone)
        for event in events:
            yield from self._container_seen(event)

    def _addresses_changed(self, ifindex: int, changed: Dict[bytes, int]) -> Iterator[Change]:
        known, link = self.addresses.setdefault(ifindex, {}), self.links.get(ifindex)
        for key, flags in changed.items():
            before = known.pop(key, GONE) if flags == GONE else known.get(key, GONE)
            if before == flags:
                continue
            if flags != GONE:
                known[key] = flags
            if link is not None and before != GONE:
                yield Change(False, Address(link.name, key, before))
            if link is not None and flags != GONE:
                yield Change(True, Address(link.name, key, flags))

    def _link_seen(self, event: LinkSeen) -> Iterator[Change]:
        before = self.links.get(event.ifindex)
        if before is not None and before.name != event.name:
            yield from self._all_of_link(False, before.name, event.ifindex)
        self.links[event.ifindex] = Link(event.name, event.up)
        if before is None or before.name != event.name:
            yield from self._all_of_link(True, event.name, event.ifindex)

    def _link_gone(self, ifindex: int) -> Iterator[Change]:
        link = self.links.pop(ifindex, None)
        if link is not None:
            yield from self._all_of_link(False, link.name, ifindex)
        self.addresses.pop(ifindex, None)

    def _all_of_link(self, gained: bool, name: str, ifindex: int) -> Iterator[Change]:
        yield Change(gained, Interface(name))
        for key, flags in self.addresses.get(ifindex, {}).items():
            yield Change(gained, Address(name, key, flags))

    def _container_seen(self, event: ContainerSeen) -> Iterator[Change]:
        before = self.containers.get(event.id)
        if before == event:
            return
        self.containers[event.id] = event
        if before is not None:
            yield Change(False, before)
        yield Change(True, event)

    def _container_gone(self, key: str) -> Iterator[Change]:
        before = self.containers.pop(key, None)
        if before is not None:
            yield Change(False, before)
