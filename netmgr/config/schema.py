"""The configuration as one value.  netmgr/config/reader.py makes it of text.

What is in it can be acted on: names are what nft's grammar and the kernel take, numbers are in range, paths fit.  Whether interfaces,
tables and sets exist is not asked; they may come and go.  `entry` is where something stands in the user's files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Dict, Mapping, Optional, Tuple, Union

from netmgr.config import scalars
from netmgr.values.choice import USUAL, Choice
from netmgr.values.errors import Entry
from netmgr.values.holds import GATEWAYS, Value
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.sets import AND, Form

if TYPE_CHECKING:
    from netmgr.config.fleet import Fleet
else:
    Fleet = object          # loaded only where a fleet is configured


NOWHERE = Entry("", 0)

Table = Tuple[str, str]         # its family and its name


class InterfaceRule(NamedTuple):
    """One entry of `interfaces`: conditions, None where they are left open, and what they are for.

    The addresses are expected ones, packed, each with its prefix length; None: with any.  A `group` that is no number is one that
    nobody knows (see with_groups).
    """

    pattern: Optional[str]
    dhcp: bool
    addresses: Tuple[Tuple[bytes, Optional[int]], ...]
    zones: Tuple[str, ...]
    entry: Entry = NOWHERE
    group: Union[int, str, None] = None
    kind: Optional[str] = None
    master: Optional[str] = None
    default_route: bool = False


class SetRule(NamedTuple):
    """One set that a zone fills; `holds` is a word of netmgr.values.holds, `choice` says which addresses count.

    `table` None: it is looked up in each table of the zone.  `value`: it is a map to that.  `created`: what it is when netmgr makes it.
    `suffixes` are the host parts of hosts.
    """

    name: str
    holds: str
    choice: Choice
    table: Optional[Table] = None
    entry: Entry = NOWHERE
    value: Optional[Value] = None
    created: Optional[Form] = None
    suffixes: Tuple[bytes, ...] = ()


class Zone(NamedTuple):
    """A zone and where its sets are: those of the naming convention, unless that is off, and those that are listed.

    `entry` is None for a zone about which nothing is configured.
    """

    name: str
    tables: Tuple[Table, ...]
    choice: Choice = USUAL
    exclusive: bool = False
    convention: bool = True
    sets: Tuple[SetRule, ...] = ()
    entry: Optional[Entry] = None


class Nftables(NamedTuple):
    """The `nftables` section.  Intervals are seconds; an audit_interval of 0 is never."""

    table: Table = ("inet", "filter")
    create: bool = False
    on_stop: str = "keep"
    include_dir: Optional[str] = "/run/netmgr"
    audit_interval: float = 300.0
    watch: str = "events"
    poll_interval: float = 0.5


class Docker(NamedTuple):
    """A container engine: the `docker` section, or one of several.

    `enabled` is auto, true or false; `networks` pairs patterns with zones; `label` None: labels are not looked at; `label_zones` are names
    and patterns; `grace` and `poll_interval` are seconds.
    """

    enabled: str = "auto"
    socket: str = "/var/run/docker.sock"
    zone: Optional[str] = "docker"
    label: Optional[str] = "netmgr.zone"
    networks: Tuple[Tuple[str, str], ...] = ()
    require_healthy: bool = False
    grace: float = 10.0
    entry: Optional[Entry] = None
    name: str = ""
    label_zones: Tuple[str, ...] = ()
    poll_interval: float = 5.0


class Config(NamedTuple):
    """A whole configuration.  `zones` has every zone that the text names: in interfaces, then in zones, then in docker.

    `files` are where it comes from, `group_entry` is where the socket's group stands.
    """

    interfaces: Tuple[InterfaceRule, ...]
    zones: Dict[str, Zone]
    nftables: Nftables = Nftables()
    docker: Tuple[Docker, ...] = (Docker(),)
    socket_path: Optional[str] = None
    socket_mode: int = 0o660
    socket_group: Optional[str] = None
    log_level: str = "info"
    fleet: Optional[Fleet] = None
    files: Tuple[str, ...] = ()
    group_entry: Optional[Entry] = None


def with_groups(config: Config, numbers: Mapping[str, int]) -> Config:
    """The same with the numbers of the groups of interfaces that it names."""
    rules = [rule._replace(group=numbers.get(rule.group, rule.group)) if isinstance(rule.group, str) else rule
             for rule in config.interfaces]
    return config._replace(interfaces=tuple(rules))


def needs_routes(config: Config) -> bool:
    """Whether anything depends on default routes."""
    return any(rule.default_route for rule in config.interfaces) or holds_gateways(config)


def holds_gateways(config: Config) -> bool:
    """Whether a set holds next hops of default routes."""
    return any(GATEWAYS in rule.holds.split(AND) for zone in config.zones.values() for rule in zone.sets)


def default_zone(name: str, nftables: Nftables) -> Zone:
    """A zone about which nothing is configured.  ValueError when sets cannot be named after it."""
    return Zone(scalars.zone_name(name), (nftables.table,))
