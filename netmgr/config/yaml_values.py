"""YAML as values that know their line and key path, and that collect what is wrong with them.

A reader asks a Value for what it should be: text that converts, a flag, a number, a list, a mapping with known keys.  What is not so is
noted and reads as None or empty, so that one pass finds every mistake; Problems.found() has them all.

PyYAML parses (YAML 1.1: a plain `no` is a boolean, `0660` an octal number), but its nodes are read here and not its objects, for
only nodes have lines and duplicate keys.  Aliases and merge keys (`<<`) work.  Limits: DEEPEST levels, because PyYAML composes nodes
recursively, with libyaml even on the C stack; MOST_VALUES after aliases are followed, because a few lines of aliases can
stand for millions of values, or for themselves.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Dict, Iterator, List, NoReturn, Optional, Sequence, Tuple, TypeVar

from netmgr.config import slips
from netmgr.values.errors import ConfigError, Entry, Remark
from netmgr.values.text import nearest, printable

Node = Any      # one of yaml.nodes: its id, tag, value and start_mark

LONE_BYTES = 0xDC00         # what Python adds to a byte that is no UTF-8 (surrogateescape)
DEEPEST = 50
MOST_VALUES = 500_000
LONGEST_SHOWN = 60

TAG = "tag:yaml.org,2002:"
TEXT, INTEGER, FLOAT, BOOLEAN, NULL, MERGE = (TAG + name for name in ("str", "int", "float", "bool", "null", "merge"))
MEANT = {"zone": "nftables_zone", "zones": "nftables_zone", "interface": "name", "device": "name"}      # of keys that nothing is near
FLAGS = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}

_FORBIDDEN = "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"      # slow to compile, so only where in doubt
_NUMBER = r"(0|[1-9][0-9]*)(\.[0-9]*)?([eE][-+]?[0-9]{1,3})?|\.[0-9]+"

Result = TypeVar("Result")


class Problems:
    """The mistakes found so far in one file."""

    def __init__(self, filename: str) -> None:
        self.filename = filename
        self._found: List[Tuple[int, int, Remark]] = []
        self._values = 0

    def note(self, node: Node, path: str, complaint: str) -> None:
        """Remember that the value at this path is wrong."""
        mark = node.start_mark
        self._found.append((mark.line, mark.column, Remark(Entry(self.filename, mark.line + 1, path), complaint)))

    def add(self, entry: Entry, complaint: str) -> None:
        """Remember that what stands at this place is wrong."""
        self._found.append((entry.line - 1, 0, Remark(entry, complaint)))

    def count_value(self, node: Node) -> None:
        """ConfigError, at once, when aliases have multiplied beyond all measure."""
        self._values += 1
        if self._values > MOST_VALUES:
            self.fail(node.start_mark.line, "expected at most %d values, got more (by aliases of aliases?)" % MOST_VALUES)

    def fail(self, line: int, complaint: str) -> NoReturn:
        """Nothing more can be said about this file than this one thing.  `line` counts from 0."""
        raise ConfigError([Remark(Entry(self.filename, line + 1), complaint)])

    def found(self) -> List[Remark]:
        """All that was noted, each once, in the order of the file."""
        return list(dict.fromkeys(remark for _line, _column, remark in sorted(self._found)))


class Value:
    """A node and its key path."""

    __slots__ = ("node", "path", "problems")

    def __init__(self, node: Node, path: str, problems: Problems) -> None:
        problems.count_value(node)
        self.node, self.path, self.problems = node, path, problems

    @property
    def entry(self) -> Entry:
        """Where it stands."""
        return Entry(self.problems.filename, self.node.start_mark.line + 1, self.path)

    @property
    def is_null(self) -> bool:
        """`key:` with nothing behind it, or ~, or null."""
        return bool(self.node.tag == NULL)

    @property
    def is_list(self) -> bool:
        """Whether it has items."""
        return bool(self.node.id == "sequence")

    @property
    def is_mapping(self) -> bool:
        """Whether it has keys."""
        return bool(self.node.id == "mapping")

    @property
    def is_zero(self) -> bool:
        """Whether it is the number 0."""
        return bool(self.node.tag in (INTEGER, FLOAT) and re.fullmatch(r"0(\.0*)?|\.0+", self.node.value))

    def wrong(self, expected: str, reason: str = "") -> None:
        """Note that this value is not what it should be."""
        complaint = "expected %s, got %s" % (expected, _shown(self.node))
        self.problems.note(self.node, self.path, complaint + (reason and " (%s)" % reason))

    def scalar(self, expected: str, convert: Callable[[str], Result], tags: Sequence[str] = (TEXT,)) -> Optional[Result]:
        """convert(text) of a scalar that YAML takes for one of these types; ValueError's text becomes the reason."""
        reason = ""
        if self.node.id == "scalar" and self.node.tag in tags:
            try:
                return convert(self.node.value)
            except ValueError as error:
                reason = _printable(str(error))
        self.wrong(expected, reason)
        return None

    def flag(self) -> Optional[bool]:
        """true or false, in any of YAML's spellings."""
        return self.scalar("true or false", flag, (BOOLEAN,))

    def number(self, expected: str, lowest: float, highest: float) -> Optional[float]:
        """A plain decimal number in this range."""
        return self.scalar(expected, lambda text: _number(text, lowest, highest), (INTEGER, FLOAT))

    def whole_number(self, expected: str, lowest: int, highest: int) -> Optional[int]:
        """A plain decimal number in this range, without a fraction."""
        return self.scalar(expected, lambda text: _whole_number(text, lowest, highest), (INTEGER,))

    def choice(self, *options: str) -> Optional[str]:
        """One of these words."""
        return self.scalar(alternatives(options), lambda text: one_of(options, text))

    def items(self, expected: str) -> List[Value]:
        """The values of a list; none when it is null."""
        if self.is_list:
            return [Value(node, "%s[%d]" % (self.path, index), self.problems) for index, node in enumerate(self.node.value)]
        if not self.is_null:
            self.wrong(expected)
        return []

    def one_or_many(self, expected: str, convert: Callable[[str], Result]) -> Tuple[Result, ...]:
        """A scalar, or a list of such scalars."""
        if self.is_list:
            found = [item.scalar(expected, convert) for item in self.items(expected)]
        else:
            found = [self.scalar(expected + " or a list of them", convert)]
        return tuple(each for each in found if each is not None)

    def entries(self, expected: str, hint: str = "") -> List[Tuple[Value, Value]]:
        """(key, value) of a mapping, the key's path being the value's; none when it is null.  Keys are scalars, each once."""
        if not self.is_mapping:
            if not self.is_null:
                self.wrong(expected, hint)
            return []
        found: Dict[str, Tuple[Value, Value]] = {}
        for key, value, merged in self._pairs():
            if key.id != "scalar":
                self.problems.note(key, self.path, "expected a word as a key, got %s" % _shown(key))
            elif key.value not in found:
                path = "%s.%s" % (self.path, _printable(key.value)) if self.path else _printable(key.value)
                found[key.value] = Value(key, path, self.problems), Value(value, path, self.problems)
            elif not merged:
                first = found[key.value][0].node.start_mark.line + 1
                self.problems.note(key, found[key.value][0].path, "expected the key once, got it again (it is in line %d, too)" % first)
        return list(found.values())

    def known_entries(self, expected: str, known: Sequence[str], hint: str = "") -> Dict[str, Tuple[Value, Value]]:
        """Those of a mapping in which only these keys are known."""
        found: Dict[str, Tuple[Value, Value]] = {}
        for key, value in self.entries(expected, hint):
            if key.node.value in known:
                found[key.node.value] = key, value
            else:
                self.problems.note(key.node, key.path, _unknown_key(key.node.value, known))
        return found

    def _pairs(self) -> Iterator[Tuple[Node, Node, bool]]:
        pending, seen = [(self.node, False)], {id(self.node)}
        for mapping, merged in pending:
            first: Optional[Node] = None
            for key, value in mapping.value:
                if key.tag != MERGE:
                    yield key, value, merged
                    continue
                if first is not None:
                    line = first.start_mark.line + 1
                    self.problems.note(key, self.path, "expected << once, got it again (it is in line %d, too)" % line)
                first = key
                for each in value.value if value.id == "sequence" else [value]:
                    source = Value(each, self.path, self.problems)
                    if not source.is_mapping:
                        source.wrong("a mapping to merge")
                    elif id(each) not in seen:
                        seen.add(id(each))
                        pending.append((each, True))


def compose(text: str, filename: str) -> Value:
    """The top of the tree; null for a text without any value.  ConfigError when it is no YAML."""
    import yaml

    problems = Problems(filename)
    forbidden = None if text.replace("\n", "").isprintable() else re.search(_FORBIDDEN, text)
    if forbidden is not None:
        code = ord(forbidden.group())
        what = ("the byte 0x%02X is no UTF-8; save the file in that encoding" % (code - LONE_BYTES) if code >> 8 == LONE_BYTES >> 8
                else "the character U+%04X is not allowed" % code)
        problems.fail(text.count("\n", 0, forbidden.start()), "not YAML: " + what)
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        _check_depth(yaml.parse(text, Loader=loader), problems)
        return Value(yaml.compose(text, Loader=loader) or yaml.compose("null", Loader=loader), "", problems)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        slip = slips.sentence(text, error) if mark else None
        said = [part for part in (getattr(error, "context", None), getattr(error, "problem", None)) if part]
        problems.fail(mark.line if mark else 0, "not YAML: " + (slip or _printable(", ".join(said) or str(error))))


def _check_depth(events: Iterator[Any], problems: Problems) -> None:
    from yaml.events import CollectionEndEvent, CollectionStartEvent

    depth = 0
    for event in events:
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > DEEPEST:
            problems.fail(event.start_mark.line, "expected at most %d levels, got more" % DEEPEST)


def alternatives(options: Sequence[str]) -> str:
    """a, b or c"""
    return "%s or %s" % (", ".join(options[:-1]), options[-1])


def one_of(options: Sequence[str], text: str) -> str:
    """The text, if it is one of these."""
    if text not in options:
        raise ValueError
    return text


def flag(text: str) -> bool:
    """What YAML's words for true and false mean."""
    if text.lower() not in FLAGS:
        raise ValueError
    return FLAGS[text.lower()]


def _whole_number(text: str, lowest: int, highest: int) -> int:
    if not re.fullmatch(r"0|[1-9][0-9]{0,17}", text) or not lowest <= int(text) <= highest:
        raise ValueError
    return int(text)


def _number(text: str, lowest: float, highest: float) -> float:
    if re.fullmatch(_NUMBER, text) is None or not lowest <= float(text) <= highest:
        raise ValueError
    return float(text)


def _unknown_key(word: str, known: Sequence[str]) -> str:
    meant = MEANT.get(word)
    if meant not in known:
        meant = nearest(word[:LONGEST_SHOWN], known)
    advice = 'did you mean "%s"?' % meant if meant else "known here: " + ", ".join(known)
    return 'unknown key "%s"; %s' % (_printable(word), advice)


def _shown(node: Node) -> str:
    if node.id != "scalar":
        return "a list" if node.id == "sequence" else "a mapping"
    if node.tag == NULL:
        return "nothing"
    text = _printable(node.value)
    if node.tag.startswith("!") and node.tag != "!":
        return "the tag %s (%s)" % (_printable(node.tag), slips.needs_quotes((node.tag + " " + node.value).rstrip()))
    if node.tag == BOOLEAN:
        return "the boolean " + text
    return text if node.tag.startswith(TAG) and node.tag != TEXT else '"%s"' % text


def _printable(text: str) -> str:
    return printable(text if len(text) <= LONGEST_SHOWN * 4 else text[: LONGEST_SHOWN * 4] + "…")
