"""Changes of sets as nf_tables messages, and what the kernel answers as outcomes.

A transaction is NFNL_MSG_BATCH_BEGIN, any number of messages, NFNL_MSG_BATCH_END, in one send.  The kernel looks at every message,
answers each that fails with an NLMSG_ERROR of its sequence number, and applies either all or nothing.  Within a transaction all
creations come first, then all deletes, then all adds.  Sequence numbers: `seq` for the BEGIN, seq + 1 + i for message i, and
seq + 1 + the number of messages for the END, which alone asks for an acknowledgement: only that one proves the commit, and kernels
before 6.10 do not send it.

Adds carry the comment COMMENT, and in a set with timeouts a timeout of 0, without which the set's default would apply.  An add of an
element that is there changes nothing about it but, from 6.12 on, its timeout.  In a set with ranges it fails (NLM_F_EXCL): without that
the kernel would also take a range around another one with the same end, and the two would share that end.

Deletes in sets without ranges are NFT_MSG_DESTROYSETELEM where the kernel has it (6.3): a missing element is no error.  In sets with
ranges they are always NFT_MSG_DELSETELEM: there the start and the end of a range are two elements, and destroying a range that is no
longer there as such would take away the start of one that begins alike.  Limit: older kernels (6.1) do not look whether the two belong
together; a range that someone has split since it was read loses its first start and its last end.
"""

import errno
import struct
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

from netmgr._nftcodec import ffi, lib
from netmgr.netlink import HEADER, NLM_F_CREATE, NLM_F_EXCL, NLMSG_ERROR, Ack, Message, error
from netmgr.sets import COMMENT, IFNAME, IPV4_ADDR, IPV6_ADDR, WIDTHS, Change, ChangeElements, CreateSet, CreateTable, SetName

NFNL_SUBSYS_NFTABLES = 10
NFT_MSG_NEWTABLE = 0
NFT_MSG_GETTABLE = 1
NFT_MSG_NEWSET = 9
NFT_MSG_GETSET = 10
NFT_MSG_NEWSETELEM = 12
NFT_MSG_GETSETELEM = 13
NFT_MSG_DELSETELEM = 14
NFT_MSG_NEWGEN = 15
NFT_MSG_GETGEN = 16
NFT_MSG_DESTROYSETELEM = 30

NFTA_LIST_ELEM = 1
NFTA_SET_ELEM_LIST_ELEMENTS = 3
NFTA_SET_ELEM_FLAGS = 3
NFT_SET_ELEM_INTERVAL_END = 0x1

FAMILIES = {"inet": 1, "ip": 2, "arp": 3, "netdev": 5, "bridge": 7, "ip6": 10}
KEY_TYPES = {IPV4_ADDR: 7, IPV6_ADDR: 8, IFNAME: 41}
_BYTEORDER_HOST, _BYTEORDER_BIG = 1, 2

_ATTRIBUTES = 20        # what comes before the attributes: nlmsghdr, nfgenmsg
_COMMENT = COMMENT.encode()
_NLATTR = struct.Struct("=HH")
_NO_SET = SetName("inet", "netmgr-probe", "netmgr-probe")


class Fault(NamedTuple):
    """One reason why a commit failed.

    `set` is None when no single set is to blame.  `operation` is add, delete, create or nothing.  `position` is the index into the
    change's add or delete of the first element that was refused, where the kernel told.  `gone`: the table or the set is missing.
    """

    set: Optional[SetName]
    errno: int
    reason: str
    operation: str
    position: Optional[int]
    gone: bool


class Outcome(NamedTuple):
    """What became of a commit.  `known` False: it cannot be told, or only a part was applied; the sets must be read again."""

    committed: bool
    known: bool
    faults: Tuple[Fault, ...]


class Part(NamedTuple):
    """One message of a transaction, and whose: elements from index `first` of a change's add or delete."""

    data: bytes
    set: Optional[SetName]
    operation: str
    first: int


def about_set(seq: int, name: SetName, message: int, flags: int) -> bytes:
    """A message that names a table and a set, such as the request to dump its elements (NFT_MSG_GETSETELEM)."""
    scratch = _scratch()
    return _taken(scratch, _about_set(scratch, seq, name, message, flags))


def transaction(seq: int, parts: Sequence[Part], following: int) -> bytes:
    """One batch of these parts; `following` is the sequence number of its END."""
    scratch = _scratch()
    begin = _taken(scratch, lib.nftcodec_batch_begin(scratch, len(scratch), seq))
    end = _taken(scratch, lib.nftcodec_batch_end(scratch, len(scratch), following))
    return b"".join([begin, *[part.data for part in parts], end])


def probe(seq: int) -> bytes:
    """A batch without an end, which no kernel commits: is NFT_MSG_DESTROYSETELEM known?"""
    scratch = _scratch()
    begin = _taken(scratch, lib.nftcodec_batch_begin(scratch, len(scratch), seq))
    return begin + about_set(seq + 1, _NO_SET, NFT_MSG_DESTROYSETELEM, 0)


def knows(seq: int, answers: Sequence[Tuple[int, Ack]]) -> bool:
    """What the answers to probe(seq) say: if the message is known, what is wrong with it is that its table is missing."""
    return any(number == seq + 1 and ack.errno == errno.ENOENT for number, ack in answers)


def parts_of(seq: int, changes: Sequence[Change], destroy: bool) -> List[Part]:
    """The messages for these changes; `destroy`: the kernel knows NFT_MSG_DESTROYSETELEM.

    ValueError for what is no element of its set's form, and for names that nf_tables does not allow.
    """
    scratch = _scratch()
    parts: List[Part] = []
    for change in changes:
        if not isinstance(change, ChangeElements):
            parts.append(_create(scratch, seq + 1 + len(parts), change))
    for operation in ("delete", "add"):
        for change in changes:
            if isinstance(change, ChangeElements):
                _append(parts, scratch, seq + 1 + len(parts), change, operation, destroy)
    return parts


def size_of(parts: Sequence[Part]) -> int:
    """How many bytes the transaction of these parts has."""
    return sum(len(part.data) for part in parts) + 2 * _ATTRIBUTES


def split(parts: Sequence[Part], limit: int) -> Iterator[Sequence[Part]]:
    """The parts as transactions of at most `limit` bytes, or of one part; their order stays, so deletes go first."""
    start, used = 0, size_of(())
    for index, part in enumerate(parts):
        if index > start and used + len(part.data) > limit:
            yield parts[start:index]
            start, used = index, size_of(())
        used += len(part.data)
    if start < len(parts):
        yield parts[start:]


def acks(messages: Sequence[Message], seq: int, following: int) -> List[Tuple[int, Ack]]:
    """The acknowledgements and errors among these messages that answer sequence numbers from seq to following."""
    return [(message.seq, error(message)) for message in messages if message.type == NLMSG_ERROR and seq <= message.seq <= following]


def faults(parts: Sequence[Part], seq: int, answers: Sequence[Tuple[int, Ack]]) -> Tuple[Fault, ...]:
    """What went wrong, in the order of the kernel's answers; the same trouble of the same set once, at its lowest position."""
    found: List[Fault] = []
    for number, ack in answers:
        index = number - seq - 1
        if ack.errno:
            fault = _fault(parts[index], ack) if 0 <= index < len(parts) else _stray(ack)
            if not any(fault[:4] == other[:4] and fault.gone == other.gone for other in found):
                found.append(fault)
    return tuple(found)


def unsettled(fault: Fault) -> bool:
    """Whether the set may be gone: kernels up to 6.1 do not always say what it is that they did not find."""
    return fault.set is not None and fault.errno == errno.ENOENT and fault.position is None and not fault.gone


def gone(fault: Fault) -> Fault:
    """The same fault, when the set is known to be missing."""
    return fault._replace(gone=True, reason=_reason(fault.errno, fault.operation, True))


def not_sent(number: int) -> Outcome:
    """The outcome when the kernel did not even take the bytes."""
    return Outcome(False, True, (_stray(Ack(number, "", 0)),))


def _scratch() -> "ffi.CData":
    return ffi.new("uint8_t[]", lib.NFTCODEC_MESSAGE_MAX)


def _taken(scratch: "ffi.CData", length: int) -> bytes:
    if length < 0:
        raise ValueError("nf_tables cannot be told this")
    return bytes(ffi.buffer(scratch, length))


def _about_set(scratch: "ffi.CData", seq: int, name: SetName, message: int, flags: int) -> int:
    length: int = lib.nftcodec_about_elements(
        scratch, len(scratch), seq, FAMILIES[name.family], message, flags, name_bytes(name.table), name_bytes(name.name))
    return length


def name_bytes(name: str) -> bytes:
    """A name as the kernel has it.  ValueError if it can be none: empty, too long, or with a NUL."""
    encoded = name.encode("utf-8", "surrogateescape")
    if not encoded or len(encoded) > lib.NFTCODEC_NAME_MAX or b"\0" in encoded:
        raise ValueError("not a name that nf_tables allows: %r" % name)
    return encoded


def _create(scratch: "ffi.CData", seq: int, change: Change) -> Part:
    if isinstance(change, CreateTable):
        length = lib.nftcodec_new_table(scratch, len(scratch), seq, FAMILIES[change.family], name_bytes(change.table))
        return Part(_taken(scratch, length), None, "create", 0)
    assert isinstance(change, CreateSet)
    name = change.set
    byteorder = _BYTEORDER_HOST if change.type == IFNAME else _BYTEORDER_BIG
    length = lib.nftcodec_new_set(
        scratch, len(scratch), seq, FAMILIES[name.family], name_bytes(name.table), name_bytes(name.name), seq,
        KEY_TYPES[change.type], WIDTHS[change.type], byteorder)
    return Part(_taken(scratch, length), name, "create", 0)


def _append(parts: List[Part], scratch: "ffi.CData", seq: int, change: ChangeElements, operation: str, destroy: bool) -> None:
    elements = change.add if operation == "add" else change.delete
    form, count, first = change.form, len(elements), 0
    stride = form.width * (2 if form.interval else 1)
    if set(map(len, elements)) - {stride}:
        raise ValueError("elements of %s must have %d bytes" % (change.set, stride))
    message, flags, how, comment = _manner(change, operation, destroy)
    keys = ffi.from_buffer("uint8_t[]", b"".join(elements))
    while first < count:
        _taken(scratch, _about_set(scratch, seq, change.set, message, flags))
        taken = lib.nftcodec_put_elements(scratch, len(scratch), keys + first * stride, count - first, form.width, how, comment)
        if taken < 0:
            raise ValueError("elements of %s do not make sense" % (change.set,))
        length = HEADER.unpack_from(ffi.buffer(scratch, HEADER.size))[0]
        parts.append(Part(_taken(scratch, length), change.set, operation, first))
        first, seq = first + taken, seq + 1


def _manner(change: ChangeElements, operation: str, destroy: bool) -> Tuple[int, int, int, "ffi.CData"]:
    how = lib.NFTCODEC_RANGES if change.form.interval else 0
    if operation == "delete":
        return NFT_MSG_DESTROYSETELEM if destroy and not how else NFT_MSG_DELSETELEM, 0, how, ffi.NULL
    flags = NLM_F_CREATE | NLM_F_EXCL if how else NLM_F_CREATE
    return NFT_MSG_NEWSETELEM, flags, how | (lib.NFTCODEC_FOREVER if change.form.timeout else 0), _COMMENT


def _stray(ack: Ack) -> Fault:
    return Fault(None, ack.errno, _reason(ack.errno, "", False), "", None, False)


def _fault(part: Part, ack: Ack) -> Fault:
    if part.operation == "create":
        missing = ack.errno == errno.ENOENT
        return Fault(part.set, ack.errno, _reason(ack.errno, "create", missing), "create", None, missing)
    inside = _position(part.data, ack.offset)
    missing = ack.errno == errno.ENOENT and inside is None and ack.offset > 0
    position = None if inside is None else part.first + inside
    return Fault(part.set, ack.errno, _reason(ack.errno, part.operation, missing), part.operation, position, missing)


def _position(data: bytes, offset: int) -> Optional[int]:
    """Which element of a message an offset from its begin points into; the end of a range counts as its start."""
    at = _ATTRIBUTES
    while at + _NLATTR.size <= len(data):
        length, kind = _NLATTR.unpack_from(data, at)
        if kind & 0x3FFF == NFTA_SET_ELEM_LIST_ELEMENTS:
            break
        at += (length + 3) & ~3
    at += _NLATTR.size
    if offset < at:
        return None
    index = -1
    while at <= offset and at + _NLATTR.size <= len(data):
        length = _NLATTR.unpack_from(data, at)[0]
        index += not _is_end(data[at + _NLATTR.size:at + length])
        at += (length + 3) & ~3
    return index


def _is_end(element: bytes) -> bool:
    """Our own elements: the flags, if any, come right after the key."""
    length = _NLATTR.unpack_from(element)[0]
    return len(element) >= length + 8 and _NLATTR.unpack_from(element, length) == (8, NFTA_SET_ELEM_FLAGS)


def _reason(number: int, operation: str, missing: bool) -> str:
    if missing:
        return "the set or its table is missing" if operation != "create" else "the table is missing"
    if number == errno.EPERM:
        return "not permitted: the table belongs to another program" if operation else "not permitted: CAP_NET_ADMIN is needed"
    known = _REASONS.get((number, operation)) or _REASONS.get((number, ""))
    return known or "the kernel answered %s" % errno.errorcode.get(number, str(number))


_REASONS = {
    (errno.ENFILE, ""): "the set is full",
    (errno.ENOENT, "delete"): "an element to be removed is not there",
    (errno.EEXIST, "add"): "an element overlaps with one that is there",
    (errno.EEXIST, "create"): "a set of this name and of another type exists",
    (errno.EBUSY, ""): "the set is in use and constant",
    (errno.EINVAL, ""): "the kernel does not take such elements in this set",
    (errno.EMSGSIZE, ""): "the transaction is larger than the kernel takes",
    (errno.EOPNOTSUPP, ""): "the kernel does not support this",
    (errno.ENOMEM, ""): "the kernel is out of memory",
    (errno.ENOSPC, ""): "the set is full",
}
