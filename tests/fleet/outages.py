"""Outages far longer than a lease lasts (`make test-outages`): no live host vanishes from anybody's set."""

import json
from typing import Iterator, Sequence

import pytest

from tests.fleet.cluster import Etcd, program
from tests.fleet.hosts import Fleet
from tests.waiting import eventually

TTL = 10


@pytest.fixture
def fleet(network_namespaces: None) -> Iterator[Fleet]:
    if program() is None:
        pytest.skip("etcd is not installed (`.ci/setup fleet` brings it)")
    made = Fleet(ttl=TTL)
    try:
        made.together()
        yield made
    finally:
        for host in made.hosts:
            print("---", host.name, host.netmgr.log(), sep="\n")
        made.close()


def _down(fleet: Fleet, members: Sequence[Etcd], seconds: float) -> None:
    for member in members:
        member.kill()
    assert fleet.watch(seconds, fleet.hosts) == []
    for member in members:
        member.start("existing")
    eventually(lambda: all(host.fleet()["state"] == "ok" for host in fleet.hosts))
    assert fleet.watch(3 * TTL, fleet.hosts) == []


def test_the_quorum_is_lost_for_25_seconds(fleet: Fleet) -> None:
    _down(fleet, fleet.cluster.members[:2], 25)


def test_all_members_are_down_for_15_seconds(fleet: Fleet) -> None:
    _down(fleet, fleet.cluster.members, 15)


def test_a_host_is_cut_off_for_25_seconds_while_the_store_is_compacted(fleet: Fleet) -> None:
    first, second, third = fleet.hosts
    first.cut()
    assert fleet.watch(25, [second, third], [first]) == []
    revision = json.loads(fleet.cluster.control("get", "--prefix", "/netmgr/1/", "-w", "json"))["header"]["revision"]
    fleet.cluster.control("compaction", str(revision), "--physical")
    first.heal()
    assert fleet.watch(2 * TTL, [second, third], fleet.hosts) == []
    fleet.together()


def test_the_store_is_rebuilt(fleet: Fleet) -> None:
    for member in fleet.cluster.members:
        member.kill()
        member.lose_data()
    for member in fleet.cluster.members:
        member.start(token="another")
    eventually(fleet.cluster.serves)
    assert fleet.watch(3 * TTL, fleet.hosts) == []
    eventually(lambda: set(fleet.cluster.records()) == {"wan/h1", "wan/h2", "wan/h3"})
