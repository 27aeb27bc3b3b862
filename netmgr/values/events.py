"""The vocabulary: what sources report, as plain values.

Addresses are bytes in network order, 4 long for IPv4 and 16 for IPv6.  An event is either a keyed upsert (…Seen) or a keyed
removal (…Gone): applying one twice changes nothing, so a snapshot may overlap with the events that follow it.

AddressSeen and AddressGone are the specification: wire/rtnetlink.py says with them what a message means, in Python, and tests hold the
AddressesSeen that csrc/rtcodec.c makes of very many equal to that.
"""

from __future__ import annotations

from typing import Dict, Optional, Tuple, Union

from netmgr.values.named_tuple import NamedTuple

GONE = -1


class LinkSeen(NamedTuple):
    """An interface as the kernel has it now; the name is a property that may change, the ifindex is the identity.

    `kind` is IFLA_INFO_KIND, "" for hardware; `master` is the ifindex of the bridge, VRF or bond that it is enslaved to, or 0; `hardware`
    is its MAC address, empty where it has none.
    """

    ifindex: int
    name: str
    up: bool
    group: int = 0
    kind: str = ""
    master: int = 0
    altnames: Tuple[str, ...] = ()
    hardware: bytes = b""


class LinkGone(NamedTuple):
    """The interface and with it every address that it had."""

    ifindex: int


class AddressSeen(NamedTuple):
    """An address on an interface.  `local` is our own end; `peer` differs from it on point-to-point links.

    `flags` are the 32 bits of IFA_FLAGS.  (ifindex, local, prefixlen, peer) is the identity; of IPv6 without the peer, which may change.
    """

    ifindex: int
    local: bytes
    prefixlen: int
    peer: bytes
    flags: int


class AddressGone(NamedTuple):
    """The address with this identity is no longer there."""

    ifindex: int
    local: bytes
    prefixlen: int
    peer: bytes


class AddressesSeen(NamedTuple):
    """The last word on each of these addresses of one link: its flags, or GONE.  For the bytes see addresses.identity().

    `repeated`: there was more than one word on some of them, so in which order they stand now is not known.
    """

    ifindex: int
    flags: Dict[bytes, int]
    repeated: bool = False


class AddressesAre(NamedTuple):
    """All addresses that one link has, as AddressesSeen has them, in the order of a dump: read because they were in doubt."""

    ifindex: int
    flags: Dict[bytes, int]


class Endpoint(NamedTuple):
    """One address of a container in one of its networks; prefixlen is the network's, as the engine says.

    `hardware` is its MAC address in this network, empty where it has none.
    """

    network: str
    address: bytes
    prefixlen: int
    hardware: bytes = b""


class Port(NamedTuple):
    """A port of the host that a container publishes: its protocol and number, the container's port, and the host's address.

    The address is that of all zeros for every address of a family, and empty for every address of both.
    """

    protocol: int
    public: int
    private: int
    address: bytes


class ContainerSeen(NamedTuple):
    """A running container.  `healthy` is None when it has no health check, True only while the check succeeds.

    `labels` are those that matter here.  `engine` is the name that the configuration gives its engine, `mode` how the container's network
    is set up (host, none, container, the name of a network, …; empty: not told), `created` when it was made, in seconds since 1970.
    """

    id: str
    name: str
    labels: Tuple[Tuple[str, str], ...]
    endpoints: Tuple[Endpoint, ...]
    healthy: Optional[bool] = None
    engine: str = ""
    mode: str = ""
    ports: Tuple[Port, ...] = ()
    created: int = 0

    @property
    def key(self) -> Tuple[str, str]:
        """What it is known by."""
        return self.engine, self.id


class HostSeen(NamedTuple):
    """Another host of the fleet, and which of its addresses a local zone holds.  (zone, host) is the identity."""

    zone: str
    host: str
    addresses: Tuple[bytes, ...]


class HostGone(NamedTuple):
    """Another host of the fleet no longer counts in this local zone."""

    zone: str
    host: str


class RulesetChanged(NamedTuple):
    """A transaction on nf_tables was committed: the generation that it made, and who made it.

    `portid` is the netlink port of the committing socket, `pid` and `process` its owner as the kernel names it.
    """

    generation: int
    portid: int
    pid: int
    process: str


NextHops = Dict[int, Tuple[bytes, ...]]     # of usable default routes: by ifindex, sorted; none where a route has none

Event = Union[LinkSeen, LinkGone, AddressSeen, AddressGone, AddressesSeen, AddressesAre]

Suspect = Optional[RulesetChanged]        # who may have changed the ruleset; None: somebody, it is not known who
