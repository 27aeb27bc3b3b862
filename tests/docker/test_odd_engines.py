"""Engines that do not tell all, or not as the others do, and containers of odd kinds; each is followed to its truth nevertheless."""

from contextlib import contextmanager
from typing import Iterator, List, Set, Union

import pytest

from tests.docker.conftest import HERE, TRIXIE, podman_why_not, root_of
from tests.docker.engine import DockerEngine, PodmanService
from tests.docker.follower import Follower
from tests.waiting import PATIENCE

REASONS = {
    "none": ('HTTP 500 cannot read events with the "none"', "the engine ended the stream of events"),       # Podman 5.4, 4.3
    "journald": ("the engine tells no events of what its list shows",)}


@contextmanager
def podman(where: str, events: str = "file") -> Iterator[PodmanService]:
    podman_why_not()
    service = PodmanService(root_of(where), events)
    try:
        service.start()
        yield service
        print(service.log()[-3000:])
    finally:
        service.close()


def addresses_of(follower: Follower, name: str) -> Set[str]:
    return {address for each, _network, address in follower.told() if each == name}


@pytest.mark.parametrize("where", [HERE, TRIXIE])
@pytest.mark.parametrize("events", ["none", "journald"])
def test_podman_without_events(where: str, events: str) -> None:
    """Without a logger it refuses to tell events, or ends the stream at once; with journald and no journal it is mute."""
    with podman(where, events) as service, Follower(service, poll_interval=0.5) as follower:
        assert follower.source.state == "ok"
        follower.meanwhile(service.command(*service.run_arguments("one")))
        follower.until(lambda: follower.names() == ["one"] and follower.told() == service.truth())
        follower.meanwhile(service.command("kill", "one"), service.command(*service.run_arguments("two")))
        follower.runs("two")
        follower.until(lambda: follower.source.warning is not None)
        warning = str(follower.source.warning)
        assert any(reason in warning for reason in REASONS[events]) and "it is asked every 0.5 s instead" in warning
        assert [level for level, _line in follower.log] == ["info", "warning"] and follower.source.state == "ok"


def test_podmans_networks_with_several_subnets() -> None:
    """The list tells one address of each family, an inspection all; Podman 4.3 makes no such networks."""
    with podman(TRIXIE) as service, Follower(service) as follower:
        subnets = ("10.79.0.0/20", "10.80.0.0/24", "fd00:79::/64", "fd00:80::/64")
        service.podman("network", "create", "--ipv6", *(word for each in subnets for word in ("--subnet", each)), "multi")
        follower.do(*service.run_arguments("one", "--network", "multi"))
        assert len(addresses_of(follower, "one")) == 4
        follower.do(*service.run_arguments("plain"))
        follower.do("rename", "one", "uno")
        assert len(addresses_of(follower, "uno")) == 4 and len(addresses_of(follower, "plain")) == 1
        follower.do("network", "disconnect", "multi", "uno")
        assert addresses_of(follower, "uno") == set()


def test_podmans_container_that_is_being_stopped(podman_service: PodmanService) -> None:
    """It runs until it has ended, which may take as long as the engine waits before it kills."""
    service = podman_service
    with Follower(service) as follower:
        follower.do(*service.run_arguments("slow", "--stop-signal", "TERM"))
        stopping = service.lab.start(service.command("stop", "--time=600", "slow"))
        states: List[str] = []

        def in_the_list() -> bool:
            listed = service.podman("ps", "--all", "--format", "{{.State}}")
            states.append(listed)
            return listed.lower() == "stopping"

        follower.until(in_the_list)
        follower.source.refresh()
        follower.until(lambda: not follower.source.exchanges)
        follower.runs("slow")
        assert len(addresses_of(follower, "slow")) == 1
        service.podman("kill", "--signal", "KILL", "slow")
        follower.runs()
        stopping.wait(PATIENCE)


def shares(engine: Union[DockerEngine, PodmanService], follower: Follower) -> None:
    run = engine.run_arguments
    follower.meanwhile(engine.command(*run("owner")))
    follower.runs("owner")
    follower.meanwhile(engine.command(*run("guest", "--network", "container:owner", "--label", "netmgr.zone=dmz")))
    follower.until(lambda: len(follower.told()) == 2)
    assert addresses_of(follower, "guest") == addresses_of(follower, "owner")
    assert next(each.labels for each in follower.reports[-1] if each.name == "guest") == (("netmgr.zone", "dmz"),)


def test_the_network_of_another_container(docker_engine: DockerEngine) -> None:
    with Follower(docker_engine) as follower:
        shares(docker_engine, follower)
        docker_engine.docker("network", "create", "front")
        follower.meanwhile(docker_engine.command("network", "connect", "front", "owner"))
        follower.until(lambda: len(addresses_of(follower, "guest")) == 2)
        follower.meanwhile(docker_engine.command("kill", "owner"))
        follower.until(lambda: follower.names() == ["guest"] and follower.told() == set())


def test_the_network_of_another_container_of_podmans(podman_service: PodmanService) -> None:
    with Follower(podman_service) as follower:
        shares(podman_service, follower)
        follower.meanwhile(podman_service.command("rm", "--force", "--time=0", "guest"))
        follower.runs("owner")


def test_a_container_with_several_names(docker_engine: DockerEngine) -> None:
    """One that others are linked to has a name with a slash inside for each of them."""
    with Follower(docker_engine) as follower:
        follower.do(*docker_engine.run_arguments("store"))
        follower.do(*docker_engine.run_arguments("zapp", "--link", "store:db"))
        follower.runs("store", "zapp")


def test_why_there_is_no_address(docker_engine: DockerEngine) -> None:
    with Follower(docker_engine) as follower:
        for mode in ("host", "none"):
            follower.meanwhile(docker_engine.command(*docker_engine.run_arguments("on-" + mode, "--network", mode)))
        follower.runs("on-host", "on-none")
        assert {each.name: each.mode for each in follower.reports[-1]} == {"on-host": "host", "on-none": "none"}


def test_why_there_is_no_address_of_podmans(podman_service: PodmanService) -> None:
    with Follower(podman_service) as follower:
        for mode in ("host", "none"):
            follower.meanwhile(podman_service.command(*podman_service.run_arguments("on-" + mode, "--network", mode)))
        follower.until(lambda: {each.name: each.mode for each in follower.reports[-1]} == {"on-host": "host", "on-none": "none"})
