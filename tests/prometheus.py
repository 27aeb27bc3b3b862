"""The text format of Prometheus (0.0.4), read strictly; and what Prometheus' own tool says of it."""

import re
import shutil
import subprocess
from typing import Dict, FrozenSet, Tuple

import pytest

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(r'(%s)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\]|\\[\\"n])*",?)*)\})? (-?[0-9.e+-]+)' % NAME)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\[\\"n])*)"')
Labels = FrozenSet[Tuple[str, str]]


def read(text: str) -> Dict[Tuple[str, Labels], float]:
    """Every sample, by name and labels; AssertionError when a line is none, a name comes twice, or has no HELP and TYPE before it."""
    found: Dict[Tuple[str, Labels], float] = {}
    known: Dict[str, str] = {}
    current = ""
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            current = line.split()[2]
            assert current not in known and len(line.split()) > 3, line
            known[current] = ""
        elif line.startswith("# TYPE "):
            assert line.split()[2] == current, line
            known[current] = line.split()[3]
        else:
            match = SAMPLE.fullmatch(line)
            assert match is not None, line
            name, labels = match[1], frozenset((key, _plain(value)) for key, value in LABEL.findall(match[2] or ""))
            family = re.sub("_(bucket|sum|count)$", "", name) if known[current] == "histogram" else name
            assert family == current and (name, labels) not in found, line
            found[name, labels] = float(match[3])
    return found


def lint(text: str) -> None:
    """`promtool check metrics`, where Debian's package prometheus is installed."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool (Debian's package prometheus) is not installed")
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def _plain(value: str) -> str:
    return re.sub(r"\\(.)", lambda match: "\n" if match[1] == "n" else match[1], value)
