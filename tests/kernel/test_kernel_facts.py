"""What netmgr takes for granted about nf_tables, asked of the kernel itself with nothing of netmgr's but the netlink framing.

Every test holds on all kernels that netmgr supports.  Where they differ, a test takes both ways, and this is which is whose:

                                                                5.10    6.1     6.12    6.18
    an element with a timeout of 0 never expires                yes     yes     yes     yes
    one that is there is made so by adding it again (6.12)      no      no      yes     yes
    the end of a range gets the set's default timeout           yes     no      no      no
    NFT_MSG_DESTROYSETELEM (6.3), else EINVAL                   no      no      yes     yes
    the end of a batch is acknowledged (6.10)                   no      no      yes     yes
    an error tells the offset of an element, and of a table     yes     yes     yes     yes
    an error tells the offset of a set's name                   no      no      yes     yes
    NFTA_SET_COUNT (6.18)                                       no      no      no      yes

An end that expires before its start leaves a range that is dumped as reaching to the top; the next insertion collects the end, and
from then on the set matches everything above.  The end's own timeout cannot be chosen.
"""

import errno
import random
import socket
from pathlib import Path
from typing import Iterator, List, Set, Tuple

import pytest

from netmgr.wire.netlink import NETLINK_ADD_MEMBERSHIP, NLM_F_EXCL, SOL_NETLINK, Ack, attributes
from tests.kernel.asking import (
    EXPIRATION,
    INTERVAL_END,
    NFNLGRP_NFTABLES,
    NFT_MSG_DESTROYSETELEM,
    NFT_MSG_GETGEN,
    NFTA_SET_COUNT,
    Kernel,
    Step,
    add,
    address,
    delete,
    element,
    generation,
    request_about,
    whole_range,
)
from tests.kernel.lab import Lab, kernel_pid
from tests.waiting import eventually

HOUR = 3600 * 1000
RANDOM_MOVES = 60

A, B, C = (socket.inet_aton("192.0.2.%d" % last) for last in (1, 2, 3))


@pytest.fixture
def kernel(lab: Lab) -> Iterator[Kernel]:
    lab.nft("""
        table inet t {
            set plain { type ipv4_addr; }
            set full { type ipv4_addr; size 2; elements = { 192.0.2.1, 192.0.2.2 } }
            set timed { type ipv4_addr; timeout 1h; }
            set untimed { type ipv4_addr; flags timeout; }
            set timed_ranges { type ipv4_addr; flags interval, timeout; timeout 1h; }
            set learned { type ipv4_addr; flags dynamic, timeout; timeout 1h; }
            set ranges { type ipv4_addr; flags interval; }
        }""")
    with lab.inside():
        kernel = Kernel()
    yield kernel
    kernel.socket.close()


@pytest.mark.parametrize("name", ["timed", "learned"])
def test_without_a_timeout_the_default_of_the_set_applies_and_with_0_none(kernel: Kernel, name: str) -> None:
    assert kernel.commit(add(name, element(A), element(B, timeout=0), element(C, timeout=HOUR // 2))) == {}
    assert {key for key, found in kernel.dump(name).items() if EXPIRATION in found} == {A, C}


def test_in_a_set_with_timeouts_but_no_default_elements_stay(kernel: Kernel) -> None:
    assert kernel.commit(add("untimed", element(A), element(B, timeout=0))) == {}
    assert [EXPIRATION in found for found in kernel.dump("untimed").values()] == [False, False]


def test_a_timeout_of_0_outlives_a_short_default(lab: Lab, kernel: Kernel) -> None:
    """By the kernel's own clock: the neighbour with the default is gone, and adding it again with EXCL succeeds."""
    lab.nft("table inet t { set short { type ipv4_addr; timeout 100ms; }; }")
    assert kernel.commit(add("short", element(A), element(B, timeout=0))) == {}
    eventually(lambda: A not in kernel.dump("short"))
    assert kernel.commit(add("short", element(A, timeout=HOUR), flags=NLM_F_EXCL)) == {}
    assert sorted(kernel.dump("short")) == [A, B]


def test_a_range_with_a_timeout_of_0_does_not_expire_but_its_end_may(kernel: Kernel) -> None:
    _start, end = whole_range(0, 256)
    assert kernel.commit(add("timed_ranges", element(address(0), timeout=0), end, *whole_range(512, 768))) == {}
    assert kernel.ranges("timed_ranges") == {(0, 256), (512, 768)}
    expiring = {key for key, found in kernel.elements("timed_ranges") if EXPIRATION in found}
    assert expiring in ({address(512)}, {address(512), address(256), address(768)})


def test_the_end_of_a_range_cannot_have_a_timeout_of_its_own(kernel: Kernel) -> None:
    end = element(address(256), INTERVAL_END, timeout=0)
    assert kernel.commit(add("timed_ranges", element(address(0), timeout=0), end)) == {1: errno.EINVAL}
    assert kernel.ranges("timed_ranges") == set()


def test_adding_an_expiring_element_again_is_no_error_whatever_it_changes(kernel: Kernel) -> None:
    assert kernel.commit(add("timed", element(A))) == {}
    assert kernel.commit(add("timed", element(A, timeout=0))) == {}
    assert list(kernel.dump("timed")) == [A]


@pytest.mark.parametrize("name", ["timed", "learned", "untimed"])
def test_an_expiring_element_is_made_to_stay_by_delete_and_add_in_one_batch(kernel: Kernel, name: str) -> None:
    assert kernel.commit(add(name, element(A, timeout=HOUR))) == {}
    assert EXPIRATION in kernel.dump(name)[A]
    assert kernel.commit(delete(name, element(A)), add(name, element(A, timeout=0))) == {}
    assert EXPIRATION not in kernel.dump(name)[A]


def test_an_expiring_range_is_made_to_stay_by_delete_and_add_in_one_batch(kernel: Kernel) -> None:
    start, end = whole_range(0, 256)
    assert kernel.commit(add("timed_ranges", start, end)) == {}
    assert kernel.commit(delete("timed_ranges", start, end), add("timed_ranges", element(address(0), timeout=0), end)) == {}
    assert kernel.ranges("timed_ranges") == {(0, 256)}
    assert EXPIRATION not in kernel.dump("timed_ranges")[address(0)]


def test_a_timeout_where_there_are_none_is_refused(kernel: Kernel) -> None:
    assert kernel.commit(add("plain", element(A, timeout=0))) == {1: errno.EINVAL}


def test_destroying_a_missing_element_is_no_error_or_the_message_is_unknown(kernel: Kernel) -> None:
    """What a missing set is answered with tells which; nothing is committed by asking."""
    known = kernel.commit(Step(NFT_MSG_DESTROYSETELEM, "none", [element(A)])) == {1: errno.ENOENT}
    expected = {} if known else {1: errno.EINVAL}
    assert kernel.commit(Step(NFT_MSG_DESTROYSETELEM, "full", [element(A), element(C)])) == expected
    assert sorted(kernel.dump("full")) == ([B] if known else [A, B])


def test_an_unknown_message_aborts_the_batch(kernel: Kernel) -> None:
    assert kernel.commit(add("plain", element(A)), Step(200, "plain", [element(A)])) == {2: errno.EINVAL}
    assert kernel.dump("plain") == {}


def test_a_commit_is_acknowledged_at_its_end_or_in_silence(kernel: Kernel) -> None:
    """An empty batch tells which, and commits nothing."""
    before = kernel.generation()
    acknowledged = kernel.answers()
    assert acknowledged in ({}, {-1: Ack(0, "", 0)})
    assert kernel.generation() == before
    assert kernel.answers(add("plain", element(A))) == acknowledged
    assert list(kernel.dump("plain")) == [A]


def test_an_aborted_batch_has_its_errors_and_no_acknowledgement(kernel: Kernel) -> None:
    answers = kernel.answers(add("plain", element(A)), delete("plain", element(B)), add("none", element(C)))
    assert {position: ack.errno for position, ack in answers.items()} == {2: errno.ENOENT, 3: errno.ENOENT}
    assert kernel.dump("plain") == {}


def test_an_error_points_at_the_element_and_at_the_missing_set_if_at_all(kernel: Kernel) -> None:
    """From the begin of the message: 20 bytes of headers, 8 of the table's name, 12 of the set's, 4 of the list, 16 an element.

    So ENOENT without an offset into the list means that there is no such set or table.
    """
    elements = [element(key) for key in (A, B, C)]
    assert kernel.commit(add("plain", elements[0])) == {}
    answers = kernel.answers(delete("plain", *elements), delete("none", *elements))
    assert (answers[1].errno, answers[1].offset) == (errno.ENOENT, 20 + 8 + 12 + 4 + 16)
    assert answers[2].errno == errno.ENOENT
    assert answers[2].offset in (0, 20 + 8)


def test_deletes_before_adds_exchange_the_members_of_a_full_set(kernel: Kernel) -> None:
    assert kernel.commit(add("full", element(C))) == {1: errno.ENFILE}
    assert kernel.commit(delete("full", element(A)), add("full", element(C))) == {}
    assert sorted(kernel.dump("full")) == [B, C]


def test_adding_what_is_there_changes_nothing_not_even_the_generation(kernel: Kernel) -> None:
    assert kernel.commit(add("plain", element(A))) == {}
    before = kernel.generation()
    assert kernel.commit(add("plain", element(A))) == {}
    assert kernel.commit() == {}
    assert kernel.commit(delete("plain", element(B))) == {1: errno.ENOENT}
    assert kernel.generation() == before


def test_a_new_generation_names_socket_process_and_program(lab: Lab, kernel: Kernel) -> None:
    pid = kernel_pid()
    with lab.inside():
        listener = Kernel()
    listener.socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTABLES)
    assert kernel.commit(add("plain", element(A))) == {}
    last = list(listener.exchange(request_about(Step(NFT_MSG_GETGEN, "", ()))))[-2]
    found = attributes(last.payload[4:])
    assert last.portid == kernel.socket.getsockname()[0]
    assert (generation(last), int.from_bytes(found[2], "big")) == (kernel.generation(), pid)
    assert bytes(found[3]).rstrip(b"\0").decode() == Path("/proc/self/comm").read_text().rstrip()
    listener.socket.close()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([(0, 256)], [(0, 512)]),
        ([(0, 512)], [(0, 256)]),
        ([(256, 512)], [(0, 512)]),
        ([(0, 512)], [(256, 512)]),
        ([(0, 256), (256, 512)], [(0, 512)]),
        ([(0, 512)], [(0, 256), (256, 512)]),
        ([(0, 256), (512, 768)], [(128, 640)]),
        ([(0, 1024)], [(256, 257)]),
    ],
)
def test_ranges_move_in_one_batch(kernel: Kernel, before: List[Tuple[int, int]], after: List[Tuple[int, int]]) -> None:
    old, new = ([part for one in ranges for part in whole_range(*one)] for ranges in (before, after))
    assert kernel.commit(add("ranges", *old)) == {}
    assert kernel.commit(delete("ranges", *old), add("ranges", *new)) == {}
    assert kernel.ranges("ranges") == set(after)


def test_ranges_follow_any_move(kernel: Kernel) -> None:
    """Only what differs is deleted and added, as netmgr does it."""
    chance = random.Random(6)
    present: Set[Tuple[int, int]] = set()
    for _ in range(RANDOM_MOVES):
        cuts = sorted(chance.sample(range(1, 200), 2 * chance.randrange(1, 12)))
        wanted = set(zip(cuts[0::2], cuts[1::2])) | set(chance.sample(sorted(present), len(present) // 2))
        wanted = disjoint(wanted)
        gone, come = (shuffled(chance, ranges) for ranges in (present - wanted, wanted - present))
        steps = [step for step in (delete("ranges", *gone), add("ranges", *come)) if step.elements]
        assert kernel.commit(*steps) == {}, (present, wanted)
        assert kernel.ranges("ranges") == wanted
        present = wanted


def shuffled(chance: random.Random, ranges: Set[Tuple[int, int]]) -> List[bytes]:
    return [part for one in chance.sample(sorted(ranges), len(ranges)) for part in whole_range(*one)]


def disjoint(ranges: Set[Tuple[int, int]]) -> Set[Tuple[int, int]]:
    kept: List[Tuple[int, int]] = []
    for first, end in sorted(ranges):
        if not kept or kept[-1][1] <= first:
            kept.append((first, end))
    return set(kept)


def test_overlapping_ranges_are_refused_and_the_same_range_is_not(kernel: Kernel) -> None:
    assert kernel.commit(add("ranges", *whole_range(0, 256))) == {}
    assert kernel.commit(add("ranges", *whole_range(0, 256))) == {}
    for overlapping in (whole_range(0, 128), whole_range(128, 512), whole_range(16, 32), whole_range(0, 512)):
        assert kernel.commit(add("ranges", *overlapping)) == {1: errno.EEXIST}
    assert kernel.ranges("ranges") == {(0, 256)}


def test_a_set_counts_its_elements_if_at_all(kernel: Kernel) -> None:
    found = kernel.set_attributes("full").get(NFTA_SET_COUNT)
    assert found is None or int.from_bytes(found, "big") == 2
