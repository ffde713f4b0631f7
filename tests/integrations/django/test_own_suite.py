"""Django's own tests of its caches, over hotset: sync and async, the process tier alone and over Redis."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.services.servers import Server

ROOT = Path(__file__).parents[3]


@pytest.mark.timeout(120)
def test_djangos_own_tests_of_caches_pass(own_tests: Path, redis_server: Server) -> None:
    """All of `BaseCacheTests` but those in the table of `own_suite`, for five backends; and what stands on a cache."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.integrations.django.own_suite", str(own_tests), redis_server.url],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    said = done.stdout.strip().splitlines()
    assert said, done.stderr
    assert said[-1].startswith('{"ran"'), done.stdout + done.stderr
    outcome = json.loads(said[-1])
    assert outcome["problems"] == []
    assert done.returncode == 0
    assert outcome["ran"] == outcome["expected"] > 280  # 299 in Django 4.2
    assert [test.rpartition(".")[2] for test, _ in outcome["skipped"]] == ["test_cull_delete_when_store_empty"]
