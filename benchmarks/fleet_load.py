"""Many hosts of a fleet, as etcd sees them: leases, records, keepalives, all through one connection to one member."""

import socket
from typing import Dict, List, Mapping, Sequence, Tuple

from netmgr.model.fleet import Record, encode, key_of
from netmgr.values import addresses
from netmgr.wire import etcd, http1
from tests.kernel.lab import Lab

PREFIX, ZONE = "/netmgr/1/", "wan"
AT_ONCE = 100           # records in one transaction


class Load:
    """Speaks for hosts that are not there."""

    def __init__(self, lab: Lab, member: str, port: int = 2379) -> None:
        self._host = "%s:%d" % (member, port)
        with lab.inside():
            self._connection = socket.create_connection((member, port))
        self._connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self) -> None:
        """Their leases go on until they end."""
        self._connection.close()

    def grant(self, seconds: int) -> int:
        """A lease."""
        return etcd.granted(self._ask(etcd.grant_request(self._host, seconds)))[0]

    def keep_alive(self, lease: int) -> None:
        """Renew it."""
        assert etcd.kept_alive(self._ask(etcd.keepalive_request(self._host, lease)))

    def revoke(self, lease: int) -> None:
        """End it, and its records with it."""
        self._ask(etcd.revoke_request(self._host, lease))

    def publish(self, records: Mapping[str, Sequence[str]], lease: int) -> None:
        """These hosts have these addresses, in as few transactions as may be."""
        pairs = [_pair(host, texts) for host, texts in records.items()]
        for at in range(0, len(pairs), AT_ONCE):
            body = self._ask(etcd.put_request(self._host, (), pairs[at:at + AT_ONCE], lease))
            assert etcd.committed(body).succeeded

    def begin(self, records: Mapping[str, Sequence[str]], lease: int) -> None:
        """Publish these, but do not wait for the answer, which end() takes."""
        pairs = [_pair(host, texts) for host, texts in records.items()]
        self._connection.sendall(etcd.put_request(self._host, (), pairs, lease))

    def end(self) -> None:
        """The answer to begin()."""
        assert etcd.committed(self._answer()).succeeded

    def _ask(self, request: bytes) -> bytes:
        self._connection.sendall(request)
        return self._answer()

    def _answer(self) -> bytes:
        reply, body, status = http1.Reply(etcd.ANSWER_LIMIT), b"", 0
        while True:
            for event in reply.feed(self._connection.recv(1 << 16)):
                if isinstance(event, http1.Head):
                    status = event.status
                elif isinstance(event, http1.Body):
                    body += event.data
                else:
                    assert status == 200, body
                    return body


def crowd(count: int) -> Dict[str, List[str]]:
    """So many hosts, with an address each."""
    return {"host-%05d" % number: ["10.%d.%d.%d" % (number >> 16, number >> 8 & 255, number & 255)] for number in range(count)}


def _pair(host: str, texts: Sequence[str]) -> Tuple[bytes, bytes]:
    record = Record(ZONE, host, "00000000-0000-4000-8000-000000000000/4026531840", 1, tuple(addresses.parse(each)[0] for each in texts))
    return key_of(PREFIX, ZONE, host), encode(record)
