"""Hosts of a fleet: a netmgr each, in a namespace of its own on the net of the cluster."""

import time
from typing import Dict, Iterable, List, Optional, Set

from tests.fleet.cluster import Cluster, Net
from tests.kernel.lab import Lab
from tests.kernel.running import Netmgr

RULESET = """
table inet filter {
    set wan_ips { type ipv4_addr; }
    set peer_wan_ips { type ipv4_addr; }
    set peer_wan_ips6 { type ipv6_addr; }
}
"""

CONFIG = """
interfaces:
  - {name: wan0, nftables_zone: wan}
docker: {enabled: false}
fleet:
  endpoints: [%(endpoints)s]
  name: %(name)s
  ttl: %(ttl)d
  publish: [wan]
  consume:
    peer_wan: {from: wan, accept: [203.0.113.0/24, "2001:db8::/32"]}
%(more)s
"""


class Host:
    """One host: `address` is what it has on wan0, and so what others should hold."""

    def __init__(self, net: Net, cluster: Cluster, number: int, ttl: int = 10, more: str = "", nftables: str = "",
                 endpoints: Optional[Iterable[str]] = None) -> None:
        self.lab = Lab()
        self.name, self.address = "h%d" % number, "203.0.113.%d" % number
        net.join(self.lab, "10.99.0.%d/24" % (100 + number))
        self.lab.nft(RULESET)
        self.lab.link("wan0")
        self.lab.run(["ip", "addr", "add", self.address + "/32", "dev", "wan0"])
        quoted = ", ".join('"%s"' % each for each in endpoints or cluster.endpoints)
        self.netmgr = Netmgr(self.lab, CONFIG % {"endpoints": quoted, "name": self.name, "ttl": ttl, "more": more} + nftables)

    def peers(self) -> Set[str]:
        """What its set of peers' addresses holds."""
        return self.lab.sets("inet filter", "peer_wan_ips")

    def fleet(self) -> Dict[str, object]:
        """sources.fleet of its status."""
        found: Dict[str, object] = self.netmgr.status()["sources"]["fleet"]
        return found

    def cut(self) -> None:
        """Lose every packet from and to the others."""
        self.lab.nft("table inet cut { chain out { type filter hook output priority 0; oifname eth0 drop; }\n"
                     "chain in { type filter hook input priority 0; iifname eth0 drop; }\n}")

    def heal(self) -> None:
        """Lose no more."""
        self.lab.run("nft delete table inet cut", check=False)

    def close(self) -> None:
        """End its netmgr and let the namespace go."""
        self.lab.close()


class Fleet:
    """A cluster and hosts; `lost` are the live hosts that ever were missing from somebody's set while watch() looked."""

    def __init__(self, hosts: int = 3, ttl: int = 10, more: str = "") -> None:
        self.net = Net()
        self.cluster = Cluster(self.net)
        self.hosts: List[Host] = [Host(self.net, self.cluster, number, ttl, more) for number in range(1, hosts + 1)]
        self.ttl = ttl

    def together(self, alive: Optional[Iterable[Host]] = None) -> None:
        """Wait until every host holds just the others' addresses."""
        alive = list(self.hosts if alive is None else alive)
        for host in alive:
            host.netmgr.holds("peer_wan_ips", *(other.address for other in alive if other is not host))

    def watch(self, seconds: float, alive: Iterable[Host], sets_of: Optional[Iterable[Host]] = None) -> List[str]:
        """Look for so long whether a live host is missing from another's set, or from those of these hosts: who, in whose."""
        alive, missing = list(alive), []
        looked_at = alive if sets_of is None else list(sets_of)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for host in looked_at:
                held = host.peers()
                missing += ["%s in %s" % (other.name, host.name) for other in alive if other is not host and other.address not in held]
            if missing:
                break
        return missing

    def close(self) -> None:
        """End everything."""
        for host in self.hosts:
            host.close()
        self.cluster.close()
        self.net.close()
