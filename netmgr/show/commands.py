"""The control protocol: lines in, text out.

A line ends with LF or CR LF; blank lines are no commands and answer nothing.  Commands are matched without regard to case and
to the width of the gaps between words.  Bytes that are not UTF-8 stay visible as \\xNN.

The daemon hands out values: dictionaries in the shape of `status json` and `sets json`.  `status` and `sets` show the same values
as tables.  Names come from the kernel, from the container engine and from clients, so whatever is not printable is escaped before
it can reach a terminal; json escapes all that is not ASCII by itself.
"""

from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Protocol, Sequence, Tuple

from netmgr import __version__
from netmgr.values.text import Log, aligned, printable

_ECHO_LIMIT = 80

Row = Tuple[str, ...]


class Service(Protocol):
    """What the commands act on.

    reload, resync and shutdown return one line, "OK: …" or "ERROR: …", after they have taken effect.
    """

    def status(self) -> Dict[str, Any]:
        """The value of `status json`."""

    def sets(self) -> Dict[str, Any]:
        """The value of `sets json`."""

    def reload(self) -> str:
        """Read the configuration again."""

    def resync(self) -> str:
        """Read everything again and reconcile."""

    def shutdown(self) -> str:
        """Begin a clean stop."""


class Command(NamedTuple):
    """`changes`: it changes something, so not everybody may give it."""

    name: str
    summary: str
    changes: bool
    run: Callable[[Service], str]


COMMANDS = (
    Command("ping", "answers PONG", False, lambda service: "PONG"),
    Command("status", "interfaces, containers, sets and sources, for people", False, lambda service: status_text(service.status())),
    Command("status json", "the same as one line of JSON", False, lambda service: _json(service.status())),
    Command("sets", "every set with its elements", False, lambda service: sets_text(service.sets())),
    Command("sets json", "the same as one line of JSON", False, lambda service: _json(service.sets())),
    Command("reload", "read the configuration again", True, lambda service: service.reload()),
    Command("resync", "read links, addresses, sets and containers again", True, lambda service: service.resync()),
    Command("shutdown", "stop cleanly", True, lambda service: service.shutdown()),
    Command("version", "name and version", False, lambda service: "netmgr " + __version__),
    Command("help", "this list", False, lambda service: help_text()),
)


def command(line: str) -> Optional[Command]:
    """The command that a line gives, or None."""
    name = " ".join(line.split()).lower()
    return next((known for known in COMMANDS if known.name == name), None)


def answer(line: str, service: Service, privileged: bool) -> str:
    """The reply to one line, newline-terminated; "" to a blank line."""
    if not line.strip():
        return ""
    known = command(line)
    if known is None:
        return 'ERROR: unknown command "%s", try help\n' % _echo(line)
    if known.changes and not privileged:
        return "ERROR: %s is only for root, the daemon's own user and members of the socket's group\n" % known.name
    return known.run(service).rstrip("\n") + "\n"


def answering(service: Service, log: Log) -> Callable[[str, object, bool], str]:
    """What a control socket answers with: (line, who, privileged) -> text.  Who asks for a change is told to the log."""
    def asked(line: str, who: object, privileged: bool) -> str:
        known = command(line)
        if known is not None and known.changes:
            log("info" if privileged else "debug", "%s %s by %s" % (known.name, "asked for" if privileged else "denied, asked for", who))
        return answer(line, service, privileged)
    return asked


def _json(value: Dict[str, Any]) -> str:
    """json is loaded when somebody asks: an idle daemon has no use for it."""
    import json
    return json.dumps(value)


def help_text() -> str:
    """Every command in one line each."""
    return "\n".join(aligned([(known.name, known.summary) for known in COMMANDS]))


def status_text(status: Dict[str, Any]) -> str:
    """The value of `status json` for people."""
    lines = ["netmgr %s: %s, up %s, pid %s, %s" % (
        status["version"], status["state"], _duration(status["uptime_seconds"]), status["pid"], printable(str(status["config"])))]
    lines += _section(("INTERFACE", "STATE", "ZONES", "ADDRESS", "FLAGS"), map(_interface_rows, status["interfaces"]))
    lines += _section(("INTERFACE", "NOT AS EXPECTED"), map(_expectation_rows, status["interfaces"]))
    lines += _section(("CONTAINER", "ID", "ZONES", "NETWORK", "ADDRESS"), map(_container_rows, status["containers"]))
    lines += _section(("SET", "TYPE", "ZONE", "HOLDS", "STATE", "ELEMENTS", "FOREIGN", "ERROR"), map(_set_rows, status["sets"]))
    lines += _section(("SOURCE", "STATE", "DETAILS"), map(_source_rows, status["sources"].items()))
    return "\n".join(lines) + "\n"


def sets_text(sets: Dict[str, Any]) -> str:
    """The value of `sets json` for people: a paragraph for each set, a line for each element."""
    return "\n".join("\n".join(_set_paragraph(entry)) + "\n" for entry in sets["sets"]) or "no sets\n"


def _echo(line: str) -> str:
    return printable(line if len(line) <= _ECHO_LIMIT else line[:_ECHO_LIMIT] + "…")


def _section(header: Row, groups: Iterable[Sequence[Row]]) -> List[str]:
    """A table under a blank line, without the columns that have nothing to show; nothing at all when there are no rows."""
    rows = [tuple(map(printable, row)) for group in groups for row in group]
    columns = [column for column in zip(header, *rows) if any(column[1:])]
    return ["", *aligned(list(zip(*columns)))] if columns else []


def _interface_rows(interface: Dict[str, Any]) -> List[Row]:
    addresses = [(address["address"], _flags(address)) for address in interface["addresses"]] or [("", "")]
    state = "absent" if interface["index"] is None else "up" if interface["up"] else "down"
    first = (interface["name"], state, ", ".join(interface["zones"]) or "-")
    return [(*(("", "", "") if number else first), *address) for number, address in enumerate(addresses)]


def _flags(address: Dict[str, Any]) -> str:
    return ", ".join(address["flags"]) + ("" if address["counts"] else " (does not count)")


def _expectation_rows(interface: Dict[str, Any]) -> List[Row]:
    return [(interface["name"], expectation) for expectation in interface["expectations"]]


def _container_rows(container: Dict[str, Any]) -> List[Row]:
    addresses = [(address["network"], address["address"]) for address in container["addresses"]] or [("", "")]
    first = (container["name"], container["id"][:12], ", ".join(container["zones"]) or "-")
    return [(*(("", "", "") if number else first), *address) for number, address in enumerate(addresses)]


def _set_rows(entry: Dict[str, Any]) -> List[Row]:
    return [(_set_name(entry), entry["type"] or "-", entry["zone"], entry["holds"], entry["state"],
             str(entry["elements"]), str(entry["foreign"]), entry["error"] or "")]


def _set_name(entry: Dict[str, Any]) -> str:
    return "%s %s %s" % (entry["family"], entry["table"], entry["name"])


def _source_rows(source: Tuple[str, Dict[str, Any]]) -> List[Row]:
    name, facts = source
    details = [_source_detail(key, value) for key, value in facts.items() if key != "state" and value is not None]
    return [(name, facts["state"], ", ".join(details))]


def _source_detail(key: str, value: Any) -> str:
    if key == "last_repair":
        who = "an unknown process" if value["pid"] is None else "%s (pid %s)" % (value["process"], value["pid"])
        return "last repair %s after %s changed %s" % (value["time"], who, "; ".join(value["sets"]))
    return str(value) if key == "error" else "%s %s" % (key, value)


def _set_paragraph(entry: Dict[str, Any]) -> List[str]:
    wanted, present, foreign = (frozenset(entry[key]) for key in ("wanted", "present", "foreign_elements"))
    rows = []
    for element in dict.fromkeys([*entry["wanted"], *entry["present"], *entry["foreign_elements"]]):
        note = _element_note(element in wanted, element in present, element in foreign, entry["state"])
        rows.append((printable(element), note))
    title = "%s: %s, %d own, %d foreign" % (_set_name(entry), entry["state"], entry["elements"], entry["foreign"])
    return [printable(title + (": " + entry["error"] if entry["error"] else "")), *("  " + line for line in aligned(rows))]


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
