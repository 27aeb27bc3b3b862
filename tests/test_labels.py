"""What a container's label may name: every rule of it as a row, and its bounds."""

from typing import Dict, List, Optional

import pytest

from netmgr.model.labels import LONGEST_LABEL, MOST_ZONES, REMEMBERED, Labels, Said
from tests.workbench import configuration

CONFIG = """
interfaces: [{name: eth0, nftables_zone: [wan, both]}]
zones: {dmz: {}, both: {}, wan: {}}
docker: %s
"""
FED = "interfaces feed this zone, and label_zones does not name it"
UNKNOWN = "the configuration does not name this zone"
NO_NAME = "no zone can have this name"


def said(value: Optional[str], docker: str = "{}", key: str = "netmgr.zone") -> Said:
    config = configuration(CONFIG % docker)
    return Labels(config, config.docker[0]).said(() if value is None else ((key, value),))


@pytest.mark.parametrize(("docker", "value", "zones", "refused"), [
    ("{}", "dmz", ["dmz"], {}),
    ("{}", "docker", ["docker"], {}),
    ("{}", " dmz,, docker ,dmz", ["dmz", "docker"], {}),
    ("{}", "wan", [], {"wan": FED}),
    ("{}", "both,dmz", ["dmz"], {"both": FED}),
    ("{}", "admin", [], {"admin": UNKNOWN}),
    ("{}", "a b,-,9", [], {"a b": NO_NAME, "-": NO_NAME, "9": NO_NAME}),
    ("{}", "", [], {}),
    ("{}", None, [], {}),
    ("{nftables_zone: wan}", "wan", ["wan"], {}),
    ("{nftables_zone: null}", "docker", [], {"docker": UNKNOWN}),
    ("{networks: {front: web, back: wan}}", "web,wan", ["web"], {"wan": FED}),
    ("{label_zones: wan}", "wan,dmz", ["wan", "dmz"], {}),
    ("{label_zones: [app-*, spare]}", "app-1,app-,spare,app", ["app-1", "app-", "spare"], {"app": UNKNOWN}),
    ("{label_zones: '*'}", "wan,admin,a b", ["wan", "admin"], {"a b": NO_NAME}),
    ("{label: other}", "dmz", [], {}),
    ("{label: null}", "dmz,wan", [], {}),
    ("{label: null, label_zones: '*'}", "dmz,wan", [], {}),
])
def test_what_a_label_may_name(docker: str, value: Optional[str], zones: List[str], refused: Dict[str, str]) -> None:
    found = said(value, docker)
    assert (list(found.zones), dict(found.refused)) == (zones, refused)


def test_each_engine_has_rules_of_its_own() -> None:
    config = configuration(CONFIG % "[{name: a, label: x, label_zones: wan}, {name: b, nftables_zone: apps}]")
    first, second = (Labels(config, engine) for engine in config.docker)
    assert first.said((("netmgr.zone", "dmz"), ("x", "wan,apps"))).zones == ("wan", "apps")
    assert second.said((("x", "dmz"), ("netmgr.zone", "wan,apps"))) == Said(("apps",), (("wan", FED),))


def test_a_label_names_so_many_zones_and_no_more() -> None:
    names = ["app%d" % number for number in range(MOST_ZONES + 2)]
    found = said(",".join(names), "{label_zones: app*}")
    assert found.zones == tuple(names[:MOST_ZONES])
    assert found.refused == (("app16, app17", "a container is in at most 16 zones by its label"),)
    assert len(said(",".join("no%d" % number for number in range(200))).refused) == MOST_ZONES


def test_a_label_that_is_longer_than_any_that_means_something() -> None:
    (shown, why), = said("dmz," + "x" * LONGEST_LABEL).refused
    assert said("dmz," + "x" * LONGEST_LABEL).zones == () and len(shown) == 61 and "more than 4096" in why
    (shown, _why), = said("x" * 300).refused
    assert len(shown) == 61


def test_labels_without_end_take_no_memory_without_end() -> None:
    config = configuration(CONFIG % "{label_zones: 'zone*'}")
    labels = Labels(config, config.docker[0])
    for number in range(2 * REMEMBERED + 10):
        labels.said((("netmgr.zone", "zone%d" % number),))
    assert len(labels.known) <= REMEMBERED
