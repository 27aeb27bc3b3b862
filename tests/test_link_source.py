"""The source of links and addresses beside a kernel that changes whenever it is looked at.

Whatever is lost, interrupted or refused, and however small the queue is: what has been told when the loop goes to sleep was true at one
time, no older than what was told before, and in the end it is the truth.  Only that addresses become tentative, which no event tells, may
be told later than the rest.
"""

import random
import socket
import struct
from typing import Callable, Dict, FrozenSet, Iterator, List, Sequence, Tuple

import pytest

from netmgr.io import link_source
from netmgr.io.link_source import LinkSource
from netmgr.io.loop import Loop
from netmgr.io.meanwhile import replayed
from netmgr.io.rtnetlink import Drained, RequestSocket, nobody_listens
from netmgr.model.inventory import Inventory
from netmgr.values.addresses import IFA_F_TENTATIVE
from netmgr.values.events import GONE, AddressesSeen, Event, LinkSeen
from netmgr.values.snapshots import Snapshot
from netmgr.wire.rtnetlink import RTM_GETLINK
from netmgr.wire.rtnetlink_bulk import Tables

NAMES = {1: "eth0", 2: "eth1"}
KEYS = [bytes((family, number)) + bytes(length - 2) for family, length in ((4, 9), (6, 33)) for number in range(8)]
PIECE = 3               # entries that a dump shows at once
EVENTS_AT_ONCE = 4
IPV6 = 33

State = Tuple[Dict[int, bool], FrozenSet[Tuple[int, bytes]]]


class Kernel:
    """Links that go up and down, and addresses that come, go and move; `history` has all that ever was.  `room` is for events."""

    def __init__(self, chance: random.Random, room: int) -> None:
        self.chance, self.room = chance, room
        self.restless = 0.5         # how probably something changes while it is looked at
        self.failing = 0.02         # how probably something cannot be read
        self.up = dict.fromkeys(NAMES, True)
        self.addresses: Dict[Tuple[int, bytes], int] = {}
        self.queue: List[Event] = []
        self.overrun = False
        self.history: List[State] = []
        self.dumps = 0
        self.note()

    def note(self, *events: Event) -> None:
        """It is so now, and this is told of it."""
        self.history.append((dict(self.up), frozenset(self.addresses)))
        for event in events:
            self.overrun = self.overrun or len(self.queue) >= self.room
            if not self.overrun:
                self.queue.append(event)

    def pass_time(self) -> None:
        """Now and then something changes."""
        while self.chance.random() < self.restless:
            self.change()

    def change(self) -> None:
        """One thing, told by one event or two.  What a link that goes down does to its addresses no event tells."""
        index, key = self.chance.choice(list(NAMES)), self.chance.choice(KEYS)
        if self.chance.random() < 0.2:
            self.up[index] = not self.up[index]
            if not self.up[index]:
                self.addresses.update({each: IFA_F_TENTATIVE for each in self.addresses if each[0] == index and len(each[1]) == IPV6})
            self.note(LinkSeen(index, NAMES[index], self.up[index]))
            for each in [each for each, flags in self.addresses.items() if each[0] == index and flags and self.up[index]]:
                self.put(*each)
        elif (index, key) not in self.addresses:
            self.put(index, key)
            if self.chance.random() < 0.5:
                self.take(3 - index, key)       # it has moved
        else:
            self.take(index, key)

    def put(self, index: int, key: bytes) -> None:
        """An address comes, or is no longer tentative."""
        flags = 0 if self.up[index] or len(key) != IPV6 else IFA_F_TENTATIVE
        self.addresses[index, key] = flags
        self.note(AddressesSeen(index, {key: flags}))

    def take(self, index: int, key: bytes) -> None:
        """An address goes, if it is there."""
        if self.addresses.pop((index, key), GONE) != GONE:
            self.note(AddressesSeen(index, {key: GONE}))

    def shown(self, index: int) -> Iterator[Tuple[Dict[Tuple[int, bytes], int], bool]]:
        """The pieces of a dump, and whether something had changed by then.  It goes on at a number, or, at times, behind the last one."""
        self.dumps += 1
        begin, place, last = len(self.history), 0, (0, b"")
        while True:
            now = sorted(each for each in self.addresses if index in (0, each[0]))
            piece = [each for each in now if each > last][:PIECE] if self.dumps % 3 == 0 else now[place:place + PIECE]
            yield {each: self.addresses[each] for each in piece}, len(self.history) > begin
            if not piece:
                return
            place, last = place + PIECE, piece[-1]
            self.pass_time()


class Events:
    """An EventSocket of this kernel; there always seems to be something to read."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._ours, self._theirs = socket.socketpair()
        self._theirs.send(b"!")

    def fileno(self) -> int:
        return self._ours.fileno()

    def drain(self) -> Drained:
        kernel = self._kernel
        kernel.pass_time()
        if kernel.chance.random() < kernel.failing / 4:
            raise OSError(12, "Cannot allocate memory")
        if kernel.overrun:
            kernel.queue.clear()
            kernel.overrun = False
            return Drained([], "the queue of events overran", False)
        found, kernel.queue = kernel.queue[:EVENTS_AT_ONCE], kernel.queue[EVENTS_AT_ONCE:]
        return Drained(found, "", bool(kernel.queue))

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()


class Requests(RequestSocket):
    """One of this kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    def close(self) -> None:
        """There is nothing to close."""

    def dump(self, make_request: Callable[[int], bytes], addresses: Tables,
             listen: Callable[[], int] = nobody_listens) -> Tuple[List[Event], bool]:
        kernel, asked = self._kernel, make_request(1)
        kernel.pass_time()
        if kernel.chance.random() < kernel.failing:
            raise OSError(16, "busy")
        if struct.unpack_from("=H", asked, 4)[0] == RTM_GETLINK:
            listen()
            return [LinkSeen(index, NAMES[index], up) for index, up in kernel.up.items()], True
        whole = True
        for piece, late in kernel.shown(struct.unpack_from("=I", asked, 20)[0]):
            for (index, key), flags in piece.items():
                addresses.setdefault(index, {})[key] = flags
            whole = whole and not late
            listen()
        return [], whole


class Clock(Loop):
    """A loop in whose turns a tenth of a second passes."""

    time = 1000.0

    def now(self) -> float:
        return self.time


class Told:
    """All that a source has told of this kernel, held against what was there whenever the loop goes to sleep."""

    def __init__(self, kernel: Kernel, loop: Clock) -> None:
        self.kernel, self.loop = kernel, loop
        self.inventory = Inventory()
        self.known = False
        self.place = 0          # in the kernel's history
        self.log: List[Tuple[str, str]] = []
        self.source = LinkSource(loop, self._seen, self._replaced, lambda *line: self.log.append(line))
        loop.before_sleep.append(self.is_true)

    def _seen(self, events: Sequence[Event]) -> Dict[int, str]:
        for event in events:
            self.inventory.apply(event)
        return self.inventory.unsure

    def _replaced(self, snapshot: Snapshot) -> None:
        self.known = True
        self.inventory.replace_interfaces(snapshot.links, snapshot.addresses)

    def state(self) -> State:
        return ({index: link.up for index, link in self.inventory.links.items()},
                frozenset((index, key) for index, table in self.inventory.addresses.items() for key in table))

    def is_true(self) -> None:
        if self.known:
            self.place = self.kernel.history.index(self.state(), self.place)

    def turn(self) -> None:
        self.loop.time += 0.1
        self.loop.turn(0)


@pytest.mark.parametrize("room", [2, 6, 20, 1000])
@pytest.mark.parametrize("seed", range(15))
def test_what_is_told_was_true_and_becomes_the_truth(monkeypatch: pytest.MonkeyPatch, seed: int, room: int) -> None:
    kernel, loop = Kernel(random.Random(seed), room), Clock()
    events = Events(kernel)
    monkeypatch.setattr(link_source, "EventSocket", lambda: events)
    monkeypatch.setattr(link_source, "RequestSocket", lambda: Requests(kernel))
    told = Told(kernel, loop)
    try:
        told.source.start()
        for number in range(300):
            if number % 50 == 0:
                kernel.restless = kernel.chance.choice((0.05, 0.2, 0.5))
            if kernel.chance.random() < 0.05:
                told.source.refresh()
            told.turn()
        kernel.restless = kernel.failing = 0
        for _turn in range(200):
            told.turn()
        told.is_true()
        assert told.state() == kernel.history[-1] and (told.source.state, told.source.pending) == ("ok", False)
        assert told.inventory.addresses == {index: {key: flags for (link, key), flags in kernel.addresses.items() if link == index}
                                            for index in told.inventory.addresses}
    finally:
        told.source.stop()
        loop.close()


def test_the_place_of_an_address_that_went_and_came_while_a_dump_was_made_is_not_known() -> None:
    one, two = KEYS[:2]
    events: List[Event] = [AddressesSeen(1, {one: GONE}), LinkSeen(1, "eth0", True), AddressesSeen(2, {one: 0}),
                           AddressesSeen(1, {two: 0}), AddressesSeen(1, {one: 0})]
    assert replayed(events) == [*events[:4], AddressesSeen(1, {one: 0}, repeated=True)]
