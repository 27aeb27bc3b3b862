"""A host with a firewall and netmgr, for long random lives: the real nf_tables, the real nft, the real keeper of the sets.

Everything that takes long is left out: nft is libnftables in a process that stays, netmgr is its keeper without descriptors and with a
clock that the test turns, and addresses are told to it directly.  So a life of ten loads and restarts takes some tens of milliseconds.

What the sets should hold is worked out here with nothing of netmgr's: keys are numbers, elements are spans of them.
"""

import ipaddress
import json
import shutil
import subprocess
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from netmgr.config.schema import Config
from netmgr.io.include_files import IncludeFiles
from netmgr.io.loop import Loop
from netmgr.io.nft import Nft
from netmgr.io.ruleset import Ruleset
from netmgr.io.systemd import Manager
from netmgr.keeper import Keeper
from netmgr.values.addresses import identity
from netmgr.values.events import Event, LinkSeen
from netmgr.values.sets import SetName
from netmgr.values.snapshots import Snapshot
from tests.kernel.lab import Lab
from tests.nft_program import Program
from tests.workbench import configuration, seen

TABLE = "inet filter"
WORKER = Path(__file__).with_name("nft_worker.py")

Span = Tuple[int, int]
Spans = List[Span]


# -- spans of keys

def span_of(element: str) -> Span:
    """10.0.0.1, 10.0.0.0/24, 10.0.0.1-10.0.0.5, "eth0", "eth*": the first and the last key."""
    if element.startswith('"'):
        name = element.strip('"').encode()
        if name.endswith(b"*"):
            return int.from_bytes(name[:-1].ljust(16, b"\0"), "big"), int.from_bytes(name[:-1].ljust(16, b"\xff"), "big")
        return (int.from_bytes(name.ljust(16, b"\0"), "big"),) * 2
    first, dash, last = element.partition("-")
    if dash:
        return int(ipaddress.ip_address(first)), int(ipaddress.ip_address(last))
    network = ipaddress.ip_network(first)
    return int(network[0]), int(network[-1])


def joined(spans: Iterable[Span]) -> Spans:
    """The same keys in as few spans as can be."""
    found: Spans = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found


def minus(spans: Iterable[Span], holes: Iterable[Span]) -> Spans:
    """The keys of the spans that are in no hole."""
    left = joined(spans)
    for begin, end in holes:
        pieces = [piece for first, last in left for piece in ((first, min(last, begin - 1)), (max(first, end + 1), last))]
        left = [(first, last) for first, last in pieces if first <= last]
    return left


def near(one: Span, other: Span, distance: int) -> bool:
    """Whether they overlap, or, with distance 1, touch."""
    return one[0] <= other[1] + distance and other[0] <= one[1] + distance


# -- the ruleset

class Declared(NamedTuple):
    """A set as the ruleset declares it.  `ends`: the kernel counts both ends of a range, and one more, as those before 6.18 do."""

    name: str
    type: str
    interval: bool = False
    merge: bool = False
    size: int = 0
    timeout: bool = False
    ends: bool = False

    def takes(self, number: int) -> bool:
        """Whether so many elements fit into it."""
        return not self.size or (number * 2 + 1 if self.interval and self.ends else number) <= self.size

    def block(self, directory: Path) -> str:
        """What stands in its block, with the include line."""
        flags = (["interval"] if self.interval else []) + (["timeout"] if self.timeout else [])
        lines = ["type " + self.type]
        lines += ["flags " + ", ".join(flags)] if flags else []
        lines += ["auto-merge"] if self.merge else []
        lines += ["size %d" % self.size] if self.size else []
        return "set %s {\n%s\ninclude \"%s/inet.filter.%s[.]nft\"\n}\n" % (self.name, "\n".join(lines), directory, self.name)

    def conflict(self, one: Span, other: Span) -> bool:
        """Whether nft may make something of the two that is neither."""
        return near(one, other, int(self.merge))


class Contents(NamedTuple):
    """What the kernel's set holds: netmgr's elements and the others', as spans."""

    own: Spans
    foreign: Spans


class Nftables:
    """One nft, as a process that stays."""

    def __init__(self, lab: Lab, program: Program) -> None:
        with lab.inside():
            self._process = subprocess.Popen([*program.python, str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()

    def run(self, text: str, check: bool = False) -> str:
        """What it has to say when it fails."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"text": text, **({"check": True} if check else {})}) + "\n")
        self._process.stdin.flush()
        answer: Dict[str, str] = json.loads(self._process.stdout.readline())
        return answer["error"]


class Turned(Loop):
    """A loop that never runs, with a clock that is turned by hand."""

    def __init__(self) -> None:
        self.time = 1000.0
        super().__init__()

    def now(self) -> float:
        return self.time


class Firewall:
    """The kernel of a lab, one nft, a directory of include files and an empty one, and netmgr when it runs."""

    def __init__(self, lab: Lab, program: Program, directory: Path) -> None:
        self.lab = lab
        self.files, self.empty = directory / "files", directory / "empty"
        self.empty.mkdir(parents=True)
        self.nft = Nftables(lab, program)
        with lab.inside():
            self.kernel = Nft()
        self.ends = self._counts_ends()
        self.loop = Turned()
        self.keeper: Optional[Keeper] = None
        self.log: List[str] = []

    def close(self) -> None:
        """Let everything go."""
        self.nft.close()
        self.kernel.close()
        self.loop.close()

    def begin(self) -> None:
        """A new host: nothing is loaded, nothing runs, no files are there."""
        self.keeper = None
        assert self.nft.run("flush ruleset") == ""
        shutil.rmtree(self.files, ignore_errors=True)
        self.log.clear()

    # -- netmgr

    def start(self, config: str, interfaces: Dict[str, List[str]]) -> None:
        """A daemon with this configuration, that finds these interfaces."""
        self.keeper = Keeper(self.loop, Ruleset(self.kernel), Manager(self.loop.now, lambda: "", self.loop.call_later),
                             configuration(config), IncludeFiles(str(self.files)), lambda: None, self._log, False)
        self.addresses(interfaces)
        self.react()

    def reload(self, config: str) -> None:
        """The daemon reads another configuration."""
        assert self.keeper is not None
        parsed: Config = configuration(config)
        self.keeper.switch(parsed, self.keeper.directory)
        self.react()

    def addresses(self, interfaces: Dict[str, List[str]]) -> None:
        """What the daemon hears of interfaces and their addresses."""
        if self.keeper is not None:
            links: List[Event] = [LinkSeen(index, name, True) for index, name in enumerate(interfaces, 1)]
            held: Dict[int, Dict[bytes, int]] = {}
            for index, addresses in enumerate(interfaces.values(), 1):
                for each in addresses:
                    event = seen(each, index=index)
                    held.setdefault(index, {})[identity(event.local, event.prefixlen, event.local)] = event.flags
            self.keeper.snapshot(Snapshot(links, held, True))

    def react(self) -> None:
        """The daemon, if it runs, sees what others have done, as soon as it may and thoroughly, and does what it has to."""
        for _ in range(3):
            if self.keeper is not None:
                self.loop.time += 5.0
                self.keeper.repairs.changed([None])
                self._settle(self.keeper)
                self.loop.time += 2.0
                self._settle(self.keeper)

    def glance(self) -> None:
        """The daemon sees what others have done while they are about to do more."""
        if self.keeper is not None:
            self.loop.time += 0.05
            self.keeper.repairs.changed([None])
            self._settle(self.keeper)

    def _settle(self, keeper: Keeper) -> None:
        """As when the loop has woken up.  It may open sockets."""
        self.loop.woken = self.loop.now()
        with self.lab.inside():
            keeper.settle()
            while keeper.repairs.busy or keeper.model.overview.look:        # one slice may not be enough
                keeper.settle()

    def stop(self) -> None:
        """A clean stop."""
        assert self.keeper is not None
        self.keeper.stop()
        self.keeper = None

    # -- what is there

    def contents(self, declared: Declared) -> Optional[Contents]:
        """What the set holds; None when there is no such set."""
        info = self.kernel.inspect(SetName("inet", "filter", declared.name))
        if info is None:
            return None
        found = self.kernel.read(info).contents
        return Contents(*([_span(each, info.key_length) for each in sorted(elements)] for elements in (found.ours, found.foreign)))

    def offered(self, declared: Declared) -> Spans:
        """What the set's include file says."""
        path = self.files / ("inet.filter.%s.nft" % declared.name)
        text = path.read_text() if path.exists() else ""
        items = text.partition("{")[2].rpartition("}")[0].split(", ")
        return [span_of(item.split()[0]) for item in items if item.strip()]

    def _counts_ends(self) -> bool:
        assert self.nft.run("table inet filter {\nset probe { type ipv4_addr; flags interval; size 2; }\n}\n") == ""
        refused = self.nft.run("add element inet filter probe { 192.0.2.1, 192.0.2.3 }") != ""
        assert self.nft.run("flush ruleset") == ""
        return refused

    def _log(self, level: str, line: str) -> None:
        self.log.append("%s: %s" % (level, line))


def _span(element: bytes, width: int) -> Span:
    first, last = element[:width], element[width:] or element
    return int.from_bytes(first, "big"), int.from_bytes(last, "big")


def claimed(declared: Declared, zones: Dict[str, List[str]], interfaces: Dict[str, List[str]]) -> Spans:
    """What a set of the naming convention should hold beside nobody."""
    zone, _, ending = declared.name.rpartition("_")
    inside = [name for name in interfaces if zone in zones.get(name, [])]
    if ending == "ifs":
        return [span_of('"%s"' % name) for name in inside]
    addresses = [ipaddress.ip_interface(each) for name in inside for each in interfaces[name]]
    if ending == "nets":
        return joined((int(each.network[0]), int(each.network[-1])) for each in addresses)
    return [(int(each.ip), int(each.ip)) for each in sorted(set(addresses))]


def elements(spans: Iterable[Span]) -> Iterator[str]:
    """For people."""
    for first, last in spans:
        yield "%s-%s" % tuple(_key(each) for each in (first, last))


def _key(number: int) -> str:
    return str(ipaddress.ip_address(number)) if number < 1 << 32 else repr(number.to_bytes(16, "big"))

