"""The engine's API: versions, lists, events and inspections; as different engines tell them, broken and random."""

import json
import random
import urllib.parse
from typing import Any, Dict, List, Optional, Tuple

import pytest

from netmgr.values import addresses
from netmgr.values.errors import ProtocolError
from netmgr.values.events import ContainerSeen, Endpoint
from netmgr.wire import docker, http1
from netmgr.wire.docker_questions import HEALTH, LIST, WAIT, Question, Questions
from tests import engine_bodies as bodies
from tests.engine_bodies import APIS, identifier

BOTH = {"front": ("172.18.0.2/16", "fd00:1::2/64"), "back": ("10.9.8.7/24",)}


def told(seen: ContainerSeen) -> List[Tuple[str, str]]:
    return [(each.network, "%s/%d" % (addresses.text(each.address), each.prefixlen)) for each in seen.endpoints]


def one(entry: Dict[str, Any], podman: bool = False) -> ContainerSeen:
    seen, = docker.listing(bodies.listing([entry]), podman).containers
    return seen


# -- versions


@pytest.mark.parametrize("newest, oldest, used", [
    ("1.24", None, "1.24"), ("1.24", "1.12", "1.24"), ("1.41", "1.12", "1.41"), ("1.44", "1.24", "1.44"), ("1.52", "1.44", "1.52"),
    ("1.53", "1.44", "1.52"), ("1.100", "1.52", "1.52"), ("2.0", "1.44", "1.52")])
def test_the_version_that_both_speak(newest: str, oldest: Optional[str], used: str) -> None:
    assert docker.engine(bodies.version(newest, oldest)) == docker.Engine("Docker 20.10.24", used, False)


def test_podman() -> None:
    assert docker.engine(bodies.version("1.41", "1.24", podman=True)) == docker.Engine("Podman 4.3.1", "1.41", True)


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


# -- lists


@pytest.mark.parametrize("api", APIS)
def test_list(api: str) -> None:
    entries = [
        bodies.container(1, BOTH, api, "web-1", {"b": "2", "a": "1"}),
        bodies.container(2, {"front": ("172.18.0.3/16",)}, api, state="paused"),
        bodies.container(3, {"host": ()}, api),
        bodies.container(4, {}, api),
        *(bodies.container(5, BOTH, api, state=state) for state in ("exited", "created", "restarting", "removing", "dead")),
    ]
    listing = docker.listing(bodies.listing(entries), podman=False)
    assert [seen.id for seen in listing.containers] == [identifier(number) for number in (1, 2, 3, 4)]
    first, second, third, fourth = listing.containers
    assert (first.name, first.labels, first.healthy) == ("web-1", (("a", "1"), ("b", "2")), None)
    assert told(first) == [("back", "10.9.8.7/24"), ("front", "172.18.0.2/16"), ("front", "fd00:1::2/64")] == bodies.endpoints(BOTH)
    assert second.endpoints == (Endpoint("front", bytes((172, 18, 0, 3)), 16),)
    assert third.endpoints == fourth.endpoints == ()
    assert listing.unclear == (() if api >= "1.52" else (identifier(2),))


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("health, expected", [("none", None), ("starting", False), ("healthy", True), ("unhealthy", False)])
def test_health_in_the_list(api: str, health: str, expected: Optional[bool]) -> None:
    assert one(bodies.container(1, BOTH, api, health=health)).healthy is expected


def test_health_of_a_paused_container() -> None:
    entry = bodies.container(1, BOTH, "1.52", state="paused", health="unhealthy")
    assert docker.listing(bodies.listing([entry]), False).unclear == () and one(entry).healthy is False


def test_podman_list() -> None:
    """As Podman 4.3 tells it: null for no networks, more fields, no health."""
    entry = {**bodies.container(1), "NetworkSettings": {"Networks": None}, "Name": "", "Config": None, "Platform": None}
    listing = docker.listing(bodies.listing([entry]), podman=True)
    assert listing.containers[0].endpoints == () and listing.unclear == (identifier(1),)


@pytest.mark.parametrize("change", [
    {"Labels": None}, {"NetworkSettings": None}, {"NetworkSettings": {}}, {"Names": None}, {"Names": []}, {"Status": None},
    {"NetworkSettings": {"Networks": {"x": None}}}, {"Unknown": {"x": [1, None]}}])
def test_what_may_be_missing(change: Dict[str, Any]) -> None:
    assert one({**bodies.container(1, {}), **change}).id == identifier(1)


def test_a_network_without_prefix_length_is_a_host() -> None:
    entry = bodies.container(1, {"x": ("192.0.2.1/0", "2001:db8::1/0")})
    assert told(one(entry)) == [("x", "192.0.2.1/32"), ("x", "2001:db8::1/128")]


def _with_network(**fields: Any) -> bytes:
    entry = bodies.container(1, {"x": ("192.0.2.1/24",)})
    entry["NetworkSettings"]["Networks"]["x"].update(fields)
    return bodies.listing([entry])


def _with(*changes: Dict[str, Any]) -> List[bytes]:
    return [bodies.listing([{**bodies.container(1), **change}]) for change in changes]


@pytest.mark.parametrize("body", [
    b"", b"{}", b"[5]", b"[[]]", b'"x"', b"[}", b"\xff", b"[" * 100_000, b"[1" + b"0" * 5000 + b"]", b'{"a":' * 100_000,
    *_with(
        {"Id": None}, {"Id": ""}, {"Id": "../../etc"}, {"Id": "a" * 1000}, {"Id": 5}, {"Id": "\u0661"}, {"Names": "x"}, {"Names": [5]},
        {"Labels": []}, {"Labels": {"a": 5}}, {"Labels": {"a": "\ud800"}}, {"NetworkSettings": []}, {"NetworkSettings": {"Networks": []}},
        {"NetworkSettings": {"Networks": {"x": "y"}}}, {"Status": 5}, {"Health": "healthy"}),
    _with_network(IPAddress="x"), _with_network(IPAddress="::1"), _with_network(IPAddress=5), _with_network(IPAddress="1.2.3.4.5"),
    _with_network(GlobalIPv6Address="192.0.2.1"), _with_network(IPPrefixLen=33), _with_network(IPPrefixLen=-1),
    _with_network(IPPrefixLen="24"), _with_network(IPPrefixLen=True), _with_network(IPPrefixLen=24.0)])
def test_lists_without_sense(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        docker.listing(body, False)


def test_inspected_health() -> None:
    texts = (None, "", "none", "starting", "healthy", "unhealthy")
    assert {text: docker.inspected_health(bodies.inspection(1, text)) for text in texts} == {
        None: None, "": None, "none": None, "starting": False, "healthy": True, "unhealthy": False}
    assert docker.inspected_health(b'{"State": {"Healthcheck": {"Status": "healthy"}}}') is True
    for body in (b"[]", b'{"State": 5}', b'{"State": {"Health": 5}}', b'{"State": {"Health": {"Status": 5}}}'):
        with pytest.raises(ProtocolError):
            docker.inspected_health(body)


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
    assert docker.notice(b'{"Type": "network", "Action": "destroy"}') == docker.Notice("", False)


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


def _filters(request: bytes) -> Tuple[str, Any]:
    target = request.split(b" ")[1].decode("ascii")
    url = urllib.parse.urlsplit(target)
    return url.path, json.loads(urllib.parse.parse_qs(url.query)["filters"][0])


def test_requests() -> None:
    assert docker.version_request().startswith(b"GET /version HTTP/1.1\r\n")
    assert _filters(docker.list_request("1.41")) == ("/v1.41/containers/json", {"status": ["running", "paused"]})
    path, filters = _filters(docker.events_request("1.24", health=False))
    assert path == "/v1.24/events" and filters["type"] == ["container", "network"] and "health_status" not in filters["event"]
    assert {"start", "die", "connect", "disconnect", "rename"} <= set(filters["event"])
    assert "health_status" in _filters(docker.events_request("1.24", health=True))[1]["event"]
    assert docker.inspect_request("1.52", "abc").startswith(b"GET /v1.52/containers/abc/json HTTP/1.1\r\n")


@pytest.mark.parametrize("body, text", [
    (b'{"message": "client version 1.9 is too old"}', "HTTP 400 client version 1.9 is too old"),
    (b"page not\n found\n", "HTTP 400 page not found"), (b"", "HTTP 400 Bad Request"), (b"\xff\xfe", "HTTP 400 \ufffd\ufffd"),
    (b'{"message": 5}', 'HTTP 400 {"message": 5}'), (b"x" * 100_000, "HTTP 400 " + "x" * 191)])
def test_complaints(body: bytes, text: str) -> None:
    assert docker.complaint(http1.Head(400, "Bad Request", {}), body) == text


# -- random


@pytest.mark.parametrize("seed", range(20))
def test_random_bodies(seed: int) -> None:
    """A body that is damaged anyhow is refused, or decoded into containers of sound values."""
    random_source = random.Random(seed)
    whole = bodies.listing([bodies.container(number, BOTH, random_source.choice(APIS), health="healthy") for number in range(3)])
    for _ in range(200):
        body = bytearray(whole)
        for _ in range(random_source.randrange(1, 4)):
            position = random_source.randrange(len(body))
            body[position:position + random_source.randrange(4)] = random_source.choice(
                [b"", b'"', b"null", b"0", b"99", b"[]", b"{}", random_source.randbytes(2)])
        try:
            containers = docker.listing(bytes(body), False).containers
        except ProtocolError:
            continue
        for seen in containers:
            assert seen.id.isalnum() and seen.name.encode() is not None and seen.healthy in (True, False, None)
            assert all(len(each.address) in (4, 16) and 0 < each.prefixlen <= len(each.address) * 8 for each in seen.endpoints)


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
        assert notice is None or (isinstance(notice.container, str) and len(notice.container) <= docker.IDENTIFIER_LENGTH)


# -- what to ask next

OK = http1.Head(200, "OK", {})
GONE = http1.Head(404, "Not Found", {})
DOCKER = docker.Engine("Docker", "1.41", False)


def kinds(questions: Questions, may_list: bool = True) -> List[Tuple[str, str]]:
    return [(question.kind, question.container) for question in questions.due(may_list)]


def answer_list(questions: Questions, *entries: Dict[str, Any]) -> Optional[List[ContainerSeen]]:
    return questions.answered(Question(LIST, "", b"", 0), OK, bodies.listing(entries))


def test_questions_list_once_however_much_happens() -> None:
    questions = Questions(DOCKER, health=False)
    assert kinds(questions) == [(LIST, "")] and kinds(questions) == []
    for _ in range(1000):
        questions.notice([docker.Notice("a", False)] * 10)
    assert kinds(questions) == [] and questions.list_due
    reported = answer_list(questions, bodies.container(1, BOTH))
    assert reported is not None and [seen.id for seen in reported] == [identifier(1)]
    assert kinds(questions, may_list=False) == []
    assert kinds(questions) == [(LIST, "")] and answer_list(questions) == []
    assert kinds(questions) == [] and not questions.list_due


def test_questions_wait_for_what_is_under_way() -> None:
    questions = Questions(DOCKER, health=False)
    questions.notice([docker.Notice(identifier(number), True) for number in (1, 2, 3)])
    assert kinds(questions) == [(LIST, "")]
    answer_list(questions, bodies.container(1), bodies.container(2))
    assert kinds(questions) == [(WAIT, identifier(1))] and not questions.list_due
    questions.answered(Question(WAIT, identifier(1), b"", 0), GONE, b"")
    assert kinds(questions) == [(LIST, ""), (WAIT, identifier(2))]
    questions.failed(Question(WAIT, identifier(2), b"", 0))
    answer_list(questions, bodies.container(1))
    assert kinds(questions) == [(LIST, "")] and answer_list(questions) == [] and kinds(questions) == []


def test_questions_wait_again_when_more_happens_to_the_same() -> None:
    questions = Questions(DOCKER, health=False)
    early = docker.Notice(identifier(1), True)
    questions.notice([early])
    kinds(questions)
    questions.notice([early])
    answer_list(questions, bodies.container(1))
    assert kinds(questions) == [(LIST, ""), (WAIT, identifier(1))]
    answer_list(questions, bodies.container(1))
    questions.answered(Question(WAIT, identifier(1), b"", 0), OK, b"")
    assert kinds(questions) == [(LIST, ""), (WAIT, identifier(1))]


def test_questions_ask_for_the_health_that_the_list_does_not_tell() -> None:
    questions = Questions(docker.Engine("Podman", "1.41", True), health=True)
    kinds(questions)
    assert answer_list(questions, *(bodies.container(number) for number in (1, 2, 3, 4))) is None
    answers = {identifier(1): (OK, bodies.inspection(1)), identifier(2): (OK, bodies.inspection(2, "healthy")), identifier(4): (GONE, b"")}
    reported = None
    for _ in range(4):
        (_kind, container), = kinds(questions)
        question = Question(HEALTH, container, b"", 0)
        reported = questions.answered(question, *answers[container]) if container in answers else questions.failed(question)
    assert reported is not None and kinds(questions) == []
    assert {seen.id: seen.healthy for seen in reported} == {
        identifier(1): None, identifier(2): True, identifier(3): False, identifier(4): False}


def test_questions_refuse_a_list_that_failed() -> None:
    questions = Questions(DOCKER, health=False)
    kinds(questions)
    with pytest.raises(ProtocolError, match="HTTP 404 page not found"):
        questions.answered(Question(LIST, "", b"", 0), GONE, b"page not found")


def test_questions_are_bounded() -> None:
    questions = Questions(DOCKER, health=False)
    questions.notice(docker.Notice("%x" % number, True) for number in range(100_000))
    assert len(questions.early) < 20_000
