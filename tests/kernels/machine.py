"""The guest: qemu runs a kernel with an initramfs, and the serial line brings back what the tests say.

The first serial port is the kernel's console and goes to a file; the second is the tests' output.  Its last line is `EXIT n`.  A guest
that panics, hangs or runs out of time has no such line.  Hardware virtualisation is used where the processor has it and the device is
ours to open; otherwise the processor is emulated, about ten times slower.
"""

import os
import shlex
import subprocess
import threading
import time
from pathlib import Path
from typing import List, NamedTuple, Optional, Sequence

MODULES = ("nf_tables", "nfnetlink", "veth", "dummy", "bridge", "8021q", "macvlan", "tun", "nft_ct", "nft_counter", "nft_reject_inet")

INIT = """#!/bin/busybox sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb LANG=C.UTF-8 PYTHONDONTWRITEBYTECODE=1
busybox mkdir -p /proc /sys /dev /run /tmp /root /var /bin /lib
busybox mount -t proc proc /proc
busybox mount -t sysfs sysfs /sys
busybox mount -t devtmpfs dev /dev
busybox mount -t tmpfs run /run
busybox chmod 1777 /tmp
busybox mkdir -p /dev/shm /dev/pts
busybox mount -t devpts devpts /dev/pts
busybox mount -t tmpfs -o mode=1777 shm /dev/shm
busybox ln -sfn /run /var/run
busybox --install -s /bin 2>/dev/null
[ -e /lib/modules ] || ln -s /usr/lib/modules /lib/modules
for module in %(modules)s; do modprobe -q $module; done
ip link set lo up
exec </dev/null >/dev/ttyS1 2>&1
echo READY
cd %(directory)s
busybox timeout -s INT %(seconds)d %(command)s
echo EXIT $?
poweroff -f
"""


class Report(NamedTuple):
    """What came of a run: pytest's status (None: the guest never said), the output's lines, seconds until ready and in all."""

    status: Optional[int]
    lines: List[str]
    boot: float
    total: float


def init_script(command: Sequence[str], directory: Path, seconds: float) -> str:
    """What the kernel starts as its first process: prepare, run the command, interrupted after `seconds`, say how it ended, switch off."""
    words = {"modules": " ".join(MODULES), "directory": shlex.quote(str(directory)), "command": shlex.join(command), "seconds": seconds}
    return INIT % words


def run(kernel: Path, initramfs: Path, console: Path, seconds: float, echo: bool) -> Report:
    """Boot, listen until the guest is off or the time is over; `echo` repeats each line as it comes."""
    started, boot, lines = time.monotonic(), 0.0, []
    command = _qemu(kernel, initramfs, console)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    assert process.stdout is not None
    try:
        for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip("\r\n")
            lines.append(line)
            if line == "READY":
                boot = time.monotonic() - started
            if echo:
                print(line, flush=True)
    finally:
        timer.cancel()
        process.kill()
        process.wait()
    status = int(lines[-1].split()[1]) if lines and lines[-1].startswith("EXIT ") else None
    return Report(status, lines, boot, time.monotonic() - started)


def _qemu(kernel: Path, initramfs: Path, console: Path) -> List[str]:
    return [
        "qemu-system-x86_64", "-accel", _accelerator(), "-cpu", "max", "-smp", "2", "-m", "2G", "-nodefaults", "-no-reboot",
        "-display", "none", "-serial", "file:%s" % console, "-serial", "stdio", "-kernel", str(kernel), "-initrd", str(initramfs),
        "-append", "console=ttyS0 panic=-1 random.trust_cpu=on mitigations=off",
    ]  # fmt: skip


def _accelerator() -> str:
    virtualises = {"vmx", "svm"} & set(Path("/proc/cpuinfo").read_text().split())
    return "kvm" if virtualises and os.access("/dev/kvm", os.R_OK | os.W_OK) else "tcg"
