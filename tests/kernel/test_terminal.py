"""What people see on a real terminal: tmux, of the usual width and of a wide one."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List, Tuple

import pytest

from tests.kernel.lab import Lab
from tests.kernel.running import ROOT, Netmgr
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed; `.ci/setup terminal` does that")

LONGEST = "2001:db8:1234:5678:9abc:def0:1234:5678"
CONFIG = """
interfaces:
  - {name: an_uplink, nftables_zone: [wan, customers]}
  - {name: eth0, nftables_zone: lan, dhcp: true}
docker: {enabled: false}
zones: {customers: {sets: {customers_public6: {holds: addresses, only: [global]}}}}
"""
RULESET = """
table inet filter {
    set wan_ips6 { type ipv6_addr; }
    set wan_nets6 { type ipv6_addr; flags interval; }
    set lan_ips { type inet_service; }
}
"""
ESCAPE = "\33["


class Terminal:
    """A tmux of its own, with a shell; `width` columns."""

    def __init__(self, lab: Lab, width: int) -> None:
        self._lab, self._socket, self.width = lab, str(lab.directory / ("tmux-%d" % width)), width
        self._words = ["tmux", "-f", "/dev/null", "-S", self._socket]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}
        with lab.inside():
            subprocess.run([*self._words, "new-session", "-d", "-x", str(width), "-y", "300", "sh"],
                           env=environment, check=True, timeout=PATIENCE)
        self._runs = 0

    def close(self) -> None:
        subprocess.run([*self._words, "kill-server"], check=False, timeout=PATIENCE)

    def type(self, text: str) -> None:
        """As if somebody typed it, and Enter."""
        subprocess.run([*self._words, "send-keys", "-l", text], check=True, timeout=PATIENCE)
        self.press("Enter")

    def press(self, key: str) -> None:
        subprocess.run([*self._words, "send-keys", key], check=True, timeout=PATIENCE)

    def screen(self, *options: str) -> str:
        """What stands there: -e with its colours, -J with the lines joined that the terminal itself has wrapped."""
        return subprocess.run([*self._words, "capture-pane", "-p", *options], capture_output=True, text=True, check=True,
                              timeout=PATIENCE).stdout

    def shows(self, command: str) -> List[str]:
        """The lines of a command's output, when it has ended."""
        self._runs += 1
        self.type("clear; %s; echo ended-$((%d))" % (command, self._runs))
        eventually(lambda: "\nended-%d\n" % self._runs in self.screen(), command)
        return self.fitting()

    def fitting(self) -> List[str]:
        """The lines that stand there, each as it was written; AssertionError if the terminal had to wrap one."""
        lines = [line.rstrip() for line in self.screen("-J").partition("\nended-")[0].splitlines()]
        assert max(map(len, lines)) <= self.width, max(lines, key=len)
        return lines


@pytest.fixture(params=[80, 200])
def terminal(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    made = Terminal(lab, request.param)
    yield made
    made.close()


def site(lab: Lab, tmp_path: Path) -> Tuple[Netmgr, str]:
    """A daemon with much to tell, and how its command line begins."""
    for name in ("an_uplink", "eth0"):
        lab.link(name)
    lab.run("ip addr add %s/128 dev an_uplink nodad" % LONGEST)
    lab.nft(RULESET)
    netmgr = Netmgr(lab, CONFIG)
    netmgr.holds("wan_ips6", LONGEST)
    command = tmp_path / "netmgr"
    command.write_text("#!/bin/sh\ncommand=$1; shift\nexec %s -m netmgr $command --socket %s \"$@\"\n" % (
        shlex.quote(sys.executable), shlex.quote(str(netmgr.socket))))
    command.chmod(0o755)
    return netmgr, str(command)


def test_nothing_is_wrapped_and_no_address_cut(lab: Lab, terminal: Terminal, tmp_path: Path) -> None:
    netmgr, command = site(lab, tmp_path)
    netmgr.config.write_text("nonsense: 1\n")
    netmgr.ask("reload")
    for words in ("status", "status --problems", "sets", "explain wan", "explain lan_ips", "explain " + LONGEST, "log"):
        lines = terminal.shows("%s %s" % (command, words))
        if words not in ("status --problems", "explain lan_ips"):
            assert any(LONGEST in line for line in lines), words
    assert any(len(line) > 80 for line in lines) == (terminal.width > 80), "what is wide is used"


def test_watch_wraps_nothing_either(lab: Lab, terminal: Terminal, tmp_path: Path) -> None:
    _netmgr, command = site(lab, tmp_path)
    terminal.type("clear; %s watch" % command)
    eventually(lambda: "started" in terminal.screen())
    lab.run("ip addr del %s/128 dev an_uplink" % LONGEST)
    eventually(lambda: "wan_nets6: removed" in " ".join(terminal.screen().split()))
    assert any(LONGEST in line for line in terminal.fitting())
    terminal.press("C-c")


def test_the_state_has_a_colour_unless_nobody_wants_one(lab: Lab, terminal: Terminal, tmp_path: Path) -> None:
    _netmgr, command = site(lab, tmp_path)
    assert any("degraded" in line for line in terminal.shows(command + " status"))
    assert ESCAPE in terminal.screen("-e")
    assert any("degraded" in line for line in terminal.shows("NO_COLOR=1 %s status" % command))
    assert ESCAPE not in terminal.screen("-e")
