"""One member of etcd after the other: connected to, its version, a token where there is a user, then questions.

A member that fails is left for the next one.  The patience with a question is a fifth of a lease's time, and so is the longest pause:
longer ones made live hosts vanish from others' sets.
"""

import random
from typing import Callable, List, Optional

from netmgr.config.fleet import Fleet
from netmgr.io.deadlines import Deadlines
from netmgr.io.etcd import Asking, Failure, Member, Question, tls_context
from netmgr.io.loop import Loop
from netmgr.values.errors import ProtocolError
from netmgr.values.text import Log, reason
from netmgr.wire import etcd, http1

SMALL = 1 << 20                 # bytes of an answer that is no list
FIRST_PAUSE = 0.1               # seconds


class RefusedError(ProtocolError):
    """etcd has answered that it will not."""

    def __init__(self, refusal: etcd.Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class Session:
    """Calls begun() when a member may be asked, and ended(error) when it no longer can be; without an error we have left it."""

    def __init__(self, loop: Loop, settings: Fleet, begun: Callable[[], None], ended: Callable[[Optional[Failure]], None],
                 say: Log) -> None:
        self.version = ""
        self.headers: etcd.Headers = ()
        self.trouble: Optional[str] = None
        self.patience = settings.ttl / 5
        self._loop, self._settings, self._begun, self._ended, self._say = loop, settings, begun, ended, say
        self._members: List[Member] = [Member(endpoint, None, settings.tls.server_name) for endpoint in settings.endpoints]
        self._at = random.randrange(len(self._members))
        self._asking: Optional[Asking] = None
        self._deadlines = Deadlines(loop)
        self._failures = 0

    @property
    def is_open(self) -> bool:
        """Whether there is a member to ask."""
        return self._asking is not None

    @property
    def member(self) -> Member:
        """The member that is asked just now."""
        return self._members[self._at]

    @property
    def endpoint(self) -> str:
        """Where it is."""
        return str(self.member.endpoint)

    @property
    def host(self) -> str:
        """What a request calls it."""
        return "localhost" if self.member.endpoint.scheme == "unix" else self.endpoint.partition("//")[2]

    def connect(self) -> None:
        """Begin with the member whose turn it is."""
        try:
            member = self._with_tls(self.member)
        except (OSError, ValueError) as problem:
            self.lost(OSError("tls: %s" % problem))
            return
        self._asking = Asking(self._loop, member, self.lost)
        self.ask(etcd.version_request(self.host), self._on_version)

    def connect_now(self) -> None:
        """If there is a pause, end it."""
        if "retry" in self._deadlines:
            self._deadlines.cancel("retry")
            self.connect()

    def reconnect(self) -> None:
        """Begin anew with the same member."""
        self._leave(None)
        self.connect()

    def stop(self) -> None:
        """Let go of everything."""
        self._leave(None)
        self._deadlines.cancel_all()

    def ask(self, request: bytes, answered: Callable[[bytes], None], limit: int = SMALL, may_be_forbidden: bool = False) -> None:
        """Ask this member.  An answer that is not 200 is a failure; if it may be forbidden, that is answered with nothing."""
        def receive(head: http1.Head, body: bytes) -> None:
            if head.status == 200:
                answered(body)
                return
            refusal = etcd.refusal(head, body)
            if not may_be_forbidden or refusal.code != etcd.PERMISSION_DENIED:
                raise RefusedError(refusal)
            answered(b"")

        self.ask_openly(request, receive, limit)

    def ask_openly(self, request: bytes, answered: Callable[[http1.Head, bytes], None], limit: int = SMALL) -> None:
        """Ask this member; refusals are answers, too."""
        if self._asking is not None:
            self._asking.ask(Question(request, limit, self.patience, answered))

    def well(self) -> None:
        """The member has a leader."""
        self._failures, self.trouble = 0, None
        self._say("info", "connected to %s, etcd %s" % (self.endpoint, self.version))

    def lost(self, error: Failure) -> None:
        """The next member, soon."""
        self._leave(error)
        self.trouble = "%s: %s" % (self.endpoint, reason(error))
        self._say("warning", self.trouble)
        pause = min(FIRST_PAUSE * 2.0 ** min(self._failures, 16), self.patience)
        if isinstance(error, RefusedError) and error.refusal.code == etcd.UNAUTHENTICATED:
            self.headers = ()
        self._failures += 1
        self._at = (self._at + 1) % len(self._members)
        self._deadlines.later("retry", pause * random.uniform(0.5, 1), self.connect)

    def _leave(self, error: Optional[Failure]) -> None:
        if self._asking is not None:
            self._asking.close()
            self._asking = None
        self._ended(error)

    def _with_tls(self, member: Member) -> Member:
        if member.endpoint.scheme != "https" or member.context is not None:
            return member
        self._members[self._at] = member._replace(context=tls_context(self._settings.tls))
        return self._members[self._at]

    def _on_version(self, body: bytes) -> None:
        self.version = etcd.version(body)
        self._authenticate()

    def _authenticate(self) -> None:
        settings = self._settings
        if settings.password_file is None or settings.user is None or self.headers:
            self._begun()
            return
        try:
            with open(settings.password_file, encoding="utf-8") as file:
                password = file.read().strip("\n")
        except (OSError, UnicodeDecodeError) as problem:
            self.lost(OSError("%s: %s" % (settings.password_file, reason(problem))))
            return
        self.ask(etcd.authenticate_request(self.host, settings.user, password), self._on_token)

    def _on_token(self, body: bytes) -> None:
        self.headers = etcd.authorization(etcd.token(body))
        self._begun()
