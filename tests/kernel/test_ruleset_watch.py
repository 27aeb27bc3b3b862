"""Who else changes the ruleset, also while we commit very many elements and do not listen."""

import errno
from typing import Iterator, List, Optional, Sequence

import pytest

from netmgr.config.schema import Nftables
from netmgr.io import ruleset
from netmgr.io.loop import Loop
from netmgr.io.nft import Nft, Watch
from netmgr.io.ruleset import MANY, Ruleset, watcher
from netmgr.values.events import RulesetChanged
from netmgr.values.outcomes import OVERTAKEN, Outcome
from netmgr.values.sets import Change
from tests.kernel.lab import Lab
from tests.kernel.nftables import DONE, add, make
from tests.nftables import ip
from tests.workbench import configuration

SETTINGS = configuration("").nftables
HOWS = pytest.mark.parametrize("how", ["events", "poll"])

FEW, VERY_MANY = [add("a", ip(1))], [add("a", *map(ip, range(10, 10 + MANY)))]


class Busy(Nft):
    """Somebody else commits just before or after us."""

    lab: Lab
    before: Optional[str] = None
    after: Optional[str] = None

    def commit(self, changes: Sequence[Change], generation: int = 0) -> Outcome:
        if self.before is not None:
            self.lab.nft(self.before)
        outcome = super().commit(changes, generation)
        if self.after is not None:
            self.lab.nft(self.after)
        return outcome


class Scene:
    def __init__(self, lab: Lab, how: str) -> None:
        self.heard: List[Optional[RulesetChanged]] = []
        self.loop = Loop()
        make(lab, a="type ipv4_addr;", b="type ipv4_addr;")
        with lab.inside():
            self.nft = Busy()
            self.nft.lab = lab
            self.ruleset = Ruleset(self.nft)
            self.watcher = watcher(self.loop, self.ruleset, settings(how), self.heard.extend, lambda: None)
            self.watcher.start()
        self.loop.turn(0.2)

    def commits(self, changes: Sequence[Change]) -> List[Optional[RulesetChanged]]:
        """What is heard of it."""
        self.heard.clear()
        assert self.ruleset.commit(changes, 0) == DONE
        self.loop.turn(0.2)
        return self.heard


def settings(how: str) -> Nftables:
    return SETTINGS._replace(watch=how, poll_interval=0.01)


@pytest.fixture
def scene(lab: Lab, how: str) -> Iterator[Scene]:
    made = Scene(lab, how)
    yield made
    made.watcher.stop()
    made.nft.close()
    made.loop.close()


@HOWS
@pytest.mark.parametrize("changes", [FEW, VERY_MANY], ids=["few", "many"])
def test_our_own_commits_are_no_news(scene: Scene, changes: Sequence[Change]) -> None:
    assert scene.commits(changes) == []
    assert scene.commits([add("b", ip(2))]) == []


@HOWS
@pytest.mark.parametrize("changes", [FEW, VERY_MANY], ids=["few", "many"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_what_others_commit_meanwhile_is_noticed(scene: Scene, changes: Sequence[Change], when: str) -> None:
    setattr(scene.nft, when, "add element inet t b { 10.0.0.77 }")
    assert scene.commits(changes)


@HOWS
def test_after_a_large_commit_others_are_noticed_as_before(lab: Lab, scene: Scene, how: str) -> None:
    scene.commits(VERY_MANY)
    lab.nft("add element inet t b { 10.0.0.78 }")
    scene.loop.turn(0.2)
    assert [None if by is None else by.process for by in scene.heard] == ["nft" if how == "events" else None]


@HOWS
@pytest.mark.parametrize("changes", [FEW, VERY_MANY], ids=["few", "many"])
def test_a_commit_for_a_generation_that_is_over_is_stale_and_the_reason_is_noticed(scene: Scene, changes: Sequence[Change]) -> None:
    scene.nft.before = "add element inet t b { 10.0.0.77 }"
    assert scene.ruleset.commit(changes, scene.ruleset.generation()) == OVERTAKEN
    scene.loop.turn(0.2)
    assert scene.heard


@HOWS
def test_a_large_commit_that_fails_is_told_and_no_news(scene: Scene) -> None:
    assert not scene.ruleset.commit([*VERY_MANY, add("none", ip(1))], 0).committed
    scene.loop.turn(0.2)
    assert scene.heard == []


@pytest.mark.parametrize("how", ["events"])
@pytest.mark.parametrize("call", ["drain", "join"])
def test_after_a_time_of_deafness_everything_is_looked_at(lab: Lab, scene: Scene, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    monkeypatch.setattr(ruleset, "RETRY", 3.0)

    def refuse(_watch: Watch) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")
    with monkeypatch.context() as patch:
        patch.setattr(Watch, call, refuse)
        lab.nft("add set inet t c { type ipv4_addr; }")
        scene.ruleset.commit(VERY_MANY, 0)
        scene.loop.turn(0.2)
        assert (scene.watcher.state, scene.watcher.error) == ("error", "foreign changes cannot be noticed: Cannot allocate memory")
    while scene.watcher.state != "ok":
        scene.loop.turn(10)
    assert None in scene.heard
    scene.heard.clear()
    lab.nft("add set inet t d { type ipv4_addr; }")
    while not scene.heard:
        scene.loop.turn(10)
