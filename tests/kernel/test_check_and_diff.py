"""`netmgr check` and `netmgr diff` on a real kernel, without a daemon and beside one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Callable, Tuple

import pytest

from netmgr.check_and_diff import what_there_is
from netmgr.io.nft import Nft
from netmgr.io.rtnetlink import RequestSocket
from netmgr.values.sets import SetName
from netmgr.values.snapshots import Snapshot
from tests.kernel.lab import Lab
from tests.kernel.running import ROOT, Netmgr
from tests.waiting import eventually

TABLES = """
table inet filter {
    set wan_ips { type ipv4_addr; }
    set wan_ifs { type ipv4_addr; }
    chain c { tcp dport { 22, 80 } accept; }
}
table ip nat { map outside { type ipv4_addr : verdict; }
    set lan_ips { type ipv4_addr; }
}
table netdev n {
}
"""


def netmgr(lab: Lab, *arguments: str) -> Tuple[int, str, str]:
    with lab.inside():
        done = subprocess.run([sys.executable, "-m", "netmgr", *arguments], capture_output=True, text=True, check=False,
                              env={**os.environ, "PYTHONPATH": str(ROOT)})
    return done.returncode, done.stdout, done.stderr


def configured(lab: Lab, text: str) -> str:
    path = lab.directory / "config.yaml"
    path.write_text(text)
    return str(path)


def test_every_table_and_set_by_name(lab: Lab, nft: Nft) -> None:
    assert (nft.tables(), nft.sets()) == (set(), set())
    lab.nft(TABLES)
    assert nft.tables() == {("inet", "filter"), ("ip", "nat"), ("netdev", "n")}
    assert nft.sets() == {SetName("inet", "filter", "wan_ips"), SetName("inet", "filter", "wan_ifs"), SetName("ip", "nat", "outside"),
                          SetName("ip", "nat", "lan_ips")}
    lab.nft("\n".join("add set ip nat set_with_a_rather_long_name_%d { type ipv4_addr; }" % number for number in range(2000)))
    assert len(nft.sets()) == 2004


def test_what_happens_while_links_and_addresses_are_read_counts(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """What dumps that were interrupted show may be gone at their end."""
    lab.link("eth0")
    lab.run("ip addr add 192.0.2.1/32 dev eth0")
    snapshot = RequestSocket.snapshot

    def meanwhile(requests: RequestSocket, listen: Callable[[], int]) -> Snapshot:
        found = snapshot(requests, listen)
        lab.run("ip addr del 192.0.2.1/32 dev eth0")
        assert listen() == 0
        return found

    monkeypatch.setattr(RequestSocket, "snapshot", meanwhile)
    with lab.inside():
        found = what_there_is().by_name("eth0")
    assert found is not None and not [each for each in found.flags if each[:4] == bytes((192, 0, 2, 1))]


def test_check_warns(lab: Lab) -> None:
    lab.nft(TABLES)
    lab.link("eth0")
    path = configured(lab, "interfaces:\n- {name: eth0, nftables_zone: [wan, lan]}\n- {name: 'ppp*'}\nsocket_group: no-such-group\n"
                           "docker: {enabled: false}\n")
    status, text, complaints = netmgr(lab, "check", "--config", path)
    assert (status, complaints) == (0, "")
    lines = text.splitlines()
    assert "inet filter wan_ips  addresses of wan   would be filled (ipv4_addr)" in lines
    assert [line for line in lines if "no such sets now" in line] == [
        "wan: no such sets now: inet filter wan_ips6, wan_ipv6, wan_nets, wan_nets6",
        "lan: no such sets now: inet filter lan_ips, lan_ips6, lan_ipv6, lan_nets, lan_nets6, lan_ifs"]
    assert lines[-1] == "%s is valid, with 4 warnings" % path
    assert [line.partition(": warning: ")[::2] for line in lines[-5:-1]] == [
        (path + ":2", "interfaces[0].nftables_zone: inet filter wan_ifs cannot be filled: its type is ipv4_addr; interfaces need ifname"),
        (path + ":2", "interfaces[0].nftables_zone: there is none of the sets lan_ips, lan_ips6, lan_ipv6, lan_nets, lan_nets6, lan_ifs"
                      " in inet filter; there is ip nat lan_ips"),
        (path + ":3", 'interfaces[1].name: no interface that is there matches "ppp*"'),
        (path + ":4", 'socket_group: there is no group "no-such-group"')]

    assert netmgr(lab, "check", path, "--strict") == (1, text, "")
    status, answer, _complaints = netmgr(lab, "check", "-j", path)
    value = json.loads(answer)
    assert (status, value["valid"], value["errors"], len(value["warnings"])) == (0, True, [], 4)
    assert value["warnings"][2] == {"file": path, "line": 3, "key": "interfaces[1].name",
                                    "message": 'no interface that is there matches "ppp*"'}


def test_check_without_a_warning(lab: Lab) -> None:
    lab.nft("table inet filter { set wan_ips { type ipv4_addr; }; }")
    path = configured(lab, "interfaces: [{name: lo, nftables_zone: wan}]\n")
    status, text, _complaints = netmgr(lab, "check", "--strict", path)
    assert (status, text.splitlines()[-1]) == (0, "%s is valid, without a warning" % path)


def test_check_names_a_chain_that_is_missing(lab: Lab) -> None:
    lab.nft("table inet filter { map zones { type ifname : verdict; }; chain wan { }; }")
    path = configured(lab, """interfaces: [{name: lo, nftables_zone: [wan, lan]}]
zones:
  wan: {sets: {zones: {holds: interfaces, verdict: jump wan}}}
  lan: {sets: {zones: {holds: interfaces, verdict: goto lan}}}
""")
    lacking = "%s:4: warning: zones.lan.sets.zones: inet filter zones cannot be filled: there is no chain lan in its table" % path
    status, text, _complaints = netmgr(lab, "check", path)
    assert (status, [line for line in text.splitlines() if "chain" in line][-1]) == (0, lacking)
    lab.nft("add chain inet filter lan")
    assert "chain" not in netmgr(lab, "check", path)[1]


def test_check_of_what_is_wrong(lab: Lab) -> None:
    (lab.directory / "conf.d").mkdir()
    (lab.directory / "conf.d/more.yaml").write_text("interfaces: 7\n")
    (lab.directory / "conf.d/not-this.yml").write_text("[")
    path = configured(lab, "log_level: loud\nzone: {}\n")
    status, text, complaints = netmgr(lab, "check", path)
    assert (status, text) == (1, "")
    assert complaints.splitlines() == [
        path + ':1: log_level: expected error, warning, info or debug, got "loud"',
        path + ':2: zone: unknown key "zone"; did you mean "zones"?',
        str(lab.directory / "conf.d/more.yaml") + ":1: interfaces: expected a list of interfaces, got 7", path + " is not valid: 3 errors"]
    status, answer, complaints = netmgr(lab, "check", "--json", path)
    assert (status, complaints) == (1, "")
    assert [error["line"] for error in json.loads(answer)["errors"]] == [1, 2, 1]
    missing = str(lab.directory / "missing.yaml")
    problem = "cannot read the configuration %s: No such file or directory" % missing
    assert netmgr(lab, "check", missing) == (1, "", "%s\n%s is not valid: 1 error\n" % (problem, missing))
    assert json.loads(netmgr(lab, "check", "--json", missing)[1])["errors"] == [
        {"file": missing, "line": None, "key": "", "message": problem}]


def test_diff_is_like_diff(lab: Lab) -> None:
    lab.nft(TABLES)
    lab.link("eth0")
    path = configured(lab, "interfaces: [{name: eth0, nftables_zone: wan}]\ndocker: {enabled: false}\n")
    same = netmgr(lab, "diff", "-c", path)
    assert same == (0, "# inet filter wan_ifs: its type is ipv4_addr; interfaces need ifname\n", "")
    lab.run("ip address add 192.0.2.1/24 dev eth0")
    status, text, complaints = netmgr(lab, "diff", "-c", path)
    assert (status, complaints) == (1, "")
    assert text == same[1] + 'add element inet filter wan_ips { 192.0.2.1 comment "netmgr" }\n'
    lab.nft(text)
    assert netmgr(lab, "diff", "-c", path) == same
    elsewhere = configured(lab, "interfaces: [{name: eth0, nftables_zone: wan}]\nnftables: {table: ip6 mangle}\ndocker: {enabled: false}\n")
    assert netmgr(lab, "diff", "-c", elsewhere)[::2] == (1, "netmgr: there is no table ip6 mangle, so its sets would not be filled\n")
    assert netmgr(lab, "diff", "-c", configured(lab, "nftables: {table: ip6 mangle, create: true}\ndocker: {enabled: false}\n"))[2] == ""
    assert netmgr(lab, "diff", "-c", configured(lab, "log_level: loud"))[0] == 2
    assert netmgr(lab, "diff", "-c", "/missing")[0] == 2


def test_what_diff_prints_of_maps_and_concatenations_is_what_nft_takes(lab: Lab) -> None:
    lab.nft("""table inet filter { chain wan { }; chain lan { }
        map zones { type ifname : verdict; elements = { "lo" comment "netmgr" : jump lan, "eth9" comment "netmgr" : jump lan }; }
        map marks { type ipv4_addr : mark; flags interval; }
        map outside { type ifname : ipv4_addr; }
        set pairs { type ifname . ipv4_addr; flags interval; elements = { "lo" . 10.0.0.0/8 comment "netmgr" }; }
    }""")
    path = configured(lab, """interfaces: [{name: lo, nftables_zone: wan}]
docker: {enabled: false}
zones:
  wan:
    exclude: []
    sets:
      zones: {holds: interfaces, verdict: jump wan}
      marks: {holds: networks, mark: 7}
      outside: {holds: interfaces, value: address}
      pairs: {holds: [interfaces, networks]}
""")
    status, text, complaints = netmgr(lab, "diff", "-c", path)
    assert (status, complaints) == (1, "")
    assert sorted(text.splitlines()) == [
        'add element inet filter marks { 127.0.0.0/8 comment "netmgr" : 0x00000007 }',
        'add element inet filter outside { "lo" comment "netmgr" : 127.0.0.1 }',
        'add element inet filter pairs { "lo" . 127.0.0.0/8 comment "netmgr" }',
        'add element inet filter zones { "lo" comment "netmgr" : jump wan }',
        'delete element inet filter pairs { "lo" . 10.0.0.0/8 }',
        'delete element inet filter zones { "eth9" : jump lan, "lo" : jump lan }']
    lab.nft(text)
    assert netmgr(lab, "diff", "-c", path) == (0, "", "")


def test_diff_and_the_daemon_take_the_same_of_several_addresses(lab: Lab) -> None:
    lab.nft("table ip6 nat { map outside { type ifname : ipv6_addr; }\n }")
    lab.link("eth0")
    for address in ("2001:db8:2::1/64", "2001:db8:3::1/64", "2001:db8:1::1/64"):
        lab.run(["ip", "address", "add", address, "dev", "eth0", "nodad"])
    path = configured(lab, "interfaces: [{name: eth0, nftables_zone: wan}]\ndocker: {enabled: false}\nnftables: {table: ip6 nat}\n"
                           "zones: {wan: {sets: {outside: {holds: interfaces, value: address}}}}\n")
    assert netmgr(lab, "diff", "-c", path) == (1, 'add element ip6 nat outside { "eth0" comment "netmgr" : 2001:db8:1::1 }\n', "")
    Netmgr(lab, Path(path).read_text().replace("{table", "{include_dir: null, table"))
    eventually(lambda: '"eth0" comment "netmgr" : 2001:db8:1::1' in lab.ruleset())
    assert netmgr(lab, "diff", "-c", path) == (0, "", "")


def test_an_address_that_is_secondary_no_more_stands_behind_the_others(lab: Lab) -> None:
    lab.nft("table ip nat { map outside { type ifname : ipv4_addr; }\n }")
    lab.link("eth0")
    lab.sysctl("net.ipv4.conf.eth0.promote_secondaries", 1)
    config = ("interfaces: [{name: eth0, nftables_zone: wan}]\ndocker: {enabled: false}\nnftables: {table: ip nat}\n"
              "zones: {wan: {sets: {outside: {holds: interfaces, value: address}}}}\n")
    daemon = Netmgr(lab, config)
    for address in ("10.0.0.1/24", "10.0.0.2/24", "10.0.1.1/24"):
        lab.run(["ip", "address", "add", address, "dev", "eth0"])
    eventually(lambda: '"eth0" comment "netmgr" : 10.0.0.1' in lab.ruleset())
    lab.run("ip address del 10.0.0.1/24 dev eth0")
    eventually(lambda: '"eth0" comment "netmgr" : 10.0.1.1' in lab.ruleset())
    assert netmgr(lab, "diff", "-c", str(daemon.config)) == (0, "", "")


def test_diff_with_the_running_daemon(lab: Lab) -> None:
    lab.nft(TABLES)
    lab.link("eth0")
    lab.run("ip address add 192.0.2.1/24 dev eth0")
    running = Netmgr(lab, "interfaces: [{name: eth0, nftables_zone: wan}]\ndocker: {enabled: false}\n")
    running.holds("wan_ips", "192.0.2.1")
    where = ("--running", "--socket", str(running.socket))
    assert netmgr(lab, "diff", *where)[:2] == (0, "# inet filter wan_ifs: its type is ipv4_addr; interfaces need ifname\n")

    running.configure("interfaces: [{name: eth0, nftables_zone: lan}]\nnftables: {table: ip nat}\ndocker: {enabled: false}\n")
    would = (1, "delete element inet filter wan_ips { 192.0.2.1 }\nadd element ip nat lan_ips { 192.0.2.1 comment \"netmgr\" }\n", "")
    status, text, complaints = netmgr(lab, "diff", *where)
    assert (status, sorted(text.splitlines()), complaints) == (would[0], sorted(would[1].splitlines()), would[2])
    assert running.owned("wan_ips") == {"192.0.2.1"}, "nothing has changed"
    running.ask("reload")
    assert netmgr(lab, "diff", *where) == (0, "", "")

    other = Path(configured(lab, "interfaces: [{name: eth0, nftables_zone: [lan, lan]}]\ndocker: {enabled: false}\n"))
    assert netmgr(lab, "diff", *where, "--config", str(other))[0] == 1
    other.write_text("log_level: loud")
    status, text, complaints = netmgr(lab, "diff", *where, "-c", str(other))
    assert (status, text) == (2, "") and "%s:1: log_level: expected" % other in complaints
    running.stop()
    assert netmgr(lab, "diff", *where)[0] == 3


def test_next_hops_and_published_ports(lab: Lab) -> None:
    """What a start would put into the first; of the others nobody knows without the engine."""
    lab.nft("table inet filter { set hops { type ipv4_addr; }\nset pairs { type ifname . ipv4_addr; }\nset single { type inet_service; }\n"
            "map ports { type inet_proto . inet_service : ipv4_addr . inet_service; }\n}")
    lab.link("eth0")
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    lab.run("ip route add default via 192.0.2.254")
    path = configured(lab, "interfaces: [{name: eth0, nftables_zone: wan}]\ndocker: {enabled: true, socket: %s}\nzones:\n"
                           "  wan: {convention: false, sets: {hops: gateways, pairs: {holds: [interfaces, gateways]}}}\n"
                           "  docker: {convention: false, sets: {ports: published_ports, single: published_ports}}\n"
                      % (lab.directory / "none"))
    status, text, _complaints = netmgr(lab, "check", "--config", path)
    assert status == 0
    assert [" ".join(line.split()) for line in text.splitlines()[:3]] == [
        "inet filter hops gateways of wan would be filled (ipv4_addr)",
        "inet filter pairs interfaces . gateways of wan would be filled (ifname . ipv4_addr)",
        "inet filter ports published_ports of docker would be filled (inet_proto . inet_service : ipv4_addr . inet_service)"]
    assert ("inet filter single cannot be filled: it is no map; expected a map of inet_service or inet_proto . inet_service : "
            "ipv4_addr . inet_service or ipv6_addr . inet_service") in text
    status, text, _complaints = netmgr(lab, "diff", "--config", path)
    assert status == 1
    assert 'add element inet filter hops { 192.0.2.254 comment "netmgr" }' in text
    assert 'add element inet filter pairs { "eth0" . 192.0.2.254 comment "netmgr" }' in text
    lab.nft(text)
    assert netmgr(lab, "diff", "--config", path)[0] == 0
