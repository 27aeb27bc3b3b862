"""A cluster of etcd with hosts around it."""

from typing import Iterator

import pytest

from tests.fleet.cluster import program
from tests.fleet.hosts import Fleet


@pytest.fixture
def fleet(network_namespaces: None) -> Iterator[Fleet]:
    """Three members and three hosts whose leases last five seconds; skipped, with the reason, where there is no etcd."""
    if program() is None:
        pytest.skip("etcd is not installed (`.ci/setup fleet` brings it)")
    made = Fleet(ttl=5)
    try:
        made.together()
        yield made
    finally:
        for host in made.hosts:
            print("---", host.name, host.netmgr.log(), sep="\n")
        made.close()
