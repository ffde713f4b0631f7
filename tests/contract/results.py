"""Writes what the tests show of the contract, row by row: `pytest -p tests.contract.results --contract-results=FILE`.

A test shows the rows that its name begins with (`test_w4_…`), those that the guard which it is named after keeps
(`tests/model`), and those of its mark (`@pytest.mark.shows("W6")`). A figure is a property of the test:
`record_property("W4 p99, ms", 0.4)`.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import re
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.model.guards import GUARDS
from tests.services import installed

ROOT = Path(__file__).parents[2]
DEFINITION = ROOT / "docs/concepts/contract.toml"

_BY_NAME = re.compile(r"test_((?:w\d+h?_)+)")
_FIGURE = re.compile(r"(W\d+h?) (.+), ([^,]+)")


def rows() -> list[str]:
    """The rows that there are, in their order."""
    return [row["id"] for row in tomllib.loads(DEFINITION.read_text(encoding="utf-8"))["row"]]


def rows_of(name: str, marked: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The rows that a test of this name shows, and those that its mark adds."""
    found = _BY_NAME.match(name)
    if found:
        return (*(part.upper().replace("H", "h") for part in found[1].strip("_").split("_")), *marked)
    guard = GUARDS.get(name.partition("[")[0].removeprefix("test_").removesuffix("_matters"))
    return (*(re.findall(r"W\d+h?", guard.rows) if guard else ()), *marked)


class Results:
    """Counts of each row while the tests run."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._load = os.getloadavg()[0]
        """What the machine had to do before the run."""
        self._rows_of: dict[str, tuple[str, ...]] = {}
        self.rows: dict[str, dict[str, Any]] = {
            row: {"passed": 0, "failed": 0, "skipped": 0, "tests": [], "figures": {}} for row in rows()
        }

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Find out which test shows what."""
        for item in items:
            mark = item.get_closest_marker("shows")
            self._rows_of[item.nodeid] = rows_of(item.name, mark.args if mark else ())

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test's outcome, and keep its figures if it passed."""
        shown = self._rows_of.get(report.nodeid, ())
        if report.when != "call" and report.outcome == "passed":
            return
        for row in shown:
            result = self.rows[row]
            result[report.outcome] += 1
            name = report.nodeid.partition("[")[0]
            result["tests"] = sorted({*result["tests"], name})
        if report.outcome == "passed":
            for name, figure in report.user_properties:
                self._keep(name, figure)

    def _keep(self, name: str, figure: object) -> None:
        found = _FIGURE.fullmatch(name)
        if found and found[1] in self.rows:
            figures: dict[str, str] = self.rows[found[1]]["figures"]
            said = f"{figure} {found[3]}"
            figures[found[2]] = max(said, figures.get(found[2], said), key=_number)

    def pytest_sessionfinish(self) -> None:
        """Write the file."""
        found = {"date": f"{dt.datetime.now(dt.UTC):%Y-%m-%d}", "machine": f"{_machine()}, load {self._load:.1f}"}
        whole = {**found, "versions": _versions(), "rows": self.rows}
        self._file.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the file."""
    parser.addoption("--contract-results", type=Path, help="write what each row of the contract's tests shows")


def pytest_configure(config: pytest.Config) -> None:
    """Listen, if a file is named."""
    if file := config.getoption("--contract-results"):
        config.pluginmanager.register(Results(file), "contract-results")


def _number(figure: str) -> float:
    """What a figure is by size: of several runs of one test the worst is kept."""
    return float(figure.split(maxsplit=1)[0].replace(",", ""))


def _machine() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", info.read_text()) if info.exists() else None
    return f"{os.cpu_count()} cores, {found[1].strip() if found else platform.machine()}, {platform.system()}"


def _versions() -> dict[str, str]:
    servers = {kind: installed.program(kind) for kind in installed.KINDS}
    return {
        "hotset": version("hotset"),
        platform.python_implementation(): platform.python_version(),
        "redis-py": version("redis"),
        **{f"{kind}-server": ".".join(map(str, installed.version(path))) for kind, path in servers.items() if path},
    }
