"""The command line: a table of commands and a table of options, which also print the usage.

An option may stand before or after the command, as `--name value` or `--name=value`.  Only `run`, `check`, `diff` and `demo` load
the daemon's modules; the others ask a running daemon over its socket.

Exit status: 0 done; 1 failed, or `status` says degraded; 2 wrong usage; 3 no daemon answers at the socket.
"""

import os
import sys
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from netmgr import __version__
from netmgr.paths import CONFIG, has_systemd, place, service_is_stopped, socket_path
from netmgr.values.text import LEVELS, aligned, printable, printable_lines

DONE, FAILED, WRONG_USAGE, NO_DAEMON, INTERRUPTED = 0, 1, 2, 3, 130
ANSWER_SECONDS = 30.0

OPTIONS = {
    "--config": ("FILE", "the configuration, instead of $NETMGR_CONFIG or " + CONFIG),
    "--socket": ("PATH", "the control socket, instead of the configured one"),
    "--log-level": ("LEVEL", "error, warning, info or debug, instead of the configured one"),
    "--dry-run": ("", "log what would be sent to the kernel, and send nothing"),
    "--json": ("", "one line of JSON"),
    "--step": ("", "wait for the Enter key before each step"),
    "--pace": ("SECONDS", "the pause before each step, 2 by default on a terminal and 0 elsewhere"),
    "--help": ("", "this text"),
}
SHORT = {"-h": "--help"}
OPTIONS_LIKE_COMMANDS = {"--version": "version", "-V": "version"}

Options = Dict[str, str]


class CommandError(Exception):
    """The command did not succeed: exit status and message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Command(NamedTuple):
    """A command and the options that it takes."""

    name: str
    options: Tuple[str, ...]
    summary: str
    run: Callable[[Options], int]


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run one command; the exit status."""
    _open_missing_descriptors()
    try:
        name, options = parse(sys.argv[1:] if arguments is None else arguments)
        if "--help" in options:
            return _show(usage(name))
        return COMMANDS[name].run(options)
    except CommandError as error:
        print(printable_lines(str(error)), file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return INTERRUPTED


def parse(arguments: Sequence[str]) -> Tuple[str, Options]:
    """The command, and the options with their values, "" for a switch.  The command is "" only beside --help."""
    words: List[str] = []
    options: Options = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        word = OPTIONS_LIKE_COMMANDS.get(word, word)
        if word.startswith("-"):
            option, equals, value = word.partition("=")
            option = SHORT.get(option, option)
            options[option] = _value(option, value if equals else None, rest)
        else:
            words.append(word)
    if words or "--help" not in options:
        _check(words, options)
    return "".join(words), options


def usage(name: str = "") -> str:
    """Every command, or one of them with its options."""
    if name:
        command = COMMANDS[name]
        head = "usage: netmgr %s" % " ".join([name, *("[%s]" % _spelled(option) for option in command.options)])
        rows = [(_spelled(option), OPTIONS[option][1]) for option in (*command.options, "--help")]
        return "\n".join([head, "", command.summary, "", *_indented(rows), ""])
    rows = [(command.name, command.summary) for command in COMMANDS.values()]
    return "\n".join(["usage: netmgr COMMAND [OPTION ...]", "", *_indented(rows), "", "netmgr COMMAND --help: its options", ""])


def _value(option: str, value: Optional[str], rest: List[str]) -> str:
    if option not in OPTIONS:
        raise _wrong("unknown option %s" % option)
    wanted = OPTIONS[option][0]
    if not wanted:
        if value is not None:
            raise _wrong("%s takes no value" % option)
        return ""
    if value is None and rest:
        value = rest.pop(0)
    if not value:
        raise _wrong("%s needs a %s" % (option, wanted))
    return value


def _check(words: Sequence[str], options: Options) -> None:
    if not words:
        raise _wrong("a command is needed")
    if words[0] not in COMMANDS:
        raise _wrong("unknown command %s" % words[0])
    if len(words) > 1:
        raise _wrong("%s takes no argument: %s" % (words[0], words[1]), words[0])
    for option in options:
        if option not in (*COMMANDS[words[0]].options, "--help"):
            raise _wrong("%s has no option %s" % (words[0], option), words[0])
    if options.get("--log-level", "info") not in LEVELS:
        raise _wrong("--log-level needs one of %s" % ", ".join(LEVELS), words[0])


def _wrong(message: str, command: str = "") -> CommandError:
    return CommandError(WRONG_USAGE, "netmgr: %s\n%s" % (message, usage(command).rstrip("\n")))


def _spelled(option: str) -> str:
    return (option + " " + OPTIONS[option][0]).rstrip()


def _indented(rows: Sequence[Tuple[str, str]]) -> Iterator[str]:
    return ("  " + line for line in aligned(rows))


def _run(options: Options) -> int:
    import gc
    import signal
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])       # what comes from here on is a reload, as soon as there is a daemon
    gc.disable()        # loading makes very many objects and no garbage; the daemon enables it when it is ready
    from netmgr import daemon
    where = place(options.get("--config"), os.environ)
    return daemon.run(where.config, options.get("--socket"), options.get("--log-level"), "--dry-run" in options, where.socket)


def _open_missing_descriptors() -> None:
    """The log goes to descriptor 2: a daemon that was started without one must not find one of its own sockets there.

    Python has no sys.stderr then, and print() would take sys.stdout instead.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)      # becomes this one, for it is the lowest that is free
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def _check_config(options: Options) -> int:
    from netmgr import check_and_diff
    status, text = check_and_diff.check(place(options.get("--config"), os.environ).config)
    return _show(text) or status


def _diff(options: Options) -> int:
    from netmgr import check_and_diff
    status, text = check_and_diff.diff(place(options.get("--config"), os.environ).config)
    return _show(text) or status


def _demo(options: Options) -> int:
    from netmgr import demo
    pace = options.get("--pace")
    if pace is not None and not (pace.isdigit() and len(pace) < 5):
        raise _wrong("--pace needs a whole number of seconds", "demo")
    return demo.main("--step" in options, None if pace is None else int(pace))


def _status(options: Options) -> int:
    from netmgr.show.answers_json import read_status
    from netmgr.show.tables import status_text
    from netmgr.values.errors import ProtocolError
    answer = _ask(options, "status json")
    try:
        status = read_status(answer)
    except ProtocolError:
        raise CommandError(FAILED, "netmgr: the answer is not netmgr's: " + printable(answer[:80])) from None
    _show(answer if "--json" in options else status_text(status))
    return DONE if status.state == "ready" else FAILED


def _sets(options: Options) -> int:
    return _show(_ask(options, "sets json" if "--json" in options else "sets"))


def _asking(line: str, starts: bool = False) -> Callable[[Options], int]:
    return lambda options: _show((_as_json if "--json" in options else str)(_ask(options, line, starts)))


def _as_json(answer: str) -> str:
    import json
    return json.dumps({"answer": answer.rstrip("\n")}) + "\n"


def _ask(options: Options, line: str, starts: bool = False) -> str:
    """The daemon's answer to one line.  CommandError when there is none, or when it is an error.

    Whoever connects to the socket of a service that is stopped starts it, which is not for those who only look.
    """
    from netmgr.io.client import ask
    from netmgr.values.errors import ProtocolError
    path = options.get("--socket") or socket_path(place(options.get("--config"), os.environ))
    if not starts and service_is_stopped(path):
        raise CommandError(NO_DAEMON, "netmgr is not running: `systemctl start netmgr` starts it, `systemctl status netmgr` says more")
    try:
        answer = ask(path, line, ANSWER_SECONDS, lambda: print("netmgr: %s does not answer yet; %s" % (path, _hint()), file=sys.stderr))
    except PermissionError:
        raise CommandError(FAILED, "netmgr: no permission for the socket %s: it is for root and for members of its group" % path) from None
    except TimeoutError as error:
        raise CommandError(NO_DAEMON, "netmgr: no daemon answers at %s: %s; %s" % (path, error, _hint())) from None
    except OSError as error:
        raise CommandError(NO_DAEMON, "netmgr: no daemon answers at %s: %s" % (path, error.strerror or error)) from None
    except ProtocolError as error:
        raise CommandError(FAILED, "netmgr: what answers at %s is not netmgr: %s" % (path, error)) from None
    if answer.startswith("ERROR:"):
        raise CommandError(FAILED, answer.rstrip("\n"))
    return answer


def _hint() -> str:
    return "`systemctl status netmgr` and `journalctl -u netmgr` say more" if has_systemd() else "its log says more"


def _show(text: str) -> int:
    """Print it, with what could control a terminal escaped.  A reader that has seen enough is no failure."""
    try:
        print(_encodable(printable_lines(text)), end="", flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)        # where what could not be written goes at the exit
        if not isinstance(error, BrokenPipeError):
            raise CommandError(FAILED, "netmgr: the output cannot be written: %s" % (error.strerror or error)) from None
    return DONE


def _encodable(text: str) -> str:
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


_CLIENT = ("--json", "--socket", "--config")

COMMANDS = {command.name: command for command in (
    Command("run", ("--config", "--socket", "--log-level", "--dry-run"), "the daemon, in the foreground", _run),
    Command("check", ("--config",), "validate the configuration, and show which sets would be filled", _check_config),
    Command("diff", ("--config",), "what a start would change, as nft commands; writes nothing", _diff),
    Command("status", _CLIENT, "interfaces, containers, sets and sources of the running daemon", _status),
    Command("sets", _CLIENT, "every set with its elements", _sets),
    Command("reload", _CLIENT, "let the daemon read its configuration again", _asking("reload", starts=True)),
    Command("resync", _CLIENT, "let the daemon read links, addresses, sets and containers again", _asking("resync", starts=True)),
    Command("ping", _CLIENT, "whether a daemon answers", _asking("ping")),
    Command("shutdown", _CLIENT, "stop the daemon cleanly", _asking("shutdown")),
    Command("demo", ("--step", "--pace"), "all of it in a private network namespace, on the real kernel", _demo),
    Command("version", (), "name and version", lambda _options: _show("netmgr %s\n" % __version__)),
)}
