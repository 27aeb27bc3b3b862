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
from struct import Struct
from typing import Callable, Dict, Iterator, List, Sequence, Tuple

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
CODE = 4                # bytes of a verdict before the name of its chain
FEW = 4                 # elements of one set that get a message each, which takes no codec
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
_BEGIN_SIZE, _END_SIZE = HEADER.size + 12, HEADER.size + 4
_NFGENMSG = bytes((0, 0, 0, NFNL_SUBSYS_NFTABLES))
_GENERATION = attribute(NFNL_BATCH_GENID, bytes(4))[:4]
_BEGIN = HEADER.pack(_BEGIN_SIZE, NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, 0, 0)[:8]
_END = HEADER.pack(_END_SIZE, NFNL_MSG_BATCH_END, NLM_F_REQUEST | NLM_F_ACK, 0, 0)[:8]
_AFTER_BEGIN, _AFTER_END = bytes(4) + _NFGENMSG + _GENERATION, bytes(4) + _NFGENMSG
_data = itemgetter(Part._fields.index("data"))
BOUNDS = _BEGIN_SIZE + _END_SIZE


class _Frame(NamedTuple):
    """A transaction about one element, in pieces: `pack` puts them together with those of BEGIN and END.

    `before` is up to the number of its message, `between` from there to the element, `after` from there to the number of END.  Of a range
    that are two keys, with the `middle` between them.
    """

    pack: Callable[..., bytes]
    before: bytes
    between: bytes
    middle: bytes
    after: bytes


class _Known(NamedTuple):
    """A set as the codec knows it; `names` are the bytes that it points to, `stride` is what an element takes, less a verdict.

    `frames` by operation, of sets whose elements are nothing but keys.
    """

    form: Form
    destroy: bool
    set: ffi.CData
    names: Tuple[ffi.CData, ffi.CData]
    stride: int
    manners: Dict[str, ffi.CData]
    frames: Dict[str, _Frame]


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

    def of_one(self, seq: int, changes: Sequence[Change], destroy: bool, generation: int) -> bytes:
        """The transaction about one element, of three messages numbered from seq on; nothing if it is not that simple.

        Mostly it is, and then somebody waits for it; so it is what parts() and transaction() make, in one step.
        """
        change = changes[0] if len(changes) == 1 else None
        if type(change) is not ChangeElements:
            return b""
        name, form, delete, add, restore = change
        known = self._known.get(name)
        if known is None or restore or len(delete) + len(add) != 1:
            return b""
        same_form, same_destroy, _set, _names, stride, _manners, frames = known
        if same_form is not form or same_destroy != destroy or not frames:
            return b""
        pack, before, between, middle, after = frames["delete" if delete else "add"]
        (element,) = delete or add
        keys = _ends(element, middle) if middle else element
        if len(element) != stride or not keys:
            return b""
        return pack(_BEGIN, seq, _AFTER_BEGIN, generation.to_bytes(4, "big"), before, seq + 1, between, keys, after, seq + 2, _AFTER_END)

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
            if not (change.form.value or is_concatenation(change.form.type)):
                known.frames.update((each, self._frame(known, each, change.set)) for each in known.manners)
        stride = known.stride
        if len(elements) <= FEW and operation in known.frames and {*map(len, elements)} == {stride}:
            pack, before, between, middle, after = known.frames[operation]
            keys = [_ends(element, middle) for element in elements] if middle else elements
            if all(keys):
                wholes = (pack(_BEGIN, 0, _AFTER_BEGIN, b"", before, seq + first, between, each, after, 0, _AFTER_END)
                          for first, each in enumerate(keys))
                parts += (Part(each[_BEGIN_SIZE:-_END_SIZE], change.set, operation, first) for first, each in enumerate(wholes))
                return
        if change.form.value == VERDICT:
            elements = _filled_up(elements, stride)
            stride = max(stride, len(elements[0]))
            known.set.value = stride - known.stride + CODE
        if set(map(len, elements)) != {stride}:
            raise ValueError("elements of %s must have %d bytes" % (change.set, stride))
        packed, manner = b"".join(elements), known.manners[operation]
        while first < len(elements):
            some = packed[first * stride:(first + ELEMENTS_MAX) * stride]
            taken = lib.nftcodec_elements(self._room, MESSAGE_MAX, seq, known.set, manner, some, len(some) // stride)
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
        return _Known(form, destroy, described, names, form.keys + value, _of_elements(form.interval, form.timeout, destroy), {})

    def _frame(self, known: _Known, operation: str, about: SetName) -> _Frame:
        """What the messages about two elements that have no byte in common have in common, but for their numbers."""
        low, high = bytes(known.stride), b"\xfe" * known.stride
        one, other = (self._message(lib.nftcodec_elements(self._room, MESSAGE_MAX, 0, known.set, known.manners[operation], each, 1), about)
                      for each in (low, high))
        differ = [place for place, pair in enumerate(zip(one, other)) if pair[0] != pair[1]]
        at, beyond = differ[0], differ[-1] + 1
        width = known.stride // 2 if known.form.interval else 0
        form = "=8sI%ds4s8sI%ds%ds%dsI%ds" % (len(_AFTER_BEGIN), at - 12, beyond - at, len(one) - beyond + len(_END), len(_AFTER_END))
        return _Frame(Struct(form).pack, one[:8], one[12:at], one[at + width:beyond - width] if width else b"", one[beyond:] + _END)

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


def _ends(element: bytes, middle: bytes) -> bytes:
    """The two keys of a range, with what is between them; nothing if it goes up to the last key, which has no end, or is none."""
    width = len(element) // 2
    following = int.from_bytes(element[width:], "big") + 1
    if following >> width * 8:
        return b""
    first, end = element[:width], following.to_bytes(width, "big")
    return first + middle + end if first < end else b""


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
