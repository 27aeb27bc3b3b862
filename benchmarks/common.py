"""What every benchmark shares: sections of the report, medians, turns, the machine.

A benchmark is a module with run(quick) -> Section.  What is compared runs side by side, in turns, in the same minute; a figure is the
median of its turns.  Absolute times say more about the machine than about netmgr, so each stands beside a peer's and their ratio.
"""

import os
import platform
import statistics
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

HERE = Path(__file__).parent
PEERS = HERE / ".peers"
VENV = HERE / ".venv" / "bin"
PYTHON, NETMGR = str(VENV / "python"), str(VENV / "netmgr")


class Verdict(NamedTuple):
    """One line of the table of aims.  `at_least`: more is better; otherwise less is."""

    figure: str
    measured: float
    unit: str
    aim: float
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """Whether the aim is met."""
        return self.measured >= self.aim if self.at_least else self.measured <= self.aim


class Section(NamedTuple):
    """What one benchmark found: how it was measured, a table, lines for the table of aims, curves (file name -> SVG)."""

    title: str
    method: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    verdicts: Sequence[Verdict] = ()
    curves: Mapping[str, str] = {}
    notes: str = ""


def turns(count: int, subjects: Mapping[str, Callable[[], float]],
          typical: Callable[[Sequence[float]], float] = statistics.median) -> Dict[str, float]:
    """The median of each subject, or what else is typical, each measured `count` times, in turns."""
    found: Dict[str, List[float]] = {name: [] for name in subjects}
    for _turn in range(count):
        for name, measure in subjects.items():
            found[name].append(measure())
    return {name: typical(figures) for name, figures in found.items()}


def midmean(figures: Sequence[float]) -> float:
    """The mean of the middle half: of figures of two kinds a median would be the one or the other."""
    quarter = len(figures) // 4
    return statistics.mean(sorted(figures)[quarter:len(figures) - quarter])


def quantile(figures: Sequence[float], share: float) -> float:
    """The figure that this share of all figures does not exceed."""
    return sorted(figures)[min(len(figures) - 1, int(len(figures) * share))]


def peer(name: str, *arguments: object) -> List[str]:
    """The command of one of the C programs in peers/."""
    return [str(PEERS / name), *map(str, arguments)]


def python_peer(name: str, *arguments: object) -> List[str]:
    """The command of one of the Python programs in peers/, in the virtual environment that has pyroute2."""
    return [PYTHON, str(HERE / "peers" / (name + ".py")), *map(str, arguments)]


def milliseconds(seconds: float) -> str:
    """For a table: three digits that count."""
    return digits(seconds * 1e3) + " ms"


def microseconds(seconds: float) -> str:
    """For a table: three digits that count."""
    return digits(seconds * 1e6) + " us"


def digits(number: float) -> str:
    """A number with three digits that count, and no exponent."""
    if number >= 100:
        return "%d" % round(number)
    return "%.1f" % number if number >= 10 else "%.2f" % number


def times(ours: float, theirs: float) -> str:
    """Their ratio, for a table."""
    return digits(ours / theirs) + " x"


def machine() -> List[Tuple[str, str]]:
    """What a reader has to know about the computer, and no more."""
    model = next((line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "?")
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / (1 << 20)
    nft = subprocess.run(["nft", "--version"], capture_output=True, text=True, check=False).stdout.split()
    return [
        ("date", date.today().isoformat()),
        ("processor", "%s, %d cores" % (model, os.cpu_count() or 0)),
        ("memory", "%.0f GiB" % memory),
        ("kernel", "Linux " + platform.release().split("-")[0]),
        ("Python", platform.python_version()),
        ("nft", nft[1] if len(nft) > 1 else "?"),
        ("pyroute2", _version_of_pyroute2()),
    ]


def markdown(section: Section) -> str:
    """A section as it stands in the report."""
    lines = ["## " + section.title, "", section.method, ""]
    if section.rows:
        lines += table(section.header, section.rows)
    for name in section.curves:
        lines += ["", "![%s](%s)" % (section.title, name)]
    if section.notes:
        lines += ["", section.notes]
    return "\n".join(lines) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> List[str]:
    """A table in Markdown: the first column to the left, the others to the right."""
    return ["| %s |" % " | ".join(header), "|%s|" % "|".join(["---"] + ["---:"] * (len(header) - 1)),
            *("| %s |" % " | ".join(row) for row in rows)]


def verdict_table(verdicts: Sequence[Verdict]) -> List[str]:
    """The aims, and what became of them."""
    return table(["figure", "measured", "aim", ""], [
        [each.figure, digits(each.measured) + each.unit, ("at least " if each.at_least else "at most ") + digits(each.aim) + each.unit,
         "holds" if each.holds else "**falls short**"] for each in verdicts])


def main(run: Callable[[bool], Section], arguments: Optional[Sequence[str]] = None) -> None:
    """Run one benchmark alone and print its section."""
    section = run("--quick" in (sys.argv[1:] if arguments is None else arguments))
    print(markdown(section))
    print("\n".join(verdict_table(section.verdicts)))


def _version_of_pyroute2() -> str:
    found = subprocess.run([PYTHON, "-c", "from importlib.metadata import version; print(version('pyroute2'))"],
                           capture_output=True, text=True, check=False)
    return found.stdout.strip() or "not there"
