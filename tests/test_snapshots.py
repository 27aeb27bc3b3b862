"""What several interrupted dumps agree on."""

import random
from typing import Dict, List, Set

import pytest

from netmgr.values.events import Event, LinkSeen
from netmgr.values.snapshots import Snapshot, agreed


def dump(links: str, *addresses: str) -> Snapshot:
    """"1 2", "1:a=0 1:b=4": links by index, addresses by link with their flags."""
    tables: Dict[int, Dict[bytes, int]] = {}
    for each in " ".join(addresses).split():
        index, _, rest = each.partition(":")
        name, _, flags = rest.partition("=")
        tables.setdefault(int(index), {})[name.encode()] = int(flags or 0)
    found: List[Event] = [LinkSeen(int(index), "eth" + index, True) for index in links.split()]
    return Snapshot(found, tables, False)


def test_what_two_dumps_show_is_there_as_the_last_of_them_shows_it() -> None:
    found = agreed([dump("1 2", "1:a 1:b 2:c"), dump("1", "1:a=4 2:c"), dump("1 2 3", "1:a=8 1:d 3:e")])
    assert found == Snapshot([LinkSeen(1, "eth1", True), LinkSeen(2, "eth2", True)], {1: {b"a": 8}, 2: {b"c": 0}}, False)


def test_what_only_one_dump_shows_is_for_the_events_to_tell() -> None:
    assert agreed([dump("1"), dump("2"), dump("3", "3:a")]) == Snapshot([], {}, False)


@pytest.mark.parametrize("seed", range(20))
def test_with_the_events_since_it_is_the_truth(seed: int) -> None:
    """Dumps that each overlook a fiftieth, while others come and go; the events of the whole time are applied afterwards."""
    generator = random.Random(seed)
    steady = {b"s%d" % number for number in range(200)}
    present: Set[bytes] = set()
    last: Dict[bytes, bool] = {}
    dumps = []
    for _dump in range(5):
        table: Dict[bytes, int] = {}
        for key in sorted(steady):
            for _event in range(generator.randrange(3)):
                moving = b"m%d" % generator.randrange(50)
                last[moving] = moving not in present
                present ^= {moving}
                if generator.random() < 0.5:
                    table.update(dict.fromkeys(present, 0))
            if generator.random() > 0.02:
                table[key] = 0
        dumps.append(Snapshot([LinkSeen(1, "eth0", True)], {1: table}, False))
    held = set(agreed(dumps).addresses[1])
    for key, there in last.items():
        (held.add if there else held.discard)(key)
    assert held == steady | present
