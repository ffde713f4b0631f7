"""What a run says and does about servers that its machine does not have."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

ONE = """
def test_one(redis_server):
    assert redis_server.cli("PING") == b"PONG"

def test_other(valkey_server):
    assert valkey_server.cli("PING") == b"PONG"
"""


@pytest.mark.parametrize("ci", ["", "true"])
def test_a_missing_server_is_left_out_loudly_or_fails_under_ci(tmp_path: Path, ci: str) -> None:
    """The tests of the other one run; the end of the run says what did not."""
    (tmp_path / "test_one.py").write_text(ONE)
    empty = tmp_path / "bin"
    empty.mkdir()
    child = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "tests.services.fixtures",
            "-p",
            "no:cacheprovider",
            "-ra",
            str(tmp_path),
        ],
        cwd=ROOT,
        env={**os.environ, "PATH": str(empty), "CI": ci, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    if ci:
        assert child.returncode == 1
        assert "no redis server on this machine, and CI is set" in child.stdout
        assert "1 passed, 1 error" in child.stdout
    else:
        assert child.returncode == 0
        assert "LEFT OUT" in child.stdout
        assert "Tests not run: 1. There is no redis server here:" in child.stdout
        assert "1 passed, 1 skipped" in child.stdout
        assert child.stdout.rindex("LEFT OUT") > child.stdout.rindex("test_one.py"), "it is said last"
