"""Engines for tests: of each kind this machine's and Debian 13's, one for a whole module, cleared before each test."""

from pathlib import Path
from typing import Iterator, Optional

import pytest

from tests.docker.engine import DockerEngine, PodmanService, why_no_docker, why_no_podman
from tests.system import roots

HERE, TRIXIE = "here", "trixie"


def root_of(where: str) -> Optional[Path]:
    """The root directory with the engines of that Debian; None for this machine's.  Skips the test where it cannot be made."""
    reason = roots.why_not() if where == TRIXIE else None
    if reason is not None:
        pytest.skip(reason)
    return roots.root("engines") if where == TRIXIE else None


@pytest.fixture(scope="module", params=[HERE, TRIXIE])
def docker_for_module(request: pytest.FixtureRequest) -> Iterator[DockerEngine]:
    reason = why_no_docker()
    if reason is not None:
        pytest.skip(reason)
    engine = DockerEngine(root=root_of(request.param))
    try:
        engine.start()
        yield engine
    finally:
        engine.close()


@pytest.fixture
def docker_engine(docker_for_module: DockerEngine) -> Iterator[DockerEngine]:
    """A running engine without containers, shared with the module's other tests."""
    docker_for_module.clear()
    yield docker_for_module
    print(docker_for_module.log()[-3000:])


@pytest.fixture(params=[HERE, TRIXIE])
def live_restore_engine(request: pytest.FixtureRequest) -> Iterator[DockerEngine]:
    """A running engine of the test's own, whose containers outlive it."""
    reason = why_no_docker()
    if reason is not None:
        pytest.skip(reason)
    engine = DockerEngine(live_restore=True, root=root_of(request.param))
    try:
        engine.start()
        yield engine
        print(engine.log()[-3000:])
    finally:
        engine.close()


def podman_why_not() -> None:
    """Skips the test where no Podman can run."""
    reason = why_no_podman()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture(scope="module", params=[HERE, TRIXIE])
def podman_for_module(request: pytest.FixtureRequest) -> Iterator[PodmanService]:
    podman_why_not()
    service = PodmanService(root_of(request.param))
    try:
        service.start()
        yield service
    finally:
        service.close()


@pytest.fixture
def podman_service(podman_for_module: PodmanService) -> Iterator[PodmanService]:
    """A running service without containers, shared with the module's other tests."""
    podman_for_module.clear()
    yield podman_for_module
    print(podman_for_module.log()[-3000:])
