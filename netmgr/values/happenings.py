"""What happens, as one value: the log, `log`, `watch`, the journal's fields and the page say it in different clothes."""

from __future__ import annotations

from typing import Optional, Tuple

from netmgr.values.named_tuple import NamedTuple

NAMED_AT_MOST = 20      # elements that one happening names; the counts are whole

LEVEL = {
    **dict.fromkeys(("address-added", "address-removed", "link-added", "link-removed", "link-renamed", "link-up", "link-down"), "debug"),
    **dict.fromkeys(("container-started", "container-stopped", "container-changed"), "debug"),
    **dict.fromkeys(("elements-changed", "set-synced", "source-ok", "reload", "resync", "started", "stopping"), "info"),
    **dict.fromkeys(("repaired", "set-missing", "source-lost"), "warning"), "set-error": "error",
}


class Culprit(NamedTuple):
    """Who committed something: pid and name as the kernel tells them, command line and unit where they could still be read."""

    pid: int
    process: str
    command: Optional[str] = None
    unit: Optional[str] = None

    def __str__(self) -> str:
        return "%s (pid %d%s)" % (self.process, self.pid, ", %s" % self.unit if self.unit else "")


class Happening(NamedTuple):
    """One of LEVEL's kinds, and of the rest what applies.  Without a kind it is only a cause of others.

    `time` is UTC, as 2026-11-27T20:31:05.123456Z.  `cause` begins with what it is about: "eth0: address added".  `added`, `removed` and
    `restored` (others' elements, put back by netmgr) name elements in nft's notation, at most NAMED_AT_MOST; the counts are of all.
    `text`: its line, where who tells has one.
    """

    kind: str
    time: str = ""
    cause: Optional[str] = None
    interface: Optional[str] = None
    address: Optional[str] = None
    container: Optional[str] = None
    engine: Optional[str] = None
    zone: Optional[str] = None
    set: Optional[str] = None
    sets: Tuple[str, ...] = ()
    source: Optional[str] = None
    error: Optional[str] = None
    added: Tuple[str, ...] = ()
    removed: Tuple[str, ...] = ()
    added_count: int = 0
    removed_count: int = 0
    restored: Tuple[str, ...] = ()
    culprit: Optional[Culprit] = None
    text: Optional[str] = None
