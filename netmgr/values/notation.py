"""Elements in nft's notation."""

from __future__ import annotations

from struct import pack, unpack
from typing import Callable, Dict, Iterable, Iterator, List, Tuple

from netmgr.values import addresses, verdicts
from netmgr.values.sets import (
    AND,
    ETHER_ADDR,
    IFACE_INDEX,
    IFNAME,
    INET_PROTO,
    INET_SERVICE,
    IPV4_ADDR,
    IPV6_ADDR,
    MARK,
    VERDICT,
    WIDTHS,
    Form,
    padded,
)


def element_texts(form: Form, elements: Iterable[bytes]) -> List[str]:
    """Elements in nft's notation, sorted by key."""
    return [element_text(form, element) for element in sorted(elements)]


def element_text(form: Form, element: bytes, suffix: str = "") -> str:
    """One element: 192.0.2.1, 192.0.2.0/24, 192.0.2.1-192.0.2.5, "eth0", "ppp*"; "x\\*" is the interface with that very name.

    Of a concatenation "eth0" . 192.0.2.1, of a map "eth0" : jump wan, with the suffix in between.
    """
    key = AND.join(_part_text(*part) for part in split(form, element)) + suffix
    return "%s : %s" % (key, value_text(form.value, element[form.keys:])) if form.value else key


def value_text(kind: str, value: bytes) -> str:
    """A map's value of this type."""
    return verdicts.text(value) if kind == VERDICT else element_text(Form(kind), value)


def split(form: Form, element: bytes) -> Iterator[Tuple[str, bytes, bytes]]:
    """Each part of a key: its type, the first and the last of its range, which are the same where there is none."""
    width, at, parts = form.width, 0, form.parts
    last = width if form.interval else 0
    for kind in parts:
        size = WIDTHS[kind]
        yield kind, element[at:at + size], element[last + at:last + at + size]
        at += padded(size) if len(parts) > 1 else size


def _part_text(kind: str, first: bytes, last: bytes) -> str:
    if kind == IFNAME:
        return _name_text(first, last)
    if kind in (IPV4_ADDR, IPV6_ADDR):
        return _addresses_text(first, last)
    write = _NUMBERS[kind]
    return write(first) if first == last else "%s-%s" % (write(first), write(last))


def _name_text(first: bytes, last: bytes) -> str:
    name = first.rstrip(b"\0").decode("utf-8", "replace")
    if first != last:
        return '"%s*"' % name
    return '"%s\\*"' % name[:-1] if name.endswith("*") else '"%s"' % name


def _addresses_text(first: bytes, last: bytes) -> str:
    if first == last:
        return addresses.text(first)
    size = int.from_bytes(last, "big") - int.from_bytes(first, "big") + 1
    if size & (size - 1) == 0 and int.from_bytes(first, "big") % size == 0:
        return "%s/%d" % (addresses.text(first), len(first) * 8 + 1 - size.bit_length())
    return "%s-%s" % (addresses.text(first), addresses.text(last))


def _host_order(key: bytes) -> int:
    number: int = unpack("=I", key)[0]
    return number


_PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp"}
_NUMBERS: Dict[str, Callable[[bytes], str]] = {
    ETHER_ADDR: lambda key: ":".join("%02x" % byte for byte in key),
    IFACE_INDEX: lambda key: str(_host_order(key)),
    MARK: lambda key: "0x%08x" % _host_order(key),
    INET_SERVICE: lambda key: str(int.from_bytes(key, "big")),
    INET_PROTO: lambda key: _PROTOCOLS.get(key[0], str(key[0])),
}


def key_of(kind: str, text: str) -> bytes:
    """A key of this type, or of a concatenation, as it is written; names with or without quotation marks.  ValueError: it is none."""
    parts, words = kind.split(AND), text.split(AND)
    if len(parts) != len(words):
        raise ValueError(text)
    found = [_READ[part](word) for part, word in zip(parts, map(str.strip, words))]
    if any(len(key) != WIDTHS[part] for part, key in zip(parts, found)):
        raise ValueError(text)
    return b"".join(key.ljust(padded(len(key)), b"\0") for key in found) if len(parts) > 1 else found[0]


def _number(text: str, longest: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10) or int(text) > longest:
        raise ValueError(text)
    return int(text)


def _hardware(text: str) -> bytes:
    pairs = text.split(":")
    if not all(len(pair) == 2 and pair.isascii() and pair.isalnum() for pair in pairs):
        raise ValueError(text)
    return bytes.fromhex("".join(pairs))


def _mark(text: str) -> int:
    digits = text[2:] if text.startswith("0x") else ""
    return int(digits, 16) if digits.isalnum() and len(digits) <= 8 else _number(text, 0xFFFFFFFF)


def _address(text: str) -> bytes:
    if "/" in text:
        raise ValueError(text)
    return addresses.parse(text)[0]


_CODES = {name: code for code, name in _PROTOCOLS.items()}
_READ: Dict[str, Callable[[str], bytes]] = {
    IPV4_ADDR: _address,
    IPV6_ADDR: _address,
    ETHER_ADDR: _hardware,
    IFNAME: lambda text: text.strip('"').encode("utf-8", "surrogateescape").ljust(WIDTHS[IFNAME], b"\0"),
    IFACE_INDEX: lambda text: pack("=I", _number(text, 0xFFFFFFFF)),
    MARK: lambda text: pack("=I", _mark(text)),
    INET_SERVICE: lambda text: _number(text, 0xFFFF).to_bytes(2, "big"),
    INET_PROTO: lambda text: bytes((_CODES.get(text) or _number(text, 0xFF),)),
}
