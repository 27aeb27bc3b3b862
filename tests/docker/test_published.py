"""A Docker that makes no rules of its own: what it publishes is reached by the recipe of netmgr.yaml(5)."""

import socket

import pytest

from tests.docker.engine import DockerEngine, why_no_docker
from tests.kernel.lab import Lab
from tests.kernel.neighbours import neighbour
from tests.kernel.test_recipes import start
from tests.waiting import eventually

WITHOUT_RULES = ("--iptables=false", "--ip6tables=false", "--userland-proxy=false")


def answers(host: Lab, address: str, port: int) -> bool:
    """Whether a web server is there."""
    with host.inside(), socket.socket() as tried:
        tried.settimeout(1)
        try:
            tried.connect((address, port))
            tried.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return tried.recv(5) == b"HTTP/"
        except OSError:
            return False


def test_what_docker_publishes_is_reached_without_iptables() -> None:
    reason = why_no_docker()
    if reason is not None:
        pytest.skip(reason)
    engine = DockerEngine(options=WITHOUT_RULES)
    world = neighbour(engine.lab, "eth0", "203.0.113.1/24", "203.0.113.5/24")
    try:
        engine.start()
        netmgr = start(engine.lab, "Containers published without iptables", "socket: " + engine.socket)
        engine.run("web", "-p", "8080:80", command=("/bin/busybox", "httpd", "-f", "-p", "80"))
        eventually(lambda: answers(world, "203.0.113.5", 8080))
        assert not answers(world, "203.0.113.5", 80)
        assert "DNAT" not in engine.lab.run("iptables -t nat -S", check=False), "it is not Docker's doing"
        engine.docker("rm", "--force", "web")
        eventually(lambda: "published" in engine.lab.ruleset() and "elements" not in engine.lab.run("nft list map inet filter published"))
        assert netmgr.stop() == 0
    finally:
        world.close()
        engine.close()
