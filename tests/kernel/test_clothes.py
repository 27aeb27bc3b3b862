"""One run of happenings in all its clothes: `log`, `watch`, `watch --exec`, server-sent events and the lines of the log tell the same."""

import json
import os
import sys
from subprocess import Popen
from typing import Any, Callable, Dict, List

from netmgr.io.client import ask
from tests import engine_bodies as bodies
from tests.kernel.engine import Engine
from tests.kernel.lab import Lab
from tests.kernel.running import ROOT, Netmgr
from tests.waiting import PATIENCE, eventually

RULESET = "table inet filter { set wan_ips { type ipv4_addr; }; set docker_ips { type ipv4_addr; }; }"
CONFIG = """
interfaces:
  - {name: eth0, nftables_zone: wan}
  - {name: wan0, nftables_zone: wan}
docker: {socket: %s, require_healthy: true}
log_level: debug
"""
LAST = "192.0.2.99"
READ_EVENTS = """
import socket, sys
with socket.socket(socket.AF_UNIX) as site:
    site.connect(sys.argv[1])
    site.sendall(b"GET /events HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
    while True:
        data = site.recv(65536)
        if not data:
            break
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
"""
EXEC = "cat >>{0}; echo \"$NETMGR_KIND|$NETMGR_SET|$NETMGR_INTERFACE|$NETMGR_CONTAINER|$NETMGR_CAUSE\" >>{0}.environment"

Objects = List[Dict[str, Any]]


def objects(lines: str) -> Objects:
    """Those of the lines that are happenings, whole."""
    return [json.loads(line) for line in lines.splitlines(keepends=True) if line.startswith("{") and line.endswith("}\n")]


def after_the_start(told: Objects) -> Objects:
    """What a watch has told, without the word with which it begins."""
    assert told[0]["kind"] == "started"
    return told[1:]


class Clothes:
    """A daemon, and everybody who may listen to it."""

    def __init__(self, lab: Lab, netmgr: Netmgr) -> None:
        self.lab, self.netmgr, self._file = lab, netmgr, lab.directory / "told"
        self._site = str(lab.directory / "http.sock")
        self._runs("-m", "netmgr", "http", "--listen", "unix:" + self._site)
        eventually(lambda: os.path.exists(self._site), "the page is there")
        self._watcher, self._reader = self._runs("-m", "netmgr", "watch", "--json"), self._runs("-m", "netmgr", "watch")
        self._runs("-m", "netmgr", "watch", "--exec", EXEC.format(self._file))
        self._events = lab.start([sys.executable, "-c", READ_EVENTS, self._site])
        for told in self.told().values():
            eventually(lambda told=told: told(), "somebody listens")      # type: ignore[misc]
        eventually(self.lines, "he who reads listens")

    def _runs(self, *words: str) -> "Popen[bytes]":
        return self.lab.start([sys.executable, *words, "--socket", str(self.netmgr.socket)], {**os.environ, "PYTHONPATH": str(ROOT)})

    def told(self) -> Dict[str, Callable[[], Objects]]:
        """By each of those who tell objects, as far as they have."""
        return {"watch": lambda: objects(self.lab.log(self._watcher)),
                "exec": lambda: objects(self._file.read_text()) if self._file.exists() else [],
                "events": lambda: objects(self.lab.log(self._events).replace("data: ", ""))}

    def lines(self) -> List[str]:
        """By the watch for people: the time, and what has happened."""
        return [line for line in self.lab.log(self._reader).splitlines() if line[:2] == "20"]

    def environment(self) -> List[List[str]]:
        """What the command was given beside its input, each time."""
        return [line.split("|") for line in self._file.with_name("told.environment").read_text().splitlines()]


def test_all_who_tell_tell_the_same(lab: Lab) -> None:
    lab.nft(RULESET)
    lab.link("eth0", link_local=False)
    engine = Engine(lab)
    netmgr = Netmgr(lab, CONFIG % engine.socket)
    eventually(lambda: netmgr.status()["state"] == "ready", "all is read")
    clothes = Clothes(lab, netmgr)
    begun = json.loads(netmgr.ask("log json 1"))["time"]

    networks = {"bridge": ["172.18.0.2/16"]}
    for health, elements in (("unhealthy", []), ("healthy", ["172.18.0.2"]), ("unhealthy", [])):
        engine.runs(bodies.container(1, networks, name="web", health=health))
        eventually(lambda health=health: [each["health"] for each in netmgr.status()["containers"]] == [health])     # type: ignore[misc]
        netmgr.holds("docker_ips", *elements)
    engine.runs()
    lab.run("ip addr add 192.0.2.1/24 dev eth0 valid_lft 3600 preferred_lft 3600")
    netmgr.holds("wan_ips", "192.0.2.1")
    lab.run("ip addr change 192.0.2.1/24 dev eth0 valid_lft 2 preferred_lft 1")
    eventually(lambda: "eth0: lease expired" in netmgr.ask("log json 1000"), "the lease has an end")
    lab.rename_link("eth0", "wan0")
    lab.nft("delete set inet filter docker_ips")
    eventually(lambda: "set-missing" in netmgr.ask("log json 1000"), "it is told to be missing")
    lab.run("ip addr add %s/24 dev wan0" % LAST)
    eventually(lambda: '["%s"]' % LAST in netmgr.ask("log json 1").replace(" ", ""), "the last thing is told")

    truth = [each for each in objects(ask(str(netmgr.socket), "log json 1000", PATIENCE)) if each["time"] > begun]
    kinds = {each["kind"] for each in truth}
    assert kinds >= {"container-started", "container-changed", "container-stopped", "address-added", "address-removed", "link-renamed",
                     "link-down", "link-up", "elements-changed", "set-missing"}
    assert {"web: changed", "eth0: lease expired", "eth0: renamed to wan0"} <= {each["cause"] for each in truth}
    for name, told in clothes.told().items():
        eventually(lambda told=told: len(told()) > len(truth), name)       # type: ignore[misc]
        assert after_the_start(told()) == truth, name

    eventually(lambda: len(clothes.environment()) > len(truth), "the command has run")
    assert clothes.environment()[1:] == [
        [each["kind"], *(each.get(name, "") for name in ("set", "interface", "container", "cause"))] for each in truth]

    eventually(lambda: len(clothes.lines()) > len(truth), "who reads is told")
    told_to_people = clothes.lines()[1:]
    assert told_to_people == netmgr.ask("log 1000").splitlines()[-len(truth):]
    assert [line.split("  ")[0] for line in told_to_people] == [each["time"] for each in truth]
    logged = iter([line[17:] for line in netmgr.log().splitlines()])
    for line in told_to_people:
        assert line.partition("  ")[2] in logged, "in this order: " + line
