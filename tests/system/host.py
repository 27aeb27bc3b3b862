"""A machine as its administrator has it: a network card, a ruleset, netmgr, the journal."""

import json
import re
from pathlib import Path
from typing import Any, Dict, List, Set

from tests.system.machine import Machine
from tests.waiting import eventually

CONFIG = """\
interfaces:
  - name: eth0
    nftables_zone: wan
"""
RULESET = """\
flush ruleset
table inet filter {
    set wan_ips { type ipv4_addr; }
    set lan_ips { type ipv4_addr; }
    set marks { type mark; }
}
"""
CONFIG_FILE, RULES_FILE = "/etc/netmgr/config.yaml", "/etc/nftables.conf"
DROP_IN = "/run/systemd/system/netmgr.service.d/test.conf"


class Host:
    """Actions and questions; begin() and end() bring everything back to the same state."""

    def __init__(self, machine: Machine, directory: Path) -> None:
        self.machine = machine
        self.run = machine.run
        self._directory = directory
        self._cursor = ""
        self._marks = 0

    def begin(self) -> None:
        """eth0 with 192.0.2.1/24, the ruleset, netmgr started with CONFIG; journal() begins here."""
        self.run("ip link add eth0 type veth peer name outside && ip link set outside up && ip link set eth0 up")
        self.run("ip address add 192.0.2.1/24 dev eth0")
        self._cursor = self.run("journalctl --quiet --lines=0 --show-cursor").split()[-1]
        self.rules(RULESET)
        self.configure(CONFIG)
        self.run("systemctl start netmgr.socket && systemctl restart netmgr")

    def end(self) -> None:
        """Without card, rules and drop-ins again."""
        self.run("systemctl stop netmgr; rm -rf %s /run/netmgr/*; systemctl daemon-reload; ip link del eth0; nft flush ruleset" % DROP_IN)

    def configure(self, text: str) -> None:
        """Write the configuration; nobody is told."""
        self.machine.write(CONFIG_FILE, text)

    def rules(self, text: str) -> None:
        """The ruleset, for now and for nftables.service."""
        self.machine.write(RULES_FILE, text)
        self.run(["nft", "-f", RULES_FILE])

    def drop_in(self, text: str) -> None:
        """An administrator's change to netmgr.service, until end()."""
        self.machine.write(DROP_IN, text)
        self.run("systemctl daemon-reload")

    def elements(self, name: str) -> Set[str]:
        """The elements of a set of `inet filter` as the kernel has them."""
        listed = json.loads(self.run(["nft", "-j", "list", "set", "inet", "filter", name]))
        found = next(item["set"] for item in listed["nftables"] if "set" in item).get("elem", [])
        return {str(item["elem"]["val"]) if isinstance(item, dict) else str(item) for item in found}

    def status(self) -> Dict[str, Any]:
        """`netmgr status --json`"""
        answer: Dict[str, Any] = json.loads(self.machine.attempt("netmgr status --json")[1])
        return answer

    def happenings(self, kind: str) -> List[Dict[str, Any]]:
        """Those of this kind among the last ones, oldest first."""
        return [told for told in map(json.loads, self.run("netmgr log json 1000").splitlines()) if told["kind"] == kind]

    def show(self, name: str, unit: str = "netmgr.service") -> str:
        """A property of the unit."""
        return self.run(["systemctl", "show", "--property", name, "--value", unit])

    def pid(self) -> int:
        """The daemon's process, 0 when there is none."""
        return int(self.show("MainPID"))

    def restarts(self) -> int:
        """How often systemd had to start it again by itself."""
        return int(self.show("NRestarts"))

    def state(self, unit: str = "netmgr.service") -> str:
        """active, inactive, failed, activating, ..."""
        return self.show("ActiveState", unit)

    def entries(self) -> List[Dict[str, Any]]:
        """The journal of netmgr.service since begin()."""
        lines = self.run(["journalctl", "--unit", "netmgr.service", "--after-cursor", self._cursor, "--output", "json"]).splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    def journal(self) -> str:
        """The same as text, priorities first."""
        return "\n".join("<%s> %s[%s]: %s" % (entry["PRIORITY"], entry.get("SYSLOG_IDENTIFIER"), entry.get("_PID"), entry["MESSAGE"])
                         for entry in self.entries())

    def daemon_entries(self) -> List[Dict[str, Any]]:
        """Those of them that the daemon wrote, not systemd and not the client that it runs for a reload."""
        return [entry for entry in self.entries() if entry.get("_CMDLINE", "").endswith("netmgr run")]

    def said(self, text: str) -> Set[int]:
        """The priorities of the daemon's lines with this text: 3 error, 4 warning, 6 info, 7 debug."""
        return {int(entry["PRIORITY"]) for entry in self.daemon_entries() if text in entry["MESSAGE"]}

    def changes(self) -> "Changes":
        """Begin to write down what happens to the ruleset."""
        return Changes(self)

    def mark(self, log: Path) -> None:
        """Make a change of the ruleset, and wait until it is in the log."""
        self._marks += 1
        number = 0x1000 + self._marks
        self.run("nft add element inet filter marks { 0x%x }" % number)
        eventually(lambda: ("0x%08x" % number) in log.read_text(), "the change of the ruleset is seen")

    def log_file(self, name: str) -> Path:
        """A file of the host for the output of something inside."""
        return self._directory / name


class Changes:
    """What `nft monitor` tells while it runs; the end of the test is its end, too."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._log = host.log_file("changes")
        process = host.machine.start("exec stdbuf -oL nft monitor", self._log)
        eventually(lambda: self._log.stat().st_size or self._poke(), "nft monitor listens")
        assert process.poll() is None
        host.mark(self._log)

    def _poke(self) -> bool:
        self._host.run("nft 'add element inet filter marks { 1 }; delete element inet filter marks { 1 }'")
        return False

    def of(self, name: str) -> List[str]:
        """All that has happened to that set so far, as add and delete lines."""
        self._host.mark(self._log)
        return re.findall(r"^(?:add|delete|destroy|flush) .*\b%s\b.*$" % re.escape(name), self._log.read_text(), re.MULTILINE)
