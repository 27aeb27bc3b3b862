"""The migration page, followed literally: what stands in the right column of each row is done, and the sets hold what the left one was for.

A row that the page gets must be told here what comes of it.
"""

import json
import re
from pathlib import Path
from typing import Any, Dict, List, Mapping, NamedTuple, Tuple

import pytest
import yaml

from tests.kernel.lab import Lab
from tests.kernel.running import Netmgr

PAGE = Path(__file__).resolve().parents[2] / "pkg-files/doc/migration.md"

RULESET = """
table inet filter {
    set wan_ips { type ipv4_addr; flags dynamic; }
    set wan_ipv6 { type ipv6_addr; }
    set wan_ips6 { type ipv6_addr; }
    set wan_nets { type ipv4_addr; flags interval; }
    set wan_ifs { type ifname; }
    set lan_ips { type ipv4_addr; }
    set trusted_ips { type ipv4_addr; }
    set my_set { type ipv4_addr; }
}
table ip nat {
    set wan_ips { type ipv4_addr; }
    set outside { type ipv4_addr; }
}
"""
PUBLIC, LEASED, PRIVATE, SIX = "203.0.113.5", "198.51.100.7", "192.168.1.1", "2001:db8::5"
ALL_FOUR = (PUBLIC, LEASED, PRIVATE)


class Row(NamedTuple):
    """What the sets hold after it was followed: set -> elements."""

    sets: Mapping[str, Tuple[str, ...]]
    interface: str = "eth0"


USUAL = {"inet filter wan_ips": ALL_FOUR}
RESULTS: Dict[str, Row] = {
    # rust-network-mgr
    "`interfaces: - name: eth0`": Row(USUAL),
    "`dhcp: true`, `address: 192.168.1.1/24`": Row(USUAL),
    "`nftables_zone: wan`": Row({"inet filter lan_ips": ALL_FOUR, "inet filter trusted_ips": ALL_FOUR}),
    "`nftables_rules_path:`": Row(USUAL),
    "`http_bind_addr:`": Row(USUAL),
    "creates `table inet filter` and the sets of each zone at its start": Row({**USUAL, "inet filter wan_ips6": (SIX,)}),
    "`set wan_ips { type ipv4_addr; flags dynamic; }`, `set wan_ipv6 …`": Row({**USUAL, "inet filter wan_ipv6": (SIX,)}),
    # scripts
    "`dev eth0`, `[ \"$IFACE\" = eth0 ]`, `$1` of a dispatcher script": Row(USUAL),
    "`case \"$IFACE\" in ppp*)`": Row(USUAL, interface="ppp0"),
    "a set that is not called `<zone>_ips`": Row({**USUAL, "inet filter my_set": ALL_FOUR}),
    "another table": Row({"ip nat wan_ips": ALL_FOUR}),
    "`ip -6`, a second script for IPv6": Row({**USUAL, "inet filter wan_ips6": (SIX,)}),
    "`grep -v fe80`": Row({**USUAL, "inet filter wan_ips6": (SIX,)}),
    "`grep -v temporary`, `scope global`, `grep -v 192.168`": Row({"inet filter wan_ips": (PUBLIC, LEASED)}),
    "an address with its prefix length, as the route's network": Row({"inet filter wan_nets": (
        "203.0.113.0/24", "198.51.100.0/24", "192.168.1.0/24")}),
    "`iifname` sets, filled by hand": Row({"inet filter wan_ifs": ("eth0",)}),
    "the same at boot, once the network is up (`After=network-online.target`)": Row(USUAL),
    "the same after every `nft -f`": Row(USUAL),
    # systemd-networkd
    "`[Match] Name=eth0`": Row(USUAL),
    "`[Address] NFTSet=address:inet:filter:wan_ips`": Row(USUAL),
    "`[DHCPv4] NFTSet=address:inet:filter:wan_ips`": Row(USUAL),
    "`[IPv6AcceptRA] NFTSet=address:inet:filter:wan_ips6`, `[DHCPv6]`, `[DHCPPrefixDelegation]`": Row({"inet filter wan_ips6": (SIX,)}),
    "`NFTSet=prefix:inet:filter:wan_nets`": Row({"inet filter wan_nets": ("203.0.113.0/24", "198.51.100.0/24", "192.168.1.0/24")}),
    "`NFTSet=ifindex:inet:filter:wan_index`": Row({"inet filter wan_ifs": ("eth0",)}),
    "`NFTSet=address:ip:nat:outside`": Row({**USUAL, "ip nat outside": ALL_FOUR, "inet filter wan_ips6": (SIX,),
                                            "inet filter wan_ifs": ("eth0",)}),
    "`ExecReload` of nftables.service, or a hook, with `networkctl reconfigure eth0` after it": Row(USUAL),
}
ELSEWHERE = {       # what takes more than a namespace, and the tests that do it
    "`/etc/rust-network-mgr/config.yaml`": "tests/test_cli.py", "`RUST_NETWORK_MGR_CONFIG=FILE`": "tests/kernel/test_rust_network_mgr.py",
    "`echo status \\| socat - UNIX-CONNECT:/run/rust-network-mgr.sock`": "tests/kernel/test_rust_network_mgr.py",
    "`set docker_ips`, `set docker_ipv6`": "tests/docker/test_zones.py",
    "`docker events \\| while read …; docker inspect …`": "tests/docker/test_zones.py",
    "`systemctl start rust-network-mgr`": "tests/system/test_service.py",
}


def rows() -> List[Tuple[str, str]]:
    """Left and right cell of every row of every table that has two columns."""
    found = []
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 2 and not set(cells[0]) <= {"-"} and "config.yaml" not in cells[1].split("`")[1:2] and cells[1] != "netmgr":
            found.append((cells[0], cells[1]))
    return found


def followed(right: str, left: str) -> str:
    """The first piece of YAML in the right cell, and in the left one where the right says that it stays as it is."""
    config: Dict[str, Any] = {"interfaces": [{"name": "eth0", "nftables_zone": "wan"}], "docker": {"enabled": False}}
    pieces = re.findall(r"`([^`]*)`", left if right.startswith("the same: ") or "without effect" in right else right)
    if right.startswith("the same, and lists"):
        pieces = ["nftables_zone: " + piece for piece in pieces]
    for piece in pieces:
        if re.match(r"[a-z_]+:", piece) is None:
            continue
        said = yaml.safe_load(piece.replace(": - ", ":\n  - ") if piece[-1] != ":" else piece + " /some/where")
        for key, value in said.items():
            if key == "interfaces":
                config[key][0].update(value[0])
            elif key in ("name", "nftables_zone", "dhcp", "address"):
                config["interfaces"][0][key] = value
            elif key == "exclude":
                config.setdefault("zones", {"wan": {}})["wan"][key] = value
            elif key not in ("zones", "nftables") or not {"zones", "nftables"} & set(config):
                config[key] = value
    return "".join("%s: %s\n" % (key, json.dumps(value)) for key, value in config.items())


def test_every_row_is_followed() -> None:
    lefts = [left for left, _right in rows()]
    assert lefts and [left for left in lefts if left not in RESULTS and left not in ELSEWHERE] == []
    assert [left for left in (*RESULTS, *ELSEWHERE) if left not in lefts] == []
    assert all((Path(__file__).resolve().parents[2] / path).exists() for path in ELSEWHERE.values())


@pytest.mark.parametrize(("left", "right"), [row for row in rows() if row[0] in RESULTS], ids=lambda cell: cell[:40])
def test_a_row(lab: Lab, left: str, right: str) -> None:
    result = RESULTS[left]
    creates = "create: true" in right
    lab.nft("" if creates else RULESET)
    lab.link(result.interface)
    lab.sysctl("net.ipv6.conf.%s.accept_dad" % result.interface, 0)
    lab.run("ip addr add 203.0.113.5/24 dev %s" % result.interface)
    lab.run("ip addr add 192.168.1.1/24 dev %s" % result.interface)
    lab.run("ip addr add 198.51.100.7/24 dev %s valid_lft 3600 preferred_lft 3600" % result.interface)
    lab.run("ip addr add 2001:db8::5/64 dev %s nodad" % result.interface)
    netmgr = Netmgr(lab, followed(right, left))
    for name, elements in result.sets.items():
        family, table, bare = name.split()
        netmgr.holds(bare, *elements, table="%s %s" % (family, table))
    assert netmgr.status()["interfaces"][0]["expectations"] == []
    if not creates:
        lab.nft("flush ruleset\n" + RULESET)
        for name, elements in result.sets.items():
            family, table, bare = name.split()
            netmgr.holds(bare, *elements, table="%s %s" % (family, table))
