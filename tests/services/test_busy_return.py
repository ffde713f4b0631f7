"""A store that is back is trusted again, however busily a process changes things meanwhile."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from hotset import Cache
from tests.services.fixtures import ONE_KIND

PATIENCE = 5.0


@pytest.mark.parametrize("kind", ONE_KIND)
@pytest.mark.parametrize("how", ["delete", "set"])
def test_threads_that_change_without_a_pause_do_not_keep_the_store_away(kind: Any, how: str, own_server: Any) -> None:
    """Each change that comes while pending ones are delivered would be pending too: the last is never reached so."""
    server = own_server(kind)
    with Cache(server.url) as cache:
        assert cache.set("k", 1)
        over = threading.Event()

        def change(me: int) -> None:
            while not over.is_set():
                if how == "set":
                    cache.set(f"k{me}", me)
                else:
                    cache.delete(f"k{me}")

        threads = [threading.Thread(target=change, args=(me,)) for me in range(8)]
        server.kill()
        for thread in threads:
            thread.start()
        try:
            server.start()
            deadline = time.monotonic() + PATIENCE
            while (status := cache.status().store) is None or status.trust != "trusted":
                assert time.monotonic() < deadline, status
                time.sleep(0.01)  # between two looks; the condition decides, or the deadline
        finally:
            over.set()
            for thread in threads:
                thread.join(PATIENCE)
