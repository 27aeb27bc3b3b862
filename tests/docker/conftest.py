"""Engines for tests: one of each kind for a whole module, cleared before each test."""

from typing import Iterator

import pytest

from tests.docker.engine import DockerEngine, PodmanService, why_no_docker, why_no_podman


@pytest.fixture(scope="module")
def docker_for_module() -> Iterator[DockerEngine]:
    reason = why_no_docker()
    if reason is not None:
        pytest.skip(reason)
    engine = DockerEngine()
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


@pytest.fixture
def live_restore_engine() -> Iterator[DockerEngine]:
    """A running engine of the test's own, whose containers outlive it."""
    reason = why_no_docker()
    if reason is not None:
        pytest.skip(reason)
    engine = DockerEngine(live_restore=True)
    try:
        engine.start()
        yield engine
        print(engine.log()[-3000:])
    finally:
        engine.close()


@pytest.fixture(scope="module")
def podman_for_module() -> Iterator[PodmanService]:
    reason = why_no_podman()
    if reason is not None:
        pytest.skip(reason)
    service = PodmanService()
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
