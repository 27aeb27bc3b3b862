"""netmgr.service and netmgr.socket on systemd 252 and 257: what an administrator does with a service, and what happens to one."""

import json
import re
from typing import Any, Dict, List, Tuple

import pytest

from tests.documents import blocks
from tests.system.host import CONFIG, CONFIG_FILE, RULESET, Host
from tests.waiting import eventually

BROKEN = "interfaces:\n  - name: eth0\n    nftables_zone: 5\n"
OTHER = CONFIG.replace("wan", "lan")
REMOVING = CONFIG + "nftables:\n  on_stop: remove\n"
CAP_NET_ADMIN = 1 << 12
INFO, WARNING = 6, 4
NETS = "inet filter wan_nets"


def test_the_units_are_in_order(host: Host) -> None:
    status, output = host.machine.attempt("systemd-analyze verify --man=no netmgr.service netmgr.socket")
    assert (status, output) == (0, "")
    host.run("systemd-analyze security --offline=yes --threshold=15 netmgr.service")
    assert "nftables.service" in host.show("After") and "nftables.service" not in host.show("Requires")
    assert host.show("Type") == "notify"


def test_ready_means_that_the_sets_are_right(host: Host) -> None:
    host.run("systemctl stop netmgr && nft flush set inet filter wan_ips && systemctl start netmgr")
    assert host.elements("wan_ips") == {"192.0.2.1"}
    assert host.status()["state"] == "ready"
    assert "1 element in 1 set" in host.show("StatusText")
    assert host.run("netmgr status").startswith("netmgr ")


def test_it_is_nobody_with_one_capability(host: Host) -> None:
    lines = dict(line.split(":\t", 1) for line in host.run("cat /proc/%d/status" % host.pid()).splitlines())
    user, group = host.run("id -u netmgr; getent group netmgr | cut -d: -f3").split()
    assert lines["Uid"].split() == [user] * 4 and user != "0"
    assert lines["Gid"].split() == [group] * 4
    assert lines["Groups"].split() == [group], "not in the group docker, for instance"
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(lines[kind], 16) == CAP_NET_ADMIN, kind
    assert lines["NoNewPrivs"] == "1" and lines["Seccomp"] == "2"


def test_the_socket_is_for_the_group(host: Host) -> None:
    assert host.run("stat -c '%a %U %G' /run/netmgr.sock") == "660 root netmgr"
    assert host.run("runuser -u nobody -g netmgr -- netmgr ping") == "PONG"
    status, output = host.machine.attempt("runuser -u nobody -- netmgr ping")
    assert status == 1 and "permission" in output


def test_reload_takes_a_good_file_and_refuses_a_broken_one(host: Host) -> None:
    host.configure(OTHER)
    host.run("systemctl reload netmgr")
    assert (host.elements("wan_ips"), host.elements("lan_ips")) == (set(), {"192.0.2.1"})

    pid = host.pid()
    host.configure(BROKEN)
    status, _output = host.machine.attempt("systemctl reload netmgr")
    assert status != 0
    assert (host.state(), host.pid()) == ("active", pid)
    assert host.status()["state"] == "ready"
    assert (host.elements("wan_ips"), host.elements("lan_ips")) == (set(), {"192.0.2.1"})
    assert host.said(CONFIG_FILE + ":3: interfaces[0].nftables_zone") == {WARNING}

    host.configure(CONFIG)
    host.run("systemctl reload netmgr")
    assert (host.elements("wan_ips"), host.elements("lan_ips")) == ({"192.0.2.1"}, set())


def test_one_reload_is_one_reload(host: Host) -> None:
    host.run("systemctl reload netmgr")
    assert len([entry for entry in host.daemon_entries() if entry["MESSAGE"].startswith("reload: ")]) == 1
    assert host.state() == "active"


def test_many_restarts_in_a_row_are_no_failure(host: Host) -> None:
    for _time in range(12):
        host.run("systemctl restart netmgr.socket && systemctl restart netmgr")
    assert (host.state(), host.state("netmgr.socket")) == ("active", "active")
    assert host.elements("wan_ips") == {"192.0.2.1"}


def test_what_it_can_write_it_cannot_execute(host: Host) -> None:
    mounts = [line.split() for line in host.run("cat /proc/%d/mounts" % host.pid()).splitlines()]
    for place in ("/run", "/tmp"):
        options = [fields[3].split(",") for fields in mounts if fields[1] == place][-1]
        assert "noexec" in options, place


def test_hangup_reloads_too(host: Host) -> None:
    host.configure(OTHER)
    host.run("systemctl kill --signal=HUP --kill-whom=main netmgr")
    eventually(lambda: host.elements("lan_ips") == {"192.0.2.1"})
    assert host.state() in ("active", "reloading")


def test_a_restart_leaves_no_gap(host: Host) -> None:
    host.run("ip address add 192.0.2.2/24 dev eth0")
    eventually(lambda: host.elements("wan_ips") == {"192.0.2.1", "192.0.2.2"})
    changes = host.changes()
    pid = host.pid()
    host.run("systemctl restart netmgr")
    assert host.pid() not in (0, pid)
    assert changes.of("wan_ips") == []
    host.run("systemctl stop netmgr && ip address del 192.0.2.2/24 dev eth0 && ip address add 192.0.2.3/24 dev eth0")
    host.run("systemctl start netmgr")
    assert host.elements("wan_ips") == {"192.0.2.1", "192.0.2.3"}
    assert not [line for line in changes.of("wan_ips") if "192.0.2.1 " in line]


def test_killed_it_comes_back(host: Host) -> None:
    changes = host.changes()
    for count in range(1, 4):
        pid = host.pid()
        host.run("kill -KILL %d" % pid)
        eventually(lambda count=count: host.restarts() == count and host.state() == "active")  # type: ignore[misc]
        assert host.pid() not in (0, pid)
    assert host.status()["state"] == "ready"
    assert changes.of("wan_ips") == []


def test_frozen_it_is_replaced(host: Host) -> None:
    host.drop_in("[Service]\nWatchdogSec=2s\n")
    host.run("systemctl restart netmgr")
    pid = host.pid()
    eventually(lambda: host.status()["uptime_seconds"] > 5, "it lives on while it sends its signs of life")
    assert host.restarts() == 0
    host.run("kill -STOP %d" % pid)
    eventually(lambda: host.restarts() == 1 and host.state() == "active")
    assert host.pid() not in (0, pid)
    assert "atchdog" in host.journal()
    assert host.elements("wan_ips") == {"192.0.2.1"}


def test_it_never_gives_up(host: Host) -> None:
    host.drop_in("[Service]\nRestartSec=100ms\n")
    host.configure(BROKEN)
    assert host.machine.attempt("systemctl restart netmgr")[0] != 0
    eventually(lambda: host.restarts() > 10, "tried again, more often than systemd allows by itself")
    assert 3 in host.said("interfaces[0].nftables_zone")
    host.configure(CONFIG)
    eventually(lambda: host.state() == "active")
    assert host.status()["state"] == "ready"


def test_stop_keeps_or_removes(host: Host) -> None:
    host.run("nft add element inet filter wan_ips { 198.51.100.7 }")
    host.run("systemctl stop netmgr")
    assert host.elements("wan_ips") == {"192.0.2.1", "198.51.100.7"}
    assert host.run("ls /run/netmgr") == "inet.filter.wan_ips.nft"

    host.configure(REMOVING)
    host.run("systemctl start netmgr && systemctl stop netmgr")
    assert host.elements("wan_ips") == {"198.51.100.7"}
    assert host.run("ls /run/netmgr") == ""
    assert host.state() == "inactive" and host.show("Result") == "success"


def test_the_first_ping_starts_it(host: Host) -> None:
    host.run("systemctl stop netmgr && nft flush set inet filter wan_ips")
    assert (host.state(), host.state("netmgr.socket")) == ("inactive", "active")
    assert host.run("echo ping | socat -t 10 - UNIX-CONNECT:/run/netmgr.sock") == "PONG"
    assert host.state() == "active"
    assert host.elements("wan_ips") == {"192.0.2.1"}


def test_shutdown_is_meant(host: Host) -> None:
    host.run("netmgr shutdown")
    eventually(lambda: host.state() == "inactive")
    assert host.restarts() == 0 and host.show("Result") == "success"
    for question in ("ping", "status", "sets json"):
        assert host.machine.attempt("netmgr " + question) == (
            3, "netmgr is not running: `systemctl start netmgr` starts it, `systemctl status netmgr` says more")
    assert (host.state(), host.state("netmgr.socket")) == ("inactive", "active")
    assert host.run("netmgr resync").startswith("OK") and host.state() == "active"


def test_the_journal_has_fields(host: Host) -> None:
    host.run("ip address add 192.0.2.77/24 dev eth0")
    eventually(lambda: "192.0.2.77" in host.elements("wan_ips"), "the address is in the set")

    def entries() -> str:
        return host.run("journalctl --sync; journalctl --unit netmgr.service --output json 'NETMGR_SET=inet filter wan_ips'")

    eventually(lambda: "192.0.2.77" in entries(), "the journal has it")
    entry = next(each for each in map(json.loads, entries().splitlines()) if "added 192.0.2.77" in each["MESSAGE"])
    assert (entry["NETMGR_KIND"], entry["NETMGR_ZONE"], entry["PRIORITY"]) == ("elements-changed", "wan", str(INFO))
    assert (entry["_TRANSPORT"], entry["SYSLOG_IDENTIFIER"], entry["_SYSTEMD_UNIT"]) == ("journal", "netmgr", "netmgr.service")
    host.run("ip address del 192.0.2.77/24 dev eth0")


def test_the_journal_has_the_kind_of_all_that_happens(host: Host) -> None:
    """Each once; what happened to the set has its name, and what was asked for has its answer."""
    def told() -> List[Tuple[str, str]]:
        host.run("journalctl --sync")
        entries = [entry for entry in host.daemon_entries() if "NETMGR_KIND" in entry]
        return [(entry["NETMGR_KIND"], entry["MESSAGE"]) for entry in entries if entry.get("NETMGR_SET", NETS) == NETS]

    def has(kind: str) -> None:
        eventually(lambda: kind in [each for each, _line in told()], kind)

    for change, kind in (("add set %s { type ifname; }", "set-error"), ("delete set %s", "set-missing"),
                         ("add set %s { type ipv4_addr; flags interval; }", "set-synced")):
        host.run(["nft", change % NETS])
        has(kind)
    host.run("netmgr resync; systemctl reload netmgr; systemctl restart netmgr")
    host.run(["nft", "delete set " + NETS])
    eventually(lambda: [kind for kind, _line in told()].count("started") == 2, "it has started again")
    lines = dict(told())
    assert [kind for kind, _line in told() if kind not in ("elements-changed", "set-missing")] == [
        "started", "set-error", "set-synced", "resync", "reload", "stopping", "started"]
    assert lines["set-error"].startswith("%s: its type is ifname; networks need " % NETS) and "(nft (pid " in lines["set-error"]
    assert lines["set-missing"].startswith("%s: is missing (nft (pid " % NETS)
    assert lines["resync"].startswith("resync: OK: ") and lines["reload"].startswith("reload: OK: reloaded ")


def test_the_journal_has_priorities(host: Host) -> None:
    assert host.said("is ready") == {INFO}
    assert host.said("added 192.0.2.1") == {INFO}
    host.configure(BROKEN)
    host.machine.attempt("systemctl reload netmgr")
    assert host.said("ERROR") == {WARNING}
    host.configure(CONFIG + "log_level: debug\n")
    host.run("systemctl reload netmgr")
    messages = [entry["MESSAGE"] for entry in host.daemon_entries()]
    assert messages and not [message for message in messages if re.match(r"<\d>|\d\d:\d\d", message)]


def test_the_firewall_restarts_beside_it(host: Host) -> None:
    host.run("systemctl restart nftables")
    eventually(lambda: host.elements("wan_ips") == {"192.0.2.1"})
    repair = host.status()["sources"]["nftables"]["last_repair"]
    assert repair["process"] == "nft" and repair["sets"] == ["inet filter wan_ips"]
    assert host.state() == "active" and host.restarts() == 0


UNDO = "nft flush set inet filter wan_ips"
STAYS = "{ echo flush set inet filter wan_ips; sleep 60; } | nft -i"


@pytest.mark.parametrize(("unit", "start", "command", "tries"), [
    ("undo", "/usr/sbin/" + UNDO, "/usr/sbin/" + UNDO, 50),
    ("undo-by-shell", "/bin/sh -c '%s; true'" % UNDO, UNDO, 50),
    ("undo-and-stay", "/bin/sh -c '%s'" % STAYS, "nft -i", 1),
])
def test_who_undoes_it_is_named_by_his_unit(host: Host, unit: str, start: str, command: str, tries: int) -> None:
    """A process that is gone within a millisecond cannot always be read; what is named is never wrong, and who stays is known."""
    host.machine.write("/run/systemd/system/%s.service" % unit, "[Service]\nType=oneshot\nExecStart=%s\n" % start)
    host.run("systemctl daemon-reload")
    named: Dict[str, Any] = {"unit": None}
    while None in named.values() and tries:
        tries -= 1
        made = len(host.happenings("repaired"))
        host.run("systemctl start %s %s" % (unit, "--no-block" if start.endswith("nft -i'") else ""))
        eventually(lambda made=made: len(host.happenings("repaired")) > made)  # type: ignore[misc]
        named = host.happenings("repaired")[-1].get("culprit", {"process": "nft", "unit": None, "command": None})
        assert named["process"] == "nft" and named["unit"] in (None, unit + ".service") and named["command"] in (None, command)
    host.run("systemctl stop " + unit)
    assert None not in named.values()
    who = "nft (pid %d, %s.service)" % (named["pid"], unit)
    assert host.happenings("repaired")[-1]["cause"] == who and who in host.run("netmgr log 1 wan_ips")
    last = host.status()["sources"]["nftables"]["last_repair"]
    assert {name: last[name] for name in named} == named
    assert command in host.run("netmgr status | tr -s '\\n ' ' '")
    assert "inet filter wan_ips was last repaired" in host.run("netmgr explain wan_ips") and who in host.run("netmgr explain 192.0.2.1")
    host.run("journalctl --sync")
    told = [entry for entry in host.daemon_entries() if entry.get("NETMGR_KIND") == "repaired"]
    assert told, "the first three have a line each, further ones are summed up"
    for entry, happening in zip(told[:3], host.happenings("repaired")):
        culprit = happening.get("culprit", {"unit": None, "command": None})
        assert happening["cause"] in entry["MESSAGE"]
        assert (entry.get("NETMGR_CULPRIT_UNIT"), entry.get("NETMGR_CULPRIT_COMMAND")) == (culprit["unit"], culprit["command"])


def test_the_commands_that_the_pages_show(host: Host) -> None:
    host.run("nft flush set inet filter wan_ips")
    eventually(lambda: host.said("repaired"), "the repair is in the log")
    shown = [block.text for block in blocks("sh") if block.text.startswith(("netmgr check", "journalctl"))]
    assert len(shown) == 2
    for text in shown:
        assert "wan_ips" in host.run("set -e\n" + text)


def test_a_ruleset_is_loaded_with_its_sets_filled(host: Host) -> None:
    include = 'set wan_ips { type ipv4_addr; include "/run/netmgr/inet.filter.wan_ips[.]nft"\n }'
    host.rules(RULESET.replace("set wan_ips { type ipv4_addr; }", include))
    host.run("systemctl stop netmgr && systemctl restart nftables")
    assert host.elements("wan_ips") == {"192.0.2.1"}
    host.run("systemctl start netmgr")
    changes = host.changes()
    host.run("systemctl restart nftables")
    assert host.elements("wan_ips") == {"192.0.2.1"}
    host.run("systemctl restart netmgr")
    lines = changes.of("wan_ips")
    assert len([line for line in lines if line.startswith("add element")]) == 1, lines
    assert host.status()["sets"][0]["elements"] == 1


def test_docker_may_be_asked_where_the_administrator_says_so(host: Host) -> None:
    """Without the example's drop-in netmgr says what it may not, and is ready; with it, it asks."""
    answer = "HTTP/1.1 503 Service Unavailable\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n"
    host.run("groupadd --force --system docker")
    host.machine.start("exec socat UNIX-LISTEN:/run/docker.sock,fork,mode=660,group=docker"
                       " SYSTEM:'head -n 1 >>/run/asked; printf \"%s\"'" % answer, host.log_file("engine"))
    eventually(lambda: host.machine.attempt("test -S /run/docker.sock")[0] == 0)
    host.run("systemctl restart netmgr")
    status = host.status()
    assert (status["state"], status["sources"]["docker"]["state"]) == ("ready", "disabled")
    assert "may not use /var/run/docker.sock (Permission denied)" in status["sources"]["docker"]["error"]
    place = "/etc/systemd/system/netmgr.service.d"
    host.run("mkdir -p %s && cp /usr/share/doc/netmgr/examples/docker.conf %s && systemctl daemon-reload" % (place, place))
    host.run("systemctl restart netmgr")
    try:
        eventually(lambda: "GET /" in host.machine.attempt("cat /run/asked")[1], "netmgr asks the engine")
        eventually(lambda: ("source-lost", "docker") in [(entry.get("NETMGR_KIND"), entry.get("NETMGR_SOURCE"))
                                                         for entry in host.daemon_entries()], "the journal has it")
        assert "may not" not in json.dumps(host.status()["sources"]["docker"])
    finally:
        host.run("rm -r /run/docker.sock %s && systemctl daemon-reload && systemctl restart netmgr" % place)
