"""The text form of a transaction does to the kernel what the transaction does: nft reads it, netmgr reads back what it names."""

from typing import List

from netmgr.io.nft import Nft
from netmgr.values.sets import IFNAME, IPV4_ADDR, IPV6_ADDR, Change, ChangeElements, CreateSet, CreateTable, Form, SetName
from netmgr.wire import nft_text
from netmgr.wire.nft_text import element_list
from tests.kernel.lab import Lab
from tests.kernel.nftables import make, named, ours, read
from tests.nftables import PLAIN, RANGES, interface, ip, span

V6 = (0x20010DB8 << 96).to_bytes(16, "big")


def additions() -> List[ChangeElements]:
    return [
        ChangeElements(named("plain"), PLAIN, [], [ip(1), ip(2)]),
        ChangeElements(named("ranges"), RANGES, [], [span(0, 255), span(300, 300), span(400, 402)]),
        ChangeElements(named("names"), Form(IFNAME), [], [interface("eth0"), interface("wg-home.1")]),
        ChangeElements(named("six"), Form(IPV6_ADDR), [], [V6]),
    ]


def test_what_is_added_and_removed(lab: Lab, nft: Nft) -> None:
    make(lab, plain="type ipv4_addr;", ranges="type ipv4_addr; flags interval;", names="type ifname;", six="type ipv6_addr;")
    lab.nft("\n".join(nft_text.text(additions())))
    for change in additions():
        assert read(nft, change.set.name) == ours(*change.add)
    moved: List[Change] = [change._replace(delete=change.add[:1], add=[]) for change in additions()]
    lab.nft("\n".join(nft_text.text(moved)))
    for change in additions():
        assert read(nft, change.set.name) == ours(*change.add[1:])


def test_what_is_created(lab: Lab, nft: Nft) -> None:
    name = SetName("ip6", "filter", "wan_ips6")
    elements = ChangeElements(name, Form(IPV6_ADDR), [], [V6])
    lab.nft("\n".join(nft_text.text([CreateTable("ip6", "filter"), CreateSet(name, Form(IPV6_ADDR)), elements])))
    info = nft.inspect(name)
    assert info is not None
    assert nft.read(info) == ours(V6)


def test_elements_for_a_set_with_timeouts(lab: Lab, nft: Nft) -> None:
    """nft takes them; that they last is then up to netmgr, for not every nft says so to the kernel."""
    make(lab, temporary="type ipv4_addr; flags timeout; timeout 1h;")
    lab.nft("\n".join(nft_text.text([ChangeElements(named("temporary"), Form(IPV4_ADDR, timeout=True), [], [ip(1)])])))
    assert read(nft, "temporary").contents.ours == {ip(1)}


def test_names_of_interfaces_that_nft_takes_for_something_else(lab: Lab, nft: Nft) -> None:
    form, names = Form(IFNAME), ["eth0", "x*", "a b", "b*c", 'a"b', 'l"']
    listed = element_list(form, [*map(interface, names), b"l\xff".ljust(16, b"\0")])
    lab.nft("table inet t { set s { type ifname; elements = { %s }; }; }" % listed)
    assert read(nft, "s").contents.ours == set(map(interface, names[:4]))
