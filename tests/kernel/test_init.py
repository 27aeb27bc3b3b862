"""`netmgr init` on a real kernel: what it writes is valid, and fills the sets that are there."""

import os
from typing import Dict

import yaml

from netmgr.config.reader import parse
from netmgr.io.nft import Nft
from netmgr.show import first_configuration
from netmgr.show.first_configuration import Seen
from netmgr.values.events import LinkSeen
from tests.kernel.lab import Lab
from tests.kernel.running import Netmgr
from tests.kernel.test_check_and_diff import netmgr


def written(text: str) -> Dict[str, str]:
    return {rule.pattern or "": rule.zones[0] for rule in parse(text, "written.yaml").interfaces}


def test_a_router(lab: Lab) -> None:
    lab.nft("""
        table inet filter {
            set wan_ips { type ipv4_addr; }
            set lan_nets { type ipv4_addr; flags interval; }
            set blocked_ips { type ipv4_addr; }
            set other { type ipv4_addr; }
        }
        table ip nat {
            set wan_ips { type ipv4_addr; }
        }""")
    for name in ("eth0", "eth1", "eth2", "unused"):
        lab.link(name, up=name != "unused")
    lab.run("ip link add br0 up type bridge")
    lab.run("ip link set eth2 master br0")
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    lab.run("ip addr add 10.0.0.1/8 dev br0")
    lab.run("ip route add default via 192.0.2.2")
    status, text, guesses = netmgr(lab, "init")
    assert status == 0
    assert written(text) == {"eth0": "wan", "eth1": "lan", "br0": "lan"}
    assert "  - name: eth0    # carries a default route, veth, 192.0.2.1/24\n" in text
    assert yaml.safe_load(text)["zones"] == {"wan": {"table": ["inet filter", "ip nat"]}}
    assert "#   zone blocked: inet filter blocked_ips\n" in text
    assert guesses.splitlines()[:2] == [
        "netmgr: eth0: zone wan, for a default route leads over it", "netmgr: eth1, br0: zone lan, for no default route leads over it"]
    assert "netmgr: table inet filter, for it has sets of lan, wan" in guesses.splitlines()

    file = lab.directory / "new.yaml"
    path = str(file)
    assert netmgr(lab, "init", "--output", path) == (0, "", guesses)
    assert file.read_text() == text
    assert os.stat(path).st_mode & 0o777 == 0o644
    refused = "netmgr: %s is there already, and nothing is overwritten; move it away, or name another file\n" % path
    assert netmgr(lab, "init", "--output", path) == (1, "", refused)
    assert file.read_text() == text
    assert netmgr(lab, "check", "--strict", path)[0] == 0
    running = Netmgr(lab, text)
    running.holds("wan_ips", "192.0.2.1")
    running.holds("wan_ips", "192.0.2.1", table="ip nat")
    running.holds("lan_nets", "10.0.0.0/8")


def test_nothing_there(lab: Lab, nft: Nft) -> None:
    status, text, guesses = netmgr(lab, "init")
    assert (status, written(text)) == (0, {})
    assert "#         set wan_ips {" in text
    assert "netmgr: no set of the ruleset has a name that netmgr would fill" in guesses
    assert netmgr(lab, "check", str(_file(lab, text)))[0] == 0


def _file(lab: Lab, text: str) -> str:
    path = lab.directory / "written.yaml"
    path.write_text(text)
    return str(path)


def test_names_that_yaml_would_misread() -> None:
    from netmgr.model.inventory import Inventory
    inventory = Inventory()
    odd = ["on", "7", "0x1f", "null", "it's", "*", "!x", "a#b", "1e3", "eth0.7", "~", "docker0", "br-0123456789ab", "\udce9"]
    inventory.replace_interfaces([LinkSeen(index, name, True) for index, name in enumerate(odd, 1)], {})
    text, _guesses = first_configuration.write(Seen(inventory, None, "/run/podman/podman.sock"))
    config = parse(text, "written.yaml")
    assert [rule.pattern for rule in config.interfaces] == odd[:-3]
    assert [engine.socket for engine in config.docker] == ["/run/podman/podman.sock"]
