"""The command line as a user has it: a process, its output, its status."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Dict, Iterator, List, Sequence, Tuple

import pytest

from netmgr import __version__, cli, paths
from netmgr.io import client
from netmgr.paths import Place, place, socket_path
from netmgr.show.answers_json import read_status
from netmgr.show.command_line import UsageError, parse, usage
from netmgr.values.text import printable
from tests.control_bench import Bench
from tests.test_commands import STATUS, STATUS_TEXT
from tests.waiting import PATIENCE, eventually

NETMGR = [sys.executable, "-m", "netmgr"]
CLIENTS = ["status", "sets", "explain", "graph", "log", "metrics", "reload", "resync", "ping", "shutdown"]


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def netmgr(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*NETMGR, *arguments], capture_output=True, text=True, env={**os.environ, **environment}, check=False)


def ask(bench: Bench, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return bench.run([*NETMGR, *arguments, "--socket", bench.path], **environment)


def run(*arguments: str) -> int:
    """In this process, without what main() makes of errors."""
    request = parse(arguments, cli.COMMANDS)
    return cli.COMMANDS[request.command].run(request)


def result(process: "subprocess.CompletedProcess[str]") -> "tuple[int, str, str]":
    return process.returncode, process.stdout, process.stderr


def test_version() -> None:
    for argument in ("version", "--version", "-V"):
        assert result(netmgr(argument)) == (0, "netmgr %s\n" % __version__, "")


def test_help() -> None:
    for arguments in (["--help"], ["-h"], ["help"]):
        process = netmgr(*arguments)
        assert (process.returncode, process.stderr) == (0, "")
        assert all("\n  %s  " % name.ljust(8) in process.stdout for name in cli.COMMANDS)
    for name, command in cli.COMMANDS.items():
        text = usage(cli.COMMANDS, name)
        assert text.startswith("usage: netmgr " + name)
        assert all(re.search("^  (-., )?%s" % option, text, re.MULTILINE) for option in command.options)
    assert result(netmgr("status", "-h")) == result(netmgr("help", "status")) == (0, usage(cli.COMMANDS, "status"), "")


@pytest.mark.parametrize("arguments, message", [
    (["frobnicate"], 'unknown command "frobnicate"; see netmgr help'),
    (["stauts"], 'unknown command "stauts"; did you mean "status"?'),
    (["help", "chek"], 'unknown command "chek"; did you mean "check"?'),
    (["metrics", "now"], 'metrics takes no argument "now"; see netmgr help metrics'),
    (["metrics", "json", "json"], 'metrics takes no argument "json"; see netmgr help metrics'),
    (["help", "status", "sets"], 'help takes no argument "sets"; see netmgr help help'),
    (["run", "json"], 'run takes no argument "json"; see netmgr help run'),
    (["status", "--colour"], "unknown option --colour; see netmgr help"),
    (["status", "--jsn"], 'unknown option --jsn; did you mean "--json"?'),
    (["-x", "status"], "unknown option -x; see netmgr help"),
    (["run", "--json"], "run has no option --json; see netmgr help run"),
    (["demo", "--config", "x"], "demo has no option --config; see netmgr help demo"),
    (["status", "--socket"], "--socket needs a PATH"),
    (["status", "--socket="], "--socket needs a PATH"),
    (["status", "-c"], "--config needs a FILE"),
    (["status", "--json=yes"], "--json takes no value"),
    (["run", "--log-level", "loud"], "--log-level needs one of error, warning, info, debug"),
    (["frobnicate", "--help"], 'unknown command "frobnicate"; see netmgr help'),
])
def test_wrong_usage(arguments: List[str], message: str) -> None:
    assert result(netmgr(*arguments)) == (2, "", "netmgr: %s\n" % message)


def test_without_a_command_there_is_the_usage() -> None:
    assert result(netmgr()) == (2, "", "netmgr: a command is needed\n" + usage(cli.COMMANDS))


@pytest.mark.parametrize("arguments, options", [
    (["run"], {}),
    (["run", "--config", "a b", "--socket", "-", "--log-level", "debug", "--dry-run"],
     {"--config": "a b", "--socket": "-", "--log-level": "debug", "--dry-run": ""}),
    (["--config=x=y", "run", "--config", "z"], {"--config": "z"}),
    (["-c", "x", "run"], {"--config": "x"}),
    (["run", "-c=x"], {"--config": "x"}),
    (["--dry-run", "run"], {"--dry-run": ""}),
])
def test_options_stand_anywhere(arguments: List[str], options: Dict[str, str]) -> None:
    assert parse(arguments, cli.COMMANDS) == ("run", (), options)


def test_after_two_dashes_there_are_no_options() -> None:
    assert parse(["explain", "-j", "--", "--name", "-x"], cli.COMMANDS) == ("explain", ("--name", "-x"), {"--json": ""})
    assert parse(["--", "status", "--"], cli.COMMANDS) == ("status", ("--",), {})


def test_both_helps_say_the_same_of_names() -> None:
    from netmgr.show import commands
    for each in commands.COMMANDS:
        if "NAME" in each.argument:
            assert cli.COMMANDS[each.name].arguments == each.argument


NOTHING = "netmgr: there is nothing to show of nosuch; `netmgr explain nosuch` may say why\n"


def test_sets_by_name(bench: Bench) -> None:
    assert result(ask(bench, "sets", "nosuch")) == (1, "no sets\n", NOTHING)
    assert result(ask(bench, "sets", "-j", "nosuch")) == (1, '{"schema": 1, "sets": []}\n', NOTHING)


def test_json_is_a_word_too() -> None:
    for arguments in (["status", "json"], ["status", "-j"], ["--json", "status"], ["status", "json", "-j"]):
        assert parse(arguments, cli.COMMANDS) == ("status", (), {"--json": ""})


def test_the_table_of_the_contract() -> None:
    daemon = {"run": {"--config", "--socket", "--log-level", "--dry-run"}, "check": {"--strict", "--json", "--config"},
              "init": {"--output"}, "diff": {"--running", "--config", "--socket"},
              "watch": {"--json", "--socket", "--config", "--exec", "--settle"},
              "demo": {"--step", "--pace"}, "http": {"--listen", "--token-file", "--host", "--socket", "--config"},
              "help": set(), "version": set()}
    for name, options in daemon.items():
        assert set(cli.COMMANDS[name].options) == options
    assert set(cli.COMMANDS) == {*daemon, *CLIENTS}
    others = {**{name: set() for name in CLIENTS}, "status": {"--problems", "--watch"}}
    assert all(set(cli.COMMANDS[name].options) == {"--json", "--socket", "--config", *others[name]} for name in CLIENTS)


def test_commands_that_a_daemon_answers(bench: Bench) -> None:
    assert result(ask(bench, "ping")) == (0, "PONG\n", "")
    assert result(ask(bench, "sets")) == (0, "no sets\n", "")
    assert result(ask(bench, "sets", "--json")) == (0, '{"schema": 1, "sets": []}\n', "")
    assert result(ask(bench, "reload")) == (0, "OK: nothing had to change\n", "")
    assert result(ask(bench, "resync")) == (0, "OK: nothing had to change\n", "")
    assert result(ask(bench, "shutdown")) == (0, "OK: stopping\n", "")
    assert bench.asked == ["sets", "sets", "reload", "resync", "shutdown"]


def test_status_tells_by_its_status(bench: Bench) -> None:
    bench.status_value = read_status(json.dumps(STATUS))
    assert result(ask(bench, "status")) == (1, STATUS_TEXT, "")
    process = ask(bench, "status", "--json")
    assert (process.returncode, json.loads(process.stdout)) == (1, STATUS)
    bench.status_value = bench.status_value._replace(state="ready")
    assert result(ask(bench, "status")) == (0, STATUS_TEXT.replace("degraded", "ready"), "")
    assert ask(bench, "status", "--json").returncode == 0


def test_an_error_is_an_error(bench: Bench) -> None:
    bench.reload_answer = "ERROR: config.yaml:7: interfaces[1].nftables_zone: expected a zone name or a list of them, got 5"
    assert result(ask(bench, "reload")) == (1, "", bench.reload_answer + "\n")


def test_an_answer_that_is_not_ours(bench: Bench) -> None:
    for answer in ("\x1b[2J\n", '["ready"]\n', '{"state": "ready"\n', "[" * 100_000 + "\n"):
        bench.instead = answer
        process = ask(bench, "status")
        assert (process.returncode, process.stdout) == (1, "")
        assert process.stderr == "netmgr: the answer is not netmgr's: %s\n" % printable(answer[:80])


def test_a_daemon_of_another_version(bench: Bench) -> None:
    """What an older one leaves out is missing, what only a newer one knows is passed over."""
    bench.instead = '{"schema": 7, "state": "ready", "sets": [{"name": "wan_ips", "since": "x", "state": "synced"}], "problems": {}}\n'
    status = ask(bench, "status")
    assert (status.returncode, status.stderr) == (0, "")
    assert status.stdout.splitlines()[0] == "netmgr ?: ready, up 0 s, pid ?, ?"
    assert status.stdout.splitlines()[3].split() == ["?", "?", "wan_ips", "-", "synced", "0", "0"]
    assert result(ask(bench, "status", "--json")) == (0, bench.instead, "")
    bench.instead = "{}\n"
    assert result(ask(bench, "status")) == (1, "netmgr ?: ?, up 0 s, pid ?, ?\n", "")


@pytest.mark.parametrize("command", CLIENTS)
def test_no_daemon(command: str, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    words = [command, "eth0"] if command == "explain" else [command]
    assert result(netmgr(*words, "--socket", path)) == (3, "", "netmgr: no daemon answers at %s: No such file or directory\n" % path)


def test_a_socket_that_nobody_serves(tmp_path: Path) -> None:
    for name, reason in (("x" * 200, "too long"), ("file", "Connection refused"), ("file/socket", "Not a directory")):
        path = tmp_path / name
        if name == "file":
            path.write_text("")
        process = netmgr("ping", "--socket", str(path))
        assert process.returncode == 3
        assert process.stderr.startswith("netmgr: no daemon answers at %s: " % path)
        assert reason in process.stderr


def test_a_name_that_the_terminal_cannot_show(bench: Bench) -> None:
    bench.status_value = read_status(json.dumps(STATUS).replace("web-1", "grün"))
    assert "\ngr\\xfcn  " in ask(bench, "status", PYTHONIOENCODING="ascii").stdout
    assert "\ngrün  " in ask(bench, "status", PYTHONIOENCODING="utf-8").stdout


def test_a_reader_that_leaves(bench: Bench) -> None:
    bench.status_value = read_status(json.dumps({**STATUS, "interfaces": STATUS["interfaces"] * 2000, "state": "ready"}))
    command = 'set -o pipefail; %s -m netmgr status --socket %s | head -1; echo "$?"' % (sys.executable, bench.path)
    assert result(bench.run(["bash", "-c", command])) == (0, STATUS_TEXT.splitlines()[0].replace("degraded", "ready") + "\n0\n", "")


def test_control_c_is_quiet(tmp_path: Path) -> None:
    import socket
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as silent:
        silent.bind(str(tmp_path / "socket"))
        silent.listen()
        # A shell that starts the tests in its background has SIGINT ignored, and whoever it starts inherits that.
        command = ["env", "--default-signal=INT", *NETMGR, "ping", "--socket", str(tmp_path / "socket")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            connection, _address = silent.accept()
            with connection:
                process.send_signal(signal.SIGINT)
                assert process.communicate(timeout=PATIENCE) == (b"", b"")
                assert process.returncode == 130


@pytest.mark.parametrize("given, environment, existing, expected", [
    ("my.yaml", {"NETMGR_CONFIG": "a", "RUST_NETWORK_MGR_CONFIG": "b"}, [], Place("my.yaml", paths.SOCKET)),
    (None, {"NETMGR_CONFIG": "a", "RUST_NETWORK_MGR_CONFIG": "b"}, [], Place("a", paths.SOCKET)),
    (None, {"RUST_NETWORK_MGR_CONFIG": "b"}, [paths.CONFIG], Place("b", paths.OLD_SOCKET)),
    (None, {"NETMGR_CONFIG": "", "RUST_NETWORK_MGR_CONFIG": ""}, [], Place(paths.CONFIG, paths.SOCKET)),
    (None, {}, [paths.CONFIG, paths.OLD_CONFIG], Place(paths.CONFIG, paths.SOCKET)),
    (None, {}, [paths.OLD_CONFIG], Place(paths.OLD_CONFIG, paths.OLD_SOCKET)),
])
def test_where_the_configuration_is(given: str, environment: Dict[str, str], existing: List[str], expected: Place) -> None:
    assert place(given, environment, existing.__contains__) == expected


def test_the_names_of_the_contract() -> None:
    assert (paths.CONFIG, paths.SOCKET) == ("/etc/netmgr/config.yaml", "/run/netmgr.sock")
    assert (paths.OLD_CONFIG, paths.OLD_SOCKET) == ("/etc/rust-network-mgr/config.yaml", "/run/rust-network-mgr.sock")


@pytest.mark.parametrize("text, expected", [
    ("socket_path: /run/x.sock\n", "/run/x.sock"),
    ("interfaces: []\nsocket_path: '/run/my x.sock'  # mine\n", "/run/my x.sock"),
    ('{"socket_path": "/run/x.sock"}', "/run/x.sock"),
    ("frobnicate: 2024-99-99\nsocket_path: /run/x.sock\n", "/run/x.sock"),
    ("<<: {socket_path: /run/x.sock}\n", "/run/x.sock"), ("socket_path: Null\n", "default"),
    ("socket_path: /run/x.sock\nx: " + "[" * 2000 + "]" * 2000, "default"),
    ("socket_path: null\n", "default"), ("socket_path:\n", "default"), ("socket_path: [1]\n", "default"),
    ("# socket_path: /run/x.sock\n", "default"), ("zones: {socket_path: /run/x.sock}\n", "default"),
    ("- socket_path\n", "default"), ("socket_path: [\n", "default"), ("socket_path: /run/x\n\t: x", "default"), ("", "default"),
    ("socket_path: \udc80\n", "\ufffd"),
])
def test_where_the_socket_is(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert socket_path(Place(str(path), "default")) == expected


def test_a_configuration_that_cannot_be_read(tmp_path: Path) -> None:
    assert socket_path(Place(str(tmp_path), "default")) == "default"
    assert socket_path(Place(str(tmp_path / "missing"), "default")) == "default"


def test_the_client_finds_the_daemon_by_its_configuration(bench: Bench, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("socket_path: %s\nno-such-key: 1\n" % bench.path)
    assert bench.run([*NETMGR, "ping"], NETMGR_CONFIG=str(config)).stdout == "PONG\n"
    assert bench.run([*NETMGR, "ping"], RUST_NETWORK_MGR_CONFIG=str(config)).stdout == "PONG\n"
    assert bench.run([*NETMGR, "ping", "--config", str(config)], NETMGR_CONFIG="/missing").stdout == "PONG\n"


def test_a_client_imports_little(tmp_path: Path) -> None:
    process = subprocess.run([sys.executable, "-X", "importtime", *NETMGR[1:], "ping", "--socket", str(tmp_path / "none")],
                             stderr=subprocess.PIPE, text=True, check=False)
    imported = {line.rsplit("|", 1)[-1].strip() for line in process.stderr.splitlines()}
    assert "netmgr.io.client" in imported
    assert not imported & {"argparse", "logging", "yaml", "netmgr.daemon", "netmgr.config.schema", "dataclasses"}


def test_a_daemon_without_standard_descriptors() -> None:
    script = "import os\nfrom netmgr import cli\ncli.open_missing_descriptors()\nopen('/dev/fd/1')\nos.fstat(2)\nos._exit(os.dup(0) - 3)"
    process = subprocess.Popen(["sh", "-c", 'exec <&- >&- 2>&-; exec "$0" -c "$1"', sys.executable, script])
    eventually(lambda: process.poll() is not None)
    assert process.returncode == 0


def test_errors_without_a_place_to_go_are_no_output() -> None:
    process = subprocess.run(["sh", "-c", 'exec "$@" 2>&-', "-", *NETMGR, "frobnicate"], stdout=subprocess.PIPE, check=False)
    assert (process.returncode, process.stdout) == (2, b"")


def test_a_daemon_with_its_descriptors_needs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "devnull", "/nowhere")
    before = os.listdir("/proc/self/fd")
    cli.open_missing_descriptors()
    assert os.listdir("/proc/self/fd") == before


def test_the_stopped_service_is_left_stopped_by_those_who_only_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    states = ["inactive", "active"]
    monkeypatch.setattr(paths, "has_systemd", lambda: True)
    monkeypatch.setattr(paths, "unit_states", lambda: tuple(states))
    asked: List[Tuple[str, str]] = []

    def answer(path: str, line: str, *_rest: object) -> str:
        asked.append((path, line))
        return "OK: done\n"
    monkeypatch.setattr(client, "ask", answer)
    for command in ("ping", "status", "sets", "shutdown"):
        with pytest.raises(cli.CommandError, match="is not running: `systemctl start netmgr` starts it") as failure:
            run(command)
        assert failure.value.status == cli.NO_DAEMON
    assert asked == []
    assert run("reload") == run("ping", "--socket", str(tmp_path / "other")) == 0
    states[0] = "active"
    assert run("ping") == 0
    assert asked == [(paths.SOCKET, "reload"), (str(tmp_path / "other"), "ping"), (paths.SOCKET, "ping")]


def test_a_daemon_that_is_stuck_and_where_to_look(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cli, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(client, "SLOW_SECONDS", 0.1)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as stuck:
        stuck.bind(str(tmp_path / "stuck"))
        stuck.listen()
        with pytest.raises(cli.CommandError, match=r"no answer within 0\.2 seconds; .* say") as failure:
            run("ping", "--socket", str(tmp_path / "stuck"))
    assert failure.value.status == cli.NO_DAEMON
    assert capsys.readouterr().err.startswith("netmgr: %s does not answer yet; " % (tmp_path / "stuck"))


@pytest.mark.parametrize("arguments", [("ping",), ("sets",), ("ping", "--json"), ("status", "--json")])
def test_what_a_server_sends_controls_no_terminal(bench: Bench, arguments: Sequence[str]) -> None:
    bench.instead = '{"state": "ready", "x": "\x1b[2J\x07\u202e"}\n\x1b]0;title\x07\n'
    process = ask(bench, *arguments)
    assert all(line == printable(line) for line in (process.stdout + process.stderr).split("\n"))
    bench.instead = "ERROR: \x1b[2J\n"
    assert result(ask(bench, *arguments)) == (1, "", "ERROR: \\x1b[2J\n")


@pytest.mark.parametrize("arguments", [
    ("explain", "a\nshutdown"), ("log", "a\rshutdown"), ("status", "x", "a\nshutdown"), ("diff", "a\nshutdown")])
def test_an_argument_is_no_second_command(bench: Bench, arguments: Sequence[str]) -> None:
    code, out, err = result(ask(bench, *arguments))
    assert (code, out) == (2, "") and err.startswith("netmgr: an argument has a line break: 'a\\")


@pytest.mark.parametrize("command", ["explain", "status"])
@pytest.mark.parametrize("locale", ["C.UTF-8", "C"])
def test_words_that_are_no_text(bench: Bench, command: str, locale: str) -> None:
    """As a shell passes on what somebody's keyboard or some other program made."""
    words = [*NETMGR, command, os.fsdecode(b"caf\xe9\xff"), "--socket", bench.path]
    code, _out, err = result(bench.run(words, LC_ALL=locale, PYTHONCOERCECLOCALE="0", PYTHONUTF8="0"))
    assert code == 1 and "Traceback" not in err


@pytest.mark.parametrize("command", ["status", "log"])
def test_nobody_to_print_for(bench: Bench, command: str) -> None:
    """As with `>&-`: only the exit status is wanted."""
    assert result(bench.run(["sh", "-c", '"$@" >&-', "-", *NETMGR, command, "--socket", bench.path])) == (0, "", "")


@pytest.mark.parametrize("seconds", ["", ".", "x", "-1", "1e3", "9999999", "\u00b2", "1.2.3", "nan"])
def test_seconds_that_nobody_can_wait(bench: Bench, seconds: str) -> None:
    for arguments in (("watch", "--exec", "true", "--settle", seconds), ("demo", "--pace", seconds)):
        with pytest.raises(UsageError):
            run(*arguments)


def test_the_status_of_what_is_not_known(bench: Bench) -> None:
    code, out, err = result(ask(bench, "status", "nosuch"))
    assert (code, err) == (1, NOTHING) and out.startswith("netmgr ")


def test_every_answer_as_json(bench: Bench) -> None:
    assert json.loads(ask(bench, "ping", "--json").stdout) == {"answer": "PONG"}
    assert json.loads(ask(bench, "reload", "--json").stdout)["answer"].startswith("OK")


def test_an_output_that_cannot_be_written() -> None:
    with open("/dev/full", "w") as full:
        process = subprocess.run([*NETMGR, "version"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (process.returncode, process.stderr) == (1, "netmgr: the output cannot be written: No space left on device\n")
