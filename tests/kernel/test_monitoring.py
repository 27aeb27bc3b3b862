"""`netmgr http` with those who ask it day and night: a load generator, and a real Prometheus with the rules that are shipped."""

import http.client
import json
import re
import shutil
from typing import Any, Set

import pytest

from tests.kernel.lab import Lab
from tests.kernel.running import ROOT, RULESET, Netmgr
from tests.waiting import PATIENCE, eventually

SHIPPED = ROOT / "pkg-files" / "monitoring"
ADDRESS, OF_PROMETHEUS = "127.0.0.1:9476", "127.0.0.1:9090"
INSTALL = "%s is not installed; `.ci/setup monitoring` does that"
RIGHT = "table inet filter { set wan_ips { type ipv4_addr; flags dynamic; }; }"
WRONG = "table inet filter { set wan_ips { type ether_addr; }; }"


@pytest.fixture
def site(lab: Lab) -> Netmgr:
    """A daemon, and its page at ADDRESS."""
    lab.link("eth0")
    lab.run("ip addr add 192.0.2.1/24 dev eth0")
    lab.nft(RULESET)
    netmgr = Netmgr(lab)
    netmgr.serve(ADDRESS)
    return netmgr


def ask(lab: Lab, address: str, target: str) -> str:
    """The body of the answer, "" without one."""
    with lab.inside():
        connection = http.client.HTTPConnection(address, timeout=PATIENCE)
        try:
            connection.request("GET", target)
            return connection.getresponse().read().decode()
        except OSError:
            return ""
        finally:
            connection.close()


@pytest.mark.skipif(shutil.which("wrk") is None, reason=INSTALL % "wrk")
@pytest.mark.parametrize("target", ["/status", "/metrics", "/"])
def test_under_load_every_answer_is_whole_and_the_sets_follow(lab: Lab, site: Netmgr, target: str) -> None:
    load = lab.start(["wrk", "-t1", "-c16", "-d3s", "http://%s%s" % (ADDRESS, target)])
    rounds = 0
    while load.poll() is None:
        rounds += 1
        wanted = "198.51.100.%d" % (rounds % 200 + 1)
        lab.run("ip addr add %s/32 dev eth0" % wanted)
        eventually(lambda wanted=wanted: wanted in lab.sets("inet filter", "wan_ips"))  # type: ignore[misc]
        lab.run("ip addr del %s/32 dev eth0" % wanted)
    told = lab.log(load)
    answered = re.search(r"(\d+) requests in", told)
    assert rounds and answered is not None and int(answered[1]) > 0, told
    assert "Non-2xx" not in told, told
    eventually(lambda: lab.sets("inet filter", "wan_ips") == {"192.0.2.1"})
    assert site.ask("ping") == "PONG\n"


@pytest.mark.skipif(shutil.which("prometheus") is None, reason=INSTALL % "prometheus")
def test_prometheus_scrapes_it_and_its_alert_fires_when_a_set_is_made_wrong(lab: Lab, site: Netmgr) -> None:
    """The files that are shipped, with seconds for minutes."""
    rules, minutes = re.subn(r"for: \d+m", "for: 1s", (SHIPPED / "netmgr.rules.yml").read_text())
    config, quarters = re.subn("scrape_interval: 15s", "scrape_interval: 1s", (SHIPPED / "prometheus.yml").read_text())
    assert minutes and quarters == 1
    (lab.directory / "netmgr.rules.yml").write_text(rules)
    (lab.directory / "prometheus.yml").write_text("global: {evaluation_interval: 1s}\n" + config)
    prometheus = lab.start(["prometheus", "--config.file=%s" % (lab.directory / "prometheus.yml"), "--web.listen-address=" + OF_PROMETHEUS,
                            "--storage.tsdb.path=%s" % (lab.directory / "series")])

    def asked(target: str) -> Any:
        assert prometheus.poll() is None, lab.log(prometheus)
        told = ask(lab, OF_PROMETHEUS, target)
        return json.loads(told)["data"] if told.startswith("{") else {}

    def elements() -> str:
        found = asked("/api/v1/query?query=netmgr_set_elements{set=%22wan_ips%22}").get("result")
        return str(found[0]["value"][1]) if found else ""

    def firing() -> Set[str]:
        return {alert["labels"]["alertname"] for alert in asked("/api/v1/alerts").get("alerts", []) if alert["state"] == "firing"}

    eventually(lambda: elements() == "1", "it has scraped the set")
    assert firing() == set()
    lab.nft("delete set inet filter wan_ips\n" + WRONG)
    eventually(lambda: {"NetmgrSetInError", "NetmgrNotReady"} <= firing(), "the alerts fire")
    assert [each["about"] for each in site.status()["problems"]] == ["inet filter wan_ips"]
    lab.nft("delete set inet filter wan_ips\n" + RIGHT)
    eventually(lambda: firing() == set(), "the alerts end")
