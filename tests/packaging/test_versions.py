"""The version is one, and the classifiers name the Pythons that the tests are run on."""

import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import hotset

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PYTHONS = {
    tuple(map(int, version.split(".")))
    for classifier in PROJECT["classifiers"]
    if "." in (version := classifier.removeprefix("Programming Language :: Python :: ")) and version[0].isdigit()
}


def test_the_version_is_the_same_everywhere() -> None:
    """The project file, the package and the installed metadata say the same version."""
    assert PROJECT["version"] == hotset.__version__ == importlib.metadata.version("hotset")


def test_the_classifiers_name_this_python() -> None:
    """A Python that the tests are run on is one that the classifiers name."""
    assert sys.version_info[:2] in PYTHONS


def test_the_oldest_python_named_is_the_oldest_allowed() -> None:
    """`requires-python` and the oldest classifier agree."""
    assert PROJECT["requires-python"] == ">={}.{}".format(*min(PYTHONS))


def test_no_extra_allows_what_was_never_run() -> None:
    """The floor of each integration's extra is the oldest version that docs/reference/versions.md says was run."""
    page = (ROOT / "docs/reference/versions.md").read_text(encoding="utf-8")
    oldest = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", page, re.MULTILINE))
    extras = PROJECT["optional-dependencies"]
    floors = {name: re.findall(r">=([\d.]+)", extras[name][0])[0] for name in oldest}
    assert {name for name, floor in floors.items() if not f"{oldest[name]}.".startswith(f"{floor}.")} == set()
    assert set(extras) - set(oldest) == {"all", "cli", "dev", "docs"}
