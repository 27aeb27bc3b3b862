"""The daemon: the configuration, the sources, the keeper of the sets, the control socket and the service manager, wired together."""

import gc
import os
import signal
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from netmgr import __version__
from netmgr.config.schema import Config
from netmgr.io import systemd
from netmgr.io.clock import Calendar, now, utc
from netmgr.io.configuration import load
from netmgr.io.control import ControlServer, adopt, listen
from netmgr.io.include_files import IncludeFiles
from netmgr.io.log import Log
from netmgr.io.loop import Loop
from netmgr.io.nft import Nft
from netmgr.io.rights import give_up_rights
from netmgr.io.ruleset import Ruleset
from netmgr.keeper import Keeper
from netmgr.settling import Settled, Settling
from netmgr.show import commands
from netmgr.show.answers import Explanation, GraphEdge, GraphNode, SetContents, Status
from netmgr.show.status import Manner, SourcesStatus, SourceStatus, everything, set_contents, set_rows, state, summary
from netmgr.sources import Recipe, Running, Sources, recipes
from netmgr.sync.reconciler import Kernel
from netmgr.values.errors import ConfigError
from netmgr.values.happenings import Happening
from netmgr.values.replies import Say
from netmgr.values.text import place_of, reason

YOUNG = 10_000      # new objects until the garbage collector looks at them: what is new mostly stays, and hardly ever goes round in circles
NEEDS_CAPABILITY = "the kernel refuses access to nf_tables: netmgr needs the capability CAP_NET_ADMIN (or root)"
LOG_AGAIN = 1.0


class Options(NamedTuple):
    """What the command line says."""

    config_path: str
    socket_path: Optional[str]
    log_level: Optional[str]
    dry_run: bool
    default_socket: str


class Edge(NamedTuple):
    """What the daemon stands on: the kernel's sets, and how its sources are made under a configuration."""

    kernel: Kernel
    recipes: Callable[[Config, Keeper], List[Recipe]]


class Daemon:
    """One running netmgr: start() begins, the loop does the rest, stop() is the clean end.  Making one may fail: OSError."""

    def __init__(self, loop: Loop, options: Options, config: Config, log: Log, edge: Edge) -> None:
        self._loop, self._options, self._log, self._edge = loop, options, log, edge
        self._begun, self._started, self._calendar = loop.now(), Happening("started", utc()), Calendar()
        self._bound, self._is_ready = _socket_of(config), False
        self._loaded, self._reloads = now(), {"success": 0, "failure": 0}
        self._set_level(config)
        self._manager = systemd.Manager(loop.now, self._summary, loop.call_later)
        self._control = self._listen(config)
        self._sources = Sources()
        self._states: Dict[str, str] = {}       # of the sources, as they were when last looked at
        try:
            self._keeper = Keeper(loop, edge.kernel, self._manager, config, self._directory(config), self._ready, log, options.dry_run)
            self._first = self._sources.prepare(edge.recipes(config, self._keeper))
        except OSError:
            self._control.close()
            raise

    def start(self) -> None:
        """Let the sources begin to tell.  When all sets are right for the first time, netmgr is ready."""
        for signum, callback in ((signal.SIGTERM, self._loop.stop), (signal.SIGINT, self._loop.stop), (signal.SIGHUP, self._hang_up)):
            self._loop.on_signal(signum, callback)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])
        self._watchdog(systemd.watchdog_seconds())
        self._swap(self._first)
        self._loop.before_sleep.append(self._keeper.settle)
        self._loop.before_sleep.append(self._look_at_sources)

    def stop(self) -> None:
        """The clean end: nothing is told any more, sets are as `on_stop` says, and only then nobody can ask any more."""
        systemd.notify("STOPPING=1")
        self._keeper.reporter.chronicle.tell(Happening("stopping"), "debug")
        self._sources.stop()
        self._keeper.stop()
        self._control.close()

    # -- what the control socket asks for

    def status(self) -> Status:
        """The state of everything."""
        return everything(self._keeper.model, self._sources_status(), self._manner())

    def sets(self) -> Sequence[SetContents]:
        """Every set with its elements."""
        return set_contents(self._keeper.model, self._manner())

    def explain(self, thing: str) -> Explanation:
        """Why this thing is in sets, or is not."""
        from netmgr.show.explain import explain
        return explain(self._keeper.model, thing, self._keeper.reporter.chronicle.since)

    def graph(self) -> Iterator[Union[GraphNode, GraphEdge]]:
        """What feeds what, made as it is read."""
        from netmgr.show.graph import graph
        return graph(self._keeper.model)

    def log(self, number: int, names: Sequence[str]) -> List[Happening]:
        """The last so many happenings that concern these names."""
        return self._keeper.reporter.chronicle.last(number, names)

    def metrics(self) -> Iterator[str]:
        """All that is counted, in the text format of Prometheus, in pieces."""
        from netmgr.io import process
        from netmgr.show import metrics
        keeper = self._keeper
        enabled = {name: (each.source.state == "ok", each.source.told) for name, each in self._sources.running.items()
                   if each.source.state != "disabled"}
        sets = set_rows(keeper.model, self._manner())
        is_ready = state(sets, keeper.model, self._sources_status()) == "ready"
        return metrics.text(keeper.model, metrics.Measured(
            __version__, is_ready, sets, keeper.repairs.made, len(self._control.clients), self._loaded,
            keeper.counters, self._reloads, keeper.counted(), enabled, process.measures(), self._sources.consumed()))

    def follow(self, listener: Callable[[Happening], None]) -> Callable[[], None]:
        """Tell the listener that netmgr has started, and what happens from now on, until the result is called."""
        listener(self._started)
        return self._keeper.reporter.chronicle.follow(listener)

    def reload(self, reply: Say) -> None:
        """Swap in the configuration file as it is now; on any error nothing changes."""
        self._manager.news("RELOADING=1", "MONOTONIC_USEC=%d" % systemd.monotonic_usec())
        problem = self._reload()
        self._reloads["success" if problem is None else "failure"] += 1
        if problem is None:
            done = "reloaded %s" % self._options.config_path
            Settling(self._loop, self._sources, self._keeper, lambda settled: self._reloaded(_said(done, settled), reply))
        else:
            self._reloaded("ERROR: %s" % problem, reply)

    def resync(self, reply: Say) -> None:
        """Read everything anew and reconcile."""
        self._sources.refresh()

        def done(settled: Settled) -> None:
            trouble = ", ".join(settled.troubles) or None
            self._keeper.reporter.chronicle.tell(Happening("resync", cause="resync", error=trouble), "")
            reply(_said("resynced", settled))
        Settling(self._loop, self._sources, self._keeper, done)

    def diff(self, path: str, reply: Say) -> None:
        """What a reload would change; the kernel's sets are read, and nothing else happens."""
        from netmgr.show import differences
        try:
            config = load(path or self._options.config_path)
            reply(differences.answer(differences.of_a_reload(config, self._edge.kernel, self._keeper.model)))
        except (ConfigError, OSError) as problem:
            reply("ERROR: %s" % problem)

    def shutdown(self, reply: Say) -> None:
        """Stop after this turn of the loop, when the answer is out."""
        self._loop.call_later(0, self._loop.stop)
        reply("OK: stopping")

    # -- inner parts

    def _manner(self) -> Manner:
        return Manner(os.getpid(), self._loop.now() - self._begun, self._options.config_path, self._calendar, self._options.dry_run,
                      self._begun)

    def _look_at_sources(self) -> None:
        for name, each in self._sources.running.items():
            if each.source.state != self._states.get(name):
                self._source_changed(name, each.source.state, each.source.error)

    def _source_changed(self, name: str, state: str, error: Optional[str]) -> None:
        """The log has it from the source."""
        before, self._states[name] = self._states.get(name), state
        if state == "ok" and before is not None:
            self._keeper.reporter.chronicle.tell(Happening("source-ok", cause="%s: ok" % name, source=name), "")
        elif before == "ok":
            lost = Happening("source-lost", cause="%s: %s" % (name, state), source=name, error=error or state)
            self._keeper.reporter.chronicle.tell(lost, "")

    def _sources_status(self) -> SourcesStatus:
        told = [SourceStatus(name, each.source.state, each.source.error, each.source.facts)
                for name, each in self._sources.running.items()]
        repairs = self._keeper.repairs
        return SourcesStatus(told, repairs.made, repairs.last_repair, repairs.rival)

    def _reload(self) -> Optional[Exception]:
        """What is wrong; None when the new configuration counts.  In this order, for:

        1. the file is read and checked as a whole        an error must find everything as it was, and so must
        2. the directory of the include files is claimed  a failure of that, and so must
           new sources open their sockets                 a failure of these, after which those that were opened are closed
        3. the level of the log is the new one            nothing can fail from here on, and what follows is logged as wanted
        4. the model and all that hangs on it is new      sources tell into the model of the day: it must be there before they begin
        5. what left the configuration is retired         by the model, which must know those sets before the one commit below
        6. include files of such sets go                  before new ones are written, for a directory may have moved below another
        7. old sources end, new ones begin, others refresh    what is answered reflects all that had happened when we were asked
        8. the sets follow, before the loop sleeps        once: what goes and what comes is one transaction, so there is no gap
        """
        present = directory = self._keeper.directory
        try:
            config = load(self._options.config_path)
            directory = self._directory(config, present)
            following = self._sources.prepare(self._edge.recipes(config, self._keeper))
        except (ConfigError, OSError) as problem:
            if directory is not None and directory is not present:
                directory.release()
            return problem
        self._loaded = now()
        self._set_level(config)
        self._keeper.switch(config, directory)
        self._swap(following)
        return None

    def _reloaded(self, answer: str, reply: Say) -> None:
        if answer.startswith("OK"):
            answer += "; " + self._summary()
        if _socket_of(self._keeper.config) != self._bound:
            answer += "; the control socket stays %s until a restart" % self._where
        wrong = None if answer.startswith("OK") else answer.partition(": ")[2]
        self._keeper.reporter.chronicle.tell(Happening("reload", cause="reload", error=wrong), "")
        for line in answer.split("\n"):
            self._log("info" if answer.startswith("OK") else "warning", "reload: %s" % line)
        self._manager.news(*(["READY=1"] if self._is_ready else []))
        reply(answer)

    def _swap(self, following: Dict[str, Running]) -> None:
        self._sources.swap(following)
        self._keeper.listen(self._sources.waiting())

    def _directory(self, config: Config, present: Optional[IncludeFiles] = None) -> Optional[IncludeFiles]:
        """The directory of the include files, for us alone.  OSError when another netmgr has it."""
        wanted = None if self._options.dry_run else config.nftables.include_dir
        if wanted is None or (present is not None and present.directory == wanted):
            return None if wanted is None else present
        directory = IncludeFiles(wanted, "pid %d on %s, configuration %s" % (os.getpid(), os.uname().nodename, self._options.config_path))
        try:
            directory.claim()
        except BlockingIOError as problem:
            raise OSError("%s: %s" % (wanted, reason(problem))) from None
        except OSError:     # whatever it is, the first write says so, and tries again
            pass
        return directory

    def _set_level(self, config: Config) -> None:
        self._log.level = self._options.log_level or config.log_level

    def _hang_up(self) -> None:
        self.reload(lambda _answer: None)

    def _ready(self) -> None:
        """What is there now stays: from here on the garbage collector looks at newer things only."""
        self._is_ready = True
        self._log("info", "netmgr %s is ready: %s" % (__version__, self._summary()))
        self._manager.news("READY=1")
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG)
        gc.enable()

    def _summary(self) -> str:
        return summary(self._keeper.model)

    def _listen(self, config: Config) -> ControlServer:
        fds = systemd.listen_fds()
        if fds:
            listener = adopt(fds[0])
            self._log("info", "the control socket comes from systemd: socket_mode and socket_group are ignored")
        else:
            path = self._options.socket_path or config.socket_path or self._options.default_socket
            listener = listen(path, config.socket_mode, config.socket_group)
        self._where = "at %s" % listener.file[0] if listener.file is not None else "where systemd has it"
        return ControlServer(self._loop, listener, commands.answering(self, self._log), self._log)

    def _watchdog(self, seconds: Optional[float]) -> None:
        if seconds is not None:
            systemd.notify("WATCHDOG=1")
            self._loop.call_later(seconds, lambda: self._watchdog(seconds))


def run(config_path: str, socket_path: Optional[str], log_level: Optional[str], dry_run: bool, default_socket: str) -> int:
    """`netmgr run`: serve until a signal or `shutdown` says otherwise; the exit status."""
    log = Log(log_level or "info", systemd.started_by_systemd())
    try:
        loop = Loop()
        log.full = lambda: loop.call_later(LOG_AGAIN, log.resume)
        config = load(config_path)
        options = Options(config_path, socket_path, log_level, dry_run, default_socket)
        daemon = Daemon(loop, options, config, log, edge(loop, log))
        daemon.start()
    except ConfigError as problem:
        for line in problem.errors:
            log("error", line)
        return 1
    except OSError as problem:
        log("error", str(problem))
        return 1
    _give_up_rights(log)
    try:
        loop.run()
        daemon.stop()
    except (OSError, ImportError) as problem:       # of all that can be lived with it is said where it happens
        log("error", "cannot go on: %s (in %s)" % (reason(problem), place_of(problem)))
        return 1
    return 0


def edge(loop: Loop, log: Log) -> Edge:
    """The real one: nf_tables, rtnetlink and the engine's socket.  OSError."""
    try:
        ruleset = Ruleset(Nft())
    except PermissionError:
        raise OSError(NEEDS_CAPABILITY) from None
    return Edge(ruleset, lambda config, keeper: recipes(config, loop, ruleset, keeper, log))


def _give_up_rights(log: Log) -> None:
    try:
        give_up_rights()
    except OSError as problem:
        log("warning", "the rights of root cannot be given up: %s" % reason(problem))


def _socket_of(config: Config) -> Tuple[object, ...]:
    return config.socket_path, config.socket_mode, config.socket_group


def _said(done: str, settled: Settled) -> str:
    if settled.troubles:
        return "ERROR: %s, but not everything could be read: %s; so far %s" % (done, ", ".join(settled.troubles), settled)
    return "OK: %s: %s" % (done, settled)
