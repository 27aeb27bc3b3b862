"""Which containers are in which zone, and the zones that only containers' labels name.

Such a zone is known from the first container whose label names it.  When its last container has gone, it is forgotten, unless one
of its sets was ever there: names without end must not take memory without end.

Who is in a zone is kept by the zone, so that neither an event nor the question whether a zone is in use looks at all containers.
"""

from __future__ import annotations

from typing import Collection, Dict, List, Tuple

from netmgr.model.zones import Policy
from netmgr.values.events import ContainerSeen
from netmgr.values.named_tuple import NamedTuple


class Arrival(NamedTuple):
    """What a container brought: zones that were not known, and zones in which nobody was before."""

    known: Tuple[str, ...]
    begun: Tuple[str, ...]


class LabelledZones:
    """Grows and shrinks a policy's zones by the labels of containers."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._inside: Dict[str, Dict[Tuple[str, str], ContainerSeen]] = {}

    def welcome(self, container: ContainerSeen) -> Arrival:
        """A container that is there now."""
        known = tuple(zone for zone in self._policy.by_label(container).zones if self._policy.add_zone(zone))
        begun: List[str] = []
        for zone in self._policy.zones_of_container(container):
            if zone not in self._inside:
                begun.append(zone)
            self._inside.setdefault(zone, {})[container.key] = container
        return Arrival(known, tuple(begun))

    def part_with(self, container: ContainerSeen) -> Tuple[str, ...]:
        """A container that is no longer there; the zones in which nobody is any more."""
        ended: List[str] = []
        for zone in self._policy.zones_of_container(container):
            inside = self._inside.get(zone, {})
            inside.pop(container.key, None)
            if not inside and self._inside.pop(zone, None) is not None:
                ended.append(zone)
        return tuple(ended)

    def idle(self, container: ContainerSeen) -> Tuple[str, ...]:
        """The zones that only labels name, this container's among them, and in which nobody is."""
        named = self._policy.by_label(container).zones
        return tuple(zone for zone in named if self._policy.only_labelled(zone) and zone not in self._inside)

    def in_use(self, zone: str) -> bool:
        """Whether a container is in the zone."""
        return zone in self._inside

    def inside(self, zone: str) -> Collection[ContainerSeen]:
        """The containers that are in the zone."""
        return self._inside.get(zone, {}).values()
