"""One change, as in "Latency of one change", with few and with many sets that exist and are fed.

The address feeds one zone with its six sets. The others are of zones of their own, six sets each, all fed by the same ten interfaces; they
are spread over ten other tables, for the kernel searches the sets of one table one by one. All netmgr run at the same
time and have their turns; p50 is the mean of the medians of additions and removals, and a ratio is the median of those of the rounds.
"""

import contextlib
import statistics
from typing import Dict, Iterator, List, NamedTuple, Sequence, Tuple

from benchmarks import curves
from benchmarks.common import Section, Verdict, digits, main, microseconds
from benchmarks.latency import changes
from benchmarks.space import PROBE, Netmgr, Space

SIZES = (6, 606, 6006)
AIM = 1.3
CHANGES, ROUNDS = 40, 20
QUICK_CHANGES, QUICK_ROUNDS = 20, 7
INTERFACES = ADDRESSES = 10
TABLES = 10
OF_A_ZONE = (("ips", "ipv4_addr"), ("ips6", "ipv6_addr"), ("ipv6", "ipv6_addr"),
             ("nets", "ipv4_addr; flags interval"), ("nets6", "ipv6_addr; flags interval"), ("ifs", "ifname"))
CONFIGURATION = """\
interfaces:
  - {name: %(probe)s, nftables_zone: wan}
  - {name: "bench*", nftables_zone: [wan%(others)s]}
zones: {%(zones)s}
nftables: {table: inet filter, include_dir: %(directory)s/include}
docker: {enabled: false}
socket_path: %(directory)s/socket
"""


class Medians(NamedTuple):
    """Seconds, of the additions and the removals of one round."""

    added: float
    removed: float

    @property
    def p50(self) -> float:
        """The mean of the two."""
        return (self.added + self.removed) / 2


def run(quick: bool) -> Section:
    """One change with each number of sets."""
    found = _measured(SIZES[:2] if quick else SIZES, *((QUICK_CHANGES, QUICK_ROUNDS) if quick else (CHANGES, ROUNDS)))
    few, most = found[SIZES[0]], max(found)
    rows, ratios = [], {}
    for size, rounds in found.items():
        ratios[size] = statistics.median(many.p50 / one.p50 for many, one in zip(rounds, few))
        p50s = (statistics.median(each) for each in zip(*((each.p50, *each) for each in rounds)))
        rows.append(["{:,}".format(size), *map(microseconds, p50s), digits(ratios[size]) + " x"])
    return Section("One change with many sets", " ".join((__doc__ or "").split()),
                   ["sets", "p50", "p50 of additions", "p50 of removals", "against %d" % SIZES[0]], rows,
                   [Verdict("one change with {:,} sets, against {}".format(most, SIZES[0]), ratios[most], " x", AIM)],
                   {"sets.svg": curves.draw("From the change of an address to its transaction, p50", "sets", "microseconds", {
                       "netmgr": [(size, statistics.median(each.p50 for each in rounds) * 1e6) for size, rounds in found.items()]})})


class Sets(Space):
    """A space with so many zones, each with its sets, by default six, in which so many addresses are."""

    def __init__(self, zones: int, of_a_zone: Sequence[Tuple[str, str]] = OF_A_ZONE, addresses: int = ADDRESSES) -> None:
        super().__init__(INTERFACES, addresses)
        others = {"z%d" % number: "inet other%d" % (number % TABLES) for number in range(zones - 1)}
        try:
            self.nft("\n".join(_commands({"wan": "inet filter", **others}, of_a_zone)))
            (self.directory / "config.yaml").write_text(CONFIGURATION % {
                "probe": PROBE, "others": "".join(", " + zone for zone in others), "directory": self.directory,
                "zones": ", ".join("%s: {table: %s}" % zone for zone in others.items())})
        except BaseException:
            self.close()
            raise


def _commands(zones: Dict[str, str], of_a_zone: Sequence[Tuple[str, str]]) -> Iterator[str]:
    for table in dict.fromkeys(zones.values()):
        yield "add table %s" % table
    for zone, table in zones.items():
        for suffix, kind in of_a_zone:
            yield "add set %s %s_%s { type %s; }" % (table, zone, suffix, kind)


def _measured(sizes: Tuple[int, ...], number: int, rounds: int) -> Dict[int, List[Medians]]:
    """What each round found."""
    found: Dict[int, List[Medians]] = {size: [] for size in sizes}
    with contextlib.ExitStack() as stack:
        spaces = {size: stack.enter_context(Sets(size // len(OF_A_ZONE))) for size in sizes}
        for space in spaces.values():
            stack.enter_context(Netmgr(space))
        for _round in range(rounds):
            for size, space in spaces.items():
                figures = changes(space, number)
                found[size].append(Medians(statistics.median(figures[::2]), statistics.median(figures[1::2])))
    return found


if __name__ == "__main__":
    main(run)
