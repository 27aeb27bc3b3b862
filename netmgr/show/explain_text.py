"""An explanation for people: what is in which sets, a line for each, and what keeps the rest out, a line for each reason."""

from typing import Dict, Iterator, List, Tuple

from netmgr.show.answers import Explanation, FeedRow, KeptOutRow
from netmgr.values.text import moment, printable

NAMED_AT_MOST = 20      # things that one reason keeps out
NOTHING = {
    "set": "nothing feeds it",
    "zone": "nothing is in it",
    "address": "no interface, container or host has it, and no set",
    "network": "no interface, container or host has an address in it, and no set has it",
}


def explanation_text(told: Explanation) -> str:
    """All of it."""
    if told.kind is None:
        return "nothing is known of %s\n" % printable(told.thing)
    lines = [*dict.fromkeys(map(_fed, told.feeds)), *_kept_out(told.kept_out)]
    head = "%s is %s %s" % (printable(told.thing), "an" if told.kind[0] in "aei" else "a", told.kind)
    return "\n  ".join([head, *(lines or [NOTHING.get(told.kind, "it has nothing to do with any set")])]) + "\n"


def _fed(row: FeedRow) -> str:
    where = "is in" if row.in_kernel else "is wanted in"
    by = "" if row.zone is None else ": %s, zone %s%s" % (
        printable(row.source or "?"), row.zone, " (%s)" % printable(row.entry) if row.entry else "")
    whose = " (somebody else's element)" if row.owner == "another" else ""
    return "%s %s %s%s%s%s" % (row.element, where, row.set, whose, by, ", since %s" % moment(row.since) if row.since else "")


def _kept_out(rows: Tuple[KeptOutRow, ...]) -> Iterator[str]:
    """What is wrong with a set itself names what it keeps out behind that."""
    groups: Dict[Tuple[str, str, str], List[KeptOutRow]] = {}
    for row in rows:
        place = row.set or ("the sets of zone %s" % row.zone if row.zone else "any set")
        groups.setdefault((place, row.text, row.reason), []).append(row)
    for (place, text, reason), group in groups.items():
        things = list(dict.fromkeys(filter(None, map(_thing, group))))
        more = len(things) - NAMED_AT_MOST
        named = ", ".join(things[:NAMED_AT_MOST]) + (" and %d more" % more if more > 0 else "")
        if group[0].source is None:
            yield "%s: %s (%s)%s" % (place, text, reason, ", which keeps out " + named if named else "")
        else:
            yield "not in %s: %s (%s): %s" % (place, text, reason, named)


def _thing(row: KeptOutRow) -> str:
    """192.0.2.1/24 [eth0]"""
    return " ".join(filter(None, (row.address, "[%s]" % printable(row.source) if row.source else "")))
