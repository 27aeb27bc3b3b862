"""All links and addresses, as dumps show them.

Where things change all the time, each dump is interrupted: it may overlook some of what was there throughout, and have some of what came
or went meanwhile.  What one overlooks another shows.  Whether what any of them shows is still there, the events since the first of them
tell; so they must all be known, and be applied afterwards.
"""

from __future__ import annotations

from typing import Dict, List, Sequence

from netmgr.values.events import Event
from netmgr.values.named_tuple import NamedTuple


class Snapshot(NamedTuple):
    """All links and all addresses; `consistent`: none of its dumps was interrupted, else what several show together.

    `why` it was taken is a word of the source.
    """

    links: List[Event]
    addresses: Dict[int, Dict[bytes, int]]
    consistent: bool
    why: str = ""


def gathered(dumps: Sequence[Snapshot]) -> Snapshot:
    """What any of these dumps shows, as the last of those does."""
    links: Dict[int, Event] = {}
    tables: Dict[int, Dict[bytes, int]] = {}
    for dump in dumps:
        links.update((link.ifindex, link) for link in dump.links)
        for ifindex, table in dump.addresses.items():
            tables.setdefault(ifindex, {}).update(table)
    return Snapshot(list(links.values()), tables, False)
