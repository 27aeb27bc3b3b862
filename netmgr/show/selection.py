"""Answers cut to what somebody names: interfaces, zones, sets and containers by their bare names; a zone stands for all that is in it."""

from functools import partial
from itertools import chain
from typing import Collection, Iterator, Optional, Sequence, Set, Tuple, Union

from netmgr.show.answers import Container, Interface, Problem, SetContents, SetStatus, Status
from netmgr.show.rows import SOME, made, sifted, steps_of

Named = Union[Interface, Container, SetStatus]


def cut(status: Status, names: Sequence[str]) -> Status:
    """The part of the state that concerns these names; without names all of it."""
    if not names:
        return status
    is_wanted = partial(_is_wanted, set(names))
    return status._replace(
        interfaces=made(partial(sifted, status.interfaces, is_wanted)), containers=made(partial(sifted, status.containers, is_wanted)),
        sets=made(partial(sifted, status.sets, is_wanted)), problems=made(partial(_problems, status, set(names))))


def _problems(status: Status, wanted: "Set[str]") -> Iterator[Optional[Problem]]:
    """All but those of what is left out."""
    left_out: Set[str] = set()
    kept: Set[str] = set()
    for found in _abouts(status, wanted):
        if found is None:
            yield None
        else:
            (kept if found[1] else left_out).add(found[0])
    left_out -= kept
    yield from sifted(status.problems, lambda each: each.about not in left_out)


def _abouts(status: Status, wanted: "Set[str]") -> Iterator[Optional[Tuple[str, bool]]]:
    """What there may be problems about, as they name it, and whether it is wanted."""
    for place, row in enumerate(chain(steps_of(status.interfaces), steps_of(status.containers), steps_of(status.sets))):
        if row is not None:
            yield "%s %s %s" % row[:3] if isinstance(row, SetStatus) else row.name, _is_wanted(wanted, row)
        if row is None or place % SOME == 0:
            yield None


def cut_sets(contents: Collection[SetContents], names: Sequence[str]) -> Collection[SetContents]:
    """The sets that concern these names; without names all."""
    wanted = set(names)
    return made(partial(sifted, contents, lambda each: _is_wanted(wanted, each.set))) if names else contents


def _is_wanted(wanted: "Set[str]", row: Named) -> bool:
    if isinstance(row, SetStatus):
        return row.name in wanted or not wanted.isdisjoint(zone.strip() for zone in row.zone.split(","))
    return row.name in wanted or not wanted.isdisjoint(row.zones) or (isinstance(row, Container) and row.id in wanted)
