"""Lists of objects, however they are cut; with objects that are too long, too deep, or make no sense."""

import json
import random
from typing import Any, List, Optional, Sequence

import pytest

from netmgr.values.errors import ProtocolError
from netmgr.wire.json_elements import HEAD, Element, Elements

LIMIT = 200
TRICKY: List[Any] = [
    {}, {"a": 1}, {"a": [{"b": []}, "]}"]}, {"quote": 'x"}],[{"', "backslash": "\\", "both": '\\"'}, {"\u00fc": "\u20ac\U0001f600"},
    {"a": None, "b": True, "c": -1.5e3}]


def read(body: bytes, sizes: Sequence[int], limit: int = LIMIT) -> List[Element]:
    """The body in pieces of these sizes, over and over again."""
    elements, found, at, turn = Elements(limit), [], 0, 0
    while at < len(body):
        size = sizes[turn % len(sizes)]
        found += list(elements.feed(body[at:at + size]))
        at, turn = at + size, turn + 1
    return found + list(elements.close())


def values(found: Sequence[Element]) -> List[Optional[Any]]:
    return [each.value for each in found]


def texts(*objects: str) -> bytes:
    return ("[%s]" % ",".join(objects)).encode()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 100_000])
@pytest.mark.parametrize("ascii_only", [True, False])
@pytest.mark.parametrize("indent", [None, 2])
def test_every_object_however_cut(size: int, ascii_only: bool, indent: Optional[int]) -> None:
    body = b" \n" + json.dumps(TRICKY, ensure_ascii=ascii_only, indent=indent).encode() + b"\n"
    assert values(read(body, [size])) == TRICKY


@pytest.mark.parametrize("size", [1, 3, 100])
@pytest.mark.parametrize("body", [b"[]", b" [ ] \n", b"null", b"null\n", b" null"])
def test_none_at_all(body: bytes, size: int) -> None:
    assert read(body, [size]) == []


def test_an_object_comes_as_soon_as_twice_its_beginning_is_there() -> None:
    elements = Elements(LIMIT)
    assert list(elements.feed(b'[{"a": 1},{"b": ')) == [Element({"a": 1})]
    assert list(elements.feed(b'2},{"c": 3}')) == [Element({"b": 2}), Element({"c": 3})]
    assert list(elements.feed(b"]")) == [] and list(elements.close()) == []


BAD = {
    "long": '{"Names": ["/big"], "x": "%s"}' % ("y" * LIMIT),
    "long, of brackets": '{"x": [%s]}' % ",".join(["{}"] * LIMIT),
    "long, of escapes": '{"x": "%s"}' % ('\\"}]\\\\' * LIMIT),
    "long, with a mistake": '{"x": nonsense, "y": "%s"}' % ("y" * LIMIT),
    "deep": '{"x": %s1%s}' % ("[" * 100_000, "]" * 100_000),
    "a number": '{"x": 1%s}' % ("0" * 50),
}


@pytest.mark.parametrize("size", [1, 5, 100, 1 << 20])
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_one_that_cannot_be_taken_spoils_no_other(bad: str, size: int) -> None:
    found = read(texts('{"a": 1}', bad, '{"b": 2}', bad, '{"c": 3}'), [size])
    assert values(found) == [{"a": 1}, None, {"b": 2}, None, {"c": 3}]
    for each in found:
        assert (each.value is None) == bool(each.wrong) == bool(each.head) and len(each.head) <= HEAD
        assert each.value is not None or (each.head.startswith(bad) or bad.startswith(each.head))


def test_bytes_that_are_no_text_show_in_the_object_that_has_them() -> None:
    assert values(read(b'[{"a": "\xff"}, {"b": "x"}]', [1])) == [{"a": "\udcff"}, {"b": "x"}]


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize("body", [
    b"", b"  ", b"{}", b"[", b"[{", b'[{"a": 1}', b'[{"a": 1},', b"[5]", b'["x"]', b"[[]]", b'"x"', b"[}", b"[]]", b"[{}][]", b"[{}]x",
    b"nul", b"nulL", b"null null", b"[null]", b"[{]}]", b'[{"a": }]', b"\xff", b"x" * 5000, b"[" * 100_000, b'[{"a": "' + b"x" * 5000,
    b"[{}" + b" " * 5000 + b"x"])
def test_no_list_of_objects(body: bytes, size: int) -> None:
    with pytest.raises(ProtocolError):
        read(body, [size])


@pytest.mark.parametrize("seed", range(20))
def test_random_lists_in_random_pieces(seed: int) -> None:
    source = random.Random(seed)
    for _ in range(30):
        objects = [random_object(source, 3) for _ in range(source.randrange(12))]
        body = json.dumps(objects, ensure_ascii=source.random() < 0.5).encode()
        expected = [each if len(json.dumps(each, ensure_ascii=False)) <= 60 else None for each in objects]
        if body.isascii() and b"\\u" not in body:
            assert values(read(body, [source.randrange(1, 40) for _ in range(9)], 60)) == expected
        assert values(read(body, [source.randrange(1, 40) for _ in range(9)], 10_000)) == objects


@pytest.mark.parametrize("seed", range(20))
def test_random_garbage(seed: int) -> None:
    """It ends, one way or the other, and nothing comes out but objects."""
    source = random.Random(seed)
    whole = json.dumps(TRICKY * 3).encode()
    for _ in range(100):
        body = bytearray(whole)
        for _ in range(source.randrange(1, 5)):
            position = source.randrange(len(body))
            body[position:position + source.randrange(5)] = source.choice(
                [b"", b'"', b"\\", b"{", b"}", b"[", b"]", b",", bytes((source.randrange(256),))])
        try:
            found = read(bytes(body), [source.randrange(1, 50) for _ in range(5)], source.choice([20, 1000]))
        except ProtocolError:
            continue
        assert all(isinstance(each.value, dict) or each.wrong for each in found)


def test_no_more_is_kept_than_the_limit() -> None:
    elements = Elements(1000)
    for _ in elements.feed(b'[{"a": "'):
        raise AssertionError
    for _ in range(1000):
        assert list(elements.feed(b"x" * 1000)) == []
        assert len(elements.text) <= 2001


def random_object(source: random.Random, depth: int) -> Any:
    return {random_text(source): random_value(source, depth) for _ in range(source.randrange(4))}


def random_value(source: random.Random, depth: int) -> Any:
    kind = source.randrange(6 if depth else 4)
    if kind == 4:
        return [random_value(source, depth - 1) for _ in range(source.randrange(4))]
    return random_object(source, depth - 1) if kind == 5 else (None, 17, True, random_text(source))[kind]


def random_text(source: random.Random) -> str:
    return "".join(source.choice('ab{}[]",:\\\u00fc\n') for _ in range(source.randrange(6)))
