"""What is valid and still may not be meant: the warnings of `netmgr check`.

They compare the configuration with what is there just now.  Interfaces and sets may come later, so none of them is an error.
"""

import re
from typing import AbstractSet, Dict, Iterator, List, Mapping, Optional, Sequence

from netmgr.config.schema import NOWHERE, Config, InterfaceRule, Table, Zone
from netmgr.model.inventory import Interface
from netmgr.model.selection import is_one_name, matches
from netmgr.model.zones import Feed, feeds_of_zone
from netmgr.values.errors import Entry, Remark
from netmgr.values.holds import agree, misfit, right_types
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.sets import SetInfo, SetName
from netmgr.values.text import number

# What people write who think of another notation, and what netmgr makes of it.
ODD_PATTERNS = (
    (r"\$", "a $ stands for itself: no variable is filled in"),
    (r"\^|.*\\", "this is no regular expression but a shell pattern, such as eth[0-9]*"),
    (r".*[{}]", "braces stand for themselves; eth[01] is eth0 and eth1, or write two entries"),
    (r".*\+$", "a + stands for itself; a * stands for any rest, as in ppp*"),
    (r"!", "a ! stands for itself: an entry cannot say which interfaces are not meant"),
)


class Ruleset(NamedTuple):
    """What the kernel has: tables, the names of all sets, and those that the configuration may fill."""

    tables: AbstractSet[Table]
    names: AbstractSet[SetName]
    sets: Mapping[SetName, SetInfo]


class Seen(NamedTuple):
    """What was looked at, None where that was not possible.  `stranger`: nobody knows the socket's group."""

    interfaces: Optional[Sequence[Interface]]
    ruleset: Optional[Ruleset]
    containers: bool
    stranger: bool


def warnings(config: Config, seen: Seen) -> List[Remark]:
    """Every warning, in the order of the files."""
    sets: Mapping[SetName, SetInfo] = {} if seen.ruleset is None else seen.ruleset.sets
    found = [*_about_interfaces(config, seen), *_about_zones(config, seen), *_about_groups(config, seen), *_about_quarrels(config, sets)]
    if seen.ruleset is not None:
        found += _about_tables(config, seen.ruleset)
        found += _about_sets(config, seen.ruleset)
    return sorted(found, key=lambda remark: (config.files.index(remark.entry.file), remark.entry.line))


def text(found: Sequence[Remark]) -> str:
    """As compilers have it."""
    return "".join("%s: warning: %s: %s\n" % (remark.entry, remark.entry.key, remark.message) for remark in found)


def json_text(errors: Sequence[Remark], found: Sequence[Remark]) -> str:
    """What `netmgr check --json` says."""
    import json
    told = {name: [{"file": entry.file, "line": entry.line or None, "key": entry.key, "message": message} for entry, message in remarks]
            for name, remarks in (("errors", errors), ("warnings", found))}
    return json.dumps({"schema": 1, "valid": not errors, **told}) + "\n"


def summary(path: str, errors: int, found: int) -> str:
    """The last line."""
    if errors:
        return "%s is not valid: %s\n" % (path, number(errors, "error"))
    return "%s is valid, %s\n" % (path, "with " + number(found, "warning") if found else "without a warning")


def _about_interfaces(config: Config, seen: Seen) -> Iterator[Remark]:
    for rule in config.interfaces:
        by_name = InterfaceRule(rule.pattern, False, (), ())
        odd = next((advice for pattern, advice in ODD_PATTERNS if rule.pattern and re.match(pattern, rule.pattern)), None)
        if odd is not None and not any(matches(by_name, each) for each in seen.interfaces or ()):
            yield _at(rule.entry, "name", 'is "%s" meant? %s' % (rule.pattern, odd))
        elif isinstance(rule.group, str):
            yield _at(rule.entry, "group", 'there is no group "%s" of interfaces' % rule.group)
        elif seen.interfaces is not None and not any(matches(rule, each) for each in seen.interfaces):
            yield _nobody(rule)


def _nobody(rule: InterfaceRule) -> Remark:
    """An entry that is about no interface that is there."""
    if rule.pattern is None or (rule.group, rule.kind, rule.master, rule.default_route) != (None, None, None, False):
        return Remark(rule.entry, "there is no such interface now")
    return _at(rule.entry, "name", 'there is no interface "%s" now' % rule.pattern if is_one_name(rule.pattern)
               else 'no interface that is there matches "%s"' % rule.pattern)


def _about_zones(config: Config, seen: Seen) -> Iterator[Remark]:
    """Where there is an engine, a container's label may name any zone that is left."""
    fed = {zone for rule in config.interfaces for zone in rule.zones}
    fed.update(each.zone for each in (config.fleet.consume if config.fleet else ()) if each.zone)
    for engine in config.docker:
        if engine.enabled != "false":
            fed.update(zone for _pattern, zone in engine.networks)
            fed.update((engine.zone or "", *(config.zones if seen.containers and engine.label else ())))
    for zone in config.zones.values():
        if zone.entry is not None and zone.name not in fed:
            yield Remark(zone.entry, "nothing feeds this zone: no entry of interfaces names it")


def _about_groups(config: Config, seen: Seen) -> Iterator[Remark]:
    if seen.stranger:
        yield Remark(config.group_entry or NOWHERE, 'there is no group "%s"' % config.socket_group)


def _about_tables(config: Config, ruleset: Ruleset) -> Iterator[Remark]:
    told: Dict[Table, None] = {}
    for zone in config.zones.values():
        for table in dict.fromkeys(feed.set[:2] for feed in feeds_of_zone(zone)):
            if table not in ruleset.tables and table not in told and not config.nftables.create:
                told[table] = None
                yield Remark(_place(config, zone), "there is no table %s %s" % table)


def _about_quarrels(config: Config, sets: Mapping[SetName, SetInfo]) -> Iterator[Remark]:
    """Two zones that no set can serve; where the set is there, one of them is told that it cannot be filled."""
    first: Dict[SetName, Feed] = {}
    for zone in config.zones.values():
        for feed in feeds_of_zone(zone):
            other = first.setdefault(feed.set, feed)
            if feed.set not in sets and not agree(feed.holds, feed.value, other.holds, other.value):
                yield Remark(_place(config, zone, feed), "zone %s takes it for %s, this zone for %s" % (
                    other.zone, _what_it_is(other), _what_it_is(feed)))


def _what_it_is(feed: Feed) -> str:
    return "a %s of %s" % ("set" if feed.value is None else "map", right_types(feed.holds, feed.value))


def _about_sets(config: Config, ruleset: Ruleset) -> Iterator[Remark]:
    for zone in config.zones.values():
        for feed in feeds_of_zone(zone):
            info = ruleset.sets.get(feed.set)
            wrong = None if info is None else misfit(info, feed.holds, feed.value)
            if wrong is not None:
                yield Remark(_place(config, zone, feed), "%s cannot be filled: %s" % (feed.set, wrong))
            elif _is_missing(feed, ruleset) and not (config.nftables.create and zone.convention and not zone.sets):
                yield Remark(_place(config, zone, feed), _missing(feed, ruleset))


def _is_missing(feed: Feed, ruleset: Ruleset) -> bool:
    """Told once for all of which one should exist, and not where even the tables are missing, which is told already."""
    return feed.one_of[:1] == (feed.set,) and not any(name in ruleset.names for name in feed.one_of) and any(
        name[:2] in ruleset.tables for name in feed.one_of)


def _missing(feed: Feed, ruleset: Ruleset) -> str:
    names = list(dict.fromkeys(name.name for name in feed.one_of))
    where = " or ".join(dict.fromkeys("%s %s" % name[:2] for name in feed.one_of))
    what = 'there is no set "%s" in %s' % (names[0], where) if len(names) == 1 else 'there is none of the sets %s in %s' % (
        ", ".join(names), where)
    elsewhere = sorted(str(name) for name in ruleset.names if name.name in names)
    return what + ("; there is %s" % ", ".join(elsewhere) if elsewhere else "")


def _place(config: Config, zone: Zone, feed: Optional[Feed] = None) -> Entry:
    """Where a zone gets one of its sets from: the list, the zone, or whoever names the zone."""
    listed = [rule.entry for rule in zone.sets if feed is not None and rule.name == feed.set.name and rule.table in (None, feed.set[:2])]
    if listed or zone.entry is not None:
        return listed[0] if listed else zone.entry or NOWHERE
    named = (_at(rule.entry, "nftables_zone", "").entry for rule in config.interfaces if zone.name in rule.zones)
    return next(named, next((engine.entry for engine in config.docker if engine.entry), NOWHERE))


def _at(entry: Entry, key: str, message: str) -> Remark:
    return Remark(entry._replace(key="%s.%s" % (entry.key, key)), message)
