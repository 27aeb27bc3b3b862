"""Maps of published ports in a real kernel: a real daemon beside an engine that tells what the test wants."""

import json
import re
from typing import Any, Dict, Set

import pytest

from tests import engine_bodies as bodies
from tests.kernel.engine import Engine
from tests.kernel.lab import Lab
from tests.kernel.running import Netmgr
from tests.waiting import eventually

MAPS = {
    "bare4": "inet_service : ipv4_addr . inet_service", "bare6": "inet_service : ipv6_addr . inet_service",
    "ports4": "inet_proto . inet_service : ipv4_addr . inet_service", "ports6": "inet_proto . inet_service : ipv6_addr . inet_service"}
RULESET = "table inet filter {\n%s\n}\n" % "\n".join("map %s { type %s; }" % each for each in MAPS.items())
SETS = "{%s}" % ", ".join('%s: {holds: published_ports, type: "%s"}' % each for each in MAPS.items())
CONFIG = "docker: {enabled: true, socket: %s}\nnftables: {%s}\nzones: {docker: {convention: false, sets: " + SETS + "}}\n"
WEB = bodies.container(1, {"front": ("172.18.0.2/16", "fd00:1::2/64")}, name="web", created=100, ports=[
    "0.0.0.0:8080:80/tcp", "[::]:8080:80/tcp", "0.0.0.0:53:53/udp", "127.0.0.1:9:9"])
FOUR = {"bare4": {"8080 : 172.18.0.2 . 80", "53 : 172.18.0.2 . 53"},
        "ports4": {"tcp . 8080 : 172.18.0.2 . 80", "udp . 53 : 172.18.0.2 . 53"}}
SIX = {"bare6": {"8080 : fd00:1::2 . 80"}, "ports6": {"tcp . 8080 : fd00:1::2 . 80"}}


PROTOCOLS = {"6": "tcp", "17": "udp"}


def other(number: int, *ports: str, created: int = 200) -> Dict[str, Any]:
    return bodies.container(number, {"front": ("172.18.0.%d/16" % (number + 1),)}, name="c%d" % number, created=created, ports=ports)


def held(lab: Lab) -> Dict[str, Set[str]]:
    """What nft lists, without the comments."""
    found = {}
    for name in MAPS:
        text = " ".join(lab.run("nft -n list map inet filter %s" % name, check=False).split())
        items = text.partition("elements = { ")[2].partition(" }")[0].replace(' comment "netmgr"', "").split(", ")
        found[name] = {re.sub(r"^(6|17) \. ", lambda number: PROTOCOLS[number[1]] + " . ", each) for each in items if each}
    return found


def has(lab: Lab, **expected: Set[str]) -> None:
    """Wait until the maps hold just this."""
    wanted = {name: expected.get(name, set()) for name in MAPS}
    try:
        eventually(lambda: held(lab) == wanted)
    except AssertionError:
        raise AssertionError("%s\n%s" % (held(lab), wanted)) from None


@pytest.fixture
def engine(lab: Lab) -> Engine:
    return Engine(lab)


def test_maps_follow_the_containers(lab: Lab, engine: Engine) -> None:
    lab.nft(RULESET)
    netmgr = Netmgr(lab, CONFIG % (engine.socket, "create: false"))
    has(lab)
    engine.runs(WEB)
    has(lab, **FOUR, **SIX)
    engine.runs(WEB, other(2, "8080:1", "81:81"))
    has(lab, bare4=FOUR["bare4"] | {"81 : 172.18.0.3 . 81"}, ports4=FOUR["ports4"] | {"tcp . 81 : 172.18.0.3 . 81"}, **SIX)
    state = netmgr.state("ports4")
    assert state["state"] == "synced" and state["warning"] == (
        "tcp . 8080 has the value 172.18.0.2 . 80, and 172.18.0.3 . 1 is claimed for it, too")
    eventually(lambda: netmgr.state("ports4")["warning_since"], "it is known since when")
    assert netmgr.status()["since"] <= netmgr.state("ports4")["warning_since"]
    for thing in ("web", "172.18.0.2"):
        told = json.loads(netmgr.ask("explain %s json" % thing))
        feeds = {(row["set"].split()[2], row["element"], row["in_kernel"]) for row in told["feeds"]}
        assert {("ports4", "tcp . 8080 : 172.18.0.2 . 80", True), ("bare6", "8080 : fd00:1::2 . 80", True)} <= feeds
    told = json.loads(netmgr.ask("explain c2 json"))
    assert ("inet filter ports4", "conflict") in {(row["set"], row["reason"]) for row in told["kept_out"]}
    assert "tcp . 81 : 172.18.0.3 . 81" in {row["element"] for row in told["feeds"]}
    engine.runs(other(2, "8080:1"))
    has(lab, bare4={"8080 : 172.18.0.3 . 1"}, ports4={"tcp . 8080 : 172.18.0.3 . 1"})
    assert netmgr.state("ports4")["warning"] is None
    engine.runs()
    has(lab)


def test_they_are_kept_like_any_other(lab: Lab, engine: Engine) -> None:
    """Made, repaired, included, explained, beside another's; and gone when nothing wants them any more."""
    engine.runs(WEB)
    netmgr = Netmgr(lab, CONFIG % (engine.socket, "create: true"))
    has(lab, **FOUR, **SIX)
    lab.run("nft flush map inet filter ports4")
    has(lab, **FOUR, **SIX)
    eventually(lambda: '"kind": "repaired"' in netmgr.ask("log json"))
    file = netmgr.includes / "inet.filter.ports4.nft"
    eventually(lambda: 'tcp . 8080 comment "netmgr" : 172.18.0.2 . 80' in file.read_text())
    lab.nft("flush ruleset\n" + RULESET.replace("map ports4 { type %s; }" % MAPS["ports4"],
                                               'map ports4 { type %s; include "%s[.]nft"\n }' % (MAPS["ports4"], str(file)[:-4])))
    has(lab, **FOUR, **SIX)
    lab.nft("flush ruleset\n" + RULESET.replace("map bare4 {", "map bare4 { elements = { 8080 : 192.0.2.9 . 1 };"))
    has(lab, bare4={"8080 : 192.0.2.9 . 1", "53 : 172.18.0.2 . 53"}, ports4=FOUR["ports4"], **SIX)
    assert netmgr.state("bare4")["warning"] == "8080 has the value 192.0.2.9 . 1, and 172.18.0.2 . 80 is claimed for it, too"
    lab.nft("delete element inet filter bare4 { 8080 }")
    has(lab, **FOUR, **SIX)
    netmgr.restart()
    has(lab, **FOUR, **SIX)
    netmgr.configure("docker: {enabled: true, socket: %s}\n" % engine.socket)
    assert netmgr.ask("reload").startswith("OK")
    has(lab)
