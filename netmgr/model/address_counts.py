"""How many addresses of each interface count: for the usual choice of one of its zones' sets.

An interface is counted as a whole when somebody asks for the first time; from then on each change is accounted for, so an answer costs
the number of interfaces, not of addresses.
"""

from typing import Dict, Iterable, List, Tuple

from netmgr.model.inventory import Addresses, Interface, ThingChange
from netmgr.model.zones import Policy
from netmgr.values.choice import Choice, counts
from netmgr.values.holds import ADDRESSES, by_far_end, made_of


class AddressCounts:
    """By the interface's name, under one configuration.  An address counts if a set of a zone that the interface is in may take it."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._counts: Dict[str, int] = {}
        self._choices: Dict[Tuple[str, ...], List[Choice]] = {}

    def clear(self) -> None:
        """What was there may be no more."""
        self._counts.clear()

    def apply(self, changes: Iterable[ThingChange]) -> None:
        """Account for what the inventory lost and gained."""
        for gained, thing in changes:
            if isinstance(thing, Interface):
                self._counts.pop(thing.name, None)
            elif isinstance(thing, Addresses) and thing.interface.name in self._counts:
                number = self._number(thing)
                self._counts[thing.interface.name] += number if gained else -number

    def of(self, interfaces: Iterable[Tuple[Interface, Addresses]]) -> Dict[str, int]:
        """Of each of these that is in a zone."""
        found = {}
        for interface, addresses in interfaces:
            if self._policy.zones_of_interface(interface):
                if interface.name not in self._counts:
                    self._counts[interface.name] = self._number(addresses)
                found[interface.name] = self._counts[interface.name]
        return found

    def _number(self, addresses: Addresses) -> int:
        zones = self._policy.zones_of_interface(addresses.interface)
        if zones not in self._choices:
            feeds = (feed for zone in zones for feed in self._policy.feeds[zone]
                     if made_of(feed.holds) == ADDRESSES and not by_far_end(feed.holds, feed.value))
            self._choices[zones] = list(dict.fromkeys(feed.choice for feed in feeds))
        choices, flags = self._choices[zones], addresses.flags
        return sum(any(counts(choice, key, held) for choice in choices) for key, held in flags.items())
