"""model/fleet and model/following: what is accepted, who counts, and that any order of events and breaks ends where a fresh list does."""

import json
import random
from typing import Any, Dict, List, Optional, Sequence, Tuple, Union

import pytest

from netmgr.config.fleet import Consumed
from netmgr.model.fleet import Record, Table, decode, encode, key_of, unacceptable
from netmgr.model.following import Following
from netmgr.values import addresses
from netmgr.values.errors import ProtocolError
from netmgr.values.events import HostGone, HostSeen
from netmgr.values.records import Event, Page, Pair, Seen

PREFIX = "/netmgr/1/"


def packed(*texts: str) -> Tuple[bytes, ...]:
    return tuple(addresses.parse(text)[0] for text in texts)


def record(host: str, *texts: str, zone: str = "wan") -> Record:
    return Record(zone, host, "boot", 1, packed(*texts))


def pair(host: str, *texts: str, revision: int = 1, lease: int = 7, zone: str = "wan") -> Pair:
    return Pair(key_of(PREFIX, zone, host), encode(record(host, *texts, zone=zone)), revision, lease)


def test_a_record_is_read_as_it_was_written() -> None:
    written = record("edge-17", "203.0.113.7", "2001:db8::7")
    value = encode(written)
    assert json.loads(value) == {"v": 1, "zone": "wan", "host": "edge-17", "boot": "boot", "seq": 1,
                                 "addresses": ["203.0.113.7", "2001:db8::7"]}
    assert decode(PREFIX, b"/netmgr/1/wan/edge-17", value) == written
    for end in range(len(value)):
        with pytest.raises(ProtocolError):
            decode(PREFIX, b"/netmgr/1/wan/edge-17", value[:end])


@pytest.mark.parametrize(("change", "complaint"), [
    ({"v": 2}, "version 2"), ({"v": "1"}, "version '1'"), ({"v": True}, "version True"), ({"zone": "lan"}, "another zone or host"),
    ({"host": "edge-18"}, "another zone or host"), ({"boot": 1}, "which instance"), ({"boot": "\x1b"}, "which instance"),
    ({"seq": None}, "which instance"), ({"addresses": None}, "no list"), ({"addresses": ["192.0.2.0/24"]}, "not an address"),
    ({"addresses": [3221225985]}, "not an address"), ({"addresses": ["fe80::1%eth0"]}, "not an address"),
    ({"addresses": ["x"]}, "not an address"),
])
def test_a_record_that_is_none(change: Dict[str, Any], complaint: str) -> None:
    fields = json.loads(encode(record("edge-17", "203.0.113.7")))
    with pytest.raises(ProtocolError, match=complaint):
        decode(PREFIX, b"/netmgr/1/wan/edge-17", json.dumps({**fields, **change}).encode())


def test_unknown_fields_are_passed_over() -> None:
    fields = json.loads(encode(record("edge-17", "203.0.113.7")))
    assert decode(PREFIX, b"/netmgr/1/wan/edge-17", json.dumps({**fields, "new": 1}).encode()) == record("edge-17", "203.0.113.7")


@pytest.mark.parametrize("key", [b"/netmgr/1/wan/", b"/netmgr/1/wan/a/b", b"/other/wan/a", b"/netmgr/1/wan", b"/netmgr/1/wan/\xff", b""])
def test_keys_that_are_no_records(key: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(PREFIX, key, encode(record("a")))


def test_a_record_has_a_largest_size() -> None:
    with pytest.raises(ProtocolError, match="at most 16384"):
        decode(PREFIX, b"/netmgr/1/wan/a", b" " * 16385)
    with pytest.raises(ValueError, match="others take 16384"):
        encode(Record("wan", "a", "boot", 1, tuple((number + (0x20010DB8 << 96)).to_bytes(16, "big") for number in range(2000))))


def test_damaged_records_are_refused_or_are_records() -> None:
    randoms, value = random.Random(14), encode(record("edge-17", "203.0.113.7", "2001:db8::7"))
    for _ in range(3000):
        damaged = bytearray(value)
        for _ in range(randoms.randint(1, 4)):
            damaged[randoms.randrange(len(damaged))] = randoms.choice(b'{}[]":,0Aa\\\xff-e')
        try:
            found = decode(PREFIX, b"/netmgr/1/wan/edge-17", bytes(damaged))
        except ProtocolError:
            continue
        assert (found.zone, found.host) == ("wan", "edge-17") and all(len(each) in (4, 16) for each in found.addresses)


RULE = Consumed("peer_wan", "wan", accept=tuple(addresses.parse(each) for each in ("203.0.113.0/24", "2001:db8::/32")), max_addresses=3)


@pytest.mark.parametrize(("texts", "complaint"), [
    (["203.0.113.7", "2001:db8::7"], None), ([], None), (["192.0.2.1"], "none of the accepted"), (["2001:db9::1"], "none of the accepted"),
    (["203.0.113.1", "203.0.113.2", "203.0.113.3", "203.0.113.4"], "4 addresses; at most 3")])
def test_what_is_accepted(texts: List[str], complaint: Optional[str]) -> None:
    reason = unacceptable(record("a", *texts), RULE)
    assert (reason is None) if complaint is None else (reason is not None and complaint in reason)


@pytest.mark.parametrize("text", ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255", "169.254.1.1",
                                  "::", "::1", "ff02::1", "fe80::1", "::ffff:203.0.113.7"])
def test_what_is_never_accepted(text: str) -> None:
    reason = unacceptable(record("a", text), RULE._replace(accept=None))
    assert reason is not None and "no address of a host" in reason


class Told:
    """A Following, and what it told; `now` is its clock."""

    def __init__(self, rule: Consumed = RULE, linger: float = 0.0) -> None:
        self.refused: List[str] = []
        self.following = Following(PREFIX, [rule], "me", linger, self.refused.append)
        self.now = 100.0

    def list_all(self, *pairs: Pair, revision: int = 1) -> None:
        self.following.begin_list()
        assert self.following.page() is not None
        self.following.take_page(Page(revision, pairs, False), self.now)

    def happen(self, *events: Event, unfinished: bool = False) -> bool:
        return self.following.take(Seen(0, 999, False, None, 0, unfinished, events), self.now)

    def counting(self) -> Dict[str, Tuple[bytes, ...]]:
        return {seen.host: seen.addresses for seen in self.following.tables[0].counting()}


def put(host: str, *texts: str, revision: int = 2, lease: int = 7) -> Event:
    return Event(key_of(PREFIX, "wan", host), revision, pair(host, *texts, revision=revision, lease=lease))


def gone(host: str, revision: int = 3) -> Event:
    return Event(key_of(PREFIX, "wan", host), revision, None)


def test_hosts_come_change_and_go() -> None:
    told = Told()
    told.list_all(pair("a", "203.0.113.1"), pair("me", "203.0.113.99"))
    assert told.following.changes() == [HostSeen("peer_wan", "a", packed("203.0.113.1"))]
    assert told.following.watches() == [(0, b"/netmgr/1/wan/", b"/netmgr/1/wan0", 2)]
    told.happen(put("b", "2001:db8::1"), put("a", "203.0.113.2", revision=3))
    assert told.following.changes() == [HostSeen("peer_wan", "a", packed("203.0.113.2")), HostSeen("peer_wan", "b", packed("2001:db8::1"))]
    told.happen(gone("a", 9))
    assert told.following.changes() == [HostGone("peer_wan", "a")]
    assert told.following.watches()[0][3] == 10


def test_a_bad_record_is_told_once_and_the_last_good_one_stays() -> None:
    told = Told()
    told.list_all(pair("a", "203.0.113.1"))
    told.happen(put("a", "0.0.0.0"), put("a", "0.0.0.0", revision=3))
    assert told.refused == ["the record of a in zone wan is refused: 0.0.0.0 is no address of a host"]
    assert told.counting() == {"a": packed("203.0.113.1")}
    told.happen(gone("a"))
    assert told.counting() == {}


def test_a_record_without_a_lease_would_never_die() -> None:
    told = Told()
    told.list_all(pair("a", "203.0.113.1", lease=0))
    assert told.counting() == {} and told.refused == ["the record of a in zone wan is refused: it has no lease, so it would never die"]


def test_the_first_hosts_by_name_have_the_room() -> None:
    told = Told(RULE._replace(max_hosts=2))
    told.list_all(*(pair(name, "203.0.113.1") for name in "bdf"))
    assert sorted(told.counting()) == ["b", "d"] and told.following.tables[0].turned_away == 1
    told.following.changes()
    told.happen(put("c", "203.0.113.2"))
    assert told.following.changes() == [HostSeen("peer_wan", "c", packed("203.0.113.2")), HostGone("peer_wan", "d")]
    told.happen(gone("b"))
    assert told.following.changes() == [HostGone("peer_wan", "b"), HostSeen("peer_wan", "d", packed("203.0.113.1"))]


def test_very_much_that_changed_is_told_in_parts() -> None:
    told = Told()
    told.list_all(*(pair("host-%d" % number, "203.0.113.1", "203.0.113.2") for number in range(130)))
    parts: List[Sequence[Union[HostSeen, HostGone]]] = []
    while told.following.untold:
        parts.append(told.following.changes())
    assert [sum(len(each.addresses) for each in part if isinstance(each, HostSeen)) for part in parts] == [100, 100, 60]
    assert {each.host for part in parts for each in part} == {"host-%d" % number for number in range(130)}
    told.following.forget()
    assert len(told.following.changes()) == 100 and len(told.following.changes()) == 30 and told.following.changes() == []


def test_of_a_host_that_is_mentioned_is_told_how_it_is() -> None:
    told = Told()
    told.list_all(pair("a", "203.0.113.1"))
    told.following.changes()
    told.following.mention("peer_wan", "a")
    told.following.mention("peer_wan", "unknown")
    told.following.mention("another", "a")
    assert told.following.changes() == [HostSeen("peer_wan", "a", packed("203.0.113.1")), HostGone("peer_wan", "unknown")]


def test_what_goes_in_doubt_is_held() -> None:
    told = Told()
    told.list_all(pair("a", "203.0.113.1"), pair("b", "203.0.113.2"))
    told.following.doubt(told.now + 12)
    told.list_all(pair("b", "203.0.113.2"))
    assert sorted(told.counting()) == ["a", "b"] and told.following.deadline() == told.now + 12
    told.happen(gone("b"))
    told.happen(put("b", "203.0.113.3", revision=4))
    told.following.settle(told.now + 12)
    assert told.counting() == {"b": packed("203.0.113.3")}


def test_an_expired_host_lingers_for_as_long_as_is_configured() -> None:
    told = Told(linger=60)
    told.list_all(pair("a", "203.0.113.1"))
    told.happen(gone("a"))
    told.following.settle(told.now + 59)
    assert sorted(told.counting()) == ["a"]
    told.following.settle(told.now + 60)
    assert told.counting() == {}


def test_compaction_and_another_store_are_noticed() -> None:
    told = Told()
    told.list_all(pair("a", "203.0.113.1"), revision=50)
    assert not told.following.take(Seen(0, 60, True, "compacted", 55, False, ()), told.now)
    assert told.following.behind(Seen(0, 3, True, None, 0, False, ()))
    assert not told.following.saw(Page(3, (), False, 1)) and told.following.saw(Page(4, (), False, 1))
    assert not told.following.saw(Page(5, (), False, 2)) and told.following.saw(Page(5, (), False, 2))


def test_a_watch_goes_on_behind_what_is_known_to_be_whole() -> None:
    told = Told()
    told.list_all(revision=10)
    told.happen(put("a", "203.0.113.1", revision=12), unfinished=True)
    assert told.following.watches()[0][3] == 11
    told.happen(put("b", "203.0.113.1", revision=12))
    assert told.following.watches()[0][3] == 13
    progress = Seen(0, 20, False, None, 0, False, ())
    told.following.take(progress, told.now)
    assert told.following.watches()[0][3] == 13
    told.following.take(progress, told.now)
    assert told.following.watches()[0][3] == 21


def test_lists_come_in_pages_at_one_revision() -> None:
    told = Told()
    told.following.begin_list()
    assert told.following.page() == (b"/netmgr/1/wan/", b"/netmgr/1/wan0", 0)
    told.following.take_page(Page(5, (pair("a", "203.0.113.1"),), True), told.now)
    assert told.following.page() == (b"/netmgr/1/wan/a\0", b"/netmgr/1/wan0", 5)
    told.following.take_page(Page(9, (pair("b", "203.0.113.2"),), False), told.now)
    assert told.following.page() is None and told.following.watches()[0][3] == 6


class Store:
    """What etcd keeps: every event, and from which revision on it can still tell them."""

    def __init__(self) -> None:
        self.pairs: Dict[bytes, Pair] = {}
        self.events: List[Event] = []
        self.compacted = 0

    @property
    def revision(self) -> int:
        return self.events[-1].revision if self.events else 1

    def change(self, randoms: random.Random) -> None:
        revision = self.revision + 1
        for host in randoms.sample("abcdefgh", randoms.randint(1, 3)):
            key = key_of(PREFIX, "wan", host)
            if key in self.pairs and randoms.random() < 0.4:
                del self.pairs[key]
                self.events.append(Event(key, revision, None))
            else:
                good = randoms.random() < 0.8
                self.pairs[key] = pair(host, "203.0.113.%d" % randoms.randint(1, 9) if good else "127.0.0.1", revision=revision)
                self.events.append(Event(key, revision, self.pairs[key]))


class Walk:
    """A store that changes, one that follows it with breaks, and what was told of it on the way (`kept`)."""

    def __init__(self, seed: int) -> None:
        self.randoms = random.Random(seed)
        self.store, self.told = Store(), Told(RULE._replace(max_hosts=self.randoms.choice((3, 20))))
        self.following = self.told.following
        self.kept: Dict[str, Tuple[bytes, ...]] = {}
        self.list_all()

    def list_all(self) -> None:
        self.following.begin_list()
        page = self.following.page()
        while page is not None:
            pairs = sorted(each for key, each in self.store.pairs.items() if page[0] <= key < page[1])
            self.following.take_page(Page(self.store.revision, tuple(pairs[:2]), len(pairs) > 2), self.told.now)
            page = self.following.page()

    def follow(self, most: int) -> None:
        """So many events, in lines of one to three: the last line may break off in the middle of a revision."""
        begin = self.following.watches()[0][3]
        if begin <= self.store.compacted:
            assert not self.following.take(Seen(0, self.store.revision, True, "compacted", self.store.compacted, False, ()), self.told.now)
            self.list_all()
            return
        due = [event for event in self.store.events if event.revision >= begin]
        place = 0
        while place < min(most, len(due)):
            some = due[place:place + self.randoms.randint(1, 3)]
            place += len(some)
            unfinished = place < len(due) and due[place].revision == some[-1].revision
            self.following.take(Seen(0, self.store.revision + 5, False, None, 0, unfinished, tuple(some)), self.told.now)

    def step(self) -> None:
        self.told.now += 1
        happens = self.randoms.random()
        if happens < 0.5:
            self.store.change(self.randoms)
        elif happens < 0.8:
            self.follow(self.randoms.randint(1, 5))
        elif happens < 0.9:
            self.store.compacted = self.randoms.randint(self.store.compacted, self.store.revision)
        else:
            self.following.doubt(self.told.now + 5)
        self.settle()

    def settle(self) -> None:
        self.following.settle(self.told.now)
        for change in self.following.changes():
            if isinstance(change, HostSeen):
                self.kept[change.host] = change.addresses
            elif isinstance(change, HostGone):
                self.kept.pop(change.host, None)

    def good(self) -> Dict[str, Tuple[bytes, ...]]:
        """The hosts whose record in the store is acceptable."""
        records = [decode(PREFIX, key, each.value) for key, each in self.store.pairs.items()]
        return {each.host: each.addresses for each in records if unacceptable(each, RULE) is None}


@pytest.mark.parametrize("seed", range(150))
def test_any_order_of_events_and_breaks_ends_where_a_fresh_list_does(seed: int) -> None:
    walk = Walk(seed)
    for _ in range(60):
        walk.step()
    walk.follow(1000)
    walk.told.now += 100
    walk.settle()
    table, counting, good = walk.following.tables[0], walk.told.counting(), walk.good()
    assert walk.kept == counting
    assert set(counting) - set(good) <= set(table.refused)      # the last good record of a host whose present one is refused
    assert {host: held for host, held in counting.items() if host in good}.items() <= good.items()
    if table.rule.max_hosts > 8:
        assert set(counting) >= set(good)
    else:
        assert len(counting) == min(table.rule.max_hosts, len(counting) + table.turned_away)


def test_a_table_tells_what_it_turned_away() -> None:
    table = Table(RULE._replace(hosts=("web-*",)), "me", 0)
    assert table.concerns("web-1") and not table.concerns("db-1")
