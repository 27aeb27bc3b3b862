"""What the source says of a real Docker engine equals what `docker inspect` says, whatever happens to the containers."""

from typing import Iterator

import pytest

from netmgr.io.docker_source import Timing
from tests.docker.engine import DockerEngine
from tests.docker.follower import Follower

STORM = 50


@pytest.fixture
def follower(docker_engine: DockerEngine) -> Iterator[Follower]:
    with Follower(docker_engine) as made:
        yield made


def test_life_of_a_container(docker_engine: DockerEngine, follower: Follower) -> None:
    run = docker_engine.run_arguments
    follower.do(*run("one"))
    follower.runs("one")
    assert len(follower.told()) == 1
    follower.do(*run("two", "--label", "netmgr.zone=web,dmz", "--label", "empty="))
    assert next(seen.labels for seen in follower.reports[-1] if seen.name == "two") == (("netmgr.zone", "web,dmz"),)
    for command, left in (
            (("stop", "one"), ["two"]), (("start", "one"), ["one", "two"]), (("kill", "two"), ["one"]),
            (("restart", "--time", "0", "one"), ["one"]), (("pause", "one"), ["one"]), (("unpause", "one"), ["one"]),
            (("rename", "one", "uno"), ["uno"]), (("rm", "--force", "uno"), [])):
        follower.do(*command)
        follower.runs(*left)


def test_what_the_engine_tells_too_early(docker_engine: DockerEngine) -> None:
    """Docker tells these before its list shows them, and then nothing more; no list for safety's sake comes to help here."""
    with Follower(docker_engine, Timing(confirm=3600, between=3600)) as follower:
        def agrees() -> bool:
            return follower.told() == docker_engine.truth()

        docker_engine.docker("network", "create", "front")
        follower.meanwhile(docker_engine.command(*docker_engine.run_arguments("one")))
        for _ in range(5):
            for command in ("connect", "disconnect"):
                follower.meanwhile(docker_engine.command("network", command, "front", "one"))
                follower.until(agrees)
            follower.meanwhile(docker_engine.command(*docker_engine.run_arguments("short", "--rm", command=("/bin/sleep", "0.3"))))
            follower.until(lambda: follower.names() == ["one"] and agrees())


def test_a_container_that_restarts_by_itself(docker_engine: DockerEngine, follower: Follower) -> None:
    fails = ("/bin/sh", "-c", "sleep 0.2; test -e /none")
    follower.meanwhile(docker_engine.command(*docker_engine.run_arguments("again", "--restart", "on-failure:2", command=fails)))
    follower.until(lambda: docker_engine.inspect("again")[0]["State"]["Status"] == "exited")
    assert docker_engine.inspect("again")[0]["RestartCount"] == 2
    follower.agree([])


def test_networks(docker_engine: DockerEngine, follower: Follower) -> None:
    engine = docker_engine
    engine.docker("network", "create", "front")
    engine.docker("network", "create", "--subnet", "10.77.0.0/20", "--ipv6", "--subnet", "fd00:77::/64", "back")
    follower.do(*engine.run_arguments("web", "--network", "front"))
    follower.do("network", "connect", "back", "web")
    assert len(follower.told()) == 3
    follower.do(*engine.run_arguments("six", "--network", "back"))
    assert ("six", "back") in {(name, network) for name, network, _address in follower.told()}
    for _ in range(5):
        follower.do("network", "disconnect", "front", "web")
        follower.do("network", "connect", "front", "web")
    follower.do("pause", "web")
    follower.do("network", "disconnect", "back", "web")
    follower.do("unpause", "web")
    follower.do(*engine.run_arguments("on-host", "--network", "host"))
    follower.do(*engine.run_arguments("alone", "--network", "none"))
    follower.runs("alone", "on-host", "six", "web")
    assert {name for name, _network, _address in follower.told()} == {"six", "web"}


def test_health(docker_engine: DockerEngine) -> None:
    with Follower(docker_engine, require_healthy=True) as follower:
        check = ("--health-cmd", "test -e /healthy", "--health-interval", "200ms", "--health-retries", "1")
        follower.do(*docker_engine.run_arguments("checked", *check))
        follower.do(*docker_engine.run_arguments("unchecked"))
        follower.until(lambda: follower.health("checked") is False)
        assert follower.health("unchecked") is None
        follower.do("exec", "checked", "touch", "/healthy")
        follower.until(lambda: follower.health("checked") is True)
        follower.do("exec", "checked", "rm", "/healthy")
        follower.until(lambda: follower.health("checked") is False)


def test_health_while_paused(docker_engine: DockerEngine) -> None:
    """The list does not tell it; Docker calls it unhealthy, whatever it was before."""
    with Follower(docker_engine, require_healthy=True) as follower:
        follower.do(*docker_engine.run_arguments("checked", "--health-cmd", "true", "--health-interval", "200ms"))
        follower.until(lambda: follower.health("checked") is True)
        follower.do(*docker_engine.run_arguments("unchecked"))
        follower.do("pause", "checked", "unchecked")
        told = docker_engine.inspect("checked")[0]["State"]["Health"]["Status"]
        assert follower.health("checked") is (told == "healthy") and follower.health("unchecked") is None
        follower.do("unpause", "checked", "unchecked")
        follower.until(lambda: follower.health("checked") is True)


def test_containers_that_were_there(docker_engine: DockerEngine) -> None:
    docker_engine.run("early")
    with Follower(docker_engine) as follower:
        follower.agree(["early"])


def test_storm(docker_engine: DockerEngine, follower: Follower) -> None:
    engine = docker_engine
    names = ["storm%d" % number for number in range(STORM)]
    for start in range(0, STORM, 10):
        follower.meanwhile(*(engine.command(*engine.run_arguments(name)) for name in names[start:start + 10]))
    follower.agree(names)
    follower.meanwhile(engine.command("kill", *names[::2]))
    follower.agree(names[1::2])
    follower.meanwhile(engine.command("start", *names[:10:2]), engine.command("rm", "--force", *names[1::2]))
    follower.agree(names[:10:2])


def test_stopped_and_started_again(docker_engine: DockerEngine, follower: Follower) -> None:
    """Without live-restore its containers end with the engine; one comes back with it."""
    engine = docker_engine
    follower.do(*engine.run_arguments("lost"))
    follower.do(*engine.run_arguments("back", "--restart", "always"))
    engine.stop()
    follower.until(lambda: follower.source.state == "connecting")
    engine.start()
    follower.until(lambda: follower.source.state == "ok")
    follower.agree(["back"])


def test_killed_and_started_again(docker_engine: DockerEngine, follower: Follower) -> None:
    engine = docker_engine
    follower.do(*engine.run_arguments("lost"))
    follower.do(*engine.run_arguments("back", "--restart", "always"))
    before = follower.told()
    engine.kill()
    follower.until(lambda: follower.source.state == "connecting")
    assert follower.told() == before
    engine.start()
    follower.until(lambda: follower.source.state == "ok")
    follower.agree(["back"])


def test_gone_for_good(docker_engine: DockerEngine) -> None:
    with Follower(docker_engine, grace=1.0) as follower:
        follower.do(*docker_engine.run_arguments("one"))
        docker_engine.stop()
        try:
            follower.until(lambda: follower.names() == [] and follower.source.state == "disabled")
        finally:
            docker_engine.start()
        follower.source.refresh()
        follower.until(lambda: follower.source.state == "ok")
        follower.agree()


@pytest.mark.parametrize("crash", [False, True])
def test_live_restore(live_restore_engine: DockerEngine, crash: bool) -> None:
    """The containers outlive the engine: none of them is missing for a moment."""
    engine = live_restore_engine
    with Follower(engine) as follower:
        follower.do(*engine.run_arguments("one"))
        follower.do(*engine.run_arguments("two"))
        before, reports = follower.told(), len(follower.reports)
        (engine.kill if crash else engine.stop)()
        follower.until(lambda: follower.source.state == "connecting")
        engine.start()
        follower.until(lambda: follower.source.state == "ok")
        follower.agree(["one", "two"])
        assert follower.told() == before and all(len(report) == 2 for report in follower.reports[reports:])
        follower.do("kill", "one")
        follower.do(*engine.run_arguments("three"))
        follower.runs("three", "two")
