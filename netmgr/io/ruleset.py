"""The source of foreign changes of the ruleset: told by the kernel (events), or noticed by its generation number (poll)."""

from typing import Callable, Optional

from netmgr.config import Nftables
from netmgr.events import RulesetChanged
from netmgr.io.loop import Deadline, Loop
from netmgr.io.nft import Nft, Watch

Changed = Callable[[Optional[RulesetChanged]], None]


class RulesetEvents:
    """Calls changed(by) for what others commit; by is None when notifications were lost.  Our own commits bear our port."""

    def __init__(self, loop: Loop, nft: Nft, changed: Changed) -> None:
        self._loop = loop
        self._nft = nft
        self._changed = changed
        self._watch = Watch()
        loop.watch(self._watch.fileno(), self._drain)

    def committed(self) -> None:
        """We have committed something ourselves."""

    def close(self) -> None:
        """Stop watching."""
        self._loop.unwatch(self._watch.fileno())
        self._watch.close()

    def _drain(self, _ready: int) -> None:
        changes, lost = self._watch.drain()
        foreign = [change for change in changes if change.portid != self._nft.portid]
        if foreign or lost:
            self._changed(foreign[-1] if foreign else None)


class RulesetPoll:
    """Asks for the generation every `interval` seconds.  Each commit makes one, so after ours it must be the next."""

    def __init__(self, loop: Loop, nft: Nft, changed: Changed, interval: float) -> None:
        self._loop = loop
        self._nft = nft
        self._changed = changed
        self._interval = interval
        self._generation = nft.generation()
        self._deadline: Deadline = loop.call_later(interval, self._poll)

    def committed(self) -> None:
        """We have committed something ourselves."""
        self._expect(self._generation + 1)

    def close(self) -> None:
        """Stop polling."""
        self._deadline.cancel()

    def _poll(self) -> None:
        self._expect(self._generation)
        self._deadline = self._loop.call_later(self._interval, self._poll)

    def _expect(self, expected: int) -> None:
        self._generation = self._nft.generation()
        if self._generation != expected & 0xFFFFFFFF:
            self._changed(None)


def ruleset_source(loop: Loop, nft: Nft, changed: Changed, settings: Nftables) -> "RulesetEvents | RulesetPoll":
    """The way that the configuration wants."""
    if settings.watch == "events":
        return RulesetEvents(loop, nft, changed)
    return RulesetPoll(loop, nft, changed, settings.poll_interval)
