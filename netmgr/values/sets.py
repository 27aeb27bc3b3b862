"""Sets and transactions as values.

An element is the kernel's own key: 4 or 16 bytes of address, 16 bytes of zero-padded interface name, and so on; the parts of a
concatenation each filled up to a multiple of four.  In an interval set it is first key + last key, both inclusive, in one bytes object.
In a map the value follows: of a verdict its code, in network order, and the name of its chain.  So an element of a map that gets another
value is another element.  A transaction is a sequence of changes; within it, all deletes come before all adds, so that ranges may move,
a full set may exchange members and a key of a map have another value.
"""

from __future__ import annotations

from typing import AbstractSet, Iterable, List, Optional, Sequence, Set, Tuple, Union

from netmgr.values.named_tuple import NamedTuple

NFT_SET_ANONYMOUS = 0x1
NFT_SET_CONSTANT = 0x2
NFT_SET_INTERVAL = 0x4
NFT_SET_MAP = 0x8
NFT_SET_TIMEOUT = 0x10
NFT_SET_EVAL = 0x20
NFT_SET_OBJECT = 0x40
NFT_SET_CONCAT = 0x80
NFT_SET_EXPR = 0x100

IPV4_ADDR, IPV6_ADDR, IFNAME, ETHER_ADDR, IFACE_INDEX = "ipv4_addr", "ipv6_addr", "ifname", "ether_addr", "iface_index"
INET_PROTO, INET_SERVICE, MARK, VERDICT = "inet_proto", "inet_service", "mark", "verdict"
WIDTHS = {IPV4_ADDR: 4, IPV6_ADDR: 16, IFNAME: 16, ETHER_ADDR: 6, IFACE_INDEX: 4, INET_PROTO: 1, INET_SERVICE: 2, MARK: 4}
WIDEST = 64             # the longest key, and the longest value
AND = " . "             # between the parts of a concatenation

COMMENT = "netmgr"

_FILLED_BY_NOBODY = NFT_SET_ANONYMOUS | NFT_SET_CONSTANT | NFT_SET_OBJECT


class SetName(NamedTuple):
    """Where a set is; `family` as nft writes it: inet, ip, ip6, arp, bridge, netdev."""

    family: str
    table: str
    name: str

    def __str__(self) -> str:
        return "%s %s %s" % self


class Form(NamedTuple):
    """How a set wants its elements: the type's name, whether as ranges, whether elements could expire, whether touching ranges as one.

    `value`: the type of a map's values; without one it is no map.
    """

    type: str
    interval: bool = False
    timeout: bool = False
    merge: bool = False
    value: str = ""

    @property
    def width(self) -> int:
        """Bytes in one key."""
        return WIDTHS.get(self.type) or width_of(self.type)

    @property
    def parts(self) -> Tuple[str, ...]:
        """The types of a key's parts; mostly there is one."""
        return tuple(self.type.split(AND))

    @property
    def composed(self) -> bool:
        """Whether what is claimed in such a set is not an element of it, nor a range of single keys: see model/composition.py."""
        return self.value != "" or (self.interval and AND in self.type)

    @property
    def keys(self) -> int:
        """Bytes before an element's value: one key, or the first and the last."""
        return self.width * 2 if self.interval else self.width


def takes_addresses(form: Form, width: int) -> bool:
    """Whether an address with this many bytes can be in it, and none of the other family."""
    widths = {WIDTHS[part] for part in form.parts if part in (IPV4_ADDR, IPV6_ADDR)}
    return widths == {width}


def type_text(form: Form) -> str:
    """The type as nft writes it: ipv4_addr, ifname . ipv4_addr, ifname : verdict."""
    return "%s : %s" % (form.type, form.value) if form.value else form.type


def is_concatenation(kind: str) -> bool:
    """Whether keys of this type have several parts."""
    return AND in kind


def padded(width: int) -> int:
    """What a part takes in a concatenation."""
    return width + 3 & ~3


def width_of(kind: str) -> int:
    """Bytes in one key of a type, or a value; 0 when it is not one of which netmgr makes elements."""
    parts = kind.split(AND)
    if not all(part in WIDTHS for part in parts):
        return 0
    return WIDTHS[kind] if len(parts) == 1 else sum(padded(WIDTHS[part]) for part in parts)


class SetInfo(NamedTuple):
    """A set as the kernel describes it.  `type` is nft's name of the key type or, of a type not known here, its number.

    `identity` is (table handle, set handle): another pair under the same name is another set.  `size` 0 is unlimited; `timeout`
    is the default in milliseconds, 0 none; `elements` is their number where the kernel tells it (6.18), else None.  `merges`: it is an
    auto-merge set, which concerns nobody but nft; `made`: by netmgr; `owned`: its table belongs to another program.  Of a map, `value`
    is the type of its values and `value_length` their length, but for verdicts.  `lacking`: those of the chains asked about which its
    table does not have.
    """

    name: SetName
    type: str
    key_length: int
    flags: int
    size: int
    timeout: int
    identity: Tuple[int, int]
    elements: Optional[int]
    merges: bool = False
    made: bool = False
    owned: bool = False
    value: str = ""
    value_length: int = 0
    lacking: Tuple[str, ...] = ()

    @property
    def type_text(self) -> str:
        """The type as nft writes it, of a map with that of its values."""
        return "%s : %s" % (self.type, self.value) if self.value else self.type

    @property
    def paired(self) -> bool:
        """Whether the kernel has two elements for one: the start and the end of a range."""
        return bool(self.flags & NFT_SET_INTERVAL) and not is_concatenation(self.type)

    @property
    def capacity(self) -> Optional[int]:
        """How many elements it takes; None is any number, or one that cannot be told: before 6.18 a range may count as two."""
        told = self.elements is not None or not self.paired
        return self.size if self.size and told else None

    @property
    def room(self) -> Optional[int]:
        """How many elements a ruleset can certainly load into it: where ranges count as two, nft adds one at the lowest key."""
        return (self.size - 1) // 2 if self.size and self.capacity is None else self.capacity


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
    """add set FAMILY TABLE NAME { type TYPE; }, or a map, perhaps with flags interval."""

    set: SetName
    form: Form


class DeleteSet(NamedTuple):
    """delete set FAMILY TABLE NAME, or a map"""

    set: SetName
    map: bool = False


class ChangeElements(NamedTuple):
    """Elements that leave and elements that come, in one set; `restore` are another's, which come back without netmgr's comment."""

    set: SetName
    form: Form
    delete: Sequence[bytes]
    add: Sequence[bytes]
    restore: Sequence[bytes] = ()


Change = Union[CreateTable, CreateSet, DeleteSet, ChangeElements]


class Difference(NamedTuple):
    """What brings a set from what it holds to what it should hold; `renew` goes and comes again."""

    delete: Set[bytes]
    add: AbstractSet[bytes]
    renew: AbstractSet[bytes] = frozenset()


Moves = Tuple[List[bytes], List[bytes]]     # the elements that go, and those that come, both in order


def names_of(changes: Iterable[Change]) -> Set[SetName]:
    """The sets that a transaction is about."""
    names = set()
    for change in changes:
        if not isinstance(change, CreateTable):
            names.add(change.set)
    return names


def form_of(info: SetInfo) -> Optional[Form]:
    """The form of the elements that a set takes; None when netmgr can fill no set of this kind."""
    width = WIDTHS.get(info.type) or width_of(info.type)
    if not width or info.key_length != width or width > WIDEST or info.owned or info.flags & _FILLED_BY_NOBODY:
        return None
    if info.flags & NFT_SET_MAP and info.value != VERDICT and not info.value_length == width_of(info.value) > 0:
        return None
    interval = bool(info.flags & NFT_SET_INTERVAL)
    merge = interval and info.merges and not is_concatenation(info.type) and not info.flags & NFT_SET_MAP      # nft merges no others
    return Form(info.type, interval, bool(info.flags & NFT_SET_TIMEOUT), merge, info.value if info.flags & NFT_SET_MAP else "")


def difference(wanted: AbstractSet[bytes], held: Contents, exclusive: bool) -> Difference:
    """Compare the whole of a set.  Foreign elements count as present, unless the set is netmgr's alone: then they go.

    What comes is in the order in which it is wanted: mostly that is nearly its order, which makes sorting it ten times faster.
    """
    delete = {element for element in held.ours if element not in wanted}
    renew = {element for element in held.expiring if element in held.ours and element in wanted}
    if exclusive:
        delete.update(element for element in held.foreign if element not in wanted)
        renew.update(element for element in held.foreign if element in wanted)
    if held.ours or held.foreign:
        wanted = dict.fromkeys([element for element in wanted if element not in held.ours and element not in held.foreign]).keys()
    return Difference(delete, wanted, renew)


def difference_at(touched: AbstractSet[bytes], wanted: AbstractSet[bytes], ours: AbstractSet[bytes],
                  foreign: AbstractSet[bytes]) -> Moves:
    """The same for a few elements of a large set that is not exclusive and was right otherwise: nothing has to come again."""
    delete: List[bytes] = []
    add: List[bytes] = []
    for element in touched if len(touched) == 1 else sorted(touched):
        if element not in wanted:
            if element in ours:
                delete.append(element)
        elif element not in ours and element not in foreign:
            add.append(element)
    return delete, add
