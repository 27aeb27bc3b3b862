"""A netfilter socket for asking the kernel about sets, with nothing of netmgr's but the netlink framing.

Everything is about the table `inet t`, and ranges are of addresses in 10.0.0.0/8, told by their distance from 10.0.0.0.
"""

import socket
import struct
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from netmgr.wire.netlink import (
    NETLINK_CAP_ACK,
    NETLINK_EXT_ACK,
    NLM_F_ACK,
    NLM_F_DUMP,
    NLMSG_DONE,
    NLMSG_ERROR,
    SOL_NETLINK,
    Ack,
    Message,
    attribute,
    attributes,
    error,
    messages,
    request,
)

NFNL_SUBSYS_NFTABLES = 10
NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END = 16, 17
NFT_MSG_NEWSET, NFT_MSG_GETSET = 9, 10
NFT_MSG_NEWSETELEM, NFT_MSG_GETSETELEM, NFT_MSG_DELSETELEM, NFT_MSG_GETGEN, NFT_MSG_DESTROYSETELEM = 12, 13, 14, 16, 30
NFNLGRP_NFTABLES = 7
NFPROTO_INET = 1
NFTA_SET_COUNT = 20
KEY, FLAGS, TIMEOUT, EXPIRATION = 1, 3, 4, 5        # NFTA_SET_ELEM_*
INTERVAL_END = 1


class Step(NamedTuple):
    """One message of a batch."""

    message: int
    set: str
    elements: Sequence[bytes]
    flags: int = 0


def element(key: bytes, flags: int = 0, timeout: Optional[int] = None) -> bytes:
    text = attribute(KEY, attribute(1, key))
    if flags:
        text += attribute(FLAGS, struct.pack(">I", flags))
    if timeout is not None:
        text += attribute(TIMEOUT, struct.pack(">Q", timeout))
    return attribute(1, text)


def whole_range(first: int, end: int) -> List[bytes]:
    """10.0.0.first up to, not including, 10.0.0.0 + end."""
    return [element(address(first)), element(address(end), INTERVAL_END)]


def address(last: int) -> bytes:
    return struct.pack(">I", 0x0A000000 + last)


class Kernel:
    """A netfilter socket; batches and questions about the sets of `inet t`."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 12)
        self.socket.bind((0, 0))
        self.socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self.socket.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)

    def exchange(self, data: bytes) -> List[Message]:
        """Send, and everything that is queued when the send has returned."""
        self.socket.send(data)
        found: List[Message] = []
        while True:
            try:
                found.extend(messages(self.socket.recv(1 << 17)))
            except BlockingIOError:
                return found

    def answers(self, *steps: Step) -> Dict[int, Ack]:
        """Commit; the answers by position: 0 for BEGIN, 1 for the first step, -1 for END."""
        payload = struct.pack(">BBH", 0, 0, NFNL_SUBSYS_NFTABLES)
        batch = [request(NFNL_MSG_BATCH_BEGIN, 0, 0, payload)]
        batch.extend(request_about(step, number) for number, step in enumerate(steps, 1))
        batch.append(request(NFNL_MSG_BATCH_END, NLM_F_ACK, len(steps) + 1, payload))
        errors = {message.seq: error(message) for message in self.exchange(b"".join(batch)) if message.type == NLMSG_ERROR}
        return {-1 if seq == len(steps) + 1 else seq: ack for seq, ack in errors.items()}

    def commit(self, *steps: Step) -> Dict[int, int]:
        """Commit; the errors by position."""
        return {position: ack.errno for position, ack in self.answers(*steps).items() if ack.errno}

    def dump(self, name: str) -> Dict[bytes, Dict[int, memoryview]]:
        """The elements of a set without those that end a range: key and attributes."""
        return {key: found for key, found in self.elements(name) if FLAGS not in found}

    def ranges(self, name: str) -> Set[Tuple[int, int]]:
        """The elements of a set of ranges: first and end, as counted from 10.0.0.0."""
        found = sorted((struct.unpack(">I", key)[0] - 0x0A000000, FLAGS not in seen) for key, seen in self.elements(name))
        return {(first, after) for (first, starts), (after, _) in zip(found, found[1:]) if starts}

    def set_attributes(self, name: str) -> Dict[int, memoryview]:
        return attributes(self.exchange(request_about(Step(NFT_MSG_GETSET, name, ())))[0].payload[4:])

    def generation(self) -> int:
        return generation(self.exchange(request_about(Step(NFT_MSG_GETGEN, "", ())))[0])

    def elements(self, name: str) -> Iterator[Tuple[bytes, Dict[int, memoryview]]]:
        listed = self.exchange(request_about(Step(NFT_MSG_GETSETELEM, name, (), NLM_F_DUMP)))
        assert listed[-1].type == NLMSG_DONE
        for message in listed[:-1]:
            view = attributes(message.payload[4:]).get(3, memoryview(b""))
            while view:
                length = struct.unpack_from("=H", view)[0]
                found = attributes(view[4:length])
                yield bytes(attributes(found[KEY])[1]), found
                view = view[(length + 3) & ~3 :]


def request_about(step: Step, seq: int = 1) -> bytes:
    payload = struct.pack(">BBH", NFPROTO_INET, 0, 0)
    if step.set:
        payload += attribute(1, b"t\0") + attribute(2, step.set.encode() + b"\0")
    if step.elements:
        payload += attribute(3 | 0x8000, b"".join(step.elements))
    return request(NFNL_SUBSYS_NFTABLES << 8 | step.message, step.flags, seq, payload)


def generation(message: Message) -> int:
    return int.from_bytes(attributes(message.payload[4:])[1], "big")


def add(name: str, *elements: bytes, flags: int = 0) -> Step:
    return Step(NFT_MSG_NEWSETELEM, name, elements, flags)


def delete(name: str, *elements: bytes) -> Step:
    return Step(NFT_MSG_DELSETELEM, name, elements)
