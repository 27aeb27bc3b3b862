"""The source of containers against an engine that misbehaves on demand."""

import os
import random
import re
import socket
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Sequence, Tuple

import pytest

from netmgr.config.schema import Docker
from netmgr.io.clock import utc
from netmgr.io.docker_source import DockerSource, Timing
from netmgr.io.loop import Loop
from netmgr.values import addresses
from netmgr.values.events import ContainerSeen
from tests import engine_bodies as bodies
from tests import other_users
from tests.engine_bodies import APIS, container, event, identifier
from tests.fake_engine import FakeEngine
from tests.fake_http import Connection
from tests.waiting import eventually

FAST = Timing(patience=5, list_patience=5, headless=0.01, pause=0.001, confirm=0.02, between=0.02, first_retry=0.002, longest_retry=0.03,
              steady=60)
FOREVER = 3600.0
FRONT = {"front": ("172.18.0.2/16",)}


class World:
    """A loop, an engine, a source, and what the source has said."""

    def __init__(self, directory: Path) -> None:
        self.loop = Loop()
        self.path = str(directory / "engine.sock")
        self.engine = FakeEngine(self.loop, self.path)
        self.reports: List[Sequence[ContainerSeen]] = []        # all that are known, after each piece of news
        self.log: List[Tuple[str, str]] = []
        self.source = self._new(FAST, {})

    def make(self, timing: Timing = FAST, audit_interval: float = 0, **settings: Any) -> DockerSource:
        """Another source instead of the present one."""
        self.source.stop()
        self.source = self._new(timing, settings, audit_interval)
        return self.source

    def _new(self, timing: Timing, settings: Dict[str, Any], audit_interval: float = 0) -> DockerSource:
        known: Dict[str, ContainerSeen] = {}

        def changed(seen: Sequence[ContainerSeen], gone: Sequence[str]) -> None:
            known.update((each.id, each) for each in seen)
            for each in gone:
                del known[each]
            self.reports.append(sorted(known.values(), key=lambda each: int(each.id, 16)))

        return DockerSource(self.loop, Docker(socket=self.path)._replace(**settings), audit_interval, (), changed,
                            lambda level, line: self.log.append((level, line)), timing)

    def until(self, predicate: Callable[[], Any]) -> None:
        def turned() -> bool:
            for _ in range(50):
                self.loop.turn(0.01)
                if predicate():
                    return True
            return False

        eventually(turned)

    def running(self) -> List[str]:
        """The names in the last report."""
        return [seen.name for seen in self.reports[-1]] if self.reports else []

    def settle(self, *names: str) -> None:
        """Wait until these run, and nothing is left to do."""
        self.until(lambda: self.source.state == "ok" and self.running() == list(names) and self.idle())
        assert self.source.warning is None

    def idle(self) -> bool:
        """Only the engine can wake us."""
        return not self.source.deadlines and not self.source.exchanges and not self.loop.deadlines()

    def close(self) -> None:
        self.source.stop()
        self.engine.close()
        assert not self.loop.deadlines()
        self.loop.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


# -- following an engine


@pytest.mark.parametrize("api", APIS)
def test_lists_at_the_start(world: World, api: str) -> None:
    world.engine.api = api
    world.engine.containers = [
        container(1, {"front": ("172.18.0.2/16", "fd00::2/64"), "back": ("10.0.0.2/8",)}, api, "one", {"netmgr.zone": "web"}),
        container(2, {"host": ()}, api, "two")]
    world.engine.open()
    source = world.make()
    assert (source.state, source.pending) == ("disabled", False)
    source.start()
    assert (source.state, source.pending, world.reports) == ("connecting", True, [])
    world.settle("one", "two")
    assert (source.state, source.error, source.pending) == ("ok", None, False)
    one, two = world.reports[-1]
    assert [(each.network, addresses.text(each.address), each.prefixlen) for each in one.endpoints] == [
        ("back", "10.0.0.2", 8), ("front", "172.18.0.2", 16), ("front", "fd00::2", 64)]
    assert one.labels == (("netmgr.zone", "web"),) and two.endpoints == ()
    assert [target.partition("?")[0] for target in world.engine.asked[:3]] == [
        "/version", "/v%s/events" % api, "/v%s/containers/json" % api]
    assert world.log == [("info", "docker: connected to Docker 20.10.24, API %s" % api)]


@pytest.mark.parametrize("api", APIS)
def test_events_lead_to_lists(world: World, api: str) -> None:
    world.engine.api = api
    world.engine.open()
    world.source.start()
    world.settle()
    for number in (1, 2):
        world.engine.containers.append(container(number, FRONT, api))
        world.engine.emit(event(number, "start", api))
        world.settle(*("c%d" % each for each in range(1, number + 1)))
    world.engine.containers[0] = container(1, FRONT, api, "renamed", state="paused")
    world.engine.emit(event(1, "rename", api))
    world.settle("renamed", "c2")
    del world.engine.containers[0]
    world.engine.emit(event(1, "die", api))
    world.settle("c2")
    world.engine.containers[0] = container(2, {}, api)
    world.engine.emit(event(2, "disconnect", api, "network"))
    world.until(lambda: world.reports[-1][0].endpoints == ())


def test_events_that_do_not_matter(world: World) -> None:
    world.engine.open()
    world.source.start()
    world.settle()
    lists = world.engine.count("list")
    world.engine.emit(event(1, "exec_start: /bin/sh") + event(1, "pull", kind="image"))
    world.engine.emit(event(1, "start"))
    world.until(lambda: world.engine.count("list") > lists)
    world.settle()
    assert (world.engine.count("list"), world.engine.count("some")) == (lists + 1, 1)


def test_a_container_between_subscription_and_list(world: World) -> None:
    """The list is taken, a container starts, the list arrives."""
    def list_once(client: Connection) -> None:
        del world.engine.handlers["list"]
        stale = bodies.listing(world.engine.containers)
        world.engine.containers.append(container(1, name="late"))
        world.engine.emit(event(1, "start"))
        client.send(bodies.reply(stale), end=True)

    world.engine.handlers["list"] = list_once
    world.engine.open()
    world.source.start()
    world.settle("late")
    assert [len(report) for report in world.reports] == [1]


def test_a_container_whose_event_the_engine_never_told(world: World) -> None:
    """The engine says that we are subscribed before we are."""
    def list_once(client: Connection) -> None:
        del world.engine.handlers["list"]
        stale = bodies.listing(world.engine.containers)
        world.engine.containers.append(container(1, name="silent"))
        client.send(bodies.reply(stale), end=True)

    world.engine.handlers["list"] = list_once
    world.engine.open()
    world.source.start()
    world.settle("silent")


def test_an_event_that_comes_before_its_effect(world: World) -> None:
    """Docker 20.10: a container that died is listed as running until its lock is free.  Nothing is told when it is."""
    waiting: List[Connection] = []
    world.engine.containers = [container(number) for number in (1, 2)]
    world.engine.open()
    world.make(FAST._replace(confirm=FOREVER)).start()
    world.until(lambda: world.running() == ["c1", "c2"])
    world.engine.handlers["inspect"] = waiting.append
    world.engine.emit(event(1, "die"))
    world.until(lambda: waiting)
    world.engine.containers.append(container(3))
    world.engine.emit(event(3, "start"))
    world.until(lambda: world.running() == ["c1", "c2", "c3"])      # a container that is locked does not hold up the others
    del world.engine.containers[0]
    del world.engine.handlers["inspect"]
    waiting[0].send(bodies.reply(b'{"message": "no such container"}', "404 Not Found"), end=True)
    world.until(lambda: world.running() == ["c2", "c3"])


def test_a_container_that_cannot_be_inspected(world: World) -> None:
    """One that hangs in the engine: waiting for it ends, and all is listed once more."""
    world.engine.containers = [container(number) for number in (1, 2)]
    world.engine.handlers["inspect"] = lambda _client: None
    world.engine.open()
    world.make(FAST._replace(patience=0.1)).start()
    world.until(lambda: world.running() == ["c1", "c2"])
    world.engine.emit(event(1, "connect", kind="network") + event(2, "connect", kind="network"))
    world.until(lambda: world.engine.count("inspect") == 2)
    world.settle("c1", "c2")
    assert world.engine.count("version") == 1


def test_reordered_events(world: World) -> None:
    world.engine.containers = [container(1), container(2)]
    world.engine.open()
    world.source.start()
    world.settle("c1", "c2")
    world.engine.containers = [container(2), container(3)]
    for number, action in ((3, "die"), (1, "start"), (3, "start"), (1, "destroy"), (1, "die"), (2, "die"), (2, "start")):
        world.engine.emit(event(number, action))
    world.settle("c2", "c3")


def test_ten_thousand_events(world: World) -> None:
    world.engine.containers = [container(number) for number in range(20)]
    world.engine.open()
    world.make(FAST._replace(pause=0.05)).start()
    names = ["c%d" % number for number in range(20)]
    world.settle(*names)
    lists = world.engine.count("list")
    for start in range(0, 10_000, 100):
        world.engine.emit(b"".join(event(number % 30, "start") for number in range(start, start + 100)))
    world.engine.containers.append(container(20))
    world.engine.emit(event(20, "start"))
    world.settle(*names, "c20")
    assert world.engine.count("list") - lists <= 20


def test_lists_keep_a_distance(world: World) -> None:
    world.engine.open()
    world.make(FAST._replace(pause=FOREVER)).start()
    world.until(lambda: world.source.state == "ok")
    for _ in range(3):
        world.engine.emit(event(1, "start"))
        world.until(lambda: "pause" in world.source.deadlines)
    assert world.engine.count("list") == 1
    world.engine.hang_up()
    world.until(lambda: world.source.state != "ok")
    assert "pause" not in world.source.deadlines


def test_events_however_cut(world: World) -> None:
    world.engine.open()
    world.source.start()
    world.settle()

    def appears(number: int, emit: Callable[[bytes], None]) -> None:
        world.engine.containers.append(container(number))
        emit(event(number, "start"))
        world.settle(*("c%d" % each for each in range(1, number + 1)))

    def emit_two(line: bytes) -> None:
        world.engine.emit(line + event(99, "pause"))

    def emit_pieces(line: bytes) -> None:
        for start in range(0, len(line), 7):
            world.engine.emit(line[start:start + 7])
            world.loop.turn(0.001)

    def emit_bytes(line: bytes) -> None:
        for each in bodies.chunk(line):
            world.engine.streams[0].send(bytes((each,)))
            world.loop.turn(0.001)

    def emit_single_byte_chunks(line: bytes) -> None:
        for each in line:
            world.engine.emit(bytes((each,)))

    for number, emit in enumerate((emit_two, emit_pieces, emit_bytes, emit_single_byte_chunks), 1):
        appears(number, emit)
    assert world.engine.count("version") == 1


def test_thousands_of_containers(world: World) -> None:
    world.engine.containers = [container(number, FRONT, labels={"filler": "x" * 300}) for number in range(3000)]
    world.engine.open()
    world.source.start()
    world.settle(*("c%d" % number for number in range(3000)))


def test_refresh(world: World) -> None:
    world.engine.open()
    world.source.start()
    world.settle()
    world.engine.containers = [container(1)]
    world.source.refresh()
    world.until(lambda: world.running() == ["c1"])


def test_an_audit_lists(world: World) -> None:
    world.engine.open()
    world.make(audit_interval=0.1).start()
    world.engine.containers = [container(1)]
    world.until(lambda: world.source.state == "ok" and world.running() == ["c1"])
    world.engine.emit(event(1, "start"))
    world.until(lambda: world.engine.count("some") == 1)
    lists = world.engine.count("list")
    world.engine.containers = [container(2)]
    world.until(lambda: world.running() == ["c2"] and world.engine.count("list") > lists + 3)
    assert world.source.warning is None


# -- health


def test_health_is_not_asked_for_unless_wanted(world: World) -> None:
    world.engine.containers = [container(1, state="paused")]
    world.engine.open()
    world.source.start()
    world.settle("c1")
    assert world.engine.count("inspect") == 0 and "health_status" not in "".join(world.engine.asked)


def test_health_of_podmans_containers(world: World) -> None:
    world.engine.podman = True
    world.engine.containers = [container(number) for number in (1, 2, 3)]
    world.engine.health = {identifier(2): "healthy", identifier(3): "starting"}
    world.engine.open()
    world.make(require_healthy=True).start()
    world.until(lambda: world.source.state == "ok")
    assert [seen.healthy for seen in world.reports[-1]] == [None, True, False]
    world.engine.health[identifier(3)] = "healthy"
    world.engine.emit(event(3, "health_status"))
    world.until(lambda: [seen.healthy for seen in world.reports[-1]] == [None, True, True])


def test_health_of_a_paused_container(world: World) -> None:
    world.engine.containers = [container(1, health="healthy"), container(2, state="paused"), container(3, state="paused")]
    world.engine.health = {identifier(2): "unhealthy"}
    world.engine.open()
    world.make(require_healthy=True).start()
    world.settle("c1", "c2", "c3")
    assert [seen.healthy for seen in world.reports[-1]] == [True, False, None]
    assert all(identifier(1) not in target for target in world.engine.asked)


@pytest.mark.parametrize("answer", [
    lambda client: client.send(bodies.reply(b"{", "200 OK"), end=True), lambda client: client.close(), lambda client: None,
    lambda client: client.send(bodies.reply(b"", "500 Internal Server Error"), end=True)])
def test_health_that_cannot_be_had(world: World, answer: Callable[[Connection], None]) -> None:
    world.engine.containers = [container(1, health="healthy"), container(2, state="paused")]
    world.engine.handlers["inspect"] = answer
    world.engine.open()
    world.make(FAST._replace(patience=0.1), require_healthy=True).start()
    world.settle("c1", "c2")
    assert [seen.healthy for seen in world.reports[-1]] == [True, False]


# -- an engine that goes

ENDINGS: Dict[str, Callable[[FakeEngine], None]] = {
    "end of stream": lambda engine: engine.streams[0].send(b"0\r\n\r\n", end=True),
    "end of connection": lambda engine: engine.hang_up(),
    "half a line": lambda engine: engine.streams[0].send(bodies.chunk(event(1, "start")[:50]), end=True),
    "half a chunk": lambda engine: engine.streams[0].send(b"ff\r\n{", end=True),
    "not a chunk": lambda engine: engine.streams[0].send(b"{}\r\n"),
    "not JSON": lambda engine: engine.emit(b"{]\n"),
    "a line without end": lambda engine: engine.emit(b"x" * (1 << 20) + b"x"),
    "deep JSON": lambda engine: engine.emit(b"[" * 500_000 + b"\n"),
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS.keys())
def test_connects_again(world: World, ending: Callable[[FakeEngine], None]) -> None:
    """What is known stays until the next list decides."""
    world.engine.containers = [container(1), container(2)]
    world.engine.open()
    world.source.start()
    world.settle("c1", "c2")
    world.engine.containers = [container(2), container(3)]
    ending(world.engine)
    world.until(lambda: world.source.state != "ok")
    assert world.source.state == "connecting" and world.source.error and not world.source.pending
    world.settle("c2", "c3")
    assert all(world.reports) and world.source.error is None


def test_restart_within_the_grace_time(world: World) -> None:
    world.engine.containers = [container(1), container(2)]
    world.engine.open()
    world.source.start()
    world.settle("c1", "c2")
    world.engine.remove()
    world.until(lambda: world.source.error is not None and "No such file" in world.source.error)
    assert world.source.state == "connecting"
    del world.engine.containers[0]
    world.engine.open()
    world.settle("c2")
    assert all(world.reports)


@pytest.mark.parametrize("remove, enabled, state", [(True, "auto", "disabled"), (True, "true", "error"), (False, "auto", "error")])
def test_grace_time_is_over(world: World, remove: bool, enabled: str, state: str) -> None:
    world.engine.containers = [container(1)]
    world.engine.open()
    world.make(enabled=enabled, grace=0.1).start()
    world.settle("c1")
    (world.engine.remove if remove else world.engine.close)()
    world.until(lambda: world.reports[-1] == [] and world.source.state == state)
    assert (world.source.error is None) == (state == "disabled") and not world.source.pending
    if not remove:
        os.unlink(world.path)
    world.engine.open()
    world.settle("c1")


def test_one_more_look_when_the_grace_time_is_over(world: World) -> None:
    world.engine.open()
    world.make(FAST._replace(first_retry=FOREVER, longest_retry=FOREVER), grace=0.05).start()
    world.settle()
    world.engine.remove()
    world.until(lambda: world.source.state == "disabled")


def test_no_grace_at_all(world: World) -> None:
    world.engine.containers = [container(1)]
    world.engine.open()
    world.make(grace=0.0).start()
    world.settle("c1")
    assert [] not in world.reports
    world.engine.close()
    world.until(lambda: world.reports[-1] == [])


def test_retries_are_fast_at_first_and_slow_in_the_end(world: World) -> None:
    source = world.make(Timing())
    delays = [source.retry_delay() for _ in range(40)]
    for number, delay in enumerate(delays):
        longest = min(0.1 * 2 ** number, 30)
        assert longest / 2 <= delay <= longest


def test_an_engine_that_does_not_last_is_asked_less_and_less(world: World) -> None:
    def list_and_leave(client: Connection) -> None:
        client.send(bodies.reply(b"[]"), end=True)
        for stream in world.engine.streams:
            stream.send(bodies.chunk(event(1, "start")) + b"0\r\n\r\n", end=True)
        world.engine.streams.clear()

    world.engine.handlers["list"] = list_and_leave
    world.engine.open()
    world.source.start()
    world.until(lambda: world.source.failures >= 5)
    world.make(FAST._replace(steady=0.0, longest_retry=0.002)).start()
    asked = world.engine.count("version")
    world.until(lambda: world.engine.count("version") > asked + 5)
    assert world.source.failures <= 1


# -- engines that answer badly

def _complain(status: str) -> Callable[[Connection], None]:
    return lambda client: client.send(bodies.reply(b'{"message": "my reason"}', status), end=True)


BAD_ANSWERS: Dict[str, Tuple[Callable[[Connection], None], str]] = {
    "silence": (lambda client: None, "no complete answer within"),
    "a head that stops": (lambda client: client.send(b"HTTP/1.1 200 OK\r\n"), "no complete answer within"),
    "nothing and out": (lambda client: client.close(), "ended in the middle"),
    "half a head": (lambda client: client.send(b"HTTP/1.1 200 OK\r\nA: b", end=True), "ended in the middle"),
    "half a body": (lambda client: client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[", end=True), "ended in the middle"),
    "too large": (lambda client: client.send(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n"), "longer than"),
    "not HTTP": (lambda client: client.send(b"SSH-2.0-OpenSSH_9.2p1\r\n"), "not an HTTP/1.1 status line"),
    "not JSON": (lambda client: client.send(bodies.reply(b"<html>"), end=True), "not"),
    "deep JSON": (lambda client: client.send(bodies.reply(b"[" * 500_000), end=True), "n"),
    "a huge number": (lambda client: client.send(bodies.reply(b"9" * 500_000), end=True), "n"),
    "another shape": (lambda client: client.send(bodies.reply(b"5"), end=True), "n"),
    "another protocol": (lambda client: client.send(b"HTTP/1.1 101 UPGRADED\r\n\r\n"), "change the protocol"),
    **{status: (_complain(status), "HTTP %s my reason" % status[:3]) for status in (
        "400 Bad Request", "404 Not Found", "500 Internal Server Error", "503 Service Unavailable")},
}


@pytest.mark.parametrize("bad, reason", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
@pytest.mark.parametrize("kind", ["version", "list"])
def test_bad_answers(world: World, kind: str, bad: Callable[[Connection], None], reason: str) -> None:
    """The reason is told once, however often it is tried; then a good answer is all it takes."""
    world.engine.containers = [container(1)]
    world.engine.handlers[kind] = bad
    world.engine.open()
    world.make(FAST._replace(patience=0.2, list_patience=0.2)).start()
    world.until(lambda: world.engine.count(kind) >= 3)
    path = {"version": "/version", "list": "/v1.41/containers/json"}[kind]
    assert world.source.state == "error" and re.match("GET %s: .*%s" % (path, re.escape(reason)), str(world.source.error))
    assert len(world.log) == 1 and world.log[0][0] == "warning" and world.path in world.log[0][1] and reason in world.log[0][1]
    assert world.source.pending and not world.reports
    del world.engine.handlers[kind]
    world.settle("c1")


# -- engines without events

NO_EVENTS = {
    "refused": (lambda client: client.send(bodies.reply(b'{"message": "no such logger"}', "500 Internal Server Error"), end=True),
                "HTTP 500 no such logger"),
    "not HTTP": (lambda client: client.send(b"SSH-2.0-OpenSSH_9.2p1\r\n"), "not an HTTP/1.1 status line"),
    "hung up": (lambda client: client.close(), "ended in the middle"),
    "by a proxy": (lambda client: client.send(bodies.reply(b"<html>403 Forbidden</html>", "403 Forbidden"), end=True),
                   "HTTP 403 Forbidden (others are allowed"),
    "ended at once": (lambda client: client.send(bodies.STREAM_HEAD + b"0\r\n\r\n", end=True), "the engine ended the stream of events"),
}


@pytest.mark.parametrize("bad, why", NO_EVENTS.values(), ids=NO_EVENTS.keys())
def test_without_events_it_is_listed_now_and_then(world: World, bad: Callable[[Connection], None], why: str) -> None:
    world.engine.handlers["events"] = bad
    world.engine.open()
    world.make(FAST._replace(headless=0.2, longest_retry=0.5), poll_interval=0.1).start()
    world.until(lambda: world.source.state == "ok")
    assert (world.source.error, world.source.pending) == (None, False)
    assert str(world.source.warning).startswith("GET /v1.41/events: ") and why in str(world.source.warning)
    assert str(world.source.warning).endswith(": it is asked every 0.1 s instead")
    for number in (1, 2):
        world.engine.containers.append(container(number))
        world.until(lambda number=number: len(world.running()) == number)       # type: ignore[misc]
    world.engine.containers.clear()
    world.until(lambda: world.running() == [])
    assert [level for level, _line in world.log] == ["info", "warning"] and world.engine.count("version") == 1
    del world.engine.handlers["events"]
    world.engine.containers.append(container(3))
    world.until(lambda: world.source.warning is None)
    world.settle("c3")
    assert "poll" not in world.source.deadlines


@pytest.mark.parametrize("podman", [True, False])
def test_an_engine_that_says_nothing_before_its_first_event(world: World, podman: bool) -> None:
    """It is listed after a moment, and asked now and then until an event has come; nothing is amiss."""
    world.engine.podman = podman
    streams: List[Connection] = []
    world.engine.handlers["events"] = streams.append
    world.engine.containers = [container(1)]
    world.engine.open()
    world.make(FAST._replace(headless=0.05), poll_interval=0.1).start()
    world.until(lambda: world.source.state == "ok")
    assert world.running() == ["c1"] and world.source.warning is None
    lists = world.engine.count("list")
    world.until(lambda: world.engine.count("list") >= lists + 3)
    world.engine.containers.append(container(2))
    streams[0].send(bodies.STREAM_HEAD + bodies.chunk(event(2, "start")))
    world.settle("c1", "c2")
    assert world.engine.count("version") == 1 and [level for level, _line in world.log] == ["info"]


@pytest.mark.parametrize("podman", [True, False])
def test_an_engine_that_is_mute(world: World, podman: bool) -> None:
    """It seems to tell events, and never does: what a list shows gives it away."""
    world.engine.podman = podman
    world.engine.open()
    world.make(poll_interval=0.05).start()
    world.until(lambda: world.source.state == "ok" and world.engine.count("list") >= 2)
    world.engine.containers = [container(1)]
    world.source.refresh()
    world.until(lambda: world.source.warning is not None)
    assert world.source.warning == "the engine tells no events of what its list shows: it is asked every 0.05 s instead"
    assert (world.source.state, world.running()) == ("ok", ["c1"])
    world.engine.containers = [container(2)]
    world.until(lambda: world.running() == ["c2"])
    world.engine.emit(event(2, "start"))
    world.settle("c2")
    assert [level for level, _line in world.log] == ["info", "warning"]


def test_a_container_that_makes_no_sense(world: World) -> None:
    bad = container(1, FRONT)
    bad["NetworkSettings"]["Networks"]["front"]["IPAddress"] = "invalid IP"
    world.engine.containers = [bad, container(2)]
    world.engine.open()
    world.source.start()
    world.until(lambda: world.source.state == "ok")
    assert world.running() == ["c2"]
    assert world.source.warning == "c1 is left out, it makes no sense: not an address of 4 bytes: 'invalid IP'"
    assert world.log[1:] == [("warning", "docker: " + world.source.warning)]
    since = world.source.facts["warning_since"]
    assert since is not None and since <= utc()
    world.engine.emit(event(2, "start"))
    world.until(lambda: world.engine.count("some") and world.idle())
    assert len(world.log) == 2 and world.source.facts["warning_since"] == since
    world.engine.containers = [container(1), container(2)]
    world.engine.emit(event(1, "restart"))
    world.settle("c1", "c2")


# -- somebody in between


def _forbidden(client: Connection) -> None:
    client.send(bodies.reply(b"<html><body><h1>403 Forbidden</h1>\nRequest forbidden by administrative rules.\n</body></html>",
                             "403 Forbidden"), end=True)


@pytest.mark.parametrize("podman", [True, False])
def test_a_proxy_that_refuses_the_version(world: World, podman: bool) -> None:
    """A ping tells enough."""
    world.engine.podman = podman
    world.engine.handlers["version"] = _forbidden
    world.engine.containers = [container(1)]
    world.engine.open()
    world.source.start()
    world.until(lambda: world.source.state == "ok" and world.running() == ["c1"])
    assert world.log == [("info", "docker: connected to %s, API 1.41" % ("Podman 4.3.1" if podman else "Docker 20.10.24"))]


def test_a_proxy_that_refuses_the_list(world: World) -> None:
    world.engine.handlers["list"] = _forbidden
    world.engine.open()
    world.source.start()
    world.until(lambda: world.source.error is not None)
    assert world.source.error == ("GET /v1.41/containers/json: HTTP 403 Forbidden"
                                  " (others are allowed; does a socket proxy leave this one out?)")


def test_a_proxy_that_refuses_everything(world: World) -> None:
    world.engine.handlers = dict.fromkeys(("version", "ping", "events", "list", "inspect"), _forbidden)
    world.engine.open()
    world.source.start()
    world.until(lambda: world.source.error is not None)
    assert world.source.error == "GET /version and GET /_ping: HTTP 403 Forbidden (every request is refused, it seems)"


# -- engines that answer without end


@pytest.mark.parametrize("kind", ["version", "list"])
def test_endless_answers(world: World, kind: str) -> None:
    """They are cut at the limit, well before the deadline."""
    more = bodies.chunk(b" " * 1_000_000)

    def endless(client: Connection) -> None:
        client.send(bodies.STREAM_HEAD + more * 70)

    world.engine.handlers[kind] = endless
    world.engine.open()
    world.make(FAST._replace(patience=60, list_patience=60)).start()
    world.until(lambda: world.source.error is not None)
    assert "a body longer than" in str(world.source.error)
    del world.engine.handlers[kind]
    world.settle()


def test_a_slow_list(world: World) -> None:
    waiting: List[Connection] = []
    world.engine.handlers["list"] = waiting.append
    world.engine.open()
    world.source.start()
    world.until(lambda: waiting)
    for each in bodies.reply(bodies.listing([container(1)]), chunks=10):
        waiting[0].send(bytes((each,)))
        world.loop.turn(0.001)
    world.until(lambda: world.running() == ["c1"])
    del world.engine.handlers["list"]


def test_the_list_fails_while_the_engine_runs(world: World) -> None:
    world.engine.containers = [container(1)]
    world.engine.open()
    world.source.start()
    world.settle("c1")
    world.engine.handlers["list"] = lambda client: client.send(bodies.reply(b"", "500 Internal Server Error"), end=True)
    world.source.refresh()
    world.until(lambda: world.engine.count("version") > 2)
    assert world.source.state == "connecting" and world.running() == ["c1"]
    del world.engine.handlers["list"]
    world.settle("c1")


@pytest.mark.parametrize("api, word", [("1.23", "old"), ("1.9", "old")])
def test_an_engine_that_is_too_old(world: World, api: str, word: str) -> None:
    world.engine.api = api
    world.engine.open()
    world.source.start()
    world.until(lambda: world.engine.count("version") > 2)
    assert world.source.state == "error" and "too %s" % word in str(world.source.error) and len(world.log) == 1


def test_an_engine_that_is_too_new(world: World) -> None:
    world.engine.handlers["version"] = lambda client: client.send(bodies.reply(bodies.version("1.70", "1.60")), end=True)
    world.engine.open()
    world.source.start()
    world.until(lambda: world.engine.count("version") > 2)
    assert "too new: it speaks API 1.60 to 1.70, netmgr 1.24 to 1.52" in str(world.source.error) and len(world.log) == 1


@pytest.mark.parametrize("seed", range(8))
def test_an_engine_gone_mad(world: World, seed: int) -> None:
    """Damaged answers of all kinds for a while; then the truth."""
    source_of_chance = random.Random(seed)

    def damage(kind: str) -> Callable[[Connection], None]:
        def answer(client: Connection) -> None:
            whole = {"version": bodies.reply(bodies.version(), chunks=50), "list": bodies.reply(bodies.listing([container(1, FRONT)])),
                     "inspect": bodies.reply(bodies.inspection(1)),
                     "events": bodies.STREAM_HEAD + bodies.chunk(event(1, "die")) * 3}[kind]
            data = bytearray(whole)
            for _ in range(source_of_chance.choice([0, 0, 1, 2])):
                position = source_of_chance.randrange(len(data))
                data[position:position + source_of_chance.randrange(5)] = source_of_chance.randbytes(source_of_chance.randrange(4))
            client.send(bytes(data), end=True)
        return answer

    world.engine.handlers = {kind: damage(kind) for kind in ("version", "events", "list", "inspect")}
    world.engine.open()
    world.make(FAST._replace(patience=0.05, list_patience=0.05, longest_retry=0.005), require_healthy=True).start()
    world.until(lambda: world.engine.count("version") > 40)
    world.engine.handlers = {}
    world.engine.hang_up()
    world.engine.containers = [container(7)]
    world.settle("c7")


# -- no engine


def test_no_socket(world: World) -> None:
    """Nothing is known and nothing amiss; one deadline waits for the next look."""
    world.make(FAST._replace(longest_retry=FOREVER)).start()
    assert (world.source.state, world.source.error, world.source.pending, world.reports) == ("disabled", None, False, [])
    assert list(world.source.deadlines) == ["retry"]
    assert world.log == [("info", "docker: no container engine at %s" % world.path)]
    world.engine.containers = [container(1)]
    world.engine.open()
    world.source.refresh()
    world.settle("c1")


def test_a_socket_that_appears(world: World) -> None:
    world.source.start()
    assert world.source.state == "disabled"
    world.until(lambda: world.source.failures == 0)
    world.engine.open()
    world.settle()
    assert [level for level, _line in world.log] == ["info", "info"]


def test_no_socket_where_there_must_be_one(world: World) -> None:
    world.make(enabled="true", grace=0.1).start()
    assert (world.source.state, world.source.pending) == ("error", True)
    assert "No such file" in str(world.source.error) and len(world.log) == 1 and not world.reports
    world.until(lambda: not world.source.pending)
    assert (world.source.state, world.source.pending) == ("error", False)
    failures = world.source.failures
    world.until(lambda: world.source.failures >= failures + 3)
    assert world.reports == [] and "grace" not in world.source.deadlines
    world.engine.open()
    world.settle()


def test_not_wanted(world: World) -> None:
    world.engine.open()
    world.make(enabled="false").start()
    world.source.refresh()
    assert (world.source.state, world.source.error, world.source.pending, world.reports) == ("disabled", None, False, [])
    assert not world.source.exchanges and not world.source.deadlines


@pytest.mark.parametrize("enabled", ["auto", "true"])
@pytest.mark.parametrize("what", ["socket", "directory"])
def test_no_permission(world: World, enabled: str, what: str) -> None:
    """That is nothing amiss where the configuration does not ask for an engine; how to allow it is told."""
    if os.geteuid() == 0 and other_users.why_not():
        pytest.skip(str(other_users.why_not()))
    place = world.path if what == "socket" else os.path.dirname(world.path)
    world.engine.open()
    source = world.make(enabled=enabled)
    os.chmod(place, 0)
    user = os.geteuid()
    if user == 0:
        os.seteuid(other_users.FOREIGN_UID)
    try:
        source.start()
        assert source.pending == (enabled == "true")
        if enabled == "true":
            world.until(lambda: world.source.failures >= 3)
    finally:
        os.seteuid(user)
        os.chmod(place, 0o700)
    denied = "may not use %s (Permission denied); netmgr.yaml(5) says how to allow it, and what that means" % world.path
    expected = ("disabled", denied) if enabled == "auto" else ("error", "Permission denied")
    assert (source.state, source.error) == expected
    assert world.log == [("warning", "docker: " + (denied if enabled == "auto" else world.path + ": Permission denied"))]
    world.settle()
    assert source.error is None


def _plain_file(path: str) -> None:
    Path(path).write_text("")


def _directory(path: str) -> None:
    os.mkdir(path)


def _datagram_socket(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(path)


def _dead_socket(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.bind(path)


@pytest.mark.parametrize("make", [_plain_file, _directory, _datagram_socket, _dead_socket])
def test_something_else_there(world: World, make: Callable[[str], None]) -> None:
    make(world.path)
    world.source.start()
    world.until(lambda: world.source.failures >= 3)
    assert world.source.state == "error" and world.source.error == "Connection refused" and len(world.log) == 1
    (os.rmdir if os.path.isdir(world.path) else os.unlink)(world.path)
    world.engine.open()
    world.settle()


def test_an_engine_too_busy_to_accept(world: World) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(world.path)
        listener.listen(0)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as first:
            first.connect(world.path)
            world.source.start()
            world.until(lambda: world.source.failures >= 3)
            assert world.source.state == "error" and len(world.log) == 1
    os.unlink(world.path)
    world.engine.open()
    world.settle()


def test_each_reason_is_told_once(world: World) -> None:
    world.engine.handlers["version"] = lambda client: client.send(bodies.reply(b"", "500 Oh"), end=True)
    world.engine.open()
    world.source.start()
    world.until(lambda: world.engine.count("version") >= 3)
    world.engine.close()
    world.until(lambda: world.source.error == "Connection refused")
    failures = world.source.failures
    world.until(lambda: world.source.failures >= failures + 3)
    os.unlink(world.path)
    world.engine.handlers.clear()
    world.engine.open()
    world.settle()
    assert [(level, line.rpartition(": ")[2]) for level, line in world.log] == [
        ("warning", "HTTP 500 Oh"), ("warning", "Connection refused"), ("info", "connected to Docker 20.10.24, API 1.41")]


# -- stopping


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_stop_from_within_a_report(world: World) -> None:
    world.engine.containers = [container(number) for number in range(1000)]
    settings = Docker(socket=world.path)
    source = DockerSource(world.loop, settings, 0, (), lambda _seen, _gone: source.stop(), lambda _level, _line: None, FAST)
    world.engine.open()
    source.start()
    world.until(lambda: source.state == "disabled")
    assert not source.deadlines and not source.exchanges and world.engine.count("list") == 1


@pytest.mark.parametrize("when", ["version", "events", "list", "inspect", "idle", "retry", "grace", "never started"])
def test_stop(world: World, when: str) -> None:
    """Whatever is under way: every descriptor and deadline is given back, and nothing is called any more."""
    before = _descriptors()
    world.engine.containers = [container(1)]
    if when in ("version", "events", "list", "inspect"):
        world.engine.handlers[when] = lambda _client: None
    if when != "retry":
        world.engine.open()
    if when != "never started":
        world.source.start()
    if when in ("version", "events", "list"):
        world.until(lambda: world.engine.count(when))
    if when in ("inspect", "idle", "grace"):
        world.settle("c1")
    if when == "inspect":
        world.engine.emit(event(1, "die"))
        world.until(lambda: world.engine.count("inspect"))
    if when == "grace":
        world.engine.close()
        world.until(lambda: "grace" in world.source.deadlines)
    reports = len(world.reports)
    world.source.stop()
    world.source.stop()
    world.source.refresh()
    world.engine.close()
    for _ in range(5):
        world.loop.turn(0.001)
    assert len(world.reports) == reports and _descriptors() == before
    assert (world.source.state, world.source.pending) == ("disabled", False)
