"""nf_tables at the kernel: requests and transactions on one socket, dumps of sets on another, notifications of commits on a third.

All stay open for life (see nft_socket.py).  A dump goes on within each receive, and while it does, its socket can do nothing else: with
one of its own a long dump can be taken in pieces, and transactions happen in between.

The notifications are filtered down to NFT_MSG_NEWGEN, of which each commit sends
one; the kernel still builds, and frees, one for every element, and that is the price of watching.
"""

from __future__ import annotations

import errno
import os
import time
from typing import Callable, Generator, List, Optional, Sequence, Set, Tuple

from netmgr.io.nft_socket import Netfilter
from netmgr.values.errors import ProtocolError
from netmgr.values.events import RulesetChanged
from netmgr.values.outcomes import COMMITTED, OVERTAKEN, Fault, Outcome, Reading
from netmgr.values.sets import Change, SetInfo, SetName
from netmgr.wire import nft, nft_answers, nft_read, nft_write
from netmgr.wire.netlink import NLM_F_DUMP, NLMSG_DONE, NLMSG_ERROR, attribute, error, messages, request

NFNLGRP_NFTABLES = 7
SEQ_END = 0x3FFFFFFF        # from there on sequence numbers begin again
RECEIVES_AT_MOST = 100      # of what others commit, in one turn of the loop

PAUSES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.1, 0.1)     # seconds before each further attempt to read a set


Commit = Callable[[Sequence[Change], int], Outcome]


class Nft:
    """Requests to nf_tables and transactions on it.  PermissionError without CAP_NET_ADMIN over the network namespace."""

    def __init__(self) -> None:
        self.netfilter = Netfilter()
        self.portid = self.netfilter.portid
        self._dumps = Netfilter()
        self.spare: List[Netfilter] = []        # for who dumps beside that
        self._writer = nft_write.Writer()
        self._seq = 1
        self._commits = 0
        self._dumping, self._left = 0, False        # the last dump that was begun, and whether there may be more of it
        try:
            self._acknowledges = self._probe_acknowledgement()
            self.destroys = knows_destroy(os.uname().release) or self.probe_destroy()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give the sockets back."""
        for each in (self.netfilter, self._dumps, *self.spare):
            each.close()

    def generation(self) -> int:
        """The number of the ruleset's present state."""
        return nft_read.generation(self._ask([(nft.NFT_MSG_GETGEN, b"")], 0)[0])

    def inspect(self, name: SetName, chains: Sequence[str] = ()) -> Optional[SetInfo]:
        """The set as it is now, and which of these chains its table lacks; None if it or its table is missing.  OSError, ProtocolError."""
        try:
            table, own = (nft_write.name_bytes(text) + b"\0" for text in (name.table, name.name))
            questions = [(nft.NFT_MSG_GETTABLE, attribute(nft_read.NFTA_TABLE_NAME, table)),
                         (nft.NFT_MSG_GETSET, attribute(nft_read.NFTA_SET_TABLE, table) + attribute(nft_read.NFTA_SET_NAME, own))]
            answers = self._ask(questions, nft.FAMILIES[name.family])
        except (FileNotFoundError, ValueError):
            return None
        found = nft_read.set_info(answers[1], name, nft_read.table_handle(answers[0]), nft_read.owned(answers[0]))
        return found._replace(lacking=tuple(each for each in chains if not self._has_chain(name, each))) if chains else found

    def _has_chain(self, name: SetName, chain: str) -> bool:
        """Whether there is such a chain in the table of this set."""
        table, own = (nft_write.name_bytes(text) + b"\0" for text in (name.table, chain))
        try:
            self._ask([(nft.NFT_MSG_GETCHAIN, attribute(nft.NFTA_CHAIN_TABLE, table) + attribute(nft.NFTA_CHAIN_NAME, own))],
                      nft.FAMILIES[name.family])
        except FileNotFoundError:
            return False
        return True

    def reading(self, info: SetInfo) -> Generator[None, None, Reading]:
        """Dump a set with addresses or names, in pieces of a millisecond or so; one dump at a time.

        OSError (FileNotFoundError: this set is gone), ProtocolError.  The reading is complete when nothing came twice and as many elements
        came as the kernel counted before and counts afterwards; it is verified when nothing came twice, and nobody else has committed
        anything meanwhile.  (A hash table that is just being resized gives some elements twice and others never; nor does the kernel
        mark a dump that was interrupted.)
        """
        before, commits, now = self.generation(), self._commits, self._same(info)
        elements = nft_read.Elements(info)
        seq = self._reserve(1)
        question = self._writer.about_set(seq, info.name, nft.NFT_MSG_GETSETELEM, NLM_F_DUMP)
        yield from self._dump(question, seq, nft.NFT_MSG_NEWSETELEM, elements.feed)
        yield from elements.arranged()
        contents = elements.contents()
        whole = elements.dumped == elements.different and nft_read.plausible(now, elements.dumped)
        alone = self.generation() - before & 0xFFFFFFFF == self._commits - commits
        if not whole or alone:
            return Reading(contents, whole)
        return Reading(contents, False, nft_read.counted(now) and self._same(info).elements == now.elements)

    def read(self, info: SetInfo) -> Reading:
        """A reading(), repeated until it is verified, with pauses that a daemon has no time for; at last what all of them came up with."""
        found = at_once(self.reading(info))
        for pause in PAUSES:
            if found.verified:
                break
            time.sleep(pause)
            again = at_once(self.reading(info))
            found = again if again.verified else Reading(nft_read.union(found.contents, again.contents), False)
        return found

    def tables(self) -> Set[Tuple[str, str]]:
        """Every table, by family and name."""
        return {nft_read.table_name(each) for each in self._listed(nft.NFT_MSG_GETTABLE, nft.NFT_MSG_NEWTABLE)}

    def sets(self) -> Set[SetName]:
        """Every set and map that has a name of its own."""
        names = (nft_read.set_name(each) for each in self._listed(nft.NFT_MSG_GETSET, nft.NFT_MSG_NEWSET))
        return {name for name in names if name is not None}

    def commit(self, changes: Sequence[Change], generation: int = 0) -> Outcome:
        """Make all changes in one transaction; without any, send nothing.

        With a generation: only if the ruleset is still in that one.  So no foreign transaction for which this one had to wait can
        have put other sets under these names.

        Only when the send buffer may not grow enough (SO_SNDBUFFORCE is for the initial user namespace), there are several
        transactions: creations, deletes and the first adds, then the other adds, and these in any generation.  ValueError for elements
        that are not of their set's form; OSError and ProtocolError from a socket or kernel that is out of order.
        """
        return self.commit_one(self._commit_many, changes, generation)

    def commit_one(self, otherwise: Commit, changes: Sequence[Change], generation: int) -> Outcome:
        """The same about one element, as it mostly is; what is not that simple goes the other way."""
        seq = self._seq
        whole = self._writer.of_one(seq, changes, self.destroys, generation)
        if not whole:
            return otherwise(changes, generation)
        self._seq = seq + 3 if seq < SEQ_END else 1
        found, overrun = self.netfilter.exchange(whole, seq + 2, stand_aside=True)
        return self._outcome(found, overrun, seq, seq + 2, changes)

    def _commit_many(self, changes: Sequence[Change], generation: int) -> Outcome:
        parts = self._writer.parts(self._seq, changes, self.destroys)
        seq = self._reserve(len(parts) + 2)
        whole = nft_write.transaction(seq, parts, seq + 1 + len(parts), generation)
        limit = self.netfilter.limit if len(whole) <= self.netfilter.limit else self.netfilter.room(len(whole))
        if len(whole) <= limit and parts:
            return self._transact(whole, seq, seq + 1 + len(parts), changes)
        for done, some in enumerate(nft_write.split(parts, limit)):
            piece = nft_write.transaction(seq, some, seq + 1 + len(parts), 0 if done else generation)
            outcome = self._transact(piece, seq, seq + 1 + len(parts), changes)
            if not outcome.committed:
                return outcome._replace(known=outcome.known and done == 0)
        return COMMITTED

    def _transact(self, data: bytes, seq: int, following: int, changes: Sequence[Change]) -> Outcome:
        """Send the messages of these changes, or some of them; those numbers are the first's and the last's."""
        try:
            found, overrun = self.netfilter.exchange(data, following, stand_aside=True)
        except OSError as problem:
            if problem.errno != errno.EMSGSIZE:
                raise
            return nft_answers.not_sent(problem.errno)
        return self._outcome(found, overrun, seq, following, changes)

    def _outcome(self, found: Sequence[bytes], overrun: bool, seq: int, following: int, changes: Sequence[Change]) -> Outcome:
        """What came of them, by all that was received."""
        if len(found) == 1 and nft_answers.accepts(found[0], following):
            self._commits += 1
            return COMMITTED
        answers = nft_answers.acks(found, seq, following)
        if nft_answers.overtaken(seq, answers):
            return OVERTAKEN
        trouble = nft_answers.faults(self._writer.parts(seq, changes, self.destroys), seq, answers) if answers else ()
        if trouble:
            return Outcome(False, not overrun, tuple(self._cleared(fault) for fault in trouble))
        if any(number == following for number, _ack in answers):
            return COMMITTED
        known = not overrun and not self._acknowledges and self._answers()
        return Outcome(known, known, ())

    def _cleared(self, fault: Fault) -> Fault:
        missing = nft_answers.unclear(fault) and fault.set is not None and self.inspect(fault.set) is None
        return nft_answers.gone(fault) if missing else fault

    def _answers(self) -> bool:
        """Whether replies reach us: then the silence of a kernel that does not acknowledge means that all went well."""
        try:
            self.generation()
        except OSError:
            return False
        return True

    def _same(self, info: SetInfo) -> SetInfo:
        """The set as it is now, if it is still the same one."""
        now = self.inspect(info.name)
        if now is None or now.identity != info.identity:
            raise FileNotFoundError(errno.ENOENT, "nf_tables: this set is gone", str(info.name))
        return now

    def _listed(self, question: int, kind: int) -> List[memoryview]:
        """All objects of a kind, of every family; they may change while they are read."""
        found: List[memoryview] = []
        seq = self._reserve(1)
        data = request(nft.NFNL_SUBSYS_NFTABLES << 8 | question, NLM_F_DUMP, seq, bytes(4))
        for _piece in self._dump(data, seq, kind, lambda payload: found.append(memoryview(bytes(payload)))):
            pass
        return found

    def _dump(self, question: bytes, seq: int, kind: int, take: Callable[[memoryview], object]) -> Generator[None, None, None]:
        """Take in a dump of messages of this kind; InterruptedError when another was begun in between, which ends this one.

        What is left of one that was given up is received first, for nothing else ends it; that takes its time, too.
        """
        self._dumping = seq
        while self._left and not self._dumps.discard(1):
            yield
            self._go_on(seq)
        self._left = True
        self._dumps.send(question)
        while not self._feed(seq, kind, take):
            yield
            self._go_on(seq)
        self._left = False

    def _go_on(self, seq: int) -> None:
        if self._dumping != seq:
            raise InterruptedError(errno.EINTR, "nf_tables: another dump came in between")

    def _feed(self, seq: int, kind: int, take: Callable[[memoryview], object]) -> bool:
        """Take in one receive of a dump; True at its end."""
        view = self._dumps.receive()
        if view is None:
            raise OSError(errno.EIO, "nf_tables: a dump ended without saying so")
        for message in messages(view):
            if message.seq != seq:
                continue
            if message.type in (NLMSG_DONE, NLMSG_ERROR):
                _raise_for(error(message).errno)
                return True
            if message.type == nft.NFNL_SUBSYS_NFTABLES << 8 | kind:
                take(message.payload)
        return False

    def _ask(self, questions: Sequence[Tuple[int, bytes]], family: int) -> List[memoryview]:
        """Requests of one reply each, with their attributes, in one send; what the replies say."""
        first = self._reserve(len(questions))
        data = b"".join(request(nft.NFNL_SUBSYS_NFTABLES << 8 | question, 0, first + number, bytes([family, 0, 0, 0]) + attributes)
                        for number, (question, attributes) in enumerate(questions))
        found, overrun = self.netfilter.exchange(data, first + len(questions) - 1)
        replies = {message.seq: message for each in found for message in messages(each)}
        for number in range(first, first + len(questions)):
            if number not in replies:
                raise OSError(errno.ENOBUFS if overrun else errno.EIO, "nf_tables did not answer")
            if replies[number].type == NLMSG_ERROR:
                _raise_for(error(replies[number]).errno)
        return [replies[first + number].payload for number in range(len(questions))]

    def _reserve(self, count: int) -> int:
        """The first of so many sequence numbers that no recent request has used."""
        first = self._seq
        self._seq = first + count if first < SEQ_END else 1
        return first

    def _probe_acknowledgement(self) -> bool:
        """Whether the kernel acknowledges the end of a transaction; an empty one changes nothing, not even the generation."""
        seq = self._reserve(2)
        found, _overrun = self.netfilter.exchange(nft_write.transaction(seq, (), seq + 1), seq + 1)
        answers = nft_answers.acks(found, seq, seq + 1)
        for _number, ack in answers:
            _raise_for(ack.errno)
        return any(number == seq + 1 for number, _ack in answers)

    def probe_destroy(self) -> bool:
        """Whether the kernel knows NFT_MSG_DESTROYSETELEM, which takes it some ten milliseconds to say: it undoes, and waits for RCU."""
        seq = self._reserve(2)
        found, _overrun = self.netfilter.exchange(self._writer.probe(seq), seq + 1)
        return nft_answers.knows(seq, nft_answers.acks(found, seq, seq + 1))


class Watch:
    """Who committed what generation.  PermissionError without CAP_NET_ADMIN over the network namespace."""

    def __init__(self, not_by: int = 0) -> None:
        """`not_by` is the port of the Nft whose commits are no news; they do not even wake us up."""
        self.netfilter = Netfilter()
        self._drops = 0
        try:
            self.netfilter.filter(nft.NFNL_SUBSYS_NFTABLES << 8 | nft.NFT_MSG_NEWGEN, not_by)
            self.join()
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        """To be watched for reading."""
        return self.netfilter.fileno()

    def close(self) -> None:
        """Give the socket back."""
        self.netfilter.close()

    def join(self) -> None:
        """Be told of commits from now on; it is so from the beginning."""
        self.netfilter.join(NFNLGRP_NFTABLES)

    def leave(self) -> None:
        """Be told of no further commits.  Those before can still be read."""
        self.netfilter.leave(NFNLGRP_NFTABLES)

    def drain(self) -> Tuple[List[RulesetChanged], bool]:
        """The commits since the last call, or a good many of them; True: there were more, which are lost."""
        found: List[RulesetChanged] = []
        overrun = False
        for _receive in range(RECEIVES_AT_MOST):
            try:
                view = self.netfilter.receive()
                if view is None:
                    break
                found.extend(nft_read.ruleset_changes(view))
            except ProtocolError:
                overrun = True
            except OSError as problem:
                if problem.errno != errno.ENOBUFS:
                    raise
                overrun = True
        return found, self._dropped() or overrun

    def _dropped(self) -> bool:
        drops, self._drops = self._drops, self.netfilter.drops()
        return drops != self._drops


def knows_destroy(release: str) -> bool:
    """Whether a Linux of this release certainly has NFT_MSG_DESTROYSETELEM, as all have from 6.3 on; others may have it, too."""
    numbers = release.split("-")[0].split(".")[:2]
    return all(map(str.isdecimal, numbers)) and list(map(int, numbers)) >= [6, 3]


def at_once(reading: Generator[None, None, Reading]) -> Reading:
    """All pieces of it without a break."""
    while True:
        try:
            next(reading)
        except StopIteration as end:
            found: Reading = end.value
            return found


def _raise_for(number: int) -> None:
    if number:
        raise OSError(number, "nf_tables: %s" % errno.errorcode.get(number, "error"))
