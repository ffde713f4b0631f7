"""A forked child has the entries of its parent and none of its flights."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from hotset import Cache

PATIENCE = 20.0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_loads_for_itself_what_its_parent_was_loading() -> None:
    """The thread that flew the load is not in the child: the child neither waits for it nor loses its entries."""
    cache = Cache()
    cache.set("kept", 1)
    begun, go = threading.Event(), threading.Event()

    def load() -> int:
        begun.set()
        assert go.wait(PATIENCE)
        return 2

    with ThreadPoolExecutor(1) as threads:
        leader = threads.submit(cache.get_or_load, "k", load)
        assert begun.wait(PATIENCE)
        child = os.fork()
        if child == 0:
            alright = cache.get("kept") == 1 and cache.get_or_load("k", lambda: 3) == 3
            os._exit(0 if alright else 1)
        _, status = os.waitpid(child, 0)
        go.set()
        assert leader.result(PATIENCE) == 2
    assert os.waitstatus_to_exitcode(status) == 0
    assert cache.get("k") == 2
