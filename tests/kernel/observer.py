"""What an event socket tells, held against the two other truths about links and addresses: a snapshot, and ip(8)."""

import socket
import struct
from typing import Any, Dict, List, Set, Tuple

from netmgr.io.rtnetlink import EventSocket, RequestSocket
from netmgr.model.inventory import Inventory
from netmgr.values.addresses import (
    IFA_F_DADFAILED,
    IFA_F_DEPRECATED,
    IFA_F_PERMANENT,
    IFA_F_SECONDARY,
    IFA_F_TENTATIVE,
    local,
    parse,
    prefixlen,
    text,
)
from netmgr.values.events import Event
from netmgr.wire import rtnetlink
from netmgr.wire.netlink import NLM_F_CREATE, attribute, request
from tests.kernel.lab import Lab

FLAGS = ((IFA_F_PERMANENT, ""), (IFA_F_DEPRECATED, " deprecated"), (IFA_F_SECONDARY, " secondary"), (IFA_F_TENTATIVE, " tentative"),
         (IFA_F_DADFAILED, " dadfailed"))

Tables = Dict[Tuple[int, str, bool], Set[str]]


class Observer:
    """Tables that follow events only, next to the two other truths: a snapshot, and ip(8)."""

    def __init__(self, lab: Lab, buffer_size: int = 1 << 20) -> None:
        self.lab = lab
        with lab.inside():
            self.events = EventSocket(buffer_size)
            self.requests = RequestSocket()
        self.inventory = Inventory()
        self.heard: List[Event] = []
        self.resync()

    def close(self) -> None:
        self.events.close()
        self.requests.close()

    def listen(self, buffer_size: int) -> None:
        """Another event socket, with such a queue."""
        self.events.close()
        with self.lab.inside():
            self.events = EventSocket(buffer_size)

    def resync(self) -> None:
        snapshot = self.requests.snapshot()
        assert snapshot.consistent
        self.inventory.replace_interfaces(snapshot.links, snapshot.addresses)

    def follow(self) -> Tables:
        """The tables after all that is queued."""
        drained = self.events.drain()
        assert (drained.lost, drained.more) == ("", False)
        self.heard += drained.events
        for event in drained.events:
            self.inventory.apply(event)
        return tables(self.inventory)

    def snapshot(self) -> Tables:
        found = self.requests.snapshot()
        assert found.consistent
        inventory = Inventory()
        inventory.replace_interfaces(found.links, found.addresses)
        return tables(inventory)

    def index_of(self, name: str) -> int:
        return next(index for index, link in self.inventory.links.items() if link.name == name)

    def churn(self, count: int) -> None:
        """One send that makes the kernel queue `count` events before it returns: the same address added and deleted over and over."""
        header = struct.pack("=BBBBI", socket.AF_INET, 32, 0, 0, self.index_of("eth0"))
        payload = header + attribute(rtnetlink.IFA_LOCAL, parse("198.51.100.1")[0])
        pair = (request(rtnetlink.RTM_NEWADDR, NLM_F_CREATE, 0, payload), request(rtnetlink.RTM_DELADDR, 0, 0, payload))
        with self.lab.inside(), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sending:
            sending.send(b"".join(pair[number % 2] for number in range(count)))

    def fill(self, count: int) -> None:
        """So many addresses on eth0; the tables are as before."""
        self.lab.run("ip -batch -", "".join("addr add 10.1.%d.%d/32 dev eth0\n" % divmod(number, 256) for number in range(count)))
        self.events.drain()

    def agrees(self) -> bool:
        """Whether all three say the same at this moment."""
        return self.follow() == self.snapshot() == listed(self.lab)


def tables(inventory: Inventory) -> Tables:
    return {(index, link.name, link.up): {shown(key, flags) for key, flags in inventory.addresses.get(index, {}).items()}
            for index, link in inventory.links.items()}


def shown(key: bytes, flags: int) -> str:
    own, peer = local(key), key[len(key) >> 1:-1]
    words = "".join(word for bit, word in FLAGS if flags & bit)
    return "%s%s/%d%s%s" % (text(own), "" if own == peer else " peer " + text(peer), prefixlen(key), words,
                            "" if flags & IFA_F_PERMANENT else " dynamic")


def listed(lab: Lab) -> Tables:
    """`ip -j addr` in the same words."""
    return {(link["ifindex"], link["ifname"], "UP" in link["flags"]): {listed_address(info) for info in link["addr_info"]}
            for link in lab.addresses()}


def listed_address(info: Dict[str, Any]) -> str:
    """`ip` calls the peer `address` and says secondary for what is temporary, too.  Peers of IPv6 are not told."""
    peer = " peer %s" % info["address"] if "address" in info and info["family"] == "inet" else ""
    words = "".join(" " + word for word in ("deprecated", "secondary", "tentative", "dadfailed", "dynamic")
                    if info.get(word) or (word == "secondary" and info.get("temporary")))
    return "%s%s/%d%s" % (info["local"], peer, info["prefixlen"], words)


def of_link(found: Tables, name: str) -> Set[str]:
    return next((addresses for (_index, each, _up), addresses in found.items() if each == name), {"no such link"})
