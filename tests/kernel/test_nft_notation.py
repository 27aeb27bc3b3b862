"""What netmgr writes in nft's notation is what nft reads: names, timeouts, the kinds of sets."""

import re
import sys

import pytest

from netmgr.io.nft import Nft
from netmgr.values.sets import IFNAME, IPV4_ADDR, Form
from netmgr.wire.nft_text import element_list
from tests.kernel.lab import Lab
from tests.kernel.nftables import named
from tests.kernel.running import CONFIG, Netmgr
from tests.nft_program import Program, programs
from tests.waiting import eventually

PROGRAMS = pytest.mark.parametrize("program", programs(), ids=lambda program: program.name)

NAMES = ["eth0", "a*", "*", "**", "a**", "a" * 13 + "*", "a" * 14 + "*", "a" * 15, "lan\\x", "lan\\x*", "a\\", "\\", "\\*", "a\\*",
         "a'b", "a$b", "a;b", "{a}", "a#b", "#", "$x", "@x", "a,b", "a=b", "a\x01b", "ä" * 7, "ä*", "-", "0", "0x1", "1.2.3.4",
         "lo!", "a%b", "~", "a?b", "a[b]"]

TYPES = [
    "ipv4_addr", "ipv6_addr", "ether_addr", "ether_type", "arp_op", "inet_proto", "inet_service", "icmp_type", "tcp_flag",
    "dccp_pkttype", "mh_type", "time", "mark", "iface_index", "iface_type", "realm", "classid", "uid", "gid", "ct_state", "ct_dir",
    "ct_status", "icmpv6_type", "pkt_type", "icmp_code", "icmpv6_code", "icmpx_code", "devgroup", "dscp", "ecn", "fib_addrtype",
    "boolean", "ifname", "igmp_type", "cgroupsv2",
]


def load(lab: Lab, program: Program, text: str) -> None:
    lab.run([*program.nft, "-f", "-"], text)


def command(netmgr: Netmgr, name: str) -> str:
    """What `netmgr NAME` says about the same configuration."""
    return netmgr.lab.run([sys.executable, "-m", "netmgr", name, "--config", str(netmgr.config)], check=False)


@PROGRAMS
@pytest.mark.parametrize("interval", [False, True])
def test_a_name_is_loaded_as_itself_or_left_out(lab: Lab, nft: Nft, program: Program, interval: bool) -> None:
    form = Form(IFNAME, interval)
    left_out = []
    for name in NAMES:
        key = name.encode().ljust(16, b"\0")
        listed = element_list(form, [key * 2 if interval else key])
        left_out += [] if listed else [name]
        elements = "elements = { %s }\n" % listed if listed else ""
        ruleset = "table inet t {\n set s {\n type ifname\n %s\n %s }\n }\n" % ("flags interval" if interval else "", elements)
        load(lab, program, "flush ruleset\n" + ruleset)
        info = nft.inspect(named("s"))
        assert info is not None
        assert nft.read(info).contents.ours == (frozenset([key * 2 if interval else key]) if listed else frozenset()), name
        load(lab, program, ruleset)
    assert left_out == [name for name in NAMES if "\\" in name or name == "a" * 14 + "*"]


@PROGRAMS
def test_never_is_a_time_that_every_nft_reads(lab: Lab, nft: Nft, program: Program) -> None:
    listed = element_list(Form(IPV4_ADDR, timeout=True), [bytes((192, 0, 2, 1))])
    assert listed == '192.0.2.1 timeout 3650d comment "netmgr"'
    load(lab, program, "table inet t {\n set s {\n type ipv4_addr\n timeout 3s\n elements = { %s }\n }\n }\n" % listed)
    assert re.search("expires (3649|3650)d", lab.run([*program.nft, "list", "set", "inet", "t", "s"]))
    info = nft.inspect(named("s"))
    assert info is not None and nft.read(info).contents.ours == {bytes((192, 0, 2, 1))}


@PROGRAMS
def test_types_have_nfts_names(lab: Lab, nft: Nft, program: Program) -> None:
    load(lab, program, "table inet t {\n%s }\n" % "".join("set s_%s { type %s\n }\n" % (name, name) for name in TYPES))
    for name in TYPES:
        info = nft.inspect(named("s_" + name))
        assert info is not None and info.type == name


def test_an_element_outlives_the_default_timeout_with_netmgr_dead_and_then_becomes_one_without(lab: Lab) -> None:
    lab.link("eth0")
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr = Netmgr(lab, start=False)
    ruleset = ('table inet filter {\n set wan_ips {\n type ipv4_addr\n timeout 3s\n include "%s/inet.filter.wan_ips[.]nft"\n }\n }\n'
               % netmgr.includes)
    lab.nft(ruleset)
    netmgr.start()
    netmgr.holds("wan_ips", "192.0.2.1")
    eventually(lambda: "timeout 3650d" in (netmgr.includes / "inet.filter.wan_ips.nft").read_text())
    netmgr.kill()
    lab.nft("flush ruleset\n" + ruleset)
    assert "timeout 520w1d" in lab.run("nft list set inet filter wan_ips") or "3650d" in lab.run("nft list set inet filter wan_ips")
    netmgr.start()
    eventually(lambda: "expires" not in lab.run("nft list set inet filter wan_ips"))
    netmgr.holds("wan_ips", "192.0.2.1")
    assert netmgr.stop() == 0
    lab.nft("flush set inet filter wan_ips")
    assert command(netmgr, "diff") == 'add element inet filter wan_ips { 192.0.2.1 timeout 3650d comment "netmgr" }\n'


UNFILLABLE = """
table inet filter {
    set wan_ips { type ipv4_addr; flags constant; elements = { 203.0.113.1, 203.0.113.2 }; }
    chain c { meter lan_ips size 16 { ip saddr limit rate 1/second }; ip saddr @wan_ips accept; }
}
"""


def test_what_nobody_can_fill_is_called_what_it_is_and_promised_by_nobody(lab: Lab) -> None:
    lab.nft(UNFILLABLE.replace("; }", "\n }").replace("; ", "\n"))
    lab.start(["sh", "-c", "mkfifo {0} && exec 3<>{0} && echo 'add table inet owned {{ flags owner; }}' >&3"
               " && echo 'add set inet owned dmz_ips {{ type ipv4_addr; }}' >&3 && echo 'add table inet last' >&3"
               " && exec nft -i <&3".format(lab.directory / "commands")])
    eventually(lambda: "inet last" in lab.run("nft list tables"))
    lab.link("eth0")
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    all_three = CONFIG.replace("eth0, nftables_zone: wan", "eth0, nftables_zone: [wan, lan, dmz]") + "zones: {dmz: {table: inet owned}}\n"
    netmgr = Netmgr(lab, all_three)
    why = {"wan_ips": "it is constant", "lan_ips": "it is a meter"}
    if "inet owned" in lab.run("nft list tables"):        # kernels before 5.12 have no tables with an owner
        why["dmz_ips"] = "its table belongs to another program"
    for name, reason in why.items():
        assert netmgr.state(name)["error"].startswith(reason)
    checked, differing = command(netmgr, "check"), command(netmgr, "diff")
    for name, reason in why.items():
        assert "%s: %s" % (name, reason) in differing and "cannot be filled: " + reason in checked
    assert "add element" not in differing
