"""Answers for people: tables in text.

Names come from the kernel, from the container engine and from clients, so whatever is not printable is escaped before it can reach a
terminal.
"""

from functools import partial
from itertools import chain
from typing import Collection, Dict, Iterator, List, Mapping, Optional, Tuple, Union

from netmgr.show.answers import (
    UNKNOWN,
    Address,
    ConsumedZone,
    Container,
    Elements,
    Fact,
    Interface,
    LastRepair,
    Problem,
    PublishedZone,
    SetContents,
    SetStatus,
    Source,
    Status,
)
from netmgr.show.columns import ANY, Row, Steps, fitted
from netmgr.show.rows import lines, steps_of, together
from netmgr.values.happenings import Culprit
from netmgr.values.text import broken, moment, number, printable

SHOWN_DETAILS, COMMAND_SHOWN = 2, 100
OTHERS = "what is wrong is not about these names: `netmgr status --problems` says what it is"
WIDTH = 80


def status_text(status: Status, width: int = WIDTH, only_problems: bool = False) -> str:
    """`status` for people, in lines of at most this width: what is wrong first."""
    return "".join(status_pieces(status, width, only_problems))


def status_pieces(status: Status, width: int = WIDTH, only_problems: bool = False) -> Iterator[str]:
    """The same in pieces."""
    return lines(chain(_first_lines(status, width), () if only_problems else _tables(status, width)))


def sets_text(contents: Collection[SetContents]) -> str:
    """`sets` for people: a paragraph for each set, a line for each element."""
    return "".join(sets_pieces(contents))


def sets_pieces(contents: Collection[SetContents]) -> Iterator[str]:
    """The same in pieces."""
    return lines(_paragraphs(contents))


def _first_lines(status: Status, width: int) -> Iterator[Optional[str]]:
    how = status.state + ", a dry run" if status.dry_run else status.state
    head = (status.version, how, _duration(status.uptime_seconds), UNKNOWN if status.pid is None else status.pid, status.config)
    yield from broken(printable("netmgr %s: %s, up %s, pid %s, %s" % head), width)
    alike: Dict[Problem, List[str]] = {}
    for problem in steps_of(status.problems):
        if problem is None:
            yield None
            continue
        alike.setdefault(problem._replace(about="", since=problem.since and moment(problem.since)), []).append(problem.about)
    if status.state == "degraded" and not alike:
        yield from ("    " + line for line in broken(OTHERS, width - 4))
    for problem, about in alike.items():
        yield from _problem_lines(problem, ", ".join(dict.fromkeys(about)), width)


def _problem_lines(problem: Problem, about: str, width: int) -> Iterator[str]:
    """A paragraph: what is wrong, and further in what can be done."""
    since = ", since %s" % problem.since if problem.since else ""
    yield ""
    yield from broken(printable("%s%s: %s" % (about, since, problem.what)), width)
    if problem.hint:
        yield from ("    " + line for line in broken(printable(problem.hint), width - 4))


def _tables(status: Status, width: int) -> Iterator[Optional[str]]:
    yield from _section(("INTERFACE", "STATE", "ZONES", "ADDRESS", "FLAGS"), partial(_interface_rows, status.interfaces), width)
    yield from _section(("CONTAINER", "ID", "ZONES", "NETWORK", "ADDRESS", ""), partial(_container_rows, status.containers), width)
    yield from _section(("SET", "TYPE", "ZONE", "HOLDS", "STATE", "ELEMENTS", "FOREIGN"), partial(_set_rows, status.sets), width)
    yield from _section(("SOURCE", "STATE", "DETAILS"), partial(_source_rows, status.sources), width)


def _section(header: Row, steps: Steps, width: int) -> Iterator[Optional[str]]:
    """A table under a blank line; nothing at all when there are no rows.  An address is never cut."""
    def shown() -> Iterator[Optional[Row]]:
        return (row if row is None else tuple(map(printable, row)) for row in steps())

    between: Optional[str] = ""
    for line in fitted(header, shown, width, header.index("ADDRESS") if "ADDRESS" in header else None):
        if line is not None and between is not None:
            yield between
            between = None
        yield line


def _interface_rows(interfaces: Collection[Interface]) -> Iterator[Optional[Row]]:
    for interface in steps_of(interfaces):
        if interface is None:
            yield None
            continue
        state = "absent" if interface.index is None else "up" if interface.up else "down"
        first = (interface.name, state, ", ".join(interface.zones) or "-")
        if not interface.addresses:
            yield (*first, "", "")
        for address in steps_of(interface.addresses):
            if address is None:
                yield None
            else:
                yield (*first, address.address, flags_of(address))
                first = ("", "", "")


def flags_of(address: Address) -> str:
    """The flags of an address, and if it does not count, why."""
    why = ": " + ", ".join(address.reasons) if address.reasons else ""
    return ", ".join(address.flags) + ("" if address.counts else " (does not count%s)" % why)


def _container_rows(containers: Collection[Container]) -> Iterator[Optional[Row]]:
    for container in steps_of(containers):
        if container is None:
            yield None
            continue
        details = "; ".join(container.details[:SHOWN_DETAILS]) + "; and so on" * (len(container.details) > SHOWN_DETAILS)
        first = (container.name, container.id[:12], ", ".join(container.zones) or "-")
        for network, address in container.addresses or [("", "")]:
            yield (*first, network, address, details)
            first, details = ("", "", ""), ""


def _set_rows(entries: Collection[SetStatus]) -> Iterator[Optional[Row]]:
    for entry in steps_of(entries):
        yield None if entry is None else (
            _set_name(entry), entry.type or "-", entry.zone, entry.holds, entry.state, str(entry.elements), str(entry.foreign))


def _set_name(entry: SetStatus) -> str:
    return "%s %s %s" % (entry.family, entry.table, entry.name)


def _source_rows(sources: Mapping[str, Source]) -> Iterator[Row]:
    for name, (state, facts) in sources.items():
        yield name, state, ", ".join(source_detail(key, value) for key, value in facts.items() if value not in (None, ()))


def source_detail(key: str, value: Fact) -> str:
    """One of the facts of a source."""
    if isinstance(value, LastRepair):
        who = "an unknown process" if value.pid is None else str(Culprit(value.pid, value.process or UNKNOWN, value.command, value.unit))
        command = "" if value.command is None else " (%s)" % printable(value.command[:COMMAND_SHOWN])
        return "last repair %s after %s changed %s%s" % (value.time, who, "; ".join(value.sets), command)
    if not isinstance(value, (str, int, float, type(None))):
        return "%s %s" % (key, "; ".join(map(_zone_detail, value)))
    if key == "since" and isinstance(value, str):
        return "since %s" % moment(value)
    return str(value) if key in ("error", "reason") else "%s %s" % (key, value)


def _zone_detail(row: Union[PublishedZone, ConsumedZone]) -> str:
    """A zone of the fleet, published or consumed."""
    if isinstance(row, PublishedZone):
        return "%s (%s)" % (row.zone, number(row.addresses, "address", "addresses"))
    text = "%s from %s (%s, %s)" % (row.zone, row.source, number(row.addresses, "address", "addresses"), number(row.hosts, "host"))
    for name, count in (("held", row.held), ("lingering", row.lingering)):
        text += ", %d %s" % (count, name) if count else ""
    if row.refused:
        more = len(row.refused) - SHOWN_DETAILS
        text += ", refused: %s%s" % (", ".join(row.refused[:SHOWN_DETAILS]), " and %d more" % more if more > 0 else "")
    return text


def _paragraphs(contents: Collection[SetContents]) -> Iterator[Optional[str]]:
    between: Optional[str] = None
    for each in steps_of(contents):
        if each is None:
            yield None
            continue
        if between is not None:
            yield between
        (entry, elements), between = each, ""
        title = "%s: %s, %d own, %d foreign" % (_set_name(entry), entry.state, entry.elements, entry.foreign)
        yield printable(title + (": " + entry.error if entry.error else ""))
        table = fitted(("", ""), partial(_element_rows, elements, entry.state), ANY)
        yield from (line if line is None else "  " + line for line in table)
    if between is None:
        yield "no sets"


def _element_rows(elements: Elements, state: str) -> Iterator[Optional[Row]]:
    for row in together((elements.wanted, elements.present, elements.foreign_elements)):
        yield row if row is None else (printable(row[0]), _element_note(row[1], state))


def _element_note(among: Tuple[bool, ...], state: str) -> str:
    wanted, present, foreign = among
    if foreign:
        return "foreign, wanted too" if wanted else "foreign"
    if wanted and not present:
        return "wanted, within a foreign range" if state == "synced" else "wanted, missing"
    return "" if wanted else "no longer wanted"


def _duration(seconds: float) -> str:
    """The two largest units that matter: 3 d 4 h, 5 min 12 s, 7 s."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    parts = [(days, "d"), (hour, "h"), (minute, "min"), (second, "s")]
    largest = next((place for place, (count, _unit) in enumerate(parts) if count), 3)
    return " ".join("%d %s" % part for part in parts[largest:largest + 2])
