"""What containers claim in maps of the ports that they publish: DNAT without the engine's own rules.

The key is the port of the host, with or without the protocol; the value is the container's address in its first network by name that has
one of the map's family, and its own port.  Ports that only this host can reach are left out.
"""

from typing import List

from netmgr.model.keys import rank_of_container
from netmgr.values.addresses import IFA_F_PERMANENT, LOOPBACK, identity, kinds
from netmgr.values.choice import Choice, counts
from netmgr.values.events import ContainerSeen, Endpoint, Port
from netmgr.values.sets import AND, INET_PROTO, INET_SERVICE, WIDTHS, Form, padded


def of_container(choice: Choice, form: Form, container: ContainerSeen) -> List[bytes]:
    """The claims of a container in a map of this form."""
    width = WIDTHS[form.value.partition(AND)[0]]
    own = next((each.address for each in container.endpoints if len(each.address) == width and _is_chosen(choice, each)), None)
    if own is None:
        return []
    rank = rank_of_container(container.created)
    ports = (port for port in container.ports if _is_open(port, width))
    return list(dict.fromkeys(rank + _key(port, form) + own + _padded(port.private.to_bytes(2, "big")) for port in ports))


def _is_chosen(choice: Choice, endpoint: Endpoint) -> bool:
    return counts(choice, identity(endpoint.address, endpoint.prefixlen, endpoint.address), IFA_F_PERMANENT)


def _is_open(port: Port, width: int) -> bool:
    """Whether it can be reached from elsewhere by this family."""
    return not port.address or (len(port.address) == width and not kinds(port.address, 0) & LOOPBACK)


def _key(port: Port, form: Form) -> bytes:
    """With the prefix length of each part where the map has ranges."""
    parts = {INET_PROTO: bytes((port.protocol,)), INET_SERVICE: port.public.to_bytes(2, "big")}
    found = [parts[part] for part in form.parts]
    key = b"".join(map(_padded, found)) if len(found) > 1 else found[0]
    return key + bytes(len(part) * 8 for part in found) if form.interval else key


def _padded(part: bytes) -> bytes:
    return part.ljust(padded(len(part)), b"\0")
