"""The way to the kernel when it is rough: reads and writes that fail, answers that are lost, others who interfere in the middle."""

import errno
import random
from typing import Callable, Dict, List, Optional

import pytest

from netmgr.sync.reconciler import never
from netmgr.values.errors import ProtocolError
from netmgr.values.outcomes import Fault, Outcome
from netmgr.values.sets import IPV4_ADDR, IPV6_ADDR, NFT_SET_INTERVAL, SetInfo, SetName
from netmgr.values.text import reason
from tests import plainly
from tests.fakekernel import FakeKernel
from tests.workbench import WAN, WAN_AND_LAN, Bench, by_set, gone, key, named, seen

EPERM = (errno.EPERM, "not permitted: the table belongs to another program")
LOST = Outcome(False, False, ())


def full_bench(text: str = WAN_AND_LAN) -> Bench:
    """Three sets to fill, with an address each."""
    bench = Bench(text)
    for name in ("wan_ips", "wan_nets", "lan_ips"):
        bench.make(name)
    bench.happen(seen("192.0.2.1/24"), seen("198.51.100.1/24", index=2))
    return bench


def contents(bench: Bench) -> List[str]:
    return [bench.ours(name) for name in ("wan_ips", "wan_nets", "lan_ips")]


RIGHT = ["192.0.2.1", "192.0.2.0/24", "198.51.100.1"]


# -- reading


def test_a_set_that_cannot_be_read_delays_no_other_and_is_tried_again_ever_more_rarely() -> None:
    bench = full_bench()
    bench.kernel.counts_elements = False
    bench.kernel.unreadable[named("wan_ips")] = OSError(errno.EIO, "Input/output error")
    bench.settle()
    assert contents(bench) == ["", *RIGHT[1:]]
    assert bench.errors() == ["inet filter wan_ips: it cannot be read: Input/output error"]
    tries: List[float] = []
    for now in range(400):
        before = bench.kernel.reads.count(named("wan_ips"))
        bench.settle(float(now))
        tries += [float(now)] * (bench.kernel.reads.count(named("wan_ips")) - before)
    assert tries == [1, 3, 7, 15, 31, 63, 123, 183, 243, 303, 363]
    assert len(bench.errors()) == 1
    bench.kernel.unreadable.clear()
    bench.settle(423.0)
    assert (contents(bench), bench.managed("wan_ips").error) == (RIGHT, None)


@pytest.mark.parametrize("problem", [PermissionError(errno.EPERM, "Operation not permitted"), ProtocolError("nonsense")])
def test_a_set_that_cannot_even_be_found_out_about(monkeypatch: pytest.MonkeyPatch, problem: Exception) -> None:
    bench = full_bench()

    def inspect(name: object, _chains: object = ()) -> Optional[SetInfo]:
        if name == named("lan_ips"):
            raise problem
        return FakeKernel.inspect(bench.kernel, named(str(name)))

    monkeypatch.setattr(bench.kernel, "inspect", inspect)
    bench.settle()
    assert contents(bench) == [*RIGHT[:2], ""]
    assert bench.managed("lan_ips").error == "it cannot be read: " + reason(problem)


def test_a_set_that_is_replaced_while_it_is_read_is_looked_at_again_at_once() -> None:
    bench = full_bench()

    def replace() -> None:
        bench.make("wan_ips", flags=NFT_SET_INTERVAL)

    bench.kernel.before_read = [lambda: None, replace] * 2
    for name in ("lan_ips", "wan_ips"):
        bench.model.doubt([named(name)])
    bench.settle()
    assert contents(bench) == RIGHT
    assert bench.errors() == []


def test_a_set_that_is_replaced_all_the_time_is_left_alone_for_a_while() -> None:
    bench = full_bench()
    bench.kernel.counts_elements = False
    bench.kernel.unreadable[named("wan_ips")] = FileNotFoundError(errno.ENOENT, "this set is gone")
    bench.settle()
    assert bench.managed("wan_ips").error == "it cannot be read: this set is gone"
    assert len(bench.kernel.reads) == 3 + 2


# -- writing


@pytest.mark.parametrize("problem", [OSError(errno.ENOBUFS, "No buffer space available"), ProtocolError("nonsense")])
def test_a_write_that_fails_once_is_done_again_at_once(problem: Exception) -> None:
    bench = full_bench()

    def fail() -> Optional[Outcome]:
        raise problem

    bench.kernel.before_commit = [fail]
    bench.settle()
    assert (contents(bench), bench.errors()) == (RIGHT, [])
    bench.kernel.before_commit = [fail] * 100
    bench.happen(seen("192.0.2.2/24"))
    bench.settle()
    assert contents(bench) == RIGHT
    assert bench.managed("wan_ips").error == "it cannot be written: " + reason(problem)
    assert len(bench.kernel.commits) == 2 + 2
    bench.kernel.before_commit.clear()
    bench.settle(1.0)
    assert contents(bench) == ["192.0.2.1 192.0.2.2", *RIGHT[1:]]


def test_a_set_that_is_replaced_before_the_commit_gets_what_fits_the_new_one() -> None:
    bench = full_bench()
    bench.settle()
    bench.happen(seen("192.0.2.2/24"))

    def replace() -> None:
        bench.make("wan_ips", flags=NFT_SET_INTERVAL)

    bench.kernel.before_commit = [replace]
    bench.settle()
    assert (contents(bench), bench.errors()) == (["192.0.2.1 192.0.2.2", *RIGHT[1:]], [])
    assert [by_set(changes).get("wan_ips") for changes in bench.kernel.commits] == [(0, 1), (0, 1), (0, 2)]


@pytest.mark.parametrize(("others", "commits"), [(1, 2), (3, 4), (4, 5), (100, 5)])
def test_others_who_commit_all_the_time_cost_no_reading_and_hold_nothing_up(others: int, commits: int) -> None:
    bench = full_bench()
    bench.settle()
    before, reads = len(bench.kernel.commits), len(bench.kernel.reads)
    bench.happen(seen("192.0.2.2/24"))

    def commit() -> None:
        bench.make("other")

    bench.kernel.before_commit = [commit] * others
    bench.settle()
    assert contents(bench) == ["192.0.2.1 192.0.2.2", *RIGHT[1:]]
    assert (len(bench.kernel.commits) - before, len(bench.kernel.reads)) == (commits, reads)


def test_a_set_that_cannot_be_confirmed_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = full_bench()
    bench.settle()
    bench.happen(seen("192.0.2.2/24"))
    problems: List[Exception] = [OSError(errno.EIO, "Input/output error")]

    def inspect(name: SetName, _chains: object = ()) -> Optional[SetInfo]:
        if problems:
            raise problems.pop()
        return FakeKernel.inspect(bench.kernel, name)

    def commit() -> None:
        bench.make("other")
        monkeypatch.setattr(bench.kernel, "inspect", inspect)

    bench.kernel.before_commit = [commit]
    reads = list(bench.kernel.reads)
    bench.settle()
    assert (contents(bench), bench.errors()) == (["192.0.2.1 192.0.2.2", *RIGHT[1:]], [])
    assert bench.kernel.reads == [*reads, named("wan_ips")]


@pytest.mark.parametrize("problem", [OSError(errno.EIO, "Input/output error"), ProtocolError("nonsense")])
def test_a_generation_that_cannot_be_told_holds_nothing_up(monkeypatch: pytest.MonkeyPatch, problem: Exception) -> None:
    bench = full_bench()

    def fail() -> int:
        raise problem

    monkeypatch.setattr(bench.kernel, "generation", fail)
    bench.settle()
    assert (contents(bench), bench.errors()) == (RIGHT, [])


@pytest.mark.parametrize("applied", [True, False])
def test_a_lost_answer_is_found_out_by_reading(applied: bool) -> None:
    bench = full_bench()
    if applied:
        bench.kernel.after_commit = [lambda _outcome: LOST]
    else:
        bench.kernel.before_commit = [lambda: LOST]
    bench.settle()
    assert (contents(bench), bench.errors()) == (RIGHT, [])
    assert len(bench.kernel.commits) == (1 if applied else 2)
    assert bench.model.repaired == set()


def test_answers_that_are_always_lost_set_everything_aside() -> None:
    bench = full_bench()
    bench.kernel.before_commit = [lambda: LOST] * 100
    bench.settle()
    bench.settle()
    assert len(bench.kernel.commits) == 2
    assert bench.errors() == ["inet filter %s: the kernel's answer was lost" % name for name in ("lan_ips", "wan_ips", "wan_nets")]


def test_a_partial_commit_blames_only_who_is_to_blame() -> None:
    """A large transaction that had to be split: the first part took effect, the second was refused for one set's sake."""
    bench = full_bench()
    fault = Fault(named("wan_nets"), *EPERM, "add", None, False)

    def partly() -> Optional[Outcome]:
        bench.kernel.sets[named("wan_ips")].elements[key("192.0.2.1")] = True
        return Outcome(False, False, (fault,))

    bench.kernel.before_commit = [partly]
    bench.kernel.refuses[named("wan_nets")] = EPERM
    bench.settle()
    assert contents(bench) == ["192.0.2.1", "", "198.51.100.1"]
    assert [managed.name.name for managed in bench.model.sets.values() if managed.error] == ["wan_nets"]


def test_one_refused_set_keeps_no_other_back_and_is_not_hammered() -> None:
    """An owner table, for instance: EPERM every time."""
    bench = full_bench()
    bench.kernel.refuses[named("wan_ips")] = EPERM
    bench.settle()
    assert (contents(bench), len(bench.kernel.commits)) == (["", *RIGHT[1:]], 2)
    tries: List[int] = []
    for now in range(200):
        before = len(bench.kernel.commits)
        bench.happen(seen("192.0.2.%d/24" % (2 + now)))
        bench.settle(float(now))
        tries += [now] * (len(bench.kernel.commits) - before)
    assert tries == [1, 3, 7, 15, 31, 63, 123, 183]
    assert bench.errors() == ["inet filter wan_ips: " + EPERM[1]]
    del bench.kernel.refuses[named("wan_ips")]
    bench.settle(243.0)
    assert len(bench.ours("wan_ips").split()) == 201
    assert bench.managed("wan_ips").error is None


def test_several_refused_sets_at_once() -> None:
    bench = full_bench()
    for name in ("wan_ips", "wan_nets"):
        bench.kernel.refuses[named(name)] = EPERM
    bench.settle()
    assert (contents(bench), len(bench.kernel.commits)) == (["", "", "198.51.100.1"], 2)


def test_an_error_that_names_no_set_is_traced_by_trying_each_alone() -> None:
    bench = full_bench()

    def nameless(outcome: Outcome) -> Outcome:
        return outcome._replace(faults=tuple(fault._replace(set=None) for fault in outcome.faults))

    bench.kernel.refuses[named("wan_nets")] = (errno.ENOMEM, "the kernel is out of memory")
    bench.kernel.after_commit = [nameless] * 10
    bench.settle()
    assert (contents(bench), len(bench.kernel.commits)) == (["192.0.2.1", "", "198.51.100.1"], 4)
    assert bench.errors() == ["inet filter wan_nets: the kernel is out of memory"]


def test_creations_are_tried_alone_together_with_their_tables() -> None:
    bench = Bench(WAN_AND_LAN + "nftables: {create: true}")
    bench.happen(seen("192.0.2.1/24"))
    bench.kernel.before_commit = [lambda: Outcome(False, True, ())]
    bench.settle()
    assert sorted(name.name for name in bench.kernel.sets) == ["lan_ips", "lan_ips6", "wan_ips", "wan_ips6"]
    assert bench.ours("wan_ips") == "192.0.2.1"


def test_all_is_done_when_what_was_made_has_been_looked_at() -> None:
    """Also where it is enough after each step: until then nobody says that all is right."""
    bench = Bench(WAN_AND_LAN + "nftables: {create: true}")
    missing = []
    while not bench.reconciler.complete:
        bench.reconciler.reconcile(0.0, lambda: True)
        missing.append(str(bench.model.overview))
    assert len(missing) > 2 and missing[-1] == "0 elements in 4 sets", missing


def test_a_creation_that_is_refused_backs_off() -> None:
    bench = Bench(WAN + "nftables: {create: true}")
    bench.kernel.refuses[named("wan_ips")] = EPERM
    for now in range(100):
        bench.settle(float(now))
    assert len(bench.kernel.commits) == 2 + 6
    assert bench.errors() == ["inet filter wan_ips: " + EPERM[1]]
    assert named("wan_ips6") in bench.kernel.sets


def test_a_refusal_without_any_reason() -> None:
    bench = full_bench(WAN)
    bench.kernel.before_commit = [lambda: Outcome(False, True, ())] * 9
    bench.settle()
    assert bench.errors() == ["inet filter %s: the kernel refused without a reason" % name for name in ("wan_ips", "wan_nets")]


# -- others who interfere between the look and the commit

INTERFERENCE: Dict[str, Callable[[Bench], object]] = {
    "a set vanishes": lambda bench: bench.kernel.sets.pop(named("wan_ips")),
    "the table vanishes": lambda bench: bench.kernel.drop_table("inet", "filter"),
    "a set becomes one of ranges": lambda bench: bench.make("wan_ips", flags=NFT_SET_INTERVAL),
    "a set takes other addresses": lambda bench: bench.make("wan_ips", IPV6_ADDR),
    "ranges become another set": lambda bench: bench.make("wan_nets", foreign="192.0.2.0/25"),
    "a foreign range comes": lambda bench: bench.kernel.sets[named("wan_nets")].elements.update({key("192.0.2.7-192.0.2.9"): False}),
    "a range is merged": lambda bench: bench.make("wan_nets", foreign="203.0.112.0/23"),
    "a range is gone": lambda bench: bench.kernel.sets[named("wan_nets")].elements.clear(),
    "the set fills up": lambda bench: bench.make("wan_ips", size=2, foreign="203.0.113.1 203.0.113.2"),
}


@pytest.mark.parametrize("what", sorted(INTERFERENCE))
def test_interference_in_the_middle(what: str) -> None:
    """Whatever happens there: the other sets are right in the same breath, and after the next look so is this one."""
    bench = Bench(WAN_AND_LAN)
    bench.make("wan_ips", ours="192.0.2.9")
    bench.make("wan_nets", ours="203.0.113.0/24")
    bench.make("lan_ips")
    bench.look()
    bench.happen(seen("192.0.2.1/24"), seen("198.51.100.1/24", index=2))

    def interfere() -> Optional[Outcome]:
        INTERFERENCE[what](bench)
        return None

    bench.kernel.before_commit = [interfere]
    bench.settle()
    if what != "the table vanishes":
        assert bench.ours("lan_ips") == "198.51.100.1"
    foreign = {name: set(found.foreign) for name, found in bench.kernel.sets.items()}
    bench.look(2.0)
    bench.settle(2.0)
    for name, found in bench.kernel.sets.items():
        assert found.foreign == foreign[name]
        managed = bench.model.sets[name]
        if not managed.wrong.full:
            assert (managed.error, found.ours) == (None, bench.model.wanted(managed) - found.foreign)
    assert bench.settle(2.0) == []


def test_a_set_that_the_kernel_shows_and_never_finds_is_left_alone_soon() -> None:
    bench = full_bench()
    bench.kernel.refuses[named("wan_ips")] = (errno.ENOENT, "the set or its table is missing")
    bench.settle()
    assert contents(bench) == ["", *RIGHT[1:]]
    assert len(bench.kernel.commits) == 3
    assert bench.managed("wan_ips").error == "the set or its table is missing"


@pytest.mark.parametrize("seed", range(10))
def test_random_trouble_is_bounded_and_over_when_it_is_over(seed: int) -> None:
    source = random.Random(seed)
    bench = full_bench()
    names = [named(name) for name in ("wan_ips", "wan_nets", "lan_ips")]

    def trouble() -> Optional[Outcome]:
        kind = source.randrange(6)
        if kind == 0:
            raise OSError(errno.ENOBUFS, "No buffer space available")
        if kind == 1:
            return None
        number = source.choice((errno.ENOENT, errno.EEXIST, errno.ENFILE, errno.EPERM, errno.EINVAL, errno.ENOBUFS))
        blamed, operation = source.choice([*names, None]), source.choice(("add", "delete", ""))
        fault = Fault(blamed, number, "trouble", operation, source.choice((None, 0)), False)
        faults = [fault._replace(set=source.choice([fault.set, *names])) for _ in range(source.randrange(3))]
        return Outcome(False, source.random() < 0.6, tuple(faults))

    for now in range(30):
        bench.happen(seen("192.0.2.%d/24" % source.randrange(1, 9)), gone("192.0.2.%d/24" % source.randrange(1, 9)))
        bench.kernel.before_commit = [trouble] * 1000
        before = len(bench.kernel.commits)
        bench.settle(float(now))
        assert len(bench.kernel.commits) - before < 3 * (3 * len(bench.model.sets) + 3)
        assert len(bench.kernel.commits) - before < 20
        plainly.check(bench.model, now)
    bench.kernel.before_commit.clear()
    bench.look(200.0)
    bench.settle(200.0)
    for name in names:
        assert (bench.model.sets[name].error, bench.kernel.sets[name].ours) == (None, bench.model.wanted(bench.model.sets[name]))


# -- quick looks


def reads_of_a_quick_look(bench: Bench) -> List[str]:
    bench.kernel.reads.clear()
    bench.reconciler.survey.look(sorted(bench.model.sets), False, 0.0, never)
    return [name.name for name in bench.kernel.reads]


def test_a_quick_look_reads_only_what_seems_to_have_changed() -> None:
    bench = full_bench()
    bench.settle()
    assert reads_of_a_quick_look(bench) == ["wan_nets"], "how the kernel counts ranges is not relied upon"
    bench.kernel.sets[named("lan_ips")].elements[key("203.0.113.1")] = False
    assert reads_of_a_quick_look(bench) == ["lan_ips", "wan_nets"]
    found = bench.kernel.sets[named("wan_ips")]
    found.elements = {key("203.0.113.9"): False}
    assert reads_of_a_quick_look(bench) == ["wan_nets"], "one exchanged for another is for a thorough look to find"
    found.info = found.info._replace(size=77)
    assert reads_of_a_quick_look(bench) == ["wan_ips", "wan_nets"]
    bench.make("lan_ips", ours="198.51.100.1")
    assert reads_of_a_quick_look(bench) == ["lan_ips", "wan_nets"], "another set of the same name"
    bench.managed("lan_ips").set_aside("trouble", 0.0)
    assert "lan_ips" in reads_of_a_quick_look(bench)
    bench.kernel.counts_elements = False
    assert reads_of_a_quick_look(bench) == ["lan_ips", "wan_ips", "wan_nets"]


def test_a_look_notices_sets_that_vanish_and_appear() -> None:
    bench = full_bench()
    bench.settle()
    bench.kernel.drop_table("inet", "filter")
    assert reads_of_a_quick_look(bench) == []
    assert bench.settle() == []
    bench.make("wan_ips")
    assert reads_of_a_quick_look(bench) == [], "it is known to be empty"
    assert by_set(bench.settle()) == {"wan_ips": (0, 1)}
    bench.kernel.drop_table("inet", "filter")
    bench.make("wan_ips", foreign="192.0.2.1")
    assert reads_of_a_quick_look(bench) == ["wan_ips"]
    assert (bench.settle(), bench.foreign("wan_ips")) == ([], "192.0.2.1")


@pytest.mark.parametrize("counts", [True, False])
def test_an_empty_set_is_read_only_where_the_kernel_does_not_count(counts: bool) -> None:
    bench = full_bench()
    bench.kernel.counts_elements = counts
    bench.settle()
    assert sorted(bench.kernel.reads) == [*map(named, ("wan_nets",) if counts else ("lan_ips", "wan_ips", "wan_nets"))]
    assert contents(bench) == RIGHT


# -- words


def test_a_dry_run_says_what_it_would_send_once_and_sends_nothing() -> None:
    bench = Bench(WAN + "nftables: {create: true}", dry_run=True)
    bench.make("wan_nets", ours="10.0.0.0/8")
    bench.happen(seen("192.0.2.1/24"))
    changes = bench.settle()
    assert by_set(changes) == {"wan_ips": (0, 1), "wan_nets": (1, 1)}
    assert bench.log == [("info", "would send: " + line) for line in (
        "add table inet filter", "add set inet filter wan_ips { type ipv4_addr; }",
        "add table inet filter", "add set inet filter wan_ips6 { type ipv6_addr; }",
        "delete element inet filter wan_nets { 10.0.0.0/8 }",
        'add element inet filter wan_ips { 192.0.2.1 comment "netmgr" }',
        'add element inet filter wan_nets { 192.0.2.0/24 comment "netmgr" }')]
    assert (bench.settle(), bench.kernel.commits, bench.model.repaired) == ([], [], set())


def test_an_error_is_told_once_and_again_when_the_set_has_been_well_for_a_minute() -> None:
    bench = Bench()
    told = ["inet filter wan_ips: its type is ifname; addresses need ipv4_addr or ipv6_addr"]
    for now, kind, expected in ((0.0, "ifname", 1), (10.0, IPV4_ADDR, 1), (20.0, "ifname", 1), (500.0, "ifname", 1),
                                (510.0, IPV4_ADDR, 1), (540.0, IPV4_ADDR, 1), (571.0, "ifname", 2), (600.0, "ifname", 2)):
        bench.make("wan_ips", kind)
        bench.look(now)
        bench.settle(now)
        assert bench.errors() == told * expected, now


def test_reason() -> None:
    assert [reason(each) for each in (OSError(errno.EIO, "Input/output error"), OSError("odd"), ProtocolError("nonsense"))] == [
        "Input/output error", "odd", "nonsense"]


@pytest.mark.parametrize("element", ["0.0.0.0/0", "128.0.0.0/1", "255.255.255.255-255.255.255.255"])
def test_one_range_up_to_the_highest_key_is_there_though_the_kernel_counts_none(element: str) -> None:
    bench = Bench()
    bench.make("wan_nets", ours=element)
    info = bench.kernel.inspect(named("wan_nets"))
    assert info is not None and info.elements == 0
    bench.settle()
    assert bench.ours("wan_nets") == ""
