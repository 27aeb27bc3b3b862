"""Others commit to the same table without a pause: netmgr reads 120 sets of 5,000 elements each, and follows an address.

A C program adds and deletes an element of a set of its own as fast as the kernel does it, so a set that is being read is another before
it has been read whole. netmgr starts beside it and without it, all sets filled by others; once it is ready, an address comes and goes again
and again, and now and then all sets are read again (`resync`). Counted are the time to READY, the time from a change of the address to
its element in the kernel, as a reader of that set sees it, and the longest turn of the loop, in seconds of processor.
"""

import contextlib
import statistics
import time
from typing import Iterator, List, NamedTuple

from benchmarks.common import Section, Verdict, main, milliseconds, peer, python_peer, quantile
from benchmarks.space import PROBE, Netmgr, Space
from netmgr.io.client import ask
from netmgr.io.nft import Nft, at_once
from netmgr.values.sets import SetName

SETS, ELEMENTS = 120, 5000
CHANGES, ROUNDS = 30, 2
QUICK_CHANGES, QUICK_ROUNDS = 20, 1
RESYNC_EACH = 10        # changes
LOOK = 0.002            # seconds between two looks at the set
MORE_AT_MOST, LATE, TURN = 1.0, 0.1, 0.05       # seconds: READY beyond twice; an address; a turn
CONFIGURATION = """\
interfaces:
  - {name: %(probe)s, nftables_zone: wan}
  - {name: "bench*", nftables_zone: [%(others)s]}
nftables: {table: inet filter, include_dir: %(directory)s/include}
docker: {enabled: false}
socket_path: %(directory)s/socket
"""


class Found(NamedTuple):
    """Seconds: to READY, of each change, of the longest turn; transactions of others a second."""

    ready: float
    changes: List[float]
    turn: float
    pace: float


def run(quick: bool) -> Section:
    """Without others and beside them, in turns."""
    changes, rounds = (QUICK_CHANGES, QUICK_ROUNDS) if quick else (CHANGES, ROUNDS)
    with _prepared() as space:
        found = [(_measured(space, changes, False), _measured(space, changes, True)) for _round in range(rounds)]
    rows = [_row(name, [each[place] for each in found]) for place, name in enumerate(("nobody else", "others at full speed"))]
    beyond = statistics.median(beside.ready - 2 * alone.ready for alone, beside in found)
    latest = max(max(beside.changes) for _alone, beside in found)
    return Section(
        "Others' transactions", " ".join((__doc__ or "").split()),
        ["beside", "transactions a second", "READY after", "address p50", "p99", "longest", "longest turn"], rows,
        [Verdict("READY beside others' transactions, beyond twice the time without", beyond, " s", MORE_AT_MOST),
         Verdict("an address beside others' transactions, the latest", latest, " s", LATE),
         Verdict("the longest turn beside others' transactions", max(beside.turn for _alone, beside in found), " s", TURN)])


def _row(name: str, found: List[Found]) -> List[str]:
    changes = [change for each in found for change in each.changes]
    pace, ready = (statistics.median(each) for each in zip(*((each.pace, each.ready) for each in found)))
    return [name, "{:,.0f}".format(pace), milliseconds(ready), milliseconds(statistics.median(changes)),
            milliseconds(quantile(changes, 0.99)), milliseconds(max(changes)), milliseconds(max(each.turn for each in found))]


@contextlib.contextmanager
def _prepared() -> Iterator[Space]:
    with Space(2, 2) as space:
        others = ["z%d" % number for number in range(SETS - 1)]
        (space.directory / "config.yaml").write_text(CONFIGURATION % {
            "probe": PROBE, "others": ", ".join(others), "directory": space.directory})
        space.nft("\n".join(_commands(["wan", *others])))
        yield space


def _measured(space: Space, changes: int, beside: bool) -> Found:
    turns = space.directory / "turns"
    others = _others(space) if beside else contextlib.nullcontext()
    with others, Netmgr(space, python_peer("turning_netmgr", turns)) as netmgr, space.inside():
        before, begin = _generation(), time.monotonic()
        figures = [_change(space, number) for number in range(changes)]
        pace = (_generation() - before - 2 * changes) / (time.monotonic() - begin)
        return Found(netmgr.seconds, figures, netmgr.longest_turns(turns)[0], pace)


def _commands(zones: List[str]) -> Iterator[str]:
    yield "add set inet filter busy { type ipv4_addr; }"
    for zone in zones:
        if zone == "wan":
            continue
        yield "add set inet filter %s_ips { type ipv4_addr; }" % zone
        elements = ", ".join("100.64.%d.%d" % (number >> 8, number & 255) for number in range(ELEMENTS))
        yield "add element inet filter %s_ips { %s }" % (zone, elements)


@contextlib.contextmanager
def _others(space: Space) -> Iterator[None]:
    with space.background(peer("committer", "inet", "filter", "busy", 0)):
        yield


def _generation() -> int:
    nft = Nft()
    try:
        return nft.generation()
    finally:
        nft.close()


def _change(space: Space, number: int) -> float:
    """Seconds until the address is in its set, and is so out of it again; the longer of the two."""
    if number % RESYNC_EACH == RESYNC_EACH - 1:
        assert ask(str(space.directory / "socket"), "resync", 120)
    return max(_followed(space, word) for word in ("add", "del"))


def _followed(space: Space, word: str) -> float:
    nft = Nft()
    info = nft.inspect(SetName("inet", "filter", "wan_ips"))
    assert info is not None
    space.run("ip addr %s 192.0.2.1/32 dev %s" % (word, PROBE))
    begin = time.monotonic()
    while (bytes((192, 0, 2, 1)) in at_once(nft.reading(info)).contents.ours) != (word == "add"):
        time.sleep(LOOK)
        if time.monotonic() > begin + 60:
            raise RuntimeError("the address is not followed")
    took = time.monotonic() - begin
    nft.close()         # beside others who delete this takes longer than all that came before
    return took


if __name__ == "__main__":
    main(run)
