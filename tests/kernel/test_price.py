"""What one event costs in calls: a function less is one less that a processor fetches whose caches are cold after a rest.

Time is measured in benchmarks/; here is held that nothing creeps into the way.
"""

import json
import sys
from pathlib import Path
from typing import List

from tests.kernel.lab import Lab
from tests.kernel.running import RULESET, Netmgr
from tests.waiting import eventually

BEFORE, AFTER = 44, 18      # calls until the kernel has the transaction, and from there until netmgr sleeps


def test_one_address_takes_few_calls(lab: Lab) -> None:
    lab.link("eth0")
    lab.nft(RULESET)
    netmgr = Netmgr(lab, start=False)
    counted = lab.directory / "calls"
    netmgr.start(wrapper=[sys.executable, str(Path(__file__).with_name("counting.py")), str(counted)])
    for last in range(1, 6):
        lab.run("ip address add 192.0.2.%d/32 dev eth0" % last)
        eventually(lambda last=last: "192.0.2.%d" % last in lab.ruleset())       # type: ignore[misc]
    assert netmgr.stop() == 0
    found: List[List[object]] = [json.loads(line) for line in counted.read_text().splitlines()]
    before, after, names = min(found, key=lambda each: (each[0], each[1]))
    assert isinstance(before, int) and isinstance(after, int)
    assert before <= BEFORE and after <= AFTER, names
