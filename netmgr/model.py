"""The heart: what should be in every set, what is there, and the transaction between the two.

The model is told things (changes of the inventory, what the kernel's sets hold, what became of a transaction) and asked for a
plan.  It has no descriptor and no clock; the daemon passes the time in.

A set is `whole` when all of it must be compared, which is so after it was read and after a transaction failed.  Otherwise only
the elements that the ledger calls touched are looked at, so that an event costs the same in a set of ten and of 100,000.

While it is not yet known which containers run (`hold`), elements that an earlier netmgr left and that nothing claims are spared:
one of them may be a container's, and must not vanish for the moment until the engine has answered.
"""

import errno
from typing import AbstractSet, Dict, Iterable, Iterator, List, Optional, Sequence, Set, Tuple

from netmgr import ranges, sets
from netmgr.config import Config
from netmgr.events import ContainerSeen
from netmgr.inventory import Change as Happening
from netmgr.inventory import Inventory
from netmgr.ledger import Ledger
from netmgr.nft import Fault
from netmgr.nftread import Reading
from netmgr.sets import Change, ChangeElements, Contents, CreateSet, CreateTable, Difference, Form, SetInfo, SetName
from netmgr.zones import Feed, Policy, feeds_of_zone, tally

RETRY_FIRST, RETRY_LONGEST = 1.0, 60.0
CREATED = {"ips": sets.IPV4_ADDR, "ips6": sets.IPV6_ADDR}

_NOTHING: AbstractSet[bytes] = frozenset()


class ManagedSet:
    """A set that the configuration fills: what is known of the kernel's side, and what is wrong with it."""

    def __init__(self, name: SetName, feeds: Sequence[Feed], exclusive: bool) -> None:
        self.name = name
        self.feeds = tuple(feeds)
        self.exclusive = exclusive
        self.retiring = False
        self.filled = False
        self.info: Optional[SetInfo] = None
        self.form: Optional[Form] = None
        self.ours: Set[bytes] = set()
        self.foreign: Set[bytes] = set()
        self.expiring: AbstractSet[bytes] = _NOTHING
        self.spared: Set[bytes] = set()
        self.whole = True
        self.verified = True
        self.misfit: Optional[str] = None
        self.fault: Optional[str] = None
        self.full: Optional[str] = None
        self.capacity: Optional[int] = None
        self.delay = 0.0
        self.retry_at = 0.0

    @property
    def error(self) -> Optional[str]:
        """Why the set is not as it should be, in words; None when nothing is wrong."""
        return self.misfit or self.fault or self.full

    @property
    def count(self) -> Optional[int]:
        """How many elements the kernel should count in the set; None where ranges make that hard to say."""
        return None if self.form is None or self.form.interval else len(self.ours) + len(self.foreign)

    def held(self) -> Contents:
        """What the set holds, as far as is known."""
        return Contents(self.ours, self.expiring, self.foreign)

    def observe(self, info: Optional[SetInfo], reading: Optional[Reading]) -> None:
        """Take in what the kernel said; another set under the same name starts with a clean slate."""
        if info is None or self.info is None or info.identity != self.info.identity:
            self.fault, self.full, self.delay, self.retry_at = None, None, 0.0, 0.0
        self.info = info
        self.ours, self.expiring, self.foreign = set(), _NOTHING, set()
        self.misfit = None
        self.whole = True
        if info is None:
            return
        self.form = sets.form_of(info)
        self.capacity = info.size or None if self.form is not None and not self.form.interval else None
        self.misfit = next((reason for reason in (sets.misfit(info, feed.holds) for feed in self.feeds) if reason), None)
        if reading is not None:
            self.verified = reading.verified
            self.ours, self.expiring, self.foreign = (set(reading.contents.ours), reading.contents.expiring,
                                                      set(reading.contents.foreign))

    def set_aside(self, reason: str, now: float) -> None:
        """Leave the set alone for a while that grows from failure to failure."""
        self.fault = reason
        self.delay = min(RETRY_LONGEST, self.delay * 2) or RETRY_FIRST
        self.retry_at = now + self.delay


class Model:
    """All managed sets of one configuration."""

    def __init__(self, config: Config, inventory: Inventory) -> None:
        self.config = config
        self.inventory = inventory
        self.policy = Policy(config)
        self.ledger = Ledger()
        self.sets: Dict[SetName, ManagedSet] = {}
        self.unsurveyed: Set[SetName] = set()
        self.stale: Set[SetName] = set()
        self.hold = False
        for container in inventory.containers.values():
            self._know_zones(container)
        self._manage_zones()

    # -- what happens

    def apply(self, happenings: Iterable[Happening]) -> None:
        """Account for what the inventory lost and gained."""
        for gained, thing in happenings:
            if gained and isinstance(thing, ContainerSeen) and self._know_zones(thing):
                self._manage_zones()
            account = self.ledger.claim if gained else self.ledger.release
            for name, element in self.policy.claims(thing):
                account(name, element)

    def observe(self, findings: Dict[SetName, Tuple[Optional[SetInfo], Optional[Reading]]]) -> None:
        """Take in what the kernel's sets are and hold; (None, None) says that there is no such set."""
        forms = {name: managed.form for name, managed in self.sets.items()}
        for name, (info, reading) in findings.items():
            self.unsurveyed.discard(name)
            self.sets[name].observe(info, reading)
            self._prepare_creation(self.sets[name])
        if any(self.sets[name].form != form for name, form in forms.items()):
            self._rebind()
        for name in findings:
            managed = self.sets[name]
            managed.spared = set(managed.ours - self.wanted(managed)) if self.hold else set()

    def release_held(self) -> None:
        """All sources have spoken: what nothing claims may go."""
        self.hold = False
        for managed in self.sets.values():
            if managed.spared:
                managed.spared = set()
                managed.whole = True

    def retire(self, names: Iterable[SetName]) -> None:
        """Sets of an earlier configuration: take netmgr's elements out of them, then forget them."""
        for name in names:
            if name not in self.sets:
                self.sets[name] = ManagedSet(name, (), False)
                self.sets[name].retiring = True
                self.unsurveyed.add(name)

    def retire_all(self) -> None:
        """Nothing is wanted any more, in any set."""
        for managed in self.sets.values():
            managed.feeds, managed.retiring, managed.whole = (), True, True
            managed.spared = set()

    # -- what to do about it

    def wanted(self, managed: ManagedSet) -> AbstractSet[bytes]:
        """The elements that the set should hold, in the kernel's form, less what foreign ranges cover."""
        if managed.form is None or managed.retiring:
            return _NOTHING
        claimed = self.ledger.wanted(managed.name)
        if not managed.form.interval:
            return claimed
        there: AbstractSet[bytes] = _NOTHING if managed.exclusive else managed.foreign
        return ranges.minimal(claimed, there | managed.spared, managed.form.width) | managed.spared

    def plan(self, now: float) -> List[Change]:
        """The one transaction that makes every set true that can be; empty when there is nothing to do."""
        return [change for managed in list(self.sets.values()) if managed.retry_at <= now for change in self._changes(managed)]

    def committed(self, changes: Sequence[Change]) -> None:
        """The transaction took effect."""
        for change in changes:
            if isinstance(change, ChangeElements):
                managed = self.sets[change.set]
                managed.ours.difference_update(change.delete)
                managed.foreign.difference_update(change.delete)
                managed.ours.update(change.add)
                managed.filled = managed.filled or bool(managed.ours)
                managed.expiring = _NOTHING
                managed.whole, managed.fault, managed.delay = False, None, 0.0
            elif isinstance(change, CreateSet):
                self.unsurveyed.add(change.set)
        for name in [name for name, managed in self.sets.items() if managed.retiring and not managed.ours]:
            del self.sets[name]
            self.unsurveyed.discard(name)

    def refused(self, changes: Sequence[Change], faults: Sequence[Fault], now: float, again: bool) -> None:
        """The transaction failed.  Sets that may only need another look become unsurveyed, unless this is `again` the same."""
        for change in changes:
            if isinstance(change, (ChangeElements, CreateSet)):
                self.sets[change.set].whole = True
        for fault in faults:
            managed = None if fault.set is None else self.sets.get(fault.set)
            if managed is None:
                continue
            if fault.gone or (fault.errno in (errno.ENOENT, errno.EEXIST) and not again):
                self.unsurveyed.add(managed.name)
            elif fault.errno == errno.ENFILE and fault.operation == "add":
                self._learn_capacity(managed, changes, fault)
            else:
                managed.set_aside(fault.reason, now)

    def to_survey(self, now: float) -> List[SetName]:
        """The sets that need a look before they can be planned for."""
        return sorted(name for name in self.unsurveyed if self.sets[name].retry_at <= now)

    def next_retry(self, now: float) -> Optional[float]:
        """When the first set that was set aside is due, if any is."""
        return min((managed.retry_at for managed in self.sets.values() if managed.retry_at > now), default=None)

    # -- inner parts

    def _changes(self, managed: ManagedSet) -> Iterator[Change]:
        touched = self.ledger.take_touched(managed.name)
        if managed.form is None or not (managed.whole or touched):
            return
        self.stale.add(managed.name)
        if managed.info is None:
            if not self._creatable(managed):
                return
            yield CreateTable(managed.name.family, managed.name.table)
            yield CreateSet(managed.name, managed.form.type)
        wanted = self.wanted(managed)
        managed.spared -= wanted if not managed.form.interval else _NOTHING
        if managed.whole or managed.form.interval or managed.exclusive or managed.full:
            found = sets.difference(wanted, managed.held(), managed.exclusive and not managed.retiring)
        else:
            found = sets.difference_at(touched, wanted, managed.held())
        delete = found.delete - managed.spared
        add = self._fitting(managed, Difference(delete, found.add))
        managed.whole = False
        if delete or add:
            yield ChangeElements(managed.name, managed.form, sorted(delete), add)

    def _fitting(self, managed: ManagedSet, found: Difference) -> List[bytes]:
        """As many of the new elements as the set has room for; the rest makes it an error."""
        add = sorted(found.add)
        managed.full = None
        if managed.capacity is None:
            return add
        room = max(0, managed.capacity - len(managed.ours) - len(managed.foreign) + len(found.delete))
        if len(add) > room:
            managed.full = "the set is full: %d elements, and %d more are wanted" % (managed.capacity, len(add) - room)
        return add[:room]

    def _learn_capacity(self, managed: ManagedSet, changes: Sequence[Change], fault: Fault) -> None:
        for change in changes:
            if isinstance(change, ChangeElements) and change.set == managed.name:
                before = len(managed.ours) + len(managed.foreign) - len(change.delete)
                managed.capacity = max(0, before + (fault.position or 0))

    def _know_zones(self, container: ContainerSeen) -> bool:
        """Add the zones that a container's label names.  A name that no set could have is passed over."""
        new = False
        for key, value in container.labels:
            if key == self.config.docker.label:
                for zone in value.split(","):
                    try:
                        new |= self.policy.add_zone(zone.strip())
                    except ValueError:
                        continue
        return new

    def _manage_zones(self) -> None:
        feeds: Dict[SetName, List[Feed]] = {}
        for zone in self.policy.zones.values():
            for feed in feeds_of_zone(zone):
                feeds.setdefault(feed.set, []).append(feed)
        for name, of_set in feeds.items():
            exclusive = any(self.policy.zones[feed.zone].exclusive for feed in of_set)
            managed = self.sets.get(name)
            if managed is None:
                self.sets[name] = ManagedSet(name, of_set, exclusive)
                self.unsurveyed.add(name)
            else:
                managed.feeds, managed.exclusive, managed.retiring = tuple(of_set), exclusive, False

    def _rebind(self) -> None:
        """Forms have changed: count every claim anew."""
        self.policy.bind({name: managed.form for name, managed in self.sets.items() if managed.form is not None})
        counts = tally(self.inventory.things(), self.policy)
        for name, managed in self.sets.items():
            self.ledger.replace(name, counts.get(name, {}))
            managed.whole = True

    def _prepare_creation(self, managed: ManagedSet) -> None:
        if managed.info is None and self._creatable(managed):
            managed.form = Form(CREATED[_suffix(managed.feeds[0])])

    def _creatable(self, managed: ManagedSet) -> bool:
        if not self.config.nftables.create or managed.retiring:
            return False
        return any(self.policy.zones[feed.zone].sets is None and _suffix(feed) in CREATED and self.active(feed.zone)
                   for feed in managed.feeds)

    def active(self, zone: str) -> bool:
        """Whether a zone is worth a word when it has no set: the configuration names it, or a container is in it."""
        return zone in self.config.zones or any(zone in self.policy.zones_of_container(container)
                                                for container in self.inventory.containers.values())


def _suffix(feed: Feed) -> str:
    """What the naming convention puts behind the zone's name."""
    return feed.set.name[len(feed.zone) + 1:]
