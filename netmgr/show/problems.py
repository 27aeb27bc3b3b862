"""What is wrong, taken from the status: what it is about, since when, and what can be done.

Whoever answers to the status has one list to read; what is only a pity (an address that no set takes) is no problem.
"""

from itertools import chain
from typing import Callable, Collection, Iterator, Optional, Sequence, Tuple

from netmgr.show.answers import Container, Interface, Problem, SetStatus, Source, Status
from netmgr.show.rows import SOME, Row, made, steps_of
from netmgr.values.happenings import Happening

HINTS = (       # what an error or a warning contains, and what helps
    ("the set is full", "raise its size in the ruleset, or let the zone hold less with `exclude` or `only`"),
    ("it is a map", "name a set, or give the zone another one with `zones.ZONE.sets`"),
    ("its type", "give the set that type in the ruleset, or say with `zones.ZONE.sets` what it holds"),
    ("it has no ranges", "add `flags interval` to the set in the ruleset"),
    ("it is constant", "take `constant` out of the set's flags"),
    ("it is a meter", "choose another name for the set"),
    ("its table belongs to another program", "put the set into a table without an owner"),
    ("a dry run", "without --dry-run it would be done"),
    ("its include file cannot be written", "let netmgr write where `nftables.include_dir` says; it tries again by itself"),
    ("is claimed for it, too", "of two claims the first of the configuration counts, or of the older container: take the key from one"),
    ("undo each other's work", "stop one of the two, or let each fill sets of its own; the last repair names the other's process"),
    ("around their rights", "update etcd"),
    ("there is no chain", "add the chain to the set's table, or correct the verdict; what other zones have for the set is in it"),
)
MISSING_HINT = "add it to the ruleset, or let netmgr make it: that takes `nftables: {create: true}`, and `type` but for Z_ips and Z_ips6"
CONTAINER_HINTS = {
    "unhealthy": "look at its health check; it counts as soon as that succeeds",
    "no_leave": "give leave for these zones with `docker.label_zones`, or take the label away",
    "no_address": "it cannot be in a set by an address of its own: connect it to a network, or leave it as it is",
}
RELOAD_HINT = "what was loaded before still counts; correct the file (`netmgr check` says whether it is right) and reload again"
SOURCE_HINT = "netmgr tries again by itself; its log says more"
LINKS = ("link-added", "link-removed", "link-renamed")
DADFAILED = "another host uses this address: duplicate address detection has failed"


def of_reload(failed: Optional[Tuple[str, str]]) -> Iterator[Problem]:
    """A file that does not count: why, and since when."""
    if failed is not None:
        yield Problem("configuration", "the last reload failed: %s" % "; ".join(failed[0].split("\n")), failed[1], RELOAD_HINT)


Date = Callable[[Problem], Problem]


def undated(problem: Problem) -> Problem:
    """Nobody knows since when it is there."""
    return problem


def problems(status: Status, date: Date = undated, first: Sequence[Problem] = ()) -> Collection[Problem]:
    """Those of sources first, for others may follow from them; then sets, interfaces, containers.

    `date` says of those of interfaces and containers since when they are there.
    """
    return made(lambda: chain(first, _problems(status, date)))


def _problems(status: Status, date: Date) -> Iterator[Optional[Problem]]:
    for name, source in status.sources.items():
        yield from _of_source(name, source)
    yield from _among(status.sets, _of_set)
    for each in chain(_among(status.interfaces, _of_interface), _among(status.containers, _of_container)):
        yield each if each is None or each.since is not None else date(each)


def _among(rows: Collection[Row], problems_of: Callable[[Row], Iterator[Problem]]) -> Iterator[Optional[Problem]]:
    for place, row in enumerate(steps_of(rows), 1):
        if row is not None:
            yield from problems_of(row)
        if row is None or place % SOME == 0:
            yield None


def _of_source(name: str, source: Source) -> Iterator[Problem]:
    error, warning = source.facts.get("error"), source.facts.get("warning")
    since = source.facts.get("since")
    if source.state not in ("ok", "disabled"):
        yield Problem(name, str(error or source.state), since if isinstance(since, str) else None, SOURCE_HINT)
    elif error:
        yield Problem(name, str(error), since if isinstance(since, str) else None, SOURCE_HINT)
    if warning:
        begun = source.facts.get("warning_since")
        yield Problem(name, str(warning), begun if isinstance(begun, str) else None, _hint(str(warning)))


def _of_set(row: SetStatus) -> Iterator[Problem]:
    name = "%s %s %s" % (row.family, row.table, row.name)
    if row.state == "missing":
        yield Problem(name, "the set is missing", row.since, MISSING_HINT)
    elif row.state == "error":
        error = row.error or row.state
        yield Problem(name, error, row.since, _hint(error))
    if row.warning:
        yield Problem(name, row.warning, row.warning_since, _hint(row.warning))


def _hint(what: str) -> Optional[str]:
    return next((hint for part, hint in HINTS if part in what), None)


def _of_interface(interface: Interface) -> Iterator[Problem]:
    for expectation in interface.expectations:
        yield Problem(interface.name, expectation, None, _hint_of(interface, expectation))
    for address in interface.addresses:
        if "dadfailed" in address.flags:
            yield Problem(interface.name, "%s: %s" % (address.address, DADFAILED), None, "find the other host, or choose another address")


def _hint_of(interface: Interface, expectation: str) -> str:
    if interface.index is None:
        return "there is no such interface: connect it, or correct its name in the configuration"
    if not interface.up:
        return "the interface is down: `ip link set %s up`" % interface.name
    if "DHCP" in expectation:
        return "look at the DHCP client and at the cable"
    return "`ip address add` gives it the address; or correct the configuration"


def _of_container(container: Container) -> Iterator[Problem]:
    """To be in no zone is what most containers are meant to be."""
    for word, hint in CONTAINER_HINTS.items():
        if word in container.reasons:
            yield Problem(container.name, "; ".join(container.details) or word, None, hint)
            return


# -- since when


def dated(problem: Problem, happenings: Sequence[Happening], begun: Optional[str]) -> Problem:
    """With the time of the last happening that it can come from.  `begun`: the time for what is older, if that is known."""
    return problem._replace(since=next((told.time for told in reversed(happenings) if _may_cause(told, problem)), begun))


def _may_cause(happening: Happening, problem: Problem) -> bool:
    """Whether it took away what is missed, or brought what is wrong."""
    kind, about, what = happening.kind, problem.about, problem.what
    if kind == "reload":
        return happening.error is None
    if happening.interface != about:
        return happening.container == about
    if kind in LINKS:
        return True
    address = happening.address or ""
    if kind == "address-removed":
        return "." in address if "DHCP" in what else what in ("waiting for %s" % address, "waiting for %s" % address.partition("/")[0])
    return kind == "address-added" and what.startswith(address + ": ")
