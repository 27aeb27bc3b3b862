"""Fixtures for the tests at the real kernel."""

from typing import Iterator

import pytest

from netmgr.io.nft import Nft
from tests.kernel.lab import Lab


@pytest.fixture
def nft(lab: Lab) -> Iterator[Nft]:
    """nf_tables of the lab."""
    with lab.inside():
        made = Nft()
    yield made
    made.close()
