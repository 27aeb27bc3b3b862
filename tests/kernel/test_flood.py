"""Others commit without a pause: nothing that was read is verified, and what is told of it never ends; the sets are right all the same."""

import os
import sys

from netmgr.io.loop import Loop
from netmgr.io.nft import RECEIVES_AT_MOST, Nft, Watch
from netmgr.io.ruleset import RulesetEvents
from tests.kernel.lab import Lab
from tests.kernel.nftables import add, make
from tests.kernel.running import ROOT, Netmgr
from tests.nftables import ip
from tests.waiting import eventually

ZONES = 60
CONFIG = """
interfaces:
  - {name: eth0, nftables_zone: wan}
  - {name: eth1, nftables_zone: [%s]}
docker: {enabled: false}
""" % ", ".join("z%d" % number for number in range(ZONES))
FOREIGN = ", ".join("100.64.%d.%d" % (number >> 8, number & 255) for number in range(1000))


def test_the_sets_follow_and_are_repaired_while_others_commit(lab: Lab) -> None:
    for name, address in (("eth0", "192.0.2.1/24"), ("eth1", "198.51.100.1/24")):
        lab.link(name)
        lab.run("ip addr add %s dev %s" % (address, name))
    sets = "".join("set z%d_ips { type ipv4_addr; elements = { %s }; }\n" % (number, FOREIGN) for number in range(ZONES))
    lab.nft("table inet filter {\nset busy { type ipv4_addr; }\nset wan_ips { type ipv4_addr; }\n%s}" % sets)
    writer = lab.start([sys.executable, "-m", "tests.kernel.commits", "inet", "filter", "busy"], {**os.environ, "PYTHONPATH": str(ROOT)})
    before = lab.generation()
    eventually(lambda: lab.generation() > before + 1000, "it commits")
    netmgr = Netmgr(lab, CONFIG, start=False)
    netmgr.start(wait=False)
    eventually(lambda: "198.51.100.1" in lab.sets("inet filter", "z%d_ips" % (ZONES - 1)), "the sets are filled")
    for address in ("192.0.2.7", "192.0.2.8"):
        lab.run("ip addr add %s/32 dev eth0" % address)
        eventually(lambda address=address: address in lab.sets("inet filter", "wan_ips"))  # type: ignore[misc]
    lab.nft("flush set inet filter wan_ips; delete element inet filter z7_ips { 198.51.100.1 }")
    eventually(lambda: lab.sets("inet filter", "wan_ips") == {"192.0.2.1", "192.0.2.7", "192.0.2.8"}, "it is repaired")
    eventually(lambda: "198.51.100.1" in lab.sets("inet filter", "z7_ips"), "this one is, too")
    assert writer.poll() is None, lab.log(writer)
    lab.stop(writer)
    eventually(lambda: netmgr.ask("resync").startswith("OK"), "everything can be read again")


def test_what_is_told_without_end_is_read_with_rests(lab: Lab) -> None:
    loop, told = Loop(), 0

    def changed(by: object) -> None:
        nonlocal told
        told += len(by)  # type: ignore[arg-type]

    make(lab, a="type ipv4_addr;")
    with lab.inside():
        nft, other, watch = Nft(), Nft(), Watch()
        events = RulesetEvents(loop, nft, changed)
        events.start()
    for number in range(2 * RECEIVES_AT_MOST + 1):
        assert other.commit([add("a", ip(number + 1))]).committed
    assert len(watch.drain()[0]) == RECEIVES_AT_MOST
    loop.turn(0)
    assert told == RECEIVES_AT_MOST
    loop.turn(0)
    assert told == RECEIVES_AT_MOST and len(loop.deadlines()) == 1
    loop.turn(60)
    loop.turn(60)
    assert told == 2 * RECEIVES_AT_MOST

    def all_told() -> bool:
        loop.turn(1)
        return told == 2 * RECEIVES_AT_MOST + 1
    eventually(all_told)
    events.stop()
    for each in (nft, other, watch):
        each.close()
