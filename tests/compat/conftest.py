"""Of the suites that dogpile.cache ships, what it calls time-intensive sleeps for seconds: `make soak` runs it.

`test_mutex_threaded` is marked so too and takes half a second, and is the short form that stays.
"""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them as ours are."""
    for item in items:
        if item.get_closest_marker("time_intensive") and "test_mutex_threaded" not in item.name:
            item.add_marker(pytest.mark.soak)
