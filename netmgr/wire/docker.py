"""The API of Docker and Podman: what to ask, and what the answers mean.

The list of containers is the truth; an event only says that it is time to list again, and about which container it is.  Read are
`NetworkSettings.Networks`, and of events `Type`, `Action` and `Actor`: what API 1.24 to 1.52 have in common.

Some events are early: an engine tells them before its list shows their effect, and may tell nothing afterwards.  Docker 20.10 does so
with `die` (a container that ended by itself stays in the list as running for some ten milliseconds), all of Docker with the connecting
and disconnecting of a running container.  Inspecting that container waits, in the engine, for the lock under which such a change
is made, so a list that is asked for after the inspection shows it.

Docker's list tells the health of a container in its status text (and, from API 1.52, in a field), but not that of a paused one; Podman's
tells none.  Podman: no networks is null; `remove` is what Docker calls `destroy`; a network's event has the container in Actor.ID,
where Docker has the network (and the container in an attribute).

Beyond any sense and therefore refused: numbers of more than 20 digits, nesting that exhausts the stack, text that is not Unicode.
"""

from ipaddress import IPv4Address, IPv6Address
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from netmgr.values.errors import ProtocolError
from netmgr.values.events import ContainerSeen, Endpoint
from netmgr.wire import http1
from netmgr.wire.lines import Lines

LOWEST_API, HIGHEST_API = (1, 24), (1, 52)

VERSION_LIMIT = 1 << 20
LIST_LIMIT = 64 << 20
INSPECT_LIMIT = 4 << 20
LINE_LIMIT = 1 << 20
SEPARATORS = b" \t\r\n\x1e"
NUMBER_DIGITS = 20
IDENTIFIER_LENGTH = 128
ERROR_LENGTH = 200

HEALTH_EVENT = "health_status"
CONTAINER_EVENTS = (
    "start", "restart", "restore", "die", "died", "stop", "kill", "pause", "unpause", "rename", "update", "destroy", "remove")
NETWORK_EVENTS = ("connect", "disconnect", "update", "destroy", "remove")
EARLY_EVENTS = frozenset((("container", "die"), ("container", "died"), ("network", "connect"), ("network", "disconnect")))

_HEALTH = {"healthy": True, "starting": False, "unhealthy": False}
_STATUS_ENDS = {"(healthy)": True, "(unhealthy)": False, "(health: starting)": False}


class Engine(NamedTuple):
    """Who answered GET /version, and the API version to use with it, "1.41"."""

    name: str
    api: str
    podman: bool


class Notice(NamedTuple):
    """Something changed.  `container`: its id where known, else empty; `early`: the list may not show it yet."""

    container: str
    early: bool


class Listing(NamedTuple):
    """The containers that count, and the ids of those whose health only an inspection tells."""

    containers: Tuple[ContainerSeen, ...]
    unclear: Tuple[str, ...]


def event_lines() -> Lines:
    """What cuts the stream of events, which may have record separators (RFC 7464) before each."""
    return Lines(LINE_LIMIT, "an event", SEPARATORS)


def version_request() -> bytes:
    """Ask who is there and which API versions it speaks; works with any of them."""
    return http1.get("/version", "docker")


def events_request(api: str, health: bool) -> bytes:
    """Ask for the events to come that `notice` knows, those of health checks only if wanted: a check is run often."""
    events = [*CONTAINER_EVENTS, *NETWORK_EVENTS] + [HEALTH_EVENT] * health
    return _get(api, "/events", {"type": ["container", "network"], "event": sorted(set(events))})


def list_request(api: str) -> bytes:
    """Ask for all containers that count."""
    return _get(api, "/containers/json", {"status": ["running", "paused"]})


def inspect_request(api: str, container: str) -> bytes:
    """Ask for everything about one container, by an id from a Listing."""
    return http1.get("/v%s/containers/%s/json" % (api, container), "docker")


def complaint(head: http1.Head, body: bytes) -> str:
    """What an engine says with a status that is not 200, for people."""
    try:
        message = _text(_fields(_json(body)).get("message"))
    except ProtocolError:
        message = body[:ERROR_LENGTH].decode("utf-8", "replace")
    return " ".join(("HTTP %d %s" % (head.status, message or head.reason)).split())[:ERROR_LENGTH]


def engine(body: bytes) -> Engine:
    """The reply to version_request.  ProtocolError when it is no engine, or one with which no API version is shared."""
    fields = _fields(_json(body))
    newest = _api_version(fields.get("ApiVersion"))
    oldest = _api_version(fields.get("MinAPIVersion", "1.12"))
    components = _items(fields.get("Components"))
    podman = bool(components) and "Podman" in _text(_fields(components[0]).get("Name", ""))
    name = "%s %s" % ("Podman" if podman else "Docker", _text(fields.get("Version", ""))[:60])
    if newest < LOWEST_API or oldest > HIGHEST_API:
        raise ProtocolError("%s is too %s: it speaks API %s to %s, netmgr %s to %s" % (
            (name, "old" if newest < LOWEST_API else "new") + tuple(map(_dotted, (oldest, newest, LOWEST_API, HIGHEST_API)))))
    return Engine(name, _dotted(min(newest, HIGHEST_API)), podman)


def notice(line: bytes) -> Optional[Notice]:
    """What one event says; None for one that cannot change the list.  ProtocolError."""
    event = _fields(_json(line))
    kind = event.get("Type")
    if kind not in ("container", "network"):
        return None
    action = _text(event.get("Action", "")).partition(":")[0]
    if action not in (NETWORK_EVENTS if kind == "network" else (*CONTAINER_EVENTS, HEALTH_EVENT)):
        return None
    actor = _fields(event.get("Actor"))
    container = actor.get("ID")
    if kind == "network":
        container = _fields(actor.get("Attributes")).get("container", container)
    return Notice(_text(container or "")[:IDENTIFIER_LENGTH], (kind, action) in EARLY_EVENTS)


def listing(body: bytes, podman: bool) -> Listing:
    """The reply to list_request.  ProtocolError."""
    entries = [_fields(entry) for entry in _items(_json(body))]
    counting = [entry for entry in entries if entry.get("State") in ("running", "paused")]
    containers = tuple(map(_container, counting))
    unclear = (seen.id for seen, entry in zip(containers, counting)
               if seen.healthy is None and not entry.get("Health") and (podman or entry["State"] == "paused"))
    return Listing(containers, tuple(unclear))


def inspected_health(body: bytes) -> Optional[bool]:
    """The health in the reply to inspect_request; None without a health check.  ProtocolError."""
    state = _fields(_fields(_json(body)).get("State"))
    health = _fields(state.get("Health") or state.get("Healthcheck"))
    return _HEALTH.get(_text(health.get("Status") or ""))


def _container(entry: Dict[str, Any]) -> ContainerSeen:
    names = [_text(name) for name in _items(entry.get("Names"))]
    labels = _fields(entry.get("Labels"))
    networks = _fields(_fields(entry.get("NetworkSettings")).get("Networks"))
    return ContainerSeen(
        _identifier(entry.get("Id")),
        names[0].lstrip("/") if names else "",
        tuple(sorted((_text(key), _text(value)) for key, value in labels.items())),
        tuple(endpoint for name in sorted(networks) for endpoint in _endpoints(_text(name), _fields(networks[name]))),
        _listed_health(entry),
    )


def _listed_health(entry: Dict[str, Any]) -> Optional[bool]:
    if entry.get("Health"):
        return _HEALTH.get(_text(_fields(entry["Health"]).get("Status") or ""))
    status = _text(entry.get("Status") or "")
    return next((health for end, health in _STATUS_ENDS.items() if status.endswith(end)), None)


def _endpoints(network: str, entry: Dict[str, Any]) -> Iterator[Endpoint]:
    for address_key, length_key, size in (("IPAddress", "IPPrefixLen", 4), ("GlobalIPv6Address", "GlobalIPv6PrefixLen", 16)):
        if entry.get(address_key):
            address = _address(_text(entry[address_key]), size)
            yield Endpoint(network, address, _prefix_length(entry.get(length_key), size))


def _address(text: str, size: int) -> bytes:
    try:
        return IPv4Address(text).packed if size == 4 else IPv6Address(text).packed
    except ValueError:
        raise ProtocolError("not an address of %d bytes: %.60r" % (size, text)) from None


def _prefix_length(value: Any, size: int) -> int:
    """The network's prefix length; an engine that does not tell it (0) must not make a network of the whole Internet."""
    length = 0 if value is None else value
    if type(length) is not int or not 0 <= length <= size * 8:
        raise ProtocolError("not a prefix length for an address of %d bytes" % size)
    return length or size * 8


def _get(api: str, path: str, filters: Dict[str, List[str]]) -> bytes:
    pairs = ('"%s":[%s]' % (key, ",".join('"%s"' % each for each in values)) for key, values in filters.items())
    quoted = "".join(letter if letter.isalnum() or letter in "_," else "%%%02X" % ord(letter) for letter in "{%s}" % ",".join(pairs))
    return http1.get("/v%s%s?filters=%s" % (api, path, quoted), "docker")


def _json(body: bytes) -> Any:
    import json

    try:
        return json.loads(body.decode("utf-8"), parse_int=_integer)
    except RecursionError:
        raise ProtocolError("JSON nested too deeply") from None
    except ValueError as error:
        raise ProtocolError("not JSON: %s" % error) from None


def _integer(digits: str) -> int:
    if len(digits) > NUMBER_DIGITS:
        raise ProtocolError("a number of %d digits" % len(digits))
    return int(digits)


def _fields(value: Any) -> Dict[str, Any]:
    """An object; null, which is Go's empty map, is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ProtocolError("expected an object, got a value of type %s" % type(value).__name__)
    return value


def _items(value: Any) -> List[Any]:
    """An array; null, which is Go's empty slice, is an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ProtocolError("expected an array, got a value of type %s" % type(value).__name__)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ProtocolError("expected a text, got a value of type %s" % type(value).__name__)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ProtocolError("a text that is not Unicode: %.60r" % value) from None
    return value


def _identifier(value: Any) -> str:
    text = _text(value)
    if not text or len(text) > IDENTIFIER_LENGTH or not text.isascii() or not text.isalnum():
        raise ProtocolError("not a container's id: %.60r" % text)
    return text


def _api_version(value: Any) -> Tuple[int, ...]:
    parts = value.split(".") if isinstance(value, str) else []
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) <= 4 for part in parts):
        raise ProtocolError("not a container engine: its answer has no API version")
    return tuple(map(int, parts))


def _dotted(version: Tuple[int, ...]) -> str:
    return ".".join(map(str, version))
