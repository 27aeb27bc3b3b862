"""The section `fleet` as a value: which zones are published through etcd, and which local zones hold what other hosts publish.

Loaded only for configurations that have it.  Endpoints are literal addresses, for to look up a name is to wait.
"""

import re
from typing import Optional, Tuple

from netmgr.config import scalars
from netmgr.values import addresses
from netmgr.values.choice import Own
from netmgr.values.errors import Entry
from netmgr.values.named_tuple import NamedTuple

DEFAULT_PORT = 2379
MAX_ADDRESSES, MAX_HOSTS = 64, 20_000

_HOST = re.compile(r"[A-Za-z0-9._-]{1,64}")
_ENDPOINT = re.compile(r"(https?)://(\[[0-9a-fA-F:.]+\]|[0-9.]+)(?::([0-9]{1,5}))?/?")

Network = Tuple[bytes, int]


class Endpoint(NamedTuple):
    """Where a member listens: http or https with an address and a port, or unix with a path as the host."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        if self.scheme == "unix":
            return "unix:%s" % self.host
        return "%s://%s:%d" % (self.scheme, "[%s]" % self.host if ":" in self.host else self.host, self.port)

    @property
    def loopback(self) -> bool:
        """Whether what is said to it stays on this machine."""
        return self.scheme == "unix" or bool(addresses.kinds(addresses.parse(self.host)[0], 0) & addresses.LOOPBACK)


class Tls(NamedTuple):
    """Paths of PEM files; None: the system's authorities, no certificate of our own.  `server_name` is what the members' must bear."""

    ca: Optional[str] = None
    certificate: Optional[str] = None
    key: Optional[str] = None
    server_name: Optional[str] = None


class Published(NamedTuple):
    """A zone whose addresses others are told, those that count in it unless `own` says otherwise."""

    zone: str
    own: Own = Own()
    entry: Optional[Entry] = None


class Consumed(NamedTuple):
    """A local zone that holds what other hosts publish of zone `source`.

    `hosts` are names or shell patterns; `own`: this host's record counts, too.  `accept`: the networks in which an address must be;
    None: any.  More than `max_addresses` of one host refuse its record; of hosts at most `max_hosts` count, the first by name.
    """

    zone: str
    source: str
    hosts: Tuple[str, ...] = ("*",)
    own: bool = False
    accept: Optional[Tuple[Network, ...]] = ()
    max_addresses: int = MAX_ADDRESSES
    max_hosts: int = MAX_HOSTS
    entry: Optional[Entry] = None


class Fleet(NamedTuple):
    """The section.  `name` None: the host's name; `user` None: no authentication; `stale` None: keep; times are seconds."""

    endpoints: Tuple[Endpoint, ...]
    name: Optional[str] = None
    prefix: str = "/netmgr/1/"
    tls: Tls = Tls()
    user: Optional[str] = None
    password_file: Optional[str] = None
    ttl: int = 30
    publish: Tuple[Published, ...] = ()
    consume: Tuple[Consumed, ...] = ()
    stale: Optional[float] = None
    linger: float = 0.0

    def zones(self) -> Tuple[str, ...]:
        """Every local zone that it names."""
        return (*(each.zone for each in self.publish), *(each.zone for each in self.consume))


def endpoint(text: str) -> Endpoint:
    """http://ADDRESS:PORT, https://ADDRESS:PORT or unix:/PATH"""
    if text.startswith("unix:"):
        return Endpoint("unix", scalars.socket_path(text[5:]), 0)
    match = _ENDPOINT.fullmatch(text)
    if match is None:
        raise ValueError("http://, https:// with a literal address, or unix: with a path; to look up a name would be to wait for it")
    host, port = match.group(2).strip("[]"), int(match.group(3) or DEFAULT_PORT)
    addresses.parse(host)
    if not 0 < port < 65536:
        raise ValueError("ports are 1 to 65535")
    return Endpoint(match.group(1), host, port)


def host_name(text: str) -> str:
    """The name of a host of the fleet, which is the end of its keys."""
    if _HOST.fullmatch(text) is None:
        raise ValueError("1 to 64 letters, digits and . _ -")
    return text
