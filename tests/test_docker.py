"""The engine's API: versions, events, requests and refusals; as different engines tell them, broken and random."""

import json
import random
import urllib.parse
from typing import Any, Dict, Optional, Tuple

import pytest

from netmgr.values.errors import ProtocolError
from netmgr.wire import docker, http1
from netmgr.wire.docker_containers import IDENTIFIER_LENGTH
from tests import engine_bodies as bodies
from tests.engine_bodies import APIS, identifier

PODMAN = docker.Engine("Podman 5.4.2", "1.41", True, "5.4.2")

# -- versions


@pytest.mark.parametrize("newest, oldest, used", [
    ("1.24", None, "1.24"), ("1.24", "1.12", "1.24"), ("1.41", "1.12", "1.41"), ("1.44", "1.24", "1.44"), ("1.52", "1.44", "1.52"),
    ("1.53", "1.44", "1.52"), ("1.100", "1.52", "1.52"), ("2.0", "1.44", "1.52")])
def test_the_version_that_both_speak(newest: str, oldest: Optional[str], used: str) -> None:
    assert docker.engine(bodies.version(newest, oldest)) == docker.Engine("Docker 20.10.24", used, False)


def test_podman() -> None:
    assert docker.engine(bodies.version("1.41", "1.24", podman=True)) == docker.Engine("Podman 4.3.1", "1.41", True, "4.3.1")


@pytest.mark.parametrize("newest, oldest, word", [
    ("1.23", "1.12", "old"), ("1.9", None, "old"), ("1.60", "1.53", "new"), ("2.4", "2.0", "new")])
def test_no_version_in_common(newest: str, oldest: Optional[str], word: str) -> None:
    with pytest.raises(ProtocolError, match=r"Docker 20.10.24 is too %s: it speaks API .* to %s, netmgr 1.24 to 1.52" % (word, newest)):
        docker.engine(bodies.version(newest, oldest))


@pytest.mark.parametrize("body", [
    b"", b"OK", b"[]", b"{}", b"<html>", b'{"ApiVersion": 1.41}', b'{"ApiVersion": "1"}', b'{"ApiVersion": "1.x"}',
    b'{"ApiVersion": "1.99999"}',
    b'{"ApiVersion": "1.41", "MinAPIVersion": []}', b'{"ApiVersion": "1.41", "Components": {}, "Version": {}}', b'{"ApiVersion": "-1.41"}',
    b'{"ApiVersion": "1.41", "Components": [5]}'])
def test_not_an_engine(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        docker.engine(body)


# -- events


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("action, early", [
    ("start", False), ("die", True), ("destroy", False), ("remove", False), ("pause", False), ("unpause", False), ("rename", False),
    ("health_status: healthy", False), ("health_status", False), ("update", False), ("stop", False), ("kill", False), ("restart", False)])
def test_events_of_containers(api: str, action: str, early: bool) -> None:
    assert docker.notice(bodies.event(7, action, api)) == docker.Notice(identifier(7), early)


@pytest.mark.parametrize("api", APIS)
def test_events_of_networks(api: str) -> None:
    for action in ("connect", "disconnect"):
        assert docker.notice(bodies.event(7, action, api, "network")) == docker.Notice(identifier(7), True)
    by_podman = b'{"Type": "network", "Action": "connect", "Actor": {"ID": "abc", "Attributes": {"name": "one"}}}'
    assert docker.notice(by_podman) == docker.Notice("abc", True)
    assert docker.notice(b'{"Type": "network", "Action": "destroy", "Actor": {"ID": "abc"}}') == docker.Notice("", False)


@pytest.mark.parametrize("container", ["../../etc", "a b", "a" * 1000, "\u0661", '"', ""])
def test_what_cannot_be_an_id_is_none(container: str) -> None:
    event = {"Type": "container", "Action": "start", "Actor": {"ID": container}}
    assert docker.notice(json.dumps(event).encode()) == docker.Notice("", False)


@pytest.mark.parametrize("line", [
    bodies.event(1, "exec_start: /bin/sh -c true"), bodies.event(1, "create"), bodies.event(1, "create", kind="network"),
    bodies.event(1, "pull", kind="image"), b"{}", b'{"Type": 5, "Action": []}', b'{"Type": [], "Action": "start"}',
    b'{"Type": "container"}'])
def test_events_that_change_nothing(line: bytes) -> None:
    assert docker.notice(line) is None


@pytest.mark.parametrize("line", [
    b"", b"5", b"[]", b"{", b'{"Type": "container", "Action": "start", "Actor": 5}', b'{"Type": "container", "Action": [[[]]]}',
    b"[" * 100_000, b'{"time": 1' + b"0" * 9000 + b"}",
    bodies.event(1, "start") + bodies.event(2, "start"), b'{"Type": "container", "Action": "start", "Actor": {"ID": 5}}'])
def test_events_without_sense(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        docker.notice(line)


def test_events_may_be_records_and_have_a_limit() -> None:
    lines = docker.event_lines()
    lines.feed(b"one\r\n\x1etwo\n\x1e\n")
    assert list(iter(lines.line, None)) == [b"one", b"two"]
    lines.feed(b"x" * (docker.LINE_LIMIT + 1))
    with pytest.raises(ProtocolError, match="an event longer than"):
        lines.line()


# -- requests and refusals


def _filters(target: str) -> Tuple[str, Dict[str, Any]]:
    url = urllib.parse.urlsplit(target)
    query = urllib.parse.parse_qs(url.query)
    assert target.isascii() and " " not in target
    return url.path, {key: json.loads(values[0]) for key, values in query.items()}


def test_requests() -> None:
    engine = docker.Engine("Docker", "1.41", False)
    running = {"status": ["running", "paused"]}
    assert _filters(docker.list_target(engine)) == ("/v1.41/containers/json", {"filters": running})
    assert _filters(docker.list_target(engine, ("ab", "cd"))) == ("/v1.41/containers/json", {"filters": {**running, "id": ["ab", "cd"]}})
    assert _filters(docker.list_target(PODMAN)) == ("/v1.41/containers/json", {"all": True})
    assert _filters(docker.list_target(PODMAN, ["ab"])) == ("/v1.41/containers/json", {"all": True, "filters": {"id": ["ab"]}})
    path, query = _filters(docker.events_target("1.24", health=False))
    events = query["filters"]["event"]
    assert path == "/v1.24/events" and query["filters"]["type"] == ["container", "network"] and "health_status" not in events
    assert {"start", "die", "connect", "disconnect", "rename"} <= set(events)
    assert "health_status" in _filters(docker.events_target("1.24", health=True))[1]["filters"]["event"]
    assert docker.inspect_target(engine._replace(api="1.52"), "abc") == "/v1.52/containers/abc/json"
    assert docker.inspect_target(PODMAN, "abc") == "/v5.4.2/libpod/containers/abc/json"


@pytest.mark.parametrize("version, libpod", [
    ("4.3.1", "4.3.1"), ("5.0.0-rc1", "5.0.0"), ("3.0.1", ""), ("", ""), ("5", ""), ("5.4", ""), ("5.x.1", ""), ("99999.0.0", ""),
    ("-5.0.0", "")])
def test_the_version_of_podmans_own_api(version: str, libpod: str) -> None:
    body = json.dumps({"Version": version, "ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}]}).encode()
    assert docker.engine(body).libpod == libpod


def test_what_a_ping_tells() -> None:
    told = {"api-version": "1.45", "server": "Docker/26.1.5+dfsg1 (linux)"}
    assert docker.pinged(http1.Head(200, "OK", told)) == docker.Engine("Docker 26.1.5+dfsg1", "1.45", False)
    told = {"api-version": "1.41", "libpod-api-version": "5.4.2", "server": "Libpod/5.4.2 (linux)"}
    assert docker.pinged(http1.Head(200, "OK", told)) == PODMAN
    for headers in ({}, {"server": "nginx"}, {"api-version": "1.20"}, {"api-version": "x"}):
        with pytest.raises(ProtocolError):
            docker.pinged(http1.Head(200, "OK", headers))


@pytest.mark.parametrize("status, body, text", [
    (400, b'{"message": "client version 1.9 is too old"}', "client version 1.9 is too old"),
    (500, b'{"cause": "x", "message": "cannot read events with the \\"none\\" logger", "response": 500}',
     'cannot read events with the "none" logger'),
    (400, b"page not\n found\n", "page not found"), (400, b"", "Bad Request"), (400, b"\xff\xfe", "\ufffd\ufffd"),
    (502, b"\n<!DOCTYPE html><html><body>nginx</body></html>", "Bad Request"), (403, b"<html><h1>403 Forbidden</h1></html>", "Bad Request"),
    (400, b'{"message": 5}', '{"message": 5}'), (400, b"x" * 100_000, "x" * (200 - len("GET /v1.41/containers/json: HTTP 400 ")))])
def test_complaints(status: int, body: bytes, text: str) -> None:
    """Which request, and the engine's own reason; when it is refused, how that may come."""
    said = docker.complaint("/v1.41/containers/json?all=true", http1.Head(status, "Bad Request", {}), body)
    assert said == "GET /v1.41/containers/json: HTTP %d %s%s" % (
        status, text, " (others are allowed; does a socket proxy leave this one out?)" if status == 403 else "")


# -- random


@pytest.mark.parametrize("seed", range(20))
def test_random_events(seed: int) -> None:
    random_source = random.Random(seed)
    for _ in range(300):
        kind, action = random_source.choice([("container", "start"), ("container", "die"), ("network", "connect")])
        line = bytearray(bodies.event(1, action, kind=kind))
        position = random_source.randrange(len(line))
        line[position:position + random_source.randrange(6)] = random_source.randbytes(random_source.randrange(4))
        try:
            notice = docker.notice(bytes(line))
        except ProtocolError:
            continue
        assert notice is None or (isinstance(notice.container, str) and len(notice.container) <= IDENTIFIER_LENGTH)
