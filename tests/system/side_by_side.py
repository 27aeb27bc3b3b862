"""systemd-networkd's NFTSet= and netmgr on one machine, each with sets of its own, and a provider that leases addresses to both.

eth0's other end is in a network namespace with a DHCP server and router advertisements.  networkd configures eth0 and fills
`networkd_ips` and `networkd_ips6`; netmgr fills `wan_ips` and `wan_ips6`.  Right is a pair of sets that holds the addresses that eth0 has
in the kernel, those of the link alone left out.
"""

import json
import time
from pathlib import Path
from typing import Callable, FrozenSet, List, NamedTuple

from netmgr.values.text import aligned
from tests.system.machine import Machine
from tests.waiting import eventually

PATIENCE = 5.0      # seconds that either has to put its sets right; netmgr's take milliseconds
RULES_FILE = "/etc/nftables.conf"
RULESET = """\
flush ruleset
table inet filter {
    set networkd_ips { type ipv4_addr; }
    set networkd_ips6 { type ipv6_addr; }
    set wan_ips { type ipv4_addr; }
    set wan_ips6 { type ipv6_addr; }
}
"""
CONFIG = "interfaces:\n  - name: eth0\n    nftables_zone: wan\n"
NETWORK = """\
[Match]
Name=eth0

[Network]
DHCP=ipv4
IPv6AcceptRA=yes

[Address]
Address=192.0.2.1/24
NFTSet=address:inet:filter:networkd_ips

[DHCPv4]
NFTSet=address:inet:filter:networkd_ips

[IPv6AcceptRA]
NFTSet=address:inet:filter:networkd_ips6
"""
SERVER = """\
port=0
bind-dynamic
interface=far0
dhcp-authoritative
dhcp-leasefile=/run/provider.leases
dhcp-range=203.0.113.%(first)d,203.0.113.%(last)d,255.255.255.0,2m
dhcp-range=%(prefix)s::,ra-only,64,2m
enable-ra
log-dhcp
log-facility=/run/provider.log
"""


class Row(NamedTuple):
    """After one event: were the sets of each right, and what eth0 had."""

    event: str
    networkd: bool
    netmgr: bool
    addresses: FrozenSet[str]


class SideBySide:
    """The machine, the provider, and one row for each event."""

    def __init__(self, machine: Machine, directory: Path) -> None:
        self.machine = machine
        self.run = machine.run
        self.rows: List[Row] = []
        self._directory = directory

    def begin(self) -> None:
        """Everything is started, and has had the time to be right."""
        self.run("ip netns add provider")
        self.cable()
        self.provide(100, "2001:db8:1")
        self.machine.write(RULES_FILE, RULESET)
        self.run(["nft", "-f", RULES_FILE])
        self.machine.write("/etc/netmgr/config.yaml", CONFIG)
        self.run("systemctl restart netmgr")
        self.machine.write("/etc/systemd/network/eth0.network", NETWORK)
        self.run("systemctl restart systemd-networkd")

    def cable(self) -> None:
        """eth0, and its other end at the provider."""
        self.run("ip link add eth0 type veth peer name far0 netns provider")
        self.provider("ip link set far0 up")

    def provider(self, command: str) -> None:
        """A command in the provider's namespace."""
        self.run("ip netns exec provider " + command)

    def provide(self, first: int, prefix: str) -> None:
        """From now on these addresses are leased and advertised, and no others known."""
        self.run("pkill -F /run/provider.pid || true; rm -f /run/provider.leases; mkdir -p /run/provider")
        self.provider("ip address flush dev far0 scope global")
        self.provider("ip address add 203.0.113.1/24 dev far0")
        self.provider("ip address add %s::1/64 dev far0 nodad" % prefix)
        self.machine.write("/run/provider.conf", SERVER % {"first": first, "last": first + 20, "prefix": prefix})
        self.provider("dnsmasq --conf-file=/run/provider.conf --pid-file=/run/provider.pid --user=root")

    def after(self, event: str, act: Callable[[], object], arrived: Callable[[FrozenSet[str]], bool] = bool) -> None:
        """Do it, wait until eth0's addresses are as expected and both have had time, and write down who was right."""
        act()
        eventually(lambda: arrived(self.addresses()), event)
        deadline = time.monotonic() + PATIENCE
        networkd = netmgr = False
        while not (networkd and netmgr) and time.monotonic() < deadline:
            there = self.addresses()
            networkd, netmgr = self._hold("networkd") == there, self._hold("wan") == there
        self.rows.append(Row(event, networkd, netmgr, there))

    def addresses(self) -> FrozenSet[str]:
        """What eth0 has, by the kernel's account: nothing when it is not there."""
        listed = json.loads(self.machine.attempt("ip -json address show dev eth0 2>/dev/null || echo '[]'")[1] or "[]")
        return frozenset(each["local"] for link in listed for each in link.get("addr_info", [])
                         if each["scope"] == "global" and not each.get("tentative"))

    def table(self) -> str:
        """All rows, and the sum."""
        rows = [("event", "networkd", "netmgr"), *((row.event, _word(row.networkd), _word(row.netmgr)) for row in self.rows)]
        networkd, netmgr = sum(not row.networkd for row in self.rows), sum(not row.netmgr for row in self.rows)
        count = "of %d events: networkd's sets were wrong after %d, netmgr's after %d" % (len(self.rows), networkd, netmgr)
        return "\n".join([*aligned(rows), count])

    def _hold(self, name: str) -> FrozenSet[str]:
        held = set()
        for each in json.loads(self.run("nft -j list sets inet"))["nftables"]:
            if "set" in each and each["set"]["name"] in (name + "_ips", name + "_ips6"):
                held |= {str(item["elem"]["val"]) if isinstance(item, dict) else str(item) for item in each["set"].get("elem", [])}
        return frozenset(held)


def _word(right: bool) -> str:
    return "right" if right else "WRONG"
