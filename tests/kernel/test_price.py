"""What one event costs in calls: a function less is one less that a processor fetches whose caches are cold after a rest.

Time is measured in benchmarks/; here is held that nothing creeps into the way.
"""

import json
import sys
from pathlib import Path
from typing import List, Tuple

import pytest

from tests.kernel.lab import Lab
from tests.kernel.running import Netmgr
from tests.waiting import eventually

SETS = {"ips": ("wan_ips { type ipv4_addr; }", 32, 25), "nets": ("wan_nets { type ipv4_addr; flags interval; }", 24, 35)}
AFTER = 18      # calls from when the kernel has the transaction until netmgr sleeps; before that at most what stands with the sets


@pytest.mark.parametrize(("declared", "length", "at_most"), SETS.values(), ids=SETS)
def test_one_address_takes_few_calls(lab: Lab, declared: str, length: int, at_most: int) -> None:
    lab.link("eth0")
    lab.nft("add table inet filter; add set inet filter %s" % declared)
    netmgr = Netmgr(lab, start=False)
    counted = lab.directory / "calls"
    netmgr.start(wrapper=[sys.executable, str(Path(__file__).with_name("counting.py")), str(counted)])
    for number in range(1, 12, 2):
        lab.run("ip address add 192.0.%d.1/%d dev eth0 noprefixroute" % (number, length))
        eventually(lambda number=number: "192.0.%d." % number in lab.ruleset())       # type: ignore[misc]
    assert netmgr.stop() == 0
    found: List[Tuple[int, int, List[str]]] = [json.loads(line) for line in counted.read_text().splitlines()]
    before, after, names = min(found, key=lambda each: each[0] + each[1])     # of some others what was put off is done, too
    assert before <= at_most and after <= AFTER, names
