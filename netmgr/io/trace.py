"""NETMGR_TRACE=netlink,nftables,docker,control: what goes over these sockets is told, decoded, as lines of the log.

A socket that is to be traced is another object from the start, so that others pay nothing.
"""

from __future__ import annotations

import os
import socket
from typing import FrozenSet

from netmgr.values.errors import ConfigError, Entry, Remark

VARIABLE = "NETMGR_TRACE"
WORDS = ("netlink", "nftables", "docker", "control")


def wanted() -> FrozenSet[str]:
    """What is to be traced.  ConfigError when the variable has a word that there is not."""
    words = frozenset(word.strip() for word in os.environ.get(VARIABLE, "").split(",") if word.strip())
    unknown = sorted(words.difference(WORDS))
    if unknown:
        text = "%s: there is no %s to trace, only %s" % (VARIABLE, ", ".join(map(repr, unknown)), ", ".join(WORDS))
        raise ConfigError([Remark(Entry("", 0), text)])
    return words


def traced(word: str, plain: socket.socket) -> socket.socket:
    """The socket itself, or one in its place whose bytes are told."""
    if not os.environ.get(VARIABLE) or word not in wanted():
        return plain
    from netmgr.io.traced_socket import TracedSocket
    return TracedSocket(word, plain)
