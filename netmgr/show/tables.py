"""Answers for people: tables in text.

Names come from the kernel, from the container engine and from clients, so whatever is not printable is escaped before it can reach a
terminal.
"""

from typing import Iterable, Iterator, List, Sequence, Tuple, Union

from netmgr.show.answers import (
    UNKNOWN,
    Address,
    ConsumedZone,
    Container,
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
from netmgr.values.text import aligned, broken, fitted, longest_words, moment, number, printable

Row = Tuple[str, ...]

SHOWN_DETAILS = 2
WIDTH = 80


def status_text(status: Status, width: int = WIDTH, only_problems: bool = False) -> str:
    """`status` for people, in lines of at most this width: what is wrong first."""
    how = status.state + ", a dry run" if status.dry_run else status.state
    head = (status.version, how, _duration(status.uptime_seconds), UNKNOWN if status.pid is None else status.pid, status.config)
    lines = list(broken(printable("netmgr %s: %s, up %s, pid %s, %s" % head), width))
    for problem in status.problems:
        lines += _problem_lines(problem, width)
    if not only_problems:
        lines += _section(("INTERFACE", "STATE", "ZONES", "ADDRESS", "FLAGS"), map(_interface_rows, status.interfaces), width)
        lines += _section(("CONTAINER", "ID", "ZONES", "NETWORK", "ADDRESS", ""), map(_container_rows, status.containers), width)
        lines += _section(("SET", "TYPE", "ZONE", "HOLDS", "STATE", "ELEMENTS", "FOREIGN"), map(_set_rows, status.sets), width)
        lines += _section(("SOURCE", "STATE", "DETAILS"), map(_source_rows, status.sources.items()), width)
    return "\n".join(lines) + "\n"


def _problem_lines(problem: Problem, width: int) -> Iterator[str]:
    """A paragraph: what is wrong, and further in what can be done."""
    since = ", since %s" % moment(problem.since) if problem.since else ""
    yield ""
    yield from broken(printable("%s%s: %s" % (problem.about, since, problem.what)), width)
    if problem.hint:
        yield from ("    " + line for line in broken(printable(problem.hint), width - 4))


def sets_text(contents: Sequence[SetContents]) -> str:
    """`sets` for people: a paragraph for each set, a line for each element."""
    return "\n".join("\n".join(_set_paragraph(each)) + "\n" for each in contents) or "no sets\n"


def _section(header: Row, groups: Iterable[Sequence[Row]], width: int) -> List[str]:
    """A table under a blank line, without the columns that have nothing to show; nothing at all when there are no rows.

    An address is never cut: where there is no room for that, what stands to the right of addresses goes on in their column.
    """
    rows = [tuple(map(printable, row)) for group in groups for row in group]
    columns = [column for column in zip(header, *rows) if any(column[1:])]
    if not columns:
        return []
    table: List[Row] = list(zip(*columns))
    whole = [place for place, column in enumerate(columns) if column[0] == "ADDRESS"]
    if whole and sum(longest_words(table)) + 2 * (len(columns) - 1) > width:
        table = [(*row[:whole[0]], " ".join(filter(None, row[whole[0]:]))) for row in table]
    return ["", *fitted(table, width, whole)]


def _interface_rows(interface: Interface) -> List[Row]:
    addresses = [(address.address, flags_of(address)) for address in interface.addresses] or [("", "")]
    state = "absent" if interface.index is None else "up" if interface.up else "down"
    first = (interface.name, state, ", ".join(interface.zones) or "-")
    return [(*(("", "", "") if number else first), *address) for number, address in enumerate(addresses)]


def flags_of(address: Address) -> str:
    """The flags of an address, and if it does not count, why."""
    why = ": " + ", ".join(address.reasons) if address.reasons else ""
    return ", ".join(address.flags) + ("" if address.counts else " (does not count%s)" % why)


def _container_rows(container: Container) -> List[Row]:
    addresses = [(address.network, address.address) for address in container.addresses] or [("", "")]
    first = (container.name, container.id[:12], ", ".join(container.zones) or "-")
    rows: List[Row] = [(*(("", "", "") if number else first), *address, "") for number, address in enumerate(addresses)]
    rows[0] = (*rows[0][:-1], "; ".join(container.details[:SHOWN_DETAILS]) + "; and so on" * (len(container.details) > SHOWN_DETAILS))
    return rows


def _set_rows(entry: SetStatus) -> List[Row]:
    return [(_set_name(entry), entry.type or "-", entry.zone, entry.holds, entry.state,
             str(entry.elements), str(entry.foreign))]


def _set_name(entry: SetStatus) -> str:
    return "%s %s %s" % (entry.family, entry.table, entry.name)


def _source_rows(source: Tuple[str, Source]) -> List[Row]:
    name, (state, facts) = source
    return [(name, state, ", ".join(source_detail(key, value) for key, value in facts.items() if value not in (None, ())))]


def source_detail(key: str, value: Fact) -> str:
    """One of the facts of a source."""
    if isinstance(value, LastRepair):
        who = "an unknown process" if value.pid is None else "%s (pid %s)" % (value.process or UNKNOWN, value.pid)
        return "last repair %s after %s changed %s" % (value.time, who, "; ".join(value.sets))
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


def _set_paragraph(contents: SetContents) -> List[str]:
    entry, elements = contents
    wanted, present, foreign = map(frozenset, elements)
    rows = []
    for element in dict.fromkeys([*elements.wanted, *elements.present, *elements.foreign_elements]):
        note = _element_note(element in wanted, element in present, element in foreign, entry.state)
        rows.append((printable(element), note))
    title = "%s: %s, %d own, %d foreign" % (_set_name(entry), entry.state, entry.elements, entry.foreign)
    return [printable(title + (": " + entry.error if entry.error else "")), *("  " + line for line in aligned(rows))]


def _element_note(wanted: bool, present: bool, foreign: bool, state: str) -> str:
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
