"""The keeper of the sets: what the sources tell goes in, and once per wake-up the sets follow.

Handlers of descriptors only change tables.  Before the loop sleeps, settle() looks at what they brought together and reconciles
once.  What sources have told is true as a whole; what a source has not told yet holds back nothing but the removal of what nobody
claims, for that source may.

What is told and written about it afterwards, in words and in files, waits a moment: who waited for the sets to follow wants the
processor first, and many changes in a row are told together.
"""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Callable,
    Collection,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    Optional,
    Sequence,
    Tuple,
    Union,
)

from netmgr.config.schema import Config
from netmgr.io.clock import utc
from netmgr.io.culprit import identify
from netmgr.io.include_files import IncludeFiles
from netmgr.io.loop import Deadline, Loop
from netmgr.io.systemd import Manager
from netmgr.model.inventory import DOWN, Inventory, ThingChange
from netmgr.model.model import Model
from netmgr.model.refusals import Refusals
from netmgr.reporter import Reporter
from netmgr.sync.include_files import IncludeWriter
from netmgr.sync.reconciler import Kernel, Reconciler
from netmgr.sync.repairs import Repairs
from netmgr.values.counters import Counters
from netmgr.values.errors import ProtocolError
from netmgr.values.events import AddressesAre, AddressesSeen, ContainerSeen, Event, HostGone, HostSeen, LinkSeen, NextHops
from netmgr.values.happenings import Happening
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.protocol import Protocol
from netmgr.values.sets import Change, SetName
from netmgr.values.snapshots import Snapshot
from netmgr.values.text import Log, reason

MOMENT = 0.0005     # seconds that looking for leftovers may take at a time
REST = 0.02         # seconds between the sets and what is told and written about them
TELLING = 0.001     # seconds that telling may take at a time
REREAD = {"overrun": "events were lost", "unsure": DOWN, "retry": "it could be read again"}      # without being asked

if TYPE_CHECKING:
    from netmgr.model.address_counts import AddressCounts
    from netmgr.model.holdings import Holdings


Changed = Callable[[Sequence[Change]], None]


class Teller(Protocol):
    """What is seen of a source here."""

    @property
    def pending(self) -> bool:
        """What it has told is not the whole yet."""


class Waiting(NamedTuple):
    """While a source is pending for the first time, what nothing claims is spared in sets of these zones (None: all).

    A vital one is waited for before the sets are called right.
    """

    source: Teller
    zones: Optional[FrozenSet[str]]
    vital: bool


class Keeper:
    """Owns the inventory, and what follows from it under one configuration: the model, the repairs, the include files.

    `ready` is called once, when the sets are right for the first time; `afterwards` whenever what
    follows the sets has had its turn.
    """

    def __init__(self, loop: Loop, kernel: Kernel, manager: Manager, config: Config, directory: Optional[IncludeFiles],
                 ready: Callable[[], None], log: Log, dry_run: bool) -> None:
        self._loop, self._kernel, self._manager, self.dry_run, self._log = loop, kernel, manager, dry_run, log
        self._ready: Optional[Callable[[], None]] = ready
        self.afterwards: Callable[[], None] = _nothing
        self._sources: Sequence[Waiting] = ()
        self._following: List[Changed] = []
        self._share: Optional[Callable[[str, Tuple[bytes, ...]], None]] = None
        self._refusals = Refusals()
        self._counters = Counters()
        self._uncounted: List[Tuple[Sequence[Change], float]] = []       # what was committed, and how long after the loop woke up
        self._counted: Optional[AddressCounts] = None
        self._inventory = Inventory()
        self._wake: Optional[Deadline] = None
        self._rest: Optional[Deadline] = None       # what follows the sets has not been done
        self._behind = False        # of what was to be told some is left
        self._audit_due: Optional[Deadline] = None
        self._leftovers: Optional[Iterator[Optional[SetName]]] = self._find_leftovers()
        self._make(config, directory)
        self.reporter = Reporter(log)
        self._begun = self.reporter.why = "start"
        self.repairs = Repairs(self._reconciler(), loop.now, _utc_seconds, log, self.reporter.tell, identify)

    # -- what the sources tell

    def events(self, events: Iterable[Event]) -> Collection[int]:
        """Links and addresses that come and go; of these links that is not all, they have to be read again."""
        for event in events:
            if type(event) is AddressesSeen:        # mostly
                ifindex, flags, repeated = event
                self._changed(self._inventory.addresses_seen(ifindex, flags, repeated))
                continue
            if type(event) is AddressesAre:
                self._read_again(event)
                continue
            if type(event) is LinkSeen:
                self._look_at_link(event)
            self._changed(self._inventory.apply(event))
        return self._inventory.unsure

    def snapshot(self, snapshot: Snapshot) -> None:
        """All links and addresses."""
        for link in snapshot.links:
            if type(link) is LinkSeen:
                self._look_at_link(link)
        why = "netlink: %s" % REREAD[snapshot.why] if snapshot.why in REREAD else None
        for changes in self._inventory.replace_interfaces(snapshot.links, snapshot.addresses):
            self.reporter.things(changes, found=why)
        self.model.recount()
        if self._holdings is not None:
            self._holdings.recount(self._inventory.things())
        if self._counted is not None:
            self._counted.clear()

    def defaults(self, hops: NextHops) -> None:
        """The interfaces over which there is a default route, with their next hops."""
        self._changed(self._inventory.replace_defaults(hops))

    def containers(self, engine: str, seen: Sequence[ContainerSeen], gone: Sequence[str], why: Optional[str] = None) -> None:
        """Containers of an engine that are new or other than before, and the ids of those that are gone, or why they are not seen."""
        self._changed(self._inventory.containers_changed(engine, seen, gone), why)
        self._refusals.forget(engine, gone)
        self._tell_refusals(seen)

    def containers_of(self, engine: str) -> List[ContainerSeen]:
        """What is known of an engine's containers."""
        return self._inventory.containers_of(engine)

    def hosts(self, events: Iterable[Union[HostSeen, HostGone]], why: Optional[str] = None) -> None:
        """Other hosts of the fleet that come and go, or why they are not seen."""
        self._changed(self._inventory.apply_hosts(events), why)

    def called(self, names: Sequence[str]) -> List[str]:
        """The names of the interfaces that have one of these as an alternative name."""
        links = map(self._inventory.interface, self._inventory.links) if names else ()
        return [each.name for each in links if not set(names).isdisjoint(each.altnames)]

    def known_hosts(self) -> List[Tuple[str, str]]:
        """(zone, host) of all that count."""
        return list(self._inventory.hosts)

    def doubt(self) -> None:
        """Sets and include files may be anything: look at all of them."""
        self.repairs.doubt()
        self._files.doubt(self.model)

    # -- the one place where sets change

    def settle(self) -> None:
        """Let the sets follow."""
        held = self.model.hold
        if held:
            self._hold()
        if self._leftovers is not None and not self.model.hold:
            self._withdraw_leftovers(self._leftovers)
        changes = self.repairs.settle(self._loop.woken)
        if changes and not self.dry_run:
            self._uncounted.append((changes, self._loop.now() - self._loop.woken))
        self.reporter.settled(self.model, () if self.dry_run else changes, self.repairs.mended, self.repairs.quiet,
                              self.repairs.blamed or (self._begun if held else None))
        if (self.model.overview.news or self.reporter.why is not None) and self.repairs.reconciler.complete:
            self._tell_states()
        if self._holdings is not None and self._holdings.changed:
            self._tell_others(self._holdings)
        if not changes or self._ready is not None or self._following or self._rested(self.repairs.deadline()):
            self._finish()
        if self._ready is not None and self.repairs.reconciler.complete and not self._awaited():
            ready, self._ready = self._ready, None
            ready()
        if self._following:
            for each in list(self._following):
                each(changes)

    @property
    def counters(self) -> Counters:
        """What has become of the sets so far."""
        self._count()
        return self._counters

    @property
    def is_ready(self) -> bool:
        """The sets have been right at least once."""
        return self._ready is None

    def follow(self, changed: Changed) -> None:
        """Tell what was committed, each time that the sets have followed."""
        self._following.append(changed)

    def unfollow(self, changed: Changed) -> None:
        """Tell it no longer."""
        if changed in self._following:
            self._following.remove(changed)

    def counting(self) -> Iterator[None]:
        """Count the addresses of interfaces that counted() does not know yet, bit by bit; from then on they are counted as they change."""
        if self._counted is None:
            from netmgr.model.address_counts import AddressCounts
            self._counted = AddressCounts(self.model.policy)
        return self._counted.complete(self._inventory)

    def counted(self) -> Dict[str, int]:
        """How many addresses of each interface count."""
        return {} if self._counted is None else self._counted.told()

    def unreadable(self) -> List[str]:
        """The sets that could not be read, each with the reason."""
        names = sorted(self.model.unsurveyed & set(self.model.overview.waiting))
        return ["%s (%s)" % (name, self.model.sets[name].error) for name in names]

    # -- beginnings and ends

    def listen(self, sources: Sequence[Waiting]) -> None:
        """From now on these are the sources."""
        self._sources = sources
        self.model.hold = any(each.source.pending for each in sources)
        self._hold()

    def share(self, tell: Optional[Callable[[str, Tuple[bytes, ...]], None]]) -> None:
        """Tell what each published zone holds, (zone, addresses), now and whenever it changes."""
        self._share = tell
        if self._holdings is not None:
            self._holdings.recount(self._inventory.things())

    def switch(self, config: Config, directory: Optional[IncludeFiles]) -> None:
        """Go on with whole new objects, made of this configuration; the inventory stays, and so may the directory of the include files."""
        model, sets, files, before = self.model, self.model.sets, self._files, self.directory
        self._make(config, directory)
        self.model.inherit(model)
        self._begun = self.reporter.why = "reload"
        self.repairs.switch(self._reconciler())
        self._tell_refusals(self._inventory.containers.values())
        self.model.retire(sets)
        moved = directory is not before
        files.remove([name for name in sets if moved or self.model.sets[name].role.retiring])
        if before is not None and moved:
            before.release()
        self._files.doubt(self.model)

    def stop(self) -> None:
        """Leave the sets as `on_stop` says, and say how they are left."""
        if self.config.nftables.on_stop == "keep":
            self._files.write(self.model, at_once=True)
            self._log("info", "stopped; netmgr's elements stay in their sets")
            return
        names = list(self.model.sets)
        self.model.retire_all()
        self.reporter.why = "stopping"
        self.repairs.settle(in_slices=False)
        self._tell_states()
        self._files.remove(names)
        left = ["%s (%s)" % (name, managed.error or "it could not be read") for name, managed in self.model.sets.items()]
        if left and not self.dry_run:
            self._log("warning", "stopped; netmgr's elements could not be removed from %s" % ", ".join(left))
        else:
            self._log("info", "stopped; netmgr's elements %s removed" % ("would be" if self.dry_run else "are"))

    # -- inner parts

    def _make(self, config: Config, directory: Optional[IncludeFiles]) -> None:
        self.config, self.directory = config, directory
        self._inventory.keep_engines({engine.name for engine in config.docker})
        self._inventory.keep_hosts({each.zone for each in config.fleet.consume} if config.fleet is not None else set())
        self._files = IncludeWriter(directory, self._loop.now, self._log)
        self.model = Model(config, self._inventory, self._files.recall)
        self._counted = None
        self._holdings = _holdings(self.model, config)
        if self._holdings is not None:
            self._holdings.recount(self._inventory.things())
        self._plan_audit()

    def _hold(self) -> None:
        zones = [each.zones for each in self._sources if each.source.pending]
        if not zones:
            self.model.release_held()
        elif None not in zones:
            self.model.hold_only(frozenset().union(*(each for each in zones if each is not None)))

    def _read_again(self, event: AddressesAre) -> None:
        why = self._inventory.unsure.get(event.ifindex)
        changes, told = self._inventory.addresses_are(*event)
        for each in told:
            self.reporter.things(each, found=why and "netlink: %s" % why)
        self._changed(changes, are_told=True)

    def _changed(self, changes: Sequence[ThingChange], why: Optional[str] = None, are_told: bool = False) -> None:
        self.model.apply(changes)
        if not are_told:
            self.reporter.things(changes, why)
        if self._holdings is not None:
            self._holdings.apply(changes)
        if self._counted is not None:
            self._counted.apply(changes)

    def _look_at_link(self, link: LinkSeen) -> None:
        before = self._inventory.links.get(link.ifindex)
        if before is not None and before.up != link.up:
            word = "up" if link.up else "down"
            self.reporter.beside(Happening("link-" + word, cause="%s: link %s" % (link.name, word), interface=link.name))

    def _tell_states(self) -> None:
        """And what changes sets from now on is no longer the start or the reload."""
        self.reporter.states(self.model, self.model.overview.take_news(), self.repairs.blamed or self.reporter.why, self._loop.now())
        self.reporter.why = None

    def _tell_refusals(self, seen: Iterable[ContainerSeen]) -> None:
        for line in self._refusals.news(self.model.policy, seen):
            self._log("warning", line)

    def _tell_others(self, holdings: Holdings) -> None:
        if self._share is not None:
            changed, holdings.changed = holdings.changed, set()
            for zone in sorted(changed):
                self._share(zone, holdings.addresses(zone))

    def _find_leftovers(self) -> Iterator[Optional[SetName]]:
        """What an earlier run had that nobody wants any more: include files, which go, and sets."""
        names = self._files.leftovers(self.model)
        self._files.remove(names)
        yield from names
        try:
            yield from self._kernel.marked(self.model.sets)
        except (OSError, ProtocolError) as problem:
            self._log("warning", "what an earlier run has left could not be looked for: %s" % reason(problem))

    def _withdraw_leftovers(self, leftovers: Iterator[Optional[SetName]]) -> None:
        """As far as that goes in a moment; the rest is for the next turn."""
        until = self._loop.now() + MOMENT
        for name in leftovers:
            if name is not None:
                self.model.retire([name])
            if self._loop.now() >= until:
                return
        self._leftovers = None

    def _reconciler(self) -> Reconciler:
        return Reconciler(self._kernel, self.model, self._log, self.dry_run, self._counters)

    def _plan_audit(self) -> None:
        if self._audit_due is not None:
            self._audit_due.cancel()
        interval = self.config.nftables.audit_interval
        self._audit_due = self._loop.call_later(interval, self._audit) if interval else None

    def _audit(self) -> None:
        self.repairs.audit()
        self._files.doubt(self.model)
        self._plan_audit()

    def _awaited(self) -> bool:
        return any(each.vital and each.source.pending for each in self._sources)

    def _rested(self, due: Optional[float]) -> bool:
        """Whether what follows the sets must follow now: the moment is over, or something else is due; if not, the loop wakes up then."""
        if self._rest is None:
            self._rest = self._loop.call_at(self._loop.woken + REST, self._rest_over)
        return due is not None or self._behind or self._rest.when <= self._loop.woken

    def _rest_over(self) -> None:
        """No more than that, too."""

    def _finish(self) -> None:
        """What follows the sets follows; for what is due later the loop wakes up."""
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        until = self._loop.now() + TELLING
        self.reporter.catch_up(lambda: self._loop.now() >= until)
        self._behind = self.reporter.behind
        self._count()
        self._files.write(self.model)
        if self._ready is None:
            self._manager.look()
        leftovers = None if self._leftovers is None or self.model.hold else self._loop.now()
        untold = self._loop.now() if self._behind else None
        times = self.repairs.deadline(), self._files.deadline(self.model), self._manager.deadline(), leftovers, untold
        self._wake_at(min([each for each in times if each is not None], default=None))
        self.afterwards()

    def _count(self) -> None:
        for each in self._uncounted:
            self._counters.committed(*each)
        self._uncounted.clear()

    def _wake_at(self, when: Optional[float]) -> None:
        if self._wake is not None:
            if self._wake.when == when:
                return
            self._wake.cancel()
        self._wake = None if when is None else self._loop.call_at(when, self._woken)

    def _woken(self) -> None:
        """No more than that: before the loop sleeps again, it settles."""
        self._wake = None


def _holdings(model: Model, config: Config) -> Optional[Holdings]:
    """Only where something is published."""
    if config.fleet is None or not config.fleet.publish:
        return None
    from netmgr.model.holdings import Holdings
    return Holdings(model.policy, config.fleet.publish)


def _nothing() -> None:
    """Nobody waits."""


def _utc_seconds() -> str:
    """2026-11-27T20:31:05Z"""
    return utc()[:19] + "Z"
