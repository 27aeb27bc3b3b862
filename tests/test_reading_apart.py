"""The configuration as another process reads it: the same value, the same mistakes, the same errors of the system."""

import os
import signal
from pathlib import Path
from typing import Callable

import pytest

from netmgr.io.configuration import load
from netmgr.io.reading_apart import ReadingApart
from netmgr.values.errors import ConfigError

GOOD = """
interfaces:
  - {name: eth0, nftables_zone: [wan, lan], group: 7}
  - {kind: wireguard, nftables_zone: lan}
zones:
  wan:
    only: [global, 203.0.113.0/24]
    sets: {wan_marks: {holds: interfaces, mark: 0x10}, wan_hosts: {holds: hosts, suffix: "::10"}}
docker: [{name: one, socket: /run/one.sock}, {name: two, socket: /run/two.sock, networks: {a: lan}}]
"""


def outcome(read: Callable[[], object]) -> object:
    try:
        return read()
    except ConfigError as problem:
        return problem.remarks
    except OSError as problem:
        return problem.errno, problem.strerror, problem.filename, str(problem)


@pytest.mark.parametrize("text", [GOOD, "interfaces: [{nam: eth0}]\nzones: 7\n", "a: [", None, "interfaces: []\n" * 2, "\udcff"])
def test_it_comes_to_the_same(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.yaml"
    if text is not None:
        path.write_bytes(text.encode("utf-8", "surrogateescape"))
    expected = outcome(lambda: load(str(path)))
    assert outcome(ReadingApart(str(path)).result) == expected
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_one_that_is_longer_than_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("zones: {%s}\n" % ", ".join("z%d: {table: inet t%d}" % (number, number) for number in range(3000)))
    assert ReadingApart(str(path)).result() == load(str(path))


def test_without_the_other_process_this_one_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(GOOD)
    fork = os.fork

    def fork_and_end() -> int:
        child = fork()
        if not child:
            signal.pause()
        os.kill(child, signal.SIGKILL)
        return child

    monkeypatch.setattr(os, "fork", fork_and_end)
    assert ReadingApart(str(path)).result() == load(str(path))

    def refuse() -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refuse)
    assert ReadingApart(str(path)).result() == load(str(path))
