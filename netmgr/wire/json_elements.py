"""A JSON array of objects, read object by object while it arrives; sans-I/O.

What has arrived is only tried anew when it has doubled since it was found incomplete, so the work is in proportion to the bytes,
however they are cut; no more is kept than `limit` characters and the last piece.  An object that is longer, too deep or has a number
beyond sense is passed over by its brackets and quotation marks, and spoils no other.  Bytes that are no UTF-8 become lone surrogates.
"""

import codecs
import json
import re
from typing import Any, Dict, Iterator, Optional

from netmgr.values.errors import ProtocolError
from netmgr.values.named_tuple import NamedTuple
from netmgr.wire.json_values import integer

HEAD = 400                      # characters of an object that is passed over

_GAP = re.compile(r"[ \t\r\n,]*")
_MARK = re.compile(r'["{}\[\]]')
_IN_STRING = re.compile(r'["\\]')


class Element(NamedTuple):
    """One object; None of one that was passed over: `wrong` says why, and `head` is how it begins."""

    value: Optional[Dict[str, Any]]
    wrong: str = ""
    head: str = ""


class Elements:
    """The reader of one array."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._bytes = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._json = json.JSONDecoder(parse_int=integer)
        self.text, self._at = "", 0            # what lies before that place has been taken in
        self._begun = self._ended = False
        self._enough = 0                        # with less than so many characters it is no use to try
        self._passed: Optional[Element] = None  # being passed over, so many brackets deep, or within a string
        self._depth, self._quoted = 0, False

    def feed(self, data: bytes) -> Iterator[Element]:
        """The objects that these bytes complete.  ProtocolError when this is no list of objects."""
        self.text = self.text[self._at:] + self._bytes.decode(data)
        self._at = 0
        while self._at < len(self.text) >= self._enough:
            element = self._next() if self._passed is None else self._pass_over(self._passed)
            if element is not None:
                yield element

    def close(self) -> Iterator[Element]:
        """The objects that are left when there are no more bytes.  ProtocolError when more were needed.

        null, which is Go's empty slice, is an empty array.
        """
        self._enough = 0
        yield from self.feed(b"")
        if not self._ended:
            raise ProtocolError("a list that ends too early or makes no sense")

    def _next(self) -> Optional[Element]:
        self._at = _end_of_gap(self.text, self._at)
        character = self.text[self._at:self._at + 1]
        if character == "{" and self._begun and not self._ended:
            return self._object()
        if character == ("]" if self._begun else "[") and not self._ended:
            self._begun, self._ended = True, self._begun
            self._at += 1
        elif character == "n" and not self._begun:
            self._null()
        elif character:
            raise ProtocolError("not a list of objects")
        return None

    def _null(self) -> None:
        """It may be cut into pieces, too."""
        word = self.text[self._at:]
        self._begun = self._ended = word.rstrip() == "null"
        if not self._ended and not "null".startswith(word):
            raise ProtocolError("not a list of objects")
        self._at, self._enough = (len(self.text), 0) if self._ended else (self._at, len(self.text) + 1)

    def _object(self) -> Optional[Element]:
        start = self._at
        try:
            value, self._at = self._json.raw_decode(self.text, start)
        except RecursionError:
            self._pass("nested too deeply")
        except ProtocolError as error:
            self._pass(str(error))
        except ValueError:
            self._wait()
        else:
            self._enough = 0
            return Element(value) if self._at - start <= self._limit else Element(None, self._too_long(), self.text[start:start + HEAD])
        return None

    def _wait(self) -> None:
        """It is not all there yet, or has a mistake; who could tell?"""
        length = len(self.text) - self._at
        if length > self._limit:
            self._pass(self._too_long())
        else:
            self._enough = min(2 * length, self._limit + 1)
            self.text, self._at = self.text[self._at:], 0

    def _too_long(self) -> str:
        return "longer than %d characters" % self._limit

    def _pass(self, wrong: str) -> None:
        self._passed = Element(None, wrong, self.text[self._at:self._at + HEAD])
        self._enough = 0

    def _pass_over(self, element: Element) -> Optional[Element]:
        """Up to the next bracket or quotation mark; the element, when that is its end."""
        match = (_IN_STRING if self._quoted else _MARK).search(self.text, self._at)
        if match is None:
            self._at = len(self.text)
        elif match.group() == "\\":
            self._skip_escape(match.end())
        else:
            self._at = match.end()
            return self._at_mark(match.group(), element)
        return None

    def _skip_escape(self, end: int) -> None:
        """A backslash and what it escapes; the last one waits for that."""
        self._enough = 2 if end == len(self.text) else 0
        self.text, self._at = ("\\", 0) if self._enough else (self.text, end + 1)

    def _at_mark(self, mark: str, element: Element) -> Optional[Element]:
        if mark == '"':
            self._quoted = not self._quoted
            return None
        self._depth += 1 if mark in "{[" else -1
        if self._depth > 0:
            return None
        self._passed = None
        return element


def _end_of_gap(text: str, start: int) -> int:
    match = _GAP.match(text, start)
    assert match is not None        # it matches the empty string, too
    return match.end()
