"""Netlink messages as text, held against libmnl's own mnl_nlmsg_fprintf(), which nft needs and so is there."""

import ctypes
import random
import re
import socket
import struct
from pathlib import Path
from typing import List

import pytest

from netmgr.io.trace import traced, wanted
from netmgr.values.errors import ConfigError
from netmgr.wire import netlink_text
from netmgr.wire.netlink import attribute, request

ROUTE, NETFILTER = netlink_text.NETLINK_ROUTE, netlink_text.NETLINK_NETFILTER
LINK = request(16, 0x4, 7, bytes(16) + attribute(3, b"eth0\0") + attribute(0x8012, attribute(1, b"vlan")) + attribute(0x4005, b"abcd"))
ADDRESS = request(
    20, 0x2, 0xFFFFFFFF, struct.pack("=BBBBI", 2, 24, 128, 0, 2) + attribute(2, bytes((192, 0, 2, 1))) + attribute(3, b"lo~\n"))
ELEMENTS = request(
    10 << 8 | 12, 0x0C, 1, bytes(4) + attribute(1, b"filter\0") + attribute(0x8003, attribute(0x8001, attribute(1, b"\1\2\3"))))
ERROR = struct.pack("=IHHIIi", 36, 2, 0, 9, 4711, -2) + request(20, 0, 9)
SAMPLES = [(ROUTE, LINK, 16), (ROUTE, ADDRESS, 8), (NETFILTER, ELEMENTS, 4), (ROUTE, ERROR, 0), (NETFILTER, ERROR, 4)]


def of_libmnl(buffer: bytes, extra: int, path: Path) -> List[str]:
    libc, libmnl = ctypes.CDLL(None), ctypes.CDLL("libmnl.so.0")
    libc.fopen.restype = ctypes.c_void_p
    file = ctypes.c_void_p(libc.fopen(str(path).encode(), b"w"))
    libmnl.mnl_nlmsg_fprintf(file, buffer, ctypes.c_size_t(len(buffer)), ctypes.c_size_t(extra))
    libc.fclose(file)
    plain = re.sub(rb"\x1b\[[0-9;]*m", b"", path.read_bytes()).replace(b"\0", b" ").decode()
    return [line.expandtabs().rstrip() for line in plain.splitlines()]


@pytest.mark.parametrize(("protocol", "message", "extra"), SAMPLES, ids=range(len(SAMPLES)))
def test_it_is_what_libmnl_prints(protocol: int, message: bytes, extra: int, tmp_path: Path) -> None:
    told = [line.rstrip() for line in netlink_text.layout(protocol, message)]
    assert told[1:] == of_libmnl(message, extra, tmp_path / "libmnl")


def test_names_of_messages() -> None:
    names = [next(netlink_text.layout(protocol, message)) for protocol, message, _extra in SAMPLES]
    assert names == ["RTM_NEWLINK", "RTM_NEWADDR", "NFT_MSG_NEWSETELEM", "NLMSG_ERROR", "NLMSG_ERROR"]
    assert [netlink_text.name(NETFILTER, kind) for kind in (16, 17, 2575, 5 << 8)] == [
        "NFNL_MSG_BATCH_BEGIN", "NFNL_MSG_BATCH_END", "NFT_MSG_NEWGEN", "message 1280"]
    assert [netlink_text.name(ROUTE, kind) for kind in (21, 24, 18, 36)] == ["RTM_DELADDR", "RTM_NEWROUTE", "RTM_GETLINK", "message 36"]


def test_what_is_no_netlink_is_said_to_be_none() -> None:
    chance = random.Random(9)
    for length in range(200):
        garbage = bytes(chance.randrange(256) for _ in range(length))
        assert all(line.isprintable() for protocol in (ROUTE, NETFILTER) for line in netlink_text.layout(protocol, garbage))
    assert list(netlink_text.layout(ROUTE, ADDRESS + b"xx"))[-1] == "netlink: 2 bytes where a message header should be"
    for end in range(1, len(ADDRESS)):
        assert list(netlink_text.layout(ROUTE, ADDRESS[:end]))[-1].startswith("netlink: ")


def test_only_what_is_asked_for_is_traced(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    here, there = socket.socketpair()
    with here, there:
        assert traced("control", here) is here
        monkeypatch.setenv("NETMGR_TRACE", "docker, control")
        assert traced("netlink", here) is here
        here.setblocking(False)
        with traced("control", here) as told:
            with pytest.raises(BlockingIOError):
                told.recv(100)
            there.sendall(b"ping\n")
            assert told.recv(1, socket.MSG_PEEK) == b"p"
            assert told.recv(100) == b"ping\n"
            told.send(b"PONG\nand more\n")
            assert there.recv(100) == b"PONG\nand more\n"
    assert [line.split(None, 2)[2] for line in capfd.readouterr().err.splitlines()] == [
        "control received: ping", "control sent: PONG", "control sent: and more"]


def test_a_word_that_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETMGR_TRACE", "netlink,nftable")
    with pytest.raises(ConfigError, match="NETMGR_TRACE: there is no 'nftable' to trace, only netlink, nftables, docker, control"):
        wanted()
