"""netmgr.config.scalars takes for a name what nft and the kernel take."""

import pytest

from netmgr.config import scalars
from tests.kernel.lab import Lab

PROBES = ["a", "A_b", "a-b", "a.b", "a/b", "_a", ".a", "..", "a..", "a--", "wan_ips6", "x1",
          "", "-a", "/a", "1a", "a b", "x:y", "a@b", "a+b", "a\\b", "a'b", "a*b", "a$b", "ä", "a\u00a0b"]


def _takes(lab: Lab, template: str, name: str) -> bool:
    return lab.run("sh -c 'nft -f - && echo done'", template % name, check=False) == "done\n"


def _is_identifier(name: str) -> bool:
    try:
        return bool(scalars.identifier(name))
    except ValueError:
        return False


@pytest.mark.parametrize("name", [*PROBES, "x" * scalars.LONGEST_NAME, "x" * (scalars.LONGEST_NAME + 1)])
def test_identifiers(lab: Lab, name: str) -> None:
    expected = _is_identifier(name)
    assert _takes(lab, "add table inet %s", name) is expected
    lab.nft("add table inet filter")
    assert _takes(lab, "add set inet filter %s { type ipv4_addr; }", name) is expected


def test_the_longest_zone_has_sets(lab: Lab) -> None:
    name = scalars.zone_name("z" * scalars.LONGEST_ZONE)
    lab.nft("add table inet filter; add set inet filter %s_nets6 { type ipv6_addr; flags interval; }" % name)
    with pytest.raises(ValueError, match="at most"):
        scalars.zone_name("z" * (scalars.LONGEST_ZONE + 1))


@pytest.mark.parametrize("family", scalars.FAMILIES)
def test_every_family_can_hold_sets(lab: Lab, family: str) -> None:
    lab.nft("add table %s t; add set %s t s { type ipv6_addr; }; add set %s t i { type ifname; }" % (family, family, family))
    assert scalars.table("%s t" % family) == (family, "t")


@pytest.mark.parametrize("name", ["eth0", "a" * 15, "br-lan.5", "wlan0@x", "ä" * 7, "0", "…", "!",
                                  "a" * 16, "ä" * 8, ".", "..", "a/b", "a:b", "a b", "a\u00a0b", "à"])
def test_interface_names(lab: Lab, name: str) -> None:
    try:
        expected = bool(scalars.interface_pattern(name))
    except ValueError:
        expected = False
    lab.link("v0")
    renamed = lab.run(["sh", "-c", 'ip link set v0 down && ip link set v0 name "$1" && echo done', "sh", name], check=False)
    assert (renamed == "done\n") is expected
