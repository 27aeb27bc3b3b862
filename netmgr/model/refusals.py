"""What labels ask for and do not get, told once per container."""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, List, Tuple

from netmgr.model.labels import Refusal
from netmgr.model.zones import Policy
from netmgr.values.events import ContainerSeen
from netmgr.values.text import printable

SHOWN = 3


class Refusals:
    """Remembers what has been told of the containers that are there."""

    def __init__(self) -> None:
        self._told: Dict[Tuple[str, str], Tuple[Refusal, ...]] = {}

    def news(self, policy: Policy, seen: Iterable[ContainerSeen]) -> Iterator[str]:
        """A line for each container whose label asks for what it may not, unless that has been told."""
        for container in seen:
            refused = policy.by_label(container).refused
            if refused != self._told.pop(container.key, ()) and refused:
                yield printable(_line(container, refused))
            if refused:
                self._told[container.key] = refused

    def forget(self, engine: str, gone: Iterable[str]) -> None:
        """These containers are no longer there."""
        for container in gone:
            self._told.pop((engine, container), None)


def _line(container: ContainerSeen, refused: Tuple[Refusal, ...]) -> str:
    parts: List[str] = ["%s (%s)" % refusal for refusal in refused[:SHOWN]]
    parts += ["%d more" % (len(refused) - SHOWN)] * (len(refused) > SHOWN)
    return "the label of %s may not name %s" % (container.name or container.id, ", ".join(parts))
