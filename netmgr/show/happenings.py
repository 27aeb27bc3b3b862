"""The last happenings, and how each is said: as a line of text, as an object of JSON, as fields of the journal.

A line has its cause in brackets behind it: `inet filter wan_ips: removed 203.0.113.5 (eth0: address removed)`.
"""

from __future__ import annotations

from collections import deque
from itertools import islice
from typing import Any, Callable, Deque, Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from netmgr.values.happenings import LEVEL, Culprit, Happening
from netmgr.values.text import Log, number, printable

KEPT, SHOWN = 1000, 50
SETS_NAMED = 8

Listener = Callable[[Happening], None]


class Chronicle:
    """Keeps the last ones, logs each, tells each to who listens.  `utc` is the time of day, as 2026-11-27T20:31:05.123456Z."""

    def __init__(self, utc: Callable[[], str], log: Log) -> None:
        self._listeners: List[Listener] = []
        self.counts: Dict[str, int] = {}
        self._utc = utc
        self.write: Callable[[str, Happening], None] = lambda level, happening: log(level, line_of(happening))
        self._kept: Deque[Happening] = deque(maxlen=KEPT)

    def tell(self, happening: Happening, level: Optional[str] = None) -> None:
        """It happens now, or happened at its time.  Without a level the log has that of its kind."""
        if not happening.time:
            happening = happening._replace(time=self._utc())
        self._kept.append(happening)
        self.counts[happening.kind] = self.counts.get(happening.kind, 0) + 1
        self.write(level or LEVEL[happening.kind], happening)
        for listener in list(self._listeners):
            listener(happening)

    def follow(self, listener: Listener) -> Callable[[], None]:
        """Tell it what happens from now on, until the result is called; calling that again is harmless."""
        self._listeners.append(listener)

        def stop() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)
        return stop

    def last(self, number: int = KEPT) -> List[Happening]:
        """The last so many, oldest first."""
        return list(islice(reversed(self._kept), number))[::-1]

    def asked(self, number: int, names: Sequence[str] = ()) -> Iterator[Optional[Happening]]:
        """The last so many that concern one of these names (without names: all), oldest first; None while they are looked for."""
        return _chosen(self.last(), number, names)


def _chosen(kept: Sequence[Happening], number: int, names: Sequence[str]) -> Iterator[Optional[Happening]]:
    from netmgr.show.rows import LINES
    found: List[Happening] = []
    for place, each in enumerate(reversed(kept)):
        if len(found) >= number:
            break
        if concerns(each, names):
            found.append(each)
        if place % LINES == LINES - 1:
            yield None
    yield from reversed(found)


def concerns(happening: Happening, names: Sequence[str]) -> bool:
    """Whether it is about one of these: an interface, a container, a zone, a set (also by its bare name), a source."""
    if not names:
        return True
    about = {happening.interface, happening.container, happening.source, happening.address, happening.set, *happening.sets}
    about |= {each.rsplit(" ", 1)[-1] for each in (happening.set, *happening.sets) if each}
    if happening.kind == "link-renamed":
        about.add((happening.cause or "").partition(": ")[0])       # the name that it had
    about |= {each.split()[1] for each in (happening.cause or "").split("; ") if each.startswith("fleet: ")}    # another host
    about |= {*(happening.zone or "").split(","), (happening.address or "").partition("/")[0], *happening.added, *happening.removed}
    return not about.isdisjoint(names)


def line_of(happening: Happening) -> str:
    """One line of text."""
    text = "; ".join((happening.text or _TEXTS[happening.kind](happening)).split("\n"))
    cause = happening.cause
    if cause and not (happening.set or happening.sets):     # of all but sets the text says what happened itself
        cause = "lease expired" if cause.endswith("lease expired") else None
    return "%s (%s)" % (text, cause) if cause else text


def object_of(happening: Happening) -> Dict[str, Any]:
    """The fields that apply, for JSON."""
    told: Dict[str, Any] = {"time": happening.time, "kind": happening.kind}
    for name, value in zip(happening._fields[2:], happening[2:]):
        if isinstance(value, Culprit):
            told[name] = value._asdict()
        elif value is not None and value != ():
            told[name] = list(value) if isinstance(value, tuple) else value
    if happening.kind in ("elements-changed", "repaired"):
        told.update(added=list(happening.added), removed=list(happening.removed))
    else:
        del told["added_count"], told["removed_count"]
    return told


def journal_fields(happening: Happening) -> Iterator[Tuple[str, str]]:
    """What the journal can be asked for."""
    yield "NETMGR_KIND", happening.kind
    for each in (happening.set, *happening.sets):
        if each:
            yield "NETMGR_SET", each
    for name, value in (("ZONE", happening.zone), ("INTERFACE", happening.interface), ("CONTAINER", happening.container),
                        ("SOURCE", happening.source)):
        if value:
            yield "NETMGR_" + name, value
    if happening.culprit is not None:
        for name, value in (("COMMAND", happening.culprit.command), ("UNIT", happening.culprit.unit)):
            if value:
                yield "NETMGR_CULPRIT_" + name, value


def log_pieces(happenings: Iterable[Optional[Happening]]) -> Iterator[str]:
    """`log` for people, in pieces."""
    from netmgr.show.rows import lines
    return lines(_log_lines(happenings))


def log_text(happenings: Iterable[Happening]) -> str:
    """The same in one."""
    return "".join(log_pieces(happenings))


def _log_lines(happenings: Iterable[Optional[Happening]]) -> Iterator[Optional[str]]:
    told = False
    for each in happenings:
        told = told or each is not None
        yield None if each is None else "%s  %s" % (each.time, printable(line_of(each)))
    if not told:
        yield "nothing of that is known to have happened"


def _changed(told: Happening) -> str:
    parts = []
    for verb, named, count in (("removed", told.removed, told.removed_count), ("added", told.added, told.added_count)):
        if count > len(named):
            parts.append("%s %d elements" % (verb, count))
        elif named:
            parts.append("%s %s" % (verb, ", ".join(named)))
    return "; ".join(parts) or "nothing had to change"


def _restored(told: Happening) -> str:
    return "; put back what is another's: %s" % ", ".join(told.restored) if told.restored else ""


def _sets(told: Happening) -> str:
    more = len(told.sets) - SETS_NAMED
    return ", ".join(told.sets[:SETS_NAMED]) + (" and %d more" % more if more > 0 else "")


_TEXTS: Dict[str, Callable[[Happening], str]] = {
    "address-added": lambda told: "%s: address %s added" % (told.interface, told.address),
    "address-removed": lambda told: "%s: address %s removed" % (told.interface, told.address),
    "link-added": lambda told: "%s: link added" % told.interface,
    "link-removed": lambda told: "%s: link removed" % told.interface,
    "link-renamed": lambda told: told.cause or "",
    "link-up": lambda told: "%s: link up" % told.interface,
    "link-down": lambda told: "%s: link down" % told.interface,
    "container-started": lambda told: "%s: started" % told.container,
    "container-stopped": lambda told: "%s: stopped" % told.container,
    "container-changed": lambda told: "%s: changed" % told.container,
    "elements-changed": lambda told: "%s: %s" % (told.set, _changed(told)),
    "repaired": lambda told: "repaired %s in %s%s" % (
        number(told.added_count + told.removed_count, "element"), _sets(told), _restored(told)),
    "set-missing": lambda told: "%s: is missing" % told.set,
    "set-error": lambda told: "%s: %s" % (told.set, told.error),
    "set-synced": lambda told: "%s: is as it should be" % told.set,
    "source-lost": lambda told: "%s: %s" % (told.source, told.error or "lost"),
    "source-ok": lambda told: "%s: ok" % told.source,
    "reload": lambda told: "reload: %s" % (told.error or "done"),
    "resync": lambda told: "resync: %s" % (told.error or "done"),
    "started": lambda told: "started",
    "stopping": lambda told: "stopping",
}
