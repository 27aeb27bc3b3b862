"""The completion of bash, by bash itself."""

import subprocess
from pathlib import Path
from typing import List

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = """
source pkg-files/completions/netmgr.bash
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_netmgr netmgr "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}" 2>&1
echo "${COMPREPLY[*]}"
"""


@pytest.mark.parametrize("words, offered", [
    (["st"], ["status"]),
    (["re"], ["reload", "resync"]),
    (["help", "st"], ["status"]),
    (["--config", "pkg-files/con"], ["pkg-files/config"]),
    (["-c", "pkg-files/con"], ["pkg-files/config"]),
    (["--config", "=", "pkg-files/con"], ["pkg-files/config"]),
    (["check", "--config", "=", "pkg-files/con"], ["pkg-files/config"]),
    (["--config", "=", "check", "st"], ["status"]),
    (["-c", "check", "st"], ["status"]),
    (["--json", "status", "--s"], ["--socket"]),
    (["run", "--log-level", "=", "d"], ["debug"]),
    (["version", "--"], ["--help"]),
    (["check", "pkg-files/con"], ["pkg-files/config"]),
    (["graph", "m"], ["mermaid"]),
    (["check", "--st"], ["--strict"]),
])
def test_bash_offers(words: List[str], offered: List[str]) -> None:
    done = subprocess.run(["bash", "-c", SCRIPT, "bash", "netmgr", *words], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, offered, "")
