"""What feeds what, as rows and in three notations.  Graphviz itself says what it reads, where it is installed."""

import json
import shutil
import subprocess
from typing import Dict, List, Tuple
from xml.etree import ElementTree

import pytest

from netmgr.show.answers import GraphEdge, GraphNode
from netmgr.show.graph import Row, dot_pieces, graph, json_pieces, mermaid_pieces
from netmgr.show.rows import LINES
from netmgr.values.events import HostSeen
from netmgr.values.text import printable
from tests.names import HOSTILE, random_names
from tests.test_model_random import HAPPENINGS, Life
from tests.workbench import Bench, container, seen

CONFIG = """
interfaces:
  - {name: eth0, nftables_zone: [wan, lan]}
  - {name: eth1, nftables_zone: lan}
  - {name: ppp0, nftables_zone: wan}
  - {name: eth9}
docker: {label_zones: '*'}
zones: {lan: {sets: {lan_all: addresses}}}
"""
NODES: List[Row] = [
    GraphNode("interface:eth0", "interface", "eth0", "up", ("192.0.2.1/24", "192.0.2.2/24"), 2),
    GraphNode("zone:wan", "zone", "wan"),
    GraphNode("set:inet filter wan_ips", "set", "inet filter wan_ips", "synced", (), 2),
    GraphNode("set:inet filter lan_ips", "set", "inet filter lan_ips", "error", (), 0, "the set is full"),
]
EDGES: List[Row] = [GraphEdge("interface:eth0", "zone:wan"), GraphEdge("zone:wan", "set:inet filter wan_ips", "addresses")]


def rows_of(bench: Bench) -> Tuple[Dict[str, GraphNode], List[GraphEdge]]:
    rows = [row for row in graph(bench.model) if row is not None]
    nodes = [row for row in rows if isinstance(row, GraphNode)]
    assert rows[:len(nodes)] == nodes and len({node.id for node in nodes}) == len(nodes)
    edges = [row for row in rows if isinstance(row, GraphEdge)]
    assert {each for edge in edges for each in edge[:2]} <= {node.id for node in nodes}
    return {node.id: node for node in nodes}, edges


def test_all_that_feeds_and_is_fed() -> None:
    bench = Bench(CONFIG)
    bench.make("wan_ips")
    bench.happen(seen("192.0.2.1/24"), seen("192.0.2.2/24"))
    bench.containers(container("c" * 64, "172.17.0.2/16", label="web"))
    bench.model.apply(bench.inventory.apply_hosts([HostSeen("wan", "edge-17", (b"\xc0\0\2\x07",))]))
    bench.settle()
    nodes, edges = rows_of(bench)
    assert nodes["interface:eth0"] == GraphNode("interface:eth0", "interface", "eth0", "up", ("192.0.2.1/24", "192.0.2.2/24"), 2)
    assert nodes["interface:ppp0"].state == "absent"
    assert "interface:eth9" in nodes
    assert nodes["container:" + "c" * 64].addresses == ("172.17.0.2",)
    assert nodes["host:edge-17"].addresses == ("192.0.2.7",)
    assert (nodes["set:inet filter wan_ips"].state, nodes["set:inet filter wan_ips"].count) == ("synced", 3)
    assert nodes["set:inet filter lan_all"].state == "missing"
    assert [edge for edge in edges if edge.target == "zone:wan"] == [
        GraphEdge("interface:eth0", "zone:wan"), GraphEdge("interface:ppp0", "zone:wan"), GraphEdge("host:edge-17", "zone:wan")]
    assert {edge.target for edge in edges if edge.source == "container:" + "c" * 64} == {"zone:docker", "zone:web"}
    assert GraphEdge("zone:wan", "set:inet filter wan_ips", "addresses") in edges
    assert [node.name for node in nodes.values() if node.kind == "zone"] == ["wan", "lan", "docker", "web"]


def test_of_very_many_addresses_only_some_are_named() -> None:
    bench = Bench()
    bench.happen(*(seen("10.0.%d.%d/8" % (each // 200, each % 200 + 1)) for each in range(1000)))
    nodes, _edges = rows_of(bench)
    assert nodes["interface:eth0"].count == 1000
    assert len(nodes["interface:eth0"].addresses) == 20


def test_json_is_one_object() -> None:
    read = json.loads("".join(json_pieces(iter([*NODES, *EDGES]))))
    assert read["schema"] == 1
    assert read["nodes"][0] == {"id": "interface:eth0", "kind": "interface", "name": "eth0", "state": "up",
                                "addresses": ["192.0.2.1/24", "192.0.2.2/24"], "count": 2, "trouble": None}
    assert read["edges"][1] == {"source": "zone:wan", "target": "set:inet filter wan_ips", "text": "addresses"}
    assert json.loads("".join(json_pieces(iter([])))) == {"schema": 1, "nodes": [], "edges": []}


def test_what_is_long_comes_in_pieces() -> None:
    nodes: List[Row] = [GraphNode("interface:%d" % each, "interface", str(each)) for each in range(1000)]
    edges: List[Row] = [GraphEdge("interface:%d" % each, "interface:0") for each in range(1000)]
    for pieces in (json_pieces, dot_pieces, mermaid_pieces):
        assert len(list(pieces(iter([*nodes, *edges])))) > 2 * 1000 / LINES
    read = json.loads("".join(json_pieces(iter([*nodes, *edges]))))
    assert (len(read["nodes"]), len(read["edges"])) == (1000, 1000)


@pytest.mark.parametrize("seed", range(6))
def test_what_comes_in_pieces_was_so_when_somebody_asked(seed: int) -> None:
    """Whatever happens in between: zones that only labels name are gone then, too."""
    life = Life(seed)
    kinds, weights = zip(*((kind, weight) for kind, weight in HAPPENINGS if kind.__name__ != "killed"))
    for _ in range(12):
        for kind in life.source.choices(kinds, weights, k=4):
            kind(life)
        life.wait()
        life.bench.settle(life.now)
        model = life.bench.model
        whole, rows = [row for row in graph(model) if row is not None], graph(model)
        found = [next(rows, None) for _row in range(3)]
        for kind in life.source.choices(kinds, weights, k=4):
            kind(life)
        life.wait()
        life.bench.settle(life.now)
        assert [row for row in (*found, *rows) if row is not None] == whole


def test_mermaid() -> None:
    assert "".join(mermaid_pieces(iter([*NODES, *EDGES]))) == """\
flowchart LR
  n0["eth0<br>192.0.2.1/24<br>192.0.2.2/24"]
  n1(["wan"])
  n2[("inet filter wan_ips<br>synced, 2 elements")]
  n3[("inet filter lan_ips<br>error, 0 elements")]:::wrong
  n0 --> n1
  n1 -->|"addresses"| n2
  classDef wrong stroke:#d33,stroke-width:2px
  classDef away stroke-dasharray:4
"""


@pytest.mark.skipif(shutil.which("dot") is None, reason="there is no dot; `.ci/setup browser` brings it")
def test_graphviz_draws_every_node_and_edge() -> None:
    drawn = _drawn([*NODES, *EDGES])
    assert drawn["node"] == sorted(node.id for node in NODES if isinstance(node, GraphNode))
    assert drawn["edge"] == sorted("%s->%s" % edge[:2] for edge in EDGES)


@pytest.mark.skipif(shutil.which("dot") is None, reason="there is no dot; `.ci/setup browser` brings it")
def test_graphviz_draws_every_name_as_it_is() -> None:
    names = [*HOSTILE, *random_names(200)]
    nodes: List[Row] = [GraphNode("container:%d %s" % (each, name), "container", name) for each, name in enumerate(names)]
    edges: List[Row] = [GraphEdge("container:%d %s" % (each, name), "container:0 plain", name) for each, name in enumerate(HOSTILE) if each]
    drawn = _drawn([*nodes, *edges])
    assert drawn["node"] == sorted("container:%d %s" % (each, printable(name).replace("\\", "\\\\")) for each, name in enumerate(names))
    assert len(drawn["edge"]) == len(HOSTILE) - 1
    assert drawn["text"] == sorted(map(printable, [*names, *HOSTILE[1:]]))


def test_no_name_breaks_a_line_or_a_quotation() -> None:
    nodes: List[Row] = [GraphNode("container:%d" % each, "container", name) for each, name in enumerate([*HOSTILE, *random_names(200)])]
    for pieces in (dot_pieces, mermaid_pieces):
        assert all(line.isprintable() for line in "".join(pieces(iter(nodes))).splitlines())
    for line in "".join(mermaid_pieces(iter(nodes))).splitlines()[1:len(nodes) + 1]:
        assert line.count('"') == 2


def _drawn(rows: List[Row]) -> Dict[str, List[str]]:
    done = subprocess.run(["dot", "-Tsvg"], input="".join(dot_pieces(iter(rows))), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    svg = "{http://www.w3.org/2000/svg}"
    root = ElementTree.fromstring(done.stdout.replace("&#160;", " "))       # the second of two blanks
    groups = [(each.get("class"), each.findtext(svg + "title") or "") for each in root.iter(svg + "g")]
    found = {kind: sorted(title for name, title in groups if name == kind) for kind in ("node", "edge")}
    return {**found, "text": sorted(each.text or "" for each in root.iter(svg + "text"))}
