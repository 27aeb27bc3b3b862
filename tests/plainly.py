"""What of all sets is kept as such, worked out plainly by looking at all of them: the specification of netmgr.model.overview."""

from typing import Dict, Iterator, Set, Tuple

from netmgr.model.managed_set import ERROR, MISSING, ManagedSet
from netmgr.model.model import Model
from netmgr.show import status
from netmgr.values.sets import SetName
from netmgr.values.text import number


def active(model: Model, zone: str) -> bool:
    """The configuration names it, or a container is in it."""
    return zone in model.config.zones or any(zone in model.policy.zones_of_container(each) for each in model.inventory.containers.values())


def promised(model: Model, managed: ManagedSet) -> bool:
    """It is the one that is missing of the sets of a zone that matters, of which there is none."""
    return any(managed.name in feed.one_of[:1] and active(model, feed.zone)
               and all(model.sets[name].seen.info is None for name in feed.one_of) for feed in managed.role.feeds)


def shown(model: Model) -> Iterator[ManagedSet]:
    """The sets that concern the user: those that exist, the missing ones that the configuration promises, old ones that are in error."""
    for managed in model.sets.values():
        word = managed.state.word
        if word == ERROR or (not managed.role.retiring and (word != MISSING or promised(model, managed))):
            yield managed


def marks(model: Model, now: float) -> Iterator[Tuple[str, Set[SetName]]]:
    """Every mark, and the sets that have it."""
    free = [managed for managed in model.sets.values() if managed.pause.until <= now]
    ours = [managed for managed in model.sets.values() if not managed.role.retiring]
    yield "look", {managed.name for managed in free if managed.name in model.unsurveyed}
    yield "compare", {managed.name for managed in free if managed.whole and managed.name not in model.unsurveyed}
    yield "waiting", {managed.name for managed in model.sets.values() if managed not in free}
    yield "present", {managed.name for managed in model.sets.values() if managed.seen.info is not None}
    yield "unverified", {managed.name for managed in model.sets.values() if not managed.seen.verified}
    yield "fleeting", {name for name, managed in model.sets.items() if managed.relies_on_fleeting(model.ledger.wanted(name))}
    yield "synced", {managed.name for managed in ours if managed.seen.info is not None and managed.error is None}
    yield "missing", {managed.name for managed in ours
                      if managed.seen.info is None and managed.error is None and promised(model, managed)}
    yield "error", {managed.name for managed in ours if managed.error is not None}
    yield "unwritten", {managed.name for managed in ours if managed.unwritten is not None}
    yield "retired", {managed.name for managed in model.sets.values()
                      if managed.role.retiring and not managed.held.ours and not managed.to_delete and managed.name not in model.unsurveyed}


def text(model: Model) -> str:
    """The summary."""
    found: Dict[str, int] = {"synced": 0, "missing": 0, "error": 0}
    for managed in shown(model):
        found[managed.state.word] += 1
    parts = ["%s in %s" % (number(sum(len(managed.held.ours) for managed in shown(model)), "element"), number(found["synced"], "set"))]
    parts += [number(found["missing"], "set") + " missing"] if found["missing"] else []
    parts += [number(found["error"], "set") + " in error"] if found["error"] else []
    return ", ".join(parts)


def check(model: Model, now: float = 0.0, planned: bool = True) -> None:
    """Hold what is kept against it.  What a set relies on is known when its claims have been planned for."""
    for name, expected in marks(model, now):
        assert set(getattr(model.overview, name)) == expected or (name == "fleeting" and not planned), name
    assert str(model.overview) == text(model)
    there = [*shown(model)]
    assert [managed.name for managed in status.shown(model)] == [managed.name for managed in there]
    assert [(each.name, each.state, each.elements, each.foreign, each.warning) for each in status.SetsThere(model, there, False)] == [
        (each.name, each.state, len(each.held.ours), len(each.held.foreign), each.warning) for each in there]
    assert all(active(model, zone) == model.active(zone) for zone in model.policy.zones)
    until = [managed.pause.until for managed in model.sets.values() if managed.pause.until > now]
    assert model.next_retry() == min(until, default=None)
