"""etcd v3 by its JSON gateway: requests as bytes, answers as values.

Every request is a POST of a JSON object (but GET /version).  Keys and values are standard base64; 64-bit numbers come as texts; zero,
false and what is empty is left out.  The gateway writes one JSON object a line into a stream; where its chunks end means nothing.

Each request carries `Grpc-Metadata-hasleader: true`: without it a watch on a member that is cut off from the others stays silent for as
long as that lasts; with it an error comes within seconds.

Where a watch goes on after a break: behind the last event that is known to be the last of its revision.  The revision of an answer's
header runs ahead of the events that are still to come, so it is not used; the revision of a progress notice counts when it comes twice.
"""

import json
from base64 import b64decode, b64encode
from typing import Any, Dict, List, Optional, Sequence, Tuple

from netmgr.values.errors import ProtocolError
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.records import Committed, Condition, Event, Page, Pair, Seen
from netmgr.wire import http1

ANSWER_LIMIT = 32 << 20         # bytes; a page of records, base64
OPERATIONS_AT_MOST = 128        # in one transaction

NOT_FOUND, PERMISSION_DENIED, OUT_OF_RANGE, UNAVAILABLE, UNAUTHENTICATED = 5, 7, 11, 14, 16      # gRPC's codes
SAFE_SINCE = ((3, 4, 42), (3, 5, 28), (3, 6, 9))    # before these, rights can be got around

Headers = Sequence[Tuple[str, str]]


class Refusal(NamedTuple):
    """An error that etcd answers with: HTTP status, gRPC code (0: none was told), message."""

    status: int
    code: int
    message: str


# -- requests


def version_request(host: str) -> bytes:
    """Ask who is there."""
    return http1.get("/version", host, keep=True)


def authenticate_request(host: str, user: str, password: str) -> bytes:
    """Ask for a token."""
    return _post(host, "/v3/auth/authenticate", {"name": user, "password": password}, ())


def grant_request(host: str, ttl: int, headers: Headers = ()) -> bytes:
    """Ask for a lease of `ttl` seconds."""
    return _post(host, "/v3/lease/grant", {"TTL": ttl}, headers)


def keepalive_request(host: str, lease: int, headers: Headers = ()) -> bytes:
    """Renew a lease."""
    return _post(host, "/v3/lease/keepalive", {"ID": str(lease)}, headers)


def revoke_request(host: str, lease: int, headers: Headers = ()) -> bytes:
    """End a lease, and with it every key that hangs on it."""
    return _post(host, "/v3/kv/lease/revoke", {"ID": str(lease)}, headers)


def range_request(host: str, first: bytes, end: bytes, limit: int, revision: int = 0, headers: Headers = ()) -> bytes:
    """Ask for the keys from `first` up to, but not including, `end`, at most `limit` of them; a revision of 0 is the present one."""
    question = {"key": _text(first), "range_end": _text(end), "limit": limit, "revision": str(revision)}
    return _post(host, "/v3/kv/range", question, headers)


def put_request(host: str, conditions: Sequence[Condition], values: Sequence[Tuple[bytes, bytes]], lease: int,
                headers: Headers = ()) -> bytes:
    """Write these values on this lease if all conditions hold, else tell what their keys hold: one transaction."""
    return _post(host, "/v3/kv/txn", {
        "compare": [_compare(condition) for condition in conditions],
        "success": [{"request_put": {"key": _text(key), "value": _text(value), "lease": str(lease)}} for key, value in values],
        "failure": [{"request_range": {"key": _text(condition.key)}} for condition in conditions],
    }, headers)


def watch_request(host: str, watches: Sequence[Tuple[int, bytes, bytes, int]], headers: Headers = ()) -> bytes:
    """Ask to be told what happens to keys: for each watch its number, its first key, the end of its range, and from which revision."""
    bodies = [_json({"create_request": {
        "key": _text(first), "range_end": _text(end), "start_revision": str(revision), "watch_id": str(number),
        "progress_notify": True, "fragment": True}}) for number, first, end, revision in watches]
    return _request(host, "/v3/watch", b"\n".join(bodies), headers)


def authorization(token: str) -> Headers:
    """The header that shows a token; the gateway wants it bare."""
    if not token.isascii() or not token.isprintable():
        raise ProtocolError("a token that fits into no header")
    return (("Authorization", token),)


# -- answers


def refusal(head: http1.Head, body: bytes) -> Refusal:
    """What etcd says with a status that is not 200."""
    try:
        fields = _object(_parsed(body))
    except ProtocolError:
        return Refusal(head.status, 0, " ".join(body[:200].decode("utf-8", "replace").split()) or head.reason)
    return _refusal(fields, head.status)


def version(body: bytes) -> str:
    """The version of the server that answers GET /version."""
    found = _object(_parsed(body)).get("etcdserver")
    if not isinstance(found, str) or not found[:1].isdigit() or not found.isprintable() or len(found) > 40:
        raise ProtocolError("not etcd: its answer has no version")
    return found


def unsafe(server: str) -> Optional[str]:
    """What is wrong with a server of this version, for people; None when nothing is known."""
    parts = server.split("-")[0].split(".")
    if not all(part.isascii() and part.isdigit() for part in parts) or len(parts) < 3:
        return None
    numbers = tuple(map(int, parts[:3]))
    fixed = next((each for each in SAFE_SINCE if each[:2] == numbers[:2]), SAFE_SINCE[0])
    if numbers >= fixed:
        return None
    return "etcd %s lets clients get around their rights; %s is the first of its line that does not" % (server, ".".join(map(str, fixed)))


def token(body: bytes) -> str:
    """The answer to authenticate_request."""
    found = _object(_parsed(body)).get("token")
    if not isinstance(found, str) or not found:
        raise ProtocolError("an authentication without a token")
    return found


def granted(body: bytes) -> Tuple[int, int]:
    """The answer to grant_request: the lease and its seconds."""
    fields = _object(_parsed(body))
    lease, ttl = _number(fields, "ID"), _number(fields, "TTL")
    if lease <= 0 or ttl <= 0:
        raise ProtocolError("a lease without its number or its time")
    return lease, ttl


def kept_alive(body: bytes) -> int:
    """The answer to keepalive_request: the lease's seconds, 0 when it is gone.  ProtocolError, also for an error within the stream."""
    fields = _object(_parsed(body.split(b"\n")[0]))
    if "result" not in fields:
        raise ProtocolError(_refusal(_object(fields.get("error")), 0).message)
    return _number(_object(fields["result"]), "TTL")


def page(body: bytes) -> Page:
    """The answer to range_request."""
    fields = _object(_parsed(body))
    pairs = tuple(map(_pair, _array(fields.get("kvs"))))
    return Page(_revision(fields), pairs, fields.get("more") is True, _number(_object(fields.get("header")), "cluster_id"))


def committed(body: bytes) -> Committed:
    """The answer to put_request."""
    fields = _object(_parsed(body))
    succeeded = fields.get("succeeded") is True
    answers = [] if succeeded else [_object(each) for each in _array(fields.get("responses"))]
    found = (_pair(pair) for each in answers for pair in _array(_object(each.get("response_range")).get("kvs")))
    return Committed(succeeded, _revision(fields), tuple(found))


def seen(line: bytes) -> Seen:
    """One line of a watch.  ProtocolError, also for an error that ends the stream."""
    fields = _object(_parsed(line))
    if "result" not in fields:
        raise ProtocolError(_refusal(_object(fields.get("error")), 0).message)
    result = _object(fields["result"])
    compacted = _number(result, "compact_revision")
    canceled = result.get("canceled") is True
    reason = result.get("cancel_reason")
    return Seen(
        _number(result, "watch_id"), _revision(result), result.get("created") is True,
        (reason if isinstance(reason, str) and reason else "the watch was canceled") if canceled else None,
        compacted, result.get("fragment") is True, tuple(map(event, _array(result.get("events")))))


def event(value: Any) -> Event:
    """One of the events in a line of a watch."""
    fields = _object(value)
    kind, pair = fields.get("type", "PUT"), _pair(fields.get("kv"))
    if kind not in ("PUT", "DELETE"):
        raise ProtocolError("an event of the unknown type %.40r" % (kind,))
    return Event(pair.key, pair.revision, pair if kind == "PUT" else None)


# -- small change


def _compare(condition: Condition) -> Dict[str, str]:
    key = {"key": _text(condition.key), "result": "EQUAL"}
    if condition.lease:
        return {**key, "target": "LEASE", "lease": str(condition.lease)}
    if condition.revision:
        return {**key, "target": "MOD", "mod_revision": str(condition.revision)}
    return {**key, "target": "CREATE", "create_revision": "0"}


def _post(host: str, path: str, question: Dict[str, Any], headers: Headers) -> bytes:
    return _request(host, path, _json(question), headers)


def _request(host: str, path: str, body: bytes, headers: Headers) -> bytes:
    return http1.post(path, host, body, (("Grpc-Metadata-hasleader", "true"), *headers))


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _text(packed: bytes) -> str:
    return b64encode(packed).decode("ascii")


def _bytes(value: Any) -> bytes:
    if value is None:
        return b""
    try:
        return b64decode(value, validate=True)
    except (ValueError, TypeError):
        raise ProtocolError("not base64: %.60r" % (value,)) from None


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except RecursionError:
        raise ProtocolError("JSON nested too deeply") from None
    except ValueError as error:
        raise ProtocolError("not JSON: %s" % error) from None


def _object(value: Any) -> Dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ProtocolError("expected an object, got a value of type %s" % type(value).__name__)
    return value


def _array(value: Any) -> List[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ProtocolError("expected an array, got a value of type %s" % type(value).__name__)
    return value


def _number(fields: Dict[str, Any], name: str) -> int:
    """A number that came as text, or as itself; what is left out is 0."""
    value = fields.get(name, "0")
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or len(text) > 20:
        raise ProtocolError("not a number: %s is %.60r" % (name, value))
    return int(text)


def _revision(fields: Dict[str, Any]) -> int:
    return _number(_object(fields.get("header")), "revision")


def _pair(value: Any) -> Pair:
    fields = _object(value)
    return Pair(_bytes(fields.get("key")), _bytes(fields.get("value")), _number(fields, "mod_revision"), _number(fields, "lease"))


def _refusal(fields: Dict[str, Any], status: int) -> Refusal:
    """Servers of 3.4 and 3.5 say `error` (in a stream an object of its own), later ones `message`; both say a code."""
    message = fields.get("message") or fields.get("error")
    code = fields.get("code", fields.get("grpc_code", 0))
    return Refusal(status, code if type(code) is int else 0,
                   " ".join(message.split())[:300] if isinstance(message, str) and message else "etcd refused without a reason")
