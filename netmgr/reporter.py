"""What happened since the sets last followed, told when they have: what the sources brought, and what became of the sets by it.

While a wake-up is under way, what it brings is only kept.  Words are found after the commit, so that no set waits for them.
"""

from typing import Container, Dict, Iterable, List, Optional, Sequence

from netmgr.io.clock import utc
from netmgr.model.inventory import ThingChange
from netmgr.model.managed_set import ERROR, SYNCED, ManagedSet
from netmgr.model.model import Model
from netmgr.show.happenings import Chronicle
from netmgr.show.telling import Causes, News, of_set, of_things
from netmgr.values.happenings import Happening
from netmgr.values.sets import Change, ChangeElements, SetName
from netmgr.values.text import Log

NEWS_AT_MOST = 5000     # of one wake-up; of what is over that only the sets tell


class Reporter:
    """Keeps news, and tells them to the chronicle."""

    def __init__(self, log: Log) -> None:
        self.chronicle = Chronicle(utc, log)
        self._news: List[News] = []
        self._wrong: Dict[str, str] = {}        # by set: the last that was told of it

    def things(self, changes: Sequence[ThingChange]) -> None:
        """What an event changed in the inventory."""
        if changes and len(self._news) < NEWS_AT_MOST:
            self._news.append(News(changes))

    def because(self, happening: Happening) -> None:
        """What may change everything: a reload, a new snapshot."""
        self._news.append(News((), happening))

    def states(self, model: Model, names: Iterable[SetName], cause: Optional[str]) -> None:
        """These sets are in another state: what was not told already is.  The log has it from elsewhere."""
        if len(self._wrong) > len(model.sets):
            self._wrong = {name: self._wrong[name] for name in map(str, model.sets) if name in self._wrong}
        for name in sorted(names):
            managed = model.sets.get(name)
            state = SYNCED if managed is None else managed.state.word
            what = "" if managed is None or state == SYNCED else managed.error or state
            if what == self._wrong.get(str(name), ""):
                continue
            if what:
                self._wrong[str(name)] = what
            else:
                del self._wrong[str(name)]
            kind = "set-synced" if not what else "set-error" if state == ERROR else "set-missing"
            if managed is not None:
                self.chronicle.tell(Happening(kind, cause=cause, set=str(name), zone=_zones(managed), error=managed.error), "")

    def source(self, name: str, before: Optional[str], state: str, error: Optional[str]) -> None:
        """A source is in another state.  The log has it from the source."""
        if state == "ok" and before is not None:
            self.chronicle.tell(Happening("source-ok", cause="%s: ok" % name, source=name), "")
        elif before == "ok":
            self.chronicle.tell(Happening("source-lost", cause="%s: %s" % (name, state), source=name, error=error or state), "")

    def settled(self, model: Model, changes: Sequence[Change], mended: Container[SetName], quiet: bool) -> None:
        """The sets have followed, by these transactions; those that were mended are told already; quiet: the log need not tell."""
        if not self._news and not changes:
            return
        news, self._news = self._news, []
        for happening in of_things(news):
            if happening.kind:
                self.chronicle.tell(happening)
        causes = Causes(news, lambda thing: (name for name, _elements in model.policy.claims(thing)))
        for change in changes:
            if isinstance(change, ChangeElements) and change.set not in mended:
                self.chronicle.tell(_of_set(model, change, causes), "debug" if quiet else None)


def _of_set(model: Model, change: ChangeElements, causes: Causes) -> Happening:
    managed = model.sets.get(change.set)
    return of_set(change, "" if managed is None else _zones(managed), causes.of(change.set))


def _zones(managed: ManagedSet) -> str:
    return ",".join(dict.fromkeys(feed.zone for feed in managed.role.feeds))
