"""nft of a Debian release: the system's own, or another from a root directory, run with the libraries of that root.

It needs no chroot: the root's dynamic loader runs the root's program, and paths mean what they mean here.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List, NamedTuple, Tuple

CACHE = Path(__file__).resolve().parents[1] / ".cache" / "roots"
RELEASES = ("bookworm", "trixie")


class Program(NamedTuple):
    """A name for people, the command of nft, and of Python with the same libraries."""

    name: str
    nft: Tuple[str, ...]
    python: Tuple[str, ...]

    def version(self) -> str:
        """v1.0.6"""
        return subprocess.run([*self.nft, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]


def installed() -> Program:
    """The system's."""
    return Program("system", (shutil.which("nft") or "nft",), (sys.executable,))


def of_root(root: Path) -> Program:
    """That of a Debian root directory."""
    loader = next(path for pattern in ("lib64/ld-linux-*", "usr/lib/*/ld-linux-*", "lib/ld-linux-*") for path in root.glob(pattern))
    libraries = ":".join(str(path) for path in root.glob("usr/lib/*-linux-gnu"))
    run = (str(loader), "--library-path", libraries)
    return Program(root.name.split("-")[0], (*run, str(root / "usr/sbin/nft")), (*run, str(root / "usr/bin/python3")))


def programs() -> List[Program]:
    """All of different versions that there are here without making a root; `make test-system` makes some."""
    found = [installed()] if shutil.which("nft") else []
    versions = {each.version() for each in found}
    for root in _roots():
        program = of_root(root)
        if program.version() not in versions:
            versions.add(program.version())
            found.append(program)
    return found


def _roots() -> Iterator[Path]:
    for release in RELEASES:
        yield from [root for root in sorted(CACHE.glob(release + "-????????")) if (root / "usr/sbin/nft").exists()][:1]
