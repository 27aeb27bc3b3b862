"""What the tests of nf_tables at the real kernel share."""

from netmgr.io.nft import Nft
from netmgr.values.outcomes import Outcome, Reading
from netmgr.values.sets import IFNAME, IPV4_ADDR, ChangeElements, Contents, Form, SetName
from tests.kernel.lab import Lab
from tests.nftables import PLAIN

DONE = Outcome(True, True, ())
TIMEOUT = Form(IPV4_ADDR, timeout=True)
NAMES = Form(IFNAME)
NOTHING: "frozenset[bytes]" = frozenset()


def named(name: str) -> SetName:
    """A set of the one table that make() makes."""
    return SetName("inet", "t", name)


def make(lab: Lab, **sets: str) -> None:
    """Name -> what nft writes between the braces of a set."""
    lab.nft("table inet t { %s }" % "".join("\nset %s { %s }\n" % item for item in sets.items()))


def add(name: str, *elements: bytes, form: Form = PLAIN) -> ChangeElements:
    """Elements that come."""
    return ChangeElements(named(name), form, (), elements)


def delete(name: str, *elements: bytes, form: Form = PLAIN) -> ChangeElements:
    """Elements that leave."""
    return ChangeElements(named(name), form, elements, ())


def read(nft: Nft, name: str) -> Reading:
    """What the set holds, which must be there."""
    info = nft.inspect(named(name))
    assert info is not None
    return nft.read(info)


def ours(*elements: bytes) -> Reading:
    """A set that holds these, all with our comment, and nothing else."""
    return Reading(Contents(frozenset(elements), NOTHING, NOTHING), True)
