"""Concatenations and maps that a running netmgr fills, on the real kernel."""

import json
import signal
from typing import Dict, List, Sequence, Set

import pytest

from tests.kernel.lab import Lab
from tests.kernel.running import Netmgr
from tests.waiting import eventually

TWO = """
interfaces:
  - {name: eth0, nftables_zone: wan}
  - {name: eth1, nftables_zone: lan}
docker: {enabled: false}
"""


def listed(lab: Lab, name: str, kind: str = "set", table: str = "inet filter", nft: Sequence[str] = ("nft",)) -> Set[str]:
    """The elements as nft writes them, without comments and timeouts; none where there is no such set."""
    text = " ".join(lab.run([*nft, "list", kind, *table.split(), name], check=False).split())
    inside = text.partition("elements = { ")[2].partition(" }")[0]
    return {item.replace(' comment "netmgr"', "") for item in inside.split(", ") if item}


def ruleset(*objects: str) -> str:
    return "table inet filter {\n%s\n}\n" % "\n".join(objects)


@pytest.fixture
def two(lab: Lab) -> Lab:
    for name, address in (("eth0", "192.0.2.1/24"), ("eth1", "10.0.0.1/16")):
        lab.link(name)
        lab.run("ip addr add %s dev %s" % (address, name))
    return lab


def start(lab: Lab, sets: str) -> Netmgr:
    return Netmgr(lab, TWO + "zones:\n" + sets)


def include(netmgr: Netmgr, name: str) -> str:
    return (netmgr.includes / ("inet.filter.%s.nft" % name)).read_text()


PAIRS = """
  wan: {sets: {pairs: {holds: [interfaces, addresses]}, nets: {holds: [interfaces, networks]}}}
  lan: {sets: {pairs: {holds: [interfaces, addresses]}, nets: {holds: [interfaces, networks]}}}
"""


def test_an_interface_with_its_own_addresses_and_networks(two: Lab) -> None:
    objects = ["set pairs { type ifname . ipv4_addr\n}", "set nets { type ifname . ipv4_addr; flags interval\n}"]
    two.nft(ruleset(*objects))
    netmgr = start(two, PAIRS)
    eventually(lambda: listed(two, "pairs") == {'"eth0" . 192.0.2.1', '"eth1" . 10.0.0.1'})
    eventually(lambda: listed(two, "nets") == {'"eth0" . 192.0.2.0/24', '"eth1" . 10.0.0.0/16'})
    two.run("ip addr add 192.0.3.1/24 dev eth0")
    two.run("ip addr add 10.0.9.1/24 dev eth1")         # inside what is there
    two.run("ip addr del 192.0.2.1/24 dev eth0")
    eventually(lambda: listed(two, "nets") == {'"eth0" . 192.0.3.0/24', '"eth1" . 10.0.0.0/16'})
    eventually(lambda: listed(two, "pairs") == {'"eth0" . 192.0.3.1', '"eth1" . 10.0.0.1', '"eth1" . 10.0.9.1'})
    two.run("ip addr add 192.0.2.1/24 dev eth0")        # its neighbour makes a /23 of the two
    eventually(lambda: listed(two, "nets") == {'"eth0" . 192.0.2.0/23', '"eth1" . 10.0.0.0/16'})
    two.nft("flush ruleset\n" + ruleset(*objects))
    eventually(lambda: listed(two, "nets") == {'"eth0" . 192.0.2.0/23', '"eth1" . 10.0.0.0/16'})
    eventually(lambda: '"eth0" . 192.0.2.1 comment "netmgr"' in include(netmgr, "pairs"))
    explained = netmgr.ask("explain 10.0.9.1")
    assert '"eth1" . 10.0.9.1' in explained and '"eth1" . 10.0.9.0/24' in explained
    two.run("ip link set eth1 down")
    two.run("ip link set eth1 name lan0")
    eventually(lambda: listed(two, "pairs") == {'"eth0" . 192.0.3.1', '"eth0" . 192.0.2.1'})


def test_what_another_has_put_beside_it_stays(two: Lab) -> None:
    two.nft(ruleset('set nets { type ifname . ipv4_addr; flags interval\n elements = { "eth1" . 10.0.0.0/17, "eth9" . 10.0.0.0/8 }\n}'))
    start(two, PAIRS)
    eventually(lambda: listed(two, "nets") == {
        '"eth0" . 192.0.2.0/24', '"eth1" . 10.0.0.0/17', '"eth1" . 10.0.128.0/17', '"eth9" . 10.0.0.0/8'})
    two.run("ip addr del 10.0.0.1/16 dev eth1")
    eventually(lambda: listed(two, "nets") == {'"eth0" . 192.0.2.0/24', '"eth1" . 10.0.0.0/17', '"eth9" . 10.0.0.0/8'})


VERDICTS = """
  wan: {sets: {zones: {holds: interfaces, verdict: jump wan}}}
  lan: {sets: {zones: {holds: interfaces, verdict: jump lan}}}
"""


def problems(netmgr: Netmgr) -> List[str]:
    return [each["error"] for each in json.loads(netmgr.ask("status json"))["sets"] if each["error"]]


def test_a_chain_that_is_missing_is_an_error_of_its_set_until_it_is_there(two: Lab) -> None:
    two.nft(ruleset("chain wan { }", "map zones { type ifname : verdict\n}"))
    netmgr = start(two, VERDICTS)
    eventually(lambda: listed(two, "zones", "map") == {'"eth0" : jump wan'})
    eventually(lambda: problems(netmgr) == ["there is no chain lan in its table"])
    two.nft("add chain inet filter lan")
    eventually(lambda: listed(two, "zones", "map") == {'"eth0" : jump wan', '"eth1" : jump lan'})
    eventually(lambda: problems(netmgr) == [])
    assert include(netmgr, "zones") == ""


def warnings(netmgr: Netmgr) -> Dict[str, str]:
    return {each["name"]: each["warning"] for each in json.loads(netmgr.ask("status json"))["sets"] if each["warning"]}


def test_the_first_entry_has_the_key_and_a_key_of_anothers_is_left_alone(two: Lab) -> None:
    two.nft(ruleset('map marks { type ifname : mark\n elements = { "eth1" : 9 }\n}'))
    config = """
  wan: {sets: {marks: {holds: interfaces, mark: 0x10}}}
  lan: {sets: {marks: {holds: interfaces, mark: 0x20}}}
"""
    netmgr = Netmgr(two, TWO.replace("docker:", "  - {name: 'eth*', nftables_zone: lan}\ndocker:") + "zones:" + config)
    eventually(lambda: listed(two, "marks", "map") == {'"eth0" : 0x00000010', '"eth1" : 0x00000009'})
    said = '"eth0" has the value 0x00000010, and 0x00000020 is claimed for it, too; 1 key more like it'
    eventually(lambda: warnings(netmgr) == {"marks": said})
    two.nft('delete element inet filter marks { "eth1" }')
    eventually(lambda: listed(two, "marks", "map") == {'"eth0" : 0x00000010', '"eth1" : 0x00000020'})
    assert "conflict" in netmgr.ask("explain eth0 json")


def test_the_primary_address_is_the_value(two: Lab) -> None:
    two.nft(ruleset("map outside { type ifname : ipv4_addr\n}", "map outside6 { type ifname : ipv6_addr\n}"))
    two.run("ip addr add 2001:db8::1/64 dev eth0 nodad")
    sets = "{sets: {outside: {holds: interfaces, value: address}, outside6: {holds: interfaces, value: address}}}"
    netmgr = start(two, "  wan: " + sets)
    eventually(lambda: listed(two, "outside", "map") == {'"eth0" : 192.0.2.1'})
    eventually(lambda: listed(two, "outside6", "map") == {'"eth0" : 2001:db8::1'})
    two.run("ip addr add 192.0.2.9/24 dev eth0")            # secondary
    two.run("ip addr add 198.51.100.1/24 dev eth0")
    two.run("ip addr del 2001:db8::1/64 dev eth0")
    eventually(lambda: listed(two, "outside6", "map") == set())
    assert listed(two, "outside", "map") == {'"eth0" : 192.0.2.1'}
    two.run("ip addr flush dev eth0 to 192.0.2.0/24")
    eventually(lambda: listed(two, "outside", "map") == {'"eth0" : 198.51.100.1'})
    assert '"eth0" : 198.51.100.1' in netmgr.ask("explain eth0")


def test_an_address_that_went_and_came_unseen_is_the_last(two: Lab) -> None:
    two.nft(ruleset("map outside { type ifname : ipv4_addr\n}"))
    two.run("ip addr add 198.51.100.1/24 dev eth0")
    netmgr = start(two, "  wan: {sets: {outside: {holds: interfaces, value: address}}}")
    eventually(lambda: listed(two, "outside", "map") == {'"eth0" : 192.0.2.1'})
    assert netmgr.process is not None
    netmgr.process.send_signal(signal.SIGSTOP)
    two.run("ip addr del 192.0.2.1/24 dev eth0")
    two.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr.process.send_signal(signal.SIGCONT)
    eventually(lambda: listed(two, "outside", "map") == {'"eth0" : 198.51.100.1'})


def test_the_kernels_order_says_which_ipv6_address_is_the_first(two: Lab) -> None:
    two.nft(ruleset("map outside { type ifname : ipv6_addr\n}"))
    for number in (1, 2):
        two.run("ip addr add 2001:db8::%d/64 dev eth0 nodad" % number)
    netmgr = start(two, "  wan: {sets: {outside: {holds: interfaces, value: address}}}")
    for number in (3, 4):
        first = next(each["local"] for link in two.addresses() for each in link["addr_info"]
                     if link["ifname"] == "eth0" and each["family"] == "inet6")
        eventually(lambda first=first: listed(two, "outside", "map") == {'"eth0" : %s' % first})    # type: ignore[misc]
        netmgr.restart()
        eventually(lambda first=first: listed(two, "outside", "map") == {'"eth0" : %s' % first})    # type: ignore[misc]
        two.run("ip addr add 2001:db8::%d/64 dev eth0 nodad" % number)
    eventually(lambda: listed(two, "outside", "map") == {'"eth0" : 2001:db8::4'})


def test_sets_and_maps_are_made_as_the_configuration_says(two: Lab) -> None:
    config = """
nftables: {create: true}
zones:
  wan:
    convention: false
    sets:
      own: {holds: [interfaces, networks], type: ifname . ipv4_addr, flags: [interval]}
      zones: {holds: interfaces, verdict: accept, type: "ifname : verdict"}
      marks: {holds: addresses, mark: 7, type: "ipv4_addr : mark"}
"""
    Netmgr(two, TWO + config)
    eventually(lambda: listed(two, "own") == {'"eth0" . 192.0.2.0/24'})
    assert listed(two, "zones", "map") == {'"eth0" : accept'}
    assert listed(two, "marks", "map") == {"192.0.2.1 : 0x00000007"}
    saved = two.ruleset()
    two.nft("flush ruleset\n" + saved)
    assert listed(two, "own") == {'"eth0" . 192.0.2.0/24'}
