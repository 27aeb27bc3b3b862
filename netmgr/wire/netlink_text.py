"""Netlink messages for people, in the layout of libmnl's mnl_nlmsg_fprintf(), which `nft --debug=mnl` shows; without its colours.

    ----------------        ------------------
    |  0000000076  |        | message length |
    | 00020 | R-A- |        |  type | flags  |
    |  0000000001  |        | sequence number|
    |  0000000000  |        |     port ID    |
    ----------------        ------------------
    | 02 18 80 00  |        |  extra header  |
    |00008|--|00002|        |len |flags| type|
    | c0 00 02 01  |        |      data      |

Before each stands a line with its name.
"""

from typing import Iterator

from netmgr.values.errors import ProtocolError
from netmgr.wire.netlink import (
    ATTRIBUTE,
    HEADER,
    NLA_TYPE_MASK,
    NLM_F_ACK,
    NLM_F_ECHO,
    NLM_F_MULTI,
    NLM_F_REQUEST,
    Buffer,
    Message,
    messages,
)

NETLINK_ROUTE, NETLINK_NETFILTER = 0, 12
NLMSG_MIN_TYPE = 16
NLA_F_NESTED, NLA_F_NET_BYTEORDER = 0x8000, 0x4000
RULE = "----------------        ------------------"

_CONTROL = {1: "NLMSG_NOOP", 2: "NLMSG_ERROR", 3: "NLMSG_DONE", 4: "NLMSG_OVERRUN"}
_ROUTE = ("LINK", "ADDR", "ROUTE")          # RTM_NEW…, from 16 on in fours: NEW, DEL, GET, SET
_EXTRA = (16, 8, 12)                        # bytes of struct ifinfomsg, ifaddrmsg, rtmsg
_NFNL_BATCH = {16: "NFNL_MSG_BATCH_BEGIN", 17: "NFNL_MSG_BATCH_END"}
_NFT = (
    "NEWTABLE", "GETTABLE", "DELTABLE", "NEWCHAIN", "GETCHAIN", "DELCHAIN", "NEWRULE", "GETRULE", "DELRULE", "NEWSET",
    "GETSET", "DELSET", "NEWSETELEM", "GETSETELEM", "DELSETELEM", "NEWGEN", "GETGEN", "TRACE", "NEWOBJ", "GETOBJ", "DELOBJ",
    "GETOBJ_RESET", "NEWFLOWTABLE", "GETFLOWTABLE", "DELFLOWTABLE", "GETRULE_RESET", "DESTROYTABLE", "DESTROYCHAIN",
    "DESTROYRULE", "DESTROYSET", "DESTROYSETELEM", "DESTROYOBJ", "DESTROYFLOWTABLE", "GETSETELEM_RESET")
NFNL_SUBSYS_NFTABLES = 10


def layout(protocol: int, buffer: Buffer) -> Iterator[str]:
    """The lines for all messages of one send or receive."""
    try:
        for message in messages(buffer):
            yield name(protocol, message.type)
            yield from _header(message)
            yield from _payload(message, _extra(protocol, message.type))
            yield RULE
    except ProtocolError as problem:
        yield str(problem)


def name(protocol: int, kind: int) -> str:
    """How the kernel calls such messages."""
    if kind < NLMSG_MIN_TYPE:
        return _CONTROL.get(kind, "message %d" % kind)
    if protocol == NETLINK_NETFILTER:
        subsystem, number = kind >> 8, kind & 0xFF
        known = subsystem == NFNL_SUBSYS_NFTABLES and number < len(_NFT)
        return "NFT_MSG_" + _NFT[number] if known else _NFNL_BATCH.get(kind, "message %d" % kind)
    family, verb = divmod(kind - NLMSG_MIN_TYPE, 4)
    return "RTM_%s%s" % (("NEW", "DEL", "GET", "SET")[verb], _ROUTE[family]) if family < len(_ROUTE) else "message %d" % kind


def _extra(protocol: int, kind: int) -> int:
    if protocol == NETLINK_NETFILTER:
        return 4
    family = (kind - NLMSG_MIN_TYPE) // 4
    return _EXTRA[family] if 0 <= family < len(_EXTRA) else 0


def _header(message: Message) -> Iterator[str]:
    flags = "".join(letter if message.flags & flag else "-" for letter, flag in (
        ("R", NLM_F_REQUEST), ("M", NLM_F_MULTI), ("A", NLM_F_ACK), ("E", NLM_F_ECHO)))
    yield RULE
    yield "|  %010d  |        | message length |" % (HEADER.size + len(message.payload))
    yield "| %05d | %s |        |  type | flags  |" % (message.type, flags)
    yield "|  %010d  |        | sequence number|" % message.seq
    yield "|  %010d  |        |     port ID    |" % message.portid
    yield RULE


def _payload(message: Message, extra: int) -> Iterator[str]:
    """In words of four bytes; which of them is the header of an attribute, libmnl guesses in the same way."""
    rest = 0
    for position in range(0, len(message.payload), 4):
        word = bytes(message.payload[position:position + 4])
        length, kind = ATTRIBUTE.unpack(word) if len(word) == ATTRIBUTE.size else (0, 0)
        if message.type < NLMSG_MIN_TYPE:
            yield _word(word, "                ")
        elif position < extra:
            yield _word(word, "  extra header  ")
        elif rest <= 0 and kind & NLA_TYPE_MASK:
            flags = ("N" if kind & NLA_F_NESTED else "-") + ("B" if kind & NLA_F_NET_BYTEORDER else "-")
            yield "|%05d|%s|%05d|        |len |flags| type|" % (length, flags, kind & NLA_TYPE_MASK)
            rest = 0 if kind & NLA_F_NESTED else (length + 3 & ~3) - ATTRIBUTE.size
        else:
            rest -= 4
            yield "%s       %s" % (_word(word, "      data      "), " ".join(chr(each) if 32 <= each < 127 else " " for each in word))


def _word(word: bytes, meaning: str) -> str:
    return "| %s  |        |%s|" % (word.hex(" ").ljust(11), meaning)
