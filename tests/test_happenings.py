"""What happens, with its cause: as lines, as objects, by name and number; and explanations that say what the sets do."""

import json
from typing import Dict, Iterator, List, Optional, Tuple

import pytest

from netmgr.io.clock import utc
from netmgr.model.inventory import Inventory
from netmgr.reporter import Reporter, Words
from netmgr.show.happenings import KEPT, Chronicle, concerns, journal_fields, line_of, log_pieces, log_text, object_of
from netmgr.show.rows import LINES
from netmgr.show.telling import Causes, News, of_set, of_things
from netmgr.values.addresses import IFA_F_DEPRECATED
from netmgr.values.events import HostGone, HostSeen, LinkGone, LinkSeen
from netmgr.values.happenings import LEVEL, Culprit, Happening
from netmgr.values.sets import IPV4_ADDR, ChangeElements, Form, SetName
from tests.happenings import Event
from tests.test_pieces import calls
from tests.workbench import ANY_LABEL, WAN, WAN_AND_LAN, Bench, container, gone, keys, named, seen


class Told:
    """A chronicle with a clock that counts, and its lines."""

    def __init__(self) -> None:
        self.lines: List[Tuple[str, str]] = []
        self.now = 0
        self.chronicle = Chronicle(self.utc, lambda level, line: self.lines.append((level, line)))

    def utc(self) -> str:
        self.now += 1
        return "t%d" % self.now


def things(*events: Event, before: Tuple[Event, ...] = (LinkSeen(1, "eth0", True),)) -> List[Tuple[str, str]]:
    inventory = Inventory()
    for event in before:
        inventory.apply(event)
    told = [each for event in events for each in of_things([News(inventory.apply(event))])]
    return [(each.kind, each.cause or "") for each in told]


def test_addresses_come_go_expire_and_change() -> None:
    assert things(seen("192.0.2.1/24")) == [("address-added", "eth0: address added")]
    assert things(seen("192.0.2.1/24"), gone("192.0.2.1/24"))[1] == ("address-removed", "eth0: address removed")
    leased = seen("192.0.2.1/24", 0)
    assert things(leased, seen("192.0.2.1/24", IFA_F_DEPRECATED), gone("192.0.2.1/24"))[1:] == [
        ("", "eth0: address changed"), ("address-removed", "eth0: lease expired")]
    assert things(leased, leased) == [("address-added", "eth0: address added")]


def test_links_come_go_and_are_renamed() -> None:
    assert things(LinkSeen(2, "ppp0", True)) == [("link-added", "ppp0: link added")]
    assert things(LinkGone(1), before=(LinkSeen(1, "eth0", True), seen("192.0.2.1/24"))) == [
        ("link-removed", "eth0: link removed"), ("address-removed", "eth0: address removed")]
    assert things(LinkSeen(1, "wan0", True), before=(LinkSeen(1, "eth0", True), seen("192.0.2.1/24"))) == [
        ("link-renamed", "eth0: renamed to wan0")]


def test_containers_and_hosts() -> None:
    inventory = Inventory()
    one, other = container("8dfa", "172.18.0.2/16"), container("8dfa", "172.18.0.3/16")

    def kinds(*changes: object) -> List[Tuple[str, str]]:
        return [(each.kind, each.cause or "") for each in of_things([News(tuple(changes))])]     # type: ignore[arg-type]

    assert kinds(*inventory.containers_changed("", [one], [])) == [("container-started", "name-8dfa: started")]
    assert kinds(*inventory.containers_changed("", [other], [])) == [("container-changed", "name-8dfa: changed")]
    assert kinds(*inventory.containers_changed("", [], ["8dfa"])) == [("container-stopped", "name-8dfa: stopped")]
    assert kinds(*inventory.apply_hosts([HostSeen("peers", "edge-17", (b"\xcb\x00\x71\x07",))])) == [("", "fleet: edge-17 published")]
    assert inventory.apply_hosts([HostSeen("peers", "edge-17", (b"\xcb\x00\x71\x07",)), HostGone("peers", "edge-18")]) == []
    assert kinds(*inventory.apply_hosts([HostGone("peers", "edge-17")])) == [("", "fleet: edge-17 is gone")]


def test_very_many_addresses_are_not_all_named() -> None:
    inventory = Inventory()
    inventory.apply(LinkSeen(1, "eth0", True))
    changes = [change for number in range(30) for change in inventory.apply(seen("192.0.2.%d/24" % number))]
    whole = inventory.apply(LinkSeen(1, "eth1", True))
    assert len(of_things([News(tuple(changes))])) == 1, "one event has one thing; these are thirty under one key"
    assert [each.kind for each in of_things([News(tuple(whole))])] == ["link-renamed"]


@pytest.mark.parametrize(("delete", "add", "expected"), [
    ("192.0.2.1", "192.0.2.3 192.0.2.2", "removed 192.0.2.1; added 192.0.2.2, 192.0.2.3"),
    ("", " ".join("192.0.2.%d" % last for last in range(30)), "added 30 elements"),
])
def test_a_change_is_a_line_with_its_cause(delete: str, add: str, expected: str) -> None:
    change = ChangeElements(named("wan_ips"), Form(IPV4_ADDR), keys(delete), keys(add))
    assert line_of(of_set(change, "wan", "eth0: address added")) == "inet filter wan_ips: %s (eth0: address added)" % expected
    told = object_of(of_set(change, "wan", None)._replace(time="t"))
    assert (told["added_count"], told["removed_count"]) == (len(change.add), len(change.delete))
    assert len(told["added"]) == min(20, len(change.add))
    assert "cause" not in told and json.loads(json.dumps(told)) == told


def test_a_repair_names_what_of_others_was_put_back() -> None:
    happening = Happening("repaired", sets=("ip nat wan_ips",), added_count=1, restored=("192.0.2.1", "192.0.2.2"), cause="nft (pid 9)")
    assert line_of(happening) == "repaired 1 element in ip nat wan_ips; put back what is another's: 192.0.2.1, 192.0.2.2 (nft (pid 9))"
    assert object_of(happening)["restored"] == ["192.0.2.1", "192.0.2.2"]
    assert "restored" not in object_of(happening._replace(restored=()))


def test_the_cause_is_what_concerned_the_set() -> None:
    bench = Bench(WAN_AND_LAN)
    bench.make("wan_ips")
    bench.make("lan_ips")
    bench.settle()
    news = [News(tuple(bench.inventory.apply(event))) for event in (seen("192.0.2.1/24"), seen("198.51.100.1/24", index=2))]

    def cause(name: str) -> object:
        return Causes(news, lambda thing: (each for each, _elements in bench.model.policy.claims(thing))).of(named(name))

    assert (cause("wan_ips"), cause("lan_ips")) == ("eth0: address added", "eth1: address added")
    assert Causes([News((), Happening("reload", cause="reload"))], lambda _thing: ()).of(named("wan_ips")) == "reload"
    assert Causes([], lambda _thing: ()).of(named("wan_ips")) is None


def test_the_cause_is_that_container_which_concerned_the_set() -> None:
    """Though an engine tells of several at once."""
    bench = Bench("docker: {label_zones: '*'}\n")
    names = {letter: container(letter, "172.18.0.%d/16" % number, label=zone)
             for number, (letter, zone) in enumerate({"a": "web", "b": "mail", "c": "mail"}.items(), 2)}
    news = News(tuple(bench.inventory.containers_changed("", [*names.values()], [])))
    bench.model.apply(news.changes)
    for name in ("web_ips", "mail_ips", "docker_ips"):
        bench.make(name)
    bench.look()
    causes = Causes([news], lambda thing: (each for each, _elements in bench.model.policy.claims(thing)))
    assert (causes.of(named("web_ips")), causes.of(named("mail_ips"))) == ("name-a: started", "name-b: started; name-c: started")
    assert causes.of(named("docker_ips")) == "name-a: started; name-b: started; name-c: started"


def test_of_many_addresses_nobody_looks_which_sets_they_concern() -> None:
    bench = Bench(WAN_AND_LAN)
    events = [seen("10.0.%d.%d/8" % (number >> 8, number & 255)) for number in range(60)]
    for event in events:
        bench.happen(event)
    news = News(tuple(bench.inventory.apply(LinkGone(1))))

    def look(_thing: object) -> Iterator[SetName]:
        raise AssertionError
    causes = Causes([news, news], look)
    assert (causes.of(named("wan_ips")) or "").startswith("eth0: link removed") and causes.of_nothing_else(named("wan_ips")) is None


def test_a_set_more_of_which_the_cause_is_told_costs_the_same_however_many_changed() -> None:
    def price(count: int) -> int:
        bench = Bench(ANY_LABEL)
        many = [container(str(each), "172.18.%d.%d/16" % (each >> 8, each & 255), label="z%d" % each) for each in range(count)]
        causes = Causes([News(tuple(bench.inventory.containers_changed("", many, [])))], lambda _thing: ())
        return calls(lambda: [causes.of(named("z%d_ips" % each)) for each in range(count)])
    assert price(400) < 2.5 * price(200)


def test_many_causes_are_not_all_named() -> None:
    news = [News((), Happening("", cause="eth%d: address added" % number)) for number in range(9)]
    assert Causes(news, lambda _thing: ()).of(named("wan_ips")) == (
        "eth0: address added; eth1: address added; eth2: address added; and 6 other causes")


def asked(told: Told, number: int, *names: str) -> List[Happening]:
    return [each for each in told.chronicle.asked(number, names) if each is not None]


def test_the_log_is_told_in_pieces_and_as_it_was() -> None:
    """Looking for what concerns nobody goes in steps, too."""
    told = Told()
    for number in range(KEPT):
        told.chronicle.tell(Happening("elements-changed", set="inet filter s%d" % (number % 2), added=("192.0.2.1",)))
    whole = "".join(log_pieces(told.chronicle.last()))
    pieces = log_pieces(told.chronicle.asked(KEPT))
    for _number in range(20):
        told.chronicle.tell(Happening("started"))
    found = list(pieces)
    assert "".join(found) == whole and max(piece.count("\n") for piece in found) <= LINES
    steps = list(told.chronicle.asked(5, ["nobody"]))
    assert steps == [None] * (KEPT // LINES)
    assert "".join(log_pieces(steps)) == "nothing of that is known to have happened\n"


def test_the_last_thousand_are_kept_and_found_by_name() -> None:
    told = Told()
    for number in range(KEPT + 5):
        told.chronicle.tell(Happening("elements-changed", set="inet filter s%d" % (number % 2), zone="wan,dmz",
                                      added=("192.0.2.%d" % number,)))
    assert [each.time for each in told.chronicle.last(5000)][:1] == ["t6"]
    assert [each.time for each in asked(told, 2, "s1")] == ["t1002", "t1004"]
    assert len(asked(told, 10, "dmz")) == 10 and asked(told, 10, "lan") == []
    assert asked(told, 5000) == told.chronicle.last() and asked(told, 0) == []


def test_who_listens_is_told_until_he_stops() -> None:
    told = Told()
    heard: List[Happening] = []
    stop = told.chronicle.follow(heard.append)
    told.chronicle.tell(Happening("started"))
    stop()
    stop()
    told.chronicle.tell(Happening("stopping"))
    assert [each.kind for each in heard] == ["started"] and told.lines == [("info", "started"), ("info", "stopping")]


OF_ETH0 = {"NETMGR_INTERFACE": "eth0"}
OF_SET = {"NETMGR_SET": "inet filter wan_ips", "NETMGR_ZONE": "wan"}
EVERY_KIND: List[Tuple[Happening, str, str, Dict[str, str]]] = [      # its level, its line, its fields beside the kind
    (Happening("address-added", cause="eth0: address added", interface="eth0", address="192.0.2.1/24"),
     "debug", "eth0: address 192.0.2.1/24 added", OF_ETH0),
    (Happening("address-removed", cause="eth0: lease expired", interface="eth0", address="192.0.2.1/24"),
     "debug", "eth0: address 192.0.2.1/24 removed (lease expired)", OF_ETH0),
    (Happening("link-added", cause="eth0: link added", interface="eth0"), "debug", "eth0: link added", OF_ETH0),
    (Happening("link-removed", cause="eth0: link removed", interface="eth0"), "debug", "eth0: link removed", OF_ETH0),
    (Happening("link-renamed", cause="eth1: renamed to eth0", interface="eth0"), "debug", "eth1: renamed to eth0", OF_ETH0),
    (Happening("link-up", cause="eth0: link up", interface="eth0"), "debug", "eth0: link up", OF_ETH0),
    (Happening("link-down", cause="eth0: link down", interface="eth0"), "debug", "eth0: link down", OF_ETH0),
    *((Happening("container-" + verb, cause="web-1: " + verb, container="web-1"), "debug", "web-1: " + verb, {"NETMGR_CONTAINER": "web-1"})
      for verb in ("started", "stopped", "changed")),
    (Happening("elements-changed", cause="eth0: address added", set="inet filter wan_ips", zone="wan", added=("192.0.2.1",), added_count=1),
     "info", "inet filter wan_ips: added 192.0.2.1 (eth0: address added)", OF_SET),
    (Happening("repaired", cause="nft (pid 9)", sets=("inet filter wan_ips",), added=("192.0.2.1",), added_count=1),
     "warning", "repaired 1 element in inet filter wan_ips (nft (pid 9))", {"NETMGR_SET": "inet filter wan_ips"}),
    (Happening("set-missing", cause="nft (pid 9)", set="inet filter wan_ips", zone="wan"),
     "warning", "inet filter wan_ips: is missing (nft (pid 9))", OF_SET),
    (Happening("set-error", cause="reload", set="inet filter wan_ips", zone="wan", error="the set is full"),
     "error", "inet filter wan_ips: the set is full (reload)", OF_SET),
    (Happening("set-synced", cause="nft (pid 9)", set="inet filter wan_ips", zone="wan"),
     "info", "inet filter wan_ips: is as it should be (nft (pid 9))", OF_SET),
    (Happening("source-lost", cause="docker: error", source="docker", error="No such file"),
     "warning", "docker: No such file", {"NETMGR_SOURCE": "docker"}),
    (Happening("source-ok", cause="docker: ok", source="docker", text="docker: connected to Docker 20.10, API 1.41"),
     "info", "docker: connected to Docker 20.10, API 1.41", {"NETMGR_SOURCE": "docker"}),
    (Happening("reload", cause="reload", error="a.yaml:1: x\na.yaml:2: y", text="reload: ERROR: a.yaml:1: x\na.yaml:2: y"),
     "info", "reload: ERROR: a.yaml:1: x; a.yaml:2: y", {}),
    (Happening("resync", cause="resync", text="resync: OK: resynced: nothing had to change"),
     "info", "resync: OK: resynced: nothing had to change", {}),
    (Happening("started"), "info", "started", {}), (Happening("stopping"), "info", "stopping", {}),
]


def test_every_kind_is_in_the_table() -> None:
    assert [each[0].kind for each in EVERY_KIND] == list(dict.fromkeys(each[0].kind for each in EVERY_KIND))
    assert {each[0].kind for each in EVERY_KIND} == set(LEVEL)


@pytest.mark.parametrize(("happening", "level", "line", "fields"), EVERY_KIND, ids=[each[0].kind for each in EVERY_KIND])
def test_every_kind_is_the_same_in_all_clothes(happening: Happening, level: str, line: str, fields: Dict[str, str]) -> None:
    told = Told()
    told.chronicle.tell(happening)
    (kept,) = told.chronicle.last(9)
    assert told.lines == [(level, line)] and kept == happening._replace(time="t1")
    assert log_text([kept]) == "t1  %s\n" % line
    assert dict(journal_fields(kept)) == {"NETMGR_KIND": happening.kind, **fields}
    object_ = object_of(kept)
    assert {object_.get(name[len("NETMGR_"):].lower(), ", ".join(object_.get("sets", ()))) for name in fields} == set(fields.values())
    assert object_["kind"] == happening.kind and object_.get("cause") == happening.cause and object_.get("text") == happening.text
    assert all(concerns(kept, [value]) for value in fields.values())


def test_names_that_are_no_fields() -> None:
    """An interface by the name that it had, addresses as they come in whatever."""
    renamed = Happening("link-renamed", cause="ppp0: renamed to wan0", interface="wan0")
    assert concerns(renamed, ["ppp0"]) and concerns(renamed, ["wan0"]) and not concerns(renamed, ["renamed to wan0"])
    host = Happening("elements-changed", cause="fleet: h1 published; fleet: h2 is gone", set="inet filter peer_ips")
    assert concerns(host, ["h1"]) and concerns(host, ["h2"]) and not concerns(host, ["h3"])
    added = Happening("address-added", cause="eth0: address added", interface="eth0", address="192.0.2.1/24")
    changed = Happening("elements-changed", set="inet filter wan_ips", removed=("192.0.2.1",), added=("192.0.2.2",))
    assert [concerns(each, ["192.0.2.1"]) for each in (renamed, added, changed)] == [False, True, True]


def test_what_came_just_now_is_the_cause_of_what_a_set_is() -> None:
    """Only of a set that it concerns."""
    bench, reporter = Bench(WAN_AND_LAN), Reporter(lambda _level, _line: None)
    bench.make("wan_ips", size=1)
    bench.make("lan_ips", "inet_service")
    for text in ("192.0.2.1/24", "192.0.2.2/24"):
        changes = bench.inventory.apply(seen(text))
        bench.model.apply(changes)
        reporter.things(changes)
        reporter.settled(bench.model, bench.reconciler.reconcile(0.0), (), False)
        reporter.states(bench.model, bench.model.overview.take_news(), None, 0.0)
    causes = {each.set: each.cause for each in reporter.chronicle.last(99) if each.kind == "set-error"}
    assert causes == {"inet filter wan_ips": "eth0: address added", "inet filter lan_ips": None}


class Ill:
    """A set that goes through states, at times, and what is told of it."""

    def __init__(self) -> None:
        self.bench, self.lines = Bench(WAN), []     # type: Bench, List[Tuple[str, str]]
        self.reporter = Reporter(lambda level, line: self.lines.append((level, line)))

    def becomes(self, now: float, kind: Optional[str]) -> Tuple[List[str], List[Tuple[str, str]]]:
        self.lines.clear()
        known = len(self.reporter.chronicle.last(KEPT))
        if kind is None:
            del self.bench.kernel.sets[named("wan_ips")]
        else:
            self.bench.make("wan_ips", kind)
        self.bench.look(now)
        self.bench.reconciler.reconcile(now)
        self.reporter.states(self.bench.model, self.bench.model.overview.take_news(), "nft (pid 9)", now)
        return [each.kind for each in self.reporter.chronicle.last(KEPT)[known:]], list(self.lines)


def test_what_is_wrong_with_a_set_is_told_with_its_cause_and_is_a_line_once_a_minute() -> None:
    ill, wrong = Ill(), "inet filter wan_ips: its type is ifname; addresses need ipv4_addr or ipv6_addr (nft (pid 9))"
    well, missing = "inet filter wan_ips: is as it should be (nft (pid 9))", "inet filter wan_ips: is missing (nft (pid 9))"
    assert ill.becomes(0.0, IPV4_ADDR) == ([], [])
    assert ill.becomes(10.0, "ifname") == (["set-error"], [("error", wrong)])
    assert ill.becomes(15.0, "ifname") == ([], [])
    assert ill.becomes(20.0, IPV4_ADDR) == (["set-synced"], [("info", well)])
    assert ill.becomes(30.0, "ifname") == (["set-error"], [("debug", wrong)])
    assert ill.becomes(40.0, IPV4_ADDR) == (["set-synced"], [("debug", well)])
    assert ill.becomes(50.0, None) == (["set-missing"], [("warning", missing)])
    assert ill.becomes(60.0, "ifname") == (["set-error"], [("error", wrong)])
    assert ill.becomes(70.0, IPV4_ADDR) == (["set-synced"], [("info", well)])
    assert ill.becomes(131.0, "ifname") == (["set-error"], [("error", wrong)])


@pytest.mark.parametrize(("before", "after", "kind"), [
    (None, "connecting", None), (None, "ok", None), (None, "disabled", None), ("connecting", "disabled", None),
    ("connecting", "ok", "source-ok"), ("error", "ok", "source-ok"), ("error", "connecting", None), ("disabled", "connecting", None),
    (None, "error", "source-lost"), ("connecting", "error", "source-lost"), ("ok", "connecting", "source-lost"),
    ("ok", "disabled", "source-lost"), ("ok", "stale", "source-lost"), ("stale", "conflict", "source-lost"),
])
def test_a_source_in_another_state(before: Optional[str], after: str, kind: Optional[str]) -> None:
    told = Ill()
    words = Words("info" if after == "ok" else "error", "docker: so it is")
    assert told.reporter.source("docker", before, after, None if after == "ok" else "why", words) is (kind is not None)
    assert told.lines == ([] if kind is None else [(words.level, words.line)])
    assert [(each.kind, each.source, each.error, each.text) for each in told.reporter.chronicle.last(9)] == (
        [] if kind is None else [(kind, "docker", None if after == "ok" else "why", words.line)])


def test_words_that_are_about_something_else_are_no_source_s_state() -> None:
    told = Ill()
    assert not told.reporter.source("netlink", "error", "ok", None, Words("warning", "netlink: but"))
    assert not told.reporter.source("netlink", "ok", "error", "deaf")
    assert told.lines == [("info", "netlink: ok"), ("warning", "netlink: deaf")]


REPAIRED = Happening("repaired", "2026-11-27T20:31:05.123456Z", sets=("inet filter wan_ips", "inet filter wan_nets"),
                     cause="nft (pid 4610, nftables.service)",
                     culprit=Culprit(4610, "nft", "nft -f /etc/nftables.conf", "nftables.service"))


def test_fields_for_the_journal_and_names() -> None:
    repaired = REPAIRED
    fields = dict(journal_fields(repaired))
    assert (fields["NETMGR_CULPRIT_UNIT"], fields["NETMGR_CULPRIT_COMMAND"]) == ("nftables.service", "nft -f /etc/nftables.conf")
    assert dict(journal_fields(Happening("link-up", interface="eth0"))) == {"NETMGR_KIND": "link-up", "NETMGR_INTERFACE": "eth0"}
    assert [value for name, value in journal_fields(repaired) if name == "NETMGR_SET"] == ["inet filter wan_ips", "inet filter wan_nets"]
    assert str(repaired.culprit) == "nft (pid 4610, nftables.service)"
    assert concerns(repaired, ["wan_nets"]) and not concerns(repaired, ["lan_ips"])
    assert object_of(repaired)["culprit"] == {
        "pid": 4610, "process": "nft", "command": "nft -f /etc/nftables.conf", "unit": "nftables.service"}


def test_the_time_of_day_has_microseconds() -> None:
    assert len(utc()) == len("2026-11-27T20:31:05.123456Z") and utc() <= utc()


def test_the_reporter_tells_things_before_sets() -> None:
    lines: List[Tuple[str, str]] = []
    bench, reporter = Bench(WAN), Reporter(lambda level, line: lines.append((level, line)))
    bench.make("wan_ips")
    bench.settle()
    changes = bench.inventory.apply(seen("192.0.2.1/24"))
    bench.model.apply(changes)
    reporter.things(changes)
    reporter.settled(bench.model, bench.settle(), (), False, None)
    assert not lines, "words are found a moment later"
    reporter.catch_up()
    assert lines == [("debug", "eth0: address 192.0.2.1/24 added"), ("info", "inet filter wan_ips: added 192.0.2.1 (eth0: address added)")]
    reporter.settled(bench.model, (), (), False, None)
    reporter.catch_up()
    assert len(lines) == 2
    assert [each.zone for each in reporter.chronicle.last(1)] == ["wan"]
    for last in (2, 3, 4):
        changes = bench.inventory.apply(seen("192.0.2.%d/24" % last))
        bench.model.apply(changes)
        reporter.things(changes)
        reporter.settled(bench.model, bench.settle(), (), False, None)
    reporter.catch_up(lambda: len(lines) >= 3)
    assert (len(lines), reporter.behind) == (4, True), "one wake-up at least, and no more than it takes until it is enough"
    assert [each.added for each in reporter.chronicle.last(1)] == [("192.0.2.4",)]
    assert (len(lines), reporter.behind) == (8, False), "who asks is told all of it"


def test_a_link_that_goes_down_is_told_and_no_cause_of_what_else_happens() -> None:
    bench, reporter = Bench(WAN), Reporter(lambda _level, _line: None)
    bench.make("wan_ips")
    bench.settle()
    reporter.beside(Happening("link-down", cause="eth9: link down", interface="eth9"))
    changes = bench.inventory.apply(seen("192.0.2.1/24"))
    bench.model.apply(changes)
    reporter.things(changes)
    reporter.settled(bench.model, bench.settle(), (), False, None)
    assert [(each.kind, each.cause) for each in reporter.chronicle.last(9)] == [
        ("link-down", "eth9: link down"), ("address-added", "eth0: address added"), ("elements-changed", "eth0: address added")]


def test_while_all_changes_for_one_reason_that_is_the_cause() -> None:
    bench, reporter = Bench(WAN), Reporter(lambda _level, _line: None)
    bench.make("wan_ips")
    bench.happen(seen("192.0.2.1/24"))
    reporter.why = "start"
    reporter.settled(bench.model, bench.settle(), (), False, None)
    reporter.why = None
    assert [(each.kind, each.cause) for each in reporter.chronicle.last(9)] == [("elements-changed", "start")]


def test_who_asks_is_told_all_that_has_happened_each_at_its_time() -> None:
    bench, reporter = Bench(WAN), Reporter(lambda _level, _line: None)
    bench.make("wan_ips")
    bench.settle()
    for address in ("192.0.2.1/24", "192.0.2.2/24"):
        changes = bench.inventory.apply(seen(address))
        bench.model.apply(changes)
        reporter.things(changes)
        reporter.settled(bench.model, bench.settle(), (), False, None)
    before = utc()
    told = reporter.chronicle.last(9)
    assert [each.kind for each in told] == ["address-added", "elements-changed"] * 2
    assert told[0].time == told[1].time <= told[2].time == told[3].time <= before
    assert [each.cause for each in told] == ["eth0: address added"] * 4
    reporter.tell(Happening("stopping"))
    assert reporter.chronicle.last(1)[0].time >= before
