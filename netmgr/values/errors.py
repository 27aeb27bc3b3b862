"""The two errors of netmgr's own; everything else that a caller may expect is an OSError.

ProtocolError   a peer (kernel, container engine, control client) sent bytes that make no sense
ConfigError     the text that the user wrote is wrong; carries every error of the file
"""

from typing import Sequence, Tuple


class ProtocolError(Exception):
    """A peer sent nonsense; the message says what, the receiver counts it and re-reads."""


class ConfigError(Exception):
    """All that is wrong with a configuration, one line an error, in the order of the file."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors: Tuple[str, ...] = tuple(errors)
