"""The state of everything as one value: the dict that `status json` and `sets json` show, and that people see as text."""

from fnmatch import fnmatchcase
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from netmgr import __version__
from netmgr.config.schema import InterfaceRule
from netmgr.model.inventory import Link
from netmgr.model.managed_set import MISSING, ManagedSet
from netmgr.model.model import Model
from netmgr.sync.repairs import Repair
from netmgr.values import addresses, sets
from netmgr.values.addresses import local, prefixlen
from netmgr.values.sets import SetName
from netmgr.values.text import number
from netmgr.wire import nft_text

FLAG_NAMES = (
    (addresses.IFA_F_PERMANENT, "permanent"), (addresses.IFA_F_DEPRECATED, "deprecated"), (addresses.IFA_F_TENTATIVE, "tentative"),
    (addresses.IFA_F_OPTIMISTIC, "optimistic"), (addresses.IFA_F_DADFAILED, "dadfailed"), (addresses.IFA_F_NODAD, "nodad"),
    (addresses.IFA_F_HOMEADDRESS, "home"), (addresses.IFA_F_MANAGETEMPADDR, "mngtmpaddr"),
    (addresses.IFA_F_NOPREFIXROUTE, "noprefixroute"), (addresses.IFA_F_MCAUTOJOIN, "autojoin"),
    (addresses.IFA_F_STABLE_PRIVACY, "stable-privacy"),
)


class Sources(NamedTuple):
    """What feeds the model, as counted by the daemon."""

    netlink_state: str
    overruns: int
    resyncs: int
    repairs: int
    last_repair: Optional[Repair]
    docker_state: str
    docker_error: Optional[str]


def everything(model: Model, sources: Sources, pid: int, uptime: float, config_path: str) -> Dict[str, Any]:
    """All of it, in the shape of `status json`."""
    return {
        "version": __version__, "state": state(model, sources), "pid": pid, "uptime_seconds": round(uptime, 1), "config": config_path,
        "interfaces": list(_interfaces(model)),
        "containers": list(_containers(model)),
        "sets": [_set(model, managed) for managed in shown(model)],
        "sources": _sources(sources),
    }


def state(model: Model, sources: Sources) -> str:
    """ready when every set that exists is synced and every enabled source is ok, else degraded."""
    healthy = all(each in ("ok", "disabled") for each in (sources.netlink_state, sources.docker_state))
    return "ready" if healthy and all(managed.error is None or managed.role.retiring for managed in model.sets.values()) else "degraded"


def shown(model: Model) -> Iterator[ManagedSet]:
    """The sets that concern the user: those that exist, and the missing ones that the configuration promises."""
    for managed in model.sets.values():
        if not managed.role.retiring and (managed.state.word != MISSING or _promised(model, managed)):
            yield managed


def summary(model: Model) -> str:
    """All sets in one line."""
    shown_sets = list(shown(model))
    wrong = sum(managed.error is not None for managed in shown_sets)
    missing = sum(managed.error is None and managed.seen.info is None for managed in shown_sets)
    parts = ["%s in %s" % (number(sum(len(managed.held.ours) for managed in shown_sets), "element"),
                           number(len(shown_sets) - wrong - missing, "set"))]
    parts += [number(missing, "set") + " missing"] if missing else []
    parts += [number(wrong, "set") + " in error"] if wrong else []
    return ", ".join(parts)


def set_contents(model: Model) -> Dict[str, Any]:
    """Every set with its elements, in the shape of `sets json`."""
    return {"sets": [{**_set(model, managed), **_elements(model, managed)} for managed in shown(model)]}


def broken_expectations(rule: InterfaceRule, held: Dict[bytes, int]) -> Iterator[str]:
    """What an entry of the configuration expects of an interface with these addresses and is not so."""
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


def _promised(model: Model, managed: ManagedSet) -> bool:
    """Whether a set that does not exist is one that should."""
    return any(feed.one_of[:1] == (managed.name,) and model.active(feed.zone) and _all_missing(model, feed.one_of)
               for feed in managed.role.feeds)


def _all_missing(model: Model, names: Iterable[SetName]) -> bool:
    return all(model.sets[name].seen.info is None for name in names)


def _interfaces(model: Model) -> Iterator[Dict[str, Any]]:
    present = sorted(model.inventory.links.items())
    for index, link in present:
        if any(fnmatchcase(link.name, rule.pattern) for rule in model.config.interfaces):
            yield _interface(model, index, link)
    names = {link.name for _index, link in present}
    for name in dict.fromkeys(rule.pattern for rule in model.config.interfaces):
        if name not in names and not any(character in name for character in "*?["):
            yield _interface(model, None, Link(name, False))


def _interface(model: Model, index: Optional[int], link: Link) -> Dict[str, Any]:
    held = {} if index is None else model.inventory.addresses.get(index, {})
    rules = [rule for rule in model.config.interfaces if fnmatchcase(link.name, rule.pattern)]
    zones = model.policy.zones_of_interface(link.name)
    expectations = dict.fromkeys(each for rule in rules for each in broken_expectations(rule, held))
    excluded = {width: _excluded(model, zones, width) for width in (4, 16)}
    return {
        "name": link.name, "index": index, "up": link.up, "zones": list(zones),
        "addresses": [_address(key, flags, excluded[len(key) >> 1]) for key, flags in sorted(held.items(), key=_four_before_six)],
        "expectations": list(expectations),
    }


def _four_before_six(item: Tuple[bytes, int]) -> Tuple[int, bytes]:
    return len(item[0]), item[0]


def _excluded(model: Model, zones: Tuple[str, ...], width: int) -> List[int]:
    """What each set that would take addresses of this family leaves out; without such a set, what the others do."""
    feeds = [(feed.exclude, managed.seen.form) for managed in model.sets.values() for feed in managed.role.feeds
             if feed.zone in zones and feed.holds != "interfaces"]
    fitting = [exclude for exclude, form in feeds if form is not None and form.width == width and form.type != sets.IFNAME]
    missing = [exclude for exclude, form in feeds if form is None]
    return fitting or missing or [exclude for exclude, _form in feeds] or [addresses.UNUSABLE]


def _address(key: bytes, flags: int, excluded: List[int]) -> Dict[str, Any]:
    mask = addresses.kinds(local(key), flags)
    return {"address": "%s/%d" % (addresses.text(local(key)), prefixlen(key)),
            "flags": flag_names(local(key), flags),
            "counts": any(not mask & each for each in excluded)}


def flag_names(local: bytes, flags: int) -> List[str]:
    """IFA_FLAGS as ip-address(8) names them, with `dynamic` for what is not permanent."""
    names = [name for bit, name in FLAG_NAMES if flags & bit]
    if flags & addresses.IFA_F_SECONDARY:
        names.append("temporary" if len(local) == 16 else "secondary")
    return names if flags & addresses.IFA_F_PERMANENT else ["dynamic", *names]


def _containers(model: Model) -> Iterator[Dict[str, Any]]:
    for container in sorted(model.inventory.containers.values(), key=lambda each: (each.name, each.id)):
        yield {"id": container.id, "name": container.name, "zones": list(model.policy.zones_of_container(container)),
               "addresses": [{"network": each.network, "address": addresses.text(each.address)} for each in container.endpoints]}


def _set(model: Model, managed: ManagedSet) -> Dict[str, Any]:
    info = managed.seen.info
    return {
        "family": managed.name.family, "table": managed.name.table, "name": managed.name.name,
        "type": None if info is None else info.type,
        "zone": ", ".join(dict.fromkeys(feed.zone for feed in managed.role.feeds)),
        "holds": ", ".join(dict.fromkeys(feed.holds for feed in managed.role.feeds)),
        "state": managed.state.word,
        "elements": len(managed.held.ours), "foreign": len(managed.held.foreign), "error": managed.error,
    }


def _elements(model: Model, managed: ManagedSet) -> Dict[str, List[str]]:
    form = managed.seen.form
    if form is None:
        return {"wanted": [], "present": [], "foreign_elements": []}
    plain = {"wanted": model.wanted(managed), "present": managed.held.ours, "foreign_elements": managed.held.foreign}
    return {key: [each.strip('"') for each in nft_text.element_texts(form, elements)] for key, elements in plain.items()}


def _sources(sources: Sources) -> Dict[str, Any]:
    repair = sources.last_repair
    by = repair.by[0] if repair is not None and len(repair.by) == 1 else None
    last = None if repair is None else {
        "pid": by.pid if by else None, "process": by.process if by else None,
        "time": repair.time, "sets": [str(each) for each in repair.sets]}
    return {
        "netlink": {"state": sources.netlink_state, "overruns": sources.overruns, "resyncs": sources.resyncs},
        "nftables": {"state": "ok", "repairs": sources.repairs, "last_repair": last},
        "docker": {"state": sources.docker_state, "error": sources.docker_error},
    }
