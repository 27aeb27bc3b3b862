"""What `status` and `sets` answer, as values; answers_json.py and tables.py say them to programs and to people.

The fields and their order are those of the JSON (netmgr(8)).  Each has a default, for a client may meet a daemon of another version,
which leaves it out.  What there may be very many of is made as it is read (rows.py), or a tuple where a client has read it.
"""

from typing import Collection, Mapping, Optional, Tuple, Union

from netmgr.values.named_tuple import NamedTuple

UNKNOWN = "?"


class Address(NamedTuple):
    """An address of an interface, with its prefix length and its flags as ip-address(8) names them; `reasons` why it does not count."""

    address: str = UNKNOWN
    flags: Tuple[str, ...] = ()
    counts: bool = True
    reasons: Tuple[str, ...] = ()


class Interface(NamedTuple):
    """An interface that the configuration speaks of; without an index there is none of that name."""

    name: str = UNKNOWN
    index: Optional[int] = None     # type: ignore[assignment]      # a tuple has a method of this name, which nobody calls here
    up: bool = False
    zones: Tuple[str, ...] = ()
    addresses: Collection[Address] = ()
    expectations: Tuple[str, ...] = ()


class Endpoint(NamedTuple):
    """An address of a container in one of its networks."""

    network: str = UNKNOWN
    address: str = UNKNOWN


class Container(NamedTuple):
    """A running container.  `reasons` are words for why it does not count, or not for all that it asks for, `details` what they mean.

    `engine` is None where the configuration gives its engine no name, `health` where no attention is paid to it or there is no check.
    """

    id: str = UNKNOWN
    name: str = UNKNOWN
    zones: Tuple[str, ...] = ()
    addresses: Tuple[Endpoint, ...] = ()
    engine: Optional[str] = None
    health: Optional[str] = None
    reasons: Tuple[str, ...] = ()
    details: Tuple[str, ...] = ()


class SetStatus(NamedTuple):
    """A set; `elements` counts netmgr's own, `foreign` the others.  `warning`: it is right, and yet something should be done.

    `since` (UTC) it is in this state; None while nobody has looked.  `warning_since`: the same of the warning.
    """

    family: str = UNKNOWN
    table: str = UNKNOWN
    name: str = UNKNOWN
    type: Optional[str] = None
    zone: str = ""
    holds: str = ""
    state: str = UNKNOWN
    elements: int = 0
    foreign: int = 0
    error: Optional[str] = None
    warning: Optional[str] = None
    since: Optional[str] = None
    warning_since: Optional[str] = None


class Elements(NamedTuple):
    """What should be in a set, what of netmgr's is, and what is that is not netmgr's, in nft's notation."""

    wanted: Collection[str] = ()
    present: Collection[str] = ()
    foreign_elements: Collection[str] = ()


class SetContents(NamedTuple):
    """A set with its elements."""

    set: SetStatus
    elements: Elements


class FeedRow(NamedTuple):
    """What an explained thing is in a set: as which element, by which entry of the configuration, and whether the kernel has it."""

    set: str = UNKNOWN
    element: str = UNKNOWN
    zone: Optional[str] = None
    source: Optional[str] = None
    entry: Optional[str] = None
    in_kernel: bool = False
    owner: Optional[str] = None
    since: Optional[str] = None


class KeptOutRow(NamedTuple):
    """Why an explained thing is not in a set; `reason` is a word, `text` the same in a sentence.

    `address`: which of its addresses is meant, if it is one.  Without a source it is about the set itself.
    """

    set: Optional[str] = None
    zone: Optional[str] = None
    source: Optional[str] = None
    reason: str = UNKNOWN
    text: str = ""
    address: Optional[str] = None


class RepairRow(NamedTuple):
    """When a set was last put right after others had changed it, and who they were."""

    set: str = UNKNOWN
    time: str = UNKNOWN
    cause: str = UNKNOWN
    command: Optional[str] = None
    unit: Optional[str] = None


class Explanation(NamedTuple):
    """What a thing feeds, or what feeds it, and what keeps it out; without a kind nothing is known of it."""

    schema: int = 1
    thing: str = UNKNOWN
    kind: Optional[str] = None
    feeds: Collection[FeedRow] = ()
    kept_out: Collection[KeptOutRow] = ()
    repairs: Collection[RepairRow] = ()


class GraphNode(NamedTuple):
    """What stands in the picture of what feeds what; `id` is its kind and its name, of a container its kind and its id.

    `kind` is interface, container, host, zone or set.  `addresses` are the first of them; `count` is of all of them, of a set that of
    netmgr's elements.  `trouble`: what is wrong with it.
    """

    id: str = UNKNOWN
    kind: str = UNKNOWN
    name: str = UNKNOWN
    state: str = ""
    addresses: Tuple[str, ...] = ()
    count: int = 0      # type: ignore[assignment]      # a tuple has a method of this name, which nobody calls here
    trouble: Optional[str] = None


class GraphEdge(NamedTuple):
    """A line of that picture, from left to right, by ids; what a zone puts into a set stands in `text`."""

    source: str = UNKNOWN
    target: str = UNKNOWN
    text: str = ""


class LastRepair(NamedTuple):
    """The last foreign damage that was mended; without a pid it is not known whose."""

    pid: Optional[int] = None
    process: Optional[str] = None
    command: Optional[str] = None
    unit: Optional[str] = None
    time: str = UNKNOWN
    sets: Tuple[str, ...] = ()


class PublishedZone(NamedTuple):
    """A zone that stands in etcd, with how many addresses."""

    zone: str = UNKNOWN
    addresses: int = 0


class ConsumedZone(NamedTuple):
    """A local zone that holds other hosts' addresses of zone `source`; what is refused, held in doubt, or about to go."""

    zone: str = UNKNOWN
    source: str = UNKNOWN
    hosts: int = 0
    addresses: int = 0
    refused: Tuple[str, ...] = ()
    held: int = 0
    lingering: int = 0


Fact = Union[None, bool, int, float, str, LastRepair, Tuple[Union[PublishedZone, ConsumedZone], ...]]


class Source(NamedTuple):
    """Where something is known from; the facts that it tells beside its state are its own."""

    state: str = UNKNOWN
    facts: Mapping[str, Fact] = {}


class Problem(NamedTuple):
    """What is wrong with what, since when (UTC; None: not known), and what may help."""

    about: str = UNKNOWN
    what: str = UNKNOWN
    since: Optional[str] = None
    hint: Optional[str] = None


class Status(NamedTuple):
    """The state of everything."""

    schema: int = 1
    version: str = UNKNOWN
    state: str = UNKNOWN
    pid: Optional[int] = None
    uptime_seconds: float = 0.0
    config: str = UNKNOWN
    interfaces: Collection[Interface] = ()
    containers: Collection[Container] = ()
    sets: Collection[SetStatus] = ()
    sources: Mapping[str, Source] = {}
    dry_run: bool = False
    since: Optional[str] = None
    problems: Collection[Problem] = ()
