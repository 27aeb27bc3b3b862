"""Which sets of a whole ruleset bear netmgr's mark: sets that it made, and sets in which an element has its comment.

The answer comes message by message, so that whoever asks can do something else in between.  Of a large set only the beginning is read: a
dump takes the longer for each piece the more there were before.  Such a dump can be given up only with its socket; others stay open for
the next question, for closing one is dear while somebody deletes (see netmgr/io/nft_socket.py).
"""

from typing import Container, Generator, Iterator, List, Optional, Tuple

from netmgr.io.nft_socket import Netfilter
from netmgr.values import sets
from netmgr.values.errors import ProtocolError
from netmgr.values.sets import SetInfo, SetName
from netmgr.wire import nft, nft_read, nft_write
from netmgr.wire.netlink import NLM_F_DUMP, NLMSG_DONE, NLMSG_ERROR, messages, request

RECEIVES_AT_MOST = 32       # of up to 32 KiB, some 2,000 elements, each
LEFT_AT_MOST = 2            # receives that are less than a new socket
ENDS = (NLMSG_DONE, NLMSG_ERROR)
NEWSET, NEWSETELEM = (nft.NFNL_SUBSYS_NFTABLES << 8 | kind for kind in (nft.NFT_MSG_NEWSET, nft.NFT_MSG_NEWSETELEM))


def marked_sets(sockets: List[Netfilter], known: Container[SetName]) -> Iterator[Optional[SetName]]:
    """The sets that bear netmgr's mark, but for those that are known; None now and then.  OSError, ProtocolError.

    `sockets` has those that are free for this.
    """
    for info in (yield from _all(sockets)):
        if info.name in known:
            yield None
        elif info.made:
            yield info.name
        elif sets.form_of(info) is not None and info.elements != 0:
            yield info.name if (yield from _has_comment(sockets, info.name)) else None


def _all(sockets: List[Netfilter]) -> Generator[None, None, List[SetInfo]]:
    question = request(nft.NFNL_SUBSYS_NFTABLES << 8 | nft.NFT_MSG_GETSET, NLM_F_DUMP, 1, bytes(4))
    found = []
    for kind, payload in _dump(sockets, question):
        if kind == NEWSET:
            found.append(nft_read.listed_set(payload))
        yield
    return [info for info in found if info is not None]


def _has_comment(sockets: List[Netfilter], name: SetName) -> Generator[None, None, bool]:
    question = nft_write.Writer().about_set(1, name, nft.NFT_MSG_GETSETELEM, NLM_F_DUMP)
    for kind, payload in _dump(sockets, question, RECEIVES_AT_MOST):
        if kind == NEWSETELEM and nft_read.mentions_comment(payload):
            return True
        yield
    return False


def _dump(sockets: List[Netfilter], question: bytes, receives: Optional[int] = None) -> Iterator[Tuple[int, memoryview]]:
    """Type and payload of each message of a dump, or of the first receives.  What ends with an error ends: others have changed it."""
    netfilter = sockets.pop() if sockets else Netfilter()
    ended = False
    try:
        netfilter.send(question)
        while not ended and (receives is None or receives > 0):
            view = netfilter.receive()
            ended = view is None
            for message in messages(b"" if view is None else view):
                ended = message.type in ENDS
                if not ended:
                    yield message.type, message.payload
            receives = None if receives is None else receives - 1
    finally:
        if ended or _ends_soon(netfilter):
            sockets.append(netfilter)
        else:
            netfilter.close()


def _ends_soon(netfilter: Netfilter) -> bool:
    """Whether so little is left of a dump that it is at its end now."""
    try:
        views = (netfilter.receive() for _receive in range(LEFT_AT_MOST))
        return any(view is None or any(message.type in ENDS for message in messages(view)) for view in views)
    except (OSError, ProtocolError):
        return False
