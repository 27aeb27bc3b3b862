"""The include files of a running netmgr: written again after trouble, one writer, safe from what lies in their place."""

import os
import re
import shutil
from pathlib import Path
from typing import Tuple

import pytest

from tests.kernel.lab import Lab
from tests.kernel.running import CONFIG, RULESET, Netmgr
from tests.waiting import PATIENCE, eventually

FILLED = 'elements = { 192.0.2.1 comment "netmgr" }\n'


@pytest.fixture
def filled(lab: Lab) -> Lab:
    lab.nft(RULESET)
    lab.link("eth0")
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    return lab


def well(netmgr: Netmgr) -> Tuple[str, object]:
    """The state of all, and what is to be said of wan_ips."""
    return netmgr.status()["state"], netmgr.state("wan_ips")["warning"]


def test_a_full_disk_is_told_with_the_path_and_the_file_is_written_when_there_is_room(filled: Lab) -> None:
    netmgr = Netmgr(filled, start=False)
    netmgr.includes.mkdir()
    mounting = 'mount -t tmpfs -o size=8k tmpfs "$0" && dd if=/dev/zero of="$0/fill" bs=4k count=2 2>/dev/null; exec "$@"'
    netmgr.start(wrapper=["unshare", "-m", "sh", "-c", mounting, str(netmgr.includes)])
    eventually(lambda: well(netmgr)[0] == "degraded")
    assert well(netmgr)[1] == "its include file cannot be written: No space left on device"
    (told,) = [each for each in netmgr.status()["problems"] if each["about"] == "inet filter wan_ips"]
    assert netmgr.status()["since"] <= told["since"] == netmgr.state("wan_ips")["warning_since"]
    assert re.search("include files: %s/inet.filter.[wl]an_ips.nft: No space left on device" % netmgr.includes, netmgr.log())
    assert netmgr.process is not None
    inside = Path("/proc/%d/root%s" % (netmgr.process.pid, netmgr.includes))
    os.unlink(inside / "fill")
    eventually(lambda: well(netmgr) == ("ready", None))
    assert (inside / "inet.filter.wan_ips.nft").read_text() == FILLED


@pytest.mark.parametrize("kind", ["fifo", "directory", "link"])
def test_what_lies_under_a_files_name_stops_nothing(filled: Lab, kind: str) -> None:
    netmgr = Netmgr(filled, start=False)
    netmgr.includes.mkdir()
    file = netmgr.includes / "inet.filter.wan_ips.nft"
    {"fifo": os.mkfifo, "directory": os.mkdir, "link": lambda path: os.symlink("/dev/zero", path)}[kind](file)
    netmgr.start()
    netmgr.holds("wan_ips", "192.0.2.1")
    eventually((netmgr.includes / "inet.filter.lan_ips.nft").exists)
    if kind == "directory":
        eventually(lambda: well(netmgr) == ("degraded", "its include file cannot be written: Is a directory"))
        file.rmdir()
    eventually(lambda: file.is_file() and file.read_text() == FILLED)
    eventually(lambda: well(netmgr) == ("ready", None))


def test_a_second_netmgr_for_the_same_directory_refuses_to_start_in_whatever_namespace(filled: Lab) -> None:
    first = Netmgr(filled)
    assert first.process is not None
    with Lab() as other:
        second = Netmgr(other, start=False, name="second")
        text = CONFIG + "nftables: {include_dir: %s}\n" % first.includes
        second.configure(text)
        second.start(wait=False)
        assert second.process is not None
        assert second.process.wait(PATIENCE) == 1
        assert "%s: another netmgr writes the include files there: pid %d on" % (first.includes, first.process.pid) in second.log()
        assert str(first.config) in second.log()
        assert not second.socket.exists()
        second.configure(CONFIG)
        second.start()
        before = second.config.read_text()
        second.configure(text)
        assert "another netmgr writes the include files there" in second.ask("reload")
        second.config.write_text(before)
        assert second.ask("reload").startswith("OK: ")
        first.kill()
        second.configure(text)
        assert second.ask("reload").startswith("OK: ")
        assert second.stop() == 0
    first.start()
    first.holds("wan_ips", "192.0.2.1")


def test_a_directory_that_went_away_comes_back_with_its_files(filled: Lab) -> None:
    netmgr = Netmgr(filled)
    file = netmgr.includes / "inet.filter.wan_ips.nft"
    eventually(file.exists)
    shutil.rmtree(netmgr.includes)
    assert netmgr.ask("resync").startswith("OK: ")
    eventually(lambda: file.exists() and file.read_text() == FILLED)
