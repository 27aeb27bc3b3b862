"""A first configuration, from what is there: the text that `netmgr init` writes, and what was guessed for it.

Who carries a default route is zone wan, every other interface zone lan.  Ports of bridges and bonds are left out, for their addresses are
the bridge's, and so is what container engines make for themselves.  The sets of the ruleset that bear names of the convention say in
which tables the zones are.
"""

import re
from collections import Counter
from typing import AbstractSet, Dict, Iterable, Iterator, List, Optional, Tuple

from netmgr.config.convention import CONVENTION
from netmgr.config.schema import Docker, Nftables, Table
from netmgr.config.yaml_values import FLAGS
from netmgr.model.inventory import Interface, Inventory
from netmgr.values import addresses
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.sets import SetName
from netmgr.values.text import number

WAN, LAN = "wan", "lan"
BRIDGES = ("bridge", "bond", "team", "openvswitch")
ENGINES_OWN = re.compile("docker0|docker_gwbridge|br-[0-9a-f]{12}|podman[0-9]*|cni-podman[0-9]*|cni0")
PLAIN = re.compile("[A-Za-z][A-Za-z0-9_.-]*")       # what YAML takes for a text, if it is no word of YAML's own

EXAMPLE = """\
# No set of the ruleset has a name that netmgr would fill.  In /etc/nftables.conf, for instance:
#
#     table inet filter {
#         set %s_ips {
#             type ipv4_addr
#             include "/run/netmgr/inet.filter.%s_ips[.]nft"
#         }
#     }
"""


class Seen(NamedTuple):
    """What is there; `sets` None: nobody may look.  `engine` is the socket of a container engine."""

    inventory: Inventory
    sets: Optional[AbstractSet[SetName]]
    engine: Optional[str]


def write(seen: Seen) -> Tuple[str, List[str]]:
    """The text, and each guess in words."""
    zones = _zones(seen.inventory)
    tables = _tables(seen.sets or (), {*zones.values(), *([Docker().zone or ""] if seen.engine else [])})
    main = _main_table(tables)
    parts = [
        "# /etc/netmgr/config.yaml, by `netmgr init` from what was there: see netmgr.yaml(5), then `netmgr check` and `netmgr diff`.\n",
        "".join(_interfaces(seen.inventory, zones)),
        "nftables:\n  table: %s %s\n" % main if main != Nftables().table else "",
        _docker(seen.engine),
        "".join(_other_tables(tables, main)),
        "" if seen.sets is None or tables else EXAMPLE % ((next(iter(zones.values()), WAN),) * 2),
        "".join(_others(seen.sets or (), tables)),
    ]
    return "\n".join(part for part in parts if part), list(_guesses(seen, zones, tables, main))


def _zones(inventory: Inventory) -> Dict[int, str]:
    """The zone of each interface that has one, by its index; uplinks first."""
    found = {}
    for index, link in sorted(inventory.links.items()):
        interface = inventory.interface(index)
        master = inventory.links.get(link.master)
        if interface.name == "lo" or ENGINES_OWN.fullmatch(interface.name) or (master is not None and master.kind in BRIDGES):
            continue
        if (link.up or inventory.addresses.get(index)) and interface.name.isprintable():
            found[index] = WAN if interface.default_route else LAN
    return dict(sorted(found.items(), key=lambda each: (each[1] != WAN, each[0])))


def _interfaces(inventory: Inventory, zones: Dict[int, str]) -> Iterator[str]:
    yield "interfaces:%s\n" % ("" if zones else " []")
    for index, zone in zones.items():
        interface = inventory.interface(index)
        yield "  - name: %s%s\n    nftables_zone: %s\n" % (_quoted(interface.name), _remark(inventory, index, interface), zone)


def _remark(inventory: Inventory, index: int, interface: Interface) -> str:
    held = sorted(inventory.addresses.get(index, {}), key=lambda key: (len(key), key))
    shown = ["%s/%d" % (addresses.text(addresses.local(key)), addresses.prefixlen(key)) for key in held
             if not addresses.kinds(addresses.local(key), 0) & addresses.LINK_LOCAL]
    words = [*(["carries a default route"] if interface.default_route else []), *([interface.kind] if interface.kind else []), *shown[:3]]
    return "".join(["    # ", ", ".join(words)]) if words else ""


def _quoted(name: str) -> str:
    if PLAIN.fullmatch(name) and name.lower() not in FLAGS and name.lower() not in ("null", "y", "n"):
        return name
    return "'%s'" % name.replace("'", "''")


def _tables(names: Iterable[SetName], zones: AbstractSet[str]) -> Dict[str, List[Table]]:
    """In which tables each of these zones has sets."""
    found: Dict[str, Dict[Table, None]] = {}
    for name in sorted(names):
        zone = _zone_of(name.name)
        if zone in zones:
            found.setdefault(zone, {})[name[:2]] = None
    return {zone: list(tables) for zone, tables in sorted(found.items())}


def _zone_of(name: str) -> str:
    return next((name[:-len(row.suffix)] for row in CONVENTION if name.endswith(row.suffix)), "")


def _main_table(tables: Dict[str, List[Table]]) -> Table:
    counted = Counter(table for of_zone in tables.values() for table in of_zone)
    default = Nftables().table
    return max(counted, key=lambda table: (counted[table], table == default)) if counted else default


def _docker(engine: Optional[str]) -> str:
    if engine is None:
        return ""
    usual = engine == Docker().socket
    return "docker:                       # containers join the zone docker\n%s" % (
        "  enabled: auto\n" if usual else "  socket: %s\n" % engine)


def _other_tables(tables: Dict[str, List[Table]], main: Table) -> Iterator[str]:
    elsewhere = {zone: of_zone for zone, of_zone in tables.items() if of_zone != [main]}
    if elsewhere:
        yield "zones:\n"
    for zone, of_zone in elsewhere.items():
        yield "  %s:\n    table: [%s]\n" % (zone, ", ".join("%s %s" % table for table in of_zone))


def _others(names: Iterable[SetName], tables: Dict[str, List[Table]]) -> Iterator[str]:
    """Sets of zones in which nothing is."""
    zones: Dict[str, List[str]] = {}
    for name in sorted(names):
        zone = _zone_of(name.name)
        if zone and zone not in tables:
            zones.setdefault(zone, []).append(str(name))
    if zones:
        yield "# These sets have names of the convention, and no zone: put an interface into it, if they are meant for netmgr.\n"
    for zone, of_zone in zones.items():
        yield "#   zone %s: %s\n" % (zone, ", ".join(of_zone))


def _guesses(seen: Seen, zones: Dict[int, str], tables: Dict[str, List[Table]], main: Table) -> Iterator[str]:
    for zone, why in ((WAN, "a default route leads over it"), (LAN, "no default route leads over it")):
        names = [seen.inventory.interface(index).name for index, each in zones.items() if each == zone]
        if names:
            yield "%s: zone %s, for %s" % (", ".join(names), zone, why)
    if WAN not in zones.values():
        yield "no interface carries a default route: nothing is in a zone wan"
    left_out = len(seen.inventory.links) - len(zones)
    if left_out:
        yield "%s left out: loopback, ports of bridges, those of container engines, those that are down" % number(left_out, "interface")
    if seen.sets is None:
        yield "the sets of the ruleset were not looked at"
    elif tables:
        yield "table %s %s, for it has sets of %s" % (*main, ", ".join(zone for zone, of_zone in tables.items() if main in of_zone))
    else:
        yield "no set of the ruleset has a name that netmgr would fill"
    if seen.engine is not None:
        yield "containers by %s" % seen.engine
