"""The user's files: the configuration, and what continues it in the folder conf.d beside it."""

import glob
import os
from typing import List, Tuple

from netmgr.config.reader import parse
from netmgr.config.schema import Config
from netmgr.values.text import reason

FOLDER = "conf.d"


def load(path: str) -> Config:
    """The configuration in a file and in every *.yaml of its conf.d, by name.  OSError, ConfigError."""
    return parse(_read(path), path, _continued(path))


def _continued(path: str) -> List[Tuple[str, str]]:
    folder = os.path.join(os.path.dirname(path), FOLDER)
    return [(each, _read(each)) for each in sorted(glob.glob(os.path.join(glob.escape(folder), "*.yaml")))]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except OSError as problem:
        raise OSError("cannot read the configuration %s: %s" % (path, reason(problem))) from None
