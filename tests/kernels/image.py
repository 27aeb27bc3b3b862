"""A file system for the guest: the files of this machine that the tests need, under their own names.

Nothing is copied or rearranged: a list of paths, completed with their directories, symbolic links and shared libraries, goes through
cpio.  So the interpreter, its packages and the project are found in the guest where they are found here.  The kernel unpacks several
archives one after the other: this machine's files, the kernel's modules, and the script that the kernel starts.
"""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, List, Set

from tests.kernels.archive import Kernel

PROGRAMS = (
    "busybox", "sh", "modprobe", "ip", "bridge", "tc", "nft", "unshare", "nsenter", "setpriv", "mount", "umount", "sysctl", "prlimit",
    "socat",
)  # fmt: skip
DISTRIBUTIONS = ("netmgr", "pytest")
TABLES = ("passwd", "group", "nsswitch.conf", "protocols", "services", "iproute2", "ld.so.cache", "modprobe.d")
NOT_THE_LIBRARY = {"site-packages", "dist-packages", "test", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3"}
NOT_THE_PROJECT = {"build", "dist"}


def build(kernel: Kernel, init: str, directory: Path, project: Path) -> Path:
    """An initramfs in `directory`: the project, all that its tests need, the kernel's modules, and the script `init` to start with."""
    script, image = directory / "init", directory / "initramfs"
    script.write_text(init)
    script.chmod(0o755)
    modules = kernel.tree / "usr/lib/modules"
    with open(image, "wb") as out:
        _archive(Path("/"), _complete(_machine(project)), out.fileno())
        _archive(kernel.tree, ["usr", "usr/lib"] + [str(Path(path).relative_to(kernel.tree)) for path in _tree(modules)], out.fileno())
        _archive(directory, ["init"], out.fileno())
    return image


def _archive(root: Path, paths: Iterable[str], descriptor: int) -> None:
    names = b"".join(os.fsencode(path) + b"\0" for path in paths)
    subprocess.run(["cpio", "--quiet", "--create", "--null", "--format=newc"], input=names, stdout=descriptor, cwd=root, check=True)


def _machine(project: Path) -> Set[str]:
    files = {found for found in map(_program, PROGRAMS) if found}
    files.update(path for name in TABLES for path in _tree(Path("/etc", name)))
    files.update(_interpreter())
    files.update(_distributions(DISTRIBUTIONS))
    files.update(_tree(project, lambda name: not name.startswith(".") and name not in NOT_THE_PROJECT))
    return files | _libraries(files)


def _program(name: str) -> str:
    return shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/sbin") or ""


def _interpreter() -> Iterator[str]:
    yield sys.executable
    yield os.path.join(sys.prefix, "pyvenv.cfg")
    library = Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix}))
    yield from _tree(library, lambda name: name not in NOT_THE_LIBRARY and not name.startswith("config-"))


def _distributions(names: Iterable[str]) -> Set[str]:
    """The files of these packages and of all that they require."""
    found: Dict[str, importlib.metadata.Distribution] = {}
    wanted = list(names)
    while wanted:
        name = wanted.pop()
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:     # required of other Pythons only
            continue
        required = [re.split(r"[^\w.-]", line)[0] for line in found[name].requires or () if "extra ==" not in line]
        wanted.extend(other for other in required if other not in found)
    return {str(distribution.locate_file(path)) for distribution in found.values() for path in distribution.files or ()}


def _tree(top: Path, enters: Callable[[str], bool] = lambda _name: True) -> Iterator[str]:
    """Every path below a directory and the directory first, or the one file; nothing when there is none."""
    if os.path.lexists(top):
        yield str(top)
    for directory, names, files in os.walk(top):
        names[:] = sorted(name for name in names if enters(name))
        yield from (os.path.join(directory, name) for name in names + files)


def _libraries(files: Iterable[str]) -> Set[str]:
    """The shared libraries that the programs and extension modules among the files need, with the dynamic linker."""
    linked = [path for path in files if os.path.isfile(path) and (".so" in path or os.access(path, os.X_OK))]
    listed = subprocess.run(["ldd", *linked], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
    return set(re.findall(r"(/\S+) \(0x", listed))


def _complete(files: Iterable[str]) -> List[str]:
    """The paths that exist, relative to the root, each after its directories; of a symbolic link also what it leads to."""
    asked: Set[str] = {"/"}
    places: Dict[str, None] = {}

    def add(path: str) -> None:
        if path in asked or not os.path.lexists(path):
            return
        asked.add(path)
        directory, name = os.path.split(path)
        add(directory)
        place = os.path.join(os.path.realpath(directory), name)
        places[place[1:]] = None
        if os.path.islink(place):
            add(os.path.normpath(os.path.join(os.path.dirname(place), os.readlink(place))))

    for path in sorted(map(os.path.normpath, files)):
        add(path)
    return list(places)
