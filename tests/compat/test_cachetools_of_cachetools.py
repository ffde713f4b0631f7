"""cachetools' own tests, of the version that is installed here, run against ours."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.services.fixtures import suite_of


def test_their_tests_pass() -> None:
    """Every test of cachetools passes against ours, but those that `cachetools_suite.LEFT_OUT` names with a reason."""
    suite = suite_of("cachetools", "tests/")
    child = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("cachetools_suite.py")), str(suite)],
        cwd=suite,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert child.returncode == 0, child.stdout[-4_000:] + child.stderr
    passed = re.search(r"(\d+) passed", child.stdout)
    assert passed is not None, child.stdout
    assert int(passed[1]) > 200
