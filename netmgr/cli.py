"""The program `netmgr`: its commands, and what becomes of them.

Only `run`, `check`, `diff`, `init` and `demo` load the daemon's modules; the others ask a running daemon over its socket.

Exit status: 0 done; 1 failed, or `status` says degraded; 2 wrong usage; 3 no daemon answers at the socket.  `diff` as diff(1): 1 is a
difference, 2 trouble.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Callable, Iterator, Optional, Sequence

from netmgr import __version__
from netmgr.paths import Place, has_systemd, http_address, place, service_is_stopped, socket_path
from netmgr.show.command_line import Command, Request, UsageError, known_command, parse, usage
from netmgr.values.text import hung, place_of, printable, printable_lines, reason

if TYPE_CHECKING:
    from netmgr.show.answers import Status

DONE, FAILED, WRONG_USAGE, NO_DAEMON, INTERRUPTED = 0, 1, 2, 3, 130
TROUBLE = 2
ANSWER_SECONDS = 30.0
CLEAR, GREEN, RED, PLAIN = "\33[H\33[2J", "\33[32m", "\33[1;31m", "\33[0m"       # of every terminal since ECMA-48
PROGRAM = "netmgr"


class CommandError(Exception):
    """The command did not succeed: exit status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run one command; the exit status."""
    open_missing_descriptors()
    try:
        request = parse(sys.argv[1:] if arguments is None else arguments, COMMANDS)
        if "--help" in request.options:
            return _show(usage(COMMANDS, request.command))
        return COMMANDS[request.command].run(request)
    except UsageError as error:
        print("netmgr: %s" % error, file=sys.stderr)
        return WRONG_USAGE
    except CommandError as error:
        print(printable_lines(str(error)), file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return INTERRUPTED
    except (OSError, ImportError) as error:
        print(printable_lines("netmgr: %s (in %s)" % (reason(error), place_of(error))), file=sys.stderr)
        return FAILED


def _help(request: Request) -> int:
    return _show(usage(COMMANDS, known_command(request.words[0], COMMANDS) if request.words else ""))


def _place(request: Request) -> Place:
    return place(request.options.get("--config"), os.environ)


def _run(request: Request) -> int:
    import gc
    import signal
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])       # what comes from here on is a reload, as soon as there is a daemon
    gc.disable()        # loading makes very many objects and no garbage; the daemon enables it when it is ready
    from netmgr.config import schema  # noqa: F401  (before there are two processes that need it)
    from netmgr.io.reading_apart import ReadingApart
    _take_name()
    where, options = _place(request), request.options
    reading = ReadingApart(where.config)
    from netmgr import daemon, reloading
    how = where.config, options.get("--socket"), options.get("--log-level"), "--dry-run" in options, where.socket
    return daemon.run(reading.result, reloading.Options(*how))


def _take_name() -> None:
    """Be called netmgr however it was started: that is what the kernel tells others of who changes the ruleset."""
    try:
        with open("/proc/self/comm", "w") as name:
            name.write(PROGRAM)
    except OSError:         # it is called python then
        pass


def open_missing_descriptors() -> None:
    """The log goes to descriptor 2: a daemon that was started without one must not find one of its own sockets there.

    Python has no sys.stdout or sys.stderr then, and print() would take the one instead of the other.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)      # becomes this one, for it is the lowest that is free
    sys.stdout, sys.stderr = sys.stdout or os.fdopen(1, "w", closefd=False), sys.stderr or os.fdopen(2, "w", closefd=False)


def _check_config(request: Request) -> int:
    from netmgr import check_and_diff
    path = request.words[0] if request.words else _place(request).config
    status, text = check_and_diff.check(path, "--strict" in request.options, "--json" in request.options)
    return _show(text) or status


def _diff(request: Request) -> int:
    if "--running" in request.options:
        return _diff_running(request)
    from netmgr import check_and_diff
    status, text = check_and_diff.diff(_place(request).config)
    return _show(text) or status


def _diff_running(request: Request) -> int:
    """The daemon reads the file by itself, so a relative name is made absolute here."""
    from netmgr.show.differences import read_answer
    given = request.options.get("--config")
    try:
        answer = _ask(request, "diff" + (" " + os.path.abspath(given) if given else ""))
    except CommandError as error:
        raise CommandError(TROUBLE if error.status == FAILED else error.status, str(error)) from None
    different, text = read_answer(answer)
    return _show(text) or (FAILED if different else DONE)


def _init(request: Request) -> int:
    from netmgr.init import init
    status, text = init(request.options.get("--output"))
    return _show(text) or status


def _demo(request: Request) -> int:
    from netmgr import demo
    pace = request.options.get("--pace")
    if pace is not None and not _is_number(pace):
        raise UsageError("--pace needs a whole number of seconds")
    return demo.main("--step" in request.options, None if pace is None else int(pace))


def _is_number(text: str) -> bool:
    """Of seconds, no more than one may wait for."""
    return text.isascii() and text.isdigit() and len(text) < 7


def _status(request: Request) -> int:
    if "--watch" not in request.options:
        return _status_now(request)
    from netmgr import watching
    from netmgr.io.client import Follower
    path = _socket(request, False)
    with _explained(path):
        watching.watch(lambda: Follower(path, "watch", ANSWER_SECONDS), lambda _lines: _redraw(request), 1)
    return DONE


def _redraw(request: Request) -> None:
    """What was there before goes from a terminal.  A daemon that has just gone is waited for."""
    try:
        if sys.stdout.isatty():
            print(CLEAR, end="")
        _show_status(request)
    except CommandError as error:
        if error.status != NO_DAEMON:
            raise


def _status_now(request: Request) -> int:
    status = _show_status(request)
    if request.words and not (status.interfaces or status.containers or status.sets):
        raise CommandError(FAILED, _nothing_of(request.words))
    return DONE if status.state == "ready" else FAILED


def _show_status(request: Request) -> Status:
    from netmgr.show.answers_json import read_status
    from netmgr.show.tables import WIDTH, status_text
    from netmgr.values.errors import ProtocolError
    answer = _ask(request, " ".join(["status", "json", *request.words]))
    try:
        status = read_status(answer)
    except ProtocolError:
        raise CommandError(FAILED, "netmgr: the answer is not netmgr's: " + printable(answer[:80])) from None
    if "--json" in request.options:
        _show(answer)
    else:
        width = _columns() or WIDTH
        colour = {"ready": GREEN, "degraded": RED}.get(status.state, "")
        _show(status_text(status, width, "--problems" in request.options), colour, status.state)
    return status


def _sets(request: Request) -> int:
    words = [*(["json"] if "--json" in request.options else []), *request.words]
    answer = _ask(request, " ".join(["sets", *words]))
    _show_lines(answer, "--json" in request.options)
    if request.words and answer in ("no sets\n", '{"schema": 1, "sets": []}\n'):
        raise CommandError(FAILED, _nothing_of(request.words))
    return DONE


def _nothing_of(names: Sequence[str]) -> str:
    """A set of the convention that is not there, for one, is nothing to show, and yet there is something to say about it."""
    return "netmgr: there is nothing to show of %s; `netmgr explain %s` may say why" % (", ".join(names), names[0])


def _explain(request: Request) -> int:
    """An empty explanation is a failure."""
    thing = " ".join(request.words)
    if not thing:
        raise UsageError("explain needs a thing: an address, a network, an interface, a set, a zone, a container or a host")
    wants_json = "--json" in request.options
    answer = _ask(request, "explain %s%s" % (thing, " json" if wants_json else ""))
    unknown = '"kind": null' in answer if wants_json else answer.startswith("nothing is known of ")
    return _show_lines(answer, wants_json) or (FAILED if unknown else DONE)


def _graph(request: Request) -> int:
    words = [*request.words, *(["json"] if "--json" in request.options else [])]
    if len(words) > 1 or words[:1] not in ([], ["dot"], ["mermaid"], ["json"]):
        raise UsageError("graph is had as dot, as mermaid or as JSON; see netmgr help graph")
    return _show(_ask(request, " ".join(["graph", *words])))


def _log(request: Request) -> int:
    words = [*(["json"] if "--json" in request.options else []), *request.words]
    return _show_lines(_ask(request, " ".join(["log", *words]), may_be_empty="json" in words), "--json" in request.options)


def _watch(request: Request) -> int:
    from netmgr import watching
    from netmgr.io.client import Follower
    command, settle = request.options.get("--exec"), request.options.get("--settle", "0")
    if not _is_number(settle.replace(".", "", 1)) or (command is None and "--settle" in request.options):
        raise UsageError("--settle needs seconds, and --exec beside it")
    wants_json = "--json" in request.options or command is not None
    line = " ".join(["watch", *(["json"] if wants_json else []), *request.words])
    path = _socket(request, False)

    def connect() -> Follower:
        return Follower(path, line, ANSWER_SECONDS)

    with _explained(path):
        if command is None:
            watching.watch(connect, lambda lines: _show_lines(lines, wants_json), 1)
        else:
            watching.watch_and_run(connect, command, float(settle))
    return DONE


def _http(request: Request) -> int:
    from netmgr import http
    where, options = _place(request), request.options
    control = options.get("--socket") or socket_path(where)
    try:
        http.run(control, (options.get("--listen", ""), http_address(where)), options.get("--token-file"),
                 [name for name in options.get("--host", "").split(",") if name])
    except (OSError, ValueError) as error:
        raise CommandError(FAILED, "netmgr: http: %s" % (reason(error) if isinstance(error, OSError) else error)) from None
    return DONE


def _asking(line: str, starts: bool = False) -> Callable[[Request], int]:
    return lambda request: _show((_as_json if "--json" in request.options else str)(_ask(request, line, starts)))


def _as_json(answer: str) -> str:
    import json
    return json.dumps({"answer": answer.rstrip("\n")}) + "\n"


def _ask(request: Request, line: str, starts: bool = False, may_be_empty: bool = False) -> str:
    """The daemon's answer to one line.  CommandError when there is none, or when it is an error.

    Whoever connects to the socket of a service that is stopped starts it, which is not for those who only look.
    """
    from netmgr.io.client import ask
    path = _socket(request, starts)
    with _explained(path):
        answer = ask(path, line, ANSWER_SECONDS, lambda: print("netmgr: %s does not answer yet; %s" % (path, _hint()), file=sys.stderr),
                     may_be_empty)
    if answer.startswith("ERROR:"):
        raise CommandError(FAILED, answer.rstrip("\n"))
    return answer


def _socket(request: Request, starts: bool) -> str:
    path = request.options.get("--socket") or socket_path(_place(request))
    if not starts and service_is_stopped(path):
        raise CommandError(NO_DAEMON, "netmgr is not running: `systemctl start netmgr` starts it, `systemctl status netmgr` says more")
    return path


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """What goes wrong with the socket, as a CommandError."""
    from netmgr.values.errors import ProtocolError
    try:
        yield
    except PermissionError:
        raise CommandError(FAILED, "netmgr: no permission for the socket %s: it is for root and for members of its group" % path) from None
    except TimeoutError as error:
        raise CommandError(NO_DAEMON, "netmgr: no daemon answers at %s: %s; %s" % (path, error, _hint())) from None
    except OSError as error:
        raise CommandError(NO_DAEMON, "netmgr: no daemon answers at %s: %s" % (path, reason(error))) from None
    except ProtocolError as error:
        raise CommandError(FAILED, "netmgr: what answers at %s is not netmgr: %s" % (path, error)) from None


def _hint() -> str:
    return "`systemctl status netmgr` and `journalctl -u netmgr` say more" if has_systemd() else "its log says more"


def _columns() -> int:
    """How many a line may take on this terminal, at least the usual 80; 0 where there is none."""
    from shutil import get_terminal_size
    return max(80, get_terminal_size().columns) if sys.stdout.isatty() else 0


def _show_lines(text: str, as_json: bool) -> int:
    """As _show(); on a terminal lines that are too long for it go on further in, and no word is cut by its edge."""
    columns = 0 if as_json else _columns()
    if columns:
        text = "\n".join(piece for line in text.split("\n") for piece in hung(printable(line), columns))
    return _show(text)


def _show(text: str, colour: str = "", word: str = "") -> int:
    """Print it, with what could control a terminal escaped.  A reader that has seen enough is no failure.

    On a terminal the word has a colour where it comes first, unless NO_COLOR says otherwise.
    """
    shown = _encodable(printable_lines(text))
    if colour and sys.stdout.isatty() and not os.environ.get("NO_COLOR"):
        shown = shown.replace(word, colour + word + PLAIN, 1)
    try:
        print(shown, end="", flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)        # where what could not be written goes at the exit
        if not isinstance(error, BrokenPipeError):
            raise CommandError(FAILED, "netmgr: the output cannot be written: %s" % reason(error)) from None
    return DONE


def _encodable(text: str) -> str:
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


_CLIENT = ("--json", "--socket", "--config")

COMMANDS = {command.name: command for command in (
    Command("run", ("--config", "--socket", "--log-level", "--dry-run"), "the daemon, in the foreground", _run),
    Command("check", ("--strict", "--json", "--config"), "validate the configuration, and show which sets would be filled", _check_config,
            "[FILE]"),
    Command("diff", ("--running", "--config", "--socket"), "what a start would change, as nft commands; writes nothing", _diff),
    Command("init", ("--output",), "write a first configuration from what is there", _init),
    Command("status", (*_CLIENT, "--problems", "--watch"), "what is wrong, interfaces, containers, sets and sources", _status,
            "[json] [NAME ...]"),
    Command("sets", _CLIENT, "every set with its elements", _sets, "[json] [NAME ...]"),
    Command("explain", _CLIENT, "why an address, interface, set, zone, container or host is in sets, or is not", _explain, "THING ..."),
    Command("graph", _CLIENT, "what feeds what, for Graphviz or Mermaid", _graph, "[json] [dot|mermaid]"),
    Command("log", _CLIENT, "the last happenings", _log, "[json] [N] [NAME ...]"),
    Command("watch", (*_CLIENT, "--exec", "--settle"), "what happens, as it happens", _watch, "[json] [NAME ...]"),
    Command("metrics", _CLIENT, "what is counted, in the text format of Prometheus", _asking("metrics"), "[json]"),
    Command("reload", _CLIENT, "let the daemon read its configuration again", _asking("reload", starts=True), "[json]"),
    Command("resync", _CLIENT, "let the daemon read links, addresses, sets and containers again", _asking("resync", starts=True), "[json]"),
    Command("ping", _CLIENT, "whether a daemon answers", _asking("ping"), "[json]"),
    Command("shutdown", _CLIENT, "stop the daemon cleanly", _asking("shutdown"), "[json]"),
    Command("http", ("--listen", "--token-file", "--host", "--socket", "--config"), "serve a page and metrics over HTTP, read-only", _http),
    Command("demo", ("--step", "--pace"), "all of it in a private network namespace, on the real kernel", _demo),
    Command("help", (), "the commands, or the options of one", _help, "[COMMAND]"),
    Command("version", (), "name and version", lambda _request: _show("netmgr %s\n" % __version__)),
)}
