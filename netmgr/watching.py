"""`netmgr watch`: what happens, as it happens, for people, for programs, or for a command that is run each time.

The command is run by the shell, as the user who called netmgr, one run after the other; the happening is on its standard input as JSON and
in its environment.  With a settle time, what comes within it is one run with an array.  When the daemon goes, netmgr waits for it to come
again; every watch begins with `started`, and what happened in between is not made up for.
"""

import json
import os
import subprocess
import time
from typing import Any, Callable, Dict, Iterator, List, Optional

from netmgr.io.client import Follower, has_reader

AGAIN = 0.2             # seconds between attempts to reach a daemon that has gone

Connect = Callable[[], Follower]
Happenings = List[Dict[str, Any]]


def watch(connect: Connect, show: Callable[[str], object], output: int) -> None:
    """Show each line, until nobody reads this output any more.  OSError when there is no daemon in the beginning."""
    output = os.dup(output)     # stays what it is when something else takes its place
    for lines in _told(connect, lambda: None, output):
        if lines:
            show("".join(line + "\n" for line in lines))
    os.close(output)


def watch_and_run(connect: Connect, command: str, settle: float) -> None:
    """Run the command for each happening, or once for those that come within `settle` seconds.  `connect` must ask for JSON."""
    batch = _Batch(settle)
    for lines in _told(connect, batch.patience):
        batch.add([found for found in map(_object, lines) if found])
        for some in batch.take():
            _run(command, some, bool(settle))


class _Batch:
    """Happenings that wait to be told together."""

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self._waiting: Happenings = []
        self._since = 0.0

    def add(self, happenings: Happenings) -> None:
        """These have come."""
        if happenings and not self._waiting:
            self._since = time.monotonic()
        self._waiting += happenings

    def patience(self) -> Optional[float]:
        """How long to wait for more; None: until something comes."""
        return max(0.0, self._since + self._settle - time.monotonic()) if self._waiting else None

    def take(self) -> List[Happenings]:
        """What is to be told now, a run each."""
        if not self._waiting or self.patience():
            return []
        waiting, self._waiting = self._waiting, []
        return [waiting] if self._settle else [[each] for each in waiting]


def _told(connect: Connect, patience: Callable[[], Optional[float]], output: Optional[int] = None) -> Iterator[List[str]]:
    """The lines that have come, or none when patience is over; the end when nobody reads the output any more."""
    follower: Optional[Follower] = connect()
    while follower is not None and has_reader(output):
        try:
            yield follower.wait(patience(), output)
        except ConnectionError:
            follower.close()
            follower = _again(connect, output)


def _again(connect: Connect, output: Optional[int]) -> Optional[Follower]:
    while has_reader(output):
        try:
            return connect()
        except OSError:
            time.sleep(AGAIN)
    return None


def _object(line: str) -> Dict[str, Any]:
    """A happening; nothing where the line is none, such as the last one of a watch that was dropped."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _run(command: str, happenings: Happenings, together: bool) -> None:
    last = happenings[-1]
    told = {"NETMGR_" + name.upper(): value if isinstance(value, str) else json.dumps(value)
            for name, value in last.items() if isinstance(value, (str, int, float)) and "\0" not in str(value)}
    environment = {**os.environ, **told, "NETMGR_COUNT": str(len(happenings))}
    told_whole = json.dumps(happenings if together else last).encode() + b"\n"
    subprocess.run(["/bin/sh", "-c", command], input=told_whole, env=environment, check=False)
