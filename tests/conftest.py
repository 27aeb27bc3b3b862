"""Fixtures for every test."""

from typing import Iterator

import pytest

from tests.kernel.lab import Lab, why_not


@pytest.fixture(scope="session")
def network_namespaces() -> None:
    """The test needs network namespaces; skipped, with the reason, where there are none."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture
def lab(network_namespaces: None) -> Iterator[Lab]:
    """A network namespace for this test alone, with the loopback interface up."""
    with Lab() as made:
        yield made
        for process in made.processes:
            print("---", process.args, made.log(process), sep="\n")
