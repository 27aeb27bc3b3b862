"""The house, read off the source: rooms by what they know.

Files at the root of netmgr/ are programs; io/ moves bytes; every other folder is pure.  FLOORS is the whole rule.
"""

import ast
import importlib.util
import re
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Dict, FrozenSet, Iterator, Set, Tuple

import pytest

PACKAGE = Path(__file__).parent.parent / "netmgr"

FLOORS: Dict[str, FrozenSet[str]] = {room: frozenset(below.split()) for room, below in {
    "values": "",
    "wire": "values",
    "config": "values",
    "model": "values config",
    "sync": "values wire config model",
    "show": "values wire config model sync",
    "web": "values show",
    "io": "values wire config",
    "programs": "values wire config model sync show web io",
}.items()}

# What a pure room may use of the standard library: nothing that opens, waits or tells the time.
PURE = {
    "__future__", "base64", "binascii", "bisect", "codecs", "collections", "difflib", "enum", "errno", "fnmatch", "functools", "heapq",
    "hmac", "html", "ipaddress", "itertools", "json", "math", "operator", "re", "struct", "types", "typing",
}
OPENING = {"open", "print", "input", "exec", "eval", "__import__"}
TEXT_OF_ITS_OWN = {"netmgr.values.named_tuple": {"eval"}}
OTHER_LOOPS = {"asyncio", "concurrent", "multiprocessing", "queue", "sched", "threading"}
AMONG_THREADS = {"netmgr.io.shared_questions": {"threading"}}      # those of http.server, on which `netmgr http` stands
THIRD_PARTY = {"config": {"yaml"}}
COMPILED = "netmgr._nftcodec"       # csrc/: a codec, which is for those who know bytes
MAY_USE_COMPILED = {"wire", "io"}


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


def _room(module: str) -> str:
    """The folder that a module is in; those at the root are the programs."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (PACKAGE / parts[1]).is_dir() else "programs"


def _is_pure(module: str) -> bool:
    return _room(module) not in ("io", "programs")


def _is_standard(name: str) -> bool:
    if name in sys.builtin_module_names:
        return True
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None or "-packages" in spec.origin:
        return False
    return spec.origin == "frozen" or any(spec.origin.startswith(sysconfig.get_path(key)) for key in ("stdlib", "platstdlib"))


def test_every_folder_is_a_room() -> None:
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(FLOORS) - {"programs"}


@MODULES
def test_imports_go_down(module: str) -> None:
    room = _room(module)
    ours = {name for name in IMPORTS[module] if name in TREES and name != "netmgr"}      # netmgr itself is the version
    assert not {name for name in ours if _room(name) not in FLOORS[room] | {room}}
    assert COMPILED not in IMPORTS[module] or room in MAY_USE_COMPILED


@MODULES
def test_pure_rooms_open_nothing(module: str) -> None:
    if not _is_pure(module):
        return
    tops = {name.split(".")[0] for name in IMPORTS[module]} - {"netmgr"}
    assert tops <= PURE | THIRD_PARTY.get(_room(module), set())
    opening = OPENING - TEXT_OF_ITS_OWN.get(module, set())
    calls = [node.lineno for node in ast.walk(TREES[module])
             if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in opening]
    assert not calls, "lines %s" % calls


@MODULES
def test_no_threads_and_no_other_loop(module: str) -> None:
    assert not {name.split(".")[0] for name in IMPORTS[module]} & OTHER_LOOPS - AMONG_THREADS.get(module, set())


@MODULES
def test_nothing_third_party_but_what_is_declared(module: str) -> None:
    foreign = {name.split(".")[0] for name in IMPORTS[module]} - {"netmgr"}
    assert {name for name in foreign if not _is_standard(name)} <= THIRD_PARTY.get(_room(module), set())
    assert {name for name in IMPORTS[module] if name.split(".")[0] == "netmgr"} <= {COMPILED, *TREES}


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
def test_a_module_says_what_it_is(module: str) -> None:
    assert ast.get_docstring(TREES[module])


TESTS = sorted(Path(__file__).parent.rglob("*.py"))
PUBLIC = {"_replace", "_asdict", "_fields", "_make", "_exit"}        # of named tuples and of os, whatever they look like


def _private(path: Path) -> Iterator[str]:
    """What a file reaches into that is another's; what its own classes define is its own."""
    tree = ast.parse(path.read_text(), str(path))
    attributes = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr)]
    own = {node.attr for node in attributes if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")}
    own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    yield from ("%s:%d: %s" % (path.name, node.lineno, node.attr) for node in attributes if node.attr not in own | PUBLIC)


def test_tests_reach_into_nothing_private() -> None:
    assert [found for path in TESTS for found in _private(path)] == []


def test_what_every_test_loads_takes_no_compiled_part() -> None:
    script = "import sys; sys.modules[%r] = None; import tests.conftest, netmgr.model.model, netmgr.config.reader, netmgr.cli" % COMPILED
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=PACKAGE.parent, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@MODULES
def test_types_are_no_text(module: str) -> None:
    """A string within a type or as a field's is compiled when the module is loaded, and the first one takes 200 kB for good."""
    typing = {alias.asname or alias.name for node in ast.walk(TREES[module])
              if isinstance(node, ast.ImportFrom) and node.module == "typing" for alias in node.names} - {"Literal"}
    inner = [node.slice for node in ast.walk(TREES[module])
             if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in typing]
    fields = [node.annotation for each in ast.walk(TREES[module]) if isinstance(each, ast.ClassDef)
              for node in each.body if isinstance(node, ast.AnnAssign)]
    texts = [node.lineno for each in inner + fields for node in ast.walk(each)
             if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert not texts, "lines %s" % texts
