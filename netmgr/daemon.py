"""The daemon: the configuration, the sources, the keeper of the sets, the control socket and the service manager, wired together."""

from __future__ import annotations

import gc
import signal
import sys
from typing import Callable, Optional

from netmgr import __version__
from netmgr.config.schema import Config
from netmgr.desk import Desk, by_parts
from netmgr.io import systemd, trace
from netmgr.io.control import ControlServer, adopt, listen
from netmgr.io.journal import Journal
from netmgr.io.listener import Listener
from netmgr.io.log import Log
from netmgr.io.loop import Loop
from netmgr.io.nft import Nft
from netmgr.io.rights import give_up_rights
from netmgr.io.ruleset import Ruleset
from netmgr.keeper import Keeper
from netmgr.reloading import Edge, Options, Reloading, include_directory
from netmgr.show import commands
from netmgr.show.happenings import journal_fields, line_of
from netmgr.sources import Sources, recipes
from netmgr.values.errors import ConfigError
from netmgr.values.happenings import Happening
from netmgr.values.text import place_of, reason

YOUNG, OFTEN = 2_000, 5     # new objects until the garbage collector looks at them, and how often until it looks at those it has seen:
#                             what is new mostly stays, and hardly ever goes round in circles, and nobody should wait long for a look
NEEDS_CAPABILITY = "the kernel refuses access to nf_tables: netmgr needs the capability CAP_NET_ADMIN (or root)"
LOG_AGAIN = 1.0


class Daemon:
    """One running netmgr: start() begins, the loop does the rest, stop() is the clean end.  Making one may fail: OSError."""

    def __init__(self, loop: Loop, options: Options, config: Config, log: Log, edge: Edge) -> None:
        self._loop, self._log = loop, log
        log.level = options.level(config)
        listener = _listener(options, config, log)
        try:
            self._manager = systemd.Manager(loop.now, lambda: str(self._keeper.model.overview), loop.call_later)
            self._keeper = Keeper(loop, edge.kernel, self._manager, config, include_directory(config, options), self._ready, log,
                                  options.dry_run)
            self._sources = Sources(self._keeper.reporter.source, log)
            self._first = self._sources.prepare(edge.recipes(config, self._keeper))
        except OSError:
            listener.close()
            raise
        self._keeper.reporter.chronicle.write = _writer(log)
        where = "at %s" % listener.file[0] if listener.file is not None else "where systemd has it"
        self._reloading = Reloading(loop, options, edge, self._keeper, self._sources, self._manager, log, where)
        self._reloading.afterwards = self._look_through
        self.desk = Desk(loop, options, edge, self._keeper, self._sources, self._reloading, lambda: len(self._control.clients))
        self._control = ControlServer(loop, listener, by_parts(commands.answering(self.desk, log)), log)

    def start(self) -> None:
        """Let the sources begin to tell.  When all sets are right for the first time, netmgr is ready."""
        for signum, callback in ((signal.SIGTERM, self._loop.stop), (signal.SIGINT, self._loop.stop), (signal.SIGHUP, self._hang_up)):
            self._loop.on_signal(signum, callback)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])
        self._watchdog(systemd.watchdog_seconds())
        self._keeper.reporter.tell(self.desk.started)
        self._sources.swap(self._first)
        self._keeper.listen(self._sources.waiting())
        self._loop.before_sleep.append(self._keeper.settle)
        self._keeper.afterwards = self._sources.look

    def stop(self) -> None:
        """The clean end: nothing is told any more, sets are as `on_stop` says, and only then nobody can ask any more."""
        systemd.notify("STOPPING=1")
        self._keeper.reporter.tell(Happening("stopping"))
        self._sources.stop()
        self._keeper.stop()
        self._control.close()

    def _hang_up(self) -> None:
        self._reloading.reload(lambda _answer: None)

    def _ready(self) -> None:
        """What is there now stays: from here on the garbage collector looks at newer things only."""
        self._log("info", "netmgr %s is ready: %s" % (__version__, self._keeper.model.overview))
        self._manager.news("READY=1")
        gc.freeze()
        gc.set_threshold(YOUNG, OFTEN)
        gc.enable()

    @staticmethod
    def _look_through() -> None:
        """After a reload what was there before goes, and it goes round in circles; what is there now stays."""
        gc.unfreeze()
        gc.collect()
        gc.freeze()

    def _watchdog(self, seconds: Optional[float]) -> None:
        if seconds is not None:
            systemd.notify("WATCHDOG=1")
            self._loop.call_later(seconds, lambda: self._watchdog(seconds))


def _writer(log: Log) -> Callable[[str, Happening], None]:
    """What happens is a line of the log, with fields where it takes them."""
    def write(level: str, happening: Happening) -> None:
        log.with_fields(level, line_of(happening), journal_fields(happening))
    return write


def _listener(options: Options, config: Config, log: Log) -> Listener:
    """The control socket: that which systemd passes, else our own."""
    fds = systemd.listen_fds()
    if not fds:
        path = options.socket_path or config.socket_path or options.default_socket
        return listen(path, config.socket_mode, config.socket_group)
    log("info", "the control socket comes from systemd: socket_mode and socket_group are ignored")
    return adopt(fds[0])


def run(read: Callable[[], Config], options: Options) -> int:
    """`netmgr run`: serve what read() says, until a signal or `shutdown` says otherwise; the exit status."""
    log = Log(options.log_level or "info", systemd.started_by_systemd())
    if systemd.started_by_systemd():
        log.journal = Journal()
    sys.unraisablehook = lambda lost: log("warning", "%s: %s" % (lost.err_msg or "an error that is lived with", lost.exc_value))
    try:
        trace.wanted()
        loop = Loop()
        log.full = lambda: loop.call_later(LOG_AGAIN, log.resume)
        daemon = Daemon(loop, options, read(), log, edge(loop, log))
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
