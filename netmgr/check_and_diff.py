"""The commands that look at the kernel themselves, without a daemon and without changing anything: check and diff."""

import os
import sys
from typing import Optional

from netmgr.config.schema import Config
from netmgr.daemon import NEEDS_CAPABILITY
from netmgr.io.configuration import load
from netmgr.io.nft import Nft
from netmgr.io.rtnetlink import RequestSocket
from netmgr.show import differences
from netmgr.values.errors import ConfigError
from netmgr.values.text import printable


def check(config_path: str) -> int:
    """`netmgr check`: 0 and the sets that would be filled, or 1 and every error of the file."""
    config = _load_or_complain(config_path)
    if config is None:
        return 1
    inspect: Optional[differences.Inspect] = None
    try:
        inspect = Nft().inspect
    except OSError as problem:
        print("netmgr: the kernel's sets were not looked at: %s" % problem.strerror, file=sys.stderr)
    print("%s is valid" % printable(config_path))
    print(differences.check_text(config, inspect), end="")
    return 0


def diff(config_path: str) -> int:
    """`netmgr diff`: 0 and the nft commands that a start would amount to, or 1 when that cannot be said."""
    config = _load_or_complain(config_path)
    if config is None:
        return 1
    containers_unknown = config.docker.enabled != "false" and os.path.exists(config.docker.socket)
    try:
        snapshot = RequestSocket().snapshot()
        text = differences.diff_text(config, Nft(), snapshot.links, snapshot.addresses, containers_unknown)
    except OSError as problem:
        print("netmgr: %s" % (NEEDS_CAPABILITY if isinstance(problem, PermissionError) else problem), file=sys.stderr)
        return 1
    print(text, end="")
    return 0


def _load_or_complain(path: str) -> Optional[Config]:
    try:
        return load(path)
    except (ConfigError, OSError) as problem:
        print(problem, file=sys.stderr)
        return None
