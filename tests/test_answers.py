"""Answers to JSON and back: fields that are missing, not known, or of an odd type."""

import json
import random
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest

from netmgr.show.answers import Address, Interface, LastRepair, SetStatus, Source, Status
from netmgr.show.answers_json import read_sets, read_status, status_json
from netmgr.show.tables import sets_text, status_text
from netmgr.values.errors import ProtocolError
from tests.test_commands import SETS, STATUS, STATUS_TEXT

ODD: Tuple[object, ...] = (
    None, True, -1, 3, 0.5, 1e300, "", "x", [], [None], [[]], ["a", 1, {}], {}, {"a": 1}, [{"state": []}], {"x": {"state": 1}},
    float("nan"), float("inf"), 10 ** 30)


def read(value: Any) -> Status:
    return read_status(json.dumps(value))


def places(value: Any, path: Tuple[Any, ...] = ()) -> Iterator[Tuple[Any, ...]]:
    """Where anything stands in a value."""
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield (*path, key)
        yield from places(each, (*path, key))


def changed(value: Any, path: Tuple[Any, ...], change: Callable[[Any, Any], None]) -> Any:
    """A copy in which change(container, key) was made at one place."""
    copied = found = json.loads(json.dumps(value))
    for key in path[:-1]:
        found = found[key]
    change(found, path[-1])
    return copied


def remove(container: Any, key: Any) -> None:
    del container[key]


def test_what_is_written_is_read() -> None:
    status = read(STATUS)
    assert json.loads(status_json(status)) == STATUS
    assert (status.state, [*status.sets][1].error, [*next(iter(status.interfaces)).addresses][1].counts) == (
        "degraded", "it is a map", False)
    assert status.sources["nftables"].facts["last_repair"] == LastRepair(
        4610, "nft", None, "fw.service", "2026-01-31T12:03:11Z", ("inet filter wan_ips",))


@pytest.mark.parametrize("path", list(places(STATUS)), ids=str)
def test_any_field_may_be_missing_or_odd(path: Tuple[Any, ...]) -> None:
    text = status_text(read(changed(STATUS, path, remove)))
    assert text.startswith("netmgr ")
    for odd in ODD:
        def replace(container: Any, key: Any, odd: object = odd) -> None:
            container[key] = odd
        status = read(changed(STATUS, path, replace))
        assert all(line.isprintable() for line in status_text(status).splitlines())
        assert read_status(status_json(status)) == status


@pytest.mark.parametrize("path", list(places(SETS)), ids=str)
def test_any_field_of_sets_may_be_missing_or_odd(path: Tuple[Any, ...]) -> None:
    for odd in ODD:
        def replace(container: Any, key: Any, odd: object = odd) -> None:
            container[key] = odd
        assert sets_text(read_sets(json.dumps(changed(SETS, path, replace)))).endswith("\n")
    assert sets_text(read_sets(json.dumps(changed(SETS, path, remove)))).endswith("\n")


def test_what_is_missing_has_its_default() -> None:
    assert read({}) == Status()
    assert read({"interfaces": [{"addresses": [{}]}], "sets": [{}], "sources": {"netlink": {}}}) == Status(
        interfaces=(Interface(addresses=(Address(),)),), sets=(SetStatus(),), sources={"netlink": Source()})


def test_what_is_not_known_is_passed_over() -> None:
    newer: Dict[str, Any] = {**STATUS, "schema": 1, "colour": [{"about": "x"}]}
    newer["interfaces"] = [{**each, "altnames": ["x"]} for each in STATUS["interfaces"]]
    newer["sets"] = [{**each, "colour": "red", "warning": None} for each in STATUS["sets"]]
    assert status_text(read(newer)) == STATUS_TEXT


def test_a_source_that_is_not_known_is_shown_with_its_facts() -> None:
    sources = {"fleet": {"state": "error", "hosts": 3, "error": "no answer", "last_repair": {"pid": 1}, "members": ["a"]}}
    assert status_text(read({**STATUS, "sources": sources})).splitlines()[-1].split() == [
        "fleet", "error", "hosts", "3,", "no", "answer"]


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '"ready"', "\x1b[2J", "[" * 100_000])
def test_what_is_no_object_is_not_netmgrs(text: str) -> None:
    with pytest.raises(ProtocolError):
        read_status(text)


def test_a_number_that_is_too_large_is_none() -> None:
    assert read_status('{"pid": %s}' % ("9" * 1_000)).pid is None


@pytest.mark.parametrize("seed", range(20))
def test_garbage_gives_an_answer_or_one_error(seed: int) -> None:
    source = random.Random(seed)
    text = json.dumps(STATUS)
    told: List[str] = []
    for _ in range(200):
        start = source.randrange(len(text))
        garbage = "".join(source.choice('{}[]",:0123nulltrue\\\x1b') for _ in range(source.choice((1, 2, 5))))
        try:
            told.append(status_text(read_status(text[:start] + garbage + text[start + source.choice((0, len(garbage))):])))
        except ProtocolError:
            told.append("")
    assert all(line.isprintable() for each in told for line in each.splitlines())
    assert any(told)
