"""A container engine as a process in a lab: the containers that it tells are those of a file.

python -m tests.kernel.engine SOCKET FILE
"""

import json
import os
import sys
from typing import Any, Dict, List, Sequence

from netmgr.io.loop import Loop
from tests import engine_bodies as bodies
from tests.fake_engine import FakeEngine
from tests.kernel.lab import Lab
from tests.kernel.running import ROOT
from tests.waiting import eventually

LOOK = 0.03         # seconds from one look at the file to the next


class Engine:
    """The engine as a test sees it."""

    def __init__(self, lab: Lab, name: str = "engine") -> None:
        self.socket = str(lab.directory / (name + ".sock"))
        self._lab, self._file = lab, lab.directory / (name + ".json")
        self.runs()
        self.start()

    def start(self) -> None:
        """Serve at the socket."""
        self.process = self._lab.start([sys.executable, "-m", "tests.kernel.engine", self.socket, str(self._file)],
                                       {**os.environ, "PYTHONPATH": str(ROOT)})
        eventually(lambda: os.path.exists(self.socket), "the engine listens")

    def kill(self) -> None:
        """It dies, and its socket goes with it."""
        self.process.kill()
        self.process.wait()
        os.unlink(self.socket)

    def runs(self, *containers: Dict[str, Any]) -> None:
        """These and no others, as tests/engine_bodies.py makes them."""
        following = self._file.with_suffix(".new")
        following.write_text(json.dumps(containers))
        following.rename(self._file)


class _Follower:
    """Tells what has changed in the file."""

    def __init__(self, loop: Loop, engine: FakeEngine, path: str) -> None:
        self._loop, self._engine, self._path = loop, engine, path
        self._seen = b""

    def look(self) -> None:
        """Now, and from now on."""
        with open(self._path, "rb") as file:
            text = file.read()
        if text != self._seen:
            self._seen = text
            self._tell(json.loads(text))
        self._loop.call_later(LOOK, self.look)

    def _tell(self, now: List[Dict[str, Any]]) -> None:
        before, self._engine.containers = self._engine.containers, now
        for action, some, others in (("die", before, now), ("start", now, before)):
            for each in _missing(some, others):
                self._engine.emit(bodies.event(int(each["Id"], 16), action))


def _missing(some: Sequence[Dict[str, Any]], others: Sequence[Dict[str, Any]]) -> List[Dict[str, Any]]:
    return [each for each in some if each not in others]


def main(path: str, file: str) -> None:
    loop = Loop()
    engine = FakeEngine(loop, path)
    _Follower(loop, engine, file).look()
    engine.open()
    loop.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
