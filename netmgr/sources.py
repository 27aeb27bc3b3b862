"""The sources: links and addresses, the ruleset, containers.  Everybody else sees a list of them, and no name.

A source is described by a recipe.  Making one opens what it needs, so all that can fail fails there, and nobody notices; start() only
begins.  When the configuration changes, sources whose settings are the same go on, the others are made anew before the old ones end.
Another kind of source is another recipe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Collection, Dict, FrozenSet, List, Mapping, Optional, Sequence

from netmgr.config.schema import Config, Docker, holds_gateways, needs_routes
from netmgr.io.clock import utc
from netmgr.io.link_source import LinkSource
from netmgr.io.log import Log
from netmgr.io.loop import Loop
from netmgr.io.ruleset import Ruleset, watcher
from netmgr.keeper import Keeper, Waiting
from netmgr.reporter import Words
from netmgr.values.counters import Told
from netmgr.values.errors import ProtocolError
from netmgr.values.events import ContainerSeen, Event, NextHops, Suspect
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.protocol import Protocol
from netmgr.values.text import Log as Say
from netmgr.values.text import reason

if TYPE_CHECKING:
    from netmgr.show.answers import ConsumedZone, Fact

Tell = Callable[[str, Optional[str], str, Optional[str], Optional[Words]], bool]

SILENT = ("error", "disabled")                  # states of a source that has no more to say just now
UNREAD = ("error", "connecting", "stale")       # of one that could not be read


class Source(Protocol):
    """What tells about a part of the world, through callbacks that it was made with, from start() to stop()."""

    @property
    def state(self) -> str:
        """ok, connecting, error or disabled; a source may have further words of its own."""

    @property
    def error(self) -> Optional[str]:
        """Why it is not ok."""

    @property
    def pending(self) -> bool:
        """What it has told is not the whole yet."""

    @property
    def behind(self) -> bool:
        """What refresh() asked for was not told yet."""

    @property
    def told(self) -> Told:
        """What it has told, counted."""

    @property
    def facts(self) -> Mapping[str, Fact]:
        """What it has counted, and whatever else is worth telling, by name."""

    def start(self) -> None:
        """Begin to tell."""

    def refresh(self) -> None:
        """Read everything again."""

    def stop(self) -> None:
        """Let go of everything, also of what was never started."""


class Recipe(NamedTuple):
    """How to make a source, with what it says its lines to: OSError or ProtocolError when that cannot be.

    While it is pending for the first time, what nothing claims is spared in the sets of `zones` (None: in all), and if it is `vital`
    netmgr is not ready.
    """

    name: str
    settings: object
    make: Callable[[Say], Source]
    vital: bool = False
    zones: Optional[FrozenSet[str]] = None


class Running(NamedTuple):
    """A source and where it comes from."""

    recipe: Recipe
    source: Source


class Sources:
    """Those that run, by their names; `tell` is Reporter.source().

    A line that a source says when it has come into another state is the line of that happening.
    """

    def __init__(self, tell: Tell, log: Say) -> None:
        self.running: Dict[str, Running] = {}
        self._tell, self._log = tell, log
        self._states: Dict[str, str] = {}       # as they were when last looked at
        self._ill: Dict[str, bool] = {}         # whether they had an error then
        self.since: Dict[str, str] = {}         # when they came into that state, or what is wrong began (UTC)

    def prepare(self, recipes: Sequence[Recipe]) -> Dict[str, Running]:
        """What is to run by these recipes, for swap(); nothing has changed yet, and nothing has when this fails (OSError)."""
        following: Dict[str, Running] = {}
        try:
            for recipe in recipes:
                known = self.running.get(recipe.name)
                same = known is not None and known.recipe.settings == recipe.settings
                following[recipe.name] = known if known is not None and same else Running(recipe, recipe.make(self._voice(recipe.name)))
        except (OSError, ProtocolError) as problem:
            self._stop(following, self.running)
            raise OSError("%s: %s" % (recipe.name, reason(problem))) from None
        return following

    def swap(self, following: Dict[str, Running]) -> None:
        """Let these run and no others; those that ran before read everything again."""
        before, self.running = self.running, following
        self._stop(before, following)
        for name, each in following.items():
            if before.get(name) is each:
                each.source.refresh()
            else:
                each.source.start()

    def refresh(self) -> None:
        """Let all of them read everything again."""
        for each in self.running.values():
            each.source.refresh()

    def stop(self) -> None:
        """Let none run any more."""
        self.swap({})

    def waiting(self) -> List[Waiting]:
        """What there is to know of them for who hears what they tell."""
        return [Waiting(each.source, each.recipe.zones, each.recipe.vital) for each in self.running.values()]

    def look(self) -> None:
        """Tell of those whose state is another than at the last look."""
        for name, each in self.running.items():
            if each.source.state != self._states.get(name):
                self._look_at(name)

    def behind(self) -> bool:
        """Whether one of them has still to read what it was asked to."""
        return any(each.source.behind and each.source.state not in SILENT for each in self.running.values())

    def consumed(self) -> List[ConsumedZone]:
        """The zones that hold what other hosts publish."""
        from netmgr.show.answers import ConsumedZone
        facts = (each.source.facts.get("consumed") for each in self.running.values())
        return [row for rows in facts if isinstance(rows, tuple) for row in rows if isinstance(row, ConsumedZone)]

    def troubles(self) -> List[str]:
        """Those that cannot be read, or have not been, each with the reason."""
        return ["%s (%s)" % (name, each.source.error or "no answer yet") for name, each in self.running.items()
                if each.source.state in UNREAD or (each.source.behind and each.source.state != "disabled")]

    def _voice(self, name: str) -> Say:
        def say(level: str, line: str) -> None:
            if not self._look_at(name, Words(level, line)):
                self._log(level, line)
        return say

    def _look_at(self, name: str, words: Optional[Words] = None) -> bool:
        """Whether its state is another, and these words are told with that."""
        each = self.running.get(name)
        before, after = self._states.get(name), None if each is None else each.source.state
        if each is None or after is None or (after, each.source.error is not None) == (before, self._ill.get(name)):
            return False
        self._states[name], self._ill[name], self.since[name] = after, each.source.error is not None, utc()
        if after == before:
            return False
        return self._tell(name, before, after, each.source.error, words)

    @staticmethod
    def _stop(some: Dict[str, Running], but: Dict[str, Running]) -> None:
        for name, each in some.items():
            if but.get(name) is not each:
                each.source.stop()


class Nobody:
    """The source that tells once that there is nothing."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self.state = "disabled"
        self.error: Optional[str] = None
        self.pending = self.behind = False
        self.facts: Dict[str, Fact] = {"error": None, "reason": "the configuration says `enabled: false`"}
        self.told = Told()
        self._tell = tell

    def start(self) -> None:
        """Say so."""
        self._tell()

    def refresh(self) -> None:
        """It is as it was."""

    def stop(self) -> None:
        """There is nothing to let go of."""


def recipes(config: Config, loop: Loop, ruleset: Ruleset, keeper: Keeper, log: Log) -> List[Recipe]:
    """The sources of netmgr under this configuration, in the order in which they begin."""
    nftables = config.nftables
    found = [
        Recipe("netlink", nftables.audit_interval,
               lambda say: LinkSource(loop, _links(keeper, log), keeper.snapshot, say, nftables.audit_interval), vital=True),
        *([Recipe("routes", (nftables.audit_interval, holds_gateways(config)), lambda say: _routes(config, loop, keeper, say), vital=True)]
          if needs_routes(config) else []),
        Recipe("nftables", (nftables.watch, nftables.poll_interval),
               lambda _say: watcher(loop, ruleset, nftables, _commits(keeper, log), keeper.doubt)),
        *(_engine(engine._replace(entry=None), nftables.audit_interval, loop, keeper) for engine in config.docker),
    ]
    if config.fleet is not None:
        found.append(Recipe("fleet", (config.fleet, nftables.on_stop), lambda say: _fleet(config, loop, keeper, say),
                            zones=frozenset(each.zone for each in config.fleet.consume)))
    return found


def _links(keeper: Keeper, log: Log) -> Callable[[Sequence[Event]], Collection[int]]:
    """keeper.events(), told one by one where the log is that verbose, with what was made of it."""
    def seen(events: Sequence[Event]) -> Collection[int]:
        if log.level != "debug":
            return keeper.events(events)
        from netmgr.show.events_text import event_text
        for event in events:
            before = keeper.reporter.fresh
            keeper.events((event,))
            log("debug", "netlink: %s (%s)" % (event_text(event), "new" if keeper.reporter.fresh > before else "changes nothing"))
        return keeper.events(())
    return seen


def _commits(keeper: Keeper, log: Log) -> Callable[[Sequence[Suspect]], None]:
    """keeper.repairs.changed(), told where the log is that verbose; what was repaired is told anyway."""
    def changed(by: Sequence[Suspect]) -> None:
        if log.level == "debug":
            from netmgr.show.events_text import suspect_text
            for suspect in by:
                log("debug", "nftables: %s" % suspect_text(suspect))
        keeper.repairs.changed(by)
    return changed


def _routes(config: Config, loop: Loop, keeper: Keeper, say: Say) -> Source:
    """Loaded only where routes matter; where next hops do not, another one changes nothing."""
    from netmgr.io.route_source import RouteSource

    def told(hops: NextHops) -> None:
        keeper.defaults(hops if holds_gateways(config) else dict.fromkeys(hops, ()))

    return RouteSource(loop, told, say, config.nftables.audit_interval)


def _fleet(config: Config, loop: Loop, keeper: Keeper, say: Say) -> Source:
    from netmgr.fleet import member
    return member(config, loop, keeper, say)


def _engine(settings: Docker, audit_interval: float, loop: Loop, keeper: Keeper) -> Recipe:
    """What it takes to follow an engine is loaded only where one is followed."""
    name = "docker:%s" % settings.name if settings.name else "docker"

    def make(say: Say) -> Source:
        known = keeper.containers_of(settings.name)
        if settings.enabled == "false":
            return Nobody(lambda: keeper.containers(settings.name, (), [container.id for container in known], name + ": disabled"))
        from netmgr.io.docker_source import DockerSource

        def changed(seen: Sequence[ContainerSeen], gone: Sequence[str]) -> None:
            keeper.containers(settings.name, seen, gone, None if source.has_engine else name + ": no engine")

        source = DockerSource(loop, settings, audit_interval, known, changed, say)
        return source

    return Recipe(name, (settings, audit_interval), make)
