"""A writer of addresses at full speed, as a process: python -m tests.kernel.churn SECONDS SEED INTERFACE…

Each send carries hundreds of requests, which the kernel works off before the send returns; no reader of its events keeps up for long.
"""

import random
import socket
import struct
import sys
import time
from typing import List

from netmgr.wire.netlink import NLM_F_CREATE, attribute, request
from netmgr.wire.rtnetlink import IFA_ADDRESS, IFA_LOCAL, RTM_DELADDR, RTM_NEWADDR

REQUESTS, BATCHES = 400, 40


def change(kind: int, ifindex: int, address: bytes) -> bytes:
    """Add or delete ADDRESS/32."""
    body = struct.pack("=BBBBI", socket.AF_INET, 32, 0, 0, ifindex) + attribute(IFA_LOCAL, address) + attribute(IFA_ADDRESS, address)
    return request(kind, NLM_F_CREATE if kind == RTM_NEWADDR else 0, 1, body)


def churn(seconds: float, chance: random.Random, names: List[str]) -> None:
    """Add and delete until the time is over; an interface that is not there just now makes errors, which nobody reads."""
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    until = time.monotonic() + seconds
    indexes: List[int] = []
    batches: List[bytes] = []
    while time.monotonic() < until:
        before, indexes = indexes, [index for index, name in socket.if_nameindex() if name in names]
        if indexes != before:
            batches = []
        if indexes and len(batches) < BATCHES:
            batches.append(batch(chance, indexes))
        kernel.send(chance.choice(batches) if batches else request(RTM_DELADDR, 0, 1, bytes(8)))


def batch(chance: random.Random, indexes: List[int]) -> bytes:
    """Many changes of few addresses."""
    return b"".join(change(chance.choice((RTM_NEWADDR, RTM_DELADDR)), chance.choice(indexes),
                           bytes((10, 9, chance.randrange(2), chance.randrange(1, 50)))) for _ in range(REQUESTS))


if __name__ == "__main__":
    churn(float(sys.argv[1]), random.Random(int(sys.argv[2])), sys.argv[3:])
