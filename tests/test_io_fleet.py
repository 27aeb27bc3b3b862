"""The fleet's source against an etcd that misbehaves on demand, and for as long as the test's own clock says."""

import json
import random
from base64 import b64decode
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

import pytest

from netmgr.config.fleet import Consumed, Endpoint, Fleet, Published
from netmgr.io.fleet_source import FleetSource
from netmgr.io.loop import Loop
from netmgr.model.following import Following
from netmgr.model.publication import Publication
from netmgr.values import addresses
from netmgr.values.events import HostSeen
from tests.fake_etcd import Asked, FakeEtcd, chunks, encoded, reply
from tests.fake_http import Connection
from tests.waiting import eventually

TTL = 10
PREFIX, PEERS = "/netmgr/1/", "/netmgr/1/wan/"
RULE = Consumed("peer_wan", "wan", accept=None)
STEP, TURNS = 0.5, 8            # of the test's clock, and how often the loop turns in one


def value(host: str, *texts: str, **more: Any) -> bytes:
    return json.dumps({"v": 1, "zone": "wan", "host": host, "boot": "b", "seq": 1, "addresses": texts, **more}).encode()


class TimedLoop(Loop):
    """A loop whose time is the test's own."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 1000.0
        self.now = lambda: self.time


class World:
    """A loop, two members of etcd of which the first is open, and a source; `held` is what others publish, as it was told."""

    def __init__(self, directory: Path, **more: Any) -> None:
        self.loop = TimedLoop()
        self.etcd, self.other = (FakeEtcd(self.loop, str(directory / name)) for name in ("one", "two"))
        self.held: Dict[str, Tuple[str, ...]] = {}
        self.log: List[str] = []
        self.settings = Fleet((Endpoint("unix", self.etcd.path, 0), Endpoint("unix", self.other.path, 0)), "me", ttl=TTL,
                              publish=(Published("wan"),), consume=(RULE,))._replace(**more)
        self.following = Following(PREFIX, [RULE], "me", 0.0, self.log.append)
        self.publication = Publication(PREFIX, "me", "boot", ["wan"], TTL)
        self.source = FleetSource(self.loop, self.settings, PEERS.encode(), self.following, self.publication, self._changed,
                                  lambda _level, line: self.log.append(line))
        self.publication.want("wan", (bytes((203, 0, 113, 99)),), self.loop.now())
        self.etcd.put(PEERS + "a", value("a", "203.0.113.1"))

    def _changed(self) -> None:
        while self.following.untold:
            for each in self.following.changes():
                self.held.pop(each.host, None)
                if isinstance(each, HostSeen):
                    self.held[each.host] = tuple(map(addresses.text, each.addresses))

    def start(self) -> None:
        """Begin, and wait until all is well."""
        self.etcd.open()
        self.source.start()
        self.until(self.well)

    def well(self) -> bool:
        return self.source.state == "ok" and self.held.get("a") == ("203.0.113.1",) and PEERS.encode() + b"me" in self.etcd.pairs

    def until(self, predicate: Callable[[], Any]) -> None:
        """Time passes until it is so."""
        def passed() -> bool:
            self.wait(STEP)
            return bool(predicate())

        eventually(passed, "state %s, error %s, held %s" % (self.source.state, self.source.error, self.held))

    def wait(self, seconds: float) -> None:
        """So much time passes on the test's clock."""
        for _ in range(round(seconds / STEP)):
            self.loop.time += STEP
            for _ in range(TURNS):
                self.loop.turn(0)

    def close(self) -> None:
        self.source.stop()
        self.etcd.close()
        self.other.close()
        assert not self.loop.deadlines()
        self.loop.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("piece", [None, 100, 7])
def test_however_the_bytes_are_cut(world: World, piece: Optional[int]) -> None:
    world.start()
    world.etcd.server.piece = piece
    world.etcd.put(PEERS + "b", value("b", "203.0.113.2"))
    for _ in range(3):
        world.loop.turn(0)
    world.etcd.delete(PEERS + "b")
    world.etcd.put(PEERS + "c", value("c", "203.0.113.3", "2001:db8::3"))

    def seen() -> bool:
        for _ in range(200):
            world.loop.turn(0)
        return world.held == {"a": ("203.0.113.1",), "c": ("203.0.113.3", "2001:db8::3")}

    eventually(seen)
    assert world.source.error is None


def test_byte_by_byte_from_the_beginning(world: World) -> None:
    world.etcd.server.piece = 1
    world.etcd.open()
    world.source.start()

    def well() -> bool:
        world.loop.time += 0.1
        for _ in range(1000):
            world.loop.turn(0)
        return world.well()

    eventually(well)
    assert world.source.error is None and set(world.etcd.requests) == {"version", "range", "grant", "txn", "watch"}


def test_bytes_behind_an_answer_end_the_connection(world: World) -> None:
    world.etcd.handlers["version"] = lambda caller, asked: caller.send(reply(world.etcd.body_of(asked)) + b"HTTP/1.1 200 OK\r\n")
    world.etcd.open()
    world.source.start()
    world.until(lambda: any("bytes behind an answer" in line for line in world.log))
    assert world.source.state == "error" and world.held == {}
    world.etcd.handlers.clear()
    world.until(world.well)


@pytest.mark.parametrize("kind", ["version", "range", "txn", "grant", "keepalive", "watch"])
def test_garbage_is_survived(world: World, kind: str) -> None:
    randoms = random.Random(kind)

    def damaged(caller: Connection, asked: Asked) -> None:
        body = world.etcd.body_of(asked) if kind != "watch" else encoded({"result": {"header": world.etcd.header(), "created": True}})
        garbage = bytearray(body)
        for _ in range(randoms.randint(1, 5)):
            garbage[randoms.randrange(len(garbage))] = randoms.randrange(256)
        data = reply(bytes(garbage)) if randoms.random() < 0.5 else reply(body, "500 no")
        caller.send(data if randoms.random() < 0.7 else bytes(garbage))

    world.start()
    world.etcd.handlers[kind] = damaged
    for number in range(20):
        world.publication.want("wan", (bytes((203, 0, 113, 100 + number)),), world.loop.now())
        world.source.publish()
        world.source.refresh()
        world.wait(TTL / 2)
        assert world.held["a"] == ("203.0.113.1",)
    world.etcd.handlers.clear()
    world.etcd.put(PEERS + "b", value("b", "203.0.113.2"))
    world.until(lambda: world.well() and world.held.get("b") == ("203.0.113.2",) and world.source.error is None)
    world.until(lambda: json.loads(_value(world, "me"))["addresses"] == ["203.0.113.119"])


def _value(world: World, host: str) -> bytes:
    return b64decode(world.etcd.pairs[PEERS.encode() + host.encode()]["value"])


def test_silence_leads_to_the_next_member(world: World) -> None:
    world.start()
    world.etcd.handlers["range"] = world.etcd.handlers["keepalive"] = lambda _caller, _asked: None
    world.other.pairs, world.other.revision = dict(world.etcd.pairs), world.etcd.revision
    world.other.leases = list(world.etcd.leases)
    world.other.open()
    world.until(lambda: world.source.endpoint.endswith("two") and world.source.state == "ok")
    world.other.put(PEERS + "b", value("b", "203.0.113.2"))
    world.until(lambda: "b" in world.held)
    assert world.held["a"] == ("203.0.113.1",)


def test_a_compacted_watch_whose_stream_is_left_open(world: World) -> None:
    world.start()
    world.etcd.handlers["watch"] = lambda caller, asked: None
    world.etcd.tell({"canceled": True, "compact_revision": "17"})
    lists = world.etcd.requests.count("range")
    world.etcd.put(PEERS + "b", value("b", "203.0.113.2"))
    del world.etcd.handlers["watch"]
    world.until(lambda: world.held == {"a": ("203.0.113.1",), "b": ("203.0.113.2",)})
    assert world.etcd.requests.count("range") > lists and any("compacted" in line for line in world.log)


def test_a_watch_that_is_not_permitted_is_told_and_tried_again(world: World) -> None:
    world.start()
    world.etcd.tell({"created": True, "canceled": True, "cancel_reason": "rpc error: code = PermissionDenied desc = permission denied"})
    world.until(lambda: world.source.error == "not permitted to read the zones that are consumed")
    assert world.source.state == "error" and world.held == {"a": ("203.0.113.1",)}
    world.until(lambda: world.source.error is None and world.source.state == "ok")
    world.etcd.put(PEERS + "b", value("b", "203.0.113.2"))
    world.until(lambda: "b" in world.held)


def test_a_lease_that_is_gone_is_replaced_and_all_is_written_again(world: World) -> None:
    world.start()
    lease = world.etcd.leases.pop()
    world.etcd.delete(PEERS + "me")
    world.until(lambda: world.etcd.pairs.get(PEERS.encode() + b"me", {}).get("lease") not in (None, str(lease)))
    assert any("the lease is gone" in line for line in world.log)


@pytest.mark.parametrize("body", [
    b'{"error":"etcdserver: no leader","code":14,"message":"etcdserver: no leader"}', b'{"code":14,"message":"etcdserver: no leader"}'])
def test_both_shapes_of_errors(world: World, body: bytes) -> None:
    world.start()
    world.etcd.handlers["range"] = lambda caller, _asked: caller.send(reply(body, "503 Service Unavailable"))
    world.until(lambda: world.source.state == "stale")
    assert any("etcdserver: no leader" in line for line in world.log) and world.held == {"a": ("203.0.113.1",)}
    world.etcd.handlers.clear()
    world.until(world.well)


def test_an_error_with_a_trailer(world: World) -> None:
    body = b'{"code":14,"message":"etcdserver: no leader"}'
    head = b"HTTP/1.1 503 Service Unavailable\r\nTransfer-Encoding: chunked\r\nTrailer: Grpc-Trailer-Content-Type\r\n\r\n"
    world.start()
    world.etcd.handlers["range"] = lambda caller, _asked: caller.send(
        head + chunks(body) + b"0\r\nGrpc-Trailer-Content-Type: application/grpc\r\n\r\n")
    world.until(lambda: any("no leader" in line for line in world.log))
    world.etcd.handlers.clear()
    world.until(world.well)


def test_an_hour_without_etcd(world: World) -> None:
    world.start()
    world.etcd.close()
    world.wait(3600)
    assert world.source.state == "stale" and world.held == {"a": ("203.0.113.1",)}
    assert (world.source.last_heard or 0) >= 3600 and not world.source.pending
    world.etcd.leases.clear()
    world.etcd.open()
    world.until(world.well)
    assert world.source.error is None


def test_with_stale_others_addresses_go_after_that_time(tmp_path: Path) -> None:
    world = World(tmp_path, stale=600.0)
    world.start()
    world.etcd.close()
    world.wait(590)
    assert world.held == {"a": ("203.0.113.1",)} and not world.source.given_up
    world.wait(20)
    assert world.held == {} and world.source.state == "stale" and world.source.given_up, "which nobody calls gone"
    world.etcd.open()
    world.until(world.well)
    assert not world.source.given_up
    world.close()


def test_with_stale_a_beginning_without_etcd_is_over_after_that_time(tmp_path: Path) -> None:
    world = World(tmp_path, stale=60.0)
    world.source.start()
    world.wait(50)
    assert world.source.pending
    world.wait(20)
    assert not world.source.pending and world.source.state == "error"
    world.close()


HOSTILE = {
    "everything": (value("b", "0.0.0.0/0"), "not an address"),
    "10,000 addresses": (value("b", *("203.0.113.%d" % (number & 255) for number in range(10_000))), "at most"),
    "a megabyte": (value("b", "203.0.113.66", more="x" * (1 << 20)), "at most"),
    "another host": (value("c", "203.0.113.66"), "another zone or host"),
    "another version": (value("b", "203.0.113.66", v=2), "version 2"),
    "no JSON": (b"\xff\x00", "no JSON"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_record_is_refused_and_named_and_the_last_good_one_stays(world: World, name: str) -> None:
    record, complaint = HOSTILE[name]
    world.start()
    world.etcd.put(PEERS + "b", value("b", "203.0.113.2"))
    world.until(lambda: world.held.get("b") == ("203.0.113.2",))
    world.etcd.put(PEERS + "b", record)
    world.etcd.put(PEERS + "d", value("d", "203.0.113.4"))
    world.until(lambda: "d" in world.held)
    assert world.held == {"a": ("203.0.113.1",), "b": ("203.0.113.2",), "d": ("203.0.113.4",)}
    assert complaint in world.following.tables[0].refused["b"] and world.source.error is None
    assert any("the record of b in zone wan is refused" in line for line in world.log)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_record_spoils_no_list(world: World, name: str) -> None:
    record, complaint = HOSTILE[name]
    for number in range(150):
        world.etcd.put(PEERS + "host-%03d" % number, value("host-%03d" % number, "203.0.113.7"))
    world.etcd.put(PEERS + "b", record)
    world.start()
    world.until(lambda: len(world.held) == 151)
    assert "b" not in world.held and complaint in world.following.tables[0].refused["b"]
