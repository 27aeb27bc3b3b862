"""What happened since the sets last followed, told when they have: what the sources brought, and what became of the sets by it.

While a wake-up is under way, what it brings is only kept.  Words are found after the commit, so that no set waits for them, and mostly
a moment later, so that nobody waits for them who waited for the commit; but whoever asks what has happened is told all of it.
"""

from __future__ import annotations

from collections import deque
from typing import Callable, Container, Deque, Dict, Iterable, List, Optional, Sequence, Union

from netmgr.io import clock
from netmgr.io.clock import utc
from netmgr.model.inventory import ThingChange
from netmgr.model.managed_set import ERROR, SYNCED, ManagedSet
from netmgr.model.model import Model
from netmgr.show.happenings import Chronicle
from netmgr.show.telling import Causes, News, of_set, of_things
from netmgr.values.happenings import Happening
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.sets import Change, ChangeElements, SetName
from netmgr.values.text import Log

NEWS_AT_MOST = 5000     # of one wake-up; of what is over that only the sets tell
AGAIN = "tried again"    # why a set changes where nothing has happened: what could not be done before now can
TELL_AGAIN = 60.0       # seconds that a set must have been well before it is worth a line that the same is wrong again


class _Chapter(NamedTuple):
    """What one wake-up brought, and the changes of sets that followed from it; arguments of settled()."""

    time: float
    model: Model
    news: Sequence[Union[News, Sequence[ThingChange]]]
    changes: Sequence[Change]
    mended: Container[SetName]
    quiet: bool
    why: Optional[str]
    otherwise: Optional[str]


class Words(NamedTuple):
    """A line of the log."""

    level: str
    line: str


class _Ailment(NamedTuple):
    """What is wrong with a set, or was; since when it is well; whether that is worth a line."""

    what: str
    well: Optional[float] = None
    worth_a_line: bool = True


class Reporter:
    """Keeps news, and tells them to the chronicle."""

    def __init__(self, log: Log) -> None:
        self._chronicle = Chronicle(utc, log)
        self._news: List[Union[News, Sequence[ThingChange]]] = []       # of most there is nothing but the changes
        self._chapters: Deque[_Chapter] = deque()       # not told yet
        self._ailments: Dict[str, _Ailment] = {}        # by set
        self._asked: List[News] = []            # what is under way, and may change everything
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

    def things(self, changes: Sequence[ThingChange], why: Optional[str] = None, found: Optional[str] = None) -> None:
        """What an event changed in the inventory.

        `why`: only in that, for its things are no longer seen; `found`: why it was found out without an event.
        """
        if changes and len(self._news) < NEWS_AT_MOST:
            self._news.append(changes if why is found is None else News(changes, why=why, found=found))

    def because(self, cause: str) -> Callable[[], None]:
        """Beside others this is the cause of all that sets change, until the result is called."""
        news = News(because=Happening("", cause=cause))
        self._asked.append(news)
        return lambda: self._asked.remove(news)

    def beside(self, happening: Happening) -> None:
        """What happened too, and changes nothing by itself."""
        if len(self._news) < NEWS_AT_MOST:
            self._news.append(News(beside=happening))

    def states(self, model: Model, names: Iterable[SetName], cause: Optional[str], now: float) -> None:
        """These sets are in another state: what was not told already is.  Without a cause it is that of what changed just now."""
        causes = _causes(model, self._chapters[-1].news) if cause is None and self._chapters else None
        if len(self._ailments) > len(model.sets):
            self._ailments = {name: self._ailments[name] for name in map(str, model.sets) if name in self._ailments}
        for each in sorted(names):
            name, managed = str(each), model.sets.get(each)
            if managed is None:
                self._ailments.pop(name, None)
                continue
            state, before = managed.state.word, self._ailments.get(name, WELL)
            what = "" if state == SYNCED else managed.error or state
            if what == (before.what if before.well is None else ""):
                continue
            kind = "set-synced" if not what else "set-error" if state == ERROR else "set-missing"
            after = self._ailments[name] = _following(before, what, now)
            why = causes.of_nothing_else(each) if causes is not None else cause
            self.tell(Happening(kind, cause=why or (None if what else AGAIN), set=name, zone=_zones(managed), error=managed.error),
                      None if after.worth_a_line else "debug")

    def source(self, name: str, before: Optional[str], after: str, error: Optional[str], words: Optional[Words] = None) -> bool:
        """A source is in another state, perhaps with words of its own for that; whether they were told."""
        kind = _kind(before, after)
        fits = words is not None and (words.level == "info") is (kind == "source-ok")
        if kind is not None:
            happening = Happening(kind, cause="%s: %s" % (name, after), source=name, error=None if kind == "source-ok" else error or after)
            if words is not None and fits:
                self.tell(happening._replace(text=words.line), words.level)
            else:
                self.tell(happening)
        return fits and kind is not None

    def settled(self, model: Model, changes: Sequence[Change], mended: Container[SetName], quiet: bool,
                otherwise: Optional[str] = None) -> None:
        """The sets have followed, by these transactions; those that were mended are told already; quiet: the log need not tell.

        `otherwise` is the cause where no news are.
        """
        if self._news or changes:
            news = [*self._asked, *self._news] if self._asked else self._news
            self._chapters.append(_Chapter(clock.now(), model, news, changes, mended, quiet, self.why, otherwise))
            self._news = []

    @property
    def behind(self) -> bool:
        """Whether something is settled that is not told."""
        return bool(self._chapters)

    def catch_up(self, enough: Optional[Callable[[], bool]] = None) -> None:
        """Tell all that is settled, or some of it, until it is enough."""
        while self._chapters:
            self._tell(self._chapters.popleft())
            if enough is not None and enough():
                return

    def _tell(self, chapter: _Chapter) -> None:
        time, model = utc(chapter.time), chapter.model
        news = _as_news(chapter.news)
        for happening in of_things(news):
            if happening.kind:
                self._chronicle.tell(happening._replace(time=time))
        causes = _causes(model, news)
        for change in chapter.changes:
            if isinstance(change, ChangeElements) and change.set not in chapter.mended:
                happening = _of_set(model, change, chapter.why or causes.of(change.set) or chapter.otherwise or AGAIN)
                self._chronicle.tell(happening._replace(time=time), "debug" if chapter.quiet else None)


WELL = _Ailment("", 0.0)


def _causes(model: Model, news: Sequence[Union[News, Sequence[ThingChange]]]) -> Causes:
    return Causes(_as_news(news), lambda thing: (name for name, _elements in model.policy.claims(thing)))


def _as_news(news: Sequence[Union[News, Sequence[ThingChange]]]) -> List[News]:
    return [each if isinstance(each, News) else News(each) for each in news]


def _following(before: _Ailment, what: str, now: float) -> _Ailment:
    """What was told and has been well for a moment only is not worth another line, nor is it that it is well again."""
    if not what:
        return before._replace(well=now)
    again = what == before.what and before.well is not None and now - before.well <= TELL_AGAIN
    return _Ailment(what, worth_a_line=not again)


def _kind(before: Optional[str], after: str) -> Optional[str]:
    """What is told of a source in another state; not that it begins, nor that it rests where nothing was missed."""
    if after == "ok":
        return None if before is None else "source-ok"
    return "source-lost" if before == "ok" or after not in ("connecting", "disabled") else None


def _of_set(model: Model, change: ChangeElements, cause: Optional[str]) -> Happening:
    managed = model.sets.get(change.set)
    return of_set(change, "" if managed is None else _zones(managed), cause)


def _zones(managed: ManagedSet) -> str:
    return ",".join(dict.fromkeys(feed.zone for feed in managed.role.feeds))
