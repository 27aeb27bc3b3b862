"""What others do to the ruleset, and what netmgr makes of it."""

import os
import re
import signal
from typing import Any, Dict

import pytest

from netmgr.io.nft import Nft
from netmgr.values.sets import ChangeElements, Form, SetName
from tests.kernel.lab import Lab
from tests.kernel.running import CONFIG, RULESET, Netmgr, own_memory
from tests.waiting import eventually

RELOAD = "flush ruleset\n" + RULESET


@pytest.fixture(params=["events", "poll"])
def netmgr(lab: Lab, request: pytest.FixtureRequest) -> Netmgr:
    lab.nft(RULESET)
    lab.link("eth0")
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    lab.run("ip addr add 192.0.2.2/24 dev eth0")
    made = Netmgr(lab, CONFIG + "nftables: {watch: %s, poll_interval: 0.05}" % request.param)
    made.holds("wan_ips", "192.0.2.1", "192.0.2.2")
    return made


def last_repair(netmgr: Netmgr) -> Dict[str, Any]:
    """`sources.nftables` of the status, once there was a repair."""
    source: Dict[str, Any] = netmgr.status()["sources"]["nftables"]
    return source if source["repairs"] else {}


DAMAGE = {
    "reload": RELOAD,
    "flush set": "flush set inet filter wan_ips",
    "one element": "delete element inet filter wan_ips { 192.0.2.1 }",
    "one exchanged": "delete element inet filter wan_ips { 192.0.2.1 }\nadd element inet filter wan_ips { 203.0.113.9 }",
    "set again": "delete set inet filter wan_ips\nadd set inet filter wan_ips { type ipv4_addr; }",
    "set of other flags": "delete set inet filter wan_ips\nadd set inet filter wan_ips { type ipv4_addr; flags interval; }",
    "table again": "delete table inet filter\n" + RULESET,
    "the comment": "delete element inet filter wan_ips { 192.0.2.1 }\nadd element inet filter wan_ips { 192.0.2.1 comment \"other\" }",
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_repaired_and_put_down_to_who_did_it(netmgr: Netmgr, what: str) -> None:
    netmgr.lab.nft(DAMAGE[what])
    if what == "the comment":
        eventually(lambda: netmgr.state("wan_ips")["foreign"] == 1)
        assert netmgr.lab.comments("inet filter", "wan_ips") == {"192.0.2.1": "other", "192.0.2.2": "netmgr"}
        return
    foreign = ["203.0.113.9"] if what == "one exchanged" else []
    netmgr.holds("wan_ips", "192.0.2.1", "192.0.2.2", *foreign)
    source = eventually(lambda: last_repair(netmgr))
    assert source["repairs"] == 1 and source["last_repair"]["sets"] == ["inet filter wan_ips"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", source["last_repair"]["time"])
    if "poll" not in netmgr.config.read_text():
        assert source["last_repair"]["process"] == "nft"
        assert "nft (pid %d" % source["last_repair"]["pid"] in netmgr.log()


def test_a_set_that_changes_its_type_or_appears(netmgr: Netmgr) -> None:
    netmgr.lab.nft("delete set inet filter wan_ips\nadd set inet filter wan_ips { type inet_service; }")
    eventually(lambda: netmgr.state("wan_ips")["state"] == "error")
    netmgr.lab.nft("delete set inet filter wan_ips")
    netmgr.lab.nft("add set inet filter wan_ips6 { type ipv6_addr; }")
    netmgr.lab.run("ip addr add 2001:db8::1/64 dev eth0 nodad")
    netmgr.holds("wan_ips6", "2001:db8::1")
    netmgr.lab.nft("add set inet filter wan_ips { type ipv4_addr; }")
    netmgr.holds("wan_ips", "192.0.2.1", "192.0.2.2")
    netmgr.lab.nft("delete table inet filter")
    eventually(lambda: not any(row["state"] == "synced" for row in netmgr.status()["sets"]))
    netmgr.lab.run("ip addr del 192.0.2.1/24 dev eth0")
    netmgr.lab.nft(RULESET)
    eventually(lambda: "192.0.2.1" not in netmgr.lab.sets("inet filter", "wan_ips"))


def test_what_is_not_ours_makes_us_write_nothing(netmgr: Netmgr) -> None:
    lab = netmgr.lab
    before = lab.generation()
    bad = "flush set inet filter wan_ips\nadd element inet filter nowhere { 192.0.2.1 }"
    lab.run("nft -f -", bad, check=False)
    lab.run("nft -c -f -", RELOAD)
    assert lab.generation() == before
    lab.nft("add table inet other\nadd set inet other wan_ips { type ipv4_addr; }")
    lab.nft("add element inet filter wan_ips { 203.0.113.7 }")
    eventually(lambda: netmgr.state("wan_ips")["foreign"] == 1)
    assert lab.generation() == before + 2
    assert netmgr.status()["sources"]["nftables"]["repairs"] == 0


def test_the_audit_finds_what_sends_no_event(lab: Lab) -> None:
    lab.nft(RULESET)
    lab.link("eth0")
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr = Netmgr(lab, CONFIG + "nftables: {audit_interval: 1, watch: poll, poll_interval: 3600}")
    lab.nft("delete element inet filter wan_ips { 192.0.2.1 }")
    netmgr.holds("wan_ips", "192.0.2.1")
    eventually(lambda: "repaired 1 element in inet filter wan_ips (audit: a drift)" in netmgr.log())


def test_elements_in_a_set_with_timeouts_do_not_expire(lab: Lab) -> None:
    lab.nft("table inet filter { set wan_ips { type ipv4_addr; timeout 1s; }; set lan_ips { type ipv4_addr; flags timeout; }; }")
    lab.nft('add element inet filter lan_ips { 192.0.2.1 timeout 1s comment "netmgr", 192.0.2.9 timeout 2s }')
    lab.link("eth0")
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr = Netmgr(lab, CONFIG.replace("eth0, nftables_zone: wan", "eth0, nftables_zone: [wan, lan]"))
    eventually(lambda: lab.sets("inet filter", "lan_ips") == {"192.0.2.1"})
    assert netmgr.owned("wan_ips") == netmgr.owned("lan_ips") == {"192.0.2.1"}
    lab.nft("flush set inet filter wan_ips")
    netmgr.holds("wan_ips", "192.0.2.1")


def test_a_foreign_element_that_expires_is_replaced_while_it_is_wanted(lab: Lab) -> None:
    lab.nft("table inet filter { set wan_ips { type ipv4_addr; flags timeout; }; }")
    lab.nft("add element inet filter wan_ips { 192.0.2.1 timeout 1h, 192.0.2.9 timeout 1s }")
    lab.link("eth0")
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr = Netmgr(lab)
    assert netmgr.owned("wan_ips") == frozenset()
    lab.nft("delete element inet filter wan_ips { 192.0.2.1 }; add element inet filter wan_ips { 192.0.2.1 timeout 1s }")
    netmgr.holds("wan_ips", "192.0.2.1")
    eventually(lambda: netmgr.owned("wan_ips") == {"192.0.2.1"})


def test_owner_tables_and_constant_sets_are_reported_and_do_not_hold_up_others(lab: Lab) -> None:
    lab.nft(RULESET)
    lab.nft("table inet filter { set wan_ips6 { type ipv6_addr; flags constant; size 9; };"
            " chain c { ip6 saddr @wan_ips6 counter; }; }")
    lab.start(["sh", "-c", "mkfifo {0} && exec 3<>{0} && echo 'add table inet owned {{ flags owner; }}' >&3"
               " && echo 'add set inet owned lan_ips {{ type ipv4_addr; }}' >&3 && echo 'add table inet last' >&3"
               " && exec nft -i <&3".format(lab.directory / "commands")])
    eventually(lambda: "inet last" in lab.run("nft list tables"))
    owned = "error" if "inet owned" in lab.run("nft list tables") else "missing"        # kernels before 5.12 have no tables with an owner
    lab.link("eth0")
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    lab.run("ip addr add 2001:db8::1/64 dev eth0 nodad")
    both = CONFIG.replace("eth0, nftables_zone: wan", "eth0, nftables_zone: [wan, lan]")
    netmgr = Netmgr(lab, both + "zones: {lan: {table: inet owned}}")
    netmgr.holds("wan_ips", "192.0.2.1")
    eventually(lambda: netmgr.state("wan_ips6")["state"] == "error" and netmgr.state("lan_ips")["state"] == owned)
    assert "constant" in netmgr.state("wan_ips6")["error"]
    assert owned == "missing" or "another program" in netmgr.state("lan_ips")["error"]
    lab.run("ip addr add 192.0.2.2/24 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.1", "192.0.2.2")


def test_include_files_follow_the_sets(netmgr: Netmgr) -> None:
    file = netmgr.includes / "inet.filter.wan_ips.nft"
    eventually(lambda: file.exists() and "192.0.2.2" in file.read_text())
    assert file.read_text() == 'elements = { 192.0.2.1 comment "netmgr", 192.0.2.2 comment "netmgr" }\n'
    inode = file.stat().st_ino
    netmgr.lab.nft("flush set inet filter wan_ips")
    netmgr.holds("wan_ips", "192.0.2.1", "192.0.2.2")
    assert netmgr.ask("resync").startswith("OK: ")
    assert file.stat().st_ino == inode
    netmgr.lab.run("ip addr flush dev eth0")
    eventually(lambda: file.read_text() == "")
    netmgr.lab.nft("delete table inet filter")
    netmgr.lab.run("ip addr add 192.0.2.5/24 dev eth0")
    eventually(lambda: "192.0.2.5" in file.read_text())
    netmgr.configure("interfaces: []\ndocker: {enabled: false}\n")
    assert netmgr.ask("reload").startswith("OK: ")
    assert not file.exists()


def test_a_ruleset_that_includes_the_file_is_loaded_filled(netmgr: Netmgr) -> None:
    include = RULESET.replace("flags dynamic; }\n    set lan", 'include "%s/inet.filter.wan_ips[.]nft"; }\n    set lan' % netmgr.includes)
    path = netmgr.lab.directory / "ruleset.nft"
    path.write_text("flush ruleset\n" + include.replace("; include", "\ninclude").replace('nft";', 'nft"\n'))
    eventually(lambda: os.path.exists(netmgr.includes / "inet.filter.wan_ips.nft"))
    netmgr.kill()
    for _ in range(3):
        netmgr.lab.run(["nft", "-f", str(path)])
        assert netmgr.owned("wan_ips") == {"192.0.2.1", "192.0.2.2"}
    (netmgr.includes / "inet.filter.wan_ips.nft").unlink()
    netmgr.lab.run(["nft", "-f", str(path)])
    assert netmgr.owned("wan_ips") == frozenset()


def resources(pid: int) -> Dict[str, int]:
    """Open descriptors and bytes of memory."""
    return {"descriptors": len(os.listdir("/proc/%d/fd" % pid)), "memory": own_memory(pid)}


def test_five_hundred_reloads(lab: Lab) -> None:
    lab.nft(RULESET)
    lab.link("eth0")
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr = Netmgr(lab)
    assert netmgr.process is not None
    before = {"descriptors": 0, "memory": 0}
    for number in range(500):
        lab.nft(RELOAD)
        netmgr.holds("wan_ips", "192.0.2.1")
        if number == 50:
            before = resources(netmgr.process.pid)
    after = resources(netmgr.process.pid)
    assert after["descriptors"] == before["descriptors"]
    assert after["memory"] <= before["memory"] + (1 << 20)


def test_a_daemon_that_slept_through_thousands_of_commits(netmgr: Netmgr, nft: Nft) -> None:
    netmgr.lab.nft("table inet other { set theirs { type ipv4_addr; }; }")
    assert netmgr.process is not None
    netmgr.process.send_signal(signal.SIGSTOP)
    netmgr.lab.nft("flush set inet filter wan_ips\nadd element inet filter wan_ips { 203.0.113.7 }")
    theirs, element = SetName("inet", "other", "theirs"), bytes((192, 0, 2, 9))
    for _ in range(4000):
        assert nft.commit([ChangeElements(theirs, Form("ipv4_addr"), [], [element])]).committed
        assert nft.commit([ChangeElements(theirs, Form("ipv4_addr"), [element], [])]).committed
    netmgr.process.send_signal(signal.SIGCONT)
    netmgr.holds("wan_ips", "192.0.2.1", "192.0.2.2", "203.0.113.7")
    assert netmgr.status()["sources"]["nftables"]["repairs"] == 1
    netmgr.lab.nft("flush set inet filter wan_ips")
    netmgr.holds("wan_ips", "192.0.2.1", "192.0.2.2")
