"""`only` and `exclude`, wherever they stand: which addresses count."""

from __future__ import annotations

from typing import Any, List, Tuple, Union

from netmgr.config import kinds, scalars
from netmgr.config.kinds import Fields
from netmgr.config.yaml_values import alternatives
from netmgr.values import addresses
from netmgr.values.choice import Network, Own, Part, network_of

EXPECTED = "a network or " + alternatives(tuple(addresses.KINDS))
ITEM = {"anyOf": [{"enum": list(addresses.KINDS)}, {"type": "string", "pattern": "^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$"}]}


def kind_or_network(text: str) -> Union[int, Network]:
    """The bit of a kind of address, or a network; an address alone is the network of just this one."""
    if text in addresses.KINDS:
        return addresses.KINDS[text]
    packed, length = scalars.address(text)
    if length is not None and addresses.network(packed, length) != packed:
        raise ValueError("an address in the network %s/%d" % (addresses.text(addresses.network(packed, length)), length))
    return network_of(packed, len(packed) * 8 if length is None else length)


WHICH = kinds.one_or_many(EXPECTED, kind_or_network, ITEM)
CHOICE = {
    "only": kinds.some(WHICH, "then no address would count"),
    "exclude": WHICH,
}


def own(fields: Fields) -> Own:
    """What a mapping says by itself."""
    return Own(*(_part(fields.each(key)) if fields.given(key) else None for key in ("exclude", "only")))


def _part(found: Tuple[Any, ...]) -> Part:
    networks: List[Network] = [each for each in found if not isinstance(each, int)]
    return sum({each for each in found if isinstance(each, int)}), tuple(networks)
