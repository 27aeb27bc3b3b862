"""A long life in a short time: addresses, foreign changes, reloads, containers, clients and metrics without a pause, for
$NETMGR_SOAK_SECONDS.

At each quiet moment the sets are right, and the second half of that life has neither more memory nor more descriptors than the first.
"""

import os
import random
import socket
import time
from typing import List, NamedTuple

from netmgr.io.client import Follower
from tests.faults.stage import Stage
from tests.kernel.lab import Lab
from tests.kernel.running import own_memory
from tests.waiting import PATIENCE, eventually

SECONDS = float(os.environ.get("NETMGR_SOAK_SECONDS", "600"))
ROUNDS_AT_LEAST = 40
BYTES_MORE = 2 << 20    # what the allocator may come to need for the same work


class Size(NamedTuple):
    """What the process takes."""

    memory: int
    descriptors: int


def size(process: int) -> Size:
    return Size(own_memory(process), len(os.listdir("/proc/%d/fd" % process)))


def test_soak(network_namespaces: None) -> None:
    chance = random.Random(15)
    with Lab() as lab:
        stage = Stage(lab)
        stage.begin_well()
        process, begin = stage.process, time.monotonic()
        sizes: List[Size] = []
        while time.monotonic() - begin < SECONDS or len(sizes) < ROUNDS_AT_LEAST:
            a_round(stage, chance)
            stage.is_quiet()
            assert stage.process is process and process.poll() is None
            eventually(lambda: not sizes or size(process.pid).descriptors <= sizes[0].descriptors, "the clients have gone")
            sizes.append(size(process.pid))
        half = len(sizes) // 2
        first, second = sizes[:half], sizes[half:]
        (before, most), (after, more) = (tuple(map(max, zip(*some))) for some in (first, second))
        print("%d rounds, at most %d and then %d bytes, %d and then %d descriptors" % (len(sizes), before, after, most, more))
        assert after <= before + BYTES_MORE
        assert more <= most


def a_round(stage: Stage, chance: random.Random) -> None:
    """Some of all that happens, in an order of its own."""
    follower = Follower(str(stage.netmgr.socket), "watch json", PATIENCE)
    idle = socket.socket(socket.AF_UNIX)
    idle.connect(str(stage.netmgr.socket))

    def others() -> None:
        """Some containers go and some come."""
        stage.run_containers(*chance.sample(range(1, 200), chance.randrange(20)))
    doings = [stage.change] * 4 + [stage.churn] * 2 + [others] * 4 + [stage.load_another, stage.ask_everything]
    doings += [stage.replace_engine] if chance.random() < 0.2 else []
    chance.shuffle(doings)
    for doing in doings:
        doing()
    follower.close()
    idle.close()
