"""Two uplinks: the default route moves from one to the other, and with it the zone of `default_route: true` with so many addresses on each.

The time is that from the request that replaces the route to the notification of the transaction that follows. It has all that moves: the
addresses, and the name of the interface in a second set.
"""

import socket
import statistics
import struct
from typing import List

from benchmarks.common import Section, Verdict, main, milliseconds, quantile
from benchmarks.space import Netmgr, Transactions
from netmgr.wire.netlink import NLM_F_CREATE, attribute, request
from tests.kernel.lab import Lab

SIZES = (1, 100)
MOVES, QUICK_MOVES = 300, 60
UPLINKS = ("eth0", "eth1")
RULESET = """table inet filter {
    set wan_ips { type ipv4_addr; }
    set wan_ifs { type ifname; }
}
"""
CONFIGURATION = """\
interfaces: [{default_route: true, nftables_zone: wan}]
nftables: {include_dir: %(directory)s/include}
docker: {enabled: false}
socket_path: %(directory)s/socket
"""
RTM_NEWROUTE, NLM_F_REPLACE = 24, 0x100
RT_TABLE_MAIN, RTPROT_STATIC, RT_SCOPE_LINK, RTN_UNICAST, RTA_OIF = 254, 4, 253, 1, 4


def run(quick: bool) -> Section:
    """Few and many addresses."""
    found = {size: _one_size(size, QUICK_MOVES if quick else MOVES) for size in SIZES}
    rows = [["{:,}".format(size), *map(milliseconds, (statistics.median(each), quantile(each, 0.99)))] for size, each in found.items()]
    many = statistics.median(found[SIZES[-1]]) * 1e3
    return Section("Two uplinks", " ".join((__doc__ or "").split()), ["addresses on each", "p50", "p99"], rows,
                   [Verdict("the default route moves, {:,} addresses follow, p50".format(SIZES[-1]), many, " ms", 5.0)])


def _one_size(size: int, moves: int) -> List[float]:
    """Seconds of each move."""
    with Lab(loopback=False) as lab:
        lab.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
        for number, name in enumerate(UPLINKS):
            lab.link(name)
            lab.run("ip -batch -", "".join("addr add 10.%d.0.%d/32 dev %s\n" % (number, host, name) for host in range(1, size + 1)))
        lab.nft(RULESET)
        (lab.directory / "config.yaml").write_text(CONFIGURATION % {"directory": lab.directory})
        with lab.inside(), Netmgr(lab), Transactions() as transactions:
            indexes = [socket.if_nametoindex(name) for name in UPLINKS]
            found = [transactions.after(_moved(indexes[number % 2])) for number in range(moves)]
        last = UPLINKS[(moves - 1) % 2]
        if lab.sets("inet filter", "wan_ifs") != {last} or len(lab.sets("inet filter", "wan_ips")) != size:
            raise RuntimeError("the zone has not followed the route")
        return found[1:]


def _moved(index: int) -> bytes:
    """The request that lets the default route be that over this interface."""
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, RT_TABLE_MAIN, RTPROT_STATIC, RT_SCOPE_LINK, RTN_UNICAST, 0)
    return request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, 1, body + attribute(RTA_OIF, struct.pack("=I", index)))


if __name__ == "__main__":
    main(run)
