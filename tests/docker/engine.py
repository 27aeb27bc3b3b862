"""Real engines, Docker's and Podman's, each in namespaces of its own.

A House is a mount and a process namespace inside a Lab's network namespace: whatever an engine starts or mounts in it ends with it,
however a test run ends.  Only the engine's directory, with its socket, is shared with the outside.  Nothing is pulled: the image
`box` is made from a static busybox.

The engines are those of this machine, or of another Debian whose root directory (tests/system/roots.py) is that of the House then, with
a layer over it that goes with the House.

An engine's `truth()` is what its own command line says of the running containers, one tuple (name, network, address/length) for each
address.  `command(…)` is that command line, for tests that want to do something else while it runs.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional, Sequence, Set, Tuple

from tests.kernel.lab import Lab, forces_buffers
from tests.waiting import PATIENCE, eventually

IMAGE = "box"
APPLETS = ("sh", "sleep", "true", "test", "touch", "rm", "cat")
SLEEP = ("/bin/sleep", "3600")

Truth = Set[Tuple[str, str, str]]

# The first process of a House: moves into another root if there is one, hides what engines keep outside of their own directories, leaves
# no zombies, and waits to be killed.
_FIRST = """
import os, signal, subprocess, sys

def mount(*words):
    subprocess.run(["mount", *words], check=True)

directory, root = sys.argv[1:]
if root:
    layer, new = directory + "/layer", directory + "/root"
    os.mkdir(layer)
    os.mkdir(new)
    mount("-t", "tmpfs", "tmpfs", layer)
    for each in ("upper", "work"):
        os.mkdir(layer + "/" + each)
    mount("-t", "overlay", "overlay", "-o", "lowerdir=%s,upperdir=%s/upper,workdir=%s/work" % (root, layer, layer), new)
    mount("-t", "proc", "proc", new + "/proc")
    for each in ("/sys", "/dev"):
        mount("--rbind", each, new + each)
    os.makedirs(new + directory, exist_ok=True)
    mount("--bind", directory, new + directory)
    os.mkdir(new + "/before")
    subprocess.run(["pivot_root", new, new + "/before"], check=True)       # after chroot(), an engine's containers would see the old root
    os.chdir("/")
    subprocess.run(["umount", "--lazy", "/before"], check=True)
for place in ("/run", "/etc/docker", "/var/lib/cni"):
    os.makedirs(place, exist_ok=True)
    mount("-t", "tmpfs", "tmpfs", place)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
open(directory + "/ready", "w").close()
while True:
    signal.pause()
"""

_CONTAINERS_CONF = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "%s"
runtime = "runc"
[network]
network_config_dir = "%s"
"""


def why_not(*programs: str) -> Optional[str]:
    """Why an engine that needs these programs cannot run here; None when it can."""
    if not forces_buffers():
        return "a container engine needs root, outside of any user namespace"
    missing = next((program for program in (*programs, "busybox", "nsenter", "unshare") if shutil.which(program) is None), None)
    if missing is not None:
        return "%s is not installed" % missing
    return None if _is_static(shutil.which("busybox") or "") else "busybox-static is not installed"


def why_no_docker() -> Optional[str]:
    """Why there is no DockerEngine; None when there is."""
    return why_not("dockerd", "docker")


def why_no_podman() -> Optional[str]:
    """Why there is no PodmanService; None when there is."""
    return why_not("podman")


def _is_static(program: str) -> bool:
    return b"/ld-linux" not in Path(program).read_bytes()


class House:
    """Namespaces for processes and mounts, within a Lab."""

    def __init__(self, lab: Lab, directory: Path, root: Optional[Path] = None) -> None:
        self.lab = lab
        first = [sys.executable, "-S", "-c", _FIRST, str(directory), str(root or "")]
        self._unshare = lab.start(["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", *first])
        eventually((directory / "ready").exists, "the house")
        children = Path("/proc/%d/task/%d/children" % (self._unshare.pid, self._unshare.pid)).read_text().split()
        self._first = int(children[0])

    def words(self, *command: str) -> List[str]:
        """The command, to be run inside by somebody in the Lab."""
        return ["nsenter", "--target", str(self._first), "--mount", "--pid", "--root", "--wd", *command]

    def close(self) -> None:
        """End all that is inside."""
        self._unshare.kill()
        self._unshare.wait()
        eventually(lambda: not os.path.exists("/proc/%d" % self._first), "the end of the house")


class _Process:
    """A daemon in a House.  Its pid file has its pid as the House knows it."""

    def __init__(self, house: House, pidfile: Path, command: List[str]) -> None:
        self._house, self._pidfile = house, pidfile
        self._entered = house.lab.start(house.words(*command))

    @property
    def running(self) -> bool:
        return self._entered.poll() is None

    def signal(self, signum: int) -> None:
        """Send a signal, and wait for the end that it causes."""
        self._house.lab.run(self._house.words("kill", "-%d" % signum, self._pidfile.read_text().strip()))
        self._entered.wait(PATIENCE)

    def log(self) -> str:
        return self._house.lab.log(self._entered)


class DockerEngine:
    """dockerd with its own containerd, and this machine's docker.  Begins stopped."""

    def __init__(self, live_restore: bool = False, root: Optional[Path] = None, options: Sequence[str] = ()) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="netmgr-docker-"))
        self.socket = str(self.directory / "docker.sock")
        self.lab = Lab()
        self.house = House(self.lab, self.directory, root)
        self._pidfile = self.directory / "pid"
        self._options = [*options, *(["--live-restore"] * live_restore)]
        self._process: Optional[_Process] = None

    def start(self) -> None:
        """Start the engine, and wait until it answers."""
        state = {"--" + name: str(self.directory / name) for name in ("data-root", "exec-root")}
        self._process = _Process(self.house, self._pidfile, [
            "dockerd", "--storage-driver=vfs", "--pidfile=%s" % self._pidfile, "--host=unix://%s" % self.socket, "--shutdown-timeout=5",
            "--log-level=warn", *("%s=%s" % pair for pair in state.items()), *self._options])
        eventually(self._answers, "dockerd")
        if not self.docker("image", "ls", "--quiet", IMAGE):
            self.docker("import", str(_image(self.directory)), IMAGE)

    def stop(self) -> None:
        """Stop the engine in good order."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End the engine as a crash would."""
        self._signal(signal.SIGKILL)
        self._pidfile.unlink()

    def restart(self) -> None:
        """Stop it and start it again."""
        self.stop()
        self.start()

    def command(self, *arguments: str) -> List[str]:
        """docker with these arguments, as words."""
        return ["docker", "--host", "unix://" + self.socket, *arguments]

    def docker(self, *arguments: str) -> str:
        """What docker prints.  AssertionError with its complaint when it fails."""
        return _output(self.command(*arguments))

    def run(self, name: str, *options: str, command: Iterable[str] = SLEEP) -> str:
        """Start a container; its id."""
        return self.docker(*self.run_arguments(name, *options, command=command))

    def run_arguments(self, name: str, *options: str, command: Iterable[str] = SLEEP) -> List[str]:
        """What run() gives to docker."""
        return _run_arguments(name, options, command)

    def inspect(self, *containers: str) -> List[Dict[str, Any]]:
        """docker inspect"""
        inspected: List[Dict[str, Any]] = json.loads(self.docker("inspect", *containers)) if containers else []
        return inspected

    def truth(self) -> Truth:
        """The addresses of all running containers, as docker inspect says."""
        return _addresses(self.inspect(*self.docker("ps", "--quiet", "--no-trunc").split()))

    def clear(self) -> None:
        """Remove all containers, and the networks that are not built in."""
        containers = self.docker("ps", "--all", "--quiet").split()
        if containers:
            self.docker("rm", "--force", *containers)
        self.docker("network", "prune", "--force")

    def log(self) -> str:
        """What the present dockerd has said."""
        return self._process.log() if self._process is not None else ""

    def close(self) -> None:
        """End all of it."""
        self.house.close()
        self.lab.close()
        shutil.rmtree(self.directory)

    def _answers(self) -> bool:
        assert self._process is not None and self._process.running, self.log()
        return subprocess.run(self.command("version"), capture_output=True, check=False).returncode == 0

    def _signal(self, signum: int) -> None:
        assert self._process is not None
        self._process.signal(signum)


class PodmanService:
    """podman system service, and podman.  Begins stopped.  `events` is where it keeps its events: file, journald or none."""

    def __init__(self, root: Optional[Path] = None, events: str = "file") -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="netmgr-podman-"))
        self.socket = str(self.directory / "podman.sock")
        self.lab = Lab()
        self.house = House(self.lab, self.directory, root)
        self._process: Optional[_Process] = None
        networks = self.directory / "networks"
        networks.mkdir()
        configuration = self.directory / "containers.conf"
        configuration.write_text(_CONTAINERS_CONF % (events, networks))
        self._podman = ["env", "CONTAINERS_CONF=%s" % configuration, "podman", "--storage-driver=vfs"]
        self._podman += ["--%s=%s" % (name, self.directory / name) for name in ("root", "runroot", "tmpdir")]

    def start(self) -> None:
        """Start the service, and wait until its socket is there."""
        pidfile = self.directory / "pid"
        script = 'echo $$ >"$0"; exec "$@"'
        self._process = _Process(self.house, pidfile, [
            "sh", "-c", script, str(pidfile), *self._podman, "system", "service", "--time=0", "unix://" + self.socket])
        eventually(lambda: os.path.exists(self.socket), "podman")
        if not self.podman("image", "ls", "--quiet", IMAGE):
            self.podman("import", str(_image(self.directory)), IMAGE)

    def stop(self) -> None:
        """Stop the service; the containers go on."""
        assert self._process is not None
        self._process.signal(signal.SIGTERM)

    def command(self, *arguments: str) -> List[str]:
        """podman with these arguments, as words to be run in the Lab."""
        return self.house.words(*self._podman, *arguments)

    def podman(self, *arguments: str) -> str:
        """What podman prints.  AssertionError with its complaint when it fails."""
        with self.lab.inside():
            return _output(self.command(*arguments))

    def run(self, name: str, *options: str, command: Iterable[str] = SLEEP) -> str:
        """Start a container; its id."""
        return self.podman(*self.run_arguments(name, *options, command=command))

    def run_arguments(self, name: str, *options: str, command: Iterable[str] = SLEEP) -> List[str]:
        """What run() gives to podman."""
        return _run_arguments(name, options, command)

    def inspect(self, *containers: str) -> List[Dict[str, Any]]:
        """podman inspect"""
        inspected: List[Dict[str, Any]] = json.loads(self.podman("inspect", *containers)) if containers else []
        return inspected

    def truth(self) -> Truth:
        """The addresses of all running and paused containers, as podman inspect says."""
        both = ("--filter", "status=running", "--filter", "status=paused")
        return _addresses(self.inspect(*self.podman("ps", "--all", *both, "--quiet", "--no-trunc").split()))

    def clear(self) -> None:
        """Remove all containers, and the networks that are not built in."""
        self.podman("pod", "rm", "--all", "--force", "--time=0")
        self.podman("rm", "--all", "--force", "--time=0")
        self.podman("network", "prune", "--force")

    def log(self) -> str:
        """What the present service has said."""
        return self._process.log() if self._process is not None else ""

    def close(self) -> None:
        """End all of it."""
        self.house.close()
        self.lab.close()
        shutil.rmtree(self.directory)


def _run_arguments(name: str, options: Iterable[str], command: Iterable[str]) -> List[str]:
    return ["run", "--detach", "--name", name, "--stop-signal", "KILL", *options, IMAGE, *command]


def _output(command: List[str]) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, "%s: exit %d: %s" % (" ".join(command), done.returncode, done.stderr)
    return done.stdout.strip()


def _image(directory: Path) -> Path:
    """A file system with nothing but busybox."""
    path = directory / "image.tar"
    with tarfile.open(path, "w") as archive:
        archive.add(shutil.which("busybox") or "", "bin/busybox")
        for applet in APPLETS:
            link = tarfile.TarInfo("bin/" + applet)
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(link)
    return path


def _addresses(inspected: Iterable[Dict[str, Any]]) -> Truth:
    found: Truth = set()
    for container in inspected:
        name = container["Name"].lstrip("/")
        for network, settings in (container["NetworkSettings"].get("Networks") or {}).items():
            pairs = ((settings["IPAddress"], settings["IPPrefixLen"]), (settings["GlobalIPv6Address"], settings["GlobalIPv6PrefixLen"]))
            found |= {(name, network, "%s/%d" % pair) for pair in pairs if pair[0]}
            further = [each for key in ("SecondaryIPAddresses", "SecondaryIPv6Addresses") for each in settings.get(key) or []]
            found |= {(name, network, "%s/%d" % (each["Addr"], each["PrefixLength"])) for each in further}
    return found
