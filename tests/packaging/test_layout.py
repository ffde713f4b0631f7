"""The house rules that import-linter can't see: where threads start, who uses the front door, how long a file is."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "hotset"
FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = {path.stem for path in PACKAGE.iterdir()}
DOORS = {"cli", "compat", "integrations", "testing"}
MAY_START_THREADS = DOORS | {"ports", "stores"}
THREAD_STARTERS = {"Thread", "Timer", "ThreadPoolExecutor", "start_new_thread", "to_thread", "run_in_executor"}


def room_of(file: Path) -> str:
    """The part of the package that a file is in: its folder, or its own name if it lies at the top."""
    return file.relative_to(PACKAGE).parts[0].removesuffix(".py")


def thread_starters(tree: ast.AST) -> Iterator[str]:
    """The names in a module that start threads, with their lines."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name) if name in THREAD_STARTERS:
                yield f"{getattr(node, 'lineno', '?')}: {name}"
            case _:
                pass


def front_door_imports(tree: ast.AST) -> Iterator[str]:
    """The imports in a module that go through `hotset` itself rather than the module that has the name."""
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module="hotset", names=names, lineno=line) if {a.name for a in names} - ROOMS:
                yield f"{line}: from hotset import"
            case ast.Import(names=names, lineno=line) if any(alias.name == "hotset" for alias in names):
                yield f"{line}: import hotset"
            case _:
                pass


def offences(rule: str, rooms_allowed: set[str]) -> list[str]:
    """Where the package breaks a rule, outside the rooms that may."""
    find = {"threads": thread_starters, "front door": front_door_imports}[rule]
    judged = [file for file in FILES if room_of(file) not in rooms_allowed]
    trees = ((file, ast.parse(file.read_text(encoding="utf-8"))) for file in judged)
    return [f"{file.relative_to(ROOT)}:{offence}" for file, tree in trees for offence in find(tree)]


def test_threads_start_only_in_ports_stores_and_doors() -> None:
    """Locks may be used anywhere, but a thread is started only by the ports, the stores' clients and the doors."""
    assert offences("threads", MAY_START_THREADS) == []


def test_nobody_below_the_doors_imports_the_front_door() -> None:
    """Modules name the module that they need: `from hotset import …` would go up through every layer."""
    assert offences("front door", DOORS) == []


@pytest.mark.parametrize(
    "source",
    ["import threading\nthreading.Thread(target=f)", "from threading import Timer", "loop.run_in_executor(None, f)"],
)
def test_the_thread_check_sees_an_offence(source: str) -> None:
    """The check itself is able to see a thread being started, however it is written."""
    assert list(thread_starters(ast.parse(source)))


@pytest.mark.parametrize(
    "source", ["import hotset", "from hotset import Cache", "def f():\n    from hotset import Cache"]
)
def test_the_front_door_check_sees_an_offence(source: str) -> None:
    """The check itself is able to see the front door used, late imports included."""
    assert list(front_door_imports(ast.parse(source)))


def check_size(root: Path) -> subprocess.CompletedProcess[str]:
    """A run of the gate over a tree."""
    script = ROOT / "tools" / "check_size.py"
    return subprocess.run([sys.executable, script, root], capture_output=True, text=True, timeout=30, check=False)


def test_no_hand_written_file_is_over_400_lines() -> None:
    """Every file of source, tests, benchmarks, examples and tools has at most 400 lines."""
    assert check_size(ROOT).stdout == ""


@pytest.mark.parametrize("lines, refused", [(400, False), (401, True)])
def test_the_size_check_sees_an_offence(tmp_path: Path, lines: int, refused: bool) -> None:
    """The gate lets 400 lines pass and refuses 401, naming the file."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "long.py").write_text("x = 1\n" * lines, encoding="utf-8")
    run = check_size(tmp_path)
    assert (run.returncode != 0, "long.py: 401 lines" in run.stdout) == (refused, refused)
