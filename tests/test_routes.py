"""Default routes from bytes: what a kernel dumped (tests/captures/rtnetlink.hex), made up, cut and garbled; and the socket filter."""

import random
import struct
from typing import FrozenSet, List

import pytest

from netmgr.values.errors import ProtocolError
from netmgr.wire import routes
from netmgr.wire.netlink import NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE, Message, attribute, messages, request
from netmgr.wire.routes import RTM_DELNEXTHOP, RTM_DELROUTE, RTM_NEWROUTE, Hop, hops, is_beyond, relevant
from tests.test_rtnetlink import CAPTURES

FOUR, SIX = bytes((192, 0, 2, 254)), bytes((0xFE, 0x80)) + bytes(13) + b"\1"
OIF = attribute(4, struct.pack("=I", 7))
GATEWAY, VIA = attribute(5, FOUR), attribute(18, struct.pack("=H", 10) + SIX)
SEVERAL = attribute(9, b"".join(struct.pack("=HBBi", 8 + len(more), flags, 0, index) + more
                                for flags, index, more in ((0, 3, b""), (1, 4, GATEWAY), (16, 5, GATEWAY), (0, 6, VIA))))


def route(*attributes: bytes, length: int = 0, source: int = 0, table: int = 254, kind: int = 1, flags: int = 0) -> Message:
    payload = struct.pack("=BBBBBBBBI", 2, length, source, 0, table, 3, 0, kind, flags) + b"".join(attributes)
    return Message(RTM_NEWROUTE, 0, 1, 0, memoryview(payload))


def test_what_the_kernel_dumped() -> None:
    found = [[sorted(hops(message)) for message in messages(CAPTURES[scene]) if message.type == RTM_NEWROUTE]
             for scene in ("ipv4-routes", "ipv6-routes")]
    assert [[each for each in of_family if each] for of_family in found] == [
        [[(7, FOUR)], [(7, FOUR[:3] + b"\xfd"), (8, b"")]], [[(7, b"")], [(8, b"")]]]
    first = [is_beyond(message) for message in messages(CAPTURES["ipv4-routes"]) if message.type == RTM_NEWROUTE]
    assert first == [False] * 5 + [True] * (len(first) - 5)


@pytest.mark.parametrize(("message", "expected"), [
    (route(OIF), {(7, b"")}), (route(OIF, GATEWAY), {(7, FOUR)}), (route(VIA, OIF), {(7, SIX)}), (route(GATEWAY), set()),
    (route(SEVERAL), {(3, b""), (5, FOUR), (6, SIX)}), (route(OIF, attribute(5, SIX)), {(7, SIX)}),
    (route(OIF, attribute(18, struct.pack("=H", 2) + FOUR)), {(7, FOUR)}),
    (route(OIF, attribute(18, struct.pack("=H", 28) + FOUR)), {(7, b"")}),
    (route(OIF, attribute(15, struct.pack("=I", 254)), table=252), {(7, b"")}),
    (route(), set()), (route(OIF, length=24), set()), (route(OIF, source=64), set()), (route(OIF, kind=7), set()),
    (route(OIF, GATEWAY, kind=6), set()), (route(OIF, table=255), set()), (route(OIF, GATEWAY, flags=1), set()),
    (route(OIF, flags=16), {(7, b"")}), (route(OIF, flags=0x200), set()), (route(OIF, attribute(15, struct.pack("=I", 1000))), set()),
])
def test_which_routes_count(message: Message, expected: FrozenSet[Hop]) -> None:
    assert hops(message) == expected


@pytest.mark.parametrize("message", [
    Message(RTM_NEWROUTE, 0, 1, 0, memoryview(bytes(11))), route(attribute(4, b"\1")), route(attribute(15, bytes(8))),
    route(attribute(9, bytes(7))), route(attribute(9, struct.pack("=HBBi", 7, 0, 0, 1))),
    route(attribute(9, struct.pack("=HBBi", 9, 0, 0, 1))),
    route(b"\1"), route(b"\xff\0\4\0"), route(OIF, attribute(5, FOUR + b"\1")), route(OIF, attribute(5, b"")),
    route(OIF, attribute(18, b"\2")), route(OIF, attribute(18, struct.pack("=H", 10) + FOUR)),
    route(OIF, attribute(18, struct.pack("=H", 2))),
    route(attribute(9, struct.pack("=HBBi", 12, 0, 0, 1) + b"\5\0\5\0")),
])
def test_nonsense(message: Message) -> None:
    with pytest.raises(ProtocolError):
        hops(message)


def _both(data: bytes) -> List[object]:
    """What a reading makes of it: the routes of all messages, or the complaint; by the quick look and by the whole one."""
    told: List[object] = []
    for all_routes in (True, False):
        try:
            found = [hops(message) for message in relevant(data, all_routes) if message.type == RTM_NEWROUTE]
            told.append(sorted(hop for each in found for hop in each))
        except ProtocolError:
            told.append("nonsense")
    return told


def test_a_quick_look_passes_over_routes_to_a_part_of_the_world() -> None:
    for scene in ("ipv4-routes", "ipv6-routes"):
        passed = list(relevant(CAPTURES[scene], False))
        assert [message for message in messages(CAPTURES[scene]) if message.type != RTM_NEWROUTE or not message.payload[1]] == passed
        assert passed[-1].type == NLMSG_DONE and _both(CAPTURES[scene])[0] == _both(CAPTURES[scene])[1]


@pytest.mark.parametrize("scene", ["ipv4-routes", "ipv6-routes"])
def test_cut_at_every_byte(scene: str) -> None:
    data = CAPTURES[scene]
    whole = {len(data)} | {end for end in range(len(data)) if _ends(data, end)}
    for end in range(len(data)):
        assert _both(data[:end]).count("nonsense") == (0 if end in whole else 2)
    assert all(_both(data[:end] + b"\1").count("nonsense") == 2 for end in whole)


def _ends(data: bytes, end: int) -> bool:
    position = 0
    while position < end:
        position += int.from_bytes(data[position:position + 4], "little") + 3 & ~3
    return position == end


@pytest.mark.parametrize("seed", range(10))
def test_garbage(seed: int) -> None:
    chance = random.Random(seed)
    data = bytearray(CAPTURES[chance.choice(["ipv4-routes", "ipv6-routes"])])
    for _change in range(chance.randrange(1, 200)):
        data[chance.randrange(len(data))] = chance.choice((0, 1, 4, 255, chance.randrange(256)))
    _both(bytes(data))


def test_requests() -> None:
    (asked,) = messages(routes.dump(3, routes.AF_INET6))
    assert asked[:3] == (routes.RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, 3)
    assert bytes(asked.payload) == bytes([10, 0, 0, 0, 254]) + bytes(7)


def passes(kind: int, payload: bytes) -> bool:
    """The socket filter, step by step as the kernel does it."""
    data, register, place, steps = request(kind, 0, 0, payload), 0, 0, routes.filter_steps()
    while True:
        code, on_yes, on_no, value = steps[place]
        place += 1
        if code == 0x06:
            return value != 0
        if code == 0x15:
            place += on_yes if register == value else on_no
        else:
            register = int.from_bytes(data[value:value + (2 if code == 0x28 else 1)], "big")


@pytest.mark.parametrize("kind", [RTM_NEWROUTE, RTM_DELROUTE])
def test_the_filter_knows_default_routes(kind: int) -> None:
    assert passes(kind, bytes(route(OIF).payload))
    assert not passes(kind, bytes(route(OIF, length=24).payload)) and not passes(kind, bytes(route(OIF, table=10).payload))


def test_the_filter_lets_other_news_pass() -> None:
    assert passes(RTM_DELNEXTHOP, bytes(8)) and not passes(RTM_DELNEXTHOP - 1, bytes(8))
    assert passes(16, bytes(16)) and passes(17, b"\1" * 16) and passes(2, bytes(20))
