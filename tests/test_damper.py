"""Rests and delays, on a clock of their own."""

from typing import List

import pytest

from netmgr.sync.damper import CALM_SECONDS, Damper
from netmgr.values.pace import Pace


@pytest.mark.parametrize(("begin", "end", "ready_at"), [(5.0, 5.0, 5.0), (5.0, 5.1, 6.1), (0.0, 2.0, 3.0)])
def test_a_rest_in_proportion_to_the_work(begin: float, end: float, ready_at: float) -> None:
    pace = Pace(10)
    assert pace.ready_at == 0.0
    pace.spent(begin, end)
    assert pace.ready_at == pytest.approx(ready_at)


def test_a_shortest_rest() -> None:
    pace = Pace(10, 0.5)
    pace.spent(5.0, 5.01)
    assert pace.ready_at == pytest.approx(5.51)
    pace.spent(5.0, 5.06)
    assert pace.ready_at == pytest.approx(5.66)


def fight(damper: Damper, now: float, repairs: int, pause: float) -> List[float]:
    """Damage comes back `pause` after every repair; when the repairs are made."""
    times = []
    for _ in range(repairs):
        now = max(now + pause, damper.ready_at)
        damper.repaired(now)
        times.append(now)
    return times


def test_twenty_repairs_in_a_second_are_no_fight() -> None:
    damper = Damper()
    assert damper.ready_at == 0.0
    times = fight(damper, 100.0, 200, 0.0501)
    assert not damper.fighting(times[-1])
    assert times[-1] == pytest.approx(110.02)


@pytest.mark.parametrize("pause", [0.0, 0.001, 0.02])
def test_more_are_slowed_down_to_at_most_a_second_each(pause: float) -> None:
    damper = Damper()
    times = fight(damper, 100.0, 200, pause)
    gaps = [later - earlier for earlier, later in zip(times, times[1:])]
    assert damper.fighting(times[-1])
    assert max(gaps[:18]) == pytest.approx(pause)
    assert gaps[20:24] == sorted(gaps[20:24]) and gaps[23] == pytest.approx(0.4)
    assert max(gaps) <= 1.0
    assert len(times) / (times[-1] - times[0]) < 20


def test_five_seconds_of_calm_end_the_fight() -> None:
    damper = Damper()
    last = fight(damper, 100.0, 24, 0.0)[-1]
    assert damper.fighting(last + CALM_SECONDS - 0.1)
    assert not damper.fighting(last + CALM_SECONDS)
    assert damper.ready_at <= last + 1.0, "what comes then is repaired at once"
    fight(damper, last + CALM_SECONDS, 5, 1.0)
    assert damper.ready_at == last + CALM_SECONDS + 5.0
