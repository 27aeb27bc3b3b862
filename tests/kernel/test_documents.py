"""What the pages show, at the kernel: rulesets load, the first configuration does as is said, commands print, the recording is true."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Set

import pytest

from tests.documents import Block, blocks, noted
from tests.kernel.lab import Lab
from tests.kernel.neighbours import neighbour, reaches
from tests.kernel.running import ROOT, Netmgr
from tests.waiting import PATIENCE

SHELL = {str(block): block for block in blocks("sh")}
OF_SYSTEMD = re.compile(r"^(systemctl|journalctl|make|sudo)\b.*$", re.MULTILINE)


def _run(lab: Lab, netmgr: Netmgr, script: str) -> str:
    """A block of shell commands as somebody types them, with this netmgr as the one that is installed."""
    program = lab.directory / "bin" / "netmgr"
    if not program.exists():
        program.parent.mkdir()
        program.write_text('#!/bin/sh\nPYTHONPATH=%s exec %s -m netmgr "$@"\n' % (ROOT, sys.executable))
        program.chmod(0o755)
    text = OF_SYSTEMD.sub("", script).replace("/run/netmgr.sock", str(netmgr.socket))
    with lab.inside():
        done = subprocess.run(["sh", "-euxc", text], capture_output=True, text=True, timeout=120, check=False, env={
            **os.environ, "PATH": "%s:%s" % (program.parent, os.environ["PATH"]), "NETMGR_CONFIG": str(netmgr.config)})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def first(lab: Lab) -> Netmgr:
    """The README's first configuration with its ruleset, and the interfaces that it names; netmgr runs."""
    made = Netmgr(lab, start=False)
    made.config.write_text("%ssocket_path: %s\nnftables: {include_dir: %s}\n" % (
        noted("/etc/netmgr/config.yaml"), made.socket, made.includes))
    lab.nft(noted("/etc/nftables.conf").replace("/run/netmgr", str(made.includes)))
    lab.link("eth1")
    lab.run("ip address add 192.168.1.1/24 dev eth1")
    return made


def test_the_first_configuration_locks_nobody_out(lab: Lab, first: Netmgr) -> None:
    world = neighbour(lab, "eth0", "203.0.113.1/24", "203.0.113.5/24")
    try:
        assert (reaches(world, "203.0.113.5", 22), reaches(world, "203.0.113.5", 443)) == (True, False), "before netmgr runs"
        assert reaches(lab, "127.0.0.1", 9)
        first.start()
        first.holds("wan_ips", "203.0.113.5")
        first.holds("lan_nets", "192.168.1.0/24")
        assert (reaches(world, "203.0.113.5", 22), reaches(world, "203.0.113.5", 443)) == (True, True)
        assert not reaches(world, "203.0.113.5", 23)
        assert first.status()["state"] == "ready"
    finally:
        world.close()


def test_the_first_commands(lab: Lab, first: Netmgr) -> None:
    lab.link("eth0")
    lab.run("ip address add 203.0.113.5/24 dev eth0")
    first.start()
    first.holds("wan_ips", "203.0.113.5")
    block = next(block for block in SHELL.values() if block.page.name == "README.md" and block.text.startswith("netmgr check"))
    printed = _run(lab, first, block.text)
    assert "is valid" in printed and printed.count("inet filter wan_ips") >= 3, printed


@pytest.mark.parametrize("name", [name for name, block in SHELL.items() if block.page.name == "troubles.md"])
def test_commands_for_troubles(lab: Lab, name: str) -> None:
    netmgr = Netmgr(lab, "interfaces: [{name: 'trouble*', nftables_zone: wan}]\n", start=False)
    with open(netmgr.config, "a") as config:
        config.write("socket_path: %s\n" % netmgr.socket)
    lab.nft("table inet filter { set wan_ips { type ipv4_addr; }; set lan_nets { type ipv4_addr; flags interval; }; }")
    netmgr.start()
    printed = _run(lab, netmgr, SHELL[name].text)
    assert printed


@pytest.mark.parametrize("block", blocks("nft"), ids=str)
def test_rulesets_load(lab: Lab, block: Block, tmp_path: Path) -> None:
    text = block.text if re.search(r"^(table|flush)", block.text) else "table inet fw4 {\n%s}\n" % block.text
    for expected in ("", 'elements = { 192.0.2.1 comment "netmgr" }\n'):
        for name in re.findall(r'include "/(?:var/)?run/netmgr/(\S+)\[\.\]nft"', text):
            (tmp_path / (name + ".nft")).write_text(expected if name.endswith("_ips") else "")
        lab.nft("flush ruleset\n" + re.sub(r"/(var/)?run/netmgr", str(tmp_path), text))
        assert ("192.0.2.1" in lab.ruleset()) == bool(expected)


def test_the_recording_is_what_the_demo_prints(network_namespaces: None) -> None:
    done = subprocess.run([sys.executable, "-m", "netmgr", "demo"], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=5 * PATIENCE, check=False)
    printed = _steps(done.stdout)
    for title, recorded in _steps(noted("recording of netmgr demo")).items():
        assert recorded - printed[title] == set(), "of step %s\n%s" % (title, done.stdout)


def _steps(text: str) -> Dict[str, Set[str]]:
    """What is said below each title, without what differs from run to run: numbers, and how much the daemon took together."""
    _before, *parts = re.split(r"^(\d+\. .*)\n", text, flags=re.MULTILINE)
    return {title: {fact for line in said.splitlines() for fact in _facts(line.strip())} for title, said in zip(parts[::2], parts[1::2])}


def _facts(line: str) -> List[str]:
    """A line; of the daemon's log, what became of each element or set.

    One that was slow says "removed A; added B" in one line, and of a repair that it may be the work of this nft or of that one before.
    """
    logged = re.fullmatch(r"\| (?:info|warning) +(?:repaired \d+ elements? in (?P<repaired>.*?)|(?P<name>.*?): (?P<changes>.*?)) \(.*\)",
                          line)
    if not logged:
        return [re.sub(r"\b\d+(?= of \d+ dropped| dropped| ms)", "N", line)]
    if logged["repaired"]:
        return ["repaired " + name for name in logged["repaired"].split(", ")]
    return ["%s: %s" % (logged["name"], change) for change in logged["changes"].split("; ")]
