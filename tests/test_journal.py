"""Entries of the journal: what is sent, what is too large for a datagram, and what becomes of a line that the journal does not take."""

import array
import os
import socket
from pathlib import Path
from typing import Dict, Iterator

import pytest

from netmgr.io.journal import Journal, entry
from netmgr.io.log import Log

ENTRY = {"MESSAGE": "eth0: link up", "PRIORITY": "6", "SYSLOG_IDENTIFIER": "netmgr", "NETMGR_KIND": "link-up"}


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as listening:
        listening.bind(str(tmp_path / "journal"))
        yield listening


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    descriptor = os.open(tmp_path / "stderr", os.O_CREAT | os.O_RDWR)
    told = Log("info", True, descriptor)
    told.journal = Journal(str(tmp_path / "journal"))
    yield told
    told.journal.close()
    os.close(descriptor)


def fields(told: bytes) -> Dict[str, str]:
    """As journald reads it."""
    found = {}
    while told:
        name, _, rest = told.partition(b"\n")
        if b"=" in name:
            name, _, value = name.partition(b"=")
        else:
            size = int.from_bytes(rest[:8], "little")
            value, end, rest = rest[8:8 + size], rest[8 + size:9 + size], rest[9 + size:]
            assert end == b"\n"
        found[name.decode()] = value.decode()
        told = rest
    return found


def test_an_entry_has_its_fields_whatever_is_in_them() -> None:
    values = {"A": "b=c", "LINES": "one\ntwo\n", "EMPTY": "", "LAST": "é"}
    assert fields(entry(values.items())) == values


def test_a_line_with_fields_goes_to_the_journal_and_only_there(journald: socket.socket, log: Log, tmp_path: Path) -> None:
    log.with_fields("info", "eth0: link up", [("NETMGR_KIND", "link-up")])
    log.with_fields("debug", "not wanted", [])
    assert fields(journald.recv(4096)) == ENTRY
    with pytest.raises(BlockingIOError):
        journald.recv(1)
    assert (tmp_path / "stderr").read_bytes() == b""


def test_what_is_too_large_goes_in_a_sealed_file(journald: socket.socket, log: Log) -> None:
    log.with_fields("warning", "x" * 1_000_000, [("NETMGR_KIND", "repaired")])
    data, passed, _flags, _address = journald.recvmsg(10, socket.CMSG_SPACE(4))
    descriptor = array.array("i", passed[0][2])[0]
    with open(descriptor, "rb") as file:
        file.seek(0)
        found = fields(file.read())
    assert (data, len(found["MESSAGE"]), found["NETMGR_KIND"]) == (b"", 1_000_000, "repaired")


def test_a_journal_that_takes_nothing_is_not_waited_for(journald: socket.socket, log: Log, tmp_path: Path) -> None:
    assert log.journal is not None
    while log.journal.send(6, "again", ()):
        pass
    log.with_fields("info", "eth0: link up", [("NETMGR_KIND", "link-up")])
    assert (tmp_path / "stderr").read_text() == "<6>eth0: link up\n"


def test_without_a_journal_the_line_goes_to_stderr(log: Log, tmp_path: Path) -> None:
    log.with_fields("error", "inet filter wan_ips: is full", [("NETMGR_KIND", "set-error")])
    assert (tmp_path / "stderr").read_text() == "<3>inet filter wan_ips: is full\n"
