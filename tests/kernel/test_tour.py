"""A tour of what an administrator asks at night: why is it not in the set, who did it, what is wrong; held against kernel and engine."""

import json
from typing import Any, Dict, List, Set, Tuple

from tests import engine_bodies as bodies
from tests.kernel.engine import Engine
from tests.kernel.lab import Lab
from tests.kernel.running import Netmgr
from tests.kernel.test_asking import explained, logged, reasons
from tests.waiting import eventually

RULESET = """
table inet filter {
    set wan_ips { type ipv4_addr; }
    set wan_ips6 { type ipv6_addr; }
    set lan_ips { type inet_service; }
    set docker_ips { type ipv4_addr; }
}
"""

CONFIG = """
interfaces:
  - {name: eth0, nftables_zone: wan}
  - {name: eth1, nftables_zone: lan}
zones: {wan: {exclude: [link_local, private, 198.51.100.0/24]}}
docker: {enabled: "false"}
"""

WITH_ENGINE = CONFIG.replace('{enabled: "false"}', "{socket: %s, nftables_zone: docker, require_healthy: true}")


def started(lab: Lab, config: str = CONFIG) -> Netmgr:
    lab.link("eth0")
    lab.link("eth1")
    lab.link("eth2")
    lab.nft(RULESET)
    return Netmgr(lab, config)


def held(lab: Lab, address: str) -> Dict[str, Any]:
    """The kernel's own word on an address."""
    return next((each for link in lab.addresses() for each in link["addr_info"] if each.get("local") == address), {})


def problems(netmgr: Netmgr) -> Set[Tuple[str, str]]:
    return {(each["about"], each["what"]) for each in netmgr.status()["problems"]}


def out_of_all_sets(lab: Lab, address: str) -> bool:
    return address not in lab.run("nft -j list ruleset")


def test_addresses_that_do_not_count(lab: Lab) -> None:
    netmgr = started(lab)
    for address, link, reason in (("169.254.9.9/16", "eth0", "link_local"), ("10.1.2.3/8", "eth0", "private"),
                                  ("198.51.100.7/24", "eth0", "network"), ("203.0.113.9/24", "eth2", "no_zone")):
        lab.run("ip addr add %s dev %s" % (address, link))
        plain = address.partition("/")[0]
        eventually(lambda plain=plain, reason=reason: reasons(netmgr, plain) == [reason], "%s: %s" % (address, reason))  # type: ignore[misc]
        assert held(lab, plain)["local"] == plain and out_of_all_sets(lab, plain)
        assert ("address-added", "%s: address added" % link) in [(each["kind"], each["cause"]) for each in logged(netmgr, link)]
    assert netmgr.ask("explain 10.1.2.3").count("\n") > 1


def test_waiting_for_a_lease(lab: Lab) -> None:
    """Without one clients often take an address of their own choice, which is none."""
    netmgr = started(lab, CONFIG.replace("nftables_zone: wan", "nftables_zone: wan, dhcp: true"))
    waiting = ("eth0", "waiting for a DHCP lease")
    eventually(lambda: waiting in problems(netmgr), "status has the problem")
    lab.run("ip addr add 169.254.9.9/16 dev eth0 valid_lft 3600 preferred_lft 3600")
    eventually(lambda: reasons(netmgr, "169.254.9.9") == ["link_local"], "explain says why")
    assert waiting in problems(netmgr) and "dynamic" in held(lab, "169.254.9.9") and out_of_all_sets(lab, "169.254.9.9")
    lab.run("ip addr add 203.0.113.5/24 dev eth0 valid_lft 3600 preferred_lft 1800")
    netmgr.holds("wan_ips", "203.0.113.5")
    eventually(lambda: waiting not in problems(netmgr), "the problem is over")
    eventually(lambda: any(each["kind"] == "elements-changed" and each["cause"] == "eth0: address added"
                           for each in logged(netmgr, "wan_ips")), "the log has it with its cause")


def test_an_address_that_somebody_else_has(lab: Lab) -> None:
    netmgr = started(lab)
    lab.run("ip link add near type veth peer name far")
    lab.sysctl("net.ipv6.conf.near.dad_transmits", 5)
    for link in ("far", "near"):
        lab.run("ip link set %s up" % link)
    lab.run("ip addr add 2001:db8::7/64 dev far nodad")
    netmgr.configure(CONFIG.replace("name: eth0", "name: near"))
    assert netmgr.ask("reload").startswith("OK")
    lab.run("ip addr add 2001:db8::7/64 dev near")

    def failed() -> bool:
        near = json.loads(lab.run("ip -j addr show dev near"))[0]["addr_info"]
        return any(each.get("dadfailed") for each in near)
    eventually(failed, "the kernel finds that somebody has it")
    eventually(lambda: "dadfailed" in reasons(netmgr, "2001:db8::7"), "explain says so")
    assert lab.sets("inet filter", "wan_ips6") == set()


def test_sets_that_cannot_be_as_they_should(lab: Lab) -> None:
    netmgr = started(lab)
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    lab.run("ip addr add 192.168.1.1/24 dev eth1")
    netmgr.holds("wan_ips", "192.0.2.1")
    eventually(lambda: reasons(netmgr, "192.168.1.1") == ["set_error"], "of the wrong type")
    assert [about for about, what in problems(netmgr) if "inet_service" in what] == ["inet filter lan_ips"]
    assert [each["kind"] for each in logged(netmgr, "lan_ips")][-1:] == ["set-error"]
    lab.run("nft add element inet filter wan_ips { 203.0.113.5 }")
    eventually(lambda: [row["owner"] for row in explained(netmgr, "203.0.113.5")["feeds"]] == ["another"], "somebody else's")
    assert lab.comments("inet filter", "wan_ips")["203.0.113.5"] != "netmgr"
    lab.run("nft delete set inet filter wan_ips; delete set inet filter wan_ips6")
    eventually(lambda: "inet filter wan_ips" in {about for about, _what in problems(netmgr)}, "status has the problem")
    eventually(lambda: [each["kind"] for each in logged(netmgr, "wan_ips")][-1:] == ["set-missing"], "the log has it")


def test_who_emptied_it(lab: Lab) -> None:
    netmgr = started(lab)
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.1")
    script = lab.directory / "firewall.sh"
    script.write_text("#!/bin/sh\nnft flush set inet filter wan_ips\n")
    for count, command in enumerate((["nft", "flush set inet filter wan_ips"], ["sh", str(script)])):
        lab.run(command)
        netmgr.holds("wan_ips", "192.0.2.1")

        def repairs() -> List[Dict[str, Any]]:
            return [each for each in logged(netmgr, "wan_ips") if each["kind"] == "repaired"]
        eventually(lambda count=count: len(repairs()) == count + 1, "the repair is told")       # type: ignore[misc]
        assert repairs()[-1]["culprit"]["process"] == "nft" and repairs()[-1]["cause"].startswith("nft (pid ")


def test_containers_that_do_not_count(lab: Lab) -> None:
    engine = Engine(lab)
    netmgr = started(lab, WITH_ENGINE % engine.socket)
    bridge = {"bridge": ["172.18.0.2/16"]}
    engine.runs(bodies.container(1, bridge, name="right"),
                bodies.container(2, {"bridge": ["172.18.0.3/16"]}, name="ill", health="unhealthy"),
                bodies.container(3, {"bridge": ["172.18.0.4/16"]}, name="bold", labels={"netmgr.zone": "wan"}),
                bodies.container(4, {"host": []}, name="hosts", mode="host"))
    netmgr.holds("docker_ips", "172.18.0.2", "172.18.0.4")
    assert explained(netmgr, "right")["kept_out"] == []
    for name, reason in (("ill", "unhealthy"), ("bold", "no_leave"), ("hosts", "no_address")):
        eventually(lambda name=name, reason=reason: reason in reasons(netmgr, name), name)      # type: ignore[misc]
    assert "host's network" in netmgr.ask("explain hosts")
    assert out_of_all_sets(lab, "172.18.0.3") and lab.sets("inet filter", "wan_ips") == set()
    engine.runs(bodies.container(2, {"bridge": ["172.18.0.3/16"]}, name="ill"))
    netmgr.holds("docker_ips", "172.18.0.3")
    causes = {each["cause"] for each in logged(netmgr, "docker_ips") if each["kind"] == "elements-changed"}
    assert any("ill: " in cause for cause in causes), causes
    assert {"container-started", "container-stopped"} <= {each["kind"] for each in logged(netmgr, "right")}


def test_a_container_of_another_engine(lab: Lab) -> None:
    """The second engine has no zone for its containers; the same name may be in both."""
    first, second = Engine(lab, "first"), Engine(lab, "second")
    engines = "[{name: first, socket: %s, nftables_zone: docker}, {name: second, socket: %s, nftables_zone: null}]"
    netmgr = started(lab, CONFIG.replace('{enabled: "false"}', engines % (first.socket, second.socket)))
    first.runs(bodies.container(1, {"bridge": ["172.18.0.2/16"]}, name="web"))
    second.runs(bodies.container(2, {"bridge": ["172.19.0.2/16"]}, name="web"))
    netmgr.holds("docker_ips", "172.18.0.2")
    eventually(lambda: {each["engine"] for each in netmgr.status()["containers"]} == {"first", "second"}, "both are known")
    assert {each["engine"] for each in logged(netmgr, "web") if each["kind"] == "container-started"} == {"first", "second"}
    assert reasons(netmgr, "172.19.0.2") == ["no_zone"], netmgr.ask("explain 172.19.0.2") and out_of_all_sets(lab, "172.19.0.2")
    assert [row["set"] for row in explained(netmgr, "172.18.0.2")["feeds"]] == ["inet filter docker_ips"]
    second.kill()
    eventually(lambda: "docker:second" in {about for about, _what in problems(netmgr)}, "status has the problem")
    eventually(lambda: "source-lost" in {each["kind"] for each in logged(netmgr, "docker:second")}, "the log has it")
    assert lab.sets("inet filter", "docker_ips") == {"172.18.0.2"}


def test_an_engine_that_is_gone(lab: Lab) -> None:
    """Nobody says then that its containers stopped, for they may well run on."""
    engine = Engine(lab)
    netmgr = started(lab, WITH_ENGINE.replace("require_healthy", "grace: 1, require_healthy") % engine.socket)
    engine.runs(bodies.container(1, {"bridge": ["172.18.0.2/16"]}, name="web"))
    netmgr.holds("docker_ips", "172.18.0.2")
    engine.kill()
    netmgr.holds("docker_ips")
    told = [(each["kind"], each["cause"]) for each in logged(netmgr, "web", "docker_ips")][-2:]
    assert told == [("container-stopped", "docker: no engine"), ("elements-changed", "docker: no engine")]
    assert "web: no longer counts (docker: no engine)" in netmgr.ask("log web")
    assert netmgr.ask("log 172.18.0.2").endswith("inet filter docker_ips: removed 172.18.0.2 (docker: no engine)\n")
