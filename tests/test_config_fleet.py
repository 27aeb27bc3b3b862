"""The section `fleet`: what it means, and what is wrong with it in which words."""

from typing import Any

import pytest

from netmgr.config.fleet import Consumed, Endpoint, Fleet, Published, Tls, endpoint
from netmgr.config.reader import parse
from netmgr.values.addresses import LINK_LOCAL, PRIVATE
from netmgr.values.choice import Own
from netmgr.values.errors import ConfigError

WHOLE = """
fleet:
  endpoints: ["https://10.0.0.1:2379", "https://[2001:db8::1]", unix:/run/etcd.sock]
  name: edge-17
  prefix: /netmgr/2/
  tls: {ca: /etc/ca.pem, certificate: /etc/own.pem, key: /etc/own.key, server_name: etcd}
  user: edge
  password_file: /etc/password
  ttl: 10
  publish: {wan: {exclude: [private, link_local]}, web: }
  consume:
    peer_wan: {from: wan, hosts: "edge-*", self: true, accept: [203.0.113.0/24, "2001:db8::/32"], max_addresses: 8, max_hosts: 100}
    web_backends: {from: web, accept: any}
  stale: 3600
  linger: 60
"""


def fleet(text: str) -> Fleet:
    found = parse(text, "c.yaml").fleet
    assert found is not None
    return found._replace(publish=tuple(each._replace(entry=None) for each in found.publish),
                          consume=tuple(each._replace(entry=None) for each in found.consume))


def test_all_of_it() -> None:
    assert fleet(WHOLE) == Fleet(
        (Endpoint("https", "10.0.0.1", 2379), Endpoint("https", "2001:db8::1", 2379), Endpoint("unix", "/run/etcd.sock", 0)),
        "edge-17", "/netmgr/2/", Tls("/etc/ca.pem", "/etc/own.pem", "/etc/own.key", "etcd"), "edge", "/etc/password", 10,
        (Published("wan", Own((PRIVATE | LINK_LOCAL, ()))), Published("web")),
        (Consumed("peer_wan", "wan", ("edge-*",), True, ((b"\xcb\x00\x71\x00", 24), (b"\x20\x01\x0d\xb8" + bytes(12), 32)), 8, 100),
         Consumed("web_backends", "web", accept=None)), 3600.0, 60.0)
    zones = parse(WHOLE, "c.yaml").zones
    assert set(zones) == {"wan", "web", "peer_wan", "web_backends"}


def test_what_is_left_out() -> None:
    assert parse("", "c.yaml").fleet is None
    found = fleet("fleet: {endpoints: 'http://127.0.0.1:2379', publish: [wan]}")
    assert found == Fleet((Endpoint("http", "127.0.0.1", 2379),), publish=(Published("wan"),))


@pytest.mark.parametrize(("text", "said"), [
    ("fleet: {}", "c.yaml:1: fleet.endpoints: expected an endpoint"),
    ("fleet: {endpoints: 'https://etcd.example:2379'}", "with a literal address"),
    ("fleet: {endpoints: 'http://10.0.0.1:0'}", "ports are 1 to 65535"),
    ("fleet: {endpoints: 'http://10.0.0.300'}", "got \"http://10.0.0.300\""),
    ("fleet: {endpoints: 'unix:etcd.sock'}", "fleet.endpoints"),
    ("fleet: {endpoints: 'http://10.0.0.1', name: 'a/b'}", "1 to 64 letters, digits"),
    ("fleet: {endpoints: 'http://10.0.0.1', ttl: 4}", "expected whole seconds from 5 to 3600, got 4"),
    ("fleet: {endpoints: 'http://10.0.0.1', ttl: 5.5}", "expected whole seconds from 5 to 3600, got 5.5"),
    ("fleet: {endpoints: 'http://10.0.0.1', publish: wan, consume: {wan: {from: lan, accept: any}}}", "that would be a loop"),
    ("fleet: {endpoints: 'http://10.0.0.1', consume: {peers: {from: wan}}}", "fleet.consume.peers.accept: expected a network"),
    ("fleet: {endpoints: 'http://10.0.0.1', consume: {peers: {from: wan, accept: 10.0.0.1/8}}}", "bits behind the prefix length"),
    ("fleet: {endpoints: 'http://10.0.0.1', user: a, password_file: /p}", "expected https for all endpoints"),
    ("fleet: {endpoints: 'https://10.0.0.1', user: a}", "expected a password_file beside it"),
    ("fleet: {endpoints: 'https://10.0.0.1', tls: {key: /k}}", "expected key and certificate together"),
    ("fleet: {endpoints: 'https://10.0.0.1', stale: never}", "expected keep, or whole seconds"),
    ("fleet: {endpoints: 'https://10.0.0.1', prefix: netmgr}", "it begins and ends with /"),
    ("fleet: {endpoint: 'https://10.0.0.1'}", "did you mean \"endpoints\""),
])
def test_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "c.yaml")
    assert any(said in str(each) for each in caught.value.errors), caught.value.errors


def test_a_password_may_go_over_plain_http_on_this_machine() -> None:
    text = "fleet: {endpoints: ['http://127.0.0.1:2379', 'http://[::1]:2379', 'unix:/e'], user: a, password_file: /p}"
    assert fleet(text).password_file == "/p"


@pytest.mark.parametrize("text", ["http://10.0.0.1:2379", "https://[2001:db8::1]:2379", "unix:/run/etcd.sock"])
def test_endpoints_are_shown_as_they_are_written(text: Any) -> None:
    assert str(endpoint(text)) == text
