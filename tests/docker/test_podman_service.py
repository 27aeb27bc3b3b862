"""What the source says of a real Podman equals what `podman inspect` says."""

from typing import Iterator

import pytest

from tests.docker.engine import IMAGE, SLEEP, PodmanService
from tests.docker.follower import Follower


@pytest.fixture
def follower(podman_service: PodmanService) -> Iterator[Follower]:
    with Follower(podman_service) as made:
        yield made


def test_life_of_a_container(podman_service: PodmanService, follower: Follower) -> None:
    assert follower.log[0][1].startswith("docker: connected to Podman ")
    run = podman_service.run_arguments
    follower.do(*run("one"))
    follower.runs("one")
    assert len(follower.told()) == 1
    follower.do(*run("two", "--label", "netmgr.zone=web"))
    labels = next(seen.labels for seen in follower.reports[-1] if seen.name == "two")
    assert ("netmgr.zone", "web") in labels
    for command, left in (
            (("stop", "one"), ["two"]), (("start", "one"), ["one", "two"]), (("kill", "two"), ["one"]),
            (("restart", "--time", "0", "one"), ["one"]), (("pause", "one"), ["one"]), (("unpause", "one"), ["one"]),
            (("rename", "one", "uno"), ["uno"]), (("rm", "--force", "--time", "0", "uno"), [])):
        follower.do(*command)
        follower.runs(*left)


def test_a_container_that_ends_by_itself(podman_service: PodmanService, follower: Follower) -> None:
    follower.meanwhile(podman_service.command(*podman_service.run_arguments("short", command=("/bin/sleep", "0.3"))))
    follower.until(lambda: podman_service.inspect("short")[0]["State"]["Status"] == "exited" and follower.names() == [])


def test_networks(podman_service: PodmanService, follower: Follower) -> None:
    podman_service.podman("network", "create", "--subnet", "10.79.0.0/20", "--ipv6", "--subnet", "fd00:79::/64", "back")
    run = podman_service.run_arguments
    follower.do(*run("six", "--network", "back"))
    assert len(follower.told()) == 2
    follower.do(*run("web"))
    follower.do("network", "connect", "back", "web")
    assert len(follower.told()) == 5
    follower.do("network", "disconnect", "back", "web")
    follower.do(*run("on-host", "--network", "host"))
    follower.do(*run("alone", "--network", "none"))
    follower.runs("alone", "on-host", "six", "web")
    assert {name for name, _network, _address in follower.told()} == {"six", "web"}


def test_members_of_a_pod(podman_service: PodmanService, follower: Follower) -> None:
    """They share the address of the pod's first container."""
    follower.do("pod", "create", "--name", "pod", "--infra-image", IMAGE, "--infra-command", " ".join(SLEEP))
    try:
        follower.do(*podman_service.run_arguments("member", "--pod", "pod"))
        assert "member" in {name for name, _network, _address in follower.told()} and len(follower.names()) == 2
        assert len({address for _name, _network, address in follower.told()}) == 1
    finally:
        podman_service.podman("pod", "rm", "--force", "--time=0", "pod")
    follower.agree([])


def test_health(podman_service: PodmanService) -> None:
    with Follower(podman_service, require_healthy=True) as follower:
        check = ("--health-cmd", "test -e /healthy", "--health-interval", "disable", "--health-retries", "1")
        follower.do(*podman_service.run_arguments("checked", *check))
        follower.do(*podman_service.run_arguments("unchecked"))
        assert follower.health("checked") is False and follower.health("unchecked") is None
        follower.do("exec", "checked", "touch", "/healthy")
        follower.do("healthcheck", "run", "checked")
        follower.until(lambda: follower.health("checked") is True)


def test_stopped_and_started_again(podman_service: PodmanService, follower: Follower) -> None:
    """Podman's containers outlive its service."""
    follower.do(*podman_service.run_arguments("one"))
    before, reports = follower.told(), len(follower.reports)
    podman_service.stop()
    follower.until(lambda: follower.source.state == "connecting")
    podman_service.start()
    follower.until(lambda: follower.source.state == "ok")
    follower.agree(["one"])
    assert follower.told() == before and all(follower.reports[reports:])
