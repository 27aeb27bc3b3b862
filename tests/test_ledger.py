"""Claims: counted as a Counter counts them, touched when one begins or ends."""

import random
from collections import Counter
from typing import Dict, Set

import pytest

from netmgr.model.ledger import Ledger
from netmgr.values.sets import SetName

ONE, OTHER = SetName("inet", "filter", "one"), SetName("inet", "filter", "other")


def taken(ledger: Ledger) -> Dict[SetName, Set[bytes]]:
    """What was touched since the last call."""
    touched, ledger.touched = ledger.touched, {}
    return touched


def test_an_element_is_wanted_until_its_last_claim_ends() -> None:
    ledger = Ledger()
    ledger.claim(ONE, [b"a"])
    ledger.claim(ONE, [b"a"])
    assert (set(ledger.wanted(ONE)), set(ledger.wanted(OTHER))) == ({b"a"}, set())
    assert (taken(ledger), taken(ledger)) == ({ONE: {b"a"}}, {})
    ledger.release(ONE, [b"a"])
    assert (set(ledger.wanted(ONE)), taken(ledger).get(ONE, set())) == ({b"a"}, set())
    ledger.release(ONE, [b"a"])
    assert (set(ledger.wanted(ONE)), taken(ledger).get(ONE, set())) == (set(), {b"a"})


def test_a_set_that_is_forgotten_is_as_if_it_had_never_been() -> None:
    ledger = Ledger()
    ledger.claim(ONE, [b"a"])
    for _ in range(2):
        ledger.forget(ONE)
        assert (set(ledger.wanted(ONE)), taken(ledger), ledger.counts(ONE)) == (set(), {}, {})


def test_several_elements_and_the_same_twice_in_one_claim() -> None:
    ledger = Ledger()
    ledger.claim(ONE, [b"a", b"b", b"a"])
    assert (ledger.counts(ONE), taken(ledger).get(ONE, set())) == ({b"a": 2, b"b": 1}, {b"a", b"b"})
    ledger.release(ONE, [b"b", b"a"])
    assert (ledger.counts(ONE), taken(ledger).get(ONE, set())) == ({b"a": 1}, {b"b"})


@pytest.mark.parametrize(("name", "element"), [(ONE, b"b"), (OTHER, b"a")])
def test_releasing_what_nobody_claims_is_a_bug(name: SetName, element: bytes) -> None:
    ledger = Ledger()
    ledger.claim(ONE, [b"a"])
    with pytest.raises(KeyError):
        ledger.release(name, [element])


def test_a_set_started_anew() -> None:
    ledger = Ledger()
    ledger.claim(ONE, [b"a"])
    ledger.replace(ONE, {b"b": 2})
    assert (ledger.counts(ONE), taken(ledger).get(ONE, set())) == ({b"b": 2}, set())
    ledger.release(ONE, [b"b"])
    assert ledger.wanted(ONE) == {b"b"}


def test_random_claims_against_a_counter() -> None:
    source, ledger = random.Random(4), Ledger()
    counter: Counter[bytes] = Counter()
    crossed: Set[bytes] = set()
    for _ in range(5000):
        element = bytes((source.randrange(20),))
        if source.random() < 0.5 or not counter[element]:
            ledger.claim(ONE, [element])
            counter[element] += 1
            crossed |= {element} if counter[element] == 1 else set()
        else:
            ledger.release(ONE, [element])
            counter[element] -= 1
            crossed |= {element} if counter[element] == 0 else set()
        assert ledger.counts(ONE) == +counter
        if source.random() < 0.1:
            assert taken(ledger).get(ONE, set()) == crossed
            crossed.clear()


def test_what_is_lent_stays_as_it_was() -> None:
    source, ledger = random.Random(5), Ledger()
    lent = []
    for _ in range(2000):
        name, element = source.choice((ONE, OTHER)), bytes((source.randrange(6),))
        if source.random() < 0.1:
            lent.append((ledger.lend(name), set(ledger.wanted(name))))
        if element in ledger.wanted(name) and source.random() < 0.5:
            ledger.release(name, [element])
        else:
            ledger.claim(name, [element])
        if source.random() < 0.01:
            ledger.replace(name, {b"x": 1})
        elif source.random() < 0.01:
            ledger.forget(name)
        assert all(each == copy for each, copy in lent[-8:])
    assert all(each == copy for each, copy in lent)
