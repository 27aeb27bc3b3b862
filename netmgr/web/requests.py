"""Which HTTP request is answered, and what the daemon is asked for it.

Only what stands in QUESTIONS can be asked, and of a request only words go into a line of the control protocol: without control
characters, so that one request is one line, and of a bounded length.

A page of another site must learn nothing, also when its name suddenly has the address of this machine (DNS rebinding): the Host header has
to be a literal address, localhost, or a name that was listed.
"""

import base64
import binascii
import hmac
import ipaddress
import re
from typing import Callable, Dict, FrozenSet, List, Mapping, Optional, Sequence

from netmgr.values.errors import ProtocolError
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.text import printable

JSON, TEXT, HTML, EVENTS = "application/json", "text/plain; charset=utf-8", "text/html; charset=utf-8", "text/event-stream"
METRICS = "text/plain; version=0.0.4; charset=utf-8"
METHODS = ("GET", "HEAD")
WORDS_LONGEST = 300
NUMBER = re.compile(r"[0-9]{1,4}")
HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@/]+)(:[0-9]{1,5})?")

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
POLICY = ("default-src 'none'; style-src '%s'; script-src '%s'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
          "frame-ancestors 'none'")

Query = Mapping[str, Sequence[str]]


class Gate(NamedTuple):
    """Who is let in: under which names this server is known, and the token that has to be shown, if any."""

    hosts: FrozenSet[str] = frozenset()
    token: Optional[str] = None

    def refusal(self, hosts: Sequence[str], authorization: Optional[str]) -> Optional[int]:
        """The HTTP status for who is not let in."""
        if len(hosts) != 1:
            return 400
        if not self._is_known(hosts[0].strip()):
            return 421
        if self.token is not None and not hmac.compare_digest(shown_token(authorization or "").encode(), self.token.encode()):
            return 401
        return None

    def _is_known(self, host: str) -> bool:
        found = HOST.fullmatch(host)
        name = found[1].lower().rstrip(".") if found else ""
        return name == "localhost" or name in self.hosts or is_address(name.strip("[]"))


def is_address(text: str) -> bool:
    """Whether this is an IPv4 or IPv6 address, and no name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def shown_token(authorization: str) -> str:
    """The token of a program (Bearer), or the password of somebody whose browser has asked (Basic); "" without any."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""


class Question(NamedTuple):
    """A line for the daemon, what its answer is, and what becomes of it."""

    line: str
    type: str
    body: Callable[[str], str] = str


def question(path: str, query: Query) -> Optional[Question]:
    """What is asked for; None for a path of which there is nothing.  ProtocolError when the rest makes no sense."""
    asked = QUESTIONS.get(path)
    return None if asked is None else asked(query)


def _status(query: Query) -> Question:
    return Question(_line("status json", _names(query)), JSON)


def _sets(query: Query) -> Question:
    return Question(_line("sets json", _names(query)), JSON)


def _explain(query: Query) -> Question:
    return Question(_line("explain json", [_words(query, "q")]), JSON)


def _log(query: Query) -> Question:
    count = query.get("n", ["50"])[-1]
    if not NUMBER.fullmatch(count):
        raise ProtocolError("n: a number is expected, got %s" % printable(count[:20]))
    return Question(log_line(int(count), _names(query)), JSON, lambda answer: "[%s]\n" % ",\n".join(happenings(answer)))


def _metrics(_query: Query) -> Question:
    return Question("metrics", METRICS)


def _graph(query: Query) -> Question:
    how = query.get("format", ["json"])[-1]
    if how not in ("json", "dot", "mermaid"):
        raise ProtocolError("format: json, dot or mermaid is expected, got %s" % printable(how[:20]))
    return Question("graph " + how, JSON if how == "json" else TEXT)


QUESTIONS: Dict[str, Callable[[Query], Question]] = {
    "/status": _status, "/sets": _sets, "/explain": _explain, "/log": _log, "/metrics": _metrics, "/graph": _graph,
}


def log_line(count: int, names: Sequence[str] = ()) -> str:
    """What tells the daemon to say what has happened.  That may be nothing, so something that has an answer is asked before it."""
    return _line("ping\nlog json %d" % count, names)


def happenings(answer: str) -> List[str]:
    """The lines of the answer to log_line()."""
    return answer.splitlines()[1:]


def watch_line(query: Query) -> str:
    """What tells the daemon to say what happens."""
    return _line("watch json", _names(query))


def _names(query: Query) -> List[str]:
    """Names are single words."""
    names = [_word("name", name) for name in query.get("name", [])]
    if any(" " in name for name in names):
        raise ProtocolError("name: one name is expected, each in a `name` of its own")
    return names


def _words(query: Query, key: str) -> str:
    given = query.get(key, [])
    if len(given) != 1:
        raise ProtocolError("%s: a thing is expected, as in ?%s=192.0.2.1" % (key, key))
    return _word(key, given[0])


def _word(key: str, text: str) -> str:
    if not text.strip() or len(text) > WORDS_LONGEST or not text.isprintable():
        raise ProtocolError("%s: printable text of at most %d characters is expected" % (key, WORDS_LONGEST))
    return text.strip()


def _line(command: str, words: Sequence[str]) -> str:
    return " ".join([command, *words])
