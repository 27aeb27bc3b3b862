"""Sets and transactions as values.

An element is the kernel's own key: 4 or 16 bytes of address, 16 bytes of zero-padded interface name.  In an interval set it is
first key + last key, both inclusive, in one bytes object.  A transaction is a sequence of changes; within it, all deletes come
before all adds, so that ranges may move and a full set may exchange members.
"""

from typing import AbstractSet, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

from netmgr._nftcodec import ffi, lib
from netmgr.values import addresses

NFT_SET_ANONYMOUS = 0x1
NFT_SET_CONSTANT = 0x2
NFT_SET_INTERVAL = 0x4
NFT_SET_MAP = 0x8
NFT_SET_TIMEOUT = 0x10
NFT_SET_EVAL = 0x20
NFT_SET_OBJECT = 0x40
NFT_SET_CONCAT = 0x80
NFT_SET_EXPR = 0x100

IPV4_ADDR, IPV6_ADDR, IFNAME = "ipv4_addr", "ipv6_addr", "ifname"
WIDTHS = {IPV4_ADDR: 4, IPV6_ADDR: 16, IFNAME: 16}

COMMENT = "netmgr"


class SetName(NamedTuple):
    """Where a set is; `family` as nft writes it: inet, ip, ip6, arp, bridge, netdev."""

    family: str
    table: str
    name: str

    def __str__(self) -> str:
        return "%s %s %s" % self


class Form(NamedTuple):
    """How a set wants its elements: the type's name, whether as ranges, and whether elements could expire."""

    type: str
    interval: bool = False
    timeout: bool = False

    @property
    def width(self) -> int:
        """Bytes in one key."""
        return WIDTHS[self.type]


class SetInfo(NamedTuple):
    """A set as the kernel describes it.  `type` is nft's name of the key type or, of a type not known here, its number.

    `identity` is (table handle, set handle): another pair under the same name is another set.  `size` 0 is unlimited; `timeout`
    is the default in milliseconds, 0 none; `elements` is their number where the kernel tells it (6.18), else None.
    """

    name: SetName
    type: str
    key_length: int
    flags: int
    size: int
    timeout: int
    identity: Tuple[int, int]
    elements: Optional[int]


class Contents(NamedTuple):
    """What a set holds: elements with netmgr's comment, everybody else's, and those of both that will expire."""

    ours: AbstractSet[bytes]
    expiring: AbstractSet[bytes]
    foreign: AbstractSet[bytes]


class CreateTable(NamedTuple):
    """add table FAMILY TABLE"""

    family: str
    table: str


class CreateSet(NamedTuple):
    """add set FAMILY TABLE NAME { type TYPE; }"""

    set: SetName
    type: str


class ChangeElements(NamedTuple):
    """Elements that leave and elements that come, in one set."""

    set: SetName
    form: Form
    delete: Sequence[bytes]
    add: Sequence[bytes]


Change = Union[CreateTable, CreateSet, ChangeElements]


class Difference(NamedTuple):
    """What brings a set from what it holds to what it should hold; `renew` goes and comes again."""

    delete: Set[bytes]
    renew: Set[bytes]
    add: List[bytes]


def names_of(changes: Iterable[Change]) -> Set[SetName]:
    """The sets that a transaction is about."""
    return {change.set for change in changes if not isinstance(change, CreateTable)}


def form_of(info: SetInfo) -> Optional[Form]:
    """The form of the elements that a set takes; None when netmgr can fill no set of this kind."""
    if info.type not in WIDTHS or info.key_length != WIDTHS[info.type] or info.flags & (NFT_SET_MAP | NFT_SET_OBJECT | NFT_SET_CONCAT):
        return None
    return Form(info.type, bool(info.flags & NFT_SET_INTERVAL), bool(info.flags & NFT_SET_TIMEOUT))


def misfit(info: SetInfo, holds: str) -> Optional[str]:
    """Why a set cannot hold addresses, networks or interfaces, in words for the user; None when it can."""
    right = IFNAME if holds == "interfaces" else "%s or %s" % (IPV4_ADDR, IPV6_ADDR)
    if info.flags & (NFT_SET_MAP | NFT_SET_OBJECT):
        return "it is a map; expected a set of %s" % right
    if form_of(info) is None:
        return "its type is not one that netmgr fills; expected %s" % right
    if (info.type == IFNAME) != (holds == "interfaces"):
        return "its type is %s; %s need %s" % (info.type, holds, right)
    if holds == "networks" and not info.flags & NFT_SET_INTERVAL:
        return "it has no ranges; networks need a set with flags interval"
    return None


def difference(wanted: AbstractSet[bytes], held: Contents, exclusive: bool) -> Difference:
    """Compare the whole of a set.  Foreign elements count as present, unless the set is netmgr's alone: then they go."""
    delete = {element for element in held.ours if element not in wanted}
    renew = {element for element in held.expiring if element in held.ours and element in wanted}
    if exclusive:
        delete.update(element for element in held.foreign if element not in wanted)
        renew.update(element for element in held.foreign if element in wanted)
    return Difference(delete, renew, [element for element in wanted if element not in held.ours and element not in held.foreign])


def difference_at(touched: AbstractSet[bytes], wanted: AbstractSet[bytes], ours: AbstractSet[bytes],
                  foreign: AbstractSet[bytes]) -> Difference:
    """The same for a few elements of a large set that is not exclusive and was right otherwise."""
    found = Difference(set(), set(), [])
    for element in touched:
        if element not in wanted:
            if element in ours:
                found.delete.add(element)
        elif element not in ours and element not in foreign:
            found.add.append(element)
    return found


def text(changes: Sequence[Change]) -> Iterator[str]:
    """The transaction as nft commands, in the order in which they take effect."""
    for change in changes:
        if isinstance(change, CreateTable):
            yield "add table %s %s" % change
        elif isinstance(change, CreateSet):
            yield "add set %s { type %s; }" % (change.set, change.type)
    elements = [change for change in changes if isinstance(change, ChangeElements)]
    for change in elements:
        yield from _command("delete", change, change.delete)
    for change in elements:
        yield from _command("add", change, change.add)


def _command(verb: str, change: ChangeElements, elements: Sequence[bytes]) -> Iterator[str]:
    for each in () if change.form.type != IFNAME else sorted(elements):
        if not _has_notation(change.form, each):
            yield "# %s element %s { %s }: nft has no notation for this name" % (verb, change.set, element_text(change.form, each))
    listed = element_list(change.form, elements, with_comment=verb == "add")
    if listed:
        yield "%s element %s { %s }" % (verb, change.set, listed)


def element_list(form: Form, elements: Iterable[bytes], with_comment: bool = True) -> str:
    """Elements with netmgr's comment, as nft reads them between braces.  Names for which nft has no notation are left out."""
    suffix = (" timeout 0s" if form.timeout else "") + ' comment "%s"' % COMMENT if with_comment else ""
    if form.type == IFNAME:
        elements = [each for each in elements if _has_notation(form, each)]
    if form.interval or form.type == IFNAME:
        return ", ".join(each + suffix for each in element_texts(form, elements))
    return _address_list(sorted(elements), form.width, suffix.encode())


def _address_list(keys: List[bytes], width: int, suffix: bytes) -> str:
    """Plain addresses, of which there may be very many, by csrc/textcodec.c."""
    room = bytearray(len(keys) * (lib.TEXTCODEC_ADDRESS_MAX + len(suffix) + 2))
    used = lib.textcodec_addresses(b"".join(keys), len(keys), width, suffix, ffi.from_buffer("char[]", room), len(room))
    return room[:used].decode()


def element_texts(form: Form, elements: Iterable[bytes]) -> List[str]:
    """Elements in nft's notation, sorted by key."""
    return [element_text(form, element) for element in sorted(elements)]


def element_text(form: Form, element: bytes) -> str:
    """One element: 192.0.2.1, 192.0.2.0/24, 192.0.2.1-192.0.2.5, "eth0", "ppp*"; "x\\*" is the interface with that very name."""
    first, last = element[:form.width], element[form.width:]
    if form.type == IFNAME:
        name = first.rstrip(b"\0").decode("utf-8", "replace")
        if last and first != last:
            return '"%s*"' % name
        return '"%s\\*"' % name[:-1] if name.endswith("*") else '"%s"' % name
    if not last or first == last:
        return addresses.text(first)
    size = int.from_bytes(last, "big") - int.from_bytes(first, "big") + 1
    if size & (size - 1) == 0 and int.from_bytes(first, "big") % size == 0:
        return "%s/%d" % (addresses.text(first), form.width * 8 + 1 - size.bit_length())
    return "%s-%s" % (addresses.text(first), addresses.text(last))


def _has_notation(form: Form, element: bytes) -> bool:
    """Whether nft can be told this name: it knows no escape for a quotation mark, and reads UTF-8."""
    name = element[:form.width]
    return b'"' not in name and name.decode("utf-8", "replace").encode() == name
