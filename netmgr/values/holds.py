"""What a set can be said to hold: one row for each word.

The configuration's `holds` takes these words, and the convention uses them; elements.py in model/ says which elements they mean.  A list of
words is a concatenation, here the words with a dot between them, as nft writes the type.
"""

from __future__ import annotations

from functools import cache
from typing import Dict, Optional, Tuple

from netmgr.values.named_tuple import NamedTuple
from netmgr.values.sets import (
    AND,
    ETHER_ADDR,
    IFACE_INDEX,
    IFNAME,
    INET_PROTO,
    INET_SERVICE,
    IPV4_ADDR,
    IPV6_ADDR,
    NFT_SET_ANONYMOUS,
    NFT_SET_CONSTANT,
    NFT_SET_MAP,
    NFT_SET_OBJECT,
    VERDICT,
    Form,
    SetInfo,
    form_of,
    type_text,
)
from netmgr.values.verdicts import chain_of

ADDRESSES, INTERFACES = "addresses", "interfaces"       # what elements are made of, and the word for those that are just that
NETWORKS, HOSTS, PEERS, GATEWAYS, PUBLISHED_PORTS = "networks", "hosts", "peers", "gateways", "published_ports"
HARDWARE_ADDRESSES, INDEXES = "hardware_addresses", "indexes"


class Word(NamedTuple):
    """What a set holds: made of what, and the types of set (as nft calls them) that can hold it; `ranges`: only with flags interval
    (True), or only without (False).

    `excludes`: kinds of addresses are left out even where nothing says so.
    """

    name: str
    of: str
    types: Tuple[str, ...]
    ranges: Optional[bool] = None
    excludes: bool = True


WORDS: Dict[str, Word] = {word.name: word for word in (
    Word(ADDRESSES, ADDRESSES, (IPV4_ADDR, IPV6_ADDR)),
    Word(NETWORKS, ADDRESSES, (IPV4_ADDR, IPV6_ADDR), ranges=True),
    Word(HOSTS, ADDRESSES, (IPV4_ADDR, IPV6_ADDR)),
    Word(PEERS, ADDRESSES, (IPV4_ADDR, IPV6_ADDR), excludes=False),
    Word(INTERFACES, INTERFACES, (IFNAME,)),
    Word(HARDWARE_ADDRESSES, INTERFACES, (ETHER_ADDR,)),
    Word(INDEXES, INTERFACES, (IFACE_INDEX,), ranges=False),
    Word(GATEWAYS, INTERFACES, (IPV4_ADDR, IPV6_ADDR), excludes=False),
    Word(PUBLISHED_PORTS, PUBLISHED_PORTS, (INET_SERVICE, INET_PROTO + AND + INET_SERVICE)),
)}


class Value(NamedTuple):
    """What the elements of a map are mapped to: a word for what that is, the types of such values, and the bytes, where they are given."""

    word: str
    types: Tuple[str, ...]
    data: bytes = b""

    @property
    def chain(self) -> Optional[str]:
        """The chain that it names, if it does."""
        return chain_of(self.data) if self.word == VERDICT else None


IMPLIED = {PUBLISHED_PORTS: Value("endpoint", (IPV4_ADDR + AND + INET_SERVICE, IPV6_ADDR + AND + INET_SERVICE))}
OWN_ADDRESS = Value("address", (IPV4_ADDR, IPV6_ADDR))      # an interface's primary address


@cache
def words_in(holds: str) -> Tuple[Word, ...]:
    """The words of what a set holds; of a concatenation there are several."""
    return tuple(WORDS[word] for word in holds.split(AND))


def made_of(holds: str) -> str:
    """What elements are made of: of addresses if one of their parts is."""
    made = [word.of for word in words_in(holds)]
    return ADDRESSES if ADDRESSES in made else made[0]


def excludes(holds: str, value: Optional[Value] = None) -> bool:
    """Whether kinds of addresses are left out by default: of what the interface has itself, not of what others have."""
    words = words_in(holds)
    return (value == OWN_ADDRESS or any(word.of == ADDRESSES and word.excludes for word in words)
            or all(word.excludes for word in words))


def by_far_end(holds: str, value: Optional[Value] = None) -> bool:
    """Whether addresses are chosen by their far ends."""
    return made_of(holds) == ADDRESSES and not excludes(holds, value)


def fits(form: Form, holds: str, value: Optional[Value] = None) -> bool:
    """Whether a set of this form can hold it."""
    words = words_in(holds)
    parts = form.parts if len(words) > 1 else (form.type,)
    return (len(parts) == len(words) and all(part in word.types for part, word in zip(parts, words))
            and all(word.ranges in (None, form.interval) for word in words)
            and (not form.value if value is None else form.value in value.types))


def agree(holds: str, value: Optional[Value], other: str, of_other: Optional[Value]) -> bool:
    """Whether there can be a set that holds both."""
    one, another = words_in(holds), words_in(other)
    keys = len(one) == len(another) and all(
        not set(word.types).isdisjoint(beside.types) and (word.ranges is None or beside.ranges in (None, word.ranges))
        for word, beside in zip(one, another))
    if value is None or of_other is None:
        return keys and value is of_other
    return keys and not set(value.types).isdisjoint(of_other.types)


def right_types(holds: str, value: Optional[Value] = None) -> str:
    """The types of set that can hold it, in words."""
    keys = AND.join(" or ".join(word.types) for word in words_in(holds))
    return keys if value is None else "%s : %s" % (keys, " or ".join(value.types))


def misfit(info: SetInfo, holds: str, value: Optional[Value] = None) -> Optional[str]:
    """Why a set cannot hold it, in words for the user; None when it can."""
    right, form = right_types(holds, value), form_of(info)
    what = "set" if value is None else "map"
    if info.flags & NFT_SET_OBJECT or (value is None and info.flags & NFT_SET_MAP):
        return "it is a map; expected a %s of %s" % (what, right)
    if info.flags & NFT_SET_ANONYMOUS:
        return "it is a meter, which only its rule fills; expected a %s of %s" % (what, right)
    if info.flags & NFT_SET_CONSTANT:
        return "it is constant: a set with flags constant takes no further elements"
    if info.owned:
        return "its table belongs to another program, and only that may change it"
    if value is not None and not info.flags & NFT_SET_MAP:
        return "it is no map; expected a map of %s" % right
    if form is None:
        return "its type is not one that netmgr fills; expected %s" % right
    if not fits(form, holds, value):
        return _misshapen(form, holds, value, what)
    if value is not None and value.chain in info.lacking:
        return "there is no chain %s in its table" % value.chain
    return None


def _misshapen(form: Form, holds: str, value: Optional[Value], what: str) -> str:
    if not fits(form._replace(interval=not form.interval), holds, value):
        return "its type is %s; %s need %s" % (type_text(form), holds, right_types(holds, value))
    if form.interval:
        return "it has ranges; %s need a %s without flags interval" % (holds, what)
    return "it has no ranges; %s need a %s with flags interval" % (holds, what)
