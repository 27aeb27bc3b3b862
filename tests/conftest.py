"""Fixtures for every test.  What needs netmgr's compiled part is loaded by the tests that use it."""

from typing import TYPE_CHECKING, Iterator

import pytest

if TYPE_CHECKING:
    from tests.kernel.lab import Lab


@pytest.fixture(scope="session")
def network_namespaces() -> None:
    """The test needs network namespaces; skipped, with the reason, where there are none."""
    from tests.kernel.lab import why_not
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)


@pytest.fixture
def lab(network_namespaces: None) -> "Iterator[Lab]":
    """A network namespace for this test alone, with the loopback interface up."""
    from tests.kernel.lab import Lab
    with Lab() as made:
        yield made
        for process in made.processes:
            print("---", process.args, made.log(process), sep="\n")
