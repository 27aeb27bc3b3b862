"""What nf_tables answers and announces, as values: generations, tables, sets, elements, notifications.

    struct nfgenmsg { __u8 nfgen_family; __u8 version; __be16 res_id; };

begins every message; integers in its attributes are in network order.  res_id carries the low 16 bits of the generation that the
kernel was in when it wrote the message, and is the only sign of a change in the middle of a dump of elements.

A set with ranges is dumped as single elements, in any order: the start of a range, and an end with the key after its last one.  A
start that no end follows reaches to the next start or the highest key; an end that follows no start (nft writes one at the lowest
key) says nothing.
"""

import struct
from itertools import chain
from typing import Dict, FrozenSet, List, Optional, Set, Tuple

from netmgr._nftcodec import ffi, lib
from netmgr.values.errors import ProtocolError
from netmgr.values.events import RulesetChanged
from netmgr.values.sets import COMMENT, NFT_SET_ANONYMOUS, NFT_SET_EVAL, NFT_SET_INTERVAL, NFT_SET_TIMEOUT, Contents, SetInfo, SetName
from netmgr.wire.netlink import Buffer, Message, attributes, messages
from netmgr.wire.nft import FAMILIES, NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWGEN

NFTA_GEN_ID, NFTA_GEN_PROC_PID, NFTA_GEN_PROC_NAME = 1, 2, 3
NFTA_TABLE_NAME, NFTA_TABLE_HANDLE, NFTA_TABLE_OWNER = 1, 4, 7
NFTA_SET_TABLE, NFTA_SET_NAME, NFTA_SET_FLAGS, NFTA_SET_KEY_TYPE, NFTA_SET_KEY_LEN = 1, 2, 3, 4, 5
NFTA_SET_DESC, NFTA_SET_TIMEOUT, NFTA_SET_USERDATA, NFTA_SET_HANDLE, NFTA_SET_COUNT = 9, 11, 13, 16, 20
NFTA_SET_DESC_SIZE = 1

_NFGENMSG = struct.Struct(">BBH")
_TYPES = {
    7: "ipv4_addr", 8: "ipv6_addr", 9: "ether_addr", 10: "ether_type", 11: "arp_op", 12: "inet_proto", 13: "inet_service", 14:
    "icmp_type", 15: "tcp_flag", 16: "dccp_pkttype", 17: "mh_type", 18: "time", 19: "mark", 20: "iface_index", 21: "iface_type", 22:
    "realm", 23: "classid", 24: "uid", 25: "gid", 26: "ct_state", 27: "ct_dir", 28: "ct_status", 29: "icmpv6_type", 30: "ct_label", 31:
    "pkt_type", 32: "icmp_code", 33: "icmpv6_code", 34: "icmpx_code", 35: "devgroup", 36: "dscp", 37: "ecn", 38: "fib_addrtype", 39:
    "boolean", 40: "ct_event", 41: "ifname", 42: "igmp_type", 43: "date", 44: "hour", 45: "day", 46: "cgroupsv2",
}
_UDATA_SET_MERGE = 2    # NFTNL_UDATA_SET_MERGE_ELEMENTS
_FAMILIES = {number: name for name, number in FAMILIES.items()}
_BITS = 6               # that a type takes in the number of a concatenation
_COMMENT = COMMENT.encode()
_RECORD = ffi.sizeof("struct nftcodec_element")


class Elements:
    """The messages of one dump, collected.

    `generations` are the res_id that they carried, `dumped` is how many elements they held; after contents(), `different` is how many
    there are without those that came twice.
    """

    def __init__(self, info: SetInfo) -> None:
        self.generations: Set[int] = set()
        self.dumped = self.different = 0
        self._info = info
        self._records = bytearray()
        self._scratch = ffi.new("struct nftcodec_element[]", lib.NFTCODEC_ELEMENTS_MAX)

    def feed(self, payload: memoryview) -> None:
        """Take in what one NFT_MSG_NEWSETELEM says."""
        self.generations.add(resource(payload))
        body = ffi.from_buffer("uint8_t[]", payload[_NFGENMSG.size:])
        found = lib.nftcodec_get_elements(body, len(body), self._info.key_length, _COMMENT, self._scratch, len(self._scratch))
        if found < 0:
            raise ProtocolError("nf_tables: elements of %s make no sense" % (self._info.name,))
        self._records += ffi.buffer(self._scratch, found * _RECORD)
        self.dumped += found

    def contents(self) -> Contents:
        """What was fed, once; nothing can be fed after it."""
        records = ffi.from_buffer("struct nftcodec_element[]", self._records, require_writable=True)
        self.different = lib.nftcodec_sort(records, self.dumped)
        start, ours, expires = lib.NFTCODEC_START, lib.NFTCODEC_OURS, lib.NFTCODEC_EXPIRES
        return Contents(
            ours=self._pick(records, start | ours, start | ours),
            expiring=self._pick(records, start | expires, start | expires),
            foreign=self._pick(records, start | ours, start))

    def _pick(self, records: "ffi.CData", mask: int, value: int) -> FrozenSet[bytes]:
        width, ranges = self._info.key_length, bool(self._info.flags & NFT_SET_INTERVAL)
        stride = 2 * width if ranges else width
        packed = bytearray(stride * self.different)
        used = lib.nftcodec_pick(records, self.different, width, ranges, mask, value, ffi.from_buffer(packed), len(packed))
        return frozenset(chain.from_iterable(struct.iter_unpack("%ds" % stride, memoryview(packed)[:used])))


def union(one: Contents, other: Contents) -> Contents:
    """What either holds; what either takes for ours is ours."""
    ours = one.ours | other.ours
    return Contents(ours, one.expiring | other.expiring, (one.foreign | other.foreign) - ours)


def counted(info: SetInfo) -> bool:
    """Whether the kernel has told how many elements a dump will have; elements that expired are not dumped."""
    return info.elements is not None and not info.flags & (NFT_SET_TIMEOUT | NFT_SET_EVAL)


def plausible(info: SetInfo, dumped: int) -> bool:
    """Whether a dump is as long as the kernel says, which counts ranges by two elements."""
    return not counted(info) or info.elements == (dumped // 2 if info.flags & NFT_SET_INTERVAL else dumped)


def resource(payload: memoryview) -> int:
    """The res_id of a message: the low 16 bits of the generation."""
    if len(payload) < _NFGENMSG.size:
        raise ProtocolError("nf_tables: a message of %d bytes" % len(payload))
    number: int = _NFGENMSG.unpack_from(payload)[2]
    return number


def generation(payload: memoryview) -> int:
    """NFT_MSG_NEWGEN: the generation."""
    return _integer(_attributes(payload), NFTA_GEN_ID, 4)


def table_name(payload: memoryview) -> Tuple[str, str]:
    """NFT_MSG_NEWTABLE: family and name."""
    name = _text(_attributes(payload), NFTA_TABLE_NAME)
    return _family(payload), name


def set_name(payload: memoryview) -> Optional[SetName]:
    """NFT_MSG_NEWSET: which set; None for one that a rule has for itself, unless it has a name of its own, as a meter has."""
    found = _attributes(payload)
    if NFTA_SET_FLAGS in found and _integer(found, NFTA_SET_FLAGS, 4) & (NFT_SET_ANONYMOUS | NFT_SET_EVAL) == NFT_SET_ANONYMOUS:
        return None
    return SetName(_family(payload), _text(found, NFTA_SET_TABLE), _text(found, NFTA_SET_NAME))


def table_handle(payload: memoryview) -> int:
    """NFT_MSG_NEWTABLE: the handle, which no later table of the same name has."""
    return _integer(_attributes(payload), NFTA_TABLE_HANDLE, 8)


def owned(payload: memoryview) -> bool:
    """NFT_MSG_NEWTABLE: whether one program alone may change the table."""
    return NFTA_TABLE_OWNER in _attributes(payload)


def type_name(number: int) -> str:
    """What nft calls a type or a concatenation of types; of a rare one the number."""
    rest, last = number >> _BITS, number & (1 << _BITS) - 1
    name = _TYPES.get(last, str(last))
    return "%s . %s" % (type_name(rest), name) if rest else name


def set_info(payload: memoryview, name: SetName, table: int, owned: bool = False) -> SetInfo:
    """NFT_MSG_NEWSET, in the table with this handle, which may be owned."""
    found = _attributes(payload)
    number = _integer(found, NFTA_SET_KEY_TYPE, 4)
    described = attributes(found.get(NFTA_SET_DESC, memoryview(b"")))
    noted = _noted(bytes(found.get(NFTA_SET_USERDATA, b"")))
    return SetInfo(
        name=name,
        type=type_name(number),
        key_length=_integer(found, NFTA_SET_KEY_LEN, 4),
        flags=_integer(found, NFTA_SET_FLAGS, 4) if NFTA_SET_FLAGS in found else 0,
        size=_integer(described, NFTA_SET_DESC_SIZE, 4) if NFTA_SET_DESC_SIZE in described else 0,
        timeout=_integer(found, NFTA_SET_TIMEOUT, 8) if NFTA_SET_TIMEOUT in found else 0,
        identity=(table, _integer(found, NFTA_SET_HANDLE, 8)),
        elements=_integer(found, NFTA_SET_COUNT, 4) if NFTA_SET_COUNT in found else None,
        merges=any(noted.get(_UDATA_SET_MERGE, b"")),
        made=noted.get(lib.NFTCODEC_SET_MAKER) == _COMMENT + b"\0",
        owned=owned)


def listed_set(payload: memoryview) -> Optional[SetInfo]:
    """NFT_MSG_NEWSET of a dump of all sets, whose tables are not known; None for one without a name of its own."""
    name = set_name(payload)
    return None if name is None else set_info(payload, name, 0)


def mentions_comment(payload: memoryview) -> bool:
    """NFT_MSG_NEWSETELEM: whether netmgr's comment is anywhere in it, at a quick look."""
    return bytes((0, len(_COMMENT) + 1)) + _COMMENT + b"\0" in bytes(payload)


def _noted(userdata: bytes) -> Dict[int, bytes]:
    """What nft notes for itself: a string of { u8 type; u8 length; u8 data[length]; }; what does not read as that is none of nft's."""
    found = {}
    while len(userdata) >= 2 and len(userdata) >= 2 + userdata[1]:
        found[userdata[0]] = userdata[2:2 + userdata[1]]
        userdata = userdata[2 + userdata[1]:]
    return found


def ruleset_changes(buffer: Buffer) -> List[RulesetChanged]:
    """The commits that one receive on the group NFNLGRP_NFTABLES announces; everything else in it is passed over."""
    return [_ruleset_changed(message) for message in messages(buffer) if message.type == NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN]


def _ruleset_changed(message: Message) -> RulesetChanged:
    found = _attributes(message.payload)
    process = bytes(found.get(NFTA_GEN_PROC_NAME, b"")).rstrip(b"\0").decode("utf-8", "replace")
    pid = _integer(found, NFTA_GEN_PROC_PID, 4) if NFTA_GEN_PROC_PID in found else 0
    return RulesetChanged(_integer(found, NFTA_GEN_ID, 4), message.portid, pid, process)


def _attributes(payload: memoryview) -> Dict[int, memoryview]:
    resource(payload)
    return attributes(payload[_NFGENMSG.size:])


def _family(payload: memoryview) -> str:
    return _FAMILIES.get(payload[0], str(payload[0]))


def _text(found: Dict[int, memoryview], kind: int) -> str:
    if kind not in found:
        raise ProtocolError("nf_tables: attribute %d is missing" % kind)
    return bytes(found[kind]).rstrip(b"\0").decode("utf-8", "surrogateescape")


def _integer(found: Dict[int, memoryview], kind: int, size: int) -> int:
    value = found.get(kind)
    if value is None or len(value) != size:
        raise ProtocolError("nf_tables: attribute %d is %s" % (kind, "missing" if value is None else "%d bytes long" % len(value)))
    return int.from_bytes(value, "big")
