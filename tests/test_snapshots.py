"""What several interrupted dumps show together."""

import random
from typing import Dict, List, Set

import pytest

from netmgr.values.events import Event, LinkSeen
from netmgr.values.snapshots import Snapshot, gathered


def dump(links: str, *addresses: str) -> Snapshot:
    """"1 2", "1:a=0 1:b=4": links by index, addresses by link with their flags."""
    tables: Dict[int, Dict[bytes, int]] = {}
    for each in " ".join(addresses).split():
        index, _, rest = each.partition(":")
        name, _, flags = rest.partition("=")
        tables.setdefault(int(index), {})[name.encode()] = int(flags or 0)
    found: List[Event] = [LinkSeen(int(index), "eth" + index, True) for index in links.split()]
    return Snapshot(found, tables, False)


def test_what_any_dump_shows_is_there_as_the_last_of_those_shows_it() -> None:
    found = gathered([dump("1 2", "1:a 1:b 2:c"), dump("1", "1:a=4 2:c"), dump("1 2 3", "1:a=8 1:d 3:e")])
    links: List[Event] = [LinkSeen(index, "eth%d" % index, True) for index in (1, 2, 3)]
    assert found == Snapshot(links, {1: {b"a": 8, b"b": 0, b"d": 0}, 2: {b"c": 0}, 3: {b"e": 0}}, False)


@pytest.mark.parametrize("seed", range(20))
def test_with_the_events_since_it_is_the_truth(seed: int) -> None:
    """Dumps that each overlook some, mostly the same ones, while others come and go; the events of all that time follow."""
    generator = random.Random(seed)
    steady = {b"s%d" % number for number in range(200)}
    weak = set(generator.sample(sorted(steady), 20))
    present: Set[bytes] = set()
    last: Dict[bytes, bool] = {}
    dumps = []
    for number in range(5):
        table: Dict[bytes, int] = {}
        for key in sorted(steady):
            for _event in range(generator.randrange(3)):
                moving = b"m%d" % generator.randrange(50)
                last[moving] = moving not in present
                present ^= {moving}
                if generator.random() < 0.5:
                    table.update(dict.fromkeys(present, 0))
            if number == 2 or generator.random() > (0.6 if key in weak else 0.02):
                table[key] = 0
        dumps.append(Snapshot([LinkSeen(1, "eth0", True)], {1: table}, False))
    held = set(gathered(dumps).addresses[1])
    for key, there in last.items():
        (held.add if there else held.discard)(key)
    assert held == steady | present
