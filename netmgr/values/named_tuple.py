"""NamedTuple as typing has it, made in a tenth of the time: a start makes some ninety of them.

typing's has source text evaluated for each; here the function that makes a tuple of so many fields is made once for each number, and
gets the names of its parameters afterwards.  The other methods, which are not called in a hurry, are the same for all.  To type checkers
it is typing's.  Annotations are never evaluated, but for who asks for them; from Python 3.14 on a class is made another way, so that
typing's is taken.
"""

from collections import _tuplegetter  # type: ignore[attr-defined]
from functools import cache
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any, Dict, Iterable, Tuple

made = tuple.__new__        # made(Kind, (one, other)) is Kind(one, other) without a call of Python, for where each counts


@cache
def _making(count: int) -> CodeType:
    """What makes a tuple of this length of its arguments: all of them, by position."""
    names = "".join("_%d, " % number for number in range(count))
    code: CodeType = eval("lambda _cls, %s: _new(_cls, (%s))" % (names, names), {}).__code__
    return code.replace(co_name="__new__", co_filename=__file__)


class _Methods(tuple):      # type: ignore[type-arg]
    __slots__ = ()
    _fields: Tuple[str, ...] = ()

    @classmethod
    def _make(cls, values: Iterable[Any]) -> "_Methods":
        return cls(*values)

    def _replace(self, **changed: Any) -> "_Methods":
        found = made(type(self), map(changed.pop, self._fields, self))
        if changed:
            raise ValueError("Got unexpected field names: %r" % list(changed))
        return found

    def _asdict(self) -> Dict[str, Any]:
        return dict(zip(self._fields, self))

    def __repr__(self) -> str:
        return "%s(%s)" % (type(self).__name__, ", ".join("%s=%r" % pair for pair in zip(self._fields, self)))

    def __getnewargs__(self) -> Tuple[Any, ...]:
        return tuple(self)


class _Maker(type):
    """Makes of a class with annotations one with fields, which is then a class as any other."""

    def __new__(cls, name: str, bases: Tuple[type, ...], names: Dict[str, Any]) -> Any:
        if not bases:
            return super().__new__(cls, name, bases, names)
        fields = tuple(names.get("__annotations__", ()))
        defaults = {field: names[field] for field in fields if field in names}
        code = _making(len(fields)).replace(co_varnames=("_cls", *fields))
        names["__new__"] = making = FunctionType(code, {"_new": made}, "__new__", tuple(defaults.values()))
        making.__qualname__ = name + ".__new__"
        names.update(__slots__=(), __match_args__=fields, _fields=fields, _field_defaults=defaults)
        names.update((field, _tuplegetter(place, None)) for place, field in enumerate(fields))
        return type(name, (_Methods,), names)


class _NamedTuple(metaclass=_Maker):
    pass


if TYPE_CHECKING or "__annotations__" not in vars(_Methods):
    from typing import NamedTuple as NamedTuple
else:
    NamedTuple = _NamedTuple
