"""Our NamedTuple beside typing's: whatever is done with the one comes out as with the other."""

import copy
import pickle
import typing
from typing import Any, Callable, List, Optional, Tuple

import pytest

from netmgr.values import named_tuple


class Theirs(typing.NamedTuple):
    """A place."""

    name: str
    number: int = 3
    inner: "Optional[Theirs]" = None

    @property
    def doubled(self) -> int:
        """Twice as many."""
        return 2 * self.number


class Ours(named_tuple.NamedTuple):
    """A place."""

    name: str
    number: int = 3
    inner: "Optional[Ours]" = None

    @property
    def doubled(self) -> int:
        """Twice as many."""
        return 2 * self.number


class OneOfOurs(named_tuple.NamedTuple):
    """A single field: a tuple all the same."""

    field: bytes

    def __str__(self) -> str:
        return "<%s>" % self.field.decode()


class NoneOfOurs(named_tuple.NamedTuple):
    """Without a field."""


class LongOfOurs(Ours):
    """A class that is made of one has no fields of its own."""


DONE: List[Tuple[str, Callable[[Any], object]]] = [
    ("by position", lambda kind: tuple(kind("a", 1, None))),
    ("by name", lambda kind: tuple(kind(inner=None, name="a"))),
    ("defaults", lambda kind: tuple(kind("a"))),
    ("too few", lambda kind: kind()),
    ("too many", lambda kind: kind("a", 1, None, 2)),
    ("unknown", lambda kind: kind("a", other=1)),
    ("twice", lambda kind: kind("a", name="b")),
    ("fields", lambda kind: (kind("a").name, kind("a").number, kind("a", inner=2).inner, kind("a", 2).doubled)),
    ("set", lambda kind: setattr(kind("a"), "name", "b")),
    ("set another", lambda kind: setattr(kind("a"), "another", "b")),
    ("shown", lambda kind: repr(kind("a", 1, kind("b")))[len(kind.__name__):].replace(kind.__name__, "")),
    ("equal", lambda kind: (kind("a", 1) == kind("a", 1), kind("a") == ("a", 3, None), hash(kind("a")) == hash(("a", 3, None)))),
    ("replaced", lambda kind: tuple(kind("a")._replace(number=9))),
    ("replaced unknown", lambda kind: kind("a")._replace(other=9)),
    ("as a dictionary", lambda kind: list(kind("a")._asdict().items())),
    ("made of a list", lambda kind: (type(kind._make(["a", 1, 2])) is kind, tuple(kind._make(["a", 1, 2])))),
    ("made of too many", lambda kind: kind._make(["a", 1, 2, 3])),
    ("pickled", lambda kind: [_same(kind("a", 1, kind("b")), pickle.loads(pickle.dumps(kind("a", 1, kind("b")), protocol)))
                              for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)]),
    ("copied", lambda kind: _same(kind("a"), copy.deepcopy(kind("a")))),
    ("told", lambda kind: (kind._fields, kind.__doc__)),
    ("annotations", lambda kind: list(kind.__annotations__)[:2] + list(kind.__annotations__.values())[:2]),
]


def _same(one: object, other: object) -> Tuple[bool, bool]:
    return type(one) is type(other), one == other


def _outcome(action: Callable[[Any], object], kind: type) -> object:
    try:
        return action(kind)
    except (TypeError, ValueError):
        return "refused"        # from Python 3.13 on an unknown name is a TypeError everywhere
    except AttributeError:
        return "not there, or not to be set"


@pytest.mark.parametrize("action", [action for _name, action in DONE], ids=[name for name, _action in DONE])
def test_as_typing_s(action: Callable[[Any], object]) -> None:
    assert _outcome(action, Ours) == _outcome(action, Theirs)


def test_one_field() -> None:
    assert (OneOfOurs(b"a").field, str(OneOfOurs(b"a")), tuple(OneOfOurs(field=b"b"))) == (b"a", "<a>", (b"b",))


def test_no_field() -> None:
    assert (tuple(NoneOfOurs()), repr(NoneOfOurs()), NoneOfOurs() == ()) == ((), "NoneOfOurs()", True)
    assert pickle.loads(pickle.dumps(NoneOfOurs())) == ()


def test_a_class_made_of_one() -> None:
    made = LongOfOurs("a", 4)
    assert LongOfOurs.__match_args__ == Ours._fields        # as typing's from Python 3.10 on
    assert (made.doubled, made, made._fields) == (8, ("a", 4, None), ("name", "number", "inner"))


def test_it_takes_no_room_for_more() -> None:
    assert not hasattr(Ours("a"), "__dict__")
    assert Ours("a").__sizeof__() == Theirs("a").__sizeof__() == ("a", 3, None).__sizeof__()
