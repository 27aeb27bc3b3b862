"""The fleet: what hosts publish, what of it is acceptable, and whose addresses count just now.

A record is one host's whole zone under one key, PREFIX ZONE/HOST, so that it moves in one event:

    {"v": 1, "zone": "wan", "host": "edge-17", "boot": "…", "seq": 12, "addresses": ["203.0.113.7", "2001:db8::7"]}

`boot` names the running instance.  Nobody is believed without need: a record must have a lease, say the zone and the host of its key,
and hold only addresses that the configuration accepts; a bad one is refused whole, and the host's last good one goes on to count until
its lease ends.

A host that is missing after a break of our own may be alive: others had the same break and are about to publish again.  So while a
table is in doubt (`doubt_until`), what goes is only held, until that time is over.  Hosts that go at other times linger for as long as
the configuration says.

Times are seconds of any monotonic clock; whoever asks passes them in.
"""

import json
from bisect import bisect_left, insort
from fnmatch import fnmatchcase
from typing import Any, Dict, Iterable, List, Optional, Sequence, Set, Tuple

from netmgr.config.fleet import Consumed, Network, host_name
from netmgr.values import addresses
from netmgr.values.errors import ProtocolError
from netmgr.values.events import HostSeen
from netmgr.values.named_tuple import NamedTuple

VERSION = 1
RECORD_LIMIT = 16 << 10         # bytes
REFUSALS_KEPT = 1000            # the others are only counted
REFUSALS_NAMED = 20

_FORBIDDEN6 = addresses.parse("::")[0]


class Record(NamedTuple):
    """What one host publishes of one zone; `addresses` are packed."""

    zone: str
    host: str
    boot: str
    sequence: int
    addresses: Tuple[bytes, ...]


def key_of(prefix: str, zone: str, host: str = "") -> bytes:
    """A record's key; without a host what all keys of the zone begin with."""
    return ("%s%s/%s" % (prefix, zone, host)).encode()


def encode(record: Record) -> bytes:
    """The record's bytes.  ValueError when they are more than anybody takes."""
    fields = {"v": VERSION, "zone": record.zone, "host": record.host, "boot": record.boot, "seq": record.sequence,
              "addresses": [addresses.text(each) for each in record.addresses]}
    value = json.dumps(fields, separators=(",", ":")).encode()
    if len(value) > RECORD_LIMIT:
        raise ValueError("a record of %d bytes; others take %d" % (len(value), RECORD_LIMIT))
    return value


def decode(prefix: str, key: bytes, value: bytes) -> Record:
    """The record in a key and its value.  ProtocolError says what is wrong with it."""
    zone, _, host = _decoded_key(prefix, key).partition("/")
    fields = _fields(value)
    if type(fields.get("v")) is not int or fields["v"] != VERSION:
        raise ProtocolError("a record of version %.20r; this netmgr knows %d" % (fields.get("v"), VERSION))
    if (fields.get("zone"), fields.get("host")) != (zone, host):
        raise ProtocolError("it says that it is of another zone or host than its key")
    boot, sequence = fields.get("boot"), fields.get("seq")
    if not isinstance(boot, str) or not boot.isprintable() or len(boot) > 128 or type(sequence) is not int:
        raise ProtocolError("it does not say which instance it is from")
    return Record(zone, host, boot, sequence, _addresses(fields.get("addresses")))


def unacceptable(record: Record, rule: Consumed) -> Optional[str]:
    """Why a record is refused; None when it is not."""
    if len(record.addresses) > rule.max_addresses:
        return "%d addresses; at most %d are accepted of one host" % (len(record.addresses), rule.max_addresses)
    for address in record.addresses:
        if _means_no_host(address):
            return "%s is no address of a host" % addresses.text(address)
        if rule.accept is not None and not any(_inside(address, network) for network in rule.accept):
            return "%s is in none of the accepted networks" % addresses.text(address)
    return None


class Table:
    """What one local zone holds of all hosts.

    `changes` collects the hosts whose addresses began to count, ended to count, or changed; whoever takes them clears it.
    """

    def __init__(self, rule: Consumed, myself: str, linger: float) -> None:
        self.rule = rule
        self.refused: Dict[str, str] = {}
        self.refusals = 0
        self.leaving: Dict[str, float] = {}
        self.held: Set[str] = set()
        self.changed: Set[str] = set()
        self.doubt_until = 0.0
        self._myself, self._linger = myself, linger
        self._known: Dict[str, Tuple[bytes, ...]] = {}
        self._names: List[str] = []
        self._unlisted: Optional[Set[str]] = None

    @property
    def hosts(self) -> int:
        """How many hosts count."""
        return min(len(self._names), self.rule.max_hosts)

    @property
    def turned_away(self) -> int:
        """How many hosts do not count because there are too many."""
        return len(self._names) - self.hosts

    def addresses_of(self, host: str) -> Optional[Tuple[bytes, ...]]:
        """What counts of a host; None: it does not."""
        return self._known.get(host) if self._counts(host) else None

    @property
    def addresses(self) -> int:
        """How many addresses count, each as often as a host has it."""
        return sum(map(len, map(self._known.__getitem__, self._names[:self.rule.max_hosts])))

    def counting(self) -> Iterable[HostSeen]:
        """Everything that counts."""
        return (HostSeen(self.rule.zone, name, self._known[name]) for name in self._names[:self.rule.max_hosts])

    def concerns(self, host: str) -> bool:
        """Whether the configuration wants this host's records."""
        if host == self._myself and not self.rule.own:
            return False
        return any(fnmatchcase(host, pattern) for pattern in self.rule.hosts)

    def put(self, record: Record, leased: bool) -> Optional[str]:
        """A host has published.  Why it is refused, when that is news; None else."""
        host = record.host
        reason = unacceptable(record, self.rule) if leased else "it has no lease, so it would never die"
        if reason is not None:
            return self.refuse(host, reason)
        self.refused.pop(host, None)
        self.leaving.pop(host, None)
        self.held.discard(host)
        self._listed(host)
        if self._known.get(host) != record.addresses:
            if host not in self._known:
                self._add(host)
            self._known[host] = record.addresses
            self.changed.add(host)
        return None

    def refuse(self, host: str, reason: str) -> Optional[str]:
        """A host's record is no good; its last good one stays."""
        self._listed(host)
        self.leaving.pop(host, None)
        self.held.discard(host)
        self.refusals += 1
        if self.refused.get(host) == reason or (host not in self.refused and len(self.refused) >= REFUSALS_KEPT):
            return None
        self.refused[host] = reason
        return reason

    def gone(self, host: str, now: float) -> None:
        """A host's key is no longer there."""
        self.refused.pop(host, None)
        self._listed(host)
        if host in self._known and host not in self.leaving:
            self._leave(host, now)

    def begin_list(self) -> None:
        """A list of everything begins."""
        self._unlisted = {*self._known, *self.refused}

    def end_list(self, now: float) -> None:
        """The list is complete: what was not in it is gone."""
        unlisted, self._unlisted = self._unlisted or set(), None
        for host in sorted(unlisted):
            self.gone(host, now)

    def doubt(self, until: float) -> None:
        """What goes before that time is held."""
        self.doubt_until = max(self.doubt_until, until)

    def forget_all(self) -> None:
        """Nothing of it counts any longer."""
        for host in list(self._known):
            self._drop(host)

    def settle(self, now: float) -> None:
        """What has left for long enough is gone."""
        for host in [host for host, when in self.leaving.items() if when <= now]:
            self._drop(host)

    def deadline(self) -> Optional[float]:
        """When to settle()."""
        return min(self.leaving.values(), default=None)

    def _leave(self, host: str, now: float) -> None:
        when = now + self._linger
        if now < self.doubt_until:
            self.held.add(host)
            when = max(when, self.doubt_until)
        if when <= now:
            self._drop(host)
        else:
            self.leaving[host] = when

    def _listed(self, host: str) -> None:
        if self._unlisted is not None:
            self._unlisted.discard(host)

    def _counts(self, host: str) -> bool:
        return host in self._known and (len(self._names) <= self.rule.max_hosts or bisect_left(self._names, host) < self.rule.max_hosts)

    def _add(self, host: str) -> None:
        """One host more; the last by name may have to make room."""
        insort(self._names, host)
        if len(self._names) > self.rule.max_hosts:
            self.changed.add(self._names[self.rule.max_hosts])

    def _drop(self, host: str) -> None:
        """One host less; another may take the room."""
        del self._known[host]
        del self._names[bisect_left(self._names, host)]
        self.leaving.pop(host, None)
        self.held.discard(host)
        self.changed.add(host)
        if len(self._names) >= self.rule.max_hosts:
            self.changed.add(self._names[self.rule.max_hosts - 1])


def _decoded_key(prefix: str, key: bytes) -> str:
    try:
        text = key.decode("ascii")
        zone, slash, host = text[len(prefix):].partition("/")
        if not text.startswith(prefix) or not slash or not zone:
            raise ValueError
        return "%s/%s" % (zone, host_name(host))
    except ValueError:
        raise ProtocolError("not the key of a record: %.80r" % key) from None


def _fields(value: bytes) -> Dict[str, Any]:
    if len(value) > RECORD_LIMIT:
        raise ProtocolError("a record of %d bytes; at most %d are accepted" % (len(value), RECORD_LIMIT))
    try:
        fields = json.loads(value.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ProtocolError("it is no JSON") from None
    if not isinstance(fields, dict):
        raise ProtocolError("it is no JSON object")
    return fields


def _addresses(value: Any) -> Tuple[bytes, ...]:
    if not isinstance(value, list):
        raise ProtocolError("it has no list of addresses")
    return tuple(dict.fromkeys(map(_address, value)))


def _address(value: Any) -> bytes:
    try:
        if not isinstance(value, str) or "/" in value or "%" in value or len(value) > 45:
            raise ValueError
        return addresses.parse(value)[0]
    except ValueError:
        raise ProtocolError("not an address: %.60r" % (value,)) from None


def _means_no_host(address: bytes) -> bool:
    """Unspecified, loopback, multicast, broadcast, link-local; also when it is an IPv4 address inside of IPv6."""
    if len(address) == 16 and address.startswith(bytes(10) + b"\xff\xff"):
        return True
    first = address[0]
    if addresses.kinds(address, 0) & (addresses.LINK_LOCAL | addresses.LOOPBACK):
        return True
    return first == 0xFF or address == _FORBIDDEN6 if len(address) == 16 else first == 0 or first >= 224


def _inside(address: bytes, network: Network) -> bool:
    packed, length = network
    return len(packed) == len(address) and addresses.network(address, length) == packed


def text_of_refusals(refused: Sequence[Tuple[str, str]]) -> str:
    """The first few, for people."""
    named = ["%s: %s" % each for each in sorted(refused)[:REFUSALS_NAMED]]
    return "; ".join(named) + (" and %d more" % (len(refused) - REFUSALS_NAMED) if len(refused) > REFUSALS_NAMED else "")
