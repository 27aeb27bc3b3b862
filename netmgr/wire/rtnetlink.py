"""rtnetlink: links and addresses, from bytes to events.

From linux/rtnetlink.h and linux/if_addr.h:

    struct ifinfomsg { u8 ifi_family; u8 pad; u16 ifi_type; s32 ifi_index; u32 ifi_flags; u32 ifi_change; };
    struct ifaddrmsg { u8 ifa_family; u8 ifa_prefixlen; u8 ifa_flags; u8 ifa_scope; u32 ifa_index; };

Four things that are easily got wrong, each held by a kernel test:

  - Our own end of an address is IFA_LOCAL if it is there, else IFA_ADDRESS.  With a peer, IFA_ADDRESS is the peer.
  - An IPv6 address is on a link once, and may change its peer without a word about the old one.
  - The flags are IFA_FLAGS, 32 bits; ifa_flags holds only the low 8 of them.
  - A bridge says RTM_DELLINK with ifi_family AF_BRIDGE when a port leaves it.  The link is still there, so link messages of
    any family but AF_UNSPEC are passed over.
"""

from __future__ import annotations

import struct
from typing import Callable, Dict, Iterator, Optional

from netmgr.values.errors import ProtocolError
from netmgr.values.events import AddressGone, AddressSeen, Event, LinkGone, LinkSeen
from netmgr.values.named_tuple import NamedTuple
from netmgr.wire.netlink import NLM_F_DUMP, Buffer, Message, attribute, attribute_list, attributes, messages, request

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22

RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR = 1, 5, 9
GROUPS = (RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR)

AF_UNSPEC = 0
IFF_UP = 0x1
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MASTER, IFLA_LINKINFO, IFLA_GROUP, IFLA_EXT_MASK = 1, 3, 10, 18, 27, 29
IFLA_PROP_LIST, IFLA_ALT_IFNAME = 52, 53
IFLA_INFO_KIND = 1
RTEXT_FILTER_SKIP_STATS = 8
ARPHRD_ETHER = 1
ETH_ALEN = 6
IFA_ADDRESS, IFA_LOCAL, IFA_FLAGS = 1, 2, 8

_IFINFOMSG = struct.Struct("=BxHiII")
_IFADDRMSG = struct.Struct("=BBBBI")
_UINT = struct.Struct("=I")
_NOTHING = memoryview(b"")

_WIDTHS = {2: 4, 10: 16}



class _Address(NamedTuple):
    ifindex: int
    local: bytes
    prefixlen: int
    peer: bytes
    flags: int


def events(buffer: Buffer) -> Iterator[Event]:
    """Every link and address event in one receive; other messages are passed over.  ProtocolError on nonsense."""
    for message in messages(buffer):
        found = event(message)
        if found is not None:
            yield found


def event(message: Message) -> Optional[Event]:
    """What the message says, if it is about a link or an address."""
    parse = _PARSERS.get(message.type)
    return None if parse is None else parse(message.payload)


def dump_links(seq: int) -> bytes:
    """The request for every link, without the counters that would double the reply."""
    header = _IFINFOMSG.pack(AF_UNSPEC, 0, 0, 0, 0)
    return request(RTM_GETLINK, NLM_F_DUMP, seq, header + attribute(IFLA_EXT_MASK, _UINT.pack(RTEXT_FILTER_SKIP_STATS)))


def dump_addresses(seq: int, ifindex: int = 0) -> bytes:
    """The request for every address of every family, of this link only or of all (0).

    With all families the kernel waits until nobody is changing a link, and so until what its going down does to addresses is done.
    """
    return request(RTM_GETADDR, NLM_F_DUMP, seq, _IFADDRMSG.pack(AF_UNSPEC, 0, 0, 0, ifindex))


def _link_seen(payload: memoryview) -> Optional[Event]:
    family, form, index, flags, _change = _ifinfomsg(payload)
    if family != AF_UNSPEC:
        return None
    found = attributes(payload[_IFINFOMSG.size:])
    name = _name(found.get(IFLA_IFNAME, _NOTHING))
    if not name:
        raise ProtocolError("rtnetlink: link %d has no name" % index)
    kind = _name(attributes(found.get(IFLA_LINKINFO, _NOTHING)).get(IFLA_INFO_KIND, _NOTHING))
    altnames = tuple(_name(value) for which, value in attribute_list(found.get(IFLA_PROP_LIST, _NOTHING)) if which == IFLA_ALT_IFNAME)
    return LinkSeen(index, name, bool(flags & IFF_UP), _number(found, IFLA_GROUP), kind, _number(found, IFLA_MASTER), altnames,
                    _hardware(found.get(IFLA_ADDRESS, _NOTHING)) if form == ARPHRD_ETHER else b"")


def _name(value: memoryview) -> str:
    return bytes(value).split(b"\0", 1)[0].decode("utf-8", "surrogateescape")


def _hardware(value: memoryview) -> bytes:
    """A MAC address; all zeros is none."""
    return bytes(value) if len(value) == ETH_ALEN and any(value) else b""


def _number(found: Dict[int, memoryview], kind: int) -> int:
    """A number of 32 bits, 0 where there is none."""
    value = found.get(kind)
    if value is not None and len(value) != _UINT.size:
        raise ProtocolError("rtnetlink: attribute %d of a link is %d bytes long" % (kind, len(value)))
    return 0 if value is None else int(_UINT.unpack(value)[0])


def _link_gone(payload: memoryview) -> Optional[Event]:
    family, _type, index, _flags, _change = _ifinfomsg(payload)
    return LinkGone(index) if family == AF_UNSPEC else None


def _ifinfomsg(payload: memoryview) -> tuple[int, ...]:
    if len(payload) < _IFINFOMSG.size:
        raise ProtocolError("rtnetlink: a link message of %d bytes" % len(payload))
    return _IFINFOMSG.unpack_from(payload)


def _address_seen(payload: memoryview) -> Optional[Event]:
    address = _address(payload)
    return None if address is None else AddressSeen(*address)


def _address_gone(payload: memoryview) -> Optional[Event]:
    address = _address(payload)
    return None if address is None else AddressGone(*address[:4])


def _address(payload: memoryview) -> Optional[_Address]:
    if len(payload) < _IFADDRMSG.size:
        raise ProtocolError("rtnetlink: an address message of %d bytes" % len(payload))
    family, prefixlen, flags, _scope, index = _IFADDRMSG.unpack_from(payload)
    width = _WIDTHS.get(family)
    if width is None:
        return None
    found = attributes(payload[_IFADDRMSG.size:])
    address = found.get(IFA_ADDRESS)
    local = found.get(IFA_LOCAL, address)
    if local is None or len(local) != width or prefixlen > width * 8:
        raise ProtocolError("rtnetlink: an address of family %d on link %d makes no sense" % (family, index))
    peer = local if address is None else address
    if len(peer) != width:
        raise ProtocolError("rtnetlink: a peer of %d bytes on link %d" % (len(peer), index))
    wide = found.get(IFA_FLAGS)
    if wide is not None:
        if len(wide) != _UINT.size:
            raise ProtocolError("rtnetlink: address flags of %d bytes on link %d" % (len(wide), index))
        flags = _UINT.unpack(wide)[0]
    return _Address(index, bytes(local), prefixlen, bytes(peer), flags)


_PARSERS: Dict[int, Callable[[memoryview], Optional[Event]]] = {
    RTM_NEWLINK: _link_seen, RTM_DELLINK: _link_gone, RTM_NEWADDR: _address_seen, RTM_DELADDR: _address_gone,
}
