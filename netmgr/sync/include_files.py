"""Ready-made set contents, so that a ruleset can load sets already filled.

A file says what netmgr holds in its set or, while the set is missing, what it would put there: no more than can be loaded beside what
others are known to have there (see model/others.py).  Files are written behind the sets, never before, and with rests in between: a
set that changes all the time must not cost a rewrite of its whole file each time, nor be kept waiting by it.  What a file is to say is
worked out in pieces, a few in each turn of the loop, and says what was so when that began.  A file that has become unsafe, for others'
elements have come, waits for nothing.
"""

from __future__ import annotations

import math
from functools import partial
from typing import AbstractSet, Callable, Dict, Iterable, Iterator, List, Optional, Sequence

from netmgr.model.managed_set import ManagedSet
from netmgr.model.model import Model
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.pace import Pace
from netmgr.values.protocol import Protocol
from netmgr.values.sets import SetName
from netmgr.values.text import Log, reason
from netmgr.wire.nft_text import element_list_pieces, ranges_in

REST, REST_SHORTEST = 100, 0.02       # times what the last write has taken, so that one event in a hundred meets one; seconds
SLICE = 0.0005          # seconds of writing in one turn of the loop, and the rest of a piece
AGAIN_FIRST, AGAIN_LONGEST = 1.0, 60.0


class Files(Protocol):
    """Where the files are (netmgr.io.include_files.IncludeFiles); OSError when they cannot be."""

    def write(self, name: SetName, text: str) -> None:
        """Make the file of this set say this."""

    def empty(self, name: SetName) -> None:
        """Make the file of this set say nothing, if there is one."""

    def read(self, name: SetName) -> Optional[str]:
        """What the file of this set says; None when there is none."""

    def names(self) -> Sequence[SetName]:
        """The sets of which there are files."""

    def remove(self, name: SetName) -> None:
        """Have no file for this set."""

    def doubt(self) -> None:
        """Take no file for what it was: compare at the next write."""


def content(model: Model, managed: ManagedSet) -> Iterator[str]:
    """What stands in the file, in pieces: one `elements = { … }`, or nothing."""
    form, begun = managed.seen.form, False
    for piece in () if form is None else element_list_pieces(form, model.offer(managed)):
        yield piece if begun or not piece else "elements = { " + piece
        begun = begun or piece != ""
    if begun:
        yield " }\n"


class _Draft(NamedTuple):
    """A file that is being worked out: whose, what it says so far, what it says after that."""

    managed: ManagedSet
    said: List[str]
    rest: Iterator[str]


def _is_ours(files: Optional[Files], name: SetName) -> bool:
    text = None if files is None else files.read(name)
    return text is not None and (not text or text.startswith("elements = {"))


class IncludeWriter:
    """Keeps the files current with a model; what cannot be written is told once, and tried again after a pause that grows.

    Without a directory for files it only looks at the sets.
    """

    def __init__(self, files: Optional[Files], clock: Callable[[], float], log: Log) -> None:
        self._files = files
        self._clock = clock
        self._log = log
        self._pace = Pace(REST, REST_SHORTEST)
        self._draft: Optional[_Draft] = None
        self._spent = 0.0       # seconds on the draft
        self._all_had_a_turn = False
        self._troubles: Dict[SetName, str] = {}
        self._again = 0.0
        self._retry_at = 0.0

    def write(self, model: Model, at_once: bool = False) -> None:
        """Write what has changed, unless it is too early after the last time."""
        begin = self._clock()
        if self._troubles and (self._retry_at <= begin or at_once):
            self._try_again(model, begin)
        for managed in model.take_unwritten(only_urgent=True):
            self._put(model, managed, "".join(self._content(model, managed)))
            if self._draft is not None and self._draft.managed is managed:
                self._draft = None
        if begin >= self._pace.ready_at or at_once:
            self._go_on(model, math.inf if at_once else begin + SLICE)
        if model.departed:
            self.remove(model.take_departed())

    def _go_on(self, model: Model, until: float) -> None:
        """Work on files until then, one step at least; when one is written, rest, unless some have not had their first turn."""
        begin, written = self._clock(), False
        for is_written in self._steps(model):
            written |= is_written
            if self._clock() >= until:
                break
        end = self._clock()
        self._spent += end - begin
        if written:
            if self._all_had_a_turn:
                self._pace.spent(end - self._spent, end)
            self._spent = 0.0
        self._all_had_a_turn |= self._draft is None and not model.unwritten

    def _steps(self, model: Model) -> Iterator[bool]:
        """One piece after the other; True: a file is written."""
        unwritten = model.take_unwritten(only_urgent=False)
        while True:
            if self._draft is None:
                managed = next(unwritten, None)
                if managed is None:
                    return
                self._draft = _Draft(managed, [], self._content(model, managed))
            managed, said, rest = self._draft
            merges = managed.seen.form is not None and managed.seen.form.merge      # others.py takes it that its file is current
            for piece in rest:
                said.append(piece)
                if not merges:
                    yield False
            self._draft = None
            if model.sets.get(managed.name) is managed and not managed.role.retiring:
                self._put(model, managed, "".join(said))
            yield True

    def _content(self, model: Model, managed: ManagedSet) -> Iterator[str]:
        """Nothing is worked out that nobody can read."""
        return iter(()) if self._files is None else content(model, managed)

    def _put(self, model: Model, managed: ManagedSet, text: str) -> None:
        """A set that was never seen, or that netmgr cannot fill, has nothing to say, and no file for it."""
        files, known = self._files, managed.seen.form is not None and managed.others.seen
        if files is None:
            model.note_file(managed, None)
            return
        action = partial(files.write, managed.name, text) if known else partial(files.empty, managed.name)
        model.note_file(managed, self._attempt(managed.name, action))

    def recall(self, name: SetName) -> Optional[AbstractSet[bytes]]:
        """What an earlier run wrote into the file of this set, as ranges; None when there is none."""
        try:
            text = None if self._files is None else self._files.read(name)
        except OSError:
            return None
        return None if text is None else ranges_in(text.partition("{")[2].rpartition("}")[0])

    def leftovers(self, model: Model) -> List[SetName]:
        """The sets of which an earlier run left files, and which nobody wants any more."""
        try:
            names = () if self._files is None else self._files.names()
            return [name for name in names if name not in model.sets and _is_ours(self._files, name)]
        except OSError:
            return []

    def doubt(self, model: Model) -> None:
        """The next write() puts right whatever has happened to the files."""
        if self._files is not None:
            self._files.doubt()
            model.unwritten.update(model.sets)
            self._retry_at = 0.0

    def remove(self, names: Iterable[SetName]) -> None:
        """These sets have no files any more."""
        if self._files is not None:
            for name in names:
                self._attempt(name, partial(self._files.remove, name))

    def deadline(self, model: Model) -> Optional[float]:
        """When write() has something to do that had to wait."""
        times = ([self._pace.ready_at] if model.unwritten or self._draft is not None else []) + ([self._retry_at] if self._troubles else [])
        return min(times, default=None)

    def _try_again(self, model: Model, now: float) -> None:
        """What is still configured is written with the rest; a file that should have gone goes."""
        model.unwritten.update(name for name in self._troubles if name in model.sets)
        self._again = min(AGAIN_LONGEST, self._again * 2) or AGAIN_FIRST
        self._retry_at = now + self._again
        self.remove([name for name in self._troubles if name not in model.sets])

    def _attempt(self, name: SetName, action: Callable[[], None]) -> Optional[str]:
        """What went wrong, if anything did."""
        try:
            action()
        except OSError as problem:
            trouble = reason(problem)
            if trouble not in self._troubles.values():
                where = "" if problem.filename is None else "%s: " % problem.filename
                self._log("warning", "include files: %s%s" % (where, trouble))
            if not self._troubles:
                self._again = AGAIN_FIRST
                self._retry_at = self._clock() + AGAIN_FIRST
            self._troubles[name] = trouble
            return "its include file cannot be written: %s" % trouble
        if self._troubles.pop(name, None) and not self._troubles:
            self._log("info", "include files: all are as they should be")
        return None
