"""What is shipped for Prometheus and Grafana: promtool accepts it, the alerts fire when they should, all metrics in it exist."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "pkg-files" / "monitoring"
SAID = (Path(__file__).resolve().parents[1] / "netmgr" / "show" / "metrics.py").read_text()
DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text())


@pytest.mark.skipif(shutil.which("promtool") is None, reason="there is no promtool, which is in the package prometheus")
@pytest.mark.parametrize("command, file", [("check config", "prometheus.yml"), ("check rules", "netmgr.rules.yml"),
                                           ("test rules", "netmgr.rules.test.yml")])
def test_promtool_accepts_it(command: str, file: str) -> None:
    done = subprocess.run(["promtool", *command.split(), file], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout + done.stderr


def test_there_is_every_metric_that_is_asked_for() -> None:
    asked = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    asked += re.findall(r"expr: (.*)", (FOLDER / "netmgr.rules.yml").read_text())
    names = {name for text in asked for name in re.findall(r"\bnetmgr_(\w+?)(?:_bucket)?\b", text)}
    assert len(names) > 7
    assert sorted(name for name in names if '"%s"' % name not in SAID and '"%s"' % name.replace("set_", "", 1) not in SAID
                  and "netmgr_%s" % name not in SAID) == []


def test_the_dashboard_has_no_two_panels_in_one_place() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in DASHBOARD["panels"]]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(set(places)) == len(places)
