"""Default routes of the main table: which interfaces carry one, and to which next hops, from rtnetlink's messages.

From linux/rtnetlink.h:

    struct rtmsg { u8 rtm_family, rtm_dst_len, rtm_src_len, rtm_tos, rtm_table, rtm_protocol, rtm_scope, rtm_type; u32 rtm_flags; };
    struct rtnexthop { u16 rtnh_len; u8 rtnh_flags; u8 rtnh_hops; s32 rtnh_ifindex; };     then attributes, as long as rtnh_len says
    struct rtvia { u16 rtvia_family; u8 rtvia_addr[]; };        an IPv6 next hop of an IPv4 route, say, where RTA_GATEWAY cannot tell it

Of a route by next hop objects (RTA_NH_ID) the kernel tells these attributes as well, unless net.ipv4.nexthop_compat_mode is off.

A router may have a million routes, so nobody reads all of them for the one that is asked for:

  - The events are filtered in the kernel (filter_steps): of routes, only those of length 0 in the main table come through, and of
    next hop objects only that one is gone, for its routes go with it without a word.
  - IPv4 dumps its table in the order of the destinations, so all default routes are among the first (`is_beyond`).  IPv6 does not.

Events are hints: which routes there are is told by a dump alone.
"""

import struct
from typing import Dict, FrozenSet, Iterator, Optional, Sequence, Tuple

from netmgr.values.errors import ProtocolError
from netmgr.wire.netlink import HEADER, NLM_F_DUMP, Message, attributes, messages, request

RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_DELNEXTHOP = 105
RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_NEXTHOP = 7, 11, 32
GROUPS = (RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_NEXTHOP)

AF_INET, AF_INET6 = 2, 10
RT_TABLE_MAIN = 254
RTN_UNICAST = 1
RTNH_F_DEAD = 1
RTM_F_CLONED = 0x200
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_MULTIPATH, RTA_TABLE, RTA_VIA = 1, 4, 5, 9, 15, 18

_RTMSG = struct.Struct("=BBBBBBBBI")
_BEGINNING = struct.Struct("=IH")       # of struct nlmsghdr: nlmsg_len, nlmsg_type
_DST_LEN = HEADER.size + 1
_WITH_LENGTH = _DST_LEN + 1
_RTNEXTHOP = struct.Struct("=HBBi")
_UINT = struct.Struct("=I")
_RTVIA = struct.Struct("=H")
_SIZES = {AF_INET: 4, AF_INET6: 16}

Hop = Tuple[int, bytes]         # an interface, and the address of the next hop; empty where there is none

_LOAD_HALF, _LOAD_BYTE, _JUMP_EQUAL, _RETURN = 0x28, 0x30, 0x15, 0x06       # struct sock_filter { u16 code; u8 jt, jf; u32 k; }


def dump(seq: int, family: int) -> bytes:
    """The request for the main table of a family."""
    return request(RTM_GETROUTE, NLM_F_DUMP, seq, _RTMSG.pack(family, 0, 0, 0, RT_TABLE_MAIN, 0, 0, 0, 0))


def relevant(received: bytes, all_routes: bool) -> Iterator[Message]:
    """The messages of one receive, all or without the routes that lead to only a part of the world: of these there may be very many."""
    if all_routes:
        yield from messages(received)
        return
    position, end = 0, len(received)
    while position < end:
        length, kind = _BEGINNING.unpack_from(received, position) if end - position >= HEADER.size else (0, 0)
        if kind != RTM_NEWROUTE or not _WITH_LENGTH <= length <= end - position or not received[position + _DST_LEN]:
            yield next(messages(received[position:position + (length + 3 & ~3)] if length else received[position:]))
        position += length + 3 & ~3


def is_beyond(message: Message) -> bool:
    """Whether an IPv4 dump that has come to this route has no default route any more."""
    _family, length, *_rest = _rtmsg(message)
    return bool(length) and any(attributes(message.payload[_RTMSG.size:]).get(RTA_DST, b""))


def hops(message: Message) -> FrozenSet[Hop]:
    """Where this route goes, if it is a usable default route of the main table."""
    _family, length, source, _tos, table, _protocol, _scope, kind, flags = _rtmsg(message)
    if length or source or kind != RTN_UNICAST or flags & (RTNH_F_DEAD | RTM_F_CLONED):
        return frozenset()
    found = attributes(message.payload[_RTMSG.size:])
    if _number(found.get(RTA_TABLE), table) != RT_TABLE_MAIN:
        return frozenset()
    several = [hop for flags, hop in _several(found[RTA_MULTIPATH]) if not flags & RTNH_F_DEAD] if RTA_MULTIPATH in found else []
    return frozenset(hop for hop in (*several, (_number(found.get(RTA_OIF), 0), _gateway(found))) if hop[0])


def filter_steps() -> Sequence[Tuple[int, int, int, int]]:
    """The steps of a socket filter; what is no route passes, but for next hop objects that come or change: their routes tell."""
    newroute, delroute, newnexthop = (_as_loaded(kind) for kind in (RTM_NEWROUTE, RTM_DELROUTE, RTM_DELNEXTHOP - 1))
    return (
        (_LOAD_HALF, 0, 0, 4),              # 0: nlmsg_type
        (_JUMP_EQUAL, 2, 0, newroute),
        (_JUMP_EQUAL, 1, 0, delroute),
        (_JUMP_EQUAL, 5, 4, newnexthop),
        (_LOAD_BYTE, 0, 0, 17),             # 4: rtm_dst_len
        (_JUMP_EQUAL, 0, 3, 0),
        (_LOAD_BYTE, 0, 0, 20),             # 6: rtm_table
        (_JUMP_EQUAL, 0, 1, RT_TABLE_MAIN),
        (_RETURN, 0, 0, 0xFFFFFFFF),        # 8: all of it
        (_RETURN, 0, 0, 0),                 # 9: nothing
    )


def _as_loaded(kind: int) -> int:
    """BPF loads what the host wrote as the network would have it."""
    return int.from_bytes(struct.pack("=H", kind), "big")


def _several(value: memoryview) -> Iterator[Tuple[int, Hop]]:
    """Each next hop, with its flags."""
    while value:
        if len(value) < _RTNEXTHOP.size:
            raise ProtocolError("rtnetlink: %d bytes where a next hop should be" % len(value))
        length, flags, _weight, index = _RTNEXTHOP.unpack_from(value)
        if length < _RTNEXTHOP.size or length > len(value):
            raise ProtocolError("rtnetlink: a next hop claims %d bytes of %d" % (length, len(value)))
        yield flags, (index, _gateway(attributes(value[_RTNEXTHOP.size:length])))
        value = value[length + 3 & ~3:]


def _gateway(found: Dict[int, memoryview]) -> bytes:
    value = found.get(RTA_GATEWAY)
    if value is not None:
        if len(value) not in _SIZES.values():
            raise ProtocolError("rtnetlink: a next hop with an address of %d bytes" % len(value))
        return bytes(value)
    value = found.get(RTA_VIA)
    if value is None:
        return b""
    if len(value) < _RTVIA.size:
        raise ProtocolError("rtnetlink: %d bytes where a next hop's family should be" % len(value))
    (family,) = _RTVIA.unpack_from(value)
    address = bytes(value[_RTVIA.size:])
    if family in _SIZES and len(address) != _SIZES[family]:
        raise ProtocolError("rtnetlink: a next hop with an address of %d bytes" % len(address))
    return address if family in _SIZES else b""


def _rtmsg(message: Message) -> Tuple[int, ...]:
    if len(message.payload) < _RTMSG.size:
        raise ProtocolError("rtnetlink: a route message of %d bytes" % len(message.payload))
    return _RTMSG.unpack_from(message.payload)


def _number(value: Optional[memoryview], default: int) -> int:
    if value is None:
        return default
    if len(value) != _UINT.size:
        raise ProtocolError("rtnetlink: a number of %d bytes in a route" % len(value))
    return int(_UINT.unpack(value)[0])
