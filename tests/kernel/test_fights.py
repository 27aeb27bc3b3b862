"""Others who keep writing to the same sets: bounded work, a quiet log, and the truth as soon as they stop."""

import os
import time
from pathlib import Path

import pytest

from tests.kernel.lab import Lab
from tests.kernel.running import CONFIG, RULESET, Netmgr
from tests.waiting import eventually

SECONDS = 6


@pytest.fixture
def cards(lab: Lab) -> Lab:
    lab.nft(RULESET)
    lab.link("eth0")
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    return lab


def processor_seconds(netmgr: Netmgr) -> float:
    """User and system time of the daemon so far."""
    assert netmgr.process is not None
    fields = Path("/proc/%d/stat" % netmgr.process.pid).read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("watch", ["events", "poll"])
def test_a_ruleset_that_is_loaded_without_end(cards: Lab, watch: str) -> None:
    base = cards.directory / "base.nft"
    base.write_text("flush ruleset\n" + RULESET)
    netmgr = Netmgr(cards, CONFIG + "nftables: {watch: %s, poll_interval: 0.01}" % watch)
    before, lines = processor_seconds(netmgr), netmgr.log().count("\n")
    loop = cards.start(["sh", "-c", "while :; do nft -f %s; done" % base])
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began > SECONDS)
    spent, took = processor_seconds(netmgr) - before, time.monotonic() - began
    cards.stop(loop)
    netmgr.holds("wan_ips", "192.0.2.1")
    assert spent < took / 2
    assert netmgr.log().count("\n") - lines < 100
    if "keep undoing" in netmgr.log():
        assert netmgr.log().count("keep undoing") == 1
    assert netmgr.ask("ping") == "PONG\n"


def test_two_instances_with_the_same_sets_and_the_same_configuration_live_in_peace(cards: Lab) -> None:
    one, two = Netmgr(cards, name="one"), Netmgr(cards, name="two")
    generation = cards.generation()
    cards.run("ip addr add 192.0.2.2/24 dev eth0")
    one.holds("wan_ips", "192.0.2.1", "192.0.2.2")
    cards.nft("flush set inet filter wan_ips")
    one.holds("wan_ips", "192.0.2.1", "192.0.2.2")
    for each in (one, two):
        eventually(lambda each=each: each.state("wan_ips")["elements"] == 2)  # type: ignore[misc]
    assert cards.generation() <= generation + 5


def test_two_instances_that_disagree_are_damped_say_so_once_and_converge_when_one_stops(cards: Lab) -> None:
    one = Netmgr(cards, name="one")
    other = CONFIG.replace("eth0, nftables_zone: wan", "eth1, nftables_zone: wan")
    before = processor_seconds(one)
    two = Netmgr(cards, other, name="two")
    began, generation = time.monotonic(), cards.generation()
    eventually(lambda: time.monotonic() - began > SECONDS)
    took = time.monotonic() - began
    assert (cards.generation() - generation) / took < 100
    assert processor_seconds(one) - before < took / 2
    for each in (one, two):
        eventually(lambda each=each: "two configurations fill the same sets" in each.log())  # type: ignore[misc]
        status = each.status()
        assert status["state"] == "degraded"
        assert status["sources"]["nftables"]["warning"] == "another netmgr and this one undo each other's work in inet filter wan_ips"
        (problem,) = [row for row in status["problems"] if "undo each other" in row["what"]]
        assert status["since"] < problem["since"] == status["sources"]["nftables"]["warning_since"]
        assert each.log().count("two configurations") == 1
    assert one.log().count("\n") < 150
    assert two.stop() == 0
    one.holds("wan_ips", "192.0.2.1")
