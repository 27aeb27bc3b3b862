"""The daemon: owns the configuration, the inventory and the model, and wires them to the edges.

Handlers of descriptors only change tables.  Before the loop sleeps, _settle() looks at what they brought together and reconciles
once.  It does so only when the queue of events has been read to its end: events that are older than a snapshot may contradict it
for a moment, and sets must never follow such a moment.
"""

import os
import signal
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

from netmgr import __version__, report
from netmgr.config import Config, parse
from netmgr.errors import ConfigError, ProtocolError
from netmgr.events import ContainerSeen
from netmgr.guard import Guard
from netmgr.includes import Includes
from netmgr.inventory import Inventory
from netmgr.io import systemd
from netmgr.io.control import ControlServer, adopt, listen
from netmgr.io.docker import DockerSource
from netmgr.io.files import IncludeFiles
from netmgr.io.log import Log
from netmgr.io.loop import Deadline, Loop
from netmgr.io.nft import Nft, Watch
from netmgr.io.rtnetlink import EventSocket, RequestSocket
from netmgr.model import Model
from netmgr.reconciler import Reconciler, reason
from netmgr.sets import Change, ChangeElements, SetName

NEEDS_CAPABILITY = "the kernel refuses access to nf_tables: netmgr needs the capability CAP_NET_ADMIN (or root)"
SNAPSHOT_RETRY, SNAPSHOT_RETRY_AFTER_ERROR = 0.05, 1.0


class Options(NamedTuple):
    """What the command line says."""

    config_path: str
    socket_path: Optional[str]
    log_level: Optional[str]
    dry_run: bool
    default_socket: str


class Daemon:
    """One running netmgr: start() makes the first sync, the loop does the rest, stop() is the clean end."""

    def __init__(self, loop: Loop, options: Options, config: Config, log: Log) -> None:
        self._loop = loop
        self._options = options
        self._log = log
        self._started = loop.now()
        self._inventory = Inventory()
        self._nft = Nft()
        self._requests = RequestSocket()
        self._events = EventSocket()
        self._watch: Optional[Watch] = None
        self._docker: Optional[DockerSource] = None
        self._control: Optional[ControlServer] = None
        self._deadlines: Dict[str, Deadline] = {}
        self._generation = 0
        self._draining = False
        self._snapshot_due = True
        self._netlink_state = "connecting"
        self._told = ""
        self._overruns = 0
        self._resyncs = 0
        self._model = Model(config, self._inventory)
        self._guard = Guard(Reconciler(self._nft, self._model, log, options.dry_run), loop.now, _utc, log)
        self._use(config)

    # -- life

    def start(self) -> None:
        """Listen, take the first snapshot, bring all sets up to date.  OSError says what stands in the way."""
        self._listen()
        self._loop.watch(self._events.fileno(), self._on_netlink)
        self._start_sources()
        self._loop.before_sleep.append(self._before_sleep)
        for signum, callback in ((signal.SIGTERM, self._loop.stop), (signal.SIGINT, self._loop.stop), (signal.SIGHUP, self._hang_up)):
            self._loop.on_signal(signum, callback)
        self._settle()
        self._log("info", "netmgr %s is ready: %s" % (__version__, self._summary()))
        self._tell_manager("READY=1")
        self._watchdog(systemd.watchdog_seconds())

    def stop(self) -> None:
        """The clean end: sets as `on_stop` says, descriptors closed."""
        systemd.notify("STOPPING=1")
        if self._docker is not None:
            self._docker.stop()
        if self._config.nftables.on_stop == "remove":
            names = list(self._model.sets)
            self._model.retire_all()
            self._guard.settle()
            self._includes.remove(names)
        else:
            self._includes.write(self._model, at_once=True)
        if self._control is not None:
            self._control.close()
        self._log("info", "stopped; netmgr's elements are %s" % {"keep": "kept", "remove": "removed"}[self._config.nftables.on_stop])

    # -- what the control socket asks for

    def status(self) -> Dict[str, Any]:
        """The value of `status json`."""
        return report.status(self._model, self._sources(), os.getpid(), self._loop.now() - self._started, self._options.config_path)

    def sets(self) -> Dict[str, Any]:
        """The value of `sets json`."""
        return report.set_contents(self._model)

    def reload(self) -> str:
        """Swap in the configuration file as it is now; on any error nothing changes."""
        systemd.notify("RELOADING=1", "MONOTONIC_USEC=%d" % systemd.monotonic_usec())
        answer = self._reload()
        self._log("info" if answer.startswith("OK") else "warning", "reload: %s" % answer)
        self._tell_manager("READY=1")
        return answer

    def _hang_up(self) -> None:
        self.reload()

    def resync(self) -> str:
        """Read everything anew and reconcile."""
        self._snapshot_due = True
        self._guard.doubt()
        if self._docker is not None:
            self._docker.refresh()
        changes = self._settle()
        return "OK: resynced: %s" % _counted(changes)

    def shutdown(self) -> str:
        """Stop after this turn of the loop, when the answer is out."""
        self._loop.call_later(0, self._loop.stop)
        return "OK: stopping"

    # -- configuration

    def _use(self, config: Config) -> None:
        """Make whole new objects of a configuration; the inventory stays."""
        self._config = config
        self._log.level = self._options.log_level or config.log_level
        self._model = Model(config, self._inventory)
        self._guard.adopt(Reconciler(self._nft, self._model, self._log, self._options.dry_run))
        directory = None if self._options.dry_run else config.nftables.include_dir
        self._includes = Includes(NoFiles() if directory is None else IncludeFiles(directory), self._loop.now, self._log)

    def _reload(self) -> str:
        try:
            config = load(self._options.config_path)
        except (ConfigError, OSError) as problem:
            return "ERROR: %s" % problem
        before, model, includes = self._config, self._model, self._includes
        if (before.socket_path, before.socket_mode, before.socket_group) != (
                config.socket_path, config.socket_mode, config.socket_group):
            self._log("warning", "reload: the control socket stays as it is until a restart")
        self._use(config)
        self._model.retire(model.sets)
        gone = [name for name, managed in model.sets.items()
                if before.nftables.include_dir != config.nftables.include_dir or self._model.sets[name].retiring]
        includes.remove(gone)
        if config.docker != before.docker or config.nftables != before.nftables:
            self._stop_sources()
            self._start_sources()
        changes = self._settle()
        return "OK: reloaded %s: %s; %s" % (self._options.config_path, _counted(changes), self._summary())

    # -- sources

    def _on_netlink(self, _events: int) -> None:
        drained = self._events.drain()
        self._draining = drained.more
        if drained.lost:
            self._overruns += 1
            self._snapshot_due = True
            self._log("warning", "netlink: %s; reading everything again" % drained.lost)
        for event in drained.events:
            self._model.apply(self._inventory.apply(event))

    def _take_snapshot(self) -> None:
        try:
            snapshot = self._requests.snapshot()
        except (OSError, ProtocolError) as problem:
            if self._netlink_state != "error":
                self._log("error", "netlink: links and addresses cannot be read: %s" % reason(problem))
            self._netlink_state = "error"
            self._later("snapshot", SNAPSHOT_RETRY_AFTER_ERROR, self._retry_snapshot)
            return
        if snapshot.consistent:
            self._netlink_state = "ok"
            self._resyncs += 1
            self._model.apply(self._inventory.replace_interfaces(snapshot.links, snapshot.addresses))
        else:
            self._later("snapshot", SNAPSHOT_RETRY, self._retry_snapshot)

    def _retry_snapshot(self) -> None:
        self._snapshot_due = True

    def _start_sources(self) -> None:
        """Ruleset and containers, as the configuration wants them."""
        if self._config.nftables.watch == "events":
            self._watch = Watch()
            self._loop.watch(self._watch.fileno(), self._on_ruleset)
        else:
            self._generation = self._nft.generation()
            self._later("poll", self._config.nftables.poll_interval, self._poll)
        if self._config.nftables.audit_interval:
            self._later("audit", self._config.nftables.audit_interval, self._audit)
        if self._config.docker.enabled != "false":
            self._docker = DockerSource(self._loop, self._config.docker, self._on_containers, self._log)
            self._docker.start()
            self._model.hold = self._docker.pending

    def _stop_sources(self) -> None:
        for name in ("poll", "audit"):
            self._cancel(name)
        if self._watch is not None:
            self._loop.unwatch(self._watch.fileno())
            self._watch.close()
            self._watch = None
        if self._docker is not None:
            self._docker.stop()
            self._docker = None

    def _on_ruleset(self, _events: int) -> None:
        assert self._watch is not None
        changes, lost = self._watch.drain()
        foreign = [change for change in changes if change.portid != self._nft.portid]
        if foreign or lost:
            self._guard.changed(foreign[-1] if foreign else None)

    def _poll(self) -> None:
        generation = self._nft.generation()
        if generation != self._generation:
            self._generation = generation
            self._guard.changed(None)
        self._later("poll", self._config.nftables.poll_interval, self._poll)

    def _audit(self) -> None:
        self._after(self._guard.audit())
        self._later("audit", self._config.nftables.audit_interval, self._audit)

    def _on_containers(self, containers: Sequence[ContainerSeen]) -> None:
        self._model.apply(self._inventory.replace_containers(containers))

    # -- the one place where sets change

    def _before_sleep(self) -> None:
        self._settle()

    def _settle(self) -> List[Change]:
        if self._draining:
            return []
        if self._snapshot_due:
            self._snapshot_due = False
            self._take_snapshot()
        if self._model.hold and (self._docker is None or not self._docker.pending):
            self._model.release_held()
        changes = self._guard.settle()
        self._after(changes)
        return changes

    def _after(self, changes: Sequence[Change]) -> None:
        """Our own commit is no foreign one; files follow sets; what is due later gets its deadline."""
        if changes and self._watch is None:
            generation = self._nft.generation()
            if generation != self._generation + 1:
                self._guard.changed(None)
            self._generation = generation
        self._includes.write(self._model)
        self._at("settle", self._guard.deadline())
        self._at("includes", self._includes.deadline(self._model))
        self._tell_manager()

    # -- small change

    def _listen(self) -> None:
        fds = systemd.listen_fds()
        if fds:
            listener = adopt(fds[0])
            if self._config.socket_group is not None:
                self._log("info", "the control socket comes from systemd: socket_mode and socket_group are ignored")
        else:
            path = self._options.socket_path or self._config.socket_path or self._options.default_socket
            listener = listen(path, self._config.socket_mode, self._config.socket_group)
        self._control = ControlServer(self._loop, listener, self, self._log)

    def _watchdog(self, seconds: Optional[float]) -> None:
        if seconds is not None:
            systemd.notify("WATCHDOG=1")
            self._later("watchdog", seconds, lambda: self._watchdog(seconds))

    def _tell_manager(self, *fields: str) -> None:
        status = self._summary() if "NOTIFY_SOCKET" in os.environ else ""
        if fields or status != self._told:
            systemd.notify(*fields, "STATUS=" + status)
        self._told = status

    def _summary(self) -> str:
        shown = list(report.shown(self._model))
        wrong = [managed for managed in shown if managed.error is not None]
        missing = sum(managed.info is None for managed in shown if managed.error is None)
        return "%d elements in %d sets%s%s" % (
            sum(len(managed.ours) for managed in shown), len(shown) - len(wrong) - missing,
            ", %d sets missing" % missing if missing else "",
            ", %d sets in error" % len(wrong) if wrong else "")

    def _sources(self) -> report.Sources:
        docker = self._docker
        return report.Sources(
            self._netlink_state, self._overruns, self._resyncs, "ok", self._guard.repairs, self._guard.last_repair,
            "disabled" if docker is None else docker.state, None if docker is None else docker.error)

    def _later(self, name: str, delay: float, callback: Callable[[], None]) -> None:
        self._cancel(name)
        self._deadlines[name] = self._loop.call_later(delay, callback)

    def _at(self, name: str, when: Optional[float]) -> None:
        """Wake up then: that alone makes the loop settle."""
        self._cancel(name)
        if when is not None:
            self._deadlines[name] = self._loop.call_at(when, lambda: None)

    def _cancel(self, name: str) -> None:
        deadline = self._deadlines.pop(name, None)
        if deadline is not None:
            deadline.cancel()


class NoFiles:
    """Where include files are not wanted."""

    def write(self, name: SetName, text: str) -> None:
        """Nothing."""

    def remove(self, name: SetName) -> None:
        """Nothing."""


def load(path: str) -> Config:
    """The configuration in a file.  OSError, ConfigError."""
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return parse(file.read(), path)


def run(config_path: str, socket_path: Optional[str], log_level: Optional[str], dry_run: bool, default_socket: str) -> int:
    """`netmgr run`: serve until a signal or `shutdown` says otherwise; the exit status."""
    log = Log(log_level or "info", systemd.started_by_systemd())
    loop = Loop()
    try:
        config = load(config_path)
        daemon = Daemon(loop, Options(config_path, socket_path, log_level, dry_run, default_socket), config, log)
        daemon.start()
    except ConfigError as problem:
        for line in problem.errors:
            log("error", line)
        return 1
    except PermissionError as problem:
        log("error", NEEDS_CAPABILITY if problem.filename is None else str(problem))
        return 1
    except OSError as problem:
        log("error", str(problem))
        return 1
    loop.run()
    daemon.stop()
    return 0


def _counted(changes: Sequence[Change]) -> str:
    elements = [change for change in changes if isinstance(change, ChangeElements)]
    if not elements:
        return "nothing had to change"
    return "%d elements added, %d removed" % (sum(len(each.add) for each in elements), sum(len(each.delete) for each in elements))


def _utc() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
