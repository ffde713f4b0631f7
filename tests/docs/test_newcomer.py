"""The newcomer's path: from `pip install` to the first hit that two processes share, as each framework's guide has it.

make soak ARGS="tests/docs/test_newcomer.py"     prints commands and seconds, for the table in docs/guides/index.md
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.docs.blocks import ROOT
from tests.docs.page import Run

FIRST_HITS = {
    "fastapi": "$ curl -si localhost:8001/users/7",
    "django": '$ python -m django shell -v 0 --settings shop.settings -c "from django.core.cache import cache; print(',
    "flask": "$ grep asks log",
    "celery": "$ python ask.py",
}
"""For each guide the command whose output shows it: one process has loaded, another answers."""


class Reached(Exception):
    """The first shared hit was seen."""


class Newcomer(Run):
    """Runs a guide's files and commands in an environment that has what the guide installs, and nothing else."""

    def prepare(self, wheel: Path) -> None:
        """Make the environment, empty."""
        self.wheel = wheel
        self.commands = 0
        self.environment = self.directory / "venv"
        subprocess.run([sys.executable, "-m", "venv", self.environment], check=True)

    def _command(self, command: str, shown: str, line: int) -> None:
        self.commands += 1
        if command.startswith("pip install"):
            mine = re.sub(r"\bhotset(\[[\w,]+\])", rf"{self.wheel}\1", command)
            subprocess.run(
                f"{self.environment}/bin/python -m {mine} -q --disable-pip-version-check", shell=True, check=True
            )
            return
        super()._command(command, shown, line)
        if f"$ {command}".startswith(FIRST_HITS[self.page.stem]):
            raise Reached

    def _environment(self) -> dict[str, str]:
        found = super()._environment()
        return {**found, "PATH": f"{self.environment}/bin:{found['PATH']}"}

    def _ask(self, do: str, text: str, line: int) -> None:
        """Its Python is in files, which commands run."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What would be downloaded: the wheel of this checkout."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    subprocess.run([sys.executable, "-m", "build", "-w", "--no-isolation", "--outdir", out], cwd=source, check=True)
    return next(out.glob("*.whl"))


@pytest.mark.soak
@pytest.mark.parametrize("guide", FIRST_HITS)
def test_the_first_shared_hit_is_a_few_commands_away(
    guide: str, wheel: Path, redis_server: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a new environment, with what the guide installs and nothing else."""
    path = Newcomer(ROOT / f"docs/guides/{guide}.md", tmp_path / "run", redis_server.port)
    path.prepare(wheel)
    began = time.monotonic()
    with pytest.raises(Reached):
        path.all()
    with capsys.disabled():
        sys.stdout.write(f"\n  {guide}: {path.commands} commands, {time.monotonic() - began:.0f} s\n")
    assert path.commands <= 8
