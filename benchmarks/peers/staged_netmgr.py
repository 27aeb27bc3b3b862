"""netmgr with a clock at the stages of one change: staged_netmgr.py FILE, then netmgr's arguments

At its end FILE says, for each stage, the median of the microseconds since the wake-up that ended in a transaction.
"""

import atexit
import statistics
import sys
import time

from netmgr import cli
from netmgr.io.link_source import LinkSource
from netmgr.io.nft import Nft
from netmgr.io.nft_socket import Netfilter
from netmgr.io.rtnetlink import EventSocket
from netmgr.sync.repairs import Repairs

stamps = []


def before(owner, name, stage):
    """Note the time of each call."""
    method = getattr(owner, name)

    def noted(*arguments, **named):
        stamps.append((stage, time.perf_counter()))
        return method(*arguments, **named)
    setattr(owner, name, noted)


def after(owner, name, stage):
    """Note the time of each return."""
    method = getattr(owner, name)

    def noted(*arguments, **named):
        found = method(*arguments, **named)
        stamps.append((stage, time.perf_counter()))
        return found
    setattr(owner, name, noted)


def report(path):
    """What begins with a wake-up and has every stage once is the way of one change."""
    stages = ("woken", "read", "counted", "planned", "written", "sent")
    starts = [index for index, stamp in enumerate(stamps) if stamp[0] == "woken"]
    ways = [stamps[index:index + len(stages)] for index in starts]
    ways = [[moment for _stage, moment in way] for way in ways if tuple(stage for stage, _moment in way) == stages]
    with open(path, "w") as file:
        for index, stage in enumerate(stages[1:], 1):
            file.write("%s %.1f\n" % (stage, 1e6 * statistics.median(way[index] - way[0] for way in ways)))


before(LinkSource, "_readable", "woken")
after(EventSocket, "drain", "read")
before(Repairs, "settle", "counted")
before(Nft, "commit_one", "planned")
before(Netfilter, "exchange", "written")
after(Netfilter, "exchange", "sent")
atexit.register(report, sys.argv.pop(1))
sys.exit(cli.main())
