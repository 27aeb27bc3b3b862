"""Transactions at the real kernel, with nft as the other party and as the judge."""

import errno
from contextlib import closing
from typing import List, Sequence

import pytest

from netmgr.io.nft import Nft, knows_destroy
from netmgr.io.ruleset import Ruleset
from netmgr.model.inventory import Inventory
from netmgr.model.model import Model
from netmgr.sync.reconciler import Reconciler
from netmgr.values.events import LinkSeen
from netmgr.values.outcomes import OVERTAKEN, Outcome, Reading
from netmgr.values.sets import IFNAME, IPV4_ADDR, IPV6_ADDR, Change, ChangeElements, Contents, Form
from tests.kernel.lab import Lab
from tests.kernel.nftables import DONE, NAMES, NOTHING, TIMEOUT, add, delete, make, named, ours, read
from tests.nftables import PLAIN, RANGES, TOP, interface, ip, span
from tests.waiting import eventually
from tests.workbench import WAN, configuration, seen


def test_elements_come_and_go_with_our_comment(lab: Lab, nft: Nft) -> None:
    make(lab, a="type ipv4_addr;", b="type ipv6_addr;", c="type ifname;")
    six = Form(IPV6_ADDR)
    assert nft.commit([add("a", ip(1), ip(2)), add("b", bytes(15) + b"\1", form=six), add("c", interface("eth0"), form=NAMES)]) == DONE
    assert lab.comments("inet t", "a") == {"10.0.0.1": "netmgr", "10.0.0.2": "netmgr"}
    assert lab.comments("inet t", "b") == {"::1": "netmgr"} and lab.comments("inet t", "c") == {"eth0": "netmgr"}
    assert nft.commit([delete("a", ip(1)), delete("b", bytes(15) + b"\1", form=six), delete("c", interface("eth0"), form=NAMES)]) == DONE
    assert lab.comments("inet t", "a") == {"10.0.0.2": "netmgr"}
    assert lab.sets("inet t", "b") == lab.sets("inet t", "c") == set()


@pytest.mark.parametrize(("kind", "number"), [("type ipv4_addr;", 5000), ("type ipv4_addr; size 100000;", 100000)])
def test_every_one_of_many_elements_is_stored(lab: Lab, nft: Nft, kind: str, number: int) -> None:
    make(lab, a=kind)
    elements = [ip(each) for each in range(number)]
    before = nft.generation()
    assert nft.commit([add("a", *elements)]) == DONE
    assert nft.generation() == before + 1
    assert read(nft, "a") == ours(*elements)
    assert nft.commit([delete("a", *elements[10:])]) == DONE
    assert read(nft, "a") == ours(*elements[:10])


def test_a_commit_for_one_generation(lab: Lab, nft: Nft) -> None:
    make(lab, a="type ipv4_addr;")
    now = nft.generation()
    for other in (now - 1, now + 1, 0xFFFFFFFF):
        assert nft.commit([add("a", ip(1))], other) == OVERTAKEN
    assert nft.generation() == now and read(nft, "a") == ours()
    assert nft.commit([add("a", ip(1))], now) == DONE
    assert nft.generation() == now + 1 and read(nft, "a") == ours(ip(1))


def test_a_transaction_that_had_to_wait_does_not_fill_another_set_under_the_name(lab: Lab, nft: Nft) -> None:
    """Single addresses in a set that has become one of ranges would be open ranges."""
    make(lab, a="type ipv4_addr;")
    log: List[str] = []
    model = Model(configuration("zones: {wan: {sets: {a: addresses}}}\nnftables: {table: inet t}\n" + WAN), Inventory())
    for event in (LinkSeen(1, "eth0", True), seen("10.0.0.1/24")):
        model.apply(model.inventory.apply(event))

    class Late(Nft):
        def commit(self, changes: Sequence[Change], generation: int = 0) -> Outcome:
            if not log:
                log.append("replaced")
                lab.nft("delete set inet t a; add set inet t a { type ipv4_addr; flags interval; }")
            return super().commit(changes, generation)

    with lab.inside():
        late = Late()
    with closing(late):
        Reconciler(Ruleset(late), model, lambda _level, line: log.append(line)).reconcile(0.0)
    assert log == ["replaced"]
    assert lab.comments("inet t", "a") == {"10.0.0.1": "netmgr"}


def test_nothing_to_do_is_not_sent(nft: Nft) -> None:
    nft.close()         # a send would be an OSError
    assert nft.commit([]) == nft.commit([add("a"), delete("b", form=RANGES)]) == DONE


def test_what_is_there_already_stays_as_it_is(lab: Lab, nft: Nft) -> None:
    make(lab, a='type ipv4_addr; elements = { 10.0.0.1, 10.0.0.2 comment "theirs" }')
    assert nft.commit([add("a", ip(1), ip(2), ip(3))]) == DONE
    generation = nft.generation()
    assert nft.commit([add("a", ip(1), ip(2), ip(3))]) == DONE
    assert nft.generation() == generation
    assert lab.comments("inet t", "a") == {"10.0.0.1": None, "10.0.0.2": "theirs", "10.0.0.3": "netmgr"}
    assert read(nft, "a") == Reading(Contents(frozenset([ip(3)]), NOTHING, frozenset([ip(1), ip(2)])), True)


@pytest.mark.parametrize(("release", "known"), [
    ("6.3", True), ("6.3.0-rc1", True), ("6.12.41+deb13-amd64", True), ("10.0", True), ("6.2.16-3-pve", False), ("5.14.0-427.el9", False),
    ("2.6.78", False), ("6", False), ("6.x", False), ("", False)])
def test_releases_that_can_destroy(release: str, known: bool) -> None:
    assert knows_destroy(release) == known


def test_a_missing_element_is_no_trouble_where_the_kernel_can_destroy(lab: Lab, nft: Nft) -> None:
    make(lab, a="type ipv4_addr; elements = { 10.0.0.1 }")
    generation = nft.generation()
    outcome = nft.commit([delete("a", ip(9))])
    assert outcome.known and outcome.committed == nft.destroys == nft.probe_destroy()
    assert nft.generation() == generation
    assert nft.commit([delete("a", ip(1))]) == DONE
    assert lab.sets("inet t", "a") == set()


def test_a_full_set_exchanges_its_members(lab: Lab, nft: Nft) -> None:
    make(lab, a="type ipv4_addr; size 3;", b="type ipv4_addr;")
    assert nft.commit([add("a", ip(1), ip(2), ip(3))]) == DONE
    assert nft.commit([ChangeElements(named("a"), PLAIN, [ip(1), ip(2)], [ip(4), ip(5)])]) == DONE
    assert read(nft, "a") == ours(ip(3), ip(4), ip(5))


def test_sets_with_counters_and_sets_that_rules_fill(lab: Lab, nft: Nft) -> None:
    make(lab, a="type ipv4_addr; counter;", b="type ipv4_addr; flags dynamic; size 100;",
         c="type ipv4_addr; flags dynamic,timeout; timeout 1d;")
    assert nft.commit([add("a", ip(1)), add("b", ip(1)), add("c", ip(1), form=TIMEOUT)]) == DONE
    assert 'counter packets 0 bytes 0 comment "netmgr"' in lab.run("nft list set inet t a")
    assert read(nft, "a") == read(nft, "b") == read(nft, "c") == ours(ip(1))


def test_ranges_come_move_and_go(lab: Lab, nft: Nft) -> None:
    make(lab, a="type ipv4_addr; flags interval;")
    top = b"\xf0\0\0\0" + TOP
    assert nft.commit([add("a", span(0, 255), span(256, 256), top, form=RANGES)]) == DONE
    assert lab.comments("inet t", "a") == {"10.0.0.0/24": "netmgr", "10.0.1.0": "netmgr", "240.0.0.0/4": "netmgr"}
    assert read(nft, "a") == ours(span(0, 255), span(256, 256), top)
    assert nft.commit([ChangeElements(named("a"), RANGES, [span(0, 255), top], [span(0, 99), b"\xf1\0\0\0" + TOP])]) == DONE
    assert lab.sets("inet t", "a") == {"10.0.0.0-10.0.0.99", "10.0.1.0", "241.0.0.0-255.255.255.255"}
    for there in (span(0, 99), span(0, 98), span(50, 99), span(200, 256)):
        (fault,) = nft.commit([add("a", span(512, 512), there, form=RANGES)]).faults
        assert (fault.errno, fault.position or 1) == (errno.EEXIST, 1), there
    assert nft.commit([delete("a", span(0, 99), b"\xf1\0\0\0" + TOP, span(256, 256), form=RANGES)]) == DONE
    assert read(nft, "a") == ours()


def test_ranges_that_nft_wrote_are_read(lab: Lab, nft: Nft) -> None:
    elements = '0.0.0.0/8, 10.0.0.0/24, 10.0.1.0/24 comment "netmgr", 192.0.2.1, 224.0.0.0/3'
    make(lab, a="type ipv4_addr; flags interval; elements = { %s }" % elements,
         b='type ifname; flags interval; elements = { eth0, "ppp*" }')
    assert read(nft, "a").contents == Contents(frozenset([span(256, 511)]), NOTHING, frozenset([
        bytes(4) + b"\0" + b"\xff" * 3, span(0, 255), b"\xc0\0\2\1" * 2, b"\xe0\0\0\0" + TOP]))
    assert read(nft, "b").contents.foreign == {interface("eth0") * 2, interface("ppp") + b"ppp" + b"\xff" * 13}
    assert read(nft, "a").verified and read(nft, "b").verified


def test_names_in_a_set_of_ranges(lab: Lab, nft: Nft) -> None:
    make(lab, a="type ifname; flags interval;")
    form = Form(IFNAME, interval=True)
    assert nft.commit([add("a", interface("eth0") * 2, interface("wg0") * 2, form=form)]) == DONE
    assert 'elements = { "eth0" comment "netmgr",' in lab.run("nft list set inet t a")
    lab.nft("delete element inet t a { eth0 }")
    assert read(nft, "a") == ours(interface("wg0") * 2)
    assert nft.commit([delete("a", interface("wg0") * 2, form=form)]) == DONE
    assert read(nft, "a") == ours()


def test_a_range_that_is_not_there_as_such_is_never_deleted_in_part(lab: Lab, nft: Nft) -> None:
    make(lab, a="type ipv4_addr; flags interval;")
    nft.commit([add("a", span(0, 255), span(256, 511), form=RANGES)])
    for absent in (span(0, 127), span(1, 255), span(256, 512)):
        outcome = nft.commit([delete("a", absent, form=RANGES)])
        assert not outcome.committed and outcome.known
        (fault,) = outcome.faults
        assert (fault.set, fault.errno, fault.operation, fault.position, fault.gone) == (named("a"), errno.ENOENT, "delete", 0, False)
    assert read(nft, "a") == ours(span(0, 255), span(256, 511))


def test_what_nft_has_merged_is_no_longer_ours(lab: Lab, nft: Nft) -> None:
    make(lab, a="type ipv4_addr; flags interval; auto-merge;")
    nft.commit([add("a", span(0, 255), form=RANGES)])
    lab.nft("add element inet t a { 10.0.1.0/24 }")
    assert read(nft, "a") == Reading(Contents(NOTHING, NOTHING, frozenset([span(0, 511)])), True)


def test_an_overlap_says_which(lab: Lab, nft: Nft) -> None:
    make(lab, a="type ipv4_addr; flags interval; elements = { 10.0.0.0/24 }")
    outcome = nft.commit([add("a", span(1000, 1000), b"\xf0\0\0\0" + TOP, span(100, 300), form=RANGES)])
    (fault,) = outcome.faults
    assert (fault.errno, fault.operation, fault.position, fault.reason) == (
        errno.EEXIST, "add", 2, "an element overlaps with one that is there")


@pytest.mark.parametrize("kind", [
    "type ipv4_addr; flags timeout; timeout 200ms;", "type ipv4_addr; flags dynamic,timeout; timeout 200ms; size 100;"])
def test_our_elements_outlive_the_sets_timeout(lab: Lab, nft: Nft, kind: str) -> None:
    make(lab, a=kind)
    assert nft.commit([add("a", ip(1), form=TIMEOUT)]) == DONE
    lab.nft("add element inet t a { 10.0.0.2 }")
    eventually(lambda: not read(nft, "a").contents.foreign)
    assert read(nft, "a") == ours(ip(1))


def test_our_ranges_outlive_the_sets_timeout_or_are_told_to_expire(lab: Lab, nft: Nft) -> None:
    make(lab, a="type ipv4_addr; flags interval,timeout; timeout 1h;", b="type ipv4_addr; flags interval,timeout; timeout 200ms;")
    form = Form(IPV4_ADDR, True, True)
    assert nft.commit([add("a", span(1, 9), ip(20) + TOP, form=form), add("b", span(1, 9), ip(20) + TOP, form=form)]) == DONE
    if read(nft, "a").contents.expiring:        # ends do, on old kernels
        assert read(nft, "a").contents.expiring == {span(1, 9)}
        return
    lab.nft("add element inet t b { 9.0.0.1 }")
    eventually(lambda: not read(nft, "b").contents.foreign)
    assert read(nft, "a") == read(nft, "b") == ours(span(1, 9), ip(20) + TOP)


def test_an_element_of_ours_that_would_expire_is_told_and_can_be_mended(lab: Lab, nft: Nft) -> None:
    elements = '10.0.0.1 timeout 1h comment "netmgr", 10.0.0.2 timeout 1h, 10.0.0.3 comment "netmgr"'
    make(lab, a="type ipv4_addr; flags timeout; elements = { %s }" % elements)
    assert read(nft, "a") == Reading(Contents(frozenset([ip(1), ip(3)]), frozenset([ip(1), ip(2)]), frozenset([ip(2)])), True)
    assert nft.commit([ChangeElements(named("a"), TIMEOUT, [ip(1)], [ip(1)])]) == DONE
    assert read(nft, "a").contents.expiring == {ip(2)}
