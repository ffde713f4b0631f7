"""Several processes over one store: caches that stand for processes, real processes, and a link that is slow at will.

A `Cache` has a link, pools and tables of its own, so two of them over one server meet only there, as two processes do.
"""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hiredis import PushNotification

from hotset import Cache
from hotset.core.near import Near
from hotset.engine.flight import Flight
from hotset.entry.known import Vouched
from tests.contract.conftest import PATIENCE, wait_until

ROOT = Path(__file__).parents[2]
LONG = 60.0
"""A heartbeat whose permit does not end within a test: what is not served then, was not for another reason."""


class Fleet:
    """Makes caches and processes of one namespace over one server; all end with the test."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._caches: list[Cache] = []
        self._peers: list[Peer] = []

    def cache(self, url: str | None = None, **settings: Any) -> Cache:
        """Return a cache over the server, or over the same one by another url."""
        given: dict[str, Any] = {"namespace": "shop", "ttl": "1h", "heartbeat": LONG} | settings
        cache = Cache("memory://", url or self.url, **given)
        self._caches.append(cache)
        return cache

    def peer(self, url: str | None = None, *, skew: float = 0.0, **settings: Any) -> Peer:
        """Start a process with a cache over the server, its clocks off by `skew` seconds."""
        given = {"namespace": "shop", "ttl": "1h", "heartbeat": LONG} | settings
        peer = Peer({"url": url or self.url, "skew": skew, **given})
        self._peers.append(peer)
        return peer

    def close(self) -> None:
        """End them all; what each cache holds must be sound until then."""
        try:
            for cache in self._caches:
                cache._space.engine.check()
        finally:
            for cache in self._caches:
                cache.close()
            for peer in self._peers:
                peer.close()


class Peer:
    """A process that does with its cache what it is told to; what it answers is a value of JSON."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.contract.peer", json.dumps(settings)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )

    def ask(self, verb: str, *arguments: Any, **options: Any) -> Any:
        """Have it call `cache.<verb>` and return what that returns."""
        self.tell(verb, *arguments, **options)
        return self.answer()

    def tell(self, verb: str, *arguments: Any, **options: Any) -> None:
        """Have it call `cache.<verb>`, and wait for nothing."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([verb, arguments, options]) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """Return the answer to what it was told."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process has ended"
        return json.loads(line)

    def begin_load(self, key: str, value: Any, **options: Any) -> None:
        """Have it read a key whose loader is held; return once that has begun to load `value`."""
        assert self.ask("load", key, value, **options) == "loading"

    def begin_warming(self, keys: list[str], value: Any, **settings: Any) -> None:
        """Have it warm keys by a loader that is held at each call; return once it is held at the first."""
        assert self.ask("warm", keys, value, **settings) == "loading"

    def end_load(self) -> Any:
        """Let the loader return, and return what the read answers."""
        return self.ask("go on")

    def kill(self) -> None:
        """SIGKILL."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()


class Link:
    """What one cache hears over its link, held back and heard one message after the other, in its order.

    The link itself is real, and so is what comes over it; only the moment is the test's. Replies are held back with
    the messages, as on a network that is slow: `then` of an operation is called when its reply is heard.
    """

    def __init__(self, cache: Cache) -> None:
        self.near: Near = store_of(cache).near
        self._link = store_of(cache).near.bus
        self._hear = self._link._heard
        self.held: deque[Any] = deque()

    def hold(self) -> None:
        """Hear nothing from now on."""
        self.run(setattr, self._link, "_heard", self.held.append)

    def flow(self) -> None:
        """Hear all that was held back, in its order, and whatever comes."""

        def flow() -> None:
            while self.held:
                self._hear(self.held.popleft())
            self._link._heard = self._hear

        self.run(flow)

    def hear(self) -> None:
        """Hear one message or reply."""
        self.run(lambda: self._hear(self.held.popleft()))

    def hear_replies(self) -> None:
        """Hear what lies before the first push, once there is one."""
        wait_until(lambda: any(map(is_push, self.held)))
        while not is_push(self.held[0]):
            self.hear()

    def run(self, call: Callable[..., object], *arguments: object) -> None:
        """Call something in the thread of the link, and return when it has returned."""
        done = threading.Event()

        def called() -> None:
            call(*arguments)
            done.set()

        assert self.near._job is not None
        self.near._job.soon(called)
        assert done.wait(PATIENCE)


class Answers:
    """The store's answers to a cache; the next one to a thread can be held back, long after it was given."""

    def __init__(self, cache: Cache) -> None:
        self._store = store_of(cache)
        self._ask = self._store._asked
        self._thread: int | None = None
        self.given = threading.Event()
        self._go_on = threading.Event()
        self._store._asked = self._held

    def hold(self) -> None:
        """Hold the next answer to the thread that calls this."""
        self._thread = threading.get_ident()

    def go_on(self) -> None:
        """Let it through."""
        self._go_on.set()

    async def _held(self, ports: Any, operation: Any) -> Any:
        held = self._thread == threading.get_ident()
        if held:
            self._thread = None
        answer = await self._ask(ports, operation)
        if held:
            self.given.set()
            assert self._go_on.wait(PATIENCE)
        return answer


def store_of(cache: Cache) -> Any:
    """Return the store of a cache, of no type: a test looks at it, and changes it, from inside."""
    return cache._space.store


def is_push(message: object) -> bool:
    """Whether a message says that keys have changed."""
    return isinstance(message, PushNotification)


class Offers:
    """A cache that has read and has not yet asked on its link whether it may keep: until the block ends."""

    def __init__(self, cache: Cache) -> None:
        self._near: Any = Link(cache).near
        self._cache = cache

    def __enter__(self) -> Self:
        self._near._confirm = lambda: None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        del self._near._confirm
        settle(self._cache, also=self._near._confirm)


def settle(cache: Cache, also: Callable[[], object] = lambda: None) -> None:
    """Return when the link has heard all that was said, and asked, on it before."""
    link, heard = Link(cache), threading.Event()
    store: Any = cache._space.store

    def ask() -> None:
        also()
        link.near.bus.perform(cache._space.far.operations.check("nobody's", ()), lambda _: heard.set())  # type: ignore[union-attr]

    link.run(ask)
    assert heard.wait(PATIENCE), store


def linked(cache: Cache) -> Cache:
    """Return the cache once it has its link."""
    store = cache._space.store
    assert store is not None
    store.near.start()
    wait_until(lambda: store.near.linked_now and store.near._permit > 0)
    return cache


def keep(cache: Cache, key: str) -> Any:
    """Have the cache keep a copy near of what the store holds; return its value."""
    linked(cache)
    wait_until(lambda: cache.get(key) is not None and key in cache)
    settle(cache)  # what was asked for beside it is answered
    return cache.get(key)


def waiting(cache: Cache, key: str) -> int:
    """How many callers of this cache want the load of a key that is under way."""
    slot = cache._space.table.peek(key)[0]
    return slot.work.wanted if isinstance(slot, Flight) else 0


def trusted(cache: Cache) -> bool:
    """Whether the cache trusts its store again, owes it nothing, and its slots are no longer blind."""
    store, epochs = cache.status().store, cache._space.table.epochs
    assert store is not None
    assert isinstance(epochs, Vouched)
    return store.trust == "trusted" and not store.pending and epochs.blind_since == math.inf


def trust(cache: Cache) -> str:
    """What the cache thinks of its store: "trusted", "away" or "blind"."""
    store = cache.status().store
    assert store is not None
    return store.trust


def stored(server: Any, key: str) -> bytes | None:
    """Return the bytes in the store under a key of the namespace "shop"."""
    found: bytes | None = server.cli("GET", f"hs1:shop:{key}")
    return found


def environment() -> dict[str, str]:
    """Return the environment of a process that runs this very code."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}
