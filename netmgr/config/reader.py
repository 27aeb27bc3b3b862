"""Text -> Config, or ConfigError with every mistake in it.

The tables say which keys there are and what each may be; a function below each table makes the value of what was read.  A key with
`null` counts as left out, except where null means something (nftables.include_dir, docker.nftables_zone).

conf.d continues `interfaces` and `zones` in further files; one zone, or one set listed under `sets`, in two files is a mistake.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Iterable, List, Optional, Sequence, Tuple

from netmgr.config import kinds, scalars
from netmgr.config.choices import CHOICE, own
from netmgr.config.kinds import FLAG, Fields
from netmgr.config.schema import Config, Docker, InterfaceRule, Nftables, Zone, default_zone
from netmgr.config.set_rules import SET, set_rule
from netmgr.config.yaml_values import BOOLEAN, INTEGER, TEXT, Problems, Value, compose, flag
from netmgr.values.choice import ALL, with_own
from netmgr.values.errors import ConfigError, Entry
from netmgr.values.holds import excludes
from netmgr.values.sets import SetName
from netmgr.values.text import LEVELS

if TYPE_CHECKING:
    from netmgr.config.fleet import Fleet

DAY, YEAR = 86_400, 31_536_000
CONTINUED = ("interfaces", "zones")

IDENTIFIER = {"type": "string", "pattern": "^%s$" % scalars.IDENTIFIER, "maxLength": scalars.LONGEST_NAME}
ZONE_NAME = {**IDENTIFIER, "maxLength": scalars.LONGEST_ZONE}
SET_NAME = {"type": "string", "pattern": r"^(\s*(%s)\s+%s\s+)?%s\s*$" % (
    "|".join(scalars.FAMILIES), scalars.IDENTIFIER, scalars.IDENTIFIER)}
TABLE_NAME = {"type": "string", "pattern": r"^\s*(%s)\s+%s\s*$" % ("|".join(scalars.FAMILIES), scalars.IDENTIFIER)}
ABSOLUTE = {"type": "string", "pattern": "^/"}
GROUP = {"anyOf": [{"type": "string", "pattern": "^[^ ]+$"}, {"type": "integer", "minimum": 0, "maximum": 0xFFFFFFFF}]}
MODE = {"anyOf": [{"type": "string", "pattern": "^(0o?)?[0-7]{1,3}$"}, {"type": "integer"}]}

ZONE_NAMES = kinds.one_or_many("a zone name", scalars.zone_name, ZONE_NAME)
TABLE_EXPECTED = 'a family and a table such as "inet filter"'
SOCKET_PATH = kinds.text("an absolute path", scalars.socket_path, {**ABSOLUTE, "maxLength": scalars.LONGEST_SOCKET_PATH})


def parse(text: str, filename: str, more: Sequence[Tuple[str, str]] = ()) -> Config:
    """The Config that the text says, with those of conf.d: (filename, text).  ConfigError has a line for every mistake."""
    files = [_File(*each) for each in ((filename, text), *more)]
    for file in files[1:]:
        file.refuse_what_belongs_into(filename)
    config = _config(files)
    found = [remark for file in files for remark in file.problems.found()]
    if found:
        raise ConfigError(found)
    return config


class _File:
    """One file, its keys and what is wrong with them."""

    def __init__(self, filename: str, text: str) -> None:
        top = compose(text, filename)
        self.problems: Problems = top.problems
        self.fields = Fields(top, "a mapping", TOP)

    def refuse_what_belongs_into(self, main: str) -> None:
        """Only what a list of files can continue may stand in several."""
        for key in TOP:
            if key not in CONTINUED:
                self.fields.refuse(key, "expected only %s in this file, got what belongs into %s" % (" and ".join(CONTINUED), main))


def _config(files: List[_File]) -> Config:
    main = files[0].fields
    interfaces = tuple(rule for file in files for rule in file.fields.each("interfaces"))
    nftables = main.read("nftables", Nftables())
    engines = _engines(files[0])
    zones = _zones(files, nftables)
    named = [name for rule in interfaces for name in rule.zones] + list(zones) + [zone for _engine, own in engines for zone in own]
    default = Config((), {})
    fleet = main.read("fleet", default.fleet)
    named += [zone for zone in (() if fleet is None else fleet.zones()) if zone]
    for ignored in ("nftables_rules_path", "http_bind_addr"):
        main.read(ignored, "")
    return Config(
        interfaces, {name: zones.get(name) or default_zone(name, nftables) for name in named}, nftables,
        tuple(engine for engine, _own in engines),
        main.read("socket_path", default.socket_path), main.read("socket_mode", default.socket_mode),
        main.read("socket_group", default.socket_group), main.read("log_level", default.log_level),
        fleet, tuple(file.problems.filename for file in files), main.where("socket_group"))


def _engines(file: _File) -> Tuple[Tuple[Docker, Tuple[str, ...]], ...]:
    """Each with the zones that it names."""
    engines: Tuple[Tuple[Docker, Tuple[str, ...]], ...] = file.fields.read("docker", ((Docker(), ()),))
    first: Dict[str, Optional[Entry]] = {}
    for engine, _zones_named in engines:
        before = first.setdefault(engine.name, engine.entry)
        if engine.entry and before and before != engine.entry:
            file.problems.add(engine.entry, "expected a name of its own, got %s again (it is in line %d, too)" % (engine.name, before.line))
    place = file.fields.where("docker")
    return tuple((engine._replace(entry=place) if place and engine.entry and engine.entry.key == place.key else engine, zones)
                 for engine, zones in engines)


def _zones(files: List[_File], nftables: Nftables) -> Dict[str, Zone]:
    """Those of all files, in the default table where they name none."""
    zones: Dict[str, Zone] = {}
    for file in files:
        for zone in file.fields.each("zones"):
            if not zone.name:
                continue
            if zone.name not in zones:
                zones[zone.name] = zone if zone.tables else zone._replace(tables=(nftables.table,))
            else:
                file.problems.add(zone.entry,
                                  "expected the zone in one file, got it again (it is in %s, too)" % str(zones[zone.name].entry))
    _refuse_sets_in_two_files(files, zones.values())
    for zone in zones.values():
        _refuse_sets_that_stand_twice(files, zone)
    return zones


def _refuse_sets_in_two_files(files: List[_File], zones: Iterable[Zone]) -> None:
    seen: Dict[SetName, Entry] = {}
    problems = {file.problems.filename: file.problems for file in files}
    for zone in zones:
        for rule in zone.sets:
            for family, table in [rule.table] if rule.table else zone.tables:
                first = seen.setdefault(SetName(family, table, rule.name), rule.entry)
                if first.file != rule.entry.file:
                    problems[rule.entry.file].add(rule.entry, "expected the set in one file, got it again (it is in %s, too)" % str(first))


def _refuse_sets_that_stand_twice(files: List[_File], zone: Zone) -> None:
    """A name without a table is for those tables of the zone that are not named with it."""
    named: Dict[SetName, Entry] = {}
    for rule in sorted(zone.sets, key=lambda rule: rule.table is None):
        names = [SetName(*table, rule.name) for table in ([rule.table] if rule.table else zone.tables)]
        first, last = sorted((named.get(names[0], rule.entry), rule.entry), key=lambda entry: entry.line)
        if rule.name and all(name in named for name in names):
            problems = next(file.problems for file in files if file.problems.filename == rule.entry.file)
            problems.add(last, "expected a set once in a zone, got it again (line %d names it, too)" % first.line)
        named.update((name, named.get(name, rule.entry)) for name in names)


def _true(text: str) -> bool:
    if not flag(text):
        raise ValueError("to leave it open, leave it out")
    return True


CONDITIONS = {
    "name": kinds.text("an interface name or a shell pattern", scalars.interface_pattern, {"type": "string", "pattern": r"^[^\s/:]+$"}),
    "group": kinds.text("the number or the name of a group of interfaces", scalars.group, GROUP, (TEXT, INTEGER)),
    "kind": kinds.text("a kind of interface such as wireguard", scalars.word),
    "master": kinds.text("the name of an interface", scalars.interface_name, {"type": "string", "pattern": r"^[^\s/:]+$"}),
    "default_route": kinds.text("true", _true, {"enum": [True]}, (BOOLEAN,)),
}

INTERFACE = {
    **CONDITIONS,
    "dhcp": FLAG,
    "address": kinds.one_or_many("an address such as 192.0.2.1/24", scalars.expected_address,
                                 {"type": "string", "pattern": "^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$"}),
    "nftables_zone": ZONE_NAMES,
}


def _interface(fields: Fields) -> InterfaceRule:
    fields.require_one_of(CONDITIONS, "a condition")
    return InterfaceRule(
        fields.read("name", None), fields.read("dhcp", False), fields.each("address"), fields.each("nftables_zone"), fields.entry,
        fields.read("group", None), fields.read("kind", None), fields.read("master", None), fields.read("default_route", False))


ZONE = {
    "table": kinds.one_or_many(TABLE_EXPECTED, scalars.table, TABLE_NAME),
    **CHOICE,
    "exclusive": FLAG,
    "convention": FLAG,
    "sets": kinds.mapping("a mapping from sets to what they hold", "a set name", scalars.set_name, set_rule, SET_NAME,
                          {"anyOf": [SET["holds"].schema, kinds.of_table(SET, ("holds",))]}),
}


def _zone(name: Optional[str], key: Value, value: Value) -> Zone:
    fields = Fields(value, "a mapping", ZONE)
    default = Zone("", ())
    said = own(fields)
    choice, of_others = with_own(default.choice, said), with_own(ALL, said)
    sets = tuple(rule._replace(choice=with_own(choice if not rule.holds or excludes(rule.holds, rule.value) else of_others, its_own))
                 for rule, its_own in fields.each("sets"))
    return Zone(name or "", tuple(dict.fromkeys(fields.each("table"))), choice, fields.read("exclusive", default.exclusive),
                fields.read("convention", default.convention), sets, key.entry)


NFTABLES = {
    "table": kinds.text(TABLE_EXPECTED, scalars.table, TABLE_NAME),
    "create": FLAG,
    "on_stop": kinds.choice("keep", "remove"),
    "include_dir": kinds.text("an absolute path", scalars.path, ABSOLUTE),
    "audit_interval": kinds.number("0, or seconds from 0.1 to %d" % YEAR, 0.1, YEAR, or_zero=True),
    "watch": kinds.choice("events", "poll"),
    "poll_interval": kinds.number("seconds from 0.01 to %d" % DAY, 0.01, DAY),
}


def _nftables(fields: Fields) -> Nftables:
    default = Nftables()
    return Nftables(
        fields.read("table", default.table), fields.read("create", default.create), fields.read("on_stop", default.on_stop),
        fields.or_null("include_dir", default.include_dir), fields.read("audit_interval", default.audit_interval),
        fields.read("watch", default.watch), fields.read("poll_interval", default.poll_interval))


def _enabled(text: str) -> str:
    return text if text == "auto" else str(flag(text)).lower()


def _network(pattern: Optional[str], _key: Value, value: Value) -> Tuple[Tuple[str, str], ...]:
    return tuple((pattern or "", zone) for zone in ZONE_NAMES.read(value))


DOCKER = {
    "name": kinds.text("a name for this engine", scalars.engine_name, {"type": "string", "pattern": "^%s$" % scalars.ENGINE_NAME}),
    "enabled": kinds.text("auto, true or false", _enabled, {"enum": ["auto", True, False, "true", "false"]}, (TEXT, BOOLEAN)),
    "socket": kinds.text("an absolute path", scalars.engine_socket, {"type": "string", "pattern": "^(unix://)?/"}),
    "nftables_zone": kinds.text("a zone name or null", scalars.zone_name, ZONE_NAME),
    "label": kinds.text("the name of a label or null", scalars.word),
    "label_zones": kinds.one_or_many("a zone name or a shell pattern", scalars.zone_pattern),
    "networks": kinds.mapping("a mapping from networks to zones", "the name of a network or a shell pattern", scalars.network_pattern,
                              _network, {"minLength": 1}, ZONE_NAMES.schema),
    "require_healthy": FLAG,
    "grace": kinds.number("seconds from 0 to %d" % YEAR, 0, YEAR),
    "poll_interval": kinds.number("seconds from 0.1 to %d" % DAY, 0.1, DAY),
}


def _docker(fields: Fields) -> Tuple[Docker, Tuple[str, ...]]:
    """With the zones that it names."""
    default = Docker()
    docker = Docker(
        fields.read("enabled", default.enabled), fields.read("socket", default.socket),
        fields.or_null("nftables_zone", default.zone), fields.or_null("label", default.label),
        tuple(pair for pairs in fields.each("networks") for pair in pairs),
        fields.read("require_healthy", default.require_healthy), fields.read("grace", default.grace), fields.entry,
        fields.read("name", default.name), fields.each("label_zones"), fields.read("poll_interval", default.poll_interval))
    own = (docker.zone,) if docker.zone is not None and fields.given("nftables_zone") else ()
    by_label = tuple(zone for zone in docker.label_zones if not any(each in zone for each in "*?["))
    return docker, own + tuple(zone for _pattern, zone in docker.networks) + by_label


def _named_engine(fields: Fields) -> Tuple[Docker, Tuple[str, ...]]:
    fields.required("name", "")
    return _docker(fields)


def _fleet(value: Value) -> Optional[Fleet]:
    from netmgr.config.fleet_reader import KIND
    found: Optional[Fleet] = KIND.read(value)
    return found


TOP = {
    "interfaces": kinds.list_of("a list of interfaces", kinds.section(
        "a mapping with a name or another condition", INTERFACE, _interface, one_of=CONDITIONS)),
    "zones": kinds.mapping("a mapping of zones", "a zone name", scalars.zone_name, _zone, ZONE_NAME,
                           {"anyOf": [kinds.of_table(ZONE), {"type": "null"}]}),
    "nftables": kinds.section("a mapping", NFTABLES, _nftables),
    "docker": kinds.one_or_list(
        kinds.section("a mapping", DOCKER, _docker, hint="to leave containers alone: docker: {enabled: false}"),
        kinds.section("a mapping with a name", DOCKER, _named_engine, ("name",))),
    "fleet": kinds.Kind("a mapping", _fleet, {"type": "object"}),
    "socket_path": SOCKET_PATH,
    "socket_mode": kinds.text('an octal mode such as "0660"', scalars.mode, MODE, (TEXT, INTEGER)),
    "socket_group": kinds.text("the name of a group", scalars.word),
    "log_level": kinds.choice(*LEVELS),
    "nftables_rules_path": kinds.text("text", str, {"type": "string"}),
    "http_bind_addr": kinds.text("text", str, {"type": "string"}),
}
