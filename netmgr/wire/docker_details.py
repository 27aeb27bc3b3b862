"""What inspections tell beside the list: the health, further addresses and ports (see docker_containers.py); sans-I/O.

A health that is not known yet counts as a bad one; further addresses stay those of before, in networks that are still listed.
"""

from typing import Dict, Optional, Tuple

from netmgr.values.errors import ProtocolError
from netmgr.values.events import Endpoint
from netmgr.wire import docker, http1
from netmgr.wire.docker_containers import Inspected, Listed, inspected


class Details:
    """What inspections have told beside the list: health, further addresses and ports."""

    def __init__(self, addresses: bool) -> None:
        self._addresses = addresses
        self._told: Dict[str, Tuple[Listed, Inspected]] = {}
        self._asking: Optional[Listed] = None
        self.due: Dict[str, Listed] = {}

    def idle(self) -> bool:
        """Nothing is to be asked, and nothing asked."""
        return not self.due and self._asking is None

    def known(self, listed: Listed) -> Listed:
        """The container as it was just listed, with what else is known of it; an inspection is due if that may not be all."""
        identifier = listed.seen.id
        told = self._told.get(identifier)
        if listed.unclear or (self._addresses and (told is None or told[0] != listed)):
            self.due[identifier] = listed
        return self._with(listed, None if told is None else told[1])

    def next(self) -> str:
        """The container to inspect now."""
        identifier = next(iter(self.due))
        self._asking = self.due.pop(identifier)
        return identifier

    def answered(self, container: str, head: http1.Head, body: bytes) -> Optional[Listed]:
        """What is known of it now; None where the answer tells nothing, or what it tells is not the latest."""
        listed, self._asking = self._asking, None
        if head.status in docker.REFUSALS and self._addresses:
            self._addresses = False         # by Podman's own API; without it health can be had, but no further addresses
            if listed is not None and listed.unclear:
                self.due.setdefault(container, listed)
            return None
        if listed is None or head.status != 200 or container in self.due:
            return None
        try:
            told = inspected(body)
        except ProtocolError:
            return None
        self._told[container] = listed, told
        return self._with(listed, told)

    def forget(self, container: str) -> None:
        """It is no longer there."""
        self._told.pop(container, None)
        self.due.pop(container, None)

    def _with(self, listed: Listed, told: Optional[Inspected]) -> Listed:
        seen = listed.seen
        if listed.unclear:
            seen = seen._replace(healthy=False if told is None else told.healthy)
        if told is not None and self._addresses:
            ports = tuple(sorted({*seen.ports, *told.ports})) if told.ports else seen.ports
            seen = seen._replace(endpoints=_joined(seen.endpoints, told.endpoints), mode=seen.mode or told.mode, ports=ports)
        return listed._replace(seen=seen)


def _joined(listed: Tuple[Endpoint, ...], told: Tuple[Endpoint, ...]) -> Tuple[Endpoint, ...]:
    """A MAC address that only one of them tells is that of all addresses in the network."""
    networks, known = {each.network for each in listed}, {each[:3] for each in listed}
    further = [each for each in told if each.network in networks and each[:3] not in known]
    hardware = {each.network: each.hardware for each in (*told, *listed) if each.hardware}
    return tuple(each._replace(hardware=hardware.get(each.network, b""))
                 for each in sorted((*listed, *further), key=lambda each: each.network))
