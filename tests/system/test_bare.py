"""The README's commands on a machine as the installer leaves it: no make, no compiler, nothing; what is missing comes by itself.

These machines have the host's network, for packages, and nothing of it is touched.
"""

import re
import shlex
import subprocess
from pathlib import Path
from typing import Iterator

import pytest

from tests.documents import blocks
from tests.system import roots
from tests.system.machine import ENVIRONMENT, Machine

TREE = "/home/user/netmgr"
LEFT_OUT = ("./.git", "./.venv", "./.cache", "./build", "./dist", "*.so")
CHECKOUT = "cd /source && tar -c %s ." % " ".join("--exclude='%s'" % pattern for pattern in LEFT_OUT)
SOME_TESTS = '-q tests/test_addresses.py tests/test_io_control.py tests/kernel/test_lab.py tests/kernel/test_start.py'


def _block(start: str) -> str:
    return next(block.text for block in blocks("sh") if block.page.name == "README.md" and block.text.startswith(start))


@pytest.fixture(scope="module")
def bare(release: str) -> Iterator[Machine]:
    """A minimal Debian with an ordinary user, who has the source tree and, in this order: no rights, and sudo."""
    with Machine(roots.base(release), boot=False, network=True) as machine:
        machine.run("useradd --create-home user && mkdir %s && %s | tar -x -C %s && chown -R user: %s" % (TREE, CHECKOUT, TREE, TREE))
        yield machine


def _as_user(machine: Machine, command: str, seconds: float = 600) -> "tuple[int, str]":
    path = "PATH=/usr/local/bin:/usr/bin:/bin"        # as Debian gives it to users: without /usr/sbin
    return machine.attempt(["su", "user", "-c", "cd %s && %s %s" % (TREE, path, command)], seconds=seconds)


def test_without_rights_the_command_is_named(bare: Machine) -> None:
    status, output = _as_user(bare, ".ci/setup </dev/null")
    assert status == 3
    assert "this user may not install them" in output
    assert re.search(r"^  apt-get install .*\bpython3-venv\b.*\blibnftnl-dev\b", output, re.MULTILINE)
    status, output = _as_user(bare, "pkg-files/build-deb </dev/null")
    assert status == 3 and "  apt-get build-dep %s/build/deb/netmgr" % TREE in output


def test_the_password_is_asked_for_once(bare: Machine) -> None:
    """At a terminal, by a sudo that remembers none."""
    bare.run("apt-get -q update && apt-get -q -y install --no-install-recommends make sudo", seconds=300)
    bare.run("echo user:secret | chpasswd")
    bare.write("/etc/sudoers.d/user", "Defaults timestamp_timeout=0\nuser ALL=(ALL) ALL\n")
    asked, output = _at_a_terminal(bare, ".ci/setup; echo status $?", b"password for user: ", b"secret\n")
    assert asked == 1 and "status 0" in output, output


def _at_a_terminal(machine: Machine, command: str, question: bytes, answer: bytes) -> "tuple[int, str]":
    """How often it asked, and what the terminal of the machine's showed."""
    user = "su user --session-command %s" % shlex.quote("cd %s && %s" % (TREE, command))
    with subprocess.Popen(machine.inside(["script", "-qec", user, "/dev/null"]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
                          env=ENVIRONMENT) as process:
        assert process.stdin and process.stdout
        shown, asked = b"", 0
        while piece := process.stdout.read(4096):
            shown += piece
            if shown.count(question) > asked:
                asked += 1
                process.stdin.write(answer)
    return asked, shown.decode(errors="replace")


def test_the_two_commands_with_sudo(bare: Machine) -> None:
    bare.write("/etc/sudoers.d/user", "user ALL=(ALL) NOPASSWD: ALL\n")
    for line in _block("make demo").splitlines():
        command = line.partition("#")[0].strip()
        status, output = _as_user(bare, command + (" ARGS='%s'" % SOME_TESTS if command == "make test" else ""))
        assert status == 0, output
        assert "All of it as it should be" in output or re.search(r"\d+ passed", output)
        assert "failed" not in output


def test_the_package(bare: Machine, tmp_path: Path) -> None:
    make, install, _status = _block("make deb").splitlines()
    status, output = _as_user(bare, "DEB_BUILD_OPTIONS=nocheck " + make)
    assert status == 0, output
    status, output = _as_user(bare, install.replace("install", "install -q -y"))
    assert status == 0, output
    assert bare.run("netmgr version").startswith("netmgr ")


def test_a_virtual_environment(bare: Machine) -> None:
    printed = bare.run("set -e; cd %s\n%s" % (TREE, _block("python3 -m venv")), seconds=300)
    assert re.search(r"^netmgr \d", printed, re.MULTILINE)
