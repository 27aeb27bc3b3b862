"""What to ask the engine next, given the notices and answers so far; sans-I/O.

A notice makes a question about its container due; several wait for one question, and when there are too many, or it is not said which
container it is, the whole list is due.  The list confirms: what it says counts, but not of containers of which there was news since it
was asked for.  It is taken in while it arrives.

A container with an early notice (see docker.py) that the answer still contains is inspected, only to wait for what the engine is doing
to it; then it is asked about once more.  Where the list does not tell all that is wanted, the containers are inspected, one after the
other (see docker_details.py).

At any time one question of each kind is under way.  An engine that does not answer for one container thus does not hold up the others.
"""

from typing import Dict, Iterable, Iterator, Set, Tuple

from netmgr.values.errors import ProtocolError
from netmgr.values.named_tuple import NamedTuple
from netmgr.wire import docker, http1
from netmgr.wire.docker_containers import ENTRY_LIMIT, Listed, Reading
from netmgr.wire.docker_details import Details
from netmgr.wire.docker_list import MOST_CONTAINERS, SHOWN_SENSELESS, Sifted
from netmgr.wire.docker_table import Table

ASKED_TOGETHER = 32
MOST_NOTICED = 256              # with more the whole list is asked for

LIST, SOME, DETAIL, WAIT = "list", "some", "detail", "wait"


class Question(NamedTuple):
    """A request; `limit` is the largest answer in bytes, `containers` the ids that it is about (none: all)."""

    kind: str
    containers: Tuple[str, ...]
    target: str
    limit: int


class Questions:
    """One connection's questions.  The first list is due from the beginning.

    `complete`: all has been told once.  `senseless`: containers that are left out, each with what is wrong.  `surprises` counts what
    lists told and no notice had, from the third list on: the second is there to tell it.  `trouble`: inspections are refused, though
    health depends on them.
    """

    def __init__(self, engine: docker.Engine, reading: Reading, table: Table) -> None:
        self.list_due = True
        self.complete = False
        self.senseless: Dict[str, str] = {}
        self.surprises = 0
        self.trouble = ""
        self._engine, self._reading, self._table = engine, reading, table
        self._under_way: Set[str] = set()
        self.noticed: Dict[str, None] = {}
        self.early: Set[str] = set()               # since they were last asked about
        self._early_asked: Set[str] = set()         # before the list was asked for that is under way
        self._fresh: Set[str] = set()               # of which there was news since then
        self._waits: Dict[str, None] = {}
        self._details = Details(bool(engine.libpod))
        self._list = Sifted(reading)
        self._lists = 0

    @property
    def listing(self) -> bool:
        """Whether a list is due or under way."""
        return self.list_due or LIST in self._under_way

    def notice(self, notices: Iterable[docker.Notice]) -> None:
        """Take in what the events said."""
        for notice in notices:
            container = notice.container
            if not container or len(self.noticed) >= MOST_NOTICED:
                self.list_due = True
            else:
                self.noticed[container] = None
            if container and LIST in self._under_way and len(self._fresh) < MOST_CONTAINERS:
                self._fresh.add(container)
            if notice.early and container and len(self.early) < MOST_CONTAINERS:
                self.early.add(container)

    def due(self, may_list: bool) -> Iterator[Question]:
        """What to ask now, not to be told again; every question wants answered() or failed()."""
        if self._details.due and DETAIL not in self._under_way:
            yield self._inspection(DETAIL, self._details.next())
        if may_list and self.list_due and LIST not in self._under_way:
            yield self._whole_list()
        if self.noticed and SOME not in self._under_way:
            yield self._some()
        if self._waits and WAIT not in self._under_way:
            container = next(iter(self._waits))
            del self._waits[container]
            yield self._inspection(WAIT, container)

    def piece(self, data: bytes) -> None:
        """A piece of the list that is under way.  ProtocolError."""
        self._take(self._list.feed(data))

    def answered(self, question: Question, head: http1.Head, body: bytes) -> None:
        """Take in an answer; of a list the end, its body came in pieces.  ProtocolError when it makes no sense as a whole."""
        self._under_way.discard(question.kind)
        if question.kind == LIST:
            successful(question.target, head, body)
            self._end_of_list()
        elif question.kind == SOME:
            self._answered_some(question.containers, successful(question.target, head, body))
        elif question.kind == DETAIL:
            self._answered_detail(question.containers[0], head, body)
        else:
            self.noticed[question.containers[0]] = None
        self.complete = self.complete or bool(self._lists and (not self._reading.health or self._details.idle()))

    def failed(self, question: Question) -> None:
        """There is no answer."""
        if question.kind == DETAIL:
            self.answered(question, http1.Head(500, "", {}), b"")
        else:
            self._under_way.discard(question.kind)
            self.list_due = True

    def _whole_list(self) -> Question:
        self.list_due = False
        self._list = Sifted(self._reading)
        self._fresh = set(self.noticed)
        self._early_asked, self.early = self.early, self.early.intersection(self.noticed)
        return self._asked(LIST, (), docker.list_target(self._engine), docker.LIST_LIMIT)

    def _some(self) -> Question:
        asked = tuple(self.noticed)[:ASKED_TOGETHER]
        for container in asked:
            del self.noticed[container]
        return self._asked(SOME, asked, docker.list_target(self._engine, asked), docker.SHORT_LIMIT + len(asked) * ENTRY_LIMIT)

    def _inspection(self, kind: str, container: str) -> Question:
        return self._asked(kind, (container,), docker.inspect_target(self._engine, container), docker.INSPECT_LIMIT)

    def _asked(self, kind: str, containers: Tuple[str, ...], target: str, limit: int) -> Question:
        self._under_way.add(kind)
        return Question(kind, containers, target, limit)

    def _take(self, found: Iterable[Listed]) -> None:
        """What the list tells."""
        for each in found:
            if each.seen.id not in self._fresh:
                self.surprises += self._table.put(self._details.known(each)) and self._lists > 1

    def _end_of_list(self) -> None:
        self._take(self._list.close())
        for container in self._table.ids() - self._list.ids - self._fresh:
            self.surprises += self._drop(container) and self._lists > 1
        self._wait_for(self._early_asked & self._list.ids)
        self.senseless = self._list.senseless
        self._lists += 1

    def _answered_some(self, asked: Tuple[str, ...], body: bytes) -> None:
        answer = Sifted(self._reading)
        for each in (*answer.feed(body), *answer.close()):
            if each.seen.id in asked:
                self._table.put(self._details.known(each))
        for container in asked:
            if container not in answer.ids:
                self._drop(container)
        early = self.early.intersection(asked)
        self.early -= early
        self._wait_for(early & answer.ids)
        self.senseless = dict([*answer.senseless.items(), *self.senseless.items()][:SHOWN_SENSELESS])

    def _answered_detail(self, container: str, head: http1.Head, body: bytes) -> None:
        if head.status in docker.REFUSALS:
            if self._engine.libpod:
                self._engine = self._engine._replace(libpod="")
            elif self._reading.health:
                self.trouble = docker.complaint(docker.inspect_target(self._engine, container), head, body)
        known = self._details.answered(container, head, body)
        if known is not None and container in self._table:
            self._table.put(known)

    def _drop(self, container: str) -> bool:
        self._details.forget(container)
        return self._table.drop(container)

    def _wait_for(self, containers: Iterable[str]) -> None:
        self._waits.update(dict.fromkeys(containers))


def successful(target: str, head: http1.Head, body: bytes) -> bytes:
    """The body of an answer with status 200; of any other its complaint, as a ProtocolError."""
    if head.status != 200:
        raise ProtocolError(docker.complaint(target, head, body))
    return body
