"""What our backend does for dogpile.cache's regions beyond what its own suites ask, and what its own backends do."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from dogpile.cache import make_region

from hotset import Cache, CodecError, ConfigError, WouldDeadlock
from hotset.compat.dogpile import ClearsAll, HotsetBackend
from hotset.core.transaction import Transaction
from tests.services.servers import Server

OLD, NEW = "old", "new"


def elsewhere(call: Callable[[], object]) -> None:
    """Have another thread do it, and wait until it has."""
    thread = threading.Thread(target=call)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def region_of() -> Iterator[Callable[..., Any]]:
    """A function that makes a region over a backend; what it opens is closed when the test ends."""
    regions: list[Any] = []

    def region_of(backend: str = "hotset", *, region: Any = None, **configured: Any) -> Any:
        regions.append((region or make_region()).configure(backend, **configured))
        return regions[-1]

    yield region_of
    for region in regions:
        for opened in ("cache", "reader_client", "writer_client"):
            if hasattr(region.backend, opened):
                getattr(region.backend, opened).close()


def served_after(region: Any, end: Callable[[Any], object]) -> object:
    """What a read gets after a load read OLD, the source became NEW, the key ended, and the load returned."""
    source = [OLD]

    @region.cache_on_arguments()  # type: ignore[untyped-decorator]
    def load(key: int) -> str:
        found = source[0]
        if found == OLD:
            source[0] = NEW
            elsewhere(lambda: end(load))
        return found

    assert load(7) == OLD, "who asked before the ending may have what was loaded before it"
    return load(7)


ENDINGS = [
    pytest.param(lambda load: load.invalidate(7), id="invalidate"),
    pytest.param(lambda load: load.set(NEW, 7), id="set"),
]


@pytest.mark.parametrize("end", ENDINGS)
def test_their_backends_store_what_was_loaded_before_an_ending(
    region_of: Any, end: Callable[[Any], object], redis_server: Server
) -> None:
    """The memory and Redis backends of dogpile serve the old value after `invalidate` or `set`, until it expires."""
    theirs = {"url": redis_server.url, "distributed_lock": True, "lock_timeout": 20, "thread_local_lock": False}
    assert served_after(region_of("dogpile.cache.memory"), end) == OLD
    region = region_of("dogpile.cache.redis", arguments=theirs)
    assert served_after(region, end) == OLD


@pytest.mark.parametrize("end", ENDINGS)
def test_ours_does_not(region_of: Any, end: Callable[[Any], object]) -> None:
    """Over the process tier: what was loaded before an ending is answered to its caller, and not stored."""
    assert served_after(region_of(), end) == NEW


@pytest.mark.parametrize("end", ENDINGS)
def test_ours_does_not_over_a_store(region_of: Any, end: Callable[[Any], object], store_server: Server) -> None:
    """The same over Redis and Valkey."""
    assert served_after(region_of(arguments={"tiers": ["memory://", store_server.url]}), end) == NEW


def test_an_ending_in_another_process_counts_too(region_of: Any, store_server: Server) -> None:
    """A key that ends in one process while another loads it is not stored; two regions are two processes here."""
    one, other = (region_of(arguments={"tiers": f"memory:// {store_server.url}"}) for _ in "12")
    key = "user:7"

    def create() -> str:
        elsewhere(lambda: other.delete(key))
        return OLD

    assert one.get_or_create(key, create) == OLD
    assert one.get_or_create(key, lambda: NEW) == NEW
    assert other.get_or_create(key, lambda: "not loaded") == NEW


def test_a_hard_invalidation_of_the_region_during_a_load(region_of: Any) -> None:
    """A time is noted by dogpile, which dates a value after its load: so it is served. `ClearsAll` revokes the load."""
    theirs = region_of("dogpile.cache.memory")
    assert served_after(theirs, lambda _: theirs.invalidate()) == OLD
    ours: Any = make_region()
    region_of(region=ours, region_invalidator=ClearsAll(ours))
    assert served_after(ours, lambda _: ours.invalidate()) == NEW


def test_a_hard_invalidation_reaches_other_processes_with_clears_all(region_of: Any, store_server: Server) -> None:
    """Without it only the region that was invalidated misses, as dogpile documents."""
    one: Any = make_region()
    arguments = {"tiers": ["memory://", store_server.url]}
    region_of(region=one, arguments=arguments, region_invalidator=ClearsAll(one))
    other, plain = (region_of(arguments=arguments) for _ in "12")
    one.set("k", OLD)
    assert other.get("k") == OLD
    plain.invalidate()
    assert other.get("k") == OLD
    one.invalidate()
    until = time.monotonic() + 10
    while other.get("k") and time.monotonic() < until:
        pass  # a message later
    assert not other.get("k")


def test_a_soft_invalidation_stays_dogpiles_own(region_of: Any) -> None:
    """After it the old value is answered to all but the one who loads, as dogpile does it."""
    region: Any = make_region()
    region_of(region=region, expiration_time=60, region_invalidator=ClearsAll(region))
    region.set("k", OLD)
    region.invalidate(hard=False)
    during: list[object] = []

    def create() -> str:
        elsewhere(lambda: during.append(region.get_or_create("k", lambda: "not called")))
        return NEW

    assert region.get_or_create("k", create) == NEW
    assert during == [OLD]


def test_one_load_for_two_processes(region_of: Any, store_server: Server) -> None:
    """Who asks while another process loads waits for it, and gets its value: over leases, without a lock of Redis'."""
    one, other = (region_of(arguments={"tiers": ["memory://", store_server.url]}) for _ in "12")
    begun, go, loads, got = threading.Event(), threading.Event(), [], []

    def create(which: str) -> str:
        loads.append(which)
        begun.set()
        assert go.wait(20)
        return which

    first = threading.Thread(target=lambda: got.append(one.get_or_create("k", lambda: create("one"))))
    first.start()
    assert begun.wait(20)
    assert other.key_is_locked("k"), "the other process sees that it is being loaded"
    assert not other.backend.get_mutex("k").acquire(False)
    second = threading.Thread(target=lambda: got.append(other.get_or_create("k", lambda: create("other"))))
    second.start()
    go.set()
    for thread in (first, second):
        thread.join(20)
    assert loads == ["one"]
    assert got == ["one", "one"]
    assert not other.key_is_locked("k")


def test_a_creator_that_raises_gives_the_right_back(region_of: Any, store_server: Server) -> None:
    """The next one loads at once, in this process and in another."""
    one, other = (region_of(arguments={"tiers": ["memory://", store_server.url]}) for _ in "12")

    def boom() -> str:
        raise OSError("the source is away")

    with pytest.raises(OSError, match="away"):
        one.get_or_create("k", boom)
    assert other.get_or_create("k", lambda: NEW) == NEW


def test_an_async_runner_may_release_from_another_thread(region_of: Any) -> None:
    """The mutex is handed by dogpile to whoever makes the new value; until it does the old one is answered."""
    ran = threading.Event()

    def runner(region: Any, key: str, creator: Callable[[], str], mutex: Any) -> None:
        def run() -> None:
            region.set(key, creator())
            mutex.release()
            ran.set()

        elsewhere(run)

    region = region_of(region=make_region(async_creation_runner=runner), expiration_time=60)
    region.set("k", OLD)
    region.invalidate(hard=False)
    assert region.get_or_create("k", lambda: NEW) == OLD
    assert ran.is_set()
    assert region.get("k") == NEW
    assert not region.key_is_locked("k")


def test_a_creator_that_asks_for_its_own_key_is_told(region_of: Any) -> None:
    """The thread lock of dogpile would wait for itself for ever."""
    region = region_of()
    with pytest.raises(WouldDeadlock, match="'k'"):
        region.get_or_create("k", lambda: region.get_or_create("k", lambda: 1))
    assert region.get_or_create("k", lambda: 2) == 2


def test_many_keys_are_filled_under_their_mutexes(region_of: Any) -> None:
    """`get_or_create_multi` stores what did not end meanwhile, and no more."""
    region = region_of()

    def create(*keys: str) -> list[str]:
        elsewhere(lambda: region.delete("b"))
        return [key * 2 for key in keys]

    assert region.get_or_create_multi(["a", "b"], create) == ["aa", "bb"]
    assert region.get("a") == "aa"
    assert not region.get("b")


def test_values_are_hotsets_and_not_pickled(region_of: Any, store_server: Server) -> None:
    """They come back as they were; what a store could not give back is refused when it is set."""
    arguments = {"tiers": [store_server.url]}
    region = region_of(arguments=arguments)
    region.set("k", {"when": (1, {2}, b"3")})
    assert region_of(arguments=arguments).get("k") == {"when": (1, {2}, b"3")}
    with pytest.raises(CodecError):
        region.set("k", object())


def test_a_store_that_is_away_is_no_exception(region_of: Any, own_server: Any) -> None:
    """A region goes on loading, and endings act here."""
    server = own_server()
    region = region_of(arguments={"tiers": ["memory://", server.url]})
    assert region.get_or_create("k", lambda: OLD) == OLD
    server.close()
    region.delete("k")
    assert region.get_or_create("k", lambda: NEW) == NEW


def test_a_cache_of_ones_own(region_of: Any) -> None:
    """`arguments={"cache": …}` takes a cache that the program has; anything else there is refused."""
    cache = Cache(namespace="pages")
    region = region_of(arguments={"cache": cache})
    region.set("k", 1)
    assert isinstance(region.backend, HotsetBackend)
    assert region.backend.cache is cache
    assert "k" in cache
    with pytest.raises(ConfigError, match="cache: a hotset"):
        region_of(arguments={"cache": {}})


def test_an_argument_that_is_not_known_is_named_in_the_log(region_of: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Any argument is passed on by dogpile, whose suites ask that a backend takes them."""
    with caplog.at_level(logging.WARNING):
        region_of(arguments={"tirs": ["memory://"]})
    assert "'tirs'" in caplog.text
    assert "tiers" in caplog.text


def test_without_dogpile_the_error_names_the_extra() -> None:
    """Importing the module says what to install."""
    code = "import sys; sys.modules['dogpile'] = None; import hotset.compat.dogpile"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert "pip install 'hotset[dogpile]'" in child.stderr


@pytest.mark.parametrize("mode", ["off", "shadow"])
def test_a_region_over_a_cache_that_does_not_answer(region_of: Any, mode: str) -> None:
    """Each caller has what its own creator made, waiting for nobody; off keeps nothing, shadow what is to be had."""
    cache = Cache(mode=mode)
    region, together = region_of(arguments={"cache": cache}), threading.Barrier(4)

    def creator() -> int:
        together.wait(10)  # nobody's creator waits for another's to end
        return threading.get_ident()

    with ThreadPoolExecutor(4) as pool:
        made = [each.result(20) for each in [pool.submit(region.get_or_create, "k", creator) for _ in range(4)]]
    assert len(set(made)) == 4
    assert (cache.stats().entries, cache.status().loads, cache.stats().refused_fills) == (mode == "shadow", 0, 0)
    cache._space.engine.check()


def test_a_region_inside_a_transaction(region_of: Any) -> None:
    """What its creator has read there is its caller's, and not stored: nor if the transaction wrote meanwhile."""
    cache = Cache()
    region = region_of(arguments={"cache": cache})
    with cache.transaction():
        assert region.get_or_create("k", lambda: "uncommitted") == "uncommitted"
    for how in ({"changed": True}, {"changed": False, "snapshot": True}, {"changed": False}):
        transaction = Transaction([cache], **how)
        assert region.get_or_create("k", lambda within=transaction: within.change() or "uncommitted") == "uncommitted"
        transaction.roll_back()
    assert (cache.stats().entries, cache.status().loads) == (0, 0)
    assert region.get_or_create("k", lambda: "committed") == region.get("k") == "committed"
