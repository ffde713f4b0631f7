"""A request scope against a dictionary, for any order of reads, own and foreign changes, and scopes.

The model: what the cache holds, and what the open request remembers: the first answer of each key until it is ended
from inside. Others act in threads of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hotset import Cache, Hit

KEYS = ["a", "b", "c:1", "c:2"]
TAGS: dict[str, list[str]] = {"a": ["t"], "b": [], "c:1": ["t", "u"], "c:2": ["u"]}
keys = st.sampled_from(KEYS)
who = st.sampled_from(["own", "others"])
ways = st.sampled_from(["get", "get_many", "lookup", "get_or_load", "get_or_load_many"])


class Requests(RuleBasedStateMachine):
    """One context of one cache, whose request is open or not, and others."""

    face = "sync"

    def __init__(self) -> None:
        super().__init__()
        self.cache = Cache(ttl="1h")
        self.runner = asyncio.Runner() if self.face == "async" else None
        self.context = copy_context()
        self.threads = ThreadPoolExecutor(1)
        self.scopes: list[Any] = []
        self.held: dict[str, Any] = {}
        self.remembered: dict[str, tuple[Any, list[str]]] = {}
        self.loads = 0

    def call(self, verb: str, *arguments: Any, others: bool = False, **named: Any) -> Any:
        """Call a method of the face, or of the sync one from elsewhere."""
        if others:
            return self.threads.submit(getattr(self.cache, verb), *arguments, **named).result()
        if self.runner is None:
            return self.context.run(getattr(self.cache, verb), *arguments, **named)

        async def awaited() -> Any:
            return await getattr(self.cache.aio, verb)(*arguments, **named)

        return self.runner.run(awaited(), context=self.context)

    def load(self, *_: Any) -> Any:
        """Return an object of its own."""
        self.loads += 1
        return {"load": self.loads}

    def load_many(self, keys: list[str]) -> dict[str, Any]:
        """The same for many."""
        return {key: self.load() for key in keys}

    # -- scopes

    @precondition(lambda self: len(self.scopes) < 3)
    @rule()
    def open(self) -> None:
        """A request begins, or a part of it."""
        scope = self.cache.request()
        self.context.run(scope.__enter__)
        self.scopes.append(scope)

    @precondition(lambda self: self.scopes)
    @rule()
    def close(self) -> None:
        """It ends; with the outermost it is over."""
        self.context.run(self.scopes.pop().__exit__, None, None, None)
        if not self.scopes:
            self.remembered.clear()

    # -- reads

    @rule(key=keys, way=ways)
    def read(self, key: str, way: str) -> None:
        """The very object: what is remembered, else what is held, else what is loaded now."""
        loads = self.loads
        loaded = way.startswith("get_or_load")
        answer = self.answer(key, way)
        if key in self.remembered:
            expected = self.remembered[key][0]
        elif key in self.held or not loaded:
            expected = self.held.get(key)
        else:
            assert self.loads == loads + 1
            self.held[key] = expected = answer
        assert answer is expected
        if self.scopes and expected is not None:
            self.remembered.setdefault(key, (expected, TAGS[key]))

    def answer(self, key: str, way: str) -> Any:
        """Read in one way."""
        if way == "get":
            return self.call("get", key)
        if way == "get_many":
            return self.call("get_many", [key]).get(key)
        if way == "lookup":
            hit = self.call("lookup", key)
            return hit.value if isinstance(hit, Hit) else None
        if way == "get_or_load_many":
            return self.call("get_or_load_many", [key], self.load_many, tags=TAGS[key])[key]
        return self.call("get_or_load", key, self.load, tags=TAGS[key])

    @rule(key=keys)
    def read_elsewhere(self, key: str) -> None:
        """Others have what is held, whoever has a request open."""
        assert self.call("get", key, others=True) is self.held.get(key)

    # -- changes

    @rule(key=keys, by=who)
    def write(self, key: str, by: str) -> None:
        """An own write is answered from now on, that of another when the request is over."""
        value = self.load()
        self.call("set", key, value, tags=TAGS[key], others=by == "others")
        self.held[key] = value
        if self.scopes and by == "own":
            self.remembered[key] = value, TAGS[key]

    @rule(key=keys, by=who)
    def add(self, key: str, by: str) -> None:
        """The same where nothing is held."""
        value = self.load()
        added = self.call("add", key, value, tags=TAGS[key], others=by == "others")
        assert added is (key not in self.held)
        if added:
            self.held[key] = value
            if self.scopes and by == "own":
                self.remembered[key] = value, TAGS[key]

    @rule(key=keys, by=who, verb=st.sampled_from(["delete", "expire"]))
    def end(self, key: str, by: str, verb: str) -> None:
        """By key."""
        self.call(verb, key, others=by == "others")
        self._ended(lambda name, _: name == key, by)

    @rule(tag=st.sampled_from("tu"), by=who, verb=st.sampled_from(["delete", "expire"]))
    def end_tag(self, tag: str, by: str, verb: str) -> None:
        """By tag."""
        self.call(verb, tags=[tag], others=by == "others")
        self._ended(lambda _, tags: tag in tags, by)

    @rule(match=st.sampled_from(["a", "c:*", "*"]), by=who)
    def end_matching(self, match: str, by: str) -> None:
        """By pattern."""
        self.call("delete", match=match, others=by == "others")
        self._ended(lambda name, _: match in {"*", name} or (match == "c:*" and name.startswith("c:")), by)

    @rule(by=who)
    def clear(self, by: str) -> None:
        """Everything."""
        self.call("clear", others=by == "others")
        self._ended(lambda *_: True, by)

    @rule(key=keys)
    def lose(self, key: str) -> None:
        """The entry is evicted, which ends nothing for the request."""
        self.cache._space.table.delete(key, "evicted")
        self.held.pop(key, None)

    def _ended(self, covers: Callable[[str, list[str]], bool], by: str) -> None:
        self.held = {key: value for key, value in self.held.items() if not covers(key, TAGS[key])}
        if by == "own":
            left = {key: seen for key, seen in self.remembered.items() if not covers(key, seen[1])}
            self.remembered = left

    @invariant()
    def sound(self) -> None:
        """The engine agrees with itself."""
        self.cache._space.engine.check()

    def teardown(self) -> None:
        """Nothing is left open."""
        while self.scopes:
            self.close()
        assert self.cache._space.engine.off_here == 0
        self.threads.shutdown()
        if self.runner is not None:
            self.runner.close()


class AsyncRequests(Requests):
    """The same, awaited."""

    face = "async"


TestRequests = Requests.TestCase
TestAsyncRequests = AsyncRequests.TestCase
TestRequests.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAsyncRequests.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
