"""What people slip on in YAML, in words for them: a tab, and * ! @ % at the beginning of a text without quotes."""

from __future__ import annotations

import re
from typing import Any, Optional

from netmgr.values.text import printable

_BREAK = "\r\n|[\n\r\x85\u2028\u2029]"      # the line breaks of YAML 1.1
_WORD = re.compile(r"[^\s,\[\]{}]*")


def sentence(text: str, error: Any) -> Optional[str]:
    """What to do about this yaml.MarkedYAMLError, if it comes of such a slip."""
    complaint = "%s, %s" % (error.context, error.problem)
    if "tab" in complaint or "start any token" in complaint:
        first = _word_at(text, error.problem_mark)[:1]
        return "a tab stands here; YAML indents with spaces" if first in ("", "\t") else needs_quotes(_word_at(text, error.problem_mark))
    if "alias" in complaint:
        return needs_quotes(_word_at(text, error.context_mark or error.problem_mark))
    return None


def needs_quotes(word: str) -> str:
    """How to write a text that begins with a sign of YAML's own."""
    return 'text that begins with %s needs quotes: "%s"' % (word[:1], printable(word))


def _word_at(text: str, mark: Any) -> str:
    line = re.split(_BREAK, text)[mark.line:mark.line + 1]
    found = _WORD.match(line[0], mark.column) if line else None
    return found.group() if found else ""
