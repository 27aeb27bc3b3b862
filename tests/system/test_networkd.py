"""Nineteen things that happen to an address or to a ruleset, with systemd-networkd 257 and netmgr side by side."""

from pathlib import Path
from typing import Callable, FrozenSet

import pytest

from tests.system import roots
from tests.system.conftest import Build
from tests.system.machine import Machine
from tests.system.side_by_side import RULES_FILE, SideBySide


def _has(*parts: str) -> Callable[[FrozenSet[str]], bool]:
    return lambda addresses: all(any(address.startswith(part) for address in addresses) for part in parts)


def _lacks(*parts: str) -> Callable[[FrozenSet[str]], bool]:
    return lambda addresses: not any(address.startswith(part) for address in addresses for part in parts)


def _run(bench: SideBySide) -> None:
    run, after = bench.run, bench.after
    leased, moved = _has("192.0.2.1", "203.0.113.1", "2001:db8:1:"), _has("192.0.2.1", "203.0.113.2", "2001:db8:2:")
    after("eth0 gets a static address, a lease, an advertised prefix", bench.begin, leased)
    after("an IPv4 address is added by hand", lambda: run("ip address add 198.51.100.7/32 dev eth0"), _has("198.51.100.7"))
    after("it is taken away again", lambda: run("ip address del 198.51.100.7/32 dev eth0"), _lacks("198.51.100.7"))
    after("an IPv6 address is added by hand", lambda: run("ip address add 2001:db8:9::7/128 dev eth0 nodad"), _has("2001:db8:9::7"))
    after("the ruleset is reloaded", lambda: run(["nft", "-f", RULES_FILE]))
    after("networkctl reload", lambda: run("networkctl reload"))
    after("networkctl reconfigure eth0", lambda: run("networkctl reconfigure eth0"), leased)
    after("the sets are emptied by hand",
          lambda: run("for set in wan_ips wan_ips6 networkd_ips networkd_ips6; do nft flush set inet filter $set; done"))
    after("systemd-networkd is restarted, the old lease refused (DHCP NAK)", lambda: _nak(bench), moved)
    after("systemd-networkd is restarted once more", lambda: run("systemctl restart systemd-networkd"), moved)
    after("one element is deleted by hand", lambda: run("nft 'delete element inet filter wan_ips { 192.0.2.1 }';"
                                                        " nft 'destroy element inet filter networkd_ips { 192.0.2.1 }'"))
    after("the cable is out", lambda: bench.provider("ip link set far0 down"), _lacks("203.0.113.2"))
    after("and in again", lambda: _plug(bench), moved)
    after("ip link set eth0 down", lambda: run("ip link set eth0 down"), _lacks("2001:"))
    after("ip link set eth0 up", lambda: run("ip link set eth0 up"), moved)
    after("nftables.service is restarted", lambda: run("systemctl restart nftables"))
    after("ip address flush dev eth0", lambda: run("ip address flush dev eth0"), _lacks("192.0.2.1", "203.0.113.2"))
    after("eth0 is taken away", lambda: run("ip link delete eth0"), lambda addresses: not addresses)
    after("and comes back", lambda: _again(bench), moved)


def _nak(bench: SideBySide) -> None:
    bench.provide(200, "2001:db8:2")
    bench.run("systemctl restart systemd-networkd")


def _plug(bench: SideBySide) -> None:
    bench.provider("ip link set far0 up")
    bench.provider("ip address add 2001:db8:2::1/64 dev far0 nodad")        # the kernel forgot it with the cable


def _again(bench: SideBySide) -> None:
    bench.cable()
    bench.provide(200, "2001:db8:2")


def test_nineteen_events(release: str, build: Build, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    if release != "trixie":
        pytest.skip("systemd 252 knows no NFTSet=")
    with Machine(roots.root("networkd")) as machine:
        machine.run(["dpkg", "--install", machine.put(build.package)])
        bench = SideBySide(machine, tmp_path)
        try:
            _run(bench)
        finally:
            with capfd.disabled():
                print("\n" + bench.table())
            print(machine.run("journalctl --no-pager --lines=100 --unit systemd-networkd --unit netmgr"))
    assert len(bench.rows) == 19
    assert bench.rows[0].networkd, "networkd, too, fills its sets when all goes well"
    assert [row.event for row in bench.rows if not row.netmgr] == []
