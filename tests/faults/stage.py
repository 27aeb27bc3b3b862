"""A netmgr with a ruleset, a link, a default route and a container engine, and what is done to it while a system call fails.

strace makes the call fail, in a process that runs already or that has just begun with netmgr's own code.  When it is over the sets
must be right, or netmgr has ended with status 1 and one clear line.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable, List, Optional, Set

from netmgr.io.client import ask
from netmgr.values.errors import ProtocolError
from tests import engine_bodies as bodies
from tests.faults.table import Fault
from tests.kernel.engine import Engine
from tests.kernel.lab import Lab
from tests.kernel.running import ROOT, Netmgr
from tests.waiting import PATIENCE, eventually

RULESET = """
table inet filter {
    set wan_ips { type ipv4_addr; flags dynamic; }
    set wan_nets { type ipv4_addr; flags interval; }
    set up_ifs { type ifname; }
    set docker_ips { type ipv4_addr; }
}
"""
CONFIG = """
interfaces:
  - {name: eth0, nftables_zone: [wan, %s]}
  - {default_route: true, nftables_zone: up}
docker: {socket: %s, enabled: true, grace: 60}
"""
# Stops itself, so that strace can begin with main().
FROM_MAIN = "import os, signal, sys; from netmgr.cli import main; os.kill(os.getpid(), signal.SIGSTOP); sys.exit(main())"

PYTHONS_OWN = "Exception ignored when trying to write to the signal wakeup fd:\n"      # it has no other words
ANSWER = 10.0
WATCHED_SECONDS, CALLS_AT_MOST = 1.0, 300


class Injection:
    """Makes a system call of a process fail, from now on until close()."""

    def __init__(self, lab: Lab, process: int, fault: Fault) -> None:
        self._trace = lab.directory / "trace"
        self._trace.write_text("")
        self._strace = lab.start(["strace", "-f", "-qq", "-o", str(self._trace), "-e", "trace=" + fault.call, "-e",
                                  "inject=%s:error=%s:when=%s" % fault, "-p", str(process)])
        eventually(lambda: self._strace.poll() is not None or _tracer(process) == self._strace.pid, "strace is attached")

    def calls(self) -> int:
        """How often the call was made so far."""
        return self._trace.read_bytes().count(b"\n")

    def close(self) -> None:
        if self._strace.poll() is None:
            self._strace.send_signal(signal.SIGTERM)
        self._strace.wait(PATIENCE)


class Stage:
    """One netmgr after the other in the same place."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._host = 2
        self._ends = False
        self._zone = "lan"
        lab.nft(RULESET)
        lab.link("eth0")
        lab.run("ip addr add 192.0.2.1/24 dev eth0")
        lab.run("ip route add default via 192.0.2.254")
        self._engine = Engine(lab)
        self._containers = [1]
        self.run_containers(1)
        self.netmgr = Netmgr(lab, CONFIG % (self._zone, self._engine.socket), start=False)

    def survives(self, part: Callable[[Fault], None], fault: Fault) -> None:
        """What follows a part of its life with this fault; a failure is no business of the next test."""
        try:
            part(fault)
            self._is_true()
        except BaseException:
            for process in self.lab.processes:
                if process is not self._engine.process and process.poll() is None:
                    process.kill()
                    process.wait()
            raise

    def live(self) -> None:
        """A life without a fault."""
        self.change()
        self.load_another()
        self._is_ready()

    def leave(self) -> None:
        """Its end, where a signal would end strace."""
        assert self._ask("shutdown") == "OK: stopping\n"
        self.process.wait(PATIENCE)

    # -- what is done

    def begin(self, fault: Fault) -> None:
        """A start during which the call fails."""
        if self.netmgr.process is not None and self.process.poll() is None:
            self.netmgr.stop()
        command = [sys.executable, "-c", FROM_MAIN, "run", "--config", str(self.netmgr.config), "--socket", str(self.netmgr.socket)]
        process = self.netmgr.process = self.lab.start(command, {**os.environ, "PYTHONPATH": str(ROOT)})
        eventually(lambda: _state(process.pid) in "TZ", "netmgr has loaded its first module")
        injection = Injection(self.lab, process.pid, fault)
        process.send_signal(signal.SIGCONT)
        try:
            eventually(lambda: process.poll() is not None or self._answers() or injection.calls() > CALLS_AT_MOST, seconds=ANSWER)
        except AssertionError:
            pass        # it may wait for better times
        injection.close()

    def run(self, fault: Fault) -> None:
        """Addresses, foreign changes and questions while the call fails."""
        injection = self._disturbed(fault)
        self.change()
        self._is_calm(injection)
        injection.close()

    def reload(self, fault: Fault) -> None:
        """A reload of another configuration while the call fails."""
        injection = self._disturbed(fault)
        self.load_another()
        self._is_calm(injection)
        injection.close()

    def end(self, fault: Fault) -> None:
        """A stop while the call fails."""
        injection = self._disturbed(fault)
        self._ends = True
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE)
        injection.close()

    def churn(self) -> None:
        """Many addresses that come and go at once."""
        for verb in ("add", "del"):
            lines = ("addr %s 198.51.100.%d/32 dev eth0" % (verb, host) for host in range(1, 251))
            self.lab.run("ip -batch -", "\n".join(lines) + "\n")

    def replace_engine(self) -> None:
        """The engine dies and comes again."""
        self._engine.kill()
        self._engine.start()

    def run_containers(self, *numbers: int) -> None:
        """These and no others."""
        self._containers = list(numbers)
        self._engine.runs(*(bodies.container(number, {"bridge": ["172.18.0.%d/16" % (number + 1)]}) for number in numbers))

    def ask_everything(self) -> None:
        """Each answer that there is, to people and to programs."""
        for question in ("status", "status json", "sets", "sets json", "log json 1000", "metrics", "graph", "graph json", "diff", "help",
                         "explain eth0", "explain 172.18.0.2 json", "explain wan_ips json", "version"):
            assert self.netmgr.ask(question)

    def begin_well(self) -> None:
        """A start without a fault."""
        self._ensure()

    def is_quiet(self) -> None:
        """Nothing happens any more, and the sets are right."""
        self._is_ready()

    # -- what must be so afterwards

    def _is_true(self) -> None:
        """The sets are right, or netmgr has ended as it should; then the next one puts them right."""
        wanted = self._wanted()
        eventually(lambda: self.process.poll() is not None or (self._holds() == wanted and self._answers()), "the sets are right")
        if self.process.poll() is not None:
            self._has_ended_well()
            self._ends = False
            self._ensure()
        self._has_no_traceback()

    def _ensure(self) -> None:
        """Have a netmgr that runs and is ready."""
        if self.netmgr.process is None or self.process.poll() is not None:
            self.netmgr.start()
        self._is_ready()

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self.netmgr.process is not None
        return self.netmgr.process

    # -- inner parts

    def change(self) -> None:
        """Another address beside the first, which keeps the route there; a foreign flush; questions."""
        before, self._host = self._host, self._host % 200 + 2
        for change in ("add 192.0.2.%d/24" % self._host, "del 192.0.2.%d/24" % before):
            self.lab.run("ip addr %s dev eth0" % change, check=False)
        self.lab.nft("flush ruleset\n" + RULESET)
        for question in ("status json", "log", "resync"):
            self._ask(question)

    def load_another(self) -> None:
        """Another configuration, and a reload."""
        self._zone = "dmz" if self._zone == "lan" else "lan"
        self.netmgr.configure(CONFIG % (self._zone, self._engine.socket))
        self._ask("reload")

    def _disturbed(self, fault: Fault) -> Injection:
        self._ensure()
        return Injection(self.lab, self.process.pid, fault)

    def _is_ready(self) -> None:
        eventually(lambda: self.netmgr.answers() and self._holds() == self._wanted(), "the sets are right before")

    def _ask(self, question: str) -> Optional[str]:
        """The answer, if there is one: that is what the fault may well prevent, but not for ever."""
        try:
            return ask(str(self.netmgr.socket), question, ANSWER)
        except (OSError, ProtocolError):
            return None

    def _answers(self) -> bool:
        return self._ask("ping") == "PONG\n"

    def _is_calm(self, injection: Injection) -> None:
        """While the call goes on failing there is no spinning."""
        calls, used, begin = injection.calls(), _processor_seconds(self.process.pid), time.monotonic()
        eventually(lambda: time.monotonic() - begin > WATCHED_SECONDS or self.process.poll() is not None)
        if self.process.poll() is None:
            share = (_processor_seconds(self.process.pid) - used) / (time.monotonic() - begin)
            assert injection.calls() - calls < CALLS_AT_MOST and share < 0.5, "it spins: %d calls, %g of a processor" % (
                injection.calls() - calls, share)

    def _has_ended_well(self) -> None:
        ends = (1, 0, -signal.SIGTERM) if self._ends else (1,)       # a signal may come while it ends already
        assert self.process.returncode in ends, self.netmgr.log()
        self._has_no_traceback()
        assert self.netmgr.log().strip(), "it says why"

    def _has_no_traceback(self) -> None:
        log = self.netmgr.log().replace(PYTHONS_OWN, "")
        assert "Traceback" not in log and "Fatal" not in log and "Exception ignored" not in log, log

    def _wanted(self) -> List[Set[str]]:
        entries = [entry for link in self.lab.addresses() if link.get("ifname") == "eth0" for entry in link["addr_info"]]
        addresses = {entry["local"] for entry in entries if entry["family"] == "inet"}
        return [addresses, {"192.0.2.0/24"}, {"eth0"}, {"172.18.0.%d" % (number + 1) for number in self._containers}]

    def _holds(self) -> List[Set[str]]:
        return [self.lab.sets("inet filter", name) for name in ("wan_ips", "wan_nets", "up_ifs", "docker_ips")]


def _tracer(process: int) -> int:
    try:
        lines = Path("/proc/%d/status" % process).read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("TracerPid:")), 0)


def _state(process: int) -> str:
    return Path("/proc/%d/stat" % process).read_text().rsplit(")", 1)[1].split()[0]


def _processor_seconds(process: int) -> float:
    try:
        fields = Path("/proc/%d/stat" % process).read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
