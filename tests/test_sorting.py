"""Keys in their order, in pieces: the same as all of them sorted at once."""

import random
from typing import Callable, List

import pytest

from netmgr.values import sorting


def keys(number: int) -> List[bytes]:
    return [each.to_bytes(4, "big") for each in range(0x0a000000, 0x0a000000 + number)]


def shuffled(seed: int) -> Callable[[List[bytes]], List[bytes]]:
    return lambda some: random.Random(seed).sample(some, len(some))


def woven(some: List[bytes]) -> List[bytes]:
    return [each for start in range(7) for each in some[start::7]]


@pytest.mark.parametrize("arrange", [list, lambda some: some[::-1], woven, shuffled(1), shuffled(2)])
@pytest.mark.parametrize("number", [0, 1, 2047, 2048, 2049, 4096, 50_001])
def test_pieces_are_the_whole_in_order_and_none_is_large(number: int, arrange: Callable[[List[bytes]], List[bytes]]) -> None:
    arranged = arrange(keys(number))
    pieces = list(sorting.in_pieces(arranged))
    assert [each for piece in pieces for each in piece] == sorted(arranged)
    assert max(map(len, pieces)) <= 2 * sorting.RUN
    assert len(pieces) <= 2 * number / sorting.RUN + 3


@pytest.mark.parametrize("seed", range(50))
def test_random_keys_of_any_length_also_several_times(seed: int) -> None:
    source = random.Random(seed)
    some = [source.randbytes(source.choice((0, 1, 2, 4, 16))) for _each in range(source.randrange(10_000))]
    assert [each for piece in sorting.in_pieces(some) for each in piece] == sorted(some)


def test_what_changes_after_the_first_step_is_not_seen() -> None:
    some = set(keys(10_000))
    pieces = sorting.in_pieces(some)
    next(pieces)
    before = sorted(some)
    some.clear()
    assert [each for piece in pieces for each in piece] == before
