"""The whole way: real engines, a real netmgr beside them in the same network namespace, the kernel's sets."""

import ipaddress
import re
from typing import Any, Dict, Iterator, Sequence, Set, Union

import pytest

from tests.docker.engine import DockerEngine, PodmanService, Truth
from tests.kernel.lab import Lab
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
    netmgr.holds("docker_ips", *elements(truth))
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
    netmgr.holds("web_ips", *elements(engine.truth(), network="frontend"))
    shown = {container["name"]: container["zones"] for container in netmgr.status()["containers"]}
    assert shown["labelled"] == ["docker", "dmz", "mixed"] and shown["plain"] == ["docker", "web"]


def test_an_element_claimed_by_an_interface_and_a_container_stays_until_both_are_gone(
        docker_engine: DockerEngine, netmgr: Netmgr) -> None:
    docker_engine.run("one", "--label", "netmgr.zone=mixed")
    address = next(iter(elements(docker_engine.truth())))
    netmgr.holds("mixed_ips", address)
    docker_engine.lab.link("eth0", up=False)
    docker_engine.lab.run(["ip", "addr", "add", address + "/32", "dev", "eth0"])
    eventually(lambda: any(each["address"] == address + "/32" for row in netmgr.status()["interfaces"] for each in row["addresses"]))
    docker_engine.docker("rm", "--force", "one")
    netmgr.holds("docker_ips")
    assert docker_engine.lab.sets("inet filter", "mixed_ips") == {address}
    docker_engine.lab.run("ip link del eth0")
    netmgr.holds("mixed_ips")


def test_a_storm_of_containers_ends_in_the_truth(docker_engine: DockerEngine, netmgr: Netmgr) -> None:
    lab = docker_engine.lab
    running = [lab.start(docker_engine.command(*docker_engine.run_arguments("storm%d" % number))) for number in range(50)]
    assert [process.wait(120) for process in running] == [0] * 50
    netmgr.holds("docker_ips", *elements(docker_engine.truth()))
    docker_engine.docker("rm", "--force", *("storm%d" % number for number in range(0, 50, 2)))
    netmgr.holds("docker_ips", *elements(docker_engine.truth()))
    assert len(elements(docker_engine.truth())) == 25


def test_unhealthy_containers_do_not_count_when_health_is_required(docker_engine: DockerEngine, netmgr: Netmgr) -> None:
    netmgr.configure(CONFIG % docker_engine.socket + "  require_healthy: true\n")
    assert netmgr.ask("reload").startswith("OK: ")
    docker_engine.run("well", "--health-cmd", "test -e /healthy", "--health-interval", "200ms", "--health-retries", "1")
    docker_engine.run("unchecked")
    truth = docker_engine.truth()
    unchecked = {str(ipaddress.ip_interface(address).ip) for name, _network, address in truth if name == "unchecked"}
    netmgr.holds("docker_ips", *unchecked)
    docker_engine.docker("exec", "well", "/bin/touch", "/healthy")
    netmgr.holds("docker_ips", *elements(truth))
    docker_engine.docker("exec", "well", "/bin/rm", "/healthy")
    netmgr.holds("docker_ips", *unchecked)


def test_the_engine_goes_and_comes_back(live_restore_engine: DockerEngine) -> None:
    engine = live_restore_engine
    engine.lab.nft(RULESET)
    engine.lab.link("eth0")
    engine.run("one")
    address = next(iter(elements(engine.truth())))
    netmgr = Netmgr(engine.lab, CONFIG.replace("grace: 3", "grace: 60") % engine.socket)
    netmgr.holds("docker_ips", address)
    monitor = engine.lab.start("nft monitor elements")
    netmgr.restart()
    engine.kill()
    eventually(lambda: netmgr.status()["sources"]["docker"]["state"] != "ok")
    assert netmgr.status()["state"] == "degraded"
    engine.lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr.holds("mixed_ips", "192.0.2.1")
    engine.start()
    eventually(lambda: netmgr.status()["sources"]["docker"]["state"] == "ok")
    netmgr.holds("docker_ips", address)
    assert "delete element inet filter docker_ips" not in engine.lab.log(monitor)
    netmgr.configure(CONFIG % engine.socket)
    assert netmgr.ask("reload").startswith("OK: ")
    eventually(lambda: netmgr.status()["sources"]["docker"]["state"] == "ok")
    engine.stop()
    netmgr.holds("docker_ips")
    assert engine.lab.sets("inet filter", "mixed_ips") == {"192.0.2.1"}


MAPS = """
table inet filter {
    map ports4 { type inet_proto . inet_service : ipv4_addr . inet_service; }
    map ports6 { type inet_proto . inet_service : ipv6_addr . inet_service; }
}
"""
PUBLISHED = "zones: {docker: {sets: {ports4: published_ports, ports6: published_ports}}}\n"
OPTIONS = ("-p", "8080:80", "-p", "127.0.0.1:8081:81", "-p", "9000-9002:9000-9002/udp", "-p", "192.0.2.1:70:71", "--expose", "4444")


def ports_of(inspected: Sequence[Dict[str, Any]], version: int, every: Sequence[str]) -> Set[str]:
    """What a map should hold of what an engine's own command line says; `every`: what it calls all addresses of both families."""
    found: Set[str] = set()
    for container in inspected:
        settings = container["NetworkSettings"]
        own = [each["IPAddress" if version == 4 else "GlobalIPv6Address"] for _name, each in sorted(settings["Networks"].items())]
        for inside, some in settings["Ports"].items():
            port, _slash, protocol = inside.partition("/")
            reached = {each["HostPort"] for each in some or () if each["HostIp"] in every or _is_reached(each["HostIp"], version)}
            found |= {"%s . %s : %s . %s" % (protocol, public, next(filter(None, own)), port) for public in reached if any(own)}
    return found


def _is_reached(address: str, version: int) -> bool:
    return (ipaddress.ip_address(address).version == version and not ipaddress.ip_address(address).is_loopback)


def mapped(lab: Lab, name: str) -> Set[str]:
    text = " ".join(lab.run("nft -nn list map inet filter " + name).split()).replace(' comment "netmgr"', "")
    items = text.partition("elements = { ")[2].partition(" }")[0].split(", ")
    return {re.sub(r"^(6|17) ", lambda number: {"6": "tcp", "17": "udp"}[number[1]] + " ", each) for each in items if each}


def follows_ports(engine: Union[DockerEngine, PodmanService], *names: str) -> int:
    """Wait until the maps are what the engine says of these containers; how many elements these are."""
    every = () if isinstance(engine, DockerEngine) else ("", "0.0.0.0")
    wanted = {version: ports_of(engine.inspect(*names), version, every) for version in (4, 6)}
    eventually(lambda: {version: mapped(engine.lab, "ports%d" % version) for version in wanted} == wanted)
    return sum(map(len, wanted.values()))


def test_published_ports(docker_engine: DockerEngine, netmgr: Netmgr) -> None:
    engine = docker_engine
    engine.lab.nft(MAPS)
    engine.lab.run("ip addr replace 192.0.2.1/32 dev lo")
    netmgr.configure(CONFIG % engine.socket + PUBLISHED)
    assert netmgr.ask("reload").startswith("OK: ")
    engine.docker("network", "create", "--ipv6", "--subnet", "2001:db8:1::/64", "--subnet", "172.30.0.0/24", "frontend")
    engine.run("web", "--network", "frontend", *OPTIONS)
    engine.run("other", "-p", "8082:80")
    assert follows_ports(engine, "web", "other") == 5 + 4 + 1
    engine.docker("rm", "--force", "web")
    assert follows_ports(engine, "other") == 1


def test_published_ports_of_podman(podman_service: PodmanService) -> None:
    service = podman_service
    service.lab.run("nft delete table inet filter", check=False)
    service.lab.nft(MAPS)
    service.lab.run("ip addr replace 192.0.2.1/32 dev lo")
    netmgr = Netmgr(service.lab, CONFIG % service.socket + PUBLISHED)
    service.podman("network", "create", "--ipv6", "--subnet", "2001:db8:1::/64", "--subnet", "172.30.0.0/24", "frontend")
    service.run("web", "--network", "frontend", *OPTIONS)
    assert follows_ports(service, "web") == 5 + 4
    service.podman("stop", "--time=0", "web")
    assert follows_ports(service) == 0
    assert netmgr.stop() == 0


def test_podman(podman_service: PodmanService) -> None:
    podman_service.lab.run("nft delete table inet filter", check=False)
    podman_service.lab.nft(RULESET)
    netmgr = Netmgr(podman_service.lab, CONFIG % podman_service.socket)
    podman_service.run("one", "--label", "netmgr.zone=dmz")
    netmgr.holds("docker_ips", *elements(podman_service.truth()))
    netmgr.holds("dmz_ips", *elements(podman_service.truth()))
    podman_service.podman("stop", "--time=0", "one")
    netmgr.holds("docker_ips")
    assert netmgr.stop() == 0
