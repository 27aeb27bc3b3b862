"""Who watches and does not read, while very much happens."""

import json
import random
import socket

from tests.kernel.churn import REQUESTS, batch
from tests.kernel.lab import Lab
from tests.kernel.running import RULESET, Netmgr, own_memory
from tests.waiting import PATIENCE, eventually

EVENTS = 200_000
MORE_AT_MOST = 24 << 20         # bytes: a full buffer, the last thousand happenings, and what the events themselves take for a while


def much_happens(lab: Lab, netmgr: Netmgr) -> None:
    """Changes of addresses, some hundred at a time."""
    chance = random.Random(7)
    with lab.inside(), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)       # nobody reads the errors
        indexes = [socket.if_nametoindex(name) for name in ("eth0", "eth1")]
        for _batch in range(EVENTS // REQUESTS):
            kernel.send(batch(chance, indexes))
            assert netmgr.ask("ping") == "PONG\n"


def test_a_reader_that_stops_is_told_so_and_costs_no_more_than_a_buffer(lab: Lab) -> None:
    for name, address in (("eth0", "192.0.2.1/24"), ("eth1", "198.51.100.1/24")):
        lab.link(name)
        lab.run("ip addr add %s dev %s" % (address, name))
    lab.nft(RULESET)
    netmgr = Netmgr(lab)
    assert netmgr.process is not None
    before = own_memory(netmgr.process.pid)
    with socket.socket(socket.AF_UNIX) as reader:
        reader.settimeout(PATIENCE)
        reader.connect(str(netmgr.socket))
        reader.sendall(b"watch json\n")
        assert json.loads(reader.recv(4096).split(b"\n")[0])["kind"] == "started"
        much_happens(lab, netmgr)
        *lines, last = b"".join(iter(lambda: reader.recv(65536), b"")).decode().splitlines()
    assert last == "ERROR: more than 1048576 bytes wait to be read; you are told no more"
    assert len(lines) > 1000 and {"time", "kind"} <= json.loads(lines[-1]).keys()
    assert own_memory(netmgr.process.pid) - before < MORE_AT_MOST
    there = {entry["local"] for link in lab.addresses() if link.get("ifname") == "eth0" for entry in link["addr_info"]
             if entry["family"] == "inet"}
    eventually(lambda: lab.sets("inet filter", "wan_ips") == there, "the sets are right")
