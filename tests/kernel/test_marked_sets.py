"""Looking for what bears netmgr's mark is done step by step."""

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
        steps = list(marked_sets())
    assert [step for step in steps if step is not None] == [name]
    assert steps.count(None) > SETS + ELEMENTS // AT_ONCE
