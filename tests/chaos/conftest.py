"""What chaos is let loose on."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from tests.services.fixtures import ONE_KIND
from tests.services.servers import Server


@pytest.fixture(params=ONE_KIND)
def server(request: pytest.FixtureRequest) -> Server:
    """A shared server, empty and as after its start: Redis in each run, Valkey too in the long one."""
    server: Server = request.getfixturevalue(f"{request.param}_server")
    return server


Say = Callable[[str], None]
"""Shows a figure."""


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Show what was measured, whether the test passes or not."""

    def say(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n  {text}\n")

    return say
