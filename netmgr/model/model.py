"""The heart: what should be in every set, what is there, and the transaction between the two.

The model is told things (changes of the inventory, what the kernel's sets hold, what became of a transaction) and asked for a
plan.  It has no descriptor and no clock; whoever asks passes the time in.  What concerns one set alone is in managed_set.py.

While it is not yet known which containers run (`hold`), elements that an earlier netmgr left and that nothing claims are spared:
one of them may be a container's, and must not vanish for the moment until the engine has answered.  The same goes for other hosts'
addresses, in sets of `held_zones` only.
"""

from __future__ import annotations

import errno
from itertools import islice
from typing import AbstractSet, Callable, Dict, FrozenSet, Iterable, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from netmgr.config.schema import Config
from netmgr.model.inventory import Addresses, Interface, Inventory, Thing, ThingChange
from netmgr.model.labelled_zones import LabelledZones
from netmgr.model.ledger import Ledger
from netmgr.model.managed_set import ManagedSet, Role
from netmgr.model.overview import AS_IT_SHOULD, Overview, marks_of
from netmgr.model.zones import Claims, Feed, Policy, tally
from netmgr.values import sets
from netmgr.values.events import ContainerSeen
from netmgr.values.holds import OWN_ADDRESS
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.outcomes import Fault, Reading
from netmgr.values.sets import Change, ChangeElements, CreateSet, CreateTable, DeleteSet, Form, SetInfo, SetName

_NOTHING: AbstractSet[bytes] = frozenset()
LOOKS_AT_MOST = 50      # sets that to_survey() names together: some more than are looked at in one turn
TAKEN_AT_ONCE = 50      # sets that take_unwritten() puts into an order
LOOK_AGAIN = (errno.ENOENT, errno.EEXIST)
PATIENCE = 3.0          # seconds for which a set that has vanished is waited for before netmgr makes it


class Lent(NamedTuple):
    """What a set should hold at a moment, what of netmgr's it held then, and what of others'."""

    wanted: AbstractSet[bytes]
    ours: AbstractSet[bytes]
    foreign: AbstractSet[bytes]


Recall = Callable[[SetName], Optional[AbstractSet[bytes]]]
Findings = Dict[SetName, Tuple[Optional[SetInfo], Optional[Reading]]]


class Model:
    """All managed sets of one configuration.

    `unsurveyed` are sets that must be looked at before they can be planned for, `unwritten` those that may have changed since somebody
    (the include files) last took it, `urgent` those of them into which others have put something, `departed` those that have gone with
    their zone, `repaired` those in which a commit mended foreign damage since it was last taken.  Whatever happens to a set is noted in
    `overview`.

    `now` is the time of whoever uses it, of which it is told with most of what happens.

    `recall` tells of an include file of an earlier run which ranges it has, None where there is none.
    """

    def __init__(self, config: Config, inventory: Inventory, recall: Recall = lambda _name: None) -> None:
        self.config = config
        self.inventory = inventory
        self.policy = Policy(config)
        self.ledger = Ledger()
        self.sets: Dict[SetName, ManagedSet] = {}
        self.overview = Overview()
        self.unsurveyed: Set[SetName] = set()
        self.unwritten: Set[SetName] = set()
        self.urgent: Set[SetName] = set()
        self.departed: Set[SetName] = set()
        self.repaired: Set[SetName] = set()
        self.hold = False
        self.held_zones: Optional[FrozenSet[str]] = None        # None: all
        self._recall = recall
        self._labelled = LabelledZones(self.policy)
        self._has_primaries = any(rule.value == OWN_ADDRESS for zone in config.zones.values() for rule in zone.sets)
        if self._has_primaries:
            inventory.keep_order()
        self._primaries: Dict[str, Claims] = {}         # by interface, what is claimed because of its primary address
        self.now = 0.0
        for zone in self.policy.zones:
            self._manage_zone(zone)
        for container in inventory.containers.values():
            self._welcome(container)

    # -- what happens

    def apply(self, changes: Sequence[ThingChange]) -> None:
        """Account for what is gone from the inventory and what it gained."""
        ledger, claims = self.ledger, self.policy.claims
        for gained, thing in changes:
            if gained and type(thing) is ContainerSeen:
                self._welcome(thing)
            for name, elements in claims(thing):
                (ledger.claim if gained else ledger.release)(name, elements)
            if not gained and type(thing) is ContainerSeen:
                self._part_with(thing)
        if self._has_primaries:
            interfaces = (thing.interface if isinstance(thing, Addresses) else thing for _gained, thing in changes)
            for interface_name in dict.fromkeys(each.name for each in interfaces if isinstance(each, Interface)):
                self._follow_primary(interface_name)

    def observe(self, findings: Findings, now: Optional[float] = None) -> None:
        """Take in what the kernel's sets are and hold; (None, None) says that there is no such set."""
        self.now = self.now if now is None else now
        self.unsurveyed.difference_update(findings)
        new = [name for name in findings if not self.sets[name].seen.looked]
        news = {name: found for name, found in findings.items() if found[0] is not None or not self._is_known_to_be_missing(name)}
        changed = set()
        for name, (info, reading) in news.items():
            managed = self.sets[name]
            form = managed.seen.form
            awaited = info is None and self._is_awaited(managed)
            make = info is None and not awaited and managed.pause.until <= self.now
            managed.observe(info, reading, self._created_form(managed) if make else None)
            if awaited:
                managed.wait_until(self.now + PATIENCE)
            if managed.seen.form != form:
                changed.add(name)
        if changed:
            self._rebind(changed)
        for name in findings:
            if name in news:
                self._reflect(self.sets[name])
            else:
                self._note(self.sets[name])
        for name in new:
            managed = self.sets[name]
            if managed.seen.info is None and not managed.others.seen and self._recall(name) is not None:
                self.unwritten.add(name)        # a file that is there says nothing any more
        self._forget_retired()

    def confirm(self, name: SetName, verified: bool) -> None:
        """A set was read and holds what is known of it."""
        managed = self.sets[name]
        managed.confirm(verified)
        self._note(managed)

    def amend(self, name: SetName, info: SetInfo, odd: AbstractSet[bytes], reading: Reading) -> None:
        """A set was read and holds what is known of it, but, perhaps, these elements: see ManagedSet.amend()."""
        managed = self.sets[name]
        managed.amend(info, odd, reading)
        self.ledger.touched.setdefault(name, set()).update(odd)
        self._reflect(managed)

    def inherit(self, other: Model) -> None:
        """Know what was known of the same sets under an earlier configuration, also of those that are missing."""
        names = self.sets.keys() & other.sets.keys()
        for name in names:
            self.sets[name].inherit(other.sets[name])
            if name in other.overview.since:
                self.overview.since[name] = other.overview.since[name]
            if name in other.overview.warned:
                self.overview.warned[name] = other.overview.warned[name]
        self._rebind(names)

    def hold_only(self, zones: FrozenSet[str]) -> None:
        """Spare what nothing claims in sets of these zones only."""
        if zones == self.held_zones:
            return
        self.held_zones = zones
        self._spare_nothing_in(managed for managed in self.sets.values() if not self._is_held(managed))

    def _is_held(self, managed: ManagedSet) -> bool:
        role = managed.role
        return not role.retiring and (self.held_zones is None or any(feed.zone in self.held_zones for feed in role.feeds))

    def release_held(self) -> None:
        """All sources have spoken: what nothing claims may go."""
        self.hold = False
        self._spare_nothing_in(self.sets.values())

    def _spare_nothing_in(self, several: Iterable[ManagedSet]) -> None:
        for managed in several:
            if managed.spared:
                managed.spare_nothing()
                self._note(managed)

    def retire(self, names: Iterable[SetName]) -> None:
        """Sets of an earlier configuration: take netmgr's elements out of them, then forget them."""
        for name in names:
            if name not in self.sets:
                self._manage(name).retire(and_delete=True)
                self._note(self.sets[name])

    def retire_all(self) -> None:
        """Nothing is wanted any more, in any set."""
        for managed in self.sets.values():
            managed.retire()
            self._note(managed)

    def recount(self) -> None:
        """Links and addresses were replaced: count every claim anew, and compare as a whole what is counted otherwise."""
        self._count(self.sets, tally(self.inventory.things(), self.policy))
        for managed in self.sets.values():
            self._note(managed)

    # -- what to do about it

    def offer(self, managed: ManagedSet) -> AbstractSet[bytes]:
        """The elements that a ruleset may load into the set by its include file."""
        return managed.offer(self.ledger.wanted(managed.name), managed.name in self.ledger.touched)

    def wanted(self, managed: ManagedSet) -> AbstractSet[bytes]:
        """The elements that the set should hold."""
        return managed.wanted(self.ledger.wanted(managed.name))

    def lend(self, several: Iterable[ManagedSet], dry_run: bool) -> List[Lent]:
        """What each of them should hold and holds, now, for whoever reads it bit by bit."""
        busy = self.ledger.touched.keys() | self.unsurveyed
        return [self._lend_settled(each) if not dry_run and each.is_settled and not (busy and each.name in busy)
                else self._lend_worked_out(each) for each in several]

    @property
    def calm(self) -> bool:
        """Whether it can be seen at a glance that there is nothing to do."""
        overview = self.overview
        return not (self.ledger.touched or overview.compare or overview.look or overview.pauses)

    def plan(self, now: float) -> List[Change]:
        """The one transaction that makes every set true that can be; empty when there is nothing to do."""
        self.now, overview = now, self.overview
        touched: Mapping[SetName, AbstractSet[bytes]] = self.ledger.touched
        if not touched and not overview.compare and not overview.pauses:
            return []
        if overview.pauses:
            self._end_pauses()
        self.ledger.touched = {}
        changes: List[Change] = []
        if overview.compare or len(touched) > 1:
            touched = {name: touched.get(name, _NOTHING) for name in sorted(overview.compare.keys() | touched)}
        for name, elements in touched.items():
            managed = self.sets[name]
            if overview.marks.get(name) is not AS_IT_SHOULD:
                changes += self._changes(managed, elements)
                continue
            self.unwritten.add(name)
            change = managed.plan(self.ledger.wanted(name), elements)
            if change is not None:
                changes.append(change)
            else:
                self._note(managed)
        return changes

    def unreadable(self, name: SetName, reason: str, now: float) -> None:
        """The set could not be read; it is left alone for a while."""
        self.now = now
        self.sets[name].set_aside(reason, now)
        self.doubt([name])

    def doubt(self, names: Iterable[SetName]) -> None:
        """These sets may no longer be what they were: they must be looked at."""
        for name in names:
            self.unsurveyed.add(name)
            self._note(self.sets[name])

    def resume(self) -> None:
        """Try everything again at once."""
        for name in list(self.overview.waiting):
            self.sets[name].resume()
            self._note(self.sets[name])

    def note_file(self, managed: ManagedSet, trouble: Optional[str]) -> None:
        """Why the include file of the set is not as it should be; None when it is."""
        managed.note_file(trouble)
        self.overview.note_warning(managed.name, managed.warning is not None, self.now)
        self._note(managed)

    def take_unwritten(self, only_urgent: bool) -> Iterator[ManagedSet]:
        """The sets whose include files may have to change; only urgent: those that others have put something into.

        They are taken as they are asked for.
        """
        names = self.urgent if only_urgent else self.unwritten
        while names:
            some = sorted([names.pop() for _each in range(min(len(names), TAKEN_AT_ONCE))], reverse=True)
            try:
                while some:
                    name = some.pop()
                    managed = self.sets.get(name) if not only_urgent or name in self.unwritten else None
                    self.unwritten.discard(name)
                    if managed is not None and not managed.role.retiring:
                        yield managed
            finally:
                names.update(some)

    def take_departed(self) -> List[SetName]:
        """The sets that have gone with their zone since the last call, and are not wanted again."""
        departed, self.departed = self.departed, set()
        return sorted(name for name in departed if name not in self.sets or self.sets[name].role.retiring)

    def take_repaired(self) -> List[SetName]:
        """The sets in which a commit mended foreign damage since the last call."""
        repaired = sorted(self.repaired)
        self.repaired.clear()
        return repaired

    def told(self, changes: Sequence[Change]) -> None:
        """Somebody was told of the transaction, and that is all that becomes of it."""
        for name in sets.names_of(changes):
            self.sets[name].leave_as_it_is()
            self._note(self.sets[name])

    def committed(self, changes: Sequence[Change]) -> None:
        """The transaction took effect."""
        for change in changes:
            if isinstance(change, CreateSet):
                self.doubt([change.set])
            elif isinstance(change, DeleteSet):
                self.observe({change.set: (None, None)})
            elif isinstance(change, ChangeElements):
                managed = self.sets[change.set]
                if managed.apply(change):
                    self.repaired.add(change.set)
                if not (self.overview.count(change.set, len(managed.held.ours)) and managed.is_plain):
                    self._note(managed)
        if self.overview.retired:
            self._forget_retired()

    def refused(self, changes: Sequence[Change], faults: Sequence[Fault], now: float, again: bool) -> None:
        """The transaction failed.  Sets that may only need another look get one; if this happens `again`, they are left alone first."""
        self.now = now
        elements = {change.set: change for change in changes if isinstance(change, ChangeElements)}
        for name in sets.names_of(changes):
            self.sets[name].compare_all()
            self._note(self.sets[name])
        for fault in faults:
            managed = None if fault.set is None else self.sets.get(fault.set)
            if managed is not None:
                self._blame(managed, fault, elements.get(managed.name), again)
                self._note(managed)

    def to_survey(self, now: float) -> List[SetName]:
        """The sets that need a look before they can be planned for, or a good many of them; those first that have needed it longest."""
        self.now = now
        if self.overview.pauses:
            self._end_pauses()
        return list(islice(self.overview.look, LOOKS_AT_MOST))

    def next_retry(self) -> Optional[float]:
        """When the first of the sets that are set aside is due, if any is."""
        return self.overview.next_pause()

    def active(self, zone: str) -> bool:
        """Whether a zone is worth a word when it has no set: the configuration names it, or a container is in it."""
        return zone in self.config.zones or self._labelled.in_use(zone)

    def promised(self, managed: ManagedSet) -> bool:
        """Whether a set that does not exist is one that should."""
        return any(feed.one_of[:1] == (managed.name,) and self.active(feed.zone) and self.overview.present.keys().isdisjoint(feed.one_of)
                   for feed in managed.role.feeds)

    # -- inner parts

    def _lend_settled(self, managed: ManagedSet) -> Lent:
        """Of what is the same one is enough."""
        name, form, held = managed.name, managed.seen.form, managed.held
        if form is None or form.interval or form.value:
            managed.lend()
            return Lent(held.ours, held.ours, held.foreign)
        claimed = self.ledger.lend(name)
        if not held.foreign:
            return Lent(claimed, claimed, _NOTHING)
        managed.lend()
        return Lent(claimed, held.ours, held.foreign)

    def _lend_worked_out(self, managed: ManagedSet) -> Lent:
        held = managed.lend()
        return Lent(managed.wanted(self.ledger.lend(managed.name)), held.ours, held.foreign)

    def _note(self, managed: ManagedSet) -> None:
        name = managed.name
        promised = managed.seen.info is None and self.promised(managed)
        marks = marks_of(managed, name in self.unsurveyed, promised, self.ledger.wanted(name), self.now)
        before = self.overview.note(name, marks)
        self.overview.count(name, 0 if managed.role.retiring else len(managed.held.ours))
        if (before.state is not marks.state or name not in self.overview.since) and (managed.seen.looked or marks.error):
            self.overview.note_state(name, marks.state.word, self.now)
        if before.present != marks.present:
            self._note_promised(managed.role.feeds)

    def _note_promised(self, feeds: Iterable[Feed]) -> None:
        """Whether one of the sets of these feeds exists, or somebody is in their zones, has changed."""
        for name in {feed.one_of[0] for feed in feeds if feed.one_of}:
            if name in self.sets:
                self._note(self.sets[name])

    def _end_pauses(self) -> None:
        for name in self.overview.over(self.now):
            self._note(self.sets[name])

    def _changes(self, managed: ManagedSet, touched: AbstractSet[bytes]) -> List[Change]:
        """Of a set that is missing, new, in doubt, withdrawn from, set aside."""
        if managed.seen.form is not None:
            self.unwritten.add(managed.name)
        if (self.overview.waiting and managed.name in self.overview.waiting) or (self.unsurveyed and managed.name in self.unsurveyed):
            managed.compare_all()       # when it has waited, and was looked at
            return []
        if managed.role.retiring and managed.to_delete:
            return [DeleteSet(managed.name, managed.is_map)]
        creations = () if managed.seen.info is not None else self._creations(managed)
        if managed.seen.form is None or creations is None:
            managed.leave_missing()
            self._note(managed)
            return []
        if creations and managed.role.chains:
            return [*creations]         # once it is there, it is known which of the chains there are
        change = managed.plan(self.ledger.wanted(managed.name), touched)
        if change is None:
            self._note(managed)
            return [*creations]
        return [*creations, change]

    def _creations(self, managed: ManagedSet) -> Optional[Sequence[Change]]:
        """What makes a missing set; None when it is not for netmgr to make it."""
        created = self._created_form(managed)
        if created is None or managed.seen.form != created:
            return None
        return CreateTable(managed.name.family, managed.name.table), CreateSet(managed.name, created)

    def _blame(self, managed: ManagedSet, fault: Fault, change: Optional[ChangeElements], again: bool) -> None:
        if fault.operation == "remove":
            managed.keep_set()          # somebody uses it
            return
        if fault.errno == errno.ENFILE and change is not None:
            managed.learn_capacity(change, fault.position)
            return
        if fault.errno in LOOK_AGAIN:
            self.unsurveyed.add(managed.name)
        if again or fault.errno not in LOOK_AGAIN:
            managed.set_aside(fault.reason, self.now)

    def _reflect(self, managed: ManagedSet) -> None:
        claimed = self.ledger.wanted(managed.name)
        if managed.reflect(claimed, self.now, lambda: self._recall(managed.name) or frozenset()):
            self.unwritten.add(managed.name)
            self.urgent.add(managed.name)
        if self.hold and self._is_held(managed):
            managed.spare(claimed)
        if managed.seen.info is None and managed.pause.until > self.now:
            self.unsurveyed.add(managed.name)
        self._note(managed)

    def _is_known_to_be_missing(self, name: SetName) -> bool:
        """Whether nothing at all follows when it is not there, as mostly most sets of a zone are not."""
        managed = self.sets[name]
        missing = managed.seen.info is None and managed.seen.looked and managed.pause.until <= self.now
        return missing and not self.hold and self._created_form(managed) is None

    def _is_awaited(self, managed: ManagedSet) -> bool:
        """Whether somebody else may be about to make a set that is missing since just now, perhaps in another form.

        That is so, too, when there is an include file of a set that this run has never seen.
        """
        if self._created_form(managed) is None:
            return False
        return managed.seen.info is not None or (not managed.seen.looked and self._recall(managed.name) is not None)

    # -- sets that come and go

    def _welcome(self, container: ContainerSeen) -> None:
        """A new container may bring new zones, and zones of which missing sets are now worth creating."""
        known, begun = self._labelled.welcome(container)
        for zone in known:
            self._manage_zone(zone)
        for zone in begun:
            feeds = self.policy.feeds[zone]
            self._note_promised(feeds)
            missing = [self.sets[feed.set] for feed in feeds if self.sets[feed.set].seen.info is None]
            self.doubt([managed.name for managed in missing if self._created_form(managed) is not None])

    def _part_with(self, container: ContainerSeen) -> None:
        """Forget the zones that only labels named and in which no container is any more, with all that netmgr has put into their sets."""
        for zone in self._labelled.part_with(container):
            self._note_promised(self.policy.feeds[zone])
        for zone in self._labelled.idle(container):
            self._forget_zone(zone, {feed.set for feed in self.policy.feeds[zone]})

    def _manage_zone(self, zone: str) -> None:
        """From now on this zone fills its sets, too."""
        for feed in self.policy.feeds[zone]:
            managed = self._manage(feed.set)
            self._feed(managed, (*managed.role.feeds, feed))

    def _forget_zone(self, zone: str, names: Set[SetName]) -> None:
        for name in names:
            managed = self.sets[name]
            feeds = tuple(feed for feed in managed.role.feeds if feed.zone != zone)
            if feeds:
                self._feed(managed, feeds)
            else:
                managed.retire(and_delete=True)
                self.departed.add(name)
                self._note(managed)
        self.policy.forget_zone(zone)
        self._forget_retired()

    def _manage(self, name: SetName) -> ManagedSet:
        if name not in self.sets:
            self.sets[name] = ManagedSet(name, Role())
            self.unsurveyed.add(name)
        return self.sets[name]

    def _feed(self, managed: ManagedSet, feeds: Tuple[Feed, ...]) -> None:
        managed.feed(feeds, any(self.policy.zones[feed.zone].exclusive for feed in feeds))
        self._note(managed)

    def _forget(self, name: SetName) -> None:
        del self.sets[name]
        self.unsurveyed.discard(name)
        self.unwritten.discard(name)
        self.urgent.discard(name)
        self.overview.forget(name)
        self.ledger.forget(name)
        self.policy.bind(name, None)

    def _forget_retired(self) -> None:
        for name in sorted(self.overview.retired) if self.overview.retired else ():
            self._forget(name)

    # -- claims

    def _rebind(self, names: Set[SetName]) -> None:
        """The forms of these sets have changed: count the claims in them anew."""
        for name in names:
            self.policy.bind(name, self.sets[name].seen.form)
        zones = {feed.zone for name in names for feed in self.sets[name].role.feeds}
        self._count(names, tally(self._things_in(zones), self.policy, names))

    def _follow_primary(self, name: str) -> None:
        """What an interface claims because of its primary address depends on all of its addresses."""
        for of_set, elements in self._primaries.pop(name, ()):
            self.ledger.release(of_set, elements)
        found = self.inventory.by_name(name)
        if found is not None:
            claims = self.policy.of_primary(*found)
            for of_set, elements in claims:
                self.ledger.claim(of_set, elements)
            if claims:
                self._primaries[name] = claims

    def _count_primaries(self) -> None:
        """After all was counted anew."""
        if not self._has_primaries:
            return
        found = ((interface.name, self.policy.of_primary(*addresses)) for interface, addresses in self.inventory.interfaces()
                 if self.policy.has_primary(interface))
        self._primaries = {name: claims for name, claims in found if claims}

    def _count(self, names: Iterable[SetName], counts: Dict[SetName, Dict[bytes, int]]) -> None:
        for name in names:
            found = counts.get(name, {})
            if found != self.ledger.counts(name):
                self.ledger.replace(name, found)
                self.sets[name].compare_all()
        self._count_primaries()

    def _things_in(self, zones: Set[str]) -> Iterator[Thing]:
        """What may feed the sets of these zones."""
        for interface, addresses in self.inventory.interfaces():
            if not zones.isdisjoint(self.policy.zones_of_interface(interface)):
                yield interface
                yield addresses
        yield from {container.key: container for zone in zones for container in self._labelled.inside(zone)}.values()
        yield from (seen for seen in self.inventory.hosts.values() if seen.zone in zones)

    def _created_form(self, managed: ManagedSet) -> Optional[Form]:
        """The form of the set that netmgr makes when this one is missing; None when it makes none."""
        if not self.config.nftables.create or managed.role.retiring:
            return None
        return next((feed.created for feed in managed.role.feeds if feed.created is not None and self.active(feed.zone)), None)
