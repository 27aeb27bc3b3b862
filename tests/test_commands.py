"""The control protocol without a socket: lines out of bytes, commands, text."""

import json
import random
from typing import Any, Dict, Iterator, List, Sequence, Union

import pytest

from netmgr import __version__
from netmgr.show import commands, tables
from netmgr.show.answers import Explanation, GraphEdge, GraphNode, SetContents, Status
from netmgr.show.answers_json import read_sets, read_status
from netmgr.show.tables import sets_text
from netmgr.values.happenings import Happening
from netmgr.values.replies import Say
from netmgr.values.text import printable
from tests.chronicle import Told

SET = {"family": "inet", "table": "filter", "name": "wan_ips", "type": "ipv4_addr", "zone": "wan", "holds": "addresses",
       "state": "synced", "elements": 1, "foreign": 0, "error": None, "warning": None,
       "since": "2026-11-27T20:00:00.000000Z", "warning_since": None}

STATUS: Dict[str, Any] = {
    "schema": 1, "version": "0.1.0", "state": "degraded", "pid": 812, "uptime_seconds": 3912.3, "config": "/etc/netmgr/config.yaml",
    "interfaces": [
        {"name": "eth0", "index": 2, "up": True, "zones": ["wan", "dmz"],
         "addresses": [{"address": "192.0.2.1/24", "flags": ["permanent"], "counts": True, "reasons": []},
                       {"address": "fe80::1/64", "flags": ["permanent"], "counts": False, "reasons": ["link_local"]}],
         "expectations": ["waiting for a DHCP lease"]},
        {"name": "eth1", "index": 3, "up": False, "zones": [], "addresses": [], "expectations": []},
        {"name": "ppp0", "index": None, "up": False, "zones": ["wan"], "addresses": [], "expectations": []}],
    "containers": [{"id": "8dfa" * 16, "name": "web-1", "zones": ["docker", "web"],
                    "addresses": [{"network": "frontend", "address": "172.18.0.2"}, {"network": "backend", "address": "172.19.0.2"}],
                    "engine": None, "health": None, "reasons": [], "details": []}],
    "sets": [SET, {**SET, "name": "lan_ips", "type": None, "zone": "lan", "state": "error", "error": "it is a map"}],
    "sources": {"netlink": {"state": "ok", "overruns": 0, "resyncs": 1},
                "nftables": {"state": "ok", "repairs": 3, "last_repair": {
                    "pid": 4610, "process": "nft", "command": None, "unit": "fw.service", "time": "2026-01-31T12:03:11Z",
                    "sets": ["inet filter wan_ips"]}},
                "docker": {"state": "error", "error": "no permission"}},
    "dry_run": False,
    "since": "2026-11-27T20:00:00.000000Z",
    "problems": [
        {"about": "inet filter lan_ips", "what": "it is a map; expected a set of ipv4_addr or ipv6_addr, and some more words",
         "since": "2026-11-27T20:00:00.000000Z", "hint": "name a set"},
        {"about": "eth0", "what": "waiting for a DHCP lease", "since": None, "hint": None}],
}

STATUS_TEXT = """\
netmgr 0.1.0: degraded, up 1 h 5 min, pid 812, /etc/netmgr/config.yaml

inet filter lan_ips, since 2026-11-27 20:00:00 UTC: it is a map; expected a set
of ipv4_addr or ipv6_addr, and some more words
    name a set

eth0: waiting for a DHCP lease

INTERFACE  STATE   ZONES     ADDRESS       FLAGS
eth0       up      wan, dmz  192.0.2.1/24  permanent
                             fe80::1/64    permanent (does not count:
                                           link_local)
eth1       down    -
ppp0       absent  wan

CONTAINER  ID            ZONES        NETWORK   ADDRESS
web-1      8dfa8dfa8dfa  docker, web  frontend  172.18.0.2
                                      backend   172.19.0.2

SET                  TYPE       ZONE  HOLDS      STATE   ELEMENTS  FOREIGN
inet filter wan_ips  ipv4_addr  wan   addresses  synced  1         0
inet filter lan_ips  -          lan   addresses  error   1         0

SOURCE    STATE  DETAILS
netlink   ok     overruns 0, resyncs 1
nftables  ok     repairs 3, last repair 2026-01-31T12:03:11Z after nft (pid
                 4610, fw.service) changed inet filter wan_ips
docker    error  no permission
"""

SETS: Dict[str, Any] = {"schema": 1, "sets": [
    {**SET, "elements": 2, "foreign": 2, "state": "error", "error": "the set is full", "wanted": ["192.0.2.1", "192.0.2.2", "192.0.2.7"],
     "present": ["192.0.2.1", "192.0.2.9"], "foreign_elements": ["192.0.2.7", "198.51.100.0/24"]},
    {**SET, "name": "lan_ips", "elements": 0, "foreign": 1, "wanted": ["10.0.0.1"], "present": [], "foreign_elements": ["10.0.0.0/8"]}]}

SETS_TEXT = """\
inet filter wan_ips: error, 2 own, 2 foreign: the set is full
  192.0.2.1
  192.0.2.2        wanted, missing
  192.0.2.7        foreign, wanted too
  192.0.2.9        no longer wanted
  198.51.100.0/24  foreign

inet filter lan_ips: synced, 0 own, 1 foreign
  10.0.0.0/8  foreign
  10.0.0.1    wanted, within a foreign range
"""


def status_text(status: Dict[str, Any]) -> str:
    return tables.status_text(read_status(json.dumps(status)))


class Recorder:
    """Notes what was asked of it."""

    def __init__(self) -> None:
        self.done: List[str] = []
        told = Told([Happening("started", "2026-11-27T20:31:05.123456Z", error=str(number)) for number in range(60)])
        self.listeners, self.called, self.log, self.follow = told.listeners, told.called, told.log, told.follow

    def status(self) -> Status:
        return read_status(json.dumps(STATUS))

    def sets(self) -> Sequence[SetContents]:
        return read_sets(json.dumps(SETS))

    def explain(self, thing: str) -> Explanation:
        return Explanation(thing=thing)

    def graph(self) -> Iterator[Union[GraphNode, GraphEdge]]:
        yield GraphNode("zone:wan", "zone", "wan")

    def metrics(self) -> Iterator[str]:
        return iter(("netmgr_ready 1\n", "netmgr_containers 0\n"))

    def reload(self, reply: Say) -> None:
        self.done.append("reload")
        reply("OK: 2 elements added")

    def resync(self, reply: Say) -> None:
        self.done.append("resync")
        reply("OK: nothing had to change")

    def diff(self, path: str, reply: Say) -> None:
        self.done.append(path)
        reply("add element inet filter wan_ips { 192.0.2.1 }")

    def shutdown(self, reply: Say) -> None:
        self.done.append("shutdown")
        reply("OK: stopping")


def answer(line: str, service: Recorder, privileged: bool) -> str:
    replies: List[Any] = []
    commands.answer(line, service, privileged, replies.append)
    (reply,) = replies
    return reply if isinstance(reply, str) else "".join(reply)


@pytest.mark.parametrize("seed", range(20))
def test_garbage_gets_an_answer_that_can_be_printed(seed: int) -> None:
    generator = random.Random(seed)
    data = bytes(generator.choice(b"\n\r \x00\xff\x1bping{}\\\"") for _ in range(20000))
    service = Recorder()
    for line in data.decode("utf-8", "backslashreplace").split("\n"):
        if line.strip():
            reply = answer(line, service, privileged=True)
            assert reply.endswith("\n")
            assert printable(reply.rstrip("\n")) == reply.rstrip("\n")
    assert service.done == []


@pytest.mark.parametrize("line", ["ping", "PING", " ping ", "ping\r"])
def test_ping(line: str) -> None:
    assert answer(line, Recorder(), False) == "PONG\n"


@pytest.mark.parametrize("line", ["", " ", "\t\r", "\u00a0"])
def test_a_blank_line_answers_nothing(line: str) -> None:
    assert answer(line, Recorder(), True) == ""


def test_json_is_one_line_of_the_value() -> None:
    for line, value in (("status json", STATUS), ("Sets  JSON", SETS)):
        reply = answer(line, Recorder(), False)
        assert reply.count("\n") == 1
        assert json.loads(reply) == value


def test_status_for_people() -> None:
    assert answer("status", Recorder(), False) == STATUS_TEXT


def test_sets_for_people() -> None:
    assert answer("sets", Recorder(), False) == SETS_TEXT
    assert sets_text([]) == "no sets\n"


def test_a_status_with_nothing_in_it() -> None:
    bare = {**STATUS, "state": "ready", "interfaces": [], "containers": [], "sets": [], "sources": {}, "problems": []}
    assert status_text(bare) == STATUS_TEXT.splitlines(keepends=True)[0].replace("degraded", "ready")
    assert "what is wrong is not about these names" in status_text({**bare, "state": "degraded"})
    repair = {"pid": None, "process": None, "time": "t", "sets": ["a b c"]}
    bare["sources"] = {"nftables": {"state": "ok", "repairs": 1, "last_repair": repair}}
    assert "last repair t after an unknown process changed a b c\n" in status_text(bare)


@pytest.mark.parametrize("seconds, text", [
    (0, "0 s"), (59.9, "59 s"), (60, "1 min 0 s"), (3599, "59 min 59 s"), (3600, "1 h 0 min"), (90061, "1 d 1 h"), (8640000, "100 d 0 h")])
def test_uptime(seconds: float, text: str) -> None:
    assert ", up %s, pid" % text in status_text({**STATUS, "uptime_seconds": seconds})


def test_version() -> None:
    assert answer("version", Recorder(), False) == "netmgr %s\n" % __version__


def test_help_names_every_command_and_every_command_answers() -> None:
    text = answer("help", Recorder(), False)
    for command in commands.COMMANDS:
        assert any(line.startswith(command.name + " ") for line in text.splitlines())
        if command.name not in ("explain", "watch"):
            assert not answer(command.name, Recorder(), True).startswith("ERROR")
    assert answer("explain", Recorder(), True).startswith("ERROR: explain needs a thing")


@pytest.mark.parametrize("line", ["reload", "resync", "shutdown"])
def test_what_changes_something_is_not_for_everybody(line: str) -> None:
    service = Recorder()
    assert answer(line, service, False).startswith("ERROR: %s is only for root" % line)
    assert service.done == []
    assert answer(line, service, True).startswith("OK: ")
    assert service.done == [line]


def test_what_follows_a_command_is_not_for_everybody() -> None:
    service = Recorder()
    for line, path in (("diff", ""), (" Diff ", ""), ("diff /etc/my  file.yaml\r", "/etc/my  file.yaml")):
        assert answer(line, service, True) == "add element inet filter wan_ips { 192.0.2.1 }\n"
        assert service.done.pop() == path
    assert answer("diff", service, False).startswith("add element")
    assert answer("diff /etc/shadow", service, False) == (
        "ERROR: diff /etc/shadow is only for root, the daemon's own user and members of the socket's group\n")
    assert service.done == [""]


def test_an_unknown_command_comes_back_harmless() -> None:
    assert answer("frobnicate now", Recorder(), True) == 'ERROR: unknown command "frobnicate now", try help\n'
    reply = answer("\x1b[2J\x07\u202e\udcff" + "x" * 4000, Recorder(), True)
    assert reply.startswith('ERROR: unknown command "\\x1b[2J\\x07\\u202e\\udcffxxx')
    assert reply.endswith('xxx…", try help\n')
    assert len(reply) < 200


def test_names_cannot_control_a_terminal() -> None:
    hostile = json.dumps(STATUS)
    for name, escape in (("eth0", "\\u001b]0;x\\u0007"), ("web-1", "a\\nb"), ("it is a map", "\\u009b31m")):
        hostile = hostile.replace(name, escape)
    text = tables.status_text(read_status(hostile))
    assert len(text.splitlines()) == len(STATUS_TEXT.splitlines())
    assert all(line.isprintable() for line in text.split("\n"))
    assert "\\x1b]0;x\\x07" in text
    contents = read_sets(json.dumps(SETS).replace("192.0.2.9", "\\u001b[1m").replace("lan_ips", "\\u000a"))
    assert all(line.isprintable() for line in sets_text(contents).split("\n"))


def test_the_log_by_number_and_name() -> None:
    assert answer("log", Recorder(), False).count("\n") == 50
    assert answer("log 3", Recorder(), False) == "2026-11-27T20:31:05.123456Z  started\n" * 3
    told = [json.loads(line) for line in answer("log json 2 wan_ips", Recorder(), False).splitlines()]
    assert told == [{"time": "2026-11-27T20:31:05.123456Z", "kind": "started", "error": error} for error in ("58", "59")]


def test_what_is_known_of_nothing() -> None:
    assert answer("explain eth7", Recorder(), False) == "nothing is known of eth7\n"
    assert json.loads(answer("explain inet filter x json", Recorder(), False)) == {
        "schema": 1, "thing": "inet filter x", "kind": None, "feeds": [], "kept_out": [], "repairs": []}


def test_the_graph_in_each_notation() -> None:
    assert answer("graph", Recorder(), False) == answer("Graph DOT", Recorder(), False)
    assert answer("graph", Recorder(), False).startswith("digraph netmgr {")
    assert answer("graph mermaid", Recorder(), False).startswith("flowchart LR")
    assert json.loads(answer("graph json", Recorder(), False))["nodes"][0]["id"] == "zone:wan"
    assert answer("graph png\x1b", Recorder(), False) == 'ERROR: graph is had as dot, mermaid or json, not as "png\\x1b"\n'


def test_status_and_sets_cut_to_names() -> None:
    cut = json.loads(answer("status json dmz", Recorder(), False))
    assert [each["name"] for each in cut["interfaces"]] == ["eth0"] and cut["containers"] == cut["sets"] == []
    assert [each["name"] for each in json.loads(answer("sets lan json", Recorder(), False))["sets"]] == []
    assert [each["name"] for each in json.loads(answer("sets lan_ips json", Recorder(), False))["sets"]] == ["lan_ips"]
    assert "web-1" in answer("status web-1", Recorder(), False) and "eth0" not in answer("status web-1", Recorder(), False)
