"""What `netmgr demo` shows: a ruleset, a configuration, and what happens, one step after the other."""

from typing import Dict, FrozenSet, Sequence

from netmgr.values.named_tuple import NamedTuple

RULESET = """\
flush ruleset
table inet filter {
	set wan_ips { type ipv4_addr; }
	set wan_ips6 { type ipv6_addr; }
	set lan_ips { type ipv4_addr; }
	set lan_nets { type ipv4_addr; flags interval; }
	set docker_ips { type ipv4_addr; }
	chain input {
		type filter hook input priority filter; policy drop;
		iif lo accept
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept
		ip daddr @wan_ips udp dport 443 accept
		ip6 daddr @wan_ips6 udp dport 443 accept
		ip daddr @lan_ips ip saddr @lan_nets accept
	}
}
"""
INCLUDING = RULESET.replace("set wan_ips { type ipv4_addr; }",
                            'set wan_ips { type ipv4_addr\n\t\tinclude "./includes/inet.filter.wan_ips[.]nft"\n\t}')

CONFIG = """\
interfaces:
  - name: eth0
    dhcp: true
    nftables_zone: wan
  - name: eth1
    address: 192.168.1.1/24
    nftables_zone: lan
nftables:
  include_dir: %(directory)s/includes
docker:
  enabled: %(engine)s
"""

PREPARATION = (
    "ip link set lo up",
    "ip link add eth0 type veth peer name far0",
    "ip link add eth1 type veth peer name far1",
    "ip link set eth0 up",
    "ip link set eth1 up",
)

LEASE, NEXT_LEASE, SIX = "203.0.113.5", "198.51.100.77", "2001:db8:1::5"
FOREIGN = "192.0.2.99"
LAN, LAN_NET = "192.168.1.1", "192.168.1.0/24"


class Step(NamedTuple):
    """What happens, by which commands, and what the sets hold afterwards."""

    title: str
    commands: Sequence[str]
    expected: Dict[str, FrozenSet[str]]
    counted: str = ""           # an address to which packets are sent meanwhile
    ruleset: str = ""           # what ruleset.nft is from here on
    remark: str = ""


def _holds(wan: str = "", six: str = "", lan: bool = True) -> Dict[str, FrozenSet[str]]:
    return {"wan_ips": frozenset(wan.split()), "wan_ips6": frozenset(six.split()),
            "lan_ips": frozenset([LAN] if lan else []), "lan_nets": frozenset([LAN_NET] if lan else [])}


def _lease(address: str) -> str:
    return "ip address add %s dev eth0 valid_lft 3600 preferred_lft 1800" % address


STEPS = (
    Step("A lease arrives on eth0", [_lease(LEASE + "/24")], _holds(LEASE, lan=False)),
    Step("and an IPv6 address", ["ip address add %s/64 dev eth0 nodad" % SIX], _holds(LEASE, SIX, lan=False)),
    Step("eth1 gets its address: the address and its network", ["ip address add %s/24 dev eth1" % LAN], _holds(LEASE, SIX)),
    Step("Somebody adds an element of their own", ["nft add element inet filter wan_ips { %s }" % FOREIGN],
         _holds(LEASE + " " + FOREIGN, SIX)),
    Step("The provider hands out another address: the foreign element stays",
         ["ip address del %s/24 dev eth0" % LEASE, _lease(NEXT_LEASE + "/22")], _holds(NEXT_LEASE + " " + FOREIGN, SIX)),
    Step("Somebody empties a set by hand", ["nft flush set inet filter wan_ips"], _holds(NEXT_LEASE, SIX)),
    Step("The administrator reloads the whole ruleset, while packets arrive", ["nft -f ruleset.nft"], _holds(NEXT_LEASE, SIX), NEXT_LEASE),
    Step("The same, with a ruleset that includes what netmgr keeps ready", ["nft -f ruleset.nft", "nft -f ruleset.nft"],
         _holds(NEXT_LEASE, SIX), NEXT_LEASE, INCLUDING, 'now "set wan_ips" has the line: include "./includes/inet.filter.wan_ips[.]nft"'),
    Step("eth0 is renamed: no interface of the configuration any more",
         ["ip link set eth0 down", "ip link set eth0 name uplink", "ip link set uplink up"], _holds()),
    Step("and back, with its IPv6 address again",
         ["ip link set uplink down", "ip link set uplink name eth0", "ip link set eth0 up", "ip address add %s/64 dev eth0 nodad" % SIX],
         _holds(NEXT_LEASE, SIX)),
)
