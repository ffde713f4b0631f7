"""One request seen step by step, from either face, with others beside it: what the tests of row W18 share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Self

from hotset import Cache, Hit
from tests.contract.conftest import PATIENCE

KEY, OTHER = "user:7", "user:8"
TAGS = ["users"]


class Row:
    """A source whose every answer is an object of its own."""

    def __init__(self) -> None:
        self.loads = 0
        self.value: Any = None

    def load(self, *_: Any) -> Any:
        """Return a new object each time, or what it was told to say."""
        self.loads += 1
        return {"load": self.loads} if self.value is None else self.value

    def load_n(self, n: int) -> Any:
        """Return a new object each time."""
        return self.load()

    async def load_n_async(self, n: int) -> Any:
        """The same, awaited."""
        return self.load()

    def load_many(self, keys: list[Any]) -> dict[Any, Any]:
        """The same for many."""
        return {key: self.load() for key in keys}


class Asker:
    """A thread, or the tasks of one loop, that call a cache; each call is over before the next one begins."""

    def __init__(self, kind: str, cache: Cache) -> None:
        self.cache = cache
        self.row = Row()
        self._context = copy_context()
        self._runner = asyncio.Runner() if kind == "async" else None
        face: Any = cache if self._runner is None else cache.aio
        self._scope = face.request()
        cached: Any = face.cached("user:{n}", tags=TAGS)
        if self._runner is None:
            self._cached = cached(self.row.load_n)
        else:
            self._cached = cached(self.row.load_n_async)
        self._family = face.family("user:{n}", tags=TAGS)
        self.reads: dict[str, Callable[[], Any]] = {
            "get": lambda: self.do("get", KEY),
            "get_many": lambda: self.do("get_many", [KEY]).get(KEY),
            "lookup": self._looked_up,
            "get_or_load": lambda: self.do("get_or_load", KEY, self.row.load, tags=TAGS),
            "get_or_load_many": lambda: self.do("get_or_load_many", [KEY], self.row.load_many, tags=TAGS)[KEY],
            "cached": lambda: self.call(self._cached, 7),
            "cached.many": lambda: self.call(self._cached.many, [7])[7],
            "family": lambda: self.call(self._family.get, 7),
            "family.many": lambda: self.call(self._family.get_or_load_many, [7], self.row.load_many)[7],
        }

    def _looked_up(self) -> Any:
        hit = self.do("lookup", KEY)
        return hit.value if isinstance(hit, Hit) else None

    def do(self, verb: str, *arguments: Any, **named: Any) -> Any:
        """Call a method of the face, inside the request if one is open."""
        return self.call(getattr(self.cache if self._runner is None else self.cache.aio, verb), *arguments, **named)

    def call(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call something, and await it."""
        if self._runner is None:
            return self._context.run(function, *arguments, **named)

        async def awaited() -> Any:
            return await function(*arguments, **named)

        return self._runner.run(awaited(), context=self._context)

    def born(self, threads: ThreadPoolExecutor, read: Callable[[], Any]) -> Future[Any]:
        """Read in a thread that was born in the request, as `asyncio.to_thread` makes one."""
        return threads.submit(self._context.copy().run, read)

    def open(self) -> None:
        """The request begins."""
        self._enter(self._scope)

    def end(self) -> None:
        """The request ends."""
        self._exit(self._scope)

    def _enter(self, scope: Any) -> None:
        self.call(scope.__enter__ if self._runner is None else scope.__aenter__)

    def _exit(self, scope: Any) -> None:
        self.call(scope.__exit__ if self._runner is None else scope.__aexit__, None, None, None)

    def inside(self, scope: Any) -> Inside:
        """Return a block inside another scope of this context, such as `cache.disabled()`."""
        return Inside(lambda: self._enter(scope), lambda: self._exit(scope))

    def close(self) -> None:
        """End the loop, if there is one."""
        if self._runner is not None:
            self._runner.close()

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


class Inside:
    """A block that is entered and left in the asker's own context."""

    def __init__(self, enter: Callable[[], object], leave: Callable[[], object]) -> None:
        self._enter, self._leave = enter, leave

    def __enter__(self) -> None:
        self._enter()

    def __exit__(self, *_: object) -> None:
        self._leave()


def elsewhere(change: Callable[[], Any]) -> Any:
    """Do something in a thread of its own, which takes part in no request."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(change).result(PATIENCE)
