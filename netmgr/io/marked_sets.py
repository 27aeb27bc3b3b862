"""Which sets of a whole ruleset bear netmgr's mark: sets that it made, and sets in which an element has its comment.

The answer comes message by message, so that whoever asks can do something else in between.  Of a large set only the beginning is read: a
dump takes the longer for each piece the more there were before.  The socket is one for this question, for a dump can be given up only
with it.
"""

from typing import Generator, Iterator, List, Optional, Tuple

from netmgr.io.nft_socket import Netfilter
from netmgr.values import sets
from netmgr.values.sets import SetInfo, SetName
from netmgr.wire import nft, nft_read, nft_write
from netmgr.wire.netlink import NLM_F_DUMP, NLMSG_DONE, NLMSG_ERROR, messages, request

RECEIVES_AT_MOST = 32       # of up to 32 KiB, some 2,000 elements, each

NEWSET, NEWSETELEM = (nft.NFNL_SUBSYS_NFTABLES << 8 | kind for kind in (nft.NFT_MSG_NEWSET, nft.NFT_MSG_NEWSETELEM))


def marked_sets() -> Iterator[Optional[SetName]]:
    """The sets that bear netmgr's mark; None now and then.  OSError, ProtocolError."""
    for info in (yield from _all()):
        if info.made:
            yield info.name
        elif sets.form_of(info) is not None and info.elements != 0:
            yield info.name if (yield from _has_comment(info.name)) else None


def _all() -> Generator[None, None, List[SetInfo]]:
    question = request(nft.NFNL_SUBSYS_NFTABLES << 8 | nft.NFT_MSG_GETSET, NLM_F_DUMP, 1, bytes(4))
    found = []
    for kind, payload in _dump(question):
        if kind == NEWSET:
            found.append(nft_read.listed_set(payload))
        yield
    return [info for info in found if info is not None]


def _has_comment(name: SetName) -> Generator[None, None, bool]:
    question = nft_write.Writer().about_set(1, name, nft.NFT_MSG_GETSETELEM, NLM_F_DUMP)
    for kind, payload in _dump(question, RECEIVES_AT_MOST):
        if kind == NEWSETELEM and nft_read.mentions_comment(payload):
            return True
        yield
    return False


def _dump(question: bytes, receives: Optional[int] = None) -> Iterator[Tuple[int, memoryview]]:
    """Type and payload of each message of a dump, or of the first receives.  What ends with an error ends: others have changed it."""
    netfilter = Netfilter()
    try:
        netfilter.send(question)
        while receives is None or receives > 0:
            view = netfilter.receive()
            for message in messages(b"" if view is None else view):
                if message.type in (NLMSG_DONE, NLMSG_ERROR):
                    return
                yield message.type, message.payload
            if view is None:
                return
            receives = None if receives is None else receives - 1
    finally:
        netfilter.close()
