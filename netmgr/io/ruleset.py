"""nf_tables as the reconciler needs it, with an eye on what others commit there.

The kernel tells of commits (events), or its generation number is asked for (poll).  Being told has a price: for every element of a
transaction the kernel builds a notification of some kilobytes and keeps it until the end, whether or not a filter then drops it.
While we commit very many elements ourselves, nobody need be told, so we leave the group; that others committed something meanwhile shows
in the generation, which each commit raises by one.
"""

from typing import Callable, Optional, Sequence, Union

from netmgr.config.schema import Nftables
from netmgr.io.loop import Deadline, Loop
from netmgr.io.nft import Nft, Watch
from netmgr.values.errors import ProtocolError
from netmgr.values.events import RulesetChanged
from netmgr.values.outcomes import Outcome, Reading
from netmgr.values.sets import Change, ChangeElements, SetInfo, SetName

MANY = 1000

Changed = Callable[[Sequence[Optional[RulesetChanged]]], None]


class Ruleset:
    """Calls changed(by) for what others commit from watch() to close(); None among them is one of whom it is not known who."""

    def __init__(self, loop: Loop, nft: Nft, changed: Changed) -> None:
        self._loop = loop
        self._nft = nft
        self._changed = changed
        self._eye: Optional[Union[RulesetEvents, RulesetPoll]] = None

    def watch(self, settings: Nftables) -> None:
        """Begin to watch, the way that the configuration wants."""
        if settings.watch == "events":
            self._eye = RulesetEvents(self._loop, self._nft, self._changed)
        else:
            self._eye = RulesetPoll(self._loop, self._nft, self._changed, settings.poll_interval)

    def close(self) -> None:
        """Stop watching."""
        if self._eye is not None:
            self._eye.close()
            self._eye = None

    def generation(self) -> int:
        """As Nft.generation()."""
        return self._nft.generation()

    def inspect(self, name: SetName) -> Optional[SetInfo]:
        """As Nft.inspect()."""
        return self._nft.inspect(name)

    def read(self, info: SetInfo) -> Reading:
        """As Nft.read()."""
        return self._nft.read(info)

    def commit(self, changes: Sequence[Change], generation: int = 0) -> Outcome:
        """As Nft.commit()."""
        return self._nft.commit(changes, generation) if self._eye is None else self._eye.commit(changes, generation)


class RulesetEvents:
    """Told by the kernel, except of our own commits."""

    def __init__(self, loop: Loop, nft: Nft, changed: Changed) -> None:
        self._loop = loop
        self._nft = nft
        self._changed = changed
        self._watch = Watch(nft.portid)
        loop.watch(self._watch.fileno(), self._drain)

    def close(self) -> None:
        """Stop watching."""
        self._loop.unwatch(self._watch.fileno())
        self._watch.close()

    def commit(self, changes: Sequence[Change], generation: int = 0) -> Outcome:
        """As Nft.commit()."""
        if not any(isinstance(change, ChangeElements) and len(change.add) + len(change.delete) >= MANY for change in changes):
            return self._nft.commit(changes, generation)
        before = self._nft.generation()
        self._watch.leave()
        try:
            outcome = self._nft.commit(changes, generation)
        finally:
            self._watch.join()
        if self._nft.generation() != before + outcome.committed & 0xFFFFFFFF:
            self._changed([None])
        return outcome

    def _drain(self, _ready: int) -> None:
        changes, lost = self._watch.drain()
        if changes or lost:
            self._changed([*changes, None] if lost else changes)


class RulesetPoll:
    """Asks for the generation every `interval` seconds, and after each commit of our own."""

    def __init__(self, loop: Loop, nft: Nft, changed: Changed, interval: float) -> None:
        self._loop = loop
        self._nft = nft
        self._changed = changed
        self._interval = interval
        self._generation = nft.generation()
        self._deadline: Deadline = loop.call_later(interval, self._poll)

    def close(self) -> None:
        """Stop polling."""
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
            self._changed([None])
