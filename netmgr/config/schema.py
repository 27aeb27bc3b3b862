"""The configuration: text -> Config, or ConfigError with every mistake in it.

What is valid here can be acted on: names are what nft's grammar and the kernel take, numbers are in range, paths fit.  Whether
interfaces, tables and sets exist is not asked; they may come and go.  A key with `null` counts as left out, except where null
means something (nftables.include_dir, docker.nftables_zone).
"""

from typing import Dict, NamedTuple, Optional, Tuple

from netmgr.config import scalars
from netmgr.config.yaml_values import BOOLEAN, INTEGER, TEXT, Fields, Value, alternatives, compose, flag, one_of
from netmgr.values import addresses
from netmgr.values.text import LEVELS

HOLDS = ("addresses", "networks", "interfaces")
DAY, YEAR = 86_400, 31_536_000

TOP_KEYS = ("interfaces", "zones", "nftables", "docker", "socket_path", "socket_mode", "socket_group", "log_level",
            "nftables_rules_path", "http_bind_addr")
INTERFACE_KEYS = ("name", "dhcp", "address", "nftables_zone")
ZONE_KEYS = ("table", "exclude", "exclusive", "sets")
SET_KEYS = ("holds", "exclude")
NFTABLES_KEYS = ("table", "create", "on_stop", "include_dir", "audit_interval", "watch", "poll_interval")
DOCKER_KEYS = ("enabled", "socket", "nftables_zone", "label", "networks", "require_healthy", "grace")


class InterfaceRule(NamedTuple):
    """One entry of `interfaces`.  The addresses are expected ones, packed, each with its prefix length."""

    pattern: str
    dhcp: bool
    addresses: Tuple[Tuple[bytes, int], ...]
    zones: Tuple[str, ...]


class SetRule(NamedTuple):
    """One set that a zone fills; `holds` is one of HOLDS, `exclude` a mask of the kinds in netmgr.values.addresses."""

    name: str
    holds: str
    exclude: int


class Zone(NamedTuple):
    """A zone and where its sets are.  `sets` None: those of the naming convention."""

    name: str
    family: str
    table: str
    exclude: int = addresses.LINK_LOCAL
    exclusive: bool = False
    sets: Optional[Tuple[SetRule, ...]] = None


class Nftables(NamedTuple):
    """The `nftables` section.  Intervals are seconds; an audit_interval of 0 is never."""

    family: str = "inet"
    table: str = "filter"
    create: bool = False
    on_stop: str = "keep"
    include_dir: Optional[str] = "/run/netmgr"
    audit_interval: float = 300.0
    watch: str = "events"
    poll_interval: float = 0.5


class Docker(NamedTuple):
    """The `docker` section.  `enabled` is auto, true or false; `networks` pairs patterns with zones; `grace` is seconds."""

    enabled: str = "auto"
    socket: str = "/var/run/docker.sock"
    zone: Optional[str] = "docker"
    label: str = "netmgr.zone"
    networks: Tuple[Tuple[str, str], ...] = ()
    require_healthy: bool = False
    grace: float = 10.0


class Config(NamedTuple):
    """A whole configuration.  `zones` has every zone that the text names: in interfaces, then in zones, then in docker."""

    interfaces: Tuple[InterfaceRule, ...]
    zones: Dict[str, Zone]
    nftables: Nftables = Nftables()
    docker: Docker = Docker()
    socket_path: Optional[str] = None
    socket_mode: int = 0o660
    socket_group: Optional[str] = None
    log_level: str = "info"


def parse(text: str, filename: str) -> Config:
    """The Config that the text says.  ConfigError has a line for every mistake: FILE:LINE: key.path: expected …, got …"""
    top = compose(text, filename)
    fields = top.fields("a mapping", TOP_KEYS)
    interfaces = _interfaces(fields)
    nftables = _nftables(fields)
    docker, docker_zones = _docker(fields)
    zones = _zones(fields, nftables)
    for ignored in ("nftables_rules_path", "http_bind_addr"):
        fields.read(ignored, lambda value: value.scalar("text", str), "")
    named = [name for rule in interfaces for name in rule.zones] + list(zones) + list(docker_zones)
    every_zone = {name: zones.get(name) or default_zone(name, nftables) for name in named}
    config = _with_socket_and_log(fields, Config(interfaces, every_zone, nftables, docker))
    top.problems.settle()
    return config


def default_zone(name: str, nftables: Nftables) -> Zone:
    """A zone about which nothing is configured.  ValueError when sets cannot be named after it."""
    return Zone(scalars.zone_name(name), nftables.family, nftables.table)


def _with_socket_and_log(fields: Fields, config: Config) -> Config:
    return config._replace(
        socket_path=fields.read("socket_path", _socket_path, None),
        socket_mode=fields.read("socket_mode", _socket_mode, config.socket_mode),
        socket_group=fields.read("socket_group", lambda value: value.scalar("the name of a group", scalars.word), None),
        log_level=fields.read("log_level", lambda value: value.choice(*LEVELS), config.log_level),
    )


def _interfaces(top: Fields) -> Tuple[InterfaceRule, ...]:
    value = top.given("interfaces")
    return () if value is None else tuple(_interface(item) for item in value.items("a list of interfaces"))


def _interface(value: Value) -> InterfaceRule:
    fields = value.fields("a mapping with a name", INTERFACE_KEYS)
    return InterfaceRule(
        fields.required("name", "an interface name or a shell pattern", scalars.interface_pattern, ""),
        fields.read("dhcp", Value.flag, False),
        fields.read("address", lambda value: value.one_or_many("an address such as 192.0.2.1/24", scalars.address), ()),
        fields.read("nftables_zone", _zone_names, ()),
    )


def _zones(top: Fields, nftables: Nftables) -> Dict[str, Zone]:
    value = top.given("zones")
    zones = [] if value is None else [_zone(key, settings, nftables) for key, settings in value.entries("a mapping of zones")]
    return {zone.name: zone for zone in zones if zone.name}


def _zone(key: Value, value: Value, nftables: Nftables) -> Zone:
    fields = value.fields("a mapping", ZONE_KEYS)
    zone = Zone(key.scalar("a zone name", scalars.zone_name) or "", *fields.read("table", _table, (nftables.family, nftables.table)))
    zone = zone._replace(exclude=_exclude(fields, zone.exclude), exclusive=fields.read("exclusive", Value.flag, zone.exclusive))
    sets = fields.given("sets")
    return zone if sets is None else zone._replace(sets=_sets(sets, zone.exclude))


def _sets(value: Value, exclude: int) -> Tuple[SetRule, ...]:
    return tuple(_set(key, settings, exclude) for key, settings in value.entries("a mapping from sets to what they hold"))


def _set(key: Value, value: Value, exclude: int) -> SetRule:
    name = key.scalar("a set name", scalars.identifier) or ""
    if not value.is_mapping:
        return SetRule(name, value.choice(*HOLDS) or "", exclude)
    fields = value.fields("a mapping", SET_KEYS)
    return SetRule(name, fields.required("holds", alternatives(HOLDS), lambda text: one_of(HOLDS, text), ""), _exclude(fields, exclude))


def _exclude(fields: Fields, default: int) -> int:
    value = fields.given("exclude")
    if value is None:
        return default
    return sum(set(value.one_or_many(alternatives(tuple(addresses.KINDS)), scalars.kind)))


def _nftables(top: Fields) -> Nftables:
    value, default = top.given("nftables"), Nftables()
    if value is None:
        return default
    fields = value.fields("a mapping", NFTABLES_KEYS)
    family, table = fields.read("table", _table, (default.family, default.table))
    return Nftables(
        family, table,
        fields.read("create", Value.flag, default.create),
        fields.read("on_stop", lambda value: value.choice("keep", "remove"), default.on_stop),
        fields.read_or_null("include_dir", lambda value: value.scalar("an absolute path", scalars.path), default.include_dir),
        fields.read("audit_interval", _audit_interval, default.audit_interval),
        fields.read("watch", lambda value: value.choice("events", "poll"), default.watch),
        fields.read("poll_interval", lambda value: value.number("seconds from 0.01 to %d" % DAY, 0.01, DAY), default.poll_interval),
    )


def _docker(top: Fields) -> Tuple[Docker, Tuple[str, ...]]:
    value, default = top.given("docker"), Docker()
    if value is None:
        return default, ()
    fields = value.fields("a mapping", DOCKER_KEYS)
    docker = Docker(
        fields.read("enabled", lambda value: value.scalar("auto, true or false", _enabled, (TEXT, BOOLEAN)), default.enabled),
        fields.read("socket", _socket_path, default.socket),
        fields.read_or_null("nftables_zone", lambda value: value.scalar("a zone name or null", scalars.zone_name), default.zone),
        fields.read("label", lambda value: value.scalar("the name of a label", scalars.word), default.label),
        fields.read("networks", _networks, default.networks),
        fields.read("require_healthy", Value.flag, default.require_healthy),
        fields.read("grace", lambda value: value.number("seconds from 0 to %d" % YEAR, 0, YEAR), default.grace),
    )
    own = (docker.zone,) if docker.zone is not None and fields.given("nftables_zone") is not None else ()
    return docker, own + tuple(zone for _pattern, zone in docker.networks)


def _networks(value: Value) -> Tuple[Tuple[str, str], ...]:
    entries = value.entries("a mapping from networks to zones")
    named = [(key.scalar("the name of a network or a shell pattern", scalars.pattern) or "", _zone_names(zones)) for key, zones in entries]
    return tuple((pattern, zone) for pattern, zones in named for zone in zones)


def _zone_names(value: Value) -> Tuple[str, ...]:
    return value.one_or_many("a zone name", scalars.zone_name)


def _table(value: Value) -> Optional[Tuple[str, str]]:
    return value.scalar('a family and a table such as "inet filter"', scalars.table)


def _socket_path(value: Value) -> Optional[str]:
    return value.scalar("an absolute path", scalars.socket_path)


def _socket_mode(value: Value) -> Optional[int]:
    return value.scalar('an octal mode such as "0660"', scalars.mode, (TEXT, INTEGER))


def _audit_interval(value: Value) -> Optional[float]:
    return 0.0 if value.is_zero else value.number("0, or seconds from 0.1 to %d" % YEAR, 0.1, YEAR)


def _enabled(text: str) -> str:
    return text if text == "auto" else str(flag(text)).lower()
