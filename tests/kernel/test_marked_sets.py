"""Looking for what bears netmgr's mark is done step by step, and closes no socket that it need not."""

from ipaddress import ip_address

from netmgr.io.marked_sets import marked_sets
from netmgr.io.nft import Nft
from netmgr.values.addresses import parse
from netmgr.values.sets import IPV4_ADDR, ChangeElements, Form, SetName
from tests.kernel.lab import Lab

SETS, ELEMENTS = 500, 20_000
AT_ONCE = 2000          # elements are in one datagram of a dump, or fewer


def test_neither_many_sets_nor_a_large_one_are_one_step(lab: Lab, nft: Nft) -> None:
    lab.nft("add table inet t; " + "".join("add set inet t s%d { type ipv4_addr; };" % number for number in range(SETS)))
    lab.nft("add element inet t s7 { %s }" % ", ".join(str(ip_address(0x0A000000 + number)) for number in range(ELEMENTS)))
    name = SetName("inet", "t", "s8")
    with lab.inside():
        assert nft.commit([ChangeElements(name, Form(IPV4_ADDR), [], [parse("192.0.2.1")[0]])], 0).committed
        steps = list(marked_sets(nft.spare, ()))
    assert [step for step in steps if step is not None] == [name]
    assert steps.count(None) > SETS + ELEMENTS // AT_ONCE
    assert len(nft.spare) == 1


def test_two_may_look_at_the_same_time(lab: Lab, nft: Nft) -> None:
    lab.nft("add table inet t; " + "".join("add set inet t s%d { type ipv4_addr; };" % number for number in range(SETS)))
    with lab.inside():
        first, other = (marked_sets(nft.spare, ()) for _each in range(2))
        assert [(next(first), next(other)) for _step in range(SETS // 2)] == [(None, None)] * (SETS // 2)
        assert {*first, *other} == {None}
    assert len(nft.spare) == 2


def test_a_large_set_is_not_read_to_its_end(lab: Lab, nft: Nft) -> None:
    name, elements = SetName("inet", "t", "s"), [(0x0A000000 + number).to_bytes(4, "big") for number in range(ELEMENTS)]
    lab.nft("add table inet t; add set inet t s { type ipv4_addr; }")
    with lab.inside():
        assert nft.commit([ChangeElements(name, Form(IPV4_ADDR), [], elements)], 0).committed
        steps = list(marked_sets(nft.spare, ()))
        assert steps == [None, name]
        assert list(marked_sets(nft.spare, ())) == steps
        assert list(marked_sets(nft.spare, {name})) == [None, None]
