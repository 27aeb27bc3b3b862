"""Transactions and elements in nft's own notation."""

from typing import Callable, Dict, Iterable, Iterator, List, Sequence, Set

from netmgr._nftcodec import ffi, lib
from netmgr.values import addresses, verdicts
from netmgr.values.sets import (
    AND,
    COMMENT,
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
    Change,
    ChangeElements,
    CreateSet,
    CreateTable,
    DeleteSet,
    Form,
    padded,
)
from netmgr.wire.netlink import BYTEORDER

FOREVER = "3650d"       # 0s is the set's default, and `never` is refused by nft before 1.1; netmgr makes it never when it sees it
NAME_LONGEST = 15       # bytes between quotation marks


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
    kind = "%s : %s" % (form.type, form.value) if form.value else form.type
    return kind + "; flags interval" if form.interval else kind


def _command(verb: str, change: ChangeElements, elements: Sequence[bytes], suffix: str) -> Iterator[str]:
    for each in sorted(elements) if IFNAME in change.form.parts else ():
        if not _has_notation(change.form, each):
            yield "# %s element %s { %s }: nft has no notation for this name" % (verb, change.set, element_text(change.form, each))
    listed = _listed(change.form, elements, suffix)
    if listed:
        yield "%s element %s { %s }" % (verb, change.set, listed)


def element_list(form: Form, elements: Iterable[bytes]) -> str:
    """Elements with netmgr's comment, as nft reads them between braces.  Names for which nft has no notation are left out."""
    return _listed(form, elements, _suffix(form))


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
    if form.interval or form.value or form.type not in (IPV4_ADDR, IPV6_ADDR):
        return ", ".join(element_text(form, each, suffix) for each in sorted(elements))
    return _address_list(sorted(elements), form.width, suffix.encode())


def _address_list(keys: List[bytes], width: int, suffix: bytes) -> str:
    """Plain addresses, of which there may be very many, by csrc/textcodec.c."""
    room = bytearray(len(keys) * (lib.TEXTCODEC_ADDRESS_MAX + len(suffix) + 2))
    used = lib.textcodec_addresses(b"".join(keys), len(keys), width, suffix, ffi.from_buffer("char[]", room), len(room))
    return room[:used].decode()


def element_texts(form: Form, elements: Iterable[bytes]) -> List[str]:
    """Elements in nft's notation, sorted by key."""
    return [element_text(form, element) for element in sorted(elements)]


def element_text(form: Form, element: bytes, suffix: str = "") -> str:
    """One element: 192.0.2.1, 192.0.2.0/24, 192.0.2.1-192.0.2.5, "eth0", "ppp*"; "x\\*" is the interface with that very name.

    Of a concatenation "eth0" . 192.0.2.1, of a map "eth0" : jump wan, with the suffix in between.
    """
    key = AND.join(_part_text(*part) for part in _split(form, element)) + suffix
    return "%s : %s" % (key, value_text(form.value, element[form.keys:])) if form.value else key


def value_text(kind: str, value: bytes) -> str:
    """A map's value of this type."""
    return verdicts.text(value) if kind == VERDICT else element_text(Form(kind), value)


def _split(form: Form, element: bytes) -> Iterator["tuple[str, bytes, bytes]"]:
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
    return int.from_bytes(key, BYTEORDER)


_PROTOCOLS = {6: "tcp", 17: "udp", 132: "sctp"}
_NUMBERS: Dict[str, Callable[[bytes], str]] = {
    ETHER_ADDR: lambda key: ":".join("%02x" % byte for byte in key),
    IFACE_INDEX: lambda key: str(_host_order(key)),
    MARK: lambda key: "0x%08x" % _host_order(key),
    INET_SERVICE: lambda key: str(int.from_bytes(key, "big")),
    INET_PROTO: lambda key: _PROTOCOLS.get(key[0], str(key[0])),
}


def _has_notation(form: Form, element: bytes) -> bool:
    """Whether nft can be told the names in it: it knows no escape for a quotation mark, drops a backslash, and reads UTF-8."""
    return all(_name_has_notation(first) for kind, first, _last in _split(form, element) if kind == IFNAME)


def _name_has_notation(key: bytes) -> bool:
    name = key.rstrip(b"\0")
    starred = name.endswith(b"*")
    return not (b'"' in name or b"\\" in name or len(name) + starred > NAME_LONGEST) and name.decode("utf-8", "replace").encode() == name
