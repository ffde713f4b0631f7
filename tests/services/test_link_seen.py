"""The link as a cache shows it: in its status, where it cannot be, and in a forked child."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from hotset import Cache
from hotset.testing.store_suite import until
from tests.services.proxy import Proxy
from tests.services.servers import Server


@pytest.fixture
def meek(store_server: Server) -> Iterator[str]:
    """The url of a user who may run neither CLIENT TRACKING nor SUBSCRIBE."""
    store_server.cli("ACL", "SETUSER", "meek", "on", "nopass", "~*", "&*", "+@all", "-client|tracking", "-subscribe")
    yield store_server.url.replace("//", "//meek:any@")
    store_server.cli("ACL", "DELUSER", "meek")


def test_where_nothing_can_be_heard_nothing_is_kept_near_and_the_status_says_why(
    store_server: Server, meek: str
) -> None:
    """The store is used as ever; when it is allowed at last, copies are kept."""
    with Cache("memory://", meek, namespace="room", ttl="1h") as cache:
        assert cache.get_or_load("k", lambda: 7) == 7

        def status() -> Any:
            return cache.status().store

        until(lambda: status().bus == "none")
        assert not status().linked
        assert "CLIENT TRACKING" in status().unlinked
        assert "NOPERM" in status().unlinked
        assert status().trust == "trusted"
        near = cache._space.store.near if cache._space.store is not None else None
        assert near is not None
        waiting = len(near._offers)
        assert cache.get("k") == 7
        assert "k" not in cache
        assert len(near._offers) == waiting  # nothing more is held for a link that may never come
        store_server.cli("ACL", "SETUSER", "meek", "+client|tracking")  # known to new connections
        until(lambda: status().linked)
        assert (status().bus, status().unlinked) == ("tracking", None)
        until(lambda: cache.get("k") == 7 and "k" in cache)


def test_the_status_says_why_there_is_no_link(proxy: Proxy) -> None:
    """While the server is out of reach."""
    with Cache("memory://", proxy.url, namespace="room") as cache:
        cache.set("k", 1)
        until(lambda: "k" in cache or cache.get("k") is None)

        def status() -> Any:
            return cache.status().store

        assert status().unlinked is None
        proxy.cut()
        until(lambda: not status().linked)
        until(lambda: bool(status().unlinked))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_has_a_link_of_its_own_and_leaves_its_parents_alone(store_server: Server) -> None:
    """The parent hears on the same link as before; the child hears what the parent ends."""
    with Cache("memory://", store_server.url, namespace="room", ttl="1h") as cache:
        cache.set("k", 1)
        until(lambda: cache.get("k") == 1 and "k" in cache)
        space = cache._space
        assert space.store is not None
        near, links = space.store.near, space.store.near._era
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            code = 1
            try:
                until(lambda: cache.get_or_load("j", lambda: 2) == 2 and "j" in cache)
                os.write(writing, b"!")
                until(lambda: "j" not in cache)
                assert cache.get("j") is None
                code = 0
            finally:
                os._exit(code)
        assert os.read(reading, 1) == b"!"
        cache.delete("j")
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        heard = near.heard
        store_server.cli("SET", space.store.operations("room").names.entry("k"), "1")  # type: ignore[attr-defined]
        until(lambda: near.heard > heard)
        until(lambda: "k" not in cache)
        cache.set("k", 3)
        until(lambda: cache.get("k") == 3 and "k" in cache)
        assert near._era == links
        for end in (reading, writing):
            os.close(end)
