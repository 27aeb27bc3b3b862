"""The JSON schema of the configuration says what the reader says, as far as a schema can."""

import json
import re
from pathlib import Path
from typing import Any, Callable, Dict, Mapping, Set

import yaml

from netmgr.config import json_schema
from tests.test_config import ACCEPTED, FULL, REJECTED

FILE = Path(__file__).resolve().parents[1] / "pkg-files/schema/netmgr.schema.json"

# Mistakes that only the reader sees: their beginnings.
BEYOND_A_SCHEMA = {
    "interfaces:\n- name: sixteen-letters-", "interfaces:\n- name: ..", "interfaces:\n- name: 'wg[0-9'", 'interfaces:\n- name: "a\\0"',
    "interfaces:\n- name: a\n  address: [192.0.2.1/24, 192.0.2.1/33]", "interfaces:\n- {name: a, address: 192.168.1.0/24}",
    "interfaces:\n- name: a\n  name: b", "zones:\n  w: {}\n  w: {}", "<<: {log_level: debug}\n<<: {log_level: error}",
    "nftables:\n  audit_interval: 0300", "nftables:\n  audit_interval: 5:00", "nftables:\n  audit_interval: .nan",
    "socket_mode: 01777", "socket_mode: 0x1b0", "docker:\n  label_zones: a-b/[", "docker:\n- name: a\n- name: b\n- name: a",
    "zones:\n  w: {only: [192.0.2.1/24]}", "zones:\n  w: {sets: {a: {holds: published_ports, mark: 5}}}",
    "zones:\n  w: {sets: {a: {holds: published_ports, type: inet_service}}}",
    "zones:\n  w: {sets: {a: hosts}}", "zones:\n  w: {sets: {a: {holds: hosts}}}",
    "zones:\n  w: {sets: {a: {holds: hosts, suffix: '::'}}}", "zones:\n  w: {sets: {a: {holds: peers, suffix: '::10'}}}",
    "zones:\n  w: {sets: {a: {holds: indexes, type: iface_index, flags: interval}}}",
    "zones:\n  w: {exclude: [192.0.2.0/33]}", "interfaces:\n- group: 010", "interfaces:\n- master: sixteen-letters-",
}


def test_the_file_is_what_the_tables_say() -> None:
    assert FILE.read_text() == json_schema.text(), "make schema"


# Each keyword that the schema may use: (schema that has it, its value, the value to check) -> whether it is so.
KEYWORDS: Dict[str, Callable[[Mapping[str, Any], Any, Any], bool]] = {
    "$schema": lambda _schema, draft, _value: draft == json_schema.DRAFT,
    "title": lambda _schema, title, _value: isinstance(title, str),
    "description": lambda _schema, description, _value: isinstance(description, str),
    "type": lambda _schema, name, value: _is(name, value),
    "enum": lambda _schema, options, value: any(type(value) is type(each) and value == each for each in options),
    "const": lambda _schema, wanted, value: value == wanted,
    "anyOf": lambda _schema, schemas, value: any(valid(each, value) for each in schemas),
    "pattern": lambda _schema, pattern, value: not isinstance(value, str) or re.search(pattern, value) is not None,
    "minLength": lambda _schema, least, value: not isinstance(value, str) or len(value) >= least,
    "maxLength": lambda _schema, most, value: not isinstance(value, str) or len(value) <= most,
    "minimum": lambda _schema, least, value: not _is("number", value) or not value < least,
    "maximum": lambda _schema, most, value: not _is("number", value) or not value > most,
    "items": lambda _schema, item, value: not isinstance(value, list) or all(valid(item, each) for each in value),
    "minItems": lambda _schema, least, value: not isinstance(value, list) or len(value) >= least,
    "required": lambda _schema, keys, value: not isinstance(value, dict) or set(keys) <= set(value),
    "properties": lambda _schema, properties, value: not isinstance(value, dict) or all(
        valid(each, value[key]) for key, each in properties.items() if key in value),
    "propertyNames": lambda _schema, name, value: not isinstance(value, dict) or all(
        isinstance(key, str) and valid(name, key) for key in value),
    "additionalProperties": lambda schema, other, value: not isinstance(value, dict) or all(
        other is not False and valid(other, each) for key, each in value.items() if key not in schema.get("properties", {})),
}


def _is(name: str, value: Any) -> bool:
    kinds: Dict[str, Any] = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float),
                             "null": type(None)}
    return isinstance(value, kinds[name]) and (name == "boolean" or not isinstance(value, bool))


def valid(schema: Mapping[str, Any], value: Any) -> bool:
    return all(KEYWORDS[keyword](schema, argument, value) for keyword, argument in schema.items())


def _refused(schema: Mapping[str, Any], text: str) -> bool:
    """Also what another YAML reader does not take in the first place."""
    try:
        return not valid(schema, yaml.safe_load(text))
    except (yaml.YAMLError, KeyError):
        return True


def test_it_takes_what_the_reader_takes_and_refuses_what_it_refuses() -> None:
    schema = json.loads(FILE.read_text())
    assert [text for text in [FULL, "{}", *(text for text, _key, _value in ACCEPTED)] if _refused(schema, text)] == []
    taken: Set[str] = {text for text, _error in REJECTED if not _refused(schema, text)}
    assert taken == BEYOND_A_SCHEMA
