"""Django's transactions on PostgreSQL, where many are open at once: READ COMMITTED beside REPEATABLE READ."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integrations.processes.program import ROOT
from tests.services.fixtures import leave_out
from tests.services.postgres import Postgres, programs
from tests.services.servers import Server

SECONDS = 45
PROCESSES = 4


@pytest.mark.soak
def test_what_is_committed_is_never_read_older_and_what_is_not_is_never_read(
    redis_server: Server, tmp_path: Path
) -> None:
    """By 16 threads of 4 processes, which change and read five accounts, near and in the store, in blocks and outside.

    Whoever has written reads what he wrote; savepoints and blocks are rolled back, transactions refused.
    """
    if programs() is None or importlib.util.find_spec("psycopg") is None:
        leave_out("PostgreSQL server")
    page = tmp_path / "known"
    page.write_bytes(bytes(1 << 16))
    with Postgres() as server:
        words = [sys.executable, "-m", "tests.integrations.django.ledger"]
        env = {**os.environ, "LEDGER_POSTGRES": str(server.folder), "LEDGER_REDIS": redis_server.url}
        subprocess.run([*words, "prepare"], check=True, cwd=ROOT, env=env)
        walks = [
            subprocess.Popen(
                [*words, str(page), str(number), str(SECONDS)],
                cwd=ROOT, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
            for number in range(PROCESSES)
        ]  # fmt: skip
        said = [walk.communicate(timeout=SECONDS + 60) for walk in walks]
    assert [error for _, error in said if error] == []
    reads, commits = (sum(column) for column in zip(*(map(int, out.split()) for out, _ in said), strict=True))
    assert reads > 1_000 * SECONDS // 10
    assert commits > 100 * SECONDS // 10
