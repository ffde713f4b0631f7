"""Versions of values at their source: an older one replaces no newer one, in any tier, by whatever way it comes."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from hotset import Cache, loading
from hotset.core.alter import alter
from hotset.ports.sync import SYNC, run_sync
from hotset.testing.store_suite import until
from tests.contract.conftest import PATIENCE
from tests.services.proxy import Proxy
from tests.services.servers import Server

KEY, TAG = "row:7", "rows"
WINDOW: dict[str, Any] = {"ttl": "1h", "stale_if_error": "1h", "tags": [TAG], "namespace": "versions"}

who = st.integers(0, 1)
versions = st.integers(1, 5)


Value = tuple[int, int]
"""A version, 0 for none, and a number of its own: two states of the key never look alike."""


class Held:
    """A load that has read a version and is then held."""

    def __init__(self, cache: Cache, threads: ThreadPoolExecutor, value: Value) -> None:
        self.value, self._free, self._begun = value, threading.Event(), threading.Event()
        self.revoked = False
        self._cached: Any = cache.cached("row:{n}")(self._load)
        self.answer: Future[Value] = threads.submit(self._cached.refresh, 7)
        assert self._begun.wait(PATIENCE)

    def _load(self, n: int) -> Value:
        loading().version = self.value[0]
        self._begun.set()
        assert self._free.wait(PATIENCE)
        return self.value

    def end(self) -> Value:
        """Let it go on, and return what it has answered."""
        self._free.set()
        return self.answer.result(PATIENCE)


class Versions(RuleBasedStateMachine):
    """Two processes and a source of which any version may be read at any time: what a `get` returns never goes back."""

    url: str | None = None

    def __init__(self) -> None:
        super().__init__()
        url = self.url
        self.caches = (
            [Cache(**WINDOW)] * 2 if url is None else [Cache("memory://", url, **WINDOW), Cache(url, **WINDOW)]
        )
        self.caches[0].clear()
        self.threads = ThreadPoolExecutor(1)
        self.stands: Value | None = None
        """What a get is to return."""
        self.version = 0
        """The version of what stands there, fresh or not; 0 for none."""
        self.load: Held | None = None
        self.serial = 0
        self.read = [0, 0]
        """The last version that each has read, since the last ending that leaves nothing."""
        self.heard = [True, True]
        """Whether each has heard of that ending: one with a copy near may be a message behind."""

    def new(self, version: int) -> Value:
        """Return a value of a version."""
        self.serial += 1
        return version, self.serial

    def came(self, value: Value) -> bool:
        """Have a value come by any way, and tell whether it is to be taken."""
        if value[0] < self.version:
            return False
        self.stands, self.version = value, value[0]
        return True

    def forget(self) -> None:
        """Any version may come, but none that is loaded now."""
        self.stands, self.version, self.read, self.heard = None, 0, [0, 0], [False, False]
        self.revoke()

    def revoke(self) -> None:
        """A load under way is not kept."""
        if self.load is not None:
            self.load.revoked = True

    @rule(by=who, version=versions, only_absent=st.booleans(), told=st.booleans())
    def write(self, by: int, version: int, *, only_absent: bool, told: bool) -> None:
        """One that is refused changes nothing, a load under way included; one without a version is refused by none."""
        cache, causes = self.caches[by], []
        off = cache.on("not_stored", lambda event: causes.append(event.cause))
        method = cache.add if only_absent else cache.set
        value = self.new(version if told else 0)
        stored = method(KEY, value, version=version if told else None)
        off()
        if only_absent and self.stands is not None:
            assert not stored
        elif told:
            assert stored is self.came(value)
            assert stored or causes == ["older"]
        else:
            assert stored
            self.forget()
            self.stands = value
        if stored:
            self.revoke()

    @precondition(lambda self: self.load is None)
    @rule(by=who, version=versions)
    def load_begins(self, by: int, version: int) -> None:
        """Over whatever stands there."""
        self.load = Held(self.caches[by], self.threads, self.new(version))

    @precondition(lambda self: self.load is not None)
    @rule()
    def load_ends(self) -> None:
        """Its own caller gets what it has loaded, kept or not."""
        load, self.load = self.load, None
        assert load is not None
        assert load.end() == load.value
        if not load.revoked:
            self.came(load.value)

    @rule(by=who, tag=st.booleans())
    def delete(self, by: int, *, tag: bool) -> None:
        """Then any version may come; a load under way may not."""
        self.caches[by].delete(tags=[TAG]) if tag else self.caches[by].delete(KEY)
        self.forget()

    @rule(by=who)
    def expire(self, by: int) -> None:
        """What is left of it still has its version."""
        self.caches[by].expire(KEY)
        self.stands = None
        self.revoke()

    @invariant()
    def nothing_goes_back(self) -> None:
        """And both read what the model has, the one with a copy near a message later at the most."""
        for at, cache in enumerate(self.caches):
            until(lambda at=at: self.get(at) == self.stands)  # type: ignore[misc]  # mypy cannot infer a default
            self.heard[at] = True
            cache._space.engine.check()

    def get(self, at: int) -> Value | None:
        """Read, and hold it against what was read before."""
        value: Value | None = self.caches[at].get(KEY)
        if value is not None and self.version and self.heard[at]:
            assert value[0] >= self.read[at], "an older version was read"
            self.read[at] = value[0]
        return value

    def teardown(self) -> None:
        """Let everybody go."""
        if self.load is not None:
            self.load.end()
        self.threads.shutdown()
        for cache in self.caches:
            cache.close()


def goes_on(url: str | None) -> None:
    """Run the machine."""
    machine = type("Machine", (Versions,), {"url": url})
    run_state_machine_as_test(machine, settings=settings(max_examples=25, stateful_step_count=25, deadline=None))


def test_what_one_process_reads_never_goes_back() -> None:
    """Until a delete comes between."""
    goes_on(None)


def test_what_two_processes_read_never_goes_back(store_server: Server, patient: None) -> None:
    """The same over a store, each as it reads."""
    goes_on(store_server.url)


def test_what_is_dead_at_the_store_refuses_no_write(store_server: Server) -> None:
    """After a delete by tag, or a clear, a source that was set back is taken as it is, by set, add and load."""
    with Cache(store_server.url, **WINDOW) as cache, Cache(store_server.url, **WINDOW) as other:
        endings: list[Callable[[], object]] = [lambda: other.delete(tags=[TAG]), other.clear]
        for end in endings:
            for write in (cache.set, cache.add):
                assert cache.set(KEY, 7, version=7)
                end()
                assert write(KEY, 6, version=6)
                assert other.get(KEY) == 6
                assert not cache.set(KEY, 5, version=5)


def test_an_altered_value_keeps_its_version(store_server: Server) -> None:
    """Near and at the store."""
    with Cache("memory://", store_server.url, **WINDOW) as cache:
        assert cache.set(KEY, 7, version=7)
        assert run_sync(alter(SYNC, cache._space, KEY, lambda value: value + 1)) == 8
        assert not cache.set(KEY, 6, version=6)
        cache.expire(KEY)
        assert not cache.add(KEY, 6, version=6)
        assert cache.add(KEY, 7, version=7)


def test_blind_writes_have_their_order_too(store_server: Server, proxy: Proxy) -> None:
    """While the store is out of reach they are held against what was written since."""
    with Cache("memory://", proxy.url, **WINDOW) as cache:
        assert cache.set(KEY, 7, version=7)
        proxy.cut()
        assert cache._space.far is not None
        near = cache._space.far.store.near
        until(lambda: cache.get("another") is None and near.blind_since < math.inf)
        assert cache.set(KEY, 8, version=8)
        assert not cache.set(KEY, 7, version=7)
        assert cache.get(KEY) == 8
