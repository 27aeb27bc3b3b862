"""At the edges of a running netmgr: signals that come early, a log that nobody reads."""

import errno
import fcntl
import os
import signal
import socket
import sys
import textwrap
from pathlib import Path

import pytest

from netmgr.cli import main
from netmgr.io.nft import Nft
from netmgr.io.rights import CAP_NET_ADMIN
from netmgr.io.rtnetlink import RequestSocket
from netmgr.values.errors import ProtocolError
from netmgr.values.text import reason
from tests import engine_bodies as bodies
from tests.kernel.engine import Engine
from tests.kernel.lab import Lab, forces_buffers
from tests.kernel.running import CONFIG, ROOT, RULESET, Netmgr
from tests.waiting import PATIENCE, eventually

F_SETPIPE_SZ = 1031


def blocks_hangups(netmgr: Netmgr) -> bool:
    """Whether the process has begun with code of netmgr and is no further yet."""
    assert netmgr.process is not None
    lines = Path("/proc/%d/status" % netmgr.process.pid).read_text().splitlines()
    (mask,) = [line.split()[1] for line in lines if line.startswith("SigBlk:")]
    return bool(int(mask, 16) & 1 << signal.SIGHUP - 1)


def test_a_hangup_while_it_starts_is_a_reload(lab: Lab) -> None:
    netmgr = Netmgr(lab, start=False)
    netmgr.start(wait=False)
    assert netmgr.process is not None
    eventually(lambda: blocks_hangups(netmgr))
    netmgr.process.send_signal(signal.SIGHUP)
    eventually(lambda: "reload: OK: " in netmgr.log())
    assert netmgr.ask("ping") == "PONG\n"


def test_a_difference_with_names_that_could_control_a_terminal(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.nft("table inet filter { set wan_ifs { type ifname; }; }")
    lab.link("e\x1b[2J\x07")
    (lab.directory / "config.yaml").write_text("interfaces: [{name: 'e*', nftables_zone: wan}]\ndocker: {enabled: false}\n")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    text = lab.run([sys.executable, "-m", "netmgr", "diff", "--config", str(lab.directory / "config.yaml")], check=False)
    assert "wan_ifs { \"e\\x1b[2J\\x07\"" in text and "\x1b" not in text


@pytest.mark.parametrize("problem", [OSError(errno.ENOBUFS, "No buffer space available"), ProtocolError("netlink: nonsense")])
def test_a_kernel_that_cannot_be_asked_is_told_and_no_output_error(
        lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], problem: Exception) -> None:
    def refuse(*_arguments: object) -> None:
        raise problem
    config = lab.directory / "config.yaml"
    config.write_text(CONFIG)
    with lab.inside():
        monkeypatch.setattr(Nft, "sets", refuse)
        assert main(["check", "--config", str(config)]) == 0
        out, err = capsys.readouterr()
        assert "\n%s is valid" % config in out and "wan_ips" in out
        assert err == "netmgr: the kernel's sets were not looked at: %s\n" % reason(problem)
        monkeypatch.setattr(RequestSocket, "snapshot", refuse)
        assert main(["diff", "--config", str(config)]) == 2
        assert capsys.readouterr() == ("", "netmgr: %s\n" % problem)


def test_root_gives_up_what_it_does_not_need(lab: Lab) -> None:
    lab.nft(RULESET)
    lab.link("eth0")
    netmgr = Netmgr(lab)
    assert netmgr.process is not None
    lines = Path("/proc/%d/status" % netmgr.process.pid).read_text().splitlines()
    status = dict(line.split(":\t", 1) for line in lines)
    assert {int(status[kind], 16) for kind in ("CapPrm", "CapEff", "CapBnd")} == {1 << CAP_NET_ADMIN}
    assert (int(status["CapInh"], 16), int(status["CapAmb"], 16), status["NoNewPrivs"]) == (0, 0, "1")
    assert status["Groups"].split() == [] or not forces_buffers()
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    netmgr.holds("wan_ips", "192.0.2.1")
    assert netmgr.ask("reload").startswith("OK: ") and netmgr.ask("resync").startswith("OK: ")
    lab.nft("flush ruleset\n" + RULESET)
    netmgr.holds("wan_ips", "192.0.2.1")
    assert netmgr.stop() == 0 and not netmgr.socket.exists()


def test_a_log_that_nobody_reads_holds_up_nothing(lab: Lab) -> None:
    lab.nft(RULESET)
    lab.link("eth0")
    pipe = str(lab.directory / "stderr")
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    fcntl.fcntl(reader, F_SETPIPE_SZ, 4096)
    netmgr = Netmgr(lab, CONFIG + "log_level: debug", start=False)
    netmgr.start(wrapper=["sh", "-c", 'exec "$0" "$@" 2>"%s"' % pipe])
    for host in range(1, 101):
        lab.run("ip addr add 192.0.2.%d/24 dev eth0" % host)
    netmgr.holds("wan_ips", *("192.0.2.%d" % host for host in range(1, 101)))
    os.set_blocking(reader, True)
    received = b""
    while b"the log took no lines for a while: " not in received:
        received += os.read(reader, 65536)
    os.close(reader)
    assert netmgr.stop() == 0


def test_an_error_that_it_cannot_live_with_ends_it_with_one_line(lab: Lab) -> None:
    (lab.directory / "config.yaml").write_text(CONFIG)
    program = """
        import sys
        from netmgr.cli import main
        from netmgr.io.loop import Loop
        def poll(self, _longest): raise OSError(12, "Cannot allocate memory")
        Loop._sleep_time = poll
        sys.exit(main())"""
    process = lab.start([sys.executable, "-c", textwrap.dedent(program), "run", "--config", str(lab.directory / "config.yaml"),
                         "--socket", str(lab.directory / "netmgr.sock")], {**os.environ, "PYTHONPATH": str(ROOT)})
    assert process.wait(PATIENCE) == 1
    assert lab.log(process).splitlines()[-1].endswith(" error   cannot go on: Cannot allocate memory (in netmgr.io.loop.turn)")
    assert "Traceback" not in lab.log(process)


def test_clients_leave_descriptors_to_what_is_opened_later(lab: Lab) -> None:
    """Each question is the first of its kind, so its answer has modules to load while no client finds a place any more."""
    ruleset = RULESET + "table inet filter { set docker_ips { type ipv4_addr; }; }\n"
    lab.nft(ruleset)
    lab.link("eth0")
    engine = Engine(lab)
    netmgr = Netmgr(lab, CONFIG.replace("enabled: false", "socket: %s" % engine.socket), start=False)
    netmgr.start(wrapper=["prlimit", "--nofile=48"])
    clients = [connected(netmgr) for _client in range(60)]
    refused = [client for client in clients if b"no more descriptors" in first_bytes(client)]
    assert 20 < len(refused) < 60
    staying = [client for client in clients if client not in refused]
    for question, expected in (("status json", '"schema": 1'), ("explain eth0", "eth0"), ("graph", "digraph"), ("log json", '"kind"'),
                               ("metrics", "netmgr_ready 1"), ("status", "netmgr 0"), ("diff", "# nothing"), ("reload", "OK: reloaded")):
        answer = last_words(staying.pop(), question)
        assert expected in answer, answer
        clients.append(connected(netmgr))       # the place is taken again
    engine.runs(bodies.container(1, {"bridge": ["172.18.0.2/16"]}))
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    lab.nft("flush ruleset\n" + ruleset)
    netmgr.holds("docker_ips", "172.18.0.2")
    netmgr.holds("wan_ips", "192.0.2.1")
    for client in clients:
        client.close()
    assert netmgr.stop() == 0 and " error " not in netmgr.log()


def last_words(client: socket.socket, question: str) -> str:
    """The answer to the last question of a client."""
    client.sendall(question.encode() + b"\n")
    client.shutdown(socket.SHUT_WR)
    with client, client.makefile() as answer:
        return answer.read()


def connected(netmgr: Netmgr) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE)
    client.connect(str(netmgr.socket))
    return client


def first_bytes(client: socket.socket) -> bytes:
    """Of who is turned away; of who has a place the answer to its ping."""
    try:
        client.sendall(b"ping\n")
    except BrokenPipeError:
        pass
    return client.recv(4096)
