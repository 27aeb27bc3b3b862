"""What there is: each event with all that it takes away and brings, and random lives whose changes add up to the tables."""

import random
from collections import Counter
from typing import Iterable, Iterator, List, Optional, Tuple

import pytest

from netmgr.model.inventory import Addresses, Interface, Inventory, Thing
from netmgr.values.addresses import identity, local, parse, prefixlen
from netmgr.values.events import GONE, AddressesAre, AddressesSeen, AddressGone, AddressSeen, ContainerSeen, Event, LinkGone, LinkSeen
from tests.happenings import random_containers, random_event, random_hops, random_snapshot, tables
from tests.workbench import replaced

ONE, TWO = parse("192.0.2.1")[0], parse("2001:db8::2")[0]
KEY_ONE, KEY_TWO, KEY_OTHER = identity(ONE, 24, ONE), identity(TWO, 64, TWO), identity(ONE, 25, ONE)
KEY_THREE = identity(parse("2001:db8::3")[0], 64, parse("2001:db8::3")[0])

ETH0, UP_AGAIN, RENAMED = LinkSeen(2, "eth0", True), LinkSeen(2, "eth0", False), LinkSeen(2, "wan0", True)
ADDED, FLAGGED = AddressSeen(2, ONE, 24, ONE, 0x80), AddressSeen(2, ONE, 24, ONE, 0x00)
SECOND = AddressSeen(2, TWO, 64, TWO, 0x80)

SCENES: List[Tuple[str, List[Event], List[str]]] = [
    ("link and address", [ETH0, ADDED], ["+eth0", "+eth0 192.0.2.1 80"]),
    ("address before its link", [ADDED, SECOND, ETH0], ["+eth0", "+eth0 192.0.2.1 80", "+eth0 2001:db8::2 80"]),
    ("nothing new", [ETH0, ADDED, ETH0, ADDED], ["+eth0", "+eth0 192.0.2.1 80"]),
    ("down and up change no membership", [ETH0, ADDED, UP_AGAIN, ETH0], ["+eth0", "+eth0 192.0.2.1 80"]),
    ("other flags", [ETH0, ADDED, FLAGGED], ["+eth0", "+eth0 192.0.2.1 80", "-eth0 192.0.2.1 80", "+eth0 192.0.2.1 0"]),
    ("other flags before the link", [ADDED, FLAGGED, ETH0], ["+eth0", "+eth0 192.0.2.1 0"]),
    ("address gone", [ETH0, ADDED, AddressGone(2, ONE, 24, ONE)], ["+eth0", "+eth0 192.0.2.1 80", "-eth0 192.0.2.1 80"]),
    ("another prefix is another address", [ETH0, ADDED, AddressGone(2, ONE, 25, ONE)], ["+eth0", "+eth0 192.0.2.1 80"]),
    ("another peer is another address", [ETH0, ADDED, AddressGone(2, ONE, 24, bytes(4))], ["+eth0", "+eth0 192.0.2.1 80"]),
    ("gone before it came", [ETH0, AddressGone(2, ONE, 24, ONE), LinkGone(3)], ["+eth0"]),
    ("renamed", [ETH0, ADDED, RENAMED],
     ["+eth0", "+eth0 192.0.2.1 80", "-eth0", "-eth0 192.0.2.1 80", "+wan0", "+wan0 192.0.2.1 80"]),
    ("link gone with its addresses", [ETH0, ADDED, LinkGone(2), ETH0],
     ["+eth0", "+eth0 192.0.2.1 80", "-eth0", "-eth0 192.0.2.1 80", "+eth0"]),
    ("the same name under another index", [ETH0, ADDED, LinkSeen(3, "eth0", True), LinkGone(2)],
     ["+eth0", "+eth0 192.0.2.1 80", "+eth0", "-eth0", "-eth0 192.0.2.1 80"]),
    ("the last word on several addresses", [ETH0, ADDED, AddressesSeen(2, {KEY_ONE: GONE, KEY_TWO: 0x80, KEY_OTHER: GONE})],
     ["+eth0", "+eth0 192.0.2.1 80", "-eth0 192.0.2.1 80", "+eth0 2001:db8::2 80"]),
    ("link gone that was never known", [ADDED, LinkGone(2), ETH0], ["+eth0"]),
]


def singly(things: Iterable[Thing]) -> Iterator[object]:
    """Each address for itself, as (interface, identity, flags), and everything else as it is."""
    for thing in things:
        if isinstance(thing, Addresses):
            yield from ((thing.interface, key, flags) for key, flags in thing.flags.items())
        else:
            yield thing


def said(change: Tuple[bool, Thing]) -> List[str]:
    thing, sign = change[1], "+-"[not change[0]]
    if isinstance(thing, Addresses):
        return ["%s%s %s %x" % (sign, thing.interface.name, NAMES[local(key)], flags) for key, flags in thing.flags.items()]
    assert isinstance(thing, Interface)
    return [sign + thing.name]


BR0, IN_BR0 = LinkSeen(9, "br0", True, kind="bridge"), LinkSeen(2, "eth0", True, master=9)
PLAIN, PORT = Interface("eth0", ifindex=2), Interface("eth0", master=("br0",), ifindex=2)
BRIDGE = Interface("br0", kind="bridge", ifindex=9)


@pytest.mark.parametrize(("events", "selected"), [
    ([ETH0, LinkSeen(2, "eth0", True, 7, "vlan", 0, ("a", "b"))], [PLAIN, PLAIN._replace(altnames=("a", "b"), group=7, kind="vlan")]),
    ([BR0, ETH0, IN_BR0, ETH0], [BRIDGE, PLAIN, PORT, PLAIN]),
    ([IN_BR0, BR0], [PLAIN, BRIDGE, PORT]),
    ([BR0, IN_BR0, LinkSeen(9, "br1", True, 0, "bridge", 0, ("big",)), LinkGone(9)],
     [BRIDGE, PORT, BRIDGE._replace(name="br1", altnames=("big",)), PORT._replace(master=("br1", "big")), PLAIN]),
    ([ETH0, ETH0._replace(hardware=b"mac-12")], [PLAIN, PLAIN._replace(hardware=b"mac-12")]),
    ([BR0, IN_BR0, LinkGone(2), BR0._replace(name="br1")], [BRIDGE, PORT, BRIDGE._replace(name="br1")]),
    ([LinkSeen(2, "eth0", True, master=2), LinkSeen(2, "eth1", True, master=2), LinkGone(2)],
     [PLAIN._replace(master=("eth0",)), Interface("eth1", master=("eth1",), ifindex=2)]),
])
def test_what_selects_an_interface(events: List[Event], selected: List[Interface]) -> None:
    inventory = Inventory()
    changes = [change for event in events for change in inventory.apply(event)]
    assert [thing for gained, thing in changes if gained and isinstance(thing, Interface)] == selected
    there = Counter(thing for gained, thing in changes if gained and isinstance(thing, Interface))
    there.subtract(thing for gained, thing in changes if not gained and isinstance(thing, Interface))
    assert +there == Counter(interface for interface, _addresses in inventory.interfaces()), "changes add up"
    again = Inventory()
    again.replace_interfaces([LinkSeen(index, *link) for index, link in inventory.links.items()], {})
    assert Counter(interface for interface, _addresses in again.interfaces()) == +there


def test_default_routes_move() -> None:
    inventory = Inventory()
    for event in (ETH0, ADDED, LinkSeen(3, "eth1", True)):
        inventory.apply(event)
    first = inventory.replace_defaults({2: (ONE,), 77: ()})
    carrier = PLAIN._replace(default_route=True, gateways=(ONE,))
    assert first == [(False, PLAIN), (False, Addresses(PLAIN, {KEY_ONE: 0x80})),
                     (True, carrier), (True, Addresses(carrier, {KEY_ONE: 0x80}))]
    assert inventory.replace_defaults({77: (), 2: (ONE,)}) == []
    another = inventory.replace_defaults({77: (), 2: (ONE, TWO)})
    assert [thing.gateways for gained, thing in another if isinstance(thing, Interface)] == [(ONE,), (ONE, TWO)]
    moved = inventory.replace_defaults({3: (TWO,)})
    assert [(gained, thing.name, thing.default_route) for gained, thing in moved if isinstance(thing, Interface)] == [
        (False, "eth0", True), (True, "eth0", False), (False, "eth1", False), (True, "eth1", True)]
    inventory.replace_defaults({77: ()})
    assert inventory.apply(LinkSeen(77, "late", True))[0][1] == Interface("late", default_route=True, ifindex=77)


NAMES = {ONE: "192.0.2.1", TWO: "2001:db8::2"}


@pytest.mark.parametrize(("events", "changes"), [scene[1:] for scene in SCENES], ids=[scene[0] for scene in SCENES])
def test_events(events: List[Event], changes: List[str]) -> None:
    inventory = Inventory()
    assert [words for event in events for change in inventory.apply(event) for words in said(change)] == changes


def test_identity() -> None:
    for own, peer, length in ((ONE, bytes(4), 32), (TWO, bytes(16), 0), (TWO, TWO, 128)):
        key = identity(own, length, peer)
        assert (local(key), prefixlen(key)) == (own, length)
    assert len({KEY_ONE, KEY_TWO, identity(ONE, 25, ONE), identity(ONE, 24, bytes(4))}) == 4


def test_a_snapshot_replaces_everything() -> None:
    inventory = Inventory()
    for event in (ETH0, ADDED, LinkSeen(3, "gone", True), AddressSeen(3, TWO, 64, TWO, 0x80)):
        inventory.apply(event)
    found = inventory.replace_interfaces([ETH0, LinkSeen(4, "new", True)], tables([ADDED, SECOND]))
    assert [[(gained, type(thing)) for gained, thing in each] for each in found] == [
        [(True, Addresses)], [(False, Interface), (False, Addresses)], [(True, Interface), (True, Addresses)]]
    assert found[0][0][1] == Addresses(PLAIN, {KEY_TWO: 0x80}), "only what is other than before"
    assert inventory.replace_interfaces([ETH0, LinkSeen(4, "new", True)], tables([ADDED, SECOND])) == []
    assert Counter(singly(inventory.things())) == Counter(
        [PLAIN, Interface("new", ifindex=4), (PLAIN, KEY_ONE, 0x80), (PLAIN, KEY_TWO, 0x80)])


def test_containers_by_engine_and_id() -> None:
    inventory = Inventory()
    one, two = ContainerSeen("1", "web", (), ()), ContainerSeen("2", "db", (), ())
    other = one._replace(engine="other")
    assert inventory.containers_changed("", [one, two], []) == [(True, one), (True, two)]
    assert inventory.containers_changed("", [two, one], ["3"]) == []
    assert inventory.containers_changed("other", [other], ["2"]) == [(True, other)]
    healthy = two._replace(healthy=True)
    changes = [(False, two), (False, one), (True, healthy)]
    assert inventory.containers_changed("", [healthy], ["1"]) == changes
    assert (inventory.containers_of(""), inventory.containers_of("other"), inventory.containers_of("none")) == ([healthy], [other], [])


@pytest.mark.parametrize("seed", range(6))
def test_changes_add_up_to_the_tables(seed: int) -> None:
    """Whatever happens in whatever order: all gained less all gone is what there is, and nothing goes that was not there."""
    source, inventory = random.Random(seed), Inventory()
    balance: Counter[object] = Counter()
    for _ in range(1500):
        kind = source.random()
        if kind < 0.02:
            found = bool(inventory.links), inventory.replace_interfaces(*random_snapshot(source))
            changes = [change for each in found[1] for change in each]
            if not found[0]:
                assert not changes
                balance = Counter(singly(inventory.things()))
        elif kind < 0.05:
            changes = inventory.replace_defaults(random_hops(source))
        elif kind < 0.1:
            changes = replaced(inventory, random_containers(source))
        else:
            changes = inventory.apply(random_event(source))
        for gained, thing in changes:
            for each in singly([thing]):
                balance[each] += 1 if gained else -1
                assert balance[each] >= 0, each
        assert +balance == Counter(singly(inventory.things()))


@pytest.mark.parametrize("seed", range(4))
def test_addresses_that_are_lent_stay_as_they_were(seed: int) -> None:
    source, inventory = random.Random(seed), Inventory()
    lent = []
    for _ in range(600):
        if source.random() < 0.1:
            lent.append((inventory.lend(), {index: dict(table) for index, table in inventory.addresses.items()}))
        if source.random() < 0.02:
            inventory.replace_interfaces(*random_snapshot(source))
        else:
            inventory.apply(random_event(source))
        flags = {each for table in inventory.addresses.values() for each in table.values()}
        assert all(inventory.flagged & each == each for each in flags)
    assert all(each == copy for each, copy in lent) and len(lent) > 20


@pytest.mark.parametrize("seed", range(6))
def test_a_snapshot_wipes_out_history(seed: int) -> None:
    source, old, new = random.Random(seed), Inventory(), Inventory()
    for _ in range(300):
        old.apply(random_event(source))
        links, addresses = random_snapshot(source)
    for inventory in (old, new):
        inventory.replace_interfaces(links, {index: dict(table) for index, table in addresses.items()})
    assert Counter(singly(old.things())) == Counter(singly(new.things()))
    assert old.links == new.links
    for index in old.addresses:
        assert old.addresses[index] == new.addresses.get(index, {})


def test_two_links_of_one_name_are_two_things() -> None:
    inventory = Inventory()
    for index in (1, 2):
        inventory.apply(LinkSeen(index, "eth0", True))
    assert list(singly(inventory.things())) == [Interface("eth0", ifindex=1), PLAIN]


@pytest.mark.parametrize("sure", [AddressesAre(2, {}), LinkGone(2), None])
def test_a_link_that_goes_down_with_ipv6_addresses_leaves_doubt(sure: Optional[Event]) -> None:
    """Until they are read again, or it is gone, or everything is read."""
    inventory = Inventory()
    for event in (ETH0, AddressSeen(2, TWO, 64, TWO, 0x80), ETH0):
        inventory.apply(event)
    assert not inventory.unsure
    inventory.apply(LinkSeen(2, "eth0", False))
    assert inventory.unsure == {2: "a link went down"}
    if sure is None:
        inventory.replace_interfaces([], {})
    else:
        inventory.apply(sure)
    assert not inventory.unsure


@pytest.mark.parametrize("in_order", [False, True])
def test_all_addresses_of_a_link_that_was_in_doubt(in_order: bool) -> None:
    """What is told is the difference; what changes is all of it, for it may stand in another order.  The same again is nothing."""
    inventory = Inventory()
    if in_order:
        inventory.keep_order()
    for event in (ETH0, LinkSeen(3, "eth1", True), AddressesSeen(2, {KEY_ONE: 0x80, KEY_TWO: 0x80}), AddressesSeen(3, {KEY_ONE: 0})):
        inventory.apply(event)
    changes, told = inventory.addresses_are(2, {KEY_OTHER: 0, KEY_THREE: 0, KEY_TWO: 0xC0})
    now = {KEY_OTHER: 0, KEY_TWO: 0xC0, KEY_THREE: 0}
    assert changes == [(False, Addresses(PLAIN, {KEY_ONE: 0x80, KEY_TWO: 0x80})), (True, Addresses(PLAIN, now))]
    assert told == [((False, Addresses(PLAIN, {KEY_ONE: 0x80, KEY_TWO: 0x80})), (True, Addresses(PLAIN, now)))]
    assert list(inventory.addresses[2]) == [KEY_OTHER, *((KEY_TWO, KEY_THREE) if in_order else (KEY_THREE, KEY_TWO))]
    assert inventory.addresses_are(2, {KEY_OTHER: 0, KEY_THREE: 0, KEY_TWO: 0xC0}) == ([], [])
    changes, told = inventory.addresses_are(2, {KEY_OTHER: 0, KEY_TWO: 0xC0, KEY_THREE: 0})
    assert [gained for gained, _all in changes] == [False, True] and told == []
    assert inventory.addresses[3] == {KEY_ONE: 0} and inventory.flagged & 0xC0 == 0xC0


def test_addresses_of_a_link_that_is_not_known_yet_count_when_it_is() -> None:
    inventory = Inventory()
    assert inventory.apply(AddressesAre(2, {KEY_ONE: 0x80})) == []
    assert inventory.apply(ETH0) == [(True, PLAIN), (True, Addresses(PLAIN, {KEY_ONE: 0x80}))]


@pytest.mark.parametrize("in_order", [False, True])
def test_an_address_that_was_told_of_twice_at_once_leaves_its_place_in_doubt(in_order: bool) -> None:
    inventory = Inventory()
    if in_order:
        inventory.keep_order()
    inventory.apply(ETH0)
    inventory.apply(AddressesSeen(2, {KEY_ONE: 0x80, KEY_TWO: 0x80}))
    assert not inventory.unsure
    inventory.apply(AddressesSeen(2, {KEY_ONE: 0x80}, repeated=True))
    assert inventory.unsure == ({2: "an address came again"} if in_order else {})
