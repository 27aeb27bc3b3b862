"""Whose the elements of sets are.  A None that is yielded means no more than that something was done."""

from bisect import bisect_left, bisect_right
from typing import Callable, Collection, Generator, Iterator, List, Mapping, Optional, Tuple

from netmgr.model.shape import Shape
from netmgr.show.answers import FeedRow
from netmgr.show.moment import FEW, SOME, Moment, SetView
from netmgr.show.rows import RUN, in_order
from netmgr.values.sets import AND, Form, SetName
from netmgr.wire.nft_text import element_text

Span = Tuple[bytes, bytes]      # the first and the last key of a range
OWNERS = ("netmgr", "another")


class Holders:
    """Whose the elements of a set are.  Ranges are disjoint, so of those in order one is looked at, but for ranges of concatenations."""

    def __init__(self, view: SetView, form: Form) -> None:
        self.view, self.form, self.shape = view, form, Shape(form)
        self._sorted: Optional[List[List[bytes]]] = None

    def of(self, first: bytes, last: bytes, value: Optional[bytes]) -> Generator[None, None, Optional[str]]:
        """The owner of the element that has this, with this value or (None) any."""
        form, exact = self.form, None if value is None else (first + last if self.form.interval else first) + value
        for owner, elements in zip(OWNERS, (self.view.ours, self.view.foreign)):
            if exact is not None and exact in elements:
                return owner
        if exact is not None and not form.interval:
            return None
        if form.interval and form.composed:
            return (yield from self._among_all(first, last, value))
        if self._sorted is None:
            self._sorted = []
            for elements in (self.view.ours, self.view.foreign):
                self._sorted.append((yield from _sorted(elements)))
        return next((owner for owner, ordered in zip(OWNERS, self._sorted) if self._has(ordered, first, last)), None)

    def _has(self, ordered: List[bytes], first: bytes, last: bytes) -> bool:
        if not self.form.interval:
            place = bisect_left(ordered, first)
            return place < len(ordered) and ordered[place].startswith(first)
        place = bisect_right(ordered, first + b"\xff" * self.form.width) - 1
        return place >= 0 and last <= ordered[place][self.form.width:]

    def other(self, first: bytes) -> Optional[str]:
        """The element of a map without ranges that has this key, when it has been looked for."""
        for ordered in self._sorted or () if not self.form.interval else ():
            place = bisect_left(ordered, first)
            if place < len(ordered) and ordered[place].startswith(first):
                return element_text(self.form, ordered[place])
        return None

    def _among_all(self, first: bytes, last: bytes, value: Optional[bytes]) -> Generator[None, None, Optional[str]]:
        for owner, elements in zip(OWNERS, (self.view.ours, self.view.foreign)):
            for place, each in enumerate(elements):
                if self.shape.has(each, first, last) and value in (None, each[self.form.keys:]):
                    return owner
                if place % SOME == SOME - 1:
                    yield None
        return None

    def span(self, claim: bytes) -> Tuple[bytes, bytes, bytes]:
        """First and last key of what is claimed, which are the same without ranges, and in a map the value."""
        form = self.form
        if form.composed:
            return (*self.shape.span(claim), self.shape.value(claim) if form.value else b"")
        if not form.interval:
            return claim, claim, b""
        key, length = claim[:form.width], claim[form.width]
        last = int.from_bytes(key, "big") | (1 << form.width * 8 - length) - 1
        return key, last.to_bytes(form.width, "big"), b""


def _sorted(elements: Collection[bytes]) -> Generator[None, None, List[bytes]]:
    ordered: List[bytes] = []
    for each in in_order(elements):
        if each is not None:
            ordered.append(each)
        if each is None or len(ordered) % RUN == 0:
            yield None
    return ordered


def covering(moment: Moment, wanted: Mapping[SetName, List[Span]]) -> Iterator[Optional[FeedRow]]:
    """Elements in the kernel that have all of one of these ranges, whosever they are."""
    for number, (name, spans) in enumerate(wanted.items()):
        view = moment.set(name)
        form = None if view is None else view.seen.form
        if view is not None and form is not None and view.seen.info is not None:
            has = _has_any(form, spans)
            for owner, held in zip(OWNERS, (view.ours, view.foreign)):
                keys_alone = not form.interval and not form.value
                for place, each in enumerate([first for first, last in spans if first == last and first in held] if keys_alone else held):
                    if keys_alone or has(each):
                        yield FeedRow(str(name), element_text(form, each), None, None, None, True, owner, None)
                    if place % SOME == SOME - 1:
                        yield None
        if number % FEW == FEW - 1:
            yield None


def _has_any(form: Form, spans: List[Span]) -> Callable[[bytes], bool]:
    shape, width, end = Shape(form), form.width, form.keys
    if AND in form.type:
        return lambda each: any(shape.has(each, *span) for span in spans)
    return lambda each: any(each[:width] <= first and last <= (each[width:end] or each[:width]) for first, last in spans)
