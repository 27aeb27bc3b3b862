"""Prefixes, very many at a time: a key of `width` bytes, and a byte with how many of its bits count.

Bytes at the same place in all keys are taken as one long number, and so are the masks that belong to them: what Python does for each
key by itself takes ten times as long.
"""

from __future__ import annotations

from itertools import chain
from struct import Struct, unpack
from typing import Collection, Iterable, List

# How much of a byte is the host's, by the length of the prefix: of the first byte from _FIRST on, of the next from 8 places before.
_HOST, _FIRST = b"\xff" * 512 + b"\x7f\x3f\x1f\x0f\x07\x03\x01" + b"\0" * 256, 511
_NETWORK = bytes(255 - each for each in _HOST)
_NUMBERS = {1: "B", 2: "H", 4: "I", 8: "Q"}     # as struct has them


def lengths(prefixes: Collection[bytes], width: int) -> bytes:
    """How many bits of each count."""
    return b"".join(prefixes)[width::width + 1]


def numbers(prefixes: Collection[bytes], width: int) -> Iterable[int]:
    """Their keys."""
    if width not in _NUMBERS:
        return (int.from_bytes(each, "big") >> 8 for each in prefixes)
    packed, count = b"".join(prefixes), len(prefixes)
    keys = bytearray(count * width)
    for place in range(width):
        keys[place::width] = packed[place::width + 1]
    return unpack(">%d%s" % (count, _NUMBERS[width]), keys)


def of_identities(identities: Collection[bytes], width: int) -> List[bytes]:
    """The networks of local addresses, as their prefixes, from what identifies these: see addresses.identity."""
    packed, size, count = b"".join(identities), 2 * width + 1, len(identities)
    lengths, found = packed[size - 1::size], bytearray(count * (width + 1))
    for place in range(width):
        mask = int.from_bytes(lengths.translate(_table(_NETWORK, place)), "big")
        found[place::width + 1] = (int.from_bytes(packed[place::size], "big") & mask).to_bytes(count, "big")
    found[width::width + 1] = lengths
    return _pieces(found, width + 1)


def ranges(prefixes: Collection[bytes], width: int) -> List[bytes]:
    """From the first key of each to its last."""
    packed, size, count = b"".join(prefixes), width + 1, len(prefixes)
    lengths, found = packed[width::size], bytearray(count * width * 2)
    for place in range(width):
        keys = packed[place::size]
        mask = int.from_bytes(lengths.translate(_table(_HOST, place)), "big")
        found[place::width * 2] = keys
        found[width + place::width * 2] = (int.from_bytes(keys, "big") | mask).to_bytes(count, "big")
    return _pieces(found, width * 2)


def _table(of_first: bytes, place: int) -> bytes:
    """For bytes at this place in a key."""
    return of_first[_FIRST - 8 * place:][:256]


def _pieces(packed: bytearray, size: int) -> List[bytes]:
    return list(chain.from_iterable(Struct("%ds" % size).iter_unpack(packed)))
