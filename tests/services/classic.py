"""Classic services for tests: each as in a process of its own, made from the environment, closed in the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from hotset import service as module
from hotset.service import CachingService

if TYPE_CHECKING:
    from tests.services.servers import Server

PATIENCE = 5.0
"""Seconds by which something must have come, that comes much sooner."""
VARIABLES = (
    *("REDIS_HOST", "REDIS_PORT", "REDIS_DB", "REDIS_PASSWORD"),
    *("CACHE_DEFAULT_TTL_SECONDS", "CACHE_KEY_PREFIX", "HOTSET_DISABLE"),
)

Serve = Callable[..., CachingService]
"""Makes the service of a process that begins now: takes the server, and variables of the environment."""


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Makes services, each as if this process had none yet."""
    made: list[CachingService] = []

    def serve(server: Server | None = None, **variables: str) -> CachingService:
        for name in VARIABLES:
            monkeypatch.delenv(name, raising=False)
        if server is not None:
            variables = {"REDIS_HOST": server.host, "REDIS_PORT": str(server.port), **variables}
        for name, text in variables.items():
            monkeypatch.setenv(name, text)
        module._held.service = None
        made.append(CachingService())
        return made[-1]

    yield serve
    module._held.service = None
    for service in made:
        service._plain.store.close()


def until_connected(service: CachingService, seconds: float = PATIENCE) -> None:
    """Return when the service has found its server again; fail if that takes longer."""
    deadline = time.monotonic() + seconds
    while not (status := service.get_status())["connected"]:
        assert time.monotonic() < deadline, status
        time.sleep(0.005)  # between two looks; the condition decides, or the deadline
