"""What the sets should hold, worked out from `ip -j addr` and nft's own listing, with none of netmgr's code.

What elements cover is compared, not how they are cut.
"""

import fnmatch
import ipaddress
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from tests.kernel.lab import Lab
from tests.waiting import eventually

Rules = Sequence[Tuple[str, str]]
Span = Tuple[int, int]

HOST = 5        # the host part of Z_hosts


class Held(NamedTuple):
    """A set as nft lists it."""

    type: str
    flags: Tuple[str, ...]
    own: Set[str]
    foreign: Set[str]


def members(lab: Lab, rules: Rules, zone: str) -> Iterator[Dict[str, Any]]:
    """The interfaces that are in the zone, as `ip -j addr` shows them.  `rules`: (pattern, zone)."""
    for interface in lab.addresses():
        if any(named == zone and fnmatch.fnmatchcase(interface["ifname"], pattern) for pattern, named in rules):
            yield interface


def usable(interface: Mapping[str, Any]) -> Iterator[Tuple[str, int]]:
    """Addresses that count by default, with their prefix lengths."""
    for address in interface["addr_info"]:
        if "local" not in address or address.get("dadfailed") or (address.get("tentative") and not address.get("optimistic")):
            continue
        found = ipaddress.ip_address(address["local"])
        if not found.is_link_local and not found.is_loopback:
            yield address["local"], address["prefixlen"]


def wanted(lab: Lab, rules: Rules, name: str, held: Held) -> Optional[Set[str]]:
    """What a set of the naming convention, or Z_hosts, Z_peers or Z_macs (see listed_too), should hold; None when its type does not fit.

    As single addresses, networks or names.
    """
    zone, _, suffix = name.rpartition("_")
    version = {"ipv4_addr": 4, "ipv6_addr": 6}.get(held.type)
    found = list(members(lab, rules, zone))
    if suffix == "ifs":
        return {interface["ifname"] for interface in found} if held.type == "ifname" else None
    if suffix == "macs":
        return {interface["address"] for interface in found if interface["link_type"] == "ether"} if held.type == "ether_addr" else None
    if version is None or (suffix.startswith("nets") and "interval" not in held.flags):
        return None
    if suffix == "peers":
        ends = {info["address"] for interface in found for info in interface["addr_info"] if "address" in info}
        return {each for each in ends if ipaddress.ip_address(each).version == version}
    addresses = [each for interface in found for each in usable(interface) if ipaddress.ip_address(each[0]).version == version]
    if suffix.startswith("nets"):
        return {str(ipaddress.ip_network("%s/%d" % each, strict=False)) for each in addresses}
    if suffix == "hosts":
        return {each for address in addresses for each in host(*address, HOST)}
    return {address for address, _length in addresses}


def listed_too(zones: Iterable[str]) -> str:
    """The configuration of the sets that are not of the naming convention."""
    suffixes = "['::%x', %s]" % (HOST, ipaddress.IPv4Address(HOST))
    return "zones:\n" + "".join(
        "  %s: {sets: {%s_hosts: {holds: hosts, suffix: %s}, %s_peers: peers, %s_macs: hardware_addresses}}\n"
        % (zone, zone, suffixes, zone, zone) for zone in zones)


def host(address: str, length: int, suffix: int) -> Iterator[str]:
    """The host with this suffix in the address's network, if there is room."""
    network = ipaddress.ip_interface("%s/%d" % (address, length)).network
    if suffix.bit_length() <= network.max_prefixlen - length:
        yield str(network.network_address + suffix)


def covered(elements: Iterable[str]) -> List[Span]:
    """What these elements cover, as disjoint spans of numbers in order, none of which touch; a name is a span of its own."""
    return _joined(_span(element) for element in elements)


def without(spans: List[Span], holes: List[Span]) -> List[Span]:
    """The parts of the spans that are in no hole."""
    for begin, end in holes:
        pieces = [piece for first, last in spans for piece in ((first, min(last, begin - 1)), (max(first, end + 1), last))]
        spans = [(first, last) for first, last in pieces if first <= last]
    return spans


def _span(element: str) -> Span:
    first, dash, last = element.partition("-")
    try:
        network = ipaddress.ip_network(first)
    except ValueError:
        number = int.from_bytes(b"name " + element.encode(), "big") << 130
        return number, number
    return int(network.network_address), int(ipaddress.ip_address(last)) if dash else int(network.broadcast_address)


def _joined(spans: Iterable[Span]) -> List[Span]:
    joined: List[Span] = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(joined[-1][1], last))
        else:
            joined.append((first, last))
    return joined


def differences(lab: Lab, rules: Rules, sets: Mapping[str, Held]) -> List[str]:
    """Every set that is not as it should be, in words."""
    wrong = []
    for name, held in sets.items():
        right = wanted(lab, rules, name, held)
        if right is None:
            continue
        own, foreign = covered(held.own), covered(held.foreign)
        if own != _joined(without(covered(right), foreign)):
            wrong.append("%s: own %s, foreign %s, wanted %s" % (name, sorted(held.own), sorted(held.foreign), sorted(right)))
        if "interval" not in held.flags and held.own & held.foreign:
            wrong.append("%s: %s twice" % (name, held.own & held.foreign))
    return wrong


def listed(lab: Lab, table: str = "inet filter") -> Dict[str, Held]:
    """Every set of a table, as nft lists it; none without the table."""
    found = {}
    for item in lab.listing(table):
        if "set" in item:
            own: Set[str] = set()
            foreign: Set[str] = set()
            for element, comment in lab.elements(item["set"]).items():
                (own if comment == "netmgr" else foreign).add(element)
            flags = tuple(item["set"].get("flags", ()))
            found[item["set"]["name"]] = Held(str(item["set"]["type"]), flags, own, foreign)
    return found


def plainly(lab: Lab, kinds: Mapping[str, str]) -> Dict[str, Set[str]]:
    """What nft lists of these, by name a set or a map: the elements as it writes them, without quotes and comments."""
    found: Dict[str, Set[str]] = {}
    for name, kind in kinds.items():
        text = " ".join(lab.run("nft list %s inet filter %s" % (kind, name)).split())
        items = text.partition("elements = { ")[2].partition(" }")[0].replace('"', "").replace(" comment netmgr", "").split(", ")
        found[name] = {each for each in items if each}
    return found


def become(held: Callable[[], Mapping[str, Set[str]]], expected: Callable[[], Mapping[str, Set[str]]]) -> None:
    """Wait until what is held is what is expected; AssertionError with what differs."""
    try:
        eventually(lambda: held() == expected())
    except AssertionError:
        now, right = held(), expected()
        raise AssertionError({name: (now[name], right[name]) for name in right if now[name] != right[name]}) from None
