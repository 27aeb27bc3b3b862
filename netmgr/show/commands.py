"""The control protocol: lines in, text out.

A line ends with LF or CR LF; blank lines are no commands and answer nothing.  Commands are matched without regard to case and
to the width of the gaps between words.  Bytes that are not UTF-8 stay visible as \\xNN.

The daemon hands out values (answers.py); with the word `json` behind the command they are said to programs, without it to people.  What
says them is loaded when somebody asks: an idle daemon has no use for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Collection, Iterator, List, Optional, Sequence, Tuple, Union

from netmgr import __version__
from netmgr.values.happenings import Happening
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.protocol import Protocol
from netmgr.values.replies import Reply, Say
from netmgr.values.text import Log, aligned, printable

if TYPE_CHECKING:
    from netmgr.show.answers import Explanation, GraphEdge, GraphNode, SetContents, Status

_ECHO_LIMIT = 80


class Service(Protocol):
    """What the commands act on.

    reload, resync, diff and shutdown reply once with "OK: …" or "ERROR: …", as soon as they have taken effect.
    """

    def status(self) -> Status:
        """The state of everything."""

    def sets(self) -> Collection[SetContents]:
        """Every set with its elements."""

    def explain(self, thing: str) -> Explanation:
        """Why this thing is in sets, or is not."""

    def graph(self) -> Iterator[Union[GraphNode, GraphEdge, None]]:
        """What feeds what: all nodes, then all edges; None in between means no more than that something was done."""

    def called(self, names: Sequence[str]) -> List[str]:
        """The names, and where one is an interface's alternative name, that by which it is called here."""

    def log(self, number: int, names: Sequence[str]) -> Iterator[Optional[Happening]]:
        """The last so many happenings that concern these names; None while they are looked for."""

    def metrics(self) -> Iterator[str]:
        """All that is counted, in the text format of Prometheus, in pieces."""

    def follow(self, listener: Callable[[Happening], None]) -> Callable[[], None]:
        """Tell the listener that netmgr has started, and what happens from now on, until the result is called."""

    def reload(self, reply: Say) -> None:
        """Read the configuration again."""

    def resync(self, reply: Say) -> None:
        """Read everything again and reconcile."""

    def diff(self, path: str, reply: Say) -> None:
        """What a reload of this file would change, of the usual one by default."""

    def shutdown(self, reply: Say) -> None:
        """Begin a clean stop."""


class Command(NamedTuple):
    """`changes`: it changes something, so not everybody may give it.  `argument`: what may follow; `guarded`: for some only."""

    name: str
    argument: str
    summary: str
    run: Callable[[Service, str, Reply], None]
    changes: bool = False
    guarded: bool = False


def _line(reply: Reply) -> Say:
    """What replies with one text that ends with one newline."""
    return lambda text: reply(text.rstrip("\n") + "\n")


def _split(argument: str) -> Tuple[bool, List[str]]:
    """Whether JSON is asked for, and the other words."""
    words = argument.split()
    place = next((place for place in (0, -1) if words and words[place].lower() == "json"), None)
    if place is not None:
        del words[place]
    return place is not None, words


def _status(service: Service, argument: str, reply: Reply) -> None:
    from netmgr.show import answers_json, selection, tables
    wants_json, names = _split(argument)
    status = selection.cut(service.status(), service.called(names))
    reply(answers_json.status_pieces(status) if wants_json else tables.status_pieces(status))


def _sets(service: Service, argument: str, reply: Reply) -> None:
    from netmgr.show import answers_json, selection, tables
    wants_json, names = _split(argument)
    contents = selection.cut_sets(service.sets(), names)
    reply(answers_json.sets_pieces(contents) if wants_json else tables.sets_pieces(contents))


def _explain(service: Service, argument: str, reply: Reply) -> None:
    from netmgr.show import answers_json, explain_text
    wants_json, words = _split(argument)
    if not words:
        _line(reply)("ERROR: explain needs a thing: an address, a network, an interface, a set, a zone, a container or a host")
        return
    told = service.explain(" ".join(words))
    reply(answers_json.explanation_pieces(told) if wants_json else explain_text.explanation_pieces(told))


def _graph(service: Service, argument: str, reply: Reply) -> None:
    from netmgr.show import graph
    how = {"": graph.dot_pieces, "dot": graph.dot_pieces, "mermaid": graph.mermaid_pieces, "json": graph.json_pieces}
    pieces = how.get(argument.strip().lower())
    if pieces is None:
        _line(reply)('ERROR: graph is had as dot, mermaid or json, not as "%s"' % _echo(argument))
    else:
        reply(pieces(service.graph()))


def _log(service: Service, argument: str, reply: Reply) -> None:
    from netmgr.show import answers_json, happenings, rows
    wants_json, names = _split(argument)
    number = int(names.pop(0)) if names and names[0].isascii() and names[0].isdigit() and len(names[0]) < 10 else happenings.SHOWN
    told = service.log(number, service.called(names))
    if wants_json:
        reply(rows.pieces((None if each is None else answers_json.line_of(happenings.object_of(each)) for each in told), rows.LINES))
    else:
        reply(happenings.log_pieces(told))


def _watch(service: Service, argument: str, reply: Reply) -> None:
    from netmgr.show import answers_json, happenings
    wants_json, given = _split(argument)
    names = service.called(given)

    def follow(tell: Callable[[str], None]) -> Callable[[], None]:
        def told(happening: Happening) -> None:
            if happening.kind == "started" or happenings.concerns(happening, names):
                tell(answers_json.line_of(happenings.object_of(happening)) if wants_json else happenings.log_text([happening]))
        return service.follow(told)

    reply(follow)


COMMANDS = (
    Command("ping", "", "answers PONG", lambda _service, _argument, reply: reply("PONG\n")),
    Command("status", "[json] [NAME ...]", "what is wrong, interfaces, containers, sets and sources", _status),
    Command("sets", "[json] [NAME ...]", "every set with its elements", _sets),
    Command("explain", "THING [json]", "why an address, interface, set, zone, container or host is in sets, or is not", _explain),
    Command("graph", "[dot|mermaid|json]", "what feeds what, for Graphviz or Mermaid", _graph),
    Command("log", "[json] [N] [NAME ...]", "the last N happenings, 50 if N is left out", _log),
    Command("watch", "[json] [NAME ...]", "what happens, as it happens", _watch),
    Command("metrics", "", "what is counted, for Prometheus", lambda service, _argument, reply: reply(service.metrics())),
    Command("reload", "", "read the configuration again", lambda service, _argument, reply: service.reload(_line(reply)), changes=True),
    Command("resync", "", "read links, addresses, sets and containers again",
            lambda service, _argument, reply: service.resync(_line(reply)), changes=True),
    Command("diff", "[FILE]", "what a reload would change, as nft commands",
            lambda service, argument, reply: service.diff(argument, _line(reply)), guarded=True),
    Command("shutdown", "", "stop cleanly", lambda service, _argument, reply: service.shutdown(_line(reply)), changes=True),
    Command("version", "", "name and version", lambda _service, _argument, reply: reply("netmgr %s\n" % __version__)),
    Command("help", "", "this list", lambda _service, _argument, reply: reply(help_text() + "\n")),
)


class Asked(NamedTuple):
    """A command and what follows it."""

    command: Command
    argument: str

    @property
    def for_everybody(self) -> bool:
        """Whether it takes no privilege."""
        return not (self.command.changes or (self.command.guarded and self.argument))


def asked(line: str) -> Optional[Asked]:
    """The command that a line gives, or None."""
    name, argument = (line.strip().split(None, 1) + ["", ""])[:2]
    known = next((command for command in COMMANDS if command.name == name.lower()), None)
    return None if known is None or (argument and not known.argument) else Asked(known, argument)


def answer(line: str, service: Service, privileged: bool, reply: Reply) -> None:
    """Reply to one line with text that ends with a newline; to a blank line with ""."""
    known = asked(line)
    if known is not None and (privileged or known.for_everybody):
        known.command.run(service, known.argument, reply)
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
