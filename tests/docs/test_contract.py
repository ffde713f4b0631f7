"""The contract's table: its rows, its results, and that a row which no test shows says so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contract.results import rows, rows_of
from tests.docs.blocks import ROOT
from tools import pages

RESULTS: dict[str, Any] = json.loads(pages.RESULTS.read_text(encoding="utf-8"))


def test_the_results_have_the_rows_of_the_definition() -> None:
    """In the same order, none more and none less."""
    assert list(RESULTS["rows"]) == rows()


def test_every_test_that_the_results_name_exists() -> None:
    """A test that was renamed or taken out no longer counts: run `make contract`."""
    named = {name for row in RESULTS["rows"].values() for name in row["tests"]}
    gone = [name for name in named if not _exists(*name.split("::"))]
    assert gone == []


def _exists(file: str, function: str) -> bool:
    path = ROOT / file
    return path.exists() and re.search(rf"^(async )?def {function}\(", path.read_text(), re.MULTILINE) is not None


def test_every_row_is_on_the_page() -> None:
    """With its results, and with the day and the machine of the run."""
    table = pages.contract()
    assert re.findall(r"^\| \*\*(\w+)\*\* ", table, re.MULTILINE) == rows()
    assert RESULTS["date"] in table
    assert RESULTS["machine"] in table


@pytest.mark.parametrize(
    "passed, failed, shown",
    [(0, 0, "not shown"), (3, 1, "not shown"), (3, 0, "3 tests<br>p99: 0.40 ms"), (1, 0, "1 test<br>p99: 0.40 ms")],
)
def test_a_row_without_a_passing_test_says_so(passed: int, failed: int, shown: str) -> None:
    """And one of which a test fails."""
    result = {"passed": passed, "failed": failed, "skipped": 5, "tests": [], "figures": {"p99": "0.40 ms"}}
    assert pages.shown(result) == shown


@pytest.mark.parametrize(
    "name, marked, found",
    [
        ("test_w4_a_copy_goes", (), ("W4",)),
        ("test_w4h_a_counter[x]", (), ("W4h",)),
        ("test_w1_w2_both", ("W6",), ("W1", "W2", "W6")),
        ("test_fill_is_cas[redis]", (), ("W1", "W14")),
        ("test_fill_is_cas_matters", (), ("W1", "W14")),
        ("test_something", (), ()),
        ("test_something", ("W15",), ("W15",)),
    ],
)
def test_a_test_shows_the_rows_of_its_name_its_guard_and_its_mark(
    name: str, marked: tuple[str, ...], found: tuple[str, ...]
) -> None:
    """And no others."""
    assert rows_of(name, marked) == found


def test_outcomes_and_figures_are_written(tmp_path: Path) -> None:
    """Of several runs the worst figure is kept; a test that failed gives none."""
    (tmp_path / "test_rows.py").write_text(
        "import pytest\n"
        "@pytest.mark.parametrize('ms', ['0.00', '12.00', '3.00'])\n"
        "def test_w4_delay(ms, record_property):\n"
        "    record_property('W4 p99, ms', ms)\n"
        "def test_w15_at_once(record_property):\n"
        "    record_property('W15 served, ms', 0)\n"
        "@pytest.mark.shows('W6')\n"
        "def test_marked(record_property):\n"
        "    record_property('W6 took, s', 1)\n"
        "    assert False\n"
        "@pytest.mark.skip\n"
        "def test_w5_skipped(): pass\n"
    )
    written = tmp_path / "results.json"
    options = ["-p", "tests.contract.results", f"--contract-results={written}", "-p", "no:randomly", "-q"]
    config = ["-c", "/dev/null", "--rootdir", str(tmp_path), "-W", "ignore", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *options, *config, str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    found = json.loads(written.read_text())["rows"]
    assert found["W4"] == {
        "passed": 3,
        "failed": 0,
        "skipped": 0,
        "tests": ["test_rows.py::test_w4_delay"],
        "figures": {"p99": "12.00 ms"},
    }
    assert found["W15"]["figures"] == {"served": "0 ms"}
    assert (found["W6"]["failed"], found["W6"]["figures"]) == (1, {})
    assert (found["W5"]["passed"], found["W5"]["skipped"]) == (0, 1)
    assert found["W19"]["tests"] == []
