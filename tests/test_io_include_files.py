"""Include files: whole or not at all, written only when they change."""

import os
from pathlib import Path

import pytest

from netmgr.io.include_files import IncludeFiles
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
