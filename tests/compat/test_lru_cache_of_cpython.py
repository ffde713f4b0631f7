"""CPython's own tests of `lru_cache` and `cache`, those of this very interpreter, run against ours."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import types
import unittest
from typing import Any

from hotset.compat import cache, lru_cache
from hotset.compat.memo import CacheInfo
from tests.services.fixtures import leave_out

LEFT_OUT = {
    "test_lru_cache_threaded2": "five threads must be inside the function at once for one argument: ours lets one in",
}
"""Their tests that ask for what we do otherwise on purpose, and why. No other is left out."""

ours = types.SimpleNamespace(
    lru_cache=lru_cache,
    cache=cache,
    _CacheInfo=CacheInfo,
    partial=functools.partial,
    WRAPPER_ASSIGNMENTS=functools.WRAPPER_ASSIGNMENTS,
)


@lru_cache()
def cached_func(x: int, y: int) -> int:
    """Return something, so that pickle finds a cached function by its name."""
    return 3 * x + y


if importlib.util.find_spec("test.test_functools") is not None:
    theirs: Any = importlib.import_module("test.test_functools")

    class TestLRU(theirs.TestLRU, unittest.TestCase):  # type: ignore[misc]  # no types there
        """As `TestLRUC` and `TestLRUPy` are made there for their two modules."""

        module = ours
        cached_func = (cached_func,)

        @lru_cache()
        def cached_meth(self, x: int, y: int) -> int:
            """Return something."""
            return 3 * x + y

        @staticmethod
        @lru_cache()
        def cached_staticmeth(x: int, y: int) -> int:
            """Return something."""
            return 3 * x + y

    class TestCache(theirs.TestCache, unittest.TestCase):  # type: ignore[misc]
        """As there."""

        module = ours

    for name in LEFT_OUT:
        setattr(TestLRU, name, None)


def test_their_tests_are_here() -> None:
    """The suite is run, and what the table leaves out is in it."""
    if importlib.util.find_spec("test.test_functools") is None:
        leave_out("test suite of CPython")
    assert [name for name in LEFT_OUT if not hasattr(theirs.TestLRU, name)] == []
    ran = unittest.defaultTestLoader.getTestCaseNames(TestLRU)
    assert len(ran) == len(unittest.defaultTestLoader.getTestCaseNames(theirs.TestLRU)) - len(LEFT_OUT) > 20
