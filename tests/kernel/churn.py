"""A writer of addresses at full speed, as a process: python -m tests.kernel.churn SECONDS SEED INTERFACE…

Each send carries hundreds of requests, which the kernel works off before the send returns; no reader of its events keeps up for long.
"""

import random
import socket
import struct
import sys
import time
from typing import List

from netmgr.netlink import NLM_F_CREATE, attribute, request
from netmgr.rtnetlink import IFA_ADDRESS, IFA_LOCAL, RTM_DELADDR, RTM_NEWADDR

REQUESTS = 400


def change(kind: int, ifindex: int, address: bytes) -> bytes:
    """Add or delete ADDRESS/32."""
    body = struct.pack("=BBBBI", socket.AF_INET, 32, 0, 0, ifindex) + attribute(IFA_LOCAL, address) + attribute(IFA_ADDRESS, address)
    return request(kind, NLM_F_CREATE if kind == RTM_NEWADDR else 0, 1, body)


def churn(seconds: float, chance: random.Random, names: List[str]) -> None:
    """Add and delete until the time is over; an interface that is not there just now makes errors, which nobody reads."""
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        indexes = {name: index for index, name in socket.if_nameindex() if name in names}
        requests = []
        for _ in range(REQUESTS):
            address = bytes((10, 9, chance.randrange(2), chance.randrange(1, 50)))
            if indexes:
                requests.append(change(chance.choice((RTM_NEWADDR, RTM_DELADDR)), chance.choice(list(indexes.values())), address))
        kernel.send(b"".join(requests) or request(RTM_DELADDR, 0, 1, bytes(8)))


if __name__ == "__main__":
    churn(float(sys.argv[1]), random.Random(int(sys.argv[2])), sys.argv[3:])
