"""The pytest plugin: `isolated(cache)` for the length of a test."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hotset.aio import AsyncCache
    from hotset.cache import Cache
    from hotset.testing.clock import FakeClock


@pytest.fixture
def isolated() -> Iterator[Callable[[Cache | AsyncCache], FakeClock]]:
    """Return a function that isolates a cache until the test ends and returns its clock.

    Example:
        def test_a_user_is_loaded_again_after_ten_minutes(isolated):
            clock = isolated(app.cache)
            app.load_user(7)
            clock.advance("10m")
            ...
    """
    with ExitStack() as stack:

        def isolate(cache: Cache | AsyncCache) -> FakeClock:
            from hotset.testing.isolation import isolated as within  # pytest starts without hotset

            return stack.enter_context(within(cache))

        yield isolate
