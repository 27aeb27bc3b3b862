"""The commands that look at the kernel themselves, without a daemon and without changing anything: check and diff."""

import os
import sys
from contextlib import closing
from functools import partial
from typing import Callable, Generator, List, Optional, Tuple, TypeVar

from netmgr.config.schema import Config
from netmgr.daemon import NEEDS_CAPABILITY
from netmgr.io.configuration import load
from netmgr.io.default_routes import read_default_routes
from netmgr.io.marked_sets import marked_sets
from netmgr.io.meanwhile import Meanwhile
from netmgr.io.nft import Nft
from netmgr.io.rtnetlink import EventSocket, RequestSocket
from netmgr.model.inventory import Inventory
from netmgr.show import advice, differences
from netmgr.values.counters import Told
from netmgr.values.errors import ConfigError, Entry, ProtocolError, Remark
from netmgr.values.outcomes import Reading
from netmgr.values.sets import SetInfo
from netmgr.values.text import printable_lines, reason

DONE, FAILED, DIFFERENT, TROUBLE = 0, 1, 1, 2

Result = TypeVar("Result")


def check(config_path: str, strict: bool, as_json: bool) -> Tuple[int, str]:
    """`netmgr check`: 0 and the sets that would be filled, with warnings, or 1 when the file has errors; these go to standard error."""
    config, errors = _read(config_path)
    seen = None if config is None else _look(config)
    warnings = [] if config is None or seen is None else advice.warnings(config, seen)
    status = FAILED if errors or (strict and warnings) else DONE
    if as_json:
        return status, advice.json_text(errors, warnings)
    if config is None or seen is None:
        _complain("%s\n%s" % ("\n".join(map(str, errors)), advice.summary(config_path, len(errors), 0).rstrip()))
        return status, ""
    sets = None if seen.ruleset is None else seen.ruleset.sets
    return status, printable_lines("".join((
        differences.check_text(config, None if sets is None else sets.get), advice.text(warnings),
        advice.summary(config_path, 0, len(warnings)))))


def diff(config_path: str) -> Tuple[int, str]:
    """`netmgr diff`, as diff(1): the nft commands that a start would amount to, and whether there are any; 2 when that cannot be said."""
    config, errors = _read(config_path)
    if config is None:
        _complain("\n".join(map(str, errors)))
        return TROUBLE, ""
    containers_unknown = _engine_is_there(config)
    try:
        with closing(Nft()) as nft:
            found = differences.of_a_start(config, _Patient(nft), what_there_is(), containers_unknown)
            tables = set() if config.nftables.create else {name[:2] for name in differences.candidates(config)} - set(nft.tables())
    except (OSError, ProtocolError) as problem:
        _complain("netmgr: %s" % (NEEDS_CAPABILITY if isinstance(problem, PermissionError) else problem))
        return TROUBLE, ""
    for table in sorted(tables):
        _complain("netmgr: there is no table %s %s, so its sets would not be filled" % table)
    return DIFFERENT if found.changes else DONE, differences.text(found)


def what_there_is() -> Inventory:
    """Links, addresses in their order and default routes.  OSError, ProtocolError."""
    inventory = Inventory()
    inventory.keep_order()
    with closing(EventSocket()) as events, closing(RequestSocket()) as requests:
        meanwhile = Meanwhile(events, Told())
        snapshot = requests.snapshot(meanwhile.listen)
    inventory.replace_interfaces(snapshot.links, snapshot.addresses)
    for event in meanwhile.events:
        inventory.apply(event)
    inventory.replace_defaults(read_default_routes())
    return inventory


class _Patient:
    """A kernel of whose sets a reading is repeated until it is verified: nothing else is kept waiting here."""

    def __init__(self, nft: Nft) -> None:
        self._nft = nft
        self.generation, self.inspect, self.commit = nft.generation, nft.inspect, nft.commit
        self.marked = partial(marked_sets, nft.spare)

    def reading(self, info: SetInfo) -> Generator[None, None, Reading]:
        """In no pieces."""
        yield from ()
        return self._nft.read(info)


def _read(path: str) -> Tuple[Optional[Config], List[Remark]]:
    try:
        return load(path), []
    except ConfigError as problem:
        return None, list(problem.remarks)
    except OSError as problem:
        return None, [Remark(Entry(path, 0), str(problem))]


def _look(config: Config) -> advice.Seen:
    inventory = _looked("interfaces", what_there_is)
    interfaces = None if inventory is None else [interface for interface, _addresses in inventory.interfaces()]
    ruleset = _looked("sets", lambda: _ruleset(config))
    return advice.Seen(interfaces, ruleset, _engine_is_there(config), _is_unknown(config.socket_group))


def _looked(what: str, look: Callable[[], Result]) -> Optional[Result]:
    try:
        return look()
    except (OSError, ProtocolError) as problem:
        _complain("netmgr: the kernel's %s were not looked at: %s" % (what, reason(problem)))
        return None


def _ruleset(config: Config) -> advice.Ruleset:
    with closing(Nft()) as nft:
        names = nft.sets()
        looked_at = ((name, nft.inspect(name, chains)) for name, chains in differences.candidates(config).items() if name in names)
        return advice.Ruleset(nft.tables(), names, {name: info for name, info in looked_at if info is not None})


def _engine_is_there(config: Config) -> bool:
    return any(engine.enabled != "false" and os.path.exists(engine.socket) for engine in config.docker)


def _is_unknown(group: Optional[str]) -> bool:
    import grp
    try:
        return group is not None and not group.isdecimal() and not grp.getgrnam(group)
    except KeyError:
        return True


def _complain(text: str) -> None:
    print(printable_lines(text), file=sys.stderr)
