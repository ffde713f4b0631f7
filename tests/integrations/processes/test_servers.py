"""gunicorn and uvicorn with several workers: the cache used before the fork, a worker killed, all reloaded."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.integrations.processes.program import Program, until
from tests.integrations.processes.traffic import Traffic
from tests.services.fixtures import OwnServer
from tests.services.ports import free_port

HEARTBEAT = 0.5
"""Seconds that an ending may take to reach a copy near in another process, at the worst: as the shop has it."""


@contextmanager
def _served(own_server: OwnServer, port: int, *words: str, **env: str) -> Iterator[tuple[Program, Traffic]]:
    server = own_server()
    env = {"SHOP_SERVER": server.url.rpartition("/")[0], **env}
    with Program(*words, env=env) as program:
        traffic = Traffic(port, HEARTBEAT)
        try:
            program.until(lambda: traffic.reads > 0)
            yield program, traffic
        finally:
            traffic.stop()


@pytest.mark.parametrize("kind", ["sync", pytest.param("gthread", marks=pytest.mark.soak)])
def test_gunicorn_with_preload_serves_nothing_that_was_ended(own_server: OwnServer, kind: str) -> None:
    """Four workers of a master that has used the cache: 1,000 checked reads, one worker killed, then a reload."""
    port = free_port()
    words = ("gunicorn", "--preload", "-w", "4", "-k", kind, "--threads", "4" if kind == "gthread" else "1")
    app = ("-b", f"127.0.0.1:{port}", "tests.integrations.processes.shop:application", "--no-control-socket")
    with _served(own_server, port, *words, *app, SHOP_PRELOAD="1") as (program, traffic):
        program.until(lambda: traffic.reads >= 300 and len(traffic.processes) == 4)
        first = set(program.children)
        victim = min(first)
        os.kill(victim, signal.SIGKILL)
        program.until(lambda: len(set(program.children) - {victim}) == 4)
        program.until(lambda: traffic.reads >= 700 and set(program.children) <= traffic.processes)
        os.kill(program.pid, signal.SIGHUP)
        program.until(lambda: len(program.children) == 4 and not first & set(program.children))
        reload_at = traffic.reads
        program.until(
            lambda: traffic.reads >= max(1_000, reload_at + 100) and set(program.children) <= traffic.processes
        )
        traffic.stop()
        assert traffic.stale() == []
        assert traffic.changes > 20
        assert len(traffic.processes) >= 9, "four, the one that was started again, four after the reload"
        assert program.stop() == 0
        until(lambda: not program.members)
        assert "Traceback" not in program.said


def test_uvicorn_with_two_workers_serves_nothing_that_was_ended(own_server: OwnServer) -> None:
    """Two spawned processes, through the async face: 1,000 checked reads, one of them killed."""
    port = free_port()
    words = ("uvicorn", "--workers", "2", "--port", str(port), "--log-level", "warning", "--lifespan", "off")
    with _served(own_server, port, *words, "tests.integrations.processes.shop:asgi") as (program, traffic):
        program.until(lambda: traffic.reads >= 300 and len(traffic.processes) == 2)
        victim = min(traffic.processes)
        os.kill(victim, signal.SIGKILL)
        program.until(lambda: traffic.reads >= 1_000 and len(traffic.processes) == 3)
        traffic.stop()
        assert traffic.stale() == []
        assert traffic.changes > 20
        program.stop()
        until(lambda: not program.members)
        assert "Traceback" not in program.said


def test_gunicorn_with_gevent_says_what_to_use_instead(own_server: OwnServer) -> None:
    """The worker does not come up, and the log has the ConfigError."""
    server, port = own_server(), free_port()
    env = {"SHOP_SERVER": server.url.rpartition("/")[0]}
    words = ("gunicorn", "-k", "gevent", "-b", f"127.0.0.1:{port}", "tests.integrations.processes.shop:application")
    with Program(*words, "--no-control-socket", env=env) as program:
        assert program.wait() == 3, "gunicorn's code for a worker that failed to boot"
        assert "gevent's monkey patching has taken" in program.said
        assert "gunicorn -k gthread" in program.said
