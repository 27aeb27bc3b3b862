"""How names, addresses, paths and modes are written: each function takes a text and returns its value, or raises ValueError.

The ValueError's text says what is wrong where that is not plain.  Names are what both nft's grammar (`string` in its scanner) and
the kernel take; the limits are those of the kernel's fixed-size fields.
"""

from __future__ import annotations

import re
from fnmatch import translate
from struct import pack
from typing import Optional, Tuple, Union

from netmgr.config.convention import LONGEST_SUFFIX
from netmgr.values import addresses

FAMILIES = ("inet", "ip", "ip6", "bridge", "netdev", "arp")

LONGEST_NAME = 255          # NFT_NAME_MAXLEN without its NUL
LONGEST_ZONE = LONGEST_NAME - LONGEST_SUFFIX
LONGEST_INTERFACE = 15      # IFNAMSIZ without its NUL
LONGEST_SOCKET_PATH = 107   # sun_path without its NUL

LONGEST_ENGINE = 60

ENGINE_NAME = "[A-Za-z0-9][A-Za-z0-9_.-]{0,%d}" % (LONGEST_ENGINE - 1)
IDENTIFIER = "[A-Za-z_.][A-Za-z0-9_./-]*"
_NOT_IN_INTERFACES = b"/: \t\n\v\f\r\xa0"     # dev_valid_name(), with the kernel's isspace()
_MODE = r"(?:0o?)?([0-7]{1,3})"


def identifier(text: str) -> str:
    """A name that nftables takes for a table or a set."""
    return _identifier(text, LONGEST_NAME)


def zone_name(text: str) -> str:
    """A name that nftables takes with each ending of the convention, too."""
    return _identifier(text, LONGEST_ZONE)


def table(text: str) -> Tuple[str, str]:
    """FAMILY TABLE"""
    words = text.split()
    if len(words) != 2:
        raise ValueError
    if words[0] not in FAMILIES:
        raise ValueError("the families are " + ", ".join(FAMILIES))
    return words[0], identifier(words[1])


def set_name(text: str) -> Tuple[Optional[Tuple[str, str]], str]:
    """NAME, or FAMILY TABLE NAME: the table, if there is one, and the name."""
    words = text.split()
    if len(words) != 3:
        return None, identifier(text)
    return table(" ".join(words[:2])), identifier(words[2])


def pattern(text: str) -> str:
    """A name or a shell pattern, as fnmatch has them."""
    if word(text).rfind("[") > text.rfind("]"):
        raise ValueError("a [ without its ]")
    try:
        re.compile(translate(text))
    except re.error as error:
        raise ValueError(str(error)) from None
    return text


def zone_pattern(text: str) -> str:
    """The name of a zone, or a shell pattern for such."""
    return pattern(text) if any(each in text for each in "*?[") else zone_name(text)


def network_pattern(text: str) -> str:
    """The name of a container network or a shell pattern; engines take almost anything for a name."""
    if not text.strip() or not text.isprintable():
        raise ValueError
    return text


def interface_name(text: str) -> str:
    """A name that an interface can have, in which no sign means anything else."""
    if len(text.encode()) > LONGEST_INTERFACE:
        raise ValueError("a name has at most %d bytes" % LONGEST_INTERFACE)
    return interface_pattern(word(text))


def group(text: str) -> Union[int, str]:
    """The number of a group of interfaces, or a name for one."""
    if not text[:1].isdigit() and text[:1] not in "+-":
        return word(text)
    if re.fullmatch("0|[1-9][0-9]{0,9}", text) is None or int(text) > 0xFFFFFFFF:
        raise ValueError
    return int(text)


def interface_pattern(text: str) -> str:
    """A name that an interface can have, or a shell pattern for such."""
    if any(each in _NOT_IN_INTERFACES for each in text.encode()):
        raise ValueError("no interface has / or : or white space in its name")
    if not any(each in text for each in "*?[") and (len(text.encode()) > LONGEST_INTERFACE or text in (".", "..")):
        raise ValueError("a name has at most %d bytes, and is not . or .." % LONGEST_INTERFACE)
    return pattern(text)


def address(text: str) -> Tuple[bytes, Optional[int]]:
    """ADDRESS/LENGTH or ADDRESS: packed, with the prefix length if there is one."""
    before, slash, length = text.partition("/")
    if "%" in before or (slash and not (length.isascii() and length.isdigit())):
        raise ValueError
    try:
        packed, prefixlen = addresses.parse(text)
    except ValueError:
        raise ValueError from None
    return packed, prefixlen if slash else None


def suffix(text: str) -> bytes:
    """The host part of an address, as an address of which the network's part is zero."""
    packed, prefixlen = address(text)
    if prefixlen is not None:
        raise ValueError("the length of the prefix is the network's")
    if not any(packed):
        raise ValueError("a host has other bits than zeros")
    return packed


def expected_address(text: str) -> Tuple[bytes, Optional[int]]:
    """An address that an interface can have."""
    packed, prefixlen = address(text)
    if prefixlen is not None and prefixlen < len(packed) * 8 - 1 and addresses.network(packed, prefixlen) == packed:
        raise ValueError("that is the network itself; an interface's address in it has other bits after the first %d" % prefixlen)
    return packed, prefixlen


def path(text: str) -> str:
    """An absolute path."""
    if not text.startswith("/") or not text.isprintable():
        raise ValueError
    return text


def socket_path(text: str) -> str:
    """An absolute path that fits a socket's address."""
    if len(text.encode()) > LONGEST_SOCKET_PATH:
        raise ValueError("a socket's address has room for %d bytes" % LONGEST_SOCKET_PATH)
    return path(text)


def engine_socket(text: str) -> str:
    """The same, with or without the unix:// that engines write before it."""
    if "://" in text and not text.startswith("unix://"):
        raise ValueError("engines are asked on unix sockets only")
    return socket_path(text[len("unix://"):] if text.startswith("unix://") else text)


def engine_name(text: str) -> str:
    """A short word for an engine."""
    if re.fullmatch(ENGINE_NAME, text) is None:
        raise ValueError("letters, digits and _ . - make a name, at most %d of them" % LONGEST_ENGINE)
    return text


def mode(text: str) -> int:
    """Permission bits in octal, with or without a leading 0 or 0o."""
    match = re.fullmatch(_MODE, text)
    if match is None:
        raise ValueError
    return int(match.group(1), 8)


def host_order(number: int) -> bytes:
    """A number of 32 bits as this machine has it, and so the kernel."""
    return pack("=I", number)


def word(text: str) -> str:
    """Anything that prints and has no white space."""
    if not text or not text.isprintable() or " " in text:
        raise ValueError
    return text


def _identifier(text: str, longest: int) -> str:
    if re.fullmatch(IDENTIFIER, text) is None:
        raise ValueError("nftables allows letters, digits and _ . / - in a name, and no digit, / or - at its beginning")
    if len(text) > longest:
        raise ValueError("at most %d characters" % longest)
    return text
