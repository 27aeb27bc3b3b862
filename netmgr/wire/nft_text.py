"""Transactions and elements in nft's own notation."""

from __future__ import annotations

from typing import Iterable, Iterator, List, Sequence, Set

from netmgr._nftcodec import ffi, lib
from netmgr.values import addresses, sorting
from netmgr.values.notation import element_text, element_texts, split
from netmgr.values.sets import (
    COMMENT,
    IFNAME,
    IPV4_ADDR,
    IPV6_ADDR,
    WIDTHS,
    Change,
    ChangeElements,
    CreateSet,
    CreateTable,
    DeleteSet,
    Form,
    type_text,
)

FOREVER = "3650d"       # 0s is the set's default, and `never` is refused by nft before 1.1; netmgr makes it never when it sees it
NAME_LONGEST = 15       # bytes between quotation marks

__all__ = ["element_list", "element_list_pieces", "element_text", "element_texts", "ranges_in", "text"]


def text(changes: Sequence[Change]) -> Iterator[str]:
    """The transaction as nft commands, in the order in which they take effect."""
    for change in changes:
        if isinstance(change, CreateTable):
            yield "add table %s %s" % change
        elif isinstance(change, CreateSet):
            yield "add %s %s { type %s; }" % ("map" if change.form.value else "set", change.set, _described(change.form))
        elif isinstance(change, DeleteSet):
            yield "delete %s %s" % ("map" if change.map else "set", change.set)
    elements = [change for change in changes if isinstance(change, ChangeElements)]
    for change in elements:
        yield from _command("delete", change, change.delete, "")
    for change in elements:
        yield from _command("add", change, change.restore, "")
    for change in elements:
        yield from _command("add", change, change.add, _suffix(change.form))


def _described(form: Form) -> str:
    return type_text(form) + "; flags interval" if form.interval else type_text(form)


def _command(verb: str, change: ChangeElements, elements: Sequence[bytes], suffix: str) -> Iterator[str]:
    for each in sorted(elements) if IFNAME in change.form.parts else ():
        if not _has_notation(change.form, each):
            yield "# %s element %s { %s }: nft has no notation for this name" % (verb, change.set, element_text(change.form, each))
    listed = _listed(change.form, elements, suffix)
    if listed:
        yield "%s element %s { %s }" % (verb, change.set, listed)


def element_list(form: Form, elements: Iterable[bytes]) -> str:
    """Elements with netmgr's comment, as nft reads them between braces.  Names for which nft has no notation are left out."""
    return "".join(element_list_pieces(form, elements))


def element_list_pieces(form: Form, elements: Iterable[bytes]) -> Iterator[str]:
    """An element_list() in pieces, of which some say nothing.  What the elements are is taken down in the first step."""
    suffix, before = _suffix(form), ""
    for some in sorting.in_pieces(elements):
        listed = _listed(form, some, suffix)
        yield before + listed if listed else ""
        before = ", " if listed else before


def ranges_in(text: str) -> Set[bytes]:
    """What an element_list() holds, as ranges, whatever its form; words that are no address and no name are passed over."""
    found = set()
    for item in text.split(", "):
        word = item.strip().partition(" ")[0]
        try:
            found.add(_name_range(word) if word.startswith('"') else _address_range(word))
        except ValueError:
            continue
    return found


def _name_range(word: str) -> bytes:
    name = word.strip('"').replace("\\*", "*").encode()
    if not 0 < len(name) <= NAME_LONGEST:
        raise ValueError(word)
    return name.ljust(WIDTHS[IFNAME], b"\0") * 2


def _address_range(word: str) -> bytes:
    first, dash, last = word.partition("-")
    address, length = addresses.parse(first)
    if dash:
        return address + addresses.parse(last)[0]
    begin = addresses.network(address, length)
    size = len(address)
    return begin + (int.from_bytes(begin, "big") | (1 << size * 8 - length) - 1).to_bytes(size, "big")


def _suffix(form: Form) -> str:
    return (" timeout %s" % FOREVER if form.timeout else "") + ' comment "%s"' % COMMENT


def _listed(form: Form, elements: Iterable[bytes], suffix: str) -> str:
    if IFNAME in form.parts:
        elements = [each for each in elements if _has_notation(form, each)]
    if form.value or form.type not in (IPV4_ADDR, IPV6_ADDR):
        return ", ".join(element_text(form, each, suffix) for each in sorted(elements))
    return _address_list(sorted(elements), form.width, form.interval, suffix.encode())


def _address_list(keys: List[bytes], width: int, in_ranges: bool, suffix: bytes) -> str:
    """Addresses or ranges of them, of which there may be very many, by csrc/textcodec.c."""
    longest = lib.TEXTCODEC_IPV4_MAX if width == WIDTHS[IPV4_ADDR] else lib.TEXTCODEC_IPV6_MAX
    write = lib.textcodec_ranges if in_ranges else lib.textcodec_addresses
    room = bytearray(len(keys) * ((2 * longest + 1 if in_ranges else longest) + len(suffix) + 2))
    used = write(b"".join(keys), len(keys), width, suffix, ffi.from_buffer("char[]", room), len(room))
    return room[:used].decode()


def _has_notation(form: Form, element: bytes) -> bool:
    """Whether nft can be told the names in it: it knows no escape for a quotation mark, drops a backslash, and reads UTF-8."""
    return all(_name_has_notation(first) for kind, first, _last in split(form, element) if kind == IFNAME)


def _name_has_notation(key: bytes) -> bool:
    name = key.rstrip(b"\0")
    starred = name.endswith(b"*")
    return not (b'"' in name or b"\\" in name or len(name) + starred > NAME_LONGEST) and name.decode("utf-8", "replace").encode() == name
