"""A network namespace with many addresses, a set, and a netmgr that fills it.

Interfaces are the two ends of veth pairs, all up, all in the zone, with IPv4 addresses 10.x.y.z/32 spread over them evenly: on one
interface the kernel would take longer for each further address.  IPv6 is off, so that no link-local address comes by itself.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence, Tuple

from benchmarks.common import NETMGR
from netmgr.wire.netlink import NETLINK_ADD_MEMBERSHIP, SOL_NETLINK
from tests.kernel.lab import Lab

SET = ("inet", "filter", "wan_ips")
NETWORKS_SET = ("inet", "filter", "wan_nets")
PROBE = "probe0"
CONFIGURATION = """\
interfaces:
  - name: "bench*"
    nftables_zone: wan
  - name: probe0
    nftables_zone: wan
nftables: {table: inet filter, include_dir: %(directory)s/include, audit_interval: %(audit)d}
docker: {enabled: false}
socket_path: %(directory)s/socket
"""
PATIENCE = 120
PAUSE = 0.01
NETLINK_NETFILTER, NFNLGRP_NFTABLES = 12, 7


class Space(Lab):
    """The namespace: so many interfaces bench0, bench1, ..., so many addresses on them, probe0 without an address, and the empty set."""

    def __init__(self, interfaces: int, addresses: int) -> None:
        super().__init__(loopback=False)
        self.interface_count, self.address_count = interfaces, addresses
        self.configuration(audit=300)
        try:
            self.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
            self.run("ip -batch -", "".join(self._links()))
            self.run("ip -batch -", "".join(self._addresses()))
            self.nft("add table inet filter; add set inet filter wan_ips { type ipv4_addr; }")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> "Space":
        return self

    def configuration(self, audit: int) -> Path:
        """Write the configuration for netmgr; `audit` as in `audit_interval`."""
        path = self.directory / "config.yaml"
        path.write_text(CONFIGURATION % {"directory": self.directory, "audit": audit})
        return path

    def flush(self) -> float:
        """Empty the set; seconds."""
        start = time.perf_counter()
        self.nft("flush set inet filter wan_ips")
        return time.perf_counter() - start

    def filled(self) -> int:
        """How many elements the set has."""
        return self.count("wan_ips")

    def count(self, name: str) -> int:
        """How many elements a set has."""
        listed = self.run("nft -j list set inet filter " + name)
        return sum(len(item["set"].get("elem", ())) for item in json.loads(listed)["nftables"] if "set" in item)

    def index(self, interface: str) -> int:
        """The interface's index."""
        with self.inside():
            return socket.if_nametoindex(interface)

    def measure(self, command: Sequence[str], check: bool = True) -> float:
        """Seconds from start to end of a program in the namespace."""
        with self.inside():
            start = time.perf_counter()
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=check, timeout=PATIENCE)
            return time.perf_counter() - start

    def output(self, command: Sequence[str]) -> List[str]:
        """The lines that a program in the namespace prints."""
        with self.inside():
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True, timeout=PATIENCE)
        return done.stdout.splitlines()

    @contextlib.contextmanager
    def background(self, command: Sequence[str]) -> Iterator["subprocess.Popen[bytes]"]:
        """A program in the namespace that says "ready" on its first line; killed at the end, with what it has started."""
        with self.inside():
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
        try:
            assert process.stdout is not None
            if process.stdout.readline() != b"ready\n":
                raise RuntimeError("%s does not get ready" % command[0])
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()

    def _links(self) -> Iterator[str]:
        for number in range(0, self.interface_count, 2):
            yield "link add bench%d type veth peer name bench%d\n" % (number, number + 1)
        yield "link add %s type veth peer name other0\n" % PROBE
        for number in range(self.interface_count + self.interface_count % 2):
            yield "link set bench%d up\n" % number
        yield "link set %s up\nlink set other0 up\n" % PROBE

    def _addresses(self) -> Iterator[str]:
        for number in range(self.address_count):
            address = "10.%d.%d.%d" % (number >> 16, number >> 8 & 255, number & 255)
            yield "addr add %s/32 dev bench%d\n" % (address, number * self.interface_count // self.address_count)


class Networks(Space):
    """The same with networks: 10.0.0.0/30, 10.0.0.8/30 and so on, none of which touches another, and wan_nets, a set of ranges, for them.

    `flags` go behind `flags interval;`.  `foreign` are others' ranges, in nft's words, that are in the set.
    """

    def __init__(self, interfaces: int, networks: int, flags: str = "", foreign: Sequence[str] = ()) -> None:
        super().__init__(interfaces, networks)
        self.foreign = "add element inet filter wan_nets { %s };" % ", ".join(foreign) if foreign else ""
        try:
            self.nft("delete set inet filter wan_ips; add set inet filter wan_nets { type ipv4_addr; flags interval; %s }; %s"
                     % (flags, self.foreign))
        except BaseException:
            self.close()
            raise

    def flush(self) -> float:
        """Empty the set, but for what is others'; seconds."""
        start = time.perf_counter()
        self.nft("flush set inet filter wan_nets; " + self.foreign)
        return time.perf_counter() - start

    def filled(self) -> int:
        """How many ranges the set has."""
        return self.count("wan_nets")

    def _addresses(self) -> Iterator[str]:
        for number in range(self.address_count):
            address = "10.%d.%d.%d" % (number >> 13, number >> 5 & 255, (number & 31) * 8 + 1)
            yield "addr add %s/30 dev bench%d noprefixroute\n" % (address, number * self.interface_count // self.address_count)


class Transactions:
    """What nf_tables tells of its transactions, in the namespace in which this is made, after what rtnetlink is asked there."""

    def __init__(self) -> None:
        self._asking, self._told = _netlink(socket.NETLINK_ROUTE), _netlink(NETLINK_NETFILTER)
        self._told.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTABLES)

    def __enter__(self) -> "Transactions":
        return self

    def __exit__(self, *_details: object) -> None:
        self._asking.close()
        self._told.close()

    def after(self, message: bytes) -> float:
        """Seconds from this message to rtnetlink, sent after a pause, to the next transaction."""
        time.sleep(PAUSE)
        self._drain()
        start = time.perf_counter()
        self._asking.send(message)
        self._told.recv(65536)
        return time.perf_counter() - start

    def _drain(self) -> None:
        self._told.setblocking(False)
        try:
            while self._told.recv(65536):
                pass
        except BlockingIOError:
            self._told.settimeout(PATIENCE)


class Netmgr:
    """A netmgr in a namespace, from process start to READY; `seconds` is how long that took.  `program` is what is started."""

    def __init__(self, space: Lab, program: Sequence[str] = (NETMGR,)) -> None:
        self._space = space
        environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
        environment["NOTIFY_SOCKET"] = path = str(space.directory / ("notify-%d" % len(space.processes)))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(PATIENCE)
            start = time.perf_counter()
            self.process = space.start([*program, "run", "--config", str(space.directory / "config.yaml")], environment)
            while b"READY=1" not in manager.recv(4096):
                pass
            self.seconds = time.perf_counter() - start

    def __enter__(self) -> "Netmgr":
        return self

    def __exit__(self, *_details: object) -> None:
        self._space.stop(self.process)

    def status(self) -> Dict[str, Any]:
        """What `netmgr status --json` says."""
        answer: Dict[str, Any] = json.loads(self.answer("status json"))
        return answer

    def answer(self, line: str) -> bytes:
        """All that the control socket says to a line."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(self._space.directory / "socket"))
            connection.sendall(line.encode() + b"\n")
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def longest_turns(self, report: Path) -> Tuple[float, float]:
        """Of peers/turning_netmgr.py with this report: the two longest turns since this was asked last, in seconds of processor."""
        report.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR2)
        deadline = time.monotonic() + PATIENCE
        while not report.exists() or not report.read_text().endswith("\n"):
            if time.monotonic() > deadline:
                raise RuntimeError("netmgr does not tell its turns")
            time.sleep(0.02)
        first, second = map(float, report.read_text().split())
        return first, second

    def processor(self) -> float:
        """Seconds of processor so far, the kernel's on its behalf among them."""
        return int(Path("/proc/%d/schedstat" % self.process.pid).read_text().split()[0]) / 1e9

    def memory(self) -> Dict[str, int]:
        """Bytes: resident (RSS), and private to the process."""
        rollup = dict(line.split(":", 1) for line in Path("/proc/%d/smaps_rollup" % self.process.pid).read_text().splitlines()[1:])
        size = {key: int(value.split()[0]) * 1024 for key, value in rollup.items() if value.strip().endswith("kB")}
        return {"resident": size["Rss"], "private": size["Private_Clean"] + size["Private_Dirty"]}

    def wakeups(self) -> int:
        """How often the process has gone to sleep so far."""
        status = Path("/proc/%d/status" % self.process.pid).read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("voluntary_ctxt_switches"))


def _netlink(protocol: int) -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    opened.bind((0, 0))
    return opened
