"""Runs cachetools' own tests against ours.

    python tests/compat/cachetools_suite.py FOLDER

FOLDER is its unpacked source distribution; its `tests` is a package of the name of ours, hence by path.
`import cachetools` gives hotset.compat.cachetools in this process.
"""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

import hotset.compat.cachetools as ours

_SIZES = "getsizeof is refused: the engine counts entries and does not weigh them yet"
_ONE_AT_A_TIME = "all threads must be inside the function at once for one key: ours lets one in"
_FLIGHTS = "asks that waiting be done on the condition: ours wait for the flight"
LEFT_OUT = {
    "test_fifo.py*": "FIFOCache is refused: the engine has no such policy yet",
    "test_lfu.py*": "LFUCache is refused: the engine has no such policy yet",
    "test_rr.py*": "RRCache is refused: the engine has no such policy yet",
    "test_tlru.py*": "TLRUCache is refused: the engine gives all entries of a mapping one life",
    "test_func.py*": "cachetools.func has no twin here: hotset.compat.lru_cache(..., ttl=…) is it",
    "*getsizeof*": _SIZES,
    "*::test_value_too_large": _SIZES,
    "*::test_ttl_default_timer_stubs": _SIZES,
    "*::test_ttl_datetime*": "a timer returns a number: wall clocks are set back",
    "*::ThreadingTest::test_cached_lock": _ONE_AT_A_TIME,
    "*::ThreadingTest::test_cachedmethod_lock": _ONE_AT_A_TIME,
    "*::ThreadingTest::test_cached_cond": _FLIGHTS,
    "*::ThreadingTest::test_cachedmethod_cond": _FLIGHTS,
    "*::ThreadingTest::test_cached_lock_cond": _FLIGHTS,
    "*::ThreadingTest::test_cachedmethod_lock_cond": _FLIGHTS,
    "*::test_decorated_override": "looks for the place in an instance's __dict__ where cachetools keeps its wrappers",
    "*::test_decorator_pickle_super": "as above",
    "*::test_decorator_deepcopy_super": "as above",
    "*::test_class_access_alias": "one cachedmethod under two names is refused, in a subclass too",
    "*::test_class_call_keyword_receiver": "through the class the instance comes first, not by name",
}
"""Their tests that ask for what we refuse or do otherwise on purpose, and why. No other is left out."""


class LeaveOut:
    """Takes the tests of the table out of the run, and sees to it that the table names no other."""

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Deselect what the table names."""
        unused = set(LEFT_OUT)
        kept = []
        for item in items:
            name = item.nodeid.rpartition("tests/")[2]
            matched = {pattern for pattern in LEFT_OUT if fnmatchcase(name, pattern)}
            unused -= matched
            kept += [] if matched else [item]
        if unused - {pattern for pattern in LEFT_OUT if pattern.startswith("test_")}:
            raise pytest.UsageError(f"the table names tests that are not there: {sorted(unused)}")
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


def main(folder: Path) -> int:
    """Run the suite."""
    sys.modules["cachetools"] = ours
    sys.modules["cachetools.keys"] = ours.keys
    sys.path.insert(0, str(folder))
    refused = [f"--ignore={folder / 'tests' / name[:-1]}" for name in LEFT_OUT if name.startswith("test_")]
    options = ["-q", "-c", "/dev/null", "--rootdir", str(folder), "-p", "no:cacheprovider", "-p", "no:valkey"]
    return pytest.main([*options, *refused, str(folder / "tests")], plugins=[LeaveOut()])


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
