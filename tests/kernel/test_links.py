"""The source of links and addresses, when the first snapshot does not come at once."""

import signal
from typing import Iterator, List, Optional, Tuple

import pytest

from netmgr.daemon import Daemon, Options, edge
from netmgr.io.configuration import load
from netmgr.io.link_source import PATIENCE, LinkSource
from netmgr.io.log import Log
from netmgr.io.loop import Loop
from netmgr.io.rtnetlink import RequestSocket, Snapshot
from netmgr.values.errors import ProtocolError
from netmgr.values.events import LinkSeen
from tests.kernel.lab import Lab
from tests.kernel.running import CONFIG
from tests.waiting import eventually


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    handlers = {signum: signal.getsignal(signum) for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield made
    made.close()
    for signum, handler in handlers.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize(("problem", "state"), [(None, "connecting"), (OSError(16, "busy"), "error"), (ProtocolError("odd"), "error")])
def test_nothing_is_concluded_before_the_first_snapshot(
        lab: Lab, loop: Loop, monkeypatch: pytest.MonkeyPatch, problem: Optional[Exception], state: str) -> None:
    """Else an empty table would be taken for the truth, and every address would leave the sets."""
    lab.link("eth0")
    snapshot = RequestSocket.snapshot
    replaced: List[Snapshot] = []
    log: List[Tuple[str, str]] = []

    def first_time_in_vain(requests: RequestSocket) -> Snapshot:
        monkeypatch.setattr(RequestSocket, "snapshot", snapshot)
        if problem is not None:
            raise problem
        return Snapshot([], {}, False)

    monkeypatch.setattr(RequestSocket, "snapshot", first_time_in_vain)
    with lab.inside():
        source = LinkSource(loop, lambda events: False, replaced.append, lambda level, line: log.append((level, line)))
        assert (source.state, source.pending) == ("connecting", True)
        source.start()
    assert (source.pending, replaced) == (True, [])
    assert (source.state, [level for level, _line in log]) == (state, [] if problem is None else ["error"])

    def settled() -> bool:
        loop.turn(0.1)
        return not source.pending

    eventually(settled)
    assert (source.state, source.facts, len(replaced)) == ("ok", {"overruns": 0, "resyncs": 1}, 1)
    assert {link.name for link in replaced[0].links if isinstance(link, LinkSeen)} == {"lo", "eth0"}
    source.stop()


def test_a_daemon_that_can_conclude_nothing_says_so(lab: Lab, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    path, snapshot = lab.directory / "config.yaml", RequestSocket.snapshot
    path.write_text(CONFIG + "nftables: {include_dir: %s}\n" % lab.directory)
    monkeypatch.setattr(RequestSocket, "snapshot", lambda requests: Snapshot([], {}, False))
    with lab.inside():
        options = Options(str(path), str(lab.directory / "sock"), None, False, "")
        daemon = Daemon(loop, options, load(str(path)), log := Log("error", False), edge(loop, log))
        daemon.start()
    unsettled = "links and addresses cannot be read just now, the sets follow as soon as they can"
    replies: List[str] = []
    with lab.inside():
        for what in (daemon.resync, daemon.reload):
            what(replies.append)
        monkeypatch.setattr(RequestSocket, "snapshot", snapshot)
        for what in (daemon.resync, daemon.reload):
            what(replies.append)
    assert replies[0] == "ERROR: not resynced: " + unsettled
    assert replies[1].startswith("OK: reloaded %s: %s; " % (path, unsettled))
    assert replies[2] == "OK: resynced: nothing had to change"
    assert replies[3].startswith("OK: reloaded %s: nothing had to change; " % path)
    daemon.stop()


def test_that_snapshots_fail_for_long_is_told_once(lab: Lab, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot, log = RequestSocket.snapshot, []
    with lab.inside():
        source = LinkSource(loop, lambda events: False, lambda snapshot: None, lambda *line: log.append(line))
        for _ in range(2):
            monkeypatch.setattr(RequestSocket, "snapshot", lambda requests: Snapshot([], {}, False))
            source.start()
            for _ in range(3 * PATIENCE):
                source.refresh()
            monkeypatch.setattr(RequestSocket, "snapshot", snapshot)
            source.refresh()
            assert not source.pending and source.state == "ok"
    assert [line[:9] for _level, line in log] == ["netlink: "] * 2
    source.stop()
