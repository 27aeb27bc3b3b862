"""Which elements a thing puts into a set, by the word for what the set holds: one row for each word of netmgr.values.holds.

The elements are those that the ledger counts: the kernel's key in a plain set, key + prefix length in an interval set (see ranges.py
for what becomes of them).
"""

from operator import itemgetter
from typing import Callable, Collection, Dict, List

from netmgr.model.inventory import Interface
from netmgr.values.addresses import IFA_F_PERMANENT, identity
from netmgr.values.choice import Choice, counts
from netmgr.values.holds import ADDRESSES, GATEWAYS, INTERFACES, NETWORKS
from netmgr.values.sets import WIDTHS, Form


def of_addresses(identities: Collection[bytes], form: Form) -> List[bytes]:
    """The addresses themselves."""
    width = WIDTHS[form.type]
    if not form.interval:
        return list(map(itemgetter(slice(width)), identities))
    bits = bytes((width * 8,))
    return [each[:width] + bits for each in identities]


def of_networks(identities: Collection[bytes], form: Form) -> List[bytes]:
    """The networks that they are in: the bits of the prefix, none of the host's, and the length, which is an identity's last byte."""
    width = WIDTHS[form.type]
    bits = width * 8
    return [(int.from_bytes(each[:width], "big") >> bits - each[-1] << bits - each[-1] + 8 | each[-1]).to_bytes(width + 1, "big")
            for each in identities]


def of_name(interface: Interface, form: Form, _choice: Choice) -> List[bytes]:
    """The name of an interface."""
    width = WIDTHS[form.type]
    key = interface.name.encode("utf-8", "surrogateescape").ljust(width, b"\0")
    return [key + bytes((width * 8,)) if form.interval else key]


def of_gateways(interface: Interface, form: Form, choice: Choice) -> List[bytes]:
    """The next hops of default routes over an interface, those that are chosen."""
    width = WIDTHS[form.type]
    hops = [identity(each, width * 8, each) for each in interface.gateways if len(each) == width]
    return of_addresses([each for each in hops if counts(choice, each, IFA_F_PERMANENT)], form)


FROM_ADDRESSES: Dict[str, Callable[[Collection[bytes], Form], List[bytes]]] = {ADDRESSES: of_addresses, NETWORKS: of_networks}
FROM_INTERFACE: Dict[str, Callable[[Interface, Form, Choice], List[bytes]]] = {INTERFACES: of_name, GATEWAYS: of_gateways}
