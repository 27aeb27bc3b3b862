"""What `graph mermaid` says, read and drawn by Mermaid itself, in a browser: every node, every line, every name as it is."""

import json
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from netmgr.show.answers import GraphEdge, GraphNode
from netmgr.show.graph import Row, mermaid_pieces
from netmgr.values.text import printable
from tests import browser
from tests.browser import Browser
from tests.names import HOSTILE, random_names

MERMAID = Path(__file__).resolve().parents[1] / ".cache" / "mermaid" / "mermaid.min.js"
WHY_NOT = browser.why_not() or ("" if MERMAID.exists() else "there is no Mermaid; `.ci/setup browser` brings it")
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)

DRAW = """
mermaid.initialize({startOnLoad: false, securityLevel: "strict", maxTextSize: 1e7, maxEdges: 1e5});
mermaid.render("drawn", %s).then(({svg}) => {
    const place = document.querySelector("#place");
    place.innerHTML = svg;
    const lines = (label) => label.innerHTML.split(/<br *\\/?>/).map((each) => {
        const one = document.createElement("p");
        one.innerHTML = each;
        return one.textContent;
    });
    return {
        nodes: [...place.querySelectorAll("g.node")].map((node) => [
            node.classList.contains("wrong"), node.classList.contains("away"),
            lines(node.querySelector("foreignObject p, foreignObject span"))]),
        edges: [...place.querySelectorAll("path.flowchart-link")].map((each) => each.id.match(/n[0-9]+_n[0-9]+/)[0]),
        texts: [...place.querySelectorAll(".edgeLabel foreignObject")].map((each) => each.textContent.trim()).filter((each) => each),
        scripts: place.querySelectorAll("script, img, a, b, i, em, strong, ul, ol, code, iframe").length,
    };
})
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    directory = tmp_path_factory.mktemp("mermaid")
    (directory / "page.html").write_text('<meta charset="utf-8"><div id="place"></div><script src="%s"></script>' % MERMAID.as_uri())
    with Browser(directory) as made:
        made.open((directory / "page.html").as_uri())
        made.see("window.mermaid")
        yield made


def drawn(page: Browser, rows: List[Row]) -> Dict[str, Any]:
    found: Dict[str, Any] = page.ask(DRAW % json.dumps("".join(mermaid_pieces(iter(rows)))))
    return found


def seen(text: str) -> str:
    """What one sees of it: neither blanks at the ends nor word joiners."""
    return text.replace("\u2060", "").strip()


def test_the_whole_picture(page: Browser) -> None:
    rows: List[Row] = [
        GraphNode("interface:eth0", "interface", "eth0", "up", ("192.0.2.1/24", "2001:db8::1/64"), 2),
        GraphNode("interface:ppp0", "interface", "ppp0", "absent"),
        GraphNode("zone:wan", "zone", "wan"),
        GraphNode("set:inet filter wan_ips", "set", "inet filter wan_ips", "synced", (), 2),
        GraphNode("set:inet filter wan_map", "set", "inet filter wan_map", "error", (), 0, "the set is full"),
        GraphEdge("interface:eth0", "zone:wan"),
        GraphEdge("interface:ppp0", "zone:wan"),
        GraphEdge("zone:wan", "set:inet filter wan_ips", "addresses"),
        GraphEdge("zone:wan", "set:inet filter wan_map", "interfaces . networks"),
    ]
    found = drawn(page, rows)
    assert sorted(found["nodes"]) == sorted([
        [False, False, ["eth0", "192.0.2.1/24", "2001:db8::1/64"]], [False, True, ["ppp0", "absent"]], [False, False, ["wan"]],
        [False, False, ["inet filter wan_ips", "synced, 2 elements"]], [True, False, ["inet filter wan_map", "error, 0 elements"]]])
    assert sorted(found["edges"]) == ["n0_n2", "n1_n2", "n2_n3", "n2_n4"]
    assert sorted(found["texts"]) == ["addresses", "interfaces . networks"]


@pytest.mark.parametrize("kind", ["container", "zone", "set"])
def test_every_name_is_drawn_as_it_is(page: Browser, kind: str) -> None:
    names = [*HOSTILE, *random_names(60)]
    rows: List[Row] = [GraphNode("%s:%d" % (kind, each), kind, name, "synced") for each, name in enumerate(names)]
    rows += [GraphEdge("%s:%d" % (kind, each), "%s:0" % kind, name) for each, name in enumerate(HOSTILE) if each]
    found = drawn(page, rows)
    assert sorted(seen(lines[0]) for _wrong, _away, lines in found["nodes"]) == sorted(printable(name).strip() for name in names)
    assert len(found["edges"]) == len(HOSTILE) - 1
    assert sorted(map(seen, found["texts"])) == sorted(printable(name).strip() for name in HOSTILE[1:])
    assert found["scripts"] == 0 and page.complaints == []


def test_as_many_as_there_may_be(page: Browser) -> None:
    rows: List[Row] = [GraphNode("zone:wan", "zone", "wan")]
    rows += [GraphNode("container:%d" % each, "container", "web-%d" % each) for each in range(150)]
    rows += [GraphEdge("container:%d" % each, "zone:wan") for each in range(150)]
    found = drawn(page, rows)
    assert (len(found["nodes"]), len(found["edges"])) == (151, 150)
