"""Very many zones that only labels name: twice as many cost twice as much, counted in lines of netmgr that are executed."""

import sys
from pathlib import Path
from types import FrameType
from typing import Any, Callable, Dict, Sequence

import pytest

import netmgr
from netmgr.io.docker_source import PIECE
from netmgr.io.include_files import IncludeFiles
from netmgr.io.loop import Loop
from netmgr.io.systemd import Manager
from netmgr.keeper import Keeper
from netmgr.sync.repairs import SLICE
from netmgr.values.events import ContainerSeen
from tests.fakekernel import FakeKernel
from tests.workbench import ANY_LABEL, configuration, container, named

HOME = str(Path(netmgr.__file__).parent)
FEW, MANY = 100, 200
TICK = SLICE / 50           # what each look at the clock takes, so that a turn is as long on each machine
TURNS = 10_000


def lines(action: Callable[[], object]) -> int:
    """How many lines of netmgr are executed: that is always the same, however fast the machine is; a loop in one line counts each time."""
    count = 0

    def line(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "line"
        return line

    before = sys.gettrace()
    sys.settrace(lambda frame, _event, _argument: line if frame.f_code.co_filename.startswith(HOME) else None)
    try:
        action()
    finally:
        sys.settrace(before)
    return count


class House:
    """A keeper in a time of its own; each of so many zones has a set, as another has each a container."""

    def __init__(self, directory: Path, count: int) -> None:
        self.now = 1000.0
        self.kernel = FakeKernel()
        self.names = [named("z%d_ips" % number) for number in range(count)]
        for name in self.names:
            self.kernel.make(name, "ipv4_addr")
        self.seen = [container(str(each), "172.18.%d.%d/16" % (each >> 8, each & 255), label="z%d" % each) for each in range(count)]
        self.loop = Loop()
        self.loop.now = self.clock
        self.files = directory / str(count)
        self.keeper = Keeper(self.loop, self.kernel, Manager(self.clock, lambda: "", self.loop.call_later), configuration(ANY_LABEL),
                             IncludeFiles(str(self.files)), lambda: None, lambda _level, _line: None, False)
        self.loop.before_sleep.append(self.keeper.settle)
        self.turns_until(lambda: self.keeper.repairs.reconciler.complete)

    def clock(self) -> float:
        self.now += TICK
        return self.now

    def turns_until(self, done: Callable[[], bool]) -> None:
        for _turn in range(TURNS):
            self.loop.turn(0)
            if done():
                return
            due = [each.when for each in self.loop.deadlines()]
            self.now = max(self.now, min(due, default=self.now))
        raise AssertionError("it does not come to an end")

    def pass_on(self, seen: Sequence[ContainerSeen], gone: Sequence[str]) -> None:
        """Piece by piece, as the list of an engine comes, and until all has been done and told."""
        for place in range(0, max(len(seen), len(gone)), PIECE):
            self.keeper.containers("", seen[place:place + PIECE], gone[place:place + PIECE])
            self.loop.turn(0)
        self.turns_until(lambda: self.filled() == bool(seen) and self.is_at_rest())

    def take_in(self) -> None:
        self.pass_on(self.seen, [])

    def lose(self) -> None:
        self.pass_on([], [each.id for each in self.seen])

    def filled(self) -> bool:
        return all(self.kernel.sets[name].ours for name in self.names)

    def is_at_rest(self) -> bool:
        model = self.keeper.model
        return not (self.keeper.repairs.busy or model.overview.look or model.ledger.touched or model.unwritten or model.departed
                    or self.keeper.reporter.behind)

    def close(self) -> None:
        self.loop.close()


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Dict[int, int]]:
    """Of taking in and of losing so many zones."""
    found: Dict[str, Dict[int, int]] = {"taken in": {}, "lost": {}}
    for count in (FEW, MANY):
        house = House(tmp_path_factory.mktemp("zones"), count)
        try:
            found["taken in"][count] = lines(house.take_in)
            assert len([*house.files.glob("*.z*_ips.nft")]) == count and len(house.keeper.model.sets) > 2 * count
            found["lost"][count] = lines(house.lose)
            assert not [*house.files.glob("*.z*_ips.nft")] and len(house.keeper.model.sets) < 20
        finally:
            house.close()
    return found


@pytest.mark.parametrize("what", ["taken in", "lost"])
def test_twice_as_many_zones_cost_twice_as_much(costs: Dict[str, Dict[int, int]], what: str) -> None:
    assert costs[what][MANY] < 2.1 * costs[what][FEW]
