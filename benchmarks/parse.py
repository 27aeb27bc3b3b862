"""What one address costs: its message in a dump, its message alone as an event, and the dump from end to end.

The bytes are a dump that the kernel made, and made-up events of both families. pyroute2 parses the same bytes with its own parser, and
`IPRoute.get_addr()` is its dump from end to end; both look at the fields that netmgr uses. netmgr reads its queue of events as far as
it goes and parses it together; one by one is the worst case. In plain Python is the parser that says what the messages mean, which
netmgr uses for links only. The kernel's own time is that of the system calls in a C program that dumps.
"""

import socket
import statistics
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Callable, Dict, List, Sequence

from benchmarks.common import Section, Verdict, main, microseconds, peer, python_peer, times, turns
from benchmarks.space import SET, Space
from netmgr.io.rtnetlink import RequestSocket
from netmgr.wire import rtnetlink
from netmgr.wire.netlink import attribute, request
from netmgr.wire.rtnetlink_bulk import AddressReader, Tables

ADDRESSES, INTERFACES = 10000, 20
TURNS, QUICK_TURNS = 5, 3
REPEATS = 3             # of a peer in each turn; it takes some time to start


def run(quick: bool) -> Section:
    """Ours and theirs, on the same bytes and on the same kernel."""
    count = QUICK_TURNS if quick else TURNS
    with Space(INTERFACES, ADDRESSES) as space, space.inside():
        dumped = _dump()
        figures = _turns(count, 1 if quick else REPEATS, dumped)
    each = {name: seconds / ADDRESSES for name, seconds in figures.items()}
    pairs = (("a dump in memory", "dump", "their dump"), ("the same in plain Python", "plain dump", "their dump"),
             ("events one by one", "events", "their events"), ("a queue of events", "queue", "their events"),
             ("a dump from end to end", "snapshot", "get_addr"))
    rows = [[what, microseconds(each[ours]), microseconds(each[theirs]), times(each[theirs], each[ours])] for what, ours, theirs in pairs]
    rows.append(["of that the kernel", microseconds(each["kernel"]), "", ""])
    verdicts = [
        Verdict("parse, pyroute2's parser against netmgr's, a dump", each["their dump"] / each["dump"], " x", 10, True),
        Verdict("parse, pyroute2's parser against netmgr's, events one by one", each["their events"] / each["events"], " x", 10, True),
        Verdict("dump from end to end, `get_addr()` against netmgr", each["get_addr"] / each["snapshot"], " x", 40, True),
    ]
    return Section("Parse", " ".join((__doc__ or "").split()), ["time for each address", "netmgr", "pyroute2", "pyroute2 / netmgr"],
                   rows, verdicts)


def _turns(count: int, repeats: int, dumped: Sequence[bytes]) -> Dict[str, float]:
    events = _made_up_events()
    requests = RequestSocket()
    with tempfile.TemporaryDirectory() as directory:
        theirs = {name: _file(Path(directory, name), data) for name, data in (("dump", dumped), ("events", events))}
        subjects: Dict[str, Callable[[], float]] = {
            "dump": lambda: _read(dumped),
            "plain dump": lambda: _seconds(lambda: _parse(dumped)),
            "their dump": lambda: _printed(python_peer("pyroute2_parse", theirs["dump"], repeats)),
            "events": lambda: _read(events),
            "queue": lambda: _read([b"".join(events)]),
            "their events": lambda: _printed(python_peer("pyroute2_parse", theirs["events"], repeats)),
            "snapshot": lambda: _seconds(requests.snapshot),
            "get_addr": lambda: _printed(python_peer("pyroute2_get_addr", repeats)),
            "kernel": _kernel,
        }
        return turns(count, subjects)


def _read(datagrams: Sequence[bytes]) -> float:
    """Seconds.  Each datagram is where the kernel would have put it."""
    reader, seconds = AddressReader(max(map(len, datagrams))), 0.0
    tables: Tables = {}
    for each in datagrams:
        reader.buffer[:len(each)] = each
        start = time.perf_counter()
        for _other in reader.read(len(each), tables):
            pass
        seconds += time.perf_counter() - start
    if sum(map(len, tables.values())) != ADDRESSES:
        raise RuntimeError("not all addresses were found")
    return seconds


def _parse(datagrams: Sequence[bytes]) -> None:
    if sum(1 for each in datagrams for _event in rtnetlink.events(each)) != ADDRESSES:
        raise RuntimeError("not all addresses were found")


def _seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def _printed(command: List[str]) -> float:
    """The median of the seconds that a peer prints."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    lines = [line.split() for line in done.stdout.splitlines()]
    if any(int(found) != ADDRESSES for _figure, found in lines):
        raise RuntimeError("not all addresses were found")
    return statistics.median(float(figure) for figure, _found in lines)


def _kernel() -> float:
    done = subprocess.run(peer("kernel_share", *SET), stdout=subprocess.PIPE, text=True, check=True, timeout=120)
    return float(done.stdout.split()[0]) / 1e6


def _dump() -> List[bytes]:
    """The datagrams of a real dump."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as requests:
        requests.send(rtnetlink.dump_addresses(1))
        datagrams: List[bytes] = []
        while not datagrams or datagrams[-1][4:6] != struct.pack("=H", 3):
            datagrams.append(requests.recv(1 << 17))
    return datagrams


def _made_up_events() -> List[bytes]:
    """One datagram for each address, as an event comes; every other one is IPv6."""
    return [_event(number) for number in range(ADDRESSES)]


def _event(number: int) -> bytes:
    flags, cache = attribute(8, struct.pack("=I", 0x80)), attribute(6, bytes(16))
    if number % 2:
        address = struct.pack(">QQ", 0x20010DB8 << 32, number)
        body = struct.pack("=BBBBI", 10, 64, 0x80, 0, 2) + attribute(1, address) + cache + flags + attribute(11, b"\0")
    else:
        address = struct.pack(">I", 0x0A000000 + number)
        names = attribute(1, address) + attribute(2, address) + attribute(3, b"bench0\0")
        body = struct.pack("=BBBBI", 2, 32, 0x80, 0, 2) + names + cache + flags
    return request(rtnetlink.RTM_NEWADDR, 0, 0, body)


def _file(path: Path, datagrams: Sequence[bytes]) -> Path:
    path.write_bytes(b"".join(struct.pack("=I", len(each)) + each for each in datagrams))
    return path


if __name__ == "__main__":
    main(run)
