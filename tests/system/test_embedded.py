"""A small system: no compiler, no libmnl, no libnftnl, no systemd.  The wheel brings what it needs, and OpenRC runs it.

There is no nft in there either, so the network is set up and looked at from outside.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List

import pytest

from tests.documents import blocks
from tests.system import roots
from tests.system.machine import Machine
from tests.waiting import eventually

CONFIG = "interfaces:\n  - name: eth0\n    nftables_zone: wan\n"
LOG = "/var/log/netmgr"
SETTINGS = 'NETMGR_COMMAND=/usr/local/bin/netmgr\nNETMGR_LOGGER="/usr/bin/tee -a %s"\n' % LOG
CAP_NET_ADMIN = 1 << 12


@pytest.fixture(scope="module")
def wheel(bootable: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this source tree."""
    directory = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [roots.PROJECT / "pkg-files/build-wheel", directory], stdin=subprocess.DEVNULL,
        env={**os.environ, "VENV": os.path.relpath(sys.prefix, roots.PROJECT)},      # as `make wheel` has it
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False,
    )
    assert done.returncode == 0, done.stdout
    return next(directory.glob("netmgr-*.whl"))


@pytest.fixture
def box(wheel: Path) -> Iterator[Machine]:
    """The system with the wheel installed, eth0 with 192.0.2.1/24, and an empty set."""
    with Machine(roots.root("embedded"), boot=False) as machine:
        machine.put(wheel)
        machine.run("cd /root && PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_INDEX=1 PIP_ROOT_USER_ACTION=ignore " + _shown("pip install")[0])
        for command in ("link add eth0 type veth peer name outside", "link set outside up", "link set eth0 up",
                        "address add 192.0.2.1/24 dev eth0"):
            machine.on_network("ip " + command)
        machine.on_network("nft 'add table inet filter; add set inet filter wan_ips { type ipv4_addr; }'")
        machine.write("/etc/netmgr/config.yaml", CONFIG)
        yield machine


@pytest.fixture
def service(box: Machine) -> Iterator[Machine]:
    """The same with the OpenRC script in place, as the documentation has it."""
    script, settings, _start = _shown("install -m 755")
    box.run("cd /source && %s && %s" % (script, settings))
    box.write("/etc/conf.d/netmgr", box.run("cat /etc/conf.d/netmgr") + "\n" + SETTINGS)
    box.run("useradd --system --user-group --shell /usr/sbin/nologin netmgr && touch %s && chown netmgr %s" % (LOG, LOG))
    box.run("rc-status >/dev/null && touch /run/openrc/softlevel")
    yield box
    print(box.run(["cat", LOG]))


def _shown(start: str) -> List[str]:
    """The lines of the block of docs/small-systems.md that begins so, without their comments."""
    text = next(block.text for block in blocks("sh") if block.page.name == "small-systems.md" and block.text.startswith(start))
    return [line.partition(" #")[0].strip() for line in text.splitlines()]


def _elements(machine: Machine) -> str:
    listed = machine.on_network("nft list set inet filter wan_ips")
    return listed.partition("elements = { ")[2].partition(" }")[0]


def _daemon(machine: Machine) -> int:
    """The process of the daemon that answers, 0 when none does."""
    status, output = machine.attempt("netmgr status --json")
    return int(json.loads(output)["pid"]) if status == 0 else 0


def _process_status(machine: Machine, pid: int) -> Dict[str, str]:
    return dict(line.split(":\t", 1) for line in machine.run("cat /proc/%d/status" % pid).splitlines() if ":\t" in line)


def test_the_wheel_needs_neither_compiler_nor_libraries(box: Machine) -> None:
    assert box.run("command -v cc gcc tcc clang nft ip || echo none") == "none"
    assert box.run("find / -xdev -name 'libmnl.so*' -o -xdev -name 'libnftnl.so*' || true") == ""
    assert "libnftnl" in box.run("find /usr/local -name 'libnftnl*'")
    assert box.run("netmgr check").splitlines()[-1].startswith("/etc/netmgr/config.yaml is valid")
    assert box.attempt("netmgr diff") == (1, 'add element inet filter wan_ips { 192.0.2.1 comment "netmgr" }')


def test_the_wheel_runs_without_pip(box: Machine, wheel: Path) -> None:
    box.run("pip uninstall --quiet --yes --break-system-packages --root-user-action=ignore netmgr")
    _pip, unpack, run = _shown("pip install")
    box.run("cd /root && " + unpack)
    assert box.attempt("cd /root && " + run.replace(" run", " diff"))[1] == 'add element inet filter wan_ips { 192.0.2.1 comment "netmgr" }'


def test_openrc_starts_reloads_and_stops(service: Machine) -> None:
    service.run(_shown("install -m 755")[2])
    eventually(lambda: _elements(service) == '192.0.2.1 comment "netmgr"')
    assert service.run("rc-service netmgr status").endswith("started")
    assert service.run("netmgr ping") == "PONG"

    service.write("/etc/netmgr/config.yaml", CONFIG + "nftables:\n  on_stop: remove\n")
    service.run("rc-service netmgr reload")
    service.write("/etc/netmgr/config.yaml", "interfaces: 5\n")
    status, output = service.attempt("rc-service netmgr reload")
    assert status != 0 and "config.yaml:1: interfaces" in output
    assert _elements(service)

    service.run("rc-service netmgr stop")
    assert _elements(service) == ""
    assert service.attempt("netmgr ping")[0] == 3


def test_openrc_runs_it_as_nobody_with_one_capability(service: Machine) -> None:
    service.run("rc-service netmgr start")
    status = _process_status(service, eventually(lambda: _daemon(service)))
    user = service.run("id -u netmgr")
    assert status["Uid"].split() == [user] * 4 and user != "0"
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == CAP_NET_ADMIN
    assert status["NoNewPrivs"] == "1"


def test_openrc_starts_it_again(service: Machine) -> None:
    service.run("rc-service netmgr start")
    pid = eventually(lambda: _daemon(service))
    service.run("kill -KILL %d" % pid)
    eventually(lambda: _daemon(service) not in (0, pid))
    assert _elements(service) == '192.0.2.1 comment "netmgr"'
