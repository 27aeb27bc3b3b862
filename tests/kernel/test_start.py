"""Starts, stops, restarts and crashes: what netmgr finds, what it leaves, and that no set loses what is still true."""

import json
import os
import signal
from typing import List

import pytest

from tests.kernel.lab import Lab
from tests.kernel.running import CONFIG, RULESET, Netmgr, own_memory
from tests.waiting import PATIENCE, eventually


@pytest.fixture
def cards(lab: Lab) -> Lab:
    """A lab with addresses on eth0 and eth1 and the usual ruleset."""
    lab.nft(RULESET)
    for name, address in (("eth0", "192.0.2.1/24"), ("eth1", "10.0.0.1/24")):
        lab.link(name)
        lab.run(["ip", "addr", "add", address, "dev", name])
    return lab


def test_a_start_removes_the_stale_keeps_the_foreign_and_adds_the_new_in_one_transaction(cards: Lab) -> None:
    cards.nft('add element inet filter wan_ips { 198.51.100.1 comment "netmgr", 198.51.100.2 comment "mine", 198.51.100.3 }')
    before = cards.generation()
    netmgr = Netmgr(cards)
    netmgr.holds("wan_ips", "192.0.2.1", "198.51.100.2", "198.51.100.3")
    assert cards.generation() == before + 1
    assert netmgr.owned("wan_ips") == {"192.0.2.1"}
    row = netmgr.state("wan_ips")
    assert (row["state"], row["elements"], row["foreign"]) == ("synced", 1, 2)


def test_a_foreign_element_that_is_wanted_stays_foreign(cards: Lab) -> None:
    cards.nft("add element inet filter wan_ips { 192.0.2.1 }")
    netmgr = Netmgr(cards)
    assert netmgr.owned("wan_ips") == frozenset()
    cards.run("ip addr del 192.0.2.1/24 dev eth0")
    cards.run("ip addr add 192.0.2.2/24 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.1", "192.0.2.2")
    cards.run("ip addr add 192.0.2.1/24 dev eth0")
    cards.nft("delete element inet filter wan_ips { 192.0.2.1 }")
    netmgr.holds("wan_ips", "192.0.2.1", "192.0.2.2")
    eventually(lambda: netmgr.owned("wan_ips") == {"192.0.2.1", "192.0.2.2"})


def test_an_exclusive_set_holds_nothing_foreign(cards: Lab) -> None:
    cards.nft("add element inet filter wan_ips { 198.51.100.3, 192.0.2.1 }")
    netmgr = Netmgr(cards, CONFIG + "zones: {wan: {exclusive: true}}")
    netmgr.holds("wan_ips", "192.0.2.1")
    assert netmgr.owned("wan_ips") == {"192.0.2.1"}
    cards.nft("add element inet filter wan_ips { 203.0.113.1 }")
    netmgr.holds("wan_ips", "192.0.2.1")


def test_missing_wrong_and_full_sets_are_reported_and_the_others_right(cards: Lab) -> None:
    cards.nft("""
        table inet filter {
            set wan_ips6 { type ifname; }
            set wan_nets { type ipv4_addr; }
            set wan_ifs { type ifname; size 1; }
            map wan_ipv6 { type ipv6_addr : verdict; }
            set tight { type ipv4_addr; size 2; elements = { 198.51.100.1 comment "netmgr", 198.51.100.9 } }
        }""")
    netmgr = Netmgr(cards, CONFIG.replace("docker", """
  - {name: eth0, nftables_zone: small}
zones: {small: {sets: {tight: addresses, promised: addresses}}}
docker"""))
    for address in ("192.0.2.2/24", "192.0.2.3/24"):
        cards.run(["ip", "addr", "add", address, "dev", "eth0"])
    netmgr.holds("wan_ips", "192.0.2.1", "192.0.2.2", "192.0.2.3")
    errors = {row["name"]: (row["state"], row["error"]) for row in netmgr.status()["sets"]}
    assert errors["wan_ips"] == errors["wan_ifs"] == ("synced", None)
    assert errors["promised"] == ("missing", None)
    for name, words in (("wan_ips6", "type"), ("wan_nets", "interval"), ("wan_ipv6", "map"), ("tight", "full")):
        assert errors[name][0] == "error" and words in errors[name][1]
    assert cards.sets("inet filter", "tight") == {"192.0.2.1", "198.51.100.9"}
    assert netmgr.status()["state"] == "degraded"
    cards.run("ip addr flush dev eth0")
    netmgr.holds("tight", "198.51.100.9")
    cards.run("ip addr add 192.0.2.7/24 dev eth0")
    netmgr.holds("tight", "192.0.2.7", "198.51.100.9")
    assert netmgr.state("tight")["state"] == "synced"
    cards.nft("add set inet filter promised { type ipv4_addr; }")
    netmgr.holds("promised", "192.0.2.7")


def test_a_restart_is_no_gap_and_a_clean_stop_does_as_told(cards: Lab) -> None:
    netmgr = Netmgr(cards)
    netmgr.holds("wan_ips", "192.0.2.1")
    before = cards.generation()
    netmgr.restart()
    assert cards.generation() == before
    assert netmgr.stop() == 0
    assert cards.sets("inet filter", "wan_ips") == {"192.0.2.1"}
    assert (netmgr.includes / "inet.filter.wan_ips.nft").exists()
    assert not netmgr.socket.exists()
    netmgr.configure(CONFIG + "nftables: {on_stop: remove}")
    cards.nft("add element inet filter wan_ips { 198.51.100.3 }")
    netmgr.start()
    assert netmgr.stop() == 0
    assert cards.sets("inet filter", "wan_ips") == {"198.51.100.3"}
    assert cards.sets("inet filter", "lan_ips") == set()
    assert list(netmgr.includes.glob("*.nft")) == []


def test_killed_at_any_moment_and_restarted_no_set_loses_what_is_there(cards: Lab) -> None:
    netmgr = Netmgr(cards)
    watcher = cards.start("nft monitor elements")
    for round_number in range(12):
        cards.run(["ip", "addr", "add", "192.0.2.%d/24" % (100 + round_number), "dev", "eth0"])
        netmgr.kill()
        netmgr.start(wait=round_number % 3 != 0)
    eventually(lambda: len(cards.sets("inet filter", "wan_ips")) == 13)
    assert "delete element inet filter wan_ips" not in cards.log(watcher)


def test_a_second_instance_refuses(cards: Lab) -> None:
    netmgr = Netmgr(cards)
    first = netmgr.process
    netmgr.start(wait=False)
    assert netmgr.process is not None and netmgr.process.wait(PATIENCE) == 1
    assert str(netmgr.socket) in netmgr.log()
    assert first is not None and first.poll() is None
    assert netmgr.ask("ping") == "PONG\n"


def test_without_the_capability_it_says_so(cards: Lab) -> None:
    netmgr = Netmgr(cards, start=False)
    netmgr.start(wait=False, wrapper=["setpriv", "--inh-caps=-all", "--bounding-set=-all"])
    assert netmgr.process is not None and netmgr.process.wait(PATIENCE) == 1
    assert "CAP_NET_ADMIN" in netmgr.log()


def test_create_makes_what_is_missing(lab: Lab) -> None:
    lab.link("eth0")
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr = Netmgr(lab, CONFIG + "nftables: {create: true}")
    netmgr.holds("wan_ips", "192.0.2.1")
    eventually(lambda: "is ready: " in netmgr.log(), "netmgr is ready")
    assert "is ready: 1 element in 4 sets\n" in netmgr.log(), "what it has just made is not missing"
    assert "type ipv6_addr" in lab.run("nft list set inet filter wan_ips6")
    lab.run("nft flush ruleset")
    eventually(lambda: "set wan_ips {" in lab.run("nft list sets"))
    netmgr.holds("wan_ips", "192.0.2.1")


def test_a_dry_run_sends_nothing(cards: Lab) -> None:
    before = cards.generation()
    netmgr = Netmgr(cards, start=False)
    netmgr.start("--dry-run")
    eventually(lambda: 'would send: add element inet filter wan_ips { 192.0.2.1 comment "netmgr" }' in netmgr.log())
    cards.run("ip addr add 192.0.2.2/24 dev eth0")
    eventually(lambda: 'would send: add element inet filter wan_ips { 192.0.2.2 comment "netmgr" }' in netmgr.log())
    status, (row, *_others) = netmgr.status(), netmgr.status()["sets"]
    assert (status["dry_run"], status["state"], row["name"], row["elements"]) == (True, "degraded", "wan_ips", 0)
    assert row["error"] == "a dry run: 2 elements would be added, 0 removed"
    assert "elements would be added" in netmgr.ask("resync")
    assert netmgr.stop() == 0
    assert cards.generation() == before
    assert not netmgr.includes.exists()


def test_reload_takes_effect_before_it_answers_and_a_bad_file_changes_nothing(cards: Lab) -> None:
    netmgr = Netmgr(cards)
    netmgr.configure("interfaces:\n  - {name: eth0, nftables_zone: 5}\n  - {nam: eth1}\n")
    answer = netmgr.ask("reload")
    assert answer.startswith("ERROR: ") and "interfaces[0].nftables_zone" in answer and "interfaces[1].nam" in answer
    assert netmgr.owned("wan_ips") == {"192.0.2.1"}
    netmgr.configure(CONFIG.replace("zone: wan", "zone: lan"))
    answer = netmgr.ask("reload")
    assert answer.startswith("OK: ") and "1 element added, 1 removed" in answer
    assert cards.sets("inet filter", "wan_ips") == set()
    assert cards.sets("inet filter", "lan_ips") == {"192.0.2.1", "10.0.0.1"}
    assert not any(row["name"].startswith("wan") for row in netmgr.status()["sets"])
    netmgr.configure(CONFIG)
    assert netmgr.process is not None
    os.kill(netmgr.process.pid, signal.SIGHUP)
    netmgr.holds("wan_ips", "192.0.2.1")
    netmgr.holds("lan_ips", "10.0.0.1")


def test_shutdown_answers_and_ends(cards: Lab) -> None:
    netmgr = Netmgr(cards)
    assert netmgr.ask("shutdown").startswith("OK: ")
    assert netmgr.process is not None and netmgr.process.wait(PATIENCE) == 0


def test_twenty_thousand_addresses(lab: Lab) -> None:
    lab.nft("table inet filter { set wan_ips { type ipv4_addr; }; set wan_nets { type ipv4_addr; flags interval; }; }")
    lab.link("eth0", up=False)
    addresses = ["10.%d.%d.%d" % (number >> 16, number >> 8 & 255, number & 255) for number in range(1, 20001)]
    commands: List[str] = ["addr add %s/32 dev eth0" % address for address in addresses]
    lab.run("ip -batch -", "\n".join(commands))
    netmgr = Netmgr(lab, CONFIG + "nftables: {on_stop: remove}")
    assert netmgr.state("wan_ips")["elements"] == 20000
    assert lab.sets("inet filter", "wan_ips") == set(addresses)
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    lab.run("ip addr del 10.0.0.1/32 dev eth0")
    eventually(lambda: {"192.0.2.1"} == lab.sets("inet filter", "wan_ips") - set(addresses[1:]))
    assert [len(row["wanted"]) for row in json.loads(netmgr.ask("sets json"))["sets"]] == [20000, 20000, 0]
    assert netmgr.stop() == 0
    assert lab.sets("inet filter", "wan_ips") == lab.sets("inet filter", "wan_nets") == set()


def test_a_range_of_everything_that_an_earlier_run_left_is_taken_out(lab: Lab) -> None:
    lab.nft('table inet filter { set wan_nets { type ipv4_addr; flags interval; elements = { 0.0.0.0/0 comment "netmgr" }; }; }')
    lab.link("eth0")
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    Netmgr(lab, "interfaces: [{name: eth0, nftables_zone: wan}]\ndocker: {enabled: false}\n").holds("wan_nets", "192.0.2.0/24")


def test_a_reload_leaves_nothing_behind(cards: Lab) -> None:
    """With thousands of addresses, a megabyte each time if it did."""
    cards.run("ip -batch -", "".join("addr add 10.1.%d.%d/32 dev eth0\n" % (number >> 8, number & 255) for number in range(10000)))
    netmgr = Netmgr(cards)
    for _reload in range(5):
        assert netmgr.ask("reload").startswith("OK")
    assert netmgr.process is not None
    before = own_memory(netmgr.process.pid)
    for _reload in range(25):
        assert netmgr.ask("reload").startswith("OK: reloaded")
    assert own_memory(netmgr.process.pid) - before < 8 << 20
    assert len(netmgr.owned("wan_ips")) >= 10000
