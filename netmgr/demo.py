"""`netmgr demo`: the main job, live, in a network namespace of its own, on the real kernel.

The demo starts itself again under unshare(1), so nothing of the machine's own network is touched and all of it is gone at the end.
Each step runs a command that anybody could type, waits until the sets are as they should be, and shows them as the kernel has
them.  The exit status is 1 as soon as one is not.
"""

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from typing import Callable, Dict, FrozenSet, List, NamedTuple, Optional, Sequence

from netmgr.io.control import ask

INSIDE = "NETMGR_DEMO_INSIDE"
PATIENCE = 8.0
DOCKER_SOCKET = "/var/run/docker.sock"
IMAGE = "netmgr-demo"

RULESET = """\
flush ruleset
table inet filter {
	set wan_ips {
		type ipv4_addr
		flags dynamic
	}
	set lan_ips {
		type ipv4_addr
		flags dynamic
	}
	set lan_nets {
		type ipv4_addr
		flags interval
	}
	set docker_ips {
		type ipv4_addr
	}
	chain input {
		type filter hook input priority 0; policy drop;
		ip daddr @wan_ips tcp dport 443 accept
		ip daddr @lan_ips accept
		ip saddr @lan_nets accept
	}
}
"""

CONFIG = """\
interfaces:
  - name: eth0
    dhcp: true
    nftables_zone: wan
  - name: eth1
    address: 192.168.1.1/24
    nftables_zone: lan
nftables:
  include_dir: null
docker:
  enabled: %s
"""


class DemoError(Exception):
    """Something that the demo showed was not as it should be."""


class Step(NamedTuple):
    """What happens, by which commands, and what the sets hold afterwards."""

    title: str
    commands: Sequence[str]
    expected: Dict[str, FrozenSet[str]]


def _holds(wan: str = "", lan: str = "", nets: str = "") -> Dict[str, FrozenSet[str]]:
    return {"wan_ips": frozenset(wan.split()), "lan_ips": frozenset(lan.split()), "lan_nets": frozenset(nets.split())}


STEPS = (
    Step("A lease arrives on eth0", ["ip address add 203.0.113.5/24 dev eth0 valid_lft 3600 preferred_lft 1800"],
         _holds("203.0.113.5")),
    Step("eth1 gets its address", ["ip address add 192.168.1.1/24 dev eth1"],
         _holds("203.0.113.5", "192.168.1.1", "192.168.1.0/24")),
    Step("The provider hands out another address", ["ip address del 203.0.113.5/24 dev eth0",
                                                    "ip address add 198.51.100.77/22 dev eth0 valid_lft 3600 preferred_lft 1800"],
         _holds("198.51.100.77", "192.168.1.1", "192.168.1.0/24")),
    Step("The administrator reloads the whole ruleset", ["nft -f ruleset.nft"],
         _holds("198.51.100.77", "192.168.1.1", "192.168.1.0/24")),
    Step("Somebody empties a set by hand", ["nft flush set inet filter wan_ips"],
         _holds("198.51.100.77", "192.168.1.1", "192.168.1.0/24")),
    Step("An address moves from one interface to the other", ["ip address del 192.168.1.1/24 dev eth1",
                                                              "ip address add 192.168.1.1/24 dev eth0"],
         _holds("192.168.1.1 198.51.100.77")),
    Step("eth0 is renamed: no interface of the configuration any more", ["ip link set eth0 name uplink"], _holds()),
    Step("and back", ["ip link set uplink name eth0"], _holds("192.168.1.1 198.51.100.77")),
    Step("eth0 is unplugged for good", ["ip link delete eth0"], _holds()),
)


def main() -> int:
    """Run the demo; 0 when everything was as it should be."""
    if os.environ.get(INSIDE):
        return _inside()
    unshare = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
    missing = [tool for tool in ("unshare", "ip", "nft") if not _which(tool)]
    if missing:
        print("netmgr demo needs %s (packages util-linux, iproute2, nftables)" % ", ".join(missing), file=sys.stderr)
        return 1
    source = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    environment = {**os.environ, INSIDE: "1", "PYTHONPATH": os.pathsep.join([source, *filter(None, [os.environ.get("PYTHONPATH")])])}
    return subprocess.run([*unshare, sys.executable, "-m", "netmgr", "demo"], env=environment, check=False).returncode


def _inside() -> int:
    with tempfile.TemporaryDirectory(prefix="netmgr-demo-") as directory:
        os.chdir(directory)
        engine = _engine()
        _write("ruleset.nft", RULESET)
        _write("config.yaml", CONFIG % ("true" if engine else "false"))
        for command in ("ip link set lo up", "ip link add eth0 type veth peer name far0", "ip link add eth1 type veth peer name far1",
                        "ip link set eth0 up", "ip link set eth1 up", "nft -f ruleset.nft"):
            _run(command)
        print("A private network namespace, this ruleset:\n\n%s\nand this configuration:\n\n%s" % (
            _indented(RULESET), _indented(CONFIG % ("true" if engine else "false"))), flush=True)
        daemon = subprocess.Popen([sys.executable, "-m", "netmgr", "run", "--config", "config.yaml", "--socket", "netmgr.sock"])
        try:
            _show(engine)
        except DemoError as failure:
            print("\nFAILED: %s" % failure)
            return 1
        finally:
            daemon.send_signal(signal.SIGTERM)
            daemon.wait(PATIENCE)
        print("\nAll of it as it should be.")
        return 0


def _show(engine: bool) -> None:
    _until("the daemon answers", lambda: _answer("ping") == "PONG\n")
    for number, step in enumerate(STEPS, 1):
        print("\n%d. %s" % (number, step.title))
        for command in step.commands:
            print("   # %s" % command)
            _run(command)
        began = time.monotonic()
        _until("the sets after step %d" % number, partial(_sets_are, step.expected))
        print("   as it should be after %.0f ms (the look included):" % ((time.monotonic() - began) * 1000))
        for name in step.expected:
            print("   %-9s { %s }" % (name, ", ".join(sorted(_set(name)))))
    _show_container(engine)
    print("\nWhat the daemon says (echo status | socat - UNIX-CONNECT:netmgr.sock):\n\n%s" % _indented(_answer("status")))


def _show_container(engine: bool) -> None:
    if not engine:
        print("\nNo container engine answers at %s, so no container is shown." % DOCKER_SOCKET)
        return
    _until("the engine's answer", lambda: json.loads(_answer("status json"))["sources"]["docker"]["state"] == "ok")
    started = _start_container()
    try:
        if started is None and not _container_addresses():
            print("\nThe container engine runs no container, and there is no busybox to start one from, so none is shown.")
            return
        print("\nContainers: %s" % ("one is started" if started else "those that run"))
        _until("the containers' addresses", lambda: _container_addresses() == _set("docker_ips") != frozenset())
        print("   docker_ips { %s }" % ", ".join(sorted(_set("docker_ips"))))
    finally:
        if started is not None:
            _run("docker rm --force %s" % started)
            _run("docker rmi %s" % IMAGE)


def _start_container() -> Optional[str]:
    busybox = _which("busybox")
    if busybox is None or not _which("docker"):
        return None
    name = "%s-%d" % (IMAGE, os.getpid())
    try:
        packed = _run("tar --create --directory=%s busybox" % os.path.dirname(busybox))
        subprocess.run(["docker", "import", "-", IMAGE], input=packed, check=True, capture_output=True)
        _run("docker run --detach --name %s %s /busybox sleep 60" % (name, IMAGE))
    except (DemoError, subprocess.CalledProcessError):
        return None
    return name


def _container_addresses() -> FrozenSet[str]:
    containers = json.loads(_answer("status json"))["containers"]
    return frozenset(each["address"] for container in containers for each in container["addresses"] if ":" not in each["address"])


def _engine() -> bool:
    try:
        ask(DOCKER_SOCKET, "GET /_ping HTTP/1.0\r\n\r", 2)
    except OSError:
        return False
    return True


def _answer(line: str) -> str:
    try:
        return ask("netmgr.sock", line, PATIENCE)
    except OSError:
        return ""


def _sets_are(expected: Dict[str, FrozenSet[str]]) -> bool:
    return all(_set(name) == held for name, held in expected.items())


def _set(name: str) -> FrozenSet[str]:
    """What the kernel says is in the set."""
    listed: List[Dict[str, Dict[str, List[object]]]] = json.loads(_run("nft -j list set inet filter %s" % name))["nftables"]
    elements = next(each["set"] for each in listed if "set" in each).get("elem", [])
    return frozenset(_element(each) for each in elements)


def _element(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("elem", value)
    if isinstance(value, dict) and "val" in value:
        value = value["val"]
    if isinstance(value, dict):
        prefix = value["prefix"]
        return "%s/%s" % (prefix["addr"], prefix["len"])
    return str(value)


def _until(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise DemoError("%s: not so within %g seconds" % (what, PATIENCE))
        time.sleep(0.005)


def _run(command: str) -> bytes:
    done = subprocess.run(shlex.split(command), capture_output=True, check=False)
    if done.returncode:
        raise DemoError("%s: %s" % (command, done.stderr.decode(errors="replace").strip()))
    return done.stdout


def _which(tool: str) -> Optional[str]:
    """Where a program is; administrators' directories are not on everybody's path."""
    import shutil
    return shutil.which(tool, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin")


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def _indented(text: str) -> str:
    return "".join("    %s\n" % line for line in text.splitlines())
