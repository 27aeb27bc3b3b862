"""`metrics`: the text format of Prometheus (0.0.4), in pieces.

What is kept of all sets is taken at one moment, which is a copy of a few tables; lines are made of it piece by piece.
"""

from itertools import accumulate, islice
from typing import AbstractSet, Dict, Iterable, Iterator, List, Mapping, Sequence, Tuple

from netmgr.model.managed_set import SYNCED, ManagedSet
from netmgr.model.model import Model
from netmgr.model.overview import Marks
from netmgr.show.answers import ConsumedZone
from netmgr.values.counters import COMMIT_BOUNDS, Counters, Told
from netmgr.values.holds import ADDRESSES
from netmgr.values.named_tuple import NamedTuple
from netmgr.values.sets import SetName
from netmgr.values.text import printable

LINES = 100         # at most, of one piece

Labels = Tuple[Tuple[str, str], ...]
Number = float
Sample = Tuple[str, Number]         # what follows the name, and the value


class Measured(NamedTuple):
    """What the daemon knows beside its model.  `sources` are those that are enabled: whether they are well, and what they have told.

    `consumed` are the zones that hold what other hosts of a fleet publish, `undone` the sets that a dry run leaves as they are.
    """

    version: str
    ready: bool
    repairs: int
    clients: int
    loaded: float
    counters: Counters
    reloads: Mapping[str, int]
    reloaded: bool
    interfaces: Mapping[str, int]
    sources: Mapping[str, Tuple[bool, Told]]
    process: Mapping[str, Number]
    consumed: Sequence[ConsumedZone] = ()
    undone: AbstractSet[SetName] = frozenset()


class Sets(NamedTuple):
    """All sets, what is kept of them, and how many elements netmgr has in them, at one moment."""

    sets: Dict[SetName, ManagedSet]
    marks: Dict[SetName, Marks]
    own: Dict[SetName, int]


def text(model: Model, measured: Measured) -> Iterator[str]:
    """All of it, as it is now, in pieces."""
    return _told(model, Sets(model.sets.copy(), model.overview.all_marks(), model.overview.all_own()), measured)


def _told(model: Model, there: Sets, measured: Measured) -> Iterator[str]:
    yield from _of_sets(there, measured.undone)
    yield from _long("zone_addresses", "Addresses that the zone's sets of addresses should hold.", _of_zones(model, there.sets))
    yield from _long("interface_addresses", "Addresses of the interface that count.", _of_interfaces(measured))
    yield _one("containers", "gauge", "Containers that run.", len(model.inventory.containers))
    yield "".join([*_of_fleet(measured.consumed), *_of_doings(measured), *_of_process(measured)])


# -- how it is said


def _head(name: str, kind: str, text: str) -> str:
    return "# HELP %s %s\n# TYPE %s %s\n" % (name, text, name, kind)


def _block(name: str, kind: str, text: str, samples: Iterable[Sample]) -> str:
    """A name with all its samples."""
    return _head(name, kind, text) + "".join(["%s%s %s\n" % (name, labels, _number(value)) for labels, value in samples])


def _long(name: str, text: str, samples: Iterator[Tuple[str, int]]) -> Iterator[str]:
    """The same of a gauge with very many samples, in pieces."""
    line = "netmgr_" + name + "%s %d\n"
    yield _head("netmgr_" + name, "gauge", text) + "".join([line % each for each in islice(samples, LINES)])
    yield from iter(lambda: "".join([line % each for each in islice(samples, LINES)]), "")


def _one(name: str, kind: str, text: str, value: Number, labels: Labels = ()) -> str:
    return _block("netmgr_" + name, kind, text, [(_said(labels), value)])


def _by(name: str, kind: str, text: str, label: str, values: Mapping[str, Number]) -> str:
    return _block("netmgr_" + name, kind, text, [(_said(((label, each),)), value) for each, value in values.items()])


def _said(labels: Labels) -> str:
    return "{%s}" % ",".join(['%s="%s"' % (key, _escaped(value)) for key, value in labels]) if labels else ""


def _number(value: Number) -> str:
    return "%d" % value if value == int(value) else repr(float(value))


def _escaped(value: str) -> str:
    return printable(value).replace("\\", "\\\\").replace('"', '\\"')


# -- what is said


def _of_sets(there: Sets, undone: AbstractSet[SetName]) -> Iterator[str]:
    """By the labels, which are found with the first metric."""
    sets, marks, own = there
    told: Dict[str, SetName] = {}

    def found() -> Iterator[Tuple[str, int]]:
        for name, each in marks.items():
            if each.synced or each.missing or each.error:
                labels = _labels(name, sets[name])
                told[labels] = name
                yield labels, own[name] or len(sets[name].held.ours)

    yield from _long("set_elements", "Elements in the set that are netmgr's.", found())
    yield from _long("set_foreign_elements", "Elements in the set that are not netmgr's.",
                     ((labels, len(sets[name].held.foreign)) for labels, name in told.items()))
    yield from _long("set_synced", "Whether the set is as it should be.",
                     ((labels, marks[name].state.word == SYNCED and name not in undone) for labels, name in told.items()))


def _labels(name: SetName, managed: ManagedSet) -> str:
    feeds = managed.role.feeds
    zone = feeds[0].zone if len(feeds) == 1 else ",".join(dict.fromkeys([feed.zone for feed in feeds]))
    return '{family="%s",table="%s",set="%s",zone="%s"}' % tuple(map(_escaped, (*name, zone)))


def _of_zones(model: Model, sets: Dict[SetName, ManagedSet]) -> Iterator[Tuple[str, int]]:
    """Of each family those of the set that should hold most: others may leave out some."""
    for zone, feeds in model.policy.feeds.copy().items():
        of_addresses = [sets[feed.set] for feed in feeds if feed.holds == ADDRESSES and feed.set in sets]
        yield '{zone="%s"}' % _escaped(zone), _most(model, of_addresses)


def _of_interfaces(measured: Measured) -> Iterator[Tuple[str, int]]:
    return (('{interface="%s"}' % _escaped(name), number) for name, number in measured.interfaces.items())


def _most(model: Model, sets: Iterable[ManagedSet]) -> int:
    most: Dict[str, int] = {}
    for managed in sets:
        form = managed.seen.form
        if form is not None:
            most[form.type] = max(most.get(form.type, 0), len(model.ledger.wanted(managed.name)))
    return sum(most.values())


def _of_fleet(consumed: Sequence[ConsumedZone]) -> Iterator[str]:
    """Nothing where there is none."""
    if consumed:
        yield _by("fleet_hosts", "gauge", "Other hosts that count in the zone.", "zone", {each.zone: each.hosts for each in consumed})
        yield _by("fleet_hosts_refused", "gauge", "Hosts whose present record is refused; the last good one counts.", "zone",
                  {each.zone: len(each.refused) for each in consumed})
        yield _by("fleet_hosts_held", "gauge", "Hosts that are missing and go on to count, for this host had a break itself.", "zone",
                  {each.zone: each.held for each in consumed})


def _of_doings(measured: Measured) -> Iterator[str]:
    counters, sources = measured.counters, measured.sources
    yield _one("build_info", "gauge", "Which netmgr this is.", 1, (("version", measured.version),))
    yield _one("ready", "gauge", "Whether all that should be right is right.", measured.ready)
    yield _by("source_up", "gauge", "Whether the source is well; those that are disabled are left out.", "source",
              {name: up for name, (up, _told) in sources.items()})
    yield _by("events_total", "counter", "Events that the source has told.", "source",
              {name: told.events for name, (_up, told) in sources.items()})
    yield _one("overruns_total", "counter", "How often the kernel dropped events, and all was read again.",
               sum(told.overruns for _up, told in sources.values()))
    yield _by("snapshots_total", "counter", "How often all there is was read, by why or what.", "reason", _snapshots(sources))
    yield _by("transactions_total", "counter", "Transactions on nf_tables.", "result", counters.transactions)
    yield _by("elements_changed_total", "counter", "Elements that netmgr has put into sets or taken out.", "direction",
              {"added": counters.added, "removed": counters.removed})
    yield _one("repairs_total", "counter", "How often netmgr mended what another program had done to its sets.", measured.repairs)
    yield _one("repaired_elements_total", "counter", "Elements that came or went by such repairs.", counters.repaired)
    yield _one("drift_elements_total", "counter", "Elements that an audit found other than they should be.", counters.drifted)
    yield _block("netmgr_commit_seconds", "histogram", "From the wake-up to the end of the commits that it led to.", _histogram(counters))
    yield _one("control_clients", "gauge", "Clients of the control socket.", measured.clients)
    yield _by("reloads_total", "counter", "Reloads of the configuration.", "result", measured.reloads)
    yield _one("config_last_reload_successful", "gauge", "Whether the last reload, if there was one, took effect.", measured.reloaded)
    yield _one("config_loaded_timestamp_seconds", "gauge", "When the configuration in use was loaded.", measured.loaded)


def _snapshots(sources: Mapping[str, Tuple[bool, Told]]) -> Dict[str, int]:
    found: Dict[str, int] = {}
    for _up, told in sources.values():
        for why, count in told.snapshots.items():
            found[why] = found.get(why, 0) + count
    return found


def _histogram(counters: Counters) -> List[Sample]:
    bounds = [*map(repr, COMMIT_BOUNDS), "+Inf"]
    sums = list(accumulate(counters.commits))
    buckets = [('_bucket{le="%s"}' % bound, count) for bound, count in zip(bounds, sums)]
    return [*buckets, ("_sum", counters.commit_seconds), ("_count", sums[-1])]


PROCESS = (
    ("cpu_seconds_total", "counter", "User and system CPU time spent in seconds."),
    ("start_time_seconds", "gauge", "When the process started, in seconds since the epoch."),
    ("resident_memory_bytes", "gauge", "Resident memory in bytes."),
    ("virtual_memory_bytes", "gauge", "Virtual memory in bytes."),
    ("open_fds", "gauge", "Open file descriptors."),
    ("max_fds", "gauge", "How many file descriptors there may be."),
)


def _of_process(measured: Measured) -> Iterator[str]:
    for name, kind, text in PROCESS:
        if name in measured.process:
            yield _block("process_" + name, kind, text, [("", measured.process[name])])
