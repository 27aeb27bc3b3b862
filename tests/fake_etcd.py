"""etcd's JSON gateway on a unix socket, in this process and on the same loop as what is tested.

It answers as a member would, out of `pairs`, `leases` and everything that has happened.  `handlers` replaces the answer to one kind of
request: version, range, txn, grant, keepalive, revoke or watch.
"""

import json
from base64 import b64decode, b64encode
from typing import Any, Callable, Dict, List, NamedTuple

from netmgr.io.loop import Loop
from tests.fake_http import Connection, Server

STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNK = 1000


def reply(body: bytes, status: str = "200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (status.encode(), len(body), body)


def chunks(data: bytes) -> bytes:
    """As several chunks, which end anywhere."""
    pieces = (data[at:at + CHUNK] for at in range(0, len(data), CHUNK))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


def encoded(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


class Asked(NamedTuple):
    """A request: the last part of its path, and its body."""

    kind: str
    body: Any


class FakeEtcd:
    def __init__(self, loop: Loop, path: str) -> None:
        self.handlers: Dict[str, Callable[[Connection, Asked], None]] = {}
        self.requests: List[str] = []
        self.pairs: Dict[bytes, Dict[str, str]] = {}
        self.leases: List[int] = []
        self.revision = 1
        self._happened: List[Dict[str, Any]] = []
        self._watches: List[Connection] = []
        self.path, self.server = path, Server(loop, path, self._requested)

    def open(self) -> "FakeEtcd":
        self.server.open()
        return self

    def close(self) -> None:
        """The member dies; nobody listens any more."""
        self.server.remove()
        self._watches = []

    # -- what happens in the store

    def put(self, key: str, value: bytes, lease: int = 7) -> None:
        self.revision += 1
        pair = {"key": b64encode(key.encode()).decode(), "create_revision": "2", "mod_revision": str(self.revision), "version": "1",
                "value": b64encode(value).decode(), "lease": str(lease)}
        self.pairs[key.encode()] = pair
        self._happen({"kv": pair})

    def delete(self, key: str) -> None:
        self.revision += 1
        del self.pairs[key.encode()]
        self._happen({"type": "DELETE", "kv": {"key": b64encode(key.encode()).decode(), "mod_revision": str(self.revision)}})

    def tell(self, *results: Dict[str, Any]) -> None:
        """Lines of all watches."""
        for caller in self._watches:
            caller.send(chunks(b"".join(encoded({"result": {"header": self.header(), **result}}) + b"\n" for result in results)))

    def header(self) -> Dict[str, str]:
        return {"cluster_id": "14841639068965178418", "member_id": "1", "revision": str(self.revision), "raft_term": "2"}

    def _happen(self, event: Dict[str, Any]) -> None:
        self._happened.append(event)
        self.tell({"events": [event]})

    # -- what is asked

    def _requested(self, caller: Connection, target: str, body: bytes) -> None:
        asked = Asked(target.rsplit("/", 1)[1], [json.loads(line) for line in body.split(b"\n") if line])
        self.requests.append(asked.kind)
        self.handlers.get(asked.kind, self.answer)(caller, asked)

    def answer(self, caller: Connection, asked: Asked) -> None:
        """What a member in good health says."""
        if asked.kind == "watch":
            self._watch(caller, asked.body)
        else:
            caller.send(reply(self.body_of(asked)))

    def body_of(self, asked: Asked) -> bytes:
        """What it says, but for a watch."""
        if asked.kind == "version":
            return encoded({"etcdserver": "3.5.30", "etcdcluster": "3.5.0"})
        question = asked.body[0]
        if asked.kind == "grant":
            self.leases.append(100 + len(self.requests))
            return encoded({"header": self.header(), "ID": str(self.leases[-1]), "TTL": str(question["TTL"])})
        if asked.kind == "keepalive":
            ttl = {"TTL": "10"} if int(question["ID"]) in self.leases else {}
            return encoded({"result": {"header": self.header(), "ID": question["ID"], **ttl}}) + b"\n"
        if asked.kind == "txn":
            return self._commit(question)
        return self._range(question) if asked.kind == "range" else encoded({"header": self.header()})

    def _range(self, question: Dict[str, Any]) -> bytes:
        first, end = b64decode(question["key"]), b64decode(question.get("range_end", ""))
        found = [pair for key, pair in sorted(self.pairs.items()) if key == first or first <= key < end]
        some = found[:question["limit"]]
        more = {"more": True} if len(found) > len(some) else {}
        return encoded({"header": self.header(), **({"kvs": some} if some else {}), **more, "count": str(len(found))})

    def _commit(self, question: Dict[str, Any]) -> bytes:
        for operation in question["success"]:
            put = operation["request_put"]
            self.put(b64decode(put["key"]).decode(), b64decode(put["value"]), int(put["lease"]))
        return encoded({"header": self.header(), "succeeded": True, "responses": []})

    def _watch(self, caller: Connection, bodies: List[Any]) -> None:
        caller.send(STREAM_HEAD)
        self._watches.append(caller)
        for body in bodies:
            start = int(body["create_request"]["start_revision"])
            missed = [event for event in self._happened if int(event["kv"]["mod_revision"]) >= start]
            lines: List[Dict[str, Any]] = [{"created": True}, *([{"events": missed}] if missed else [])]
            caller.send(chunks(b"".join(encoded({"result": {"header": self.header(), **line}}) + b"\n" for line in lines)))
