"""The Debian package: built, linted, installed, upgraded, removed and purged, on Debian 12 and 13."""

from pathlib import Path

from tests.system import roots
from tests.system.conftest import Build
from tests.system.host import CONFIG, CONFIG_FILE, Host
from tests.system.machine import Machine
from tests.waiting import eventually

REMOVING = CONFIG + "nftables:\n  on_stop: remove\n"


def _install(machine: Machine, build: Build) -> str:
    package = machine.put(build.package)
    machine.run(["dpkg", "--install", package])
    return package


def _newer(machine: Machine, package: str) -> str:
    """The same package with a higher version."""
    machine.run(["dpkg-deb", "-R", package, "/root/newer"])
    machine.run("cd /root && sed -i 's/^Version: .*/&+1/' newer/DEBIAN/control && dpkg-deb -b newer newer.deb")
    return "/root/newer.deb"


def _get(machine: Machine, path: str) -> str:
    """The status and the body of that answer over HTTP."""
    program = "import sys, urllib.request; answer = urllib.request.urlopen(sys.argv[1]); print(answer.status, answer.read().decode())"
    return machine.run(["python3", "-c", program, "http://127.0.0.1:9476" + path])


def _configured(machine: Machine, directory: Path, config: str) -> Host:
    host = Host(machine, directory)
    host.begin()
    host.configure(config)
    host.run("systemctl restart netmgr")
    assert host.elements("wan_ips") == {"192.0.2.1"}
    return host


def test_lintian_finds_nothing(build: Build) -> None:
    assert build.complaints == ""


def test_autopkgtest_passes(release: str, build: Build) -> None:
    """Debian's own program runs the package's tests; a machine that is made for this may be changed as they like."""
    with Machine(roots.root(release + "-testbed")) as machine:
        package = machine.put(build.package)
        machine.run("mkdir /root/tree && cp -r /source/pkg-files/debian /root/tree")
        output = machine.attempt("autopkgtest --ignore-restrictions=isolation-container,isolation-machine --summary-file=/root/summary"
                                 " --no-built-binaries %s /root/tree/ -- null" % package, seconds=600)[1]
        assert [line.split() for line in machine.run("cat /root/summary").splitlines()] == [["demo", "PASS"], ["service", "PASS"]], output


def test_manual_pages_and_completions(release: str) -> None:
    with Machine(roots.root(release + "-build"), boot=False) as machine:
        for page in ("netmgr.8", "netmgr.yaml.5"):
            assert machine.run("mandoc -T lint -W warning /source/pkg-files/man/%s" % page) == ""
        machine.run("bash -n /source/pkg-files/completions/netmgr.bash")
        completed = machine.run(["bash", "-c", ". /source/pkg-files/completions/netmgr.bash; COMP_WORDS=(netmgr re); COMP_CWORD=1;"
                                               " _netmgr netmgr re netmgr; echo ${COMPREPLY[@]}"])
        assert completed.split() == ["reload", "resync"]


def test_installed_it_runs_and_touches_nothing(fresh: Machine, build: Build) -> None:
    fresh.run("nft 'add table inet filter; add set inet filter lan_ips { type ipv4_addr; elements = { 192.0.2.9 }; }'")
    before = fresh.run("nft list ruleset")
    _install(fresh, build)
    assert fresh.run("netmgr status")
    assert fresh.run("netmgr check").splitlines()[-1].startswith(CONFIG_FILE + " is valid")
    assert fresh.run("netmgr diff") == ""
    assert fresh.run("nft list ruleset") == before
    assert fresh.run("systemctl is-enabled netmgr.service netmgr.socket").split() == ["enabled", "enabled"]
    assert fresh.run("systemctl --failed --quiet") == ""
    assert CONFIG_FILE in fresh.run("dpkg-query --show --showformat='${Conffiles}' netmgr")
    assert fresh.run("ls /usr/share/man/man8/netmgr.8.gz /usr/share/man/man5/netmgr.yaml.5.gz")


def test_the_page_over_http_is_off_until_it_is_asked_for(fresh: Machine, build: Build) -> None:
    states = "systemctl show --property=ActiveState --value netmgr-http.socket netmgr-http.service"
    package = _install(fresh, build)
    fresh.run(["dpkg", "--install", _newer(fresh, package)])
    assert fresh.run("systemctl is-enabled netmgr-http.socket", check=False) == "disabled"
    assert fresh.run(states).split() == ["inactive", "inactive"]
    assert "netmgr-metrics.timer" in fresh.run("ls /usr/share/doc/netmgr/examples/monitoring").split()

    fresh.run("systemctl enable --now netmgr-http.socket")
    assert _get(fresh, "/").startswith("200 <!DOCTYPE html>")
    assert _get(fresh, "/status").startswith("200 {")
    pid = fresh.run("systemctl show --property=MainPID --value netmgr-http.service")
    assert fresh.run("stat --format=%%U /proc/%s" % pid) == "netmgr-http"
    fresh.run("systemd-analyze security --offline=yes --threshold=15 netmgr-http.service")
    fresh.run("dpkg --install " + package)
    assert _get(fresh, "/").startswith("200 <!DOCTYPE html>")
    assert fresh.run("systemctl show --property=MainPID --value netmgr-http.service") != pid

    fresh.run("dpkg --purge netmgr")
    assert fresh.run("pgrep --uid netmgr-http || echo none") == "none"
    assert "9476" not in fresh.run("ss --listening --tcp --numeric")
    assert fresh.run("find /etc/systemd /var/lib/systemd /usr/lib/sysusers.d /usr/share/doc -name '*netmgr*'") == ""
    assert fresh.run(states).split() == ["inactive", "inactive"]
    assert "netmgr" not in fresh.run("systemctl list-unit-files --no-legend") + fresh.run("systemctl --failed --quiet")


def test_an_upgrade_leaves_no_gap(fresh: Machine, build: Build, tmp_path: Path) -> None:
    package = _install(fresh, build)
    host = _configured(fresh, tmp_path, CONFIG)
    newer = _newer(fresh, package)
    changes, pid = host.changes(), host.pid()
    host.run(["dpkg", "--install", newer])
    assert host.state() == "active" and host.pid() != pid
    assert host.run("netmgr ping") == "PONG"
    assert changes.of("wan_ips") == []
    assert host.run(["cat", CONFIG_FILE]) == CONFIG.rstrip("\n")


def test_an_upgrade_that_removes_fills_again(fresh: Machine, build: Build, tmp_path: Path) -> None:
    package = _install(fresh, build)
    host = _configured(fresh, tmp_path, REMOVING)
    changes = host.changes()
    host.run(["dpkg", "--install", _newer(fresh, package)])
    assert host.elements("wan_ips") == {"192.0.2.1"}
    assert [line.split()[0] for line in changes.of("wan_ips")] == ["delete", "add"]


def test_removed_and_purged_it_keeps_the_elements(fresh: Machine, build: Build, tmp_path: Path) -> None:
    _install(fresh, build)
    host = _configured(fresh, tmp_path, CONFIG)
    fresh.run("dpkg --remove netmgr")
    assert host.elements("wan_ips") == {"192.0.2.1"}
    assert fresh.run("pgrep -x netmgr || echo none") == "none"
    assert fresh.run("ls %s /run/netmgr" % CONFIG_FILE)
    fresh.run("dpkg --purge netmgr")
    assert host.elements("wan_ips") == {"192.0.2.1"}
    assert fresh.run("ls -d /etc/netmgr /run/netmgr /run/netmgr.sock 2>/dev/null || echo none") == "none"
    assert "netmgr" not in fresh.run("systemctl list-unit-files --no-legend")
    for unit in ("netmgr.service", "netmgr.socket"):
        said = fresh.run("systemctl show --property LoadState,ActiveState %s" % unit)
        assert said.split() == ["LoadState=not-found", "ActiveState=inactive"]


def test_purged_after_a_failure_nothing_is_failed(fresh: Machine, build: Build, tmp_path: Path) -> None:
    _install(fresh, build)
    host = _configured(fresh, tmp_path, CONFIG)
    host.drop_in("[Service]\nRestart=no\n")
    host.run("kill -KILL %d" % host.pid())
    eventually(lambda: host.state() == "failed")
    fresh.run("dpkg --purge netmgr")
    assert fresh.run("systemctl --failed --quiet") == ""


def test_removed_it_takes_the_elements_along(fresh: Machine, build: Build, tmp_path: Path) -> None:
    _install(fresh, build)
    host = _configured(fresh, tmp_path, REMOVING)
    fresh.run("dpkg --purge netmgr")
    assert host.elements("wan_ips") == set()


def test_installed_again_after_removal(fresh: Machine, build: Build, tmp_path: Path) -> None:
    package = _install(fresh, build)
    host = _configured(fresh, tmp_path, CONFIG)
    fresh.run("dpkg --remove netmgr && ip address del 192.0.2.1/24 dev eth0 && ip address add 192.0.2.2/24 dev eth0")
    fresh.run(["dpkg", "--install", package])
    eventually(lambda: host.elements("wan_ips") == {"192.0.2.2"})
