"""Where things are: the configuration, and the control socket of the daemon that has it.

The two ways that rust-network-mgr knows to its configuration bring its socket with them, so that its commands find the daemon.
"""

from __future__ import annotations

import os
from typing import Callable, Mapping, Optional, Tuple

from netmgr.values.errors import ConfigError
from netmgr.values.named_tuple import NamedTuple

CONFIG, OLD_CONFIG = "/etc/netmgr/config.yaml", "/etc/rust-network-mgr/config.yaml"
SYSTEMD_SECONDS = 5.0       # that it may take to say how its units are
SOCKET, OLD_SOCKET = "/run/netmgr.sock", "/run/rust-network-mgr.sock"


class Place(NamedTuple):
    """Where the configuration is, and the socket if the configuration does not name one."""

    config: str
    socket: str


def place(given: Optional[str], environment: Mapping[str, str], exists: Callable[[str], bool] = os.path.exists) -> Place:
    """As given on the command line, else by one of the two variables, else the first of the two files that exists."""
    config = given or environment.get("NETMGR_CONFIG")
    if config:
        return Place(config, SOCKET)
    config = environment.get("RUST_NETWORK_MGR_CONFIG")
    if config:
        return Place(config, OLD_SOCKET)
    return Place(OLD_CONFIG, OLD_SOCKET) if exists(OLD_CONFIG) and not exists(CONFIG) else Place(CONFIG, SOCKET)


def socket_path(where: Place) -> str:
    """Where the daemon with this configuration listens, as far as the configuration tells."""
    return _configured(where.config, "socket_path") or where.socket


def http_address(where: Place) -> str:
    """`http_bind_addr` of the configuration, "" without it."""
    return _configured(where.config, "http_bind_addr") or ""


def has_systemd() -> bool:
    """Whether systemd runs the system; as sd_booted(3)."""
    return os.path.isdir("/run/systemd/system")


def service_is_stopped(socket: str) -> bool:
    """Whether nobody but systemd, for a service that is stopped, listens at this socket, as far as that can be seen."""
    if socket != SOCKET or not has_systemd():
        return False
    service, listener = unit_states()
    return listener == "active" and service in ("inactive", "failed")


def unit_states() -> Tuple[str, str]:
    """What systemd says of netmgr.service and netmgr.socket, in its words; nothing where it does not answer."""
    import subprocess
    command = ["systemctl", "show", "--property=ActiveState", "--value", "netmgr.service", "netmgr.socket"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=SYSTEMD_SECONDS, check=False).stdout.split()
    except (OSError, subprocess.TimeoutExpired):
        said = []
    return (said[0], said[1]) if len(said) == 2 else ("", "")


def _configured(path: str, wanted: str) -> Optional[str]:
    """A top-level key that is text, whatever else is wrong with the file: a daemon runs on when its configuration was broken since."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return None
    if wanted not in text:
        return None
    from netmgr.config.yaml_values import compose
    try:
        found = [value for key, value in compose(text, path).entries("a mapping") if key.node.value == wanted]
        return found[0].scalar("text", str) if found else None
    except ConfigError:
        return None
