"""Other projects' own tests, of the very version that is installed: they are in its source distribution only.

Fetched from PyPI once an environment, into the environment itself (`share/hotset-tests`), so that `make clean` removes
them with it.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any


class NotFetched(Exception):
    """It is not here, and could not be brought; says why."""


def source(project: str, part: str) -> Path:
    """Return the folder of a project's source distribution, in which this part of it is, and nothing else."""
    version = importlib.metadata.version(project)
    folder = Path(sys.prefix, "share", "hotset-tests", f"{project}-{version}")
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as place:
            archive = _download(project, version, Path(place))
            with tarfile.open(archive) as opened:
                wanted = [each for each in opened.getmembers() if f"{each.name}/".partition("/")[2].startswith(part)]
                safely: Any = (
                    {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
                )  # Debian 12's Python has none
                opened.extractall(place, wanted, **safely)
            archive.unlink()
            shutil.move(next(Path(place).iterdir()), folder)
    return folder


def _download(project: str, version: str, place: Path) -> Path:
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
        *("--no-binary", ":all:", "--no-build-isolation", "--dest", str(place), f"{project}=={version}"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    found = list(place.glob("*.tar.gz"))
    if done.returncode or not found:
        said = (done.stderr or done.stdout).strip().splitlines() or ["pip said nothing"]
        raise NotFetched(f"pip download {project}=={version} failed: {said[-1]}")
    return found[0]
