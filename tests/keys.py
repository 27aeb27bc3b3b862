"""Elements of concatenations and maps, made of their parts."""

import sys
from typing import Tuple

from netmgr.values.addresses import parse
from netmgr.values.sets import AND, IFACE_INDEX, IFNAME, INET_PROTO, INET_SERVICE, MARK, VERDICT, WIDTHS, Form, padded
from netmgr.values.verdicts import verdict

PROTOCOLS = {"tcp": 6, "udp": 17}


def element(form: Form, text: str) -> bytes:
    """An element as nft would write it, without quotation marks: eth0 . 192.0.2.0/24, eth0 : jump wan."""
    key, _, value = text.partition(" : ")
    return _key(form, key) + (_value(form.value, value) if form.value else b"")


def _key(form: Form, text: str) -> bytes:
    spans = [_span(kind, part) for kind, part in zip(form.parts, text.split(AND))]
    if len(spans) > 1:
        spans = [(first.ljust(padded(len(first)), b"\0"), last.ljust(padded(len(last)), b"\0")) for first, last in spans]
    first, last = (b"".join(ends) for ends in zip(*spans))
    return first + last if form.interval else first


def _value(kind: str, text: str) -> bytes:
    if kind == VERDICT:
        return verdict(*text.split())
    return _key(Form(kind), text)


def _span(kind: str, text: str) -> Tuple[bytes, bytes]:
    if kind in (MARK, IFACE_INDEX):
        return (int(text, 0).to_bytes(4, sys.byteorder),) * 2
    if kind in (INET_SERVICE, INET_PROTO):
        return (PROTOCOLS.get(text, 0) or int(text, 0)).to_bytes(WIDTHS[kind], "big"), (PROTOCOLS.get(text, 0) or int(text, 0)).to_bytes(
            WIDTHS[kind], "big")
    if kind == IFNAME:
        return (text.encode().ljust(16, b"\0"),) * 2
    if ":" in text and kind == "ether_addr":
        return (bytes.fromhex(text.replace(":", "")),) * 2
    first, dash, last = text.partition("-")
    address, length = parse(first)
    end = parse(last)[0] if dash else (int.from_bytes(address, "big") | (1 << len(address) * 8 - length) - 1).to_bytes(len(address), "big")
    return address, end
