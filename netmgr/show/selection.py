"""Answers cut to what somebody names: interfaces, zones, sets and containers by their bare names; a zone stands for all that is in it."""

from typing import Sequence

from netmgr.show.answers import SetContents, SetStatus, Status


def cut(status: Status, names: Sequence[str]) -> Status:
    """The part of the state that concerns these names; without names all of it."""
    if not names:
        return status
    wanted = set(names)
    found = status._replace(
        interfaces=tuple(each for each in status.interfaces if each.name in wanted or wanted & set(each.zones)),
        containers=tuple(each for each in status.containers if each.name in wanted or each.id in wanted or wanted & set(each.zones)),
        sets=tuple(each for each in status.sets if _is_wanted(each, wanted)))
    left_out = _about(status) - _about(found)
    return found._replace(problems=tuple(each for each in status.problems if each.about not in left_out))


def _about(status: Status) -> "set[str]":
    """What there may be problems about, as they name it."""
    return {*(each.name for each in status.interfaces), *(each.name for each in status.containers),
            *("%s %s %s" % each[:3] for each in status.sets)}


def cut_sets(contents: Sequence[SetContents], names: Sequence[str]) -> Sequence[SetContents]:
    """The sets that concern these names; without names all."""
    return [each for each in contents if _is_wanted(each.set, set(names))] if names else contents


def _is_wanted(row: SetStatus, wanted: "set[str]") -> bool:
    return row.name in wanted or bool(wanted & {zone.strip() for zone in row.zone.split(",")})
