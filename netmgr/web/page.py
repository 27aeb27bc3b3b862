"""The page: what stands in page.html, filled with the state of everything.

All of it is here without a script, in plain tables.  The script of the page draws the picture, follows what happens, and takes the parts
(`id` of PARTS) out of a fresh copy of the page, so that nothing is said in two ways.
"""

import json
from html import escape
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union

from netmgr.show.answers import Address, Container, Interface, SetStatus, Source, Status
from netmgr.show.answers_json import read_status
from netmgr.show.tables import flags_of, source_detail
from netmgr.values.errors import ProtocolError
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.text import moment, number, printable

SHOWN_HAPPENINGS = 40
ADDRESSES_AT_FIRST = 8
MINUS, NONE = "\u2212", "\u2013"
PARTS = ("state", "problems", "happenings", "tables")
GOOD, ABSENT = ("ok", "synced", "ready", "up", "healthy"), ("missing", "absent", "down", "disabled")


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


Cell = Union[str, Html]


class Problem(NamedTuple):
    """Something that is wrong."""

    about: str
    what: str
    since: Optional[str] = None
    hint: Optional[str] = None


def page(template: str, status_answer: str, log: Sequence[str]) -> str:
    """The whole page, of what the daemon has answered to `status json`, and the lines of `log json`.  ProtocolError if not netmgr's."""
    status = read_status(status_answer)
    problems = problems_of(status_answer)
    return _filled(template, _state(status, len(problems)), _problems(problems), _happenings(log), _tables(status))


def page_without_daemon(template: str, why: str) -> str:
    """The page when nobody answers."""
    state = Html('<p class="pill wrong">no answer</p>')
    return _filled(template, state, _problems([Problem("netmgr", why, None, "`systemctl status netmgr` says more")]), Html(""), Html(""))


def health(status_answer: str) -> Tuple[bool, str]:
    """Whether all is right, and the same as JSON with the reasons if not."""
    status = read_status(status_answer)
    return status.state == "ready", _health(status.state, problems_of(status_answer))


def health_without_daemon(why: str) -> str:
    """The reasons when nobody answers."""
    return _health("unreachable", [Problem("netmgr", why)])


def _health(state: str, problems: Sequence[Problem]) -> str:
    return json.dumps({"schema": 1, "state": state, "reasons": [each._asdict() for each in problems]}) + "\n"


def problems_of(status_answer: str) -> List[Problem]:
    """What the daemon calls a problem; of one that names none, what can be seen in its status."""
    told = json.loads(status_answer).get("problems")
    if isinstance(told, list):
        return [_problem(each) for each in told if isinstance(each, dict)]
    status = read_status(status_answer)
    found = [Problem("%s %s %s" % row[:3], row.error or row.state) for row in status.sets if row.state == "error"]
    return found + [Problem(name, str(source.facts.get("error") or source.state)) for name, source in status.sources.items()
                    if source.state not in ("ok", "disabled")]


def _problem(told: Mapping[str, Any]) -> Problem:
    def text(name: str) -> Optional[str]:
        return str(told[name]) if told.get(name) is not None else None
    return Problem(text("about") or "?", text("what") or "?", text("since"), text("hint"))


# -- parts


def _filled(template: str, *parts: Html) -> str:
    for name, part in zip(PARTS, parts):
        template = template.replace("<!--%s-->" % name, part)
    return template


def _state(status: Status, problems: int) -> Html:
    wrong = status.state != "ready"
    pill = '<p class="pill %s">%s</p>' % ("wrong" if wrong else "good", _text(status.state))
    counts = [number(len(status.interfaces), "interface"), number(len(status.containers), "container"), number(len(status.sets), "set"),
              number(sum(row.elements for row in status.sets), "element")]
    facts = ["netmgr " + status.version, "up " + _duration(status.uptime_seconds), status.config]
    told = [number(problems, "problem")] if problems else []
    return Html('%s<p class="counts">%s</p><p class="facts">%s</p>' % (
        pill, _text(" · ".join([*told, *counts])), _text(" · ".join(facts))))


def _duration(seconds: float) -> str:
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    size, unit = next((each for each in units if seconds >= each[0]), units[-1])
    return "%d %s" % (seconds // size, unit)


def _problems(problems: Sequence[Problem]) -> Html:
    return Html("".join('<li class="problem"><strong class="name">%s</strong> %s%s%s</li>' % (
        _text(each.about), _text(each.what),
        '<span class="since"> since %s</span>' % _time(each.since) if each.since else "",
        '<p class="hint">%s</p>' % _text(each.hint) if each.hint else "") for each in problems))


def _happenings(log: Sequence[str]) -> Html:
    """The newest first."""
    rows = [_happening(told) for told in map(_object, reversed(log)) if told]
    return Html("".join(rows) or '<li class="quiet">Nothing has happened yet.</li>')


def _object(line: str) -> Dict[str, Any]:
    try:
        told = json.loads(line)
    except (ValueError, RecursionError):
        raise ProtocolError("the log is not netmgr's") from None
    return told if isinstance(told, dict) else {}


def _happening(told: Mapping[str, Any]) -> Html:
    kind = str(told.get("kind", "?"))
    about = next((str(told[name]) for name in ("set", "interface", "container", "source", "zone") if told.get(name)), "")
    sets = told.get("sets")
    if not about and isinstance(sets, list):
        about = ", ".join(map(str, sets[:3])) + (" and %d more" % (len(sets) - 3) if len(sets) > 3 else "")
    details = [str(told[name]) for name in ("address", "error") if told.get(name)]
    details += [_elements(told, name, sign) for name, sign in (("removed", MINUS), ("added", "+")) if told.get(name)]
    culprit = told.get("culprit")
    command = culprit.get("command") if isinstance(culprit, dict) else None
    causes = [str(each) for each in (told.get("cause"), command) if each]
    cause = '<span class="cause">%s</span>' % _text(": ".join(causes)) if causes else ""
    tone = "wrong" if kind in ("set-error", "source-lost") else "doubt" if kind in ("repaired", "set-missing") else ""
    return Html('<li>%s <b class="kind %s">%s</b> <span class="name">%s</span> <span class="what">%s</span> %s</li>' % (
        _time(str(told.get("time", "?"))), tone, _text(kind), _text(about), _text(" ".join(details)), cause))


def _elements(told: Mapping[str, Any], name: str, sign: str) -> str:
    named = told[name] if isinstance(told[name], list) else []
    count = told.get(name + "_count")
    more = count - len(named) if isinstance(count, int) else 0
    return " ".join([*(sign + str(each) for each in named), *(["and %d more" % more] if more > 0 else [])])


def _tables(status: Status) -> Html:
    return Html(
        _table("Interfaces", ("Interface", "State", "Zones", "Addresses"), map(_interface, status.interfaces))
        + _table("Containers", ("Container", "State", "Zones", "Addresses"), map(_container, status.containers))
        + _table("Sets", ("Set", "State", "Zone", "Holds", "Own", "Foreign", ""), map(_set, status.sets))
        + _table("Sources", ("Source", "State", ""), (_source(*each) for each in status.sources.items())))


def _interface(row: Interface) -> Sequence[Cell]:
    state = "absent" if row.index is None else "up" if row.up else "down"
    addresses = [_address(each) for each in row.addresses]
    told = [Html('<span class="doubt">%s</span>' % _text(each)) for each in row.expectations]
    return (Html('<span class="name">%s</span>' % _text(row.name)), _word(state), ", ".join(row.zones) or NONE, _many([*told, *addresses]))


def _address(row: Address) -> Html:
    shade = "" if row.counts else " absent"
    return Html('<span class="name%s">%s</span> <small>%s</small>' % (shade, _text(row.address), _text(flags_of(row))))


def _container(row: Container) -> Sequence[Cell]:
    addresses = [Html('<span class="name">%s</span> <small>%s</small>' % (_text(each.address), _text(each.network)))
                 for each in row.addresses]
    told = [Html('<span class="doubt">%s</span>' % _text(each)) for each in row.details]
    state = row.health or "running"
    return (Html('<span class="name">%s</span> <small>%s</small>' % (_text(row.name), _text(row.id[:12]))), _word(state),
            ", ".join(row.zones) or NONE, _many([*told, *addresses]))


def _set(row: SetStatus) -> Sequence[Cell]:
    name = "%s %s %s" % row[:3]
    told = row.error or row.warning or ""
    elements = '<details class="elements" data-set="%s"><summary>elements</summary><a href="/sets?name=%s">as JSON</a></details>' % (
        _text(name), _text(row.name))
    trouble = '<p class="%s">%s</p>' % ("wrong" if row.error else "doubt", _text(told)) if told else ""
    title = Html('<span class="name">%s</span> <small>%s</small>' % (_text(name), _text(row.type or "")))
    return (title, _word(row.state), row.zone or NONE, row.holds, str(row.elements), str(row.foreign), Html(trouble + elements))


def _source(name: str, source: Source) -> Sequence[Cell]:
    facts = (source_detail(key, value).replace("_", " ", key.count("_")) for key, value in source.facts.items()
             if isinstance(value, (int, float, str)) and value not in ("", 0))
    return Html('<span class="name">%s</span>' % _text(name)), _word(source.state), ", ".join(facts)


# -- markup


def _table(title: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    lines = ["<tr>%s</tr>" % "".join('<td data-head="%s">%s</td>' % (_text(head), _cell(cell)) for head, cell in zip(header, row))
             for row in rows]
    if not lines:
        return ""
    heads = "".join("<th scope=\"col\">%s</th>" % _text(head) for head in header)
    return '<section class="card"><h2>%s <small>%d</small></h2><table><thead><tr>%s</tr></thead><tbody>%s</tbody></table></section>' % (
        title, len(lines), heads, "".join(lines))


def _many(items: Sequence[Html]) -> Html:
    """A line each; of very many the first, and the others on demand."""
    lines = ["<div>%s</div>" % each for each in items]
    if len(lines) > ADDRESSES_AT_FIRST:
        more = lines[ADDRESSES_AT_FIRST:]
        lines[ADDRESSES_AT_FIRST:] = ["<details><summary>%d more</summary>%s</details>" % (len(more), "".join(more))]
    return Html("".join(lines))


def _word(state: str) -> Html:
    tone = "good" if state in GOOD else "absent" if state in ABSENT else "wrong" if state in ("error", "unhealthy") else ""
    return Html('<span class="state %s">%s</span>' % (tone, _text(state)))


def _time(text: str) -> Html:
    """To the second where people look, all of it for who wants to know."""
    return Html('<time datetime="%s" title="%s">%s</time>' % (_text(text), _text(text), _text(moment(text) if text[-1:] == "Z" else text)))


def _cell(cell: Cell) -> str:
    return cell if isinstance(cell, Html) else _text(cell)


def _text(text: str) -> str:
    return escape(printable(text))
