"""Netlink framing: whole, cut at every byte, with bytes too many, and nonsense."""

import random
import struct
from typing import List

import pytest

from netmgr.values.errors import ProtocolError
from netmgr.wire.netlink import (
    NLM_F_ACK_TLVS,
    NLM_F_CAPPED,
    NLM_F_DUMP,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    Ack,
    Message,
    attribute,
    attributes,
    error,
    messages,
    request,
)

FIRST, SECOND = request(20, 0, 7, b"abcde"), request(21, NLM_F_DUMP, 8, b"")
PADDED = FIRST + bytes(3) + SECOND
NAMED = attribute(1, b"\x01\x02\x03\x04") + attribute(3, b"eth0\0") + attribute(29, b"")

REQUEST = request(18, NLM_F_DUMP, 5, b"payload!")
TEXT, OFFSET = attribute(1, b"no such thing\0"), attribute(2, struct.pack("=I", 16))


def read(buffer: bytes) -> List[Message]:
    return list(messages(buffer))


def message(kind: int, payload: bytes, flags: int = 0) -> Message:
    return Message(kind, flags, 5, 0, memoryview(payload))


def failed(number: int, rest: bytes = b"") -> bytes:
    return struct.pack("=i", -number) + rest


def test_messages_are_what_was_requested() -> None:
    one, two = read(PADDED)
    assert one == Message(20, NLM_F_REQUEST, 7, 0, memoryview(b"abcde"))
    assert two == Message(21, NLM_F_REQUEST | NLM_F_DUMP, 8, 0, memoryview(b""))
    assert read(b"") == []


def test_nothing_is_copied() -> None:
    buffer = bytearray(PADDED)
    payload = next(messages(buffer)).payload
    buffer[16:21] = b"vwxyz"
    assert bytes(payload) == b"vwxyz"


@pytest.mark.parametrize("length", range(len(PADDED)))
def test_messages_cut_short(length: int) -> None:
    """Only after a complete message, with or without its padding, is the end no surprise."""
    if length in (0, len(FIRST)):
        assert read(PADDED[:length]) == read(PADDED)[:length // len(FIRST)]
    elif length in (22, 23, 24):
        assert read(PADDED[:length]) == read(PADDED)[:1]
    else:
        with pytest.raises(ProtocolError, match="netlink"):
            read(PADDED[:length])


@pytest.mark.parametrize("extra", range(1, 16))
def test_messages_with_trailing_bytes(extra: int) -> None:
    with pytest.raises(ProtocolError, match="%d bytes where a message header" % extra):
        read(PADDED + bytes(extra))


@pytest.mark.parametrize("length", [0, 1, 15, 33, 0xFFFFFFFF])
def test_messages_whose_length_lies(length: int) -> None:
    with pytest.raises(ProtocolError, match="claims %d bytes" % length):
        read(struct.pack("=IHHII", length, 20, 0, 0, 0) + bytes(16))


def test_attributes() -> None:
    assert attributes(NAMED) == {1: b"\x01\x02\x03\x04", 3: b"eth0\0", 29: b""}
    assert attributes(b"") == {}
    assert attributes(attribute(0x8001, b"nested") + attribute(0x4001, b"later")) == {1: b"later"}


@pytest.mark.parametrize("length", range(len(NAMED)))
def test_attributes_cut_short(length: int) -> None:
    """The last padding may be missing."""
    ends = {0: 0, 8: 1, 17: 2, 18: 2, 19: 2, 20: 2}
    if length in ends:
        assert list(attributes(NAMED[:length]).items()) == list(attributes(NAMED).items())[:ends[length]]
    else:
        with pytest.raises(ProtocolError, match="netlink"):
            attributes(NAMED[:length])


@pytest.mark.parametrize("extra", range(1, 4))
def test_attributes_with_trailing_bytes(extra: int) -> None:
    with pytest.raises(ProtocolError, match="%d bytes where an attribute header" % extra):
        attributes(NAMED + bytes(extra))


@pytest.mark.parametrize("length", [0, 3, 9, 0xFFFF])
def test_attributes_whose_length_lies(length: int) -> None:
    with pytest.raises(ProtocolError, match="claims %d bytes of 8" % length):
        attributes(struct.pack("=HHI", length, 1, 0))


@pytest.mark.parametrize(("answer", "expected"), [
    (message(NLMSG_DONE, b""), Ack(0, "", 0)),
    (message(NLMSG_DONE, failed(0)), Ack(0, "", 0)),
    (message(NLMSG_DONE, failed(-1)), Ack(0, "", 0)),
    (message(NLMSG_DONE, failed(19)), Ack(19, "", 0)),
    (message(NLMSG_DONE, failed(22, TEXT), NLM_F_ACK_TLVS), Ack(22, "no such thing", 0)),
    (message(NLMSG_ERROR, failed(0, REQUEST[:16]), NLM_F_CAPPED), Ack(0, "", 0)),
    (message(NLMSG_ERROR, failed(1, REQUEST)), Ack(1, "", 0)),
    (message(NLMSG_ERROR, failed(1, REQUEST + TEXT)), Ack(1, "", 0)),
    (message(NLMSG_ERROR, failed(1, REQUEST + TEXT + OFFSET), NLM_F_ACK_TLVS), Ack(1, "no such thing", 16)),
    (message(NLMSG_ERROR, failed(1, REQUEST[:16] + OFFSET + TEXT), NLM_F_ACK_TLVS | NLM_F_CAPPED), Ack(1, "no such thing", 16)),
    (message(NLMSG_ERROR, failed(1, REQUEST + attribute(1, b"\xff\0")), NLM_F_ACK_TLVS), Ack(1, "\ufffd", 0)),
])
def test_errors(answer: Message, expected: Ack) -> None:
    assert error(answer) == expected


@pytest.mark.parametrize("answer", [
    message(NLMSG_DONE, b"\0"), message(NLMSG_DONE, b"\0\0\0"),
    message(NLMSG_ERROR, b""), message(NLMSG_ERROR, failed(1)), message(NLMSG_ERROR, failed(1, REQUEST[:15])),
    message(NLMSG_DONE, failed(4096)), message(NLMSG_DONE, b"\0\0\0\x80"),
    message(NLMSG_DONE, failed(1, TEXT[:-5]), NLM_F_ACK_TLVS),
    message(NLMSG_DONE, failed(1, attribute(2, b"\0\0")), NLM_F_ACK_TLVS),
    message(NLMSG_ERROR, failed(1, REQUEST + b"\0\0"), NLM_F_ACK_TLVS),
])
def test_errors_that_make_no_sense(answer: Message) -> None:
    with pytest.raises(ProtocolError, match="netlink"):
        error(answer)


def test_random_bytes_give_protocol_errors_or_a_bounded_result() -> None:
    source = random.Random(2)
    for _ in range(3000):
        noise = bytes(source.choices((0, 1, 2, 4, 16, 20, 255), k=source.randrange(64)))
        for parse, smallest in ((messages, 16), (attributes, 4)):
            try:
                assert len(list(parse(noise))) <= len(noise) / smallest
            except ProtocolError:
                pass
        answer = message(source.choice((NLMSG_DONE, NLMSG_ERROR)), noise, source.choice((0, 0x100, 0x200, 0x300)))
        try:
            assert 0 <= error(answer).errno <= 4095
        except ProtocolError:
            pass
