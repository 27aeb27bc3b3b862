"""What a thing claims in sets whose keys have several parts, and in maps.

A key pairs what belongs together: an interface with its own addresses or networks.  So each address makes keys of its own, of parts that
come from it and parts that come from its interface; they are those that the same words make in a set of one part.

What is claimed, as the ledger counts it, is [rank] key [a prefix length for each part] [value]: the rank and the value in maps, the prefix
lengths in sets with ranges.  The smaller rank comes first in the configuration, or is that of the older container; of two claims with one
key it has the key.
"""

from itertools import product
from typing import Dict, Iterable, Iterator, List, Optional, Tuple

from netmgr.model.elements import FROM_ADDRESSES, FROM_INTERFACE
from netmgr.model.inventory import Interface
from netmgr.values.addresses import IFA_F_DEPRECATED, IFA_F_SECONDARY, LINK_LOCAL, from_far_end, kinds, local
from netmgr.values.choice import ALL, Choice, counts
from netmgr.values.holds import OWN_ADDRESS, PEERS, Value, by_far_end
from netmgr.values.protocol import Protocol
from netmgr.values.sets import AND, IPV4_ADDR, IPV6_ADDR, WIDTHS, Form, padded

RANK = 6                        # bytes of a rank: of the entry and of the zone in it, or after all of these when a container was made
LAST = b"\xff" * RANK           # of what no entry of `interfaces` has brought


class Wanted(Protocol):
    """What a feed takes: by these words, of the addresses chosen, with this value."""

    @property
    def holds(self) -> str:
        """The words."""

    @property
    def choice(self) -> Choice:
        """The addresses."""

    @property
    def value(self) -> Optional[Value]:
        """The value, in a map."""

    @property
    def suffixes(self) -> Tuple[bytes, ...]:
        """Of hosts."""


def rank(entry: int, position: int) -> bytes:
    """Of the zone at this position in this entry of `interfaces`."""
    return (min(entry, 0xFFFE).to_bytes(2, "big") + min(position, 0xFFFF).to_bytes(2, "big")).ljust(RANK, b"\0")


def rank_of_container(created: int) -> bytes:
    """Of a container that was made then."""
    return b"\xff\xff" + created.to_bytes(4, "big")


def of_interface(wanted: Wanted, form: Form, interface: Interface, rank: bytes) -> List[bytes]:
    """The claims of an interface, in a set whose keys have nothing to do with addresses."""
    return list(_with_value(_keys(wanted, form, interface, b"", 0, wanted.choice), form, wanted.value, rank, b""))


def of_addresses(wanted: Wanted, form: Form, interface: Interface, flags: Dict[bytes, int], rank: bytes) -> List[bytes]:
    """The claims of an interface's addresses."""
    found: List[bytes] = []
    far = by_far_end(wanted.holds, wanted.value)
    for identity, its_flags in flags.items():
        chosen = from_far_end(identity, its_flags) if far else identity
        if chosen and _of_family(wanted.holds, form, identity) and counts(wanted.choice, chosen, its_flags):
            found += _with_value(_keys(wanted, form, interface, identity, its_flags), form, wanted.value, rank, b"")
    return found


def of_primary(wanted: Wanted, form: Form, interface: Interface, flags: Dict[bytes, int], rank: bytes, by_address: bool) -> List[bytes]:
    """The claims of an interface in a map whose values are its primary address; `flags` are all of its addresses."""
    own = primary(flags, WIDTHS[form.value], wanted.choice)
    return [] if own is None else with_primary(wanted, form, interface, flags if by_address else None, rank, own)


def with_primary(wanted: Wanted, form: Form, interface: Interface, flags: Optional[Dict[bytes, int]], rank: bytes,
                 own: bytes) -> List[bytes]:
    """The same, of some of its addresses, or (None) of the interface itself, in a map whose values are this one."""
    chosen = {b"": 0} if flags is None else {
        each: its for each, its in flags.items() if _of_family(wanted.holds, form, each) and counts(wanted.choice, each, its)}
    return [claim for each, its in chosen.items()
            for claim in _with_value(_keys(wanted, form, interface, each, its), form, wanted.value, rank, own)]


def primary(flags: Dict[bytes, int], width: int, choice: Choice) -> Optional[bytes]:
    """The first address that counts and is not secondary, temporary or deprecated; the kernel has new IPv6 addresses before old ones."""
    aside = IFA_F_SECONDARY | (IFA_F_DEPRECATED if width == WIDTHS[IPV6_ADDR] else 0)
    near: Optional[bytes] = None
    for identity in flags if width == WIDTHS[IPV4_ADDR] else reversed(flags):
        its = flags[identity]
        if len(identity) >> 1 == width and not its & aside and counts(choice, identity, its):
            own = local(identity)
            if width == WIDTHS[IPV4_ADDR] or not kinds(own, its) & LINK_LOCAL:
                return own
            near = near or own
    return near


def _of_family(holds: str, form: Form, identity: bytes) -> bool:
    """Whether what is of an address can be of this one; a next hop beside it may be of the other family."""
    return all(WIDTHS[part] == len(identity) >> 1 for word, part in zip(holds.split(AND), form.parts) if word in FROM_ADDRESSES)


def _keys(wanted: Wanted, form: Form, interface: Interface, identity: bytes, flags: int, choice: Choice = ALL) -> Iterator[bytes]:
    """Each key, with the prefix lengths of its parts where the set has ranges; of what is not of an address, what is chosen."""
    several = len(form.parts) > 1

    def of_part(word: str, part: Form) -> Iterable[Tuple[bytes, bytes]]:
        width = WIDTHS[part.type]
        if word in FROM_ADDRESSES:
            own = from_far_end(identity, flags) if word == PEERS else identity
            found = list(FROM_ADDRESSES[word](part, wanted.suffixes)([own] if own else []))
        else:
            found = FROM_INTERFACE[word](interface, part, choice)
        return [(each[:width], each[width:]) for each in found]

    parts = (of_part(word, Form(part, form.interval)) for word, part in zip(wanted.holds.split(AND), form.parts))
    for each in product(*parts):
        keys = [key.ljust(padded(len(key)), b"\0") if several else key for key, _length in each]
        yield b"".join(keys) + b"".join(length for _key, length in each)


def _with_value(keys: Iterable[bytes], form: Form, value: Optional[Value], rank: bytes, own: bytes) -> Iterator[bytes]:
    if value is None:
        yield from keys
    else:
        data = own if value.word == OWN_ADDRESS.word else value.data
        yield from (rank + key + data for key in keys)
