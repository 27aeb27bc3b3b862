"""A real Podman under a real systemd, asked by the service as packaged: not at all, and as soon as the administrator says so."""

from pathlib import Path
from typing import Iterator

import pytest

from tests.system import roots
from tests.system.conftest import Build
from tests.system.host import Host
from tests.system.machine import Machine
from tests.waiting import eventually

SOCKET = "/run/podman/podman.sock"
CONFIG = "docker: {socket: %s}\n" % SOCKET
STORAGE = '[storage]\ndriver = "vfs"\nrunroot = "/run/containers/storage"\ngraphroot = "/var/lib/containers/storage"\n'


@pytest.fixture
def host(release: str, build: Build, tmp_path: Path) -> Iterator[Host]:
    with Machine(roots.root(release + "-podman")) as machine:
        machine.run(["dpkg", "--install", machine.put(build.package)])
        machine.write("/etc/containers/storage.conf", STORAGE)
        host = Host(machine, tmp_path)
        host.begin()
        yield host
        print(host.journal())
        host.end()


def test_podman_may_be_asked_where_the_administrator_says_so(host: Host) -> None:
    host.run("systemctl start podman.socket")
    host.configure(CONFIG)
    host.run("systemctl restart netmgr")
    status = host.status()
    assert (status["state"], status["sources"]["docker"]["state"]) == ("ready", "disabled")
    assert "may not use %s (Permission denied)" % SOCKET in status["sources"]["docker"]["error"]
    place = "/etc/systemd/system/podman.socket.d"
    host.run("mkdir -p %s && cp /usr/share/doc/netmgr/examples/podman.conf %s && systemctl daemon-reload" % (place, place))
    host.run("systemctl stop podman.service podman.socket; systemctl start podman.socket && systemctl restart netmgr")
    eventually(lambda: host.status()["sources"]["docker"]["state"] == "ok", "netmgr has asked Podman")
    assert host.run("runuser -u nobody -- test -w %s || echo no" % SOCKET) == "no"
