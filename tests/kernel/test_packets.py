"""What packets see: not one misses a set whose address is there, through reloads, repairs and changes."""

import socket
import subprocess
from typing import Iterable, Tuple

from tests.kernel.lab import Lab
from tests.kernel.running import Netmgr
from tests.waiting import eventually

ADDRESS, PORT = "192.0.2.1", 4711

RULESET = """flush ruleset
table inet filter {
    set wan_ips {
        type ipv4_addr
        %s
    }
    set lan_ips { type ipv4_addr; }
    chain input {
        type filter hook input priority 0; policy drop;
        ip daddr @wan_ips udp dport 4711 accept
    }
}
"""
CONFIG = """
interfaces:
  - {name: eth0, nftables_zone: [wan, lan]}
docker: {enabled: false}
"""


def flow(lab: Lab, commands: Iterable[str], all_come: bool = True) -> Tuple[int, int]:
    """Send datagrams to ADDRESS as long as the commands take, one after the other; how many were sent, and how many came.

    Where all should come it is waited for the last: what the kernel has put off, because it was busy, comes later.
    """
    with lab.inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver, \
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        receiver.bind((ADDRESS, PORT))
        receiver.setblocking(False)
        sent = came = 0
        for command in commands:
            running = subprocess.Popen(["sh", "-c", command])
            while running.poll() is None:
                sender.sendto(b"x", (ADDRESS, PORT))
                sent += 1
                came += received(receiver)
            assert running.returncode == 0, command
        late = [received(receiver)]

        def have_come() -> bool:
            late.append(received(receiver))
            return came + sum(late) == sent
        if all_come:
            eventually(have_come, "%d datagrams come" % sent)
        return sent, came + sum(late)


def received(receiver: socket.socket) -> int:
    """How many datagrams wait to be read; they are read."""
    count = 0
    while True:
        try:
            receiver.recv(16)
        except BlockingIOError:
            return count
        count += 1


def prepare(lab: Lab) -> Netmgr:
    lab.nft(RULESET % "")
    lab.link("eth0")
    lab.run(["ip", "addr", "add", ADDRESS + "/24", "dev", "eth0"])
    netmgr = Netmgr(lab, CONFIG)
    netmgr.holds("wan_ips", ADDRESS)
    return netmgr


def test_a_reload_with_the_include_line_and_changes_all_around_miss_no_packet(lab: Lab) -> None:
    netmgr = prepare(lab)
    file = netmgr.includes / "inet.filter.wan_ips.nft"
    eventually(lambda: file.exists() and ADDRESS in file.read_text())
    ruleset = lab.directory / "ruleset.nft"
    ruleset.write_text(RULESET % ('include "%s/inet.filter.wan_ips[.]nft"' % netmgr.includes))
    reload = "nft -f %s" % ruleset
    commands = [reload]
    for number in range(2, 30):
        change = "ip addr add 192.0.2.%d/32 dev eth0; ip addr del 192.0.2.%d/32 dev eth0" % (number, number)
        commands += [reload, change, "ip addr add 192.0.2.%d/32 dev eth0" % number, reload]
    sent, came = flow(lab, commands)
    assert sent > 1000
    assert came == sent


def test_changes_and_repairs_of_other_sets_miss_no_packet(lab: Lab) -> None:
    prepare(lab)
    commands = []
    for number in range(2, 40):
        commands += ["ip addr add 192.0.2.%d/32 dev eth0" % number, "nft flush set inet filter lan_ips",
                     "nft add element inet filter wan_ips { 198.51.100.%d }" % number]
    sent, came = flow(lab, commands)
    assert sent > 1000
    assert came == sent


def test_without_the_include_line_packets_do_miss(lab: Lab) -> None:
    """The measurement sees what it is meant to see."""
    netmgr = prepare(lab)
    ruleset = lab.directory / "ruleset.nft"
    ruleset.write_text(RULESET % "")
    sent, came = flow(lab, ["nft -f %s" % ruleset] * 20, all_come=False)
    assert came < sent
    netmgr.holds("wan_ips", ADDRESS)
