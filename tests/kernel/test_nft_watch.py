"""Who changed the ruleset, as the kernel announces it."""

import os
import selectors
import socket
from pathlib import Path
from typing import Iterator

import pytest

from netmgr.io.nft import Nft, Watch
from netmgr.values.events import RulesetChanged
from tests.kernel.lab import Lab, kernel_pid
from tests.kernel.nftables import DONE, add, make
from tests.nftables import ip


@pytest.fixture
def watch(lab: Lab) -> Iterator[Watch]:
    with lab.inside():
        made = Watch()
    yield made
    made.close()


def test_our_own_commits_are_known_by_their_port(lab: Lab, nft: Nft, watch: Watch) -> None:
    make(lab, a="type ipv4_addr;")
    watch.drain()
    assert nft.commit([add("a", ip(1), ip(2))]) == DONE
    name = Path("/proc/self/comm").read_text().rstrip("\n")
    assert watch.drain() == ([RulesetChanged(nft.generation(), nft.portid, kernel_pid(), name)], False)
    assert watch.drain() == ([], False)


def test_foreign_commits_come_one_each_with_their_process(lab: Lab, nft: Nft, watch: Watch) -> None:
    make(lab, a="type ipv4_addr; elements = { 10.0.0.1, 10.0.0.2 }")
    lab.nft("flush set inet t a")
    lab.nft("flush ruleset\ntable inet t { set a { type ipv4_addr; }; }")
    lab.run("nft flush ruleset")
    changes, overrun = watch.drain()
    assert not overrun and [change.process for change in changes] == ["nft"] * 4
    last = nft.generation()
    assert [change.generation for change in changes] == list(range(last - 3, last + 1))
    assert len({change.pid for change in changes}) == 4
    assert nft.portid not in {change.portid for change in changes} and os.getpid() not in {change.pid for change in changes}


def test_what_changes_nothing_is_not_announced(lab: Lab, nft: Nft, watch: Watch) -> None:
    make(lab, a="type ipv4_addr; elements = { 10.0.0.1 }")
    watch.drain()
    lab.run("nft -c -f -", "flush ruleset")
    lab.run("nft -f -", "flush set inet t a\nadd element inet t none { 10.0.0.1 }", check=False)
    lab.nft("add element inet t a { 10.0.0.1 }")
    assert nft.commit([add("a", ip(1))]) == DONE
    assert not nft.commit([add("a", ip(2)), add("none", ip(1))]).committed
    nft.inspect(add("a").set)
    with lab.inside():
        Nft().close()       # its probes
    assert watch.drain() == ([], False)


def test_the_descriptor_wakes_a_selector(lab: Lab, watch: Watch) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(watch, selectors.EVENT_READ)
        assert selector.select(0) == []
        make(lab, a="type ipv4_addr;")
        assert selector.select(10) != []
        watch.drain()
        assert selector.select(0) == []


def test_a_commit_of_many_elements_is_one_announcement(lab: Lab, nft: Nft, watch: Watch) -> None:
    make(lab, a="type ipv4_addr; size 20000;")
    watch.drain()
    assert nft.commit([add("a", *[ip(number) for number in range(10000)])]) == DONE
    changes, overrun = watch.drain()
    assert len(changes) == 1 and not overrun


def test_an_overrun_is_told_once_and_then_all_is_well_again(lab: Lab, nft: Nft, watch: Watch) -> None:
    make(lab, a="type ipv4_addr;")
    watch.drain()
    with socket.socket(fileno=os.dup(watch.fileno())) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    for number in range(20):
        nft.commit([add("a", ip(number))])
    changes, overrun = watch.drain()
    assert overrun and len(changes) < 20
    assert watch.drain() == ([], False)
    nft.commit([add("a", ip(100))])
    changes, overrun = watch.drain()
    assert [change.generation for change in changes] == [nft.generation()] and not overrun


def test_commits_of_one_port_can_be_left_out(lab: Lab, nft: Nft) -> None:
    with lab.inside():
        watch = Watch(nft.portid)
    make(lab, a="type ipv4_addr;")
    assert nft.commit([add("a", ip(1))]) == DONE
    lab.nft("add element inet t a { 10.0.0.2 }")
    assert nft.commit([add("a", ip(3))]) == DONE
    changes, overrun = watch.drain()
    watch.close()
    assert ([change.process for change in changes], overrun) == (["nft", "nft"], False)
    assert nft.portid not in {change.portid for change in changes}
