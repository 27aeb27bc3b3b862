"""What is counted, and how it is said to Prometheus."""

import random
from typing import Any, Dict, Iterable, Iterator, Optional, Tuple

import pytest

from netmgr.io import process
from netmgr.io.clock import now
from netmgr.model.address_counts import AT_ONCE, AddressCounts
from netmgr.show.answers import ConsumedZone
from netmgr.show.metrics import LINES, Measured, text
from netmgr.show.status import everything
from netmgr.values.addresses import IFA_F_PERMANENT, IFA_F_TENTATIVE
from netmgr.values.counters import COMMIT_BOUNDS, Counters, Told
from netmgr.values.events import LinkGone, LinkSeen
from netmgr.values.sets import IPV4_ADDR, IPV6_ADDR
from tests.prometheus import lint, read
from tests.test_status import MANNER, QUIET
from tests.workbench import WAN, WAN_AND_LAN, Bench, gone, seen

PERSONAL = "interfaces: [{name: 'eth*', nftables_zone: wan}]\nzones: {wan: {exclude: [private]}}\ndocker: {enabled: false}\n"


def measured(**others: Any) -> Measured:
    nothing = Measured("0.1.0", True, 0, 1, 1.5e9, Counters(), {"success": 0, "failure": 0}, True, {}, {}, process.measures())
    return nothing._replace(**others)


def samples(bench: Bench, told: Optional[Measured] = None) -> Dict[str, float]:
    """The values, under names as Prometheus shows them."""
    found = read("".join(text(bench.model, told or measured())))
    return {name + "".join("{%s=%s}" % label for label in sorted(labels) if label[0] != "family"): value
            for (name, labels), value in found.items()}


def test_sets_and_zones() -> None:
    bench = Bench(WAN_AND_LAN)
    bench.make("wan_ips", foreign="198.51.100.1")
    bench.make("wan_ips6", IPV6_ADDR)
    bench.make("lan_ips", IPV4_ADDR, size=1)
    bench.happen(seen("192.0.2.1/24"), seen("192.0.2.2/24"), seen("2001:db8::1/64"), seen("fe80::1/64"))
    bench.happen(seen("10.0.0.1/24", index=2), seen("10.0.0.2/24", index=2))
    bench.look()
    counters = bench.reconciler.counters
    counters.committed(bench.settle(), 0.0)
    found = samples(bench, measured(counters=counters, interfaces={"eth0": 3}))
    wan = [found["netmgr_set_%s{set=wan_ips}{table=filter}{zone=wan}" % name] for name in ("elements", "foreign_elements", "synced")]
    assert wan == [2, 1, 1]
    assert found["netmgr_set_synced{set=lan_ips}{table=filter}{zone=lan}"] == 0
    assert (found["netmgr_zone_addresses{zone=wan}"], found["netmgr_zone_addresses{zone=lan}"]) == (3, 2)
    assert found["netmgr_interface_addresses{interface=eth0}"] == 3
    assert found["netmgr_transactions_total{result=committed}"] == 1
    assert found["netmgr_elements_changed_total{direction=added}"] == 4
    assert not any("lan_ips6" in each for each in found), "a set that nobody has promised"


def test_refused_and_overtaken_transactions_are_counted() -> None:
    bench = Bench()
    bench.make("wan_ips")
    bench.happen(seen("192.0.2.1/24"))
    bench.look()
    bench.kernel.sets.clear()
    assert bench.settle() == []
    told = bench.reconciler.counters
    assert told.transactions["committed"] == 0 and sum(told.transactions.values()) > 0


def test_a_dry_run_counts_nothing() -> None:
    bench = Bench(dry_run=True)
    bench.make("wan_ips")
    bench.happen(seen("192.0.2.1/24"))
    assert bench.settle()
    assert sum(bench.reconciler.counters.transactions.values()) == 0


def test_sources_and_what_they_told() -> None:
    links, engine = Told(), Told()
    links.events, links.overruns = 7, 2
    links.snapshot("start")
    links.snapshot("overrun")
    engine.snapshot("overrun")
    found = samples(Bench(), measured(sources={"netlink": (True, links), "docker": (False, engine)}))
    assert (found["netmgr_source_up{source=netlink}"], found["netmgr_source_up{source=docker}"]) == (1, 0)
    assert found["netmgr_events_total{source=netlink}"] == 7 and found["netmgr_overruns_total"] == 2
    assert (found["netmgr_snapshots_total{reason=start}"], found["netmgr_snapshots_total{reason=overrun}"]) == (1, 2)


def test_a_fleet() -> None:
    assert not any("fleet" in name for name in samples(Bench()))
    consumed = (ConsumedZone("peer_wan", "wan", 7, 9, ("evil: no", "worse: no"), 1, 0), ConsumedZone("peer_lan", "lan"))
    told = measured(consumed=consumed)
    found = samples(Bench(), told)
    assert [found["netmgr_fleet_%s{zone=peer_wan}" % name] for name in ("hosts", "hosts_refused", "hosts_held")] == [7, 2, 1]
    assert found["netmgr_fleet_hosts{zone=peer_lan}"] == 0
    lint("".join(text(Bench().model, told)))


@pytest.mark.parametrize("seconds", [0.0, *COMMIT_BOUNDS, 0.0007, 7.5])
def test_a_commit_is_in_every_bucket_that_is_wide_enough(seconds: float) -> None:
    counters = Counters()
    counters.committed((), seconds)
    found = samples(Bench(), measured(counters=counters))
    for bound in COMMIT_BOUNDS:
        assert found["netmgr_commit_seconds_bucket{le=%r}" % bound] == (seconds <= bound)
    assert found["netmgr_commit_seconds_bucket{le=+Inf}"] == found["netmgr_commit_seconds_count"] == 1
    assert found["netmgr_commit_seconds_sum"] == seconds


def test_names_cannot_break_a_line() -> None:
    found = read("".join(text(Bench().model, measured(interfaces={'a"b\\c\nd\udcff': 1}))))
    assert [value for (name, _labels), value in found.items() if name == "netmgr_interface_addresses"] == [1]


def test_promtool_finds_nothing_to_say() -> None:
    bench = Bench(WAN)
    bench.make("wan_ips")
    bench.look()
    told = Told()
    told.snapshot("start")
    lint("".join(text(bench.model, measured(interfaces={'a"b\\c\nd\udcff': 1}, sources={"netlink": (True, told)}))))


def test_it_comes_in_pieces() -> None:
    many = "interfaces: [%s]\n" % ", ".join("{name: e%d, nftables_zone: z%d}" % (each, each) for each in range(500))
    bench = Bench(many + "docker: {enabled: false}\n")
    pieces = list(text(bench.model, measured()))
    assert max(piece.count("\n") for piece in pieces[:-1]) <= LINES + 2
    assert all(pieces) and "".join(pieces).count("\nnetmgr_zone_addresses{") == 500


def test_what_the_kernel_tells_of_this_process() -> None:
    found = process.measures()
    assert found["open_fds"] >= 3 and found["resident_memory_bytes"] > 1 << 20 and found["max_fds"] > 3
    assert found["virtual_memory_bytes"] >= found["resident_memory_bytes"] and found["cpu_seconds_total"] > 0
    assert 0 < found["start_time_seconds"] <= now() + 1


def _truth(bench: Bench) -> Dict[str, int]:
    rows = everything(bench.model, QUIET, MANNER).interfaces
    return {row.name: sum(address.counts for address in row.addresses) for row in rows if row.zones and row.index is not None}


@pytest.mark.parametrize("seed", range(10))
def test_addresses_that_count_are_counted_as_the_status_counts_them(seed: int) -> None:
    generator = random.Random(seed)
    bench = Bench(PERSONAL)
    counted = AddressCounts(bench.model.policy)

    def random_events() -> Iterable[Tuple[str, Any]]:
        for _event in range(60):
            index, last = generator.randrange(1, 4), generator.randrange(6)
            prefix = generator.choice(("192.0.2.%d/24", "10.0.0.%d/24", "2001:db8::%d/64", "fe80::%d/64"))
            flags = generator.choice((IFA_F_PERMANENT, 0, IFA_F_PERMANENT | IFA_F_TENTATIVE))
            yield generator.choice((
                ("address", seen(prefix % last, flags, index)), ("address", seen(prefix % last, flags, index)),
                ("gone", gone(prefix % last, index)), ("link", LinkSeen(index, "eth%d%d" % (index, generator.randrange(3)), True)),
                ("link", LinkGone(index))))

    counting: Iterator[None] = iter(())
    for _kind, event in random_events():
        changes = bench.inventory.apply(event)
        bench.model.apply(changes)
        counted.apply(changes)
        if next(counting, True) or generator.random() < 0.1:        # it is at its end, or its client goes
            counting = counted.complete(bench.inventory)
        if generator.random() < 0.05:
            counted.clear()
        if generator.random() < 0.3:
            for _step in counted.complete(bench.inventory):
                pass
            assert counted.told() == _truth(bench)
    bench.inventory.replace_interfaces([LinkSeen(1, "eth0", True)], {})
    counted.clear()
    list(counted.complete(bench.inventory))
    assert counted.told() == _truth(bench) == {"eth0": 0}


def test_addresses_are_counted_in_pieces_and_only_once() -> None:
    bench = Bench()
    bench.happen(*(seen("10.0.%d.%d/16" % (each >> 8, each & 255)) for each in range(3 * AT_ONCE)))
    counted = AddressCounts(bench.model.policy)
    counting = counted.complete(bench.inventory)
    next(counting)
    for address in ("10.1.0.1/16", "10.1.0.2/16"):
        counted.apply(bench.inventory.apply(seen(address)))
    counted.apply(bench.inventory.apply(gone("10.0.0.1/16")))
    assert counted.told() == {}, "it tells what it knows"
    assert len(list(counting)) >= 2
    assert counted.told() == {"eth0": 3 * AT_ONCE + 1}
    counted.apply(bench.inventory.apply(gone("10.0.0.2/16")))
    assert (list(counted.complete(bench.inventory)), counted.told()) == ([], {"eth0": 3 * AT_ONCE})
