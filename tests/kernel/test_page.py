"""The page in a real browser, of a real daemon on a real kernel, with clicks and keys.

What it looks like is written to the folder that $NETMGR_PICTURES names, else to one below pytest's, for people to look at.
"""

import os
from pathlib import Path
from typing import Iterator

import pytest

from tests import browser
from tests.browser import Browser
from tests.kernel.lab import Lab
from tests.kernel.running import Netmgr
from tests.waiting import eventually

pytestmark = pytest.mark.skipif(bool(browser.why_not()), reason=browser.why_not())

LISTENS = "127.0.0.1:9476"
ADDRESS = "http://%s/" % LISTENS
CONFIG = """
interfaces:
  - {name: wan0, nftables_zone: wan, dhcp: true}
  - {name: lan0, nftables_zone: [lan, trusted]}
  - {name: vpn0, nftables_zone: trusted}
docker: {enabled: false}
zones:
  lan: {sets: {lan_nets: networks}}
"""
RULESET = """
table inet filter {
    set wan_ips { type ipv4_addr; }
    set wan_ips6 { type ipv6_addr; }
    set wan_ifs { type ifname; }
    set lan_ips { type ipv4_addr; }
    set lan_nets { type ipv4_addr; flags interval; }
    set trusted_ips { type ipv4_addr; }
}
"""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("NETMGR_PICTURES") or tmp_path / "pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def page(lab: Lab, tmp_path: Path) -> Iterator[Browser]:
    """A browser in the lab."""
    with lab.inside():
        made = Browser(tmp_path)
    with made:
        yield made


def three(lab: Lab) -> Netmgr:
    for name, address in (("wan0", "203.0.113.7/24"), ("lan0", "192.168.1.1/24"), ("vpn0", "10.8.0.2/24")):
        lab.link(name)
        lab.run("ip addr add %s dev %s" % (address, name))
    lab.run("ip addr add 2001:db8::7/64 dev wan0 nodad")
    lab.nft(RULESET)
    return Netmgr(lab, CONFIG)


def test_it_shows_follows_and_explains(lab: Lab, page: Browser, pictures: Path) -> None:
    netmgr = three(lab)
    netmgr.holds("wan_ips", "203.0.113.7")
    netmgr.serve(LISTENS)
    page.size(1200, 900)
    page.dark(False)
    page.open(ADDRESS)
    page.see("document.querySelectorAll('#drawing .node.interface').length === 3")
    page.see("document.querySelectorAll('#drawing .node.set').length === 6")
    assert page.ask("document.querySelectorAll('#drawing .edge').length") == 4 + 6
    page.see("document.querySelector('#live').textContent === 'live'")
    assert "ready" in page.ask("document.querySelector('.pill').textContent")
    page.picture(pictures / "three-light.png")
    assert page.ask("document.querySelector('time').textContent").endswith(" UTC")

    lab.run("ip addr add 203.0.113.99/24 dev wan0")
    page.see("document.querySelector('#drawing').textContent.includes('203.0.113.99')")
    page.see("document.querySelector('#happenings').textContent.includes('+203.0.113.99')")
    assert page.ask("document.querySelector('#happenings').textContent.includes('wan0: address added')")

    page.point_at("[data-id^='address:203.0.113.99/24']")
    page.see("document.querySelector('#details').textContent.includes('203.0.113.99 is in inet filter wan_ips')")
    assert page.ask("document.querySelector(\"[data-id='set:inet filter wan_ips']\").classList.contains('near')")
    assert not page.ask("document.querySelector(\"[data-id='set:inet filter lan_ips']\").classList.contains('near')")
    page.picture(pictures / "three-pointed-at.png")
    page.point_at("[data-id='set:inet filter lan_nets']", click=True)
    page.see("document.querySelector('#details').textContent.includes('192.168.1.0/24 is in inet filter lan_nets')")

    page.point_at("details.elements[data-set='inet filter wan_ips'] summary", click=True)
    page.see("document.querySelector(\"details.elements[data-set='inet filter wan_ips'] ol\")?.children.length === 2")
    page.dark(True)
    page.picture(pictures / "three-dark.png")
    assert (page.complaints, list(page.network)) == ([], [])


def test_by_keys_alone(lab: Lab, page: Browser) -> None:
    netmgr = three(lab)
    netmgr.holds("wan_ips", "203.0.113.7")
    netmgr.serve(LISTENS)
    page.size(1200, 900)
    page.open(ADDRESS)
    page.see("document.querySelectorAll('#drawing .node.set').length === 6")
    page.press("Tab")
    page.see("document.activeElement.dataset.id === 'interface:wan0'")
    page.see("document.querySelector('#details').textContent.includes('203.0.113.7 is in inet filter wan_ips')")
    page.press("ArrowDown")
    page.see("document.activeElement.dataset.id === 'interface:lan0'")
    page.press("ArrowRight")
    page.see("document.activeElement.dataset.id === 'zone:lan'")
    page.press("ArrowRight")
    page.press("Enter")
    page.see("document.activeElement.classList.contains('pinned')")
    assert page.ask("document.activeElement.dataset.id").startswith("set:inet filter lan_")
    page.press("Escape")
    page.see("!document.querySelector('.pinned')")
    assert page.complaints == []


def test_it_survives_a_restart_and_shows_a_problem_first(lab: Lab, page: Browser, pictures: Path) -> None:
    netmgr = three(lab)
    netmgr.serve(LISTENS)
    page.size(1200, 900)
    page.open(ADDRESS)
    page.see("document.querySelector('#live').textContent === 'live'")
    netmgr.kill()
    page.see("document.querySelector('#live').classList.contains('lost')")
    page.picture(pictures / "lost.png")
    netmgr.start()
    page.see("document.querySelector('#live').textContent === 'live'")
    lab.nft("delete set inet filter trusted_ips; add set inet filter trusted_ips { type inet_service; }")
    page.see("document.querySelector('.problem')?.textContent.includes('inet filter trusted_ips')")
    page.see("document.querySelector('.pill').textContent.includes('degraded')")
    top = "document.querySelector('%s')?.getBoundingClientRect().y"
    page.see("%s < %s" % (top % ".problem", top % "#picture"))
    page.see("document.querySelector(\"[data-id='set:inet filter trusted_ips']\").classList.contains('error')")
    page.picture(pictures / "problem.png")
    assert page.complaints == []


def test_three_hundred_interfaces_on_a_telephone_and_without_a_script(lab: Lab, page: Browser, pictures: Path) -> None:
    lab.nft(RULESET)
    lab.run("ip -batch -", "".join("link add if%d type bridge\nlink set if%d up\naddr add 10.1.%d.%d/32 dev if%d\n" % (
        each, each, each // 200, each % 200 + 1, each) for each in range(300)))
    netmgr = Netmgr(lab, "interfaces: [{name: 'if*', nftables_zone: lan}]\ndocker: {enabled: false}\n")
    eventually(lambda: len(lab.sets("inet filter", "lan_ips")) == 300)
    netmgr.serve(LISTENS)
    page.size(1200, 900)
    page.open(ADDRESS)
    page.see("document.querySelector('#drawing .node.group')?.textContent.includes('300 interfaces')")
    page.picture(pictures / "three-hundred.png", whole=False)
    page.point_at("#drawing .node.group", click=True)
    page.see("document.querySelectorAll('#drawing .node.interface').length === 300")
    count = "document.querySelectorAll('#drawing %s').length"
    assert page.ask(count % ".edge") == 301 + page.ask(count % ".set")
    lab.run("ip link del if7")
    page.see("document.querySelectorAll('#drawing .node.interface').length === 299")

    page.size(360, 740, mobile=True)
    page.open(ADDRESS)
    page.see("document.querySelector('#drawing .node.group')")
    assert page.ask("document.documentElement.scrollWidth") == 360
    page.picture(pictures / "telephone.png", whole=False)

    page.scripts(False)
    page.open(ADDRESS)
    page.size(1200, 900)
    assert page.ask("document.querySelectorAll('#drawing svg').length") == 0
    text = page.text()
    assert all(each in text for each in ("ready", "if8", "10.1.0.9/32", "inet filter lan_ips", "299", "Happenings"))
    page.picture(pictures / "without-script.png", whole=False)
    assert page.complaints == []
