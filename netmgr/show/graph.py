"""What feeds what: interfaces, containers and other hosts, their zones, and the sets of these, for Graphviz, for Mermaid and as JSON.

With many containers that is long, so the rows are made while they are sent, of what was there when somebody asked.
"""

import re
from itertools import chain, islice
from typing import Dict, Iterable, Iterator, List, Optional, Sequence, Tuple, Union

from netmgr.model.managed_set import ERROR, MISSING
from netmgr.model.model import Model
from netmgr.model.zones import Policy
from netmgr.show.answers import GraphEdge, GraphNode
from netmgr.show.answers_json import line
from netmgr.show.rows import LINES, pieces
from netmgr.show.status import HEALTH, Known, Links, SetsThere, SetThere, error_of, shown
from netmgr.values import addresses
from netmgr.values.addresses import local, prefixlen
from netmgr.values.events import ContainerSeen, HostSeen
from netmgr.values.text import number, printable

ADDRESSES_NAMED = 20
MARKUP_ANYWAY = re.compile(r"(?<=\$)(?=\$)|(?<=\\)(?=n)|(?<=:)(?=fa-)")      # in Mermaid: a formula, a new line, an icon

Row = Union[GraphNode, GraphEdge]
Source = Tuple[GraphNode, Sequence[str]]        # with its zones


def graph(model: Model) -> Iterator[Optional[Row]]:
    """All nodes, then all edges, from left to right; None in between means no more than that something was done."""
    policy, inventory = model.policy.at_rest(), model.inventory
    return _rows(list(model.config.zones), _sources(Links(model), policy, [*inventory.containers.values()], [*inventory.hosts.values()]),
                 SetsThere(model, shown(model), False))


def _rows(zones: List[str], sources: Iterable[Optional[Source]], sets: SetsThere) -> Iterator[Optional[Row]]:
    edges: List[GraphEdge] = []
    used = dict.fromkeys("zone:" + zone for zone in zones)
    told: Dict[str, None] = {}
    for place, feed in enumerate(feed for each in sets for feed in each.role.feeds):
        used["zone:" + feed.zone] = None
        if place % LINES == LINES - 1:
            yield None
    for source in sources:
        if source is None:
            yield None
            continue
        node, of_source = source
        if node.id not in told:
            yield node
        told[node.id] = None
        for place, zone in enumerate(of_source):
            used["zone:" + zone] = None
            edges.append(GraphEdge(node.id, "zone:" + zone, ""))
            if place % LINES == LINES - 1:
                yield None
    for zone in used:
        yield GraphNode(zone, "zone", zone.partition(":")[2])
    yield from map(_of_set, sets)
    yield from edges
    yield from (GraphEdge("zone:" + feed.zone, "set:%s" % (each.name,), feed.holds) for each in sets for feed in each.role.feeds)


def _sources(links: Links, policy: Policy, containers: Iterable[ContainerSeen], hosts: Iterable[HostSeen]) -> Iterator[Optional[Source]]:
    for known in links.known():
        yield known if known is None else _of_interface(known)
    yield from (_of_container(policy, each) for each in containers)
    yield from map(_of_host, hosts)


def _of_set(there: SetThere) -> GraphNode:
    name = str(there.name)
    return GraphNode("set:" + name, "set", name, there.state.word, (), there.elements, error_of(there) or there.warning)


def _of_interface(known: Known) -> Source:
    texts = tuple("%s/%d" % (addresses.text(local(key)), prefixlen(key)) for key in islice(known.held, ADDRESSES_NAMED))
    state = "absent" if known.index is None else "up" if known.up else "down"
    node = GraphNode("interface:" + known.selected.name, "interface", known.selected.name, state, texts, len(known.held))
    return node, tuple(dict.fromkeys(zone for rule in known.rules for zone in rule.zones))


def _of_container(policy: Policy, container: ContainerSeen) -> Source:
    texts = tuple(addresses.text(each.address) for each in container.endpoints[:ADDRESSES_NAMED])
    why = "; ".join(text for _word, text in policy.reasons_of_container(container)) or None
    node = GraphNode("container:" + container.id, "container", container.name, HEALTH[container.healthy] or "running", texts,
                     len(container.endpoints), why)
    return node, policy.zones_of_container(container)


def _of_host(host: HostSeen) -> Source:
    texts = tuple(map(addresses.text, islice(host.addresses, ADDRESSES_NAMED)))
    return GraphNode("host:" + host.host, "host", host.host, "", texts, len(host.addresses)), (host.zone,)


# -- as text


def json_pieces(rows: Iterable[Optional[Row]]) -> Iterator[str]:
    """One line of JSON."""
    return pieces(_json(rows), LINES)


def _json(rows: Iterable[Optional[Row]]) -> Iterator[Optional[str]]:
    """Nodes come first, and then all edges."""
    yield '{"schema": 1, "nodes": ['
    between, of_edges = "", False
    for row in rows:
        if isinstance(row, GraphEdge) and not of_edges:
            yield '], "edges": ['
            between, of_edges = "", True
        yield row if row is None else between + line(row)
        between = between if row is None else ", "
    yield "]}\n" if of_edges else '], "edges": []}\n'


def dot_pieces(rows: Iterable[Optional[Row]]) -> Iterator[str]:
    """For dot(1) of Graphviz."""
    head = 'digraph netmgr {\n  rankdir=LR;\n  node [shape=box, fontname="sans-serif"];\n'
    return pieces(chain([head], (row if row is None else _dot(row) for row in rows), ["}\n"]), LINES)


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


def mermaid_pieces(rows: Iterable[Optional[Row]]) -> Iterator[str]:
    """For Mermaid, which many forges and wikis draw."""
    numbers: Dict[str, int] = {}
    end = "  classDef wrong stroke:#d33,stroke-width:2px\n  classDef away stroke-dasharray:4\n"
    return pieces(chain(["flowchart LR\n"], (row if row is None else _mermaid(row, numbers) for row in rows), [end]), LINES)


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

