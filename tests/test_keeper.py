"""The keeper of the sets on a kernel of dictionaries: how it ends."""

import errno
from typing import List, Tuple

import pytest

from netmgr.io.loop import Loop
from netmgr.io.systemd import Manager
from netmgr.keeper import Keeper
from netmgr.values.events import LinkSeen
from netmgr.values.snapshots import Snapshot
from tests.fakekernel import FakeKernel
from tests.workbench import WAN, configuration, container, key, named, seen

REMOVE = WAN + "nftables: {on_stop: remove}\n"


class House:
    """A keeper whose only source tells of eth0 with 192.0.2.1."""

    def __init__(self, text: str, dry_run: bool = False) -> None:
        self.log: List[Tuple[str, str]] = []
        self.kernel = FakeKernel()
        self.loop = loop = Loop()
        self.keeper = Keeper(loop, self.kernel, Manager(loop.now, lambda: "", loop.call_later), configuration(text), None, lambda: None,
                             lambda level, line: self.log.append((level, line)), dry_run)

    def settle(self) -> None:
        self.keeper.snapshot(Snapshot([LinkSeen(1, "eth0", True)], {}, True))
        self.keeper.events([seen("192.0.2.1/24")])
        self.keeper.settle()
        while self.keeper.repairs.busy:         # one slice may not be enough on a machine that has other work
            self.loop.woken = self.loop.now()
            self.keeper.settle()


@pytest.mark.parametrize(("text", "dry_run", "last", "left"), [
    (WAN, False, "stopped; netmgr's elements stay in their sets", 1),
    (REMOVE, False, "stopped; netmgr's elements are removed", 0),
    (REMOVE, True, "stopped; netmgr's elements would be removed", 0),
])
def test_the_last_line_says_what_became_of_the_elements(text: str, dry_run: bool, last: str, left: int) -> None:
    house = House(text, dry_run)
    house.kernel.make(named("wan_ips"), "ipv4_addr")
    house.settle()
    house.keeper.stop()
    assert house.log[-1] == ("info", last)
    assert len(house.kernel.sets[named("wan_ips")].ours) == left


def test_the_last_line_does_not_promise_what_failed() -> None:
    house = House(REMOVE)
    for name in ("wan_ips", "wan_ipv6"):
        house.kernel.make(named(name), "ipv4_addr")
    house.settle()
    house.kernel.refuses[named("wan_ips")] = (errno.EPERM, "not permitted")
    house.keeper.stop()
    assert house.log[-1] == ("warning", "stopped; netmgr's elements could not be removed from inet filter wan_ips (not permitted)")
    assert not house.kernel.sets[named("wan_ipv6")].ours


def test_what_cannot_be_read_is_not_called_removed() -> None:
    house = House(REMOVE)
    house.kernel.make(named("wan_ips"), "ipv4_addr", ours=[key("192.0.2.1")])
    house.kernel.unreadable[named("wan_ips")] = OSError(errno.EIO, "no answer")
    house.settle()
    house.keeper.stop()
    assert house.log[-1][0] == "warning" and "wan_ips" in house.log[-1][1]


def test_what_labels_may_not_name_is_told_once_for_each_container() -> None:
    house = House("docker: {label_zones: app*}\ninterfaces: [{name: eth0, nftables_zone: wan}]\n")
    one = container("1", "172.18.0.2/16", label="wan, apps")
    for _ in range(3):
        house.keeper.containers("", [one], [])
        house.keeper.containers("", [one._replace(name="renamed")], [])
    assert house.log == [("warning", "the label of name-1 may not name wan (interfaces feed this zone, and label_zones does not name it)")]
    house.keeper.containers("", [container("2", "172.18.0.3/16", label="a,b,c,\x1b,d")], ["1"])
    assert house.log[1:] == [("warning", "the label of name-2 may not name a (the configuration does not name this zone),"
                              " b (the configuration does not name this zone), c (the configuration does not name this zone), 2 more")]
    house.keeper.containers("", [one], ["2"])
    assert len(house.log) == 3 and house.log[2] == house.log[0], "it had gone"
    house.keeper.switch(configuration("docker: {label_zones: [app*, wan]}\n"), None)
    assert len(house.log) == 3
    house.keeper.switch(configuration(""), None)
    assert house.log[3] == ("warning", "the label of name-1 may not name wan (the configuration does not name this zone),"
                            " apps (the configuration does not name this zone)")
    house.keeper.switch(configuration("docker: [{name: other}]\n"), None)
    assert house.keeper.containers_of("") == [] and len(house.log) == 4
