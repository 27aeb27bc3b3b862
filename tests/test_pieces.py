"""Answers in text that are made while they are told: the same as of what is all there, and never much at once."""

import random
import sys
from functools import partial
from typing import Callable, Dict, Iterator, List, Optional, Tuple

import pytest

from netmgr.show import answers_json, explain_text, graph, tables
from netmgr.show.answers import Address, Elements, Interface, SetContents, SetStatus, Status
from netmgr.show.answers_json import read_status, status_json
from netmgr.show.columns import MEASURED, fitted
from netmgr.show.explain import explain
from netmgr.show.rows import PIECE, Rows, in_order, pieces, together
from netmgr.show.selection import cut, cut_sets
from netmgr.show.status import everything, set_contents
from netmgr.values.events import LinkGone, LinkSeen
from tests.test_status import MANNER, QUIET
from tests.workbench import Bench, container, gone, seen

CALLS = 3000        # of functions, for one piece
KEYS = [b"%07d" % number for number in range(3000)]


class Counted:
    """Rows of texts, which counts how many are made."""

    def __init__(self, keys: List[bytes]) -> None:
        self.made = 0
        self.rows = Rows(len(keys), partial(in_order, keys), self._text)

    def _text(self, key: bytes) -> str:
        self.made += 1
        return key.decode()


def most_at_once(told: Iterator[str], *counted: Counted) -> Tuple[int, str]:
    """How many rows were made for one piece at most, and the whole text."""
    most, before, text = 0, 0, ""
    for piece in told:
        made = sum(each.made for each in counted)
        most, before, text = max(most, made - before), made, text + piece
        assert len(piece) < 2 * PIECE
    return most, text


def test_no_piece_of_status_takes_many_addresses() -> None:
    counted = Counted(KEYS)
    addresses = Rows(len(KEYS), partial(in_order, KEYS), lambda key: Address(counted.rows.row(key), ("permanent",)))
    status = Status(interfaces=(Interface("eth0", 2, True, ("wan",), addresses),))
    most, text = most_at_once(tables.status_pieces(status), counted)
    assert most <= 2 * MEASURED and counted.made == 2 * len(KEYS)
    assert text == tables.status_text(read_status(status_json(status)))
    assert text.count("\n") == len(KEYS) + 3


def test_no_piece_of_sets_takes_many_elements() -> None:
    counted = [Counted(KEYS[:2000]), Counted(KEYS[500:2500]), Counted(KEYS[2400:])]
    contents = [SetContents(SetStatus("inet", "filter", "wan_ips", state="synced"), Elements(*(each.rows for each in counted)))]
    most, text = most_at_once(tables.sets_pieces(contents), *counted)
    assert most <= 3 * MEASURED
    assert text == tables.sets_text([SetContents(contents[0].set, Elements(*(tuple(each.rows) for each in counted)))])
    assert text.count("\n") == len(KEYS) + 1


@pytest.mark.parametrize("seed", range(20))
def test_each_element_stands_once_with_all_that_has_it(seed: int) -> None:
    source = random.Random(seed)
    several = [source.sample(KEYS, source.choice((0, 1, 50, 1500))) for _each in range(3)]
    made = tuple(Counted(keys).rows for keys in several)
    for rows in (made, tuple(tuple(each) for each in made)):
        found = [each for each in together(rows) if each is not None]
        assert [key for key, _among in found] == sorted({key.decode() for keys in several for key in keys})
        assert all(among == tuple(key.encode() in keys for keys in several) for key, among in found)


@pytest.mark.parametrize("seed", range(20))
def test_a_table_is_the_same_however_it_is_made(seed: int) -> None:
    """With pauses anywhere, also in the last row; without a row there is no table."""
    source = random.Random(seed)
    rows = [tuple("x" * source.randrange(0, 12) if place != seed % 4 else "" for place in range(4)) for _row in range(source.randrange(9))]
    broken = [each for row in rows for each in (row, None)[:source.randrange(1, 3)]]

    def told(some: List[Optional[Tuple[str, ...]]]) -> List[str]:
        return [line for line in fitted(("A", "B", "C", "D"), lambda: iter(some), 24) if line is not None]
    assert told(broken) == told(list(rows))
    assert bool(told(broken)) == any(map(any, rows))


def test_pieces_have_a_size_and_lose_nothing() -> None:
    parts = ["x" * 100, None, "y" * PIECE, "", "z"] * 3
    told = list(pieces(parts))
    assert "".join(told) == "".join(part or "" for part in parts) and told[-1] == "z"
    assert max(map(len, told)) <= PIECE + 100 and list(pieces([])) == []


Asking = Callable[[Bench], Iterator[str]]
ASKED: Dict[str, Asking] = {
    "status": lambda bench: tables.status_pieces(everything(bench.model, QUIET, MANNER)),
    "status json": lambda bench: answers_json.status_pieces(everything(bench.model, QUIET, MANNER)),
    "status of some": lambda bench: tables.status_pieces(cut(everything(bench.model, QUIET, MANNER), ["docker", "eth0", "nothing"])),
    "sets": lambda bench: tables.sets_pieces(set_contents(bench.model, MANNER)),
    "sets json": lambda bench: answers_json.sets_pieces(set_contents(bench.model, MANNER)),
    "sets of some": lambda bench: tables.sets_pieces(cut_sets(set_contents(bench.model, MANNER), ["wan_ips", "z7"])),
    "graph": lambda bench: graph.dot_pieces(graph.graph(bench.model)),
    **{"explain " + thing: partial(lambda thing, bench: explain_text.explanation_pieces(explain(bench.model, thing, ())), thing)
       for thing in ("wan_ips", "wan_nets", "wan", "eth0", "10.0.0.77", "10.0.0.0/24")},
    **{"explain " + thing: partial(lambda thing, bench: explain_text.explanation_pieces(explain(bench.model, thing, ())), thing)
       for thing in ("z7", "z7_ips", "veth7", "192.0.2.1", "8080")},
    "explain wan json": lambda bench: answers_json.explanation_pieces(explain(bench.model, "wan", ())),
}


@pytest.mark.parametrize("ask", ASKED.values(), ids=list(ASKED))
def test_what_comes_in_pieces_was_so_when_somebody_asked(ask: Asking) -> None:
    """While addresses come and go, and the set with them."""
    source = random.Random(7)
    bench = Bench()
    bench.make("wan_ips", foreign="10.0.0.7")
    bench.make("wan_nets", foreign="10.0.1.0/25")
    addresses = ["10.0.%d.%d" % (number >> 8, number & 255) for number in range(900)]
    bench.happen(*(seen(address + "/24") for address in addresses[:800]))
    bench.settle()
    whole = "".join(ask(bench))
    told = []
    for piece in ask(bench):
        told.append(piece)
        for address in source.sample(addresses, 3):
            bench.happen(source.choice((seen, gone))(address + "/24"))
        bench.settle()
    assert "".join(told) == whole


def calls(action: Callable[[], object]) -> int:
    """How many functions of Python are called: that is always the same, however fast the machine is."""
    count = 0

    def counted(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event == "call"

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("name", list(ASKED))
def test_no_piece_takes_long_however_much_there_is(name: str) -> None:
    """Neither the first, which is there when the question has been taken in, nor any other."""
    bench = Bench()
    bench.make("wan_ips", foreign="10.0.0.7")
    bench.make("wan_nets", foreign="10.0.1.0/25")
    bench.happen(*(seen("10.0.%d.%d/24" % (number >> 8, number & 255)) for number in range(2000)))
    bench.settle()
    hold_to_calls(name, bench)


def hold_to_calls(name: str, bench: Bench) -> None:
    pieces: List[Iterator[str]] = []
    most = [calls(lambda: pieces.append(ASKED[name](bench)))]
    left = True
    while left:
        def step() -> None:
            nonlocal left
            left = next(pieces[0], None) is not None
        most.append(calls(step))
    assert max(most) < CALLS, "the whole: %d" % sum(most)


MANY = """
interfaces: [{name: "eth*", nftables_zone: [%s]}, {name: "veth1*"}]
docker: {nftables_zone: docker}
"""


@pytest.fixture(scope="module")
def crowded() -> Bench:
    """Many interfaces, containers and zones, many of which have something wrong."""
    bench = Bench(MANY % ", ".join("z%d" % number for number in range(60)))
    for number in range(60):
        bench.make("z%d_ips" % number, size=1)
    bench.make("docker_ips")
    bench.happen(*(LinkSeen(number + 10, "veth%d" % number, True) for number in range(900)))
    bench.happen(seen("192.0.2.1/24"), seen("192.0.2.2/24"), seen("10.0.0.1/8", index=2))
    bench.containers(*(container("%d" % number, *(["172.17.%d.%d" % (number >> 8, number & 255)] if number % 3 else []))
                       for number in range(1500)))
    bench.settle()
    return bench


@pytest.mark.parametrize("name", ["status", "status json", "status of some", "sets", "sets json", "sets of some"])
def test_no_piece_takes_long_however_many_things_there_are(name: str, crowded: Bench) -> None:
    hold_to_calls(name, crowded)


@pytest.fixture(scope="module")
def spoken_of() -> Bench:
    """Very many sets of very many zones, and as many entries and interfaces."""
    count = 600
    zones = ", ".join("z%d" % number for number in range(count))
    entries = ", ".join("{name: veth%d, nftables_zone: z%d}" % (number, number) for number in range(count))
    bench = Bench("interfaces: [{name: eth0, nftables_zone: [%s]}, %s]\ndocker: {enabled: false}\n" % (zones, entries))
    for number in range(count):
        bench.make("z%d_ips" % number)
    bench.happen(*(LinkSeen(number + 10, "veth%d" % number, True) for number in range(count)))
    bench.happen(*(seen("10.0.%d.%d/24" % (number >> 8, number & 255), index=number + 10) for number in range(count)))
    bench.happen(seen("192.0.2.1/24"))
    bench.settle()
    return bench


@pytest.mark.parametrize("name", [*ASKED])
def test_no_piece_takes_long_however_many_sets_and_entries_there_are(name: str, spoken_of: Bench) -> None:
    hold_to_calls(name, spoken_of)


@pytest.mark.parametrize("name", ["status", "status json", "status of some"])
def test_containers_and_interfaces_are_told_as_they_were(name: str) -> None:
    source = random.Random(8)
    bench = Bench(MANY % "wan")
    bench.make("wan_ips")
    bench.make("docker_ips")
    there = [container(str(number), "172.17.0.%d" % number) for number in range(120)]
    bench.containers(*there)
    bench.settle()
    whole, told = "".join(ASKED[name](bench)), []
    for piece in ASKED[name](bench):
        told.append(piece)
        index = source.randrange(1, 6)
        bench.happen(source.choice((
            LinkGone(index), LinkSeen(index, "eth%d" % source.randrange(9), True), seen("192.0.2.9/24", index=index))))
        bench.containers(*source.sample(there, 60))
        bench.settle()
    assert "".join(told) == whole


def test_between_paragraphs_stands_one_blank_line(spoken_of: Bench) -> None:
    """Whatever is passed over in between."""
    contents = cut_sets(set_contents(spoken_of.model, MANNER), ["z3", "z77_ips", "z590_ips"])
    told = tables.sets_text(contents)
    assert told == "".join(tables.sets_pieces(list(contents))) and told.count("\n\n") == 2
    assert [line.split()[2] for line in told.split("\n") if line.startswith("inet")] == ["z3_ips:", "z77_ips:", "z590_ips:"]
