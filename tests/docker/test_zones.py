"""The whole way: real engines, a real netmgr beside them in the same network namespace, the kernel's sets."""

import ipaddress
from typing import Iterator, Set

import pytest

from tests.docker.engine import DockerEngine, PodmanService, Truth
from tests.kernel.running import Netmgr
from tests.waiting import eventually

RULESET = """
table inet filter {
    set docker_ips { type ipv4_addr; }
    set docker_ips6 { type ipv6_addr; }
    set docker_nets { type ipv4_addr; flags interval; }
    set web_ips { type ipv4_addr; }
    set dmz_ips { type ipv4_addr; }
    set mixed_ips { type ipv4_addr; }
}
"""

CONFIG = """
interfaces:
  - {name: eth0, nftables_zone: [wan, mixed]}
docker:
  enabled: true
  socket: %s
  networks: {"front*": web}
  label_zones: [dmz, mixed]
  grace: 3
"""


def elements(truth: Truth, version: int = 4, network: str = "") -> Set[str]:
    """What a set of addresses should hold of what an engine's own command line says."""
    found = {str(ipaddress.ip_interface(address).ip) for _name, where, address in truth if network in where}
    return {each for each in found if ipaddress.ip_address(each).version == version}


@pytest.fixture
def netmgr(docker_engine: DockerEngine) -> Iterator[Netmgr]:
    docker_engine.lab.run("nft delete table inet filter", check=False)
    docker_engine.lab.nft(RULESET)
    made = Netmgr(docker_engine.lab, CONFIG % docker_engine.socket)
    yield made
    print(made.log())
    assert made.stop() == 0


def test_zones_by_default_label_and_network(docker_engine: DockerEngine, netmgr: Netmgr) -> None:
    engine = docker_engine
    engine.docker("network", "create", "--ipv6", "--subnet", "2001:db8:1::/64", "--subnet", "172.30.0.0/24", "frontend")
    engine.run("plain")
    engine.run("labelled", "--label", "netmgr.zone=dmz, mixed")
    engine.run("fronted", "--network", "frontend")
    engine.run("none", "--network", "none")
    engine.run("host", "--network", "host")
    truth = engine.truth()
    netmgr.holds("docker_ips", *elements(truth), seconds=30)
    netmgr.holds("docker_ips6", *elements(truth, 6))
    assert len(elements(truth)) == 3 and len(elements(truth, 6)) == 1
    netmgr.holds("web_ips", *elements(truth, network="frontend"))
    labelled = {str(ipaddress.ip_interface(address).ip) for name, _network, address in truth if name == "labelled"}
    netmgr.holds("dmz_ips", *labelled)
    netmgr.holds("mixed_ips", *labelled)
    nets = {str(ipaddress.ip_interface(address).network) for _name, _network, address in truth if ":" not in address}
    netmgr.holds("docker_nets", *nets)
    engine.docker("network", "disconnect", "frontend", "fronted")
    netmgr.holds("web_ips")
    engine.docker("network", "connect", "frontend", "plain")
    netmgr.holds("web_ips", *elements(engine.truth(), network="frontend"), seconds=30)
    shown = {container["name"]: container["zones"] for container in netmgr.status()["containers"]}
    assert shown["labelled"] == ["docker", "dmz", "mixed"] and shown["plain"] == ["docker", "web"]


def test_an_element_claimed_by_an_interface_and_a_container_stays_until_both_are_gone(
        docker_engine: DockerEngine, netmgr: Netmgr) -> None:
    docker_engine.run("one", "--label", "netmgr.zone=mixed")
    address = next(iter(elements(docker_engine.truth())))
    netmgr.holds("mixed_ips", address, seconds=30)
    docker_engine.lab.link("eth0", up=False)
    docker_engine.lab.run(["ip", "addr", "add", address + "/32", "dev", "eth0"])
    eventually(lambda: any(each["address"] == address + "/32" for row in netmgr.status()["interfaces"] for each in row["addresses"]))
    docker_engine.docker("rm", "--force", "one")
    netmgr.holds("docker_ips", seconds=30)
    assert docker_engine.lab.sets("inet filter", "mixed_ips") == {address}
    docker_engine.lab.run("ip link del eth0")
    netmgr.holds("mixed_ips")


def test_a_storm_of_containers_ends_in_the_truth(docker_engine: DockerEngine, netmgr: Netmgr) -> None:
    lab = docker_engine.lab
    running = [lab.start(docker_engine.command(*docker_engine.run_arguments("storm%d" % number))) for number in range(50)]
    assert [process.wait(120) for process in running] == [0] * 50
    netmgr.holds("docker_ips", *elements(docker_engine.truth()), seconds=60)
    docker_engine.docker("rm", "--force", *("storm%d" % number for number in range(0, 50, 2)))
    netmgr.holds("docker_ips", *elements(docker_engine.truth()), seconds=60)
    assert len(elements(docker_engine.truth())) == 25


def test_unhealthy_containers_do_not_count_when_health_is_required(docker_engine: DockerEngine, netmgr: Netmgr) -> None:
    netmgr.configure(CONFIG % docker_engine.socket + "  require_healthy: true\n")
    assert netmgr.ask("reload").startswith("OK: ")
    docker_engine.run("well", "--health-cmd", "test -e /healthy", "--health-interval", "200ms", "--health-retries", "1")
    docker_engine.run("unchecked")
    truth = docker_engine.truth()
    unchecked = {str(ipaddress.ip_interface(address).ip) for name, _network, address in truth if name == "unchecked"}
    netmgr.holds("docker_ips", *unchecked, seconds=30)
    docker_engine.docker("exec", "well", "/bin/touch", "/healthy")
    netmgr.holds("docker_ips", *elements(truth), seconds=30)
    docker_engine.docker("exec", "well", "/bin/rm", "/healthy")
    netmgr.holds("docker_ips", *unchecked, seconds=30)


def test_the_engine_goes_and_comes_back(live_restore_engine: DockerEngine) -> None:
    engine = live_restore_engine
    engine.lab.nft(RULESET)
    engine.lab.link("eth0")
    engine.run("one")
    address = next(iter(elements(engine.truth())))
    netmgr = Netmgr(engine.lab, CONFIG.replace("grace: 3", "grace: 60") % engine.socket)
    netmgr.holds("docker_ips", address, seconds=30)
    monitor = engine.lab.start("nft monitor elements")
    netmgr.restart()
    engine.kill()
    eventually(lambda: netmgr.status()["sources"]["docker"]["state"] != "ok", 30)
    assert netmgr.status()["state"] == "degraded"
    engine.lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr.holds("mixed_ips", "192.0.2.1")
    engine.start()
    eventually(lambda: netmgr.status()["sources"]["docker"]["state"] == "ok", 60)
    netmgr.holds("docker_ips", address)
    assert "delete element inet filter docker_ips" not in engine.lab.log(monitor)
    netmgr.configure(CONFIG % engine.socket)
    assert netmgr.ask("reload").startswith("OK: ")
    eventually(lambda: netmgr.status()["sources"]["docker"]["state"] == "ok", 60)
    engine.stop()
    netmgr.holds("docker_ips", seconds=30)
    assert engine.lab.sets("inet filter", "mixed_ips") == {"192.0.2.1"}


def test_podman(podman_service: PodmanService) -> None:
    podman_service.lab.run("nft delete table inet filter", check=False)
    podman_service.lab.nft(RULESET)
    netmgr = Netmgr(podman_service.lab, CONFIG % podman_service.socket)
    podman_service.run("one", "--label", "netmgr.zone=dmz")
    netmgr.holds("docker_ips", *elements(podman_service.truth()), seconds=60)
    netmgr.holds("dmz_ips", *elements(podman_service.truth()))
    podman_service.podman("stop", "--time=0", "one")
    netmgr.holds("docker_ips", seconds=60)
    assert netmgr.stop() == 0
