"""What this host's zones hold, for others to be told: single addresses, counted by claims as the ledger counts elements.

Other hosts' addresses are no holdings: what is consumed is never published.
"""

from typing import Dict, Iterable, Sequence, Set, Tuple

from netmgr.config.fleet import MAX_ADDRESSES, Published
from netmgr.model.inventory import Thing, ThingChange
from netmgr.model.zones import Policy
from netmgr.values.addresses import local
from netmgr.values.choice import counts, with_own


class Holdings:
    """Of each published zone the addresses that count.  A zone that has changed stands in `changed` until somebody clears it."""

    def __init__(self, policy: Policy, published: Sequence[Published]) -> None:
        self.changed: Set[str] = set()
        self._policy = policy
        self._choices = {each.zone: with_own(policy.zones[each.zone].choice, each.own) for each in published}
        self._counts: Dict[str, Dict[bytes, int]] = {zone: {} for zone in self._choices}

    def recount(self, things: Iterable[Thing]) -> None:
        """Count everything anew."""
        self._counts = {zone: {} for zone in self._choices}
        for thing in things:
            self._account(thing, 1)
        self.changed = set(self._choices)

    def apply(self, changes: Iterable[ThingChange]) -> None:
        """Account for what the inventory lost and gained."""
        for gained, thing in changes:
            self._account(thing, 1 if gained else -1)

    def addresses(self, zone: str) -> Tuple[bytes, ...]:
        """In order; of more than anybody publishes one more than that."""
        counts = self._counts[zone]
        return tuple(sorted(counts)) if len(counts) <= MAX_ADDRESSES else tuple(counts)[:MAX_ADDRESSES + 1]

    def _account(self, thing: Thing, by: int) -> None:
        for zones, flags in self._policy.located(thing):
            for zone in self._choices.keys() & zones:
                choice = self._choices[zone]
                self._account_in(zone, [local(each) for each, held in flags.items() if counts(choice, each, held)], by)

    def _account_in(self, zone: str, addresses: Iterable[bytes], by: int) -> None:
        counts = self._counts[zone]
        for address in addresses:
            count = counts.get(address, 0) + by
            if count:
                counts[address] = count
            else:
                del counts[address]
            if count == 0 or (count == 1 and by == 1):
                self.changed.add(zone)
