"""What happened since the sets last followed, told when they have: what the sources brought, and what became of the sets by it.

While a wake-up is under way, what it brings is only kept.  Words are found after the commit, so that no set waits for them, and mostly
a moment later, so that nobody waits for them who waited for the commit; but whoever asks what has happened is told all of it.
"""

from typing import Container, Dict, Iterable, List, NamedTuple, Optional, Sequence

from netmgr.io import clock
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


class _Chapter(NamedTuple):
    """What one wake-up brought, and the changes of sets that followed from it; arguments of settled()."""

    time: float
    model: Model
    news: Sequence[News]
    changes: Sequence[Change]
    mended: Container[SetName]
    quiet: bool
    why: Optional[str]


class Reporter:
    """Keeps news, and tells them to the chronicle."""

    def __init__(self, log: Log) -> None:
        self._chronicle = Chronicle(utc, log)
        self._news: List[News] = []
        self._chapters: List[_Chapter] = []     # not told yet
        self._wrong: Dict[str, str] = {}        # by set: the last that was told of it
        self.why: Optional[str] = None          # the cause of all that sets change, while there is one

    @property
    def chronicle(self) -> Chronicle:
        """Where everything that has happened so far is told."""
        if self._chapters:
            self.catch_up()
        return self._chronicle

    @property
    def fresh(self) -> int:
        """How many news there are since the sets last followed."""
        return len(self._news)

    def tell(self, happening: Happening, level: Optional[str] = None) -> None:
        """This happens now."""
        self.chronicle.tell(happening, level)

    def things(self, changes: Sequence[ThingChange]) -> None:
        """What an event changed in the inventory."""
        if changes and len(self._news) < NEWS_AT_MOST:
            self._news.append(News(changes))

    def because(self, happening: Happening) -> None:
        """What may change everything: a reload, a new snapshot."""
        self._news.append(News((), happening))

    def beside(self, happening: Happening) -> None:
        """What happened too, and changes nothing by itself."""
        if len(self._news) < NEWS_AT_MOST:
            self._news.append(News(beside=happening))

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
                self.tell(Happening(kind, cause=cause, set=str(name), zone=_zones(managed), error=managed.error), "")

    def source(self, name: str, before: Optional[str], state: str, error: Optional[str]) -> None:
        """A source is in another state.  The log has it from the source."""
        if state == "ok" and before is not None:
            self.tell(Happening("source-ok", cause="%s: ok" % name, source=name), "")
        elif before == "ok":
            self.tell(Happening("source-lost", cause="%s: %s" % (name, state), source=name, error=error or state), "")

    def settled(self, model: Model, changes: Sequence[Change], mended: Container[SetName], quiet: bool) -> None:
        """The sets have followed, by these transactions; those that were mended are told already; quiet: the log need not tell."""
        if self._news or changes:
            self._chapters.append(_Chapter(clock.now(), model, self._news, changes, mended, quiet, self.why))
            self._news = []

    def catch_up(self) -> None:
        """Tell all that is settled."""
        chapters, self._chapters = self._chapters, []
        for chapter in chapters:
            self._tell(chapter)

    def _tell(self, chapter: _Chapter) -> None:
        time, model = utc(chapter.time), chapter.model
        for happening in of_things(chapter.news):
            if happening.kind:
                self._chronicle.tell(happening._replace(time=time))
        causes = Causes(chapter.news, lambda thing: (name for name, _elements in model.policy.claims(thing)))
        for change in chapter.changes:
            if isinstance(change, ChangeElements) and change.set not in chapter.mended:
                happening = _of_set(model, change, chapter.why or causes.of(change.set))
                self._chronicle.tell(happening._replace(time=time), "debug" if chapter.quiet else None)


def _of_set(model: Model, change: ChangeElements, cause: Optional[str]) -> Happening:
    managed = model.sets.get(change.set)
    return of_set(change, "" if managed is None else _zones(managed), cause)


def _zones(managed: ManagedSet) -> str:
    return ",".join(dict.fromkeys(feed.zone for feed in managed.role.feeds))
