"""An explanation for people: what is in which sets, a line for each, and what keeps the rest out, a line for each reason."""

from typing import Dict, Iterator, List, Optional, Tuple

from netmgr.show.answers import Explanation, FeedRow, KeptOutRow, RepairRow
from netmgr.show.rows import LINES, lines, steps_of
from netmgr.values.text import moment, printable

COMMAND_SHOWN = 100
NAMED_AT_MOST = 20      # things that one reason keeps out
KINDS = {"hardware_address": "MAC address"}
NOTHING = {
    "set": "nothing feeds it",
    "zone": "nothing is in it",
    "address": "no interface, container or host has it, and no set",
    "network": "no interface, container or host has an address in it, and no set has it",
    "hardware_address": "no set has it, and nothing that has it feeds one that takes it",
    "key": "no set has it, and nothing claims it",
}


class _Things:
    """What one reason keeps out: the first of them, and how many there are; `of_set`: it is a matter of the set, whatever it keeps out."""

    def __init__(self, of_set: bool) -> None:
        self.of_set, self.count, self._last = of_set, 0, ""
        self.named: List[str] = []

    def add(self, thing: str) -> None:
        """One more, unless it is the last one again, or one of the first."""
        if thing and thing != self._last and thing not in self.named:
            self.count += 1
            self._last = thing
            if len(self.named) < NAMED_AT_MOST:
                self.named.append(thing)


def explanation_text(told: Explanation) -> str:
    """All of it."""
    return "".join(explanation_pieces(told))


def explanation_pieces(told: Explanation) -> Iterator[str]:
    """The same in pieces."""
    return lines(_lines(told))


def _lines(told: Explanation) -> Iterator[Optional[str]]:
    if told.kind is None:
        yield "nothing is known of %s" % printable(told.thing)
        return
    kind = KINDS.get(told.kind, told.kind)
    yield "%s is %s %s" % (printable(told.thing), "an" if kind[0] in "aei" else "a", kind)
    last: Optional[str] = None
    for row in steps_of(told.feeds):
        line = None if row is None else "  " + _fed(row)
        if line is None or line != last:
            yield line
        last = line or last
    groups: Dict[Tuple[str, str, str], _Things] = {}
    for place, out in enumerate(steps_of(told.kept_out)):
        if out is None or place % LINES == LINES - 1:
            yield None
        if out is not None:
            groups.setdefault((_place(out), out.text, out.reason), _Things(out.source is None)).add(_thing(out))
    yield from ("  " + _kept_out(*about, things) for about, things in groups.items())
    yield from (None if row is None else "  " + _repaired(row) for row in steps_of(told.repairs))
    if last is None and not groups:
        yield "  " + NOTHING.get(told.kind, "it has nothing to do with any set")


def _fed(row: FeedRow) -> str:
    where = "is in" if row.in_kernel else "is wanted in"
    by = "" if row.zone is None else ": %s, zone %s%s" % (
        printable(row.source or "?"), row.zone, " (%s)" % printable(row.entry) if row.entry else "")
    whose = " (somebody else's element)" if row.owner == "another" else ""
    return "%s %s %s%s%s%s" % (row.element, where, row.set, whose, by, ", since %s" % moment(row.since) if row.since else "")


def _place(row: KeptOutRow) -> str:
    return row.set or ("the sets of zone %s" % row.zone if row.zone else "any set")


def _kept_out(place: str, text: str, reason: str, things: _Things) -> str:
    """What is wrong with a set itself names what it keeps out behind that."""
    more = things.count - len(things.named)
    named = ", ".join(things.named) + (" and %d more" % more if more > 0 else "")
    if things.of_set:
        return "%s: %s (%s)%s" % (place, text, reason, ", which keeps out " + named if named else "")
    return "not in %s: %s (%s): %s" % (place, text, reason, named)


def _repaired(row: RepairRow) -> str:
    """Who it was, by which command."""
    command = ": " + printable(row.command[:COMMAND_SHOWN]) if row.command else ""
    return "%s was last repaired %s (%s)%s" % (row.set, moment(row.time), printable(row.cause), command)


def _thing(row: KeptOutRow) -> str:
    """192.0.2.1/24 [eth0]"""
    return " ".join(filter(None, (row.address, "[%s]" % printable(row.source) if row.source else "")))
