"""What `netmgr demo` does its steps with: commands, questions to the kernel and to the daemon, a container."""

import json
import os
import shlex
import shutil
import subprocess
import time
from typing import Any, Callable, Dict, FrozenSet, List, Optional

from netmgr.io.client import ask

PATIENCE = 30.0         # seconds: what takes milliseconds takes seconds where the machine has much else to do
DOCKER_SOCKET = "/var/run/docker.sock"
IMAGE = "netmgr-demo"


class DemoError(Exception):
    """Something that the demo showed was not as it should be."""


def run(command: str) -> bytes:
    """What the command printed; DemoError with its complaint when it failed."""
    done = subprocess.run(shlex.split(command), capture_output=True, check=False)
    if done.returncode:
        raise DemoError("%s: %s" % (command, done.stderr.decode(errors="replace").strip()))
    return done.stdout


def until(what: str, condition: Callable[[], bool]) -> None:
    """Wait until it is so; DemoError when it is not in time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise DemoError("%s: not so within %g seconds" % (what, PATIENCE))
        time.sleep(0.005)


def elements(name: str) -> FrozenSet[str]:
    """What the kernel says is in the set."""
    listed: List[Dict[str, Dict[str, List[object]]]] = json.loads(run("nft -j list set inet filter %s" % name))["nftables"]
    return frozenset(_element(each) for each in next(each["set"] for each in listed if "set" in each).get("elem", []))


def sets_are(expected: Dict[str, FrozenSet[str]]) -> bool:
    """Whether each of these sets holds just that."""
    return all(elements(name) == held for name, held in expected.items())


def answer(line: str) -> str:
    """The daemon's answer; "" when none answers."""
    try:
        return ask("netmgr.sock", line, PATIENCE)
    except OSError:
        return ""


def status() -> Dict[str, Any]:
    """`netmgr status --json`"""
    said: Dict[str, Any] = json.loads(answer("status json"))
    return said


def engine_answers() -> bool:
    """Whether a container engine is within reach."""
    try:
        ask(DOCKER_SOCKET, "GET /_ping HTTP/1.0\r\n\r", 2)
    except OSError:
        return False
    return True


def start_container() -> Optional[str]:
    """A container's name; None when there is nothing to start one with."""
    busybox = shutil.which("busybox")
    if busybox is None or not shutil.which("docker"):
        return None
    name = "%s-%d" % (IMAGE, os.getpid())
    try:
        packed = run("tar --create --directory=%s busybox" % os.path.dirname(busybox))
        subprocess.run(["docker", "import", "-", IMAGE], input=packed, check=True, capture_output=True)
        run("docker run --detach --name %s %s /busybox sleep 60" % (name, IMAGE))
    except (DemoError, subprocess.CalledProcessError):
        return None
    return name


def remove_container(name: str) -> None:
    """The container and its image."""
    run("docker rm --force %s" % name)
    run("docker rmi %s" % IMAGE)


def container_addresses() -> FrozenSet[str]:
    """The IPv4 addresses of containers that the daemon knows."""
    return frozenset(each["address"] for container in status()["containers"] for each in container["addresses"]
                     if ":" not in each["address"])


def write(path: str, text: str) -> None:
    """A file of the demo's directory."""
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def braced(held: FrozenSet[str]) -> str:
    """Elements as nft writes them."""
    return "{ %s }" % ", ".join(sorted(held)) if held else "{ }"


def indented(text: str) -> str:
    """As a block of its own."""
    return "".join("    %s\n" % line for line in text.splitlines())


def _element(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("elem", value)
    if isinstance(value, dict) and "val" in value:
        value = value["val"]
    if isinstance(value, dict):
        prefix = value["prefix"]
        return "%s/%s" % (prefix["addr"], prefix["len"])
    return str(value)
