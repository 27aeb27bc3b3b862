"""`netmgr demo` as somebody runs it who has only the usual directories on the path."""

import os
import subprocess
import sys
from typing import Sequence

import pytest

from tests.kernel.running import ROOT
from tests.waiting import PATIENCE

DEMO = [sys.executable, "-m", "netmgr", "demo"]
NO_MORE_NAMESPACES = "echo 0 >/proc/sys/user/max_net_namespaces && exec \"$@\""


def _run(command: Sequence[str], path: str = "/usr/bin:/bin") -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": path, "PYTHONPATH": str(ROOT), "HOME": os.environ.get("HOME", "/")}
    return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=5 * PATIENCE,
                          check=False)


def test_it_shows_everything_and_ends_well(network_namespaces: None) -> None:
    done = _run(DEMO)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "FAILED" not in done.stdout and "All of it as it should be" in done.stdout
    without, including = [line for line in done.stdout.splitlines() if "packets to" in line]
    assert ": 0 of " in including, (without, including)
    status = done.stdout[done.stdout.index("What the daemon says"):]
    assert "ready" in status and "absent" not in status


def test_where_namespaces_are_forbidden_it_says_what_to_do(network_namespaces: None) -> None:
    done = _run(["unshare", "--user", "--map-root-user", "sh", "-c", NO_MORE_NAMESPACES, "sh", *DEMO])
    if done.returncode == 2:
        pytest.skip("/proc/sys is not to be written to here, as in many containers")
    assert done.returncode == 1 and done.stdout == ""
    assert "may make no network namespace" in done.stderr and "sudo " in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_missing_is_named(network_namespaces: None) -> None:
    program = "import os\nfrom netmgr import demo\ndemo.ADMINISTRATORS = ''\nraise SystemExit(demo.main())"
    done = _run([sys.executable, "-c", program], path="/nowhere")
    assert done.returncode == 1
    assert done.stderr == "netmgr demo needs unshare, ip, nft: apt install util-linux iproute2 nftables\n"
