"""The API of Docker and Podman: what to ask, and what answers and events mean.  For containers see docker_containers.py.

The list of containers is the truth; an event only says that it is time to ask again, and about which container it is.  Of events
`Type`, `Action` and `Actor` are read: what API 1.24 to 1.52 have in common.

Some events are early: an engine tells them before its list shows their effect, and may tell nothing afterwards.  Docker 20.10 does so
with `die` (a container that ended by itself stays in the list as running for some ten milliseconds), all of Docker with the connecting
and disconnecting of a running container.  Inspecting that container waits, in the engine, for the lock under which such a change
is made, so a list that is asked for after the inspection shows it.

Podman: `remove` is what Docker calls `destroy`; a network's event has the container in Actor.ID, where Docker has the network (and the
container in an attribute).  Its list knows states that neither engine takes as a filter, so all containers are asked for.

Who stands between (a socket proxy) may refuse some paths.  GET /_ping tells what is needed as well as GET /version does.
"""

from typing import Any, Dict, List, Optional, Sequence, Tuple

from netmgr.values.errors import ProtocolError
from netmgr.values.named_tuple import NamedTuple
from netmgr.wire import http1
from netmgr.wire.docker_containers import is_identifier
from netmgr.wire.json_values import fields, items, parse, text
from netmgr.wire.lines import Lines

LOWEST_API, HIGHEST_API = (1, 24), (1, 52)
LOWEST_LIBPOD = 4               # before it, /libpod/ tells nothing that is needed here

VERSION_TARGET, PING_TARGET = "/version", "/_ping"
SHORT_LIMIT = 1 << 20           # bytes of an answer that is not expected to be long
LIST_LIMIT = 64 << 20
INSPECT_LIMIT = 4 << 20
LINE_LIMIT = 1 << 20
SEPARATORS = b" \t\r\n\x1e"
LONGEST_NAME = 60
ERROR_LENGTH = 200

REFUSALS = (401, 403, 405)      # by somebody who may let other requests pass
REFUSED_ALONE = " (others are allowed; does a socket proxy leave this one out?)"

HEALTH_EVENT = "health_status"
CONTAINER_EVENTS = (
    "start", "restart", "restore", "die", "died", "stop", "kill", "pause", "unpause", "rename", "update", "destroy", "remove")
JOINING_EVENTS = ("connect", "disconnect")
NETWORK_EVENTS = (*JOINING_EVENTS, "update", "destroy", "remove")
EARLY_EVENTS = frozenset((("container", "die"), ("container", "died"), ("network", "connect"), ("network", "disconnect")))


class Engine(NamedTuple):
    """Who answered, and the API version to use, "1.41".  `libpod` is that of Podman's own API, "4.3.1"; empty where there is none."""

    name: str
    api: str
    podman: bool
    libpod: str = ""


class Notice(NamedTuple):
    """Something changed.  `container`: its id where known, else empty; `early`: the list may not show it yet."""

    container: str
    early: bool


def event_lines() -> Lines:
    """What cuts the stream of events, which may have record separators (RFC 7464) before each."""
    return Lines(LINE_LIMIT, "an event", SEPARATORS)


def events_target(api: str, health: bool) -> str:
    """The events to come that `notice` knows, those of health checks only if wanted: a check is run often."""
    events = [*CONTAINER_EVENTS, *NETWORK_EVENTS] + [HEALTH_EVENT] * health
    return "/v%s/events?%s" % (api, _filters({"type": ["container", "network"], "event": sorted(set(events))}))


def list_target(engine: Engine, containers: Sequence[str] = ()) -> str:
    """All containers that may run, or those of these ids."""
    filters: Dict[str, Sequence[str]] = {} if engine.podman else {"status": ["running", "paused"]}
    if containers:
        filters["id"] = containers
    words = ["all=true"] * engine.podman + [_filters(filters)] * bool(filters)
    return "/v%s/containers/json?%s" % (engine.api, "&".join(words))


def inspect_target(engine: Engine, container: str) -> str:
    """Everything about one container."""
    return "/v%s/containers/%s/json" % (engine.libpod + "/libpod" if engine.libpod else engine.api, container)


def complaint(target: str, head: http1.Head, body: bytes) -> str:
    """What an engine says with a status that is not 200, for people: which request, and why."""
    try:
        message = text(fields(parse(body)).get("message"))
    except ProtocolError:
        message = body[:ERROR_LENGTH].decode("utf-8", "replace")
    if message.lstrip().startswith("<"):
        message = ""            # a page for browsers
    words = "GET %s: HTTP %d %s" % (target.partition("?")[0], head.status, message or head.reason)
    return " ".join(words.split())[:ERROR_LENGTH] + REFUSED_ALONE * (head.status in REFUSALS)


def all_refused(head: http1.Head) -> str:
    """What to say when neither VERSION_TARGET nor PING_TARGET is allowed."""
    return "GET %s and GET %s: HTTP %d %s (every request is refused, it seems)" % (
        VERSION_TARGET, PING_TARGET, head.status, head.reason[:LONGEST_NAME])


def engine(body: bytes) -> Engine:
    """The answer to VERSION_TARGET.  ProtocolError when it is no engine, or one with which no API version is shared."""
    found = fields(parse(body))
    newest = _api_version(found.get("ApiVersion"))
    oldest = _api_version(found.get("MinAPIVersion", "1.12"))
    components = items(found.get("Components"))
    podman = bool(components) and "Podman" in text(fields(components[0]).get("Name", ""))
    return _engine(podman, text(found.get("Version", "")), oldest, newest)


def pinged(head: http1.Head) -> Engine:
    """The answer to PING_TARGET, which is in its header.  ProtocolError, as with `engine`."""
    version = head.headers.get("libpod-api-version", "")
    told = head.headers.get("server", "").partition(" ")[0].partition("/")[2]
    return _engine(bool(version), version or told, (1, 12), _api_version(head.headers.get("api-version")))


def notice(line: bytes) -> Optional[Notice]:
    """What one event says; None for one that cannot change the list.  ProtocolError."""
    event = fields(parse(line))
    kind = event.get("Type")
    if kind not in ("container", "network"):
        return None
    action = text(event.get("Action", "")).partition(":")[0]
    if action not in (NETWORK_EVENTS if kind == "network" else (*CONTAINER_EVENTS, HEALTH_EVENT)):
        return None
    actor = fields(event.get("Actor"))
    container = text(actor.get("ID") or "")
    if kind == "network":
        container = text(fields(actor.get("Attributes")).get("container", container)) if action in JOINING_EVENTS else ""
    return Notice(container if is_identifier(container) else "", (kind, action) in EARLY_EVENTS)


def _engine(podman: bool, version: str, oldest: Tuple[int, ...], newest: Tuple[int, ...]) -> Engine:
    name = "%s %s" % ("Podman" if podman else "Docker", version[:LONGEST_NAME])
    if newest < LOWEST_API or oldest > HIGHEST_API:
        raise ProtocolError("%s is too %s: it speaks API %s to %s, netmgr %s to %s" % (
            (name, "old" if newest < LOWEST_API else "new") + tuple(map(_dotted, (oldest, newest, LOWEST_API, HIGHEST_API)))))
    return Engine(name, _dotted(min(newest, HIGHEST_API)), podman, _libpod(version) if podman else "")


def _libpod(version: str) -> str:
    """The version of Podman's own API is that of Podman, without what stands behind it: 5.0.0-rc1."""
    numbers = version.partition("-")[0].split(".")
    plain = len(numbers) == 3 and all(each.isascii() and each.isdigit() and len(each) <= 4 for each in numbers)
    return ".".join(numbers) if plain and int(numbers[0]) >= LOWEST_LIBPOD else ""


def _filters(filters: Dict[str, Sequence[str]]) -> str:
    pairs = ('"%s":[%s]' % (key, ",".join('"%s"' % each for each in values)) for key, values in filters.items())
    return "filters=" + "".join(
        letter if letter.isalnum() or letter in "_," else "%%%02X" % ord(letter) for letter in "{%s}" % ",".join(pairs))


def _api_version(value: Any) -> Tuple[int, ...]:
    parts: List[str] = value.split(".") if isinstance(value, str) else []
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() and len(part) <= 4 for part in parts):
        raise ProtocolError("not a container engine: its answer has no API version")
    return tuple(map(int, parts))


def _dotted(version: Tuple[int, ...]) -> str:
    return ".".join(map(str, version))
