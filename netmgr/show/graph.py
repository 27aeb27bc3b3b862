"""What feeds what: interfaces, containers and other hosts, their zones, and the sets of these, for Graphviz, for Mermaid and as JSON.

With many containers that is long, so the rows are made while they are sent, of what was there when somebody asked.
"""

import json
import re
from itertools import chain, islice
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Tuple, TypeVar, Union

from netmgr.model.inventory import Interface
from netmgr.model.managed_set import ERROR, MISSING
from netmgr.model.model import Model
from netmgr.show.answers import GraphEdge, GraphNode
from netmgr.show.answers_json import plain
from netmgr.show.status import HEALTH, known_interfaces, set_status, shown
from netmgr.values import addresses
from netmgr.values.addresses import local, prefixlen
from netmgr.values.events import ContainerSeen, HostSeen
from netmgr.values.text import number, printable

ADDRESSES_NAMED = 20
MARKUP_ANYWAY = re.compile(r"(?<=\$)(?=\$)|(?<=\\)(?=n)|(?<=:)(?=fa-)")      # in Mermaid: a formula, a new line, an icon
ROWS_AT_ONCE = 20

Row = Union[GraphNode, GraphEdge]
Each = TypeVar("Each")
Source = Tuple[GraphNode, Sequence[str]]        # with its zones


def graph(model: Model) -> Iterator[Row]:
    """All nodes, then all edges, from left to right."""
    interfaces = [(index, up, interface, _first(model, index)) for index, up, interface, _rules, _held in known_interfaces(model)]
    containers, hosts = list(model.inventory.containers.values()), list(model.inventory.hosts.values())
    sets = [(set_status(managed), managed.role.feeds) for managed in shown(model)]
    sources = chain((_of_interface(model, *each) for each in interfaces), (_of_container(model, each) for each in containers),
                    map(_of_host, hosts))
    set_nodes = [GraphNode("set:%s %s %s" % row[:3], "set", "%s %s %s" % row[:3], row.state, (), row.elements, row.error or row.warning)
                 for row, _feeds in sets]
    set_edges = [GraphEdge("zone:" + feed.zone, node.id, feed.holds) for node, (_row, feeds) in zip(set_nodes, sets) for feed in feeds]
    return _rows(list(model.config.zones), sources, set_nodes, set_edges)


def _rows(zones: List[str], sources: Iterable[Source], sets: List[GraphNode], set_edges: List[GraphEdge]) -> Iterator[Row]:
    edges: List[GraphEdge] = []
    used = dict.fromkeys("zone:" + zone for zone in zones)
    used.update(dict.fromkeys(edge.source for edge in set_edges))
    told: Dict[str, None] = {}
    for node, of_source in sources:
        if node.id not in told:
            yield node
        told[node.id] = None
        new = [GraphEdge(node.id, "zone:" + zone, "") for zone in of_source]
        used.update(dict.fromkeys(edge.target for edge in new))
        edges += new
    for zone in used:
        yield GraphNode(zone, "zone", zone.partition(":")[2])
    yield from chain(sets, edges, set_edges)


def _first(model: Model, index: Optional[int]) -> Tuple[int, List[bytes]]:
    """How many addresses a link has, and the first of them."""
    held = {} if index is None else model.inventory.addresses.get(index, {})
    return len(held), list(islice(held, ADDRESSES_NAMED))


def _of_interface(model: Model, index: Optional[int], up: bool, interface: Interface, held: Tuple[int, List[bytes]]) -> Source:
    count, first = held
    texts = tuple("%s/%d" % (addresses.text(local(key)), prefixlen(key)) for key in first)
    state = "absent" if index is None else "up" if up else "down"
    node = GraphNode("interface:" + interface.name, "interface", interface.name, state, texts, count)
    return node, model.policy.zones_of_interface(interface)


def _of_container(model: Model, container: ContainerSeen) -> Source:
    texts = tuple(addresses.text(each.address) for each in container.endpoints[:ADDRESSES_NAMED])
    why = "; ".join(text for _word, text in model.policy.reasons_of_container(container)) or None
    node = GraphNode("container:" + container.id, "container", container.name, HEALTH[container.healthy] or "running", texts,
                     len(container.endpoints), why)
    return node, model.policy.zones_of_container(container)


def _of_host(host: HostSeen) -> Source:
    texts = tuple(map(addresses.text, islice(host.addresses, ADDRESSES_NAMED)))
    return GraphNode("host:" + host.host, "host", host.host, "", texts, len(host.addresses)), (host.zone,)


# -- as text


def json_pieces(rows: Iterator[Row]) -> Iterator[str]:
    """One line of JSON."""
    yield '{"schema": 1, "nodes": ['
    edges: List[GraphEdge] = []
    between = ""
    for some in _batches(rows):
        nodes = [each for each in some if isinstance(each, GraphNode)]
        edges += [each for each in some if isinstance(each, GraphEdge)]
        if nodes:
            yield between + ", ".join(json.dumps(plain(node)) for node in nodes)
            between = ", "
    yield '], "edges": ['
    between = ""
    for batch in _batches(iter(edges)):
        yield between + ", ".join(json.dumps(plain(edge)) for edge in batch)
        between = ", "
    yield "]}\n"


def dot_pieces(rows: Iterator[Row]) -> Iterator[str]:
    """For dot(1) of Graphviz."""
    yield 'digraph netmgr {\n  rankdir=LR;\n  node [shape=box, fontname="sans-serif"];\n'
    for some in _batches(rows):
        yield "".join(map(_dot, some))
    yield "}\n"


def _dot(row: Row) -> str:
    if isinstance(row, GraphEdge):
        label = " [label=%s]" % _dot_quoted([row.text]) if row.text else ""
        return "  %s -> %s%s;\n" % (_dot_quoted([row.source]), _dot_quoted([row.target]), label)
    style = ", style=dashed" if row.state in (MISSING, "absent", "down") else ", color=red" if _is_wrong(row) else ""
    shape = {"zone": ", shape=ellipse", "set": ", shape=cylinder"}.get(row.kind, "")
    return "  %s [label=%s%s%s];\n" % (_dot_quoted([row.id]), _dot_quoted(_label(row)), shape, style)


def _dot_quoted(lines: Sequence[str]) -> str:
    """Backslashes, quotation marks and entities mean something even within quotes."""
    texts = (printable(line).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;") for line in lines)
    return '"%s"' % "\\n".join(texts)


def mermaid_pieces(rows: Iterator[Row]) -> Iterator[str]:
    """For Mermaid, which many forges and wikis draw."""
    yield "flowchart LR\n"
    numbers: Dict[str, int] = {}
    for some in _batches(rows):
        yield "".join(_mermaid(row, numbers) for row in some)
    yield "  classDef wrong stroke:#d33,stroke-width:2px\n  classDef away stroke-dasharray:4\n"


def _mermaid(row: Row, numbers: Dict[str, int]) -> str:
    if isinstance(row, GraphEdge):
        arrow = "-->|%s|" % _mermaid_quoted([row.text]) if row.text else "-->"
        return "  n%d %s n%d\n" % (numbers[row.source], arrow, numbers[row.target])
    numbers[row.id] = len(numbers)
    begin, end = {"zone": ("([", "])"), "set": ("[(", ")]")}.get(row.kind, ("[", "]"))
    style = ":::away" if row.state in (MISSING, "absent", "down") else ":::wrong" if _is_wrong(row) else ""
    return "  n%d%s%s%s%s\n" % (numbers[row.id], begin, _mermaid_quoted(_label(row)), end, style)


def _mermaid_quoted(lines: Sequence[str]) -> str:
    """Within quotes all that could be markup is written by its number; what is markup even then has something invisible in it."""
    apart = (MARKUP_ANYWAY.sub("\u2060", printable(line)) for line in lines)
    texts = ("".join(each if each.isalnum() or each in " _.,:/-" else "#%d;" % ord(each) for each in line) for line in apart)
    return '"%s"' % "<br>".join(texts)


def _is_wrong(node: GraphNode) -> bool:
    return node.state in (ERROR, "unhealthy")


def _label(node: GraphNode) -> List[str]:
    """The lines in a box."""
    if node.kind == "set":
        return [node.name, "%s, %s" % (node.state, number(node.count, "element"))]
    more = node.count - len(node.addresses)
    state = [node.state] if node.state in ("absent", "down", "unhealthy") else []
    return [node.name, *state, *node.addresses, *(["and %d more" % more] if more > 0 else [])]


def _batches(rows: Iterator[Each]) -> Iterator[List[Each]]:
    while True:
        some = list(islice(rows, ROWS_AT_ONCE))
        if not some:
            return
        yield some
