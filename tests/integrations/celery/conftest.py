"""A Redis server as broker and store, and real workers."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.integrations.processes.program import Program
from tests.services.fixtures import need
from tests.services.servers import Server

PROCESSES = 4


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The server of these tests: broker, results, source and store."""
    need("redis")
    with Server("redis") as server:
        yield server


@pytest.fixture(scope="session")
def shop(server: Server) -> Iterator[Any]:
    """The tasks, as the web process has them that sends them."""
    at = server.url.rpartition("/")[0]
    os.environ["SHOP_SERVER"], os.environ["SHOP_STORE"] = at, server.url
    module = importlib.import_module("tests.integrations.celery.tasks")
    yield module
    module.near.close()
    module.store.close()
    module.app.backend.result_consumer.stop()
    module.app.backend.client.connection_pool.disconnect()
    module.app.close()
    module.source.close()


@contextmanager
def start(*words: str, store: str | None = None) -> Iterator[Program]:
    """Start a worker; it is ready for tasks inside, and gone after."""
    env = {"SHOP_SERVER": os.environ["SHOP_SERVER"], "SHOP_STORE": store or os.environ["SHOP_STORE"]}
    command = ("celery", "-A", "tests.integrations.celery.tasks", "worker", "--without-gossip", "--without-mingle")
    with Program(*command, "-l", "INFO", *words, env=env) as program:
        program.until(lambda: "ready." in program.said)
        yield program


@pytest.fixture(scope="module")
def worker(shop: Any) -> Iterator[Program]:
    """A worker with four processes, for the tests that leave it as it is."""
    with start("--pool", "prefork", "-c", str(PROCESSES)) as program:
        yield program
