"""The project's documents, as tests see them: pages, and the blocks that they show."""

import re
from pathlib import Path
from typing import Iterator, List, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md")),
         ROOT / "pkg-files/doc/migration.md")

_BLOCK = re.compile(r"(?:^<!-- (?P<note>[^\n]*) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """Something between fences, with the remark that stands before it in the source."""

    page: Path
    line: int
    language: str
    note: str
    text: str

    def __str__(self) -> str:
        return "%s:%d" % (self.page.relative_to(ROOT), self.line)


def blocks(*languages: str) -> List[Block]:
    """All of these languages, of all pages."""
    return [block for page in PAGES for block in _blocks_of(page) if block.language in languages]


def noted(note: str) -> str:
    """The text of the one block with this remark in the README."""
    (found,) = [block.text for block in _blocks_of(ROOT / "README.md") if block.note == note]
    return found


def _blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text()
    for match in _BLOCK.finditer(text):
        yield Block(page, text.count("\n", 0, match.start()) + 1, match["language"], match["note"] or "", match["text"])
