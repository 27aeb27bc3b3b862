"""Why something is in a set, or is not.

What is explained is found first: an address, a network, an interface, a set, a zone, a container, another host, a MAC address, a key of a
set.  That says what may have to do with it, and in which sets.  What comes of that (moment.py, reasons.py) is told in pieces, of what was
so when somebody asked.
"""

from functools import partial
from typing import Callable, Dict, Generator, Iterable, Iterator, List, Mapping, Optional, Sequence, Set, Tuple, Type, TypeVar

from netmgr.model.managed_set import ManagedSet
from netmgr.model.model import Model
from netmgr.model.zones import NO_INTERFACE
from netmgr.show.answers import Explanation, FeedRow, KeptOutRow, RepairRow
from netmgr.show.holders import Span, covering
from netmgr.show.moment import FEW, Claimant, Moment, SetView
from netmgr.show.moment import Steps as Claimants
from netmgr.show.reasons import SENTENCES, Reasons, Since, Steps
from netmgr.show.rows import made
from netmgr.show.status import shown
from netmgr.values import addresses
from netmgr.values.addresses import network
from netmgr.values.choice import network_of
from netmgr.values.happenings import Culprit, Happening
from netmgr.values.holds import HARDWARE_ADDRESSES
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.notation import key_of
from netmgr.values.sets import AND, ETHER_ADDR, IFNAME, INET_PROTO, INET_SERVICE, IPV4_ADDR, IPV6_ADDR, WIDTHS, SetName

NO_SETS: Mapping[SetName, List[Span]] = {}
Row = TypeVar("Row", FeedRow, KeptOutRow)

PORT = INET_PROTO + AND + INET_SERVICE
PROTOCOLS = ("tcp", "udp", "sctp")


class Question(NamedTuple):
    """What a thing is, what may have to do with it, and in which sets.

    `own`: sets that are explained themselves.  `wanted`: which elements have it, whosever they are.  `narrow`: only these matter.
    """

    kind: str
    claimants: Callable[[Moment], Claimants]
    sets: Iterable[SetName]
    own: Sequence[SetName] = ()
    wanted: Mapping[SetName, List[Span]] = NO_SETS
    narrow: bool = False
    address: bytes = b""

    @property
    def only(self) -> Optional[Sequence[SetName]]:
        """The sets that are of interest, where not all are."""
        return self.own if self.kind == "set" else [*self.wanted] if self.narrow else None


def explain(model: Model, words: str, happenings: Sequence[Happening]) -> Explanation:
    """What is known of the thing that the words name; the happenings tell since when."""
    question = next((found for find in (_address, _named, _key) for found in [find(model, words)] if found is not None), None)
    if question is None:
        return Explanation(thing=words)
    moment = Moment(model, question.sets, question.address)
    return Explanation(1, words, question.kind, made(partial(_rows, moment, question, happenings, FeedRow)),
                       made(partial(_rows, moment, question, happenings, KeptOutRow)),
                       made(partial(_repairs, words, question, happenings)))


# -- finding


def _address(model: Model, words: str) -> Optional[Question]:
    try:
        packed, length = addresses.parse(words)
    except ValueError:
        return None
    family = IPV4_ADDR if len(packed) == WIDTHS[IPV4_ADDR] else IPV6_ADDR
    sets = {managed.name: managed.seen.form for managed in shown(model)}
    span = [network_of(packed, length)]
    wanted = {name: span for name, form in sets.items() if form is not None and form.type == family}
    if "/" in words and network(packed, length) == packed and length < len(packed) * 8:
        return Question("network", lambda moment: moment.in_network(packed, length), sets, wanted=wanted)
    return Question("address", lambda moment: moment.with_address(packed), sets, wanted=wanted, address=packed)


def _named(model: Model, words: str) -> Optional[Question]:
    parts, policy, inventory = tuple(words.split()), model.policy, model.inventory
    interfaces = {ifindex: each for ifindex, each in inventory.selected().items() if words == each.name or words in each.altnames}
    if interfaces or any(rule.pattern == words for rule in model.config.interfaces):
        return Question("interface", lambda moment: _of_interfaces(moment, [*interfaces], words),
                        _sets_of(model, (zone for each in interfaces.values() for zone in policy.zones_of_interface(each))))
    names = [name for name in model.sets if (name.name == words if len(parts) == 1 else name == parts)]
    if names:
        zones = {feed.zone for name in names for feed in model.sets[name].role.feeds}
        return Question("set", lambda moment: moment.inside(zones), names, names)
    if words in policy.zones:
        of_zone = _sets_of(model, [words])
        return Question("zone", lambda moment: moment.inside({words}), of_zone, [*of_zone])
    containers = [each for each in inventory.containers.values() if words in (each.name, each.id) or (
        len(words) >= 12 and each.id.startswith(words))]
    if containers:
        return Question("container", lambda moment: (claimant for each in containers for claimant in moment.of_container(each)),
                        _sets_of(model, (zone for each in containers for zone in policy.zones_of_container(each))))
    hosts = [each.zone for each in inventory.hosts.values() if each.host == words]
    if hosts:
        return Question("host", lambda moment: (each for each in moment.of_hosts() if each is None or each.source == words),
                        _sets_of(model, hosts))
    return None


def _key(model: Model, words: str) -> Optional[Question]:
    """A MAC address, or what may be a key of sets that are there: their notation, or that of `docker ps` for a port."""
    keys = {managed.name: found for managed in shown(model) if managed.seen.info is not None for found in [_keys(managed, words)] if found}
    wanted = {name: [(key, key) for key in found] for name, found in keys.items()}
    if _parsed(ETHER_ADDR, words) is not None:
        hardware = _parsed(ETHER_ADDR, words) or b""
        sets = [managed.name for managed in shown(model) if managed.name in wanted or any(
            HARDWARE_ADDRESSES in feed.holds.split(AND) for feed in managed.role.feeds)]
        return Question("hardware_address", lambda moment: moment.with_hardware(hardware), sets, wanted=wanted)
    zones = {feed.zone for name in wanted for feed in model.sets[name].role.feeds}
    return Question("key", lambda moment: moment.inside(zones), wanted, wanted=wanted, narrow=True) if wanted else None


def _keys(managed: ManagedSet, words: str) -> List[bytes]:
    """What the words may be in this set.  Any word may be the name of an interface: that of none only where the set has it."""
    form = managed.seen.form
    if form is None or form.type in (IPV4_ADDR, IPV6_ADDR):
        return []
    port, _, protocol = words.partition("/")
    texts = [words]
    if form.type == PORT and AND not in words:
        texts = [each + AND + port for each in ([protocol] if protocol else PROTOCOLS)]
    found = [key for text in texts for key in [_parsed(form.type, text)] if key is not None]
    return [key for key in found if form.type != IFNAME or key in managed.held.ours or key in managed.held.foreign]


def _parsed(kind: str, words: str) -> Optional[bytes]:
    try:
        return key_of(kind, words)
    except ValueError:
        return None


def _sets_of(model: Model, zones: Iterable[str]) -> Dict[SetName, None]:
    """Those that concern the user."""
    seen, feeds = model.overview, model.policy.feeds
    there = {**seen.synced, **seen.missing, **seen.error}
    return dict.fromkeys([feed.set for zone in zones for feed in feeds[zone] if feed.set in there])


def _of_interfaces(moment: Moment, indexes: Sequence[int], words: str) -> Claimants:
    """One of which the configuration speaks may not be there."""
    for ifindex in indexes:
        yield from moment.of_link(ifindex)
    if not indexes:
        row = KeptOutRow(None, None, words, "no_address", "there is no such interface now")
        yield Claimant(NO_INTERFACE, words, (), {}, (row,))


# -- explaining


def _rows(moment: Moment, question: Question, happenings: Sequence[Happening], kind: Type[Row]) -> Iterator[Optional[Row]]:
    """All rows of one kind."""
    found = _feeds(moment, question, happenings) if kind is FeedRow else _kept_out(moment, question)
    return (row for row in found if row is None or isinstance(row, kind))


def _feeds(moment: Moment, question: Question, happenings: Sequence[Happening]) -> Steps:
    """What has a claim, and then elements that nobody claims."""
    since = yield from _since(happenings)
    unclaimed: Dict[Tuple[str, str], FeedRow] = {}
    for row in covering(moment, question.wanted):
        if row is None:
            yield None
        else:
            unclaimed[row.set, row.element] = row
    for each in _of_claimants(moment, question, since):
        if isinstance(each, FeedRow):
            unclaimed.pop((each.set, each.element), None)
        yield each
    yield from unclaimed.values()


def _kept_out(moment: Moment, question: Question) -> Steps:
    for name in question.own:
        view = moment.set(name)
        yield from () if view is None else _of_set(view, question.kind == "set")
    yield from _of_claimants(moment, question, lambda _name, _element: None)


def _of_claimants(moment: Moment, question: Question, since: Since) -> Steps:
    reasons = Reasons(moment, question.only, question.wanted if question.narrow else {}, since)
    for claimant in question.claimants(moment):
        if claimant is None:
            yield None
        else:
            yield from reasons.of(claimant)


def _of_set(view: SetView, is_asked: bool) -> Iterator[KeptOutRow]:
    """What is wrong with a set itself; one that nobody asked for by its name may well be missing."""
    zone = ",".join(dict.fromkeys(feed.zone for feed in view.feeds)) or None
    error = view.wrong.misfit or view.wrong.fault or view.wrong.full
    if view.seen.info is None:
        if is_asked or view.promised:
            yield KeptOutRow(str(view.name), zone, None, "set_missing", SENTENCES["set_missing"])
    elif error is not None:
        yield KeptOutRow(str(view.name), zone, None, "set_full" if error == view.wrong.full else "set_error", error)


def _repairs(words: str, question: Question, happenings: Sequence[Happening]) -> Iterator[Optional[RepairRow]]:
    """The last repair of each set; where it is about elements, the last that brought or took one of the same name."""
    rest: Optional[Set[str]] = None
    for each in reversed(happenings):
        if each.kind == "repaired" and (not question.wanted or words in each.added or words in each.removed):
            culprit = each.culprit or Culprit(0, "")
            rest = set(map(str, question.sets)) if rest is None else rest
            for name in each.sets:
                if name in rest:
                    rest.remove(name)
                    yield RepairRow(name, each.time, each.cause or "", culprit.command, culprit.unit)
            yield None


def _since(happenings: Sequence[Happening]) -> Generator[None, None, Since]:
    """When an element came into a set, if that is still known: not where more came or went later than could be named."""
    named: Dict[str, List[Happening]] = {}
    vague: Dict[str, str] = {}
    for place, each in enumerate(reversed(happenings)):
        for element in {*each.added, *each.removed}:
            named.setdefault(element, []).append(each)
        if each.added_count + each.removed_count > len(each.added) + len(each.removed):
            for name in (each.set, *each.sets):
                vague.setdefault(name or "", each.time)
        if place % FEW == FEW - 1:
            yield None

    def since(name: SetName, element: str) -> Optional[str]:
        last = next((each for each in named.get(element, ()) if each.set == str(name) or str(name) in each.sets), None)
        return None if last is None or element in last.removed or last.time < vague.get(str(name), "") else last.time
    return since

