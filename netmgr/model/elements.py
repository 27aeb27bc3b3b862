"""Which elements a thing puts into a set, by the word for what the set holds: one row for each word of netmgr.values.holds.

The elements are those that the ledger counts: the kernel's key in a plain set, key + prefix length in an interval set (see ranges.py
for what becomes of them).
"""

from __future__ import annotations

from functools import partial
from operator import itemgetter
from struct import pack
from typing import Callable, Collection, Dict, Iterable, List, Sequence

from netmgr.model.inventory import Interface
from netmgr.values import prefixes
from netmgr.values.addresses import IFA_F_PERMANENT, identity, network
from netmgr.values.choice import Choice, counts
from netmgr.values.holds import ADDRESSES, GATEWAYS, HARDWARE_ADDRESSES, HOSTS, INDEXES, INTERFACES, NETWORKS, PEERS
from netmgr.values.sets import WIDTHS, Form

FEW = 16        # that are quicker taken one by one

Make = Callable[[Collection[bytes]], Iterable[bytes]]       # the elements of addresses with these identities


def of_addresses(form: Form, _suffixes: Sequence[bytes] = ()) -> Make:
    """The addresses themselves."""
    width = WIDTHS[form.type]
    if not form.interval:
        return partial(map, itemgetter(slice(width)))
    bits = bytes((width * 8,))
    return lambda identities: [each[:width] + bits for each in identities]


def of_networks(form: Form, _suffixes: Sequence[bytes] = ()) -> Make:
    """The networks that they are in: the bits of the prefix, none of the host's, and the length, which is an identity's last byte."""
    width = WIDTHS[form.type]
    bits = width * 8

    def make(identities: Collection[bytes]) -> List[bytes]:
        if len(identities) > FEW:
            return prefixes.of_identities(identities, width)
        return [(int.from_bytes(each[:width], "big") >> bits - each[-1] << bits - each[-1] + 8 | each[-1]).to_bytes(width + 1, "big")
                for each in identities]

    return make


def of_hosts(form: Form, suffixes: Sequence[bytes]) -> Make:
    """The hosts with these suffixes in their networks, where a suffix is no longer than a host part there."""
    width, addresses = WIDTHS[form.type], of_addresses(form)
    numbers = [int.from_bytes(each, "big") for each in suffixes if len(each) == width]

    def make(identities: Collection[bytes]) -> Iterable[bytes]:
        found: List[bytes] = []
        for each in identities:
            first = int.from_bytes(network(each[:width], each[-1]), "big")
            found += [(first | number).to_bytes(width, "big") for number in numbers if number.bit_length() <= width * 8 - each[-1]]
        return addresses(found)

    return make


def of_name(interface: Interface, form: Form, _choice: Choice) -> List[bytes]:
    """The name of an interface."""
    return _single(interface.name.encode("utf-8", "surrogateescape"), form)


def of_hardware(interface: Interface, form: Form, _choice: Choice) -> List[bytes]:
    """Its MAC address."""
    return _single(interface.hardware, form)


def of_index(interface: Interface, form: Form, _choice: Choice) -> List[bytes]:
    """Its index, as this machine has numbers."""
    return _single(pack("=I", interface.ifindex) if interface.ifindex else b"", form)


def _single(key: bytes, form: Form) -> List[bytes]:
    """One key, if there is any, filled up to its width."""
    width = WIDTHS[form.type]
    if not key:
        return []
    return [key.ljust(width, b"\0") + bytes((width * 8,)) if form.interval else key.ljust(width, b"\0")]


def of_gateways(interface: Interface, form: Form, choice: Choice) -> List[bytes]:
    """The next hops of default routes over an interface, those that are chosen."""
    width = WIDTHS[form.type]
    hops = [identity(each, width * 8, each) for each in interface.gateways if len(each) == width]
    return list(of_addresses(form)([each for each in hops if counts(choice, each, IFA_F_PERMANENT)]))


FROM_ADDRESSES: Dict[str, Callable[[Form, Sequence[bytes]], Make]] = {
    ADDRESSES: of_addresses, NETWORKS: of_networks, HOSTS: of_hosts, PEERS: of_addresses}       # peers: of the far end's identities
FROM_INTERFACE: Dict[str, Callable[[Interface, Form, Choice], List[bytes]]] = {
    INTERFACES: of_name, HARDWARE_ADDRESSES: of_hardware, INDEXES: of_index, GATEWAYS: of_gateways}
