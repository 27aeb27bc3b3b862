"""What engines say of one container: as different engines tell it, broken and random."""

import json
import random
from typing import Any, Dict, List, Optional, Tuple

import pytest

from netmgr.values import addresses
from netmgr.values.errors import ProtocolError
from netmgr.values.events import ContainerSeen, Endpoint, Port
from netmgr.wire.docker_containers import (
    LATEST,
    LONGEST_LABEL,
    LONGEST_NAME,
    MOST_NETWORKS,
    Inspected,
    Listed,
    Reading,
    called,
    inspected,
    listed,
)
from netmgr.wire.docker_list import MOST_CONTAINERS, MOST_SENSELESS, SHOWN_SENSELESS, Sifted
from netmgr.wire.json_elements import Element
from tests import engine_bodies as bodies
from tests.engine_bodies import APIS, identifier

HARDWARE = bytes.fromhex("0242ac110002")
BOTH = {"front": ("172.18.0.2/16", "fd00:1::2/64"), "back": ("10.9.8.7/24",)}
READING = Reading("main", False, "zone", True)
PODMAN = READING._replace(podman=True)


def told(seen: ContainerSeen) -> List[Tuple[str, str]]:
    return [(each.network, "%s/%d" % (addresses.text(each.address), each.prefixlen)) for each in seen.endpoints]


def one(entry: Dict[str, Any], reading: Reading = READING) -> Listed:
    found = listed(Element(entry), reading)
    assert found is not None
    return found


def sifted(body: bytes, reading: Reading = READING) -> Tuple[Sifted, List[Listed]]:
    answer = Sifted(reading)
    return answer, [*answer.feed(body), *answer.close()]


@pytest.mark.parametrize("api", APIS)
def test_list(api: str) -> None:
    entries = [
        bodies.container(1, BOTH, api, "web-1", {"zone": "2", "a": "1"}),
        bodies.container(2, {"front": ("172.18.0.3/16",)}, api, state="paused"),
        bodies.container(3, {"host": ()}, api, mode="host"),
        bodies.container(4, {}, api, state="stopping"),
        *(bodies.container(5, BOTH, api, state=state) for state in ("exited", "created", "restarting", "removing", "dead", "stopped")),
    ]
    answer, found = sifted(bodies.listing(entries))
    assert [each.seen.id for each in found] == [identifier(number) for number in (1, 2, 3, 4)] and answer.senseless == {}
    first, second, third, fourth = (each.seen for each in found)
    assert (first.name, first.labels, first.healthy, first.engine, first.mode) == ("web-1", (("zone", "2"),), None, "main", "default")
    assert told(first) == [("back", "10.9.8.7/24"), ("front", "172.18.0.2/16"), ("front", "fd00:1::2/64")] == bodies.endpoints(BOTH)
    assert second.endpoints == (Endpoint("front", bytes((172, 18, 0, 3)), 16, HARDWARE),)
    assert third.endpoints == fourth.endpoints == () and third.mode == "host"
    assert [each.unclear for each in found] == [False, api < "1.52", False, False]


@pytest.mark.parametrize("told, hardware", [
    ("02:42:AC:11:00:02", HARDWARE), ("", b""), (None, b""), ("00:00:00:00:00:00", b""), (":".join(["80"] * 20), b"")])
def test_the_mac_address_in_a_network(told: Optional[str], hardware: bytes) -> None:
    entry = bodies.container(1, BOTH)
    entry["NetworkSettings"]["Networks"]["front"]["MacAddress"] = told
    found = {endpoint[:2]: endpoint.hardware for endpoint in one(entry).seen.endpoints}
    assert {network: its for (network, _address), its in found.items()} == {"front": hardware, "back": HARDWARE} and len(found) == 3


@pytest.mark.parametrize("told", ["02:42:zz:11:00:02", "1", 5, ["02:42:ac:11:00:02"]])
def test_what_is_no_mac_address(told: Any) -> None:
    entry = bodies.container(1, BOTH)
    entry["NetworkSettings"]["Networks"]["front"]["MacAddress"] = told
    with pytest.raises(ProtocolError):
        one(entry)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("health, expected", [("none", None), ("starting", False), ("healthy", True), ("unhealthy", False)])
def test_health_in_the_list(api: str, health: str, expected: Optional[bool]) -> None:
    entry = bodies.container(1, BOTH, api, health=health)
    assert one(entry).seen.healthy is expected
    assert one(entry, READING._replace(health=False)).seen.healthy is None


def test_health_of_a_paused_container() -> None:
    found = one(bodies.container(1, BOTH, "1.52", state="paused", health="unhealthy"))
    assert found.seen.healthy is False and not found.unclear


def test_podman_list() -> None:
    """As Podman 4.3 tells it: null for no networks, more fields, no health."""
    entry = {**bodies.container(1), "NetworkSettings": {"Networks": None}, "Name": "", "Config": None, "Platform": None}
    del entry["HostConfig"]
    found = one(entry, PODMAN)
    assert found.seen.endpoints == () and found.unclear and found.seen.mode == ""
    assert not one(entry, PODMAN._replace(health=False)).unclear


@pytest.mark.parametrize("change", [
    {"Labels": None}, {"NetworkSettings": None}, {"NetworkSettings": {}}, {"Names": None}, {"Names": []}, {"Status": None},
    {"NetworkSettings": {"Networks": {"x": None}}}, {"Unknown": {"x": [1, None]}}, {"HostConfig": None}, {"Labels": {"a": 5}}])
def test_what_may_be_missing_or_does_not_matter(change: Dict[str, Any]) -> None:
    assert one({**bodies.container(1, {}), **change}).seen.id == identifier(1)


@pytest.mark.parametrize("names, name", [
    (["/web"], "web"), (["/app/store", "/zdb"], "zdb"), (["/zdb", "/app/store"], "zdb"), (["/a/b"], "a/b"), (["web"], "web")])
def test_the_name_is_the_one_without_a_slash_inside(names: List[str], name: str) -> None:
    assert one({**bodies.container(1), "Names": names}).seen.name == name


def test_the_network_of_another() -> None:
    entry = bodies.container(1, {}, mode="container:" + identifier(2))
    assert one(entry).shares == identifier(2) and one(entry).seen.mode == "container"
    entry = bodies.container(1, BOTH, mode="container:" + identifier(2))
    assert one(entry).shares == "" and told(one(entry).seen) == bodies.endpoints(BOTH), "Podman tells the addresses itself"


def test_a_network_without_prefix_length_is_a_host() -> None:
    entry = bodies.container(1, {"x": ("192.0.2.1/0", "2001:db8::1/0")})
    assert told(one(entry).seen) == [("x", "192.0.2.1/32"), ("x", "2001:db8::1/128")]


def _with_network(**fields: Any) -> Dict[str, Any]:
    entry = bodies.container(1, {"x": ("192.0.2.1/24",)})
    entry["NetworkSettings"]["Networks"]["x"].update(fields)
    return entry


CHANGES: List[Dict[str, Any]] = [
        {"Id": None}, {"Id": ""}, {"Id": "../../etc"}, {"Id": "a" * 1000}, {"Id": 5}, {"Id": "\u0661"}, {"Names": "x"}, {"Names": [5]},
        {"Names": ["/" + "n" * (LONGEST_NAME + 1)]}, {"Names": ["\ud800"]},
        {"Labels": []}, {"Labels": {"zone": 5}}, {"Labels": {"zone": "\ud800"}},
        {"NetworkSettings": []}, {"NetworkSettings": {"Networks": []}},
        {"NetworkSettings": {"Networks": {"x": "y"}}}, {"Status": 5}, {"Health": "healthy"}, {"HostConfig": []},
        {"HostConfig": {"NetworkMode": 5}}, {"NetworkSettings": {"Networks": {"n" * (LONGEST_NAME + 1): None}}},
        {"Ports": 5}, {"Ports": [5]}, *({"Ports": [{**bodies.port("1:2"), **change}]} for change in (
            {"PublicPort": "80"}, {"PublicPort": 65536}, {"PublicPort": -1}, {"PublicPort": True}, {"PrivatePort": 0},
            {"PrivatePort": None}, {"Type": 5}, {"Type": ["tcp"]}, {"IP": 5}, {"IP": "x"}, {"IP": "1.2.3"})),
        {"NetworkSettings": {"Networks": dict.fromkeys(map(str, range(MOST_NETWORKS + 1)))}}]
SENSELESS = [
    *({**bodies.container(1), **change} for change in CHANGES),
    _with_network(IPAddress="x"), _with_network(IPAddress="::1"), _with_network(IPAddress=5), _with_network(IPAddress="1.2.3.4.5"),
    _with_network(IPAddress="invalid IP"), _with_network(GlobalIPv6Address="192.0.2.1"), _with_network(IPPrefixLen=33),
    _with_network(IPPrefixLen=64), _with_network(IPPrefixLen=-1), _with_network(IPPrefixLen="16"), _with_network(IPPrefixLen=True),
    _with_network(IPPrefixLen=24.0), _with_network(SecondaryIPAddresses=[{}]), _with_network(SecondaryIPAddresses=5),
    _with_network(SecondaryIPAddresses=[{"Addr": "::1"}]), _with_network(SecondaryIPAddresses=[None] * (MOST_NETWORKS + 1))]


@pytest.mark.parametrize("entry", SENSELESS)
def test_one_container_without_sense_is_left_out_and_named(entry: Dict[str, Any]) -> None:
    before, after = bodies.container(8, BOTH), bodies.container(9, BOTH)
    answer, found = sifted(bodies.listing([before, entry, after]))
    assert [each.seen.name for each in found] == ["c8", "c9"] and answer.ids == {identifier(8), identifier(9)}
    (name, wrong), = answer.senseless.items()
    assert wrong and (name in ("c1", "\ud800", identifier(1)) or name == "n" * LONGEST_NAME)


def test_one_that_is_too_long_is_named() -> None:
    entry = bodies.container(1, {"network-%d" % number: ("10.0.0.1/8",) for number in range(1000)})
    answer, found = sifted(bodies.listing([entry, bodies.container(2)]))
    assert [each.seen.name for each in found] == ["c2"] and answer.senseless == {"c1": "longer than 262144 characters"}


def test_what_a_senseless_one_is_called() -> None:
    for value in ({}, {"Names": 5}, {"Names": [5], "Id": 5}, {"Names": [""]}):
        assert called(Element(value)) == "?"
    assert called(Element(None, "wrong", "{}")) == "?"


def test_of_labels_only_one_is_kept_and_no_more_of_it_than_matters() -> None:
    entry = bodies.container(1, labels={"zone": "z" * 100_000, **{"l%d" % number: "x" * 100 for number in range(500)}})
    assert one(entry).seen.labels == (("zone", "z" * (LONGEST_LABEL + 1)),)
    assert one(entry, READING._replace(label=None)).seen.labels == ()


def test_senseless_ones_without_end_are_no_list() -> None:
    answer, found = sifted(bodies.listing([{"Id": "?", "Names": ["c%d" % number], "State": "running"} for number in range(MOST_SENSELESS)]))
    assert found == [] and len(answer.senseless) == SHOWN_SENSELESS
    with pytest.raises(ProtocolError, match="no list of containers"):
        sifted(b"[%s]" % b",".join([b'{"State":"running"}'] * (MOST_SENSELESS + 1)))


def test_a_list_has_an_end_even_of_what_does_not_run() -> None:
    with pytest.raises(ProtocolError, match="more than 65536 containers"):
        list(Sifted(READING).feed(b"[" + b"{}," * (MOST_CONTAINERS + 1)))


@pytest.mark.parametrize("body", [b"", b"{}", b"[5]", b"[[]]", b'"x"', b"[}", b"\xff", b"[" * 100_000])
def test_lists_without_sense(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        sifted(body)


# -- ports


PORTS = [("0.0.0.0:8080:80/tcp", [(6, 8080, 80, "0.0.0.0")]), ("[::]:8080:80/tcp", [(6, 8080, 80, "::")]),
         ("53:5353/udp", [(17, 53, 5353, "")]), ("[::1]:1:2/sctp", [(132, 1, 2, "::1")]),
         ("192.0.2.1:65535:65535", [(6, 65535, 65535, "192.0.2.1")]), (":80", []), ("1:2/dccp", [])]


def published(seen: Tuple[Port, ...]) -> List[Tuple[int, int, int, str]]:
    return [(*each[:3], addresses.text(each.address) if each.address else "") for each in seen]


@pytest.mark.parametrize(("words", "expected"), PORTS)
def test_published_ports(words: str, expected: List[Tuple[int, int, int, str]]) -> None:
    assert published(one(bodies.container(1, BOTH, ports=[words])).seen.ports) == expected


def test_the_order_of_ports_is_not_the_engines() -> None:
    words = [words for words, _expected in PORTS]
    found = {one(bodies.container(1, BOTH, ports=[*words[at:], *words[:at], *words[:2]])).seen.ports for at in range(len(words))}
    assert len(found) == 1 and len(found.pop()) == 5
    assert one({**bodies.container(1), "Ports": None}).seen.ports == ()


def test_when_a_container_was_made() -> None:
    assert one(bodies.container(1, created=5)).seen.created == 5
    for value in (None, "2026-01-01", -1, 1 << 40, 1.5, True):
        assert one({**bodies.container(1), "Created": value}).seen.created == LATEST


def test_inspected_ports() -> None:
    """Podman's own inspection tells all of a range."""
    body = (b'{"State": {}, "NetworkSettings": {"Ports": {"55/tcp": null, "71/tcp": [{"HostIp": "192.0.2.1", "HostPort": "70"}], '
            b'"9001/udp": [{"HostIp": "0.0.0.0", "HostPort": "9001"}, {"HostIp": "::", "HostPort": ""}], "1/dccp": [{"HostPort": "1"}]}}}')
    assert published(inspected(body).ports) == [(6, 70, 71, "192.0.2.1"), (17, 9001, 9001, "")]


@pytest.mark.parametrize("told", [
    5, [], {"80/tcp": 5}, {"80/tcp": [5]}, {"x/tcp": [{"HostPort": "80"}]}, {"80/tcp": [{"HostPort": "x"}]},
    {"80/tcp": [{"HostPort": "65536"}]}, {"0/tcp": [{"HostPort": "1"}]}, {"80/tcp": [{"HostPort": "123456"}]},
    {"80/tcp": [{"HostPort": 5.5}]},
    {"80/tcp": [{"HostPort": "80", "HostIp": 5}]}, {"80/tcp": [{"HostPort": "80", "HostIp": "x"}]}, {"\ud800/tcp": [{}]}])
def test_inspected_ports_without_sense(told: Any) -> None:
    with pytest.raises(ProtocolError):
        inspected(json.dumps({"NetworkSettings": {"Ports": told}}).encode())


# -- inspections


def test_inspected_health() -> None:
    texts = (None, "", "none", "starting", "healthy", "unhealthy")
    assert {text: inspected(bodies.inspection(1, text)).healthy for text in texts} == {
        None: None, "": None, "none": None, "starting": False, "healthy": True, "unhealthy": False}
    assert inspected(b'{"State": {"Healthcheck": {"Status": "healthy"}}}') == Inspected(True, (), "")
    for body in (b"[]", b'{"State": 5}', b'{"State": {"Health": 5}}', b'{"State": {"Health": {"Status": 5}}}', b""):
        with pytest.raises(ProtocolError):
            inspected(body)


def test_inspected_addresses() -> None:
    """Podman's own inspection tells all of a network with several subnets."""
    body = (b'{"State": {}, "HostConfig": {"NetworkMode": "bridge"}, "NetworkSettings": {"Networks": {"multi": {'
            b'"IPAddress": "10.1.0.2", "IPPrefixLen": 24, "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0,'
            b'"SecondaryIPAddresses": [{"Addr": "10.2.0.2", "PrefixLength": 24}, {"Addr": "10.1.0.2", "PrefixLength": 24}],'
            b'"SecondaryIPv6Addresses": [{"Addr": "fd00::2", "PrefixLength": 64}]}}}}')
    found = inspected(body)
    assert found.mode == "bridge" and [(addresses.text(each.address), each.prefixlen) for each in found.endpoints] == [
        ("10.1.0.2", 24), ("10.2.0.2", 24), ("fd00::2", 64)]


# -- random


@pytest.mark.parametrize("seed", range(20))
def test_random_bodies(seed: int) -> None:
    """A body that is damaged anyhow is refused, or read as containers of sound values."""
    random_source = random.Random(seed)
    ports = [words for words, _expected in PORTS]
    apis = (random_source.choice(APIS) for _ in range(3))
    whole = bodies.listing([bodies.container(number, BOTH, api, health="healthy", ports=ports) for number, api in enumerate(apis)])
    for _ in range(200):
        body = bytearray(whole)
        for _ in range(random_source.randrange(1, 4)):
            position = random_source.randrange(len(body))
            body[position:position + random_source.randrange(4)] = random_source.choice(
                [b"", b'"', b"null", b"0", b"99", b"[]", b"{}", random_source.randbytes(2)])
        try:
            _answer, found = sifted(bytes(body))
        except ProtocolError:
            continue
        for each in found:
            seen = each.seen
            assert seen.id.isalnum() and seen.name.encode() is not None and seen.healthy in (True, False, None)
            assert all(len(point.address) in (4, 16) and 0 < point.prefixlen <= len(point.address) * 8 for point in seen.endpoints)
            assert all(each.protocol in (6, 17, 132) and 0 < each.public < 65536 and 0 < each.private < 65536
                       and len(each.address) in (0, 4, 16) for each in seen.ports)
