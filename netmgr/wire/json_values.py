"""JSON that a stranger wrote: every value is asked for by its kind, and ProtocolError is all that can go wrong.

Beyond any sense and therefore refused: numbers of more than 20 digits, nesting that exhausts the stack, text that is not Unicode.
"""

from typing import Any, Dict, List

from netmgr.values.errors import ProtocolError

NUMBER_DIGITS = 20


def parse(body: bytes) -> Any:
    """The value.  ProtocolError."""
    import json

    try:
        return json.loads(body.decode("utf-8"), parse_int=integer)
    except RecursionError:
        raise ProtocolError("JSON nested too deeply") from None
    except ValueError as error:
        raise ProtocolError("not JSON: %s" % error) from None


def fields(value: Any) -> Dict[str, Any]:
    """An object; null, which is Go's empty map, is an empty one."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ProtocolError("expected an object, got a value of type %s" % type(value).__name__)
    return value


def items(value: Any) -> List[Any]:
    """An array; null, which is Go's empty slice, is an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ProtocolError("expected an array, got a value of type %s" % type(value).__name__)
    return value


def text(value: Any) -> str:
    """A text of Unicode."""
    if not isinstance(value, str):
        raise ProtocolError("expected a text, got a value of type %s" % type(value).__name__)
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ProtocolError("a text that is not Unicode: %.60r" % value) from None
    return value


def integer(digits: str) -> int:
    """A number of so few digits that somebody may mean it.  ProtocolError."""
    if len(digits) > NUMBER_DIGITS:
        raise ProtocolError("a number of %d digits" % len(digits))
    return int(digits)
