"""Looking at sets in slices: what is told when, what happens in between, what takes precedence."""

from typing import List, Tuple

import pytest

from netmgr.show.happenings import line_of
from netmgr.sync.reconciler import never
from netmgr.sync.repairs import FIRST_SLICE, SLICE, Repairs
from netmgr.sync.survey import COMPARED_AT_ONCE
from netmgr.values.errors import ProtocolError
from netmgr.values.outcomes import Reading
from netmgr.values.sets import NFT_SET_INTERVAL, NFT_SET_TIMEOUT, Change, ChangeElements
from tests.test_repairs import NFT
from tests.workbench import WAN, Bench, gone, key, named, seen

ZONES = ["z%d" % number for number in range(20)]
MANY = "interfaces: [%s]\ndocker: {enabled: false}\n" % ", ".join("{name: eth0, nftables_zone: %s}" % zone for zone in ZONES)


class House:
    """Twenty sets, each of which takes some time to look at, and much more to read."""

    def __init__(self, pieces: int = 0, cost: float = SLICE / 25) -> None:
        self.bench = Bench(MANY)
        self.now, self.cost = 1000.0, cost
        self.kernel = self.bench.kernel
        self.kernel.pieces = pieces
        for zone in ZONES:
            self.bench.make(zone + "_ips", foreign="203.0.113.1")
        self.bench.happen(seen("192.0.2.1/24"))
        self.repairs = Repairs(self.bench.reconciler, self.clock, lambda: "", lambda *line: self.bench.log.append(line),
                               lambda happening, level: self.bench.log.append((level, line_of(happening))))
        self.longest = 0.0

    def clock(self) -> float:
        self.now += self.cost
        return self.now

    def turn(self) -> None:
        begin = self.now
        self.repairs.settle()
        self.longest = max(self.longest, self.now - begin)

    def turn_when_due(self) -> None:
        self.now = max(self.now, self.repairs.deadline() or 0.0)
        self.turn()

    def run(self, until: float = 60.0) -> int:
        """Turns of the loop until there is nothing more to do; how many there were."""
        turns, end = 0, self.now + until
        due = self.repairs.deadline()
        while due is not None and due <= end:
            self.turn_when_due()
            turns, due = turns + 1, self.repairs.deadline()
        return turns

    def held(self, address: str) -> List[str]:
        return [zone for zone in ZONES if key(address) in self.kernel.sets[named(zone + "_ips")].ours]


def test_a_start_takes_slices_and_is_one_transaction() -> None:
    house = House(pieces=200)
    house.turn()
    assert not house.repairs.reconciler.complete and house.kernel.commits == []
    assert house.run() > 10
    assert house.held("192.0.2.1") == ZONES and len(house.kernel.commits) == 1
    assert house.longest < 1.1 * FIRST_SLICE, "until then"


def test_an_address_waits_for_no_look() -> None:
    house = House(pieces=20)
    house.turn()
    house.run()
    house.longest = 0.0
    house.repairs.doubt()
    house.turn()
    assert house.repairs.busy
    house.bench.happen(seen("192.0.2.2/24"))
    house.turn()
    assert house.held("192.0.2.2") == ZONES and house.repairs.busy
    house.run()
    assert not house.repairs.busy and house.longest < 2 * SLICE


def test_what_is_seen_to_have_changed_is_mended_before_all_is_read() -> None:
    house = House(pieces=40)
    house.turn()
    house.run()
    house.kernel.sets[named("z19_ips")].elements.clear()
    reads = len(house.kernel.reads)
    house.repairs.changed([NFT])
    while house.held("192.0.2.1") != ZONES:
        house.turn()
        assert len(house.kernel.reads) <= reads + 1
    house.run()
    assert len(house.kernel.reads) >= reads + 19, "one may have been exchanged for another"


def test_who_came_after_a_look_that_found_nothing_is_it_alone() -> None:
    house = House(pieces=40)
    house.turn()
    house.run()
    docker = NFT._replace(pid=9, process="docker")
    reads = len(house.kernel.reads)
    house.repairs.changed([NFT])
    house.turn()
    while house.repairs.busy:
        house.turn()
    house.kernel.sets[named("z19_ips")].elements.clear()
    house.repairs.changed([docker])
    while house.repairs.made == 0:
        house.turn()
    assert len(house.kernel.reads) < reads + 19, "not everything has been read meanwhile"
    assert [line for level, line in house.bench.log if level == "warning"] == ["repaired 1 element in inet filter z19_ips (docker (pid 9))"]


def test_the_share_of_a_processor_holds_while_others_commit_all_the_time() -> None:
    house = House(pieces=18)
    house.turn()
    house.run()
    house.longest = 0.0
    begin, worked = house.now, 0.0
    while house.now < begin + 100.0:
        house.repairs.changed([NFT])
        due = house.repairs.deadline()
        assert due is not None
        house.now = max(house.now, due)
        before = house.now
        house.turn()
        worked += house.now - before
    assert worked / (house.now - begin) < (1 / 11 + 1 / 21) * 1.1, "what a turn does besides looking is not counted"
    assert house.longest < 2 * SLICE
    assert {house.kernel.reads.count(named(zone + "_ips")) for zone in ZONES} != {1}, "all of them are read, in turns"
    counts = [house.kernel.reads.count(named(zone + "_ips")) for zone in ZONES]
    assert max(counts) - min(counts) <= 2


@pytest.mark.parametrize("counts", [False, True])
def test_what_is_committed_into_a_set_that_is_being_read_is_no_surprise(counts: bool) -> None:
    house = House(pieces=60)
    house.kernel.counts_elements = counts
    house.turn()
    house.run()
    house.repairs.doubt()
    house.turn()
    while house.repairs.busy:
        house.bench.happen(seen("192.0.2.2/24"))
        house.turn()
        house.bench.happen(gone("192.0.2.2/24"))
        house.turn()
    house.run()
    assert house.repairs.made == 0 and house.held("192.0.2.1") == ZONES and house.held("192.0.2.2") == []
    assert all(managed.held.ours == {key("192.0.2.1")} and managed.seen.verified for managed in house.bench.model.sets.values()
               if managed.seen.info is not None)


@pytest.mark.parametrize("flags", [0, NFT_SET_INTERVAL])
def test_what_was_committed_into_a_set_that_is_replaced_while_it_is_read_is_not_in_the_new_one(flags: int) -> None:
    """Nor is it of its type, perhaps: a transaction with such elements could not be written."""
    house = House(pieces=60)
    house.turn()
    house.run()
    house.repairs.doubt()
    for _turn in range(5):
        house.turn_when_due()
    house.bench.happen(seen("192.0.2.2/24"))
    house.turn_when_due()
    assert house.repairs.busy and house.held("192.0.2.2") == ZONES
    for zone in ZONES:
        house.bench.make(zone + "_ips", flags=flags)
    house.repairs.changed([NFT])
    house.run()
    for managed in house.bench.model.sets.values():
        if managed.seen.info is not None:
            held = house.kernel.sets[managed.name].ours
            assert managed.held.ours == held and {len(each) for each in held} == {8 if flags else 4} and len(held) == 2
    for change in (change for changes in house.kernel.commits for change in changes if isinstance(change, ChangeElements)):
        assert {len(each) for each in (*change.add, *change.delete)} == {8 if change.form.interval else 4}


def test_a_set_that_goes_while_it_is_being_read() -> None:
    house = House(pieces=60)
    house.turn()
    house.kernel.drop_table("inet", "filter")
    house.run()
    assert not house.bench.model.overview.present and house.kernel.commits == []


def test_one_that_cannot_be_read_holds_up_no_other() -> None:
    house = House(pieces=5)
    house.kernel.unreadable[named("z3_ips")] = OSError(5, "Input/output error")
    house.turn()
    house.run(0.5)
    assert house.held("192.0.2.1") == [zone for zone in ZONES if zone != "z3"]
    house.kernel.unreadable.clear()
    house.run()
    assert house.held("192.0.2.1") == ZONES


def unverified(bench: Bench, name: str, hidden: str) -> None:
    """The next reading of the set overlooks an element."""
    kernel, read = bench.kernel, bench.kernel.read

    def overlooking(info: object) -> Reading:
        kernel.read = read  # type: ignore[method-assign]
        found = read(info)  # type: ignore[arg-type]
        less = [held - {key(hidden)} for held in found.contents]
        return Reading(found.contents._replace(ours=less[0], expiring=less[1], foreign=less[2]), False)
    kernel.read = overlooking  # type: ignore[method-assign]


def test_what_a_reading_overlooks_does_not_become_ours_and_is_read_again_later() -> None:
    bench = Bench()
    bench.make("wan_ips", foreign="203.0.113.9", flags=NFT_SET_TIMEOUT)
    bench.happen(seen("192.0.2.1/24"), seen("203.0.113.9/24"))
    repairs = Repairs(bench.reconciler, lambda: 1000.0, lambda: "", lambda *line: bench.log.append(line),
                      lambda happening, level: bench.log.append((level, line_of(happening))))
    repairs.settle()
    unverified(bench, "wan_ips", "203.0.113.9")
    repairs.doubt()
    repairs.settle()
    assert bench.managed("wan_ips").held.foreign == {key("203.0.113.9")}
    due = repairs.deadline()
    assert due is not None and due <= 1000.0
    repairs.settle()
    assert bench.managed("wan_ips").seen.verified and repairs.deadline() is None and repairs.made == 0
    bench.happen(gone("203.0.113.9/24"))
    repairs.settle()
    assert bench.foreign("wan_ips") == "203.0.113.9"


def test_a_reading_that_is_not_verified_blames_nobody() -> None:
    bench = Bench()
    bench.make("wan_ips")
    bench.happen(seen("192.0.2.1/24"), seen("192.0.2.2/24"))
    repairs = Repairs(bench.reconciler, lambda: 1000.0, lambda: "", lambda *line: bench.log.append(line),
                      lambda happening, level: bench.log.append((level, line_of(happening))))
    repairs.settle()
    unverified(bench, "wan_ips", "192.0.2.2")
    repairs.doubt()
    while repairs.deadline() is not None:
        repairs.settle()
    assert repairs.made == 0 and bench.ours("wan_ips") == "192.0.2.1 192.0.2.2"


def test_nonsense_in_the_middle_of_a_reading() -> None:
    house = House()
    problems: List[Tuple[str, Exception]] = []

    def nonsense() -> None:
        problems.append(("z0_ips", ProtocolError("nonsense")))
        raise problems[-1][1]
    house.kernel.before_read.append(nonsense)
    house.bench.reconciler.survey.look([named("z0_ips"), named("z1_ips")], True, 0.0, never)
    assert house.bench.managed("z0_ips").error == "it cannot be read: nonsense" and house.bench.managed("z1_ips").error is None


class Long:
    """A set of very many elements that is read again, and the calls of functions that each turn takes."""

    def __init__(self, count: int = 6000) -> None:
        self.bench = Bench(WAN)
        self.bench.make("wan_ips", foreign="203.0.113.1 203.0.113.2")
        self.bench.happen(*(seen("10.0.%d.%d/24" % (number >> 8, number & 255)) for number in range(count)))
        self.bench.settle()
        self.managed, self.survey = self.bench.managed("wan_ips"), self.bench.reconciler.survey
        self.before = self.managed.held

    def look(self, steps: int = 0) -> int:
        """Read it, but pause after so many steps; how many there were."""
        taken = 0

        def enough() -> bool:
            nonlocal taken
            taken += 1
            return taken == steps
        self.survey.look([self.managed.name], True, 0.0, enough)
        return taken

    def finds(self) -> List[Change]:
        """What is made of it."""
        return self.bench.settle()


def test_what_is_read_to_be_as_it_was_is_looked_through_in_pieces_and_changes_nothing() -> None:
    long = Long()
    pieces = -(-6000 // COMPARED_AT_ONCE) + 1
    assert long.look() == pieces + 1 and long.managed.held is long.before and not long.managed.whole
    assert long.managed.seen.verified and long.finds() == []


@pytest.mark.parametrize("pause", range(1, 5))
def test_what_changes_while_a_reading_is_looked_through_is_seen(pause: int) -> None:
    """netmgr's own changes are put right in what was read; after another's it is not verified, and so read again."""
    long = Long()
    long.look(pause)
    long.bench.happen(gone("10.0.0.7/24"), seen("192.0.2.200/24"))
    assert long.finds()
    long.look()
    assert long.managed.held.ours == long.bench.kernel.sets[long.managed.name].ours and long.finds() == []
    long.look(pause)
    long.bench.kernel.sets[long.managed.name].elements.pop(key("10.0.0.9"))
    long.bench.kernel.commits_so_far += 1
    long.look()
    assert not long.managed.seen.verified
    long.look()
    assert [change.add for change in long.finds() if isinstance(change, ChangeElements)] == [[key("10.0.0.9")]]


@pytest.mark.parametrize("damage", ["lost", "foreign lost", "added", "claimed", "exchanged"])
def test_what_is_read_to_be_another_way_is_put_right(damage: str) -> None:
    long = Long()
    elements = long.bench.kernel.sets[long.managed.name].elements
    if damage in ("lost", "exchanged"):
        del elements[key("10.0.5.9")]
    if damage == "foreign lost":
        del elements[key("203.0.113.2")]
    if damage in ("added", "exchanged"):
        elements[key("203.0.113.9")] = True
    if damage == "claimed":
        elements[key("203.0.113.1")] = True
    long.bench.kernel.commits_so_far += 1
    long.look()
    long.finds()
    assert long.bench.kernel.sets[long.managed.name].ours == set(long.bench.model.wanted(long.managed))
    assert long.managed.held.foreign == long.bench.kernel.sets[long.managed.name].foreign

