"""The kernel tests on older kernels: python -m tests.kernels [OPTION ...] [VERSION ...] [-- PYTEST-ARGUMENT ...]"""

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import List

from tests.kernels import archive, image, machine

PROJECT = Path(__file__).resolve().parents[2]
CACHE = PROJECT / ".cache" / "kernels"
GRACE = 60      # seconds for booting, and for a report after an interruption


def main(words: List[str]) -> int:
    """Exit status 0 when the tests passed on every kernel; the last lines say it kernel by kernel."""
    end = words.index("--") if "--" in words else len(words)
    options = _options(words[:end])
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *(words[end + 1 :] or ["tests/kernel"])]
    CACHE.mkdir(parents=True, exist_ok=True)
    results = [_attempt(version, command, options) for version in options.versions or archive.SUITES]
    for result in results:
        print(result)
    return 0 if all(": passed: " in result for result in results) else 1


def _options(words: List[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.kernels", description=__doc__)
    parser.add_argument("versions", nargs="*", metavar="VERSION", help="of " + ", ".join(archive.SUITES) + "; default: all")
    parser.add_argument("--mirror", default=os.environ.get("DEBIAN_MIRROR"), help="a Debian archive; default: as this machine's apt has it")
    parser.add_argument("--seconds", type=float, default=1800, help="the limit for the tests on each kernel (%(default)g)")
    parser.add_argument("--quiet", action="store_true", help="print what the guest says only when it fails")
    found = parser.parse_args(words)
    unknown = [version for version in found.versions if version not in archive.SUITES]
    if unknown:
        parser.error("no such kernel: " + ", ".join(unknown))
    return found


def _attempt(version: str, command: List[str], options: argparse.Namespace) -> str:
    """One kernel's line of the summary."""
    try:
        kernel = archive.fetch(version, CACHE, options.mirror)
    except archive.FetchError as error:
        return "Linux %s: not tried: %s" % (version, error)
    with tempfile.TemporaryDirectory(prefix="netmgr-kernel-") as name:
        directory = Path(name)
        console = directory / "console"
        initramfs = image.build(kernel, machine.init_script(command, PROJECT, options.seconds), directory, PROJECT)
        print("Linux %s: %d MB of files" % (kernel.release, initramfs.stat().st_size >> 20), flush=True)
        report = machine.run(kernel.image, initramfs, console, options.seconds + GRACE, echo=not options.quiet)
        if report.status != 0:
            print("\n".join(report.lines if options.quiet else []), console.read_text(errors="replace")[-4000:], sep="\n")
    verdict = {0: "passed", 2: "INTERRUPTED", None: "NO RESULT"}.get(report.status, "FAILED")
    closing = (report.lines[-2:-1] or ["nothing"])[0].strip("= ")
    return "Linux %s: %s: %s; booted in %.0f s, all in %.0f s" % (kernel.release, verdict, closing, report.boot, report.total)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
