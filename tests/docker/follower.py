"""A DockerSource that follows a real engine, and is compared with it."""

import subprocess
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Union

from netmgr.config.schema import Docker
from netmgr.io.docker_source import DockerSource, Timing
from netmgr.io.loop import Loop
from netmgr.values import addresses
from netmgr.values.events import ContainerSeen
from tests.docker.engine import DockerEngine, PodmanService, Truth
from tests.waiting import PATIENCE, eventually

QUICK = Timing(confirm=0.2, between=0.2)


class Follower:
    """A source on a loop of its own; `reports` has all known containers after each piece of news.

    While this process waits for anything, the loop goes on.
    """

    def __init__(self, engine: Union[DockerEngine, PodmanService], timing: Timing = QUICK, **settings: Any) -> None:
        self.engine = engine
        self.reports: List[Sequence[ContainerSeen]] = []
        self.log: List[Tuple[str, str]] = []
        self.loop = Loop()
        self._known: Dict[str, ContainerSeen] = {}
        self.source = DockerSource(self.loop, Docker(socket=engine.socket)._replace(**settings), 0, (), self._changed,
                                   lambda level, line: self.log.append((level, line)), timing)
        self.source.start()

    def __enter__(self) -> "Follower":
        self.until(lambda: self.source.state == "ok")
        return self

    def __exit__(self, *_details: object) -> None:
        self.source.stop()
        self.loop.close()

    def _changed(self, seen: Sequence[ContainerSeen], gone: Sequence[str]) -> None:
        self._known.update((each.id, each) for each in seen)
        for each in gone:
            del self._known[each]
        self.reports.append(list(self._known.values()))

    def until(self, predicate: Callable[[], Any], seconds: float = PATIENCE) -> None:
        """Turn the loop until the predicate holds."""
        def turned() -> Any:
            for _ in range(20):
                self.loop.turn(0.05)
                if predicate():
                    return True
            return False

        eventually(turned, seconds=seconds)

    def meanwhile(self, *commands: Sequence[str]) -> None:
        """Run these commands beside each other, and follow what they do as it happens."""
        with self.engine.lab.inside():
            running = [subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
                       for command in commands]
        self.until(lambda: all(process.poll() is not None for process in running), 300)
        for process in running:
            assert process.stderr is not None
            with process.stderr:
                assert process.returncode == 0, process.stderr.read().decode()

    def do(self, *arguments: str) -> None:
        """Follow one command of the engine, to the end and beyond it."""
        self.meanwhile(self.engine.command(*arguments))
        self.agree()

    def told(self) -> Truth:
        """The last report, as the engine's truth() is told."""
        return {(seen.name, each.network, "%s/%d" % (addresses.text(each.address), each.prefixlen))
                for seen in self._known.values() for each in seen.endpoints}

    def agree(self, names: Optional[Sequence[str]] = None) -> None:
        """Wait until the source says what the engine says, then until it is quiet; it must still say that."""
        truth = self.engine.truth()
        try:
            self.until(lambda: self.told() == truth)
        finally:
            print("told", sorted(self.told()), "truth", sorted(truth), *self.log, sep="\n  ")
        self.until(lambda: not (self.source.exchanges or set(self.source.deadlines) - {"poll"}))
        assert self.told() == self.engine.truth()
        if names is not None:
            self.runs(*names)

    def runs(self, *names: str) -> None:
        """Wait until these are known and no others; those without an address do not show in the engine's truth()."""
        self.until(lambda: self.names() == sorted(names))

    def names(self) -> List[str]:
        """The containers in the last report."""
        return sorted(seen.name for seen in self._known.values())

    def health(self, name: str) -> Optional[bool]:
        """The health of one container in the last report."""
        return next((seen.healthy for seen in self._known.values() if seen.name == name), None)
