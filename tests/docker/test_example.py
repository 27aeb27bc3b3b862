"""The example for a server with Docker, beside a real engine."""

from typing import Iterator

import pytest

from tests.docker.engine import DockerEngine
from tests.kernel.example import Example
from tests.kernel.neighbours import reaches


@pytest.fixture
def example(docker_engine: DockerEngine) -> Iterator[Example]:
    made = Example(docker_engine.lab, "docker-server", docker_engine.socket)
    yield made
    made.netmgr.stop()
    made.lab.nft("delete table inet server")
    made.lab.run("ip link del eth0")
    made.close()


def test_docker_server(docker_engine: DockerEngine, example: Example) -> None:
    world = example.neighbour("eth0", "203.0.113.1/24", "203.0.113.5/24")
    world.run("ip route add default via 203.0.113.5")
    example.netmgr.start()
    docker_engine.docker("network", "create", "frontend")
    docker_engine.docker(*docker_engine.run_arguments("web", "--network", "frontend", "--publish", "8080:80"))
    docker_engine.docker(*docker_engine.run_arguments("db", "--publish", "8081:80"))
    web, db = (next(iter(docker_engine.inspect(name)[0]["NetworkSettings"]["Networks"].values()))["IPAddress"] for name in ("web", "db"))
    example.netmgr.holds("docker_ips", web, db, table="inet server")
    example.netmgr.holds("web_ips", web, table="inet server")
    assert reaches(world, "203.0.113.5", 22)
    assert reaches(world, "203.0.113.5", 8080), "a published port of the zone web"
    assert not reaches(world, "203.0.113.5", 8081), "a published port of another container"
    docker_engine.docker("rm", "--force", "web")
    example.netmgr.holds("web_ips", table="inet server")
