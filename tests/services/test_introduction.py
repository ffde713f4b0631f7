"""A server that has forgotten its scripts is introduced before it is asked, not after (row W16)."""

from __future__ import annotations

from typing import Any

import pytest

from hotset import Cache
from tests.services.installed import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_w16_the_first_read_after_a_restart_is_behind_the_new_generation(kind: Any, own_server: Any) -> None:
    """A script that a server does not know is sent again behind the rest: the introduction must not be."""
    server = own_server(kind)
    with Cache(server.url) as cache, Cache(server.url) as other:
        cache.set("k", "before")
        assert other.get("k") == "before"
        server.snapshot()
        assert cache.delete("k") == 1
        server.kill()
        server.start()  # from the snapshot, in which the entry still stands
        assert other.get("k") is None
        assert cache.get("k") is None
