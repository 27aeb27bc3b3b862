"""What this host publishes: one record a zone, all on one lease, each written only where it may be.

A key that is absent, or hangs on our lease, is ours to write.  One that says our own instance is our former process': it is taken over, by
the revision that was read.  One of another instance belongs to a host with the same name; we wait for its lease to end, and after twice
the time of a lease that is a conflict.

What changes is collected for a moment, and more than one transaction a second is never sent for long.  A zone that may not be written,
or whose record is too large, keeps nobody back: it is left alone for a while, with the reason, and its last good record stays.
"""

from typing import Iterable, List, Optional, Sequence, Tuple

from netmgr.config.fleet import MAX_ADDRESSES
from netmgr.model.fleet import Record, decode, encode, key_of
from netmgr.values.errors import ProtocolError
from netmgr.values.records import Condition, Pair

COLLECT, BETWEEN = 0.05, 1.0        # seconds: before a transaction, and from one to the next
REST = 30.0                         # seconds that a zone is left alone after a refusal


class _Zone:
    """One zone's record: what is wanted, what stands in etcd, and on which condition the next one is written."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.wanted: Optional[Tuple[bytes, ...]] = None
        self.done: Optional[Tuple[bytes, ...]] = None
        self.condition = Condition(key)
        self.alone = False
        self.error: Optional[str] = None
        self.foreign_since: Optional[float] = None
        self.not_before = 0.0


class Publication:
    """All zones of one host.  Times are seconds of a monotonic clock, passed in."""

    def __init__(self, prefix: str, host: str, boot: str, zones: Iterable[str], ttl: float) -> None:
        self.lease = 0
        self._prefix, self._host, self._boot, self._ttl = prefix, host, boot, ttl
        self._zones = {zone: _Zone(key_of(prefix, zone, host)) for zone in zones}
        self._sequence = 0
        self._due = 0.0

    def want(self, zone: str, addresses: Tuple[bytes, ...], now: float) -> None:
        """These are the zone's addresses now."""
        found = self._zones[zone]
        if found.wanted != addresses:
            found.wanted = addresses
            self._due = max(self._due, now + COLLECT)

    def begin(self, lease: int) -> None:
        """There is a new lease: nothing stands on it yet."""
        self.lease = lease
        for zone in self._zones.values():
            zone.done, zone.condition, zone.not_before = None, Condition(zone.key), 0.0

    def due_at(self) -> Optional[float]:
        """When something is to be written; None: nothing is."""
        times = [max(self._due, zone.not_before) for zone in self._zones.values() if _differs(zone)]
        return min(times, default=None) if self.lease else None

    def take(self, now: float) -> List[str]:
        """The zones that go into one transaction now."""
        if not self.lease or now < self._due:
            return []
        zones = [name for name, zone in self._zones.items() if _differs(zone) and zone.not_before <= now]
        alone = next((name for name in zones if self._zones[name].alone), None)
        return zones if alone is None else [alone]

    def records(self, zones: Sequence[str], now: float) -> Tuple[List[Condition], List[Tuple[bytes, bytes]]]:
        """The transaction: what must hold, and what is written then."""
        self._due = now + BETWEEN
        self._sequence += 1
        return [self._zones[name].condition for name in zones], [(self._zones[name].key, self._encoded(name)) for name in zones]

    def held(self, zones: Sequence[str]) -> List[Tuple[bytes, ...]]:
        """What is wanted of these zones."""
        return [self._zones[name].wanted or () for name in zones]

    def written(self, zones: Sequence[str], addresses: Sequence[Tuple[bytes, ...]]) -> None:
        """The transaction took effect."""
        for name, held in zip(zones, addresses):
            zone = self._zones[name]
            zone.done, zone.condition, zone.error, zone.foreign_since, zone.alone = held, Condition(zone.key, self.lease), None, None, False

    def not_written(self, zones: Sequence[str], found: Sequence[Pair], now: float) -> None:
        """A condition did not hold: this is what stands there."""
        pairs = {pair.key: pair for pair in found}
        for name in zones:
            zone = self._zones[name]
            pair = pairs.get(zone.key)
            if pair is None:
                zone.condition = Condition(zone.key)
            elif pair.lease == self.lease:
                zone.condition = Condition(zone.key, self.lease)
            elif self._is_ours(pair):
                zone.condition = Condition(zone.key, 0, pair.revision)
            else:
                zone.condition = Condition(zone.key)
                zone.foreign_since = now if zone.foreign_since is None else zone.foreign_since
                zone.not_before = now + self._ttl / 5

    def refused(self, zones: Sequence[str], reason: str, now: float) -> None:
        """etcd does not let us write: each zone by itself, then the one that it is about rests."""
        for name in zones:
            zone = self._zones[name]
            if len(zones) > 1:
                zone.alone = True
            else:
                zone.error, zone.not_before = "zone %s cannot be published: %s" % (name, reason), now + REST

    def error(self) -> Optional[str]:
        """What keeps a zone from being published, for people."""
        return next((error for error in (zone.error or _too_large(name, zone) for name, zone in self._zones.items()) if error), None)

    def conflict(self, now: float) -> Optional[str]:
        """Why it is a conflict, for people: another instance has our name for twice the time of a lease."""
        for name, zone in self._zones.items():
            if zone.foreign_since is not None and now - zone.foreign_since >= 2 * self._ttl:
                return "another instance publishes as %s (zone %s); names of hosts must be unique" % (self._host, name)
        return None

    def published(self) -> List[Tuple[str, int]]:
        """Each zone that stands in etcd, with the number of its addresses."""
        return [(name, len(zone.done)) for name, zone in self._zones.items() if zone.done is not None]

    def farewell(self) -> List[Tuple[bytes, bytes]]:
        """Empty records for all that stands there."""
        self._sequence += 1
        return [(zone.key, encode(Record(name, self._host, self._boot, self._sequence, ())))
                for name, zone in self._zones.items() if zone.done is not None]

    def _encoded(self, name: str) -> bytes:
        return encode(Record(name, self._host, self._boot, self._sequence, self._zones[name].wanted or ()))

    def _is_ours(self, pair: Pair) -> bool:
        try:
            return decode(self._prefix, pair.key, pair.value).boot == self._boot
        except ProtocolError:
            return False


def _differs(zone: _Zone) -> bool:
    """Whether there is something to write, and it can be."""
    return zone.wanted is not None and zone.wanted != zone.done and len(zone.wanted) <= MAX_ADDRESSES


def _too_large(name: str, zone: _Zone) -> Optional[str]:
    if zone.wanted is None or len(zone.wanted) <= MAX_ADDRESSES:
        return None
    return "zone %s is too large to be published: others take %d addresses of one host, and it has more" % (name, MAX_ADDRESSES)
