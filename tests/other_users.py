"""Becoming somebody else: root can, unless a user namespace has no other users."""

import os
import shutil
import subprocess
from typing import Optional

FOREIGN_UID, FOREIGN_GID = 54321, 54322
SETPRIV = ("setpriv", "--reuid=%d" % FOREIGN_UID, "--regid=%d" % FOREIGN_GID, "--clear-groups")


def why_not() -> Optional[str]:
    """Why no process can be run as another user here; None when one can."""
    if shutil.which("setpriv") is None:
        return "setpriv is not installed"
    if os.geteuid() != 0:
        return "only root can become another user"
    if subprocess.run([*SETPRIV, "true"], capture_output=True, check=False).returncode:
        return "this user namespace has no other users"
    return None
