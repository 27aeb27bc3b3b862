"""The grammar of the command line: words and options in any order, and the usage, all from the table of commands.

An option may stand before or after the command, as `--name value`, `--name=value`, or by its letter.  The word `json` after a command that
asks the daemon means --json, as on the control socket.
"""

from __future__ import annotations

from typing import Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

from netmgr.values.named_tuple import NamedTuple
from netmgr.values.text import LEVELS, aligned, nearest

# What each takes as its value, "" for a switch, and what it means.
OPTIONS = {
    "--config": ("FILE", "the configuration, instead of $NETMGR_CONFIG or /etc/netmgr/config.yaml"),
    "--socket": ("PATH", "the control socket, instead of the configured one"),
    "--log-level": ("LEVEL", "error, warning, info or debug, instead of the configured one"),
    "--dry-run": ("", "log what would be sent to the kernel, and send nothing"),
    "--json": ("", "one line of JSON"),
    "--strict": ("", "warnings count as errors"),
    "--running": ("", "ask the daemon what a reload would change"),
    "--output": ("FILE", "write a new file, instead of the standard output"),
    "--step": ("", "wait for the Enter key before each step"),
    "--pace": ("SECONDS", "the pause before each step, 2 by default on a terminal and 0 elsewhere"),
    "--exec": ("COMMAND", "run this by the shell for each happening"),
    "--settle": ("SECONDS", "run it once for what happens within that time"),
    "--problems": ("", "only what is wrong"),
    "--watch": ("", "show it again whenever something happens"),
    "--listen": ("ADDRESS", "where to listen: ADDRESS:PORT or unix:PATH, instead of http_bind_addr"),
    "--token-file": ("FILE", "the token that every request has to show; needed beyond loopback"),
    "--host": ("NAMES", "names under which it is asked for, besides addresses and localhost; comma-separated"),
    "--help": ("", "this text"),
}
LETTERS = {"-c": "--config", "-j": "--json", "-h": "--help"}
OPTIONS_LIKE_COMMANDS = {"--version": "version", "-V": "version"}


class UsageError(Exception):
    """The command line makes no sense; the message says what to write instead."""


class Request(NamedTuple):
    """What was asked for.  The options have their values, "" for a switch; the command is "" only beside --help."""

    command: str
    words: Tuple[str, ...]
    options: Dict[str, str]


class Command(NamedTuple):
    """A command, what it takes, and what it does.  `arguments` as in the usage: "[FILE]", "[NAME ...]"."""

    name: str
    options: Tuple[str, ...]
    summary: str
    run: Callable[[Request], int]
    arguments: str = ""


Commands = Mapping[str, Command]


def parse(arguments: Sequence[str], commands: Commands) -> Request:
    """What these arguments ask for.  UsageError."""
    words: List[str] = []
    options: Dict[str, str] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":        # what comes now is no option, whatever it begins with
            words += rest
            break
        word = OPTIONS_LIKE_COMMANDS.get(word, word)
        if word.startswith("-") and word != "-":
            option, equals, value = word.partition("=")
            option = LETTERS.get(option, option)
            options[option] = _value(option, value if equals else None, rest)
        else:
            words.append(word)
    if not words and "--help" in options:
        return Request("", (), options)
    return _checked(words, options, commands)


def usage(commands: Commands, name: str = "") -> str:
    """Every command, or one of them with its options."""
    if not name:
        rows = [(command.name, command.summary) for command in commands.values()]
        return "\n".join(["usage: netmgr COMMAND [OPTION ...]", "", *_indented(rows), "", "netmgr help COMMAND: its options", ""])
    command = commands[name]
    words = [name, *([command.arguments] if command.arguments else []), *("[%s]" % _spelled(option) for option in command.options)]
    letters = {option: letter + ", " for letter, option in LETTERS.items()}
    rows = [(letters.get(option, "") + _spelled(option), OPTIONS[option][1]) for option in (*command.options, "--help")]
    return "\n".join(["usage: netmgr " + " ".join(words), "", command.summary, "", *_indented(rows), ""])


def known_command(word: str, commands: Commands) -> str:
    """The word, if it is a command.  UsageError."""
    if word not in commands:
        raise UsageError('unknown command "%s"; %s' % (word, _advice(word, tuple(commands), "netmgr help")))
    return word


def _checked(words: Sequence[str], options: Dict[str, str], commands: Commands) -> Request:
    if not words:
        raise UsageError("a command is needed\n" + usage(commands).rstrip("\n"))
    command = commands[known_command(words[0], commands)]
    for option in options:
        if option not in (*command.options, "--help"):
            raise UsageError("%s has no option %s; %s" % (command.name, option, _advice(option, command.options, _help(command))))
    rest = list(words[1:])
    for word in rest:
        if "\n" in word or "\r" in word:
            raise UsageError("an argument has a line break: %s" % ascii(word))      # the daemon would read a second command
    if rest[:1] == ["json"] and {"--json", "--socket"} <= set(command.options):
        options["--json"] = ""
        del rest[0]
    if len(rest) > _most(command):
        raise UsageError('%s takes no argument "%s"; see %s' % (command.name, rest[_most(command)], _help(command)))
    if options.get("--log-level", "info") not in LEVELS:
        raise UsageError("--log-level needs one of %s" % ", ".join(LEVELS))
    return Request(command.name, tuple(rest), options)


def _most(command: Command) -> int:
    """How many words it takes at most."""
    return 1000 if "..." in command.arguments else len(command.arguments.split()) - ("[json]" in command.arguments)


def _value(option: str, value: Optional[str], rest: List[str]) -> str:
    if option not in OPTIONS:
        raise UsageError("unknown option %s; %s" % (option, _advice(option, tuple(OPTIONS), "netmgr help")))
    wanted = OPTIONS[option][0]
    if not wanted:
        if value is not None:
            raise UsageError("%s takes no value" % option)
        return ""
    if value is None and rest:
        value = rest.pop(0)
    if not value:
        raise UsageError("%s needs a %s" % (option, wanted))
    return value


def _advice(word: str, known: Sequence[str], otherwise: str) -> str:
    meant = nearest(word, known)
    return 'did you mean "%s"?' % meant if meant else "see " + otherwise


def _help(command: Command) -> str:
    return "netmgr help " + command.name


def _spelled(option: str) -> str:
    return (option + " " + OPTIONS[option][0]).rstrip()


def _indented(rows: Sequence[Tuple[str, str]]) -> Iterator[str]:
    return ("  " + line for line in aligned(rows))
