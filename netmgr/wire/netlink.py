"""Netlink framing: messages in a buffer, attributes in a message, requests, acknowledgements.

From linux/netlink.h:

    struct nlmsghdr { __u32 nlmsg_len; __u16 nlmsg_type; __u16 nlmsg_flags; __u32 nlmsg_seq; __u32 nlmsg_pid; };
    struct nlattr   { __u16 nla_len; __u16 nla_type; };
    #define NLMSG_ALIGN(len) ( ((len)+NLMSG_ALIGNTO-1) & ~(NLMSG_ALIGNTO-1) )        with NLMSG_ALIGNTO 4; NLA_ALIGN is the same

Both lengths count their header and not the padding behind.  All integers are in host order.  A length that does not fit into what
holds it is a ProtocolError; so is what is left over where a header should be.  Nothing here copies: payloads and attributes are
views into the buffer that was given.
"""

from __future__ import annotations

import struct
from typing import Dict, Iterator, List, Literal, Tuple, Union

from netmgr.values.errors import ProtocolError
from netmgr.values.named_tuple import NamedTuple

NLMSG_NOOP, NLMSG_ERROR, NLMSG_DONE, NLMSG_OVERRUN = 1, 2, 3, 4

NLM_F_REQUEST = 0x1
NLM_F_MULTI = 0x2
NLM_F_ACK = 0x4
NLM_F_ECHO = 0x8
NLM_F_DUMP_INTR = 0x10
NLM_F_DUMP_FILTERED = 0x20
NLM_F_DUMP = 0x300
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_CAPPED = 0x100
NLM_F_ACK_TLVS = 0x200

SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP = 1
NETLINK_DROP_MEMBERSHIP = 2
NETLINK_CAP_ACK = 10
NETLINK_EXT_ACK = 11
NETLINK_GET_STRICT_CHK = 12

NLMSGERR_ATTR_MSG, NLMSGERR_ATTR_OFFS = 1, 2

NLA_TYPE_MASK = 0x3FFF
MAX_ERRNO = 4095

HEADER = struct.Struct("=IHHII")
ATTRIBUTE = struct.Struct("=HH")
BYTEORDER: Literal["little", "big"] = "little" if ATTRIBUTE.pack(1, 0)[0] else "big"      # the host's

_INT = struct.Struct("=i")
_UINT = struct.Struct("=I")

Buffer = Union[bytes, bytearray, memoryview]


class Message(NamedTuple):
    """One netlink message; `payload` is what follows the nlmsghdr."""

    type: int
    flags: int
    seq: int
    portid: int
    payload: memoryview


class Ack(NamedTuple):
    """What NLMSG_ERROR or a failed NLMSG_DONE says: errno (0 is success), the kernel's text, and the offset of the offender."""

    errno: int
    text: str
    offset: int


ACCEPTED = Ack(0, "", 0)


def messages(buffer: Buffer) -> Iterator[Message]:
    """Every message of one receive.  ProtocolError on a length that lies or on trailing bytes."""
    view = memoryview(buffer)
    position, end = 0, len(view)
    while position < end:
        if end - position < HEADER.size:
            raise ProtocolError("netlink: %d bytes where a message header should be" % (end - position))
        length, kind, flags, seq, portid = HEADER.unpack_from(view, position)
        if length < HEADER.size or length > end - position:
            raise ProtocolError("netlink: a message claims %d bytes of %d" % (length, end - position))
        yield Message(kind, flags, seq, portid, view[position + HEADER.size:position + length])
        position += (length + 3) & ~3


def attributes(payload: Buffer) -> Dict[int, memoryview]:
    """Attribute type -> value; of a repeated type the last.  The nested and byte-order bits of the type are masked off."""
    return dict(attribute_list(payload))


def attribute_list(payload: Buffer) -> List[Tuple[int, memoryview]]:
    """The same, in their order and each as often as it comes."""
    view = memoryview(payload)
    found: List[Tuple[int, memoryview]] = []
    position, end = 0, len(view)
    while end - position >= ATTRIBUTE.size:
        length, kind = ATTRIBUTE.unpack_from(view, position)
        if length < ATTRIBUTE.size or length > end - position:
            raise ProtocolError("netlink: an attribute claims %d bytes of %d" % (length, end - position))
        found.append((kind & NLA_TYPE_MASK, view[position + ATTRIBUTE.size:position + length]))
        position += (length + 3) & ~3
    if position < end:
        raise ProtocolError("netlink: %d bytes where an attribute header should be" % (end - position))
    return found


def request(kind: int, flags: int, seq: int, payload: bytes = b"") -> bytes:
    """A complete message; NLM_F_REQUEST is added to the flags."""
    return HEADER.pack(HEADER.size + len(payload), kind, flags | NLM_F_REQUEST, seq, 0) + payload


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute with its padding."""
    return ATTRIBUTE.pack(ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) & 3)


def error(message: Message) -> Ack:
    """Read NLMSG_ERROR or NLMSG_DONE.

        struct nlmsgerr { int error; struct nlmsghdr msg; };       then the request, unless capped, then TLVs if so flagged

    A DONE has the int and then the TLVs, and may be empty (success).
    """
    payload, done = message.payload, message.type == NLMSG_DONE
    if done and not payload:
        return ACCEPTED
    if len(payload) < (_INT.size if done else _INT.size + HEADER.size):
        raise ProtocolError("netlink: an error message of %d bytes" % len(payload))
    number = max(0, -_INT.unpack_from(payload)[0])
    if number > MAX_ERRNO:
        raise ProtocolError("netlink: error %d" % number)
    if message.flags & NLM_F_ACK_TLVS:
        return _with_extended(number, payload[_INT.size if done else _after_request(message):])
    return Ack(number, "", 0) if number else ACCEPTED


def _after_request(message: Message) -> int:
    if message.flags & NLM_F_CAPPED:
        return _INT.size + HEADER.size
    length: int = _UINT.unpack_from(message.payload, _INT.size)[0]
    return _INT.size + ((max(length, HEADER.size) + 3) & ~3)


def _with_extended(number: int, extended: memoryview) -> Ack:
    found = attributes(extended)
    text = bytes(found.get(NLMSGERR_ATTR_MSG, b"")).rstrip(b"\0").decode("utf-8", "replace")
    offset = found.get(NLMSGERR_ATTR_OFFS)
    if offset is not None and len(offset) != _UINT.size:
        raise ProtocolError("netlink: an error offset of %d bytes" % len(offset))
    return Ack(number, text, 0 if offset is None else _UINT.unpack(offset)[0])
