"""A Debian system in a container of systemd-nspawn: its own processes, network, users and, booted, its own systemd.

It runs on top of a root directory that it does not change, and leaves nothing behind.  Commands run inside by nsenter(1); those that
only have to see its network can be the host's own.
"""

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import IO, List, Sequence, Tuple, Union

from tests.system.roots import PROJECT
from tests.waiting import eventually

INSIDE = ("--mount", "--uts", "--ipc", "--net", "--pid", "--wd")
# Where the host needs a certificate of its own to reach Python's packages, so do they.
CERTIFICATE = {"PIP_CERT": "/run/host.pem"} if "PIP_CERT" in os.environ else {}
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb",
               **CERTIFICATE}

ALONE = ("--private-network", "--capability=CAP_NET_ADMIN")
OUTSIDE = ("--resolv-conf=copy-host", *("--bind-ro=%s:%s" % (os.environ[name], path) for name, path in CERTIFICATE.items()))

Command = Union[str, Sequence[str]]


class Machine:
    """One running system; close() ends it."""

    def __init__(self, root: Path, boot: bool = True, network: bool = False) -> None:
        """Without `boot` nothing runs inside but a placeholder.  The project is there as /source, not to be written to.

        With `network` it has the host's network, and no right to change it.
        """
        self.directory = Path(tempfile.mkdtemp(prefix="netmgr-machine-"))
        self._console: IO[bytes] = open(self.directory / "console", "wb")  # noqa: SIM115
        self.leader = 0
        self._started: List[subprocess.Popen[bytes]] = []
        command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", *(OUTSIDE if network else ALONE),
                   "--volatile=overlay", "--console=pipe", "--machine=netmgr-test-%d" % os.getpid(), "--bind-ro=%s:/source" % PROJECT,
                   "--directory=%s" % root]
        command += ["--boot"] if boot else ["--as-pid2", "sleep", "infinity"]
        self._nspawn = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._console, stderr=self._console,
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}, start_new_session=True,
        )
        try:
            self.leader = eventually(self._first_process, "the container has a first process")
            if boot:
                eventually(lambda: self.run("systemctl is-system-running --wait", check=False) in ("running", "degraded"), "booted")
        except BaseException:
            print(self.console())
            self.close()
            raise

    def __enter__(self) -> "Machine":
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()

    def run(self, command: Command, text: str = "", check: bool = True, seconds: float = 120) -> str:
        """What a shell inside prints for this, errors too, without the last newline; AssertionError when it fails, unless check is off."""
        status, output = self.attempt(command, text, seconds)
        assert status == 0 or not check, "%s: exit %d: %s" % (command, status, output)
        return output

    def attempt(self, command: Command, text: str = "", seconds: float = 120) -> Tuple[int, str]:
        """The same, as exit status and output."""
        done = subprocess.run(
            self.inside(command), input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False,
            env=ENVIRONMENT,
        )
        return done.returncode, done.stdout.rstrip("\n")

    def inside(self, command: Command) -> List[str]:
        """The command of the host that runs this one inside."""
        words = ["sh", "-c", command] if isinstance(command, str) else list(command)
        return ["nsenter", "--target", str(self.leader), *INSIDE, *words]

    def start(self, command: Command, log: Path) -> "subprocess.Popen[bytes]":
        """A process inside that runs until close(); its output goes to a file of the host."""
        with open(log, "wb") as output:
            process = subprocess.Popen(self.inside(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=ENVIRONMENT,
                                       start_new_session=True)
        self._started.append(process)
        return process

    def on_network(self, command: Command) -> str:
        """A command of the host's, in the network of this machine."""
        done = subprocess.run(
            ["nsenter", "--target", str(self.leader), "--net", *_words(command)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, check=False,
        )
        assert done.returncode == 0, "%s: exit %d: %s" % (command, done.returncode, done.stderr)
        return done.stdout.rstrip("\n")

    def write(self, path: str, text: str) -> None:
        """A file inside."""
        self.run(["sh", "-c", 'mkdir -p "$(dirname "$0")" && cat >"$0"', path], text)

    def put(self, file: Path) -> str:
        """A copy of a file of the host, in /root: its path inside."""
        with open(file, "rb") as source:
            subprocess.run(self.inside(["sh", "-c", 'cat >"/root/$0"', file.name]), stdin=source, env=ENVIRONMENT, timeout=60, check=True)
        return "/root/" + file.name

    def get(self, path: str, directory: Path) -> Path:
        """A copy of a file inside, in a directory of the host."""
        copy = directory / Path(path).name
        with open(copy, "wb") as target:
            subprocess.run(self.inside(["cat", path]), stdout=target, env=ENVIRONMENT, timeout=60, check=True)
        return copy

    def console(self) -> str:
        """What the machine printed while it booted."""
        return (self.directory / "console").read_text(errors="replace")

    def close(self) -> None:
        """As if its power failed: the death of the first process is that of all, and systemd-nspawn cleans up."""
        for process in self._started:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self._nspawn.poll() is None:
            if self.leader:
                os.kill(self.leader, signal.SIGKILL)
            else:
                self._nspawn.terminate()
        self._nspawn.wait(30)
        self._console.close()
        shutil.rmtree(self.directory)

    def _first_process(self) -> int:
        assert self._nspawn.poll() is None, "systemd-nspawn ended: %s" % self.console()
        children = Path("/proc/%d/task/%d/children" % (self._nspawn.pid, self._nspawn.pid)).read_text().split()
        return next((int(child) for child in children if _is_first(child)), 0)


def _words(command: Command) -> List[str]:
    return shlex.split(command) if isinstance(command, str) else list(command)


def _is_first(pid: str) -> bool:
    """Whether it is process 1 of a namespace: systemd-nspawn has other children on the way there."""
    try:
        status = Path("/proc/%s/status" % pid).read_text()
    except OSError:
        return False
    return next(line.split()[-1] == "1" for line in status.splitlines() if line.startswith("NSpid:"))
