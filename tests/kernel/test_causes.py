"""Why a set has changed, as it is told: what was done to the kernel is the cause, in the words of the manual, and no other."""

import json
from typing import Callable, List, Optional, Sequence, Tuple

from tests import engine_bodies as bodies
from tests.kernel.engine import Engine
from tests.kernel.lab import Lab
from tests.kernel.running import Netmgr
from tests.kernel.sockets import NETLINK_ROUTE, socket_of, squeezed, stopped
from tests.waiting import eventually

RULESET = """
table inet filter {
    set wan_ips { type ipv4_addr; }
    set wan_ips6 { type ipv6_addr; }
    set wan_ifs { type ifname; }
    set timed { type ipv4_addr; flags timeout; }
    set cards { type ether_addr; }
    set grouped { type ifname; }
    set ports { type ifname; }
    set uplinks { type ifname; }
    set docker_ips { type ipv4_addr; }
}
"""
CONFIG = """
interfaces:
  - {name: eth0, nftables_zone: wan}
  - {name: wan0, nftables_zone: wan}
  - {group: 10, nftables_zone: grouped}
  - {master: br0, nftables_zone: ports}
  - {default_route: true, nftables_zone: uplinks}
zones:
  wan: {sets: {cards: hardware_addresses, timed: addresses}}
  grouped: {sets: {grouped: interfaces}}
  ports: {sets: {ports: interfaces}}
  uplinks: {sets: {uplinks: interfaces}}
docker: {enabled: false}
"""
TWO_MORE = ["192.0.2.%d" % each for each in (7, 8)]


def causes(netmgr: Netmgr, name: str) -> List[Optional[str]]:
    """Of all changes of that set so far."""
    told = [json.loads(line) for line in netmgr.ask("log json 1000 " + name).splitlines()]
    return [each.get("cause") for each in told if each["kind"] == "elements-changed"]


def because(netmgr: Netmgr, name: str, act: Callable[[], object]) -> List[Optional[str]]:
    """The causes of what that does to the set, as soon as there are any."""
    eventually(lambda: netmgr.ask("resync").startswith("OK"), "what was done before is done")
    known = len(causes(netmgr, name))
    act()
    eventually(lambda: len(causes(netmgr, name)) > known, "%s changes" % name)
    return causes(netmgr, name)[known:]


def started(lab: Lab, config: str = CONFIG, ruleset: str = RULESET) -> Netmgr:
    lab.nft(ruleset)
    lab.link("eth0")
    return Netmgr(lab, config)


def keep_addresses(lab: Lab) -> None:
    """eth0 gets an address that it keeps when it goes down, and that is tentative until it is up again."""
    lab.sysctl("net.ipv6.conf.eth0.keep_addr_on_down", 1)
    lab.sysctl("net.ipv6.conf.eth0.accept_dad", 0)
    lab.run("ip addr add 2001:db8::1/64 dev eth0")


DONE: Sequence[Tuple[str, str, str]] = (
    ("ip addr add 192.0.2.1/24 dev eth0", "wan_ips", "eth0: address added"),
    ("ip addr del 192.0.2.1/24 dev eth0", "wan_ips", "eth0: address removed"),
    ("ip addr add 192.0.2.9/24 dev eth0", "wan_ips", "eth0: address added"),
    ("ip addr change 192.0.2.9/24 dev eth0 valid_lft 2 preferred_lft 1", "wan_ips", "eth0: lease expired"),
    ("ip link set eth0 address 02:00:00:00:00:99", "cards", "eth0: MAC address changed"),
    ("ip link set eth0 group 10", "grouped", "eth0: group changed"),
    ("ip route add default dev eth0", "uplinks", "eth0: default route added"),
    ("ip route del default dev eth0", "uplinks", "eth0: default route removed"),
    ("ip link add br0 type bridge", "", ""),
    ("ip link set eth0 master br0", "ports", "eth0: master changed"),
    ("ip link set br0 name br1", "ports", "br0: renamed to br1"),
    ("ip link add wan0 type bridge", "wan_ifs", "wan0: link added"),
    ("ip link del wan0", "wan_ifs", "wan0: link removed"),
    ("ip link property add dev eth0 altname wan0", "", ""),
    ("ip link set eth0 name eth7", "", ""),
    ("ip link property del dev eth7 altname wan0", "wan_ifs", "eth7: alternative names changed"),
)


def test_what_was_done_is_the_cause(lab: Lab) -> None:
    netmgr = started(lab)
    for command, name, cause in DONE:
        if name:
            assert because(netmgr, name, lambda command=command: lab.run(command)) == [cause], command     # type: ignore[misc]
        else:
            lab.run(command)


def test_a_rename_is_the_cause_also_where_the_link_goes_down_for_it(lab: Lab) -> None:
    """Also where all of it is heard of at once, and a look is taken at what became of its address of IPv6, which no event tells."""
    netmgr = started(lab)
    keep_addresses(lab)
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.1")
    assert because(netmgr, "wan_ips", lambda: lab.rename_link("eth0", "eth9")) == ["eth0: renamed to eth9"]

    def rename_at_once() -> None:
        with stopped(netmgr):
            lab.rename_link("eth9", "wan0")
    assert because(netmgr, "wan_ips", rename_at_once) == ["eth9: renamed to wan0"]


def test_what_no_event_has_told(lab: Lab) -> None:
    netmgr = started(lab)
    keep_addresses(lab)
    netmgr.holds("wan_ips6", "2001:db8::1")
    assert because(netmgr, "wan_ips6", lambda: lab.run("ip link set eth0 down")) == ["netlink: a link went down; eth0: address changed"]

    def lose() -> None:
        with stopped(netmgr), socket_of(netmgr, NETLINK_ROUTE, True) as events, squeezed(events):
            for _time in range(20):
                for address in TWO_MORE:
                    lab.run("ip addr add %s/24 dev eth0" % address)
                    lab.run("ip addr del %s/24 dev eth0" % address)
            lab.run("ip addr add 192.0.2.7/24 dev eth0")
    assert because(netmgr, "wan_ips", lose) == ["netlink: events were lost; eth0: address added"]


def test_what_was_asked_for(lab: Lab) -> None:
    """Nobody watches the ruleset: a set that is made is filled when somebody asks for it, and the look at hundreds of others takes time."""
    others = ["a%d" % number for number in range(600)]
    config = CONFIG.replace("zones:", "".join("  - {name: none, nftables_zone: %s}\n" % each for each in others) + "zones:")
    netmgr = started(lab, config.replace("docker:", "nftables: {watch: poll, poll_interval: 3600}\ndocker:"),
                     RULESET + "".join("add set inet filter %s_ips { type ipv4_addr; }\n" % each for each in others))
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.1")
    lab.nft("add set inet filter wan_nets { type ipv4_addr; flags interval; }")
    assert causes(netmgr, "wan_nets") == []
    assert netmgr.ask("resync").startswith("OK: ")
    assert causes(netmgr, "wan_nets") == ["resync"]


def test_what_a_program_has_done_to_the_ruleset(lab: Lab) -> None:
    netmgr = started(lab)
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.1")
    (cause,) = because(netmgr, "wan_nets", lambda: lab.nft("add set inet filter wan_nets { type ipv4_addr; flags interval; }"))
    assert cause is not None and cause.startswith("nft (pid ")


def test_what_has_expired(lab: Lab) -> None:
    """Another program's element, in the place of one of ours; it lasts longer until netmgr has met it."""
    netmgr = started(lab)

    def cause(seconds: int) -> List[Optional[str]]:
        lab.nft("add element inet filter timed { 192.0.2.2 timeout %ds }" % seconds)
        return because(netmgr, "timed", lambda: lab.run("ip addr add 192.0.2.2/24 dev eth0"))
    causes_of = []
    for seconds in (1, 4, 16, 64):
        causes_of = cause(seconds)
        if causes_of != ["eth0: address added"]:
            break
        lab.run("ip addr del 192.0.2.2/24 dev eth0")
        netmgr.holds("timed")
    assert causes_of == ["another program: an element is gone"]


def test_what_an_engine_has_told(lab: Lab) -> None:
    engine = Engine(lab)
    netmgr = started(lab, CONFIG.replace("enabled: false", "socket: " + engine.socket))
    first, second = ({"bridge": ["172.18.0.%d/16" % each]} for each in (2, 3))
    web = bodies.container(1, first, name="web", health="healthy")
    for runs, cause in (((web,), "web: started"), ((bodies.container(1, second, name="web", health="healthy"),), "web: changed"),
                        ((), "web: stopped")):
        assert because(netmgr, "docker_ips", lambda runs=runs: engine.runs(*runs))[-1:] == [cause]     # type: ignore[misc]
