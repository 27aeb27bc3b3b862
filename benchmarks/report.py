"""Runs all benchmarks and writes report.md, with its curves beside it: python -m benchmarks.report [--quick]"""

import importlib
import sys
import time
import traceback
from typing import List

from benchmarks.common import HERE, Section, machine, markdown, table, verdict_table

NAMES = ("start", "latency", "causes", "ranges", "sets", "zones", "parse", "batch", "repair", "commits", "elsewhere", "uplinks", "flaps",
         "storm", "footprint", "containers", "crowd", "readers", "watching", "page", "metrics", "fleet")
TITLE = """# How fast netmgr is

Written by `make bench`. Each figure is the median, unless it says otherwise, of turns in which netmgr and its peers ran side by side, in
private network namespaces on one otherwise idle machine; look at the ratios, for the times are that machine's. The programs are in this
directory.
"""


def main() -> None:
    """Run, print what is found as it is found, write the report."""
    quick = "--quick" in sys.argv[1:]
    sections: List[Section] = []
    failed = []
    begin = time.monotonic()
    for name in NAMES:
        start = time.monotonic()
        try:
            sections.append(importlib.import_module("benchmarks." + name).run(quick))
        except Exception as problem:        # one that fails takes no other with it
            traceback.print_exc()
            sections.append(Section(name, "It failed: %s" % problem, [], []))
            failed.append(name)
        print("%s: %.0f s" % (name, time.monotonic() - start), flush=True)
        print("\n".join(verdict_table(sections[-1].verdicts)[2:]), flush=True)
    print("all: %.0f s" % (time.monotonic() - begin))
    (HERE / ("quick.md" if quick else "report.md")).write_text(_report(sections, quick))
    for section in sections:
        for file, picture in section.curves.items():
            (HERE / (("quick-" if quick else "") + file)).write_text(picture)
    sys.exit("these failed: %s" % ", ".join(failed) if failed else 0)


def _report(sections: List[Section], quick: bool) -> str:
    parts = [TITLE]
    if quick:
        parts.append("This is the short form of `make bench-quick`: fewer sizes, fewer turns, more noise.\n")
    parts.append("\n".join(table(["machine", ""], machine())) + "\n")
    parts.append("## Aims\n\n" + "\n".join(verdict_table([each for section in sections for each in section.verdicts])) + "\n")
    parts += [markdown(section) for section in sections]
    return "\n".join(parts)


if __name__ == "__main__":
    main()
