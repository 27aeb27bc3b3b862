"""The fake kernel that the unit tests use, held against the real one: the same random transactions, the same outcomes and contents."""

import errno
import random
from typing import Dict, Iterable, List, Sequence, Tuple

import pytest

from netmgr.io.nft import Nft
from netmgr.values.outcomes import Outcome
from netmgr.values.sets import IFNAME, IPV4_ADDR, IPV6_ADDR, NFT_SET_INTERVAL, Change, ChangeElements, CreateSet, CreateTable, Form, SetName
from tests.fakekernel import FakeKernel
from tests.kernel.lab import Lab
from tests.kernel.nftables import delete, named
from tests.nftables import PLAIN, RANGES, ip, span

FORMS = {"plain": PLAIN, "small": PLAIN, "ranges": RANGES, "absent": PLAIN}


def both(lab: Lab, nft: Nft) -> FakeKernel:
    """The same sets in the lab and in the fake, with foreign elements; the fake knows what this kernel knows."""
    lab.nft("""
        table inet t {
            set plain { type ipv4_addr; elements = { 10.0.0.1 } }
            set small { type ipv4_addr; size 4; elements = { 10.0.0.2 } }
            set ranges { type ipv4_addr; flags interval; elements = { 10.0.0.8-10.0.0.11 } }
        }""")
    fake = FakeKernel()
    fake.make(named("plain"), IPV4_ADDR, foreign=[ip(1)])
    fake.make(named("small"), IPV4_ADDR, size=4, foreign=[ip(2)])
    fake.make(named("ranges"), IPV4_ADDR, NFT_SET_INTERVAL, foreign=[span(8, 11)])
    found = nft.inspect(named("plain"))
    fake.counts_elements = found is not None and found.elements is not None
    fake.destroys = nft.commit([delete("plain", ip(0))]).committed
    fake.compares_sets = not nft.commit([CreateSet(named("plain"), Form(IPV6_ADDR))]).committed
    return fake


def random_elements(source: random.Random, form: Form) -> List[bytes]:
    """Ranges of one change do not overlap: netmgr sends no such ones."""
    if not form.interval:
        return source.sample([ip(number) for number in range(8)], source.randrange(6))
    edges = sorted(source.sample(range(16), 2 * source.randrange(4)))
    return [span(first, last) for first, last in zip(edges[::2], edges[1::2])]


def random_changes(source: random.Random) -> List[Change]:
    names = source.sample(sorted(FORMS), source.randrange(1, 3)) if source.random() < 0.9 else ["absent"]
    return [ChangeElements(named(name), FORMS[name], random_elements(source, FORMS[name]), random_elements(source, FORMS[name]))
            for name in names]


def told(outcome: Outcome, precise: bool) -> Tuple[bool, Dict[object, object]]:
    """What netmgr goes by: of each set the first fault; for what follows, the kernel has half done what it then refused."""
    first: Dict[object, object] = {}
    for fault in outcome.faults:
        position = fault.position if precise or fault.operation == "add" else None
        first.setdefault(fault.set, (fault.errno, fault.operation, position or 0, fault.gone))
    return outcome.committed, first


def contents(kernel: "Nft | FakeKernel", names: Iterable[SetName]) -> List[object]:
    found = [(name, kernel.inspect(name)) for name in names]
    return [None if info is None else (name, info.type, info.size, info.elements, bool(info.flags & NFT_SET_INTERVAL), kernel.read(info))
            for name, info in found]


def commit_to_both(nft: Nft, fake: FakeKernel, changes: Sequence[Change]) -> Outcome:
    assert nft.commit(changes, nft.generation() - 1).overtaken == fake.commit(changes, fake.generation() - 1).overtaken
    real, pretended = (kernel.commit(changes, kernel.generation()) for kernel in (nft, fake))
    precise = fake.destroys         # older kernels do not always say which element it is
    assert told(real, precise) == told(pretended, precise), changes
    return real


@pytest.mark.parametrize("seed", range(4))
def test_random_transactions(lab: Lab, nft: Nft, seed: int) -> None:
    source, fake = random.Random(seed), both(lab, nft)
    outcomes = []
    for _ in range(80):
        outcomes.append(commit_to_both(nft, fake, random_changes(source)).committed)
        assert contents(nft, map(named, FORMS)) == contents(fake, map(named, FORMS))
    assert set(outcomes) == {True, False}


def test_creations(lab: Lab, nft: Nft) -> None:
    fake = both(lab, nft)
    mismatch = [errno.EEXIST] if fake.compares_sets else []
    new, table, six = SetName("inet", "u", "wan_ips"), CreateTable("inet", "u"), SetName("inet", "u", "six")
    transactions: List[Tuple[Sequence[Change], List[int]]] = [
        ([CreateSet(new, Form(IPV4_ADDR))], [errno.ENOENT]),
        ([table, CreateSet(new, Form(IPV4_ADDR)), ChangeElements(new, PLAIN, [], [ip(1)])], []),
        ([table, table, CreateSet(new, Form(IPV4_ADDR))], []),
        ([table, CreateSet(new, Form(IPV6_ADDR))], mismatch),
        ([CreateSet(named("ranges"), Form(IPV4_ADDR))], mismatch),
        ([CreateSet(named("small"), Form(IPV4_ADDR))], []),
        ([table, CreateSet(six, Form(IPV6_ADDR)), ChangeElements(named("absent"), PLAIN, [], [ip(1)])], [errno.ENOENT]),
        ([ChangeElements(new, Form(IFNAME), [], [b"eth0".ljust(16, b"\0")])], [errno.EINVAL]),
    ]
    for changes, numbers in transactions:
        assert [fault.errno for fault in commit_to_both(nft, fake, changes).faults] == numbers
        names = [*map(named, FORMS), new, six]
        assert contents(nft, names) == contents(fake, names)
