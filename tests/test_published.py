"""Maps of the ports that containers publish: which ports, which address, and of two containers the older."""

import random
from typing import Dict, List, Mapping, Optional, Set, Tuple

import pytest

from netmgr.values.addresses import parse
from netmgr.values.events import ContainerSeen, Endpoint, Port
from netmgr.values.notation import element_texts
from netmgr.values.sets import NFT_SET_INTERVAL, Form
from tests.workbench import Bench, named

CONFIG = """
docker: {networks: {back: web}, require_healthy: true}
zones:
  docker: {sets: {ports4: published_ports, ports6: published_ports, bare4: {holds: published_ports, exclude: 172.18.0.9}}}
  web: {sets: {web4: published_ports}}
"""
FORMS = {
    "ports4": Form("inet_proto . inet_service", value="ipv4_addr . inet_service"),
    "ports6": Form("inet_proto . inet_service", value="ipv6_addr . inet_service"),
    "bare4": Form("inet_service", value="ipv4_addr . inet_service"),
    "web4": Form("inet_service", interval=True, value="ipv4_addr . inet_service"),
}
PROTOCOLS = {"tcp": 6, "udp": 17, "sctp": 132}
BOTH = {"front": ("172.18.0.2/16", "fd00:1::2/64")}


def ports(*words: str) -> Tuple[Port, ...]:
    """tcp 8080:80, on an address: tcp 8080:80 0.0.0.0"""
    found = []
    for each in words:
        protocol, numbers, *address = each.split()
        public, _colon, private = numbers.partition(":")
        found.append(Port(PROTOCOLS[protocol], int(public), int(private), parse(address[0])[0] if address else b""))
    return tuple(found)


def container(name: str, *published: str, networks: Optional[Mapping[str, Tuple[str, ...]]] = None, created: int = 100,
              healthy: bool = True) -> ContainerSeen:
    endpoints = [Endpoint(network, *parse(each)) for network, some in sorted((networks or BOTH).items()) for each in some]
    return ContainerSeen(name, name, (), tuple(endpoints), healthy, "", "", ports(*published), created)


@pytest.fixture
def bench() -> Bench:
    made = Bench(CONFIG)
    for name, form in FORMS.items():
        made.kernel.make(named(name), form.type, NFT_SET_INTERVAL if form.interval else 0, value=form.value)
    made.look()
    return made


def held(bench: Bench, name: str) -> List[str]:
    assert bench.settle() is not None
    return element_texts(FORMS[name], bench.kernel.sets[named(name)].ours)


def test_each_family_has_its_ports(bench: Bench) -> None:
    bench.containers(container("web", "tcp 8080:80 0.0.0.0", "tcp 8080:80 ::", "udp 53:53", "tcp 1:2 127.0.0.1", "tcp 3:4 ::1",
                               "tcp 5:6 192.0.2.1", "sctp 7:8 2001:db8::1"))
    assert held(bench, "ports4") == ["tcp . 5 : 172.18.0.2 . 6", "tcp . 8080 : 172.18.0.2 . 80", "udp . 53 : 172.18.0.2 . 53"]
    assert held(bench, "ports6") == ["tcp . 8080 : fd00:1::2 . 80", "udp . 53 : fd00:1::2 . 53", "sctp . 7 : fd00:1::2 . 8"]
    assert held(bench, "bare4") == ["5 : 172.18.0.2 . 6", "53 : 172.18.0.2 . 53", "8080 : 172.18.0.2 . 80"]
    bench.containers()
    assert held(bench, "ports4") == held(bench, "bare4") == []


def test_the_first_network_that_has_the_family(bench: Bench) -> None:
    networks = {"a": ("fd00:2::2/64",), "back": ("10.0.0.2/24",), "front": ("172.18.0.2/16", "fd00:1::2/64")}
    bench.containers(container("web", "tcp 80:80", networks=networks))
    assert held(bench, "ports4") == ["tcp . 80 : 10.0.0.2 . 80"] and held(bench, "ports6") == ["tcp . 80 : fd00:2::2 . 80"]
    assert held(bench, "web4") == ["80 : 10.0.0.2 . 80"], "it is in the zone by one of its networks"
    bench.containers(container("web", "tcp 80:80"))
    assert held(bench, "web4") == []


def test_only_addresses_that_count(bench: Bench) -> None:
    bench.containers(container("web", "tcp 80:80", networks={"a": ("172.18.0.9/16",), "b": ("172.19.0.9/16",)}))
    assert held(bench, "ports4") == ["tcp . 80 : 172.18.0.9 . 80"] and held(bench, "bare4") == ["80 : 172.19.0.9 . 80"]
    bench.containers(container("web", "tcp 80:80", networks={"a": ("172.18.0.9/16",)}))
    assert held(bench, "bare4") == []


def test_the_older_container_has_the_port(bench: Bench) -> None:
    old, new = container("old", "tcp 80:1", created=100), container("new", "tcp 80:2", created=200)
    bench.containers(new)
    assert held(bench, "ports4") == ["tcp . 80 : 172.18.0.2 . 2"] and bench.managed("ports4").warning is None
    bench.containers(new, old)
    assert held(bench, "ports4") == ["tcp . 80 : 172.18.0.2 . 1"]
    assert (bench.managed("ports4").state.word, bench.managed("ports4").warning) == (
        "synced", "tcp . 80 has the value 172.18.0.2 . 1, and 172.18.0.2 . 2 is claimed for it, too")
    bench.containers(new)
    assert held(bench, "ports4") == ["tcp . 80 : 172.18.0.2 . 2"] and bench.managed("ports4").warning is None
    bench.containers(new, container("sick", "tcp 80:1", created=1, healthy=False))
    assert held(bench, "ports4") == ["tcp . 80 : 172.18.0.2 . 2"]


def test_a_map_of_ranges_gives_the_port_to_the_older_one_too(bench: Bench) -> None:
    back = {"back": ("10.0.0.2/24",)}
    old, new = container("old", "tcp 80:1", networks=back, created=1), container("new", "tcp 80:2", "tcp 81:3", networks=back, created=2)
    bench.containers(new, old)
    assert held(bench, "web4") == ["80 : 10.0.0.2 . 1", "81 : 10.0.0.2 . 3"]


def test_a_start_takes_nothing_away_until_the_engine_has_spoken(bench: Bench) -> None:
    old, new = container("old", "tcp 80:1", created=1), container("new", "tcp 80:2", "tcp 81:3", created=2)
    bench.containers(old, new)
    before = held(bench, "ports4")
    assert before == ["tcp . 80 : 172.18.0.2 . 1", "tcp . 81 : 172.18.0.2 . 3"]
    again = Bench(CONFIG, bench.kernel)
    again.model.hold = True
    again.look()
    assert held(again, "ports4") == before
    again.containers(new)
    assert held(again, "ports4") == ["tcp . 80 : 172.18.0.2 . 2", "tcp . 81 : 172.18.0.2 . 3"], "whose key is claimed is known now"
    again.containers(new, old)
    assert held(again, "ports4") == before
    again.containers(old)
    again.model.release_held()
    assert held(again, "ports4") == before[:1]


@pytest.mark.parametrize("seed", range(5))
def test_whatever_containers_come_and_go(seed: int, bench: Bench) -> None:
    """The map is what a plain look at those that run gives."""
    chance = random.Random(seed)
    running: Dict[str, ContainerSeen] = {}
    for _step in range(150):
        name = "c%d" % chance.randrange(6)
        running.pop(name, None)
        if chance.random() < 0.7:
            published = ["%s %d:%d %s" % (chance.choice(list(PROTOCOLS)), chance.randrange(1, 5), chance.randrange(1, 3),
                                          chance.choice(("0.0.0.0", "127.0.0.1", "192.0.2.1", "::"))) for _ in range(chance.randrange(4))]
            age = int(name[1:])
            running[name] = container(name, *published, created=age, networks={"front": ("172.18.0.%d/16" % (2 + age),)})
        if chance.random() < 0.2:
            bench.model.recount()
        bench.containers(*running.values())
        assert held(bench, "ports4") == element_texts(FORMS["ports4"], plainly(running))


def plainly(running: Dict[str, ContainerSeen]) -> Set[bytes]:
    """Of each key the oldest container's, and of that the smallest."""
    found: Dict[bytes, bytes] = {}
    for each in sorted(running.values(), key=lambda seen: seen.created):
        values: Dict[bytes, bytes] = {}
        for port in each.ports:
            if len(port.address) == 4 and port.address[0] != 127:
                key = bytes((port.protocol, 0, 0, 0)) + port.public.to_bytes(2, "big") + bytes(2)
                value = each.endpoints[0].address + port.private.to_bytes(2, "big") + bytes(2)
                values[key] = min(value, values.get(key, value))
        found = {**values, **found}
    return {key + value for key, value in found.items()}
