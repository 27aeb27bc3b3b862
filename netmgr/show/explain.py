"""Why something is in a set, or is not.

What is explained is found first: an address, a network, an interface, a set, a zone, a container, another host.  Then every feed that
it may have to do with is asked by the functions that fill the sets, so that an explanation cannot say anything else than what is done.
"""

from typing import Callable, Collection, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from netmgr.model.composition import Shape
from netmgr.model.inventory import Addresses, Interface, Thing
from netmgr.model.managed_set import ManagedSet
from netmgr.model.model import Model
from netmgr.model.selection import matches
from netmgr.model.zones import NO_INTERFACE, Feed, feeds_of_zone, interface_of, lasting
from netmgr.show.answers import Explanation, FeedRow, KeptOutRow
from netmgr.values import addresses
from netmgr.values.addresses import from_far_end, identity, local, network, prefixlen
from netmgr.values.choice import objections
from netmgr.values.errors import Entry
from netmgr.values.events import ContainerSeen
from netmgr.values.holds import ADDRESSES, GATEWAYS, HOSTS, INTERFACES, OWN_ADDRESS, PEERS, PUBLISHED_PORTS, by_far_end, made_of
from netmgr.values.sets import AND, IPV4_ADDR, IPV6_ADDR, WIDTHS, Form, SetName, takes_addresses
from netmgr.wire.nft_text import element_text

FEW = 1000          # addresses of a link that are looked through one by one

Since = Callable[[SetName, str], Optional[str]]         # when an element came into a set

SENTENCES = {
    "tentative": "its uniqueness is still being checked (DAD)",
    "dadfailed": "somebody else has it (DAD failed)",
    "family": "no set of the zone takes addresses of its family",
    "no_zone": "no entry of the configuration puts it into a zone",
    "unhealthy": "its health check does not succeed",
    "no_address": "it has no address of its own",
    "set_missing": "there is no such set",
    "set_full": "the set is full",
    "covered": "a range of somebody else's covers it",
    "network": "it is in a network that is excluded",
    "not_only": "it is of none of the kinds and networks that count",
    "conflict": "another value has the key",
    "suffix": "its network has no room for a host with that suffix",
}


MADE_OF = {Interface: INTERFACES, Addresses: ADDRESSES, ContainerSeen: PUBLISHED_PORTS}     # what a thing is to those that hold it


class Claimant(NamedTuple):
    """A thing that may feed sets, from where it is, the zones that it is in, and which entry of the configuration says so.

    `word`: only what is held by this word is of interest; of hosts, only those with this `suffix`.
    """

    thing: Thing
    source: str
    zones: Tuple[str, ...]
    entries: Dict[str, Optional[Entry]]
    objections: Tuple[KeptOutRow, ...] = ()
    interface: Interface = NO_INTERFACE         # of this host
    word: str = ""
    suffix: bytes = b""


def explain(model: Model, words: str, since: Since) -> Explanation:
    """What is known of the thing that the words name."""
    found = next((each for each in (_address(model, words), _named(model, words)) if each is not None), None)
    if found is None:
        return Explanation(thing=words)
    kind, claimants, sets = found
    rows: List[object] = [] if sets is None else [row for name in sets for row in _of_set(model, name, kind == "set")]
    only = sets if kind == "set" else None
    rows += [row for claimant in claimants for row in _rows(model, claimant, only, since)]
    feeds = [row for row in rows if isinstance(row, FeedRow)]
    if kind in ("address", "network"):
        named = {(row.set, row.element) for row in feeds}
        feeds += [row for row in _covering(model, words) if (row.set, row.element) not in named]
    return Explanation(thing=words, kind=kind, feeds=tuple(feeds), kept_out=tuple(row for row in rows if isinstance(row, KeptOutRow)))


Found = Tuple[str, Iterable[Claimant], Optional[Collection[SetName]]]        # the sets that are explained, None: no sets are


# -- finding


def _address(model: Model, words: str) -> Optional[Found]:
    try:
        packed, length = addresses.parse(words)
    except ValueError:
        return None
    if "/" in words and network(packed, length) == packed and length < len(packed) * 8:
        inside = [each for each in _claimants(model) if isinstance(each.thing, Addresses)]
        return "network", [_only_in(each, packed, length) for each in inside if _holds_network(each, packed, length)], None
    return "address", [found for each in _claimants(model) for found in _with_address(each, packed)], None


def _named(model: Model, words: str) -> Optional[Found]:
    parts = words.split()
    names = [name for name in model.sets if (name.name == words if len(parts) == 1 else list(name) == parts)]
    interfaces = ((ifindex, model.inventory.interface(ifindex)) for ifindex in model.inventory.links)
    indexes = [ifindex for ifindex, interface in interfaces if words in (interface.name, *interface.altnames)]
    if indexes or any(rule.pattern == words for rule in model.config.interfaces):
        there = [each for ifindex in indexes for each in _of_link(model, ifindex)]
        return "interface", there or [_absent(words)], None
    if names:
        zones = {feed.zone for name in names for feed in model.sets[name].role.feeds}
        return "set", _inside(model, zones), names
    if words in model.policy.zones:
        of_zone = dict.fromkeys(feed.set for feed in feeds_of_zone(model.policy.zones[words]))
        return "zone", _inside(model, {words}), of_zone
    containers = [each for each in model.inventory.containers.values() if words in (each.name, each.id) or (
        len(words) >= 12 and each.id.startswith(words))]
    if containers:
        return "container", [claimant for each in containers for claimant in _of_container(model, each)], None
    hosts = [each for each in model.inventory.hosts.values() if each.host == words]
    if hosts:
        return "host", [each for each in _of_hosts(model) if each.source == words], None
    return None


def _absent(name: str) -> Claimant:
    """An interface that the configuration speaks of and that is not there."""
    row = KeptOutRow(None, None, name, "no_address", "there is no such interface now")
    return Claimant(NO_INTERFACE, name, (), {}, (row,))


def _inside(model: Model, zones: Collection[str]) -> List[Claimant]:
    """What is in these zones, as far as it is."""
    common = ((each, tuple(zone for zone in each.zones if zone in zones)) for each in _claimants(model))
    return [each._replace(zones=some, objections=()) for each, some in common if some]


def _claimants(model: Model) -> Iterator[Claimant]:
    """Everything that may feed a set, and of what is in no zone that too."""
    for ifindex in model.inventory.links:
        yield from _of_link(model, ifindex)
    for container in model.inventory.containers.values():
        yield from _of_container(model, container)
    yield from _of_hosts(model)


def _of_link(model: Model, ifindex: int) -> Iterator[Claimant]:
    interface = model.inventory.interface(ifindex)
    zones, entries = model.policy.zones_of_interface(interface), _entries_of_interface(model, interface)
    yield Claimant(interface, interface.name, zones, entries, interface=interface)
    flags = model.inventory.addresses.get(ifindex, {})
    yield Claimant(Addresses(interface, flags), interface.name, zones, entries, interface=interface)


def _entries_of_interface(model: Model, interface: Interface) -> Dict[str, Optional[Entry]]:
    entries: Dict[str, Optional[Entry]] = {}
    for rule in model.config.interfaces:
        if matches(rule, interface):
            for zone in rule.zones:
                entries.setdefault(zone, rule.entry)
    return entries


def _of_container(model: Model, container: ContainerSeen) -> Iterator[Claimant]:
    """One for each address; what keeps the container out of anything stands with the first."""
    entry = next((engine.entry for engine in model.config.docker if engine.name == container.engine), None)
    objections = tuple(_objections(model, container))
    for endpoint in container.endpoints:
        zones = model.policy.zones_of_container(container, endpoint.network)
        flags = {identity(endpoint.address, endpoint.prefixlen, endpoint.address): addresses.IFA_F_PERMANENT}
        yield Claimant(Addresses(Interface(container.name), flags), container.name, zones, dict.fromkeys(zones, entry), objections,
                       interface_of(endpoint))
        objections = ()
    cards = {interface_of(each): model.policy.zones_of_container(container, each.network)
             for each in container.endpoints if each.hardware}
    for interface, zones in cards.items():
        yield Claimant(interface, container.name, zones, dict.fromkeys(zones, entry), interface=interface)
    if container.ports:
        zones = model.policy.zones_of_container(container)
        yield Claimant(container, container.name, zones, dict.fromkeys(zones, entry))
    if not container.endpoints:
        yield Claimant(Addresses(Interface(container.name), {}), container.name, (), {}, objections)


def _objections(model: Model, container: ContainerSeen) -> Iterator[KeptOutRow]:
    for word, why in model.policy.reasons_of_container(container):
        yield KeptOutRow(None, None, container.name, word, why or SENTENCES.get(word, word))


def _of_hosts(model: Model) -> Iterator[Claimant]:
    consumed = () if model.config.fleet is None else model.config.fleet.consume
    entries = {rule.zone: rule.entry for rule in consumed}
    for seen in model.inventory.hosts.values():
        thing = Addresses(Interface(seen.host), lasting(seen.addresses))
        yield Claimant(thing, seen.host, (seen.zone,), {seen.zone: entries.get(seen.zone)})


def _with_address(claimant: Claimant, packed: bytes) -> Iterator[Claimant]:
    """The claimant with this address alone, if it has it."""
    thing = claimant.thing
    if isinstance(thing, Interface) and packed in thing.gateways:
        yield claimant._replace(thing=thing._replace(gateways=(packed,)), word=GATEWAYS)
    if isinstance(thing, ContainerSeen) and any(endpoint.address == packed for endpoint in thing.endpoints):
        yield claimant
    if not isinstance(thing, Addresses):
        return
    yield from _with_neighbour(claimant, thing, packed)
    if len(thing.flags) > FEW:
        keys = [key for key in (identity(packed, length, packed) for length in range(len(packed) * 8 + 1)) if key in thing.flags]
    else:
        keys = [key for key in thing.flags if local(key) == packed]
    if keys:
        yield claimant._replace(thing=Addresses(thing.interface, {key: thing.flags[key] for key in keys}))


def _with_neighbour(claimant: Claimant, thing: Addresses, packed: bytes) -> Iterator[Claimant]:
    """The claimant with each address of which this is the far end, or a host in its network."""
    for key, flags in thing.flags.items() if len(thing.flags) <= FEW else ():
        if len(key) >> 1 != len(packed):
            continue
        single = claimant._replace(thing=Addresses(thing.interface, {key: flags}), objections=())
        if local(from_far_end(key, flags)) == packed:
            yield single._replace(word=PEERS)
        first = network(packed, prefixlen(key))
        if first == network(local(key), prefixlen(key)):
            host = int.from_bytes(packed, "big") - int.from_bytes(first, "big")
            yield single._replace(word=HOSTS, suffix=host.to_bytes(len(packed), "big"))


def _holds_network(claimant: Claimant, packed: bytes, length: int) -> bool:
    return any(_in_network(key, packed, length) for key in _flags(claimant))


def _only_in(claimant: Claimant, packed: bytes, length: int) -> Claimant:
    inside = {key: flags for key, flags in _flags(claimant).items() if _in_network(key, packed, length)}
    return claimant._replace(thing=Addresses(Interface(claimant.source), inside))


def _in_network(key: bytes, packed: bytes, length: int) -> bool:
    return len(key) >> 1 == len(packed) and prefixlen(key) == length and network(local(key), length) == packed


def _flags(claimant: Claimant) -> Dict[bytes, int]:
    """The addresses that a claimant is about."""
    if isinstance(claimant.thing, Interface):
        return lasting(claimant.thing.gateways) if claimant.word == GATEWAYS else {}
    return claimant.thing.flags if isinstance(claimant.thing, Addresses) else {}


# -- explaining


def _of_set(model: Model, name: SetName, is_asked: bool) -> Iterator[KeptOutRow]:
    """What is wrong with a set itself; one that nobody asked for by its name may well be missing."""
    managed = model.sets[name]
    zone = ",".join(dict.fromkeys(feed.zone for feed in managed.role.feeds)) or None
    if managed.seen.info is None:
        if is_asked or model.promised(managed):
            yield KeptOutRow(str(name), zone, None, "set_missing", SENTENCES["set_missing"])
    elif managed.error is not None:
        yield KeptOutRow(str(name), zone, None, "set_full" if managed.error == managed.wrong.full else "set_error", managed.error)


def _rows(model: Model, claimant: Claimant, only: Optional[Collection[SetName]], since: Since) -> Iterator[object]:
    yield from claimant.objections
    singles = list(_singles(claimant))
    if not claimant.zones and not claimant.objections and not claimant.word and isinstance(claimant.thing, Addresses):
        yield from (KeptOutRow(None, None, claimant.source, "no_zone", SENTENCES["no_zone"], _address_of(each)) for each in singles)
    for zone in claimant.zones:
        feeds = [feed for feed in feeds_of_zone(model.policy.zones[zone]) if _concerns(feed, claimant)]
        if claimant.suffix:
            feeds = [feed._replace(suffixes=(claimant.suffix,)) for feed in feeds if claimant.suffix in feed.suffixes]
        for single in singles:
            yield from _in_zone(model, single, zone, feeds, only, since)


def _singles(claimant: Claimant) -> Iterator[Claimant]:
    """One address at a time."""
    if not isinstance(claimant.thing, Addresses) or not claimant.thing.flags:
        yield claimant
        return
    for key, flags in claimant.thing.flags.items():
        yield claimant._replace(thing=Addresses(Interface(claimant.source), {key: flags}))


def _in_zone(model: Model, claimant: Claimant, zone: str, feeds: Sequence[Feed], only: Optional[Collection[SetName]],
             since: Since) -> Iterator[object]:
    """What every set of the zone, or only some, does with it; when no set takes addresses of its family, that is said once."""
    fitting = {feed: form for feed in feeds for form in [_fitting(model, feed, claimant)] if form is not None}
    rows: List[object] = []
    for feed in feeds:
        managed = model.sets[feed.set]
        if only is not None and feed.set not in only:
            continue
        if feed in fitting:
            rows += _in_set(model, claimant, feed, fitting[feed], since)
        elif managed.seen.info is None and model.promised(managed):
            rows += _kept_anyway(claimant, feed, "set_missing")
        elif managed.wrong.misfit is not None and (
                only is not None or len(feed.one_of) == 1 or all(each.holds != feed.holds for each in fitting)):
            rows += _kept_anyway(claimant, feed, "set_error", managed.wrong.misfit)
    if only is None and not (fitting or rows or claimant.word) and isinstance(claimant.thing, Addresses) and claimant.thing.flags:
        rows.append(KeptOutRow(None, zone, claimant.source, "family", SENTENCES["family"], _address_of(claimant)))
    yield from rows


def _concerns(feed: Feed, claimant: Claimant) -> bool:
    """Whether the set holds anything of such a thing."""
    return made_of(feed.holds) == MADE_OF[type(claimant.thing)] and (not claimant.word or claimant.word in feed.holds.split(AND))


def _fitting(model: Model, feed: Feed, claimant: Claimant) -> Optional[Form]:
    """The form of a set that is there and takes what it is to hold, of this family; None of any other."""
    managed = model.sets[feed.set]
    form = managed.seen.form
    if form is None or managed.seen.info is None or managed.wrong.misfit is not None:
        return None
    return form if all(takes_addresses(form, len(key) >> 1) for key in _flags(claimant)) else None


def _in_set(model: Model, claimant: Claimant, feed: Feed, form: Form, since: Since) -> Iterator[object]:
    managed = model.sets[feed.set]
    if feed.value == OWN_ADDRESS:
        elements = [claim for whole in [model.inventory.by_name(claimant.interface.name)] if whole is not None
                    for of in [claimant.thing if isinstance(claimant.thing, Interface) else whole.interface]
                    for _set, claims in model.policy.of_primary(of, whole.flags, {feed.set}) for claim in claims]
    else:
        elements = model.policy.elements_of(feed, form, claimant.thing, claimant.interface)
    if not elements:
        for key, flags in _flags(claimant).items():
            for word in _objections_to(feed, key, flags):
                yield _out(claimant, feed, word)
        return
    for element in elements:
        yield _held(managed, claimant, feed, form, element, since)


def _kept_anyway(claimant: Claimant, feed: Feed, reason: str, why: Optional[str] = None) -> Iterator[KeptOutRow]:
    """What keeps it out of a set that can hold nothing is that, but for what would stay out of it anyway."""
    flags = _flags(claimant)
    for key in flags:
        far = from_far_end(key, flags[key]) if by_far_end(feed.holds, feed.value) else key
        if far and (not feed.suffixes or len(key) >> 1 in map(len, feed.suffixes)):
            words = objections(feed.choice, far, flags[key])
            yield from (_out(claimant, feed, word) for word in words)
            yield from () if words else (_out(claimant, feed, reason, why),)
    if not flags:
        yield _out(claimant, feed, reason, why)


def _objections_to(feed: Feed, key: bytes, flags: int) -> Sequence[str]:
    """Why an address makes no element; nothing of one of which nobody expects any."""
    if by_far_end(feed.holds, feed.value):
        far = from_far_end(key, flags)
        return objections(feed.choice, far, flags) if far else ()
    found = objections(feed.choice, key, flags)
    return found or (["suffix"] if HOSTS in feed.holds.split(AND) else found)


def _held(managed: ManagedSet, claimant: Claimant, feed: Feed, form: Form, element: bytes, since: Since) -> object:
    first, last, value = _span(element, form)
    owner = _owner(managed, form, first, last, value)
    shown = element_text(form, (first + last if form.interval else first) + value)
    if owner is None and value and _owner(managed, form, first, last, None) is not None:
        return _out(claimant, feed, "conflict")
    if owner is None and managed.wrong.full is not None:
        return _out(claimant, feed, "set_full", managed.wrong.full)
    if owner is None and managed.wrong.fault is not None:
        return _out(claimant, feed, "set_error", managed.wrong.fault)
    if owner == "another" and form.interval and first + last + value not in managed.held.foreign:
        return _out(claimant, feed, "covered")
    entry = claimant.entries.get(feed.zone)
    return FeedRow(str(feed.set), shown, feed.zone, claimant.source, None if entry is None else str(entry), owner is not None,
                   owner, since(feed.set, shown))


def _owner(managed: ManagedSet, form: Form, first: bytes, last: bytes, value: Optional[bytes]) -> Optional[str]:
    """Whose element it is in the kernel, with this value or (None) any: netmgr's, another's, or nobody's."""
    held = managed.held
    for owner, elements in (("netmgr", held.ours), ("another", held.foreign)):
        if value is not None and (first + last if form.interval else first) + value in elements:
            return owner
        if form.composed:
            shape = Shape(form)
            if any(shape.has(each, first, last) and value in (None, each[form.keys:]) for each in elements):
                return owner
        elif form.interval and any(each[:form.width] <= first and last <= each[form.width:] for each in elements):
            return owner
    return None


def _span(element: bytes, form: Form) -> Tuple[bytes, bytes, bytes]:
    """First and last key of what is claimed, which are the same without ranges, and in a map the value."""
    if form.composed:
        shape = Shape(form)
        return (*shape.span(element), shape.value(element) if form.value else b"")
    if not form.interval:
        return element, element, b""
    key, length = element[:form.width], element[form.width]
    host = (1 << form.width * 8 - length) - 1
    first = int.from_bytes(key, "big")
    return key, (first | host).to_bytes(form.width, "big"), b""


def _covering(model: Model, words: str) -> Iterator[FeedRow]:
    """Elements in the kernel that are or cover the address, whosever they are."""
    packed, length = addresses.parse(words)
    first = network(packed, length) if "/" in words else packed
    last = (int.from_bytes(first, "big") | (1 << len(packed) * 8 - length) - 1).to_bytes(len(packed), "big")
    for name, managed in model.sets.items():
        form = managed.seen.form
        if form is None or managed.seen.info is None or form.type not in (IPV4_ADDR, IPV6_ADDR) or WIDTHS[form.type] != len(packed):
            continue
        for owner, held in (("netmgr", managed.held.ours), ("another", managed.held.foreign)):
            for each in held if form.interval or form.value else held & {first}:
                if each[:form.width] <= first and last <= (each[form.width:form.keys] or each[:form.width]):
                    yield FeedRow(str(name), element_text(form, each), None, None, None, True, owner, None)


def _out(claimant: Claimant, feed: Feed, reason: str, why: Optional[str] = None) -> KeptOutRow:
    text = why or SENTENCES.get(reason) or "it is %s, which the zone or the set leaves out" % reason
    return KeptOutRow(str(feed.set), feed.zone, claimant.source, reason, text, _address_of(claimant))


def _address_of(claimant: Claimant) -> Optional[str]:
    """The address that it is about, with its prefix length where that says anything; None where it is about several or none."""
    keys = list(_flags(claimant))
    if len(keys) != 1:
        return None
    address, length = local(keys[0]), prefixlen(keys[0])
    return addresses.text(address) + ("" if length == len(address) * 8 else "/%d" % length)
