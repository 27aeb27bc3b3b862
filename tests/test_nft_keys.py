"""Keys of several parts, boxes and maps: what is written is read, what makes no sense is refused; no kernel."""

from typing import Tuple

import pytest

from netmgr.values.errors import ProtocolError
from netmgr.values.sets import ChangeElements, Form
from netmgr.wire import nft_read, nft_write
from netmgr.wire.netlink import attribute, messages
from netmgr.wire.nft_text import element_list, element_texts, text
from tests.keys import element
from tests.nftables import NAME, info
from tests.test_nft_read import cut, garbled, listed

WIDE = " . ".join(["ipv6_addr"] * 4)
CASES = [
    (Form("ifname . ipv4_addr"), ("eth0 . 192.0.2.1", "eth1 . 192.0.2.1")),
    (Form("ifname . ipv4_addr", interval=True), ("eth0 . 192.0.2.0/24", "eth1 . 192.0.2.7", "eth1 . 192.0.2.9-192.0.2.11")),
    (Form("ether_addr . ipv4_addr", timeout=True), ("02:00:00:00:00:01 . 192.0.2.1",)),
    (Form(WIDE, interval=True), (" . ".join(["2001:db8::/64"] * 4),)),
    (Form("iface_index"), ("7", "300", "11", "65536", "9")),
    (Form("ifname", value="verdict"), ("eth0 : jump wan", "eth1 : goto a-chain-with-a-longer-name", "lo : accept", "x : return")),
    (Form("ipv4_addr", True, value="verdict"), ("192.0.2.0/24 : drop", "255.255.255.0-255.255.255.255 : jump top")),
    (Form("ifname", value="mark"), ("eth0 : 0x00000010",)),
    (Form("ifname", value="ipv6_addr"), ("eth0 : 2001:db8::1",)),
    (Form("inet_proto . inet_service", value="ipv4_addr . inet_service"), ("tcp . 8080 : 172.17.0.2 . 80", "udp . 53 : 172.17.0.3 . 53")),
    (Form("ifname . ipv4_addr", True, True, value="ipv4_addr"), ("eth0 . 10.0.0.0/8 : 192.0.2.1",)),
]


def payload(form: Form, elements: Tuple[str, ...]) -> bytes:
    """What adding them says after its nfgenmsg, which a dump would say as well."""
    change = ChangeElements(NAME, form, (), [element(form, each) for each in elements])
    (part,) = nft_write.Writer().parts(1, [change], True)
    return bytes(next(messages(part.data)).payload)


@pytest.mark.parametrize(("form", "elements"), CASES)
def test_what_is_written_is_read(form: Form, elements: Tuple[str, ...]) -> None:
    collected = nft_read.Elements(info(form))
    collected.feed(memoryview(payload(form, elements)))
    contents = collected.contents()
    assert contents.ours == {element(form, each) for each in elements}
    assert not contents.foreign and collected.dumped == collected.different


@pytest.mark.parametrize(("form", "elements"), CASES)
def test_what_is_cut_short_or_garbled_is_refused_or_read(form: Form, elements: Tuple[str, ...]) -> None:
    whole, refused = payload(form, elements), 0
    for data in [*cut(whole), *garbled(whole, 500)]:
        collected = nft_read.Elements(info(form))
        try:
            collected.feed(memoryview(data))
        except ProtocolError:
            refused += 1
        contents = collected.contents()
        assert all(len(each) >= form.keys for each in contents.ours | contents.foreign)
        assert element_texts(form, contents.foreign) is not None
    assert refused


def key(form: Form, text: str) -> bytes:
    return attribute(1, attribute(1, element(Form(form.type), text)))


@pytest.mark.parametrize(("form", "data"), [
    (Form("ifname . ipv4_addr"), attribute(10, attribute(1, bytes(20)))),                   # a last key where there are no ranges
    (Form("ifname . ipv4_addr", True), attribute(10, attribute(1, bytes(19)))),
    (Form("ifname . ipv4_addr", value="mark"), b""),                                        # a map's element without its value
    (Form("ifname . ipv4_addr", value="mark"), attribute(2, attribute(1, bytes(5)))),
    (Form("ifname . ipv4_addr", value="mark"), attribute(2, attribute(2, attribute(1, bytes(4))))),
    (Form("ifname . ipv4_addr", value="verdict"), attribute(2, attribute(1, bytes(4)))),
    (Form("ifname . ipv4_addr", value="verdict"), attribute(2, attribute(2, attribute(1, bytes(3))))),
    (Form("ifname . ipv4_addr", value="verdict"), attribute(2, attribute(2, attribute(2, b"wan\0")))),
    (Form("ifname . ipv4_addr", value="verdict"), attribute(2, attribute(2, attribute(1, bytes(4)) + attribute(2, b"x" * 257)))),
    (Form("ifname . ipv4_addr"), attribute(2, attribute(1, bytes(4)))),                     # a value where there are none
])
def test_elements_that_are_not_of_their_set_are_refused(form: Form, data: bytes) -> None:
    with pytest.raises(ProtocolError):
        nft_read.Elements(info(form)).feed(listed(key(form, "eth0 . 192.0.2.1") + data))


def test_a_box_without_a_last_key_holds_its_key() -> None:
    form = Form("ifname . ipv4_addr", True)
    collected = nft_read.Elements(info(form))
    collected.feed(listed(key(form, "eth0 . 192.0.2.1")))
    assert element_texts(form, collected.contents().foreign) == ['"eth0" . 192.0.2.1']


@pytest.mark.parametrize("form", [Form("ifname . ipv4_addr"), Form("ifname", value="mark"), Form("ifname", value="verdict")])
@pytest.mark.parametrize("length", [0, 16, 19, 21, 40])
def test_elements_of_another_length_are_refused(form: Form, length: int) -> None:
    if form.value == "verdict" and length > 20:
        return      # that may be a chain
    with pytest.raises(ValueError):
        nft_write.Writer().parts(1, [ChangeElements(NAME, form, (), [bytes(length)])], True)


def test_many_verdicts_take_several_messages() -> None:
    form = Form("ipv4_addr", value="verdict")
    elements = [number.to_bytes(4, "big") + element(Form("mark", value="verdict"), "0 : jump " + "c" * (number % 250 + 1))[4:]
                for number in range(5000)]
    parts = nft_write.Writer().parts(1, [ChangeElements(NAME, form, (), elements)], True)
    collected = nft_read.Elements(info(form))
    for part in parts:
        collected.feed(next(messages(part.data)).payload)
    assert len(parts) > 4 and collected.contents().ours == set(elements)


def test_as_nft_writes_them() -> None:
    form = Form("ifname . ipv4_addr", True, True)
    assert element_list(form, [element(form, "eth0 . 192.0.2.0/24")]) == '"eth0" . 192.0.2.0/24 timeout 3650d comment "netmgr"'
    form = Form("ifname", value="verdict")
    change = ChangeElements(NAME, form, [element(form, "eth0 : jump lan")], [element(form, "eth0 : jump wan")])
    assert list(text([change])) == ['delete element inet t s { "eth0" : jump lan }',
                                    'add element inet t s { "eth0" comment "netmgr" : jump wan }']
