"""A stage for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hotset.core import change
from hotset.core.store import DEADLINE
from tests.contract.conftest import PATIENCE
from tests.contract.orders.stage import Stage
from tests.services.servers import Server


@pytest.fixture
def stage(store_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A stage over an empty server. What still waits at its end has waited for ever."""
    monkeypatch.setattr(change, "_IN_TIME", PATIENCE / DEADLINE)  # a writer that is held up is in time
    stage = Stage(store_server)
    yield stage
    stage.close()
