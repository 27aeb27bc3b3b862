"""What nf_tables says, without a kernel: recorded answers are understood, nonsense is refused."""

import random
import struct
from typing import Any, Callable, Dict, FrozenSet, Iterator, Tuple

import pytest

from netmgr.values.errors import ProtocolError
from netmgr.values.events import RulesetChanged
from netmgr.values.sets import (
    IFNAME,
    IPV4_ADDR,
    IPV6_ADDR,
    NFT_SET_EVAL,
    NFT_SET_INTERVAL,
    NFT_SET_MAP,
    NFT_SET_TIMEOUT,
    VERDICT,
    ChangeElements,
    Contents,
    Form,
    SetName,
)
from netmgr.wire import nft_read, nft_write
from netmgr.wire.netlink import attribute, attributes, messages
from tests.nftables import NAME, PLAIN, RANGES, TOP, captures, dumped, info, interface, ip, span

CAPTURES = captures()


def ranges_of(*texts: str) -> FrozenSet[bytes]:
    return frozenset(bytes.fromhex(text.replace(" ", "")) for text in texts)


DUMPS: Dict[str, Tuple[Form, Contents]] = {
    "plain": (PLAIN, Contents(ranges_of("c0000201"), frozenset(), ranges_of("c0000202", "c0000203"))),
    "ranges": (RANGES, Contents(
        ranges_of("0a000000 0a0000ff", "0a090000 0a090005", "f0000000 ffffffff"), frozenset(), ranges_of("0a000100 0a0001ff"))),
    "six": (Form(IPV6_ADDR, True), Contents(
        ranges_of("20010db8" + "00" * 12 + "20010db8" + "ff" * 12), frozenset(), ranges_of("80" + "00" * 15 + "ff" * 16))),
    "names": (Form(IFNAME, True), Contents(
        frozenset([interface("eth0") * 2]), frozenset(), frozenset([interface("ppp") + b"ppp" + b"\xff" * 13]))),
    "timeouts": (Form(IPV4_ADDR, timeout=True), Contents(
        ranges_of("c0000201", "c0000202"), ranges_of("c0000201", "c0000202", "c0000203"), ranges_of("c0000203"))),
    "catchall": (PLAIN, Contents(ranges_of("c0000201"), frozenset(), frozenset())),
    "counters": (PLAIN, Contents(ranges_of("c0000201"), frozenset(), frozenset())),
    "empty": (Form(IPV6_ADDR), Contents(frozenset(), frozenset(), frozenset())),
}


@pytest.mark.parametrize("name", DUMPS)
def test_sets_that_nft_filled_are_read(name: str) -> None:
    form, expected = DUMPS[name]
    elements = dumped(CAPTURES["dump-" + name], form)
    assert elements.contents() == expected
    assert elements.generations == {2} and elements.dumped == elements.different
    assert nft_read.plausible(nft_read.set_info(payload_of("getset-" + name), NAME, 1), elements.dumped)


def payload_of(name: str) -> memoryview:
    (message,) = messages(CAPTURES[name])
    return message.payload


def test_an_element_that_came_twice_is_noticed_and_counts_once() -> None:
    for name in ("plain", "ranges"):
        form, expected = DUMPS[name]
        elements = dumped(CAPTURES["dump-" + name] * 2, form)
        assert elements.contents() == expected
        assert elements.dumped == 2 * elements.different


@pytest.mark.parametrize("form", [PLAIN, Form(IPV4_ADDR, True)])
def test_very_many_elements_are_arranged_in_pieces(form: Form) -> None:
    """Those of which none says anything of another are already, when they have been fed."""
    collected = nft_read.Elements(info(form))
    for first in range(0, 5000, 50):
        collected.feed(listed(*(key(number.to_bytes(4, "big")) for number in range(first, first + 50))))
    pieces = len([*collected.arranged()])
    assert pieces == (1 + -(-5000 // nft_read.ELEMENTS_AT_ONCE) if form.interval else 0)
    assert len(collected.contents().foreign) == collected.different == collected.dumped == 5000


def test_descriptions_of_sets() -> None:
    def read(name: str) -> Tuple[Any, ...]:
        return tuple(nft_read.set_info(payload_of("getset-" + name), NAME, 9))[1:-6]
    assert read("plain") == (IPV4_ADDR, 4, 0, 99, 0, (9, 1), 3)
    assert read("six") == (IPV6_ADDR, 16, NFT_SET_INTERVAL, 0, 0, (9, 3), 2)
    assert read("names") == (IFNAME, 16, NFT_SET_INTERVAL, 0, 0, (9, 4), 2)
    assert read("timeouts") == (IPV4_ADDR, 4, NFT_SET_TIMEOUT, 0, 86400000, (9, 5), 3)
    assert read("verdicts")[:3] == (IPV4_ADDR, 4, NFT_SET_MAP)
    assert nft_read.set_info(payload_of("getset-verdicts"), NAME, 9)[-3:] == (VERDICT, 0, ())
    assert read("pairs")[:2] == ("ipv4_addr . inet_service", 8)


@pytest.mark.parametrize(("number", "name"), [
    (7, "ipv4_addr"), (41, "ifname"), (13, "inet_service"), (20, "iface_index"), (36, "dscp"), (63, "63"), (0, "0"),
    (7 << 12 | 12 << 6 | 13, "ipv4_addr . inet_proto . inet_service"), (1 << 6, "1 . 0"), (0xFFFFFFFF, "3 . 63 . 63 . 63 . 63 . 63"),
])
def test_types(number: int, name: str) -> None:
    assert nft_read.type_name(number) == name


def newset(*attributes_: bytes) -> memoryview:
    known = [attribute(4, (7).to_bytes(4, "big")), attribute(5, (4).to_bytes(4, "big")), attribute(16, (1).to_bytes(8, "big"))]
    return memoryview(bytes(4) + b"".join([*known, *attributes_]))


@pytest.mark.parametrize(("userdata", "merges"), [
    ("", False), ("000402000000", False), ("00040200000002040100000007036869 00", True), ("020400000000", False), ("0204010000", False),
    ("02", False), ("0200", False), ("07ff02040100000002", False), ("0703686900 0204010000000304", True),
])
def test_auto_merge_sets(userdata: str, merges: bool) -> None:
    assert nft_read.set_info(newset(attribute(13, bytes.fromhex(userdata))), NAME, 1).merges is merges


def test_userdata_of_any_kind_are_no_error() -> None:
    source = random.Random(5)
    for _ in range(2000):
        userdata = source.randbytes(source.randrange(20))
        assert nft_read.set_info(newset(attribute(13, userdata)), NAME, 1).merges in (True, False)


def test_tables_with_an_owner() -> None:
    assert not nft_read.owned(payload_of("gettable"))
    assert nft_read.owned(memoryview(bytes(4) + attribute(2, bytes(3) + b"\2") + attribute(7, bytes(4))))
    assert nft_read.set_info(newset(), NAME, 1, True).owned


def test_generations_tables_and_commits() -> None:
    assert nft_read.generation(payload_of("getgen")) == 2
    assert nft_read.table_handle(payload_of("gettable")) == 1
    (message,) = messages(CAPTURES["newgen"])
    pid = struct.unpack(">I", attributes(message.payload[4:])[2])[0]
    assert nft_read.ruleset_changes(CAPTURES["newgen"]) == [RulesetChanged(2, message.portid, pid, "nft")]
    assert nft_read.ruleset_changes(CAPTURES["newtable-event"]) == []
    assert len(nft_read.ruleset_changes(CAPTURES["newtable-event"] + CAPTURES["newgen"] * 2)) == 2


def test_how_long_a_dump_must_be() -> None:
    assert nft_read.plausible(info(PLAIN), 7)
    assert nft_read.plausible(info(PLAIN, count=7), 7) and not nft_read.plausible(info(PLAIN, count=7), 6)
    assert nft_read.plausible(info(RANGES, count=3), 6) and nft_read.plausible(info(RANGES, count=3), 7)
    assert not nft_read.plausible(info(RANGES, count=3), 5)
    assert nft_read.plausible(info(PLAIN, NFT_SET_EVAL, count=7), 6) and nft_read.plausible(info(PLAIN, NFT_SET_TIMEOUT, count=7), 6)


@pytest.mark.parametrize("family, text", [(1, "inet"), (2, "ip"), (10, "ip6"), (77, "77")])
def test_names_of_tables_and_sets(family: int, text: str) -> None:
    head = bytes([family, 0, 0, 0])
    table, named, flags = attribute(1, b"filter\0"), attribute(2, b"wan_ips\0"), attribute(3, (4).to_bytes(4, "big"))
    assert nft_read.table_name(memoryview(head + table)) == (text, "filter")
    assert nft_read.set_name(memoryview(head + table + named)) == SetName(text, "filter", "wan_ips")
    assert nft_read.set_name(memoryview(head + table + named + flags)) == SetName(text, "filter", "wan_ips")
    assert nft_read.set_name(memoryview(head + table + named + attribute(3, (3).to_bytes(4, "big")))) is None
    meter = attribute(3, (0x31).to_bytes(4, "big"))
    assert nft_read.set_name(memoryview(head + table + named + meter)) == SetName(text, "filter", "wan_ips")
    for payload in (b"", head[:3], head, head + named[:-1]):
        for read in (nft_read.table_name, nft_read.set_name):
            with pytest.raises(ProtocolError):
                read(memoryview(payload))


@pytest.mark.parametrize("count", [1, 255, 256, 3000])
@pytest.mark.parametrize("form", [Form(IPV4_ADDR, True), Form(IPV6_ADDR, True), Form(IFNAME, True)])
def test_ranges_are_found_in_whatever_order_their_ends_come(form: Form, count: int) -> None:
    """Few are sorted by comparing them, many byte by byte; the first half comes twice."""
    source = random.Random(count)
    alike = source.randrange(256).to_bytes(1, "big") * (form.width - 3)
    ends = [alike + number.to_bytes(3, "big") for number in sorted(source.sample(range(1 << 24), 2 * count))]
    ranges = [first + last for first, last in zip(ends[::2], ends[1::2])]
    source.shuffle(ranges)
    parts = nft_write.Writer().parts(1, [ChangeElements(NAME, form, (), ranges + ranges[:count // 2])], True)
    collected = dumped(b"".join(part.data for part in parts), form)
    assert collected.contents() == Contents(frozenset(ranges), frozenset(), frozenset())
    assert (collected.dumped, collected.different) == (2 * (count + count // 2), 2 * count)


def test_the_union_of_doubtful_readings() -> None:
    one = Contents(frozenset([b"a"]), frozenset(), frozenset([b"b"]))
    other = Contents(frozenset([b"b"]), frozenset([b"b"]), frozenset([b"c"]))
    assert nft_read.union(one, other) == Contents(frozenset([b"a", b"b"]), frozenset([b"b"]), frozenset([b"c"]))


def listed(*elements: bytes) -> memoryview:
    lists = attribute(3, b"".join(attribute(1, element) for element in elements))
    return memoryview(bytes([1, 0, 0, 5]) + attribute(1, b"t\0") + lists)


def key(value: bytes) -> bytes:
    return attribute(1, attribute(1, value))


def read_one(*elements: bytes, form: Form = PLAIN) -> Contents:
    collected = nft_read.Elements(info(form))
    collected.feed(listed(*elements))
    return collected.contents()


@pytest.mark.parametrize(("userdata", "ours"), [
    (b"\0\7netmgr\0", True),
    (b"\1\4\1\0\0\0\0\7netmgr\0", True),
    (b"\0\7netmgr\0\1\4\1\0\0\0", True),
    (b"\0\7netmgr\0\1", True),
    (b"", False), (b"\0", False), (b"\0\7", False), (b"\0\7netmgr", False),
    (b"\0\6netmgr", False), (b"\0\10netmgrs\0", False), (b"\0\7NETMGR\0", False), (b"\3\7netmgr\0", False),
    (b"\0\2x\0\0\7netmgr\0", False), (b"\1\xff\0\7netmgr\0", False), (b"\0\0\0\0", False), (b"\xff" * 200, False),
])
def test_ours_is_exactly_our_comment(userdata: bytes, ours: bool) -> None:
    contents = read_one(key(ip(1)) + attribute(6, userdata))
    assert contents == Contents(frozenset([ip(1)] if ours else []), frozenset(), frozenset([] if ours else [ip(1)]))


def test_starts_without_ends_and_ends_without_starts() -> None:
    end = attribute(3, struct.pack(">I", 1))
    assert read_one(key(bytes(4)) + end, form=RANGES).foreign == frozenset()
    assert read_one(key(bytes(4)) + end, key(ip(5)) + end, key(ip(9)), form=RANGES).foreign == {ip(9) + TOP}
    assert read_one(key(ip(9)), key(ip(5)), form=RANGES).foreign == {span(5, 8), ip(9) + TOP}
    assert read_one(key(ip(5)), key(ip(5)) + end, key(ip(9)) + end, form=RANGES).foreign == {span(5, 8)}


def test_a_range_expires_with_its_start_or_its_end() -> None:
    end, expires = attribute(3, struct.pack(">I", 1)), attribute(5, bytes(8))
    comment = attribute(6, b"\0\7netmgr\0")
    elements = [
        key(ip(1)) + comment, key(ip(2)) + end,
        key(ip(2)) + comment + expires, key(ip(3)) + end,
        key(ip(3)) + comment, key(ip(4)) + end + expires,
        key(ip(4)) + comment]
    contents = read_one(*elements, form=RANGES)
    assert contents.ours == {span(1, 1), span(2, 2), span(3, 3), ip(4) + TOP}
    assert contents.expiring == {span(2, 2), span(3, 3)}


@pytest.mark.parametrize("element", [
    b"", key(b"abc"), key(b"abcde"), key(b""), attribute(1, b""), attribute(1, b"abcd"), key(ip(1)) + b"xy",
    key(ip(1)) + attribute(3, b"x"), key(ip(1)) + attribute(10, attribute(1, ip(2))), attribute(1, attribute(1, ip(1)) * 2),
    attribute(6, b"\0\7netmgr\0"), attribute(1, attribute(2, ip(1))), attribute(1, attribute(1, ip(1)) + b"\1\0\0\0"),
])
def test_elements_that_make_no_sense_are_refused(element: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_one(element)


def test_lists_that_make_no_sense_are_refused() -> None:
    collected = nft_read.Elements(info(PLAIN))
    for payload in (b"", b"\1\0\0", b"\1\0\0\5\4", b"\1\0\0\5" + attribute(3, attribute(2, key(ip(1)))), b"\1\0\0\5\4\0\3\0\3\0\0\0"):
        with pytest.raises(ProtocolError):
            collected.feed(memoryview(payload))
    with pytest.raises(ProtocolError):
        nft_read.Elements(info(PLAIN)._replace(key_length=68)).feed(listed(key(bytes(68))))


def test_a_view_that_is_not_aligned_is_refused_or_read_but_never_more() -> None:
    data = bytes(listed(key(ip(1))))
    for shift in range(8):
        view = memoryview(bytes(shift) + data)[shift:]
        collected = nft_read.Elements(info(PLAIN))
        try:
            collected.feed(view)
            assert collected.contents().foreign == {ip(1)}
        except ProtocolError:
            assert shift % 4


def described(payload: memoryview) -> object:
    return nft_read.set_info(payload, NAME, 1)


READERS: Dict[str, Callable[[memoryview], object]] = {
    "getgen": nft_read.generation,
    "gettable": nft_read.table_handle,
    **{name: described for name in CAPTURES if name.startswith("getset-")},
}


@pytest.mark.parametrize("name", READERS)
def test_descriptions_cut_short_or_garbled_are_refused_or_read(name: str) -> None:
    payload = bytes(payload_of(name))
    refused = 0
    for data in [*cut(payload), *garbled(payload, 300)]:
        try:
            READERS[name](memoryview(data))
        except ProtocolError:
            refused += 1
    assert refused


@pytest.mark.parametrize("name", DUMPS)
def test_dumps_cut_short_or_garbled_are_refused_or_read(name: str) -> None:
    form = DUMPS[name][0]
    payload = bytes(next(messages(CAPTURES["dump-" + name])).payload)
    refused = 0
    for data in [*cut(payload), *garbled(payload, 1000)]:
        collected = nft_read.Elements(info(form))
        try:
            collected.feed(memoryview(data))
        except ProtocolError:
            refused += 1
        contents = collected.contents()
        assert all(len(element) == form.width * (1 + form.interval) for element in contents.ours | contents.foreign)
    assert refused


def test_notifications_cut_short_or_garbled_are_refused_or_read() -> None:
    for data in [*cut(CAPTURES["newgen"]), *garbled(CAPTURES["newgen"], 1000)]:
        try:
            assert all(isinstance(change, RulesetChanged) for change in nft_read.ruleset_changes(data))
        except ProtocolError:
            pass


def cut(data: bytes) -> Iterator[bytes]:
    """Every beginning, and the whole with something behind it."""
    yield from (data[:length] for length in range(len(data)))
    yield from (data + bytes(length) for length in range(1, 9))


def garbled(data: bytes, number: int) -> Iterator[bytes]:
    """Copies with a few bytes changed, more often to the edges of what a length can be."""
    generator = random.Random(len(data))
    for _ in range(number):
        copy = bytearray(data)
        for _ in range(generator.randint(1, 4)):
            copy[generator.randrange(len(copy))] = generator.choice([0, 1, 3, 4, 5, 0x7F, 0x80, 0xFF, generator.randrange(256)])
        yield bytes(copy)


def test_pure_noise_is_refused_or_read() -> None:
    generator = random.Random(4)
    for _ in range(2000):
        noise = memoryview(bytes(generator.randrange(256) for _ in range(4 * generator.randrange(40))))
        collected = nft_read.Elements(info(RANGES))
        try:
            collected.feed(noise)
        except ProtocolError:
            pass
        collected.contents()
