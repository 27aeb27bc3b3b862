"""Include files follow the sets, at a bounded cost."""

from typing import Dict, List, Optional

import pytest

from netmgr.model.managed_set import ManagedSet
from netmgr.model.model import TAKEN_AT_ONCE, Model
from netmgr.sync.include_files import REST_SHORTEST, SLICE, IncludeWriter
from netmgr.values.sets import SetName
from tests.workbench import Bench, gone, key, named, seen


class Files:
    """A directory in memory; writing may fail, and takes `cost` seconds of the clock."""

    def __init__(self) -> None:
        self.contents: Dict[SetName, str] = {}
        self.writes: List[SetName] = []
        self.trouble: str = ""
        self.doubts = 0
        self.now, self.cost = 100.0, 0.0

    def write(self, name: SetName, text: str) -> None:
        self.now += self.cost
        if self.trouble:
            raise OSError(28, self.trouble, "/run/%s" % name.name)
        self.writes.append(name)
        self.contents[name] = text

    def empty(self, name: SetName) -> None:
        if name in self.contents:
            self.write(name, "")

    def read(self, name: SetName) -> Optional[str]:
        return self.contents.get(name)

    def names(self) -> List[SetName]:
        return sorted(self.contents)

    def remove(self, name: SetName) -> None:
        if self.trouble:
            raise OSError(self.trouble)
        self.contents.pop(name, None)

    def doubt(self) -> None:
        self.doubts += 1


class Desk:
    """A bench with include files."""

    def __init__(self) -> None:
        self.bench, self.files = Bench(), Files()
        self.includes = IncludeWriter(self.files, lambda: self.files.now, lambda level, line: self.bench.log.append((level, line)))

    def settle(self) -> None:
        """A while after the last time."""
        self.files.now += REST_SHORTEST
        self.bench.settle(self.files.now)
        self.includes.write(self.bench.model)

    def text(self, name: str) -> str:
        return self.files.contents[named(name)]


def test_a_file_says_what_is_netmgrs_in_the_set() -> None:
    desk = Desk()
    desk.bench.make("wan_ips", foreign="192.0.2.2")
    desk.bench.make("wan_nets", foreign="192.0.2.0/25")
    desk.bench.happen(seen("192.0.2.1/24"), seen("192.0.2.2/24"))
    desk.settle()
    assert desk.text("wan_ips") == 'elements = { 192.0.2.1 comment "netmgr" }\n'
    assert desk.text("wan_nets") == 'elements = { 192.0.2.128/25 comment "netmgr" }\n'
    desk.bench.happen(gone("192.0.2.1/24"))
    desk.settle()
    assert desk.text("wan_ips") == ""


def test_while_a_set_is_missing_its_file_says_what_it_should_hold_and_nothing_wakes_up_for_it() -> None:
    desk = Desk()
    desk.bench.make("wan_ips")
    desk.settle()
    del desk.bench.kernel.sets[named("wan_ips")]
    desk.bench.look()
    desk.bench.happen(seen("192.0.2.1/24"))
    desk.settle()
    assert desk.text("wan_ips") == 'elements = { 192.0.2.1 comment "netmgr" }\n'
    desk.settle()
    assert desk.includes.deadline(desk.bench.model) is None
    written = len(desk.files.writes)
    desk.settle()
    assert len(desk.files.writes) == written


def test_writing_rests_in_proportion_to_what_it_takes_and_a_stop_waits_for_nothing() -> None:
    desk = Desk()
    desk.bench.make("wan_ips")
    desk.settle()
    desk.files.cost = 0.01
    desk.bench.happen(seen("192.0.2.1/24"))
    desk.settle()
    desk.bench.happen(seen("192.0.2.2/24"))
    desk.settle()
    assert "192.0.2.2" not in desk.text("wan_ips")
    due = desk.includes.deadline(desk.bench.model)
    assert due is not None and desk.files.now < due <= desk.files.now + 1
    desk.files.now = due
    desk.settle()
    assert "192.0.2.2" in desk.text("wan_ips")
    desk.bench.happen(seen("192.0.2.3/24"))
    desk.bench.settle()
    desk.includes.write(desk.bench.model, at_once=True)
    assert "192.0.2.3" in desk.text("wan_ips")


def test_changes_that_follow_each_other_closely_are_written_together() -> None:
    desk = Desk()
    desk.bench.make("wan_ips")
    for number in range(101, 103):
        desk.bench.happen(seen("192.0.2.%d/24" % number))
        desk.settle()
    written = len(desk.files.writes)
    for number in range(1, 10):
        desk.files.now += REST_SHORTEST / 20
        desk.bench.happen(seen("192.0.2.%d/24" % number))
        desk.bench.settle()
        desk.includes.write(desk.bench.model)
    assert len(desk.files.writes) == written
    desk.settle()
    assert (len(desk.files.writes), desk.text("wan_ips").count("netmgr")) == (written + 1, 11)


def test_an_error_is_told_once_with_its_place_and_tried_again_until_it_is_gone() -> None:
    desk = Desk()
    desk.bench.make("wan_ips")
    desk.bench.make("wan_nets")
    desk.files.trouble = "no space"
    for number in range(1, 4):
        desk.bench.happen(seen("192.0.2.%d/24" % number))
        desk.settle()
    assert [line for level, line in desk.bench.log if level == "warning"] == ["include files: /run/wan_ips: no space"]
    assert desk.bench.managed("wan_ips").warning == "its include file cannot be written: no space"
    attempts = []
    for _ in range(8):
        due = desk.includes.deadline(desk.bench.model)
        assert due is not None
        attempts.append(round(due - desk.files.now))
        desk.files.now = due
        desk.includes.write(desk.bench.model)
    assert attempts[:4] == [1, 2, 4, 8] and max(attempts) == 60
    desk.files.trouble = ""
    desk.files.now = desk.includes.deadline(desk.bench.model) or 0.0
    desk.includes.write(desk.bench.model)
    assert desk.text("wan_ips").count("netmgr") == 3
    assert desk.bench.managed("wan_ips").warning is None
    assert desk.includes.deadline(desk.bench.model) is None
    assert desk.bench.log[-1] == ("info", "include files: all are as they should be")


def test_a_stop_tries_once_more_and_a_file_that_could_not_go_goes_later() -> None:
    desk = Desk()
    desk.bench.make("wan_ips")
    desk.files.trouble = "no space"
    desk.bench.happen(seen("192.0.2.1/24"))
    desk.settle()
    desk.files.trouble = ""
    desk.includes.write(desk.bench.model, at_once=True)
    assert "192.0.2.1" in desk.text("wan_ips")
    desk.files.trouble = "busy"
    other = named("ip other lan_ips")
    desk.files.contents[other] = ""
    desk.includes.remove([other])
    assert other in desk.files.contents
    desk.files.trouble = ""
    desk.files.now = desk.includes.deadline(desk.bench.model) or 0.0
    desk.includes.write(desk.bench.model)
    assert other not in desk.files.contents


def test_files_go_with_their_sets_and_no_directory_means_no_files() -> None:
    desk = Desk()
    desk.bench.make("wan_ips")
    desk.settle()
    desk.includes.remove([named("wan_ips")])
    assert desk.files.contents == {}
    nowhere = IncludeWriter(None, lambda: 0.0, lambda _level, _line: None)
    desk.bench.happen(seen("192.0.2.1/24"))
    desk.settle()
    nowhere.write(desk.bench.model)
    nowhere.remove([named("wan_ips")])
    assert nowhere.deadline(desk.bench.model) is None


def test_without_a_directory_nothing_is_worked_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: List[SetName] = []

    def offer(_model: Model, managed: ManagedSet) -> List[bytes]:
        asked.append(managed.name)
        return []
    desk = Desk()
    desk.bench.make("wan_ips")
    desk.bench.look()
    monkeypatch.setattr(Model, "offer", offer)
    for files in (None, desk.files):
        desk.bench.happen(seen("192.0.2.1/24") if files is None else gone("192.0.2.1/24"))
        desk.bench.settle()
        IncludeWriter(files, lambda: 0.0, lambda _level, _line: None).write(desk.bench.model, at_once=True)
        assert (named("wan_ips") in asked) is (files is not None) and not desk.bench.model.unwritten


def test_in_doubt_every_file_is_written_again() -> None:
    desk = Desk()
    desk.bench.make("wan_ips")
    desk.bench.happen(seen("192.0.2.1/24"))
    desk.settle()
    written = list(desk.files.writes)
    desk.settle()
    assert desk.files.writes == written
    desk.includes.doubt(desk.bench.model)
    desk.settle()
    assert desk.files.doubts == 1 and desk.files.writes == [*written, named("wan_ips")]


def test_names_for_which_nft_has_no_notation_are_not_in_the_file() -> None:
    desk = Desk()
    desk.bench.make("wan_ifs", ours='a"b')
    desk.bench.model.hold = True
    desk.settle()
    assert desk.bench.ours("wan_ifs") == '"a"b" "eth0"'
    assert desk.files.contents[named("wan_ifs")] == 'elements = { "eth0" comment "netmgr" }\n'


def test_however_many_sets_there_are_each_has_its_file() -> None:
    """Also where looking for what is to be written takes all the time that there is."""
    names = ["z%d_ips" % number for number in range(TAKEN_AT_ONCE + 10)]
    desk = Desk()
    desk.bench = Bench("interfaces: [{name: eth0, nftables_zone: [%s]}]\n" % ", ".join(name[:-4] for name in names))
    for name in names:
        desk.bench.make(name)

    def clock() -> float:
        desk.files.now += 2 * SLICE
        return desk.files.now
    desk.includes = IncludeWriter(desk.files, clock, lambda level, line: desk.bench.log.append((level, line)))
    for address in ("192.0.2.1", "192.0.2.2"):
        desk.bench.happen(seen(address + "/24"))
        for _turn in range(len(names) * 4):
            desk.files.now = max(desk.files.now, desk.includes.deadline(desk.bench.model) or 0.0)
            desk.settle()
        assert not desk.bench.model.unwritten
        assert sorted(name.name for name, text in desk.files.contents.items() if address in text) == sorted(names)


class Slow(Desk):
    """Each look at the clock takes as long as a turn may work on files; the set has 5,000 addresses, and its file was written once."""

    def __init__(self, name: str = "wan_ips", merges: bool = False) -> None:
        super().__init__()
        self.set = self.bench.make(name, merges=merges)
        self.includes = IncludeWriter(self.files, self._clock, lambda level, line: self.bench.log.append((level, line)))
        self.bench.happen(*(seen("10.0.%d.%d/32" % divmod(number, 250)) for number in range(5000)))
        self.follow()
        self.files.writes.clear()

    def _clock(self) -> float:
        self.files.now += SLICE
        return self.files.now

    def settle(self) -> None:
        """When something is due."""
        self.files.now = max(self.files.now, self.includes.deadline(self.bench.model) or 0.0)
        super().settle()

    def follow(self) -> None:
        """Until nothing is due."""
        self.settle()
        for _turn in range(100):
            if self.includes.deadline(self.bench.model) is None:
                return
            self.settle()
        raise AssertionError("it does not come to an end")


def test_a_large_file_is_written_over_many_turns_and_says_what_was_so_when_that_began() -> None:
    desk = Slow()
    whole = desk.text("wan_ips")
    assert whole.count("netmgr") == 5000
    desk.bench.happen(gone("10.0.0.0/32"))
    desk.settle()
    assert desk.text("wan_ips") == whole, "it has only begun"
    desk.bench.happen(gone("10.0.0.1/32"), gone("10.0.7.7/32"), seen("192.0.2.1/24"))
    said = []
    while desk.includes.deadline(desk.bench.model) is not None:
        desk.settle()
        if desk.text("wan_ips") != whole and desk.text("wan_ips") not in said:
            said.append(desk.text("wan_ips"))
    first = whole.replace('10.0.0.0 comment "netmgr", ', "")
    second = first.replace('10.0.0.1 comment "netmgr", ', "").replace('10.0.7.7 comment "netmgr", ', "")
    assert said == [first, second.replace(" }", ', 192.0.2.1 comment "netmgr" }')]
    assert len(desk.files.writes) == 2


def test_a_file_that_became_unsafe_while_it_was_worked_out_is_written_at_once_and_not_again() -> None:
    desk = Slow()
    desk.bench.happen(gone("10.0.0.0/32"))
    desk.settle()
    assert not desk.files.writes
    desk.bench.happen(gone("10.0.0.1/32"))
    desk.set.elements[key("203.0.113.1")] = False
    desk.bench.look()
    desk.settle()
    assert desk.text("wan_ips").startswith('elements = { 10.0.0.2 comment "netmgr", ')
    desk.follow()
    assert desk.files.writes == [named("wan_ips")]


def test_the_file_of_an_auto_merge_set_says_at_once_what_is_taken_as_written() -> None:
    desk = Slow("wan_nets", merges=True)
    assert desk.text("wan_nets").startswith('elements = { 10.0.0.0-10.0.0.249 comment "netmgr", ')
    desk.bench.happen(gone("10.0.0.249/32"))
    desk.settle()
    assert desk.text("wan_nets").startswith('elements = { 10.0.0.0-10.0.0.248 comment "netmgr", ')


def test_no_file_comes_of_a_set_that_went_while_it_was_worked_out() -> None:
    desk = Slow()
    desk.bench.happen(gone("10.0.0.0/32"))
    desk.settle()
    desk.bench.model.retire_all()
    desk.includes.remove([named("wan_ips")])
    desk.follow()
    assert not desk.files.writes and named("wan_ips") not in desk.files.contents


def test_a_stop_writes_all_of_what_was_begun() -> None:
    desk = Slow()
    desk.bench.happen(gone("10.0.0.0/32"))
    desk.settle()
    desk.bench.happen(gone("10.0.0.1/32"))
    desk.bench.settle()
    desk.includes.write(desk.bench.model, at_once=True)
    assert desk.text("wan_ips").startswith('elements = { 10.0.0.2 comment "netmgr", ') and desk.text("wan_ips").count("netmgr") == 4998
