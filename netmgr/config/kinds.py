"""What a value of the configuration may be: each Kind says how it is read, and the same as JSON schema.

A Table has the keys of one mapping with their kinds.  What is read, what is said about an unknown key, and the JSON schema all come
from the tables, so they cannot differ.  Everywhere `null` counts as left out, except where it means something (`or_null`).
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, Mapping, Optional, Sequence, Tuple, TypeVar

from netmgr.config.yaml_values import TEXT, Value, alternatives, one_of
from netmgr.values.errors import Entry
from netmgr.values.named_tuple import NamedTuple

Schema = Dict[str, Any]
Result = TypeVar("Result")


class Kind(NamedTuple):
    """`expected` is what it should be in words, read(value) what it is or None, `schema` the same for other programs."""

    expected: str
    read: Callable[[Value], Any]
    schema: Schema


Table = Mapping[str, Kind]

WORD = {"type": "string", "pattern": "^[^ ]+$"}


class Fields:
    """What a mapping says under the keys of its table."""

    def __init__(self, owner: Value, expected: str, table: Table, hint: str = "") -> None:
        self._owner = owner
        self._table = table
        self._found = owner.known_entries(expected, tuple(table), hint)

    @property
    def entry(self) -> Entry:
        """Where the mapping stands."""
        return self._owner.entry

    def where(self, key: str) -> Optional[Entry]:
        """Where this key stands, if it is there."""
        return self._found[key][0].entry if key in self._found else None

    def given(self, key: str) -> bool:
        """Whether there is more than a null."""
        return key in self._found and not self._found[key][1].is_null

    def read(self, key: str, default: Result) -> Result:
        """What stands there, or the default when there is nothing to read."""
        result: Optional[Result] = self._table[key].read(self._found[key][1]) if self.given(key) else None
        return default if result is None else result

    def each(self, key: str) -> Tuple[Any, ...]:
        """All that stands there, of something of which there may be several."""
        nothing: Tuple[Any, ...] = ()
        return self.read(key, nothing)

    def or_null(self, key: str, default: Result) -> Optional[Result]:
        """The same, where null is not "left out" but a value of its own."""
        return None if key in self._found and not self.given(key) else self.read(key, default)

    def required(self, key: str, default: Result) -> Result:
        """What must be there; the default only stands in for something wrong."""
        if key in self._found:
            result: Optional[Result] = self._table[key].read(self._found[key][1])
            return default if result is None else result
        owner = self._owner
        if owner.is_mapping or owner.is_null:
            owner.problems.note(owner.node, "%s.%s" % (owner.path, key), "expected %s, got nothing" % self._table[key].expected)
        return default

    def require_one_of(self, keys: Iterable[str], what: str) -> None:
        """Note that none of these is there, if so."""
        owner = self._owner
        if not any(self.given(key) for key in keys) and (owner.is_mapping or owner.is_null):
            owner.problems.note(owner.node, owner.path, "expected %s (%s), got none" % (what, alternatives(tuple(keys))))

    def refuse(self, key: str, complaint: str) -> None:
        """Note that this key must not be there, if it is; nothing is read of it."""
        if key in self._found:
            found, _value = self._found.pop(key)
            found.problems.note(found.node, found.path, complaint)


def text(expected: str, convert: Callable[[str], Any], schema: Optional[Schema] = None, tags: Sequence[str] = (TEXT,)) -> Kind:
    """A scalar that converts."""
    return Kind(expected, lambda value: value.scalar(expected, convert, tags), schema or WORD)


def choice(*options: str) -> Kind:
    """One of these words."""
    return text(alternatives(options), lambda word: one_of(options, word), {"enum": list(options)})


def number(expected: str, lowest: float, highest: float, or_zero: bool = False) -> Kind:
    """A plain decimal number in this range."""
    schema: Schema = {"type": "number", "minimum": lowest, "maximum": highest}
    if or_zero:
        schema = {"anyOf": [{"const": 0}, schema]}
    return Kind(expected, lambda value: 0.0 if or_zero and value.is_zero else value.number(expected, lowest, highest), schema)


def whole_number(expected: str, lowest: int, highest: int) -> Kind:
    """A plain decimal number in this range, without a fraction."""
    return Kind(expected, lambda value: value.whole_number(expected, lowest, highest),
                {"type": "integer", "minimum": lowest, "maximum": highest})


FLAG = Kind("true or false", Value.flag, {"type": "boolean"})


def one_or_many(expected: str, convert: Callable[[str], Any], schema: Optional[Schema] = None) -> Kind:
    """A scalar, or a list of such scalars."""
    item = schema or WORD
    return Kind(expected, lambda value: value.one_or_many(expected, convert), {"anyOf": [item, {"type": "array", "items": item}]})


def some(kind: Kind, otherwise: str) -> Kind:
    """The same as one_or_many(), but no empty list."""
    def read(value: Value) -> Any:
        if value.is_list and not value.items(kind.expected):
            value.wrong(kind.expected, otherwise)
        return kind.read(value)
    item, items = kind.schema["anyOf"]
    return Kind(kind.expected, read, {"anyOf": [item, {**items, "minItems": 1}]})


def list_of(expected: str, kind: Kind) -> Kind:
    """A list of such values."""
    return Kind(expected, lambda value: tuple(kind.read(item) for item in value.items(expected)),
                {"type": "array", "items": kind.schema})


def one_or_list(one: Kind, each: Kind) -> Kind:
    """One value, or a list of several; in any case a tuple."""
    def read(value: Value) -> Tuple[Any, ...]:
        return tuple(map(each.read, value.items(each.expected))) if value.is_list else (one.read(value),)
    return Kind(one.expected, read, {"anyOf": [one.schema, {"type": "array", "items": each.schema}]})


def mapping(expected: str, name: str, convert: Callable[[str], Any], make: Callable[[Any, Value, Value], Any], names: Schema,
            values: Schema) -> Kind:
    """Names that the user chooses, each with a value: a tuple of what make(converted name, key, value) makes of them."""
    def read(value: Value) -> Tuple[Any, ...]:
        found = [(key.scalar(name, convert), key, item) for key, item in value.entries(expected)]
        return tuple(make(converted, key, item) for converted, key, item in found)
    return Kind(expected, read, {"type": "object", "propertyNames": names, "additionalProperties": values})


def section(expected: str, table: Table, make: Callable[[Fields], Any], required: Sequence[str] = (), hint: str = "",
            one_of: Iterable[str] = ()) -> Kind:
    """A mapping with the keys of a table."""
    schema = of_table(table, required)
    if one_of:
        schema = {**schema, "anyOf": [{"required": [key], "properties": {key: table[key].schema}} for key in one_of]}
    return Kind(expected, lambda value: make(Fields(value, expected, table, hint)), schema)


def of_table(table: Table, required: Sequence[str] = ()) -> Schema:
    """The JSON schema of a mapping; where a key may be left out, null says the same."""
    properties = {key: _property(kind, key in required) for key, kind in table.items()}
    schema: Schema = {"type": "object", "additionalProperties": False, "properties": properties}
    return {**schema, "required": list(required)} if required else schema


def _property(kind: Kind, required: bool) -> Schema:
    schema = kind.schema if required else {"anyOf": [kind.schema, {"type": "null"}]}
    return {"description": kind.expected, **schema}
