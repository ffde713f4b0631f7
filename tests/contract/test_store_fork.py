"""W4 and W6 in a forked child: it has the copies of its parent, and a link, a prober and pools of its own."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable

import pytest

from hotset import Cache
from tests.contract.conftest import wait_until
from tests.contract.fleet import Fleet, Link, is_push, keep, settle, trusted
from tests.services.proxy import Proxy

KEY = "user:7"
pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="the platform has no fork"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def forked(act: Callable[[], None]) -> int:
    """Do something in a forked child and return its pid; it exits with 0 if nothing was raised."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            act()
            code = 0
        except BaseException:  # noqa: BLE001  a child must not run the rest of the tests
            traceback.print_exc()
        finally:
            os._exit(code)
    return child


def succeeded(child: int) -> bool:
    """Wait for a child, and tell whether nothing was raised in it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_w4_a_forked_child_hears_of_endings_by_itself(fleet: Fleet) -> None:
    """What it inherited is served no longer than the permit that came with it; what it keeps, it is told of."""
    cache, other = fleet.cache(heartbeat="300ms"), fleet.cache()
    other.set(KEY, 1)
    other.set("more", 1)
    keep(cache, KEY)

    def act() -> None:
        assert cache.get(KEY) == 1
        assert keep(cache, "more") == 1
        mine = Cache("memory://", fleet.url, namespace="shop")
        for key in KEY, "more":
            mine.delete(key)
            wait_until(lambda: cache.get(key) is None)  # noqa: B023  waited for here and now

    assert succeeded(forked(act))
    wait_until(lambda: cache.get(KEY) is None)


def test_w4_a_forked_child_says_nothing_on_the_link_of_its_parent(fleet: Fleet) -> None:
    """Answers to the child's questions would be taken for answers to the parent's."""
    cache, other = fleet.cache(heartbeat=600), fleet.cache()  # no ping is answered meanwhile
    other.set_many(dict.fromkeys(["a", "b", "c"], 1))
    keep(cache, "a")
    link = Link(cache)
    link.hold()

    def act() -> None:
        vars(link._link).pop("_heard")  # the child's own link is heard at once
        for key in "b", "c":
            assert keep(cache, key) == 1

    assert succeeded(forked(act))
    other.delete("a")
    wait_until(lambda: any(map(is_push, link.held)))
    assert [is_push(each) for each in link.held] == [True], "a message, and no answer that nobody waits for"
    link.flow()
    settle(cache)
    assert cache.get("a") is None
    assert keep(cache, "b") == 1
    other.delete("b")
    wait_until(lambda: cache.get("b") is None)


def test_w6_a_child_that_is_forked_while_the_store_is_away_finds_it_again(fleet: Fleet, proxy: Proxy) -> None:
    """The prober stayed with the parent; the child delivers what it inherited, and trusts the store when it has."""
    cache, other = fleet.cache(proxy.url), fleet.cache()
    other.set(KEY, 1)
    keep(cache, KEY)
    proxy.cut()
    cache.delete(KEY)
    reads, writes = os.pipe()

    def act() -> None:
        assert cache.get(KEY) is None
        os.read(reads, 1)
        wait_until(lambda: cache.get("nobody's") is None and trusted(cache))
        assert cache.get(KEY) in {None, 2}
        wait_until(lambda: cache.set("more", 1) and trusted(cache))

    child = forked(act)
    proxy.restore()
    os.write(writes, b"!")
    assert succeeded(child)
    os.close(reads)
    os.close(writes)
    wait_until(lambda: trusted(cache))
    assert other.get(KEY) is None
