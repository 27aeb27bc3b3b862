"""Fixtures for the tests at the real kernel."""

from typing import Iterator

import pytest

from netmgr.io.nft import Nft
from tests.kernel.lab import Lab
from tests.kernel.observer import Observer
from tests.waiting import eventually


@pytest.fixture
def nft(lab: Lab) -> Iterator[Nft]:
    """nf_tables of the lab."""
    with lab.inside():
        made = Nft()
    yield made
    made.close()


@pytest.fixture
def observer(lab: Lab) -> Iterator[Observer]:
    """eth0, whose other end is far0, and a bridge; without automatic addresses."""
    lab.sysctl("net.ipv6.conf.default.addr_gen_mode", 1)
    lab.run("ip link add eth0 type veth peer name far0")
    lab.run("ip link set far0 up")
    lab.run("ip link set eth0 up")
    lab.run("ip link add bridge0 type bridge")
    eventually(lambda: {"UP"} == {link["operstate"] for link in lab.links() if link["ifname"] in ("eth0", "far0")}, "both ends are up")
    made = Observer(lab)
    yield made
    made.close()
