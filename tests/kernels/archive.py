"""Kernels from the Debian archive, unpacked and ready to boot.

apt does the fetching and the checking of signatures, with a configuration of its own under the cache directory: other suites than the
machine's become known without touching the machine.  Where the archive is, is asked of the machine's own apt; where that is none of
Debian's (Ubuntu), the address must be given.  A kernel once unpacked is kept until its directory is deleted.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
SUITES = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie"}
PACKAGE = "linux-image-cloud-amd64"
MODULES = ("arch", "crypto", "lib", "net", "drivers/net")


class Kernel(NamedTuple):
    """A kernel on disk: `tree` holds usr/lib/modules/RELEASE."""

    release: str
    image: Path
    tree: Path


class FetchError(Exception):
    """A kernel is not to be had, and why."""


def fetch(version: str, cache: Path, mirror: Optional[str]) -> Kernel:
    """The newest kernel of that version in its Debian release, from the cache where it is there already."""
    tree = cache / version
    if not tree.exists():
        package = _download(SUITES[version], cache / "packages" / version, mirror)
        _unpack(package, tree)
    image = next((tree / "boot").glob("vmlinuz-*"))
    return Kernel(image.name.split("-", 1)[1], image, tree)


def _download(suite: str, directory: Path, mirror: Optional[str]) -> Path:
    options = _apt_directory(directory, _sources(suite, mirror))
    _run(["apt-get", *options, "-qq", "update"], directory)
    listed = _run(["apt-cache", *options, "depends", PACKAGE], directory)
    names = [line.split()[-1] for line in listed.splitlines() if "Depends: linux-image-" in line]
    if not names:
        raise FetchError("%s has no package %s" % (suite, PACKAGE))
    _run(["apt-get", *options, "-qq", "download", names[0]], directory)
    return next(directory.glob("*.deb"))


def _apt_directory(directory: Path, sources: str) -> List[str]:
    shutil.rmtree(directory, ignore_errors=True)
    for name in ("lists/partial", "cache/archives/partial"):
        (directory / name).mkdir(parents=True)
    (directory / "status").touch()
    (directory / "sources.list").write_text(sources)
    settings = {
        "Dir::State::Lists": directory / "lists",
        "Dir::State::Status": directory / "status",
        "Dir::Cache": directory / "cache",
        "Dir::Etc::SourceList": directory / "sources.list",
        "Dir::Etc::SourceParts": "-",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Check-Valid-Until": "false",
    }
    return ["--option=%s=%s" % setting for setting in settings.items()]


def _sources(suite: str, mirror: Optional[str]) -> str:
    line = "deb [arch=amd64 signed-by=%s] %s %s main\n"
    known = {"Debian": mirror} if mirror else _debian_mirrors()
    text = line % (KEYRING, known["Debian"], suite)
    if "Debian-Security" in known:
        text += line % (KEYRING, known["Debian-Security"], suite + "-security")
    return text


def _debian_mirrors() -> Dict[str, str]:
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)", "Created-By: Packages"],
        stdout=subprocess.PIPE, text=True, check=True,
    ).stdout  # fmt: skip
    known = {words[1]: words[2] for words in map(str.split, listed.splitlines()) if len(words) == 3 and words[0] == "Debian"}
    if "Debian" not in known:
        raise FetchError("apt knows no archive of Debian here (perhaps after `apt-get update`): name one with --mirror")
    return known


def _unpack(package: Path, tree: Path) -> None:
    """The image and the modules for networking, with what depmod says about them; complete or not at all."""
    everything, kept = package.parent / "everything", package.parent / "tree"
    _run(["dpkg-deb", "--extract", str(package), str(everything)], package.parent)
    modules = next(path for path in everything.glob("**/lib/modules/*") if path.is_dir())
    target = kept / "usr/lib/modules" / modules.name
    for name in MODULES:
        if (modules / "kernel" / name).exists():
            shutil.copytree(modules / "kernel" / name, target / "kernel" / name, dirs_exist_ok=True)
    for path in modules.glob("modules.*"):
        shutil.copy(path, target)
    shutil.copytree(everything / "boot", kept / "boot")
    _run(["depmod", "--basedir", str(kept / "usr"), modules.name], package.parent)
    os.rename(kept, tree)
    shutil.rmtree(package.parent)


def _run(words: List[str], directory: Path) -> str:
    environment = dict(os.environ, LC_ALL="C", PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")
    done = subprocess.run(words, cwd=directory, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise FetchError("%s: exit %d: %s" % (" ".join(words[:1] + words[-2:]), done.returncode, done.stderr.strip()))
    return done.stdout
