"""What to ask the engine next, given the notices and answers so far; sans-I/O.

Every notice makes a list due.  One that comes while a list is under way makes another due, however many there are.  A container
with an early notice (see docker.py) that the list still contains is inspected, only to wait for what the engine is doing to it; then
another list is due.  Where the list does not tell the health of containers and it is wanted, they are inspected, one after the
other, before the list counts as complete.

Lists and their inspections for health follow one another; beside them one inspection of the other kind may be under way.  An engine
that does not answer for one container thus does not hold up the others.
"""

from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Set

from netmgr.values.errors import ProtocolError
from netmgr.values.events import ContainerSeen
from netmgr.wire import docker, http1

MOST_EARLY = 1 << 14

LIST, HEALTH, WAIT = "list", "health", "wait"


class Question(NamedTuple):
    """A request; `limit` is the largest answer in bytes.  `container` is the id of the one that is inspected, else empty."""

    kind: str
    container: str
    request: bytes
    limit: int


class Questions:
    """One connection's questions.  The first list is due from the beginning."""

    def __init__(self, engine: docker.Engine, health: bool) -> None:
        self.list_due = True
        self._engine, self._health_wanted = engine, health
        self._under_way: Set[str] = set()
        self.early: Dict[str, None] = {}           # since the last list began
        self._early_before: Dict[str, None] = {}    # before it began
        self._waits: Dict[str, None] = {}
        self._containers: Dict[str, ContainerSeen] = {}
        self._unclear: List[str] = []

    def notice(self, notices: Iterable[docker.Notice]) -> None:
        """Take in what the events said."""
        for notice in notices:
            self.list_due = True
            if notice.early and len(self.early) < MOST_EARLY:
                self.early[notice.container] = None

    def due(self, may_list: bool) -> Iterator[Question]:
        """What to ask now, not to be told again; every question wants answered() or failed()."""
        if self._unclear and HEALTH not in self._under_way:
            yield self._inspection(HEALTH, self._unclear.pop())
        if may_list and self.list_due and not self._listing():
            self.list_due = False
            self._early_before, self.early = self.early, {}
            self._under_way.add(LIST)
            yield Question(LIST, "", docker.list_request(self._engine.api), docker.LIST_LIMIT)
        if self._waits and WAIT not in self._under_way:
            container = next(iter(self._waits))
            del self._waits[container]
            yield self._inspection(WAIT, container)

    def answered(self, question: Question, head: http1.Head, body: bytes) -> Optional[List[ContainerSeen]]:
        """Take in an answer.  All containers, when this completes a list.  ProtocolError."""
        self._under_way.discard(question.kind)
        if question.kind == WAIT:
            self.list_due = True
            return None
        if question.kind == LIST:
            self._listed(docker.listing(successful(head, body), self._engine.podman))
        elif head.status == 200:
            self._settle(question.container, docker.inspected_health(body))
        return None if self._listing() else list(self._containers.values())

    def failed(self, question: Question) -> Optional[List[ContainerSeen]]:
        """There is no answer.  All containers, when a list is complete without it."""
        self._under_way.discard(question.kind)
        if question.kind == HEALTH:
            return None if self._listing() else list(self._containers.values())
        self.list_due = True
        return None

    def _listing(self) -> bool:
        return LIST in self._under_way or HEALTH in self._under_way or bool(self._unclear)

    def _listed(self, listing: docker.Listing) -> None:
        self._containers = {container.id: container for container in listing.containers}
        self._waits = {container: None for container in (*self._waits, *self._early_before) if container in self._containers}
        self._unclear = list(listing.unclear) if self._health_wanted else []
        for container in self._unclear:
            self._settle(container, False)

    def _settle(self, container: str, healthy: Optional[bool]) -> None:
        self._containers[container] = self._containers[container]._replace(healthy=healthy)

    def _inspection(self, kind: str, container: str) -> Question:
        self._under_way.add(kind)
        return Question(kind, container, docker.inspect_request(self._engine.api, container), docker.INSPECT_LIMIT)


def successful(head: http1.Head, body: bytes) -> bytes:
    """The body of a reply with status 200; of any other its complaint, as a ProtocolError."""
    if head.status != 200:
        raise ProtocolError(docker.complaint(head, body))
    return body
