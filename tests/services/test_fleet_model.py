"""Three caches over one server against one dict: what one of them has ended or written, each knows at its next read.

Two have a process tier, one has none; every step is taken by any of them, through either face. Copies near in other
caches may lag by a message: so a read is repeated until they agree, and must agree within a heartbeat; the cache that
made the change, and the one without copies, must agree at once.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from hotset import Cache, Miss, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.services.servers import Server

keys = st.sampled_from(["a", "b", "user:1", "user:{2}", "x" * 300, "k*%?"])
tags = st.sampled_from([(), ("t",), ("t", "u")])
faces = st.tuples(st.integers(0, 2), st.booleans())
numbers = st.integers(-(2**63), 2**64 - 1)
values = st.one_of(numbers, st.none(), st.tuples(numbers, st.text(max_size=3)), st.just({"a": {1, 2}}))
ABSENT = "absent"
NEGATIVE = Miss("negative")


class Fleet(RuleBasedStateMachine):
    """A dict of key to value and tags says what every cache must answer."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        near = ("memory://?max_entries=3", "memory://")
        settings: dict[str, Any] = {"namespace": "fleet", "stale_if_error": "1m", "negative_ttl": "1m"}
        self.caches = [*(Cache(tier, self.url, **settings) for tier in near), Cache(self.url, **settings)]
        self.caches[0].clear()
        self.model: dict[str, tuple[Any, tuple[str, ...]]] = {}
        self.changed_by = 2

    def call(self, face: tuple[int, bool], method: str, *args: Any, **options: Any) -> Any:
        """Call a method of one cache, through its async face or its sync one."""
        cache, asynchronous = self.caches[face[0]], face[1]
        if asynchronous:
            return self.runner.run(getattr(cache.aio, method)(*args, **options))
        return getattr(cache, method)(*args, **options)

    def until(self, agrees: Callable[[], bool], who: int) -> None:
        """Have a cache agree: at once if it made the last change or keeps nothing near, else within a heartbeat."""
        asked = time.monotonic()
        patience = asked + (0 if who in {self.changed_by, 2} else 1.0)
        while not agrees():
            assert asked < patience, f"cache {who} does not agree"
            asked = time.monotonic()

    @rule(face=faces, key=keys, value=values, tagged=tags)
    def set(self, face: tuple[int, bool], key: str, value: Any, tagged: tuple[str, ...]) -> None:
        """Write."""
        assert self.call(face, "set", key, value, tags=tagged)
        self.model[key] = (value, tagged)
        self.changed_by = face[0]

    @rule(face=faces, key=keys)
    def add(self, face: tuple[int, bool], key: str) -> None:
        """Write what is absent."""
        added = self.call(face, "add", key, "added")
        assert added is (key not in self.model or self.model[key][0] is NotFound)
        if added:
            self.model[key] = ("added", ())
            self.changed_by = face[0]

    @rule(face=faces, key=keys)
    def load(self, face: tuple[int, bool], key: str) -> None:
        """Read, or load; a value near in another cache may be behind by a message."""
        self.agrees_on(face[0], key)
        held = self.model.get(key)
        try:
            got = self.call(face, "get_or_load", key, lambda: "loaded", tags=["t"])
        except NotFound:
            got = NotFound
        assert got == ("loaded" if held is None else held[0])
        if held is None:
            self.model[key] = ("loaded", ("t",))

    @rule(face=faces, key=keys)
    def load_nothing(self, face: tuple[int, bool], key: str) -> None:
        """A source that has no such thing is remembered in the store, for all."""
        if key in self.model:
            return

        def load() -> None:
            raise NotFound(key)

        try:
            self.call(face, "get_or_load", key, load)
        except NotFound:
            self.model[key] = (NotFound, ())

    @rule(face=faces, wanted=st.lists(keys, unique=True, max_size=4))
    def load_many(self, face: tuple[int, bool], wanted: list[str]) -> None:
        """Read many, the missing with one call."""
        for key in wanted:
            self.agrees_on(face[0], key)
        asked: list[str] = []

        def load(missing: list[str]) -> dict[str, str]:
            asked.extend(missing)
            return dict.fromkeys(missing, "many")

        got = self.call(face, "get_or_load_many", wanted, load)
        assert sorted(asked) == sorted(key for key in wanted if key not in self.model)
        for key in wanted:
            self.model.setdefault(key, ("many", ()))
        assert got == {key: self.model[key][0] for key in wanted if self.model[key][0] is not NotFound}

    @rule(
        face=faces,
        ended=st.lists(keys, unique=True, min_size=1, max_size=3),
        verb=st.sampled_from(["delete", "expire"]),
    )
    def end(self, face: tuple[int, bool], ended: list[str], verb: str) -> None:
        """End by key; what is expired is stale, and a get does not answer with it."""
        assert self.call(face, verb, *ended) >= sum(key in self.model for key in ended)
        for key in ended:
            self.model.pop(key, None)
        self.changed_by = face[0]

    @rule(face=faces, tag=st.sampled_from(["t", "u"]), verb=st.sampled_from(["delete", "expire"]))
    def end_tag(self, face: tuple[int, bool], tag: str, verb: str) -> None:
        """End by tag."""
        self.call(face, verb, tags=[tag])
        self.model = {key: held for key, held in self.model.items() if tag not in held[1]}
        self.changed_by = face[0]

    @rule(face=faces, match=st.sampled_from(["user:*", "x*", "?", "*"]))
    def end_match(self, face: tuple[int, bool], match: str) -> None:
        """End by pattern."""
        self.call(face, "delete", match=match)
        ended = {"user:*": "user:", "x*": "x"}
        self.model = {
            key: held
            for key, held in self.model.items()
            if not (match == "*" or (match == "?" and len(key) == 1) or key.startswith(ended.get(match, "\0")))
        }
        self.changed_by = face[0]

    @rule(face=faces)
    def clear(self, face: tuple[int, bool]) -> None:
        """End all."""
        self.call(face, "clear")
        self.model.clear()
        self.changed_by = face[0]

    @rule(face=faces, key=keys)
    def fail(self, face: tuple[int, bool], key: str) -> None:
        """A source that fails leaves everything as it was."""
        if key in self.model:
            return

        def load() -> None:
            raise OSError(key)

        with suppress(OSError):  # else a stale value was answered, which is not kept as fresh
            self.call(face, "get_or_load", key, load)

    def agrees_on(self, who: int, key: str) -> None:
        """Have one cache answer as the model says."""
        held = self.model.get(key)
        value = ABSENT if held is None or held[0] is NotFound else held[0]
        nothing = held is not None and held[0] is NotFound
        cache = self.caches[who]  # a NotFound that it remembers, and is behind by a message with, looks absent to `get`
        self.until(lambda: cache.get(key, ABSENT) == value and (nothing or cache.lookup(key) != NEGATIVE), who)

    @invariant()
    def agree(self) -> None:
        """All answer the same, for every key, by get, get_many and lookup, and the engines are sound."""
        for who, cache in enumerate(self.caches):
            for key in ("a", "b", "user:1", "user:{2}", "x" * 300, "k*%?"):
                self.agrees_on(who, key)
            known = {key: held[0] for key, held in self.model.items() if held[0] is not NotFound}
            assert cache.get_many(["a", "b", "user:1", "user:{2}", "x" * 300, "k*%?"]) == known
            cache._space.engine.check()

    def teardown(self) -> None:
        """Let go of everything."""
        for cache in self.caches:
            cache.close()
        self.runner.close()


def test_every_cache_of_a_fleet_agrees(store_server: Server, patient: None) -> None:
    """On Redis and on Valkey."""
    fleet: Any = type("OverServer", (Fleet,), {"url": store_server.url})
    case = fleet.TestCase
    case.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
    case("runTest").debug()
