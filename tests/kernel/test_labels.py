"""Sets of zones that only labels name: made and marked while a container is there, gone with the last one, also when it went unseen.

The kernel and nft are real, containers are told to netmgr directly.
"""

from pathlib import Path
from typing import Iterator, List

import pytest

from tests.kernel.firewall import Firewall
from tests.kernel.lab import Lab
from tests.nft_program import installed
from tests.workbench import container

LABELS = "docker: {label_zones: 'app*'}\n"
CREATE = LABELS + "nftables: {create: true}\n"
OWN = "table inet filter {\nset %s { type ipv4_addr; }\n}\n"


class Host(Firewall):
    """A firewall whose sets are listed."""

    def __init__(self, lab: Lab, directory: Path) -> None:
        super().__init__(lab, installed(), directory)
        self.begin()

    def sets(self) -> List[str]:
        """What nft lists: the sets of all tables, without what is in them."""
        return [line.split()[1] for line in self.lab.run("nft -t list ruleset").splitlines() if line.split()[:1] == ["set"]]

    def happens(self, *labels: str, gone: int = 0) -> None:
        """Containers with these labels start, and so many of the first that ever started end; netmgr does what there is to do."""
        assert self.keeper is not None
        started = len(self.keeper.containers_of(""))
        seen = [container(str(each), "172.18.0.%d/16" % each, label=label) for each, label in enumerate(labels, started + 1)]
        self.keeper.containers("", seen, [str(each) for each in range(1, gone + 1)])
        self.react()

    def killed_and_started(self, config: str) -> None:
        """With no container that it knows."""
        self.keeper = None
        self.start(config, {})


@pytest.fixture
def host(lab: Lab, tmp_path: Path) -> Iterator[Host]:
    made = Host(lab, tmp_path)
    yield made
    made.close()


def test_sixty_containers_that_came_and_went_leave_nothing(host: Host) -> None:
    host.start(CREATE, {})
    host.happens("app1")
    host.happens(gone=1)
    kept = host.sets()      # the zone of all containers has its sets from the first one on
    assert not [name for name in kept if name.startswith("app")]
    for number in range(1, 61):
        host.happens("app%d" % number)
        assert "app%d_ips" % number in host.sets()
        host.happens(gone=1)
        assert host.sets() == kept
    assert host.keeper is not None
    assert not [name for name in host.keeper.model.sets if name.name.startswith("app")]
    assert not [path for path in host.files.iterdir() if ".app" in path.name]


def test_sets_that_netmgr_made_for_a_container_that_went_while_it_was_down_are_found_by_their_mark(host: Host) -> None:
    """Without include files that tell of them, and without elements; what the user has made stays."""
    assert host.nft.run(OWN % "app9_ips") == ""
    host.start(CREATE, {})
    host.happens("app1", "app2,app3")
    assert {"app1_ips", "app2_ips", "app3_ips6"} <= {*host.sets()}
    assert host.nft.run("flush set inet filter app2_ips") == ""
    for path in host.files.iterdir():
        path.unlink()
    host.killed_and_started(CREATE)
    assert [name for name in host.sets() if name.startswith("app")] == ["app9_ips"]


def test_what_others_have_put_into_a_set_that_netmgr_made_keeps_it(host: Host) -> None:
    host.start(CREATE, {})
    host.happens("app1")
    assert host.nft.run("add element inet filter app1_ips { 192.0.2.9 }") == ""
    host.killed_and_started(CREATE)
    assert [name for name in host.sets() if name.startswith("app1")] == ["app1_ips"]
    assert "elements = { 192.0.2.9 }" in host.lab.run("nft list set inet filter app1_ips")


@pytest.mark.parametrize("files", [True, False])
def test_elements_of_a_zone_that_only_the_label_of_a_container_named_go_when_it_went_while_netmgr_was_down(host: Host, files: bool) -> None:
    assert host.nft.run((OWN % "app1_ips") + (OWN % "app2_ips")) == ""
    host.start(LABELS, {})
    host.happens("app1", "app2")
    assert "172.18.0.1 comment \"netmgr\"" in host.lab.run("nft list set inet filter app1_ips")
    assert host.nft.run("add element inet filter app1_ips { 192.0.2.9 }") == ""
    host.react()
    assert (host.files / "inet.filter.app1_ips.nft").exists()
    if not files:
        (host.files / "inet.filter.app1_ips.nft").unlink()
    host.killed_and_started(LABELS)
    assert "elements = { 192.0.2.9 }" in host.lab.run("nft list set inet filter app1_ips")
    assert "elements" not in host.lab.run("nft list set inet filter app2_ips")
    assert not [path.name for path in host.files.iterdir() if "app" in path.name]
    host.happens("app1")
    assert "172.18.0.1 comment \"netmgr\"" in host.lab.run("nft list set inet filter app1_ips")
