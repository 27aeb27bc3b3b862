"""Which addresses count, by kinds and networks: those that are of nothing excluded and, where `only` says anything, of one of that."""

from __future__ import annotations

from typing import Iterable, List, Optional, Tuple

from netmgr.values.addresses import (
    GLOBAL,
    IFA_F_DADFAILED,
    KINDS,
    LINK_LOCAL,
    LOOPBACK,
    SINGLE,
    UNUSABLE,
    kinds,
    kinds_by_flags,
    local,
    network,
    prefixlen,
)
from netmgr.values.named_tuple import NamedTuple

Network = Tuple[bytes, bytes]       # its first and its last address
Part = Tuple[int, Tuple[Network, ...]]      # kinds as a mask, and networks


class Choice(NamedTuple):
    """Made by choose().  `special`: it takes more than a look at the kinds, which is what `exclude` alone says."""

    exclude: int
    special: bool = False
    networks: Tuple[Network, ...] = ()
    only: int = 0
    only_networks: Tuple[Network, ...] = ()


def choose(exclude: int, networks: Iterable[Network] = (), only: int = 0, only_networks: Iterable[Network] = ()) -> Choice:
    """Kinds as masks.  Addresses that the kernel does not hold for usable never count."""
    without, within = tuple(networks), tuple(only_networks)
    special = bool(without or within or only or exclude & (SINGLE | GLOBAL))
    return Choice(exclude | UNUSABLE, special, without, only, within)


class Own(NamedTuple):
    """What a set, say, has to say for itself; None where what it belongs to counts."""

    exclude: Optional[Part] = None
    only: Optional[Part] = None


def with_own(choice: Choice, own: Own) -> Choice:
    """A choice in which one's own part replaces that of what one belongs to."""
    exclude = (choice.exclude, choice.networks) if own.exclude is None else own.exclude
    return choose(*exclude, *((choice.only, choice.only_networks) if own.only is None else own.only))


USUAL = choose(LINK_LOCAL | LOOPBACK)
ALL = choose(0)


def network_of(address: bytes, length: int) -> Network:
    """The network that an address with this prefix length is in."""
    first = network(address, length)
    return first, (int.from_bytes(first, "big") | (1 << len(address) * 8 - length) - 1).to_bytes(len(address), "big")


def counts(choice: Choice, identity: bytes, flags: int) -> bool:
    """Whether an address is chosen."""
    own = local(identity)
    mask = kinds(own, flags) | (SINGLE if prefixlen(identity) == len(own) * 8 else 0)
    if mask & choice.exclude or _is_within(own, choice.networks):
        return False
    return not (choice.only or choice.only_networks) or bool(mask & choice.only) or _is_within(own, choice.only_networks)


def objections(choice: Choice, identity: bytes, flags: int) -> List[str]:
    """Why an address is not chosen, in words; none when it is."""
    own = local(identity)
    if kinds_by_flags(len(own) == 16, flags) & UNUSABLE:
        return ["dadfailed" if flags & IFA_F_DADFAILED else "tentative"]
    mask = kinds(own, flags) | (SINGLE if prefixlen(identity) == len(own) * 8 else 0)
    words = [word for word, kind in KINDS.items() if kind & mask & choice.exclude]
    words += ["network"] if _is_within(own, choice.networks) else []
    return words or ([] if counts(choice, identity, flags) else ["not_only"])


def _is_within(address: bytes, networks: Tuple[Network, ...]) -> bool:
    return any(len(first) == len(address) and first <= address <= last for first, last in networks)
