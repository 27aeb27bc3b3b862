"""The two nf_tables sockets: requests and transactions on one, notifications on the other.

Netlink is synchronous: when a send returns, the kernel has committed or aborted and every answer is queued, so nothing here waits for
the kernel.  Receiving until EAGAIN therefore gives all there is; a dump continues within each receive.  Both sockets stay open for
life, because closing one after a delete waits for an RCU grace period with the commit lock held.

Watch: once a receive buffer overflows, the kernel drops everything until the queue is completely empty, so both drain to the end
always.  The filter lets only NFT_MSG_NEWGEN, one message for each commit, into the queue; its cost at the kernel (a notification
per element, freed again) stays.
"""

import errno
import socket
import struct
import time
from typing import List, Optional, Sequence, Tuple

from netmgr._nftcodec import ffi
from netmgr.errors import ProtocolError
from netmgr.events import RulesetChanged
from netmgr.netlink import (
    HEADER, NETLINK_ADD_MEMBERSHIP, NETLINK_CAP_ACK, NETLINK_EXT_ACK, NLM_F_DUMP, NLMSG_DONE, NLMSG_ERROR, SOL_NETLINK, Message, attribute,
    error, messages, request)
from netmgr.nft import (
    FAMILIES, NFNL_SUBSYS_NFTABLES, NFT_MSG_DESTROYSETELEM, NFT_MSG_GETGEN, NFT_MSG_GETSET, NFT_MSG_GETSETELEM, NFT_MSG_GETTABLE,
    NFT_MSG_NEWGEN, NFT_MSG_NEWSET, NFT_MSG_NEWSETELEM, NFT_MSG_NEWTABLE, Outcome, Part, about_set, acks, faults, name_bytes, parts_of,
    split, transaction)
from netmgr.nftread import Elements, Reading, generation, ruleset_changes, set_info, table_handle
from netmgr.sets import NFT_SET_EVAL, NFT_SET_INTERVAL, NFT_SET_TIMEOUT, Change, Contents, SetInfo, SetName

NETLINK_NETFILTER = 12
NFNLGRP_NFTABLES = 7
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33
SO_ATTACH_FILTER = 26
SO_MEMINFO, SK_MEMINFO_VARS, SK_MEMINFO_DROPS = 55, 9, 8

RECEIVE_BUFFER = 1 << 20
MESSAGE_BUFFER = 1 << 17        # the kernel fills at most 32 KiB in a dump; an echoed request may take 64 KiB
SEND_OVERHEAD = 32              # netlink_sendmsg() refuses more than sk_sndbuf - 32
PAUSES = (0.0, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.1, 0.1)     # before each attempt to read a set

_NO_SET = SetName("inet", "netmgr-probe", "netmgr-probe")


class Nft:
    """Requests to nf_tables and transactions on it.  PermissionError without CAP_NET_ADMIN over the network namespace."""

    def __init__(self) -> None:
        self._socket = _open(RECEIVE_BUFFER)
        self.portid: int = self._socket.getsockname()[0]
        self._socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        self._buffer = bytearray(MESSAGE_BUFFER)
        self._seq = 0
        try:
            self._acknowledges = self._probe_acknowledgement()
            self._destroys = self._probe_destroy()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def generation(self) -> int:
        """The number of the ruleset's present state."""
        return generation(self._ask(NFT_MSG_GETGEN, NFT_MSG_NEWGEN, 0, b""))

    def inspect(self, name: SetName) -> Optional[SetInfo]:
        """The set as it is now; None if it or its table is missing.  OSError, ProtocolError."""
        family = FAMILIES[name.family]
        try:
            table, own = name_bytes(name.table) + b"\0", name_bytes(name.name) + b"\0"
            handle = table_handle(self._ask(NFT_MSG_GETTABLE, NFT_MSG_NEWTABLE, family, attribute(1, table)))
            return set_info(self._ask(NFT_MSG_GETSET, NFT_MSG_NEWSET, family, attribute(1, table) + attribute(2, own)), name, handle)
        except (FileNotFoundError, ValueError):
            return None

    def read(self, info: SetInfo) -> Reading:
        """Everything that a set with addresses or names holds.  OSError (FileNotFoundError: it is gone), ProtocolError.

        A dump counts when no commit happened meanwhile, nothing came twice and, where the kernel tells how many elements there are,
        that many came.  A hash table that is just being resized gives some elements twice and others never, hence the pauses.
        """
        union = Contents(frozenset(), frozenset(), frozenset())
        for pause in PAUSES:
            time.sleep(pause)
            contents, verified = self._dump(info)
            if verified:
                return Reading(contents, True)
            union = Contents(*(one | other for one, other in zip(union, contents)))
        return Reading(union, False)

    def commit(self, changes: Sequence[Change]) -> Outcome:
        """Make all changes in one transaction; without any, send nothing.

        Only when the send buffer may not grow enough (SO_SNDBUFFORCE is for the initial user namespace), there are several
        transactions: creations, deletes and the first adds, then the other adds.  OSError if the kernel does not take the bytes.
        """
        parts = parts_of(self._reserve(0), changes, self._destroys)
        seq = self._reserve(len(parts) + 2) if parts else 0
        if not parts:
            return Outcome(True, True, ())
        applied = 0
        limit = self._grow_send_buffer(sum(len(part.data) for part in parts) + 2 * HEADER.size + 8)
        for some in split(parts, limit):
            outcome = self._transact(seq, parts, some)
            if not outcome.committed:
                return outcome if not applied else outcome._replace(known=False)
            applied += 1
        return outcome

    def _transact(self, seq: int, parts: Sequence[Part], some: Sequence[Part]) -> Outcome:
        following = seq + 1 + len(parts)
        found, overrun = self._exchange(transaction(seq, some, following))
        answers = acks(found, seq, following)
        trouble = faults(parts, seq, answers)
        if trouble:
            return Outcome(False, not overrun, trouble)
        if any(number == following for number, _ack in answers):
            return Outcome(True, True, ())
        known = not overrun and not self._acknowledges and self._answers()
        return Outcome(known, known, ())

    def _answers(self) -> bool:
        """Whether replies reach us: then the silence of a kernel that does not acknowledge means that all went well."""
        try:
            self.generation()
        except OSError:
            return False
        return True

    def _dump(self, info: SetInfo) -> Tuple[Contents, bool]:
        before, now = self.generation(), self.inspect(info.name)
        elements = Elements(info)
        seq = self._reserve(1)
        self._send(about_set(seq, info.name, NFT_MSG_GETSETELEM, NLM_F_DUMP))
        try:
            while not self._feed(elements, seq):
                pass
        except BaseException:
            self._discard()
            raise
        dumped = elements.count
        contents = elements.contents()
        steady = elements.generations <= {before & 0xFFFF} and self.generation() == before
        complete = now is not None and now.identity == info.identity and _plausible(now, dumped)
        return contents, steady and complete and dumped == elements.count

    def _feed(self, elements: Elements, seq: int) -> bool:
        """Take in one receive of a dump; True at its end."""
        view = self._receive()
        if view is None:
            raise OSError(errno.EIO, "nf_tables: a dump ended without saying so")
        for message in messages(view):
            if message.seq != seq:
                continue
            if message.type in (NLMSG_DONE, NLMSG_ERROR):
                _raise_for(error(message).errno)
                return True
            if message.type == NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSETELEM:
                elements.feed(message.payload)
        return False

    def _ask(self, question: int, answer: int, family: int, attributes: bytes) -> memoryview:
        """A request with one reply; its payload."""
        seq = self._reserve(1)
        payload = bytes([family, 0, 0, 0]) + attributes
        found, overrun = self._exchange(request(NFNL_SUBSYS_NFTABLES << 8 | question, 0, seq, payload))
        for message in found:
            if message.seq == seq and message.type == NLMSG_ERROR:
                _raise_for(error(message).errno)
            if message.seq == seq and message.type == NFNL_SUBSYS_NFTABLES << 8 | answer:
                return message.payload
        raise OSError(errno.ENOBUFS if overrun else errno.EIO, "nf_tables did not answer")

    def _exchange(self, data: bytes) -> Tuple[List[Message], bool]:
        """Send, and receive all that comes of it; True: some of that was lost."""
        self._send(data)
        found: List[Message] = []
        overrun = False
        while True:
            try:
                view = self._receive()
            except OSError as problem:
                if problem.errno != errno.ENOBUFS:
                    raise
                overrun = True
                continue
            if view is None:
                return found, overrun
            found.extend(messages(bytes(view)))

    def _send(self, data: bytes) -> None:
        self._socket.sendto(data, (0, 0))

    def _receive(self) -> Optional[memoryview]:
        """What one message buffer holds, valid until the next call; None when there is nothing."""
        try:
            size, _, flags, (sender, _groups) = self._socket.recvmsg_into([self._buffer])
        except BlockingIOError:
            return None
        if flags & socket.MSG_TRUNC:
            raise ProtocolError("nf_tables: an answer of more than %d bytes" % len(self._buffer))
        return memoryview(self._buffer)[:size if sender == 0 else 0]

    def _discard(self) -> None:
        while True:
            try:
                if self._receive() is None:
                    return
            except (OSError, ProtocolError):
                pass

    def _reserve(self, count: int) -> int:
        """The first of so many sequence numbers that no earlier request has used."""
        if self._seq + count > 0x7FFFFFFF:
            self._seq = 0
        first = self._seq
        self._seq += count
        return first

    def _grow_send_buffer(self, size: int) -> int:
        """Make room for a send of this size if allowed; the size that can be sent."""
        limit = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) - SEND_OVERHEAD
        if size <= limit:
            return limit
        _set_buffer(self._socket, SO_SNDBUFFORCE, socket.SO_SNDBUF, size + SEND_OVERHEAD)
        return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) - SEND_OVERHEAD

    def _probe_acknowledgement(self) -> bool:
        """Whether the kernel acknowledges the end of a transaction; an empty one changes nothing, not even the generation."""
        seq = self._reserve(2)
        found, _overrun = self._exchange(transaction(seq, (), seq + 1))
        for number, ack in acks(found, seq, seq + 1):
            _raise_for(ack.errno)
            if number == seq + 1:
                return True
        return False

    def _probe_destroy(self) -> bool:
        """Whether the kernel knows NFT_MSG_DESTROYSETELEM: then what is wrong is that there is no such table, and not the message."""
        seq = self._reserve(3)
        part = Part(about_set(seq + 1, _NO_SET, NFT_MSG_DESTROYSETELEM, 0), None, "", 0)
        found, _overrun = self._exchange(transaction(seq, [part], seq + 2))
        return any(number == seq + 1 and ack.errno == errno.ENOENT for number, ack in acks(found, seq, seq + 2))


class Watch:
    """Who committed what generation.  PermissionError without CAP_NET_ADMIN over the network namespace."""

    def __init__(self) -> None:
        self._socket = _open(RECEIVE_BUFFER)
        self._buffer = bytearray(MESSAGE_BUFFER)
        self._drops = 0
        try:
            _only_message(self._socket, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN)
            self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NFNLGRP_NFTABLES)
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """To be watched for reading."""
        return self._socket.fileno()

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()

    def drain(self) -> Tuple[List[RulesetChanged], bool]:
        """All commits since the last call; True: there were more, which are lost."""
        found: List[RulesetChanged] = []
        overrun = False
        while True:
            try:
                size, _, flags, (sender, _groups) = self._socket.recvmsg_into([self._buffer])
                if sender == 0:
                    found.extend(ruleset_changes(memoryview(self._buffer)[:size]))
                overrun |= bool(flags & socket.MSG_TRUNC)
            except BlockingIOError:
                return found, self._dropped() or overrun
            except ProtocolError:
                overrun = True
            except OSError as problem:
                if problem.errno != errno.ENOBUFS:
                    raise
                overrun = True

    def _dropped(self) -> bool:
        drops, self._drops = self._drops, _drops(self._socket)
        return drops != self._drops


def _open(receive_buffer: int) -> socket.socket:
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, NETLINK_NETFILTER)
    opened.bind((0, 0))
    _set_buffer(opened, SO_RCVBUFFORCE, socket.SO_RCVBUF, receive_buffer)
    return opened


def _set_buffer(opened: socket.socket, force: int, plain: int, size: int) -> None:
    try:
        opened.setsockopt(socket.SOL_SOCKET, force, size)
    except PermissionError:
        opened.setsockopt(socket.SOL_SOCKET, plain, size)


def _plausible(info: SetInfo, dumped: int) -> bool:
    """Whether a dump is as long as the kernel says, which counts ranges by two elements.  Elements that expired are not dumped."""
    if info.count is None or info.flags & (NFT_SET_TIMEOUT | NFT_SET_EVAL):
        return True
    return info.count == (dumped // 2 if info.flags & NFT_SET_INTERVAL else dumped)


def _raise_for(number: int) -> None:
    if number:
        raise OSError(number, "nf_tables: %s" % errno.errorcode.get(number, "error"))


def _only_message(opened: socket.socket, kind: int) -> None:
    """Let through what begins with a message of this type: A = half-word at 4 (in network order); accept if equal; else drop."""
    type_bytes = int.from_bytes(struct.pack("=H", kind), "big")
    program = b"".join(struct.pack("=HBBI", *step) for step in (
        (0x28, 0, 0, 4), (0x15, 0, 1, type_bytes), (0x06, 0, 0, 0xFFFFFFFF), (0x06, 0, 0, 0)))
    held = ffi.from_buffer(program)
    opened.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 4, int(ffi.cast("uintptr_t", held))))


def _drops(opened: socket.socket) -> int:
    """How many messages the kernel could not queue; 0 from kernels before 4.12, which do not tell."""
    try:
        counters = opened.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 4 * SK_MEMINFO_VARS)
    except OSError:
        return 0
    number: int = struct.unpack_from("=I", counters, 4 * SK_MEMINFO_DROPS)[0]
    return number
