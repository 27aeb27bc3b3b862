"""`make demo-fleet`: three members of etcd, three hosts with a netmgr each, and what happens to them, checked as it goes."""

import json
import sys
import time
from typing import Callable

from tests.fleet.cluster import program
from tests.fleet.hosts import Fleet
from tests.waiting import eventually

TTL = 5


def say(text: str) -> None:
    print(text, flush=True)


def step(number: int, title: str) -> None:
    say("\n%d. %s" % (number, title))


def timed(what: str, done: Callable[[], object]) -> None:
    """Wait until it is done, and say how long that took."""
    begin = time.monotonic()
    done()
    say("   %s after %.2f s" % (what, time.monotonic() - begin))


def show(fleet: Fleet) -> None:
    for host in fleet.hosts:
        alive = host.netmgr.process is not None and host.netmgr.process.poll() is None
        say("   %s: %s   peer_wan_ips = { %s }" % (host.name, host.address if alive else "dead       ", ", ".join(sorted(host.peers()))))


def main() -> int:
    if program() is None:
        print("There is no etcd here: `.ci/setup fleet` brings it.", file=sys.stderr)
        return 1
    say("Three members of etcd and three hosts, each in a network namespace of its own; leases last %d s." % TTL)
    fleet = Fleet(ttl=TTL)
    try:
        play(fleet)
    finally:
        fleet.close()
    say("\nAll of it was so.  The manual: netmgr.yaml(5), section THE FLEET.")
    return 0


def play(fleet: Fleet) -> None:
    first, second, third = fleet.hosts
    step(1, "Every host publishes its zone wan, and fills peer_wan_ips with what the others publish")
    fleet.together()
    show(fleet)

    step(2, "%s gets another address" % first.name)
    first.lab.run("ip addr add 203.0.113.77/32 dev wan0")
    timed("the others have it", lambda: second.netmgr.holds("peer_wan_ips", first.address, third.address, "203.0.113.77"))
    first.lab.run("ip addr del 203.0.113.77/32 dev wan0")
    timed("and no longer", fleet.together)

    step(3, "A member of etcd dies, the one that leads")
    fleet.cluster.leader().kill()
    missing = fleet.watch(2 * TTL, fleet.hosts)
    assert missing == [], missing
    say("   for %d s nobody was missing from anybody's set" % (2 * TTL))

    step(4, "Somebody publishes a bad record")
    lease = fleet.cluster.control("lease", "grant", "60").split()[1]
    bad = {"v": 1, "zone": "wan", "host": "evil", "boot": "b", "seq": 1, "addresses": ["0.0.0.0"]}
    fleet.cluster.control("put", "--lease=" + lease, "/netmgr/1/wan/evil", json.dumps(bad))
    eventually(lambda: "0.0.0.0" in json.dumps(second.fleet()["consumed"]))
    say("   netmgr status of %s: %s" % (second.name, json.dumps(second.fleet()["consumed"])))
    fleet.together()

    step(5, "%s dies" % third.name)
    third.netmgr.kill()
    timed("the others have let go of it", lambda: fleet.together([first, second]))
    show(fleet)


if __name__ == "__main__":
    sys.exit(main())
