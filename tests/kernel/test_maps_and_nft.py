"""Maps and concatenations beside nft of each release: what is saved loads elsewhere, and include files load with the ruleset, also beside
elements of others."""

from typing import Dict, Set, Tuple

import pytest

from netmgr.io.nft import Nft
from netmgr.values.sets import ChangeElements, Form
from tests.kernel.lab import Lab
from tests.kernel.nftables import DONE, named, read
from tests.kernel.running import Netmgr
from tests.kernel.test_compositions import TWO, listed, two
from tests.kernel.test_keys_and_maps import CHAINS, creations
from tests.keys import element
from tests.nft_program import Program, programs
from tests.test_nft_keys import CASES
from tests.waiting import eventually

__all__ = ["two"]

PROGRAMS = pytest.mark.parametrize("program", programs(), ids=lambda program: program.name)


@PROGRAMS
@pytest.mark.parametrize(("form", "elements"), CASES)
def test_a_saved_ruleset_loads_elsewhere(lab: Lab, nft: Nft, program: Program, form: Form, elements: Tuple[str, ...]) -> None:
    form = form._replace(timeout=False)         # what is left of a time changes while one looks
    lab.nft("table inet t { %s }" % CHAINS)
    keys = [element(form, each) for each in elements]
    assert nft.commit([*creations(form), ChangeElements(named("s"), form, (), keys)]) == DONE
    saved = lab.run([*program.nft, "list", "ruleset"])
    assert saved.count('comment "netmgr"') == len(elements)
    with Lab() as elsewhere:
        elsewhere.run([*program.nft, "-f", "-"], saved)
        assert elsewhere.run([*program.nft, "list", "ruleset"]) == saved
        with elsewhere.inside():
            other = Nft()
        assert read(other, "s") == read(nft, "s")
        other.close()


MAPS = {
    "marks": ("map", "type ifname : mark", '"eth1" : 0x9'),
    "nets": ("map", "type ipv4_addr : mark; flags interval", "10.0.0.0/17 : 0x9"),
    "boxes": ("map", "type ifname . ipv4_addr : mark; flags interval", '"eth1" . 10.0.128.0/17 : 0x9'),
    "outside": ("map", "type ifname : ipv4_addr", '"eth1" : 10.9.9.9'),
    "pairs": ("set", "type ifname . ipv4_addr", '"eth1" . 10.0.0.1'),
    "spans": ("set", "type ifname . ipv4_addr; flags interval", '"eth1" . 10.0.0.0-10.0.0.9'),
}
HOLDS = """
      marks: {holds: interfaces, mark: %d}
      nets: {holds: networks, mark: %d}
      boxes: {holds: [interfaces, networks], mark: %d}
      outside: {holds: interfaces, value: address}
      pairs: {holds: [interfaces, addresses]}
      spans: {holds: [interfaces, networks]}
"""
CONFIG = TWO + "zones:\n" + "".join("  %s:\n    sets:%s" % (zone, HOLDS % (mark, mark, mark)) for zone, mark in (("wan", 1), ("lan", 2)))


def everything(lab: Lab, program: Program) -> Dict[str, Set[str]]:
    """What that nft lists: another cannot list all that it has made."""
    return {name: listed(lab, name, MAPS[name][0], nft=program.nft) for name in MAPS}


@PROGRAMS
@pytest.mark.parametrize("beside", [False, True])
def test_include_files_load_with_the_ruleset_first_and_again(two: Lab, program: Program, beside: bool) -> None:
    netmgr = Netmgr(two, CONFIG, start=False)
    blocks = ['%s %s {\n %s\n include "%s/inet.filter.%s[.]nft"\n}\n' % (kind, name, type_.replace("; ", "\n "), netmgr.includes, name)
              for name, (kind, type_, _foreign) in MAPS.items()]
    others = ["add element inet filter %s { %s }\n" % (name, foreign) for name, (_kind, _type, foreign) in MAPS.items() if beside]
    ruleset = "table inet filter {\n%s}\n%s" % ("".join(blocks), "".join(others))

    def load(text: str) -> None:
        two.run([*program.nft, "-f", "-"], text)

    load(ruleset)
    netmgr.start()
    eventually(lambda: '"eth0" . 192.0.2.0/24' in listed(two, "spans", nft=program.nft))
    wanted = everything(two, program)
    assert all(len(elements) >= 2 for elements in wanted.values())
    for text in (ruleset, "flush ruleset\n" + ruleset):
        load(text)
        eventually(lambda: everything(two, program) == wanted)
    own = {name: (netmgr.includes / ("inet.filter.%s.nft" % name)).read_text() for name in MAPS}
    assert all("192.0.2" in own[name] or "eth0" in own[name] for name in MAPS)
    netmgr.kill()
    load("flush ruleset\n" + ruleset)
    assert everything(two, program) == wanted, "from the files alone"
    load(ruleset)
    assert everything(two, program) == wanted
    netmgr.start()
    assert everything(two, program) == wanted
    two.run("ip addr del 192.0.2.1/24 dev eth0")
    eventually(lambda: '"eth0" . 192.0.2.0/24' not in listed(two, "spans", nft=program.nft))
    load(ruleset)
