"""Events of the kernel in words."""

import pytest

from netmgr.show.events_text import event_text, suspect_text
from netmgr.values.addresses import identity
from netmgr.values.events import GONE, AddressesSeen, AddressGone, AddressSeen, Event, LinkGone, LinkSeen, RulesetChanged

ONE = bytes((192, 0, 2, 1))
MANY = {identity(bytes((192, 0, 2, last)), 24, bytes((192, 0, 2, last))): 128 for last in range(1, 31)}


@pytest.mark.parametrize(("event", "text"), [
    (LinkSeen(2, "eth0", True), "link 2: eth0, up"),
    (LinkSeen(3, "eth0.7", False, 5, "vlan", 2, ("uplink", "isp")), "link 3: eth0.7, down, group 5, vlan, master 2, also uplink, also isp"),
    (LinkGone(3), "link 3 is gone"),
    (AddressSeen(2, ONE, 24, ONE, 0x80), "link 2: 192.0.2.1/24 with the flags 0x80"),
    (AddressGone(2, ONE, 24, ONE), "link 2: 192.0.2.1/24 is gone"),
    (AddressesSeen(2, {identity(ONE, 24, ONE): GONE}), "link 2: 192.0.2.1/24 is gone"),
])
def test_events(event: Event, text: str) -> None:
    assert event_text(event) == text


def test_of_very_many_addresses_some_are_named() -> None:
    assert event_text(AddressesSeen(2, MANY)).endswith("192.0.2.20/24 with the flags 0x80 and 10 addresses more")


def test_commits() -> None:
    assert suspect_text(None) == "somebody committed something"
    assert suspect_text(RulesetChanged(12, 4711, 4610, "nft")) == "generation 12, committed by nft (pid 4610)"
