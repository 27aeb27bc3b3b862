"""All links and addresses, as dumps show them.

Where things change all the time, each dump is interrupted: it may lack some of what was there throughout, and have some of what came or
went meanwhile.  What was there throughout is missing in one dump or another, and not in nearly all of them; what came and went while they
were made, the events since tell, and must be applied afterwards.
"""

from __future__ import annotations

from collections import Counter
from typing import Dict, Iterable, List, Sequence

from netmgr.values.events import Event
from netmgr.values.named_tuple import NamedTuple

AGREE = 2               # dumps that must show it


class Snapshot(NamedTuple):
    """All links and all addresses; `consistent`: at one time, else what several interrupted dumps agree on.

    `why` it was taken is a word of the source.
    """

    links: List[Event]
    addresses: Dict[int, Dict[bytes, int]]
    consistent: bool
    why: str = ""


def agreed(dumps: Sequence[Snapshot]) -> Snapshot:
    """What at least two of these dumps show, as the last of them does."""
    links: Dict[int, Event] = {}
    tables: Dict[int, Dict[bytes, int]] = {}
    for dump in dumps:
        links.update((link.ifindex, link) for link in dump.links)
        for ifindex, table in dump.addresses.items():
            tables.setdefault(ifindex, {}).update(table)
    seen = Counter(link.ifindex for dump in dumps for link in dump.links)
    held = Counter((ifindex, key) for dump in dumps for ifindex, key in _keys(dump))
    addresses = {ifindex: {key: flags for key, flags in table.items() if held[ifindex, key] >= AGREE} for ifindex, table in tables.items()}
    return Snapshot([link for ifindex, link in links.items() if seen[ifindex] >= AGREE],
                    {ifindex: table for ifindex, table in addresses.items() if table}, False)


def _keys(dump: Snapshot) -> Iterable[tuple[int, bytes]]:
    return ((ifindex, key) for ifindex, table in dump.addresses.items() for key in table)
