"""Names that break what writes them down carelessly."""

import random
from typing import List

LETTERS = [chr(code) for code in range(0x20, 0x7F)] + ["\\", '"', "ä", "漢", "\x1b", "\u202e", "&", "<", ">", "\\N", "😀"]

HOSTILE = [
    "plain", "end", "graph", "subgraph", "class", "click", "default", "style", "node", "edge", "strict", "x", "o", "--> x", "n1",
    "1. one", "- item", "+ item", "* item", "# head", "> quote", "1) one", "`code`", "*strong*", "**strong**", "_emphasis_", "__strong__",
    "~~gone~~", "$$x^2$$", "[link](http://x)", "![image](http://x)", "http://example.org/?a=b&c=d", "www.example.org", "<b>bold</b>",
    "<br>", "<br/>", "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "&lt;", "&amp;amp;", "#60;", "#quot;", "#35;60;", "\"",
    "'", "\\\"", "\\", "\\\\", "\\n", "\\N", "\\G", "\\l", "a\\", "a;b", "a%%b", "%% comment", "%%{init: {}}%%", "{", "}", "{{x}}", "[",
    "]", "(", ")", "((x))", "|", "a|b", "@{ shape: cyl }", ":::wrong", "a:::b", "a&b", "fa:fa-car", "a  b", " lead", "trail ",
    "tab\there", "two\nlines", "\u001b[31mred", "\u202eright", "ünïcödé", "漢字", "עברית", "😀", "é", "\udcff", "\u200b", "x" * 300,
]


def random_names(count: int) -> List[str]:
    """The same ones each time."""
    generator = random.Random(17)
    return ["".join(generator.choices(LETTERS, k=12)) for _each in range(count)]
