"""The source of links and addresses, when the first snapshot does not come at once."""

from typing import Iterator, List, Optional, Tuple

import pytest

from netmgr.errors import ProtocolError
from netmgr.events import LinkSeen
from netmgr.io.links import LinkSource
from netmgr.io.loop import Loop
from netmgr.io.rtnetlink import RequestSocket, Snapshot
from tests.kernel.lab import Lab
from tests.waiting import eventually


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


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
        source = LinkSource(loop, lambda events: None, replaced.append, lambda level, line: log.append((level, line)))
    assert (source.settle(), source.settle(), replaced) == (False, False, [])
    assert (source.state, [level for level, _line in log]) == (state, [] if problem is None else ["error"])

    def settled() -> bool:
        loop.turn(0.1)
        return source.settle()

    eventually(settled)
    assert (source.state, source.resyncs, len(replaced)) == ("ok", 1, 1)
    assert {link.name for link in replaced[0].links if isinstance(link, LinkSeen)} == {"lo", "eth0"}
    source.close()
