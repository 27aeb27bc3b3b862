"""The daemon: owns the configuration, the inventory and the model, and wires them to the edges.

Handlers of descriptors only change tables.  Before the loop sleeps, _settle() looks at what they brought together and reconciles
once.  It does so only when the queue of events has been read to its end: events that are older than a snapshot may contradict it
for a moment, and sets must never follow such a moment.
"""

import gc
import os
import signal
import time
from typing import TYPE_CHECKING, Iterable, List, NamedTuple, Optional, Sequence

from netmgr import __version__
from netmgr.config.schema import Config, same_engine
from netmgr.io import systemd
from netmgr.io.configuration import load
from netmgr.io.control import ControlServer, adopt, listen
from netmgr.io.include_files import IncludeFiles
from netmgr.io.link_source import LinkSource
from netmgr.io.log import Log
from netmgr.io.loop import Deadline, Loop
from netmgr.io.nft import Nft
from netmgr.io.rtnetlink import Snapshot
from netmgr.io.ruleset import Ruleset
from netmgr.model.inventory import Inventory
from netmgr.model.model import Model
from netmgr.show import commands
from netmgr.show.answers import SetContents, Status
from netmgr.show.status import Sources, everything, set_contents, summary
from netmgr.sync.include_files import Files, Includes
from netmgr.sync.reconciler import Reconciler
from netmgr.sync.repairs import Guard
from netmgr.values.errors import ConfigError
from netmgr.values.events import ContainerSeen, Event, Suspect
from netmgr.values.sets import Change, ChangeElements
from netmgr.values.text import number

if TYPE_CHECKING:
    from netmgr.io.docker_source import DockerSource

NEEDS_CAPABILITY = "the kernel refuses access to nf_tables: netmgr needs the capability CAP_NET_ADMIN (or root)"
UNSETTLED = "links and addresses cannot be read just now, the sets follow as soon as they can"
LOG_AGAIN = 1.0
KEPT = {"keep": "stay in their sets", "remove": "are removed"}


class Options(NamedTuple):
    """What the command line says."""

    config_path: str
    socket_path: Optional[str]
    log_level: Optional[str]
    dry_run: bool
    default_socket: str


class Daemon:
    """One running netmgr: start() makes the first sync, the loop does the rest, stop() is the clean end."""

    def __init__(self, loop: Loop, options: Options, config: Config, log: Log, nft: Nft) -> None:
        self._loop = loop
        self._options = options
        self._log = log
        self._started = loop.now()
        self._ruleset = Ruleset(loop, nft, self._on_ruleset)
        self._inventory = Inventory()
        self._docker: Optional[DockerSource] = None
        self._audit_due: Optional[Deadline] = None
        self._wake: Optional[Deadline] = None
        self._manager = systemd.Manager(loop.now, lambda: summary(self._model), loop.call_later)
        self._ready = False
        self._adopt(config)
        self._guard = Guard(self._reconciler(), loop.now, _utc, log)
        self._control = self._listen()
        self._links = LinkSource(loop, self._on_events, self._on_snapshot, log)
        self._start_sources()

    # -- life

    def start(self) -> None:
        """Bring all sets up to date; when they are, be ready."""
        for signum, callback in ((signal.SIGTERM, self._loop.stop), (signal.SIGINT, self._loop.stop), (signal.SIGHUP, self._hang_up)):
            self._loop.on_signal(signum, callback)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGHUP])
        self._watchdog(systemd.watchdog_seconds())
        self._loop.before_sleep.append(self._settle)

    def stop(self) -> None:
        """The clean end: sets as `on_stop` says, descriptors closed."""
        systemd.notify("STOPPING=1")
        self._stop_sources()
        self._links.close()
        if self._config.nftables.on_stop == "remove":
            names = list(self._model.sets)
            self._model.retire_all()
            self._guard.settle()
            self._includes.remove(names)
        else:
            self._includes.write(self._model, at_once=True)
        self._control.close()
        self._log("info", "stopped; netmgr's elements %s" % KEPT[self._config.nftables.on_stop])

    # -- what the control socket asks for

    def status(self) -> Status:
        """The state of everything."""
        return everything(self._model, self._sources(), os.getpid(), self._loop.now() - self._started, self._options.config_path)

    def sets(self) -> Sequence[SetContents]:
        """Every set with its elements."""
        return set_contents(self._model)

    def reload(self) -> str:
        """Swap in the configuration file as it is now; on any error nothing changes."""
        self._manager.news("RELOADING=1", "MONOTONIC_USEC=%d" % systemd.monotonic_usec())
        answer = self._reload()
        for line in answer.split("\n"):
            self._log("info" if answer.startswith("OK") else "warning", "reload: %s" % line)
        self._manager.news("READY=1")
        return answer

    def resync(self) -> str:
        """Read everything anew and reconcile."""
        self._links.refresh()
        self._guard.doubt()
        self._includes.doubt(self._model)
        if self._docker is not None:
            self._docker.refresh()
        self._links.catch_up()
        changes = self._settle()
        return "ERROR: not resynced: %s" % UNSETTLED if changes is None else "OK: resynced: %s" % _counted(changes)

    def shutdown(self) -> str:
        """Stop after this turn of the loop, when the answer is out."""
        self._loop.call_later(0, self._loop.stop)
        return "OK: stopping"

    # -- configuration

    def _adopt(self, config: Config) -> None:
        """Make whole new objects of a configuration; the inventory stays."""
        self._config = config
        self._log.level = self._options.log_level or config.log_level
        self._model = Model(config, self._inventory)
        directory = None if self._options.dry_run else config.nftables.include_dir
        files: Optional[Files] = None if directory is None else IncludeFiles(directory)
        self._includes = Includes(files, self._loop.now, self._log)

    def _reconciler(self) -> Reconciler:
        return Reconciler(self._ruleset, self._model, self._log, self._options.dry_run)

    def _hang_up(self) -> None:
        self.reload()

    def _reload(self) -> str:
        try:
            config = load(self._options.config_path)
        except (ConfigError, OSError) as problem:
            return "ERROR: %s" % problem
        before, model, includes = self._config, self._model, self._includes
        self._adopt(config)
        self._guard.adopt(self._reconciler())
        self._model.retire(model.sets)
        moved = before.nftables.include_dir != config.nftables.include_dir
        includes.remove([name for name in model.sets if moved or self._model.sets[name].role.retiring])
        if (before.socket_path, before.socket_mode, before.socket_group) != (
                config.socket_path, config.socket_mode, config.socket_group):
            self._log("warning", "reload: the control socket stays as it is until a restart")
        self._stop_sources(keep_docker=same_engine(config.docker, before.docker))
        self._start_sources()
        self._links.catch_up()
        changes = self._settle()
        done = UNSETTLED if changes is None else _counted(changes)
        return "OK: reloaded %s: %s; %s" % (self._options.config_path, done, summary(self._model))

    # -- sources

    def _start_sources(self) -> None:
        nftables = self._config.nftables
        self._ruleset.watch(nftables)
        if nftables.audit_interval:
            self._audit_due = self._loop.call_later(nftables.audit_interval, self._audit)
        if self._docker is None and self._config.docker.enabled != "false":
            from netmgr.io.docker_source import DockerSource
            self._docker = DockerSource(self._loop, self._config.docker, self._on_containers, self._log)
            self._docker.start()
        self._model.hold = self._docker is not None and self._docker.pending
        if self._docker is None:
            self._on_containers(())

    def _stop_sources(self, keep_docker: bool = False) -> None:
        self._ruleset.close()
        if self._audit_due is not None:
            self._audit_due.cancel()
        if self._docker is not None and not keep_docker:
            self._docker.stop()
            self._docker = None

    def _on_events(self, events: Iterable[Event]) -> None:
        for event in events:
            self._model.apply(self._inventory.apply(event))
        if self._inventory.unsure:
            self._links.refresh()

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        self._inventory.replace_interfaces(snapshot.links, snapshot.addresses)
        self._model.recount()

    def _on_ruleset(self, by: Sequence[Suspect]) -> None:
        self._guard.changed(by)

    def _on_containers(self, containers: Sequence[ContainerSeen]) -> None:
        self._model.apply(self._inventory.replace_containers(containers))

    def _audit(self) -> None:
        if self._links.settle():
            self._guard.audit()
            self._includes.doubt(self._model)
            self._finish()
        self._audit_due = self._loop.call_later(self._config.nftables.audit_interval, self._audit)

    # -- the one place where sets change

    def _settle(self) -> Optional[List[Change]]:
        """What was committed; None: that must wait until links and addresses have been read."""
        if not self._links.settle():
            return None
        if self._model.hold and (self._docker is None or not self._docker.pending):
            self._model.release_held()
        changes = self._guard.settle()
        self._finish()
        if not self._ready:
            self._become_ready()
        return changes

    def _become_ready(self) -> None:
        """What is there now stays: from here on the garbage collector looks at newer things only."""
        self._ready = True
        self._log("info", "netmgr %s is ready: %s" % (__version__, summary(self._model)))
        self._manager.news("READY=1")
        gc.collect()
        gc.freeze()
        gc.enable()

    def _finish(self) -> None:
        """What follows the sets follows; for what is due later the loop wakes up."""
        self._includes.write(self._model)
        if self._ready:
            self._manager.look()
        times = self._guard.deadline(), self._includes.deadline(self._model), self._manager.deadline()
        self._wake_at(min((each for each in times if each is not None), default=None))

    def _wake_at(self, when: Optional[float]) -> None:
        if self._wake is not None:
            if self._wake.when == when:
                return
            self._wake.cancel()
        self._wake = None if when is None else self._loop.call_at(when, self._woken)

    def _woken(self) -> None:
        """No more than that: before the loop sleeps again, it settles."""
        self._wake = None

    # -- small change

    def _listen(self) -> ControlServer:
        fds = systemd.listen_fds()
        if fds:
            listener = adopt(fds[0])
            self._log("info", "the control socket comes from systemd: socket_mode and socket_group are ignored")
        else:
            path = self._options.socket_path or self._config.socket_path or self._options.default_socket
            listener = listen(path, self._config.socket_mode, self._config.socket_group)
        return ControlServer(self._loop, listener, commands.answering(self, self._log), self._log)

    def _watchdog(self, seconds: Optional[float]) -> None:
        if seconds is not None:
            systemd.notify("WATCHDOG=1")
            self._loop.call_later(seconds, lambda: self._watchdog(seconds))

    def _sources(self) -> Sources:
        docker = self._docker
        return Sources(
            self._links.state, self._links.overruns, self._links.resyncs, self._guard.repairs, self._guard.last_repair,
            "disabled" if docker is None else docker.state, None if docker is None else docker.error)


def run(config_path: str, socket_path: Optional[str], log_level: Optional[str], dry_run: bool, default_socket: str) -> int:
    """`netmgr run`: serve until a signal or `shutdown` says otherwise; the exit status."""
    log = Log(log_level or "info", systemd.started_by_systemd())
    loop = Loop()
    log.full = lambda: loop.call_later(LOG_AGAIN, log.resume)
    try:
        config = load(config_path)
        daemon = Daemon(loop, Options(config_path, socket_path, log_level, dry_run, default_socket), config, log, _open_nft())
        daemon.start()
    except ConfigError as problem:
        for line in problem.errors:
            log("error", line)
        return 1
    except OSError as problem:
        log("error", str(problem))
        return 1
    loop.run()
    daemon.stop()
    return 0


def _open_nft() -> Nft:
    try:
        return Nft()
    except PermissionError:
        raise OSError(NEEDS_CAPABILITY) from None


def _counted(changes: Sequence[Change]) -> str:
    elements = [change for change in changes if isinstance(change, ChangeElements)]
    if not elements:
        return "nothing had to change"
    added, removed = sum(len(each.add) for each in elements), sum(len(each.delete) for each in elements)
    return "%s added, %d removed" % (number(added, "element"), removed)


def _utc() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
