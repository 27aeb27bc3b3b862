"""A real etcd with TLS, client certificates, users and roles: who may do what, and what netmgr says when it may not."""

from typing import Iterator, List, Optional

import pytest

from tests.fleet.cluster import Cluster, Net, program
from tests.fleet.hosts import Host
from tests.fleet.trickle import Trickle
from tests.waiting import eventually

TLS = """  tls: {ca: %(ca)s, certificate: %(certificate)s, key: %(key)s}
"""


class Secure:
    """One member that wants certificates, and hosts."""

    def __init__(self) -> None:
        self.net = Net()
        self.cluster = Cluster(self.net, 1, ["--bcrypt-cost", "4"], secure=True)
        self.hosts: List[Host] = []

    def host(self, number: int, more: str = "", tls: bool = True, endpoints: Optional[List[str]] = None) -> Host:
        authority = self.cluster.authority
        assert authority is not None
        section = TLS % {"ca": authority.path("ca.pem"), "certificate": authority.path("client.pem"), "key": authority.path("client.key")}
        self.hosts.append(Host(self.net, self.cluster, number, 5, (section if tls else "") + more, endpoints=endpoints))
        return self.hosts[-1]

    def password(self, host: str, text: str) -> str:
        path = self.net.hub.directory / ("password-" + host)
        path.write_text(text + "\n")
        return "  user: %s\n  password_file: %s\n" % (host, path)

    def with_roles(self, *hosts: str) -> None:
        """As the manual shows it."""
        control = self.cluster.control
        control("user", "add", "root:secret")
        control("user", "grant-role", "root", "root", check=False)
        for host in hosts:
            control("role", "add", host)
            control("role", "grant-permission", host, "readwrite", "/netmgr/1/wan/%s" % host)
            control("role", "grant-permission", host, "read", "--prefix", "/netmgr/1/wan/")
            control("user", "add", "%s:secret-%s" % (host, host))
            control("user", "grant-role", host, host)
        control("auth", "enable")
        self.cluster.credentials += ["--user", "root:secret"]

    def close(self) -> None:
        for host in self.hosts:
            print("---", host.name, host.netmgr.log(), sep="\n")
            host.close()
        self.cluster.close()
        self.net.close()


@pytest.fixture
def secure(network_namespaces: None) -> Iterator[Secure]:
    if program() is None:
        pytest.skip("etcd is not installed (`.ci/setup fleet` brings it)")
    made = Secure()
    try:
        yield made
    finally:
        made.close()


def test_certificates_of_both_sides(secure: Secure) -> None:
    first, second = secure.host(1), secure.host(2)
    first.netmgr.holds("peer_wan_ips", second.address)
    second.netmgr.holds("peer_wan_ips", first.address)
    assert first.fleet()["state"] == "ok"
    stranger = secure.host(3, tls=False)
    eventually(lambda: "CERTIFICATE_VERIFY_FAILED" in str(stranger.fleet()["error"]))
    assert stranger.fleet()["state"] == "error" and stranger.netmgr.status()["state"] == "degraded"
    stranger.netmgr.holds("wan_ips", stranger.address)


def test_tls_that_comes_byte_by_byte(secure: Secure) -> None:
    way = Trickle(secure.cluster.members[0])
    try:
        first, second = secure.host(1, endpoints=[way.endpoint]), secure.host(2)
        first.netmgr.holds("peer_wan_ips", second.address)
        second.netmgr.holds("peer_wan_ips", first.address)
        second.lab.run("ip addr add 203.0.113.77/32 dev wan0")
        first.netmgr.holds("peer_wan_ips", second.address, "203.0.113.77")
        assert first.fleet()["state"] == "ok" and way.bytes > 5000
    finally:
        way.close()


def test_users_and_roles_as_the_manual_shows_them(secure: Secure) -> None:
    secure.with_roles("h1", "h2")
    first = secure.host(1, secure.password("h1", "secret-h1"))
    second = secure.host(2, secure.password("h2", "secret-h2"))
    first.netmgr.holds("peer_wan_ips", second.address)
    second.netmgr.holds("peer_wan_ips", first.address)
    member = secure.cluster.members[0]
    member.kill()
    member.start("existing")        # which forgets the tokens that it gave
    eventually(secure.cluster.serves)
    first.lab.run("ip addr add 203.0.113.77/32 dev wan0")
    second.netmgr.holds("peer_wan_ips", first.address, "203.0.113.77")


def test_a_wrong_password_is_told(secure: Secure) -> None:
    secure.with_roles("h1")
    host = secure.host(1, secure.password("h1", "wrong"))
    eventually(lambda: "authentication failed" in str(host.fleet()["error"]))
    assert host.fleet()["state"] == "error"
    host.netmgr.holds("wan_ips", host.address)


def test_a_zone_that_may_not_be_published_keeps_no_other_back(secure: Secure) -> None:
    secure.with_roles("h1", "h2")
    second = secure.host(2, secure.password("h2", "secret-h2"))
    first = secure.host(1, secure.password("h1", "secret-h1"))
    second.netmgr.holds("peer_wan_ips", first.address)
    first.netmgr.configure(first.netmgr.config.read_text().replace("publish: [wan]", "publish: [lan, wan]"))
    assert first.netmgr.ask("reload").startswith("OK")
    eventually(lambda: "zone lan cannot be published: etcdserver: permission denied" in str(first.fleet()["error"]))
    first.lab.run("ip addr add 203.0.113.77/32 dev wan0")
    second.netmgr.holds("peer_wan_ips", first.address, "203.0.113.77")


def test_what_may_not_be_read_is_told(secure: Secure) -> None:
    secure.with_roles("h1")
    host = secure.host(1, secure.password("h1", "secret-h1"))
    eventually(lambda: host.fleet()["state"] == "ok")
    host.netmgr.configure(host.netmgr.config.read_text().replace("from: wan", "from: secret"))
    answer = host.netmgr.ask("reload")
    assert answer.startswith("ERROR: reloaded") and "fleet (not permitted to read the zones that are consumed)" in answer
    assert "not permitted to read" in str(host.fleet()["error"])
    eventually(lambda: host.fleet()["published"] == [{"zone": "wan", "addresses": 1}])
