"""What is asked next, and what is known then: notices and answers in every order, without an engine."""

import random
from typing import Any, Dict, List, Optional, Tuple

import pytest

from netmgr.values import addresses
from netmgr.values.errors import ProtocolError
from netmgr.values.events import ContainerSeen
from netmgr.wire import docker, http1
from netmgr.wire.docker_containers import Listed, Reading
from netmgr.wire.docker_questions import ASKED_TOGETHER, DETAIL, LIST, MOST_NOTICED, SOME, WAIT, Question, Questions
from netmgr.wire.docker_table import Table
from tests import engine_bodies as bodies
from tests.engine_bodies import identifier

OK, GONE, FORBIDDEN = http1.Head(200, "OK", {}), http1.Head(404, "Not Found", {}), http1.Head(403, "Forbidden", {})
DOCKER, PODMAN = docker.Engine("Docker", "1.41", False), docker.Engine("Podman", "1.41", True, "5.4.2")
FRONT, OTHER = {"front": ("172.18.0.2/16",)}, {"front": ("172.18.0.3/16",)}

Entry = Dict[str, Any]


class Bench:
    """The questions, their table, and what the table has passed on."""

    def __init__(self, engine: docker.Engine = DOCKER, health: bool = False, told: Tuple[ContainerSeen, ...] = ()) -> None:
        self.table = Table(told)
        self.questions = Questions(engine, Reading("", engine.podman, None, health), self.table)
        self.told: Dict[str, ContainerSeen] = {each.id: each for each in told}
        self.asked: Dict[str, Question] = {}

    def due(self, may_list: bool = True) -> List[Tuple[str, Tuple[int, ...]]]:
        """The questions that are due, by their kinds and numbers of containers."""
        found = list(self.questions.due(may_list))
        self.asked.update((question.kind, question) for question in found)
        return [(question.kind, tuple(int(each, 16) for each in question.containers)) for question in found]

    def notice(self, *numbers: int, early: bool = False) -> None:
        self.questions.notice(docker.Notice(identifier(number), early) for number in numbers)

    def list(self, *entries: Entry) -> None:
        """The answer to the list, in pieces."""
        body = bodies.listing(entries)
        for start in range(0, len(body), 100):
            self.questions.piece(body[start:start + 100])
        self._answer(LIST, OK, b"")

    def some(self, *entries: Entry) -> None:
        self._answer(SOME, OK, bodies.listing(entries))

    def inspect(self, kind: str, head: http1.Head = OK, body: bytes = b"") -> None:
        self._answer(kind, head, body)

    def fail(self, kind: str) -> None:
        self.questions.failed(self.asked.pop(kind))
        self._take()

    def start(self, *entries: Entry) -> "Bench":
        """The first list is over."""
        self.due()
        self.list(*entries)
        return self

    def again(self, *entries: Entry) -> "Bench":
        """One more list."""
        self.questions.list_due = True
        self.due()
        self.list(*entries)
        return self

    def running(self) -> List[str]:
        return sorted(each.name for each in self.told.values())

    def _answer(self, kind: str, head: http1.Head, body: bytes) -> None:
        self.questions.answered(self.asked.pop(kind), head, body)
        self._take()

    def _take(self) -> None:
        while self.table.waiting():
            seen, gone = self.table.take(3)
            assert len(seen) + len(gone) <= 3
            for each in seen:
                assert self.told.get(each.id) != each, "what is passed on is new"
                self.told[each.id] = each
            for container in gone:
                del self.told[container]


def container(number: int, networks: Optional[bodies.Networks] = None, **how: Any) -> Entry:
    return bodies.container(number, FRONT if networks is None else networks, **how)


# -- lists and single containers


def test_the_list_comes_first_and_then_only_what_is_noticed() -> None:
    bench = Bench()
    assert bench.due() == [(LIST, ())] and bench.due() == []
    bench.list(container(1), container(2))
    assert bench.running() == ["c1", "c2"] and bench.questions.complete and bench.due() == []
    bench.notice(3, 1)
    assert bench.due() == [(SOME, (3, 1))] and bench.due() == []
    bench.notice(4, 4)
    assert bench.due() == []
    bench.some(container(3))
    assert bench.running() == ["c2", "c3"]
    assert bench.due() == [(SOME, (4,))]
    bench.some(container(4), container(9))
    assert bench.running() == ["c2", "c3", "c4"], "the ninth was not asked about"
    assert bench.due() == [] and bench.questions.surprises == 0


def test_a_list_waits_until_it_may() -> None:
    bench = Bench().start()
    bench.questions.list_due = True
    assert bench.due(may_list=False) == [] and bench.due() == [(LIST, ())]


def test_many_notices_at_once() -> None:
    bench = Bench().start(container(1))
    bench.notice(*range(1, ASKED_TOGETHER + 2))
    (_kind, asked), = bench.due()
    assert asked == tuple(range(1, ASKED_TOGETHER + 1))
    bench.some()
    assert bench.due() == [(SOME, (ASKED_TOGETHER + 1,))] and bench.running() == []


def test_too_many_notices_make_the_whole_list_due() -> None:
    bench = Bench().start()
    for _ in range(5):
        bench.notice(*range(1, 100_000))
    assert len(bench.questions.noticed) == MOST_NOTICED
    assert [kind for kind, _numbers in bench.due()] == [LIST, SOME]
    assert len(bench.questions.early) <= 1 << 16


def test_a_notice_that_names_no_container() -> None:
    bench = Bench().start()
    bench.questions.notice([docker.Notice("", False)])
    assert bench.due() == [(LIST, ())]


def test_the_list_does_not_count_for_what_was_noticed_since() -> None:
    """It may be older, or newer; the answer about that container decides."""
    bench = Bench().start(container(1), container(2)).again(container(1), container(2))
    bench.questions.list_due = True
    assert bench.due() == [(LIST, ())]
    bench.notice(1, 3)
    assert bench.due() == [(SOME, (1, 3))]
    bench.some(container(3))
    assert bench.running() == ["c2", "c3"]
    bench.list(container(1), container(2, OTHER))
    assert bench.running() == ["c2", "c3"] and bench.told[identifier(2)].endpoints[0].address[-1] == 3
    assert bench.questions.surprises == 1


def test_what_the_list_alone_knows() -> None:
    bench = Bench().start(container(1), container(2)).again(container(2, OTHER), container(3))
    assert bench.running() == ["c2", "c3"] and bench.questions.surprises == 0
    bench.again(container(1), container(2))
    assert bench.running() == ["c1", "c2"] and bench.questions.surprises == 3


def test_containers_of_an_earlier_source_are_kept_until_the_list_is_complete() -> None:
    first = Bench().start(container(1), container(2))
    bench = Bench(told=tuple(first.told.values()))
    bench.due()
    bench.questions.piece(bodies.listing([container(2)])[:-1])
    bench._take()
    assert bench.running() == ["c1", "c2"]
    bench.questions.piece(b"]")
    bench._answer(LIST, OK, b"")
    assert bench.running() == ["c2"]


def test_without_an_answer_about_some_all_are_listed() -> None:
    bench = Bench().start(container(1))
    bench.notice(1)
    bench.due()
    bench.fail(SOME)
    assert bench.due() == [(LIST, ())] and bench.running() == ["c1"]
    for head, body in ((GONE, b""), (OK, b"nonsense")):
        bench.notice(1)
        bench.due()
        with pytest.raises(ProtocolError):
            bench.questions.answered(bench.asked.pop(SOME), head, body)


def test_a_list_that_failed() -> None:
    bench = Bench()
    bench.due()
    with pytest.raises(ProtocolError, match=r"GET /v1.41/containers/json: HTTP 404 page not found"):
        bench.questions.answered(bench.asked[LIST], GONE, b"page not found")


def test_a_senseless_one_is_left_out_until_it_makes_sense() -> None:
    bench = Bench().start(container(1), container(2, {"x": ("1.2.3.4/24",)}))
    bench.notice(1)
    bench.due()
    bench.some({**container(1), "Names": 5})
    assert bench.running() == ["c2"] and list(bench.questions.senseless) == [identifier(1)]
    bench.questions.list_due = True
    bench.due()
    bench.list(container(1), container(2))
    assert bench.running() == ["c1", "c2"] and bench.questions.senseless == {}


# -- what comes early


def test_waits_for_what_is_under_way() -> None:
    bench = Bench().start(container(1), container(2))
    bench.notice(1, early=True)
    assert bench.due() == [(SOME, (1,))]
    bench.some(container(1))
    assert bench.due() == [(WAIT, (1,))] and bench.running() == ["c1", "c2"]
    bench.inspect(WAIT, GONE)
    assert bench.due() == [(SOME, (1,))]
    bench.some()
    assert bench.due() == [] and bench.running() == ["c2"]


def test_one_that_is_locked_holds_up_no_other() -> None:
    bench = Bench().start(container(1), container(2))
    bench.notice(1, 2, early=True)
    bench.due()
    bench.some(container(1), container(2))
    (_kind, (locked,)), = bench.due()
    bench.notice(3)
    assert bench.due() == [(SOME, (3,))]
    bench.some(container(3))
    assert bench.running() == ["c1", "c2", "c3"]
    bench.fail(WAIT)
    assert {kind for kind, _numbers in bench.due()} == {LIST, WAIT} and locked in (1, 2)


def test_waits_again_when_more_happens_to_the_same() -> None:
    bench = Bench().start(container(1))
    bench.notice(1, early=True)
    bench.due()
    bench.notice(1, early=True)
    bench.some(container(1))
    assert bench.due() == [(SOME, (1,)), (WAIT, (1,))]
    bench.some()
    bench.inspect(WAIT)
    assert bench.due() == [(SOME, (1,))]


def test_what_came_early_before_a_list() -> None:
    bench = Bench()
    bench.notice(1, early=True)
    assert bench.due() == [(LIST, ()), (SOME, (1,))]
    bench.list(container(1))
    bench.some(container(1))
    assert bench.due() == [(WAIT, (1,))]


# -- networks of others


def test_the_addresses_of_the_other_as_long_as_it_is_there() -> None:
    sharing = container(2, {}, mode="container:" + identifier(1))
    bench = Bench().start(sharing, container(1), container(3, {}, mode="container:" + identifier(9)))

    def addresses_of(number: int) -> List[str]:
        return [addresses.text(each.address) for each in bench.told[identifier(number)].endpoints]

    assert (addresses_of(1), addresses_of(2), addresses_of(3)) == (["172.18.0.2"], ["172.18.0.2"], [])
    bench.notice(1)
    bench.due()
    bench.some(container(1, OTHER))
    assert addresses_of(2) == ["172.18.0.3"]
    bench.notice(1)
    bench.due()
    bench.some()
    assert addresses_of(2) == [] and identifier(1) not in bench.told
    bench.notice(2)
    bench.due()
    bench.some()
    assert bench.running() == ["c3"] and bench.table.sharers.keys() == {identifier(9)}


# -- details


def test_the_health_that_the_list_does_not_tell() -> None:
    bench = Bench(PODMAN, health=True)
    bench.due()
    bench.list(*(container(number) for number in (1, 2, 3, 4)))
    assert not bench.questions.complete
    answers = {1: (OK, bodies.inspection(1)), 2: (OK, bodies.inspection(2, "healthy")), 3: (OK, b"nonsense"), 4: (GONE, b"")}
    for _ in range(4):
        (kind, (number,)), = bench.due()
        bench.inspect(kind, *answers[number])
    assert bench.questions.complete and bench.due() == []
    assert {int(key, 16): seen.healthy for key, seen in bench.told.items()} == {1: None, 2: True, 3: False, 4: False}
    bench.notice(2)
    bench.due()
    bench.some(container(2))
    assert bench.told[identifier(2)].healthy is True, "until it is known better"
    assert bench.due() == [(DETAIL, (2,))]
    bench.fail(DETAIL)
    assert bench.told[identifier(2)].healthy is True


def multi(*further: str) -> bytes:
    secondary = ",".join('{"Addr": "%s", "PrefixLength": 24}' % each for each in further)
    return ('{"State": {}, "HostConfig": {"NetworkMode": "bridge"}, "NetworkSettings": {"Networks": {"front": {"IPAddress": "172.18.0.2",'
            '"IPPrefixLen": 16, "SecondaryIPAddresses": [%s]}}}}' % secondary).encode()


def shown(bench: Bench, number: int) -> List[str]:
    return [addresses.text(each.address) for each in bench.told[identifier(number)].endpoints]


def test_further_addresses_come_from_an_inspection_once() -> None:
    bench = Bench(PODMAN)
    bench.due()
    bench.list(container(1))
    assert bench.questions.complete and shown(bench, 1) == ["172.18.0.2"]
    assert bench.due() == [(DETAIL, (1,))]
    bench.inspect(DETAIL, OK, multi("10.2.0.2"))
    assert shown(bench, 1) == ["172.18.0.2", "10.2.0.2"] and bench.told[identifier(1)].mode == "default"
    bench.questions.list_due = True
    bench.due()
    bench.list(container(1))
    assert bench.due() == [] and shown(bench, 1) == ["172.18.0.2", "10.2.0.2"] and bench.questions.surprises == 0
    bench.notice(1)
    bench.due()
    bench.some(container(1, {"back": ("10.9.0.2/24",), **FRONT}))
    assert shown(bench, 1) == ["10.9.0.2", "172.18.0.2", "10.2.0.2"], "those of before, until the next inspection"
    assert bench.due() == [(DETAIL, (1,))]
    bench.notice(1)
    assert bench.due() == [(SOME, (1,))]
    bench.some(container(1, {"back": ("10.9.0.2/24",)}))
    bench.inspect(DETAIL, OK, multi("10.2.0.2"))
    assert shown(bench, 1) == ["10.9.0.2"], "an answer about what is no longer so"
    assert bench.due() == [(DETAIL, (1,))]


def test_an_inspection_of_one_that_has_gone() -> None:
    bench = Bench(PODMAN).start(container(1))
    assert bench.due() == [(DETAIL, (1,))]
    bench.notice(1)
    bench.due()
    bench.some()
    bench.inspect(DETAIL, OK, multi("10.2.0.2"))
    assert bench.told == {} and bench.due() == []


def test_who_refuses_podmans_own_api_is_asked_by_dockers() -> None:
    bench = Bench(PODMAN, health=True).start(container(1), container(2))
    bench.due()
    assert "/libpod/" in bench.asked[DETAIL].target
    bench.inspect(DETAIL, FORBIDDEN)
    bench.due()
    assert bench.asked[DETAIL].target.startswith("/v1.41/containers/") and bench.questions.trouble == ""
    bench.inspect(DETAIL, OK, bodies.inspection(1, "healthy"))
    bench.due()
    bench.inspect(DETAIL, FORBIDDEN)
    assert "/json: HTTP 403 Forbidden (others are allowed" in bench.questions.trouble and bench.questions.complete
    plain = Bench(PODMAN).start(container(1))
    plain.due()
    plain.inspect(DETAIL, FORBIDDEN)
    plain.notice(1)
    assert plain.due() == [(SOME, (1,))] and plain.questions.trouble == ""


# -- random


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("engine, health", [(DOCKER, False), (DOCKER, True), (PODMAN, False), (PODMAN, True)])
def test_whatever_happens_the_truth_is_known_in_the_end(seed: int, engine: docker.Engine, health: bool) -> None:
    """An engine whose containers change while it answers: each answer tells the truth of some moment since its question."""
    source = random.Random(seed)
    bench = Bench(engine, health)
    truth: Dict[int, Entry] = {}
    moments: Dict[str, List[Dict[int, Entry]]] = {}
    for step in range(200):
        if source.random() < 0.4:
            truth = changed(bench, truth, "n%d" % step, source)
        moments.update((kind, [truth]) for kind, _numbers in bench.due(source.random() < 0.5))
        for passed in moments.values():
            passed.append(truth)
        if bench.asked and source.random() < 0.6:
            answer(bench, source.choice(sorted(bench.asked)), moments, source)
    bench.questions.list_due = True
    while bench.asked or bench.due():
        for kind in list(bench.asked):
            answer(bench, kind, {kind: [truth]}, source, fails=False)
    fresh = Bench(engine, health).start(*truth.values())
    while fresh.due():
        answer(fresh, DETAIL, {DETAIL: [truth]}, source, fails=False)
    assert bench.told == fresh.told


def changed(bench: Bench, truth: Dict[int, Entry], name: str, source: random.Random) -> Dict[int, Entry]:
    """Something happens to one container, and mostly there is a notice."""
    number = source.randrange(1, 8)
    after = {key: entry for key, entry in truth.items() if key != number}
    if source.random() < 0.7:
        mode = source.choice(["default", "default", "container:" + identifier(source.randrange(1, 8))])
        after[number] = container(number, source.choice([FRONT, OTHER, {}]), mode=mode, name=name)
    if source.random() < 0.9:
        bench.notice(number, early=source.random() < 0.3)
    return after


def answer(bench: Bench, kind: str, moments: Dict[str, List[Dict[int, Entry]]], source: random.Random, fails: bool = True) -> None:
    there = source.choice(moments.pop(kind))
    if fails and kind != LIST and source.random() < 0.1:
        bench.fail(kind)
    elif kind == LIST:
        bench.list(*there.values())
    elif kind == SOME:
        bench.some(*there.values())
    else:
        bench.inspect(kind, OK, bodies.inspection(1, "healthy"))


def test_the_table_knows_what_changed() -> None:
    table = Table(())
    seen = ContainerSeen("a", "web", (), ())
    assert table.put(Listed(seen, "", False)) and not table.put(Listed(seen, "", False))
    assert table.put(Listed(seen._replace(name="new"), "", False)) and "a" in table and table.ids() == {"a"}
    assert table.take(10) == ([seen._replace(name="new")], []) and table.waiting() == 0
    assert table.drop("a") and not table.drop("a") and "a" not in table
    assert table.put(Listed(seen._replace(name="new"), "", False))
    assert table.take(10) == ([], []), "gone and back is as before"
    table.clear()
    assert table.take(10) == ([], ["a"]) and table.ids() == set()
