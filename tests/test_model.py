"""What should be in every set, and what does it: one situation a test; tests/test_model_random.py holds the whole against recomputation."""

import tracemalloc
from typing import Any, Dict, List, Tuple

import pytest

from netmgr.model.inventory import Inventory
from netmgr.model.model import PATIENCE, Findings, Model
from netmgr.model.others import AWAITED
from netmgr.sync.reconciler import Reconciler
from netmgr.values.addresses import parse
from netmgr.values.events import AddressSeen, LinkGone, LinkSeen
from netmgr.values.sets import (
    IFNAME,
    IPV4_ADDR,
    IPV6_ADDR,
    NFT_SET_INTERVAL,
    NFT_SET_MAP,
    NFT_SET_TIMEOUT,
    CreateSet,
    CreateTable,
    Form,
    SetName,
)
from tests.workbench import ANY_LABEL, WAN, WAN_AND_LAN, Bench, by_set, configuration, container, gone, key, keys, named, seen

CREATE = WAN + "nftables: {create: true}\n"
ETH0 = "interfaces: [{name: eth0, nftables_zone: wan}]\n"
DOCKER = "nftables: {create: true}\ndocker: {label_zones: 'app*'}\n"


def test_one_transaction_for_all_sets_and_no_second_one() -> None:
    bench = Bench(WAN_AND_LAN)
    for name in ("wan_ips", "wan_nets", "wan_ifs", "lan_ips"):
        bench.make(name)
    bench.happen(seen("192.0.2.1/24"), seen("192.0.2.2/24", index=2))
    changes = bench.settle()
    assert by_set(changes) == {"wan_ips": (0, 1), "wan_nets": (0, 1), "wan_ifs": (0, 1), "lan_ips": (0, 1)}
    assert len(bench.kernel.commits) == 1
    assert [bench.ours(name) for name in ("wan_ips", "wan_nets", "wan_ifs", "lan_ips")] == [
        "192.0.2.1", "192.0.2.0/24", '"eth0"', "192.0.2.2"]
    assert bench.settle() == []
    bench.happen(seen("192.0.2.1/24", index=2), gone("192.0.2.1/24"))
    assert by_set(bench.settle()) == {"wan_ips": (1, 0), "wan_nets": (1, 0), "lan_ips": (0, 1)}
    assert len(bench.kernel.commits) == 2


def test_stale_elements_leave_and_foreign_ones_stay() -> None:
    bench = Bench()
    bench.make("wan_ips", ours="192.0.2.8 192.0.2.9", foreign="192.0.2.1 192.0.2.7")
    bench.happen(seen("192.0.2.1/24"), seen("192.0.2.9/24"))
    assert by_set(bench.settle()) == {"wan_ips": (1, 0)}
    assert (bench.ours("wan_ips"), bench.foreign("wan_ips")) == ("192.0.2.9", "192.0.2.1 192.0.2.7")
    bench.happen(gone("192.0.2.1/24"), gone("192.0.2.9/24"))
    bench.settle()
    assert (bench.ours("wan_ips"), bench.foreign("wan_ips")) == ("", "192.0.2.1 192.0.2.7")


def test_an_exclusive_set_is_netmgrs_alone() -> None:
    bench = Bench(WAN + "zones: {wan: {exclusive: true}}")
    bench.make("wan_ips", ours="192.0.2.9", foreign="192.0.2.1 192.0.2.7")
    bench.make("wan_nets", foreign="192.0.2.0/25 10.0.0.0/8")
    bench.happen(seen("192.0.2.1/24"))
    bench.settle()
    assert (bench.ours("wan_ips"), bench.foreign("wan_ips")) == ("192.0.2.1", "")
    assert (bench.ours("wan_nets"), bench.foreign("wan_nets")) == ("192.0.2.0/24", "")


def test_ranges_around_foreign_ranges() -> None:
    bench = Bench()
    bench.make("wan_nets", foreign="192.0.2.64-192.0.2.127")
    bench.happen(seen("192.0.2.1/24"), seen("192.0.3.1/24"))
    bench.settle()
    assert bench.ours("wan_nets") == "192.0.2.0/26 192.0.2.128-192.0.3.255"
    bench.happen(gone("192.0.3.1/24"))
    assert by_set(bench.settle()) == {"wan_nets": (1, 1)}
    assert bench.ours("wan_nets") == "192.0.2.0/26 192.0.2.128/25"


def test_a_set_with_timeouts_never_loses_what_is_wanted() -> None:
    bench = Bench()
    bench.make("wan_ips", flags=NFT_SET_TIMEOUT, ours="192.0.2.1", expiring="192.0.2.2 192.0.2.3")
    bench.happen(seen("192.0.2.1/24"), seen("192.0.2.2/24"))
    assert by_set(bench.settle()) == {"wan_ips": (2, 1)}
    found = bench.kernel.sets[named("wan_ips")]
    assert (bench.ours("wan_ips"), found.expiring) == ("192.0.2.1 192.0.2.2", set())
    assert bench.settle() == []


# -- forms and names


def test_a_set_replaced_by_one_of_another_form_is_filled_in_the_new_form() -> None:
    bench = Bench()
    bench.make("wan_ips")
    bench.happen(seen("192.0.2.1/24"), seen("2001:db8::1/64"))
    bench.settle()
    for kind, flags, expected in ((IPV6_ADDR, 0, "2001:db8::1"), (IPV4_ADDR, NFT_SET_INTERVAL, "192.0.2.1"), (IPV4_ADDR, 0, "192.0.2.1")):
        bench.make("wan_ips", kind, flags)
        bench.look()
        bench.settle()
        assert (bench.ours("wan_ips"), bench.managed("wan_ips").error) == (expected, None)


@pytest.mark.parametrize(("name", "kind", "flags", "reason"), [
    ("wan_ips", IPV4_ADDR, NFT_SET_MAP, "it is a map"), ("wan_ips", "13", 0, "its type is not one"),
    ("wan_ips", IFNAME, 0, "its type is ifname"), ("wan_ifs", IPV4_ADDR, 0, "its type is ipv4_addr"),
])
def test_a_set_that_cannot_hold_what_is_asked_is_an_error_and_delays_no_other(name: str, kind: str, flags: int, reason: str) -> None:
    bench = Bench()
    bench.make(name, kind, flags)
    bench.make("wan_nets")
    bench.happen(seen("192.0.2.1/24"))
    bench.settle()
    assert reason in str(bench.managed(name).error)
    assert bench.kernel.sets[named(name)].elements == {}
    assert (bench.ours("wan_nets"), bench.managed("wan_nets").error) == ("192.0.2.0/24", None)
    bench.make(name)
    bench.look()
    bench.settle()
    assert bench.managed(name).error is None


def test_networks_need_ranges_and_what_is_stale_leaves_even_so() -> None:
    bench = Bench("interfaces: [{name: eth0, nftables_zone: wan}]\nzones: {wan: {sets: {nets: networks}}}")
    bench.kernel.make(named("nets"), IPV4_ADDR, ours=keys("192.0.2.9"))
    bench.happen(seen("192.0.2.1/24"))
    bench.settle()
    assert bench.ours("nets") == ""
    assert bench.managed("nets").error == "it has no ranges; networks need a set with flags interval"


def test_one_set_fed_by_two_zones_holds_their_union_until_the_last_claim_ends() -> None:
    bench = Bench("""
        interfaces: [{name: eth0, nftables_zone: [one, two]}, {name: eth1, nftables_zone: two}]
        zones: {one: {sets: {shared: addresses}}, two: {sets: {shared: addresses}}}""")
    bench.make("shared")
    bench.happen(seen("192.0.2.1/24"), seen("192.0.2.1/24", index=2), seen("192.0.2.2/24", index=2))
    bench.settle()
    assert bench.ours("shared") == "192.0.2.1 192.0.2.2"
    bench.happen(LinkGone(1))
    assert bench.settle() == []
    bench.happen(LinkSeen(2, "eth9", True))
    bench.settle()
    assert bench.ours("shared") == ""


def test_a_set_that_appears_vanishes_and_comes_back() -> None:
    bench = Bench()
    bench.happen(seen("192.0.2.1/24"))
    assert bench.settle() == []
    bench.make("wan_ips")
    bench.look()
    bench.settle()
    assert bench.ours("wan_ips") == "192.0.2.1"
    bench.kernel.drop_table("inet", "filter")
    bench.look()
    bench.happen(seen("192.0.2.2/24"))
    assert bench.settle() == []
    managed = bench.managed("wan_ips")
    assert (managed.seen.info, managed.error, sorted(bench.model.wanted(managed))) == (None, None, keys("192.0.2.1 192.0.2.2"))
    bench.make("wan_ips", foreign="192.0.2.2")
    bench.look()
    bench.settle()
    assert (bench.ours("wan_ips"), bench.foreign("wan_ips")) == ("192.0.2.1", "192.0.2.2")


def test_what_happens_while_a_set_is_left_alone_is_not_forgotten() -> None:
    bench = Bench()
    bench.make("wan_ips", ours="192.0.2.3")
    bench.happen(seen("192.0.2.3/24"))
    bench.settle()
    bench.kernel.refuses[named("wan_ips")] = (1, "not permitted")
    bench.happen(seen("192.0.2.1/24"))
    bench.settle()
    bench.happen(seen("192.0.2.2/24"), gone("192.0.2.3/24"))
    assert bench.settle() == []
    assert bench.model.next_retry() == 1.0
    bench.kernel.refuses.clear()
    bench.settle(1.0)
    assert (bench.ours("wan_ips"), bench.managed("wan_ips").error) == ("192.0.2.1 192.0.2.2", None)


def test_an_error_ends_when_nothing_is_wanted_any_more() -> None:
    bench = Bench()
    bench.make("wan_ips")
    bench.settle()
    bench.kernel.refuses[named("wan_ips")] = (1, "not permitted")
    bench.happen(seen("192.0.2.1/24"))
    bench.settle()
    bench.happen(gone("192.0.2.1/24"))
    assert bench.managed("wan_ips").error == "not permitted"
    assert bench.settle(1.0) == []
    assert (bench.managed("wan_ips").error, bench.model.next_retry()) == (None, None)


# -- full sets


def test_a_full_set_takes_as_many_as_fit_and_stale_ones_leave() -> None:
    bench = Bench()
    bench.make("wan_ips", size=3, ours="192.0.2.9", foreign="192.0.2.100")
    bench.happen(*(seen("192.0.2.%d/24" % last) for last in range(1, 5)))
    bench.settle()
    assert (bench.ours("wan_ips"), bench.foreign("wan_ips")) == ("192.0.2.1 192.0.2.2", "192.0.2.100")
    assert bench.managed("wan_ips").error == "the set is full: it takes 3 elements, and 2 more are wanted"
    bench.happen(gone("192.0.2.1/24"))
    bench.settle()
    assert bench.ours("wan_ips") == "192.0.2.2 192.0.2.3"
    bench.happen(gone("192.0.2.2/24"))
    bench.settle()
    assert (bench.ours("wan_ips"), bench.managed("wan_ips").error) == ("192.0.2.3 192.0.2.4", None)
    assert len(bench.kernel.commits) == 3


def test_what_is_renewed_in_a_full_set_does_not_make_room_for_others() -> None:
    for exclusive, expiring, foreign in (("false", "192.0.2.8 192.0.2.9", ""), ("true", "", "192.0.2.8 192.0.2.9")):
        bench = Bench(WAN + "zones: {wan: {exclusive: %s}}" % exclusive)
        bench.make("wan_ips", flags=NFT_SET_TIMEOUT, size=3, expiring=expiring, foreign=foreign)
        bench.happen(*(seen("192.0.2.%d/24" % last) for last in (1, 2, 8, 9)))
        bench.settle()
        assert bench.ours("wan_ips") == "192.0.2.1 192.0.2.8 192.0.2.9"


@pytest.mark.parametrize("tells_position", [True, False])
def test_a_set_that_is_fuller_than_it_seems(tells_position: bool) -> None:
    """Ranges, where netmgr does not count ahead: the kernel's refusal tells where it became too much, or only that it did."""
    bench = Bench()
    bench.kernel.counts_elements = False        # before 6.18 nobody knows how much a range takes
    bench.make("wan_nets", size=3, ours="10.0.0.0/8")
    if not tells_position:
        bench.kernel.after_commit = [lambda outcome: outcome._replace(
            faults=tuple(fault._replace(position=None) for fault in outcome.faults)) for _ in range(9)]
    bench.happen(*(seen("192.0.%d.1/24" % (2 * number)) for number in range(5)))
    bench.settle()
    networks = bench.ours("wan_nets").split()
    assert networks == ["192.0.0.0/24", "192.0.2.0/24", "192.0.4.0/24"][:3 if tells_position else 2]
    assert str(bench.managed("wan_nets").error).startswith("the set is full")


# -- elements that an earlier netmgr left, while containers are not known


def held(bench: Bench) -> Bench:
    bench.model.hold = True
    return bench


def test_while_held_nothing_that_an_earlier_netmgr_left_goes() -> None:
    bench = held(Bench())
    bench.make("wan_ips", ours="192.0.2.1 192.0.2.8 192.0.2.9", foreign="192.0.2.7")
    bench.happen(seen("192.0.2.1/24"), seen("192.0.2.2/24"))
    assert by_set(bench.settle()) == {"wan_ips": (0, 1)}
    bench.happen(gone("192.0.2.1/24"), seen("192.0.2.8/24"))
    bench.settle()
    bench.happen(gone("192.0.2.8/24"))
    bench.settle()
    assert bench.ours("wan_ips") == "192.0.2.2 192.0.2.9", "what has been claimed goes with its claim"
    bench.look()
    bench.settle()
    assert bench.ours("wan_ips") == "192.0.2.2 192.0.2.9"
    bench.model.release_held()
    bench.settle()
    assert (bench.ours("wan_ips"), bench.foreign("wan_ips")) == ("192.0.2.2", "192.0.2.7")


def test_while_held_ranges_are_spared_as_they_are() -> None:
    bench = held(Bench())
    bench.make("wan_nets", ours="192.0.2.0-192.0.3.255 10.0.0.0/8")
    bench.happen(seen("192.0.2.1/24"), seen("198.51.100.1/24"))
    for _ in range(2):
        bench.settle()
        assert bench.ours("wan_nets") == "10.0.0.0/8 192.0.2.0/23 198.51.100.0/24"
        bench.look()
    bench.model.release_held()
    assert by_set(bench.settle()) == {"wan_nets": (2, 1)}
    assert bench.ours("wan_nets") == "192.0.2.0/24 198.51.100.0/24"


def test_spared_elements_that_expire_are_renewed_when_they_turn_out_to_be_wanted() -> None:
    bench = held(Bench())
    bench.make("wan_ips", flags=NFT_SET_TIMEOUT, expiring="192.0.2.1 192.0.2.2")
    bench.settle()
    bench.happen(seen("192.0.2.1/24"), seen("192.0.2.3/24"))
    bench.settle()
    bench.model.release_held()
    bench.settle()
    assert (bench.ours("wan_ips"), bench.kernel.sets[named("wan_ips")].expiring) == ("192.0.2.1 192.0.2.3", set())


# -- configurations that go


def test_sets_that_left_the_configuration_lose_our_elements_and_are_forgotten() -> None:
    bench = Bench(WAN_AND_LAN)
    bench.make("wan_ips", ours="192.0.2.9")
    bench.make("lan_ips", ours="192.0.2.8", foreign="192.0.2.7")
    after = Bench(WAN, bench.kernel, bench.inventory)
    after.model.retire(bench.model.sets)
    assert named("lan_nets") in after.model.sets
    after.settle()
    assert (after.ours("lan_ips"), after.foreign("lan_ips")) == ("", "192.0.2.7")
    assert sorted(name.name for name in after.model.sets) == ["wan_ifs", "wan_ips", "wan_ips6", "wan_ipv6", "wan_nets", "wan_nets6"]


def test_a_set_is_not_forgotten_before_it_could_be_cleaned() -> None:
    bench = Bench()
    bench.make("wan_ips")
    bench.make("lan_ips", ours="192.0.2.8")
    bench.model.retire([named("lan_ips")])
    bench.kernel.unreadable[named("lan_ips")] = OSError(5, "Input/output error")
    bench.happen(seen("192.0.2.1/24"))
    bench.settle()
    assert bench.ours("wan_ips") == "192.0.2.1"
    bench.kernel.unreadable.clear()
    bench.settle(1.0)
    assert bench.ours("lan_ips") == ""
    assert named("lan_ips") not in bench.model.sets


@pytest.mark.parametrize("cleaned", [True, False])
def test_a_set_that_left_and_comes_back_with_a_container(cleaned: bool) -> None:
    bench = Bench("docker: {nftables_zone: null, label_zones: apps}")
    bench.make("apps_ips", ours="172.17.0.9 172.17.0.2")
    bench.model.retire([named("apps_ips")])
    if cleaned:
        bench.settle()
        assert bench.ours("apps_ips") == ""
    bench.containers(container("a", "172.17.0.2/16", label="apps"))
    bench.settle()
    assert bench.ours("apps_ips") == "172.17.0.2"


def test_at_a_stop_everything_of_ours_goes_even_from_sets_that_were_left_alone() -> None:
    bench = Bench(WAN_AND_LAN)
    bench.make("wan_ips", ours="192.0.2.9", foreign="192.0.2.7")
    bench.make("lan_ips")
    bench.kernel.refuses[named("lan_ips")] = (1, "not permitted")
    bench.happen(seen("192.0.2.1/24"), seen("192.0.2.2/24", index=2))
    bench.settle()
    bench.kernel.refuses.clear()
    bench.kernel.make(named("lan_ips"), IPV4_ADDR, ours=keys("192.0.2.5"))
    bench.look()
    bench.model.retire_all()
    bench.settle()
    assert [found.ours for found in bench.kernel.sets.values()] == [set(), set()]
    assert bench.foreign("wan_ips") == "192.0.2.7"
    bench.happen(gone("192.0.2.1/24"), seen("192.0.2.3/24"))
    assert (bench.settle(), bench.model.sets.keys() & bench.kernel.sets.keys()) == ([], set())


# -- creation, and zones of containers


def test_missing_table_and_sets_are_created_and_filled_in_one_transaction() -> None:
    bench = Bench(CREATE)
    bench.happen(seen("192.0.2.1/24"), seen("2001:db8::1/64"))
    changes = bench.settle()
    assert [change for change in changes if isinstance(change, (CreateTable, CreateSet))] == [
        CreateTable("inet", "filter"), CreateSet(named("wan_ips"), Form(IPV4_ADDR)),
        CreateTable("inet", "filter"), CreateSet(named("wan_ips6"), Form(IPV6_ADDR))]
    assert (bench.ours("wan_ips"), bench.ours("wan_ips6"), len(bench.kernel.commits)) == ("192.0.2.1", "2001:db8::1", 1)
    assert sorted(name.name for name in bench.kernel.sets) == ["wan_ips", "wan_ips6"]
    assert bench.settle() == []
    bench.kernel.drop_table("inet", "filter")
    bench.look()
    assert bench.settle() == []
    bench.settle(PATIENCE)
    assert bench.ours("wan_ips") == "192.0.2.1"


def test_a_set_of_ranges_that_is_gone_is_created_anew_without_them() -> None:
    bench = Bench(CREATE)
    bench.make("wan_ips", flags=NFT_SET_INTERVAL, size=1, foreign="10.0.0.0-10.0.0.1")
    bench.happen(seen("192.0.2.1/24"), seen("192.0.2.2/24"))
    bench.settle()
    bench.kernel.drop_table("inet", "filter")
    bench.look()
    bench.settle(PATIENCE)
    assert (bench.ours("wan_ips"), bench.managed("wan_ips").error) == ("192.0.2.1 192.0.2.2", None)


def test_ranges_that_were_lost_with_their_set_are_a_repair_of_the_one_that_is_made() -> None:
    bench = Bench(CREATE)
    bench.make("wan_ips", flags=NFT_SET_INTERVAL)
    bench.happen(seen("192.0.2.1/24"))
    bench.settle()
    bench.kernel.drop_table("inet", "filter")
    bench.look()
    bench.settle(PATIENCE)
    assert bench.ours("wan_ips") == "192.0.2.1" and bench.model.repaired == {named("wan_ips")}


def test_of_listed_sets_only_those_of_the_convention_are_created() -> None:
    bench = Bench(CREATE + "zones: {wan: {sets: {lan_ips: addresses, wan_ips: {holds: addresses, exclude: []}, wan_ips6: interfaces}}}")
    bench.happen(seen("192.0.2.1/24"), seen("169.254.0.1/16"))
    bench.settle()
    assert ([name.name for name in bench.kernel.sets], bench.ours("wan_ips")) == (["wan_ips"], "169.254.0.1 192.0.2.1")


def test_without_the_convention_nothing_is_created() -> None:
    bench = Bench(CREATE + "zones: {wan: {convention: false, sets: {wan_ips: addresses}}}")
    bench.happen(seen("192.0.2.1/24"))
    assert (bench.settle(), bench.kernel.sets) == ([], {})


def test_in_a_list_of_tables_they_are_created_in_each() -> None:
    bench = Bench(CREATE + "zones: {wan: {table: [inet filter, ip nat]}}")
    bench.happen(seen("192.0.2.1/24"))
    bench.settle()
    assert sorted(str(name) for name in bench.kernel.sets) == [
        "inet filter wan_ips", "inet filter wan_ips6", "ip nat wan_ips", "ip nat wan_ips6"]
    assert (bench.ours("wan_ips"), bench.ours("ip nat wan_ips")) == ("192.0.2.1", "192.0.2.1")


def test_a_set_of_one_zone_that_another_lists_too_is_created_for_the_one() -> None:
    bench = Bench("""
        interfaces: [{name: eth0, nftables_zone: [long_name, b]}]
        zones: {long_name: {sets: {b_ips: addresses}}}
        nftables: {create: true}
        docker: {enabled: false}""")
    bench.happen(seen("192.0.2.1/24"))
    bench.settle()
    assert bench.ours("b_ips") == "192.0.2.1"


def test_the_sets_of_containers_are_created_with_the_first_container() -> None:
    bench = Bench(DOCKER)
    assert bench.settle() == []
    bench.containers(container("a", "172.17.0.2/16", label="apps"))
    bench.settle()
    assert sorted(name.name for name in bench.kernel.sets) == ["apps_ips", "apps_ips6", "docker_ips", "docker_ips6"]
    assert (bench.ours("docker_ips"), bench.ours("apps_ips")) == ("172.17.0.2", "172.17.0.2")
    bench.containers()
    bench.settle()
    assert bench.ours("docker_ips") == ""
    assert sorted(name.name for name in bench.kernel.sets) == ["docker_ips", "docker_ips6"], "what netmgr made for a label goes with it"


def test_a_set_of_containers_that_was_dropped_as_ranges_is_created_when_a_container_comes() -> None:
    bench = Bench(DOCKER)
    bench.make("docker_ips", flags=NFT_SET_INTERVAL)
    bench.settle()
    bench.kernel.drop_table("inet", "filter")
    bench.look()
    assert bench.settle() == []
    bench.containers(container("a", "172.17.0.2/16"))
    bench.settle()
    assert bench.ours("docker_ips") == "172.17.0.2"


def test_a_label_makes_zones_whose_sets_are_found_and_nonsense_makes_none() -> None:
    bench = Bench(ANY_LABEL)
    bench.make("apps_ips")
    bench.make("docker_ips")
    bench.containers(container("a", "172.17.0.2/16", label="apps, no zone,,-"), container("b", "172.17.0.3/16"))
    bench.settle()
    assert (bench.ours("apps_ips"), bench.ours("docker_ips")) == ("172.17.0.2", "172.17.0.2 172.17.0.3")
    assert sorted(bench.model.policy.zones) == ["apps", "docker"]
    after = Bench(ANY_LABEL, bench.kernel, bench.inventory)
    assert sorted(after.model.policy.zones) == ["apps", "docker"], "a new model knows the labels of the containers that are there"
    assert after.settle() == []


def test_a_label_may_name_a_zone_whose_set_another_zone_fills() -> None:
    bench = Bench(ETH0 + "zones: {wan: {sets: {apps_ips: addresses, apps_ifs: addresses}}}\n" + ANY_LABEL)
    bench.make("apps_ips")
    bench.make("apps_ifs", IPV4_ADDR)
    bench.happen(seen("192.0.2.1/24"))
    bench.settle()
    assert bench.managed("apps_ifs").error is None
    bench.containers(container("a", "172.17.0.2/16", label="apps"))
    bench.settle()
    assert bench.ours("apps_ips") == "172.17.0.2 192.0.2.1"
    assert bench.managed("apps_ifs").error == "its type is ipv4_addr; interfaces need ifname"


def test_zones_that_only_labels_name_are_forgotten_with_their_last_container() -> None:
    bench = Bench(ANY_LABEL)
    for name in ("apps_ips", "docker_ips"):
        bench.make(name)
    bench.settle()
    for number in range(20):
        bench.containers(container("a", "172.17.0.2/16", label="apps,job%d" % number), container("b", "172.17.0.3/16", label="late"))
        assert bench.managed("job%d_ips" % number).seen.info is None
        bench.settle()
        assert sorted(bench.model.policy.zones) == ["apps", "docker", "job%d" % number, "late"]
    bench.containers()
    bench.settle()
    assert sorted(bench.model.policy.zones) == ["docker"]
    assert {name.name.partition("_")[0] for name in bench.model.sets} == {"docker"}
    assert bench.model.unsurveyed == set() and (bench.ours("apps_ips"), bench.ours("docker_ips")) == ("", "")
    bench.make("late_ips")
    bench.containers(container("b", "172.17.0.3/16", label="late"))
    bench.settle()
    assert (bench.ours("late_ips"), bench.ours("docker_ips")) == ("172.17.0.3", "172.17.0.3")
    bench.containers()
    bench.settle()
    assert bench.ours("late_ips") == "" and sorted(bench.model.policy.zones) == ["docker"]
    assert bench.model.take_departed() == sorted(named(zone + suffix) for zone in ("apps", "late", *("job%d" % each for each in range(20)))
                                                 for suffix in ("_ips", "_ips6", "_ipv6", "_nets", "_nets6", "_ifs"))


def test_containers_that_come_and_go_leave_no_sets_behind() -> None:
    bench = Bench("docker: {nftables_zone: null, label_zones: '*'}\nnftables: {create: true}")
    bench.settle()
    for number in range(60):
        bench.containers(container("a", "172.17.0.2/16", label="job%d" % number))
        bench.settle()
        assert bench.ours("job%d_ips" % number) == "172.17.0.2"
    bench.containers()
    bench.settle()
    assert (bench.kernel.sets, bench.model.sets, bench.model.overview.own) == ({}, {}, 0)


def test_a_set_that_netmgr_made_stays_while_somebody_uses_it() -> None:
    bench = Bench("docker: {nftables_zone: null, label_zones: '*'}\nnftables: {create: true}")
    for label in ("used", "shared"):
        bench.containers(container("a", "172.17.0.2/16", label=label))
        bench.settle()
    bench.containers(container("a", "172.17.0.2/16", label="used, shared"))
    bench.settle()
    bench.kernel.in_use.add(named("used_ips"))
    bench.kernel.sets[named("shared_ips")].elements[key("192.0.2.1")] = False
    bench.look()
    bench.containers()
    bench.settle()
    assert sorted(name.name for name in bench.kernel.sets) == ["shared_ips", "used_ips"]
    assert (bench.ours("used_ips"), bench.ours("shared_ips"), bench.foreign("shared_ips")) == ("", "", "192.0.2.1")
    assert bench.model.sets == {} and bench.errors() == []


@pytest.mark.parametrize("gone", [{"table": True}, {"table": False}])
def test_a_set_that_vanished_is_waited_for_before_it_is_made(gone: Dict[str, bool]) -> None:
    bench = Bench(CREATE)
    bench.make("wan_ips", flags=NFT_SET_INTERVAL)
    bench.happen(seen("192.0.2.1/24"))
    bench.settle()
    bench.kernel.drop_table("inet", "filter")
    bench.look(10.0)
    assert bench.settle(10.0) == []
    assert bench.model.next_retry() == 10.0 + PATIENCE
    bench.look(11.0)
    assert bench.settle(10.0 + PATIENCE - 0.1) == []
    if gone["table"]:
        bench.settle(10.0 + PATIENCE)
        assert bench.managed("wan_ips").seen.form == Form(IPV4_ADDR)
    else:
        bench.make("wan_ips", flags=NFT_SET_INTERVAL)
        bench.look(11.5)
        bench.settle(11.5)
        assert bench.managed("wan_ips").seen.form == Form(IPV4_ADDR, True)
    assert bench.ours("wan_ips") == "192.0.2.1"


def test_a_set_of_which_an_earlier_run_left_a_file_is_waited_for() -> None:
    bench = Bench(CREATE)
    bench.model = Model(configuration(CREATE), bench.inventory, lambda name: frozenset() if name == named("wan_ips") else None)
    bench.reconciler = Reconciler(bench.kernel, bench.model, lambda _level, _line: None)
    bench.happen(seen("192.0.2.1/24"))
    bench.model.recount()
    bench.settle(1.0)
    assert sorted(name.name for name in bench.kernel.sets) == ["wan_ips6"]
    bench.settle(1.0 + PATIENCE)
    assert sorted(name.name for name in bench.kernel.sets) == ["wan_ips", "wan_ips6"]
    assert bench.ours("wan_ips") == "192.0.2.1"


def test_what_is_counted_anew_and_comes_to_the_same_is_not_compared() -> None:
    bench = Bench(WAN_AND_LAN)
    bench.make("wan_ips")
    bench.make("lan_ips")
    bench.happen(seen("192.0.2.1/24"), seen("192.0.2.2/24", index=2))
    bench.settle()
    bench.model.recount()
    assert bench.model.calm
    bench.inventory.apply(gone("192.0.2.2/24", index=2))
    bench.model.recount()
    assert list(bench.model.overview.compare) == [named("lan_ips")]
    bench.settle()
    assert (bench.ours("wan_ips"), bench.ours("lan_ips")) == ("192.0.2.1", "")


def test_a_forgotten_zone_leaves_the_set_to_others_that_fill_it() -> None:
    bench = Bench(ETH0 + "zones: {wan: {sets: {apps_ips: addresses}}}\n" + ANY_LABEL)
    bench.happen(seen("192.0.2.1/24"))
    bench.containers(container("a", "172.17.0.2/16", label="apps, wan, docker"))
    bench.settle()
    assert len(bench.managed("apps_ips").role.feeds) == 2
    bench.containers()
    assert [feed.zone for feed in bench.managed("apps_ips").role.feeds] == ["wan"]
    assert sorted(bench.model.policy.zones) == ["docker", "wan"]
    bench.make("apps_ips")
    bench.look()
    bench.settle()
    assert bench.ours("apps_ips") == "192.0.2.1"


# -- marks


def test_stale_are_the_sets_that_may_have_changed() -> None:
    bench = Bench(WAN_AND_LAN)
    for name in ("wan_ips", "lan_ips"):
        bench.make(name)
    bench.settle()
    assert bench.model.unwritten == {named("wan_ips"), named("lan_ips")}
    bench.model.unwritten.clear()
    bench.settle()
    assert bench.model.unwritten == set()
    bench.happen(seen("192.0.2.1/24"))
    bench.settle()
    assert bench.model.unwritten == {named("wan_ips")}
    bench.model.unwritten.clear()
    bench.kernel.drop_table("inet", "filter")
    bench.look()
    bench.settle()
    bench.happen(seen("192.0.2.2/24"))
    bench.settle()
    assert named("wan_ips") in bench.model.unwritten, "a missing set still has an include file"


def test_repaired_is_what_somebody_took_and_netmgr_put_back() -> None:
    bench = Bench()
    found = bench.make("wan_ips")
    bench.happen(seen("192.0.2.1/24"), seen("192.0.2.2/24"))
    bench.settle()
    assert bench.model.repaired == set()
    del found.elements[key("192.0.2.1")]
    bench.look()
    bench.happen(seen("192.0.2.3/24"))
    bench.settle()
    assert bench.model.repaired == {named("wan_ips")}
    bench.model.repaired.clear()
    bench.happen(gone("192.0.2.1/24"))
    bench.settle()
    del found.elements[key("192.0.2.2")]
    bench.happen(gone("192.0.2.2/24"))
    bench.look()
    bench.settle()
    bench.happen(seen("192.0.2.2/24"))
    bench.look()
    bench.settle()
    assert bench.model.repaired == set(), "what was taken and not wanted is no damage"


@pytest.mark.parametrize(("kind", "flags", "repaired"), [
    (IPV4_ADDR, 0, True), (IPV4_ADDR, NFT_SET_INTERVAL, True), (IPV6_ADDR, 0, False)])
def test_a_set_that_is_replaced_by_an_empty_one_is_repaired(kind: str, flags: int, repaired: bool) -> None:
    bench = Bench()
    bench.happen(seen("192.0.2.1/24"), seen("2001:db8::1/64"))
    for before in (0, NFT_SET_INTERVAL):
        bench.make("wan_ips", flags=before)
        bench.look()
        bench.settle()
        bench.model.repaired.clear()
        bench.kernel.drop_table("inet", "filter")
        bench.look()
        bench.make("wan_ips", kind, flags)
        bench.look()
        bench.settle()
        assert bool(bench.model.repaired) == repaired
        bench.model.repaired.clear()


# -- the price of an event


class Counted(bytes):
    """Counts how often anybody looks it up or enumerates it into a table."""

    hashed = 0

    def __hash__(self) -> int:
        Counted.hashed += 1
        return bytes.__hash__(self)


@pytest.mark.parametrize("zones", ["", "zones: {wan: {exclusive: true}}"])
def test_an_event_costs_the_same_however_much_there_is(zones: str) -> None:
    elements: List[Any] = [Counted((0x0A000000 + number).to_bytes(4, "big")) for number in range(20_000)]
    bench = Bench(WAN + zones)
    bench.make("wan_ips").elements.update(dict.fromkeys(elements, True))
    bench.settle()
    name = named("wan_ips")
    bench.model.ledger.replace(name, dict.fromkeys(elements, 1))
    bench.managed("wan_ips").held.ours.update(elements)
    bench.happen(AddressSeen(1, *parse("192.0.2.1/24"), parse("192.0.2.1")[0], 0x80))
    Counted.hashed = 0
    tracemalloc.start()
    try:
        changes = bench.model.plan(0.0)
        bench.model.committed(changes)
        assert tracemalloc.get_traced_memory()[1] < 50_000
    finally:
        tracemalloc.stop()
    assert by_set(changes) == {"wan_ips": (0, 1)}
    assert Counted.hashed == 0


def test_what_is_not_known_yet_keeps_nothing_in_sets_that_are_given_up() -> None:
    bench = Bench()
    bench.make("old_ips", ours="192.0.2.9")
    bench.model.hold = True
    bench.model.retire([named("old_ips")])
    bench.settle()
    assert bench.ours("old_ips") == ""


@pytest.mark.parametrize("comes", [True, False])
def test_what_others_had_in_a_set_that_was_made_anew_is_awaited_for_a_moment(comes: bool) -> None:
    bench = Bench()
    bench.make("wan_nets", foreign="192.0.0.0/16", flags=NFT_SET_INTERVAL)
    bench.make("wan_ips", foreign="192.0.2.1", size=2)
    bench.happen(seen("192.0.2.1/24"), seen("198.51.100.1/24"), seen("198.51.100.2/24"))
    bench.settle()
    for name in ("wan_nets", "wan_ips"):
        bench.make(name, size=2 if name == "wan_ips" else 0)
    bench.look(10.0)
    bench.settle(10.0)
    assert (bench.ours("wan_nets"), bench.ours("wan_ips")) == ("198.51.100.0/24", "198.51.100.1")
    assert bench.model.overview.fleeting
    if comes:
        bench.kernel.sets[named("wan_nets")].elements[key("192.0.0.0/16")] = False
        bench.kernel.sets[named("wan_ips")].elements[key("192.0.2.1")] = False
        bench.look(10.5)
        bench.settle(10.5)
    bench.look(10.0 + AWAITED)
    bench.settle(10.0 + AWAITED)
    assert (bench.ours("wan_nets"), bench.ours("wan_ips")) == (
        ("198.51.100.0/24", "198.51.100.1") if comes else ("192.0.2.0/24 198.51.100.0/24", "192.0.2.1 198.51.100.1"))


def merging(ours: str = "", foreign: str = "", anew: bool = False) -> Bench:
    """An auto-merge set with netmgr's 192.0.2.10 and another's 192.0.2.11, which then comes to hold this."""
    bench = Bench("interfaces: [{name: eth0, nftables_zone: wan}]\ndocker: {enabled: false}\n")
    bench.make("wan_ips", flags=NFT_SET_INTERVAL, foreign="192.0.2.11-192.0.2.11", merges=True)
    bench.happen(seen("192.0.2.10/24"))
    bench.settle()
    assert (bench.ours("wan_ips"), bench.foreign("wan_ips")) == ("192.0.2.10", "192.0.2.11")
    assert "next to another's" in str(bench.managed("wan_ips").warning)
    if anew:
        bench.make("wan_ips", flags=NFT_SET_INTERVAL, merges=True)
    bench.kernel.sets[named("wan_ips")].elements = {**dict.fromkeys(keys(ours), True), **dict.fromkeys(keys(foreign), False)}
    bench.look(10.0)
    bench.settle(10.0)
    return bench


@pytest.mark.parametrize(("ours", "foreign", "after"), [
    ("192.0.2.10-192.0.2.11", "", ("192.0.2.10", "192.0.2.11")),
    ("", "192.0.2.10-192.0.2.11", ("192.0.2.10", "192.0.2.11")),
    ("", "192.0.2.11-192.0.2.11 192.0.2.40-192.0.2.49", ("192.0.2.10", "192.0.2.11 192.0.2.40-192.0.2.49")),
    ("", "192.0.2.8-192.0.2.15", ("", "192.0.2.8/29")),
    ("192.0.2.10-192.0.2.10", "", ("192.0.2.10", "")),
    ("192.0.2.10-192.0.2.10", "192.0.2.40-192.0.2.49", ("192.0.2.10", "192.0.2.40-192.0.2.49")),
])
def test_what_nft_makes_of_neighbours_is_put_right(ours: str, foreign: str, after: Tuple[str, str]) -> None:
    bench = merging(ours, foreign)
    assert (bench.ours("wan_ips"), bench.foreign("wan_ips")) == after
    assert bench.settle(20.0) == []


def test_what_nft_has_dropped_right_below_netmgrs_comes_back_and_what_was_deleted_does_not() -> None:
    for new, back in (("192.0.2.40-192.0.2.49", "192.0.2.9 192.0.2.40-192.0.2.49"), ("", "")):
        bench = merging("192.0.2.10-192.0.2.10", "192.0.2.9-192.0.2.9")
        bench.kernel.sets[named("wan_ips")].elements = {key("192.0.2.10-192.0.2.10"): True, **dict.fromkeys(keys(new), False)}
        bench.look(20.0)
        bench.settle(20.0)
        assert (bench.ours("wan_ips"), bench.foreign("wan_ips")) == ("192.0.2.10", back)


def test_a_range_of_anothers_in_a_set_that_was_made_anew_is_anothers() -> None:
    bench = merging("", "192.0.2.10-192.0.2.11", anew=True)
    assert (bench.ours("wan_ips"), bench.foreign("wan_ips")) == ("", "192.0.2.10/31")


def test_of_a_set_that_is_missing_the_file_is_looked_at_once() -> None:
    looked_at: List[SetName] = []

    def recall(name: SetName) -> None:
        looked_at.append(name)
    model = Model(configuration(WAN), Inventory(), recall)
    nothing: Findings = dict.fromkeys(model.sets, (None, None))
    model.observe(nothing, 0.0)
    assert sorted(looked_at) == sorted(model.sets)
    model.doubt(model.sets)
    model.observe(nothing, 1.0)
    assert sorted(looked_at) == sorted(model.sets) and not model.to_survey(1.0)
