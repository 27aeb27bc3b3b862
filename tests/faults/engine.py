"""A container engine with one container, as a process: python -m tests.faults.engine SOCKET"""

import sys

from netmgr.io.loop import Loop
from tests import engine_bodies as bodies
from tests.fake_engine import FakeEngine


def main(path: str) -> None:
    loop = Loop()
    engine = FakeEngine(loop, path)
    engine.containers = [bodies.container(1, {"bridge": ["172.18.0.2/16"]})]
    engine.open()
    loop.run()


if __name__ == "__main__":
    main(sys.argv[1])
