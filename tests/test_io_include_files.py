"""Include files: whole or not at all, written only when they change."""

import os
from pathlib import Path
from typing import Callable

import pytest

from netmgr.io.include_files import IncludeFiles, file_name, name_of
from netmgr.values.sets import SetName

NAME = SetName("inet", "filter", "wan_ips")
TEXT = 'elements = { 192.0.2.1 comment "netmgr" }\n'


def inode(path: Path) -> int:
    return path.stat().st_ino


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "run" / "netmgr"


def test_the_directory_and_the_file_come_with_their_modes(directory: Path) -> None:
    previous = os.umask(0o077)
    try:
        IncludeFiles(str(directory)).write(NAME, TEXT)
    finally:
        os.umask(previous)
    path = directory / "inet.filter.wan_ips.nft"
    assert path.read_text() == TEXT
    assert path.stat().st_mode & 0o7777 == 0o644
    assert directory.stat().st_mode & 0o7777 == 0o755
    assert os.listdir(directory) == [path.name]


def test_an_unchanged_file_is_not_written(directory: Path) -> None:
    files = IncludeFiles(str(directory))
    path = directory / "inet.filter.wan_ips.nft"
    files.write(NAME, TEXT)
    written = inode(path)
    files.write(NAME, TEXT)
    assert inode(path) == written
    IncludeFiles(str(directory)).write(NAME, TEXT)
    assert inode(path) == written, "another run compares with what is on the disk"
    with open(path) as reader:
        files.write(NAME, "")
        assert reader.read() == TEXT, "whoever reads the old file reads it to the end"
    assert path.read_text() == ""


def test_a_run_replaces_what_another_left(directory: Path) -> None:
    IncludeFiles(str(directory)).write(NAME, "old")
    IncludeFiles(str(directory)).write(NAME, TEXT)
    assert (directory / "inet.filter.wan_ips.nft").read_text() == TEXT


def test_remove_and_write_again(directory: Path) -> None:
    files = IncludeFiles(str(directory))
    files.remove(NAME)
    files.write(NAME, TEXT)
    files.remove(NAME)
    assert os.listdir(directory) == []
    files.write(NAME, TEXT)
    assert os.listdir(directory) == ["inet.filter.wan_ips.nft"]


def test_leftovers_go_and_other_files_stay(directory: Path) -> None:
    directory.mkdir(parents=True)
    (directory / ".inet.filter.lan_ips.nft.new").write_text("half")
    (directory / ".hidden").write_text("")
    (directory / "own.nft").write_text("")
    IncludeFiles(str(directory)).write(NAME, TEXT)
    assert sorted(os.listdir(directory)) == [".hidden", "inet.filter.wan_ips.nft", "own.nft"]


def test_a_directory_that_went_away_comes_back(directory: Path) -> None:
    files = IncludeFiles(str(directory))
    files.write(NAME, "old")
    os.unlink(directory / "inet.filter.wan_ips.nft")
    os.rmdir(directory)
    files.write(NAME, TEXT)
    assert (directory / "inet.filter.wan_ips.nft").read_text() == TEXT


def test_what_fails_is_tried_again(directory: Path) -> None:
    directory.parent.mkdir()
    directory.write_text("in the way")
    files = IncludeFiles(str(directory))
    for _attempt in range(2):
        with pytest.raises(OSError, match="netmgr"):
            files.write(NAME, TEXT)
    directory.unlink()
    files.write(NAME, TEXT)
    assert (directory / "inet.filter.wan_ips.nft").read_text() == TEXT


def test_a_failed_write_leaves_nothing_half(directory: Path) -> None:
    target = directory / "inet.filter.wan_ips.nft"
    target.mkdir(parents=True)
    files = IncludeFiles(str(directory))
    with pytest.raises(IsADirectoryError):
        files.write(NAME, TEXT)
    assert os.listdir(directory) == [target.name]


@pytest.mark.parametrize("name", [SetName("inet", "../../etc", "x"), SetName("inet", "filter", "a/b")])
def test_a_slash_leads_nowhere(directory: Path, name: SetName) -> None:
    with pytest.raises(OSError, match="slash"):
        IncludeFiles(str(directory)).write(name, TEXT)
    assert not directory.exists()


def test_in_doubt_the_file_is_compared_and_put_right(directory: Path) -> None:
    files = IncludeFiles(str(directory))
    path = directory / "inet.filter.wan_ips.nft"
    files.write(NAME, TEXT)
    written = inode(path)
    files.doubt()
    files.write(NAME, TEXT)
    assert inode(path) == written
    path.unlink()
    directory.rmdir()
    files.doubt()
    files.write(NAME, TEXT)
    assert path.read_text() == TEXT


@pytest.mark.parametrize(("name", "file"), [
    (SetName("inet", "filter.dmz", "lan_ips"), "inet.filter%2Edmz.lan_ips.nft"),
    (SetName("inet", "filter", "dmz.lan_ips"), "inet.filter.dmz%2Elan_ips.nft"),
    (SetName("ip6", ".", "50%2E"), "ip6.%2E.50%252E.nft"),
])
def test_no_two_sets_share_a_file(name: SetName, file: str) -> None:
    assert file_name(name) == file
    assert name_of(file) == name


@pytest.mark.parametrize("file", ["", "own.nft", "a.b.c", "a.b.c.d.nft", "..nft", "a..c.nft", "a.b%2e.c.nft", ".inet.filter.x.nft.new"])
def test_a_file_of_no_set(file: str) -> None:
    assert name_of(file) is None


def test_the_sets_of_which_there_are_files(directory: Path) -> None:
    files = IncludeFiles(str(directory))
    assert files.names() == []
    files.write(NAME, TEXT)
    (directory / "own.nft").touch()
    assert IncludeFiles(str(directory)).names() == [NAME]
    assert (files.read(NAME), files.read(SetName("inet", "filter", "other"))) == (TEXT, None)
    files.empty(NAME)
    files.empty(SetName("inet", "filter", "other"))
    assert (files.names(), files.read(NAME)) == ([NAME], "")


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("/dev/zero", path), lambda path: os.symlink("nowhere", path)])
def test_what_is_no_file_is_replaced(directory: Path, make: Callable[[Path], None]) -> None:
    path = directory / "inet.filter.wan_ips.nft"
    directory.mkdir(parents=True)
    make(path)
    files = IncludeFiles(str(directory))
    assert files.read(NAME) is None
    files.write(NAME, TEXT)
    assert path.is_file() and not path.is_symlink() and path.read_text() == TEXT


def test_a_directory_in_the_way_of_one_file_stops_no_other_and_has_a_name(directory: Path) -> None:
    path = directory / "inet.filter.wan_ips.nft"
    path.mkdir(parents=True)
    (directory / ".inet.filter.lan_ips.nft.new").mkdir()
    files = IncludeFiles(str(directory))
    with pytest.raises(IsADirectoryError) as raised:
        files.write(NAME, TEXT)
    assert raised.value.filename == str(path)
    files.write(SetName("inet", "filter", "dmz_ips"), TEXT)
    path.rmdir()
    files.write(NAME, TEXT)
    assert path.read_text() == TEXT


def test_a_directory_has_one_writer_who_says_who_he_is(directory: Path) -> None:
    first, second = (IncludeFiles(str(directory), "pid %d" % pid) for pid in (1, 2))
    first.claim()
    first.claim()
    with pytest.raises(BlockingIOError, match="another netmgr writes the include files there: pid 1"):
        second.claim()
    first.release()
    second.claim()
    with pytest.raises(BlockingIOError, match="pid 2"):
        first.claim()
    with pytest.raises(BlockingIOError):
        first.write(NAME, TEXT)
    second.release()
    first.write(NAME, TEXT)
    with pytest.raises(BlockingIOError, match="pid 1"):
        second.claim()


def test_a_claimed_directory_that_went_away_is_claimed_anew(directory: Path) -> None:
    first, second = (IncludeFiles(str(directory), "pid %d" % pid) for pid in (1, 2))
    first.claim()
    (directory / ".lock").unlink()
    directory.rmdir()
    first.write(NAME, TEXT)
    with pytest.raises(BlockingIOError, match="pid 1"):
        second.claim()


def test_what_lies_in_the_place_of_the_lock_is_an_error_and_holds_nobody_up(directory: Path) -> None:
    directory.mkdir(parents=True)
    (directory / ".lock").mkdir()
    with pytest.raises(OSError, match="directory"):
        IncludeFiles(str(directory)).claim()
