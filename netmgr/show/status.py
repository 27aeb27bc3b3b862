"""The state of everything as one value, and every set with its elements."""

from functools import partial
from typing import Callable, Collection, Dict, FrozenSet, Iterable, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from netmgr import __version__
from netmgr.config.schema import InterfaceRule
from netmgr.model import inventory
from netmgr.model.managed_set import ERROR, ManagedSet, Role, Seen, State
from netmgr.model.model import Lent, Model
from netmgr.model.selection import is_one_name
from netmgr.model.zones import Policy
from netmgr.show.answers import (
    Address,
    Container,
    Elements,
    Endpoint,
    Fact,
    Interface,
    LastRepair,
    SetContents,
    SetStatus,
    Source,
    Status,
)
from netmgr.show.problems import Date, of_reload, problems, undated
from netmgr.show.rows import SOME, Rows, arranged, in_order, made
from netmgr.sync.repairs import Repair
from netmgr.values import addresses, sets
from netmgr.values.addresses import local, prefixlen
from netmgr.values.choice import ALL, Choice, counts, objections
from netmgr.values.events import ContainerSeen
from netmgr.values.holds import ADDRESSES, Value, by_far_end, made_of
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.sets import Contents, Form, SetName
from netmgr.values.text import number
from netmgr.wire import nft_text

FLAG_NAMES = (
    (addresses.IFA_F_PERMANENT, "permanent"), (addresses.IFA_F_DEPRECATED, "deprecated"), (addresses.IFA_F_TENTATIVE, "tentative"),
    (addresses.IFA_F_OPTIMISTIC, "optimistic"), (addresses.IFA_F_DADFAILED, "dadfailed"), (addresses.IFA_F_NODAD, "nodad"),
    (addresses.IFA_F_HOMEADDRESS, "home"), (addresses.IFA_F_MANAGETEMPADDR, "mngtmpaddr"),
    (addresses.IFA_F_NOPREFIXROUTE, "noprefixroute"), (addresses.IFA_F_MCAUTOJOIN, "autojoin"),
    (addresses.IFA_F_STABLE_PRIVACY, "stable-privacy"),
)
WITHDRAWN = "netmgr's elements cannot be taken out: %s"
SIZES = (9, 33)         # of the identity of an address, by family
UNDONE = "a dry run: %s would be added, %d removed"
UNDATED: Tuple[str, Optional[float]] = ("", None)
HEALTH = {None: None, True: "healthy", False: "unhealthy"}


Choices = Dict[int, List[Choice]]       # by size of the identity
AddressesOf = Callable[[Dict[bytes, int]], Collection[Address]]


class Known(NamedTuple):
    """An interface that the configuration speaks of: what selects it, by which entries, and its addresses; without an index: none."""

    index: Optional[int]    # type: ignore[assignment]      # a tuple has a method of this name, which nobody calls here
    up: bool
    selected: inventory.Interface
    rules: Tuple[InterfaceRule, ...]
    held: Dict[bytes, int]


class SourceStatus(NamedTuple):
    """A source as it is now; `facts` are what it has counted and what else it tells, by name.  `since` (UTC) it is in this state."""

    name: str
    state: str
    error: Optional[str]
    facts: Mapping[str, Fact]
    since: Optional[str] = None


class SourcesStatus(NamedTuple):
    """What feeds the model, and what the ruleset took to be kept right."""

    sources: Sequence[SourceStatus]
    repairs: int
    last_repair: Optional[Repair]
    rival: Optional[str] = None
    rival_since: Optional[float] = None


class Manner(NamedTuple):
    """How this netmgr runs; `utc` says a time of its clock in UTC.  `failed`: why the last reload did, and since when."""

    pid: int
    uptime: float
    config_path: str
    utc: Callable[[float], str]
    dry_run: bool = False
    begun: float = 0.0
    failed: Optional[Tuple[str, str]] = None


class SetThere(NamedTuple):
    """A set at one moment, and, for whom that concerns, its elements."""

    name: SetName
    seen: Seen
    role: Role
    state: State
    elements: int
    foreign: int
    warning: Optional[str]
    since: Optional[float] = None
    warned: Optional[float] = None
    undone: Optional[str] = None


def everything(model: Model, sources: SourcesStatus, manner: Manner, date: Date = undated) -> Status:
    """All of it.  `date` says of a problem since when it is there."""
    there, links, policy = SetsThere(model, shown(model), manner.dry_run), Links(model), model.policy.at_rest()
    containers = list(model.inventory.containers.values())
    words = [ERROR] if there.undone or model.overview.error else []
    status = Status(
        1, __version__, state(words, model, sources), manner.pid, round(manner.uptime, 1), manner.config_path,
        interfaces=made(partial(_interfaces, model, links, None)),
        containers=Rows(len(containers), partial(_ordered, containers), partial(_container, policy)),
        sets=Rows(len(there), partial(iter, there), partial(_row, manner.utc)),
        sources=_sources(sources, manner.utc),
        dry_run=manner.dry_run,
        since=manner.utc(manner.begun))
    may_be = model.inventory.flagged & addresses.IFA_F_DADFAILED
    wrong = status._replace(interfaces=made(partial(_interfaces, model, links, _refused if may_be else _none)),
                            containers=made(partial(_odd_containers, policy, containers)))
    return status._replace(problems=problems(wrong, date, tuple(of_reload(manner.failed))))


def state(words: Iterable[str], model: Model, sources: SourcesStatus) -> str:
    """ready when every set that exists is synced, every file is written, every enabled source is ok and no other netmgr interferes."""
    healthy = all(source.state in ("ok", "disabled") for source in sources.sources) and sources.rival is None
    return "ready" if healthy and ERROR not in words and not model.overview.unwritten else "degraded"


def shown(model: Model) -> List[ManagedSet]:
    """The sets that concern the user: those that exist, the missing ones that the configuration promises, old ones that are in error."""
    beside = model.overview.missing.keys() | model.overview.error.keys()
    return [each for each in model.sets.values()
            if (each.seen.info is not None and not each.role.retiring) or (beside and each.name in beside)]


def set_contents(model: Model, manner: Manner) -> Collection[SetContents]:
    """Every set with its elements."""
    concerned = shown(model)
    there, lent = SetsThere(model, concerned, manner.dry_run), model.lend(concerned, manner.dry_run)
    return Rows(len(there), lambda: zip(there, lent), lambda each: SetContents(_row(manner.utc, each[0]), _elements(*each)))


def broken_expectations(rule: InterfaceRule, held: Dict[bytes, int]) -> Iterator[str]:
    """What an entry of the configuration expects of an interface with these addresses and is not so."""
    if not rule.dhcp and not rule.addresses:
        return
    usable = {key: flags for key, flags in held.items() if not addresses.kinds(local(key), flags) & addresses.UNUSABLE}
    there = {(local(key), prefixlen(key)) for key in usable} | {(local(key), None) for key in usable}
    if rule.dhcp and not any(_may_be_leased(local(key), rule) for key in usable):
        yield "waiting for a DHCP lease"
    for address, length in rule.addresses:
        if (address, length) not in there:
            yield "waiting for %s%s" % (addresses.text(address), "" if length is None else "/%d" % length)


def _may_be_leased(address: bytes, rule: InterfaceRule) -> bool:
    """Lifetimes do not matter, for some clients set none."""
    listed = {each for each, _length in rule.addresses}
    return len(address) == 4 and not addresses.kinds(address, 0) & addresses.LINK_LOCAL and address not in listed


class Links:
    """The interfaces and their addresses at one moment."""

    def __init__(self, model: Model) -> None:
        self.rules, self.entries = model.config.interfaces, model.policy.entries
        self.links, self.selected, self.addresses = model.inventory.links.copy(), model.inventory.selected(), model.inventory.lend()

    def known(self) -> Iterator[Optional[Known]]:
        """Those of which the configuration speaks; without an index there is none of that name.  None where there are many others."""
        names: Set[str] = set()
        entries = self.entries
        for place, index in enumerate(sorted(self.links)):
            selected = self.selected[index]
            names.update((selected.name, *selected.altnames))
            rules = entries.of(selected)
            if rules:
                yield Known(index, self.links[index].up, selected, rules, self.addresses.get(index, {}))
            elif place % SOME == 0:
                yield None
        for place, name in enumerate(dict.fromkeys(rule.pattern for rule in self.rules)):
            if place % SOME == SOME - 1:
                yield None
            if name is not None and is_one_name(name) and name not in names:
                absent = inventory.Interface(name)
                yield Known(None, False, absent, entries.of(absent), {})


def _interfaces(model: Model, links: Links, of: Optional[AddressesOf]) -> Iterator[Optional[Interface]]:
    """With their addresses, or with these only."""
    choices: Dict[Tuple[str, ...], Choices] = {}
    for known in links.known():
        if known is None:
            yield None
            continue
        zones = tuple(dict.fromkeys(zone for rule in known.rules for zone in rule.zones))
        expectations = dict.fromkeys(each for rule in known.rules for each in broken_expectations(rule, known.held))
        if of is None and zones not in choices:
            for found in _choices(model, zones):
                if found is not None:
                    choices[zones] = found
                yield None
        addresses = _addresses(known.held, choices[zones]) if of is None else of(known.held)
        yield Interface(known.selected.name, known.index, known.up, zones, addresses, tuple(expectations))


def _addresses(held: Dict[bytes, int], choices: Choices) -> Collection[Address]:
    """Those of IPv4 first."""
    return Rows(len(held), partial(in_order, held, short_first=True), lambda key: _address(key, held[key], choices[len(key)]))


def _refused(held: Dict[bytes, int]) -> Collection[Address]:
    """Those which another host uses.  Of many addresses few flags differ."""
    refused = {flags for flags in set(held.values()) if flags & addresses.IFA_F_DADFAILED}
    return tuple(_address(key, flags, [ALL]) for key, flags in sorted(held.items()) if flags in refused) if refused else ()


def _none(_held: Dict[bytes, int]) -> Collection[Address]:
    return ()


def _choices(model: Model, zones: Tuple[str, ...]) -> Iterator[Optional[Choices]]:
    """By family, which addresses each set that would take any takes; without such a set, which the others do.  Before that None."""
    found: Set[Tuple[str, Optional[Value], Choice, Optional[Form]]] = set()
    for place, zone in enumerate(zones):
        found.update((feed.holds, feed.value, feed.choice, model.sets[feed.set].seen.form) for feed in model.policy.feeds[zone])
        if place % SOME == SOME - 1:
            yield None
    feeds = [(choice, form) for holds, value, choice, form in found if made_of(holds) == ADDRESSES and not by_far_end(holds, value)]
    yield {size: _chosen(feeds, size >> 1) for size in SIZES}


def _chosen(feeds: List[Tuple[Choice, Optional[Form]]], width: int) -> List[Choice]:
    fitting = {choice for choice, form in feeds if form is not None and sets.takes_addresses(form, width)}
    missing = {choice for choice, form in feeds if form is None}
    return [*(fitting or missing or {choice for choice, _form in feeds})] or [ALL]


def _address(key: bytes, flags: int, choices: List[Choice]) -> Address:
    text = "%s/%d" % (addresses.text(local(key)), prefixlen(key))
    reasons = () if any(counts(each, key, flags) for each in choices) else dict.fromkeys(
        word for each in choices for word in objections(each, key, flags))
    return Address(text, flag_names(local(key), flags), not reasons, tuple(reasons))


def flag_names(local: bytes, flags: int) -> Tuple[str, ...]:
    """IFA_FLAGS as ip-address(8) names them, with `dynamic` for what is not permanent."""
    names = [name for bit, name in FLAG_NAMES if flags & bit]
    if flags & addresses.IFA_F_SECONDARY:
        names.append("temporary" if len(local) == 16 else "secondary")
    return tuple(names) if flags & addresses.IFA_F_PERMANENT else ("dynamic", *names)


def _by_name(container: ContainerSeen) -> Tuple[str, Tuple[str, str]]:
    return container.name, container.key


def _ordered(containers: Iterable[ContainerSeen]) -> Iterator[Optional[ContainerSeen]]:
    return arranged(containers, _by_name)


def _container(policy: Policy, container: ContainerSeen) -> Container:
    endpoints = (Endpoint(each.network, addresses.text(each.address)) for each in container.endpoints)
    reasons = policy.reasons_of_container(container)
    return Container(
        container.id, container.name, policy.zones_of_container(container), tuple(endpoints), container.engine or None,
        HEALTH[container.healthy], tuple(dict.fromkeys(word for word, _text in reasons)), tuple(text for _word, text in reasons))


def _odd_containers(policy: Policy, containers: Iterable[ContainerSeen]) -> Iterator[Optional[Container]]:
    """Those of which something may be wrong; None among many of which nothing is."""
    for place, each in enumerate(_ordered(containers)):
        if each is not None and (each.healthy is False or not each.endpoints or policy.by_label(each).refused):
            yield _container(policy, each)
        elif each is None or place % SOME == 0:
            yield None


class SetsThere:
    """Sets at one moment, made as they are read.  `undone`: what a dry run leaves undone, by set.

    There may be very many of them, so at that moment no more is taken of each than what may change.
    """

    def __init__(self, model: Model, there: Sequence[ManagedSet], dry_run: bool) -> None:
        overview = model.overview
        self._marks, self._since, self._warned = overview.all_marks(), overview.since.copy(), overview.warned.copy()
        self._kept = [(each.name, each.seen, each.role, len(held.ours), len(held.foreign),
                       each.warning if form is not None and (form.merge or form.value) else each.unwritten)
                      for each in there for held, form in ((each.held, each.seen.form),)]
        undone = [(each.name, _left_undone(model, each)) for each in there if each.error is None] if dry_run else []
        self.undone = {name: text for name, text in undone if text is not None}

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[SetThere]:
        for name, seen, role, elements, foreign, warning in self._kept:
            yield SetThere(name, seen, role, self._marks[name].state, elements, foreign, warning, self._since.get(name, UNDATED)[1],
                           self._warned.get(name), self.undone.get(name))


def left_undone(model: Model) -> FrozenSet[SetName]:
    """The sets that a dry run leaves as they are although they should be another way."""
    return frozenset(managed.name for managed in shown(model) if _left_undone(model, managed))


def error_of(there: SetThere) -> Optional[str]:
    """Why the set is not as it should be."""
    error = there.state.reason
    return WITHDRAWN % error if error is not None and there.role.retiring else error


def _row(utc: Callable[[float], str], there: SetThere) -> SetStatus:
    info, role = there.seen.info, there.role
    return SetStatus(
        *there.name,
        type=None if info is None else info.type_text,
        zone=", ".join(dict.fromkeys(feed.zone for feed in role.feeds)),
        holds=", ".join(dict.fromkeys(feed.holds for feed in role.feeds)),
        state=ERROR if there.undone else there.state.word, elements=there.elements, foreign=there.foreign,
        error=there.undone or error_of(there), warning=there.warning,
        since=None if there.since is None else utc(there.since),
        warning_since=None if there.warning is None or there.warned is None else utc(there.warned))


def _left_undone(model: Model, managed: ManagedSet) -> Optional[str]:
    """What a dry run would do to a set that is there."""
    if managed.seen.info is None:
        return None
    found = sets.difference(model.wanted(managed), Contents(*managed.held), managed.role.exclusive)
    if not (found.delete or found.add or found.renew):
        return None
    return UNDONE % (number(len(found.add) + len(found.renew), "element"), len(found.delete) + len(found.renew))


def _elements(there: SetThere, lent: Lent) -> Elements:
    form = there.seen.form
    if form is None:
        return Elements()
    text = partial(_element_text, form)

    def texts(elements: Collection[bytes]) -> Collection[str]:
        return Rows(len(elements), partial(in_order, elements), text)
    return Elements(*map(texts, lent))


def _element_text(form: Form, element: bytes) -> str:
    """As nft writes it, but for a name that stands alone, which needs no quotation marks."""
    marks = 1 if form.parts == (sets.IFNAME,) and not form.value else 0
    return nft_text.element_text(form, element)[marks:-marks or None]


def _sources(told: SourcesStatus, utc: Callable[[float], str]) -> Dict[str, Source]:
    repair = told.last_repair
    by = repair.by[0] if repair is not None and len(repair.by) == 1 else None
    last = None if repair is None else LastRepair(time=repair.time, sets=tuple(map(str, repair.sets)))
    if last is not None and by is not None:
        last = last._replace(**by._asdict())
    rows: Dict[str, Source] = {}
    for name, state, error, facts, since in told.sources:
        repairs: Dict[str, Fact] = {"repairs": told.repairs, "last_repair": last} if name == "nftables" else {}
        if repairs and told.rival is not None:
            repairs.update(warning=told.rival, warning_since=None if told.rival_since is None else utc(told.rival_since))
        trouble = {"error": error} if error is not None or not (facts or repairs) else {}
        dated = {} if since is None or (state in ("ok", "disabled") and error is None) else {"since": since}
        rows[name] = Source(state, {**facts, **repairs, **trouble, **dated})
    return rows
