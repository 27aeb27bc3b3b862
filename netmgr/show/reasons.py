"""Why a claimant is in sets, or is not: a row for each of its elements, and for each reason that keeps it out.

Every feed that it may have to do with is asked by the functions that fill the sets, so nothing else can be said than what is done.  What
is equal for all addresses of one family is worked out once, in a Plan.  None among the rows means no more than that something was done.
"""

from typing import Callable, Collection, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from netmgr.model import keys
from netmgr.model.inventory import Addresses, Interface
from netmgr.model.shape import Shape
from netmgr.model.zones import Feed, lasting
from netmgr.show.answers import FeedRow, KeptOutRow
from netmgr.show.holders import Holders, Span
from netmgr.show.moment import Claimant, Moment, SetView
from netmgr.show.rows import LINES, in_order
from netmgr.values import addresses
from netmgr.values.addresses import from_far_end, local, prefixlen
from netmgr.values.choice import objections
from netmgr.values.events import ContainerSeen
from netmgr.values.holds import (
    ADDRESSES,
    GATEWAYS,
    HARDWARE_ADDRESSES,
    HOSTS,
    INTERFACES,
    OWN_ADDRESS,
    PUBLISHED_PORTS,
    by_far_end,
    made_of,
    misfit,
)
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.sets import AND, WIDTHS, Form, SetName, takes_addresses
from netmgr.wire.nft_text import element_text

Since = Callable[[SetName, str], Optional[str]]         # when an element came into a set
Row = Union[FeedRow, KeptOutRow]
Steps = Iterator[Optional[Row]]

SENTENCES = {
    "tentative": "its uniqueness is still being checked (DAD)",
    "dadfailed": "somebody else has it (DAD failed)",
    "family": "no set of the zone takes addresses of its family",
    "no_zone": "no entry of the configuration puts it into a zone",
    "set_missing": "there is no such set",
    "set_full": "the set is full",
    "covered": "a range of somebody else's covers it",
    "network": "it is in a network that is excluded",
    "not_only": "it is of none of the kinds and networks that count",
    "conflict": "another value has the key",
    "suffix": "its network has no room for a host with that suffix",
}


MADE_OF = {Interface: INTERFACES, Addresses: ADDRESSES, ContainerSeen: PUBLISHED_PORTS}     # what a thing is to those that hold it


class Part(NamedTuple):
    """What one feed does with all of one family: takes it, if it has a form, or not, for this reason.  `recent`: the last elements."""

    feed: Feed
    holders: Optional[Holders]
    reason: str
    why: Optional[str]
    recent: Dict[int, List[bytes]]


class Plan(NamedTuple):
    """What the feeds of a zone do with all addresses of one family."""

    zone: str
    parts: List[Part]
    no_family: bool


class Reasons:
    """`only`: what these sets do is of interest; `wanted`: of elements only those that have one of these keys."""

    def __init__(self, moment: Moment, only: Optional[Collection[SetName]], wanted: Mapping[SetName, List[Span]], since: Since) -> None:
        self._moment, self._only, self._wanted, self._since = moment, only, wanted, since
        self._holders: Dict[SetName, Holders] = {}
        self._own: Dict[Tuple[str, SetName, str], Optional[bytes]] = {}
        self._indexes: Dict[str, int] = {}

    def of(self, claimant: Claimant) -> Steps:
        """All of it, address by address."""
        yield from () if self._wanted else claimant.objections
        plans: Dict[Tuple[int, str], Plan] = {}
        in_no_zone = not claimant.zones and not claimant.objections and not self._wanted and (
            (isinstance(claimant.thing, Addresses) and not claimant.word)
            or (isinstance(claimant.thing, Interface) and claimant.word == HARDWARE_ADDRESSES))
        flags = claimant.thing.flags if isinstance(claimant.thing, Addresses) else {}
        done = 0
        for key in in_order(flags, short_first=True) if flags else [b""]:
            if key is None or done >= LINES:
                yield None
                done = 0
            if key is None:
                continue
            single = claimant._replace(thing=Addresses(Interface(claimant.source), {key: flags[key]})) if flags else claimant
            if in_no_zone:
                yield KeptOutRow(None, None, claimant.source, "no_zone", SENTENCES["no_zone"], _address_of(single))
            for zone in claimant.zones:
                plan = plans.get((len(key), zone))
                if plan is None:
                    plan = plans[len(key), zone] = self._plan(single, zone)
                yield from self._in_zone(plan, single, key)
                done += 1 + len(plan.parts)
                if done >= LINES:
                    yield None
                    done = 0

    def _plan(self, claimant: Claimant, zone: str) -> Plan:
        """When no set of the zone takes addresses of the family, that is said once; when only some sets matter, for none."""
        feeds = [feed for feed in self._moment.policy.feeds[zone] if _concerns(feed, claimant)]
        if claimant.suffix:
            feeds = [feed._replace(suffixes=(claimant.suffix,)) for feed in feeds if claimant.suffix in feed.suffixes]
        fitting = [feed for feed in feeds if self._fits(feed, claimant)]
        parts: List[Part] = []
        for feed in feeds:
            view = self._moment.set(feed.set)
            if view is None or (self._only is not None and feed.set not in self._only):
                continue
            if feed in fitting:
                parts.append(Part(feed, self.holders(view), "", None, {}))
            elif view.seen.info is None and view.promised:
                parts.append(Part(feed, None, "set_missing", None, {}))
            elif _misfit(view, feed) is not None and (
                    self._only is not None or len(feed.one_of) == 1 or all(each.holds != feed.holds for each in fitting)):
                parts.append(Part(feed, None, "set_error", _misfit(view, feed), {}))
        has_addresses = isinstance(claimant.thing, Addresses) and bool(claimant.thing.flags)
        return Plan(zone, parts, self._only is None and has_addresses and not (fitting or parts or claimant.word))

    def _fits(self, feed: Feed, claimant: Claimant) -> bool:
        """Whether the set is there and takes what it is to hold, of this family."""
        view = self._moment.set(feed.set)
        form = None if view is None or view.seen.info is None or _misfit(view, feed) is not None else view.seen.form
        return form is not None and all(takes_addresses(form, len(key) >> 1) for key in _flags(claimant))

    def holders(self, view: SetView) -> Holders:
        """Those of a set, sorted no more than once."""
        if view.name not in self._holders:
            assert view.seen.form is not None
            self._holders[view.name] = Holders(view, view.seen.form)
        return self._holders[view.name]

    def _in_zone(self, plan: Plan, claimant: Claimant, key: bytes) -> Steps:
        if plan.no_family and not self._wanted:
            yield KeptOutRow(None, plan.zone, claimant.source, "family", SENTENCES["family"], _address_of(claimant))
        for part in plan.parts:
            if part.holders is not None:
                yield from self._in_set(part, part.holders, claimant, key)
            elif not self._wanted:
                yield from _kept_anyway(claimant, part.feed, part.reason, part.why)

    def _in_set(self, part: Part, holders: Holders, claimant: Claimant, key: bytes) -> Steps:
        """What several addresses of one network have in common is told of the first: in order, they stand one after the other."""
        feed = part.feed
        own = self._primary(feed, holders.form, claimant.interface.name) if feed.value == OWN_ADDRESS else None
        elements = self._moment.policy.elements_of(feed, holders.form, claimant.thing, claimant.interface, own)
        if not elements and not self._wanted:
            yield from (_out(claimant, feed, word)
                        for each, flags in _flags(claimant).items() for word in _objections_to(feed, each, flags))
        length, told = key[-1] if key else 0, [*part.recent.values()]
        part.recent[length] = elements
        for element in elements:
            if not any(element in some for some in told):
                yield from self._held(holders, claimant, feed, element)

    def _primary(self, feed: Feed, form: Form, name: str) -> Optional[bytes]:
        place = (name, feed.set, feed.zone)
        if place not in self._own:
            self._indexes = self._indexes or {each.name: ifindex for ifindex, each in self._moment.interfaces.items()}
            flags = self._moment.addresses(self._indexes.get(name, 0))
            self._own[place] = keys.primary(flags, WIDTHS[form.value], feed.choice)
        return self._own[place]

    def _held(self, holders: Holders, claimant: Claimant, feed: Feed, element: bytes) -> Steps:
        form, view = holders.form, holders.view
        first, last, value = holders.span(element)
        if self._wanted and not any(_within(holders.shape, each, first, last) for each in self._wanted[feed.set]):
            return
        owner = yield from holders.of(first, last, value)
        if owner is None and value and (yield from holders.of(first, last, None)) is not None:
            other = holders.other(first)
            yield _out(claimant, feed, "conflict", None if other is None else "the key has another value: %s" % other)
        elif owner is None and view.wrong.full is not None:
            yield _out(claimant, feed, "set_full", view.wrong.full)
        elif owner is None and view.wrong.fault is not None:
            yield _out(claimant, feed, "set_error", view.wrong.fault)
        elif owner == "another" and form.interval and first + last + value not in view.foreign:
            yield _out(claimant, feed, "covered")
        else:
            shown, entry = element_text(form, (first + last if form.interval else first) + value), claimant.entries.get(feed.zone)
            yield FeedRow(str(feed.set), shown, feed.zone, claimant.source, None if entry is None else str(entry), owner is not None,
                          owner, self._since(feed.set, shown))


def _misfit(view: SetView, feed: Feed) -> Optional[str]:
    """Why the set cannot hold what this feed has for it; of another feed it may hold all."""
    return None if view.seen.info is None else misfit(view.seen.info, feed.holds, feed.value)


def _within(shape: Shape, span: Span, first: bytes, last: bytes) -> bool:
    return all(first[begin:end] <= span[0][begin:end] and span[1][begin:end] <= last[begin:end] for begin, end in shape.fields)


def _concerns(feed: Feed, claimant: Claimant) -> bool:
    """Whether the set holds anything of such a thing."""
    return made_of(feed.holds) == MADE_OF[type(claimant.thing)] and (not claimant.word or claimant.word in feed.holds.split(AND))


def _kept_anyway(claimant: Claimant, feed: Feed, reason: str, why: Optional[str]) -> Iterator[KeptOutRow]:
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


def _out(claimant: Claimant, feed: Feed, reason: str, why: Optional[str] = None) -> KeptOutRow:
    text = why or SENTENCES.get(reason) or "it is %s, which the zone or the set leaves out" % reason
    return KeptOutRow(str(feed.set), feed.zone, claimant.source, reason, text, _address_of(claimant, by_far_end(feed.holds, feed.value)))


def _flags(claimant: Claimant) -> Dict[bytes, int]:
    """The addresses that a claimant is about."""
    if isinstance(claimant.thing, Interface):
        return lasting(claimant.thing.gateways) if claimant.word == GATEWAYS else {}
    return claimant.thing.flags if isinstance(claimant.thing, Addresses) else {}


def _address_of(claimant: Claimant, far: bool = False) -> Optional[str]:
    """The address that it is about, with its prefix length where that says anything; None where it is about several or none.

    `far`: it is about that of the far end.
    """
    flags = _flags(claimant)
    found = [from_far_end(key, flags[key]) or key for key in flags] if far else list(flags)
    if len(found) != 1:
        return None
    address, length = local(found[0]), prefixlen(found[0])
    return addresses.text(address) + ("" if length == len(address) * 8 else "/%d" % length)
