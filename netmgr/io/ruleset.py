"""nf_tables as the reconciler needs it, with an eye on what others commit there.

The kernel tells of commits (events), or its generation number is asked for (poll).  Being told has a price: for every element of a
transaction the kernel builds a notification of some kilobytes and keeps it until the end, whether or not a filter then drops it.
While we commit very many elements ourselves, nobody need be told, so we leave the group; that others committed something meanwhile shows
in the generation, which each commit raises by one.  And who commits without a pause is read with pauses: what is lost in them would say
nothing new.
"""

from __future__ import annotations

from functools import partial
from typing import Callable, Container, Dict, Generator, Iterator, Optional, Sequence, Union

from netmgr.config.schema import Nftables
from netmgr.io.loop import Deadline, Loop
from netmgr.io.nft import RECEIVES_AT_MOST, Commit, Nft, Watch
from netmgr.values.counters import Told
from netmgr.values.errors import ProtocolError
from netmgr.values.events import Suspect
from netmgr.values.outcomes import Outcome, Reading
from netmgr.values.sets import Change, ChangeElements, SetInfo, SetName
from netmgr.values.text import reason

MANY = 1000
RETRY = 1.0
FLOOD_REST = 0.01       # seconds without reading, when there is more than one turn reads

Changed = Callable[[Sequence[Suspect]], None]


class Ruleset:
    """The door to nf_tables for the one who commits: commit() as Nft.commit(), but made by `watcher`, if any, for it must know of them."""

    def __init__(self, nft: Nft) -> None:
        self.nft = nft
        self.watched_by(None)

    def watched_by(self, watcher: Optional[Watcher]) -> None:
        """From now on this one makes the commits."""
        self.watcher = watcher
        self.commit: Commit = self.nft.commit if watcher is None else watcher.commit

    def generation(self) -> int:
        """As Nft.generation()."""
        return self.nft.generation()

    def inspect(self, name: SetName, chains: Sequence[str] = ()) -> Optional[SetInfo]:
        """As Nft.inspect()."""
        return self.nft.inspect(name, chains)

    def reading(self, info: SetInfo) -> Generator[None, None, Reading]:
        """As Nft.reading()."""
        return self.nft.reading(info)

    def marked(self, known: Container[SetName]) -> Iterator[Optional[SetName]]:
        """As marked_sets()."""
        from netmgr.io.marked_sets import marked_sets
        return marked_sets(self.nft.spare, known)


class RulesetEvents:
    """Calls changed(by) for what others commit, as told by the kernel; None among them is one of whom it is not known who."""

    def __init__(self, loop: Loop, nft: Nft, changed: Changed) -> None:
        self.error: Optional[str] = None
        self.told = Told()
        self._loop, self._nft, self._changed = loop, nft, changed
        self._watch = Watch(self._nft.portid)
        self.commit: Commit = partial(nft.commit_one, self._commit_many)        # as Nft.commit()
        self._again: Optional[Deadline] = None

    def start(self) -> None:
        """Begin to tell."""
        self._loop.watch(self._watch.fileno(), self._drain)

    def stop(self) -> None:
        """Give the socket back."""
        if self._again is not None:
            self._again.cancel()
        self._loop.unwatch(self._watch.fileno())
        self._watch.close()

    def _commit_many(self, changes: Sequence[Change], generation: int) -> Outcome:
        count = sum(len(change.add) + len(change.delete) for change in changes if isinstance(change, ChangeElements))
        return (self._commit_unwatched if count >= MANY else self._nft.commit)(changes, generation)

    def _commit_unwatched(self, changes: Sequence[Change], generation: int) -> Outcome:
        before = self._nft.generation()
        self._watch.leave()
        try:
            outcome = self._nft.commit(changes, generation)
        finally:
            self._listen()
        if self._nft.generation() != before + outcome.committed & 0xFFFFFFFF:
            self._changed([None])
        return outcome

    def _drain(self, _ready: int) -> None:
        try:
            changes, lost = self._watch.drain()
        except OSError as problem:
            self._deaf(problem)
            return
        self.told.events += len(changes)
        self.told.overruns += bool(lost)
        if changes or lost:
            self._changed([*changes, None] if lost else changes)
        if len(changes) >= RECEIVES_AT_MOST:
            self._loop.unwatch(self._watch.fileno())
            self._again = self._loop.call_later(FLOOD_REST, self._listen)

    def _listen(self) -> None:
        """Be told again."""
        try:
            self._watch.join()
            self._loop.watch(self._watch.fileno(), self._drain)
        except OSError as problem:
            self._deaf(problem)

    def _deaf(self, problem: OSError) -> None:
        """Nothing is told: try again in a while, for the descriptor may stay ready, and look at everything then."""
        self.error = "foreign changes cannot be noticed: %s" % reason(problem)
        self._loop.unwatch(self._watch.fileno())
        if self._again is not None:
            self._again.cancel()
        self._again = self._loop.call_later(RETRY, self._hear_again)

    def _hear_again(self) -> None:
        self.error, self._again = None, None
        self._listen()
        self._changed([None])


class RulesetPoll:
    """Asks for the generation every `interval` seconds, and after each commit of our own."""

    def __init__(self, loop: Loop, nft: Nft, changed: Changed, interval: float) -> None:
        self.error: Optional[str] = None
        self.told = Told()
        self._loop, self._nft, self._changed = loop, nft, changed
        self._interval = interval
        self._generation = self._nft.generation()
        self._deadline: Optional[Deadline] = None

    def start(self) -> None:
        """Begin to ask, and to tell."""
        self._deadline = self._loop.call_later(self._interval, self._poll)

    def stop(self) -> None:
        """Stop asking."""
        if self._deadline is not None:
            self._deadline.cancel()

    def commit(self, changes: Sequence[Change], generation: int = 0) -> Outcome:
        """As Nft.commit()."""
        outcome = self._nft.commit(changes, generation)
        self._expect(self._generation + outcome.committed)
        return outcome

    def _poll(self) -> None:
        self._expect(self._generation)
        self._deadline = self._loop.call_later(self._interval, self._poll)

    def _expect(self, expected: int) -> None:
        try:
            self._generation = self._nft.generation()
        except (OSError, ProtocolError):        # then whatever it was, a look is due; the next poll asks again
            self._changed([None])
            return
        if self._generation != expected & 0xFFFFFFFF:
            self.told.events += 1
            self._changed([None])


Watcher = Union[RulesetEvents, RulesetPoll]


class RulesetSource:
    """The source of what others commit; the watcher notices it.  refresh() is doubt()."""

    def __init__(self, ruleset: Ruleset, watcher: Watcher, doubt: Callable[[], None]) -> None:
        self.pending = self.behind = False
        self.facts: Dict[str, int] = {}
        self.refresh = doubt
        self._ruleset, self._watcher = ruleset, watcher

    @property
    def state(self) -> str:
        """ok or error."""
        return "ok" if self._watcher.error is None else "error"

    @property
    def error(self) -> Optional[str]:
        """Why nothing is noticed."""
        return self._watcher.error

    @property
    def told(self) -> Told:
        """What was noticed, counted."""
        return self._watcher.told

    def start(self) -> None:
        """Begin to tell."""
        self._ruleset.watched_by(self._watcher)
        self._watcher.start()

    def stop(self) -> None:
        """Tell no more; another may have taken over."""
        if self._ruleset.watcher is self._watcher:
            self._ruleset.watched_by(None)
        self._watcher.stop()


def watcher(loop: Loop, ruleset: Ruleset, settings: Nftables, changed: Changed, doubt: Callable[[], None]) -> RulesetSource:
    """The source of what others commit, in the way that the configuration wants."""
    if settings.watch == "events":
        return RulesetSource(ruleset, RulesetEvents(loop, ruleset.nft, changed), doubt)
    return RulesetSource(ruleset, RulesetPoll(loop, ruleset.nft, changed, settings.poll_interval), doubt)
