"""A way to a member of etcd on which bytes come one at a time."""

import selectors
import socket
import threading
from typing import Dict

from tests.fleet.cluster import CLIENTS, Etcd
from tests.waiting import PATIENCE

PORT = 3379
AT_ONCE = 1


class Trickle:
    """Listens beside a member; `endpoint` leads to it, and what it answers comes in single bytes, each in a segment of its own."""

    def __init__(self, member: Etcd) -> None:
        self._member = member
        self.endpoint = member.endpoint.replace(":%d" % CLIENTS, ":%d" % PORT)
        self.bytes = 0
        self._over = threading.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._listening.wait(PATIENCE)

    def close(self) -> None:
        """Nobody is let through any more."""
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with self._member.lab.inside(), selectors.DefaultSelector() as selector:
            listener = socket.create_server((self._member.address, PORT))
            selector.register(listener, selectors.EVENT_READ)
            self._listening.set()
            others: Dict[socket.socket, socket.socket] = {}
            while not self._over.is_set():
                for key, _events in selector.select(0.1):
                    if key.fileobj is listener:
                        caller, _address = listener.accept()
                        member = socket.create_connection((self._member.address, CLIENTS))
                        caller.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        others.update({caller: member, member: caller})
                        selector.register(caller, selectors.EVENT_READ, 65536)
                        selector.register(member, selectors.EVENT_READ, AT_ONCE)
                    else:
                        assert isinstance(key.fileobj, socket.socket)
                        self._pass_on(selector, others, key.fileobj, key.data)
            for each in (listener, *others):
                each.close()

    def _pass_on(self, selector: selectors.BaseSelector, others: Dict[socket.socket, socket.socket], source: socket.socket,
                 size: int) -> None:
        target = others.get(source)
        if target is None:
            return
        try:
            data = source.recv(size)
            target.sendall(data)
        except OSError:
            data = b""
        self.bytes += len(data)
        if not data:
            for each in (source, target):
                selector.unregister(each)
                del others[each]
                each.close()
