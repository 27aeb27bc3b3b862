"""What the inventory gained and lost, and what became of the sets, as happenings with their causes."""

from __future__ import annotations

from functools import cached_property
from typing import Callable, Dict, FrozenSet, Iterable, Iterator, List, Optional, Sequence, Tuple

from netmgr.model.inventory import Addresses, Interface, Thing, ThingChange
from netmgr.values import addresses
from netmgr.values.addresses import IFA_F_DEPRECATED, local, prefixlen
from netmgr.values.events import ContainerSeen, HostSeen
from netmgr.values.happenings import NAMED_AT_MOST, Happening
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.sets import ChangeElements, SetName
from netmgr.values.text import number
from netmgr.wire import nft_text

CAUSES_AT_MOST = 3
CHANGED = {"altnames": "alternative names", "ifindex": "index", "hardware": "MAC address"}    # of an interface, for people
SIFTED_AT_MOST = 50     # things of one wake-up, addresses each, of which it is worked out which sets they concern

Concerns = Callable[[Thing], Iterable[SetName]]


class News(NamedTuple):
    """What one event brought: the changes of the inventory, or, where there are none to name, why everything may be other.

    `beside` is what happened too and is no reason for anything.  `why`: the things are as they were, but no longer seen.  `found`: why
    it was only found later what had changed.
    """

    changes: Sequence[ThingChange] = ()
    because: Optional[Happening] = None
    beside: Optional[Happening] = None
    why: Optional[str] = None
    found: Optional[str] = None


def of_things(news: Sequence[News]) -> List[Happening]:
    """A happening for each thing that came, went or changed; of what only changed, without a kind."""
    found: List[Happening] = []
    for each in news:
        if each.because is not None:
            found.append(each.because)
        if each.beside is not None:
            found.append(each.beside)
        if each.found is not None:
            found.append(Happening("", cause=each.found))
        happenings = _of_changes(each.changes)
        found += happenings if each.why is None else (_unseen(happening, each.why) for happening in happenings)
    return found


def _unseen(happening: Happening, why: str) -> Happening:
    """A container that may well run on."""
    return happening._replace(cause=why, text="%s: no longer counts (%s)" % (happening.container, why))


def of_set(change: ChangeElements, zone: str, cause: Optional[str]) -> Happening:
    """What a transaction changed in a set."""
    return Happening(
        "elements-changed", cause=cause, set=str(change.set), zone=zone,
        added=_named(change, change.add), added_count=len(change.add),
        removed=_named(change, change.delete), removed_count=len(change.delete))


class Causes:
    """Why sets have changed in one wake-up, worked out once for all of them; `concerns` says which sets a thing is about."""

    def __init__(self, news: Sequence[News], concerns: Concerns) -> None:
        self._news, self._concerns = [each for each in news if each.beside is None], concerns
        self._all: Optional[str] = None
        self._sifted: Optional[List[Tuple[News, FrozenSet[SetName]]]] = None

    def of(self, name: SetName) -> Optional[str]:
        """What concerned the set, or all that happened where that cannot be told."""
        concerned = self._about(name) if self._are_several and self._may_be_sifted else []
        if concerned:
            return _joined(concerned)
        if self._all is None:
            self._all = _joined(self._news)
        return self._all

    def of_nothing_else(self, name: SetName) -> Optional[str]:
        """What concerned the set, if anything that can be told did."""
        return _joined(self._about(name)) if self._may_be_sifted else None

    @cached_property
    def _may_be_sifted(self) -> bool:
        """It takes a look at each address."""
        return sum(len(thing.flags) if isinstance(thing, Addresses) else 1
                   for each in self._news for _gained, thing in each.changes) <= SIFTED_AT_MOST

    @cached_property
    def _are_several(self) -> bool:
        return len(self._news) > 1 or any(isinstance(thing, ContainerSeen) for each in self._news for _gained, thing in each.changes[1:])

    def _about(self, name: SetName) -> List[News]:
        if self._sifted is None:
            self._sifted = [(each, frozenset(name for _gained, thing in each.changes for name in self._concerns(thing)))
                            for news in self._news for each in _single(news)]
        return [each for each, names in self._sifted if each.because is not None or name in names]


def _single(news: News) -> Sequence[News]:
    """One for each container that an engine has told together, for a set may be none of most of them."""
    if not all(isinstance(thing, ContainerSeen) for _gained, thing in news.changes):
        return (news,)
    groups: Dict[Tuple[str, str], List[ThingChange]] = {}
    for change in news.changes:
        groups.setdefault(_key(change[1]), []).append(change)
    return [news._replace(changes=some) for some in groups.values()] or (news,)


def _joined(news: Sequence[News]) -> Optional[str]:
    causes = list(dict.fromkeys(each.cause for each in of_things(news[:SIFTED_AT_MOST]) if each.cause))
    if len(causes) > CAUSES_AT_MOST:
        causes = [*causes[:CAUSES_AT_MOST], "and %s" % number(len(causes) - CAUSES_AT_MOST, "other cause")]
    return "; ".join(causes) or None


def _named(change: ChangeElements, elements: Sequence[bytes]) -> Tuple[str, ...]:
    return tuple(nft_text.element_texts(change.form, elements[:NAMED_AT_MOST]))


def _of_changes(changes: Sequence[ThingChange]) -> Iterator[Happening]:
    lost = {_key(thing): thing for gained, thing in changes if not gained}
    came = {_key(thing): thing for gained, thing in changes if gained}
    old, new = (next((thing for thing in each.values() if isinstance(thing, Interface)), None) for each in (lost, came))
    if old is not None and new is not None:
        yield _of_interface(old, new)
        return
    for key, thing in lost.items():
        yield from _of_thing(thing, came.get(key), False)
    for key, thing in came.items():
        yield from _of_thing(thing, lost.get(key), True)


def _of_interface(old: Interface, new: Interface) -> Happening:
    """An interface with another name, or another property by which it is selected; its addresses are what they were."""
    if old.name != new.name:
        return Happening("link-renamed", cause="%s: renamed to %s" % (old.name, new.name), interface=new.name)
    if old.default_route != new.default_route:
        return Happening("", cause="%s: default route %s" % (new.name, "added" if new.default_route else "removed"), interface=new.name)
    changed = next((name for name, before, after in zip(new._fields, old, new) if before != after), "properties")
    return Happening("", cause="%s: %s changed" % (new.name, CHANGED.get(changed, changed)), interface=new.name)


def _key(thing: Thing) -> Tuple[str, str]:
    """What makes it the same thing before and after."""
    if isinstance(thing, (Addresses, Interface)):
        return type(thing).__name__, thing.interface.name if isinstance(thing, Addresses) else thing.name
    return type(thing).__name__, thing.id if isinstance(thing, ContainerSeen) else "%s/%s" % (thing.zone, thing.host)


def _of_thing(thing: Thing, other: Optional[Thing], gained: bool) -> Iterator[Happening]:
    """`other` is the same thing on the other side: before it came, or after it went."""
    if isinstance(thing, Interface):
        kind, verb = ("link-added", "link added") if gained else ("link-removed", "link removed")
        yield Happening(kind, cause="%s: %s" % (thing.name, verb), interface=thing.name)
    elif isinstance(thing, Addresses):
        yield from _of_addresses(thing, other.flags if isinstance(other, Addresses) else {}, gained)
    elif isinstance(thing, ContainerSeen):
        if other is None:
            kind, verb = ("container-started", "started") if gained else ("container-stopped", "stopped")
            yield Happening(kind, cause="%s: %s" % (thing.name, verb), container=thing.name, engine=thing.engine or None)
        elif gained:
            yield Happening("container-changed", cause="%s: changed" % thing.name, container=thing.name, engine=thing.engine or None)
    else:
        yield from _of_host(thing, other, gained)


def _of_host(host: HostSeen, other: Optional[Thing], gained: bool) -> Iterator[Happening]:
    if gained or other is None:
        yield Happening("", cause="fleet: %s %s" % (host.host, "published" if gained else "is gone"), zone=host.zone)


def _of_addresses(thing: Addresses, other: Dict[bytes, int], gained: bool) -> Iterator[Happening]:
    """An address that is on both sides has only other flags: that is told once."""
    kind = "address-added" if gained else "address-removed"
    named = 0
    for key, flags in thing.flags.items():
        if key in other and not gained:
            continue
        if named == NAMED_AT_MOST:
            rest = len(thing.flags) - named
            yield Happening(kind, cause="%s: %s" % (thing.interface.name, _verb(key, flags, other, gained)), interface=thing.interface.name,
                            address="and %d more" % rest, added_count=rest * gained, removed_count=rest * (not gained))
            return
        named += 1
        yield Happening("" if key in other else kind, cause="%s: %s" % (thing.interface.name, _verb(key, flags, other, gained)),
                        interface=thing.interface.name, address="%s/%d" % (addresses.text(local(key)), prefixlen(key)))


def _verb(key: bytes, flags: int, other: Dict[bytes, int], gained: bool) -> str:
    if key in other:
        return "address changed"
    if gained:
        return "address added"
    return "lease expired" if flags & IFA_F_DEPRECATED else "address removed"
