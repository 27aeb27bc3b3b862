"""Answers as JSON, and JSON as answers.

Reading takes what it knows: a field that is missing or makes no sense has its default, one that is not known is passed over, for a
newer or an older netmgr may have written it.

Telling goes in pieces that are small and quickly made, whatever there is; the same in one piece is what tests hold them against.
"""

import json
from collections.abc import Collection, Mapping
from itertools import chain
from typing import Any, Callable, Dict, Iterable, Iterator, List, Sequence, Tuple, Type, TypeVar, Union, get_args, get_origin

from netmgr.show.answers import (
    UNKNOWN,
    ConsumedZone,
    Elements,
    Explanation,
    Fact,
    LastRepair,
    PublishedZone,
    SetContents,
    SetStatus,
    Source,
    Status,
)
from netmgr.show.rows import Rows, pieces
from netmgr.values.errors import ProtocolError

Answer = TypeVar("Answer")
Fitter = Callable[[object, object], object]     # value, default

_NUMBER_LONGEST = 1 << 64

SCALARS = frozenset((str, int, float, bool, type(None)))
ROWS, FEW = 16, 2   # that are made for a piece without a look at how long it is; and in each of them


def status_pieces(status: Status) -> Iterator[str]:
    """`status json`, one line with its end, in pieces."""
    return pieces(chain(_parts(status), "\n"))


def sets_pieces(contents: Collection[SetContents]) -> Iterator[str]:
    """`sets json`, one line with its end, in pieces."""
    return pieces(chain(_parts({"schema": 1, "sets": contents}), "\n"))


def explanation_pieces(told: Explanation) -> Iterator[str]:
    """`explain json`, one line with its end, in pieces."""
    return pieces(chain(_parts(told), "\n"))


def status_json(status: Status) -> str:
    """`status json` in one piece, without an end."""
    return line(status)


def sets_json(contents: Collection[SetContents]) -> str:
    """`sets json` in one piece, without an end."""
    return line({"schema": 1, "sets": contents})


def _as_one(contents: SetContents) -> Mapping[str, object]:
    row, elements = contents
    return dict(zip(row._fields + elements._fields, row + elements))


def _parts(value: Any) -> Iterator[str]:
    if isinstance(value, Rows):
        yield from _rows(value)
    elif isinstance(value, SetContents):
        yield from _parts(_as_one(value))
    elif hasattr(value, "_fields") and not isinstance(value, Source):
        yield from _fields(zip(value._fields, value))
    elif isinstance(value, Mapping):
        yield from _fields(value.items())
    elif isinstance(value, (list, tuple)) and value and isinstance(value[0], (tuple, dict)):
        for place, each in enumerate(value):
            yield ", " if place else "["
            yield from _parts(each)
        yield "]"
    else:
        yield line(value)


def _fields(items: Iterable[Tuple[str, object]]) -> Iterator[str]:
    before = "{"
    for name, each in items:
        yield "%s%s: " % (before, json.dumps(name))
        yield from _parts(each)
        before = ", "
    yield "}" if before == ", " else "{}"


def _rows(rows: "Rows[object]") -> Iterator[str]:
    """A few at a time; an empty one where something was done and nothing is to be told yet."""
    before = "["
    some: List[object] = []
    for row in rows.steps():
        if row is None:
            yield ""
        elif _is_long(row):
            yield before + (line(some)[1:-1] + ", " if some else "")
            yield from _parts(row)
            before, some = ", ", []
        else:
            some.append(row)
        if len(some) == ROWS:
            yield before + line(some)[1:-1]
            before, some = ", ", []
    yield (before + line(some)[1:-1] if some else "" if before == ", " else "[") + "]"


def _is_long(row: object) -> bool:
    parts = row.elements if isinstance(row, SetContents) else row
    return isinstance(parts, tuple) and any(isinstance(each, Rows) and len(each) > FEW for each in parts)


def line_of(told: Mapping[str, object]) -> str:
    """An object as one line, with its end."""
    return json.dumps(told) + "\n"


def plain(value: Any) -> Any:
    """An answer as objects, lists and scalars.  The elements of one list are of one kind."""
    if type(value) in SCALARS:
        return value
    if isinstance(value, Rows):
        return plain(tuple(value))
    if isinstance(value, SetContents):
        return plain(_as_one(value))
    if isinstance(value, Source):
        return {"state": value.state, **plain(value.facts)}
    if hasattr(value, "_fields"):
        return {name: plain(each) for name, each in zip(value._fields, value)}
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value] if value and isinstance(value[0], (tuple, dict)) else list(value)
    return value


def read_status(text: str) -> Status:
    """The status that a daemon of any version has told.  ProtocolError if it is no JSON object."""
    return reader(Status)(_object(text))


def read_sets(text: str) -> Sequence[SetContents]:
    """The sets that a daemon of any version has told.  ProtocolError if it is no JSON object."""
    rows, status, elements = _object(text).get("sets"), reader(SetStatus), reader(Elements)
    return [SetContents(status(row), elements(row)) for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def reader(kind: Type[Answer]) -> Callable[[Mapping[str, object]], Answer]:
    """What makes an answer of this kind of an object that should be one."""
    defaults: Dict[str, object] = kind._field_defaults      # type: ignore[attr-defined]
    fields = [(name, _fitter(hint), defaults[name]) for name, hint in kind.__annotations__.items()]
    return lambda value: kind(*(fitting(value.get(name), default) for name, fitting, default in fields))


def _fitter(hint: Any) -> Fitter:
    """What gives a value back if it is what the annotation says, else the default."""
    origin, inner = get_origin(hint), get_args(hint)
    if hint in _SCALARS:
        fits = _SCALARS[hint]
        return lambda value, default: value if fits(value) else default
    if origin is Union:
        return _fitter(inner[0])
    if origin in (tuple, Collection):
        each_of = _fitter(inner[0])
        return lambda value, default: _all_that_fit(each_of, value) if isinstance(value, list) else default
    if hint is Source:
        return lambda value, default: _source(value) if isinstance(value, dict) else default
    if origin is not None:
        of_name = _fitter(inner[1])
        return lambda value, default: _named(of_name, value) if isinstance(value, dict) else default
    read = reader(hint)
    return lambda value, default: read(value) if isinstance(value, dict) else default


def _all_that_fit(fitter: Fitter, values: Sequence[object]) -> "tuple[object, ...]":
    found = (fitter(each, None) for each in values)
    return tuple(each for each in found if each is not None)


def _named(fitter: Fitter, values: Mapping[str, object]) -> Mapping[str, object]:
    found = {name: fitter(each, None) for name, each in values.items()}
    return {name: each for name, each in found.items() if each is not None}


def _source(value: Mapping[str, object]) -> Source:
    """Whatever facts it has."""
    state = value.get("state")
    return Source(state if isinstance(state, str) else UNKNOWN, {name: _fact(each) for name, each in value.items() if name != "state"})


def _fact(value: object) -> Fact:
    """A scalar, or what is known of objects and lists of them; None for anything else."""
    if isinstance(value, dict):
        return reader(LastRepair)(value) if "sets" in value else None
    if isinstance(value, list):
        rows = [each for each in value if isinstance(each, dict)]
        if value and not rows:
            return None
        return tuple(reader(ConsumedZone)(row) if "source" in row else reader(PublishedZone)(row) for row in rows)
    return value if isinstance(value, (bool, str)) or _is_number(value) else None        # type: ignore[return-value]


def _is_number(value: object) -> bool:
    """Of a size that can be shown and reckoned with; no NaN."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -_NUMBER_LONGEST < value < _NUMBER_LONGEST


_SCALARS: Dict[Any, Callable[[object], bool]] = {
    str: lambda value: isinstance(value, str),
    bool: lambda value: isinstance(value, bool),
    int: lambda value: isinstance(value, int) and _is_number(value),
    float: _is_number,
}


def _object(text: str) -> Mapping[str, object]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError("no JSON") from None
    if not isinstance(value, dict):
        raise ProtocolError("no JSON object")
    return value


def line(value: Any) -> str:
    """Any answer, one line."""
    return json.dumps(plain(value))
