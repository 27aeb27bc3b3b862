"""Which elements a thing puts into a set, by the word for what the set holds: one row for each word of netmgr.values.holds.

The elements are those that the ledger counts: the kernel's key in a plain set, key + prefix length in an interval set (see ranges.py
for what becomes of them).
"""

from operator import itemgetter
from typing import Callable, Collection, Dict, List

from netmgr.values.addresses import network
from netmgr.values.holds import ADDRESSES, INTERFACES, NETWORKS
from netmgr.values.sets import WIDTHS, Form


def of_addresses(identities: Collection[bytes], form: Form) -> List[bytes]:
    """The addresses themselves."""
    width = WIDTHS[form.type]
    if not form.interval:
        return list(map(itemgetter(slice(width)), identities))
    bits = bytes((width * 8,))
    return [each[:width] + bits for each in identities]


def of_networks(identities: Collection[bytes], form: Form) -> List[bytes]:
    """The networks that they are in."""
    width = WIDTHS[form.type]
    return [network(each[:width], each[-1]) + each[-1:] for each in identities]


def of_name(name: str, form: Form) -> List[bytes]:
    """The name of an interface."""
    width = WIDTHS[form.type]
    key = name.encode("utf-8", "surrogateescape").ljust(width, b"\0")
    return [key + bytes((width * 8,)) if form.interval else key]


FROM_ADDRESSES: Dict[str, Callable[[Collection[bytes], Form], List[bytes]]] = {ADDRESSES: of_addresses, NETWORKS: of_networks}
FROM_INTERFACE: Dict[str, Callable[[str, Form], List[bytes]]] = {INTERFACES: of_name}
