"""Which entries of the configuration are about an interface: those of which all conditions hold."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Dict, List, Sequence, Tuple

from netmgr.config.schema import InterfaceRule
from netmgr.model.inventory import Interface


def matches(rule: InterfaceRule, interface: Interface) -> bool:
    """Whether every condition of the entry holds for the interface."""
    return ((rule.pattern is None or fnmatchcase(interface.name, rule.pattern)
             or any(fnmatchcase(name, rule.pattern) for name in interface.altnames))
            and _matches_beside(rule, interface))


def _matches_beside(rule: InterfaceRule, interface: Interface) -> bool:
    """Whether every condition holds but for that on the name."""
    return (
        (rule.group is None or rule.group == interface.group)
        and (rule.kind is None or rule.kind == interface.kind)
        and (rule.master is None or rule.master in interface.master)
        and (interface.default_route or not rule.default_route))


def is_one_name(pattern: str) -> bool:
    """Whether it is the name of one interface, and no pattern for several."""
    return not any(character in pattern for character in "*?[")


class Entries:
    """The entries, found by name where they say the name of one interface: for who asks about many interfaces."""

    def __init__(self, rules: Sequence[InterfaceRule]) -> None:
        self._rules, self._others = rules, [place for place, rule in enumerate(rules) if not _names_one(rule)]
        self._named: Dict[str, List[int]] = {}
        for place, rule in enumerate(rules):
            if _names_one(rule):
                self._named.setdefault(rule.pattern or "", []).append(place)

    def of(self, interface: Interface) -> Tuple[InterfaceRule, ...]:
        """Those that are about it, in their order."""
        rules, named = self._rules, {place for name in (interface.name, *interface.altnames) for place in self._named.get(name, ())}
        return tuple(rules[place] for place in sorted({*self._others, *named})
                     if (_matches_beside if place in named else matches)(rules[place], interface))


def _names_one(rule: InterfaceRule) -> bool:
    return rule.pattern is not None and is_one_name(rule.pattern)
