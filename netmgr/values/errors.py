"""The two errors of netmgr's own; everything else that a caller may expect is an OSError.

ProtocolError   a peer (kernel, container engine, control client) sent bytes that make no sense
ConfigError     the text that the user wrote is wrong; carries every error of its files
"""

from __future__ import annotations

from typing import Sequence, Tuple

from netmgr.values.named_tuple import NamedTuple


class ProtocolError(Exception):
    """A peer sent nonsense; the message says what, the receiver counts it and re-reads."""


class Entry(NamedTuple):
    """A place in the configuration: the first line of what stands under the key, as in interfaces[1].name; line 0 is the whole file."""

    file: str
    line: int
    key: str = ""

    def __str__(self) -> str:
        return "%s:%d" % (self.file, self.line)


class Remark(NamedTuple):
    """What is to be said about a place in the configuration."""

    entry: Entry
    message: str

    def __str__(self) -> str:
        if not self.entry.line:
            return self.message
        return "%s: %s%s" % (self.entry, self.entry.key and self.entry.key + ": ", self.message)


class ConfigError(Exception):
    """All that is wrong with a configuration, in the order of its files."""

    def __init__(self, remarks: Sequence[Remark]) -> None:
        super().__init__("\n".join(map(str, remarks)))
        self.remarks: Tuple[Remark, ...] = tuple(remarks)
        self.errors: Tuple[str, ...] = tuple(map(str, remarks))
