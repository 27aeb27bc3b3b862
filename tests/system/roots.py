"""Debian root directories to boot, made by debootstrap and kept under .cache/roots.

A root is made once and then only read: machines run on top of it, with a layer of their own that goes with them.  It is named after
its recipe, so another recipe makes another root.  `python -m tests.system.roots` makes all of them.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple, Optional, Tuple

PROJECT = Path(__file__).resolve().parents[2]
ROOTS = PROJECT / ".cache" / "roots"
PROGRAMS = ("debootstrap", "systemd-nspawn", "nsenter", "nft", "ip")

PYTHON = ("python3", "python3-yaml", "python3-cffi-backend")
SYSTEM = (*PYTHON, "systemd-sysv", "dbus", "nftables", "iproute2", "libmnl0", "libnftnl11", "socat", "procps")
BUILD = ("build-essential", "debhelper", "dh-python", "pybuild-plugin-pyproject", "python3-dev", "python3-cffi", "python3-setuptools",
         "python3-yaml", "python3-pytest", "libmnl-dev", "libnftnl-dev", "nftables", "iproute2", "procps", "socat", "systemd", "lintian",
         "mandoc")
TESTBED = (*SYSTEM, "autopkgtest", "dpkg-dev")
PODMAN = (*SYSTEM, "podman", "netavark")
ENGINES = ("docker.io", "docker-cli", "podman", "netavark", "aardvark-dns", "crun", "iptables", "nftables", "iproute2", "procps", "python3",
           "busybox-static")


class Recipe(NamedTuple):
    """A Debian release, and packages without what they recommend."""

    release: str
    packages: Tuple[str, ...]


RECIPES = {
    "bookworm": Recipe("bookworm", SYSTEM),
    "bookworm-build": Recipe("bookworm", BUILD),
    "trixie": Recipe("trixie", SYSTEM),
    "trixie-build": Recipe("trixie", BUILD),
    "bookworm-testbed": Recipe("bookworm", TESTBED),
    "trixie-testbed": Recipe("trixie", TESTBED),
    "networkd": Recipe("trixie", (*SYSTEM, "dnsmasq-base")),
    "embedded": Recipe("trixie", (*PYTHON, "python3-pip", "openrc")),
    "bookworm-podman": Recipe("bookworm", PODMAN),
    "trixie-podman": Recipe("trixie", PODMAN),
    "engines": Recipe("trixie", ENGINES),
}


def why_not() -> Optional[str]:
    """Why no root can be made and booted here; None when it can."""
    if os.geteuid() != 0:
        return "booting a system takes root"
    return next(("%s is not installed" % program for program in PROGRAMS if shutil.which(program) is None), None)


def root(name: str) -> Path:
    """The directory of that root, made now if need be: half a minute to two minutes."""
    recipe = RECIPES[name]
    directory = ROOTS / ("%s-%s" % (name, _digest(" ".join(recipe.packages))))
    if not directory.exists():
        making = _fresh(directory)
        _run("cp", "--archive", "--reflink=auto", base(recipe.release), making)
        shutil.copy("/etc/resolv.conf", making / "etc/resolv.conf")
        _install(making, recipe.packages)
        making.rename(directory)
    return directory


def base(release: str) -> Path:
    """The directory of that release with nothing but what every Debian has."""
    directory = ROOTS / ("%s-base" % release)
    if not directory.exists():
        making = _fresh(directory)
        _run("debootstrap", "--variant=minbase", release, making)
        shutil.copy("/etc/resolv.conf", making / "etc/resolv.conf")
        making.rename(directory)
    return directory


def _install(directory: Path, packages: Tuple[str, ...]) -> None:
    """The packages, by the root's own apt, which starts no service in there and does not wait for the disk."""
    policy = directory / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    _run("chroot", directory, "apt-get", "-q", "update")
    _run("chroot", directory, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y", "-o", "DPkg::Options::=--force-unsafe-io",
         "install", "--no-install-recommends", *packages)
    _run("chroot", directory, "apt-get", "clean")
    policy.unlink()


def _fresh(directory: Path) -> Path:
    making = directory.with_suffix(".making")
    if making.exists():
        shutil.rmtree(making)
    making.parent.mkdir(parents=True, exist_ok=True)
    return making


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _run(*command: object) -> None:
    """The command; its output is only shown when it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=900, check=False)
    if done.returncode != 0:
        raise RuntimeError("%s: exit %d\n%s" % (" ".join(words), done.returncode, done.stdout.decode(errors="replace")[-4000:]))


if __name__ == "__main__":
    reason = why_not()
    if reason is not None:
        sys.exit(reason)
    for wanted in sys.argv[1:] or RECIPES:
        print(root(wanted), flush=True)
