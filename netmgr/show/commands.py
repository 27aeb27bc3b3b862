"""The control protocol: lines in, text out.

A line ends with LF or CR LF; blank lines are no commands and answer nothing.  Commands are matched without regard to case and
to the width of the gaps between words.  Bytes that are not UTF-8 stay visible as \\xNN.

The daemon hands out values (answers.py); `status json` says them to programs, `status` to people.  What says them is loaded when
somebody asks: an idle daemon has no use for it.
"""

from typing import Callable, NamedTuple, Optional, Protocol, Sequence

from netmgr import __version__
from netmgr.show.answers import SetContents, Status
from netmgr.values.text import Log, aligned, printable

_ECHO_LIMIT = 80


Reply = Callable[[str], None]


class Service(Protocol):
    """What the commands act on.

    reload, resync and shutdown reply once with "OK: …" or "ERROR: …", as soon as they have taken effect.
    """

    def status(self) -> Status:
        """The state of everything."""

    def sets(self) -> Sequence[SetContents]:
        """Every set with its elements."""

    def reload(self, reply: Reply) -> None:
        """Read the configuration again."""

    def resync(self, reply: Reply) -> None:
        """Read everything again and reconcile."""

    def diff(self, path: str, reply: Reply) -> None:
        """What a reload of this file would change, of the usual one by default."""

    def shutdown(self, reply: Reply) -> None:
        """Begin a clean stop."""


class Command(NamedTuple):
    """`changes`: it changes something, so not everybody may give it.  `argument`: what may follow the name, which not everybody may do."""

    name: str
    summary: str
    changes: bool
    run: Callable[[Service, str, Reply], None]
    argument: str = ""


def _status_text(service: Service) -> str:
    from netmgr.show.tables import status_text
    return status_text(service.status())


def _status_json(service: Service) -> str:
    from netmgr.show.answers_json import status_json
    return status_json(service.status())


def _sets_text(service: Service) -> str:
    from netmgr.show.tables import sets_text
    return sets_text(service.sets())


def _sets_json(service: Service) -> str:
    from netmgr.show.answers_json import sets_json
    return sets_json(service.sets())


COMMANDS = (
    Command("ping", "answers PONG", False, lambda _service, _words, reply: reply("PONG")),
    Command("status", "interfaces, containers, sets and sources, for people", False,
            lambda service, _words, reply: reply(_status_text(service))),
    Command("status json", "the same as one line of JSON", False, lambda service, _words, reply: reply(_status_json(service))),
    Command("sets", "every set with its elements", False, lambda service, _words, reply: reply(_sets_text(service))),
    Command("sets json", "the same as one line of JSON", False, lambda service, _words, reply: reply(_sets_json(service))),
    Command("reload", "read the configuration again", True, lambda service, _words, reply: service.reload(reply)),
    Command("resync", "read links, addresses, sets and containers again", True, lambda service, _words, reply: service.resync(reply)),
    Command("diff", "what a reload would change, as nft commands", False,
            lambda service, words, reply: service.diff(words, reply), "[FILE]"),
    Command("shutdown", "stop cleanly", True, lambda service, _words, reply: service.shutdown(reply)),
    Command("version", "name and version", False, lambda _service, _words, reply: reply("netmgr " + __version__)),
    Command("help", "this list", False, lambda _service, _words, reply: reply(help_text())),
)


class Asked(NamedTuple):
    """A command and what follows it."""

    command: Command
    argument: str

    @property
    def for_everybody(self) -> bool:
        """Whether it takes no privilege."""
        return not (self.command.changes or self.argument)


def asked(line: str) -> Optional[Asked]:
    """The command that a line gives, or None."""
    name, first, rest = " ".join(line.split()).lower(), *(line.strip().split(None, 1) + ["", ""])[:2]
    for known in COMMANDS:
        if known.name == name or (known.argument and known.name == first.lower()):
            return Asked(known, "" if known.name == name else rest)
    return None


def answer(line: str, service: Service, privileged: bool, reply: Reply) -> None:
    """Reply to one line with a newline-terminated text; to a blank line with ""."""
    known = asked(line)
    if known is not None and (privileged or known.for_everybody):
        known.command.run(service, known.argument, lambda text: reply(text.rstrip("\n") + "\n"))
    elif known is not None:
        reply("ERROR: %s is only for root, the daemon's own user and members of the socket's group\n" % _echo(line.strip()))
    else:
        reply('ERROR: unknown command "%s", try help\n' % _echo(line) if line.strip() else "")


def answering(service: Service, log: Log) -> Callable[[str, object, bool, Reply], None]:
    """What a control socket answers with: (line, who, privileged, reply).  Who asks for a change is told to the log."""
    def answered(line: str, who: object, privileged: bool, reply: Reply) -> None:
        known = asked(line)
        if known is not None and known.command.changes:
            how = "asked for" if privileged else "denied, asked for"
            log("info" if privileged else "debug", "%s %s by %s" % (known.command.name, how, who))
        answer(line, service, privileged, reply)
    return answered


def help_text() -> str:
    """Every command in one line each."""
    return "\n".join(aligned([((known.name + " " + known.argument).rstrip(), known.summary) for known in COMMANDS]))


def _echo(line: str) -> str:
    return printable(line if len(line) <= _ECHO_LIMIT else line[:_ECHO_LIMIT] + "…")
