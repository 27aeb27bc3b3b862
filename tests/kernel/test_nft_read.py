"""Sets as the kernel describes and dumps them, also while others write."""

import random
import sys
from typing import List

import pytest

from netmgr.io.nft import Nft, at_once
from netmgr.values.outcomes import NOTHING
from netmgr.values.sets import (
    IFNAME,
    IPV4_ADDR,
    IPV6_ADDR,
    NFT_SET_INTERVAL,
    Change,
    ChangeElements,
    CreateSet,
    CreateTable,
    Form,
    SetName,
)
from tests.kernel.lab import Lab
from tests.kernel.nftables import DONE, NAMES, add, make, named, ours, read
from tests.nftables import interface, ip
from tests.waiting import eventually


def test_sets_that_netmgr_creates_are_what_nft_creates(lab: Lab, nft: Nft) -> None:
    six, names = SetName("ip6", "t", "six"), SetName("ip6", "t", "names")
    creations: List[Change] = [CreateTable("ip6", "t"), CreateSet(six, Form(IPV6_ADDR)), CreateSet(names, Form(IFNAME))]
    assert nft.commit([ChangeElements(names, NAMES, (), [interface("lo")]), *creations]) == DONE
    assert " ".join(lab.ruleset().split()) == (
        'table ip6 t { set six { type ipv6_addr } set names { type ifname elements = { "lo" comment "netmgr" } } }')
    assert nft.commit(creations) == DONE
    refused = nft.commit([CreateSet(six, Form(IPV4_ADDR))]).faults        # 5.10 takes it for the set that is there
    assert [fault.reason for fault in refused] in ([], ["a set of this name and of another type exists"])
    info = nft.inspect(six)
    assert info is not None and info.type == IPV6_ADDR


def test_a_set_of_the_same_name_is_another_set(lab: Lab, nft: Nft) -> None:
    make(lab, a="type ipv4_addr; flags interval; size 7;")
    first = nft.inspect(named("a"))
    assert first is not None and (first.type, first.flags, first.size) == (IPV4_ADDR, NFT_SET_INTERVAL, 7)
    assert nft.inspect(named("a")) == first
    lab.nft("delete table inet t")
    make(lab, a="type ipv4_addr;")
    second = nft.inspect(named("a"))
    assert second is not None and second.identity != first.identity
    with pytest.raises(FileNotFoundError):
        nft.read(first)
    lab.nft("delete table inet t")
    with pytest.raises(FileNotFoundError):
        nft.read(second)
    assert nft.generation() > 0


@pytest.mark.parametrize("kind", ["", "size 7;", "flags interval;", "flags timeout; timeout 1h;", "flags dynamic;"])
def test_a_set_that_counts_no_element_has_none(lab: Lab, nft: Nft, kind: str) -> None:
    """Why it is not read."""
    make(lab, a="type ipv4_addr; " + kind)
    for command, empty in (("add element inet t a { 10.0.0.1, 10.0.0.5 }", False), ("delete element inet t a { 10.0.0.1 }", False),
                           ("delete element inet t a { 10.0.0.5 }", True), ("add element inet t a { 255.255.255.255 }", False),
                           ("flush set inet t a", True)):
        lab.nft(command)
        info = nft.inspect(named("a"))
        assert info is not None and (info.elements is None or (info.elements == 0) == empty)
        assert (nft.read(info).contents == NOTHING.contents) == empty


WRITER = """
import random
import time
from netmgr.io.nft import Nft, at_once
from netmgr.values.outcomes import NOTHING
from netmgr.values.sets import *
nft, name, form, generator = Nft(), SetName("inet", "t", "a"), Form(IPV4_ADDR), random.Random(1)
key = lambda number: number.to_bytes(4, "big")
state = [0] * 4000
nft.commit([ChangeElements(name, form, (), [key(number) for number in range(4000)])])
print("ready", flush=True)
while True:
    for burst in range(50):
        chosen = [generator.randrange(4000) for _ in range(20)]
        old = {key(number + 4000 * state[number]) for number in chosen}
        for number in set(chosen):
            state[number] ^= 1
        new = {key(number + 4000 * state[number]) for number in chosen}
        nft.commit([ChangeElements(name, form, sorted(old), sorted(new))])
    time.sleep(0.03)
"""


def test_a_verified_reading_is_a_moment_that_was(lab: Lab, nft: Nft) -> None:
    make(lab, a="type ipv4_addr; size 20000;")
    writer = lab.start([sys.executable, "-c", WRITER])
    eventually(lambda: "ready" in lab.log(writer))
    verified = 0
    while verified < 20:
        reading = read(nft, "a")
        numbers = sorted(int.from_bytes(key, "big") % 4000 for key in reading.contents.ours)
        if reading.verified:
            assert numbers == list(range(4000))
            verified += 1
        else:
            assert set(numbers) == set(range(4000))
    assert writer.poll() is None


def test_a_table_that_is_just_growing_is_read_completely(lab: Lab, nft: Nft) -> None:
    make(lab, a="type ipv4_addr;")
    elements: List[bytes] = [ip(number) for number in range(50000)]
    random.Random(3).shuffle(elements)
    assert nft.commit([add("a", *elements)]) == DONE
    reading = eventually(lambda: [found for found in [read(nft, "a")] if found.verified])[0]
    assert reading == ours(*elements)


def test_of_two_dumps_at_a_time_the_first_is_given_up(lab: Lab, nft: Nft) -> None:
    make(lab, a="type ipv4_addr;", b="type ipv4_addr;")
    everything = [ip(number) for number in range(1, 20001)]
    assert nft.commit([add("a", *everything), add("b", ip(7))]) == DONE
    first, second = nft.inspect(named("a")), nft.inspect(named("b"))
    assert first is not None and second is not None
    begun = nft.reading(first)
    next(begun)
    assert at_once(nft.reading(second)).contents.ours == {ip(7)}
    with pytest.raises(InterruptedError):
        next(begun)
    begun = nft.reading(first)
    next(begun)
    begun.close()
    assert at_once(nft.reading(first)).contents.ours == set(everything)


def test_what_is_left_of_a_dump_that_was_given_up_is_received_in_pieces(lab: Lab, nft: Nft) -> None:
    make(lab, a="type ipv4_addr;")
    assert nft.commit([add("a", *(ip(number) for number in range(1, 20001)))]) == DONE
    info = nft.inspect(named("a"))
    assert info is not None
    pieces = sum(1 for _piece in nft.reading(info))
    begun = nft.reading(info)
    next(begun)
    begun.close()
    assert sum(1 for _piece in nft.reading(info)) > 3 * pieces // 2
