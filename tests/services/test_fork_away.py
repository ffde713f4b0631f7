"""A child that is forked while the store is away finds it again: the parent's prober is not there."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest

from hotset import Cache
from tests.services.installed import KINDS

PATIENCE = 5.0


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_a_child_forked_while_the_store_is_away_finds_it_again(kind: Any, own_server: Any) -> None:
    """It reads what is in the store, and not what was ended before the fork."""
    server = own_server(kind)
    with Cache(server.url) as cache:
        assert cache.set("other", 1)
        assert cache.set("k", "old")
        server.pause()
        assert cache.get("other") is None
        cache.delete("k")
        child = os.fork()
        if child == 0:
            server.resume()
            deadline = time.monotonic() + PATIENCE
            while cache.get("other") is None and time.monotonic() < deadline:
                pass
            os._exit(0 if (cache.get("other"), cache.get("k")) == (1, None) else 1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
