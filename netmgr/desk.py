"""What the control socket asks for, answered from the daemon's parts.

What says an answer is loaded when the first one is asked for, which takes 4 to 9 ms: so it is loaded module by module, and between them
the loop has its turns.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING, Callable, Collection, Dict, Iterator, List, Optional, Sequence, Tuple, Union

from netmgr import __version__
from netmgr.config.schema import Config
from netmgr.io.clock import Calendar, utc
from netmgr.io.loop import Loop
from netmgr.io.peer import Peer
from netmgr.io.reading_apart import read_apart
from netmgr.keeper import Keeper
from netmgr.model.managed_set import ERROR
from netmgr.reloading import Edge, Options, Reloading, said
from netmgr.settling import Settled, Settling
from netmgr.show import commands
from netmgr.show.happenings import KEPT
from netmgr.sources import Sources
from netmgr.values.errors import ConfigError
from netmgr.values.happenings import Happening
from netmgr.values.replies import Reply, Say
from netmgr.values.text import reason

if TYPE_CHECKING:
    from netmgr.show.answers import Explanation, GraphEdge, GraphNode, SetContents, Status
    from netmgr.show.status import Manner, SourcesStatus

Answer = Callable[[str, Peer, bool, Reply], None]       # as in netmgr.io.control


def _show(*names: str) -> Tuple[str, ...]:
    return tuple("netmgr.show." + name for name in names)


_SAID = ("json", *_show("answers", "rows", "answers_json"))
_TABLES = (*_SAID, *_show("selection", "columns", "tables", "problems", "status"))
PARTS: Dict[str, Tuple[str, ...]] = {
    "status": _TABLES, "sets": _TABLES, "log": _SAID, "graph": (*_SAID, *_show("problems", "status", "graph")),
    "explain": (*_SAID, "netmgr.model.keys", "netmgr.model.shape",
                *_show("explain_text", "moment", "holders", "reasons", "problems", "status", "explain")),
    "metrics": ("resource", "netmgr.io.process", *_show("answers", "metrics", "rows", "problems", "status"), "netmgr.model.address_counts"),
}       # the modules of an answer that comes in pieces, each behind those that it needs


def by_parts(answer: Answer) -> Answer:
    """The same answers, but what they are made of is there before."""
    def answered(line: str, who: Peer, privileged: bool, reply: Reply) -> None:
        known = commands.asked(line)
        missing = [name for name in PARTS.get(known.command.name, ()) if name not in sys.modules] if known is not None else []
        then = partial(answer, line, who, privileged)
        if missing:
            reply(_loaded(missing, then))
        else:
            then(reply)
    return answered


def _loaded(names: Sequence[str], then: Callable[[Reply], None]) -> Iterator[str]:
    """Nothing for each module, and then the answer.  Loading takes a descriptor."""
    found: List[Union[str, Iterator[str]]] = []
    try:
        for name in names:
            __import__(name)
            yield ""
        then(found.append)      # type: ignore[arg-type]        # none of these lasts as long as the client stays
    except (OSError, ImportError) as error:
        found = ["ERROR: there is no answer to be had now: %s\n" % reason(error)]
    for each in found:
        yield from (each,) if isinstance(each, str) else each


class Desk:
    """The service behind netmgr.show.commands.  `clients` is how many are there.  What answers are made of is loaded for the first."""

    def __init__(self, loop: Loop, options: Options, edge: Edge, keeper: Keeper, sources: Sources, reloading: Reloading,
                 clients: Callable[[], int]) -> None:
        self._loop, self._options, self._edge, self._keeper, self._sources = loop, options, edge, keeper, sources
        self._clients = clients
        self._reloading = reloading
        self._begun, self.started, self._calendar = loop.now(), Happening("started", utc()), Calendar()
        self.reload = reloading.reload

    def status(self) -> Status:
        """The state of everything."""
        from netmgr.show.problems import dated
        from netmgr.show.status import everything
        manner, happenings = self._manner(), self._keeper.reporter.chronicle.last()
        begun = manner.utc(self._begun) if len(happenings) < KEPT else None
        return everything(self._keeper.model, self._sources_status(), manner, partial(dated, happenings=happenings, begun=begun))

    def sets(self) -> Collection[SetContents]:
        """Every set with its elements."""
        from netmgr.show.status import set_contents
        return set_contents(self._keeper.model, self._manner())

    def explain(self, thing: str) -> Explanation:
        """Why this thing is in sets, or is not."""
        from netmgr.show.explain import explain
        return explain(self._keeper.model, thing, self._keeper.reporter.chronicle.last())

    def graph(self) -> Iterator[Union[GraphNode, GraphEdge, None]]:
        """What feeds what, made as it is read."""
        from netmgr.show.graph import graph
        return graph(self._keeper.model)

    def called(self, names: Sequence[str]) -> List[str]:
        """The names, and those of the interfaces that have one of them as an alternative name."""
        return [*names, *self._keeper.called(names)]

    def log(self, number: int, names: Sequence[str]) -> Iterator[Optional[Happening]]:
        """The last so many happenings that concern these names; None while they are looked for."""
        return self._keeper.reporter.chronicle.asked(number, names)

    def metrics(self) -> Iterator[str]:
        """All that is counted, in the text format of Prometheus, in pieces.  What has not been counted yet is counted first."""
        from netmgr.io import process
        from netmgr.show import metrics
        from netmgr.show.status import left_undone, state
        keeper, reloading, counting = self._keeper, self._reloading, self._keeper.counting()

        def measured() -> metrics.Measured:
            enabled = {name: (each.source.state == "ok", each.source.told) for name, each in self._sources.running.items()
                       if each.source.state != "disabled"}
            undone = left_undone(keeper.model) if self._options.dry_run else frozenset()
            words = [ERROR] if undone or keeper.model.overview.error else []
            return metrics.Measured(
                __version__, state(words, keeper.model, self._sources_status()) == "ready", keeper.repairs.made, self._clients(),
                reloading.loaded, keeper.counters, reloading.counts, reloading.failed is None, keeper.counted(), enabled,
                process.measures(), self._sources.consumed(), undone)

        def told() -> Iterator[str]:
            yield from ("" for _step in counting)
            yield from metrics.text(keeper.model, measured())
        return told()

    def follow(self, listener: Callable[[Happening], None]) -> Callable[[], None]:
        """Tell the listener that netmgr has started, and what happens from now on, until the result is called."""
        listener(self.started)
        return self._keeper.reporter.chronicle.follow(listener)

    def resync(self, reply: Say) -> None:
        """Read everything anew and reconcile."""
        no_longer = self._keeper.reporter.because("resync")
        self._sources.refresh()

        def done(settled: Settled) -> None:
            no_longer()
            trouble = ", ".join(settled.troubles) or None
            answer = said("resynced", settled)
            self._keeper.reporter.tell(Happening("resync", cause="resync", error=trouble, text="resync: %s" % answer),
                                       "info" if trouble is None else "warning")
            reply(answer)
        Settling(self._loop, self._sources, self._keeper, done)

    def diff(self, path: str, reply: Say) -> None:
        """What a reload would change; the kernel's sets are read, and nothing else happens."""
        from netmgr.show import differences

        def done(read: Callable[[], Config]) -> None:
            try:
                reply(differences.answer(differences.of_a_reload(read(), self._edge.kernel, self._keeper.model)))
            except (ConfigError, OSError) as problem:
                reply("ERROR: %s" % problem)
        read_apart(self._loop, path or self._options.config_path, done)

    def shutdown(self, reply: Say) -> None:
        """Stop after this turn of the loop, when the answer is out."""
        self._loop.call_later(0, self._loop.stop)
        reply("OK: stopping")

    def _manner(self) -> Manner:
        from netmgr.show.status import Manner
        return Manner(os.getpid(), self._loop.now() - self._begun, self._options.config_path, self._calendar, self._options.dry_run,
                      self._begun, self._reloading.failed)

    def _sources_status(self) -> SourcesStatus:
        from netmgr.show.status import SourcesStatus, SourceStatus
        told = [SourceStatus(name, each.source.state, each.source.error, each.source.facts, self._sources.since.get(name))
                for name, each in self._sources.running.items()]
        repairs = self._keeper.repairs
        return SourcesStatus(told, repairs.made, repairs.last_repair, repairs.rival, repairs.rival_since)
