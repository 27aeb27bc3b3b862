"""The fleet through a real etcd of three members: from etcd's put to the transaction elsewhere, many hosts, many deaths, what etcd pays.

Members and hosts are in network namespaces on this machine, so etcd, netmgr and whoever is simulated share its processors. One program
speaks for all simulated hosts. The bare watch is `etcdctl watch`, from its put to the line that it prints, in turns with netmgr, from the
put to the transaction as a subscriber of nf_tables sees it; both watch the same member, and the put goes to another. The longest turn is
processor time of one turn of netmgr's loop, while records come as a list, go with one lease, and come as events. A dead host is one whose
lease is renewed no more; counted is from the last renewal, in the order of renewals, until the address has left the set.  An address of
the consumer itself changes while nothing comes, and while all those hosts come and go without a pause: counted is from the line that `ip
-batch` is given until the address is seen in its set.
"""

import contextlib
import os
import select
import selectors
import socket
import statistics
import subprocess
import threading
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Tuple, Union

from benchmarks.common import HERE, NETMGR, PYTHON, Section, Verdict, main, milliseconds, quantile
from benchmarks.fleet_load import PREFIX, ZONE, Load, crowd
from benchmarks.space import PATIENCE, Netmgr
from netmgr.io.nft import Nft, Watch
from netmgr.values.sets import SetName
from netmgr.wire import etcd
from tests.fleet.cluster import CLIENTS, Cluster, Net, program
from tests.kernel.lab import Lab

SET, OWN_SET = SetName("inet", "filter", "peer_wan_ips"), SetName("inet", "filter", "wan_ips")
PUTS, ROUNDS, MANY, DEAD, WATCHERS, TTL = 100, 4, 10_000, 1_000, 100, 10
HOSTS, CHANGES, QUICK_CHANGES = 1_000, 200, 100
QUICK_PUTS, QUICK_ROUNDS, QUICK_MANY, QUICK_DEAD, QUICK_WATCHERS = 50, 1, 1_000, 100, 20
LONG = 3600
AIM_RATIO, AIM_LATENCY, AIM_DEATH, AIM_TURN, AIM_RECORD = 2.0, 20.0, 1.0, 10.0, 3.0
CONFIGURATION = """\
interfaces: [{name: probe0, nftables_zone: wan}]
nftables: {include_dir: %(directory)s/include}
docker: {enabled: false}
socket_path: %(directory)s/socket
fleet:
  endpoints: ["%(endpoint)s"]
  name: consumer
  ttl: 30
  consume: {peer_wan: {from: wan, accept: [10.0.0.0/8]}}
"""


def run(quick: bool) -> Section:
    """One cluster, one consumer after the other."""
    puts, rounds = (QUICK_PUTS, QUICK_ROUNDS) if quick else (PUTS, ROUNDS)
    many, dead, watchers = (QUICK_MANY, QUICK_DEAD, QUICK_WATCHERS) if quick else (MANY, DEAD, WATCHERS)
    with _cluster() as world:
        latency = world.latency(puts, rounds)
        empty = world.taken_in(0)
        some, lot = world.taken_in(1000), world.taken_in(many)
        turns = world.longest_turns(many)
        deaths = {count: world.deaths(count) for count in (1, dead)}
        costs = {count: world.cost(count, puts) for count in (0, watchers)}
        own = {count: world.own_changes(QUICK_CHANGES if quick else CHANGES, count) for count in (0, HOSTS)}
    bare, ours = (statistics.median(latency[name]) for name in ("etcdctl watch", "netmgr"))
    record = (lot[1] - empty[1]) / many
    delivered = (costs[watchers] - costs[0]) / watchers
    rows = [["from the put, %s" % name, milliseconds(quantile(found, 0.5)), milliseconds(quantile(found, 0.99))]
            for name, found in latency.items()]
    rows += [["{:,} records taken in, from the program's start".format(count), "%.2f s" % found[0], ""]
             for count, found in ((1000, some), (many, lot))]
    rows += [["memory for each of {:,} records".format(many), "%d B" % record, ""]]
    rows += [["the longest turn while {:,} records {}".format(many, what), milliseconds(found[0]), milliseconds(found[1])]
             for what, found in turns.items()]
    rows += [["{:,} dead: gone after the lease's end, the last".format(count), "%.2f s" % found, ""] for count, found in deaths.items()]
    rows += [["etcd's processors for a change, {:,} watch".format(count), milliseconds(found), ""] for count, found in costs.items()]
    rows += [["of that for each that watches", "%d us" % (1e6 * delivered), ""]]
    rows += [["an address of the consumer, while {:,} hosts come and go".format(count), milliseconds(quantile(found, 0.5)),
              milliseconds(quantile(found, 0.99))] for count, found in own.items()]
    header = ["what", "p50, or what is said", "p99; of turns: the next longest"]
    return Section("The fleet", " ".join((__doc__ or "").split()), header, rows, [
        Verdict("from etcd's put to the transaction elsewhere, p50, against `etcdctl watch`", ours / bare, " x", AIM_RATIO),
        Verdict("from etcd's put to the transaction elsewhere, p50", 1e3 * ours, " ms", AIM_LATENCY),
        Verdict("{:,} dead hosts gone after the lease's end".format(dead), deaths[dead], " s", AIM_DEATH),
        Verdict("the longest turn of the loop with {:,} records".format(many),
                1e3 * max(each[0] for each in turns.values()), " ms", AIM_TURN),
        Verdict("memory for each record", record / 1000, " kB", AIM_RECORD)])


class World:
    """Three members, and what is tried with them."""

    def __init__(self) -> None:
        self.net = Net()
        self._hosts = 0
        try:
            self.cluster = Cluster(self.net)
            self.load = Load(self.net.hub, self.cluster.members[1].address)
        except BaseException:
            self.net.close()
            raise

    def close(self) -> None:
        self.load.close()
        self.cluster.close()
        self.net.close()

    def latency(self, puts: int, rounds: int) -> Dict[str, List[float]]:
        """Seconds from each put until it is seen, in turns."""
        found: Dict[str, List[float]] = {"etcdctl watch": [], "netmgr": []}
        lease = self.load.grant(LONG)
        with self.consumer() as (host, _netmgr):
            for _round in range(rounds):
                found["etcdctl watch"] += self._bare(lease, puts)
                with host.inside():
                    watch = Watch()
                found["netmgr"] += [self._put(lease, number, watch, watch.drain) for number in range(puts)]
                watch.close()
        self.load.revoke(lease)
        return found

    def taken_in(self, count: int) -> Tuple[float, int]:
        """Seconds from the start until so many records are in the set; resident bytes then."""
        lease = self.load.grant(LONG)
        self.load.publish(crowd(count), lease)
        start = time.perf_counter()
        with self.consumer() as (host, netmgr):
            _wait(host, count)
            seconds = time.perf_counter() - start
            time.sleep(2)
            resident = netmgr.memory()["resident"]
            self.load.revoke(lease)
            _wait(host, 0)
        return seconds, resident

    def longest_turns(self, count: int) -> Dict[str, Tuple[float, float]]:
        """The two longest turns, in seconds of processor, while so many come, go and come again."""
        found: Dict[str, Tuple[float, float]] = {}
        lease = self.load.grant(LONG)
        self.load.publish(crowd(count), lease)
        report = self.net.hub.directory / "turns"
        with self.consumer(PYTHON, str(HERE / "peers" / "turning_netmgr.py"), str(report)) as (host, netmgr):
            _wait(host, count)
            found["come as a list"] = _longest(netmgr, report)
            self.load.revoke(lease)
            _wait(host, 0)
            found["go"] = _longest(netmgr, report)
            lease = self.load.grant(LONG)
            self.load.publish(crowd(count), lease)
            _wait(host, count)
            found["come as events"] = _longest(netmgr, report)
            self.load.revoke(lease)
            _wait(host, 0)
        return found

    def deaths(self, count: int) -> float:
        """Seconds after the end of its lease until the last of so many dead hosts has left the set."""
        leases = [self.load.grant(TTL) for _ in range(count)]
        for lease, (name, texts) in zip(leases, crowd(count).items()):
            self.load.publish({name: texts}, lease)
        with self.consumer() as (host, _netmgr):
            _wait(host, count)
            renewed = []
            for lease in leases:
                self.load.keep_alive(lease)
                renewed.append(time.monotonic())
            gone: List[float] = []
            while len(gone) < count:
                now = time.monotonic()
                gone += [now] * (count - len(gone) - _size(host))
                time.sleep(0.01)
        return max(end - begin for begin, end in zip(renewed, gone)) - TTL

    def cost(self, watchers: int, puts: int) -> float:
        """Seconds of all members' processors for each put."""
        lease = self.load.grant(LONG)
        with _watchers(self.net.hub, self.cluster.members[0].address, watchers) as drain:
            before = self._processor()
            for number in range(puts):
                self.load.publish({"host-00000": ["10.1.0.%d" % (number & 255)]}, lease)
                drain()
            time.sleep(0.5)
            drain()
            used = self._processor() - before
        self.load.revoke(lease)
        return used / puts

    def own_changes(self, changes: int, hosts: int) -> List[float]:
        """Seconds from each change of the consumer's own address to its set, while so many hosts come and go."""
        found = []
        with self.consumer() as (host, _netmgr), self._coming_and_going(hosts), host.inside():
            nft, ip = Nft(), subprocess.Popen(["ip", "-batch", "-"], stdin=subprocess.PIPE)
            assert ip.stdin is not None
            for number in range(changes):
                time.sleep(0.005)
                start = time.perf_counter()
                ip.stdin.write(b"addr %s 192.0.2.1/32 dev probe0\n" % (b"del" if number % 2 else b"add"))
                ip.stdin.flush()
                while _held(nft, OWN_SET) != 1 - number % 2:
                    if time.perf_counter() - start > PATIENCE:
                        raise RuntimeError("an address does not get into its set")
                found.append(time.perf_counter() - start)
            ip.communicate()
            nft.close()
        return found

    @contextlib.contextmanager
    def _coming_and_going(self, hosts: int) -> Iterator[None]:
        """So many hosts publish, and go, without a pause."""
        over = threading.Event()

        def load() -> None:
            while hosts and not over.is_set():
                lease = self.load.grant(LONG)
                self.load.publish(crowd(hosts), lease)
                self.load.revoke(lease)

        thread = threading.Thread(target=load)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    @contextlib.contextmanager
    def consumer(self, *program_of: str) -> "Iterator[Tuple[Lab, Netmgr]]":
        """A host that consumes, with an empty set."""
        self._hosts += 1
        with Lab() as host:
            self.net.join(host, "10.99.0.%d/24" % (100 + self._hosts))
            host.link("probe0")
            host.nft("table inet filter { set peer_wan_ips { type ipv4_addr; }; set wan_ips { type ipv4_addr; }; }")
            text = CONFIGURATION % {"directory": host.directory, "endpoint": self.cluster.members[0].endpoint}
            (host.directory / "config.yaml").write_text(text)
            with Netmgr(host, program_of or (NETMGR,)) as netmgr:
                while netmgr.status()["sources"]["fleet"]["state"] != "ok":
                    time.sleep(0.01)
                yield host, netmgr

    def _bare(self, lease: int, puts: int) -> List[float]:
        etcdctl = program("etcdctl")
        assert etcdctl is not None
        command = ["env", "ETCDCTL_API=3", etcdctl, "--endpoints", self.cluster.members[0].endpoint, "watch", "--prefix", PREFIX + ZONE]
        with self.net.hub.inside():
            watch = subprocess.Popen(command, stdout=subprocess.PIPE)
        try:
            assert watch.stdout is not None
            pipe = watch.stdout.fileno()
            time.sleep(1)
            return [self._put(lease, number, pipe, lambda: os.read(pipe, 1 << 16)) for number in range(puts)]
        finally:
            watch.kill()
            watch.communicate()

    def _put(self, lease: int, number: int, seen: "Union[int, Watch]", take: Callable[[], object]) -> float:
        """Until it is seen; then whatever else comes of it is taken, too."""
        start = time.perf_counter()
        self.load.begin({"host-00000": ["10.1.0.%d" % (number & 255)]}, lease)
        if not select.select([seen], [], [], PATIENCE)[0]:
            raise RuntimeError("a put is not seen")
        seconds = time.perf_counter() - start
        self.load.end()
        time.sleep(0.01)
        while select.select([seen], [], [], 0)[0]:
            take()
        return seconds

    def _processor(self) -> float:
        return sum(_processor_of(member.process.pid) for member in self.cluster.members if member.process is not None)


@contextlib.contextmanager
def _cluster() -> Iterator[World]:
    world = World()
    try:
        yield world
    finally:
        world.close()


@contextlib.contextmanager
def _watchers(hub: Lab, member: str, count: int) -> Iterator[Callable[[], None]]:
    """So many watches on the zone; what comes is thrown away."""
    selector = selectors.DefaultSelector()
    prefix = ("%s%s/" % (PREFIX, ZONE)).encode()
    request = etcd.watch_request(member, [(0, prefix, prefix[:-1] + b"0", 0)])
    with contextlib.ExitStack() as stack, hub.inside():
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection((member, CLIENTS)))
            connection.sendall(request)
            connection.recv(1 << 16)
            selector.register(connection, selectors.EVENT_READ)

        def drain() -> None:
            for key, _events in selector.select(0) if count else ():
                os.read(key.fd, 1 << 16)

        yield drain


def _processor_of(pid: int) -> float:
    fields = Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _size(host: Lab) -> int:
    with host.inside():
        nft = Nft()
    try:
        return _held(nft, SET)
    finally:
        nft.close()


def _held(nft: Nft, name: SetName) -> int:
    info = nft.inspect(name)
    assert info is not None
    return len(nft.read(info).contents.ours)


def _wait(host: Lab, count: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while _size(host) != count:
        if time.monotonic() > deadline:
            raise RuntimeError("the set does not get %d elements" % count)
        time.sleep(0.02)


def _longest(netmgr: Netmgr, report: Path) -> Tuple[float, float]:
    """What it has measured since it was asked last."""
    time.sleep(2)
    return netmgr.longest_turns(report)


if __name__ == "__main__":
    main(run)
