"""What the tests of nf_tables messages share: keys, sets, and what a kernel wrote."""

from pathlib import Path
from typing import Dict, Iterator, Optional, Tuple

from netmgr.values.sets import IPV4_ADDR, NFT_SET_INTERVAL, NFT_SET_MAP, NFT_SET_TIMEOUT, Form, SetInfo, SetName, width_of
from netmgr.wire import nft, nft_read
from netmgr.wire.netlink import messages

NAME = SetName("inet", "t", "s")
PLAIN = Form(IPV4_ADDR)
RANGES = Form(IPV4_ADDR, interval=True)
TOP = b"\xff" * 4

ADD, DELETE, DESTROY = (nft.NFNL_SUBSYS_NFTABLES << 8 | kind for kind in (12, 14, 30))


def captures() -> Dict[str, bytes]:
    """tests/captures/nftables.hex: name -> datagrams."""
    return dict(_captures())


def _captures() -> Iterator[Tuple[str, bytes]]:
    text = (Path(__file__).parent / "captures" / "nftables.hex").read_text()
    for block in text.split("\n\n")[1:]:
        head, _, data = block.partition("\n")
        yield head.partition(":")[0], bytes.fromhex(data.replace("\n", ""))


def ip(number: int) -> bytes:
    """10.0.0.0 and so many."""
    return (0x0A000000 + number).to_bytes(4, "big")


def span(first: int, last: int) -> bytes:
    """A range of such addresses."""
    return ip(first) + ip(last)


def interface(name: str) -> bytes:
    """A name as a key."""
    return name.encode().ljust(16, b"\0")


def info(form: Form, flags: int = 0, count: Optional[int] = None) -> SetInfo:
    """A set of this form."""
    flags |= (NFT_SET_INTERVAL if form.interval else 0) | (NFT_SET_TIMEOUT if form.timeout else 0) | (NFT_SET_MAP if form.value else 0)
    return SetInfo(NAME, form.type, form.width, flags, 0, 0, (1, 1), count, value=form.value, value_length=width_of(form.value))


def dumped(data: bytes, form: Form) -> nft_read.Elements:
    """All NFT_MSG_NEWSETELEM among these messages, taken in."""
    elements = nft_read.Elements(info(form))
    for message in messages(data):
        if message.type == ADD:
            elements.feed(message.payload)
    return elements
