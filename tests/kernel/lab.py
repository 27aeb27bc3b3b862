"""A network namespace of the test's own, with the real kernel inside.

The namespace has no name: it is the descriptor that the Lab holds, so nothing is left behind however a test run ends, and nothing is
visible outside.  `inside()` switches the calling thread into it; sockets and processes made there stay there.  Where a program wants
a path (nsenter --net=, ip link set … netns), `path` is one.  An interface of link() is one end of a veth pair whose other end is in a
second hidden namespace: to the lab it looks like a network card with carrier.

It takes root, or to be root in a user namespace (`unshare -rn`), where FORCEd socket buffers are refused.
"""

import contextlib
import ctypes
import errno
import json
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple, Union

from netmgr.io.nft import Nft
from tests.waiting import PATIENCE

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
FIRST_PID_NAMESPACE = 0xEFFFFFFC       # its inode: PROC_PID_INIT_INO
THREAD_NAMESPACE = "/proc/thread-self/ns/net"

Command = Union[str, Sequence[str]]

_libc = ctypes.CDLL(None, use_errno=True)


def why_not() -> Optional[str]:
    """Why no Lab can be made here; None when it can."""
    missing = next(("%s is not installed" % program for program in ("ip", "nft") if shutil.which(program) is None), None)
    if missing:
        return missing
    try:
        with Lab() as lab:
            lab.run("nft list ruleset")
    except (OSError, AssertionError) as error:
        return "no network namespace can be made and used here: %s" % error
    return None


def forces_buffers() -> bool:
    """Whether SO_RCVBUFFORCE and SO_SNDBUFFORCE work: they want the first user namespace."""
    return os.geteuid() == 0 and Path("/proc/self/uid_map").read_text().split() == ["0", "0", "4294967295"]


def kernel_pid() -> int:
    """This process as the kernel's notifications name it; the test is skipped where that cannot be known."""
    if os.stat("/proc/self/ns/pid").st_ino != FIRST_PID_NAMESPACE:
        import pytest
        pytest.skip("in a pid namespace processes do not know by which numbers the kernel's notifications name them")
    return os.getpid()


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


@contextlib.contextmanager
def _staying_here() -> Iterator[None]:
    here = os.open(THREAD_NAMESPACE, os.O_RDONLY)
    try:
        yield
    finally:
        _checked(_libc.setns(here, CLONE_NEWNET))
        os.close(here)


def _new_namespace() -> int:
    with _staying_here():
        _checked(_libc.unshare(CLONE_NEWNET))
        return os.open(THREAD_NAMESPACE, os.O_RDONLY)


class Lab:
    """One namespace; close() ends every process started in it and lets it go."""

    def __init__(self, loopback: bool = True) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="netmgr-test-"))
        self.processes: List[subprocess.Popen[bytes]] = []
        self._descriptor = _new_namespace()
        self._outside: Optional[Lab] = None
        self._cards = 0
        if loopback:
            self.run("ip link set lo up")

    def __enter__(self) -> "Lab":
        return self

    def __exit__(self, *_details: object) -> None:
        self.close()

    @property
    def path(self) -> str:
        """The namespace as a file, for as long as this Lab is open."""
        return "/proc/%d/fd/%d" % (os.getpid(), self._descriptor)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """The calling thread is in the namespace: what it opens or starts belongs there."""
        with _staying_here():
            _checked(_libc.setns(self._descriptor, CLONE_NEWNET))
            yield

    def run(self, command: Command, text: Optional[str] = None, check: bool = True) -> str:
        """What the command printed; AssertionError with its complaint when it fails (unless check is off).  `text` is its input."""
        words = _words(command)
        with self.inside():
            done = subprocess.run(words, input=text or "", capture_output=True, text=True, timeout=120, check=False)
        if check:
            assert done.returncode == 0, "%s: exit %d: %s" % (shlex.join(words), done.returncode, done.stderr)
        return done.stdout

    def start(self, command: Command, environment: Optional[Mapping[str, str]] = None) -> subprocess.Popen[bytes]:
        """A process that runs until close(), or until stop().  What it prints is in log(process)."""
        with self.inside(), open(self.directory / ("process-%d.log" % len(self.processes)), "wb") as log:
            process = subprocess.Popen(
                _words(command), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=None if environment is None else dict(environment), preexec_fn=_end_with_the_tests)  # noqa: PLW1509 (no threads here)
        self.processes.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes], signum: int = signal.SIGTERM, seconds: float = PATIENCE) -> int:
        """Send the signal and wait for the end: the exit status, negative when a signal ended it."""
        process.send_signal(signum)
        return process.wait(seconds)

    def log(self, process: subprocess.Popen[bytes]) -> str:
        """All that the process has printed so far."""
        return (self.directory / ("process-%d.log" % self.processes.index(process))).read_text(errors="replace")

    def link(self, name: str, up: bool = True, link_local: bool = True) -> None:
        """A network card with carrier (once it is up).

        Without `link_local` nothing happens to it by itself: else the kernel gives it an address whose detection ends seconds later.
        """
        if self._outside is None:
            self._outside = Lab(loopback=False)
        self._cards += 1
        peer = "peer%d" % self._cards
        self.run(["ip", "link", "add", name, "type", "veth", "peer", "name", peer, "netns", self._outside.path])
        self._outside.run(["ip", "link", "set", peer, "up"])
        if not link_local:
            self.run(["ip", "link", "set", "dev", name, "addrgenmode", "none"])
        if up:
            self.run(["ip", "link", "set", name, "up"])

    def rename_link(self, name: str, new: str) -> None:
        """Give the interface another name; before Linux 6.4 that takes one that is down."""
        for change in (["dev", name, "down"], ["dev", name, "name", new], ["dev", new, "up"]):
            self.run(["ip", "link", "set", *change])

    def move_link(self, name: str, other: "Lab") -> None:
        """Take the interface out of this namespace and into another."""
        self.run(["ip", "link", "set", name, "netns", other.path])

    def links(self) -> List[Dict[str, Any]]:
        """`ip -j -d link`"""
        return _json_list(self.run("ip -j -d link"))

    def addresses(self) -> List[Dict[str, Any]]:
        """`ip -j addr`"""
        return _json_list(self.run("ip -j addr"))

    def sysctl(self, key: str, value: object) -> None:
        """For instance sysctl("net.ipv6.conf.default.accept_dad", 0); interface names must not contain a dot."""
        with self.inside():
            try:
                Path("/proc/sys", *key.split(".")).write_text(str(value))
            except OSError as error:
                if error.errno != errno.EROFS:
                    raise
                import pytest
                pytest.skip("/proc/sys is not to be written to here, as in many containers")

    def nft(self, text: str) -> None:
        """One transaction, as `nft -f` reads it."""
        self.run("nft -f -", text)

    def ruleset(self) -> str:
        """`nft list ruleset`"""
        return self.run("nft list ruleset")

    def generation(self) -> int:
        """The number of the ruleset's present state; every commit makes the next."""
        with self.inside():
            nft = Nft()
        try:
            return nft.generation()
        finally:
            nft.close()

    def sets(self, table: str, name: str) -> Set[str]:
        """The elements of a set, as nft writes them: 192.0.2.1, 192.0.2.0/24, 192.0.2.1-192.0.2.9.  `table` is "inet filter"."""
        return set(self.comments(table, name))

    def comments(self, table: str, name: str) -> Dict[str, Optional[str]]:
        """The elements of a set, each with its comment."""
        listed = json.loads(self.run(["nft", "-j", "list", "set", *table.split(), name]))
        return self.elements(next(item["set"] for item in listed["nftables"] if "set" in item))

    def listing(self, table: str) -> List[Dict[str, Any]]:
        """`nft -j list table`: its objects, none when there is no such table."""
        listed = self.run("nft -j list table " + table, check=False)
        objects: List[Dict[str, Any]] = json.loads(listed)["nftables"] if listed else []
        return objects

    @staticmethod
    def elements(listed: Mapping[str, Any]) -> Dict[str, Optional[str]]:
        """The elements of a set that nft has listed, each with its comment."""
        return dict(_element(item) for item in listed.get("elem", []))

    def close(self) -> None:
        """End the processes, then let the namespace go."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        if self._outside is not None:
            self._outside.close()
        os.close(self._descriptor)
        shutil.rmtree(self.directory)


def _end_with_the_tests() -> None:
    _checked(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))


def _words(command: Command) -> List[str]:
    return shlex.split(command) if isinstance(command, str) else list(command)


def _json_list(text: str) -> List[Dict[str, Any]]:
    parsed: List[Dict[str, Any]] = json.loads(text or "[]")
    return [item for item in parsed if item]


def _element(item: Any) -> Tuple[str, Optional[str]]:
    if isinstance(item, dict) and "elem" in item:
        return _key(item["elem"]["val"]), item["elem"].get("comment")
    return _key(item), None


def _key(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    if "prefix" in value:
        return "%s/%d" % (value["prefix"]["addr"], value["prefix"]["len"])
    return "-".join(_key(end) for end in value["range"])
