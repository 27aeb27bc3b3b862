"""The program `netmgr http`: the page, and what programs ask for, over HTTP.

A process of its own, which may read and nothing else: for each request it asks the daemon over the control socket, as any client does;
for many of the same kind at once it asks once, so that the daemon has time for its sets.
It stands on http.server, whose threads are the standard library's; what is shared among them is a set of connections, the questions that
are under way, and what is never changed.

One request a connection.  What a client sends is read by its size and by a deadline before anything looks at it; connections that
take too long are shut down, no more than CONNECTIONS are open, and of these no more than STREAMS follow what happens.  A stream outlives
the daemon: it says that it is lost, and begins anew when it is back.
"""

import base64
import hashlib
import io
import json
import os
import re
import select
import signal
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, TypeVar
from urllib.parse import parse_qs

from netmgr.io import systemd
from netmgr.io.client import Follower, ask
from netmgr.io.listener import listen
from netmgr.io.shared_questions import SharedQuestions
from netmgr.paths import service_is_stopped
from netmgr.values.errors import ProtocolError
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.text import reason
from netmgr.web import page, requests
from netmgr.web.requests import EVENTS, HEADERS, HTML, JSON, METHODS, Gate, Query, is_address

CONNECTIONS, STREAMS = 32, 24
HEAD_LIMIT = 16 << 10
REQUEST_SECONDS = 10.0
SILENCE_SECONDS = 10.0      # of the daemon
BREATH_SECONDS = 5.0        # between signs of life on a stream on which nothing happens
LOOK_SECONDS = 1.0          # for which it stays known whether the service is stopped
AGAIN_SECONDS = 0.25        # between attempts to reach a daemon that has gone
DRAINED = 64 << 10
SOCKET_MODE = 0o660


Result = TypeVar("Result")


class Setup(NamedTuple):
    """What the server needs to know."""

    control: str
    gate: Gate
    template: str
    policy: str


class Server(ThreadingHTTPServer):
    """Serves a listening socket, TCP or Unix."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, listener: socket.socket, setup: Setup) -> None:
        super().__init__(("", 0), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.setup = setup
        self.questions = SharedQuestions(lambda line: self.reach(lambda path: ask(path, line, SILENCE_SECONDS)))
        self._stopped, self._look_again = False, 0.0
        self.ends: Dict[socket.socket, float] = {}      # of every connection: when it is shut down
        self.streams: Dict[socket.socket, float] = {}   # those that follow, and since when

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, unless there are too many."""
        if len(self.ends) >= CONNECTIONS:
            _turn_away(request)
            self.shutdown_request(request)
            return
        self.ends[request] = time.monotonic() + REQUEST_SECONDS
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection; a client that is still sending must be able to read what it was told."""
        try:
            request.shutdown(socket.SHUT_WR)
            request.setblocking(False)
            while request.recv(DRAINED):
                pass
        except OSError:
            pass
        self.close_request(request)

    def close_request(self, request: Any) -> None:
        """Its place is free."""
        self.ends.pop(request, None)
        self.streams.pop(request, None)
        request.close()

    def reach(self, call: Callable[[str], Result]) -> Result:
        """Call it with the daemon's socket, unless that belongs to a service that is stopped, which a connection would start."""
        now = time.monotonic()
        if now >= self._look_again:
            self._stopped, self._look_again = service_is_stopped(self.setup.control), now + LOOK_SECONDS
        if self._stopped:
            raise _NotRunningError("netmgr is not running: `systemctl start netmgr` starts it")
        try:
            return call(self.setup.control)
        except OSError:
            self._look_again = 0.0
            raise

    def service_actions(self) -> None:
        """Cut off who is slow; called about twice a second."""
        now = time.monotonic()
        for connection, end in list(self.ends.items()):
            if end <= now and connection not in self.streams:
                _cut(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no error; anything else is told and harms nobody else."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _cut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def _turn_away(connection: socket.socket) -> None:
    text = _error("there are %d connections already" % CONNECTIONS)
    head = {"Retry-After": "1", "Connection": "close", "Content-Type": JSON, "Content-Length": str(len(text)), **HEADERS}
    lines = ["HTTP/1.1 503 Service Unavailable", *("%s: %s" % each for each in head.items()), "", text]
    try:
        connection.setblocking(False)
        connection.send("\r\n".join(lines).encode())
    except OSError:
        pass


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server
    protocol_version = "HTTP/1.1"
    default_request_version = "HTTP/1.0"        # of whoever names none, or one that is not known: the answer has a head all the same
    timeout = SILENCE_SECONDS
    close_connection = True

    def handle(self) -> None:
        """Read the head as a whole, then let it be parsed."""
        head = _head(self.connection)
        if not head:
            return
        self.rfile = io.BytesIO(head[:HEAD_LIMIT])
        if len(head) > HEAD_LIMIT:
            self.requestline, self.request_version, self.command = "", "HTTP/1.1", ""
            self.send_error(431)
            return
        self.handle_one_request()

    def do_GET(self) -> None:
        """Answer, if this client may have an answer."""
        refused = self.server.setup.gate.refusal(self.headers.get_all("Host") or [], self.headers.get("Authorization"))
        if refused is not None:
            self.send_error(refused)
            return
        path, _, query = self.path.partition("?")
        try:
            self._answer(path, parse_qs(query, keep_blank_values=True, max_num_fields=20))
        except ProtocolError as error:
            self._send(400, JSON, _error(str(error)))
        except ValueError:
            self._send(400, JSON, _error("the query makes no sense"))

    do_HEAD = do_GET        # noqa: N815

    def send_error(self, code: int, message: Optional[str] = None, explain: Optional[str] = None) -> None:
        """As JSON.  A method of which there is nothing here is none that is allowed."""
        self.close_connection = True
        status = 405 if code == 501 else code
        headers = {405: {"Allow": ", ".join(METHODS)}, 401: {"WWW-Authenticate": 'Bearer realm="netmgr", Basic realm="netmgr"'}}
        self._send(status, JSON, _error(self.responses.get(status, ("refused", ""))[0]), headers.get(status, {}))

    def version_string(self) -> str:
        """Of the Server header."""
        return "netmgr"

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Requests are not logged."""

    # -- inner parts

    def _answer(self, path: str, query: Query) -> None:
        if path == "/":
            self._page()
        elif path == "/health":
            self._health()
        elif path == "/events":
            self._events(requests.watch_line(query))
        else:
            self._asked(requests.question(path, query))

    def _asked(self, question: Optional[requests.Question]) -> None:
        if question is None:
            self._send(404, JSON, _error("there is nothing at this path"))
            return
        try:
            answer = self._ask(question.line)
        except OSError as error:
            self._send(503, JSON, _error(self._why(error)), {"Retry-After": "1"})
            return
        if answer.startswith("ERROR:"):
            self._send(502, JSON, _error(answer.strip()))
        else:
            self._send(200, question.type, question.body(answer))

    def _page(self) -> None:
        setup = self.server.setup
        try:
            log = requests.happenings(self._ask(requests.log_line(page.SHOWN_HAPPENINGS)))
            text = page.page(setup.template, self._ask("status json"), log)
        except (OSError, ProtocolError) as error:
            text = page.page_without_daemon(setup.template, self._why(error))
        self._send(200, HTML, text, {"Content-Security-Policy": setup.policy})

    def _health(self) -> None:
        try:
            ready, text = page.health(self._ask("status json"))
        except (OSError, ProtocolError) as error:
            ready, text = False, page.health_without_daemon(self._why(error))
        self._send(200 if ready else 503, JSON, text)

    def _events(self, line: str) -> None:
        """Happenings as server-sent events, for as long as the client stays."""
        if len(self.server.streams) >= STREAMS:
            self._send(503, JSON, _error("%d clients are following already" % STREAMS), {"Retry-After": "5"})
            return
        self.server.streams[self.connection] = time.monotonic()
        self._head_of(200, EVENTS, {"X-Accel-Buffering": "no"})
        if self.command == "HEAD":
            return
        try:
            self._write("retry: 1000\n\n")
            self._tell(line)
        except _ClientGoneError:
            pass

    def _tell(self, line: str) -> None:
        """Until the client goes; without the daemon, until it is back."""
        lost = False
        while not lost or not _hears(self.connection, AGAIN_SECONDS):
            try:
                follower = self.server.reach(lambda path: Follower(path, line, SILENCE_SECONDS))
                lost = False
                self._follow(follower)
            except (OSError, ProtocolError) as error:
                if not lost:
                    self._write("event: lost\ndata: %s\n\n" % _error(self._why(error)).strip())
                lost = True

    def _follow(self, follower: Follower) -> None:
        """Until the daemon goes (OSError), or says that it tells no more, or the client goes."""
        try:
            while True:
                ready, _, _ = select.select([follower, self.connection], [], [], BREATH_SECONDS)
                if self.connection in ready:
                    raise _ClientGoneError
                lines = follower.wait(0) if ready else []
                self._write("".join("data: %s\n\n" % each for each in lines if each.startswith("{")) or ":\n\n")
                if any(each.startswith("ERROR") for each in lines):
                    raise ProtocolError("the daemon tells no more")
        finally:
            follower.close()

    def _write(self, text: str) -> None:
        try:
            self.wfile.write(text.encode())
        except OSError:
            raise _ClientGoneError from None

    def _ask(self, line: str) -> str:
        return self.server.questions.answer(line)

    def _why(self, error: Exception) -> str:
        if isinstance(error, (_NotRunningError, ProtocolError)):
            return str(error)
        return "no daemon answers at %s: %s" % (self.server.setup.control, reason(error))

    def _send(self, status: int, kind: str, text: str, more: Optional[Dict[str, str]] = None) -> None:
        body = text.encode("utf-8", "backslashreplace")
        self._head_of(status, kind, {"Content-Length": str(len(body)), **(more or {})})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head_of(self, status: int, kind: str, more: Dict[str, str]) -> None:
        self.send_response(status)
        policy = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
        for name, value in {"Content-Type": kind, "Connection": "close", **HEADERS, **policy, **more}.items():
            self.send_header(name, value)
        self.end_headers()


class _ClientGoneError(Exception):
    """Nobody reads a stream any more."""


class _NotRunningError(OSError):
    """The daemon's service is stopped."""


def _hears(connection: socket.socket, seconds: float) -> bool:
    """Whether the client says something within this time; after its request that is its farewell."""
    return bool(select.select([connection], [], [], seconds)[0])


def _head(connection: socket.socket) -> bytes:
    """The request line and the headers; more than HEAD_LIMIT of it when that is too long, nothing when it does not come."""
    head = b""
    while len(head) <= HEAD_LIMIT and b"\r\n\r\n" not in head and b"\n\n" not in head:
        try:
            more = connection.recv(HEAD_LIMIT)
        except OSError:
            return b""
        if not more:
            return b""
        head = (head + more).lstrip(b"\r\n")
    return head


def _error(text: str) -> str:
    return json.dumps({"error": text}) + "\n"


# -- starting


def run(control: str, addresses: Sequence[str], token_file: Optional[str], hosts: Sequence[str]) -> None:
    """Serve until a signal.  `addresses` are where to listen, in the order of preference; the first that is not "" counts, and
    without any the socket that systemd passes.  OSError, ValueError with a message for people."""
    token = _token(token_file)
    passed = systemd.listen_fds()
    wanted = next(filter(None, addresses), "")
    if not wanted and not passed:
        raise ValueError("--listen ADDRESS:PORT or unix:PATH is needed, or http_bind_addr in the configuration")
    listener, close = _listening(wanted, token is not None) if wanted else _adopted(passed[0])
    try:
        if token is None and listener.family != socket.AF_UNIX:
            _stay_at_home(listener.getsockname()[0])
        template = (Path(__file__).parent / "web" / "page.html").read_text(encoding="utf-8")
        setup = Setup(control, Gate(frozenset(host.lower().rstrip(".") for host in hosts), token), template, _policy(template))
        server = Server(listener, setup)
        sys.stderr.write("netmgr http listens at %s\n" % _name_of(listener))
        signal.signal(signal.SIGTERM, _leave)
        server.serve_forever()
    finally:
        close()


def _leave(_signum: int, _frame: object) -> None:
    raise SystemExit(0)


def _token(path: Optional[str]) -> Optional[str]:
    if path is None:
        return None
    try:
        token = Path(path).read_text(encoding="ascii").strip()
    except OSError as error:
        raise ValueError("%s: %s" % (path, reason(error))) from None
    except UnicodeDecodeError:
        raise ValueError("%s: a token is made of ASCII characters" % path) from None
    if not token:
        raise ValueError("there is no token in %s" % path)
    return token


def _listening(wanted: str, has_token: bool) -> Tuple[socket.socket, Callable[[], None]]:
    if wanted.startswith("unix:"):
        made = listen(wanted[len("unix:"):], SOCKET_MODE, None)
        made.socket.setblocking(True)
        return made.socket, made.close
    address, port = _address(wanted)
    if not has_token:
        _stay_at_home(address)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, port), family=family, backlog=128)
    return listener, listener.close


def _address(text: str) -> Tuple[str, int]:
    """ADDRESS:PORT, where IPv6 addresses stand in brackets."""
    address, _, port = text.rpartition(":")
    bare = address[1:-1] if address.startswith("[") and address.endswith("]") else "127.0.0.1" if address == "localhost" else address
    if not is_address(bare) or (":" in bare) != address.startswith("[") or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 0xFFFF:
        raise ValueError("ADDRESS:PORT or unix:PATH is expected to listen at, such as 127.0.0.1:9476 or [::1]:9476, got %s" % text)
    return bare, int(port)


def _adopted(descriptor: int) -> Tuple[socket.socket, Callable[[], None]]:
    listener = socket.socket(fileno=descriptor)
    listener.setblocking(True)
    return listener, listener.close


def _name_of(listener: socket.socket) -> str:
    """http://127.0.0.1:9476/, unix:/run/netmgr-http.sock"""
    where = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return "unix:%s" % os.fsdecode(where)
    return "http://%s:%d/" % ("[%s]" % where[0] if ":" in where[0] else where[0], where[1])


def _stay_at_home(address: str) -> None:
    """Without a token nobody on another machine may reach it."""
    import ipaddress
    if not ipaddress.ip_address(address).is_loopback:
        raise ValueError("beyond loopback a token is needed: --token-file FILE")


def _policy(template: str) -> str:
    """That a browser runs what stands in the page, and nothing that somebody smuggles in."""
    hashes: List[str] = []
    for tag in ("style", "script"):
        found = re.search("<%s>(.*?)</%s>" % (tag, tag), template, re.DOTALL)
        text = found[1] if found else ""
        hashes.append("sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode())
    return requests.POLICY % tuple(hashes)
