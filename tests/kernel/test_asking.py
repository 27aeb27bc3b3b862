"""What a real daemon says of what happens on a real kernel, and why."""

import json
import os
import subprocess
import sys
from typing import Any, Dict, List, Sequence

import pytest

from netmgr.io.client import ask
from tests import engine_bodies as bodies
from tests import prometheus
from tests.kernel.engine import Engine
from tests.kernel.lab import Lab, kernel_pid
from tests.kernel.running import ROOT, Netmgr
from tests.waiting import PATIENCE, eventually

CONFIG = """
interfaces:
  - {name: eth0, nftables_zone: wan}
  - {name: eth1, nftables_zone: lan}
docker: {enabled: false}
zones: {lan: {sets: {lan_nets: networks}}}
"""

RULESET = """
table inet filter {
    set wan_ips { type ipv4_addr; }
    set wan_ips6 { type ipv6_addr; }
    set lan_ips { type ipv4_addr; size 1; }
    set lan_nets { type ipv4_addr; flags interval; }
}
"""


def running(lab: Lab) -> Netmgr:
    lab.link("eth0", link_local=False)
    lab.link("eth1", link_local=False)
    lab.nft(RULESET)
    return Netmgr(lab, CONFIG)


def explained(netmgr: Netmgr, thing: str) -> Dict[str, Any]:
    answer: Dict[str, Any] = json.loads(netmgr.ask("explain %s json" % thing))
    return answer


def reasons(netmgr: Netmgr, thing: str) -> List[str]:
    return [row["reason"] for row in explained(netmgr, thing)["kept_out"]]


def logged(netmgr: Netmgr, *names: str) -> List[Dict[str, Any]]:
    answer = ask(str(netmgr.socket), " ".join(["log json 1000", *names]), PATIENCE, may_be_empty=True)
    return [json.loads(line) for line in answer.splitlines()]


def test_each_reason_as_the_kernel_has_it(lab: Lab) -> None:
    netmgr = running(lab)
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    lab.run("ip addr add 169.254.7.7/16 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.1")
    row = explained(netmgr, "192.0.2.1")["feeds"][0]
    assert (row["set"], row["zone"], row["source"]) == ("inet filter wan_ips", "wan", "eth0")
    assert (row["in_kernel"], row["owner"]) == (True, "netmgr")
    assert row["entry"] == "%s:3" % netmgr.config and row["since"] == logged(netmgr, "wan_ips")[-1]["time"]
    assert reasons(netmgr, "169.254.7.7") == ["link_local"]

    lab.sysctl("net.ipv6.conf.eth0.dad_transmits", 50)
    lab.run("ip addr add 2001:db8::1/64 dev eth0")
    eventually(lambda: reasons(netmgr, "2001:db8::1") == ["tentative"])
    lab.run("ip addr add 2001:db8::9/64 dev eth1 nodad")
    eventually(lambda: reasons(netmgr, "2001:db8::9") == ["family"])

    lab.run("ip addr add 192.168.1.1/24 dev eth1")
    netmgr.holds("lan_ips", "192.168.1.1")
    lab.run("ip addr add 192.168.2.1/24 dev eth1")
    eventually(lambda: "set_full" in reasons(netmgr, "192.168.2.1"))
    lab.run("nft add element inet filter lan_nets { 172.16.0.0/12 }")
    lab.run("ip addr add 172.16.5.1/24 dev eth1")
    eventually(lambda: "covered" in reasons(netmgr, "172.16.5.1"))
    assert reasons(netmgr, "127.0.0.1") == ["no_zone"]
    (inside,) = explained(netmgr, "192.168.1.77")["feeds"]
    assert (inside["set"], inside["element"], inside["owner"]) == ("inet filter lan_nets", "192.168.1.0/24", "netmgr")
    lab.run("nft delete set inet filter lan_nets")
    eventually(lambda: "set_missing" in reasons(netmgr, "192.168.1.1"))
    lab.run("nft delete set inet filter wan_ips")
    eventually(lambda: reasons(netmgr, "192.0.2.1") == ["family"])
    assert json.loads(netmgr.ask("explain 203.0.113.99 json"))["feeds"] == []


def test_the_log_says_what_happened_and_why(lab: Lab) -> None:
    netmgr = running(lab)
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.1")
    lab.run("ip addr del 192.0.2.1/24 dev eth0")
    netmgr.holds("wan_ips")
    lab.rename_link("eth0", "eth9")
    eventually(lambda: any(each["kind"] == "link-renamed" for each in logged(netmgr)))
    told = [(each["kind"], each.get("cause")) for each in logged(netmgr, "wan_ips", "eth0", "eth9")]
    for expected in (("address-added", "eth0: address added"), ("elements-changed", "eth0: address added"),
                     ("address-removed", "eth0: address removed"), ("elements-changed", "eth0: address removed"),
                     ("link-renamed", "eth0: renamed to eth9")):
        assert expected in told
    assert "inet filter wan_ips: removed 192.0.2.1 (eth0: address removed)" in netmgr.log()
    of_nothing = lab.run("%s -m netmgr log --json --socket %s what_is_not_there" % (sys.executable, netmgr.socket))
    assert of_nothing == "", "no object a line is an answer, too"


def test_watching_with_a_command_through_a_restart(lab: Lab) -> None:
    netmgr = running(lab)
    out = lab.directory / "happenings"
    watcher = lab.start([sys.executable, "-m", "netmgr", "watch", "--socket", str(netmgr.socket), "--exec",
                         "cat >>%s; echo \"$NETMGR_KIND $NETMGR_SET\" >>%s.kinds" % (out, out), "wan_ips"],
                        {**os.environ, "PYTHONPATH": str(ROOT)})
    kinds = lab.directory / "happenings.kinds"
    eventually(lambda: kinds.exists() and kinds.read_text().splitlines() == ["started "])
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    eventually(lambda: kinds.read_text().splitlines()[1:] == ["elements-changed inet filter wan_ips"])
    assert [json.loads(line).get("added") for line in out.read_text().splitlines()] == [None, ["192.0.2.1"]]
    netmgr.restart()
    eventually(lambda: kinds.read_text().splitlines()[2:3] == ["started "])
    lab.run("ip addr add 192.0.2.2/24 dev eth0")
    eventually(lambda: kinds.read_text().splitlines()[-1] == "elements-changed inet filter wan_ips")
    assert lab.stop(watcher) != 0


@pytest.mark.parametrize("words", [("watch",), ("watch", "--json", "wan_ips"), ("status", "--watch", "nobody_yet")])
def test_watching_ends_with_its_reader(lab: Lab, words: Sequence[str]) -> None:
    """As `netmgr watch | head -1` does, also when nothing more happens and while there is no daemon; what is not there yet may come."""
    netmgr = running(lab)
    for daemon in ("runs", "stopped"):
        command = [sys.executable, "-m", "netmgr", *words, "--socket", str(netmgr.socket)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**os.environ, "PYTHONPATH": str(ROOT)}) as watcher:
            assert watcher.stdout is not None and watcher.stderr is not None
            assert watcher.stdout.readline()
            if daemon == "stopped":
                assert netmgr.stop() == 0
            watcher.stdout.close()
            assert watcher.wait(PATIENCE) == 0 and b"Traceback" not in watcher.stderr.read()


def test_the_causes_from_the_start_to_the_end(lab: Lab) -> None:
    lab.link("eth0")
    lab.link("eth1")
    lab.nft(RULESET)
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr = Netmgr(lab, CONFIG)
    netmgr.holds("wan_ips", "192.0.2.1")
    told = logged(netmgr)
    assert told[0]["kind"] == "started"
    assert [each["cause"] for each in told if each["kind"] == "elements-changed" and each["added"]] == ["start"]
    lab.run("ip link set eth0 down")
    eventually(lambda: any(each["kind"] == "link-down" for each in logged(netmgr, "eth0")), "the link is told to be down")
    lab.run("ip link set eth0 up")
    eventually(lambda: any(each["kind"] == "link-up" for each in logged(netmgr, "eth0")), "the link is told to be up")
    netmgr.configure(CONFIG.replace("name: eth0, nftables_zone: wan", "name: eth0, nftables_zone: lan"))
    assert netmgr.ask("reload").startswith("OK")
    netmgr.holds("lan_ips", "192.0.2.1")
    causes = {each["set"]: each["cause"] for each in logged(netmgr) if each["kind"] == "elements-changed" and each["cause"] != "start"}
    assert causes == dict.fromkeys(("inet filter wan_ips", "inet filter lan_ips", "inet filter lan_nets"), "reload")
    lab.run("nft add set inet filter lan_ips6 { type ipv4_addr; }")
    netmgr.holds("lan_ips6", "192.0.2.1")
    eventually(lambda: [each["cause"][:9] for each in logged(netmgr, "lan_ips6") if each["kind"] == "elements-changed"] == ["nft (pid "],
               "who made the set is the cause of what is in it")
    watcher = lab.start([sys.executable, "-m", "netmgr", "watch", "json", "--socket", str(netmgr.socket)],
                        {**os.environ, "PYTHONPATH": str(ROOT)})
    eventually(lambda: '"started"' in lab.log(watcher), "somebody watches")
    assert netmgr.stop() == 0
    eventually(lambda: '"stopping"' in lab.log(watcher), "who watches is told of the end")


def test_each_event_of_the_kernel_is_told_when_the_log_is_to_tell_all(lab: Lab) -> None:
    netmgr = running(lab)
    netmgr.configure(CONFIG + "log_level: debug\n")
    assert netmgr.ask("reload").startswith("OK")
    index = json.loads(lab.run("ip -j link show dev eth0"))[0]["ifindex"]
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.1")
    lab.run("ip addr change 192.0.2.1/24 dev eth0")
    lab.run("nft add table ip another")
    lab.sysctl("net.ipv6.conf.eth0.keep_addr_on_down", 1)
    lab.run("ip addr add 2001:db8::1/64 dev eth0 nodad")
    lab.run("ip link set eth0 down")
    told = "netlink: link %d: 192.0.2.1/24 with the flags 0x80 (%s)"
    for line in (told % (index, "new"), told % (index, "changes nothing"), "committed by nft (pid ",
                 "netlink: link %d: read again: 192.0.2.1/24 with the flags 0x80" % index):
        eventually(lambda line=line: line in netmgr.log(), line)      # type: ignore[misc]


def test_what_is_traced(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETMGR_TRACE", "netlink,nftables,control")
    netmgr = running(lab)
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.1")
    told = netmgr.log()
    for line in ("netlink received: RTM_NEWADDR", "nftables sent: NFT_MSG_NEWSETELEM", "nftables received: NLMSG_ERROR",
                 "control received: ping", "control sent: PONG", "netlink received: |00008|--|00002|        |len |flags| type|"):
        assert line in told, line
    assert "docker " not in told and netmgr.stop() == 0
    monkeypatch.setenv("NETMGR_TRACE", "docker")
    engine = Engine(lab)
    engine.runs(bodies.container(1, {"bridge": ["172.18.0.2/16"]}, name="web"))
    netmgr.configure(CONFIG.replace("{enabled: false}", "{socket: %s}" % engine.socket))
    netmgr.start()
    for line in ("docker sent: GET /v1.41/containers/json", "docker received: HTTP/1.1 200 OK", '"/web"'):
        eventually(lambda line=line: line in netmgr.log(), line)      # type: ignore[misc]
    assert "netlink received" not in netmgr.log() and netmgr.stop() == 0
    monkeypatch.setenv("NETMGR_TRACE", "everything")
    netmgr.start(wait=False)
    assert netmgr.process is not None and netmgr.process.wait(PATIENCE) == 1
    assert "NETMGR_TRACE: there is no 'everything' to trace" in netmgr.log()


def test_the_commands(lab: Lab) -> None:
    netmgr = running(lab)
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.1")

    def command(*words: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([sys.executable, "-m", "netmgr", *words, "--socket", str(netmgr.socket)], capture_output=True, text=True,
                              env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=PATIENCE, check=False)

    shown = command("explain", "192.0.2.1")
    assert shown.returncode == 0 and "192.0.2.1 is in inet filter wan_ips: eth0, zone wan (%s:3), since " % netmgr.config in shown.stdout
    assert (command("explain", "eth7").returncode, command("explain", "eth7", "-j").returncode, command("explain").returncode) == (1, 1, 2)
    assert command("log", "1", "wan_ips").stdout.endswith("inet filter wan_ips: added 192.0.2.1 (eth0: address added)\n")
    assert command("watch", "--settle", "1").returncode == 2


def test_metrics_count_what_happens(lab: Lab) -> None:
    netmgr = running(lab)

    def value(name: str, **labels: str) -> float:
        told = prometheus.read(netmgr.ask("metrics"))
        return next(found for (each, own), found in told.items() if each == "netmgr_" + name and set(labels.items()) <= own)

    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    lab.run("ip addr add 169.254.7.7/16 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.1")
    eventually(lambda: value("set_elements", set="wan_ips") == value("interface_addresses", interface="eth0") == 1)
    assert value("ready") == value("set_synced", set="wan_ips") == value("source_up", source="netlink") == 1
    assert value("snapshots_total", reason="start") == 1
    before = value("events_total", source="netlink")
    lab.run("ip addr add 192.0.2.2/24 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.1", "192.0.2.2")
    eventually(lambda: value("interface_addresses", interface="eth0") == value("zone_addresses", zone="wan") == 2)
    assert value("events_total", source="netlink") > before
    lab.run("nft flush set inet filter wan_ips")
    eventually(lambda: value("repaired_elements_total") == 2)
    lab.run("nft delete set inet filter lan_nets")
    eventually(lambda: value("ready") == 1 and value("commit_seconds_count") >= 2)
    netmgr.configure("nonsense: 1")
    netmgr.ask("reload")
    assert (value("reloads_total", result="failure"), value("reloads_total", result="success")) == (1, 0)
    assert value("config_last_reload_successful") == 0
    prometheus.lint(netmgr.ask("metrics"))


FLUSH = """
from netmgr.io.nft import Nft
from netmgr.values.addresses import parse
from netmgr.values.sets import IPV4_ADDR, ChangeElements, Form, SetName
name = SetName("inet", "filter", "wan_ips")
print(Nft().commit([ChangeElements(name, Form(IPV4_ADDR), [parse("192.0.2.1")[0]], [])]).committed, flush=True)
input()
"""


def test_who_did_it_is_told_with_his_command_line(lab: Lab) -> None:
    kernel_pid()
    netmgr = running(lab)
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.1")
    with lab.inside():
        flusher = subprocess.Popen([sys.executable, "-c", FLUSH], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                   env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert flusher.stdout is not None and flusher.stdout.readline() == b"True\n"
    eventually(lambda: any(each["kind"] == "repaired" for each in logged(netmgr)))
    (told,) = [each for each in logged(netmgr) if each["kind"] == "repaired"]
    assert told["sets"] == ["inet filter wan_ips"] and told["culprit"]["pid"] == flusher.pid
    assert told["culprit"]["command"].startswith(sys.executable + " -c ")
    assert told["cause"].startswith("%s (pid %d" % (told["culprit"]["process"], flusher.pid))
    flusher.communicate(b"\n")


def test_an_interface_by_its_other_names(lab: Lab) -> None:
    netmgr = running(lab)
    lab.run("ip link property add dev eth0 altname uplink")
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.1")
    assert [row["name"] for row in json.loads(netmgr.ask("status json uplink"))["interfaces"]] == ["eth0"]
    assert logged(netmgr, "uplink")[-1]["address"] == "192.0.2.1/24"
    for command in ("ip link set eth0 down", "ip link set eth0 name wan0", "ip link set wan0 up"):
        lab.run(command)
    netmgr.holds("wan_ips")
    assert [each["interface"] for each in logged(netmgr, "eth0") if each["kind"] == "link-renamed"] == ["wan0"]


def test_states_of_sets_reloads_and_resyncs_are_happenings(lab: Lab) -> None:
    netmgr = running(lab)

    def kinds(name: str) -> List[str]:
        return [each["kind"] for each in logged(netmgr, name) if each["kind"].startswith("set-")]

    lab.nft("delete set inet filter lan_nets")
    eventually(lambda: kinds("lan_nets") == ["set-missing"])
    lab.nft("add set inet filter lan_nets { type ifname; }")
    eventually(lambda: kinds("lan_nets") == ["set-missing", "set-error"])
    told = logged(netmgr, "lan_nets")[-1]
    assert (told["set"], told["zone"]) == ("inet filter lan_nets", "lan") and told["error"] == netmgr.state("lan_nets")["error"]
    assert told["error"] in [each["what"] for each in netmgr.status()["problems"]]
    lab.nft("delete set inet filter lan_nets; add set inet filter lan_nets { type ipv4_addr; flags interval; }")
    eventually(lambda: kinds("lan_nets") == ["set-missing", "set-error", "set-synced"])

    assert netmgr.state("lan_ips")["state"] == "synced", "so nobody misses the other set of the convention"
    lab.nft("add set inet filter lan_ifs { type inet_service; }")
    eventually(lambda: kinds("lan_ifs") == ["set-error"])
    lab.nft("delete set inet filter lan_ifs")
    eventually(lambda: kinds("lan_ifs") == ["set-error", "set-missing"])
    lab.nft("delete set inet filter lan_ips")
    eventually(lambda: kinds("lan_ips") == ["set-missing"])

    assert netmgr.ask("resync").startswith("OK") and netmgr.ask("reload").startswith("OK")
    well = netmgr.config.read_text()
    netmgr.configure("nonsense: 1")
    assert netmgr.ask("reload").startswith("ERROR")
    first = netmgr.status()["problems"][0]
    assert first["about"] == "configuration" and first["what"].startswith("the last reload failed: %s:1: nonsense: " % netmgr.config)
    assert first["since"] <= logged(netmgr)[-1]["time"] and "netmgr check" in first["hint"]
    netmgr.ask("reload")
    assert netmgr.status()["problems"][0]["since"] == first["since"]
    netmgr.config.write_text(well)
    assert netmgr.ask("reload").startswith("OK")
    assert "configuration" not in [each["about"] for each in netmgr.status()["problems"]]
    done = [(each["kind"], "error" in each) for each in logged(netmgr) if each["kind"] in ("reload", "resync")]
    assert done == [("resync", False), ("reload", False), ("reload", True), ("reload", True), ("reload", False)]
