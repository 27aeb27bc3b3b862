"""What nf_tables answers and announces, as values: generations, tables, sets, elements, notifications.

    struct nfgenmsg { __u8 nfgen_family; __u8 version; __be16 res_id; };

begins every message; integers in its attributes are in network order.  res_id carries the low 16 bits of the generation that the
kernel was in when it wrote the message, and is the only sign of a change in the middle of a dump of elements.

A set with ranges is dumped as single elements, in any order: the start of a range, and an end with the key after its last one.  A
start that no end follows reaches to the next start or the highest key; an end that follows no start (nft writes one at the lowest
key) says nothing.
"""

from __future__ import annotations

import struct
from itertools import chain, islice
from typing import Dict, Iterable, Iterator, List, Optional, Set, Tuple

from netmgr._nftcodec import ffi, lib
from netmgr.values.errors import ProtocolError
from netmgr.values.events import RulesetChanged
from netmgr.values.sets import (
    AND,
    COMMENT,
    NFT_SET_ANONYMOUS,
    NFT_SET_EVAL,
    NFT_SET_INTERVAL,
    NFT_SET_MAP,
    NFT_SET_TIMEOUT,
    VERDICT,
    Contents,
    SetInfo,
    SetName,
)
from netmgr.wire.netlink import Buffer, Message, attributes, messages
from netmgr.wire.nft import FAMILIES, NFNL_SUBSYS_NFTABLES, NFT_MSG_NEWGEN, TYPE_BITS, TYPES, VERDICTS

NFTA_GEN_ID, NFTA_GEN_PROC_PID, NFTA_GEN_PROC_NAME = 1, 2, 3
NFTA_TABLE_NAME, NFTA_TABLE_HANDLE, NFTA_TABLE_OWNER = 1, 4, 7
NFTA_SET_TABLE, NFTA_SET_NAME, NFTA_SET_FLAGS, NFTA_SET_KEY_TYPE, NFTA_SET_KEY_LEN = 1, 2, 3, 4, 5
NFTA_SET_DATA_TYPE, NFTA_SET_DATA_LEN = 6, 7
NFTA_SET_DESC, NFTA_SET_TIMEOUT, NFTA_SET_USERDATA, NFTA_SET_HANDLE, NFTA_SET_COUNT = 9, 11, 13, 16, 20
NFTA_SET_DESC_SIZE = 1

_NFGENMSG = struct.Struct(">BBH")
_UDATA_SET_MERGE = 2    # NFTNL_UDATA_SET_MERGE_ELEMENTS
_FAMILIES = {number: name for name, number in FAMILIES.items()}
_COMMENT = COMMENT.encode()
_KINDS = (      # of elements, by their flags in a record: netmgr's, those that expire, others'
    (lib.NFTCODEC_START | lib.NFTCODEC_OURS, lib.NFTCODEC_START | lib.NFTCODEC_OURS),
    (lib.NFTCODEC_START | lib.NFTCODEC_EXPIRES, lib.NFTCODEC_START | lib.NFTCODEC_EXPIRES),
    (lib.NFTCODEC_START | lib.NFTCODEC_OURS, lib.NFTCODEC_START))
ELEMENTS_AT_ONCE = 2000


class Elements:
    """The messages of one dump, collected; elements at once, where one says nothing of another.

    `generations` are the res_id that they carried, `dumped` is how many elements they held; after contents(), `different` is how many
    there are without those that came twice.
    """

    def __init__(self, info: SetInfo) -> None:
        self.generations: Set[int] = set()
        self.dumped = self.different = 0
        self._set = ffi.new("struct nftcodec_set *", _layout(info))
        self._stand_alone = not (self._set.like & lib.NFTCODEC_RANGES or self._set.value)
        self._found: Tuple[Set[bytes], Set[bytes], Set[bytes]] = (set(), set(), set())
        self._name = info.name
        self._record = lib.nftcodec_record(self._set)
        self._records = bytearray()
        self._scratch = ffi.new("uint8_t[]", lib.NFTCODEC_ELEMENTS_MAX * self._record)

    def feed(self, payload: memoryview) -> None:
        """Take in what one NFT_MSG_NEWSETELEM says."""
        self.generations.add(resource(payload))
        body = ffi.from_buffer("uint8_t[]", payload[_NFGENMSG.size:])
        found = lib.nftcodec_get_elements(body, len(body), self._set, _COMMENT, self._scratch, lib.NFTCODEC_ELEMENTS_MAX)
        if found < 0:
            raise ProtocolError("nf_tables: elements of %s make no sense" % (self._name,))
        if not self._stand_alone:
            self._records += ffi.buffer(self._scratch, found * self._record)
        elif found:
            for kind, some in zip(_KINDS, self._found):
                some.update(self._picked(self._scratch, found, *kind))
        self.dumped += found

    def contents(self) -> Contents:
        """What was fed, once; nothing can be fed after it."""
        for _piece in self.arranged():
            pass
        return Contents(*self._found)

    def arranged(self) -> Iterator[None]:
        """What must be done for that when everything was fed, in pieces."""
        if self._records:
            records = ffi.from_buffer("uint8_t[]", self._records, require_writable=True)
            kept = lib.nftcodec_sort(self._set, records, self.dumped)
            yield
            for kind, found in zip(_KINDS, self._found):
                rest = iter(self._picked(records, kept, *kind))
                for some in iter(lambda rest=rest: [*islice(rest, ELEMENTS_AT_ONCE)], []):  # type: ignore[misc]
                    found.update(some)
                    yield
            self.different, self._records = kept, bytearray()
        elif not self.different:
            ours, _expiring, foreign = self._found
            foreign -= ours
            self.different = len(ours) + len(foreign)

    def _picked(self, records: ffi.CData, count: int, mask: int, value: int) -> Iterable[bytes]:
        like = self._set.like
        keys = self._set.width * (2 if like & (lib.NFTCODEC_RANGES | lib.NFTCODEC_BOXES) else 1)
        stride = keys + self._set.value
        packed = bytearray(stride * count)
        used = lib.nftcodec_pick(self._set, records, count, mask, value, ffi.from_buffer(packed), len(packed))
        found = chain.from_iterable(struct.iter_unpack("%ds" % stride, memoryview(packed)[:used]))
        if like & lib.NFTCODEC_VERDICTS:
            return (each[:keys + 4] + each[keys + 4:].rstrip(b"\0") for each in found)
        return found


def _layout(info: SetInfo) -> Dict[str, int]:
    """What the codec must know of a set that is read."""
    like = (lib.NFTCODEC_RANGES if info.paired else lib.NFTCODEC_BOXES) if info.flags & NFT_SET_INTERVAL else 0
    if not info.flags & NFT_SET_MAP:
        return {"like": like, "width": info.key_length}
    if info.value == VERDICT:
        return {"like": like | lib.NFTCODEC_VERDICTS, "width": info.key_length, "value": lib.NFTCODEC_VERDICT_MAX}
    return {"like": like, "width": info.key_length, "value": info.value_length}


def union(one: Contents, other: Contents) -> Contents:
    """What either holds; what either takes for ours is ours."""
    ours = one.ours | other.ours
    return Contents(ours, one.expiring | other.expiring, (one.foreign | other.foreign) - ours)


def counted(info: SetInfo) -> bool:
    """Whether the kernel has told how many elements a dump will have; elements that expired are not dumped."""
    return info.elements is not None and not info.flags & (NFT_SET_TIMEOUT | NFT_SET_EVAL)


def plausible(info: SetInfo, dumped: int) -> bool:
    """Whether a dump is as long as the kernel says, which counts ranges by two elements."""
    return not counted(info) or info.elements == (dumped // 2 if info.paired else dumped)


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
    rest, last = number >> TYPE_BITS, number & (1 << TYPE_BITS) - 1
    name = TYPES.get(last, str(last))
    return type_name(rest) + AND + name if rest else name


def set_info(payload: memoryview, name: SetName, table: int, owned: bool = False) -> SetInfo:
    """NFT_MSG_NEWSET, in the table with this handle, which may be owned."""
    found = _attributes(payload)
    number = _integer(found, NFTA_SET_KEY_TYPE, 4)
    described = attributes(found.get(NFTA_SET_DESC, memoryview(b"")))
    noted = _noted(bytes(found.get(NFTA_SET_USERDATA, b"")))
    value = _integer(found, NFTA_SET_DATA_TYPE, 4) if NFTA_SET_DATA_TYPE in found else None
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
        owned=owned,
        value="" if value is None else VERDICT if value == VERDICTS else type_name(value),
        value_length=0 if value in (None, VERDICTS) else _integer(found, NFTA_SET_DATA_LEN, 4))


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
