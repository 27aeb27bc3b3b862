"""Never worse than without it: firewalls that are restarted, own elements of the user's, auto-merge sets, what an earlier run left.

A ruleset is loaded as `systemctl restart nftables` does it: everything is flushed, then the file is loaded.  Each test runs with every
nft that is here.
"""

import json
import re
import sys
from typing import Dict, Iterator, List, Mapping, Optional

import pytest

from tests.kernel.lab import Lab
from tests.kernel.running import CONFIG, ROOT, Netmgr
from tests.nft_program import Program, programs
from tests.waiting import eventually

LAN = "interfaces: [{name: 'eth*', nftables_zone: lan}]\ndocker: {enabled: false}\n"


class Host:
    """A lab with a ruleset file, one nft, and netmgr."""

    def __init__(self, lab: Lab, program: Program) -> None:
        self.lab, self.program = lab, program
        self.file = lab.directory / "ruleset.nft"
        self.netmgr = Netmgr(lab, LAN, start=False)
        self.sets: Dict[str, str] = {}
        self.tail = ""

    def rules(self, tail: str = "", **declared: str) -> None:
        """Write the ruleset: sets with what stands in their blocks, each with its include line, and what comes after the table."""
        blocks = ['set %s {\n%s\ninclude "%s/inet.filter.%s[.]nft"\n}\n' % (name, text, self.netmgr.includes, name)
                  for name, text in declared.items()]
        self.file.write_text("table inet filter {\n%s}\n%s\n" % ("".join(blocks), tail))

    def address(self, *addresses: str) -> None:
        """One more card for each."""
        for each in addresses:
            name = "eth%d" % len(self.lab.links())
            self.lab.link(name)
            self.lab.run(["ip", "addr", "add", each, "dev", name])

    def nft(self, *words: str) -> None:
        self.lab.run([*self.program.nft, *words])

    def load(self) -> None:
        self.nft("-f", str(self.file))

    def restart(self) -> None:
        """`systemctl restart nftables`, slowly: netmgr sees the sets missing."""
        self.nft("flush", "ruleset")
        eventually(lambda: all(row["state"] == "missing" for row in self.netmgr.status()["sets"]))
        self.load()

    def held(self, name: str) -> Dict[str, Optional[str]]:
        """The elements of a set, each with its comment."""
        listed = json.loads(self.lab.run([*self.program.nft, "-j", "list", "set", "inet", "filter", name]))
        return self.lab.elements(next(item["set"] for item in listed["nftables"] if "set" in item))

    def becomes(self, name: str, elements: Mapping[str, Optional[str]]) -> None:
        """Wait until a set has exactly these elements and comments."""
        seen: List[Dict[str, Optional[str]]] = [{}]

        def equal() -> bool:
            seen[0] = self.held(name)
            return seen[0] == elements
        try:
            eventually(equal)
        except AssertionError:
            raise AssertionError("%s holds %s, not %s\n%s" % (name, seen[0], elements, self.netmgr.log())) from None

    def says(self, name: str, text: str) -> None:
        """Wait until the include file of a set says this."""
        path = self.netmgr.includes / ("inet.filter.%s.nft" % name)
        eventually(lambda: path.exists() and path.read_text() == text)


@pytest.fixture(params=programs(), ids=lambda program: str(program.name))
def host(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Host]:
    yield Host(lab, request.param)


OURS = "netmgr"
INTERVAL, MERGE = "type ipv4_addr\nflags interval", "type ipv4_addr\nflags interval\nauto-merge"


# -- include files

def test_what_the_users_own_range_covers_is_in_no_file(host: Host) -> None:
    host.rules("add element inet filter lan_nets { 192.168.0.0/16 }", lan_nets=INTERVAL)
    host.address("192.168.1.1/24")
    host.load()
    host.netmgr.start()
    host.says("lan_nets", "")
    for _ in range(3):
        host.restart()
        host.becomes("lan_nets", {"192.168.0.0/16": None})
        host.says("lan_nets", "")
    host.rules(lan_nets=INTERVAL)
    host.restart()
    host.becomes("lan_nets", {"192.168.1.0/24": OURS})
    host.says("lan_nets", 'elements = { 192.168.1.0/24 comment "netmgr" }\n')
    assert host.netmgr.status()["state"] == "ready"


@pytest.mark.parametrize("form", ["type ipv4_addr\nsize 2", INTERVAL + "\nsize 2"])
@pytest.mark.parametrize("own", [[], ["203.0.113.9"]])
def test_a_file_holds_no_more_than_there_is_room_for(host: Host, form: str, own: List[str]) -> None:
    host.rules("".join("add element inet filter lan_ips { %s }" % each for each in own), lan_ips=form)
    host.address("192.0.2.1/24", "192.0.2.2/24", "192.0.2.3/24")
    host.load()
    host.netmgr.start()
    expected = dict.fromkeys(["192.0.2.1", "192.0.2.2"][:2 - len(own)], OURS)
    file = "elements = { %s }\n" % ", ".join('%s comment "netmgr"' % each for each in expected)
    for _ in range(2):
        host.becomes("lan_ips", {**expected, **dict.fromkeys(own)})
        host.says("lan_ips", "" if form.startswith(INTERVAL) else file)     # a full set refuses ranges that it has
        host.load()
        host.restart()
    host.lab.run("ip link del eth1")
    host.becomes("lan_ips", {**dict.fromkeys(["192.0.2.2", "192.0.2.3"][:2 - len(own)], OURS), **dict.fromkeys(own)})


def way_out() -> str:
    """The transaction that the manual and the page of troubles advise before the ruleset has a wider range: the same in both."""
    pages = [(ROOT / page).read_text() for page in ("pkg-files/man/netmgr.8", "docs/troubles.md")]
    shown = [str(text) for page in pages for text in re.findall(r"^flush set .*\nadd element .*\n", page, re.MULTILINE)]
    assert len(shown) == 2 and shown[0] == shown[1]
    return shown[0]


def test_a_range_that_the_ruleset_states_for_the_first_time_and_the_way_out(host: Host) -> None:
    host.rules(lan_nets=INTERVAL)
    host.address("192.168.1.1/24", "10.0.0.1/8")
    host.load()
    host.netmgr.start()
    before: Dict[str, Optional[str]] = {"10.0.0.0/8": OURS, "192.168.1.0/24": OURS}
    host.becomes("lan_nets", before)
    host.says("lan_nets", 'elements = { 10.0.0.0/8 comment "netmgr", 192.168.1.0/24 comment "netmgr" }\n')
    host.rules("add element inet filter lan_nets { 192.168.0.0/16 }", lan_nets=INTERVAL)
    host.file.write_text("flush ruleset\n" + host.file.read_text())
    with pytest.raises(AssertionError, match=r"conflicting intervals|File exists"):
        host.load()
    assert host.held("lan_nets") == before
    host.lab.run([*host.program.nft, "-f", "-"], way_out())
    host.says("lan_nets", 'elements = { 10.0.0.0/8 comment "netmgr" }\n')
    host.load()
    host.becomes("lan_nets", {"10.0.0.0/8": OURS, "192.168.0.0/16": None})
    assert host.netmgr.status()["state"] == "ready"


@pytest.mark.parametrize(("form", "own", "ours"), [
    (INTERVAL, "192.168.0.0/16", "192.168.1.0/24"), (INTERVAL, "192.168.1.0/24", "192.168.1.0/24"),
    (MERGE, "192.168.2.0/24", "192.168.1.0/24")])
def test_what_an_exclusive_set_was_given_is_in_the_way_of_its_file(host: Host, form: str, own: str, ours: str) -> None:
    """netmgr takes out what others put in, and each load brings it again."""
    host.netmgr.configure(LAN + "zones: {lan: {exclusive: true}}\n")
    host.rules("add element inet filter lan_nets { %s }" % own, lan_nets=form)
    host.address("192.168.1.1/24")
    host.load()
    host.netmgr.start()
    for _ in range(2):
        host.becomes("lan_nets", {ours: OURS})
        host.says("lan_nets", "")
        host.restart()
    host.becomes("lan_nets", {ours: OURS})
    host.rules(lan_nets=form)
    host.restart()
    host.becomes("lan_nets", {ours: OURS})
    host.says("lan_nets", 'elements = { %s comment "netmgr" }\n' % ours)


def test_an_element_of_the_users_that_netmgr_has_seen_never_becomes_netmgrs(host: Host) -> None:
    host.rules("add element inet filter lan_ips { 192.0.2.1 }", lan_ips="type ipv4_addr")
    host.address("192.0.2.1/24", "192.0.2.2/24")
    host.load()
    host.netmgr.start()
    for _ in range(2):
        host.becomes("lan_ips", {"192.0.2.1": None, "192.0.2.2": OURS})
        host.says("lan_ips", 'elements = { 192.0.2.2 comment "netmgr" }\n')
        host.restart()
    eventually(lambda: host.netmgr.state("lan_ips")["foreign"] == 1, "netmgr has seen it")
    host.nft("delete element inet filter lan_ips { 192.0.2.1 }")
    host.becomes("lan_ips", {"192.0.2.1": OURS, "192.0.2.2": OURS})
    host.restart()
    host.becomes("lan_ips", {"192.0.2.1": None, "192.0.2.2": OURS})
    host.lab.run("ip link del eth1")
    host.says("lan_ips", 'elements = { 192.0.2.2 comment "netmgr" }\n')
    assert host.held("lan_ips") == {"192.0.2.1": None, "192.0.2.2": OURS}


def test_what_is_known_of_others_outlives_a_reload_of_netmgr_and_addresses_follow_while_the_set_is_missing(host: Host) -> None:
    host.rules("add element inet filter lan_nets { 192.168.0.0/16 }", lan_nets=INTERVAL)
    host.address("192.168.1.1/24")
    host.load()
    host.netmgr.start()
    host.nft("flush", "ruleset")
    eventually(lambda: all(row["state"] == "missing" for row in host.netmgr.status()["sets"]))
    assert host.netmgr.ask("reload").startswith("OK: ")
    host.address("10.1.2.3/24", "192.168.2.1/24")
    host.says("lan_nets", 'elements = { 10.1.2.0/24 comment "netmgr" }\n')
    host.load()
    assert host.held("lan_nets") == {"10.1.2.0/24": OURS, "192.168.0.0/16": None}


def test_what_was_taken_out_at_run_time_is_still_known_after_a_reload_of_netmgr(host: Host) -> None:
    host.rules("add element inet filter lan_nets { 192.168.0.0/16 }", lan_nets=INTERVAL)
    host.address("192.168.1.1/24")
    host.load()
    host.netmgr.start()
    host.becomes("lan_nets", {"192.168.0.0/16": None})
    host.nft("delete element inet filter lan_nets { 192.168.0.0/16 }")
    for _ in range(2):
        host.becomes("lan_nets", {"192.168.1.0/24": OURS})
        host.says("lan_nets", "")
        assert host.netmgr.ask("reload").startswith("OK: ")
    host.restart()
    host.becomes("lan_nets", {"192.168.0.0/16": None})


def test_a_file_of_which_nothing_is_known_is_empty(host: Host) -> None:
    """Restarted while the set is missing, netmgr cannot know what the ruleset will bring."""
    host.rules("add element inet filter lan_nets { 192.168.0.0/16 }", lan_nets=INTERVAL)
    host.address("192.168.1.1/24", "10.1.2.3/24")
    host.load()
    host.netmgr.start()
    host.says("lan_nets", 'elements = { 10.1.2.0/24 comment "netmgr" }\n')
    host.netmgr.kill()
    host.nft("flush", "ruleset")
    host.netmgr.start()
    host.says("lan_nets", "")
    host.load()
    host.becomes("lan_nets", {"10.1.2.0/24": OURS, "192.168.0.0/16": None})


def test_a_set_that_becomes_another_kind_of_set_leaves_no_file_for_it(host: Host) -> None:
    host.rules(lan_ips="type ipv4_addr")
    host.address("192.0.2.1/24")
    host.load()
    host.netmgr.start()
    host.says("lan_ips", 'elements = { 192.0.2.1 comment "netmgr" }\n')
    host.netmgr.lab.run([*host.program.nft, "-f", "-"], "delete table inet filter\n"
                        "table inet filter {\nset lan_ips {\ntype inet_service\n}\n}\n")
    host.says("lan_ips", "")
    host.rules(lan_ips="type inet_service")
    host.restart()


# -- auto-merge sets

def test_own_neighbours_are_one_range_in_an_auto_merge_set(host: Host) -> None:
    host.rules(lan_nets=MERGE, lan_ips=MERGE)
    host.address("192.168.1.1/24", "192.168.2.1/24", "192.168.3.1/24", "192.168.4.1/24", "192.0.2.1/29", "192.0.2.2/29", "192.0.2.3/29")
    host.load()
    host.netmgr.start()
    nets = {"192.168.1.0-192.168.4.255": OURS, "192.0.2.0/29": OURS}
    singles = {"192.168.%d.1" % number: OURS for number in range(1, 5)}
    host.becomes("lan_nets", nets)
    host.becomes("lan_ips", {**singles, "192.0.2.1-192.0.2.3": OURS})
    for name in ("lan_nets", "lan_ips"):
        host.nft("add element inet filter %s { 10.9.0.0/16 }" % name)
    host.becomes("lan_nets", {**nets, "10.9.0.0/16": None})
    host.restart()
    host.becomes("lan_nets", nets)
    host.lab.run("ip link del eth2")
    host.becomes("lan_nets", {"192.168.1.0/24": OURS, "192.168.3.0-192.168.4.255": OURS, "192.0.2.0/29": OURS})
    host.nft("add element inet filter lan_nets { 10.9.0.0/16 }")


def warned_since(host: Host) -> str:
    """When the warning of lan_ips began, as its problem says."""
    def found() -> Optional[str]:
        (problem,) = [each for each in host.netmgr.status()["problems"] if "auto-merge" in each["what"]]
        since: Optional[str] = problem["since"]
        return since
    return eventually(found, "it is dated") or ""


@pytest.mark.parametrize(("own", "user"), [("203.0.113.10", "203.0.113.11"), ("203.0.113.11", "203.0.113.10")])
def test_of_two_neighbours_none_is_lost_and_there_is_a_warning(host: Host, own: str, user: str) -> None:
    host.rules("add element inet filter lan_ips { %s }" % user, lan_ips=MERGE)
    host.address(own + "/24")
    host.load()
    host.netmgr.start()
    host.becomes("lan_ips", {own: OURS, user: None})
    host.says("lan_ips", "")
    assert "another's in an auto-merge set" in host.netmgr.state("lan_ips")["warning"]
    assert "a set of their own" in host.netmgr.status()["sets"][0]["warning"]
    since = warned_since(host)
    assert since >= host.netmgr.status()["since"]
    host.nft("add element inet filter lan_ips { 10.9.0.0/16 }")
    host.becomes("lan_ips", {own: OURS, user: None, "10.9.0.0/16": None})
    assert host.netmgr.ask("reload").startswith("OK") and warned_since(host) == since
    host.restart()
    host.becomes("lan_ips", {own: OURS, user: None})
    host.nft("delete element inet filter lan_ips { %s }" % user)
    host.becomes("lan_ips", {own: OURS})
    eventually(lambda: host.netmgr.state("lan_ips")["warning"] is None)
    host.says("lan_ips", "")


@pytest.mark.parametrize("alive", [True, False])
def test_what_nft_has_merged_into_netmgrs_range_goes_back_to_whom_it_is(host: Host, alive: bool) -> None:
    """The user's element is new, and comes with netmgr's file in one load; netmgr sees it at once, or is started later."""
    host.rules(lan_ips=MERGE)
    host.address("203.0.113.10/24")
    host.load()
    host.netmgr.start()
    host.says("lan_ips", 'elements = { 203.0.113.10 comment "netmgr" }\n')
    host.rules("add element inet filter lan_ips { 203.0.113.11 }", lan_ips=MERGE)
    if alive:
        host.restart()
    else:
        host.netmgr.kill()
        host.nft("flush", "ruleset")
        host.load()
        assert host.held("lan_ips") == {"203.0.113.10/31": OURS}
        host.netmgr.start()
    host.becomes("lan_ips", {"203.0.113.10": OURS, "203.0.113.11": None})
    eventually(lambda: "repaired 2 elements in inet filter lan_ips; put back what is another's: 203.0.113.11 (" in host.netmgr.log())
    host.says("lan_ips", "")
    for _ in range(2):
        host.restart()
        host.becomes("lan_ips", {"203.0.113.10": OURS, "203.0.113.11": None})
    host.lab.run("ip link del eth1")
    host.becomes("lan_ips", {"203.0.113.11": None})


def test_own_neighbours_that_went_while_netmgr_was_down_are_withdrawn(host: Host) -> None:
    host.rules("add element inet filter lan_ips { 203.0.113.14 }", lan_ips=MERGE)
    host.address(*("203.0.113.%d/24" % number for number in (10, 11, 12, 13)))
    host.load()
    host.netmgr.start()
    host.becomes("lan_ips", {"203.0.113.10-203.0.113.13": OURS, "203.0.113.14": None})
    host.netmgr.kill()
    host.lab.run("ip link del eth4")
    host.netmgr.start()
    host.becomes("lan_ips", {"203.0.113.10-203.0.113.12": OURS, "203.0.113.14": None})


# -- sets that netmgr makes

def test_a_set_is_not_made_between_a_flush_and_a_load(host: Host) -> None:
    host.netmgr.configure(LAN + "nftables: {create: true}\n")
    host.rules(lan_ips=INTERVAL)
    host.address("192.0.2.1/24")
    host.load()
    host.netmgr.start()
    host.becomes("lan_ips", {"192.0.2.1": OURS})
    host.nft("delete set inet filter lan_ips6")
    host.restart()
    host.becomes("lan_ips", {"192.0.2.1": OURS})
    host.netmgr.kill()
    host.nft("flush", "ruleset")
    host.netmgr.start()
    host.load()
    host.becomes("lan_ips", {"192.0.2.1": OURS})
    host.nft("flush", "ruleset")
    eventually(lambda: "set lan_ips {" in host.lab.run([*host.program.nft, "list", "sets"]))
    host.becomes("lan_ips", {"192.0.2.1": OURS})


# -- what an earlier run has left

@pytest.mark.parametrize("files", [True, False])
def test_a_start_withdraws_what_left_the_configuration_while_netmgr_was_down(host: Host, files: bool) -> None:
    both = CONFIG.replace("eth0", "eth1").replace("name: eth1, nftables_zone: lan", "name: eth2, nftables_zone: lan")
    host.netmgr.configure(both if files else both + "nftables: {include_dir: null}\n")
    host.rules(wan_ips="type ipv4_addr", lan_ips="type ipv4_addr", other="type ipv4_addr")
    host.address("192.0.2.1/24", "198.51.100.1/24")
    host.load()
    host.nft("add element inet filter lan_ips { 203.0.113.1 }")
    host.nft("add element inet filter other { 192.0.2.9 }")
    host.netmgr.start()
    host.becomes("lan_ips", {"198.51.100.1": OURS, "203.0.113.1": None})
    assert host.netmgr.stop() == 0
    alone = "interfaces: [{name: eth1, nftables_zone: wan}]\ndocker: {enabled: false}\n"
    host.netmgr.configure(alone if files else alone + "nftables: {include_dir: null}\n")
    own = host.netmgr.includes / "own.nft"
    if files:
        own.write_text("elements = { 1.2.3.4 }\n")
    differing = host.lab.run([sys.executable, "-m", "netmgr", "diff", "--config", str(host.netmgr.config)], check=False)
    assert differing == "delete element inet filter lan_ips { 198.51.100.1 }\n"
    host.netmgr.start()
    host.becomes("lan_ips", {"203.0.113.1": None})
    assert host.held("wan_ips") == {"192.0.2.1": OURS} and host.held("other") == {"192.0.2.9": None}
    if files:
        eventually(lambda: not (host.netmgr.includes / "inet.filter.lan_ips.nft").exists())
        assert own.exists() and (host.netmgr.includes / "inet.filter.wan_ips.nft").exists()
