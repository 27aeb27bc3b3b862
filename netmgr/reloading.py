"""A new configuration takes the place of the old one, as a whole or not at all."""

from __future__ import annotations

import os
from typing import Callable, List, Optional, Tuple

from netmgr.config.schema import Config
from netmgr.io import systemd
from netmgr.io.clock import now, utc
from netmgr.io.include_files import IncludeFiles
from netmgr.io.log import Log
from netmgr.io.loop import Loop
from netmgr.io.reading_apart import read_apart
from netmgr.keeper import Keeper
from netmgr.settling import Settled, Settling
from netmgr.sources import Recipe, Sources
from netmgr.sync.reconciler import Kernel
from netmgr.values.errors import ConfigError
from netmgr.values.happenings import Happening
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.replies import Say
from netmgr.values.text import reason


class Options(NamedTuple):
    """What the command line says."""

    config_path: str
    socket_path: Optional[str]
    log_level: Optional[str]
    dry_run: bool
    default_socket: str

    def level(self, config: Config) -> str:
        """What is worth a line of the log."""
        return self.log_level or config.log_level


class Edge(NamedTuple):
    """What the daemon stands on: the kernel's sets, and how its sources are made under a configuration."""

    kernel: Kernel
    recipes: Callable[[Config, Keeper], List[Recipe]]


class Reloading:
    """Reads the configuration again when it is asked to, and counts how that went.  `where` is the control socket, which stays.

    `afterwards` is called when a new one counts and everything follows it.
    """

    def __init__(self, loop: Loop, options: Options, edge: Edge, keeper: Keeper, sources: Sources, manager: systemd.Manager, log: Log,
                 where: str) -> None:
        self._loop, self._options, self._edge, self._log = loop, options, edge, log
        self._keeper, self._sources, self._manager = keeper, sources, manager
        self._where, self._bound = where, socket_of(keeper.config)
        self.loaded, self.counts = now(), {"success": 0, "failure": 0}
        self.failed: Optional[Tuple[str, str]] = None       # why the last one did, and since when
        self._asked: List[Say] = []
        self._reading = False
        self.afterwards: Callable[[], None] = lambda: None

    def reload(self, reply: Say) -> None:
        """Swap in the configuration file as it is from now on; on any error nothing changes.

        Who asks while it is read already may have changed it meanwhile: it is read once more for all of them.
        """
        self._manager.news("RELOADING=1", "MONOTONIC_USEC=%d" % systemd.monotonic_usec())
        self._asked.append(reply)
        if not self._reading:
            self._read()

    def _read(self) -> None:
        asked, self._asked = self._asked, []

        def answer(text: str) -> None:
            for reply in asked:
                reply(text)

        def done(result: Callable[[], Config]) -> None:
            self._reading = False
            self._reload(result, answer)
            if self._asked:
                self._read()
        self._reading = True
        read_apart(self._loop, self._options.config_path, done)

    def _reload(self, read: Callable[[], Config], reply: Say) -> None:
        problem = self._swap(read)
        self.counts["success" if problem is None else "failure"] += 1
        self.failed = None if problem is None else (str(problem), utc() if self.failed is None else self.failed[1])
        if problem is None:
            done = "reloaded %s" % self._options.config_path
            Settling(self._loop, self._sources, self._keeper, lambda settled: self._done(said(done, settled), reply))
        else:
            self._done("ERROR: %s" % problem, reply)

    def _swap(self, read: Callable[[], Config]) -> Optional[Exception]:
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
            config = read()
            directory = include_directory(config, self._options, present)
            following = self._sources.prepare(self._edge.recipes(config, self._keeper))
        except (ConfigError, OSError, ImportError) as problem:
            if directory is not None and directory is not present:
                directory.release()
            return problem
        self.loaded = now()
        self._log.level = self._options.level(config)
        self._keeper.switch(config, directory)
        self._sources.swap(following)
        self._keeper.listen(self._sources.waiting())
        return None

    def _done(self, answer: str, reply: Say) -> None:
        if answer.startswith("OK"):
            answer += "; " + str(self._keeper.model.overview)
        if socket_of(self._keeper.config) != self._bound:
            answer += "; the control socket stays %s until a restart" % self._where
        wrong = None if answer.startswith("OK") else answer.partition(": ")[2]
        self._keeper.reporter.tell(Happening("reload", cause="reload", error=wrong, text="reload: %s" % answer),
                                   "info" if wrong is None else "warning")
        self._manager.news(*(["READY=1"] if self._keeper.is_ready else []))
        reply(answer)
        if wrong is None:
            self.afterwards()


def include_directory(config: Config, options: Options, present: Optional[IncludeFiles] = None) -> Optional[IncludeFiles]:
    """The directory of the include files, for us alone; `present` if it is the same.  OSError when another netmgr has it."""
    wanted = None if options.dry_run else config.nftables.include_dir
    if wanted is None or (present is not None and present.directory == wanted):
        return None if wanted is None else present
    directory = IncludeFiles(wanted, "pid %d on %s, configuration %s" % (os.getpid(), os.uname().nodename, options.config_path))
    try:
        directory.claim()
    except BlockingIOError as problem:
        raise OSError("%s: %s" % (wanted, reason(problem))) from None
    except OSError:     # whatever it is, the first write says so, and tries again
        pass
    return directory


def socket_of(config: Config) -> Tuple[object, ...]:
    """What the configuration says of the control socket."""
    return config.socket_path, config.socket_mode, config.socket_group


def said(done: str, settled: Settled) -> str:
    """How an answer says that it is done, and what came of it."""
    if settled.troubles:
        return "ERROR: %s, but not everything could be read: %s; so far %s" % (done, ", ".join(settled.troubles), settled)
    return "OK: %s: %s" % (done, settled)
