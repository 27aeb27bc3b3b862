"""Changes of sets as nf_tables messages.

A transaction is NFNL_MSG_BATCH_BEGIN, any number of messages, NFNL_MSG_BATCH_END, in one send.  All creations come first, then all
deletes, then all adds, of all sets.  For sequence numbers see nft.py.  A BEGIN with a generation (NFNL_BATCH_GENID) makes the kernel
refuse the transaction in any other.

Adds carry the comment COMMENT, and in a set with timeouts a timeout of 0, without which the set's default would apply.  An add of an
element that is there changes nothing about it but, from 6.12 on, its timeout.  In a set with ranges it fails (NLM_F_EXCL): without that
the kernel would also take a range around another one with the same end, and the two would share that end.

Deletes in sets without ranges are NFT_MSG_DESTROYSETELEM where the kernel has it (6.3): a missing element is no error.  In sets with
ranges they are always NFT_MSG_DELSETELEM: there the start and the end of a range are two elements, and destroying a range that is no
longer there as such would take away the start of one that begins alike.  Limit: older kernels (6.1) do not look whether the two belong
together; a range that someone has split since it was read loses its first start and its last end.
"""

import struct
from operator import attrgetter
from typing import Iterator, List, Sequence

from netmgr._nftcodec import ffi, lib
from netmgr.values.sets import COMMENT, IFNAME, WIDTHS, Change, ChangeElements, CreateSet, CreateTable, SetName
from netmgr.wire.netlink import HEADER, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, attribute
from netmgr.wire.nft import (
    FAMILIES,
    KEY_TYPES,
    NFNL_BATCH_GENID,
    NFNL_MSG_BATCH_BEGIN,
    NFNL_MSG_BATCH_END,
    NFNL_SUBSYS_NFTABLES,
    NFT_MSG_DELSETELEM,
    NFT_MSG_DESTROYSETELEM,
    NFT_MSG_NEWSETELEM,
)
from netmgr.wire.nft_answers import ATTRIBUTES, Part

BOUNDS = 2 * ATTRIBUTES + 8         # bytes that begin and end take, with a generation

_BYTEORDER_HOST, _BYTEORDER_BIG = 1, 2
_COMMENT = COMMENT.encode()
_BOUND = struct.Struct("=IHHII4s")          # nlmsghdr, nfgenmsg
_FOR_NFTABLES = struct.pack(">BBH", 0, 0, NFNL_SUBSYS_NFTABLES)
_IN_GENERATION = attribute(NFNL_BATCH_GENID, bytes(4))[:4]
_data = attrgetter("data")
_uncleared = ffi.new_allocator(should_clear_after_alloc=False)
_NO_SET = SetName("inet", "netmgr-probe", "netmgr-probe")


def about_set(seq: int, name: SetName, message: int, flags: int) -> bytes:
    """A message that names a table and a set, such as the request to dump its elements (NFT_MSG_GETSETELEM)."""
    table, own = name_bytes(name.table), name_bytes(name.name)
    scratch = _scratch()
    written = lib.nftcodec_elements(
        scratch, len(scratch), seq, FAMILIES[name.family], message, flags, table, own, ffi.NULL, 0, 0, 0, ffi.NULL)
    return _message(scratch, written, name)


def transaction(seq: int, parts: Sequence[Part], following: int, generation: int = 0) -> bytes:
    """One batch of these parts; `following` is the sequence number of its END; a generation of 0 is any."""
    condition = _IN_GENERATION + generation.to_bytes(4, "big") if generation else b""
    end = _BOUND.pack(_BOUND.size, NFNL_MSG_BATCH_END, NLM_F_REQUEST | NLM_F_ACK, following, 0, _FOR_NFTABLES)
    return b"".join([_begin(seq, len(condition)), condition, *map(_data, parts), end])


def probe(seq: int) -> bytes:
    """A batch without an end, which no kernel commits: is NFT_MSG_DESTROYSETELEM known?"""
    return _begin(seq, 0) + about_set(seq + 1, _NO_SET, NFT_MSG_DESTROYSETELEM, 0)


def parts_of(seq: int, changes: Sequence[Change], destroy: bool) -> List[Part]:
    """The messages for these changes; `destroy`: the kernel knows NFT_MSG_DESTROYSETELEM.

    ValueError for what is no element of its set's form, and for names that nf_tables does not allow.
    """
    scratch = _scratch()
    parts: List[Part] = []
    for change in changes:
        if not isinstance(change, ChangeElements):
            parts.append(_create(scratch, seq + 1 + len(parts), change))
    for change in changes:
        if isinstance(change, ChangeElements) and change.delete:
            _append(parts, scratch, seq + 1 + len(parts), change, "delete", destroy)
    for change in changes:
        if isinstance(change, ChangeElements) and change.add:
            _append(parts, scratch, seq + 1 + len(parts), change, "add", destroy)
    return parts


def split(parts: Sequence[Part], limit: int) -> Iterator[Sequence[Part]]:
    """The parts as transactions of at most `limit` bytes, or of one part; their order stays, so deletes go first."""
    start, used = 0, BOUNDS
    for index, part in enumerate(parts):
        if index > start and used + len(part.data) > limit:
            yield parts[start:index]
            start, used = index, BOUNDS
        used += len(part.data)
    if start < len(parts):
        yield parts[start:]


def name_bytes(name: str) -> bytes:
    """A name as the kernel has it.  ValueError if it can be none: empty, too long, or with a NUL."""
    encoded = name.encode("utf-8", "surrogateescape")
    if not encoded or len(encoded) > lib.NFTCODEC_NAME_MAX or b"\0" in encoded:
        raise ValueError("not a name that nf_tables allows: %r" % name)
    return encoded


def _begin(seq: int, more: int) -> bytes:
    """The first message, or all of it but so many bytes; the res_id of its nfgenmsg names the subsystem."""
    return _BOUND.pack(_BOUND.size + more, NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, seq, 0, _FOR_NFTABLES)


def _scratch() -> "ffi.CData":
    return _uncleared("uint8_t[]", lib.NFTCODEC_MESSAGE_MAX)


def _message(scratch: "ffi.CData", written: int, about: object) -> bytes:
    """The message in the buffer, of the length that is the first thing in it; ValueError if nothing was written."""
    if written < 0:
        raise ValueError("nf_tables cannot be told this about %s" % (about,))
    view = ffi.buffer(scratch)
    message: bytes = view[:HEADER.unpack_from(view)[0]]
    return message


def _create(scratch: "ffi.CData", seq: int, change: Change) -> Part:
    if isinstance(change, CreateTable):
        written = lib.nftcodec_new_table(scratch, len(scratch), seq, FAMILIES[change.family], name_bytes(change.table))
        return Part(_message(scratch, written, change.table), None, "create", 0)
    assert isinstance(change, CreateSet)
    name = change.set
    byteorder = _BYTEORDER_HOST if change.type == IFNAME else _BYTEORDER_BIG
    written = lib.nftcodec_new_set(
        scratch, len(scratch), seq, FAMILIES[name.family], name_bytes(name.table), name_bytes(name.name), seq,
        KEY_TYPES[change.type], WIDTHS[change.type], byteorder)
    return Part(_message(scratch, written, name), name, "create", 0)


def _append(parts: List[Part], scratch: "ffi.CData", seq: int, change: ChangeElements, operation: str, destroy: bool) -> None:
    elements = change.add if operation == "add" else change.delete
    name, form, width, first = change.set, change.form, WIDTHS[change.form.type], 0
    stride = width * 2 if form.interval else width
    if set(map(len, elements)) != {stride}:
        raise ValueError("elements of %s must have %d bytes" % (name, stride))
    family, table, own, keys = FAMILIES[name.family], name_bytes(name.table), name_bytes(name.name), b"".join(elements)
    message, flags, how, comment = _MANNERS[operation, form.interval]
    if message == NFT_MSG_DESTROYSETELEM and not destroy:
        message = NFT_MSG_DELSETELEM
    if form.timeout and operation == "add":
        how |= lib.NFTCODEC_FOREVER
    while first < len(elements):
        some = keys[first * stride:(first + lib.NFTCODEC_ELEMENTS_MAX) * stride]
        taken = lib.nftcodec_elements(
            scratch, len(scratch), seq, family, message, flags, table, own, some, len(some) // stride, width, how, comment)
        parts.append(Part(_message(scratch, taken, name), name, operation, first))
        first, seq = first + taken, seq + 1


_MANNERS = {        # what is to be done, whether with ranges: the message, its flags, those of the codec, the comment
    ("add", False): (NFT_MSG_NEWSETELEM, NLM_F_CREATE, 0, _COMMENT),
    ("add", True): (NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, lib.NFTCODEC_RANGES, _COMMENT),
    ("delete", False): (NFT_MSG_DESTROYSETELEM, 0, 0, ffi.NULL),
    ("delete", True): (NFT_MSG_DELSETELEM, 0, lib.NFTCODEC_RANGES, ffi.NULL),
}
