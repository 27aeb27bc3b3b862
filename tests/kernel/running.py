"""A real netmgr in a lab: `python -m netmgr run` as a process, asked over its control socket."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, FrozenSet, Optional, Sequence, Set

from netmgr.io.client import ask
from tests.kernel.lab import Lab
from tests.waiting import PATIENCE, eventually

ROOT = Path(__file__).resolve().parents[2]

RULESET = """
table inet filter {
    set wan_ips { type ipv4_addr; flags dynamic; }
    set lan_ips { type ipv4_addr; flags dynamic; }
}
"""

CONFIG = """
interfaces:
  - {name: eth0, nftables_zone: wan}
  - {name: eth1, nftables_zone: lan}
docker: {enabled: false}
"""


def own_memory(pid: int) -> int:
    """Bytes of a process, resident or not.  What it has of files does not count: the kernel drops it and reads it again as it likes."""
    rows = dict(line.split(":", 1) for line in Path("/proc/%d/status" % pid).read_text().splitlines())
    return sum(int(rows[name].split()[0]) << 10 for name in ("RssAnon", "VmSwap"))


class Netmgr:
    """One daemon after the other with the same files; the lab ends what still runs."""

    def __init__(self, lab: Lab, config: str = CONFIG, start: bool = True, name: str = "netmgr") -> None:
        self.lab = lab
        self.config = lab.directory / (name + ".yaml")
        self.socket = lab.directory / (name + ".sock")
        self.includes = lab.directory / (name + ".includes")
        self.process: Optional[subprocess.Popen[bytes]] = None
        self.configure(config)
        if start:
            self.start()

    def configure(self, text: str) -> None:
        """Write the configuration; include files go to a directory of the lab unless the text says otherwise."""
        if "include_dir" not in text:
            head, found, tail = text.partition("nftables: {")
            text = (head + found + "include_dir: %s, " % self.includes + tail if found
                    else text + "\nnftables: {include_dir: %s}\n" % self.includes)
        self.config.write_text(text)

    def start(self, *options: str, wait: bool = True, wrapper: Sequence[str] = ()) -> None:
        """Start a daemon, by a program that takes a command if `wrapper` names one, and wait for its first sync."""
        self.process = self.lab.start([*wrapper, sys.executable, "-m", "netmgr", "run", "--config", str(self.config),
                                       "--socket", str(self.socket), *options], {**os.environ, "PYTHONPATH": str(ROOT)})
        if wait:
            eventually(self.answers, "netmgr answers")

    def stop(self) -> int:
        """A clean stop; the exit status."""
        assert self.process is not None
        return self.lab.stop(self.process)

    def kill(self) -> None:
        """End it as a crash would."""
        assert self.process is not None
        self.lab.stop(self.process, signal.SIGKILL)

    def restart(self) -> None:
        """A clean stop and a new daemon."""
        assert self.stop() == 0
        self.start()

    def serve(self, address: str) -> None:
        """A page of this daemon at ADDRESS:PORT, until the lab ends it."""
        process = self.lab.start([sys.executable, "-m", "netmgr", "http", "--listen", address, "--socket", str(self.socket)],
                                 {**os.environ, "PYTHONPATH": str(ROOT)})

        def listens() -> bool:
            assert process.poll() is None, self.lab.log(process)
            return address.rpartition(":")[2] in self.lab.run("ss -Hltn")
        eventually(listens, "netmgr http listens")

    def ask(self, line: str) -> str:
        """The answer to one line; of a log it may be that there is none yet."""
        return ask(str(self.socket), line, PATIENCE, may_be_empty=line.startswith("log"))

    def status(self) -> Dict[str, Any]:
        """`status json`"""
        answer: Dict[str, Any] = json.loads(self.ask("status json"))
        return answer

    def state(self, name: str) -> Dict[str, Any]:
        """The row of one set in the status."""
        rows: Dict[str, Dict[str, Any]] = {row["name"]: row for row in self.status()["sets"]}
        return rows[name]

    def log(self) -> str:
        """What the last daemon has logged."""
        assert self.process is not None
        return self.lab.log(self.process)

    def holds(self, name: str, *elements: str, table: str = "inet filter") -> None:
        """Wait until the kernel's set has exactly these elements."""
        wanted = set(elements)
        held: Set[str] = set()

        def equal() -> bool:
            held.clear()
            held.update(self.lab.sets(table, name))
            return held == wanted
        try:
            eventually(equal)
        except AssertionError:
            raise AssertionError("%s holds %s, not %s" % (name, sorted(held), sorted(wanted))) from None

    def owned(self, name: str, table: str = "inet filter") -> FrozenSet[str]:
        """The elements with netmgr's comment."""
        return frozenset(element for element, comment in self.lab.comments(table, name).items() if comment == "netmgr")

    def answers(self) -> bool:
        """Whether it runs and is ready; AssertionError with its log when it ended."""
        assert self.process is not None
        assert self.process.poll() is None, "netmgr ended: %s" % self.log()
        try:
            return self.ask("ping") == "PONG\n"
        except OSError:
            return False
