"""What the kernel refuses, and what we make of it."""

import errno
import os
import socket
import sys
from contextlib import closing
from pathlib import Path
from typing import List, Tuple

import pytest

from netmgr.io.nft import Nft
from netmgr.io.nft_socket import Netfilter
from netmgr.values.outcomes import Outcome
from netmgr.values.sets import IPV4_ADDR, ChangeElements, CreateSet, Form, SetName
from netmgr.wire.netlink import attribute, request
from netmgr.wire.nft import NFT_MSG_NEWSET, NFT_MSG_NEWTABLE
from netmgr.wire.nft_answers import Part, accepts
from netmgr.wire.nft_write import transaction
from tests.kernel.lab import Lab
from tests.kernel.nftables import DONE, add, delete, make, named, ours, read
from tests.nftables import PLAIN, ip


def test_a_full_set_tells_how_many_fit_and_every_trouble_is_told_at_once(lab: Lab, nft: Nft) -> None:
    make(lab, full="type ipv4_addr; size 3; elements = { 10.0.0.9 }", good="type ipv4_addr;", six="type ipv6_addr;")
    outcome = nft.commit([
        add("good", ip(1)), add("full", *map(ip, range(5))), add("none", ip(1)), delete("none", ip(1)), add("six", ip(1))])
    assert not outcome.committed and outcome.known
    assert {(fault.set, fault.errno, fault.operation, fault.position, fault.gone) for fault in outcome.faults} == {
        (named("full"), errno.ENFILE, "add", 2, False),
        (named("none"), errno.ENOENT, "add", None, True),
        (named("none"), errno.ENOENT, "delete", None, True),
        (named("six"), errno.EINVAL, "add", 0, False)}
    assert lab.sets("inet t", "good") == set()


def test_a_set_that_is_full_only_in_a_later_message(lab: Lab, nft: Nft) -> None:
    make(lab, full="type ipv4_addr; size 5000;")
    outcome = nft.commit([add("full", *[ip(number) for number in range(9000)])])
    assert [(fault.errno, fault.position) for fault in outcome.faults] == [(errno.ENFILE, 5000)]


def test_missing_tables_and_sets_are_gone(lab: Lab, nft: Nft) -> None:
    make(lab, a="type ipv4_addr;")
    for name in (SetName("inet", "none", "a"), SetName("ip", "t", "a"), named("none")):
        assert nft.inspect(name) is None
        (fault,) = nft.commit([ChangeElements(name, PLAIN, (), [ip(1)])]).faults
        assert fault.set == name and fault.gone
    (fault,) = nft.commit([CreateSet(SetName("inet", "none", "a"), Form(IPV4_ADDR))]).faults
    assert fault.gone and fault.reason == "the table is missing"


@pytest.mark.parametrize("name", ["", "x" * 255, "x" * 256, "x" * 100000, "a\0b", "a", "ä", "\udcff", "a b"])
def test_odd_names_are_missing_and_no_trouble(lab: Lab, nft: Nft, name: str) -> None:
    make(lab, b="type ipv4_addr;")
    assert nft.inspect(SetName("inet", "t", name)) is None
    assert nft.inspect(SetName("inet", name, "b")) is None


def test_a_constant_set_in_use(lab: Lab, nft: Nft) -> None:
    make(lab, a="type ipv4_addr; flags constant; elements = { 10.0.0.1 }")
    lab.nft("table inet t { chain c { ip saddr @a accept; }; }")
    (fault,) = nft.commit([add("a", ip(2))]).faults
    assert (fault.errno, fault.reason) == (errno.EBUSY, "the set is in use and constant")


def test_the_table_of_another_program(lab: Lab, nft: Nft) -> None:
    with lab.inside(), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12) as owner:
        owner.bind((0, 0))
        table, number = b"\1\0\0\0" + attribute(1, b"t\0"), (7).to_bytes(4, "big")
        described = attribute(2, b"a\0") + attribute(4, number) + attribute(5, (4).to_bytes(4, "big")) + attribute(10, number)
        messages = [(NFT_MSG_NEWTABLE, table + attribute(2, (2).to_bytes(4, "big"))), (NFT_MSG_NEWSET, table + described)]
        parts = [Part(request(10 << 8 | kind, 0x400, 5, payload), None, "", 0) for kind, payload in messages]
        owner.send(transaction(4, parts, 6))
        known = nft.inspect(named("a")) is not None     # kernels before 5.12 know no such tables, and made none
        refusal, reason = (errno.EPERM, "not permitted: the table belongs to another program") if known else (errno.ENOENT, "missing")
        for change in (add("a", ip(1)), CreateSet(named("b"), Form(IPV4_ADDR))):
            (fault,) = nft.commit([change]).faults
            assert fault.errno == refusal and reason in fault.reason and fault.set is not None


def test_answers_that_were_lost_leave_the_outcome_open(lab: Lab, nft: Nft) -> None:
    make(lab, a="type ipv4_addr;")
    receiver = socket.socket(fileno=os.dup(nft.netfilter.fileno()))
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    outcome = nft.commit([add("none%d" % number, ip(1)) for number in range(20)])
    assert not outcome.committed and not outcome.known and outcome.faults
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    receiver.close()
    assert nft.commit([add("a", ip(1))]) == DONE
    assert read(nft, "a") == ours(ip(1))


def test_a_user_namespace_may_not_force_buffers(lab: Lab) -> None:
    limit = int(Path("/proc/sys/net/core/wmem_max").read_text()) * 2
    program = """
from netmgr.io.nft_socket import Netfilter
from netmgr.io.nft import Nft
from netmgr.values.sets import *
nft, name, form = Nft(), SetName("inet", "t", "a"), Form(IPV4_ADDR)
elements = [number.to_bytes(4, "big") for number in range(%d)]
assert nft.commit([CreateTable("inet", "t"), CreateSet(name, Form(IPV4_ADDR))]).committed
before = nft.generation()
assert nft.commit([ChangeElements(name, form, (), elements)]).committed
assert nft.read(nft.inspect(name)).contents.ours == set(elements)
assert nft.commit([ChangeElements(name, form, elements[1:], elements[:1])]).committed
assert nft.read(nft.inspect(name)).contents.ours == set(elements[:1])
print(nft.generation() - before)
""" % (limit // 32 + 5000)
    printed = lab.run(["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", program])
    assert int(printed) >= 3


def test_without_the_capability(lab: Lab) -> None:
    program = "from netmgr.io.nft import Nft, Watch\nfor kind in (Nft, Watch):\n try: kind()\n except PermissionError: print('refused')"
    printed = lab.run(["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin", sys.executable, "-c", program])
    assert printed.split() == ["refused", "refused"]


class Silent(Netfilter):
    """The kernel's answers as before 6.10: no acknowledgement, only errors."""

    def exchange(self, data: bytes, last: int, stand_aside: bool = False) -> Tuple[List[bytes], bool]:
        found, overrun = super().exchange(data, last, stand_aside)
        return [each for each in found if not accepts(each, last)], overrun


def test_a_kernel_that_acknowledges_nothing_is_believed_when_it_answers(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    make(lab, a="type ipv4_addr;")
    monkeypatch.setattr("netmgr.io.nft.Netfilter", Silent)
    with lab.inside(), closing(Nft()) as nft:
        assert nft.commit([add("a", ip(1))]) == DONE
        assert nft.commit([add("none", ip(1))]).faults[0].gone
        assert read(nft, "a") == ours(ip(1))


def test_a_kernel_that_acknowledges_is_not_believed_when_it_does_not(lab: Lab, nft: Nft, monkeypatch: pytest.MonkeyPatch) -> None:
    make(lab, a="type ipv4_addr;")
    assert nft.commit([add("a", ip(1))]) == DONE
    monkeypatch.setattr(nft.netfilter, "exchange", lambda _data, _last, **_aside: ([], False))
    assert nft.commit([add("a", ip(2))]) == Outcome(False, False, ())


def test_a_kernel_without_destroy_says_what_is_not_there(lab: Lab, nft: Nft, monkeypatch: pytest.MonkeyPatch) -> None:
    make(lab, a="type ipv4_addr; elements = { 10.0.0.1, 10.0.0.2 }")
    monkeypatch.setattr(nft, "destroys", False)
    (fault,) = nft.commit([delete("a", ip(1), ip(9))]).faults
    assert (fault.errno, fault.operation, fault.gone) == (errno.ENOENT, "delete", False)
    assert fault.position in (1, None)          # None: before 5.19
    assert nft.commit([delete("a", ip(1), ip(2))]) == DONE
    assert lab.sets("inet t", "a") == set()
