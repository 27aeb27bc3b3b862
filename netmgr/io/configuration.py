"""The user's files: the configuration, and what continues it in the folder conf.d beside it."""

from __future__ import annotations

import os
import re
from typing import Dict, List, Sequence, Tuple

from netmgr.config.reader import parse
from netmgr.config.schema import Config, with_groups
from netmgr.values.text import reason

FOLDER = "conf.d"
ROUTING = ("/etc/iproute2", "/usr/share/iproute2", "/usr/lib/iproute2")       # where iproute2 has its tables
_NUMBER = "0|[1-9][0-9]{0,9}|0x[0-9a-fA-F]{1,8}"


def load(path: str) -> Config:
    """The configuration in a file and in every *.yaml of its conf.d, by name.  OSError, ConfigError."""
    config = parse(_read(path), path, _continued(path))
    return with_groups(config, group_numbers()) if any(isinstance(rule.group, str) for rule in config.interfaces) else config


def group_numbers(folders: Sequence[str] = ROUTING) -> Dict[str, int]:
    """The groups of interfaces by their names, as ip(8) knows them: the first of the files, and what stands beside it."""
    found: Dict[str, int] = {}
    main = next((path for path in (os.path.join(folder, "group") for folder in folders) if os.path.exists(path)), None)
    more = sorted(path for folder in folders for path in _files(os.path.join(folder, "group.d"), ".conf"))
    for path in ([main] if main else []) + more:
        for line in _read(path).splitlines():
            words = line.split("#")[0].split()
            if len(words) == 2 and re.fullmatch(_NUMBER, words[0]):
                found[words[1]] = int(words[0], 0)
    return found


def _continued(path: str) -> List[Tuple[str, str]]:
    folder = os.path.join(os.path.dirname(path), FOLDER)
    return [(each, _read(each)) for each in sorted(_files(folder, ".yaml"))]


def _files(folder: str, ending: str) -> List[str]:
    """Those in a folder with this ending, but for hidden ones; none where there is no such folder."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return [os.path.join(folder, name) for name in names if name.endswith(ending) and not name.startswith(".")]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError as problem:
        raise OSError("cannot read the configuration %s: %s" % (path, reason(problem))) from None
