"""The commands that look at the kernel themselves, without a daemon and without changing anything: check and diff."""

import os
import sys
from typing import Optional, Tuple

from netmgr.config.schema import Config
from netmgr.daemon import NEEDS_CAPABILITY
from netmgr.io.configuration import load
from netmgr.io.nft import Nft
from netmgr.io.rtnetlink import RequestSocket
from netmgr.show import differences
from netmgr.values.errors import ConfigError, ProtocolError
from netmgr.values.text import printable_lines, reason


def check(config_path: str) -> Tuple[int, str]:
    """`netmgr check`: 0 and the sets that would be filled, or 1 when the file has errors; these go to standard error."""
    config = _load_or_complain(config_path)
    if config is None:
        return 1, ""
    try:
        text = differences.check_text(config, Nft().inspect)
    except (OSError, ProtocolError) as problem:
        print("netmgr: the kernel's sets were not looked at: %s" % reason(problem), file=sys.stderr)
        text = differences.check_text(config, None)
    return 0, "%s is valid\n%s" % (config_path, text)


def diff(config_path: str) -> Tuple[int, str]:
    """`netmgr diff`: 0 and the nft commands that a start would amount to, or 1 when that cannot be said."""
    config = _load_or_complain(config_path)
    if config is None:
        return 1, ""
    containers_unknown = config.docker.enabled != "false" and os.path.exists(config.docker.socket)
    try:
        snapshot = RequestSocket().snapshot()
        return 0, differences.diff_text(config, Nft(), snapshot.links, snapshot.addresses, containers_unknown)
    except (OSError, ProtocolError) as problem:
        print("netmgr: %s" % (NEEDS_CAPABILITY if isinstance(problem, PermissionError) else problem), file=sys.stderr)
        return 1, ""


def _load_or_complain(path: str) -> Optional[Config]:
    try:
        return load(path)
    except (ConfigError, OSError) as problem:
        print(printable_lines(str(problem)), file=sys.stderr)
        return None
