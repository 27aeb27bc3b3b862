"""Sets as values: which form a set has, what it cannot hold, what brings it from here to there, and all of it as nft commands."""

import random
from typing import FrozenSet, List, Optional

import pytest

from netmgr.model.ranges import pack
from netmgr.values.addresses import parse
from netmgr.values.holds import misfit
from netmgr.values.sets import (
    IFNAME,
    IPV4_ADDR,
    IPV6_ADDR,
    NFT_SET_ANONYMOUS,
    NFT_SET_CONSTANT,
    NFT_SET_EVAL,
    NFT_SET_EXPR,
    NFT_SET_INTERVAL,
    NFT_SET_MAP,
    NFT_SET_OBJECT,
    NFT_SET_TIMEOUT,
    WIDTHS,
    Change,
    ChangeElements,
    Contents,
    CreateSet,
    CreateTable,
    Form,
    SetInfo,
    SetName,
    difference,
    difference_at,
    form_of,
)
from netmgr.wire.nft_text import element_list, element_text, text

NAME, OTHER = SetName("inet", "filter", "wan_ips"), SetName("ip6", "other", "lan_nets")


def info(kind: str, flags: int = 0, key_length: Optional[int] = None) -> SetInfo:
    return SetInfo(NAME, kind, WIDTHS.get(kind, 4) if key_length is None else key_length, flags, 0, 0, (1, 1), None)


def key(address: str) -> bytes:
    return parse(address)[0]


def span(first: str, last: str) -> bytes:
    return key(first) + key(last)


def name(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape").ljust(16, b"\0")


@pytest.mark.parametrize(("described", "form"), [
    (info(IPV4_ADDR), Form(IPV4_ADDR)),
    (info(IPV6_ADDR, NFT_SET_INTERVAL), Form(IPV6_ADDR, interval=True)),
    (info(IPV4_ADDR, NFT_SET_TIMEOUT | NFT_SET_EVAL), Form(IPV4_ADDR, timeout=True)),
    (info(IFNAME, NFT_SET_EXPR), Form(IFNAME)),
    (info(IPV4_ADDR, NFT_SET_INTERVAL)._replace(merges=True), Form(IPV4_ADDR, interval=True, merge=True)),
    (info(IPV4_ADDR)._replace(merges=True), Form(IPV4_ADDR)),
    (info(IPV4_ADDR)._replace(owned=True), None),
    (info(IPV4_ADDR, NFT_SET_CONSTANT), None),
    (info(IPV4_ADDR, NFT_SET_ANONYMOUS | NFT_SET_EVAL), None),
    (info(IPV4_ADDR, NFT_SET_MAP), None),
    (info(IPV4_ADDR, NFT_SET_OBJECT), None),
    (info("ifname . ipv4_addr", NFT_SET_INTERVAL, 20)._replace(merges=True), Form("ifname . ipv4_addr", True)),
    (info("ether_addr . inet_service", 0, 12), Form("ether_addr . inet_service")),
    (info("ifname . ipv4_addr", 0, 24), None),
    (info("ifname . realm", 0, 20), None),
    (info(" . ".join([IFNAME] * 5), 0, 80), None),
    (info(IFNAME, NFT_SET_MAP)._replace(value="verdict"), Form(IFNAME, value="verdict")),
    (info(IFNAME, NFT_SET_MAP)._replace(value="mark", value_length=4), Form(IFNAME, value="mark")),
    (info(IFNAME, NFT_SET_MAP)._replace(value="ipv4_addr . inet_service", value_length=8), Form(IFNAME, value="ipv4_addr . inet_service")),
    (info(IFNAME, NFT_SET_MAP)._replace(value="mark", value_length=8), None),
    (info(IFNAME, NFT_SET_MAP)._replace(value="realm", value_length=4), None),
    (info("13"), None),
    (info(IPV4_ADDR, key_length=16), None),
    (info(IFNAME, key_length=5), None),
])
def test_form_of(described: SetInfo, form: Optional[Form]) -> None:
    assert form_of(described) == form


@pytest.mark.parametrize(("described", "holds", "reason"), [
    (info(IPV4_ADDR), "addresses", None),
    (info(IPV6_ADDR, NFT_SET_INTERVAL | NFT_SET_TIMEOUT), "addresses", None),
    (info(IPV4_ADDR, NFT_SET_INTERVAL), "networks", None),
    (info(IFNAME), "interfaces", None),
    (info(IPV4_ADDR), "networks", "it has no ranges; networks need a set with flags interval"),
    (info(IFNAME), "addresses", "its type is ifname; addresses need ipv4_addr or ipv6_addr"),
    (info(IFNAME, NFT_SET_INTERVAL), "networks", "its type is ifname; networks need ipv4_addr or ipv6_addr"),
    (info(IPV4_ADDR), "interfaces", "its type is ipv4_addr; interfaces need ifname"),
    (info(IPV4_ADDR, NFT_SET_MAP), "addresses", "it is a map; expected a set of ipv4_addr or ipv6_addr"),
    (info("13"), "interfaces", "its type is not one that netmgr fills; expected ifname"),
    (info(IPV4_ADDR, NFT_SET_CONSTANT), "addresses", "it is constant: a set with flags constant takes no further elements"),
    (info(IPV4_ADDR, NFT_SET_ANONYMOUS | NFT_SET_EVAL), "addresses",
     "it is a meter, which only its rule fills; expected a set of ipv4_addr or ipv6_addr"),
    (info(IPV4_ADDR)._replace(owned=True), "addresses", "its table belongs to another program, and only that may change it"),
])
def test_misfit(described: SetInfo, holds: str, reason: Optional[str]) -> None:
    assert misfit(described, holds) == reason


def some(letters: str) -> FrozenSet[bytes]:
    return frozenset(letter.encode() for letter in letters)


@pytest.mark.parametrize(("wanted", "ours", "expiring", "foreign", "exclusive", "delete", "add"), [
    ("ab", "", "", "", False, "", "ab"),
    ("ab", "bc", "", "", False, "c", "a"),
    ("ab", "ab", "", "xy", False, "", ""),
    ("ab", "", "", "bx", False, "", "a"),
    ("ab", "a", "", "bx", True, "bx", "b"),
    ("", "a", "", "x", False, "a", ""),
    ("ab", "ab", "a", "", False, "a", "a"),
    ("b", "ab", "a", "", False, "a", ""),
])
def test_difference(wanted: str, ours: str, expiring: str, foreign: str, exclusive: bool, delete: str, add: str) -> None:
    held = Contents(some(ours), some(expiring), some(foreign))
    found = difference(some(wanted), held, exclusive)
    assert (found.delete | found.renew, {*found.add, *found.renew}) == ({*some(delete)}, {*some(add)})
    assert len(found.add) + len(found.renew) == len(some(add))


def test_the_difference_at_what_was_touched_is_the_whole_when_the_rest_was_right() -> None:
    source = random.Random(5)
    for _ in range(300):
        before, wanted, foreign = (frozenset(bytes((each,)) for each in range(12) if source.random() < 0.5) for _ in range(3))
        held = Contents(before - foreign, frozenset(), foreign)
        touched = before ^ wanted | some("z")
        whole, part = difference(wanted, held, False), difference_at(touched, wanted, held.ours, held.foreign)
        assert part == (sorted(whole.delete), sorted(whole.add)) and not whole.renew


@pytest.mark.parametrize(("form", "element", "expected"), [
    (Form(IPV4_ADDR), key("192.0.2.1"), "192.0.2.1"),
    (Form(IPV6_ADDR), key("2001:db8::1"), "2001:db8::1"),
    (Form(IPV4_ADDR, True), span("192.0.2.1", "192.0.2.1"), "192.0.2.1"),
    (Form(IPV4_ADDR, True), span("192.0.2.0", "192.0.2.255"), "192.0.2.0/24"),
    (Form(IPV4_ADDR, True), span("0.0.0.0", "255.255.255.255"), "0.0.0.0/0"),
    (Form(IPV4_ADDR, True), span("192.0.2.1", "192.0.2.2"), "192.0.2.1-192.0.2.2"),
    (Form(IPV4_ADDR, True), span("192.0.2.0", "192.0.2.2"), "192.0.2.0-192.0.2.2"),
    (Form(IPV6_ADDR, True), span("2001:db8::", "2001:db8::ffff:ffff:ffff:ffff"), "2001:db8::/64"),
    (Form(IFNAME), name("eth0"), '"eth0"'),
    (Form(IFNAME), name("a" * 15), '"%s"' % ("a" * 15)),
    (Form(IFNAME), name("w\udce9n"), '"w\ufffdn"'),
    (Form(IFNAME, True), name("eth0") * 2, '"eth0"'),
    (Form(IFNAME, True), name("ppp") + b"ppp".ljust(16, b"\xff"), '"ppp*"'),
])
def test_an_element_as_text(form: Form, element: bytes, expected: str) -> None:
    assert element_text(form, element) == expected


def test_element_lists() -> None:
    two = [key("192.0.2.10"), key("192.0.2.9")]
    assert element_list(Form(IPV4_ADDR), two) == '192.0.2.9 comment "netmgr", 192.0.2.10 comment "netmgr"'
    assert element_list(Form(IPV4_ADDR, timeout=True), two[:1]) == '192.0.2.10 timeout 3650d comment "netmgr"'


def test_a_transaction_as_text() -> None:
    """In the order in which it takes effect: creations, deletes, adds."""
    changes: List[Change] = [
        ChangeElements(NAME, Form(IPV4_ADDR), [key("192.0.2.1")], [key("192.0.2.3"), key("192.0.2.2")]),
        CreateTable("ip6", "other"), CreateSet(OTHER, Form(IPV6_ADDR)),
        ChangeElements(OTHER, Form(IPV6_ADDR), [key("2001:db8::1")], []),
    ]
    assert list(text(changes)) == [
        "add table ip6 other",
        "add set ip6 other lan_nets { type ipv6_addr; }",
        "delete element inet filter wan_ips { 192.0.2.1 }",
        "delete element ip6 other lan_nets { 2001:db8::1 }",
        'add element inet filter wan_ips { 192.0.2.2 comment "netmgr", 192.0.2.3 comment "netmgr" }',
    ]
    assert list(text([])) == []


def test_long_lists_are_what_their_elements_are_one_by_one() -> None:
    source = random.Random(9)
    for form in (Form(IPV4_ADDR), Form(IPV6_ADDR, timeout=True)):
        keys = [bytes(form.width), b"\xff" * form.width] + [source.randbytes(form.width) for _ in range(500)]
        keys += [bytes(each if source.random() < 0.4 else 0 for each in key) for key in keys[2:]]
        suffix = ' timeout 3650d comment "netmgr"' if form.timeout else ' comment "netmgr"'
        keys = [key for key in keys if form.width == 4 or any(key[:10]) or not any(key)]      # ::192.0.2.1 has two notations
        assert element_list(form, keys) == ", ".join(element_text(form, key) + suffix for key in sorted(keys))
    assert element_list(Form(IPV6_ADDR), [bytes(10) + b"\xff\xff\xc0\0\2\1"]) == '::ffff:192.0.2.1 comment "netmgr"'
    assert element_list(Form(IPV4_ADDR), []) == ""


@pytest.mark.parametrize("kind", [IPV4_ADDR, IPV6_ADDR])
def test_long_lists_of_ranges_are_what_their_elements_are_one_by_one(kind: str) -> None:
    source, form = random.Random(10), Form(kind, True)
    bits = form.width * 8
    spans = [(0, 0), (0, (1 << bits) - 1), ((1 << bits) - 1,) * 2, (1, (1 << bits) - 1), (0, (1 << bits) - 2)]
    for _ in range(500):
        host = source.choice((0, 1, 3, 7, 8, 9, 16, 31, 32, bits - 1, bits) if kind == IPV6_ADDR else range(bits + 1))
        first = (source.getrandbits(bits) | 1 << bits - 1) >> host << host
        spans += [(first, first | (1 << host) - 1), (first, first | (1 << host) - 1 & source.getrandbits(bits)),
                  (first | source.getrandbits(bits) & (1 << host) - 1, first | (1 << host) - 1)]
    elements = {pack(*span, form.width) for span in spans}
    assert element_list(form, elements) == ", ".join(element_text(form, each) + ' comment "netmgr"' for each in sorted(elements))


def test_names_for_which_nft_has_no_notation() -> None:
    form, odd = Form(IFNAME), [name.ljust(16, b"\0") for name in (b'a"b', b"l\xff", b"a" * 14 + b"*", b"lan\\x", b"lan\\x*")]
    assert element_list(form, odd) == ""
    assert element_list(form, [b"a" * 13 + b"*\0\0"]) == '"aaaaaaaaaaaaa\\*" comment "netmgr"'
    assert list(text([ChangeElements(NAME, form, [], odd[:2])])) == [
        '# add element inet filter wan_ips { "a"b" }: nft has no notation for this name',
        '# add element inet filter wan_ips { "l\ufffd" }: nft has no notation for this name']
