"""Random lives of links, addresses and containers: every event that a source may send, in every order."""

import random
from typing import Dict, Iterable, List, Optional, Tuple, Union

from netmgr.values.addresses import identity, parse, with_peer
from netmgr.values.events import AddressesAre, AddressGone, AddressSeen, ContainerSeen, Endpoint, LinkGone, LinkSeen, NextHops

Event = Union[LinkSeen, LinkGone, AddressSeen, AddressGone, AddressesAre]

INDEXES = (1, 2, 3, 4)
NAMES = ("eth0", "eth1", "ppp0", "ppp1", "lan0", "unlisted")
ADDRESSES = tuple(parse(each) for each in (
    "192.0.2.1/24", "192.0.2.1/25", "192.0.2.2/24", "192.0.3.1/24", "192.0.2.9/32", "10.0.0.1/8", "169.254.0.1/16",
    "2001:db8::1/64", "2001:db8::2/64", "2001:db8:0:1::1/64", "fe80::1/64", "fd00::1/128"))
NEXT_HOPS = tuple(parse(each)[0] for each in ("192.0.2.254", "192.0.2.253", "169.254.0.9", "10.0.0.9", "2001:db8::9", "fe80::9"))
PEERS: Tuple[Optional[bytes], ...] = (None, None, *(parse(each)[0] for each in ("192.0.2.77", "2001:db8::77", "fe80::77")))
HARDWARE = tuple(map(bytes.fromhex, ("020000000001", "020000000002")))
FLAGS = (0x80, 0x80, 0x80, 0x00, 0x81, 0xA0, 0xC0, 0x44, 0x88, 0x380)
LABELS: Tuple[Tuple[Tuple[str, str], ...], ...] = (
    (), (("netmgr.zone", "lan"),), (("netmgr.zone", "web, apps"), ("other", "lan")), (("netmgr.zone", "no zone"),))
ENDPOINTS = tuple(Endpoint(network, *parse(address), HARDWARE[len(address) % 2]) for network, address in (
    ("frontend", "172.18.0.2/16"), ("frontend", "2001:db8:5::2/64"), ("backend", "172.19.0.2/24"), ("bridge", "172.17.0.2/16"),
    ("bridge", "192.0.2.2/24")))


def random_event(source: random.Random) -> Event:
    """Anything about a link or an address, whatever there is."""
    index = source.choice(INDEXES)
    kind = source.randrange(10)
    if kind < 2:
        return random_link(source, index, source.random() < 0.8)
    if kind == 2:
        return LinkGone(index)
    if kind == 3:
        return AddressesAre(index, tables(random_address(source, index) for _ in range(source.randrange(6))).get(index, {}))
    if kind < 8:
        return random_address(source, index)
    local, prefixlen, peer, _flags = random_address(source, index)[1:]
    return AddressGone(index, local, prefixlen, peer)


def random_address(source: random.Random, index: int) -> AddressSeen:
    """One that this link could have."""
    local, prefixlen = source.choice(ADDRESSES)
    other = source.choice(PEERS)
    peer = other if other is not None and len(other) == len(local) else local
    return AddressSeen(index, local, prefixlen, peer, source.choice(FLAGS))


def random_link(source: random.Random, index: int, up: bool) -> LinkSeen:
    """Mostly one without anything special."""
    if source.random() < 0.6:
        return LinkSeen(index, source.choice(NAMES), up)
    return LinkSeen(index, source.choice(NAMES), up, source.choice((0, 7)), source.choice(("", "vlan")), source.choice((0, *INDEXES)),
                    source.choice(((), ("other",), ("ppp9", "other"))), source.choice((b"", *HARDWARE)))


def random_hops(source: random.Random) -> NextHops:
    """The interfaces over which there is a default route, with their next hops."""
    carriers = source.sample((*INDEXES, 77), source.randrange(3))
    return {index: tuple(sorted(source.sample(NEXT_HOPS, source.randrange(3)))) for index in carriers}


def random_snapshot(source: random.Random) -> Tuple[List[LinkSeen], Dict[int, Dict[bytes, int]]]:
    """Links and addresses as a dump could tell them, perhaps with addresses of links that it has not."""
    links = [random_link(source, index, True) for index in INDEXES if source.random() < 0.7]
    return links, tables(event for event in (random_event(source) for _ in range(20)) if isinstance(event, AddressSeen))


def tables(addresses: Iterable[AddressSeen]) -> Dict[int, Dict[bytes, int]]:
    """Addresses as a snapshot has them."""
    found: Dict[int, Dict[bytes, int]] = {}
    for event in addresses:
        key = identity(event.local, event.prefixlen, event.peer)
        found.setdefault(event.ifindex, {})[key] = with_peer(event.flags, event.local, event.peer)
    return found


def random_containers(source: random.Random) -> List[ContainerSeen]:
    """All that an engine has to say at one moment."""
    return [ContainerSeen(id_, "name-" + id_, source.choice(LABELS), tuple(source.sample(ENDPOINTS, source.randrange(4))),
                          source.choice((None, None, True, False)))
            for id_ in ("a", "b", "c", "d") if source.random() < 0.6]
