"""wire/etcd: what a real etcd 3.5 answered, both shapes of errors, and garbage."""

import json
import random
from typing import Any, Callable, List, Tuple

import pytest

from netmgr.values.errors import ProtocolError
from netmgr.values.records import Committed, Condition, Event, Page, Pair, Seen
from netmgr.wire import etcd, http1

HEADER = '"header":{"cluster_id":"14841639068965178418","member_id":"10276657743932975437","revision":"7","raft_term":"2"}'
PAIR = '{"key":"YQ==","create_revision":"2","mod_revision":"3","version":"1","value":"eA==","lease":"7587899201718116101"}'
STORE = 14841639068965178418
READ = Pair(b"a", b"x", 3, 7587899201718116101)


def body_of(request: bytes) -> Any:
    head, _, body = request.partition(b"\r\n\r\n")
    assert b"\r\nContent-Length: %d\r\n" % len(body) in head + b"\r\n"
    assert b"\r\nGrpc-Metadata-hasleader: true" in head
    return json.loads(body)


def test_requests() -> None:
    assert etcd.version_request("127.0.0.1:2379").startswith(b"GET /version HTTP/1.1\r\nHost: 127.0.0.1:2379\r\n")
    assert b"Connection: close" not in etcd.version_request("h")
    assert body_of(etcd.grant_request("h", 30)) == {"TTL": 30}
    assert body_of(etcd.keepalive_request("h", 12)) == {"ID": "12"}
    assert body_of(etcd.range_request("h", b"a", b"b", 200, 7)) == {"key": "YQ==", "range_end": "Yg==", "limit": 200, "revision": "7"}
    assert b"\r\nAuthorization: VrFc.25\r\n" in etcd.revoke_request("h", 1, etcd.authorization("VrFc.25"))


def test_a_transaction_writes_all_or_tells_what_is_there() -> None:
    conditions = [Condition(b"a"), Condition(b"b", lease=9), Condition(b"c", revision=4)]
    asked = body_of(etcd.put_request("h", conditions, [(b"a", b"x")], 9))
    assert asked["compare"] == [
        {"key": "YQ==", "result": "EQUAL", "target": "CREATE", "create_revision": "0"},
        {"key": "Yg==", "result": "EQUAL", "target": "LEASE", "lease": "9"},
        {"key": "Yw==", "result": "EQUAL", "target": "MOD", "mod_revision": "4"}]
    assert asked["success"] == [{"request_put": {"key": "YQ==", "value": "eA==", "lease": "9"}}]
    assert [each["request_range"]["key"] for each in asked["failure"]] == ["YQ==", "Yg==", "Yw=="]


def test_several_watches_go_into_one_request() -> None:
    head, _, body = etcd.watch_request("h", [(0, b"a", b"b", 8), (1, b"c", b"d", 5)]).partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v3/watch ")
    first, second = (json.loads(line)["create_request"] for line in body.split(b"\n"))
    assert first == {"key": "YQ==", "range_end": "Yg==", "start_revision": "8", "watch_id": "0", "progress_notify": True, "fragment": True}
    assert (second["watch_id"], second["start_revision"]) == ("1", "5")


READERS: List[Tuple[Callable[[bytes], Any], str, Any]] = [
    (etcd.version, '{"etcdserver":"3.5.1","etcdcluster":"3.5.0"}', "3.5.1"),
    (etcd.token, '{"token":"VrFc.25"}', "VrFc.25"),
    (etcd.granted, "{%s,\"ID\":\"7587899201718116101\",\"TTL\":\"30\"}" % HEADER, (7587899201718116101, 30)),
    (etcd.kept_alive, '{"result":{%s,"ID":"12","TTL":"30"}}\n' % HEADER, 30),
    (etcd.kept_alive, '{"result":{%s,"ID":"12"}}\n' % HEADER, 0),
    (etcd.page, '{%s,"kvs":[%s],"count":"1"}' % (HEADER, PAIR), Page(7, (READ,), False, STORE)),
    (etcd.page, '{%s,"kvs":[%s],"more":true,"count":"2"}' % (HEADER, PAIR), Page(7, (READ,), True, STORE)),
    (etcd.page, "{%s}" % HEADER, Page(7, (), False, STORE)),
    (etcd.committed, '{%s,"succeeded":true,"responses":[{"response_put":{"header":{"revision":"7"}}}]}' % HEADER, Committed(True, 7, ())),
    (etcd.committed, '{%s,"responses":[{"response_range":{"header":{"revision":"7"},"kvs":[%s],"count":"1"}}]}' % (HEADER, PAIR),
     Committed(False, 7, (READ,))),
    (etcd.seen, '{"result":{%s,"created":true}}' % HEADER, Seen(0, 7, True, None, 0, False, ())),
    (etcd.seen, '{"result":{%s,"watch_id":"2","events":[{"kv":%s},{"type":"DELETE","kv":{"key":"Yg==","mod_revision":"4"}}]}}' % (
        HEADER, PAIR), Seen(2, 7, False, None, 0, False, (Event(b"a", 3, READ), Event(b"b", 4, None)))),
    (etcd.seen, '{"result":{%s,"fragment":true,"events":[{"kv":%s}]}}' % (HEADER, PAIR),
     Seen(0, 7, False, None, 0, True, (Event(b"a", 3, READ),))),
    (etcd.seen, '{"result":{%s,"canceled":true,"compact_revision":"17"}}' % HEADER,
     Seen(0, 7, False, "the watch was canceled", 17, False, ())),
    (etcd.seen, '{"result":{%s,"created":true,"canceled":true,"cancel_reason":"rpc error: code = PermissionDenied desc = no"}}' % HEADER,
     Seen(0, 7, True, "rpc error: code = PermissionDenied desc = no", 0, False, ())),
]
EACH = pytest.mark.parametrize(("reader", "text", "value"), READERS, ids=[
    "%d-%s" % (n, each[0].__name__) for n, each in enumerate(READERS)])


@EACH
def test_answers(reader: Callable[[bytes], Any], text: str, value: Any) -> None:
    assert reader(text.encode()) == value


@EACH
def test_an_answer_that_is_cut_off_is_none(reader: Callable[[bytes], Any], text: str, value: Any) -> None:
    packed = text.strip().encode()
    for end in range(len(packed)):
        with pytest.raises(ProtocolError):
            reader(packed[:end])


@EACH
def test_garbage_is_refused_or_has_a_value_of_the_same_kind(reader: Callable[[bytes], Any], text: str, value: Any) -> None:
    randoms = random.Random(text)
    packed = text.encode()
    for _ in range(500):
        damaged = bytearray(packed)
        for _ in range(randoms.randint(1, 4)):
            damaged[randoms.randrange(len(damaged))] = randoms.choice(b'{}[]":,0Aa\\\xff-e')
        try:
            found = reader(bytes(damaged))
        except ProtocolError:
            continue
        assert type(found) is type(value)


@pytest.mark.parametrize("number", ['"-1"', '"1e3"', "-4", "1.5", '"123456789012345678901"', "[]", '"٣"'])
def test_numbers_that_are_none(number: str) -> None:
    with pytest.raises(ProtocolError, match="not a number"):
        etcd.page(b'{"header":{"revision":%s}}' % number.encode())


@pytest.mark.parametrize(("body", "code", "message"), [
    ('{"error":"etcdserver: requested lease not found","code":5,"message":"etcdserver: requested lease not found"}', 5,
     "etcdserver: requested lease not found"),
    ('{"code":11,"message":"etcdserver: mvcc: required revision has been compacted"}', 11,
     "etcdserver: mvcc: required revision has been compacted"),
    ("404 page\nnot found", 0, "404 page not found"),
    ("", 0, "Not Found"),
])
def test_refusals(body: str, code: int, message: str) -> None:
    assert etcd.refusal(http1.Head(404, "Not Found", {}), body.encode()) == etcd.Refusal(404, code, message)


def test_an_error_within_a_stream_ends_it() -> None:
    with pytest.raises(ProtocolError, match="etcdserver: no leader"):
        etcd.seen(b'{"error":{"grpc_code":14,"http_code":503,"message":"etcdserver: no leader","http_status":"Service Unavailable"}}')
    with pytest.raises(ProtocolError, match="etcdserver: no leader"):
        etcd.kept_alive(b'{"error":{"code":14,"message":"etcdserver: no leader"}}')


@pytest.mark.parametrize(("version", "is_unsafe"), [
    ("3.5.\u00b2", False), ("3.\u0665.1", False),
    ("3.4.23", True), ("3.4.42", False), ("3.5.1", True), ("3.5.28", False), ("3.6.8", True), ("3.6.9", False), ("3.7.0", False),
    ("3.3.27", True), ("3.6.0-rc.1", True), ("3.x", False)])
def test_versions_that_let_clients_get_around_their_rights(version: str, is_unsafe: bool) -> None:
    assert (etcd.unsafe(version) is not None) is is_unsafe


def test_a_token_must_fit_into_a_header() -> None:
    with pytest.raises(ProtocolError):
        etcd.authorization("a\r\nHost: b")
