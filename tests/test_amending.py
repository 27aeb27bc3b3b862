"""A set that others have changed a little is taken for what it was but for that, and it comes to the same as taking in all of it."""

import copy
import random
from typing import AbstractSet, Any, List

import pytest

from netmgr.model.managed_set import ManagedSet
from netmgr.model.model import Model
from netmgr.show.happenings import line_of
from netmgr.sync import survey
from netmgr.sync.repairs import Repairs
from netmgr.sync.survey import COMPARED_AT_ONCE
from netmgr.values.outcomes import Reading
from netmgr.values.sets import NFT_SET_TIMEOUT, Contents, SetInfo, SetName
from tests.fakekernel import FakeSet
from tests.test_repairs import NFT
from tests.workbench import WAN, Bench, gone, key, named, seen

ADDRESSES = ["192.0.2.%d" % number for number in range(1, 13)]
KINDS = {
    "plain": (WAN, 0, 0), "exclusive": (WAN + "zones: {wan: {exclusive: true}}", 0, 0),
    "small": (WAN, 0, 9), "with timeouts": (WAN, NFT_SET_TIMEOUT, 0)}


class Walk:
    """What others and netmgr do to a set in turns; what became of it after each step."""

    def __init__(self, kind: str, seed: int) -> None:
        text, flags, size = KINDS[kind]
        self.source, self.now = random.Random(seed), 1000.0
        self.bench, self.name = Bench(text), named("wan_ips")
        self.bench.make("wan_ips", flags=flags, size=size, foreign="192.0.2.3 203.0.113.1")
        self.bench.kernel.pieces = 2
        self.repairs = Repairs(self.bench.reconciler, lambda: self.now, lambda: "", lambda *line: self.bench.log.append(line),
                               lambda happening, level: self.bench.log.append((level, line_of(happening))))
        self.repairs.settle()

    @property
    def found(self) -> FakeSet:
        """The set; one whose transaction was refused is another object."""
        return self.bench.kernel.sets[self.name]

    def step(self) -> List[Any]:
        self.now += self.source.choice((0.0, 0.5, 100.0))
        for _change in range(self.source.randrange(4)):
            self._change(self.source.choice(ADDRESSES))
        if self.source.random() < 0.7:
            self.bench.kernel.commits_so_far += 1
            self.repairs.changed([NFT])
        if self.source.random() < 0.2:
            self.repairs.doubt()
        self.repairs.settle()
        return self._state()

    def look(self) -> None:
        """Read it and compare, with rests after some steps, in which something happens."""
        for _turn in range(self.source.randrange(8)):
            steps = self.source.randrange(1, 5)
            rest = iter(range(steps))
            self.bench.reconciler.survey.look([self.name], True, self.now, lambda rest=rest: next(rest, None) is None)   # type: ignore[misc]
            self._change(self.source.choice(ADDRESSES))
            self.bench.kernel.commits_so_far += self.source.randrange(2)
            if self.source.random() < 0.7:
                self.bench.reconciler.reconcile(self.now)

    def _change(self, address: str) -> None:
        which = self.source.randrange(6)
        elements, expiring = self.found.elements, self.found.expiring
        if which == 0:
            self.bench.happen(seen(address + "/24"))
        elif which == 1:
            self.bench.happen(gone(address + "/24"))
        elif which in (2, 3):
            elements.pop(key(address), None)
            expiring.discard(key(address))
        else:
            elements[key(address)] = which == 4
            if self.found.info.flags & NFT_SET_TIMEOUT and self.source.random() < 0.5:
                expiring.add(key(address))

    def _state(self) -> List[Any]:
        managed, others = self.bench.managed("wan_ips"), self.bench.managed("wan_ips").others
        return [sorted(self.found.elements.items()), *map(sorted, managed.held), managed.damage, managed.wrong, managed.seen, managed.whole,
                sorted(others.absent), sorted(others.awaited), sorted(self.bench.model.offer(managed)), self.repairs.made,
                self.bench.model.overview.marks[managed.name], list(self.bench.log), len(self.bench.kernel.commits)]


@pytest.mark.parametrize("kind", list(KINDS))
def test_it_comes_to_the_same_as_taking_in_all_of_it(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    amend, amended = Model.amend, 0

    def counted(*arguments: Any) -> None:
        nonlocal amended
        amended += 1
        amend(*arguments)

    monkeypatch.setattr(Model, "amend", counted)
    for seed in range(25):
        with monkeypatch.context() as patch:
            patch.setattr(ManagedSet, "may_amend", lambda _managed, _reading: False)
            walk = Walk(kind, seed)
            wholly = [walk.step() for _step in range(30)]
        walk, before = Walk(kind, seed), amended
        for place, expected in enumerate(wholly):
            assert walk.step() == expected, "seed %d, step %d" % (seed, place)
    assert amended > before


def known_of(managed: ManagedSet) -> List[Any]:
    others = managed.others
    return [managed.held, managed.damage, managed.wrong, managed.seen, others.absent, others.awaited]


class Beside:
    """Holds each set that is amended against a copy of it that takes in all that was read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.times = 0
        amend = Model.amend

        def comparing(model: Model, name: SetName, info: SetInfo, odd: AbstractSet[bytes], reading: Reading) -> None:
            managed, claimed, touched = model.sets[name], set(model.ledger.wanted(name)), set(model.ledger.touched.get(name, ()))
            wholly = copy.deepcopy(managed)
            whole = Contents(*(frozenset((held - odd) | some) for held, some in zip(managed.held, reading.contents)))
            wholly.observe(info, reading._replace(contents=whole))
            wholly.reflect(claimed, model.now, frozenset)
            amend(model, name, info, odd, reading)
            assert known_of(managed) == known_of(wholly)
            assert copy.deepcopy(managed).plan(claimed, model.ledger.touched[name]) == wholly.plan(claimed, touched)
            self.times += 1

        monkeypatch.setattr(Model, "amend", comparing)


@pytest.mark.parametrize("kind", list(KINDS))
def test_what_happens_while_it_is_read_and_compared_makes_no_difference(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(survey, "COMPARED_AT_ONCE", 4)
    beside = Beside(monkeypatch)
    for seed in range(15):
        walk = Walk(kind, seed)
        walk.bench.happen(*(seen("198.51.100.%d/24" % number) for number in range(1, 4)))
        for _step in range(30):
            (lent,) = walk.bench.model.lend([walk.bench.managed("wan_ips")], False)
            before = [*map(set, lent)]
            walk.look()
            walk.step()
            assert [*map(set, lent)] == before
        for _begun_earlier_and_anew in range(2):
            walk.bench.look()
        held = walk.bench.managed("wan_ips").held
        assert (held.ours, held.foreign) == (walk.found.ours, walk.found.foreign)
    assert beside.times


def test_what_is_known_of_a_large_set_is_not_taken_in_anew() -> None:
    bench = Bench()
    found = bench.make("wan_ips", foreign="203.0.113.1")
    bench.happen(*(seen("10.0.%d.%d/24" % (number >> 8, number & 255)) for number in range(3 * COMPARED_AT_ONCE)))
    bench.settle()
    managed = bench.managed("wan_ips")
    held = managed.held
    del found.elements[key("10.0.5.9")], found.elements[key("203.0.113.1")]
    found.elements.update({key("203.0.113.2"): False, key("203.0.113.3"): True})
    bench.look()
    assert managed.held is held and not managed.whole and bench.model.ledger.touched[named("wan_ips")] == {
        key("10.0.5.9"), key("203.0.113.1"), key("203.0.113.2"), key("203.0.113.3")}
    bench.settle()
    assert bench.foreign("wan_ips") == "203.0.113.2" and len(found.ours) == 3 * COMPARED_AT_ONCE == len(managed.held.ours)
