"""netmgr in place of rust-network-mgr: its configuration, ruleset, environment variable, socket path and socat commands."""

import os
import sys

from tests.kernel.lab import Lab
from tests.kernel.running import ROOT
from tests.waiting import eventually

CONFIG = """\
interfaces:
  - name: eth0
    dhcp: true
    nftables_zone: wan
  - name: eth1
    address: 192.168.1.1/24
    nftables_zone: lan
nftables_rules_path: /etc/nftables.conf
http_bind_addr: 127.0.0.1:8080
"""

RULESET = """
table inet filter {
    set wan_ips {
        type ipv4_addr
        flags dynamic
    }
    set lan_ips {
        type ipv4_addr
        flags dynamic
    }
    chain input {
        type filter hook input priority 0; policy drop;
        ip saddr @lan_ips accept
        ip daddr @wan_ips tcp dport { 80, 443 } accept
    }
}
"""

PRIVATE_RUN = "mount -t tmpfs none /run && mkdir /run/netmgr && exec \"$@\""


def test_it_takes_over_as_it_stands(lab: Lab) -> None:
    lab.nft(RULESET)
    for name in ("eth0", "eth1"):
        lab.link(name)
    lab.run("ip addr add 203.0.113.5/24 dev eth0 valid_lft 3600 preferred_lft 1800")
    config = lab.directory / "rust.yaml"
    config.write_text(CONFIG)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "RUST_NETWORK_MGR_CONFIG": str(config)}
    environment.pop("NETMGR_CONFIG", None)
    daemon = lab.start(["unshare", "--mount", "sh", "-c", PRIVATE_RUN, "sh", sys.executable, "-m", "netmgr", "run"], environment)

    def ask(command: str) -> str:
        return lab.run(["nsenter", "--mount=/proc/%d/ns/mnt" % daemon.pid, "socat", "-", "UNIX-CONNECT:/run/rust-network-mgr.sock"],
                       command + "\n", check=False)
    eventually(lambda: ask("ping") == "PONG\n")
    assert lab.comments("inet filter", "wan_ips") == {"203.0.113.5": "netmgr"}
    status = ask("status")
    assert "203.0.113.5/24" in status and "waiting for 192.168.1.1/24" in status
    lab.run("ip addr add 192.168.1.1/24 dev eth1")
    eventually(lambda: lab.sets("inet filter", "lan_ips") == {"192.168.1.1"})
    config.write_text(CONFIG.replace("nftables_zone: lan", "nftables_zone: wan"))
    assert ask("reload").startswith("OK: ")
    assert lab.sets("inet filter", "wan_ips") == {"203.0.113.5", "192.168.1.1"}
    assert lab.sets("inet filter", "lan_ips") == set()
