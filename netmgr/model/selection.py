"""Which entries of the configuration are about an interface: those of which all conditions hold."""

from fnmatch import fnmatchcase

from netmgr.config.schema import InterfaceRule
from netmgr.model.inventory import Interface


def matches(rule: InterfaceRule, interface: Interface) -> bool:
    """Whether every condition of the entry holds for the interface."""
    return (
        (rule.pattern is None or fnmatchcase(interface.name, rule.pattern)
         or any(fnmatchcase(name, rule.pattern) for name in interface.altnames))
        and (rule.group is None or rule.group == interface.group)
        and (rule.kind is None or rule.kind == interface.kind)
        and (rule.master is None or rule.master in interface.master)
        and (interface.default_route or not rule.default_route))


def is_one_name(pattern: str) -> bool:
    """Whether it is the name of one interface, and no pattern for several."""
    return not any(character in pattern for character in "*?[")
