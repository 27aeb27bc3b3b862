"""What engines say of one container: in their list, and when it is inspected.

Read are `NetworkSettings.Networks`, names, labels, state and health: what API 1.24 to 1.52 have in common.  Docker's list tells the health
in the status text (and, from API 1.52, in a field), but not that of a paused container; Podman's tells none, no networks are null, and
of a network with several subnets of one family it tells one address.  Its own inspection (libpod) tells all of these.

A container that shares another's network (`--network container:X`) has no address in Docker's list; it has those of X.  One with links
has several names; its own is the one without a slash inside.

Of published ports Docker's list tells each, with an address of the host for each family.  Podman's leaves the address out where that is
every one, and of a range of ports it tells the first; its inspection tells each, with 0.0.0.0 for every one of both families.

What a container's author can choose is bounded: a name that is longer or more networks make no sense, and of the labels only one is
kept, up to a little more than what may have a meaning.
"""

import re
from ipaddress import IPv4Address, IPv6Address
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple

from netmgr.values.errors import ProtocolError
from netmgr.values.events import ContainerSeen, Endpoint, Port
from netmgr.values.named_tuple import NamedTuple
from netmgr.wire.json_elements import Element
from netmgr.wire.json_values import fields, items, parse, text

ENTRY_LIMIT = 1 << 18           # characters
MOST_NETWORKS = 128
LONGEST_NAME = 255
LONGEST_LABEL = 4096            # what is longer is cut behind one more character, and shows by that
LONGEST_MODE = 40
IDENTIFIER_LENGTH = 128
ETH_ALEN, LONGEST_HARDWARE = 6, 95            # bytes, and characters: 32 bytes, as the longest that Linux has

RUNNING = ("running", "paused", "stopping")
SHARED = "container:"

PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}      # others there are none
HIGHEST_PORT, LATEST = 0xFFFF, 0xFFFFFFFF
EVERY = "0.0.0.0"

_HEALTH = {"healthy": True, "starting": False, "unhealthy": False}
_STATUS_ENDS = {"(healthy)": True, "(unhealthy)": False, "(health: starting)": False}
_HEAD_NAME = re.compile(r'"Names" *: *\[ *"/?([^"/\\]{1,%d})' % LONGEST_NAME)
_FAMILIES = (("IPAddress", "IPPrefixLen", 4), ("GlobalIPv6Address", "GlobalIPv6PrefixLen", 16))
_FURTHER = (("SecondaryIPAddresses", 4), ("SecondaryIPv6Addresses", 16))


class Reading(NamedTuple):
    """How to read: the name of the engine in the configuration, its kind, which label matters (None: none does), whether health does."""

    engine: str
    podman: bool
    label: Optional[str]
    health: bool


class Listed(NamedTuple):
    """A container of the list.  `shares`: the id of the one whose network it uses, or empty; `unclear`: the list leaves the health open."""

    seen: ContainerSeen
    shares: str
    unclear: bool


class Inspected(NamedTuple):
    """What only an inspection tells: the health (None without a check), all addresses and ports, and how the network is set up."""

    healthy: Optional[bool]
    endpoints: Tuple[Endpoint, ...]
    mode: str
    ports: Tuple[Port, ...] = ()


def listed(element: Element, reading: Reading) -> Optional[Listed]:
    """An element of the list; None for a container that does not run.  ProtocolError when it makes no sense."""
    if element.value is None:
        raise ProtocolError(element.wrong)
    entry = element.value
    if entry.get("State") not in RUNNING:
        return None
    healthy, unclear = _listed_health(entry, reading.podman) if reading.health else (None, False)
    mode = _mode(entry)
    seen = ContainerSeen(_identifier(entry.get("Id")), _name(entry), _labels(entry, reading.label),
                         _endpoints(entry), healthy, reading.engine, mode.partition(":")[0], _listed_ports(entry), _created(entry))
    return Listed(seen, mode[len(SHARED):] if mode.startswith(SHARED) and not seen.endpoints else "", unclear)


def inspected(body: bytes) -> Inspected:
    """The answer to an inspection.  ProtocolError."""
    entry = fields(parse(body))
    state = fields(entry.get("State"))
    health = fields(state.get("Health") or state.get("Healthcheck"))
    return Inspected(_HEALTH.get(text(health.get("Status") or "")), _endpoints(entry), _mode(entry).partition(":")[0],
                     _inspected_ports(entry))


def called(element: Element) -> str:
    """The name of a container of which nothing else may make sense, for people."""
    if element.value is None:
        match = _HEAD_NAME.search(element.head)
        return match.group(1) if match else "?"
    names = element.value.get("Names")
    told = [*(names if isinstance(names, list) else []), element.value.get("Id")]
    return next((each.lstrip("/")[:LONGEST_NAME] for each in told if isinstance(each, str) and each), "?")


def _name(entry: Dict[str, Any]) -> str:
    names = [text(name).lstrip("/") for name in items(entry.get("Names"))]
    name = next((name for name in names if "/" not in name), names[0] if names else "")
    return _bounded(name, "name")


def _bounded(name: str, what: str) -> str:
    if len(name) > LONGEST_NAME:
        raise ProtocolError("a %s of %d characters" % (what, len(name)))
    return name


def _labels(entry: Dict[str, Any], wanted: Optional[str]) -> Tuple[Tuple[str, str], ...]:
    labels = fields(entry.get("Labels"))
    return ((wanted, text(labels[wanted])[:LONGEST_LABEL + 1]),) if wanted is not None and wanted in labels else ()


def _mode(entry: Dict[str, Any]) -> str:
    """How its network is set up: host, none, container:ID, the name of a network, …; empty where that is not told."""
    mode = text(fields(entry.get("HostConfig")).get("NetworkMode") or "")
    return mode[:len(SHARED) + IDENTIFIER_LENGTH] if mode.startswith(SHARED) else mode[:LONGEST_MODE]


def _listed_health(entry: Dict[str, Any], podman: bool) -> Tuple[Optional[bool], bool]:
    """The health, and whether the list leaves it open."""
    if entry.get("Health"):
        return _HEALTH.get(text(fields(entry["Health"]).get("Status") or "")), False
    status = text(entry.get("Status") or "")
    healthy = next((health for end, health in _STATUS_ENDS.items() if status.endswith(end)), None)
    return healthy, healthy is None and (podman or entry["State"] == "paused")


def _created(entry: Dict[str, Any]) -> int:
    """What an engine does not tell in seconds counts as new."""
    created = entry.get("Created")
    return created if type(created) is int and 0 <= created < LATEST else LATEST


def _listed_ports(entry: Dict[str, Any]) -> Tuple[Port, ...]:
    told = map(fields, items(entry.get("Ports")))
    return _ports((each.get("Type"), each.get("PublicPort"), each.get("PrivatePort"), each.get("IP")) for each in told)


def _inspected_ports(entry: Dict[str, Any]) -> Tuple[Port, ...]:
    """{"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "81/tcp": null}"""
    told = fields(fields(entry.get("NetworkSettings")).get("Ports"))
    split = ((*text(key).partition("/"), fields(each)) for key, some in told.items() for each in items(some))
    return _ports((protocol, _decimal(each.get("HostPort")), _decimal(private), "" if each.get("HostIp") == EVERY else each.get("HostIp"))
                  for private, _slash, protocol, each in split)


def _ports(told: Iterable[Tuple[Any, Any, Any, Any]]) -> Tuple[Port, ...]:
    """Those that are published, in an order of their own, for the engine's may be another each time."""
    found = {Port(PROTOCOLS[protocol], _port(public), _port(private), _host_address(address))
             for protocol, public, private, address in told if public and text(protocol or "") in PROTOCOLS}
    return tuple(sorted(found))


def _port(number: Any) -> int:
    if type(number) is not int or not 0 < number <= HIGHEST_PORT:
        raise ProtocolError("not a port: %.20r" % (number,))
    return number


def _decimal(value: Any) -> Any:
    """A number as it is written; anything else is none, but for an empty text."""
    return int(value) if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 5 else value


def _host_address(value: Any) -> bytes:
    notation = text(value or "")
    return _address(notation, 16 if ":" in notation else 4) if notation else b""


def _endpoints(entry: Dict[str, Any]) -> Tuple[Endpoint, ...]:
    networks = fields(fields(entry.get("NetworkSettings")).get("Networks"))
    if len(networks) > MOST_NETWORKS:
        raise ProtocolError("%d networks" % len(networks))
    found = (endpoint for name in sorted(networks) for endpoint in _of_network(name, fields(networks[name])))
    return tuple(dict.fromkeys(found))


def _of_network(network: str, entry: Dict[str, Any]) -> Iterator[Endpoint]:
    _bounded(text(network), "network's name")
    hardware = _hardware(text(entry.get("MacAddress") or ""))
    for address_key, length_key, size in _FAMILIES:
        if entry.get(address_key):
            yield _endpoint(network, entry[address_key], entry.get(length_key), size, hardware)
    for key, size in _FURTHER:
        for further in map(fields, _few(entry.get(key))):
            yield _endpoint(network, further.get("Addr"), further.get("PrefixLength", further.get("PrefixLen")), size, hardware)


def _hardware(notation: str) -> bytes:
    """A MAC address; one of zeros, or of another length, is none."""
    try:
        found = bytes.fromhex(notation[:LONGEST_HARDWARE].replace(":", ""))
    except ValueError:
        raise ProtocolError("not a MAC address: %.60r" % notation) from None
    return found if len(found) == ETH_ALEN and any(found) else b""


def _few(value: Any) -> List[Any]:
    further = items(value)
    if len(further) > MOST_NETWORKS:
        raise ProtocolError("%d addresses in one network" % len(further))
    return further


def _endpoint(network: str, address: Any, length: Any, size: int, hardware: bytes) -> Endpoint:
    """An engine that does not tell the network's prefix length (0) must not make a network of the whole Internet."""
    if length is not None and (type(length) is not int or not 0 <= length <= size * 8):
        raise ProtocolError("not a prefix length for an address of %d bytes: %.20r" % (size, length))
    return Endpoint(network, _address(text(address), size), length or size * 8, hardware)


def _address(notation: str, size: int) -> bytes:
    try:
        return IPv4Address(notation).packed if size == 4 else IPv6Address(notation).packed
    except ValueError:
        raise ProtocolError("not an address of %d bytes: %.60r" % (size, notation)) from None


def _identifier(value: Any) -> str:
    identifier = text(value)
    if not is_identifier(identifier):
        raise ProtocolError("not a container's id: %.60r" % identifier)
    return identifier


def is_identifier(value: str) -> bool:
    """Whether this may be a container's id."""
    return 0 < len(value) <= IDENTIFIER_LENGTH and value.isascii() and value.isalnum()
