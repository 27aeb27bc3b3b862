"""Each system call fails, in each part of netmgr's life: afterwards the sets are right, or it has ended with status 1 and says why."""

import re
from typing import Iterator

import pytest

from tests.faults.stage import Stage
from tests.faults.table import FAULTS, UNFAILING, Fault, faults
from tests.kernel.lab import Lab


@pytest.fixture(scope="module")
def stage(network_namespaces: None) -> Iterator[Stage]:
    with Lab() as lab:
        yield Stage(lab)


def test_every_call_that_it_makes_is_in_the_table(stage: Stage) -> None:
    trace = stage.lab.directory / "all"
    stage.netmgr.start(wrapper=["strace", "-f", "-qq", "-o", str(trace)])
    stage.live()
    stage.leave()
    made = set(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.MULTILINE))
    assert made - FAULTS.keys() - {call for calls in UNFAILING.values() for call in calls} == set()


@pytest.mark.parametrize("fault", faults(), ids=str)
def test_while_it_runs(stage: Stage, fault: Fault) -> None:
    stage.survives(stage.run, fault)


@pytest.mark.parametrize("fault", faults(), ids=str)
def test_while_it_reloads(stage: Stage, fault: Fault) -> None:
    stage.survives(stage.reload, fault)


@pytest.mark.parametrize("fault", faults(), ids=str)
def test_while_it_stops(stage: Stage, fault: Fault) -> None:
    stage.survives(stage.end, fault)


@pytest.mark.parametrize("fault", faults(), ids=str)
def test_while_it_starts(stage: Stage, fault: Fault) -> None:
    stage.survives(stage.begin, fault)
