"""What the first answer of a kind is made of is loaded module by module."""

import errno
import os
import subprocess
import sys
from typing import Iterator, List, Union

import pytest

from netmgr.desk import by_parts
from netmgr.io.peer import Peer
from netmgr.values.replies import Follow, Reply

QUESTIONS = {"status": ("status", "status json"), "sets": ("sets", "sets json"), "log": ("log", "log json"), "metrics": ("metrics",),
             "graph": ("graph", "graph json", "graph mermaid"), "explain": ("explain wan", "explain wan_ips json", "explain 192.0.2.1")}
ME = Peer(os.getpid(), os.geteuid(), (os.getegid(),))
ASKING = """
import sys, tempfile
from pathlib import Path
from netmgr.desk import by_parts
from netmgr.show import commands
from tests.test_daemon import Scene

def ours():
    return {name for name in sys.modules if name.startswith("netmgr.")}

with tempfile.TemporaryDirectory() as directory:
    scene = Scene(Path(directory)).start()
    answer = by_parts(commands.answering(scene.daemon.desk, scene.log))
    for line in sys.argv[1:]:
        found, before = [], ours()
        answer(line, None, True, found.append)
        for piece in found[0]:
            print(len(ours() - before), len(piece))
            before = ours()
    scene.daemon.stop()
"""


@pytest.mark.parametrize("questions", QUESTIONS.values(), ids=list(QUESTIONS))
def test_each_module_is_a_piece_of_its_own(questions: List[str]) -> None:
    """And the answer itself loads none any more."""
    told = subprocess.run([sys.executable, "-c", ASKING, *questions], stdout=subprocess.PIPE, text=True, check=True, timeout=120).stdout
    steps = [tuple(map(int, line.split())) for line in told.splitlines()]
    loading = [loaded for loaded, size in steps if loaded]
    assert set(loading) == {1}
    assert all(size == 0 for loaded, size in steps if loaded)
    assert sum(size for _loaded, size in steps) > 100


def test_who_asks_for_what_cannot_be_loaded_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(_line: str, _who: Peer, _privileged: bool, _reply: Reply) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    found: List[Union[str, Iterator[str], Follow]] = []
    monkeypatch.delitem(sys.modules, "netmgr.show.tables", raising=False)
    by_parts(asked)("status", ME, True, found.append)
    (pieces,) = found
    assert not isinstance(pieces, str) and not callable(pieces)
    assert list(filter(None, pieces)) == ["ERROR: there is no answer to be had now: Too many open files\n"]
