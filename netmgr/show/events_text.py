"""What the kernel told, in a few words, for the log at `debug`."""

from typing import Dict

from netmgr.values import addresses
from netmgr.values.addresses import identity, local, prefixlen
from netmgr.values.events import GONE, AddressesAre, AddressesSeen, AddressGone, AddressSeen, Event, LinkSeen, Suspect
from netmgr.values.happenings import NAMED_AT_MOST
from netmgr.values.text import number


def event_text(event: Event) -> str:
    """One event of rtnetlink."""
    if isinstance(event, AddressesSeen):
        return "link %d: %s" % (event.ifindex, _flags(event.flags))
    if isinstance(event, AddressSeen):
        return "link %d: %s" % (event.ifindex, _flags({identity(event.local, event.prefixlen, event.peer): event.flags}))
    if isinstance(event, AddressGone):
        return "link %d: %s" % (event.ifindex, _flags({identity(event.local, event.prefixlen, event.peer): GONE}))
    if isinstance(event, AddressesAre):
        return "link %d: read again: %s" % (event.ifindex, _flags(event.flags) or "no address")
    if isinstance(event, LinkSeen):
        more = ["group %d" % event.group if event.group else "", event.kind, "master %d" % event.master if event.master else "",
                *("also " + name for name in event.altnames)]
        return "link %d: %s, %s" % (event.ifindex, event.name, ", ".join(filter(None, ["up" if event.up else "down", *more])))
    return "link %d is gone" % event.ifindex


def suspect_text(suspect: Suspect) -> str:
    """A commit to nf_tables."""
    if suspect is None:
        return "somebody committed something"
    return "generation %d, committed by %s (pid %d)" % (suspect.generation, suspect.process, suspect.pid)


def _flags(found: Dict[bytes, int]) -> str:
    told = ["%s/%d %s" % (addresses.text(local(key)), prefixlen(key), "is gone" if flags == GONE else "with the flags 0x%02x" % flags)
            for key, flags in list(found.items())[:NAMED_AT_MOST]]
    more = len(found) - len(told)
    return ", ".join(told) + (" and %s more" % number(more, "address", "addresses") if more else "")
