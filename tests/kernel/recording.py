"""Writes tests/captures/rtnetlink.hex: what a kernel really said when ip(8) did this and that.

    python -m tests.kernel.recording >tests/captures/rtnetlink.hex

Every scene begins with its name and the commands; its bytes are all messages of the link and address groups, or of a dump, in the
kernel's order.  Interface indexes are fixed where ip(8) lets us, so that a new recording differs little from the last.
"""

import os
import socket
from typing import Iterator, List, Tuple

from netmgr.values.events import AddressSeen
from netmgr.wire import routes, rtnetlink
from netmgr.wire.netlink import NETLINK_ADD_MEMBERSHIP, NLMSG_DONE, SOL_NETLINK, messages
from tests.kernel.lab import Lab
from tests.waiting import eventually

PREPARATION = (
    "ip link add eth0 index 7 type veth peer name far0 index 8", "ip link set far0 up", "ip link set eth0 up",
    "ip link add bridge0 index 9 type bridge",
)
SCENES: Tuple[Tuple[str, Tuple[str, ...]], ...] = (
    ("ipv4", ("ip addr add 192.0.2.1/24 dev eth0", "ip addr add 192.0.2.2/24 dev eth0")),
    ("point-to-point", ("ip addr add 10.0.0.1 peer 10.0.0.2/32 dev eth0", "ip addr del 10.0.0.1 peer 10.0.0.2/32 dev eth0")),
    ("ipv6", ("ip addr add 2001:db8::1/64 dev eth0 nodad", "ip addr del 2001:db8::1/64 dev eth0")),
    ("ipv6-peer", ("ip addr add 2001:db8::1 peer 2001:db8::2/128 dev eth0 nodad", "ip addr del 2001:db8::1 peer 2001:db8::2/128 dev eth0")),
    ("wide-flags", ("ip addr add 2001:db8:1::1/64 dev eth0 nodad noprefixroute mngtmpaddr",)),
    ("lease", ("ip addr add 198.51.100.1/24 dev eth0 valid_lft 3600 preferred_lft 1800",)),
    ("selected", ("ip link set eth0 group 7", "ip link property add dev eth0 altname uplink0 altname wan-side")),
    ("renamed", ("ip link set eth0 name wan0",)),
    ("", ("ip link set wan0 master bridge0",)),
    ("port-leaves-bridge", ("ip link set wan0 nomaster",)),
    ("down", ("ip link set wan0 down",)),
    ("gone", ("ip link del wan0",)),
)


ROUTES = (
    "ip route add default via 192.0.2.254", "ip route add default metric 9 nexthop via 192.0.2.253 nexthop dev far0",
    "ip route add unreachable default metric 77", "ip route add default dev far0 table 77", "ip route add 0.0.0.0/8 dev far0",
    "ip route add 198.18.0.0/15 dev far0",
    "ip -6 route add default dev eth0 metric 5", "ip -6 route add 2001:db8:77::/48 dev far0", "ip -6 route add default dev far0 metric 7",
)


class Listener:
    """A socket in the groups that netmgr joins."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
        self.socket.bind((0, 0))
        for group in rtnetlink.GROUPS:
            self.socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)

    def heard(self) -> bytes:
        """Everything since the last call."""
        found: List[bytes] = []
        while True:
            try:
                found.append(self.socket.recv(1 << 17))
            except BlockingIOError:
                return b"".join(found)

    def heard_of_duplicate_address_detection(self) -> bytes:
        """The same, once an address has passed it."""
        parts = [self.heard()]

        def passed() -> bool:
            parts.append(self.heard())
            return any(isinstance(event, AddressSeen) and not event.flags & 0x40 for event in rtnetlink.events(parts[-1]))

        eventually(passed)
        return b"".join(parts)


def dumped(request: bytes) -> bytes:
    """The whole reply."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asking:
        asking.send(request)
        reply = asking.recv(1 << 17)
        while list(messages(reply))[-1].type != NLMSG_DONE:
            reply += asking.recv(1 << 17)
        return reply


def scenes(lab: Lab) -> Iterator[Tuple[str, Tuple[str, ...], bytes]]:
    """Name, commands, bytes."""
    lab.sysctl("net.ipv6.conf.default.addr_gen_mode", 1)
    for command in PREPARATION:
        lab.run(command)
    with lab.inside():
        listener = Listener()
        detected = "ip addr add 2001:db8::3/64 dev eth0"
        lab.run(detected)
        yield "tentative", (detected,), listener.heard_of_duplicate_address_detection()
        for name, commands in SCENES:
            if name == "renamed":
                yield "links", ("RTM_GETLINK",), dumped(rtnetlink.dump_links(1))
                yield "addresses", ("RTM_GETADDR",), dumped(rtnetlink.dump_addresses(1))
            if name == "selected":
                for command in ROUTES:
                    lab.run(command)
                yield "ipv4-routes", ROUTES, dumped(routes.dump(1, routes.AF_INET))
                yield "ipv6-routes", ("the same",), dumped(routes.dump(1, routes.AF_INET6))
            listener.heard()
            for command in commands:
                lab.run(command)
            if name:
                yield name, commands, listener.heard()


def main() -> None:
    """Print the file."""
    release = os.uname().release.partition("-")[0]
    print("# Recorded on Linux %s (%s) by tests/kernel/recording.py.  Before the first scene:" % (release, os.uname().machine))
    print("#", *PREPARATION, sep="\n#   ")
    print("#\n# Each scene: its name, a colon, the commands; then the bytes of what was heard, in hexadecimal.")
    with Lab() as lab:
        for name, commands, data in scenes(lab):
            print("\n%s: %s" % (name, "; ".join(commands)))
            print(*(data[start:start + 64].hex() for start in range(0, len(data), 64)), sep="\n")


if __name__ == "__main__":
    main()
