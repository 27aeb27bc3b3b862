"""At the edges of a running netmgr: signals that come early, a log that nobody reads."""

import fcntl
import os
import signal
from pathlib import Path

from tests.kernel.lab import Lab
from tests.kernel.running import CONFIG, RULESET, Netmgr
from tests.waiting import eventually

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
