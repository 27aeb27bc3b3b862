"""What nf_tables calls things, and what it answers to a transaction, as outcomes.

The kernel looks at every message of a transaction, answers each that fails with an NLMSG_ERROR of its sequence number, and applies
either all or nothing.  Sequence numbers: `seq` for the BEGIN, seq + 1 + i for message i, and seq + 1 + the number of messages for the
END, which alone asks for an acknowledgement: only that one proves the commit, and kernels before 6.10 do not send it.  An error may
carry the offset of what was refused; from that comes the position of an element.
"""

from __future__ import annotations

import errno
import struct
from typing import Iterable, List, Optional, Sequence, Tuple

from netmgr.values.named_tuple import NamedTuple
from netmgr.values.outcomes import Fault, Outcome
from netmgr.values.sets import SetName
from netmgr.wire.netlink import BYTEORDER, HEADER, NLM_F_CAPPED, NLMSG_ERROR, Ack, error, messages
from netmgr.wire.nft import NFTA_SET_ELEM_FLAGS, NFTA_SET_ELEM_LIST_ELEMENTS

ATTRIBUTES = 20        # what comes before the attributes: nlmsghdr, nfgenmsg
_NLATTR = struct.Struct("=HH")
_ACK = HEADER.pack(2 * HEADER.size + 4, NLMSG_ERROR, NLM_F_CAPPED, 0, 0)[:8]        # up to its number; then whose, the error, the request


class Part(NamedTuple):
    """One message of a transaction, and whose: elements from index `first` of a change's add or delete."""

    data: bytes
    set: Optional[SetName]
    operation: str
    first: int


def accepts(datagram: bytes, number: int) -> bool:
    """Whether it is nothing but the acknowledgement of the message with this number, as the kernel usually puts it."""
    return len(datagram) == 36 and datagram[:12] == _ACK + number.to_bytes(4, BYTEORDER) and datagram[16:20] == b"\0\0\0\0"


def acks(datagrams: Iterable[bytes], seq: int, following: int) -> List[Tuple[int, Ack]]:
    """The acknowledgements and errors among all messages that answer sequence numbers from seq to following."""
    return [(message.seq, error(message)) for datagram in datagrams for message in messages(datagram)
            if message.type == NLMSG_ERROR and seq <= message.seq <= following]


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


def knows(seq: int, answers: Sequence[Tuple[int, Ack]]) -> bool:
    """What the answers to probe(seq) say: if the message is known, what is wrong with it is that its table is missing."""
    return any(number == seq + 1 and ack.errno == errno.ENOENT for number, ack in answers)


def overtaken(seq: int, answers: Sequence[Tuple[int, Ack]]) -> bool:
    """Whether the kernel refused the whole transaction because its ruleset is not in the generation that the BEGIN names."""
    return any(number == seq and ack.errno == errno.ERESTART for number, ack in answers)


def unclear(fault: Fault) -> bool:
    """Whether the set may be gone: kernels up to 6.1 do not always say what it is that they did not find."""
    return fault.set is not None and fault.errno == errno.ENOENT and fault.position is None and not fault.gone


def gone(fault: Fault) -> Fault:
    """The same fault, when the set is known to be missing."""
    return fault._replace(gone=True, reason=_reason(fault.errno, fault.operation, True))


def not_sent(number: int) -> Outcome:
    """The outcome when the kernel did not even take the bytes."""
    return Outcome(False, True, (_stray(Ack(number, "", 0)),))


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
    at = ATTRIBUTES
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
