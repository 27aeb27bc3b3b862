"""What is wrong comes first, with what can be done; tables fit the width, and lose nothing for it."""

import random
from functools import partial
from typing import List, Optional

import pytest

from netmgr.model.managed_set import CONFLICT
from netmgr.show.answers import Address, Container, Interface, SetStatus, Source, Status
from netmgr.show.columns import fitted
from netmgr.show.problems import dated, of_reload, problems
from netmgr.show.selection import cut
from netmgr.show.tables import status_text
from netmgr.sync.repairs import RIVAL
from netmgr.values.happenings import Happening
from netmgr.wire import etcd

LEASE = ("waiting for a DHCP lease",)
ROW = SetStatus("inet", "filter", "wan_ips", "ipv4_addr", "wan", "addresses", "synced", since="2026-11-27T20:00:00.000000Z")


def told(status: Status) -> List[str]:
    return ["%s: %s" % (each.about, each.what) for each in problems(status)]


@pytest.mark.parametrize("error, hint", [
    ("the set is full: it takes 1 element, and 2 more are wanted", "size"), ("it is a map; expected a set of ipv4_addr", "zones.ZONE.sets"),
    ("its type is ifname; addresses need ipv4_addr or ipv6_addr", "type"), ("it has no ranges; networks need", "flags interval")])
def test_a_set_in_error_has_since_and_hint(error: str, hint: str) -> None:
    (found,) = problems(Status(sets=(ROW._replace(state="error", error=error),)))
    assert (found.about, found.what, found.since) == ("inet filter wan_ips", error, ROW.since)
    assert hint in (found.hint or "")


def test_what_is_well_is_no_problem() -> None:
    well = Interface("eth0", 2, True, ("wan",), (Address("fe80::1/64", ("permanent",), False, ("link_local",)),))
    resting = Container("8dfa", "web", (), (), reasons=("no_zone",), details=("it is in no zone",))
    quiet = {"netlink": Source("ok", {"overruns": 0}), "docker": Source("disabled", {"error": None})}
    assert told(Status(state="ready", interfaces=(well,), containers=(resting,), sets=(ROW,), sources=quiet)) == []


def test_everything_that_is_wrong() -> None:
    status = Status(
        state="degraded", sets=(ROW._replace(state="missing"), ROW._replace(warning="beside another's")),
        interfaces=(Interface("eth0", 2, False, (), (Address("2001:db8::1/64", ("tentative", "dadfailed"), False),), LEASE),
                    Interface("ppp0", None, False, (), (), LEASE)),
        containers=(Container("8dfa", "web", reasons=("no_leave",), details=("its label may not name wan",)),),
        sources={"docker": Source("error", {"error": "no permission"}), "nftables": Source("ok", {"warning": "another netmgr"})})
    assert told(status) == [
        "docker: no permission", "nftables: another netmgr", "inet filter wan_ips: the set is missing",
        "inet filter wan_ips: beside another's",
        "eth0: waiting for a DHCP lease", "eth0: 2001:db8::1/64: another host uses this address: duplicate address detection has failed",
        "ppp0: waiting for a DHCP lease", "web: its label may not name wan"]
    hints = {each.about: each.hint for each in problems(status) if each.hint and "DHCP" in each.what}
    assert hints == {"eth0": "the interface is down: `ip link set eth0 up`",
                     "ppp0": "there is no such interface: connect it, or correct its name in the configuration"}
    whole = status._replace(problems=(*of_reload(("no such file", "t1")), *problems(status)))
    assert [each.about for each in cut(whole, ["web"]).problems] == ["configuration", "docker", "nftables", "web"]
    text = status_text(status._replace(problems=problems(status)), only_problems=True)
    assert text.startswith("netmgr ?: degraded, up 0 s, pid ?, ?\n\ndocker: no permission\n    netmgr tries again")
    assert "INTERFACE" not in text


def test_what_is_wrong_with_many_is_said_once() -> None:
    rows = [ROW._replace(name=name, state="missing") for name in ("wan_ips", "lan_ips")]
    later = ROW._replace(name="dmz_ips", state="missing", since="2026-11-27T21:00:00.000000Z")
    unwritten = ROW._replace(warning="its include file cannot be written: No space left on device")
    found = tuple(problems(Status(sets=(*rows, later, unwritten))))
    text = status_text(Status(problems=found), 120, only_problems=True).replace("\n    ", " ")
    assert "\ninet filter wan_ips, inet filter lan_ips, since 2026-11-27 20:00:00 UTC: the set is missing" in text
    assert "\ninet filter dmz_ips, since 2026-11-27 21:00:00 UTC: the set is missing" in text and text.count("add it to the ruleset") == 2
    assert len(found) == 4 and "include_dir" in (found[-1].hint or "")


def test_warnings_have_hints() -> None:
    """As netmgr words them."""
    conflict = CONFLICT % ("tcp . 80", "172.18.0.2 . 80", "172.18.0.3 . 80")
    fleet, rival = etcd.unsafe("3.5.1") or "", RIVAL % "inet filter wan_ips"
    found = problems(Status(sets=(ROW._replace(warning=conflict),),
                            sources={"fleet": Source("ok", {"warning": fleet}), "nftables": Source("ok", {"warning": rival})}))
    assert [(each.what, each.hint is not None) for each in found] == [(fleet, True), (rival, True), (conflict, True)]


def test_a_failed_reload_is_a_problem() -> None:
    (found,) = of_reload(("a.yaml:1: x: unknown key\na.yaml:2: y: unknown key", "2026-11-27T20:00:00.000000Z"))
    assert found[:3] == ("configuration", "the last reload failed: a.yaml:1: x: unknown key; a.yaml:2: y: unknown key",
                         "2026-11-27T20:00:00.000000Z")
    assert "netmgr check" in (found.hint or "") and list(of_reload(None)) == []


def test_since_when_something_is_missed() -> None:
    interface = Interface("eth0", 2, True, (), (Address("2001:db8::1/64", ("dadfailed",), False),), (*LEASE, "waiting for 10.0.0.1/8"))
    container = Container("8dfa", "web", reasons=("no_address",))
    status = Status(interfaces=(interface,), containers=(container,), sets=(ROW._replace(warning="beside another's"),))
    def since(*happenings: Happening, complete: bool = True) -> List[Optional[str]]:
        told = [each._replace(time="t%d" % place) for place, each in enumerate(happenings)]
        return [each.since for each in problems(status, partial(dated, happenings=told, begun="t" if complete else None))]

    assert since() == [None, "t", "t", "t", "t"] and since(complete=False) == [None] * 5, "of the set nobody knows"
    told = (Happening("address-added", interface="eth0", address="2001:db8::1/64"), Happening("container-changed", container="web"),
            Happening("address-removed", interface="eth0", address="192.0.2.1/24"),
            Happening("address-removed", interface="eth0", address="10.0.0.1/8"),
            Happening("address-removed", interface="eth0", address="2001:db8::7/64"),
            Happening("address-removed", interface="eth1", address="10.0.0.1/8"))
    assert since(*told) == [None, "t3", "t3", "t0", "t1"]
    assert since(*told, Happening("link-added", interface="eth0")) == [None, "t6", "t6", "t6", "t1"]
    assert since(*told, Happening("reload"), Happening("reload", error="no such file")) == [None, "t6", "t6", "t6", "t6"]


@pytest.mark.parametrize("seed", range(30))
def test_tables_fit_and_lose_nothing(seed: int) -> None:
    source = random.Random(seed)
    rows = [tuple(" ".join("x" * source.randrange(1, 30) for _word in range(source.randrange(6))) for _column in range(5))
            for _row in range(8)]
    for width in (60, 80, 200):
        lines = [line for line in fitted(("",) * 5, lambda: iter(rows), width) if line is not None]
        assert max(map(len, lines)) <= width
        assert sum(line.count("x") for line in lines) == sum(cell.count("x") for row in rows for cell in row)


def test_a_status_fits_eighty_columns() -> None:
    long = SetStatus("inet", "a_table_with_a_long_name", "a_zone_with_a_long_name_networks6", "ipv6_addr",
                     "a_zone_with_a_long_name, another", "networks", "synced", 100000, 7)
    address = Address("2001:db8:1234:5678:9abc:def0:1234:5678/64", ("dynamic",) * 5)
    container = Container("8dfa" * 16, "project-service-1", ("docker", "web", "frontends"), (), details=("it has no address",))
    far = Interface("a_name_of_15_ch", None, False, ("a_zone_with_a_long_name",), (
        address._replace(flags=("dynamic", "stable-privacy"), counts=False, reasons=("tentative",)),))
    text = status_text(Status(interfaces=(far,)))
    assert address.address in text and max(map(len, text.splitlines())) <= 80
    status = Status(config="/etc/" + "long/" * 20, sets=(long,), containers=(container,),
                    interfaces=(Interface("eth0", 2, True, ("a", "b"), (address,)),))
    for width in (80, 200):
        assert address.address in status_text(status, width)
        assert max(map(len, status_text(status, width).splitlines())) <= width
    assert max(map(len, status_text(status, 200).splitlines())) > 80


def test_what_it_is_about_is_cut_last() -> None:
    row = ("long-interface0", "a_zone_with_quite_a_long_name_too")
    assert [*fitted(("INTERFACE", "ZONES"), lambda: iter([row]), 30)] == [
        "INTERFACE        ZONES", "long-interface0  a_zone_with_q", "                 uite_a_long_n", "                 ame_too"]
