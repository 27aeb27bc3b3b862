"""Somebody else's transactions at full speed, as a process: python -m tests.kernel.commits FAMILY TABLE SET, a set of IPv4 addresses."""

import sys

from netmgr.io.nft import Nft
from netmgr.values.sets import ChangeElements, SetName, form_of


def commit(name: SetName) -> None:
    """One element comes, goes, comes ... until somebody ends it."""
    nft, element = Nft(), (bytes((203, 0, 113, 99)),)
    info = nft.inspect(name)
    form = None if info is None else form_of(info)
    assert form is not None
    while True:
        nft.commit([ChangeElements(name, form, (), (), element)])
        nft.commit([ChangeElements(name, form, element, ())])


if __name__ == "__main__":
    commit(SetName(*sys.argv[1:]))
