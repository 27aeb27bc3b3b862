"""The value of `status json` and `sets json`: the shape that the manual promises, and what is in it."""

import json
from functools import partial
from typing import Any, Dict, List, Optional

import pytest

from netmgr.show.answers import Status
from netmgr.show.answers_json import read_sets, read_status, sets_json, sets_pieces, status_json, status_pieces
from netmgr.show.rows import PIECE, RUN, in_order
from netmgr.show.status import Manner, SourcesStatus, SourceStatus, everything, set_contents
from netmgr.show.tables import sets_text, status_text
from netmgr.sync.repairs import Repair
from netmgr.values.addresses import IFA_F_DEPRECATED, IFA_F_PERMANENT, IFA_F_SECONDARY, IFA_F_TENTATIVE
from netmgr.values.happenings import Culprit
from netmgr.values.sets import IPV4_ADDR, IPV6_ADDR, NFT_SET_INTERVAL
from tests.workbench import WAN_AND_LAN, Bench, container, gone, named, seen


def told(netlink: str = "ok", docker: str = "disabled", error: Optional[str] = None) -> SourcesStatus:
    return SourcesStatus([SourceStatus("netlink", netlink, None, {"overruns": 0, "resyncs": 1}), SourceStatus("nftables", "ok", None, {}),
                          SourceStatus("docker", docker, error, {})], 0, None)


QUIET = told()
MANNER = Manner(1, 12.34, "/etc/netmgr/config.yaml", "at {:g}".format)
DRY_RUN = MANNER._replace(dry_run=True)
EXPECTING = """
interfaces:
  - {name: eth0, dhcp: true, nftables_zone: wan}
  - {name: eth1, address: [192.168.1.1/24, "2001:db8::1/64"]}
  - {name: ppp0, dhcp: true}
  - {name: "wg*", nftables_zone: wan}
docker: {enabled: false}
"""


def status(bench: Bench, sources: SourcesStatus = QUIET, manner: Manner = MANNER) -> Dict[str, Any]:
    answer = everything(bench.model, sources, manner)
    assert status_text(answer).startswith("netmgr 0.1.0: %s" % answer.state)
    assert read_status(status_json(answer)) == answer
    assert "".join(status_pieces(answer)) == status_json(answer) + "\n"
    value: Dict[str, Any] = json.loads(status_json(answer))
    return value


def test_the_whole_of_it() -> None:
    bench = Bench("interfaces: [{name: eth0, nftables_zone: wan, dhcp: true}]\ndocker: {networks: {frontend: web}}\n")
    bench.make("wan_ips")
    bench.happen(seen("192.0.2.1/24"))
    bench.containers(container("8dfa", "172.18.0.2/16", network="frontend"))
    bench.settle()
    value = status(bench)
    assert list(value) == ["schema", "version", "state", "pid", "uptime_seconds", "config", "interfaces", "containers", "sets", "sources",
                           "dry_run", "since", "problems"]
    assert (value["schema"], value["since"]) == (1, "at 0")
    assert [(each["about"], each["what"]) for each in value["problems"]] == [
        ("inet filter web_ips", "the set is missing"), ("inet filter docker_ips", "the set is missing")]
    assert (value["state"], value["uptime_seconds"]) == ("ready", 12.3)
    assert value["interfaces"] == [{
        "name": "eth0", "index": 1, "up": True, "zones": ["wan"],
        "addresses": [{"address": "192.0.2.1/24", "flags": ["permanent"], "counts": True, "reasons": []}],
        "expectations": []}]
    assert value["containers"] == [{
        "id": "8dfa", "name": "name-8dfa", "zones": ["docker", "web"], "addresses": [{"network": "frontend", "address": "172.18.0.2"}],
        "engine": None, "health": None, "reasons": [], "details": []}]
    assert value["sets"][0] == {
        "family": "inet", "table": "filter", "name": "wan_ips", "type": "ipv4_addr", "zone": "wan", "holds": "addresses",
        "state": "synced", "elements": 1, "foreign": 0, "error": None, "warning": None, "since": "at 0",
        "warning_since": None}
    assert [(row["name"], row["state"]) for row in value["sets"][1:]] == [("web_ips", "missing"), ("docker_ips", "missing")]
    assert value["sources"] == {
        "netlink": {"state": "ok", "overruns": 0, "resyncs": 1},
        "nftables": {"state": "ok", "repairs": 0, "last_repair": None},
        "docker": {"state": "disabled", "error": None}}


def test_why_containers_do_not_count() -> None:
    bench = Bench("docker: [{name: main, require_healthy: true}]\n")
    asking = container("8dfa", label="wan,lan")._replace(engine="main", mode="host", healthy=False)
    bench.model.apply(bench.inventory.containers_changed("main", [asking, container("9")._replace(engine="main", healthy=True)], []))
    first, second = status(bench)["containers"]
    assert (first["engine"], first["health"], first["reasons"]) == ("main", "unhealthy", ["unhealthy", "no_address", "no_leave"])
    assert first["details"] == [
        "it is not healthy", "it uses the host's network", "its label may not name wan: the configuration does not name this zone",
        "its label may not name lan: the configuration does not name this zone"]
    assert (second["health"], second["reasons"], second["details"]) == ("healthy", ["no_address"], ["it has no address"])
    text = status_text(everything(bench.model, QUIET, MANNER))
    assert "\nname-8dfa: it is not healthy; it uses the host's network; its label may not name" in text
    assert "\n    look at its health check; it counts as soon as that succeeds\n" in text


def test_the_last_repair() -> None:
    nft = Culprit(4610, "nft", "nft flush set inet filter wan_ips", "fw.service")
    repair = Repair((nft,), "2026-01-31T12:03:11Z", (named("wan_ips"),))

    def last(repair: Repair) -> Any:
        return status(Bench(), QUIET._replace(repairs=1, last_repair=repair))["sources"]["nftables"]["last_repair"]

    assert last(repair) == {**nft._asdict(), "time": "2026-01-31T12:03:11Z", "sets": ["inet filter wan_ips"]}
    for by in ((None,), (), (nft, None), (nft, nft._replace(pid=4611))):
        unknown = last(repair._replace(by=by))
        assert {unknown[field] for field in nft._fields} == {None}


def expectations(bench: Bench) -> Dict[str, List[str]]:
    return {row["name"]: row["expectations"] for row in status(bench)["interfaces"]}


def test_expectations_are_reported_until_they_hold() -> None:
    bench = Bench(EXPECTING)
    both = ["waiting for 192.168.1.1/24", "waiting for 2001:db8::1/64"]
    assert expectations(bench) == {"eth0": ["waiting for a DHCP lease"], "eth1": both, "ppp0": ["waiting for a DHCP lease"]}
    bench.happen(seen("169.254.1.1/16", 0), seen("192.168.1.1/25", index=2), seen("2001:db8::1/64", IFA_F_PERMANENT | IFA_F_TENTATIVE, 2))
    assert expectations(bench)["eth0"] == ["waiting for a DHCP lease"], "a link-local address is no lease"
    assert expectations(bench)["eth1"] == both, "another length is another address, and a tentative one is none yet"
    bench.happen(seen("192.0.2.2/24"), seen("192.168.1.1/24", index=2), seen("2001:db8::1/64", index=2))
    assert expectations(bench) == {"eth0": [], "eth1": [], "ppp0": ["waiting for a DHCP lease"]}


def test_a_lease_is_an_address_that_nobody_has_listed() -> None:
    bench = Bench("interfaces: [{name: eth0, dhcp: true, address: [192.0.2.1, 198.51.100.1/24]}]\ndocker: {enabled: false}")
    assert expectations(bench)["eth0"] == ["waiting for a DHCP lease", "waiting for 192.0.2.1", "waiting for 198.51.100.1/24"]
    bench.happen(seen("192.0.2.1/30"), seen("2001:db8::1/64"), seen("198.51.100.1/25"))
    assert expectations(bench)["eth0"] == ["waiting for a DHCP lease", "waiting for 198.51.100.1/24"]
    bench.happen(seen("10.0.0.9/8"), seen("198.51.100.1/24"))
    assert expectations(bench)["eth0"] == []


def test_of_a_set_that_is_looked_up_in_several_tables_one_is_enough() -> None:
    bench = Bench("""
        interfaces: [{name: eth0, nftables_zone: [wan, lan]}]
        zones:
          lan: {table: [inet filter, ip nat]}
          wan: {table: [inet filter, ip nat], sets: {public: addresses, ip nat outside: addresses, inet other outside: addresses}}
        docker: {enabled: false}""")

    def missing() -> List[str]:
        bench.look()
        return ["%s %s %s" % (row["family"], row["table"], row["name"]) for row in status(bench)["sets"] if row["state"] == "missing"]

    assert missing() == ["inet filter public", "ip nat outside", "inet other outside", "inet filter lan_ips"]
    for name in ("ip nat public", "ip nat lan_ifs", "ip nat outside"):
        bench.make(name, IPV4_ADDR)
    assert missing() == ["inet other outside"]


@pytest.mark.parametrize(("address", "flags", "names", "reasons"), [
    ("192.0.2.1/24", IFA_F_PERMANENT | IFA_F_SECONDARY, ["permanent", "secondary"], []),
    ("192.0.2.1/24", 0, ["dynamic"], []),
    ("2001:db8::1/64", IFA_F_SECONDARY | IFA_F_DEPRECATED, ["dynamic", "deprecated", "temporary"], []),
    ("2001:db8::1/64", IFA_F_PERMANENT | IFA_F_TENTATIVE, ["permanent", "tentative"], ["tentative"]),
    ("169.254.1.1/16", IFA_F_PERMANENT, ["permanent"], ["link_local"]),
])
def test_an_address_and_whether_it_counts(address: str, flags: int, names: List[str], reasons: List[str]) -> None:
    bench = Bench()
    bench.happen(seen(address, flags))
    assert status(bench)["interfaces"][0]["addresses"] == [
        {"address": address, "flags": names, "counts": not reasons, "reasons": reasons}]


def test_an_address_counts_if_a_set_that_takes_its_family_takes_it() -> None:
    bench = Bench("""
        interfaces: [{name: eth0, nftables_zone: wan}]
        zones: {wan: {sets: {four: {holds: addresses, exclude: [private]}, six: {holds: networks, exclude: []}, ports: interfaces}}}""")
    bench.make("four", IPV4_ADDR)
    bench.make("six", IPV6_ADDR, NFT_SET_INTERVAL)
    bench.happen(seen("fe80::1/64"), seen("10.0.0.1/8"), seen("192.0.2.1/24"))
    bench.settle()
    assert [(row["address"], row["counts"]) for row in status(bench)["interfaces"][0]["addresses"]] == [
        ("10.0.0.1/8", False), ("192.0.2.1/24", True), ("fe80::1/64", True)]


def test_a_set_that_left_the_configuration_is_shown_only_while_it_cannot_be_left() -> None:
    bench = Bench()
    bench.make("lan_ips", ours="192.0.2.1")
    bench.kernel.refuses[named("lan_ips")] = (1, "not permitted")
    bench.model.retire([named("lan_ips")])
    bench.settle(5.0)
    value = status(bench)
    assert [row["name"] for row in value["sets"]] == ["wan_ips", "lan_ips"]
    assert (value["state"], value["sets"][1]["state"], value["sets"][1]["since"]) == ("degraded", "error", "at 5")
    assert value["sets"][1]["error"] == "netmgr's elements cannot be taken out: not permitted"
    bench.kernel.refuses.clear()
    bench.settle(100.0)
    value = status(bench)
    assert ([row["name"] for row in value["sets"]], value["state"]) == (["wan_ips"], "ready")


def test_since_when_a_set_is_as_it_is() -> None:
    bench = Bench()

    def since() -> object:
        return next(row["since"] for row in status(bench)["sets"] if row["name"] == "wan_ips")

    assert since() is None, "nobody has looked"
    bench.settle(1.0)
    assert since() == "at 1"
    bench.make("wan_ips")
    bench.look(7.0)
    bench.settle(7.0)
    bench.happen(seen("192.0.2.1/24"))
    bench.settle(9.0)
    assert since() == "at 7"
    bench.kernel.unreadable[named("wan_ips")] = OSError(5, "no answer")
    bench.look(11.0)
    assert since() == "at 11"
    again = Bench(inventory=bench.inventory, kernel=bench.kernel)
    again.model.inherit(bench.model)
    again.look(13.0)
    assert status(again)["sets"][0]["since"] == "at 11", "a reload is no change"


def test_a_dry_run_tells_what_is_really_there() -> None:
    bench = Bench(WAN_AND_LAN + "nftables: {create: true}", dry_run=True)
    bench.make("wan_ips", ours="192.0.2.7")
    bench.happen(seen("192.0.2.1/24"))
    bench.settle()
    bench.happen(seen("192.0.2.2/24"))
    bench.settle()
    value = status(bench, manner=DRY_RUN)
    row = next(row for row in value["sets"] if row["name"] == "wan_ips")
    assert (value["dry_run"], value["state"]) == (True, "degraded")
    assert (row["elements"], row["state"], row["error"]) == (1, "error", "a dry run: 2 elements would be added, 1 removed")
    assert {row["state"] for row in value["sets"] if row["name"] != "wan_ips"} == {"missing"}
    contents = set_contents(bench.model, DRY_RUN)
    (elements,) = (each.elements for each in contents if each.set.name == "wan_ips")
    assert (elements.wanted, elements.present) == (("192.0.2.1", "192.0.2.2"), ("192.0.2.7",))
    text = sets_text(contents)
    assert "192.0.2.1  wanted, missing\n" in text and "192.0.2.7  no longer wanted\n" in text
    assert status_text(everything(bench.model, QUIET, DRY_RUN)).startswith("netmgr 0.1.0: degraded, a dry run, up 12 s")
    bench.make("wan_ips", ours="192.0.2.1 192.0.2.2")
    bench.look()
    assert status(bench, manner=DRY_RUN)["sets"][0]["error"] is None, "there is nothing that it would do"


def test_another_netmgr_in_the_same_sets_degrades() -> None:
    value = status(Bench(), QUIET._replace(rival="another netmgr and this one undo each other's work in inet filter wan_ips"))
    assert value["state"] == "degraded" and "inet filter wan_ips" in value["sources"]["nftables"]["warning"]


def test_what_is_wrong_makes_it_degraded() -> None:
    bench = Bench(WAN_AND_LAN)
    bench.make("wan_ips", kind="ifname")
    bench.make("lan_ips")
    bench.settle()
    value = status(bench)
    assert [(row["name"], row["state"]) for row in value["sets"]] == [("wan_ips", "error"), ("lan_ips", "synced")]
    assert value["state"] == "degraded" and "ifname" in value["sets"][0]["error"]
    assert str(bench.model.overview) == "0 elements in 1 set, 1 set in error"


@pytest.mark.parametrize(("sources", "state"), [
    (QUIET, "ready"), (told(docker="ok"), "ready"), (told(docker="connecting"), "degraded"),
    (told(docker="error", error="permission denied"), "degraded"),
    (told(netlink="error"), "degraded"),
])
def test_sources_count_too(sources: SourcesStatus, state: str) -> None:
    assert status(Bench(), sources)["state"] == state


def test_every_set_with_its_elements() -> None:
    bench = Bench()
    bench.make("wan_ips", foreign="192.0.2.7")
    bench.make("wan_ifs")
    bench.happen(seen("192.0.2.1/24"), seen("192.0.2.7/24"))
    bench.settle()
    answer = set_contents(bench.model, MANNER)
    assert read_sets(sets_json(answer)) == [*answer]
    assert "".join(sets_pieces(answer)) == sets_json(answer) + "\n"
    value = json.loads(sets_json(answer))
    contents = {row["name"]: (row["wanted"], row["present"], row["foreign_elements"], row["foreign"]) for row in value["sets"]}
    assert contents == {"wan_ips": (["192.0.2.1", "192.0.2.7"], ["192.0.2.1"], ["192.0.2.7"], 1), "wan_ifs": (["eth0"], ["eth0"], [], 0)}
    assert "192.0.2.7" in sets_text(answer)


def test_names_have_quotation_marks_where_something_stands_beside_them() -> None:
    bench = Bench("""
interfaces: [{name: eth0, nftables_zone: wan}]
zones:
  wan:
    sets: {pairs: [interfaces, addresses]}
""")
    bench.make("wan_ifs")
    bench.make("pairs", kind="ifname . ipv4_addr")
    bench.happen(seen("192.0.2.1/24"))
    bench.settle()
    wanted = {row.set.name: list(row.elements.wanted) for row in set_contents(bench.model, MANNER)}
    assert wanted == {"wan_ifs": ["eth0"], "pairs": ['"eth0" . 192.0.2.1']}


def test_very_much_is_told_in_small_pieces_as_it_was_when_somebody_asked() -> None:
    """Also while it changes; an element is sorted in before the first is told."""
    bench = Bench()
    bench.make("wan_ips", foreign="192.0.2.7")
    addresses = ["10.0.%d.%d" % (number >> 8, number & 255) for number in range(1200)]
    bench.happen(seen("192.0.2.1/24"), seen("2001:db8::1/64"), *(seen(address + "/24") for address in reversed(addresses)))
    bench.settle()
    for ask in (partial(everything, bench.model, QUIET, MANNER), partial(set_contents, bench.model, MANNER)):
        answer = ask()
        whole = status_json(answer) if isinstance(answer, Status) else sets_json(answer)
        pieces = status_pieces(answer) if isinstance(answer, Status) else sets_pieces(answer)
        told = [next(pieces) for _piece in range(3)]
        bench.happen(gone("192.0.2.1/24"), gone("10.0.0.5/24"), seen("192.0.2.8/24"))
        bench.settle()
        told += pieces
        assert "".join(told) == whole + "\n" and "10.0.0.5" in whole and "192.0.2.8" not in whole
        assert max(map(len, told)) < 2 * PIECE and len(told) > 10
        bench.happen(seen("192.0.2.1/24"), seen("10.0.0.5/24"), gone("192.0.2.8/24"))
        bench.settle()


@pytest.mark.parametrize("short_first", [False, True])
@pytest.mark.parametrize("count", [0, 1, RUN, RUN + 1, 3 * RUN + 7])
def test_keys_are_sorted_in_pieces(count: int, short_first: bool) -> None:
    keys = {bytes((number * 7919 % 251, number >> 8, number & 255, *range(number % 3))) for number in range(count)}
    steps = list(in_order(keys, short_first))
    assert [each for each in steps if each is not None] == sorted(keys, key=lambda key: (len(key) if short_first else 0, key))
    assert steps.count(None) == (0 if count <= RUN else -(-count // RUN))
