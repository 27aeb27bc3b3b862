"""The daemon's wiring, with fakes at its edge: when it settles, what a reload swaps, what a resync reads, in which order it ends."""

import os
import signal
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional

import pytest

from netmgr.config.schema import Config
from netmgr.daemon import Daemon
from netmgr.io.clock import utc
from netmgr.io.configuration import load
from netmgr.io.include_files import IncludeFiles
from netmgr.io.log import Log
from netmgr.io.loop import Loop
from netmgr.keeper import Keeper
from netmgr.reloading import Edge, Options
from netmgr.sources import Recipe
from netmgr.values.addresses import IFA_F_PERMANENT, IFA_F_TENTATIVE, identity
from netmgr.values.counters import Told
from netmgr.values.errors import ProtocolError
from netmgr.values.events import Event, LinkSeen
from netmgr.values.outcomes import Outcome
from netmgr.values.sets import IPV4_ADDR
from netmgr.values.snapshots import Snapshot
from netmgr.values.text import Log as Say
from netmgr.values.text import reason
from tests.fakekernel import FakeKernel
from tests.waiting import PATIENCE
from tests.workbench import container, gone, key, keys, named, seen

WAN = """
interfaces: [{name: eth0, nftables_zone: wan}]
docker: {enabled: false}
"""
LAN = WAN.replace("wan", "lan")
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Clock(Loop):
    """A loop whose time can be ahead of the real one."""

    ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead


class Source:
    """Tells when it is told to; what is done to it goes into a diary."""

    def __init__(self, name: str, diary: List[str], begin: Callable[[], None] = lambda: None, pending: bool = False) -> None:
        self.state, self.error, self.pending, self.behind = "ok", None, pending, False
        self.facts: Dict[str, int] = {}
        self.told = Told()
        self._name, self._diary, self._begin = name, diary, begin
        diary.append("make " + name)

    error: Optional[str]
    say: Say

    def start(self) -> None:
        self._diary.append("start " + self._name)
        self._begin()

    def refresh(self) -> None:
        self._diary.append("refresh " + self._name)
        self._begin()

    def stop(self) -> None:
        self._diary.append("stop " + self._name)


class Scene:
    """A daemon with three sources: `links`, which is vital, `boxes`, whose settings are the docker section, and `last`, which may fail."""

    def __init__(self, directory: Path, text: str = WAN) -> None:
        self.path, self.socket, self.includes = directory / "netmgr.yaml", directory / "sock", directory / "includes"
        self.diary: List[str] = []
        self.sources: Dict[str, Source] = {}
        self.refusal: Optional[Exception] = None
        self.boxes_pending = False
        self.events: List[Event] = [LinkSeen(1, "eth0", True), seen("192.0.2.1/24")]
        self.kernel, self.loop = FakeKernel(), Clock()
        self.log = Log("info", False, os.open(directory / "log", os.O_CREAT | os.O_RDWR))
        for name in ("wan_ips", "lan_ips"):
            self.kernel.make(named(name), IPV4_ADDR)
        self.configure(text)
        options = Options(str(self.path), str(self.socket), None, False, "")
        self.daemon = Daemon(self.loop, options, load(str(self.path)), self.log, Edge(self.kernel, self._recipes))

    def configure(self, text: str) -> None:
        self.path.write_text(text + "nftables: {include_dir: %s}\n" % self.includes if "nftables:" not in text else text)

    def start(self) -> "Scene":
        self.daemon.start()
        self.turn()
        return self

    def turn(self) -> None:
        self.loop.turn(0)
        self.loop.turn(0)

    def happen(self, *events: Event) -> None:
        self.keeper.events(events)

    def told(self) -> str:
        return (self.path.parent / "log").read_text()

    def held(self, name: str) -> List[str]:
        return sorted(".".join(map(str, each)) for each in self.kernel.sets[named(name)].elements)

    def ask(self, what: str) -> str:
        answers: List[str] = []
        getattr(self.daemon.desk, what)(answers.append)
        self.until(lambda: bool(answers))
        (answer,) = answers
        return answer

    def until(self, condition: Callable[[], bool]) -> None:
        """Turn until it is so; a configuration is read by another process."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            self.loop.turn(0.01)

    def _recipes(self, config: Config, keeper: Keeper) -> List[Recipe]:
        self.keeper = keeper

        def tell() -> None:
            keeper.snapshot(Snapshot([], {}, True))
            self.happen(*self.events)

        def links(say: Say) -> Source:
            return self._made(Source("links", self.diary, tell), say)

        def boxes(say: Say) -> Source:
            return self._made(Source("boxes", self.diary, pending=self.boxes_pending), say)

        def last(say: Say) -> Source:
            if self.refusal is not None:
                raise self.refusal
            return self._made(Source("last", self.diary, keeper.doubt), say)

        return [Recipe("links", None, links, vital=True), Recipe("boxes", config.docker[0]._replace(entry=None), boxes),
                Recipe("last", config.nftables.watch, last)]

    def _made(self, source: Source, say: Say) -> Source:
        source.say = say
        self.sources[self.diary[-1].split()[1]] = source
        return source


def causes(scene: Scene) -> List[Optional[str]]:
    """Why sets have changed so far."""
    return [each.cause for each in scene.daemon.desk.log(1000, ()) if each is not None and each.kind == "elements-changed"]


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    yield from scenes(tmp_path, WAN)


def scenes(tmp_path: Path, text: str) -> Iterator[Scene]:
    handlers = {signum: signal.getsignal(signum) for signum in SIGNALS}
    made = Scene(tmp_path, text)
    yield made
    if made.socket.exists():
        made.daemon.stop()
    made.loop.close()
    for signum, handler in handlers.items():
        signal.signal(signum, handler)


# -- settling


def test_links_that_are_not_known_yet_hold_back_neither_containers_nor_repairs(tmp_path: Path) -> None:
    for scene in scenes(tmp_path, WAN.replace("{enabled: false}", "{nftables_zone: boxes}")):
        scene.kernel.make(named("wan_ips"), IPV4_ADDR, ours=keys("192.0.2.1"))
        scene.kernel.make(named("boxes_ips"), IPV4_ADDR)
        events, scene.events, scene.sources["links"].pending = scene.events, [], True
        scene.start()
        scene.keeper.containers("", [container("c1", "172.18.0.2/16")], [])
        scene.turn()
        assert (scene.held("wan_ips"), scene.held("boxes_ips")) == (["192.0.2.1"], ["172.18.0.2"]), "an interface may have the one"
        scene.kernel.sets[named("boxes_ips")].elements.clear()
        scene.keeper.repairs.changed([None])
        scene.loop.ahead += 60
        scene.turn()
        assert scene.held("boxes_ips") == ["172.18.0.2"] and "is ready" not in scene.told()
        scene.happen(*events, gone("192.0.2.1/24"), seen("192.0.2.2/24"))
        scene.sources["links"].pending = False
        scene.turn()
        assert scene.held("wan_ips") == ["192.0.2.2"] and "is ready" in scene.told()


@pytest.mark.parametrize("what", ["resync", "reload"])
def test_an_answer_waits_for_what_was_asked_of_the_sources(scene: Scene, what: str) -> None:
    scene.start()
    answers: List[str] = []
    scene.sources["boxes"].behind = True
    scene.diary.clear()
    getattr(scene.daemon.desk, what)(answers.append)
    scene.until(lambda: "refresh last" in scene.diary)
    assert answers == []
    scene.happen(seen("192.0.2.2/24"))
    scene.sources["boxes"].behind = False
    scene.turn()
    assert len(answers) == 1 and answers[0].startswith("OK: ") and "1 element added, 0 removed" in answers[0]


@pytest.mark.parametrize("what", ["resync", "reload"])
def test_what_cannot_be_read_is_an_error_that_names_it(scene: Scene, what: str) -> None:
    scene.start()
    boxes = scene.sources["boxes"]
    boxes.behind, boxes.state, boxes.error = True, "error", "nobody there"
    answer = scene.ask(what)
    assert answer.startswith("ERROR: re") and ", but not everything could be read: boxes (nobody there)" in answer
    scene.happen(seen("192.0.2.2/24"))
    scene.turn()
    assert scene.held("wan_ips") == ["192.0.2.1", "192.0.2.2"]


def test_who_asks_does_not_wait_for_ever(scene: Scene) -> None:
    scene.start()
    answers: List[str] = []
    scene.sources["boxes"].behind = True
    scene.daemon.desk.resync(answers.append)
    scene.turn()
    scene.loop.ahead += 60
    scene.turn()
    assert answers == ["ERROR: resynced, but not everything could be read: boxes (no answer yet); so far nothing had to change"]


def test_a_set_that_cannot_be_read_is_named(scene: Scene) -> None:
    scene.start()
    scene.kernel.unreadable[named("wan_ips")] = OSError(5, "Input/output error")
    assert scene.ask("resync") == ("ERROR: resynced, but not everything could be read: inet filter wan_ips (it cannot be read: "
                                   "Input/output error); so far nothing had to change")


def test_the_socket_stays_and_the_answer_says_where(scene: Scene) -> None:
    scene.start()
    scene.configure(WAN + "socket_path: /elsewhere\n")
    assert scene.ask("reload").endswith("; the control socket stays at %s until a restart" % scene.socket)


def test_what_nothing_claims_is_spared_until_every_source_has_told(scene: Scene) -> None:
    scene.kernel.make(named("wan_ips"), IPV4_ADDR, ours=keys("192.0.2.9"))
    scene.sources["boxes"].pending = True
    scene.start()
    assert scene.held("wan_ips") == ["192.0.2.1", "192.0.2.9"]
    scene.sources["boxes"].pending = False
    scene.turn()
    assert scene.held("wan_ips") == ["192.0.2.1"]
    assert causes(scene)[-1] == "start", "it was kept for what an earlier run had from this source"


def test_what_one_turn_brings_is_one_transaction(scene: Scene) -> None:
    scene.start()
    before = len(scene.kernel.commits)
    scene.happen(seen("192.0.2.2/24"), gone("192.0.2.1/24"))
    scene.happen(seen("192.0.2.3/24"))
    scene.turn()
    assert (len(scene.kernel.commits), scene.held("wan_ips")) == (before + 1, ["192.0.2.2", "192.0.2.3"])


def test_a_set_that_failed_is_tried_again_without_any_event(scene: Scene) -> None:
    scene.kernel.refuses[named("wan_ips")] = (1, "not permitted")
    scene.start()
    assert scene.daemon.desk.status().state == "degraded"
    scene.kernel.refuses.clear()
    scene.loop.ahead += 3600
    scene.turn()
    assert (scene.held("wan_ips"), scene.daemon.desk.status().state) == (["192.0.2.1"], "ready")
    assert causes(scene) == ["tried again"]


@pytest.mark.parametrize(("why", "cause"), [
    ("retry", "netlink: it could be read again; eth0: address changed"),
    ("overrun", "netlink: events were lost; eth0: address changed"), ("asked", "eth0: address changed"),
])
def test_what_a_look_has_found_is_told_with_why_one_looked(scene: Scene, why: str, cause: str) -> None:
    scene.start()
    known = len(causes(scene))
    for flags in (IFA_F_TENTATIVE, IFA_F_TENTATIVE, IFA_F_PERMANENT):
        address = seen("192.0.2.1/24", flags)
        scene.keeper.snapshot(Snapshot([LinkSeen(1, "eth0", True)], {1: {identity(address.local, 24, address.local): flags}}, True, why))
        scene.turn()
    assert scene.held("wan_ips") == ["192.0.2.1"] and causes(scene)[known:] == [cause, cause]


def test_an_audit_finds_what_no_event_has_told(scene: Scene) -> None:
    scene.start()
    del scene.kernel.sets[named("wan_ips")].elements[key("192.0.2.1")]
    scene.turn()
    assert scene.held("wan_ips") == []
    scene.loop.ahead += 3600
    scene.turn()
    assert scene.held("wan_ips") == ["192.0.2.1"]


# -- what is asked for


def test_a_resync_reads_everything(scene: Scene) -> None:
    scene.start()
    scene.diary.clear()
    scene.kernel.sets[named("wan_ips")].elements.clear()
    assert scene.ask("resync") == "OK: resynced: 1 element added, 0 removed"
    assert (scene.diary, scene.held("wan_ips")) == (["refresh links", "refresh boxes", "refresh last"], ["192.0.2.1"])
    assert scene.ask("resync") == "OK: resynced: nothing had to change"


def test_a_source_that_is_lost_and_found_is_a_happening(scene: Scene) -> None:
    scene.start()
    for state, error in (("error", "nobody there"), ("ok", None)):
        scene.sources["boxes"].state, scene.sources["boxes"].error = state, error
        scene.loop.turn(0)
    told = [(each.kind, each.cause, each.error) for each in scene.daemon.desk.log(10, ["boxes"]) if each is not None]
    assert told == [("source-lost", "boxes: error", "nobody there"), ("source-ok", "boxes: ok", None)]
    assert [line[17:] for line in scene.told().splitlines()[-2:]] == ["boxes: nobody there", "boxes: ok"]


def test_what_a_source_says_when_its_state_has_changed_is_the_line_of_that_happening(scene: Scene) -> None:
    scene.start()
    boxes, before = scene.sources["boxes"], scene.told()
    boxes.say("info", "boxes: by the way")
    for state, level, line in (("error", "warning", "boxes: all are gone"), ("ok", "info", "boxes: found again")):
        boxes.state = state
        boxes.say(level, line)
        boxes.say(level, "boxes: and more")
        scene.loop.turn(0)
    assert [(each.kind, each.text) for each in scene.daemon.desk.log(10, ["boxes"]) if each is not None] == [
        ("source-lost", "boxes: all are gone"), ("source-ok", "boxes: found again")]
    assert [line[9:] for line in scene.told()[len(before):].splitlines()] == [
        "info    boxes: by the way", "warning boxes: all are gone", "warning boxes: and more",
        "info    boxes: found again", "info    boxes: and more"]


def test_an_error_of_a_source_that_is_well_began_when_it_was_told(scene: Scene) -> None:
    """etcd refuses, for one, and what it said before still counts."""
    scene.start()
    boxes, noon = scene.sources["boxes"], utc()
    assert "since" not in scene.daemon.desk.status().sources["boxes"].facts
    boxes.error = "Connection refused"
    boxes.say("warning", "boxes: Connection refused")
    (problem,) = [each for each in scene.daemon.desk.status().problems if each.about == "boxes"]
    assert problem.since is not None and problem.since >= noon and scene.told().endswith("boxes: Connection refused\n")


def test_the_status_shows_the_sources_as_they_are(scene: Scene) -> None:
    scene.start()
    scene.sources["boxes"].state, scene.sources["boxes"].error = "error", "nobody there"
    scene.sources["links"].facts["overruns"] = 3
    status = scene.daemon.desk.status()
    assert (status.state, list(status.sources)) == ("degraded", ["links", "boxes", "last"])
    assert status.sources["links"].facts["overruns"] == 3 and status.sources["boxes"].facts["error"] == "nobody there"


# -- reload


def test_a_reload_swaps_in_one_transaction(scene: Scene) -> None:
    scene.start()
    scene.diary.clear()
    before = len(scene.kernel.commits)
    scene.configure(LAN)
    assert scene.ask("reload").startswith("OK: reloaded %s: 1 element added, 1 removed; " % scene.path)
    assert (len(scene.kernel.commits), scene.held("wan_ips"), scene.held("lan_ips")) == (before + 1, [], ["192.0.2.1"])
    assert scene.diary == ["refresh links", "refresh boxes", "refresh last"]


def test_a_source_with_other_settings_is_made_before_the_old_one_ends(scene: Scene) -> None:
    scene.start()
    scene.diary.clear()
    scene.boxes_pending = True
    scene.configure(WAN.replace("{enabled: false}", "{socket: /nowhere}"))
    assert scene.ask("reload").startswith("OK: reloaded")
    assert scene.diary == ["make boxes", "stop boxes", "refresh links", "start boxes", "refresh last"]
    scene.kernel.make(named("wan_ips"), IPV4_ADDR, ours=keys("192.0.2.9"))
    scene.keeper.doubt()
    scene.turn()
    assert scene.held("wan_ips") == ["192.0.2.1", "192.0.2.9"], "the new one has told nothing yet"


def test_containers_stay_over_a_reload(scene: Scene) -> None:
    scene.start()
    scene.keeper.containers("", [container("c1", "172.18.0.2/16", label="wan")], [])
    scene.turn()
    before = scene.held("wan_ips")
    scene.configure(WAN + "log_level: error\n")
    scene.ask("reload")
    assert (scene.held("wan_ips"), len(scene.daemon.desk.status().containers)) == (before, 1)


@pytest.mark.parametrize("refusal", [None, OSError(24, "Too many open files"), ProtocolError("odd")])
def test_a_failed_reload_changes_nothing(scene: Scene, tmp_path: Path, refusal: Optional[Exception]) -> None:
    scene.start()
    scene.diary.clear()
    model, config, commits = scene.keeper.model, scene.keeper.config, list(scene.kernel.commits)
    scene.refusal = refusal
    elsewhere = tmp_path / "elsewhere"
    nftables = "nftables: {watch: poll, include_dir: %s}\n" % elsewhere
    scene.configure(LAN.replace("{enabled: false}", "{socket: /nowhere}") + "log_level: debug\n" + nftables
                    if refusal is not None else "interfaces: 5\n")
    assert scene.ask("reload").startswith("ERROR: " if refusal is None else "ERROR: last: %s" % reason(refusal))
    scene.turn()
    assert scene.diary == ([] if refusal is None else ["make boxes", "stop boxes"])
    assert (scene.keeper.model, scene.keeper.config, scene.kernel.commits, scene.log.level) == (model, config, commits, "info")
    IncludeFiles(str(elsewhere)).claim()        # a BlockingIOError would say that the daemon has it
    scene.happen(seen("192.0.2.2/24"))
    scene.turn()
    assert scene.held("wan_ips") == ["192.0.2.1", "192.0.2.2"]


def test_a_hangup_is_a_reload(scene: Scene) -> None:
    scene.start()
    scene.configure(LAN)
    signal.raise_signal(signal.SIGHUP)
    scene.until(lambda: "reloaded" in scene.told())
    assert scene.held("lan_ips") == ["192.0.2.1"]


def test_who_asks_while_it_is_read_gets_what_is_there_then(scene: Scene) -> None:
    scene.start()
    answers: List[str] = []
    scene.daemon.desk.reload(answers.append)
    scene.configure(LAN)
    scene.daemon.desk.reload(answers.append)
    scene.daemon.desk.reload(answers.append)
    scene.until(lambda: len(answers) == 3)
    assert answers[1] == answers[2] and scene.told().count("reloaded") == 2, "once for both of them"
    assert scene.held("lan_ips") == ["192.0.2.1"]


def test_what_cannot_be_read_apart_is_read_here(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.start()
    monkeypatch.setattr(os, "fork", failing)
    scene.configure(LAN)
    assert scene.ask("reload").startswith("OK: reloaded") and scene.held("lan_ips") == ["192.0.2.1"]


# -- beginning and end


def test_a_start_that_fails_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scene, "_recipes", lambda *_details: [Recipe("none", None, lambda _say: failing())])
    with pytest.raises(OSError, match="no descriptor"):
        Scene(tmp_path)
    assert not (tmp_path / "sock").exists()


def failing() -> Source:
    raise OSError("no descriptor")


@pytest.mark.parametrize(("on_stop", "left"), [("keep", ["192.0.2.1"]), ("remove", [])])
def test_the_order_of_a_stop(tmp_path: Path, on_stop: str, left: List[str]) -> None:
    includes = tmp_path / "includes"
    for scene in scenes(tmp_path, WAN + "nftables: {on_stop: %s, include_dir: %s}\n" % (on_stop, includes)):
        scene.start()
        scene.diary.clear()

        def committed(scene: Scene = scene) -> Optional[Outcome]:
            scene.diary.append("commit, socket %s" % scene.socket.exists())
            return None
        scene.kernel.before_commit = [committed]
        scene.daemon.stop()
        stops = ["stop links", "stop boxes", "stop last"]
        assert scene.diary == (stops if on_stop == "keep" else [*stops, "commit, socket True"])
        assert (scene.held("wan_ips"), scene.socket.exists()) == (left, False)
        assert ("inet.filter.wan_ips.nft" in os.listdir(includes)) == (on_stop == "keep")


def test_shutdown_ends_the_loop_after_its_answer(scene: Scene) -> None:
    scene.start()
    scene.loop.before_sleep.append(lambda: scene.ask("shutdown"))
    scene.loop.run()
    assert scene.held("wan_ips") == ["192.0.2.1"]
