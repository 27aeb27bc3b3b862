"""What the pages show is right as far as that can be seen without the kernel; tests/kernel and tests/system do the rest."""

import re
import subprocess
import xml.etree.ElementTree
from pathlib import Path
from typing import Iterator, List

import pytest

from netmgr import __version__, cli
from netmgr.config import reader
from netmgr.show.command_line import parse
from tests.documents import PAGES, ROOT, Block, blocks, noted

HOMEPAGE = "https://netmgr.example/"       # stands in pyproject.toml alone, and is taken from there
BARE, HERE, EMBEDDED = "tests/system/test_bare.py", "tests/kernel/test_documents.py", "tests/system/test_embedded.py"
RUN_BY = {      # which shell blocks are run as they stand, and where
    "README.md": {"make demo": BARE, "make deb": BARE, "python3 -m venv": BARE, "netmgr check": HERE},
    "CONTRIBUTING.md": {"make demo": BARE},
    "docs/small-systems.md": {"pip install --no-deps": EMBEDDED, "install -m 755": EMBEDDED},
    "docs/troubles.md": {"ip link add trouble0": HERE, "netmgr version": HERE, "nft -f -": HERE,
                         "journalctl": "tests/system/test_service.py"},
    "pkg-files/doc/migration.md": {"ip monitor address": "shown as what not to do"},
}
pages = pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_configurations_are_valid(block: Block) -> None:
    reader.parse(block.text, str(block))


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_shell_commands_are_such(block: Block) -> None:
    assert subprocess.run(["sh", "-n"], input=block.text, text=True, capture_output=True, check=False).returncode == 0
    for words in _commands(block):
        if words[0] == "make":
            assert re.search(r"^%s\b.*:" % re.escape(words[1]), (ROOT / "Makefile").read_text(), re.MULTILINE), words
        if words[0] == "netmgr":
            parse(words[1:], cli.COMMANDS)


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_shell_blocks_are_run_somewhere(block: Block) -> None:
    places = [place for start, place in RUN_BY.get(str(block.page.relative_to(ROOT)), {}).items() if block.text.startswith(start)]
    assert places or block.note == "not tested", "who runs %s?" % str(block)
    assert all((ROOT / place).exists() for place in places if place.startswith("tests/"))


def test_no_block_without_a_language() -> None:
    assert {block.language for block in blocks("")} == set()


@pages
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"(?:\]\(|src=\"|srcset=\")([^)\"]+)", page.read_text()):
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor and there.suffix == ".md":
            assert anchor in _anchors(there), target


@pages
def test_files_that_are_named_exist(page: Path) -> None:
    for name in re.findall(r"`((?:pkg-files|docs|tests|netmgr|csrc|benchmarks)/[\w./-]*)`", page.read_text()):
        assert (ROOT / name).exists(), name


def test_the_picture_is_the_same_in_light_and_dark() -> None:
    light, dark = ((ROOT / "docs" / ("picture-%s.svg" % kind)).read_text() for kind in ("light", "dark"))
    xml.etree.ElementTree.fromstring(light)
    assert light != dark
    assert re.sub(r"#[0-9a-f]{6}", "", light) == re.sub(r"#[0-9a-f]{6}", "", dark)


def test_the_home_page_is_said_once() -> None:
    tracked = [path for pattern in ("*.toml", "*.md", "pkg-files/**/*", "netmgr/**/*.py") for path in ROOT.glob(pattern) if path.is_file()]
    assert [path.name for path in tracked if HOMEPAGE in path.read_text(errors="replace")] == ["pyproject.toml"]


@pytest.mark.parametrize("name", ["netmgr.8", "netmgr.yaml.5"])
def test_manual_pages_have_short_lines(name: str) -> None:
    assert [line for line in (ROOT / "pkg-files/man" / name).read_text().splitlines() if len(line) > 80] == []


def test_the_run_beside_networkd_has_the_events_that_the_readme_shows() -> None:
    program = (ROOT / "tests/system/test_networkd.py").read_text()
    rows = noted("printed by tests/system/test_networkd.py").splitlines()
    events = [re.split(r" {2,}", row)[0] for row in rows[1:-1]]
    assert events == re.findall(r'^    after\("([^"]*)"', program, re.MULTILINE)
    assert len(events) == 19 and rows[-1].endswith("netmgr's after 0")
    assert rows[-1].startswith("of 19 events: networkd's sets were wrong after %d," % sum(" WRONG " in row for row in rows))


@pytest.mark.parametrize("file, variables", [
    ("pkg-files/alpine/APKBUILD", ["pkgver", "url"]), ("pkg-files/openwrt/Makefile", ["PKG_VERSION"])])
def test_recipes_take_what_the_sources_say(file: str, variables: List[str]) -> None:
    directory = (ROOT / file).parent
    if file.endswith("APKBUILD"):
        command = ["sh", "-euc", ". ./APKBUILD; for each in %s; do eval echo \\$$each; done" % " ".join(variables)]
    else:
        command = ["make", "-s", "--no-print-directory", "-f", "-", "INCLUDE_DIR=/dev/null/..", "TOPDIR=/nowhere"]
    text = "".join(line for line in (ROOT / file).read_text().splitlines(True) if not line.startswith(("include", "$(eval")))
    text += "all:\n\t@echo $(PKG_VERSION)\n"
    done = subprocess.run(command, cwd=directory, input=text, capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout.split()) == ("", [__version__, HOMEPAGE][:len(variables)])


def _commands(block: Block) -> Iterator[List[str]]:
    for part in re.split(r"&&|;|\|", re.sub(r"'[^']*'|\"[^\"]*\"|#[^\n]*", "", block.text).replace("\n", ";")):
        if part.split():
            yield part.split()


def _anchors(page: Path) -> List[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
