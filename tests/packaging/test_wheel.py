"""What users install: the wheel, made from the source distribution, works where no checkout is."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
import hotset
loads = []
cache = hotset.Cache()

@cache.cached("square:{n}")
def square(n: int) -> int:
    loads.append(n)
    return n * n

assert [square(7), square(7)] == [49, 49]
print(hotset.__file__, loads)
"""


def run(*command: str | Path, cwd: Path) -> str:
    """What a command that must succeed prints."""
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the source distribution of a copy, so that the checkout stays clean."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    junk = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", copy / "src", ignore=junk)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, cwd=copy)
    assert [file.name for file in out.glob("*.tar.gz")] == [f"{next(out.glob('*.whl')).name.split('-py3')[0]}.tar.gz"]
    return next(out.glob("*.whl"))


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    """Every file of the package is in the wheel, `py.typed` and data too, with the licence; tests are not."""
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    package = ROOT / "src"
    files = {file for file in (package / "hotset").rglob("*") if file.is_file() and "__pycache__" not in file.parts}
    assert held == {file.relative_to(package).as_posix() for file in files}
    assert "hotset/py.typed" in held
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in zipfile.ZipFile(wheel).namelist())


def test_the_wheel_works_where_no_checkout_is(wheel: Path, tmp_path: Path) -> None:
    """In a new environment with the wheel and what it asks for alone, a cached function is loaded once."""
    environment = tmp_path / "venv"
    python = environment / "bin" / "python"
    run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=tmp_path)
    run(sys.executable, "-m", "pip", "--python", python, "install", "-q", wheel, cwd=tmp_path)
    where, loads = run(python, "-I", "-c", PROGRAM, cwd=tmp_path).strip().split(" ", 1)
    assert Path(where).is_relative_to(environment)
    assert loads == "[7]"
