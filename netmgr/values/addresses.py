"""Addresses as packed bytes: what kind they are, their network, their text.

A kind is one bit; `kinds()` gives all that apply, so that "is it of any excluded kind" is one AND.  UNUSABLE is a kind that no
configuration names and every exclusion contains: an IPv6 address whose uniqueness is not settled (RFC 4862: tentative, unless
optimistic by RFC 4429) or was refuted.  The flag values are those of linux/if_addr.h.

Loading ipaddress takes milliseconds, so it waits until an IPv6 address must be written or any address read.
"""

from __future__ import annotations

from functools import cache
from typing import Dict, Tuple

IFA_F_SECONDARY = IFA_F_TEMPORARY = 0x01
IFA_F_NODAD = 0x02
IFA_F_OPTIMISTIC = 0x04
IFA_F_DADFAILED = 0x08
IFA_F_HOMEADDRESS = 0x10
IFA_F_DEPRECATED = 0x20
IFA_F_TENTATIVE = 0x40
IFA_F_PERMANENT = 0x80
IFA_F_MANAGETEMPADDR = 0x100
IFA_F_NOPREFIXROUTE = 0x200
IFA_F_MCAUTOJOIN = 0x400
IFA_F_STABLE_PRIVACY = 0x800
IFA_F_ALL, PEER_AT = 0xFFFFFFFF, 32         # above the flags: the peer of an IPv6 address that has one

LINK_LOCAL, PRIVATE, LOOPBACK, TEMPORARY, DEPRECATED = (1 << bit for bit in range(5))
DYNAMIC, PERMANENT, SECONDARY, GLOBAL, SINGLE, UNUSABLE = (1 << bit for bit in range(5, 11))

KINDS: Dict[str, int] = {
    "link_local": LINK_LOCAL, "private": PRIVATE, "loopback": LOOPBACK, "temporary": TEMPORARY, "deprecated": DEPRECATED,
    "dynamic": DYNAMIC, "permanent": PERMANENT, "secondary": SECONDARY, "global": GLOBAL, "single": SINGLE,
}

_LOOPBACK6 = bytes(15) + b"\x01"
_BEGINNINGS = {LINK_LOCAL: b"\xa9\xfe", PRIVATE: b"\x0a\x64\xac\xc0\xfc\xfd", LOOPBACK: b"\x7f\x00"}


def kinds(local: bytes, flags: int) -> int:
    """Every kind that an address with these IFA_FLAGS is of, as a mask; but for SINGLE, which is a matter of the prefix length."""
    six = len(local) == 16
    return _BY_FLAGS[six][flags & 0xFF] | (_BY_FIRST[six][local[0]] or (_by_value(local) if six else _BY_SECOND[local[0]][local[1]]))


def suspicious(first_bytes: bytes, kinds: int) -> bool:
    """Whether an address that begins with one of these bytes may be of one of these kinds, whatever its flags are."""
    return any(first in first_bytes for kind, firsts in _BEGINNINGS.items() if kind & kinds for first in firsts)


@cache
def harmless(six: bool, kinds: int) -> Tuple[bytes, bytes]:
    """Two tables: an address is of none of these kinds if both have a 1, for the lowest byte of its flags and for its own first byte.

    Not for GLOBAL.
    """
    clean = bytearray(b"\1") * 256
    for kind, firsts in _BEGINNINGS.items():
        for first in firsts if kind & kinds else b"":
            clean[first] = 0
    return bytes([not mask & kinds for mask in _BY_FLAGS[six]]), bytes(clean)


def kinds_by_flags(six: bool, flags: int) -> int:
    """The kinds that the IFA_FLAGS alone make; all that matter of these are the lowest eight bits."""
    mask = PERMANENT if flags & IFA_F_PERMANENT else DYNAMIC
    if flags & IFA_F_DEPRECATED:
        mask |= DEPRECATED
    if flags & IFA_F_SECONDARY:
        mask |= TEMPORARY if six else SECONDARY
    if flags & IFA_F_DADFAILED or flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC) == IFA_F_TENTATIVE:
        mask |= UNUSABLE
    return mask


_BY_FLAGS = tuple(tuple(kinds_by_flags(six, flags) for flags in range(256)) for six in (False, True))


def _by_byte(*others: Tuple[int, int, int]) -> Tuple[int, ...]:
    """The kind by one byte: GLOBAL but for others, each from one byte to another."""
    found = [GLOBAL] * 256
    for kind, first, last in others:
        found[first:last + 1] = [kind] * (last + 1 - first)
    return tuple(found)


# The kind of all addresses that begin with a byte, of IPv4 and of IPv6; 0 where it takes more than that to know.
_BY_FIRST = (_by_byte((PRIVATE, 10, 10), (0, 100, 100), (LOOPBACK, 127, 127), (0, 169, 169), (0, 172, 172), (0, 192, 192)),
             _by_byte((0, 0x00, 0x00), (PRIVATE, 0xFC, 0xFD), (0, 0xFE, 0xFE)))
_BY_SECOND = {100: _by_byte((PRIVATE, 64, 127)), 169: _by_byte((LINK_LOCAL, 254, 254)), 172: _by_byte((PRIVATE, 16, 31)),
              192: _by_byte((PRIVATE, 168, 168))}


def _by_value(local: bytes) -> int:
    """The kind of an IPv6 address of which the first byte does not tell it."""
    if local[0] == 0xFE and local[1] & 0xC0 == 0x80:
        return LINK_LOCAL
    return LOOPBACK if local == _LOOPBACK6 else GLOBAL


def network(address: bytes, prefixlen: int) -> bytes:
    """The address with its host bits cleared."""
    host_bits = len(address) * 8 - prefixlen
    return (int.from_bytes(address, "big") >> host_bits << host_bits).to_bytes(len(address), "big")


def text(address: bytes) -> str:
    """The usual notation (RFC 5952 for IPv6)."""
    if len(address) == 4:
        return "%d.%d.%d.%d" % tuple(address)
    from ipaddress import IPv6Address
    return str(IPv6Address(address))


def parse(notation: str) -> Tuple[bytes, int]:
    """ADDRESS or ADDRESS/LENGTH as (packed address with its host bits, prefix length).  ValueError on anything else."""
    from ipaddress import ip_interface
    interface = ip_interface(notation)
    return interface.ip.packed, interface.network.prefixlen


def identity(local: bytes, prefixlen: int, peer: bytes) -> bytes:
    """What makes an address on one link the same address; of an IPv6 address the peer may change."""
    return local + (peer if len(local) == 4 else local) + bytes((prefixlen,))


def local(identity: bytes) -> bytes:
    """Our own end of the address."""
    return identity[:len(identity) >> 1]


def with_peer(flags: int, local: bytes, peer: bytes) -> int:
    """The flags of an address; of an IPv6 address with what its peer is just now, if it has one."""
    return flags if peer == local or len(local) == 4 else flags | int.from_bytes(peer, "big") << PEER_AT


def from_far_end(identity: bytes, flags: int) -> bytes:
    """The same address as the far end has it: with the peer before our own end.  Empty where there is no peer."""
    width = len(identity) >> 1
    own, peer = identity[:width], identity[width:width * 2]
    if flags > IFA_F_ALL:
        peer = (flags >> PEER_AT).to_bytes(width, "big")
    return peer + own + identity[-1:] if own != peer else b""


def prefixlen(identity: bytes) -> int:
    """The prefix length of the address."""
    return identity[-1]
