"""The heart: what should be in every set, what is there, and the transaction between the two.

The model is told things (changes of the inventory, what the kernel's sets hold, what became of a transaction) and asked for a
plan.  It has no descriptor and no clock; whoever asks passes the time in.  What concerns one set alone is in managed_set.py.

While it is not yet known which containers run (`hold`), elements that an earlier netmgr left and that nothing claims are spared:
one of them may be a container's, and must not vanish for the moment until the engine has answered.
"""

import errno
from typing import AbstractSet, Dict, Iterable, List, Optional, Sequence, Set, Tuple

from netmgr.config.schema import Config
from netmgr.model.inventory import Inventory, ThingChange
from netmgr.model.ledger import Ledger
from netmgr.model.managed_set import ManagedSet, Role
from netmgr.model.zones import Feed, Policy, feeds_of_zone, tally
from netmgr.values import sets
from netmgr.values.events import ContainerSeen
from netmgr.values.outcomes import Fault, Reading
from netmgr.values.sets import Change, ChangeElements, CreateSet, CreateTable, Form, SetInfo, SetName

CREATED = {"_ips": sets.IPV4_ADDR, "_ips6": sets.IPV6_ADDR}
LOOK_AGAIN = (errno.ENOENT, errno.EEXIST)


class Model:
    """All managed sets of one configuration.

    `unsurveyed` are sets that must be looked at before they can be planned for, `stale` those that may have changed since somebody
    (the include files) last cleared it, `repaired` those in which a commit mended foreign damage since it was last cleared.
    """

    def __init__(self, config: Config, inventory: Inventory) -> None:
        self.config = config
        self.inventory = inventory
        self.policy = Policy(config)
        self.ledger = Ledger()
        self.sets: Dict[SetName, ManagedSet] = {}
        self.unsurveyed: Set[SetName] = set()
        self.stale: Set[SetName] = set()
        self.repaired: Set[SetName] = set()
        self.hold = False
        for container in inventory.containers.values():
            self._know_zones(container)
        self._manage_zones()

    # -- what happens

    def apply(self, changes: Iterable[ThingChange]) -> None:
        """Account for what is gone from the inventory and what it gained."""
        for gained, thing in changes:
            if gained and isinstance(thing, ContainerSeen):
                self._welcome(thing)
            account = self.ledger.claim if gained else self.ledger.release
            for name, elements in self.policy.claims(thing):
                account(name, elements)
            if not gained and isinstance(thing, ContainerSeen):
                self._part_with(thing)

    def observe(self, findings: Dict[SetName, Tuple[Optional[SetInfo], Optional[Reading]]]) -> None:
        """Take in what the kernel's sets are and hold; (None, None) says that there is no such set."""
        forms = {name: self.sets[name].seen.form for name in findings}
        for name, (info, reading) in findings.items():
            managed = self.sets[name]
            managed.observe(info, reading, self._created_form(managed))
        if any(self.sets[name].seen.form != form for name, form in forms.items()):
            self._rebind()
        for name in findings:
            if self.hold and not self.sets[name].role.retiring:
                self.sets[name].spare(self.ledger.wanted(name))
        self.unsurveyed.difference_update(findings)
        self._forget_retired()

    def release_held(self) -> None:
        """All sources have spoken: what nothing claims may go."""
        self.hold = False
        for managed in self.sets.values():
            managed.spare_nothing()

    def retire(self, names: Iterable[SetName]) -> None:
        """Sets of an earlier configuration: take netmgr's elements out of them, then forget them."""
        for name in names:
            if name not in self.sets:
                self.sets[name] = ManagedSet(name, Role())
                self.sets[name].retire()
                self.unsurveyed.add(name)

    def retire_all(self) -> None:
        """Nothing is wanted any more, in any set."""
        for managed in self.sets.values():
            managed.retire()

    def recount(self) -> None:
        """Links and addresses were replaced: count every claim anew, and compare every set as a whole."""
        counts = tally(self.inventory.things(), self.policy)
        for name, managed in self.sets.items():
            self.ledger.replace(name, counts.get(name, {}))
            managed.compare_all()

    # -- what to do about it

    def wanted(self, managed: ManagedSet) -> AbstractSet[bytes]:
        """The elements that the set should hold."""
        return managed.wanted(self.ledger.wanted(managed.name))

    def plan(self, now: float) -> List[Change]:
        """The one transaction that makes every set true that can be; empty when there is nothing to do."""
        touched = self.ledger.touched()
        changes: List[Change] = []
        for name, managed in self.sets.items():
            if (managed.whole or name in touched) and managed.pause.until <= now:
                changes += self._changes(managed)
        return changes

    def unreadable(self, name: SetName, reason: str, now: float) -> None:
        """The set could not be read; it is left alone for a while."""
        self.sets[name].set_aside(reason, now)
        self.unsurveyed.add(name)

    def doubt(self, names: Iterable[SetName]) -> None:
        """These sets may no longer be what they were: they must be looked at."""
        self.unsurveyed.update(names)

    def resume(self) -> None:
        """Try everything again at once."""
        for managed in self.sets.values():
            managed.resume()

    def take_repaired(self) -> List[SetName]:
        """The sets in which a commit mended foreign damage since the last call."""
        repaired = sorted(self.repaired)
        self.repaired.clear()
        return repaired

    def committed(self, changes: Sequence[Change], really: bool = True) -> None:
        """The transaction took effect; not really: from here on suppose that it did."""
        for change in changes:
            if isinstance(change, CreateSet):
                if really:
                    self.unsurveyed.add(change.set)
            elif isinstance(change, ChangeElements) and self.sets[change.set].apply(change) and really:
                self.repaired.add(change.set)
        self._forget_retired()

    def refused(self, changes: Sequence[Change], faults: Sequence[Fault], now: float, again: bool) -> None:
        """The transaction failed.  Sets that may only need another look get one; if this happens `again`, they are left alone first."""
        elements = {change.set: change for change in changes if isinstance(change, ChangeElements)}
        for name in sets.names_of(changes):
            self.sets[name].compare_all()
        for fault in faults:
            managed = None if fault.set is None else self.sets.get(fault.set)
            if managed is None:
                continue
            if fault.errno == errno.ENFILE and managed.name in elements:
                managed.learn_capacity(elements[managed.name], fault.position)
                continue
            if fault.errno in LOOK_AGAIN:
                self.unsurveyed.add(managed.name)
            if again or fault.errno not in LOOK_AGAIN:
                managed.set_aside(fault.reason, now)

    def to_survey(self, now: float) -> List[SetName]:
        """The sets that need a look before they can be planned for."""
        return sorted(name for name in self.unsurveyed if self.sets[name].pause.until <= now) if self.unsurveyed else []

    def next_retry(self, planned: float) -> Optional[float]:
        """When the first set is due that was still set aside at the time of the last plan, if any was."""
        return min((managed.pause.until for managed in self.sets.values() if managed.pause.until > planned), default=None)

    def relies_on_fleeting(self) -> bool:
        """Whether a set is as it is only until somebody else's element in it expires."""
        fleeting = [managed for managed in self.sets.values() if managed.held.expiring or managed.wrong.full]
        return any(managed.relies_on_fleeting(self.ledger.wanted(managed.name)) for managed in fleeting)

    def active(self, zone: str) -> bool:
        """Whether a zone is worth a word when it has no set: the configuration names it, or a container is in it."""
        return zone in self.config.zones or any(zone in self.policy.zones_of_container(container)
                                                for container in self.inventory.containers.values())

    # -- inner parts

    def _changes(self, managed: ManagedSet) -> List[Change]:
        touched = self.ledger.take_touched(managed.name)
        if managed.seen.form is not None:
            self.stale.add(managed.name)
        creations = () if managed.seen.info is not None else self._creations(managed)
        if managed.seen.form is None or creations is None:
            managed.leave_missing()
            return []
        change = managed.plan(self.ledger.wanted(managed.name), touched)
        return [*creations] if change is None else [*creations, change]

    def _creations(self, managed: ManagedSet) -> Optional[Sequence[Change]]:
        """What makes a missing set; None when it is not for netmgr to make it."""
        created = self._created_form(managed)
        if created is None or managed.seen.form != created:
            return None
        return CreateTable(managed.name.family, managed.name.table), CreateSet(managed.name, created.type)

    def _welcome(self, container: ContainerSeen) -> None:
        """A new container may bring new zones, and zones of which missing sets are now worth creating."""
        if self._know_zones(container):
            self._manage_zones()
        if self.config.nftables.create:
            for zone in self.policy.zones_of_container(container):
                missing = (feed.set for feed in feeds_of_zone(self.policy.zones[zone]) if self.sets[feed.set].seen.info is None)
                self.unsurveyed.update(name for name in missing if self._created_form(self.sets[name]) is not None)

    def _know_zones(self, container: ContainerSeen) -> bool:
        """Add the zones that a container's label names.  A name that no set could have is passed over."""
        new = False
        for zone in self.policy.labels_of(container):
            try:
                new |= self.policy.add_zone(zone)
            except ValueError:
                continue
        return new

    def _part_with(self, container: ContainerSeen) -> None:
        """Forget the zones that only labels named, in which no container is any more and of which no set was ever there."""
        for zone in self.policy.labels_of(container):
            if self.policy.only_labelled(zone) and not self.active(zone):
                names = {feed.set for feed in feeds_of_zone(self.policy.zones[zone])}
                if all(self.sets[name].seen.form is None for name in names):
                    self._forget_zone(zone, names)

    def _forget_zone(self, zone: str, names: Set[SetName]) -> None:
        del self.policy.zones[zone]
        self._manage_zones()
        for name in names:
            if not self.sets[name].role.feeds:
                del self.sets[name]
                self.unsurveyed.discard(name)
                self.ledger.forget(name)

    def _manage_zones(self) -> None:
        feeds: Dict[SetName, List[Feed]] = {name: [] for name, managed in self.sets.items() if not managed.role.retiring}
        for zone in self.policy.zones.values():
            for feed in feeds_of_zone(zone):
                feeds.setdefault(feed.set, []).append(feed)
        for name, of_set in feeds.items():
            exclusive = any(self.policy.zones[feed.zone].exclusive for feed in of_set)
            if name in self.sets:
                self.sets[name].feed(of_set, exclusive)
            else:
                self.sets[name] = ManagedSet(name, Role(tuple(of_set), exclusive))
                self.unsurveyed.add(name)

    def _rebind(self) -> None:
        """Forms have changed: count every claim anew."""
        self.policy.bind({name: managed.seen.form for name, managed in self.sets.items() if managed.seen.form is not None})
        self.recount()

    def _created_form(self, managed: ManagedSet) -> Optional[Form]:
        """The form of the set that netmgr makes when this one is missing; None when it makes none."""
        if not self.config.nftables.create or managed.role.retiring:
            return None
        zones = [feed.zone for feed in managed.role.feeds if feed.holds == "addresses" and self.policy.zones[feed.zone].convention]
        return next((Form(CREATED[suffix]) for zone in zones if self.active(zone)
                     for suffix in CREATED if managed.name.name == zone + suffix), None)

    def _forget_retired(self) -> None:
        for name in [name for name, managed in self.sets.items() if managed.role.retiring and not managed.held.ours]:
            if name not in self.unsurveyed:
                del self.sets[name]
