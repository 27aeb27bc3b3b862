"""An interface goes down, beside few and beside many addresses of another one.

It has an address of IPv6, which it keeps (keep_addr_on_down), but which is tentative then and counts no longer. No event says so, netmgr
has to look. The time is that from the request that sets the interface down to the notification of the transaction that takes the address
out of its set. Both netmgr run at the same time and have their turns; a ratio is the median of those of the rounds.
"""

import contextlib
import statistics
import struct
from typing import Dict, List

from benchmarks.common import Section, Verdict, digits, main, microseconds, quantile
from benchmarks.space import PROBE, Netmgr, Space, Transactions
from netmgr.wire.netlink import request
from netmgr.wire.rtnetlink import IFF_UP, RTM_NEWLINK

SIZES = (10, 100_000)
INTERFACES = 100
ROUNDS, QUICK_ROUNDS = 10, 4
FLAPS = 40
ADDRESS = "2001:db8::1"


class Flapping:
    """One namespace, in which netmgr runs and the probe has its address."""

    def __init__(self, stack: contextlib.ExitStack, size: int) -> None:
        self.space = stack.enter_context(Space(min(size, INTERFACES), size))
        for name, value in (("addr_gen_mode", 1), ("disable_ipv6", 0), ("accept_dad", 0), ("keep_addr_on_down", 1)):
            self.space.sysctl("net.ipv6.conf.%s.%s" % (PROBE, name), value)
        self.space.run("ip addr add %s/128 dev %s" % (ADDRESS, PROBE))
        self.space.nft("add set inet filter wan_ips6 { type ipv6_addr; }")
        self.index = self.space.index(PROBE)
        stack.enter_context(Netmgr(self.space))
        with self.space.inside():
            self.transactions = stack.enter_context(Transactions())
        if self.space.sets("inet filter", "wan_ips6") != {ADDRESS}:
            raise RuntimeError("the probe's address is not in its set")

    def turn(self) -> List[float]:
        """Seconds of each time that it goes down; each time it comes up again, and the address into its set."""
        found = []
        for _flap in range(FLAPS):
            found.append(self.transactions.after(self._set(0)))
            self.transactions.after(self._set(IFF_UP))
        return found

    def _set(self, flags: int) -> bytes:
        return request(RTM_NEWLINK, 0, 1, struct.pack("=BxHiII", 0, 0, self.index, flags, IFF_UP))


def run(quick: bool) -> Section:
    """Few and many addresses."""
    with contextlib.ExitStack() as stack:
        beside = {size: Flapping(stack, size) for size in SIZES}
        rounds: List[Dict[int, List[float]]] = []
        for _round in range(QUICK_ROUNDS if quick else ROUNDS):
            rounds.append({size: each.turn() for size, each in beside.items()})
    few, many = SIZES
    ratio = statistics.median(statistics.median(each[many]) / statistics.median(each[few]) for each in rounds)
    rows = []
    for size in SIZES:
        found = [seconds for each in rounds for seconds in each[size]]
        rows.append(["{:,}".format(size), microseconds(statistics.median(found)), microseconds(quantile(found, 0.99)),
                     digits(ratio) + " x" if size == many else ""])
    return Section("An interface goes down", " ".join((__doc__ or "").split()), ["addresses of others", "p50", "p99", "against few"], rows,
                   [Verdict("an interface goes down beside {:,} addresses, p50, against {:,}".format(many, few), ratio, " x", 1.5)])


if __name__ == "__main__":
    main(run)
