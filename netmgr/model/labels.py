"""Which zones a container is in by its label, and which of those that it names it may not be in.

The label is chosen by whoever made the image or started the container, so it needs leave.  It may name what the configuration names in
`zones` or for containers and no entry of `interfaces` feeds, and whatever `label_zones` matches.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Dict, Iterable, Tuple

from netmgr.config.scalars import zone_name
from netmgr.config.schema import Config, Docker
from netmgr.values.named_tuple import NamedTuple

MOST_ZONES = 16                 # of one container, by its label
LONGEST_LABEL = 4096            # room for so many, whatever their names
REMEMBERED = 4096
SHOWN = 60

Refusal = Tuple[str, str]       # what the label names, and why it is not in there


class Said(NamedTuple):
    """What a label says: zones that it may name, and what of it is refused."""

    zones: Tuple[str, ...]
    refused: Tuple[Refusal, ...]


NOTHING = Said((), ())


class Labels:
    """The labels of the containers of one engine."""

    def __init__(self, config: Config, engine: Docker) -> None:
        self._label, self._leave = engine.label, engine.label_zones
        self._fed = {zone for rule in config.interfaces for zone in rule.zones}
        self._free = {*config.zones, *((engine.zone,) if engine.zone is not None else ())} - self._fed
        self._own = engine.zone
        self.known: Dict[str, Said] = {}

    def said(self, labels: Iterable[Tuple[str, str]]) -> Said:
        """What these labels say."""
        value = next((value for key, value in labels if key == self._label), None)
        if value is None:
            return NOTHING
        if value not in self.known:
            if len(self.known) >= REMEMBERED:
                self.known.clear()
            self.known[value] = self._read(value)
        return self.known[value]

    def _read(self, value: str) -> Said:
        if len(value) > LONGEST_LABEL:
            return Said((), ((_cut(value), "the label has more than %d characters" % LONGEST_LABEL),))
        names = [name for name in dict.fromkeys(map(str.strip, value.split(","))) if name]
        verdicts = [(name, self._objection(name)) for name in names]
        allowed = [name for name, objection in verdicts if not objection]
        refused = [(_cut(name), objection) for name, objection in verdicts if objection]
        if len(allowed) > MOST_ZONES:
            refused.insert(0, (_cut(", ".join(allowed[MOST_ZONES:])), "a container is in at most %d zones by its label" % MOST_ZONES))
        return Said(tuple(allowed[:MOST_ZONES]), tuple(refused[:MOST_ZONES]))

    def _objection(self, name: str) -> str:
        """Why this zone may not be named; empty: it may."""
        try:
            zone_name(name)
        except ValueError:
            return "no zone can have this name"
        if name in self._free or name == self._own or any(fnmatchcase(name, pattern) for pattern in self._leave):
            return ""
        if name in self._fed:
            return "interfaces feed this zone, and label_zones does not name it"
        return "the configuration does not name this zone"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"
