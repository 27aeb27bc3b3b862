"""How many addresses of each interface count: for the usual choice of one of its zones' sets.

An interface is counted when somebody asks for the first time, a few addresses at a time; from then on each change is accounted for, so
an answer costs the number of interfaces, not of addresses.
"""

from itertools import islice
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Tuple

from netmgr.model.inventory import Addresses, Interface, Inventory, ThingChange
from netmgr.model.zones import REMEMBERED, Policy
from netmgr.values.choice import Choice, counts
from netmgr.values.holds import ADDRESSES, by_far_end, made_of

AT_ONCE = 256           # addresses


class _Counting:
    """An interface that is being counted, and what has come and gone since that began."""

    def __init__(self, interface: Interface) -> None:
        self.interface, self.since = interface, 0


class AddressCounts:
    """Under one configuration.  An address counts if a set of a zone that the interface is in may take it."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._counts: Dict[Interface, int] = {}
        self._due: Optional[Dict[int, None]] = None         # interfaces that are to be counted; None: all
        self._under_way: List[_Counting] = []
        self._choices: Dict[Interface, Optional[Sequence[Choice]]] = {}

    def clear(self) -> None:
        """What was there may be no more."""
        self._counts.clear()
        self._under_way.clear()
        self._due = None

    def apply(self, changes: Iterable[ThingChange]) -> None:
        """Account for what the inventory lost and gained."""
        for gained, thing in changes:
            if isinstance(thing, Interface):
                self._counts.pop(thing, None)
                self._under_way = [each for each in self._under_way if each.interface != thing]
                if gained and self._due is not None:
                    self._due[thing.ifindex] = None
            elif isinstance(thing, Addresses):
                self._account(thing, 1 if gained else -1)

    def _account(self, thing: Addresses, by: int) -> None:
        interface = thing.interface
        known = interface in self._counts
        if known or self._under_way:
            number = by * self._number(interface, thing.flags.items())
            if known:
                self._counts[interface] += number
            for each in self._under_way:
                if each.interface == interface:
                    each.since += number

    def complete(self, inventory: Inventory) -> Iterator[None]:
        """Count what has not been counted yet, bit by bit."""
        while self._due is None or self._due:
            if self._due is None:
                self._due = dict.fromkeys(inventory.links)
            for ifindex in list(islice(self._due, 1)):
                if ifindex in inventory.links and self._chosen(inventory.interface(ifindex)) is not None:
                    yield from self._count(inventory.interface(ifindex), inventory.lend_of(ifindex))
                elif self._due is not None:
                    del self._due[ifindex]

    def _count(self, interface: Interface, flags: Dict[bytes, int]) -> Iterator[None]:
        """If it is another one meanwhile, in vain."""
        counting, number, rest = _Counting(interface), 0, iter(flags.items())
        self._under_way.append(counting)
        try:
            for some in iter(lambda: list(islice(rest, AT_ONCE)), []):
                number += self._number(interface, some)
                yield
            if counting in self._under_way and self._due is not None:
                self._counts[interface] = number + counting.since
                self._due.pop(interface.ifindex, None)
        finally:
            self._under_way = [each for each in self._under_way if each is not counting]

    def told(self) -> Dict[str, int]:
        """By name, those of each interface that is in a zone and has been counted."""
        return {interface.name: number for interface, number in self._counts.items()}

    def _number(self, interface: Interface, flags: Iterable[Tuple[bytes, int]]) -> int:
        chosen = self._chosen(interface) or ()
        return sum(any(counts(choice, key, held) for choice in chosen) for key, held in flags)

    def _chosen(self, interface: Interface) -> Optional[Sequence[Choice]]:
        """What the sets of its zones choose; None if it is in no zone."""
        if interface not in self._choices:
            if len(self._choices) >= REMEMBERED:
                self._choices.clear()
            zones = self._policy.zones_of_interface(interface)
            feeds = {(feed.holds, feed.value, feed.choice) for zone in zones for feed in self._policy.feeds[zone]}
            found = {choice for holds, value, choice in feeds if made_of(holds) == ADDRESSES and not by_far_end(holds, value)}
            self._choices[interface] = tuple(found) if zones else None
        return self._choices[interface]
