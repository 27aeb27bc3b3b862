"""Ready-made set contents, so that a ruleset can load sets already filled.

A file says what netmgr holds in its set or, while the set is missing, what it would put there.  Files are written behind the
sets, never before, and with rests in between: a set that changes all the time must not cost a rewrite of its whole file each time, nor
be kept waiting by it.
"""

from functools import partial
from typing import AbstractSet, Callable, Iterable, Optional, Protocol, Set

from netmgr.model.managed_set import ManagedSet
from netmgr.model.model import Model
from netmgr.values.pace import Pace
from netmgr.values.sets import SetName
from netmgr.values.text import Log
from netmgr.wire.nft_text import element_list

REST, REST_SHORTEST = 20, 0.02


class Files(Protocol):
    """Where the files are (netmgr.io.include_files.IncludeFiles); OSError when they cannot be."""

    def write(self, name: SetName, text: str) -> None:
        """Make the file of this set say this."""

    def remove(self, name: SetName) -> None:
        """Have no file for this set."""

    def doubt(self) -> None:
        """Take no file for what it was: compare at the next write."""


def content(model: Model, managed: ManagedSet) -> str:
    """What stands in the file: one `elements = { … }`, or nothing."""
    form = managed.seen.form
    elements: AbstractSet[bytes] = managed.held.ours
    if form is None:
        return ""
    if managed.seen.info is None or not form.interval:
        wanted = model.wanted(managed)
        if managed.seen.info is None or wanted == elements:
            elements = wanted       # the same, in an order that is quicker to sort
    listed = element_list(form, elements)
    return "elements = { %s }\n" % listed if listed else ""


class Includes:
    """Keeps the files current with a model; each error is logged once."""

    def __init__(self, files: Optional[Files], clock: Callable[[], float], log: Log) -> None:
        self._files = files
        self._clock = clock
        self._log = log
        self._pace = Pace(REST, REST_SHORTEST)
        self._errors: Set[str] = set()

    def write(self, model: Model, at_once: bool = False) -> None:
        """Write what has changed, unless it is too early after the last time."""
        begin = self._clock()
        if self._files is None or not model.stale or (begin < self._pace.ready_at and not at_once):
            return
        stale = [model.sets[name] for name in sorted(model.stale) if name in model.sets]
        model.stale.clear()
        for managed in stale:
            if managed.seen.form is not None and not managed.role.retiring:
                self._attempt(partial(self._files.write, managed.name, content(model, managed)))
        self._pace.spent(begin, self._clock())

    def doubt(self, model: Model) -> None:
        """The next write() puts right whatever has happened to the files."""
        if self._files is not None:
            self._files.doubt()
            model.stale.update(model.sets)

    def remove(self, names: Iterable[SetName]) -> None:
        """These sets have no files any more."""
        if self._files is not None:
            for name in names:
                self._attempt(partial(self._files.remove, name))

    def deadline(self, model: Model) -> Optional[float]:
        """When write() has something to do that had to wait."""
        return self._pace.ready_at if model.stale and self._files is not None else None

    def _attempt(self, action: Callable[[], None]) -> None:
        try:
            action()
        except OSError as problem:
            if str(problem) not in self._errors:
                self._log("warning", "include files: %s" % problem)
            self._errors.add(str(problem))
