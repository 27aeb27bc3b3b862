"""etcd's JSON gateway on a unix socket, in this process and on the same loop as what is tested.

It answers as a member would, out of `pairs`, `leases` and everything that has happened.  `handlers` replaces the answer to one kind of
request: version, range, txn, grant, keepalive, revoke or watch.  `piece`: so many bytes are sent in a turn of the loop, None is all.
"""

import json
import os
import socket
from base64 import b64decode, b64encode
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from netmgr.io.loop import READ, WRITE, Loop

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


class Caller:
    """One connection to the member."""

    def __init__(self, etcd: "FakeEtcd", loop: Loop, connection: socket.socket) -> None:
        self._etcd, self._loop, self._connection = etcd, loop, connection
        self._received, self._waiting = b"", bytearray()
        self.open = True
        connection.setblocking(False)
        loop.watch(connection.fileno(), self._ready)

    def send(self, data: bytes) -> None:
        """Send, whenever the peer reads."""
        if self.open:
            self._waiting += data
            self._loop.watch(self._connection.fileno(), self._ready, READ | WRITE)

    def close(self) -> None:
        if self.open:
            self.open = False
            self._loop.unwatch(self._connection.fileno())
            self._connection.close()

    def _ready(self, events: int) -> None:
        if events & READ:
            self._receive()
        if self.open and events & WRITE:
            self._flush()

    def _receive(self) -> None:
        try:
            data = self._connection.recv(65536)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            self.close()
            return
        self._received += data
        while self.open and b"\r\n\r\n" in self._received:
            head, _, rest = self._received.partition(b"\r\n\r\n")
            length = next((int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")), 0)
            if len(rest) < length:
                return
            self._received = rest[length:]
            bodies = [json.loads(line) for line in rest[:length].split(b"\n") if line]
            self._etcd.asked(self, Asked(head.split(b" ")[1].decode().rsplit("/", 1)[1], bodies))

    def _flush(self) -> None:
        piece = self._waiting[:self._etcd.piece]
        try:
            del self._waiting[:self._connection.send(piece)]
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self.close()
            return
        if not self._waiting:
            self._loop.watch(self._connection.fileno(), self._ready, READ)


class FakeEtcd:
    def __init__(self, loop: Loop, path: str) -> None:
        self.path = path
        self.piece: Optional[int] = None
        self.handlers: Dict[str, Callable[[Caller, Asked], None]] = {}
        self.requests: List[str] = []
        self.pairs: Dict[bytes, Dict[str, str]] = {}
        self.leases: List[int] = []
        self.revision = 1
        self._happened: List[Dict[str, Any]] = []
        self._watches: List[Caller] = []
        self._callers: List[Caller] = []
        self._loop = loop
        self._listener: Optional[socket.socket] = None

    def open(self) -> "FakeEtcd":
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        listener.bind(self.path)
        listener.listen(16)
        self._listener = listener
        self._loop.watch(listener.fileno(), lambda _events: self._accept(listener))
        return self

    def close(self) -> None:
        """The member dies; nobody listens any more."""
        if self._listener is not None:
            self._loop.unwatch(self._listener.fileno())
            self._listener.close()
            self._listener = None
            os.unlink(self.path)
        for caller in self._callers:
            caller.close()
        self._callers, self._watches = [], []

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

    def asked(self, caller: Caller, asked: Asked) -> None:
        self.requests.append(asked.kind)
        self.handlers.get(asked.kind, self.answer)(caller, asked)

    def answer(self, caller: Caller, asked: Asked) -> None:
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

    def _watch(self, caller: Caller, bodies: List[Any]) -> None:
        caller.send(STREAM_HEAD)
        self._watches.append(caller)
        for body in bodies:
            start = int(body["create_request"]["start_revision"])
            missed = [event for event in self._happened if int(event["kv"]["mod_revision"]) >= start]
            lines: List[Dict[str, Any]] = [{"created": True}, *([{"events": missed}] if missed else [])]
            caller.send(chunks(b"".join(encoded({"result": {"header": self.header(), **line}}) + b"\n" for line in lines)))

    def _accept(self, listener: socket.socket) -> None:
        connection, _address = listener.accept()
        self._callers = [caller for caller in self._callers if caller.open]
        self._watches = [caller for caller in self._watches if caller.open]
        self._callers.append(Caller(self, self._loop, connection))
