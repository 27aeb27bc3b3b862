"""Sets and transactions as values.

An element is the kernel's own key: 4 or 16 bytes of address, 16 bytes of zero-padded interface name.  In an interval set it is
first key + last key, both inclusive, in one bytes object.  A transaction is a sequence of changes; within it, all deletes come
before all adds, so that ranges may move and a full set may exchange members.
"""

from typing import FrozenSet, NamedTuple, Optional, Sequence, Tuple, Union

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
    is the default in milliseconds, 0 none; `count` is the number of elements where the kernel tells it (6.18), else None.
    """

    name: SetName
    type: str
    key_length: int
    flags: int
    size: int
    timeout: int
    identity: Tuple[int, int]
    count: Optional[int]


class Contents(NamedTuple):
    """What a set holds: elements with netmgr's comment, those of them that will expire, and everybody else's."""

    ours: FrozenSet[bytes]
    expiring: FrozenSet[bytes]
    foreign: FrozenSet[bytes]


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
