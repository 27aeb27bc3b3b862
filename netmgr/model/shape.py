"""How claims and elements of sets whose keys have several parts, and of maps, are taken to pieces: see keys.py and composition.py."""

from typing import List, Tuple

from netmgr.model.keys import RANK
from netmgr.values.sets import IPV4_ADDR, IPV6_ADDR, WIDTHS, Form, padded


class Shape:
    """How claims and elements of one form are taken to pieces.  `pivot`: where in a key the part is that makes ranges."""

    def __init__(self, form: Form) -> None:
        parts = form.parts
        addresses = [index for index, part in enumerate(parts) if part in (IPV4_ADDR, IPV6_ADDR)]
        chosen, offset = addresses[-1] if addresses else len(parts) - 1, 0
        self.fields: List[Tuple[int, int]] = []         # where each part begins, and where it ends
        for part in parts:
            self.fields.append((offset, offset + WIDTHS[part]))
            offset += padded(WIDTHS[part]) if len(parts) > 1 else WIDTHS[part]
        self.form, self.width = form, form.width
        self.rank = RANK if form.value else 0
        self.pivot = self.fields[chosen]
        self.chosen = chosen

    def value(self, claim: bytes) -> bytes:
        """The value in a claim."""
        return claim[self.rank + self.width + (len(self.fields) if self.form.interval else 0):]

    def span(self, claim: bytes) -> Tuple[bytes, bytes]:
        """The first and the last key of a claim; without ranges they are the same."""
        key = claim[self.rank:self.rank + self.width]
        if not self.form.interval:
            return key, key
        last = bytearray(key)
        for (begin, end), length in zip(self.fields, claim[self.rank + self.width:]):
            host = (1 << (end - begin) * 8 - length) - 1
            last[begin:end] = (int.from_bytes(key[begin:end], "big") | host).to_bytes(end - begin, "big")
        return key, bytes(last)

    def ends(self, element: bytes) -> Tuple[bytes, bytes]:
        """The same of an element."""
        return element[:self.width], element[self.width:self.form.keys] or element[:self.width]

    def group(self, first: bytes, last: bytes) -> bytes:
        """What is equal for all in a group."""
        if not self.form.interval:
            return first
        begin, end = self.pivot
        return first[:begin] + first[end:] + last[:begin] + last[end:]

    def covers(self, one: bytes, first: bytes, last: bytes) -> bool:
        """Whether an element has all of a group in every part but the pivot."""
        low, high = self.ends(one)
        return all(low[begin:end] <= first[begin:end] and last[begin:end] <= high[begin:end]
                   for index, (begin, end) in enumerate(self.fields) if index != self.chosen)

    def is_wide(self, element: bytes) -> bool:
        """Whether an element has ranges in other parts than the pivot."""
        first, last = self.ends(element)
        begin, end = self.pivot
        return first[:begin] != last[:begin] or first[end:] != last[end:]

    def has(self, one: bytes, first: bytes, last: bytes) -> bool:
        """Whether an element has all that is between these keys."""
        low, high = self.ends(one)
        return all(low[begin:end] <= first[begin:end] and last[begin:end] <= high[begin:end] for begin, end in self.fields)

    def of_pivot(self, first: bytes, last: bytes) -> bytes:
        """The range in the pivot alone."""
        begin, end = self.pivot
        return first[begin:end] + last[begin:end]

    def element(self, first: bytes, last: bytes, span: bytes, value: bytes) -> bytes:
        """An element of a group, with this range in the pivot."""
        begin, end = self.pivot
        size = end - begin
        return first[:begin] + span[:size] + first[end:] + last[:begin] + span[size:] + last[end:] + value
