"""What stands under `sets` of a zone: what a set holds, what a map maps to, and what is made when it is missing."""

from __future__ import annotations

from typing import Optional, Tuple

from netmgr.config import kinds, scalars
from netmgr.config.choices import CHOICE, own
from netmgr.config.kinds import Fields, Kind
from netmgr.config.schema import SetRule, Table
from netmgr.config.yaml_values import INTEGER, TEXT, Value, alternatives, one_of
from netmgr.values import holds
from netmgr.values.choice import USUAL, Own
from netmgr.values.holds import HOSTS, IMPLIED, OWN_ADDRESS, WORDS
from netmgr.values.sets import AND, MARK, VERDICT, Form, width_of
from netmgr.values.verdicts import GOTO, JUMP, PLAIN, verdict

WORD = kinds.choice(*WORDS)
PART = kinds.choice(*(word for word in WORDS if word not in IMPLIED))
HIGHEST_MARK = 0xFFFFFFFF
VALUES = ("verdict", "mark", "value")


def _holds(value: Value) -> Optional[str]:
    if not value.is_list:
        word: Optional[str] = WORD.read(value)
        return word
    items = value.items(PART.expected)
    words = [PART.read(item) for item in items]
    if len(items) < 2:
        value.wrong("two or more of %s in a list" % PART.expected)
    return AND.join(words) if len(items) > 1 and None not in words else None


def _verdict(text: str) -> holds.Value:
    words = text.split()
    if words[:1] in ([JUMP], [GOTO]) and len(words) == 2:
        return holds.Value(VERDICT, (VERDICT,), verdict(words[0], scalars.identifier(words[1])))
    return holds.Value(VERDICT, (VERDICT,), verdict(one_of(PLAIN, text)))


def _mark(text: str) -> holds.Value:
    try:
        number = int(text, 0)
    except ValueError:
        raise ValueError from None
    if not 0 <= number <= HIGHEST_MARK:
        raise ValueError("a mark has 32 bits")
    return holds.Value(MARK, (MARK,), scalars.host_order(number))


def _own_address(text: str) -> holds.Value:
    one_of((OWN_ADDRESS.word,), text)
    return OWN_ADDRESS


def _type(text: str) -> Form:
    key, colon, value = (" ".join(part.split()) for part in text.partition(":"))
    for kind in (key, value) if colon else (key,):
        if not width_of(kind) and not (kind == VERDICT and kind is value):
            raise ValueError("netmgr fills no sets of the type %s" % (kind or "that is not named"))
    return Form(key, value=value)


SET = {
    "holds": Kind(WORD.expected, _holds,
                  {"anyOf": [WORD.schema, {"type": "array", "items": PART.schema, "minItems": 2}]}),
    "verdict": kinds.text("%s, jump CHAIN or goto CHAIN" % ", ".join(PLAIN), _verdict,
                          {"type": "string", "pattern": "^(%s|(jump|goto) +[^ ]+)$" % "|".join(PLAIN)}),
    "mark": kinds.text("a mark such as 0x10", _mark, {"anyOf": [{"type": "integer", "minimum": 0, "maximum": HIGHEST_MARK},
                                                                        {"type": "string", "pattern": "^[0-9][0-9A-Za-z_]*$"}]},
                       (TEXT, INTEGER)),
    "value": kinds.text(OWN_ADDRESS.word, _own_address, {"enum": [OWN_ADDRESS.word]}),
    "suffix": kinds.some(kinds.one_or_many("a host part such as ::10", scalars.suffix, {"type": "string", "pattern": "^[0-9A-Fa-f.:]+$"}),
                         "then there would be no host"),
    "type": kinds.text("a type as nft writes it, such as ifname . ipv4_addr", _type, {"type": "string"}),
    "flags": kinds.one_or_many("interval", lambda text: one_of(("interval",), text), {"enum": ["interval"]}),
    **CHOICE,
}


def set_rule(name: Optional[Tuple[Optional[Table], str]], key: Value, value: Value) -> Tuple[SetRule, Own]:
    """With what it says of addresses; what its zone says is not known yet."""
    table, bare = name or (None, "")
    if not value.is_mapping:
        held = SET["holds"].read(value) or ""
        if held == HOSTS:
            value.wrong("a mapping, such as {holds: hosts, suffix: '::10'}")
        return SetRule(bare, held, USUAL, table, key.entry, IMPLIED.get(held)), Own()
    fields = Fields(value, "a mapping", SET)
    held = fields.required("holds", "")
    mapped = _mapped(fields, held)
    return SetRule(bare, held, USUAL, table, key.entry, mapped, _created(fields, held, mapped), _suffixes(fields, held)), own(fields)


def _suffixes(fields: Fields, held: str) -> Tuple[bytes, ...]:
    nothing: Tuple[bytes, ...] = ()
    if HOSTS in held.split(AND):
        return tuple(dict.fromkeys(fields.required("suffix", nothing)))
    fields.refuse("suffix", "expected nothing, for it is of hosts")
    return nothing


def _mapped(fields: Fields, held: str) -> Optional[holds.Value]:
    nothing: Optional[holds.Value] = None
    given = [key for key in VALUES if fields.given(key)]
    if held in IMPLIED:
        for key in given:
            fields.refuse(key, "expected nothing, for %s have values of their own" % held)
        return IMPLIED[held]
    for key in given[1:]:
        fields.refuse(key, "expected one of %s, got %s, too" % (alternatives(VALUES), given[0]))
    return fields.read(given[0], nothing) if given else None


def _created(fields: Fields, held: str, mapped: Optional[holds.Value]) -> Optional[Form]:
    nothing: Optional[Form] = None
    form, flags = fields.read("type", nothing), fields.each("flags")
    if form is None:
        if flags and not fields.given("type"):
            fields.refuse("flags", "expected a type beside it, for they are of a set that netmgr makes")
        return None
    form = form._replace(interval="interval" in flags)
    if held and not holds.fits(form, held, mapped):
        right = holds.right_types(held, mapped)
        flags_alone = holds.fits(form._replace(interval=not form.interval), held, mapped)
        needed = "no flags: [interval]" if form.interval else "flags: [interval]"
        fields.refuse("type", "expected %s for %s" % (needed, held) if flags_alone else "expected a type that can hold it: %s" % right)
        return None
    return form
