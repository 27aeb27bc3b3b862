"""Changes of sets as nf_tables messages.

A transaction is NFNL_MSG_BATCH_BEGIN, any number of messages, NFNL_MSG_BATCH_END, in one send.  All creations come first, and sets that
go, then all deletes, then all adds, of all sets.  For sequence numbers see nft_answers.py.  A BEGIN with a generation
(NFNL_BATCH_GENID) makes the kernel refuse the transaction in any other.

Adds carry the comment COMMENT, and in a set with timeouts a timeout of 0, without which the set's default would apply.  An add of an
element that is there changes nothing about it but, from 6.12 on, its timeout.  In a set with ranges it fails (NLM_F_EXCL): without that
the kernel would also take a range around another one with the same end, and the two would share that end.

Deletes in sets without ranges are NFT_MSG_DESTROYSETELEM where the kernel has it (6.3): a missing element is no error.  In sets with
ranges they are always NFT_MSG_DELSETELEM: there the start and the end of a range are two elements, and destroying a range that is no
longer there as such would take away the start of one that begins alike.  Limit: older kernels (6.1) do not look whether the two belong
together; a range that someone has split since it was read loses its first start and its last end.
"""

from __future__ import annotations

from functools import cache
from operator import itemgetter
from typing import Dict, Iterator, List, Sequence, Tuple

from netmgr._nftcodec import ffi, lib
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.sets import (
    COMMENT,
    IPV4_ADDR,
    VERDICT,
    Change,
    ChangeElements,
    CreateSet,
    CreateTable,
    DeleteSet,
    Form,
    SetName,
    is_concatenation,
    width_of,
)
from netmgr.wire.netlink import BYTEORDER, HEADER, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, attribute
from netmgr.wire.nft import (
    FAMILIES,
    NFNL_BATCH_GENID,
    NFNL_MSG_BATCH_BEGIN,
    NFNL_MSG_BATCH_END,
    NFNL_SUBSYS_NFTABLES,
    NFT_MSG_DELSET,
    NFT_MSG_DELSETELEM,
    NFT_MSG_DESTROYSETELEM,
    NFT_MSG_NEWSETELEM,
)
from netmgr.wire.nft_answers import Part

ELEMENTS_MAX, MESSAGE_MAX = lib.NFTCODEC_ELEMENTS_MAX, lib.NFTCODEC_MESSAGE_MAX
FEW = lib.NFTCODEC_FEW      # elements of one set that get a message each
CODE = 4                # bytes of a verdict before the name of its chain
REMEMBERED = 4096       # sets whose names are not encoded anew each time; names may come and go without end

_NO_SET = SetName("inet", "netmgr-probe", "netmgr-probe")
_ANY = Form(IPV4_ADDR)
_COMMENT = ffi.new("char[]", COMMENT.encode())


def _manner(message: int, flags: int = 0, **more: object) -> ffi.CData:
    return ffi.new("struct nftcodec_manner *", {"message": message, "flags": flags, **more})


@cache
def _of_elements(interval: bool, timeout: bool, destroy: bool) -> Dict[str, ffi.CData]:
    """How elements of such sets are deleted, restored and added."""
    flags = NLM_F_CREATE | NLM_F_EXCL if interval else NLM_F_CREATE
    return {
        "delete": _manner(NFT_MSG_DESTROYSETELEM if destroy and not interval else NFT_MSG_DELSETELEM),
        "restore": _manner(NFT_MSG_NEWSETELEM, flags, adds=1),
        "add": _manner(NFT_MSG_NEWSETELEM, flags, adds=1, forever=int(timeout), comment=_COMMENT),
    }


# A BEGIN and an END, less the sequence number and what follows it: nlmsg_pid, nfgenmsg (its res_id names the subsystem), the generation.
_NFGENMSG = bytes((0, 0, 0, NFNL_SUBSYS_NFTABLES))
_GENERATION = attribute(NFNL_BATCH_GENID, bytes(4))[:4]
_BEGIN = HEADER.pack(HEADER.size + 12, NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, 0, 0)[:8]
_END = HEADER.pack(HEADER.size + 4, NFNL_MSG_BATCH_END, NLM_F_REQUEST | NLM_F_ACK, 0, 0)[:8]
_AFTER_BEGIN, _AFTER_END = bytes(4) + _NFGENMSG + _GENERATION, bytes(4) + _NFGENMSG
_data = itemgetter(Part._fields.index("data"))
BOUNDS = 2 * HEADER.size + 16       # bytes that both take


class _Known(NamedTuple):
    """A set as the codec knows it; `names` are the bytes that it points to, `stride` is what an element takes, less a verdict.

    `goes`, `comes`: how its elements are deleted and added; `manners` has these and more by operation.
    """

    form: Form
    destroy: bool
    set: ffi.CData
    names: Tuple[ffi.CData, ffi.CData]
    stride: int
    goes: ffi.CData
    comes: ffi.CData
    manners: Dict[str, ffi.CData]


class Writer:
    """Writes messages.  It owns the room for one, and remembers how sets are put for the codec."""

    def __init__(self) -> None:
        self._room = ffi.new_allocator(should_clear_after_alloc=False)("uint8_t[]", MESSAGE_MAX)
        self._view = ffi.buffer(self._room)
        self._known: Dict[SetName, _Known] = {}

    def about_set(self, seq: int, name: SetName, message: int, flags: int) -> bytes:
        """A message that names a table and a set, such as the request to dump its elements (NFT_MSG_GETSETELEM)."""
        known = self._know(name, _ANY, False)
        return self._message(lib.nftcodec_elements(self._room, MESSAGE_MAX, seq, known.set, _manner(message, flags), ffi.NULL, 0), name)

    def probe(self, seq: int) -> bytes:
        """A batch without an end, which no kernel commits: is NFT_MSG_DESTROYSETELEM known?"""
        part = Part(self.about_set(seq + 1, _NO_SET, NFT_MSG_DESTROYSETELEM, 0), None, "probe", 0)
        return transaction(seq, (part,), seq + 2)[:-HEADER.size - 4]

    def of_few(self, seq: int, changes: Sequence[Change], destroy: bool, generation: int) -> Tuple[bytes, int]:
        """The transaction about a few elements of one set, and the number of its END; no bytes if it is not that simple.

        Mostly it is, and then somebody waits for it; so it is what parts() and transaction() make, in one step.
        """
        change = changes[0] if len(changes) == 1 else None
        if type(change) is not ChangeElements:
            return b"", seq
        name, form, delete, add, restore = change
        known, elements = self._known.get(name), [*delete, *add]
        count = len(elements)
        if known is None or restore or not 0 < count <= FEW:
            return b"", seq
        same_form, same_destroy, described, _names, stride, goes, comes, _manners = known
        if same_form is not form or same_destroy != destroy or {*map(len, elements)} != {stride}:
            return b"", seq
        written = lib.nftcodec_few(self._room, MESSAGE_MAX, seq, generation, described, goes, comes, b"".join(elements), len(delete), count)
        return self._view[:written] if written > 0 else b"", seq + count + 1

    def parts(self, seq: int, changes: Sequence[Change], destroy: bool) -> List[Part]:
        """The messages for these changes; `destroy`: the kernel knows NFT_MSG_DESTROYSETELEM.

        ValueError for what is no element of its set's form, and for names that nf_tables does not allow.
        """
        parts: List[Part] = []
        inside: List[ChangeElements] = []
        for change in changes:
            if isinstance(change, ChangeElements):
                inside.append(change)
            elif isinstance(change, DeleteSet):
                parts.append(Part(self.about_set(seq + 1 + len(parts), change.set, NFT_MSG_DELSET, 0), change.set, "remove", 0))
            else:
                parts.append(self._create(seq + 1 + len(parts), change))
        for each in inside:
            if each.delete:
                self._append(parts, seq + 1 + len(parts), each, "delete", each.delete, destroy)
        for each in inside:
            if each.restore:
                self._append(parts, seq + 1 + len(parts), each, "restore", each.restore, destroy)
        for each in inside:
            if each.add:
                self._append(parts, seq + 1 + len(parts), each, "add", each.add, destroy)
        return parts

    def _append(self, parts: List[Part], seq: int, change: ChangeElements, operation: str, elements: Sequence[bytes],
                destroy: bool) -> None:
        known, first = self._known.get(change.set), 0
        if known is None or (known.form is not change.form and known.form != change.form) or known.destroy != destroy:
            known = self._known[change.set] = self._know(change.set, change.form, destroy)
        stride, described = known.stride, known.set
        if change.form.value == VERDICT:
            elements = _filled_up(elements, stride)
            stride = max(stride, len(elements[0]))
            described = ffi.new("struct nftcodec_set *", described[0])
            described.value = stride - known.stride + CODE
        if set(map(len, elements)) != {stride}:
            raise ValueError("elements of %s must have %d bytes" % (change.set, stride))
        packed, manner, at_once = b"".join(elements), known.manners[operation], 1 if len(elements) <= FEW else ELEMENTS_MAX
        while first < len(elements):
            some = packed[first * stride:(first + at_once) * stride]
            taken = lib.nftcodec_elements(self._room, MESSAGE_MAX, seq, described, manner, some, len(some) // stride)
            parts.append(Part(self._message(taken, change.set), change.set, operation, first))
            first, seq = first + taken, seq + 1

    def _message(self, written: int, about: object) -> bytes:
        """The message in the room, of the length that is the first thing in it; ValueError if nothing was written."""
        if written < 0:
            raise ValueError("nf_tables cannot be told this about %s" % (about,))
        message: bytes = self._view[:int.from_bytes(self._view[:4], BYTEORDER)]
        return message

    def _know(self, name: SetName, form: Form, destroy: bool) -> _Known:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        names = ffi.new("char[]", name_bytes(name.table)), ffi.new("char[]", name_bytes(name.name))
        value = CODE if form.value == VERDICT else width_of(form.value) if form.value else 0
        described = ffi.new("struct nftcodec_set *", {
            "table": names[0], "name": names[1], "family": FAMILIES[name.family], "like": _like(form), "width": form.width, "value": value})
        manners = _of_elements(form.interval, form.timeout, destroy)
        return _Known(form, destroy, described, names, form.keys + value, manners["delete"], manners["add"], manners)

    def _create(self, seq: int, change: Change) -> Part:
        if isinstance(change, CreateTable):
            written = lib.nftcodec_new_table(self._room, MESSAGE_MAX, seq, FAMILIES[change.family], name_bytes(change.table))
            return Part(self._message(written, change.table), None, "create", 0)
        assert isinstance(change, CreateSet)
        from netmgr.wire.nft_plan import plan
        known = self._know(change.set, change.form, False)
        written = lib.nftcodec_new_set(self._room, MESSAGE_MAX, seq, known.set, plan(seq, change.form, _COMMENT))
        return Part(self._message(written, change.set), change.set, "create", 0)


def _like(form: Form) -> int:
    boxes = form.interval and is_concatenation(form.type)
    like: int = lib.NFTCODEC_BOXES if boxes else lib.NFTCODEC_RANGES if form.interval else 0
    return like | lib.NFTCODEC_VERDICTS if form.value == VERDICT else like


def _filled_up(elements: Sequence[bytes], shortest: int) -> Sequence[bytes]:
    """Elements with verdicts, all as long as the longest."""
    longest = max(len(each) for each in elements)
    return [each.ljust(longest, b"\0") if len(each) >= shortest else each for each in elements]


def transaction(seq: int, parts: Sequence[Part], following: int, generation: int = 0) -> bytes:
    """One batch of these parts; `following` is the sequence number of its END; a generation of 0 is any."""
    begin = _BEGIN, seq.to_bytes(4, BYTEORDER), _AFTER_BEGIN, generation.to_bytes(4, "big")
    return b"".join((*begin, *map(_data, parts), _END, following.to_bytes(4, BYTEORDER), _AFTER_END))


def split(parts: Sequence[Part], limit: int) -> Iterator[Sequence[Part]]:
    """The parts as transactions of at most `limit` bytes, or of one part; their order stays, so deletes go first."""
    start, used = 0, BOUNDS
    for index, part in enumerate(parts):
        if index > start and used + len(part.data) > limit:
            yield parts[start:index]
            start, used = index, BOUNDS
        used += len(part.data)
    if start < len(parts):
        yield parts[start:]


def name_bytes(name: str) -> bytes:
    """A name as the kernel has it.  ValueError if it can be none: empty, too long, or with a NUL."""
    encoded = name.encode("utf-8", "surrogateescape")
    if not encoded or len(encoded) > lib.NFTCODEC_NAME_MAX or b"\0" in encoded:
        raise ValueError("not a name that nf_tables allows: %r" % name)
    return encoded
