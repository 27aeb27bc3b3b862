"""The boundary of the design, read off the source: pure modules at the root, descriptors and clocks under io/, imports one way."""

import ast
import importlib.util
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Dict, FrozenSet, Iterator, List, Set, Tuple, Union

import pytest

PACKAGE = Path(__file__).parent.parent / "netmgr"

EDGE_MODULES = {"netmgr.daemon", "netmgr.cli", "netmgr.__main__", "netmgr.demo", "netmgr.check_and_diff"}
EDGE_IMPORTS = {"fcntl", "os", "pathlib", "select", "selectors", "shutil", "signal", "socket", "subprocess", "tempfile", "time"}
NOWHERE = {"asyncio", "concurrent", "multiprocessing", "queue", "sched", "socketserver", "threading"}
THIRD_PARTY = {"yaml"}
LONGEST_FUNCTION = 45

Function = Union[ast.FunctionDef, ast.AsyncFunctionDef]


def _name(path: Path) -> str:
    parts = ("netmgr", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


TREES: Dict[str, ast.Module] = {_name(path): ast.parse(path.read_text(), str(path)) for path in sorted(PACKAGE.rglob("*.py"))}
MODULES = pytest.mark.parametrize("module", sorted(TREES))


def _imported(module: str) -> Iterator[str]:
    """Every module that is imported anywhere in this one, also inside functions."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module is not None, "%s:%d: relative import" % (module, node.lineno)
            below = ["%s.%s" % (node.module, alias.name) for alias in node.names]
            known = [name for name in below if name in TREES]
            yield from known if known else [node.module]


IMPORTS: Dict[str, FrozenSet[str]] = {module: frozenset(_imported(module)) for module in TREES}


def _is_edge(module: str) -> bool:
    """Programs, at the root, and what moves bytes."""
    return module != "netmgr" and module.split(".")[1] not in ("values", "wire", "config", "model", "sync", "show")


def _functions(module: str) -> List[Function]:
    return [node for node in ast.walk(TREES[module]) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def _is_standard(name: str) -> bool:
    if name in sys.builtin_module_names:
        return True
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None or "-packages" in spec.origin:
        return False
    return spec.origin == "frozen" or any(spec.origin.startswith(sysconfig.get_path(key)) for key in ("stdlib", "platstdlib"))


@MODULES
def test_only_the_edge_touches_the_outside(module: str) -> None:
    if _is_edge(module):
        return
    tops = {name.split(".")[0] for name in IMPORTS[module]}
    assert not tops & EDGE_IMPORTS
    assert not [name for name in IMPORTS[module] if _is_edge(name)]
    opened = [node.lineno for node in ast.walk(TREES[module])
              if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("open", "print", "input")]
    assert not opened, "lines %s" % opened


@MODULES
def test_no_threads_and_no_other_loop(module: str) -> None:
    assert not {name.split(".")[0] for name in IMPORTS[module]} & NOWHERE


@MODULES
def test_nothing_third_party_but_what_is_declared(module: str) -> None:
    foreign = {name.split(".")[0] for name in IMPORTS[module] if not name.startswith("netmgr")}
    assert {name for name in foreign if not _is_standard(name)} <= THIRD_PARTY
    assert {name for name in IMPORTS[module] if name.startswith("netmgr")} <= {"netmgr", "netmgr._nftcodec", *TREES}


def test_imports_have_no_circle() -> None:
    def visit(module: str, path: Tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path, module])
        if module not in done:
            for imported in sorted(IMPORTS[module] & set(TREES)):
                visit(imported, (*path, module))
            done.add(module)

    done: Set[str] = set()
    for module in TREES:
        visit(module, ())


@MODULES
def test_imports_alone(module: str) -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", "import " + module], capture_output=True, text=True, cwd=PACKAGE.parent,
                          check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@MODULES
def test_functions_are_short(module: str) -> None:
    lengths = {"%s:%d %s" % (module, each.lineno, each.name): (each.end_lineno or 0) - each.lineno + 1 for each in _functions(module)}
    assert not {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION}


@MODULES
def test_a_module_says_what_it_is(module: str) -> None:
    assert ast.get_docstring(TREES[module])
