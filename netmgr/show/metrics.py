"""`metrics`: the text format of Prometheus (0.0.4), in pieces.

Numbers are taken at one moment, which costs the number of sets and interfaces, not of elements; lines are made of them piece by piece.
"""

from itertools import accumulate, islice
from typing import Dict, Iterable, Iterator, List, Mapping, NamedTuple, Sequence, Tuple, Union

from netmgr.model.managed_set import SYNCED
from netmgr.model.model import Model
from netmgr.show.answers import ConsumedZone
from netmgr.show.status import SetCount
from netmgr.values.counters import COMMIT_BOUNDS, Counters, Told
from netmgr.values.holds import ADDRESSES
from netmgr.values.text import printable

LINES = 100         # at most, of one piece

Labels = Tuple[Tuple[str, str], ...]
Number = float


class Sample(NamedTuple):
    """One line: `suffix` is what a histogram adds to its name.  Labels that many lines have may be said already."""

    value: Number
    labels: Union[Labels, str] = ()
    suffix: str = ""


class Metric(NamedTuple):
    """A name with all its samples."""

    name: str
    kind: str
    help: str
    samples: Iterable[Sample]


class Measured(NamedTuple):
    """What the daemon knows beside its model.  `sources` are those that are enabled: whether they are well, and what they have told.

    `consumed` are the zones that hold what other hosts of a fleet publish.
    """

    version: str
    ready: bool
    sets: Sequence[SetCount]
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


def text(model: Model, measured: Measured) -> Iterator[str]:
    """All of it, as it is now, in pieces."""
    return _pieces([*_of_sets(measured.sets), *_of_things(model, measured), *_of_fleet(measured.consumed), *_of_doings(measured),
                    *_of_process(measured)])


def _pieces(metrics: Sequence[Metric]) -> Iterator[str]:
    for metric in metrics:
        head = "# HELP %s %s\n# TYPE %s %s\n" % (metric.name, metric.help, metric.name, metric.kind)
        lines = (_line(metric.name, sample) for sample in metric.samples)
        yield head + "".join(islice(lines, LINES))
        yield from iter(lambda lines=lines: "".join(islice(lines, LINES)), "")      # type: ignore[misc]


def _line(name: str, sample: Sample) -> str:
    value, labels, suffix = sample
    return "%s%s%s %s\n" % (name, suffix, labels if isinstance(labels, str) else _said(labels), _number(value))


def _said(labels: Labels) -> str:
    return "{%s}" % ",".join(['%s="%s"' % (key, _escaped(value)) for key, value in labels]) if labels else ""


def _number(value: Number) -> str:
    return "%d" % value if value == int(value) else repr(float(value))


def _escaped(value: str) -> str:
    return printable(value).replace("\\", "\\\\").replace('"', '\\"')


def _one(name: str, kind: str, text: str, value: Number, labels: Labels = ()) -> Metric:
    return Metric("netmgr_" + name, kind, text, [Sample(value, labels)])


def _by(name: str, kind: str, text: str, label: str, values: Mapping[str, Number]) -> Metric:
    return Metric("netmgr_" + name, kind, text, [Sample(value, ((label, each),)) for each, value in values.items()])


def _of_sets(rows: Sequence[SetCount]) -> Iterator[Metric]:
    said: List[str] = []        # the labels of each row, found with the first metric

    def labels() -> Iterator[str]:
        for place, row in enumerate(rows):
            if place == len(said):
                said.append(_said(_labels(row)))
            yield said[place]

    for name, text, values in (("elements", "Elements in the set that are netmgr's.", [row.elements for row in rows]),
                               ("foreign_elements", "Elements in the set that are not netmgr's.", [row.foreign for row in rows]),
                               ("synced", "Whether the set is as it should be.", [row.state == SYNCED for row in rows])):
        yield Metric("netmgr_set_" + name, "gauge", text, map(Sample, values, labels()))


def _labels(row: SetCount) -> Labels:
    family, table, name = row.set
    return ("family", family), ("table", table), ("set", name), ("zone", ",".join(dict.fromkeys([feed.zone for feed in row.feeds])))


def _of_things(model: Model, measured: Measured) -> Iterator[Metric]:
    yield _by("zone_addresses", "gauge", "Addresses that the zone's sets of addresses should hold.", "zone",
              {zone: _addresses_of(model, zone) for zone in model.policy.zones})
    yield _by("interface_addresses", "gauge", "Addresses of the interface that count.", "interface", measured.interfaces)
    yield _one("containers", "gauge", "Containers that run.", len(model.inventory.containers))


def _addresses_of(model: Model, zone: str) -> int:
    """Of each family those of the set that should hold most: others may leave out some."""
    most: Dict[str, int] = {}
    for feed in model.policy.feeds[zone]:
        managed = model.sets.get(feed.set)
        form = None if managed is None else managed.seen.form
        if feed.holds == ADDRESSES and form is not None:
            most[form.type] = max(most.get(form.type, 0), len(model.ledger.wanted(feed.set)))
    return sum(most.values())


def _of_fleet(consumed: Sequence[ConsumedZone]) -> Iterator[Metric]:
    """Nothing where there is none."""
    if consumed:
        yield _by("fleet_hosts", "gauge", "Other hosts that count in the zone.", "zone", {each.zone: each.hosts for each in consumed})
        yield _by("fleet_hosts_refused", "gauge", "Hosts whose present record is refused; the last good one counts.", "zone",
                  {each.zone: len(each.refused) for each in consumed})
        yield _by("fleet_hosts_held", "gauge", "Hosts that are missing and go on to count, for this host had a break itself.", "zone",
                  {each.zone: each.held for each in consumed})


def _of_doings(measured: Measured) -> Iterator[Metric]:
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
    yield Metric("netmgr_commit_seconds", "histogram", "From the wake-up to the end of the commits that it led to.", _histogram(counters))
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
    buckets = [Sample(count, (("le", bound),), "_bucket") for bound, count in zip(bounds, sums)]
    return [*buckets, Sample(counters.commit_seconds, (), "_sum"), Sample(sums[-1], (), "_count")]


PROCESS = (
    ("cpu_seconds_total", "counter", "User and system CPU time spent in seconds."),
    ("start_time_seconds", "gauge", "When the process started, in seconds since the epoch."),
    ("resident_memory_bytes", "gauge", "Resident memory in bytes."),
    ("virtual_memory_bytes", "gauge", "Virtual memory in bytes."),
    ("open_fds", "gauge", "Open file descriptors."),
    ("max_fds", "gauge", "How many file descriptors there may be."),
)


def _of_process(measured: Measured) -> Iterator[Metric]:
    for name, kind, text in PROCESS:
        if name in measured.process:
            yield Metric("process_" + name, kind, text, [Sample(measured.process[name])])
