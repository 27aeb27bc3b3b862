"""Real systems for these tests: Debian 12 with systemd 252 and Debian 13 with systemd 257, and netmgr's package built on each."""

from pathlib import Path
from typing import Iterator, NamedTuple

import pytest

from tests.system import roots
from tests.system.host import Host
from tests.system.machine import Machine


class Build(NamedTuple):
    """A package, and what lintian says of it, by Debian's rules and by Ubuntu's."""

    package: Path
    complaints: str


@pytest.fixture(scope="session")
def bootable() -> None:
    """Roots can be made and booted here; else the test is skipped, with the reason."""
    reason = roots.why_not()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="session", params=["bookworm", "trixie"])
def release(request: pytest.FixtureRequest, bootable: None) -> str:
    """The Debian release."""
    return str(request.param)


@pytest.fixture(scope="session")
def build(release: str, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """netmgr's package of this source tree, built on that release with Debian's tools; its unit tests have a run of their own."""
    with Machine(roots.root(release + "-build"), boot=False) as machine:
        machine.run("DEB_BUILD_OPTIONS=nocheck /source/pkg-files/build-deb /root/deb", seconds=600)
        package = machine.run("ls /root/deb/netmgr_*.deb")
        complaints = machine.attempt("cd /root/deb; lintian --allow-root --pedantic --info *.changes;"
                                     " lintian --allow-root --pedantic --info --profile ubuntu *.deb")[1]
        return Build(machine.get(package, tmp_path_factory.mktemp(release)), complaints)


@pytest.fixture
def fresh(release: str) -> Iterator[Machine]:
    """A booted system of that release, as it comes out of the installer."""
    with Machine(roots.root(release)) as machine:
        yield machine


@pytest.fixture(scope="session")
def installed(release: str, build: Build) -> Iterator[Machine]:
    """A booted system with the package, shared by tests that bring it back into the state in which they found it."""
    with Machine(roots.root(release)) as machine:
        machine.run(["dpkg", "--install", machine.put(build.package)])
        yield machine


@pytest.fixture
def host(installed: Machine, tmp_path: Path) -> Iterator[Host]:
    """The system with the package, one network card (eth0, 192.0.2.1/24), a ruleset, and netmgr running on it."""
    host = Host(installed, tmp_path)
    host.begin()
    yield host
    print(host.journal())
    host.end()
