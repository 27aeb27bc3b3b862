"""Following what hosts publish: lists in pages, then the events of watches, into tables.

A list is taken page by page at one revision, all zones after each other; the watches begin at the revision behind it.  After a break they
go on from where they were, for a list costs the store two hundred times as much.  A list is taken anew only when the store has
thrown away what lies between (compacted), or when it is not the store that it was (it has another name, or a lower revision).

Where a watch goes on: behind the last event that is known to be the last of its revision.  A header's revision runs ahead of events
that are still to come, so it counts for nothing, and that of a progress notice only when it comes twice.
"""

from typing import Callable, Dict, List, Optional, Sequence, Tuple, Union

from netmgr.config.fleet import Consumed
from netmgr.model.fleet import Table, decode, key_of
from netmgr.values.errors import ProtocolError
from netmgr.values.events import HostGone, HostSeen
from netmgr.values.records import Event, Page, Pair, Seen

Told = Callable[[str], None]

CHANGES = 100           # addresses; about as many as one turn of the loop passes on


class Following:
    """All consumed zones.  `told` gets what is refused, in words; times are seconds of a monotonic clock."""

    def __init__(self, prefix: str, rules: Sequence[Consumed], myself: str, linger: float, told: Told) -> None:
        self.tables = tuple(Table(rule, myself, linger) for rule in rules)
        self.listed = False                     # there has been a whole list
        self.revision = 0                       # the highest that is known to have been the store's
        self._store = 0
        self._prefix, self._told = prefix, told
        self._zones = tuple(dict.fromkeys(rule.source for rule in rules))
        self._next: Dict[int, int] = {}         # watch -> the revision that it goes on from
        self._noticed: Dict[int, int] = {}      # watch -> the revision of its last progress notice
        self._listing: List[str] = []
        self._at = 0
        self._after = b""

    # -- a list

    def begin_list(self) -> None:
        """Take everything anew."""
        self._listing, self._at, self._after = list(self._zones), 0, b""
        self._next.clear()
        self._noticed.clear()
        for table in self.tables:
            table.begin_list()

    def page(self) -> Optional[Tuple[bytes, bytes, int]]:
        """What to ask for next, (first key, end of the range, revision; 0 is the present one); None: nothing."""
        if not self._listing:
            return None
        prefix = key_of(self._prefix, self._listing[0])
        return self._after or prefix, _end(prefix), self._at

    def take_page(self, page: Page, now: float) -> None:
        """The answer to that."""
        self._at = self._at or page.revision
        self.revision = max(self.revision, page.revision)
        for pair in page.pairs:
            self._put(pair)
        if page.more and page.pairs:
            self._after = page.pairs[-1].key + b"\0"
            return
        self._after = b""
        del self._listing[0]
        if not self._listing:
            self._end_list(now)

    def _end_list(self, now: float) -> None:
        for table in self.tables:
            table.end_list(now)
        self._next = dict.fromkeys(range(len(self._zones)), self._at + 1)
        self.listed = True

    # -- watches

    def watches(self) -> List[Tuple[int, bytes, bytes, int]]:
        """(number, first key, end of the range, from which revision) of each watch; none before there is a list."""
        prefixes = [key_of(self._prefix, zone) for zone in self._zones]
        return [(number, prefixes[number], _end(prefixes[number]), revision) for number, revision in self._next.items()]

    def take(self, seen: Seen, now: float) -> bool:
        """One line of a watch.  False: what it should have told is gone; everything must be listed anew."""
        if seen.watch not in self._next:
            return True
        if seen.compacted:
            return False
        for event in seen.events:
            self._happened(event, now)
        if seen.events:
            self.revision = max(self.revision, seen.events[-1].revision)
        if seen.events and not seen.unfinished:
            self._next[seen.watch] = max(self._next[seen.watch], seen.events[-1].revision + 1)
        elif not seen.events and not seen.created:
            self._progress(seen.watch, seen.revision)
        return True

    def behind(self, seen: Seen) -> bool:
        """Whether a watch that has just begun waits for a revision that its member has not reached: it lags, or it is another store."""
        return seen.created and seen.watch in self._next and seen.revision < self._next[seen.watch] - 1

    def saw(self, page: Page) -> bool:
        """A member that the others agree with has answered.  False: this is not the store that it was, by its name or its revision."""
        same = page.revision >= self.revision and page.store == (self._store or page.store)
        self.revision, self._store = page.revision, page.store
        return same

    def _progress(self, watch: int, revision: int) -> None:
        if self._noticed.get(watch) == revision:
            self._next[watch] = max(self._next[watch], revision + 1)
        self._noticed[watch] = revision

    # -- tables

    def doubt(self, until: float) -> None:
        """Others had the same break as we: what goes before that time is held."""
        for table in self.tables:
            table.doubt(until)

    def forget(self) -> None:
        """What was heard is too old to count; there must be a new list."""
        self.listed = False
        self._next.clear()
        for table in self.tables:
            table.forget_all()

    def settle(self, now: float) -> None:
        """Let go what was held for long enough."""
        for table in self.tables:
            table.settle(now)

    def deadline(self) -> Optional[float]:
        """When to settle()."""
        return min((when for when in (table.deadline() for table in self.tables) if when is not None), default=None)

    def entries(self) -> int:
        """How many records are known."""
        return sum(table.hosts + table.turned_away for table in self.tables)

    @property
    def untold(self) -> bool:
        """Whether changes() has more to say."""
        return any(table.changed for table in self.tables)

    def mention(self, zone: str, host: str) -> None:
        """Let changes() say how it is with this host, as with one that has changed."""
        for table in self.tables:
            if table.rule.zone == zone:
                table.changed.add(host)

    def changes(self) -> List[Union[HostSeen, HostGone]]:
        """HostSeen and HostGone of what changed since the last call; of very much that changed a part."""
        found: List[Union[HostSeen, HostGone]] = []
        size = 0
        for table in self.tables:
            while table.changed and size < CHANGES:
                host = table.changed.pop()
                held = table.addresses_of(host)
                found.append(HostGone(table.rule.zone, host) if held is None else HostSeen(table.rule.zone, host, held))
                size += max(1, len(held or ()))
        return sorted(found, key=lambda each: (each.zone, each.host))

    def _happened(self, event: Event, now: float) -> None:
        if event.pair is not None:
            self._put(event.pair)
            return
        zone, _, host = event.key[len(self._prefix):].decode("utf-8", "replace").partition("/")
        for table in self.tables:
            if table.rule.source == zone:
                table.gone(host, now)

    def _put(self, pair: Pair) -> None:
        zone, _, host = pair.key[len(self._prefix):].decode("utf-8", "replace").partition("/")
        tables = [table for table in self.tables if table.rule.source == zone and table.concerns(host)]
        if not tables:
            return
        try:
            record = decode(self._prefix, pair.key, pair.value)
        except ProtocolError as problem:
            refusals = {table.refuse(host, str(problem)) for table in tables}
        else:
            refusals = {table.put(record, pair.lease != 0) for table in tables}
        for reason in sorted(each for each in refusals if each is not None):
            self._told("the record of %s in zone %s is refused: %s" % (host, zone, reason))


def _end(prefix: bytes) -> bytes:
    """The end of the range of all keys that begin with this."""
    return prefix[:-1] + bytes((prefix[-1] + 1,))
