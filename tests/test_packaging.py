"""What is shipped beside the program says the same as the program: default configuration, manual pages, completions, units, package."""

import re
from pathlib import Path

import pytest

from netmgr import __version__, cli
from netmgr.config import fleet_reader, reader, schema, set_rules
from netmgr.show import answers
from netmgr.show.command_line import Command
from netmgr.values import happenings

ROOT = Path(__file__).resolve().parents[1]
FILES = ROOT / "pkg-files"
DEFAULT = (FILES / "config/default.yaml").read_text()
MANUAL = (FILES / "man/netmgr.8").read_text()
YAML_MANUAL = (FILES / "man/netmgr.yaml.5").read_text()
BASH = (FILES / "completions/netmgr.bash").read_text()
ZSH = (FILES / "completions/_netmgr").read_text()
COMMAND = pytest.mark.parametrize("command", cli.COMMANDS.values(), ids=list(cli.COMMANDS))


def test_the_default_configuration_asks_for_nothing() -> None:
    asked = reader.parse(DEFAULT, "default.yaml")
    engines = tuple(engine._replace(entry=None) for engine in asked.docker)
    assert asked._replace(docker=engines, files=("empty.yaml",)) == reader.parse("", "empty.yaml")


def test_what_it_shows_in_comments_is_right_when_uncommented() -> None:
    text = re.sub(r"^#(?=[\w ] +\S|\w)", "", DEFAULT[DEFAULT.index("\ninterfaces:"):], flags=re.MULTILINE)
    shown = reader.parse(text, "default.yaml")
    assert [rule.pattern for rule in shown.interfaces] == ["eth0", "eth1", None]
    default = reader.parse("", "empty.yaml")
    assert [engine._replace(entry=None, name="") for engine in shown.docker] == [*default.docker]
    assert (shown.nftables, shown.socket_mode, shown.log_level) == (default.nftables, default.socket_mode, default.log_level)
    wan = shown.zones["wan"]
    assert wan._replace(sets=(), entry=None) == schema.default_zone("wan", shown.nftables)
    assert [rule.name for rule in wan.sets] == ["wan_all", "server", "wan_public", "wan_own", "by_zone", "by_mark", "by_address", "dnat"]


def test_it_names_every_key() -> None:
    keys = {*reader.TOP, *reader.INTERFACE, *reader.ZONE, *set_rules.SET, *reader.NFTABLES, *reader.DOCKER,
            *fleet_reader.FLEET, *fleet_reader.CONSUMED, *fleet_reader.TLS}
    of_no_use_to_the_daemon = {"nftables_rules_path", "http_bind_addr"}
    assert [key for key in sorted(keys - of_no_use_to_the_daemon) if not re.search(r"\b%s:" % key, DEFAULT)] == []
    assert [key for key in sorted(keys) if not re.search(r"^\.(It )?Cm %s\b" % key, YAML_MANUAL, re.MULTILINE)
            and ".Ss %s\n" % key not in YAML_MANUAL] == []


@COMMAND
def test_the_manual_page_has_the_command_and_its_options(command: Command) -> None:
    synopsis, commands = MANUAL.partition(".Sh DESCRIPTION")[0], MANUAL.partition(".Sh COMMANDS")[2]
    forms = [form for form in synopsis.split("\n.Nm\n") if re.search(r"^\.Cm .*\b%s\b" % command.name, form, re.MULTILINE)]
    assert len(forms) == 1
    assert set(re.findall(r"Fl -([\w-]+)", forms[0])) == {option.lstrip("-") for option in command.options}
    assert re.search(r"^\.It Cm %s\b" % command.name, commands, re.MULTILINE)


@COMMAND
def test_the_completions_have_the_command_and_its_options(command: Command) -> None:
    assert command.name in re.search(r"commands='(.*)'", BASH)[1].split()  # type: ignore[index]
    assert _bash_options(command.name) == set(command.options)
    assert re.search(r"^ +'%s:" % command.name, ZSH, re.MULTILINE)
    assert _zsh_options(command.name) == set(command.options)


def test_the_completions_have_no_other_command() -> None:
    assert set(re.search(r"commands='(.*)'", BASH)[1].split()) == set(cli.COMMANDS)  # type: ignore[index]
    assert set(re.findall(r"^ +'([\w-]+):", ZSH, re.MULTILINE)) == set(cli.COMMANDS)


def test_the_manual_page_has_every_field_of_the_answers() -> None:
    section = MANUAL.partition("\n.Sh JSON\n")[2].partition("\n.Sh ")[0]
    told = {word for line in re.findall(r"\b(?:Cm|It Cm|Pq Cm) (.*)", section) for word in line.replace(",", " ").split()}
    kinds = [kind for module in (answers, happenings) for kind in vars(module).values() if hasattr(kind, "_fields")]
    assert len(kinds) > 8
    assert [kind for kind in happenings.LEVEL if not re.search(r"^\.Li .*\b%s\b" % kind, section, re.MULTILINE)] == []
    assert sorted({field for kind in kinds for field in kind._fields} - {"set", "facts"} - told) == []


def test_the_manual_page_has_every_error_of_a_set() -> None:
    section = " ".join(MANUAL.partition("\n.Sh DIAGNOSTICS\n")[2].partition("\n.Sh ")[0].replace("\\\n", "").split())
    source = (ROOT / "netmgr/values/holds.py").read_text() + (ROOT / "netmgr/wire/nft_answers.py").read_text()
    said = [*re.findall(r'return "(i\w* .*?)"', source), *re.findall(r'^    \(errno\.\w+, "\w*"\): "(.*)",$', source, re.MULTILINE)]
    assert len(said) > 15
    assert [text for text in said if re.split(r"[%;]", text)[0].strip() not in section] == []


def test_units_and_package_are_of_this_version() -> None:
    assert (FILES / "debian/changelog").read_text().startswith("netmgr (%s) " % __version__)
    service, socket = ((FILES / "systemd" / name).read_text() for name in ("netmgr.service", "netmgr.socket"))
    listen = re.search(r"^ListenStream=(.*)$", socket, re.MULTILINE)
    assert listen and "ExecReload=netmgr reload --socket %s\n" % listen[1] in service
    assert "Requires=nftables" not in service and "After=nftables.service\n" in service


def _bash_options(command: str) -> "set[str]":
    cases = re.findall(r"^    ([\w |]+)\) options='(.*)' ;;$", BASH, re.MULTILINE)
    return next((set(options.split()) for names, options in cases if command in names.split(" | ")), set())


def _zsh_options(command: str) -> "set[str]":
    """A case names options itself, or the variables that hold them."""
    case = re.search(r"^    (?:[\w|]+\|)?%s(?:\|[\w|]+)?\)((?:.|\n)*?);;" % command, ZSH, re.MULTILINE)
    if case is None:
        return set()
    return set(re.findall(r"'(--[\w-]+)", case[1])) | {"--" + name for name in re.findall(r"\$(\w+)", case[1]) if name != "help"}
