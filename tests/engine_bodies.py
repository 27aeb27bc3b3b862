"""What engines say, by API version: the bodies of replies and events, with the fields around those that matter."""

import json
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

APIS = ("1.24", "1.41", "1.44", "1.52")
Networks = Mapping[str, Sequence[str]]      # name -> addresses with prefix lengths


def identifier(number: int) -> str:
    return "%064x" % number


def version(api: str = "1.41", minimum: Optional[str] = "1.12", podman: bool = False) -> bytes:
    fields: Dict[str, Any] = {"Version": "4.3.1" if podman else "20.10.24", "ApiVersion": api, "Os": "linux", "Experimental": True}
    if minimum is not None:
        fields["MinAPIVersion"] = minimum
        fields["Components"] = [{"Name": "Podman Engine" if podman else "Engine", "Version": fields["Version"], "Details": {}}]
    return json.dumps(fields).encode()


def ping(api: str = "1.41", podman: bool = False) -> bytes:
    """The whole reply to GET /_ping."""
    kind = "Libpod-Api-Version: 4.3.1\r\nServer: Libpod/4.3.1 (linux)" if podman else "Server: Docker/20.10.24 (linux)"
    return ("HTTP/1.1 200 OK\r\nApi-Version: %s\r\n%s\r\nContent-Length: 2\r\n\r\nOK" % (api, kind)).encode()


MAC = "02:42:ac:11:00:02"         # of every container in every network


def network(api: str, addresses: Sequence[str]) -> Dict[str, Any]:
    fields: Dict[str, Any] = {
        "IPAMConfig": None, "Links": None, "Aliases": None, "NetworkID": "ab" * 32, "EndpointID": "cd" * 32,
        "MacAddress": MAC,
        "Gateway": "", "IPAddress": "", "IPPrefixLen": 0, "IPv6Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0}
    for each in addresses:
        address, _, length = each.partition("/")
        kind = "GlobalIPv6" if ":" in address else "IP"
        fields.update({kind + "Address": address, kind + "PrefixLen": int(length)})
    if api >= "1.41":
        fields["DriverOpts"] = None
    if api >= "1.44":
        fields["DNSNames"] = None
    if api >= "1.52":
        fields["GwPriority"] = 0
    return fields


def container(number: int, networks: Optional[Networks] = None, api: str = "1.41", name: str = "", labels: Optional[Dict[str, str]] = None,
              state: str = "running", health: str = "none", mode: str = "default", ports: Sequence[str] = (),
              created: int = 1795390633) -> Dict[str, Any]:
    """One entry of the list.  `health` is none, starting, healthy or unhealthy; `ports` are [ADDRESS:]PUBLIC:PRIVATE/PROTOCOL."""
    words = {"none": "", "starting": " (health: starting)"}.get(health, " (%s)" % health)
    fields: Dict[str, Any] = {
        "Id": identifier(number), "Names": ["/" + (name or "c%d" % number)], "Image": "box", "Command": "/bin/sleep 1000",
        "Created": created, "Ports": [port(each) for each in ports],
        "Labels": labels or {}, "State": state, "Status": "Up 2 minutes" + (" (Paused)" if state == "paused" else words),
        "HostConfig": {"NetworkMode": mode}, "Mounts": [],
        "NetworkSettings": {"Networks": {key: network(api, addresses) for key, addresses in (networks or {}).items()}}}
    if api >= "1.52":
        fields["Health"] = {"Status": health, "FailingStreak": 0}
    return fields


def port(words: str) -> Dict[str, Any]:
    """As -p takes it."""
    rest, _slash, protocol = words.partition("/")
    rest, _colon, private = rest.rpartition(":")
    address, _colon, public = rest.rpartition(":")
    fields: Dict[str, Any] = {"IP": address.strip("[]")} if address else {}
    fields["PrivatePort"] = int(private)
    return {**fields, **({"PublicPort": int(public)} if public else {}), "Type": protocol or "tcp"}


def listing(entries: Sequence[Dict[str, Any]]) -> bytes:
    return json.dumps(list(entries)).encode()


def inspection(number: int, health: Optional[str] = None) -> bytes:
    state: Dict[str, Any] = {"Status": "running", "Running": True}
    if health is not None:
        state["Health"] = {"Status": health, "FailingStreak": 0, "Log": None}
    return json.dumps({"Id": identifier(number), "State": state, "NetworkSettings": {"IPAddress": "203.0.113.1"}}).encode()


def event(number: int, action: str, api: str = "1.41", kind: str = "container") -> bytes:
    """One line of the stream.  The event of a network is about container `number`."""
    actor = identifier(number) if kind == "container" else "ef" * 32
    attributes = {"name": "x"} if kind == "container" else {"container": identifier(number), "name": "front", "type": "bridge"}
    fields: Dict[str, Any] = {"Type": kind, "Action": action, "Actor": {"ID": actor, "Attributes": attributes},
                              "scope": "local", "time": 1795390634, "timeNano": 1795390634644273212}
    if api < "1.52" and kind == "container":
        fields.update({"status": action, "id": actor, "from": "box"})
    return json.dumps(fields).encode() + b"\n"


def reply(body: bytes, status: str = "200 OK", chunks: int = 0) -> bytes:
    """A whole reply; with `chunks` of that many bytes, or counted."""
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\n" % status.encode()
    if not chunks:
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    pieces = [body[start:start + chunks] for start in range(0, len(body), chunks)]
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(map(chunk, pieces)) + b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n" % len(data) + data + b"\r\n"


STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


def endpoints(networks: Networks) -> List[Tuple[str, str]]:
    """(network, address with prefix length), in the order that netmgr gives them."""
    return [(name, each) for name in sorted(networks) for each in sorted(networks[name], key=lambda text: ":" in text)]
