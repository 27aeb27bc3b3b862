"""The source of links and addresses, when the first snapshot does not come at once."""

import signal
from typing import Callable, Iterator, List, Sequence, Tuple

import pytest

from netmgr.io import link_source
from netmgr.io.link_source import LinkSource
from netmgr.io.loop import Loop
from netmgr.io.rtnetlink import Drained, EventSocket, RequestSocket, nobody_listens
from netmgr.values.addresses import local, text
from netmgr.values.errors import ProtocolError
from netmgr.values.events import AddressesAre, AddressesSeen, Event, LinkSeen
from netmgr.values.snapshots import Snapshot
from netmgr.wire.rtnetlink import dump_links
from netmgr.wire.rtnetlink_bulk import Tables
from tests.kernel.lab import Lab
from tests.waiting import eventually


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield made
    made.close()
    for signum, handler in handlers.items():
        signal.signal(signum, handler)


class Observed:
    """A source, and what it has told."""

    def __init__(self, loop: Loop, audit_interval: float = 0) -> None:
        self.loop = loop
        self.seen: List[Event] = []
        self.doubtful: List[int] = []
        self.replaced: List[Snapshot] = []
        self.log: List[Tuple[str, str]] = []
        self.source = LinkSource(loop, self._heard, self.replaced.append, lambda *line: self.log.append(line), audit_interval)

    def _heard(self, events: Sequence[Event]) -> Sequence[int]:
        self.seen += events
        again = {event.ifindex for event in events if isinstance(event, AddressesAre)}
        self.doubtful = [each for each in self.doubtful if each not in again]
        return self.doubtful

    def told(self) -> List[str]:
        """The addresses of all events."""
        return [text(local(key)) for event in self.seen if isinstance(event, AddressesSeen) for key in event.flags]

    def until(self, condition: Callable[[], object]) -> None:
        def turned() -> object:
            self.loop.turn(0.01)
            return condition()
        eventually(turned)


@pytest.fixture
def source(lab: Lab, loop: Loop) -> Iterator[Observed]:
    """Not started yet; there is eth0."""
    lab.link("eth0")
    with lab.inside():
        made = Observed(loop)
    yield made
    made.source.stop()


@pytest.mark.parametrize("problem", [OSError(16, "busy"), ProtocolError("odd")])
def test_nothing_is_told_before_the_first_snapshot(
        lab: Lab, source: Observed, monkeypatch: pytest.MonkeyPatch, problem: Exception) -> None:
    """Else an empty table would be taken for the truth, and every address would leave the sets."""
    snapshot = RequestSocket.snapshot

    def first_time_in_vain(_requests: RequestSocket, _listen: Callable[[], int]) -> Snapshot:
        monkeypatch.setattr(RequestSocket, "snapshot", snapshot)
        raise problem

    monkeypatch.setattr(RequestSocket, "snapshot", first_time_in_vain)
    source.source.start()
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    source.loop.turn(0)
    assert (source.source.state, source.source.pending, source.replaced, source.seen) == ("error", True, [], [])
    assert [level for level, _line in source.log] == ["error"]
    source.until(lambda: not source.source.pending)
    assert (source.source.state, source.source.facts, len(source.replaced)) == ("ok", {"overruns": 0, "resyncs": 1}, 1)
    assert {link.name for link in source.replaced[0].links if isinstance(link, LinkSeen)} == {"lo", "eth0"}


def test_what_several_interrupted_dumps_show_is_told_with_what_happened_since(
        lab: Lab, source: Observed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_source, "RETRY", 0.05)
    snapshot, left = RequestSocket.snapshot, [3]

    def in_vain(requests: RequestSocket, listen: Callable[[], int]) -> Snapshot:
        left[0] -= 1
        if not left[0]:
            monkeypatch.setattr(RequestSocket, "snapshot", snapshot)
        lab.run("ip addr add 192.0.2.%d/24 dev eth0" % left[0])
        found = snapshot(requests)._replace(consistent=False)
        assert listen() == 0
        return found

    monkeypatch.setattr(RequestSocket, "snapshot", in_vain)
    source.source.start()
    assert (source.source.state, source.source.pending, len(source.replaced)) == ("ok", False, 1)
    source.until(lambda: len(source.replaced) == 4 and source.replaced[-1].consistent)
    assert source.log == [("warning", "netlink: " + link_source.IN_VAIN)]
    assert {*source.told()} >= {"192.0.2.0", "192.0.2.1", "192.0.2.2"}


class Interrupted:
    """Each dump of addresses is interrupted, and overlooks what came while it was made; then `happens`, called with its number."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, happens: Callable[[int], None]) -> None:
        self.number = 0
        dump = RequestSocket.dump

        def interrupted(requests: RequestSocket, make_request: Callable[[int], bytes], tables: Tables,
                        listen: Callable[[], int]) -> Tuple[List[Event], bool]:
            others, whole = dump(requests, make_request, tables, listen)
            if make_request is dump_links:
                return others, whole
            self.number += 1
            happens(self.number)
            return others, False

        monkeypatch.setattr(RequestSocket, "dump", interrupted)


class Losing:
    """When it is `now`, what the queue of events holds is lost, once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = False
        drain = EventSocket.drain

        def drained(events: EventSocket) -> Drained:
            found, lost, self.now = drain(events), self.now, False
            return Drained([], "the queue of events overran", False) if lost else found

        monkeypatch.setattr(EventSocket, "drain", drained)


def test_what_interrupted_dumps_show_counts_only_with_all_events_since_the_first_of_them(
        lab: Lab, source: Observed, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address whose event is lost, and that goes or comes between two dumps, would make a set what it never was."""
    monkeypatch.setattr(link_source, "RETRY", 0.05)
    losing = Losing(monkeypatch)

    def happens(number: int) -> None:
        losing.now = number == 3
        lab.run("ip addr add 192.0.2.%d/24 dev eth0" % number)

    dumps = Interrupted(monkeypatch, happens)
    source.source.start()
    assert dumps.number == 3 + 5
    assert (source.source.state, source.source.pending, source.source.facts) == ("ok", False, {"overruns": 1, "resyncs": 1})
    [snapshot] = source.replaced
    shown = {text(local(key)) for table in snapshot.addresses.values() for key in table}
    assert shown >= {"192.0.2.%d" % number for number in range(1, 8)} and not snapshot.consistent
    assert source.told() == ["192.0.2.%d" % number for number in range(4, 9)]


def test_where_no_two_dumps_have_all_events_between_them_nothing_is_told(
        lab: Lab, source: Observed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_source, "RETRY", 0.05)
    losing = Losing(monkeypatch)

    def happens(_number: int) -> None:
        losing.now = True

    with monkeypatch.context() as patched:
        dumps = Interrupted(patched, happens)
        source.source.start()
        assert (dumps.number, source.replaced, source.seen, source.source.pending) == (20, [], [], True)
        assert source.source.facts == {"overruns": 20, "resyncs": 0}
        assert source.log == [("error", "netlink: links and addresses cannot be read: they change faster than they can be read")]
    source.until(lambda: source.source.state == "ok")
    assert [snapshot.consistent for snapshot in source.replaced] == [True]


def after_the_links(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """It happens once, when the links have been dumped."""
    dump = RequestSocket.dump

    def then(requests: RequestSocket, make_request: Callable[[int], bytes], tables: Tables,
             listen: Callable[[], int] = nobody_listens) -> Tuple[List[Event], bool]:
        found = dump(requests, make_request, tables, listen)
        if make_request is dump_links:
            monkeypatch.setattr(RequestSocket, "dump", dump)
            happens()
        return found

    monkeypatch.setattr(RequestSocket, "dump", then)


def test_links_and_addresses_that_no_time_had_together_are_told_only_with_what_happened_between(
        lab: Lab, source: Observed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address came when eth0 had another name; neither dump is interrupted."""
    def happens() -> None:
        lab.rename_link("eth0", "other0")
        lab.run("ip addr add 192.0.2.1/24 dev other0")

    after_the_links(monkeypatch, happens)
    source.source.start()
    [snapshot] = source.replaced
    names = {link.ifindex: link.name for link in snapshot.links if isinstance(link, LinkSeen)}
    held = [(names[ifindex], text(local(key))) for ifindex, table in snapshot.addresses.items() for key in table]
    assert ("eth0", "192.0.2.1") in held
    assert [event.name for event in source.seen if isinstance(event, LinkSeen)][-1] == "other0" and not source.source.pending


def test_a_look_at_the_links_is_told_with_what_happened_meanwhile(lab: Lab, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """If an address comes and the link gets another name, there is no time at which it has that name and lacks the address."""
    lab.link("eth0")
    happened: List[str] = []
    with lab.inside():
        looking = Observed(loop, audit_interval=0.05)
    looking.source.start()
    after_the_links(monkeypatch, lambda: happened.append(lab.run("ip addr add 192.0.2.1/24 dev eth0")))
    looking.until(lambda: happened)
    assert "192.0.2.1" in looking.told()
    looking.source.stop()


def test_what_is_told_with_a_snapshot_may_want_another(lab: Lab, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes though nothing happens any more: there is only lo."""
    monkeypatch.setattr(link_source, "RETRY", 0.05)
    with lab.inside():
        doubting = Observed(loop)
    doubting.doubtful = list(range(1000, 1100))
    after_the_links(monkeypatch, lambda: lab.run("ip addr add 192.0.2.1/32 dev lo"))
    doubting.source.start()
    assert len(doubting.replaced) == 1 and doubting.seen
    doubting.until(lambda: len(doubting.replaced) == 2)
    assert (doubting.source.state, doubting.source.pending) == ("ok", False)
    doubting.source.stop()


def test_what_was_told_before_a_dump_failed_is_not_lost(lab: Lab, source: Observed, monkeypatch: pytest.MonkeyPatch) -> None:
    source.source.start()

    def happens(number: int) -> None:
        lab.run("ip addr add 192.0.2.%d/24 dev eth0" % number)
        if number == 3:
            raise OSError(16, "busy")

    with monkeypatch.context() as patched:
        Interrupted(patched, happens)
        source.source.refresh()
    assert (source.source.state, source.source.pending, len(source.replaced)) == ("error", False, 1)
    assert source.told() == ["192.0.2.1", "192.0.2.2"]
    source.until(lambda: source.source.state == "ok")


def test_only_the_links_in_doubt_are_read_again(lab: Lab, source: Observed, monkeypatch: pytest.MonkeyPatch) -> None:
    """And everything where that is less work, where they cannot be read, or change whenever they are."""
    source.source.start()
    [index] = [link.ifindex for link in source.replaced[0].links if isinstance(link, LinkSeen) and link.name == "eth0"]

    def doubt(*doubtful: int) -> int:
        """How often everything was read."""
        before = len(source.replaced)
        source.doubtful = list(doubtful)
        source.seen.clear()
        lab.run("ip addr replace 192.0.2.1/24 dev eth0 valid_lft %d preferred_lft 100" % (1000 + len(source.replaced)))
        source.until(lambda: source.seen)
        return len(source.replaced) - before

    assert doubt(index) == 0
    [again] = [event for event in source.seen if isinstance(event, AddressesAre)]
    assert again.ifindex == index and {text(local(key)) for key in again.flags} > {"192.0.2.1"}
    assert doubt(index, 999) == 0 and AddressesAre(999, {}) in source.seen
    assert doubt(*range(1000, 1000 + link_source.LINKS_AT_MOST + 1)) == 1
    assert [snapshot.why for snapshot in source.replaced] == ["start", "unsure"]
    with monkeypatch.context() as patched:
        patched.setattr(RequestSocket, "addresses_of", broken)
        assert doubt(index) == 1
    dump, number = RequestSocket.dump, [0]

    def changing(requests: RequestSocket, make_request: Callable[[int], bytes], tables: Tables,
                 listen: Callable[[], int] = nobody_listens) -> Tuple[List[Event], bool]:
        number[0] += 1
        return dump(requests, make_request, tables, listen)[0], number[0] > 5

    monkeypatch.setattr(RequestSocket, "dump", changing)
    assert doubt(index) == 1


def broken(_requests: RequestSocket, _ifindex: int) -> AddressesAre:
    raise OSError(16, "busy")


def test_events_that_cannot_be_received_are_made_up_for(lab: Lab, source: Observed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_source, "RETRY", 0.05)
    source.source.start()
    drain, attempts = EventSocket.drain, [0]

    def broken(events: EventSocket) -> Drained:
        attempts[0] += 1
        if attempts[0] == 3:
            monkeypatch.setattr(EventSocket, "drain", drain)
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(EventSocket, "drain", broken)
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    source.until(lambda: source.source.state == "error")
    assert source.source.pending and source.source.error == "events cannot be received: Cannot allocate memory"
    for _turn in range(20):
        source.loop.turn(0)
    assert attempts[0] == 1, "it does not spin"
    source.until(lambda: source.source.state == "ok")
    assert len(source.replaced) == 2 and [level for level, _line in source.log] == ["error"]


def test_what_is_queued_is_told_at_once(lab: Lab, source: Observed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of it would be a time that never was: an address moves from one link to another."""
    source.source.start()
    drain = EventSocket.drain
    pieces = [Drained([LinkSeen(7, "a", True)], "", True), Drained([LinkSeen(8, "b", True)], "", False)]
    monkeypatch.setattr(EventSocket, "drain", lambda _events: pieces.pop(0) if pieces else Drained([], "", False))
    source.source.refresh()
    assert source.source.pending and source.seen == [] and len(source.replaced) == 1
    source.source.refresh()
    monkeypatch.setattr(EventSocket, "drain", drain)
    assert [event.ifindex for event in source.seen] == [7, 8] and not source.source.pending
    assert len(source.replaced) == 2
