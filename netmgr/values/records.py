"""What stands under the keys of a store that hosts share, and on which condition it may be written."""

from typing import Optional, Tuple

from netmgr.values.named_tuple import NamedTuple


class Pair(NamedTuple):
    """A key with its value.  `lease` is 0 where there is none."""

    key: bytes
    value: bytes
    revision: int
    lease: int


class Condition(NamedTuple):
    """What must hold of a key for a transaction: no such key (`lease` and `revision` 0), or this lease, or this revision."""

    key: bytes
    lease: int = 0
    revision: int = 0


class Page(NamedTuple):
    """A part of a list: what there was at `revision` of the store `store`; `more` follows behind the last key."""

    revision: int
    pairs: Tuple[Pair, ...]
    more: bool
    store: int = 0


class Committed(NamedTuple):
    """What became of a transaction; where its conditions did not hold, what the keys that it is about hold instead."""

    succeeded: bool
    revision: int
    found: Tuple[Pair, ...]


class Event(NamedTuple):
    """A key that was written (`pair`) or has gone (None), at a revision."""

    key: bytes
    revision: int
    pair: Optional[Pair]


class Seen(NamedTuple):
    """One line of a watch.

    `created`: the watch has begun, and the store is at `revision`.  `compacted` above 0: what lies before that revision is no longer
    there to be told.  `canceled` says why the watch has ended.  `unfinished`: more events of the last one's revision follow.
    """

    watch: int
    revision: int
    created: bool
    canceled: Optional[str]
    compacted: int
    unfinished: bool
    events: Tuple[Event, ...]
