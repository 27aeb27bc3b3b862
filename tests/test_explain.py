"""Explanations: what keeps things out of sets, what brings them in, and whose the elements are; told in pieces, as it was."""

import json
import random
from typing import Dict, Iterator, List, Tuple

import pytest

from netmgr.show.answers import RepairRow
from netmgr.show.answers_json import explanation_pieces as json_pieces
from netmgr.show.answers_json import line
from netmgr.show.explain import explain
from netmgr.show.explain_text import explanation_pieces, explanation_text
from netmgr.values import addresses
from netmgr.values.addresses import IFA_F_DADFAILED, IFA_F_PERMANENT, IFA_F_TENTATIVE, local, network, prefixlen
from netmgr.values.events import LinkSeen, Port
from netmgr.values.happenings import Culprit, Happening
from netmgr.values.notation import element_text, key_of
from netmgr.values.sets import ETHER_ADDR, IFACE_INDEX, IPV6_ADDR, NFT_SET_INTERVAL, WIDTHS, Form, padded
from tests.test_model_random import HAPPENINGS, Life
from tests.workbench import WAN, Bench, container, named, seen


def told(bench: Bench, thing: str) -> Tuple[object, List[Tuple[str, str, object]], List[Tuple[object, str]]]:
    found = explain(bench.model, thing, ())
    text = explanation_text(found)
    assert text.startswith(thing if found.kind else "nothing is known of " + thing)
    return (found.kind, [(row.set.split()[-1], row.element, row.owner) for row in found.feeds],
            [(row.set and row.set.split()[-1], row.reason) for row in found.kept_out])


def wan_bench(text: str = WAN, **sets: Dict[str, str]) -> Bench:
    bench = Bench(text)
    bench.make("wan_ips", foreign=sets.get("foreign", {}).get("wan_ips", ""))
    return bench


def test_an_address_that_is_there() -> None:
    bench = wan_bench()
    bench.make("wan_nets")
    bench.happen(seen("192.0.2.1/24"))
    bench.settle()
    kind, feeds, out = told(bench, "192.0.2.1")
    assert (kind, feeds, out) == ("address", [("wan_ips", "192.0.2.1", "netmgr"), ("wan_nets", "192.0.2.0/24", "netmgr")], [])
    came = Happening("elements-changed", "t7", set="inet filter wan_ips", added=("192.0.2.1",))
    row, _other = explain(bench.model, "192.0.2.1", [came._replace(time="t5"), came]).feeds
    (gone, _other) = explain(bench.model, "192.0.2.1", [came, came._replace(added=(), removed=came.added), came._replace(set="x")]).feeds
    assert gone.since is None
    assert (row.zone, row.source, row.entry, row.in_kernel, row.since) == ("wan", "eth0", "test.yaml:1", True, "t7")
    for words in ("192.0.2.0/24", "192.0.0.0/16", "192.0.2.0/25", "0.0.0.0/0"):
        assert told(bench, words)[:2] == ("network", [("wan_ips", "192.0.2.1", "netmgr"), ("wan_nets", "192.0.2.0/24", "netmgr")]), words
    assert told(bench, "192.0.2.128/25")[:2] == ("network", [("wan_nets", "192.0.2.0/24", "netmgr")]), "which has no address of it"
    assert told(bench, "::/0")[:2] == told(bench, "10.0.0.0/8")[:2] == ("network", [])
    assert told(bench, "eth0")[0] == "interface" and told(bench, "wan")[0] == "zone"
    assert told(bench, "wan_ips")[:2] == told(bench, "inet filter wan_ips")[:2] == ("set", [("wan_ips", "192.0.2.1", "netmgr")])


@pytest.mark.parametrize(("address", "flags", "reason"), [
    ("169.254.1.1/16", IFA_F_PERMANENT, "link_local"), ("2001:db8::1/64", IFA_F_TENTATIVE, "tentative"),
    ("2001:db8::1/64", IFA_F_TENTATIVE | IFA_F_DADFAILED, "dadfailed"), ("fe80::1/64", IFA_F_PERMANENT, "link_local"),
])
def test_an_address_that_does_not_count(address: str, flags: int, reason: str) -> None:
    bench = wan_bench()
    bench.make("wan_ips6", IPV6_ADDR)
    bench.happen(seen(address, flags))
    bench.settle()
    _kind, feeds, out = told(bench, address.partition("/")[0])
    assert feeds == [] and [word for _set, word in out] == [reason]


def test_what_else_keeps_an_address_out() -> None:
    bench = wan_bench()
    bench.happen(seen("2001:db8::1/64"), seen("192.0.2.9/24", index=2))
    bench.settle()
    assert told(bench, "2001:db8::1")[2] == [(None, "family")]
    assert told(bench, "192.0.2.9")[2] == [(None, "no_zone")]
    assert told(bench, "203.0.113.9") == ("address", [], [])
    missing = Bench(WAN)
    missing.happen(seen("192.0.2.1/24"))
    missing.settle()
    assert ("wan_ips", "set_missing") in told(missing, "192.0.2.1")[2]


def test_full_and_wrong_sets() -> None:
    bench = Bench(WAN)
    bench.make("wan_ips", size=1, foreign="192.0.2.7")
    bench.make("wan_ips6", "inet_service")
    bench.happen(seen("192.0.2.1/24"))
    bench.settle()
    assert told(bench, "192.0.2.1")[2] == [("wan_ips", "set_full")]
    wrong = Bench(WAN)
    wrong.make("wan_ips", "ipv4_addr", NFT_SET_INTERVAL, foreign="192.0.2.0-192.0.2.255")
    wrong.happen(seen("192.0.2.1/24"))
    wrong.settle()
    assert told(wrong, "192.0.2.1")[1:] == ([("wan_ips", "192.0.2.0/24", "another")], [("wan_ips", "covered")])


def test_a_foreign_element() -> None:
    bench = wan_bench(foreign={"wan_ips": "192.0.2.1 203.0.113.9"})
    bench.happen(seen("192.0.2.1/24"))
    bench.settle()
    assert told(bench, "192.0.2.1")[1] == [("wan_ips", "192.0.2.1", "another")]
    assert told(bench, "203.0.113.9")[1] == [("wan_ips", "203.0.113.9", "another")]


def test_containers_with_and_without_leave() -> None:
    bench = Bench("interfaces: [{name: eth0, nftables_zone: wan}]\n")
    bench.make("docker_ips")
    bench.containers(container("8dfa8dfa8dfa", "172.18.0.2/16", label="wan"), container("9e", label=None))
    bench.settle()
    kind, feeds, out = told(bench, "name-8dfa8dfa8dfa")
    assert (kind, feeds) == ("container", [("docker_ips", "172.18.0.2", "netmgr")]) and (None, "no_leave") in out
    assert told(bench, "8dfa8dfa8dfa")[0] == "container"
    assert (None, "no_address") in told(bench, "name-9e")[2]


def test_who_it_was_that_a_set_was_last_repaired_after() -> None:
    bench = wan_bench()
    bench.happen(seen("192.0.2.1/24"), seen("192.0.2.2/24"))
    bench.settle()
    nft = Culprit(4610, "nft", "nft -f /etc/nftables.conf", "fw.service")
    last = Happening("repaired", "2026-11-27T20:31:05.123456Z", sets=("inet filter wan_ips",), added=("192.0.2.1",), cause=str(nft),
                     culprit=nft)
    happenings = (last._replace(cause="before"), last, last._replace(cause="elsewhere", sets=("inet filter lan_ips",)),
                  last._replace(kind="elements-changed", sets=(), set="inet filter wan_ips"))
    for thing in ("192.0.2.1", "eth0", "wan_ips", "wan"):
        found = explain(bench.model, thing, happenings)
        assert [*found.repairs] == [RepairRow("inet filter wan_ips", last.time, str(nft), nft.command, nft.unit)]
        assert explanation_text(found).splitlines()[-1] == (
            "  inet filter wan_ips was last repaired 2026-11-27 20:31:05 UTC (nft (pid 4610, fw.service)): nft -f /etc/nftables.conf")
    assert [*explain(bench.model, "192.0.2.2", happenings).repairs] == []


def test_nothing_is_known() -> None:
    assert told(Bench(WAN), "nonsense") == (None, [], [])


def explained(bench: Bench, thing: str) -> List[str]:
    """The lines of an explanation, without the first."""
    return [line.strip() for line in explanation_text(explain(bench.model, thing, ())).splitlines()[1:]]


def test_a_set_says_what_is_wrong_with_itself_and_whom_that_keeps_out() -> None:
    bench = Bench("interfaces: [{name: eth0, nftables_zone: [wan, dmz]}]\ndocker: {enabled: false}\n"
                  "zones: {wan: {sets: {wan_public: addresses}}}\n")
    bench.make("wan_ips", size=1)
    bench.make("wan_ips6", IPV6_ADDR)
    bench.make("wan_nets", "inet_service", 0)
    bench.make("dmz_ips")
    bench.happen(seen("192.0.2.1/24"), seen("192.0.2.2/24"), seen("2001:db8::1/64"), seen("2001:db8::2/64", IFA_F_TENTATIVE))
    bench.settle()
    full = "the set is full: it takes 1 element, and 1 more is wanted (set_full)"
    assert explained(bench, "wan_ips") == [
        "192.0.2.1 is in inet filter wan_ips: eth0, zone wan (test.yaml:1)",
        "inet filter wan_ips: %s, which keeps out 192.0.2.2/24 [eth0]" % full], "nothing of another zone, nor of another family"
    assert explained(bench, "wan_ips6") == [
        "2001:db8::1 is in inet filter wan_ips6: eth0, zone wan (test.yaml:1)",
        "not in inet filter wan_ips6: its uniqueness is still being checked (DAD) (tentative): 2001:db8::2/64 [eth0]"]
    every = "192.0.2.1/24 [eth0], 192.0.2.2/24 [eth0], 2001:db8::1/64 [eth0]"
    anyway = "not in inet filter %s: its uniqueness is still being checked (DAD) (tentative): 2001:db8::2/64 [eth0]"
    assert explained(bench, "wan_public") == [
        "inet filter wan_public: there is no such set (set_missing), which keeps out " + every, anyway % "wan_public"]
    line, another = explained(bench, "wan_nets")
    assert line.startswith("inet filter wan_nets: its type is inet_service") and line.endswith(", which keeps out " + every)
    assert another == anyway % "wan_nets"
    zone = explained(bench, "wan")
    assert "not in inet filter wan_ips6: its uniqueness is still being checked (DAD) (tentative): 2001:db8::2/64 [eth0]" in zone
    assert len(zone) == len(set(zone)) and not any("family" in each for each in zone)
    assert explained(bench, "dmz")[-1] == (
        "not in the sets of zone dmz: no set of the zone takes addresses of its family (family): 2001:db8::1/64 [eth0], "
        "2001:db8::2/64 [eth0]")
    assert explained(bench, "2001:db8::2")[0].endswith(": 2001:db8::2/64 [eth0]")


def test_a_set_that_is_not_there_keeps_out_only_what_it_would_hold() -> None:
    bench = Bench("interfaces: [{name: eth0, nftables_zone: wan}]\ndocker: {enabled: false}\n"
                  "zones: {wan: {sets: {far: peers, server: {holds: hosts, suffix: '::10'}, public: addresses}}}\n")
    bench.happen(seen("192.0.2.1/24"), seen("169.254.9.9/16"), seen("2001:db8::1/64"))
    bench.settle()
    assert told(bench, "192.0.2.1")[2] == [("public", "set_missing")]
    assert told(bench, "169.254.9.9")[2] == [("public", "link_local")]
    assert told(bench, "2001:db8::1")[2] == [("server", "set_missing"), ("public", "set_missing")]


def test_what_stays_out_of_a_set_of_far_ends_is_the_far_end() -> None:
    bench = Bench("interfaces: [{name: eth0, nftables_zone: wan}]\ndocker: {enabled: false}\n"
                  "zones: {wan: {sets: {far: {holds: peers, exclude: [private]}}}}\n")
    bench.make("far")
    bench.happen(seen("192.0.2.1/32")._replace(peer=addresses.parse("10.66.0.2")[0]))
    bench.settle()
    reason = "not in inet filter far: it is private, which the zone or the set leaves out (private): 10.66.0.2 [eth0]"
    assert explained(bench, "10.66.0.2") == [reason] and reason in explained(bench, "192.0.2.1")


def test_since_when_is_not_said_where_later_more_came_and_went_than_is_named() -> None:
    bench = wan_bench()
    bench.happen(seen("192.0.2.1/24"))
    bench.settle()
    came = Happening("elements-changed", "t1", set="inet filter wan_ips", added=("192.0.2.1",), added_count=1)
    all_came = Happening("repaired", "t2", sets=("inet filter wan_ips",), added=("10.0.0.1",), added_count=30)
    elsewhere = all_came._replace(sets=("inet filter lan_ips",))

    def since(*happenings: Happening) -> List[object]:
        return [row.since for row in explain(bench.model, "192.0.2.1", happenings).feeds]
    assert [since(came), since(came, elsewhere), since(came, all_came), since(all_came, came._replace(time="t3"))] == [
        ["t1"], ["t1"], [None], ["t3"]]


def test_a_set_that_cannot_hold_what_one_zone_has_for_it_holds_what_another_has() -> None:
    bench = Bench("interfaces: [{name: eth0, nftables_zone: wan}, {name: eth1, nftables_zone: lan}]\ndocker: {enabled: false}\n"
                  "zones: {wan: {sets: {mixed: addresses}}, lan: {sets: {mixed: networks}}}\n")
    bench.make("mixed")
    bench.happen(seen("192.0.2.1/24"), seen("192.168.1.1/24", index=2))
    bench.settle()
    assert bench.ours("mixed") == "192.0.2.1" and bench.managed("mixed").state.word == "error"
    assert told(bench, "192.0.2.1")[1:] == ([("mixed", "192.0.2.1", "netmgr")], [])
    assert told(bench, "192.168.1.1")[1:] == ([], [("mixed", "set_error")])
    first, second = explained(bench, "mixed")
    assert first.startswith("192.0.2.1 is in inet filter mixed: eth0") and second.endswith(", which keeps out 192.168.1.1/24 [eth1]")


def test_what_is_not_there_says_so() -> None:
    bench = Bench("interfaces: [{name: ppp0, nftables_zone: wan}, {name: eth1}]\ndocker: {enabled: false}\n")
    assert explained(bench, "ppp0") == ["not in any set: there is no such interface now (no_address): [ppp0]"]
    assert explained(bench, "eth1") == ["not in any set: no entry of the configuration puts it into a zone (no_zone): [eth1]"]
    assert explained(bench, "wan_ips6") == ["inet filter wan_ips6: there is no such set (set_missing)"]
    assert explained(bench, "wan") == ["inet filter wan_ips: there is no such set (set_missing)"]
    bench.make("wan_ips")
    bench.look()
    bench.settle()
    assert explained(bench, "wan") == ["nothing is in it"] and explained(bench, "wan_ips") == ["nothing feeds it"]
    assert explained(bench, "192.0.2.9") == ["no interface, container or host has it, and no set"]


CROWD = """
docker: {nftables_zone: docker, require_healthy: true, networks: {'back*': web}}
interfaces: [{name: eth0, nftables_zone: wan}]
zones: {web: {}, mine: {}}
"""


def test_a_zone_names_the_containers_that_something_keeps_out_of_it() -> None:
    bench = Bench(CROWD)
    bench.make("docker_ips")
    bench.make("web_ips")
    bench.containers(container("a1", "172.18.0.2/16", "fd00::2/64")._replace(healthy=False), container("b2", "172.18.0.3/16", label="wan"),
                     container("c3"), container("d4", "172.19.0.2/16", network="backend")._replace(healthy=False))
    bench.settle()
    assert set(told(bench, "docker")[2]) == {(None, "unhealthy"), (None, "no_address")}
    assert explained(bench, "docker") == [
        "172.18.0.3 is in inet filter docker_ips: name-b2, zone docker (test.yaml:2)",
        "not in the sets of zone docker: it is not healthy (unhealthy): [name-a1], [name-d4]",
        "not in the sets of zone docker: it has no address (no_address): [name-c3]"]
    assert explained(bench, "web_ips") == ["not in the sets of zone web: it is not healthy (unhealthy): [name-d4]"]
    (line, *_missing) = explained(bench, "wan")[::-1]
    assert line.startswith("not in the sets of zone wan: its label may not name wan: ") and line.endswith("(no_leave): [name-b2]")


WORDS = """
interfaces: [{name: eth0, nftables_zone: wan}, {name: eth1}]
docker: {nftables_zone: docker}
zones:
  wan: {sets: {cards: hardware_addresses, numbers: indexes, pairs: {holds: [hardware_addresses, addresses]}}}
  docker: {sets: {cards: hardware_addresses, ports: published_ports}}
"""
CARD, OTHER = b"\x02\0\0\0\0\x01", b"\x02\0\0\0\0\x02"


def words_bench() -> Bench:
    bench = Bench(WORDS)
    bench.kernel.make(named("cards"), ETHER_ADDR, 0, 0, [], [OTHER], [], False)
    bench.kernel.make(named("numbers"), IFACE_INDEX, 0, 0, [], [], [], False)
    bench.kernel.make(named("pairs"), ETHER_ADDR + " . ipv4_addr", 0, 0, [], [], [], False)
    bench.kernel.make(named("wan_ifs"), "ifname", 0, 0, [], [b"ppp9".ljust(16, b"\0")], [], False)
    bench.happen(LinkSeen(1, "eth0", True, hardware=CARD), LinkSeen(2, "eth1", True, hardware=b"\x02\0\0\0\0\x09"), seen("192.0.2.1/24"))
    bench.settle()
    return bench


def test_a_hardware_address() -> None:
    bench = words_bench()
    kind, feeds, out = told(bench, "02:00:00:00:00:01")
    assert (kind, out) == ("hardware_address", [])
    assert feeds == [("cards", "02:00:00:00:00:01", "netmgr"), ("pairs", "02:00:00:00:00:01 . 192.0.2.1", "netmgr")]
    assert told(bench, "02:00:00:00:00:02")[1] == [("cards", "02:00:00:00:00:02", "another")]
    assert told(bench, "02:00:00:00:00:09") == ("hardware_address", [], [(None, "no_zone")])
    assert explained(bench, "02:00:00:00:00:07") == ["no set has it, and nothing that has it feeds one that takes it"]
    assert explanation_text(explain(bench.model, "02:00:00:00:00:07", ())).startswith("02:00:00:00:00:07 is a MAC address\n")
    assert told(bench, "02:00:00:00:00:0g")[0] is None


def test_a_key_as_it_is_written() -> None:
    bench = words_bench()
    assert told(bench, "1") == ("key", [("numbers", "1", "netmgr")], [])
    assert told(bench, "7") == ("key", [], [])
    assert told(bench, "02:00:00:00:00:01 . 192.0.2.1")[:2] == ("key", [("pairs", "02:00:00:00:00:01 . 192.0.2.1", "netmgr")])
    assert told(bench, "ppp9")[:2] == ("key", [("wan_ifs", '"ppp9"', "another")])
    assert told(bench, "ppp8")[0] is None and told(Bench(WORDS), "1")[0] is None


KEYS = ("ipv4_addr", "ipv6_addr", "ether_addr", "iface_index", "inet_service", "inet_proto", "mark", "ifname",
        "ifname . ipv4_addr", "inet_proto . inet_service", "ether_addr . ipv6_addr . mark")


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_is_read_as_it_is_written(kind: str) -> None:
    """And of what is not one, there is one error."""
    source, form = random.Random(kind), Form(kind)
    for _ in range(300):
        parts = [source.randbytes(WIDTHS[part]) if part != "ifname" else source.choice((b"eth0", b"a", b"fifteen_letters")).ljust(16, b"\0")
                 for part in form.parts]
        key = b"".join(part.ljust(padded(len(part)), b"\0") for part in parts) if len(parts) > 1 else parts[0]
        text = element_text(form, key)
        assert key_of(kind, text) == key
        place = source.randrange(len(text))
        garbage = text[:place] + source.choice((" ", ".", ":", "x", "99", "/8", "\u0661", "_", "-", "\udcff")) + text[place + 1:]
        try:
            assert len(key_of(kind, garbage)) == form.width
        except ValueError:
            continue
    for words in ("", " ", ".", " . ", "x" * 5000, "1 . 2 . 3 . 4", "0x", "0x_1", "1_0", "02:00:00:00:00", "02:00:00:00:00:01:02"):
        if kind not in ("ifname",):
            with pytest.raises(ValueError):
                key_of(kind, words)


@pytest.mark.parametrize(("kind", "words"), [
    ("inet_proto . inet_service", ("8080", "tcp . 8080", "8080/tcp")), ("inet_service", ("8080",))])
def test_a_published_port(kind: str, words: Tuple[str, ...]) -> None:
    bench = Bench(WORDS)
    bench.kernel.make(named("ports"), kind, 0, 0, [], [], [], False, "ipv4_addr . inet_service")
    bench.containers(container("a1", "172.18.0.2/16", "fd00::2/64")._replace(ports=(Port(6, 8080, 80, b""), Port(17, 53, 53, b""))),
                     container("b2", "172.18.0.3/16")._replace(ports=(Port(6, 8080, 8080, b""),), created=9))
    bench.settle()
    shown = ("tcp . 8080" if "proto" in kind else "8080") + " : 172.18.0.2 . 80"
    for each in words:
        assert told(bench, each) == ("key", [("ports", shown, "netmgr")], [("ports", "conflict")])
        assert "not in inet filter ports: the key has another value: %s (conflict): [name-b2]" % shown in explained(bench, each)
    assert told(bench, "81")[:2] == ("key", [])
    assert ("ports", shown, "netmgr") in told(bench, "172.18.0.2")[1] and ("ports", "conflict") in told(bench, "172.18.0.3")[2]


def things(life: Life) -> List[str]:
    """What may be asked about."""
    model = life.bench.model
    found = {str(name) for name in model.sets} | {name.name for name in model.sets} | {*model.policy.zones, "eth0", "nonsense", "3"}
    for ifindex in model.inventory.links:
        interface = model.inventory.interface(ifindex)
        found |= {interface.name, *map(addresses.text, interface.gateways), ":".join("%02x" % byte for byte in interface.hardware)}
    for key in (key for flags in model.inventory.addresses.values() for key in flags):
        found |= {addresses.text(local(key)), "%s/%d" % (addresses.text(network(local(key), prefixlen(key))), prefixlen(key))}
    for each in model.inventory.containers.values():
        found |= {each.name, each.id}
    return sorted(found - {""})


@pytest.mark.parametrize("seed", range(6))
def test_what_comes_in_pieces_was_so_when_somebody_asked(seed: int) -> None:
    """Whatever happens in between; and the same to people and to programs."""
    life = Life(seed)
    kinds, weights = zip(*((kind, weight) for kind, weight in HAPPENINGS if kind.__name__ != "killed"))
    compared = 0
    for _ in range(25):
        life.source.choices(kinds, weights)[0](life)
        life.wait()
        life.bench.settle(life.now)
        asked = life.source.choice(things(life))
        answer = explain(life.bench.model, asked, ())
        whole = answer._replace(feeds=tuple(answer.feeds), kept_out=tuple(answer.kept_out))
        pieces: Tuple[Iterator[str], Iterator[str]] = (json_pieces(answer), explanation_pieces(answer))
        parts = [next(each, "") for each in pieces]
        life.source.choices(kinds, weights)[0](life)
        life.wait()
        life.bench.settle(life.now)
        texts = [part + "".join(each) for part, each in zip(parts, pieces)]
        assert texts == [line(whole) + "\n", explanation_text(whole)]
        assert json.loads(texts[0])["kind"] == whole.kind
        compared += bool(whole.feeds or whole.kept_out)
    assert compared > 10


def test_networks_in_common_are_told_once() -> None:
    bench = wan_bench()
    bench.make("wan_nets")
    bench.happen(*(seen("10.0.0.%d/%d" % (number, length)) for number in range(1, 7) for length in (8, 24)))
    bench.settle()
    feeds = [(row.set.split()[-1], row.element) for row in explain(bench.model, "eth0", ()).feeds]
    assert len(feeds) == len(set(feeds)) == 6 + 2
    assert ("wan_nets", "10.0.0.0/8") in feeds
