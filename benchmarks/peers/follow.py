"""The smallest loop in Python that follows addresses with a set: follow.py FAMILY TABLE SET INTERFACE

One event, one transaction, and no more: what is left when everything that netmgr knows and checks is left out, but for the loop, the
codec and the system calls.  Says "ready" once it listens.
"""

import select
import socket
import sys

from netmgr.values.sets import IPV4_ADDR, ChangeElements, Form, SetName
from netmgr.wire.nft_write import Writer, transaction

RTM_NEWADDR, RTMGRP_IPV4_IFADDR, NETLINK_NETFILTER = 20, 0x10, 12


def main():
    index = socket.if_nametoindex(sys.argv[4])
    events = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE)
    events.bind((0, RTMGRP_IPV4_IFADDR))
    sets = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, NETLINK_NETFILTER)
    sets.bind((0, 0))
    writer = Writer()
    loop = select.epoll()
    loop.register(events.fileno(), select.EPOLLIN)
    print("ready", flush=True)
    while True:
        loop.poll()
        for message in drained(events):
            if int.from_bytes(message[20:24], sys.byteorder) == index:
                follow(writer, sets, message[4] == RTM_NEWADDR, message[28:32])


def follow(writer, sets, added, key):
    """The bytes 28 to 32 of such an event are the address."""
    change = ChangeElements(SetName(*sys.argv[1:4]), Form(IPV4_ADDR), () if added else (key,), (key,) if added else ())
    sets.sendto(transaction(1, writer.parts(1, [change], True), 3), (0, 0))
    list(drained(sets))


def drained(opened):
    while True:
        try:
            yield opened.recv(65536)
        except BlockingIOError:
            return


main()
