"""The version is one, and the classifiers name the Pythons that the tests are run on."""

import importlib.metadata
import sys
import tomllib
from pathlib import Path
from typing import Any

import hotset

PROJECT: dict[str, Any] = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
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
