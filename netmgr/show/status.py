"""The state of everything as one value, and every set with its elements."""

from functools import partial
from typing import Callable, Collection, Dict, FrozenSet, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from netmgr import __version__
from netmgr.config.schema import InterfaceRule
from netmgr.model import inventory
from netmgr.model.managed_set import ERROR, ManagedSet
from netmgr.model.model import Model
from netmgr.model.selection import is_one_name, matches
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
from netmgr.show.problems import of_reload, problems
from netmgr.show.rows import Rows, in_order
from netmgr.sync.repairs import Repair
from netmgr.values import addresses, sets
from netmgr.values.addresses import local, prefixlen
from netmgr.values.choice import ALL, Choice, counts, objections
from netmgr.values.holds import ADDRESSES, by_far_end, made_of
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
HEALTH = {None: None, True: "healthy", False: "unhealthy"}


Known = Tuple[Optional[int], bool, inventory.Interface, Tuple[InterfaceRule, ...]]
Choices = Dict[int, List[Choice]]       # by size of the identity


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


def everything(model: Model, sources: SourcesStatus, manner: Manner) -> Status:
    """All of it."""
    rows, known = tuple(_row(model, managed, manner) for managed in shown(model)), [*known_interfaces(model)]
    lent = model.inventory.lend()
    held = [{} if index is None else lent.get(index, {}) for index, *_more in known]
    status = Status(
        1, __version__, state([row.state for row in rows], model, sources), manner.pid, round(manner.uptime, 1), manner.config_path,
        interfaces=tuple(_interfaces(model, known, held)),
        containers=tuple(_containers(model)),
        sets=rows,
        sources=_sources(sources, manner.utc),
        dry_run=manner.dry_run,
        since=manner.utc(manner.begun))
    may_be = model.inventory.flagged & addresses.IFA_F_DADFAILED
    refused = tuple(each._replace(addresses=_refused(some) if may_be else ()) for each, some in zip(status.interfaces, held))
    return status._replace(problems=(*of_reload(manner.failed), *problems(status._replace(interfaces=refused))))


def state(words: Iterable[str], model: Model, sources: SourcesStatus) -> str:
    """ready when every set that exists is synced, every file is written, every enabled source is ok and no other netmgr interferes."""
    healthy = all(source.state in ("ok", "disabled") for source in sources.sources) and sources.rival is None
    return "ready" if healthy and ERROR not in words and not model.overview.unwritten else "degraded"


def shown(model: Model) -> Iterator[ManagedSet]:
    """The sets that concern the user: those that exist, the missing ones that the configuration promises, old ones that are in error."""
    known = model.overview
    names = known.synced.keys() | known.missing.keys() | known.error.keys()
    return (managed for name, managed in model.sets.items() if name in names)


def set_contents(model: Model, manner: Manner) -> Sequence[SetContents]:
    """Every set with its elements."""
    return [SetContents(_row(model, managed, manner), _elements(model, managed, manner.dry_run)) for managed in shown(model)]


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


def known_interfaces(model: Model) -> Iterator[Known]:
    """Those that the configuration speaks of: index, whether it is up, what selects it, and by which entries; without an index: none."""
    names: Set[str] = set()
    for index, link in sorted(model.inventory.links.items()):
        selected = model.inventory.interface(index)
        names.update((selected.name, *selected.altnames))
        rules = tuple(rule for rule in model.config.interfaces if matches(rule, selected))
        if rules:
            yield index, link.up, selected, rules
    for name in dict.fromkeys(rule.pattern for rule in model.config.interfaces):
        if name is not None and is_one_name(name) and name not in names:
            absent = inventory.Interface(name)
            yield None, False, absent, tuple(rule for rule in model.config.interfaces if matches(rule, absent))


def _interfaces(model: Model, known: Iterable[Known], held: Iterable[Dict[bytes, int]]) -> Iterator[Interface]:
    """Those that are there with the addresses that they hold, and those without an index, of which no more than the name is known."""
    choices: Dict[Tuple[str, ...], Choices] = {}
    for (index, up, selected, rules), some in zip(known, held):
        zones = tuple(dict.fromkeys(zone for rule in rules for zone in rule.zones))
        expectations = dict.fromkeys(each for rule in rules for each in broken_expectations(rule, some))
        if zones not in choices:
            choices[zones] = {size: _choices(model, zones, size >> 1) for size in SIZES}
        yield Interface(selected.name, index, up, zones, _addresses(some, choices[zones]), tuple(expectations))


def _addresses(held: Dict[bytes, int], choices: Choices) -> Collection[Address]:
    """Those of IPv4 first."""
    return Rows(len(held), partial(in_order, held, short_first=True), lambda key: _address(key, held[key], choices[len(key)]))


def _refused(held: Dict[bytes, int]) -> Tuple[Address, ...]:
    """Those which another host uses.  Of many addresses few flags differ."""
    refused = {flags for flags in set(held.values()) if flags & addresses.IFA_F_DADFAILED}
    return tuple(_address(key, flags, [ALL]) for key, flags in sorted(held.items()) if flags in refused) if refused else ()


def _choices(model: Model, zones: Tuple[str, ...], width: int) -> List[Choice]:
    """Which addresses of this family each set that would take any takes; without such a set, which the others do."""
    feeds = [(feed.choice, model.sets[feed.set].seen.form) for zone in zones for feed in model.policy.feeds[zone]
             if made_of(feed.holds) == ADDRESSES and not by_far_end(feed.holds, feed.value)]
    fitting = [choice for choice, form in feeds if form is not None and sets.takes_addresses(form, width)]
    missing = [choice for choice, form in feeds if form is None]
    return fitting or missing or [choice for choice, _form in feeds] or [ALL]


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


def _containers(model: Model) -> Iterator[Container]:
    for container in sorted(model.inventory.containers.values(), key=lambda each: (each.name, each.key)):
        endpoints = (Endpoint(each.network, addresses.text(each.address)) for each in container.endpoints)
        reasons = model.policy.reasons_of_container(container)
        yield Container(
            container.id, container.name, model.policy.zones_of_container(container), tuple(endpoints), container.engine or None,
            HEALTH[container.healthy], tuple(dict.fromkeys(word for word, _text in reasons)), tuple(text for _word, text in reasons))


def set_status(managed: ManagedSet) -> SetStatus:
    """A set as it is now."""
    info, feeds = managed.seen.info, managed.role.feeds
    return SetStatus(
        *managed.name,
        type=None if info is None else info.type_text,
        zone=", ".join(dict.fromkeys(feed.zone for feed in feeds)),
        holds=", ".join(dict.fromkeys(feed.holds for feed in feeds)),
        state=managed.state.word, elements=len(managed.held.ours), foreign=len(managed.held.foreign),
        error=WITHDRAWN % managed.error if managed.role.retiring else managed.error, warning=managed.warning)


def left_undone(model: Model) -> FrozenSet[SetName]:
    """The sets that a dry run leaves as they are although they should be another way."""
    return frozenset(managed.name for managed in shown(model) if _left_undone(model, managed))


def _row(model: Model, managed: ManagedSet, manner: Manner) -> SetStatus:
    """The same with what the model and the way of running add to it."""
    row, since = set_status(managed), model.overview.since.get(managed.name)
    if since is not None:
        row = row._replace(since=manner.utc(since[1]))
    warned = model.overview.warned.get(managed.name)
    if row.warning is not None and warned is not None:
        row = row._replace(warning_since=manner.utc(warned))
    undone = _left_undone(model, managed) if manner.dry_run and row.error is None else None
    return row if undone is None else row._replace(state=ERROR, error=undone)


def _left_undone(model: Model, managed: ManagedSet) -> Optional[str]:
    """What a dry run would do to a set that is there."""
    if managed.seen.info is None:
        return None
    found = sets.difference(model.wanted(managed), Contents(*managed.held), managed.role.exclusive)
    if not (found.delete or found.add or found.renew):
        return None
    return UNDONE % (number(len(found.add) + len(found.renew), "element"), len(found.delete) + len(found.renew))


def _elements(model: Model, managed: ManagedSet, dry_run: bool) -> Elements:
    form = managed.seen.form
    if form is None:
        return Elements()
    text = partial(_element_text, form)

    def texts(elements: Collection[bytes]) -> Collection[str]:
        return Rows(len(elements), partial(in_order, elements), text)
    return Elements(*map(texts, model.lend(managed, dry_run)))


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
