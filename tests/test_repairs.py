"""When sets are looked at, what counts as a repair, and how a fight goes; on a clock of the test's own."""

import errno
from typing import List, Optional, Tuple

import pytest

from netmgr.model.model import Model
from netmgr.show.happenings import line_of
from netmgr.sync.reconciler import Reconciler
from netmgr.sync.repairs import FIRST_SLICE, SLICE, Repairs
from netmgr.values.events import RulesetChanged
from netmgr.values.happenings import Culprit
from netmgr.values.sets import NFT_SET_TIMEOUT, Change
from tests.workbench import WAN, Bench, key, named, seen

NFT = RulesetChanged(7, 4610, 4610, "nft")


class Watch:
    """A bench whose repairs are counted, with 192.0.2.1 in wan_ips."""

    def __init__(self, elements: str = "192.0.2.1", flags: int = 0, foreign: str = "", text: str = WAN) -> None:
        self.now, self.cost = 1000.0, 0.0
        self.bench = Bench(text)
        self.bench.make("wan_ips", flags=flags, foreign=foreign)
        for address in elements.split():
            self.bench.happen(seen(address + "/24"))
        self.repairs = Repairs(self.bench.reconciler, self.clock, lambda: "2026-01-31T12:03:11Z", lambda *line: self.bench.log.append(line),
                               lambda happening, level: self.bench.log.append((level, line_of(happening))))
        self.repairs.settle()

    def clock(self) -> float:
        self.now += self.cost
        return self.now

    def settle(self, *by: Optional[RulesetChanged]) -> List[Change]:
        self.repairs.changed(by or [NFT])
        return self.repairs.settle()

    def damage(self, *elements: str) -> None:
        for each in elements or ("192.0.2.1",):
            del self.bench.kernel.sets[named("wan_ips")].elements[key(each)]

    def intrude(self, element: str) -> None:
        self.bench.kernel.sets[named("wan_ips")].elements[key(element)] = False

    def warnings(self) -> List[str]:
        return [line for level, line in self.bench.log if level == "warning"]


def overlooked() -> Watch:
    """One element was exchanged for another, a quick look saw the right number, and reading everything is not due yet."""
    watch = Watch()
    watch.cost = SLICE / 10
    watch.settle()
    watch.cost = 0.0
    watch.now += 7 * SLICE
    watch.damage()
    watch.intrude("203.0.113.9")
    watch.bench.kernel.commits_so_far += 1
    assert watch.settle() == []
    return watch


def test_nothing_is_read_without_a_reason() -> None:
    watch = Watch()
    reads = len(watch.bench.kernel.reads)
    watch.damage()
    assert watch.repairs.settle() == [] and watch.repairs.deadline() is None
    assert len(watch.bench.kernel.reads) == reads


def test_a_repair_is_counted_and_put_down_to_who_made_it_necessary() -> None:
    watch = Watch()
    watch.damage()
    assert watch.settle()
    assert watch.bench.ours("wan_ips") == "192.0.2.1"
    repair = watch.repairs.last_repair
    assert watch.repairs.made == 1 and repair is not None
    assert (*repair.by, repair.time, repair.sets) == (Culprit(4610, "nft"), "2026-01-31T12:03:11Z", (named("wan_ips"),))
    assert watch.warnings() == ["repaired 1 element in inet filter wan_ips (nft (pid 4610))"]


def test_unknown_culprits_and_foreign_work_elsewhere() -> None:
    watch = Watch()
    watch.intrude("203.0.113.9")
    assert watch.settle() == [] and watch.repairs.made == 0
    assert watch.bench.managed("wan_ips").held.foreign == {key("203.0.113.9")}
    watch.damage()
    assert watch.settle(None)
    assert "another program" in watch.warnings()[0]


def test_whoever_committed_something_since_the_last_look_may_have_done_it() -> None:
    others = [RulesetChanged(8 + number, 5000 + number, 5000 + number, "docker") for number in range(9)]
    watch = Watch()
    for by, who in (
            ([NFT, NFT._replace(generation=8), others[0]], "nft (pid 4610) or docker (pid 5000)"),
            ([others[0]], "docker (pid 5000)"),
            ([NFT, None], "nft (pid 4610) or another program"),
            ([None, NFT], "nft (pid 4610) or another program"),
            (others, "docker (pid 5000) or docker (pid 5001) or docker (pid 5002) or another program")):
        watch.damage()
        watch.repairs.changed(by[:1])
        assert watch.settle(*by)
        assert watch.warnings()[-1] == "repaired 1 element in inet filter wan_ips (%s)" % who
        watch.now += 100.0


def test_who_it_was_is_read_after_the_repair_and_when_nobody_waits_for_it() -> None:
    watch = Watch()
    read: List[Tuple[int, bool]] = []

    def identify(suspect: RulesetChanged) -> Culprit:
        read.append((suspect.pid, watch.bench.ours("wan_ips") == "192.0.2.1"))
        return Culprit(suspect.pid, suspect.process, "nft -f x", "fw.service")
    watch.repairs = Repairs(watch.bench.reconciler, watch.clock, lambda: "2026-01-31T12:03:11Z", lambda *line: watch.bench.log.append(line),
                            lambda happening, level: watch.bench.log.append((level, line_of(happening))), identify)
    watch.bench.model.overview.take_news()
    assert watch.settle() == [] and read == [], "nobody need be known who has done no harm"
    watch.damage()
    assert watch.settle() and read == [(4610, True)]
    assert watch.warnings()[-1].endswith("(nft (pid 4610, fw.service))")
    watch.now, watch.cost = watch.now + 1.0, SLICE / 10
    watch.settle()
    watch.damage()
    assert watch.settle(NFT._replace(pid=9)) == [] and read[-1] == (9, False), "the look is not due yet"
    watch.now = watch.repairs.deadline() or 0.0
    assert watch.repairs.settle()
    assert "(nft (pid 9, fw.service))" in watch.warnings()[-1]


def test_suspects_are_remembered_until_a_thorough_look() -> None:
    watch = overlooked()
    watch.now += 1.0
    assert watch.settle(NFT._replace(pid=9, process="docker"))
    assert "(nft (pid 4610) or docker (pid 9))" in watch.warnings()[-1]


def test_a_set_that_was_replaced_is_a_repair_and_a_new_one_is_not() -> None:
    watch = Watch()
    watch.bench.make("wan_ips")
    assert watch.settle() and watch.repairs.made == 1
    watch.bench.make("wan_ifs")
    assert watch.settle() and watch.repairs.made == 1


def test_looks_rest_in_proportion_to_what_they_take() -> None:
    watch = Watch()
    watch.cost = SLICE / 10
    assert watch.settle() == []
    watch.damage()
    assert watch.settle() == [], "too early"
    due = watch.repairs.deadline()
    assert due is not None and watch.now < due <= watch.now + 0.1
    watch.now = due
    assert watch.repairs.settle()
    watch.damage()
    watch.repairs.doubt()
    assert watch.repairs.settle(), "a resync waits for nothing"


def test_a_quick_look_that_sees_nothing_is_followed_by_a_thorough_one() -> None:
    watch = overlooked()
    due = watch.repairs.deadline()
    assert due is not None
    watch.now = due
    assert watch.repairs.settle()
    assert (watch.bench.ours("wan_ips"), watch.bench.foreign("wan_ips")) == ("192.0.2.1", "203.0.113.9")


def test_what_comes_into_an_exclusive_set_is_damage_but_not_what_was_there_before() -> None:
    watch = Watch(foreign="203.0.113.9", text=WAN + "zones: {wan: {exclusive: true}}")
    assert watch.bench.foreign("wan_ips") == "" and watch.repairs.made == 0
    for _ in range(30):
        watch.intrude("203.0.113.10")
        watch.now += 0.005
        watch.settle()
    assert 15 < watch.repairs.made < 30, "slowed down"
    assert watch.warnings()[0] == "repaired 1 element in inet filter wan_ips (nft (pid 4610))"
    assert "keep undoing" in watch.warnings()[-1]
    watch.bench.make("wan_ips", ours="192.0.2.1", foreign="203.0.113.11")
    before, watch.now = watch.repairs.made, watch.now + 10.0
    assert watch.settle() and watch.repairs.made == before


def test_a_fight_is_logged_once_and_slowed_down() -> None:
    watch = Watch()
    made = 0
    for _ in range(300):
        watch.now += 0.005
        if watch.bench.ours("wan_ips"):
            watch.damage()
        made += bool(watch.settle())
    assert 20 <= made < 60
    fights = [line for line in watch.warnings() if "keep undoing" in line]
    assert len(fights) == 1 and "nft (pid 4610)" in fights[0]
    assert len(watch.warnings()) <= 22
    due = watch.repairs.deadline()
    assert due is not None and due <= watch.now + 1.0
    watch.now = due
    watch.repairs.settle()
    assert watch.bench.ours("wan_ips") == "192.0.2.1"


def test_a_fight_keeps_the_log_quiet_and_its_end_ends_that() -> None:
    watch = Watch()

    def fight() -> None:
        for _ in range(40):
            watch.damage()
            watch.repairs.changed([NFT])
            watch.now = watch.repairs.deadline() or watch.now
            watch.repairs.settle()

    fight()
    watch.bench.log.clear()
    fight()
    assert {level for level, _line in watch.bench.log} == {"debug"} and watch.repairs.quiet
    watch.now += 10.0
    watch.bench.happen(seen("192.0.2.2/24"))
    watch.repairs.settle()
    assert not watch.repairs.quiet


@pytest.mark.parametrize(("elements", "lines"), [("192.0.2.1", 1), ("", 0)])
def test_an_audit_mends_what_no_event_told(elements: str, lines: int) -> None:
    watch = Watch()
    if elements:
        watch.damage(elements)
    watch.repairs.audit()
    assert bool(watch.repairs.settle()) == bool(elements) and watch.repairs.made == 0
    assert len([line for line in watch.warnings() if "audit: a drift" in line]) == lines


def test_what_is_wanted_and_there_only_as_a_foreign_element_that_expires_is_looked_at_every_second() -> None:
    watch = Watch("", flags=NFT_SET_TIMEOUT)
    theirs = watch.bench.kernel.sets[named("wan_ips")]
    theirs.elements[key("192.0.2.1")] = False
    theirs.expiring.add(key("192.0.2.1"))
    assert watch.settle() == [] and watch.repairs.deadline() is None, "nobody wants it"
    watch.bench.happen(seen("192.0.2.1/24"))
    assert watch.repairs.settle() == []
    due = watch.repairs.deadline()
    assert due is not None and due <= watch.now + 1.0
    del theirs.elements[key("192.0.2.1")]
    watch.now = due
    assert watch.repairs.settle()
    assert watch.bench.ours("wan_ips") == "192.0.2.1" and watch.repairs.deadline() is None


def test_a_retry_that_falls_due_while_others_are_dealt_with_is_not_forgotten() -> None:
    watch = Watch()
    watch.bench.kernel.refuses[named("wan_ips")] = (errno.EPERM, "not permitted")
    watch.bench.happen(seen("192.0.2.2/24"))
    watch.cost = 1.2
    watch.repairs.settle()
    watch.now += 10
    assert watch.repairs.deadline() is not None
    watch.bench.kernel.refuses.clear()
    watch.repairs.settle()
    assert watch.bench.ours("wan_ips") == "192.0.2.1 192.0.2.2" and watch.repairs.deadline() is None


def test_on_demand_a_set_that_was_set_aside_is_tried_again_at_once() -> None:
    watch = Watch()
    watch.bench.kernel.refuses[named("wan_ips")] = (errno.EBUSY, "in use and constant")
    watch.bench.happen(seen("192.0.2.2/24"))
    watch.repairs.settle()
    watch.bench.kernel.refuses.clear()
    assert watch.repairs.settle() == []
    watch.repairs.doubt()
    watch.repairs.settle()
    assert watch.bench.ours("wan_ips") == "192.0.2.1 192.0.2.2" and watch.bench.managed("wan_ips").error is None


def test_a_full_set_with_timeouts_is_looked_at_every_second() -> None:
    watch = Watch(flags=NFT_SET_TIMEOUT)
    held = watch.bench.make("wan_ips", flags=NFT_SET_TIMEOUT, size=1, foreign="203.0.113.9")
    watch.settle()
    assert watch.bench.managed("wan_ips").wrong.full and watch.repairs.deadline() == watch.now + 1
    held.elements.clear()
    watch.now += 1
    watch.repairs.settle()
    assert watch.bench.ours("wan_ips") == "192.0.2.1" and watch.repairs.deadline() is None


def test_a_turn_of_the_loop_has_one_slice_of_looking_however_often_it_settles() -> None:
    """At the start, when all sets are to be read; without it a second settling would read as many as the first."""
    watch = Watch(text="interfaces: [{name: eth0, nftables_zone: [%s]}]\n" % ", ".join("z%d" % number for number in range(100)))
    bench = watch.bench
    for number in range(100):
        bench.make("z%d_ips" % number)
    model = Model(bench.model.config, bench.inventory)
    repairs = Repairs(Reconciler(bench.kernel, model, lambda _level, _line: None), watch.clock, lambda: "", lambda _level, _line: None,
                      lambda _happening, _level: None)
    watch.cost = FIRST_SLICE / 20
    left = [len(model.overview.look)]
    for woken in (1.0, 1.0, 2.0):
        repairs.settle(woken)
        left.append(len(model.overview.look))
    looked = [before - after for before, after in zip(left, left[1:])]
    assert looked[1] <= 1 and looked[0] > 5 < looked[2]
